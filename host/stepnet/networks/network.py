"""Step networks, and what networks of other kinds share with them.

A step network is a feed-forward network in which every neuron outputs 0 or 1:
`y[j] = 1 if sum_i w[j, i] * a[i] >= t[j] else 0`, integers throughout. The neurons of a
convolutional layer do so at every position of a map. The last layer is read out as a character
code in one of three ways (see `Readout`). The arithmetic itself is in
`stepnet.networks.reference`. `CharacterNetwork` is what does not depend on the kind of neurons.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stepnet.errors import NetworkError
from stepnet.files import write_whole
from stepnet.networks.convolution import Convolution
from stepnet.networks.network_file import (
    CONVOLUTION_SCHEMA,
    FIRST_SCHEMA,
    MOST_BYTES,
    Content,
    content_digest,
    damaged,
    read_content,
)
from stepnet.networks.readout import MAX_WEIGHT_BITS, NO_CHARACTER, Readout
from stepnet.networks.real_numbers import (
    check_signs,
    check_thresholds_whole,
    check_weights_whole,
)
from stepnet.networks.shipped_files import network_file
from stepnet.printable import printable

__all__ = [
    "MAX_WEIGHT_BITS",
    "AnyLayer",
    "CharacterNetwork",
    "Layer",
    "LayerShape",
    "Network",
    "Readout",
    "check_shapes",
]

_ENTRIES: dict[str, type] = {
    "name": str,
    "height": int,
    "width": int,
    "ink_threshold": int,
    "readout": str,
    "alphabet": str,
    "code_prefix": str,
    "card": dict,
}
"""What the header of a file holds of every network."""

MOST_PIXELS = 1 << 18
"""Of an image: 512 x 512, many times what any board takes. A file of some KiB could name more than
fits the memory."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of step neurons. Arrays are copied and made read-only.

    weights: (neurons, fan_in) int8; {-1, +1} where `weight_bits` is 1, else two's complement of
    `weight_bits` bits (2 to 8).
    thresholds: (neurons,) int32.
    convolution: None for a dense layer, in which each neuron sees the whole layer below and answers
    once. Otherwise where the neurons look: each answers at every position, so that they are the
    channels of the map above.

    Raises NetworkError if a shape, a type or a range does not hold.
    """

    weights: NDArray[np.int8]
    thresholds: NDArray[np.int32]
    weight_bits: int = 1
    convolution: Convolution | None = None

    def __post_init__(self) -> None:
        if self.weight_bits not in range(1, MAX_WEIGHT_BITS + 1):
            raise NetworkError(
                f"A layer has weights of {self.weight_bits!r} bits; choose 1 to {MAX_WEIGHT_BITS}."
            )
        check_weights_whole(np.asarray(self.weights), self.weight_bits)
        weights = whole_numbers(self.weights, np.int8, "weights")
        check_thresholds_whole(np.asarray(self.thresholds))
        thresholds = whole_numbers(self.thresholds, np.int32, "thresholds")
        check_shapes(weights, thresholds, "thresholds", "one threshold")
        if self.weight_bits == 1:
            check_signs(weights)
        else:
            low, high = -(1 << self.weight_bits - 1), (1 << self.weight_bits - 1) - 1
            if weights.min() < low or weights.max() > high:
                worst = int(weights.min() if weights.min() < low else weights.max())
                raise NetworkError(
                    f"A weight of {worst} does not fit {self.weight_bits} bits, which hold "
                    f"{low} to {high}; give a larger weight_bits."
                )
        if self.convolution is not None and self.convolution.fan_in != weights.shape[1]:
            kernel, channels = self.convolution.kernel, self.convolution.channels
            raise NetworkError(
                f"The neurons of a convolution have {weights.shape[1]} weights, but a window of "
                f"{kernel} x {kernel} positions with {channels} channels has "
                f"{self.convolution.fan_in} inputs; give a weight for each."
            )
        weights.flags.writeable = False
        thresholds.flags.writeable = False
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "thresholds", thresholds)

    @property
    def fan_in(self) -> int:
        """How many inputs every neuron has."""
        return self.weights.shape[1]

    @property
    def neurons(self) -> int:
        """How many neurons with weights of their own the layer has."""
        return self.weights.shape[0]

    @property
    def n_in(self) -> int:
        """How many activations the layer takes: a dense one as many as each of its neurons."""
        return self.convolution.n_in if self.convolution else self.fan_in

    @property
    def n_out(self) -> int:
        """How many activations the layer gives: a dense one as many as it has neurons."""
        return self.neurons * (self.convolution.positions if self.convolution else 1)


class LayerShape(Protocol):
    """What every layer can be asked, whatever its neurons are."""

    @property
    def n_in(self) -> int:
        """How many bits the layer takes."""
        ...

    @property
    def n_out(self) -> int:
        """How many bits the layer gives."""
        ...


AnyLayer = TypeVar("AnyLayer", bound=LayerShape)


@dataclass(frozen=True, eq=False)
class CharacterNetwork(ABC, Generic[AnyLayer]):
    """A feed-forward network of some kind of neurons that reads characters, valid by construction.

    name: what people call it.
    layers: first to last; the first takes `height * width` inputs.
    height, width: of the image in pixels.
    ink_threshold: 0..255; a pixel is 1 where its grey value (ink bright) is at least this.
    readout: see `Readout`.
    alphabet: the distinct characters it can answer, codes below 256. A code outside the alphabet is
    reported as unknown, and so is code 0, which with readout `nearest` stands for no character.
    code_prefix: readout `tree` only: leading bits that all codes share and no neuron computes, as a
    string of "0" and "1", most significant first. The code has `len(code_prefix)` bits and as many
    as the tree is deep.
    card: free text about where the network comes from (data, rule, command, accuracy, licence).

    Raises NetworkError if any of this does not hold together.
    """

    kind: ClassVar[str]
    """What the neurons of this class are, by the word that the file has for it."""

    other_kinds: ClassVar[Mapping[str, str]]
    """How a file of each other kind is refused where this kind is wanted."""

    name: str
    layers: tuple[AnyLayer, ...]
    height: int = 28
    width: int = 28
    ink_threshold: int = 128
    readout: Readout = Readout.BITS
    alphabet: str = "0123456789"
    code_prefix: str = ""
    card: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "card", dict(self.card))
        try:
            object.__setattr__(self, "readout", Readout(self.readout))
        except ValueError:
            choices = ", ".join(Readout)
            raise NetworkError(
                f"There is no readout {str(self.readout)!r}; choose one of {choices}."
            ) from None
        self._check_image()
        self._check_layers()
        self._check_alphabet()
        self._check_readout()

    def _check_image(self) -> None:
        if self.height < 1 or self.width < 1:
            raise NetworkError(
                f"An image of {self.height} x {self.width} pixels is empty; "
                "height and width are at least 1."
            )
        if self.height * self.width > MOST_PIXELS:
            raise NetworkError(
                f"An image of {self.height} x {self.width} pixels is more than a network reads; "
                f"take one of at most {MOST_PIXELS:,} pixels."
            )
        if not 0 <= self.ink_threshold <= 255:
            raise NetworkError(
                f"The ink threshold {self.ink_threshold} is no grey value; choose 0 to 255."
            )

    def _check_layers(self) -> None:
        if not self.layers:
            raise NetworkError("The network has no layers; give at least one.")
        n_in = self.height * self.width
        for number, layer in enumerate(self.layers):
            if layer.n_in != n_in:
                source = "the image" if number == 0 else f"layer {number - 1}"
                raise NetworkError(
                    f"Layer {number} takes {layer.n_in} inputs, but {source} gives {n_in}."
                )
            n_in = layer.n_out

    def _check_alphabet(self) -> None:
        if not self.alphabet:
            raise NetworkError("The alphabet is empty; give the characters the network answers.")
        for character in self.alphabet:
            if self.alphabet.count(character) > 1:
                raise NetworkError(f"The alphabet holds {character!r} more than once.")
            if ord(character) >= 1 << self.code_bits:
                raise NetworkError(
                    f"The character {character!r} has code {ord(character)}, which does not fit "
                    f"the {self.code_bits} bits of the character code."
                )

    def _check_readout(self) -> None:
        n_out = self.rows
        if set(self.code_prefix) - {"0", "1"}:
            raise NetworkError(f"The code prefix {self.code_prefix!r} holds more than 0 and 1.")
        if self.code_prefix and self.readout is not Readout.TREE:
            raise NetworkError(
                f"A code prefix belongs to readout tree, but this network reads {self.readout}."
            )
        match self.readout:
            case Readout.BITS if n_out not in (7, 8):
                raise NetworkError(
                    f"Readout bits needs a last layer of 7 or 8 neurons, one per bit of the code, "
                    f"but it has {n_out}."
                )
            case Readout.TREE if (n_out + 1).bit_count() != 1 or not 1 <= self.code_bits <= 8:
                raise NetworkError(
                    "Readout tree needs a last layer of 2^m - 1 neurons for m bits of a code of "
                    f"at most 8, but it has {n_out} after a prefix of {len(self.code_prefix)} bits."
                )
            case Readout.NEAREST if n_out != len(self.alphabet):
                raise NetworkError(
                    f"Readout nearest needs one neuron per character, but the last layer has "
                    f"{n_out} for an alphabet of {len(self.alphabet)}."
                )
            case _:
                pass

    @property
    def rows(self) -> int:
        """How many rows the readout asks: one for each neuron of the last layer."""
        return self.layers[-1].n_out

    @property
    def code_bits(self) -> int:
        """How many bits the character code has, with those of the prefix, which nobody computes."""
        match self.readout:
            case Readout.BITS:
                return self.rows
            case Readout.TREE:
                return len(self.code_prefix) + (self.rows + 1).bit_length() - 1
            case Readout.NEAREST:
                return 8

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, then what each layer gives: `(784, 128, 64, 7)`."""
        return (self.height * self.width, *(layer.n_out for layer in self.layers))

    @property
    @abstractmethod
    def weight_bits_total(self) -> int:
        """Bits that all weights take."""

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """The codes of the alphabet, in its order: (len(alphabet),) uint8."""
        return np.array([ord(character) for character in self.alphabet], dtype=np.uint8)

    @property
    def characters(self) -> str:
        """The alphabet without code 0, which a row of readout nearest may answer for images that
        show no character: whoever shows that code calls it unknown.
        """
        return self.alphabet.replace(NO_CHARACTER, "")

    @cached_property
    def character_codes(self) -> NDArray[np.uint8]:
        """The codes of `characters`, in their order: (len(characters),) uint8."""
        return np.array([ord(character) for character in self.characters], dtype=np.uint8)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the whole content, as 64 hexadecimal digits."""
        return content_digest(self._header(), self._arrays(), self.schema_version)

    @property
    def schema_version(self) -> int:
        """The version of the file's schema: the first that has all that this network is made of."""
        return FIRST_SCHEMA

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the network to one .npz file, whole or not at all; returns its path.

        The file holds a schema version, a JSON header, the arrays of each layer and the SHA-256
        digest over all of it; nothing in it is pickled.

        Raises NetworkError if the file cannot be written, or would be larger than one that is read.
        """
        arrays = self._arrays()
        if sum(array.nbytes for array in arrays.values()) > MOST_BYTES:
            raise NetworkError(
                f"The network {self.name!r} takes more than {MOST_BYTES >> 20} MiB, and no larger "
                "file is read; give it fewer neurons."
            )
        try:
            return write_whole(
                path,
                lambda file: np.savez_compressed(
                    file,
                    allow_pickle=False,
                    schema_version=np.array(self.schema_version),
                    digest=np.array(self.digest),
                    header=np.array(self._header()),
                    **arrays,
                ),
            )
        except OSError as error:
            raise NetworkError(
                f"The network cannot be written to {str(path)!r} ({error.strerror}); "
                "name a file in a folder that exists and is writable."
            ) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a network that `save` wrote: the file at this path, or a shipped one by its name.

        Raises NetworkError if there is no such network, or if the file is no network, is newer than
        this version of stepnet, does not match its own digest, or holds a network of another kind.
        """
        file = network_file(path)
        return cls.from_content(read_content(file), file)

    @classmethod
    def from_content(cls, content: Content, path: str | os.PathLike[str]) -> Self:
        """The network whose content was read from `path`, which the error sentences name.

        Raises NetworkError if it is of another kind, or breaks a rule.
        """
        if content.kind != cls.kind:
            raise NetworkError(
                f"The file {str(path)!r} holds a {printable(content.kind)} network, "
                + cls.other_kinds.get(
                    content.kind, "which this stepnet does not know; upgrade stepnet."
                )
            )
        header = {key: value for key, value in content.header.items() if key != "kind"}
        if not all(isinstance(header.get(key, kind()), kind) for key, kind in _ENTRIES.items()):
            raise damaged(path)
        card = header.get("card", {})
        if not all(isinstance(value, str) for value in card.values()):
            raise damaged(path)
        try:
            return cls(layers=cls._take_layers(header, content.arrays), **header)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise damaged(path) from error

    def _header(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "height": self.height,
                "width": self.width,
                "ink_threshold": self.ink_threshold,
                "readout": self.readout,
                "alphabet": self.alphabet,
                "code_prefix": self.code_prefix,
                "card": dict(self.card),
                **self._layer_entries(),
            },
            sort_keys=True,
        )

    @abstractmethod
    def _layer_entries(self) -> dict[str, Any]:
        """What the header says about the layers, and of which kind they are."""

    @abstractmethod
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of all layers by the names they have in the file."""

    @classmethod
    @abstractmethod
    def _take_layers(
        cls, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[AnyLayer, ...]:
        """The layers; takes what `_layer_entries` wrote, except for the kind, from the header."""


@dataclass(frozen=True, eq=False)
class Network(CharacterNetwork[Layer]):
    """A whole step network; see `CharacterNetwork` for its attributes."""

    kind: ClassVar[str] = "step"
    other_kinds: ClassVar[Mapping[str, str]] = {
        "sigmoid": "whose neurons are no steps; name a step network.",
        "spiking": "whose neurons spike tick by tick; name a step network.",
        "lut": "whose tables are no weights that an engine loads; name a step network.",
        "relu": "whose neurons are no steps; name a step network.",
    }

    @property
    def weight_bits_total(self) -> int:
        """How many bits all weights take."""
        return sum(layer.weights.size * layer.weight_bits for layer in self.layers)

    @property
    def convolves(self) -> bool:
        """Whether some layer is a convolution."""
        return any(layer.convolution for layer in self.layers)

    def check_dense(self, what: str) -> None:
        """Raise NetworkError if some layer is a convolution, which `what` does not offer."""
        if self.convolves:
            raise NetworkError(
                f"The network {self.name!r} has convolutions, which {what} does not offer; take "
                "one of dense layers alone."
            )

    @property
    def schema_version(self) -> int:
        """The version of the file's schema: the first that has all that this network is made of."""
        return CONVOLUTION_SCHEMA if self.convolves else FIRST_SCHEMA

    def _check_layers(self) -> None:
        super()._check_layers()
        if self.layers[-1].convolution:
            raise NetworkError(
                "The last layer is a convolution, but the readout asks each of its rows once; "
                "add a dense layer."
            )
        below = None
        for number, layer in enumerate(self.layers):
            self._check_map(number, below, layer)
            below = layer

    def _check_map(self, number: int, below: Layer | None, layer: Layer) -> None:
        """Raise NetworkError unless a convolution sees the map that the layer below gives."""
        taken = layer.convolution
        if taken is None:
            return
        if below is None:
            given = (self.height, self.width, 1)
            source = "the image"
        elif below.convolution is None:
            raise NetworkError(
                f"Layer {number} is a convolution, but layer {number - 1} is dense and gives no "
                "map; put convolutions before dense layers."
            )
        else:
            answers = below.convolution
            given = (answers.out_height, answers.out_width, below.neurons)
            source = f"layer {number - 1}"
        wanted = (taken.height, taken.width, taken.channels)
        if wanted != given:
            raise NetworkError(
                f"Layer {number} takes a map of {' x '.join(map(str, wanted))}, but {source} gives "
                f"one of {' x '.join(map(str, given))}."
            )

    def _layer_entries(self) -> dict[str, Any]:
        entries: dict[str, Any] = {"weight_bits": [layer.weight_bits for layer in self.layers]}
        if self.convolves:
            entries["convolutions"] = [
                asdict(layer.convolution) if layer.convolution else None for layer in self.layers
            ]
        return entries

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for number, layer in enumerate(self.layers):
            arrays[f"weights_{number}"] = layer.weights
            arrays[f"thresholds_{number}"] = layer.thresholds
        return arrays

    @classmethod
    def _take_layers(
        cls, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[Layer, ...]:
        bits_per_layer = header.pop("weight_bits")
        convolutions = header.pop("convolutions", [None] * len(bits_per_layer))
        return tuple(
            Layer(
                arrays[f"weights_{number}"],
                arrays[f"thresholds_{number}"],
                weight_bits,
                None if convolution is None else Convolution(**convolution),
            )
            for number, (weight_bits, convolution) in enumerate(
                zip(bits_per_layer, convolutions, strict=True)
            )
        )


def check_shapes(
    weights: NDArray[Any], per_neuron: NDArray[Any], plural: str, singular: str
) -> None:
    """Raise NetworkError unless there is a matrix of weights and one number for each neuron.

    plural, singular: what that number is called: "thresholds", "one threshold".
    """
    if weights.ndim != 2 or 0 in weights.shape:
        raise NetworkError(
            f"The weights of a layer have shape {weights.shape}; "
            "give a matrix (neurons, inputs) with at least one of each."
        )
    if per_neuron.shape != weights.shape[:1]:
        raise NetworkError(
            f"A layer of {weights.shape[0]} neurons has {plural} of shape "
            f"{per_neuron.shape}; give {singular} per neuron."
        )


def whole_numbers(values: ArrayLike, dtype: type[np.integer[Any]], what: str) -> NDArray[Any]:
    """A fresh array of `dtype` that holds exactly `values`."""
    given = np.asarray(values)
    limits = np.iinfo(dtype)
    exact = given.dtype.kind in "iu" or (
        given.dtype.kind == "f" and bool(np.all(given == np.floor(given)))
    )
    if not exact:
        raise NetworkError(f"The {what} of a layer are not integers; give integers.")
    if given.size and (given.min() < limits.min or given.max() > limits.max):
        raise NetworkError(
            f"The {what} of a layer reach from {given.min()} to {given.max()}; "
            f"they must lie in {limits.min} to {limits.max}."
        )
    return np.array(given, dtype=dtype, order="C")
