"""From a Keras `.h5` file of dense layers, larq's among them, to a source, without TensorFlow.

The quantisers are those of larq 0.14 (https://docs.larq.dev/larq/api/quantizers/): its sign is +1
at 0, its heaviside 0 at 0.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from stepnet.errors import FormatError
from stepnet.formats.onnx_file import MAX_ELEMENTS, check_file
from stepnet.formats.source import Array, Pixels, Signal, Source, capitalised
from stepnet.printable import printable

SUPPORTED = (
    "Dense and QuantDense, BatchNormalization, Flatten, Reshape, Activation and Dropout, one "
    "behind the other"
)

PASSED_OVER = ("InputLayer", "Flatten", "Reshape", "Dropout", "GaussianNoise", "GaussianDropout")
"""Layers that do nothing to the values of one image when a network of dense layers reads."""

SPARE_BYTES = 1 << 30
"""What reading a file may take in memory: the weights between two of the widest layers several
times."""

_DAMAGE = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    RecursionError,
    StopIteration,
)
"""What HDF5 and the description in it answer damage with."""

CLASSES = ("Sequential", "Functional", "Model")


def sign(x: Array) -> Array:
    """The sign that is -1 below 0 and +1 elsewhere."""
    one: Array = np.ones((), x.dtype)
    return np.where(x >= 0, one, -one)


def heaviside(x: Array) -> Array:
    """The step that is 1 above 0 and 0 elsewhere."""
    one: Array = np.ones((), x.dtype)
    return np.where(x > 0, one, 0 * one)


def _ternary(x: Array, settings: dict[str, Any]) -> Array:
    """-1, 0 and +1, both ends of the middle excluded."""
    threshold = settings.get("threshold_value", 0.05)
    if settings.get("ternary_weight_networks", False):
        threshold = 0.7 * np.abs(x).sum() / x.size
    limit = x.dtype.type(threshold)
    return np.sign(np.sign(x + limit) + np.sign(x - limit))


def _scaled_sign(x: Array, _settings: dict[str, Any]) -> Array:
    """The sign of weights (inputs, neurons) times the mean size of each neuron's."""
    return np.abs(x).mean(axis=0, dtype=x.dtype) * sign(x)


def _dorefa(x: Array, settings: dict[str, Any]) -> Array:
    """k bits of 0..1, or of -1..1 for weights."""
    one = x.dtype.type(1)
    levels = x.dtype.type(2 ** int(settings.get("k_bit", 2)) - 1)
    if settings.get("mode", "activations") == "activations":
        return np.rint(np.clip(x, 0 * one, one) * levels) / levels
    limited = np.tanh(x)
    largest = np.abs(limited).max()
    shifted = limited / (2 * largest) + one / 2 if largest else np.full_like(x, 0.5)
    return 2 * (np.rint(shifted * levels) / levels) - one


Quantiser = Callable[[Array, dict[str, Any]], Array]


def _plain_sign(x: Array, _settings: dict[str, Any]) -> Array:
    return sign(x)


def _plain_heaviside(x: Array, _settings: dict[str, Any]) -> Array:
    return heaviside(x)


def _no_op(x: Array, _settings: dict[str, Any]) -> Array:
    return x


QUANTISERS: dict[str, Quantiser] = {
    "SteSign": _plain_sign,
    "ApproxSign": _plain_sign,
    "SwishSign": _plain_sign,
    "MagnitudeAwareSign": _scaled_sign,
    "SteHeaviside": _plain_heaviside,
    "SteTern": _ternary,
    "DoReFa": _dorefa,
    "DoReFaQuantizer": _dorefa,
    "NoOp": _no_op,
    "NoOpQuantizer": _no_op,
    "ste_sign": _plain_sign,
    "approx_sign": _plain_sign,
    "swish_sign": _plain_sign,
    "magnitude_aware_sign": _scaled_sign,
    "ste_heaviside": _plain_heaviside,
    "ste_tern": _ternary,
    "dorefa_quantizer": _dorefa,
}
"""By the name of the class and by larq's short name."""

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "hard_tanh": lambda x: np.clip(x, x.dtype.type(-1), x.dtype.type(1)),
    "relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "tanh": np.tanh,
    "ste_sign": sign,
    "approx_sign": sign,
    "swish_sign": sign,
    "ste_heaviside": heaviside,
}


def read_keras(path: Path) -> Source:
    """The network in a `.h5` that `model.save` wrote.

    Raises FormatError for what is not supported, naming the layer, ModuleNotFoundError if h5py is
    missing.
    """
    h5py: Any = importlib.import_module("h5py")
    check_file(path, "a Keras .h5")
    try:
        with _limited_memory(), h5py.File(path, "r") as file:
            return _File(file, path, h5py.HardLink).source()
    except _DAMAGE as error:
        raise FormatError(
            f"The file {str(path)!r} is no model of Keras or is damaged "
            f'({printable(str(error), 200)}); save it again with model.save("model.h5").'
        ) from error


@contextmanager
def _limited_memory() -> Generator[None]:
    """Little memory for HDF5, which takes whatever a damaged length asks for, and fails well.

    Only Linux tells how much there is in use; elsewhere nothing is limited.
    """
    try:
        resource: Any = importlib.import_module("resource")
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        yield
        return
    kind = resource.RLIMIT_AS
    soft, hard = resource.getrlimit(kind)
    wanted = pages * resource.getpagesize() + SPARE_BYTES
    if soft == resource.RLIM_INFINITY or wanted < soft:
        resource.setrlimit(kind, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


class _Layer:
    """A layer as the model's configuration describes it."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.kind = str(described["class_name"]).rpartition(">")[2]
        self.settings: dict[str, Any] = described.get("config", {})
        self.name = str(self.settings.get("name", described.get("name", self.kind)))
        self.label = f"layer {self.name!r} ({self.kind})"

    def refused(self, why: str) -> FormatError:
        """The error that begins with the layer's name."""
        return FormatError(f"{capitalised(self.label)} {why}.")


class _File:
    """A model's configuration and its weights."""

    def __init__(self, file: Any, path: Path, hard_link: type) -> None:
        self._file = file
        self._file_bytes = path.stat().st_size
        self._hard_link = hard_link
        self._path = path

    def source(self) -> Source:
        """The network, layer by layer."""
        layers = self._layers()
        signal = Signal.of(Pixels(self._shape(layers), np.dtype(np.float32)))
        for layer in layers:
            signal = self._next(signal, layer)
        version = self._text(self._attribute(self._file, "keras_version", ""))
        return Source(self._path.stem, f"Keras {version}".strip(), signal)

    def _layers(self) -> list[_Layer]:
        text = self._text(self._attribute(self._file, "model_config", ""))
        if not text:
            raise FormatError(
                f"The file {str(self._path)!r} holds weights without the model they belong to; "
                'save both with model.save("model.h5").'
            )
        model: dict[str, Any] = json.loads(text)
        if model["class_name"] not in CLASSES:
            raise FormatError(
                f"The model in {str(self._path)!r} is a {model['class_name']}; supported are "
                f"Sequential and Functional models of {SUPPORTED}."
            )
        # Keras 1 and early 2 have the list of layers where later ones have it under a name.
        described: Any = model["config"]
        layers = cast(
            "list[dict[str, Any]]",
            described if isinstance(described, list) else described["layers"],
        )
        if model["class_name"] != "Sequential":
            _check_chain(layers)
        return [_Layer(layer) for layer in layers]

    def _shape(self, layers: list[_Layer]) -> tuple[int, ...]:
        """The shape of one image, with a batch of one in front."""
        settings = layers[0].settings
        sizes = settings.get("batch_input_shape") or settings.get("batch_shape")
        if sizes:
            shape = tuple(sizes[1:])
        else:
            kernel = next(layer for layer in layers if layer.kind in ("Dense", "QuantDense"))
            shape = self._weights(kernel)["kernel"].shape[:1]
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape):
            raise layers[0].refused(
                "leaves open how many pixels an image has; give the model an input_shape"
            )
        return (1, *shape)

    def _weights(self, layer: _Layer) -> dict[str, Array]:
        """A layer's arrays by the last part of their names."""
        group = self._inside(self._file, f"model_weights/{layer.name}")
        found: dict[str, Array] = {}
        for raw in self._attribute(group, "weight_names", ()):
            name = self._text(raw)
            stored = self._inside(group, name)
            if stored.dtype.kind not in "fiu" or stored.is_virtual or stored.external:
                raise layer.refused("has weights that are no numbers in this file; save it again")
            if math.prod(stored.shape) > MAX_ELEMENTS:
                raise layer.refused(
                    f"has {math.prod(stored.shape):,} weights; no layer for a board has more than "
                    f"{MAX_ELEMENTS:,}"
                )
            array = np.asarray(stored)
            if np.isnan(array).any():
                raise layer.refused("holds NaN; train the network again with a lower learning rate")
            found[name.rpartition("/")[2].partition(":")[0]] = array.astype(np.float32)
        return found

    def _attribute(self, of: Any, name: str, default: Any) -> Any:
        """An attribute; ValueError, before it takes any memory, if it is larger than the file."""
        if name not in of.attrs:
            return default
        stored = of.attrs.get_id(name)
        if math.prod(stored.shape) * stored.dtype.itemsize > self._file_bytes:
            raise ValueError(f"{name} is larger than the file")
        return of.attrs[name]

    def _inside(self, group: Any, path: str) -> Any:
        """What lies in a group of this file; ValueError for a link, which may lead to any other."""
        for name in path.split("/"):
            if not isinstance(group.get(name, getlink=True), self._hard_link):
                raise ValueError(f"{name} is a link")
            group = group[name]
        return group

    @staticmethod
    def _text(value: Any) -> str:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def _next(self, signal: Signal, layer: _Layer) -> Signal:
        if layer.kind in PASSED_OVER:
            return signal
        if signal.ranks_only:
            raise layer.refused(
                "computes with what a softmax gives; supported is a softmax at the end, which is "
                "left out"
            )
        if layer.kind in ("Dense", "QuantDense"):
            return self._dense(signal, layer)
        if layer.kind == "BatchNormalization":
            return self._normalised(signal, layer)
        if layer.kind in ("Activation", "Softmax", "ReLU"):
            name = layer.settings.get("activation", layer.kind.lower())
            return _activated(signal, layer, name)
        if layer.kind in QUANTISERS:
            return _quantised(signal, layer, {"class_name": layer.kind, "config": layer.settings})
        raise layer.refused(f"is of a kind that is not supported; supported are {SUPPORTED}")

    def _dense(self, signal: Signal, layer: _Layer) -> Signal:
        signal = _quantised(signal, layer, layer.settings.get("input_quantizer"))
        weights = self._weights(layer)
        quantise, settings = _quantiser(layer, layer.settings.get("kernel_quantizer"))
        kernel = quantise(weights["kernel"], settings)
        if kernel.ndim != 2 or len(kernel) != signal.size:
            raise layer.refused(
                f"has weights of shape {kernel.shape} for {signal.size} values; put a Flatten in "
                "front of it"
            )
        sums = signal.summed(layer.label, kernel.T, (1, kernel.shape[1]))
        if layer.settings.get("use_bias", True) and "bias" in weights:
            bias = weights["bias"]
            sums = sums.then(layer.label, lambda x: x + bias)
        return _activated(sums, layer, layer.settings.get("activation"))

    def _normalised(self, signal: Signal, layer: _Layer) -> Signal:
        """`x * slope + offset`, as TensorFlow orders the operations."""
        weights = self._weights(layer)
        epsilon = np.float32(layer.settings.get("epsilon", 1e-3))
        slope = 1 / np.sqrt(weights["moving_variance"] + epsilon)
        if "gamma" in weights:
            slope = slope * weights["gamma"]
        offset = weights.get("beta", np.float32(0)) - weights["moving_mean"] * slope
        return signal.then(layer.label, lambda x: x * slope + offset)


def _check_chain(layers: list[dict[str, Any]]) -> None:
    """Raise FormatError unless each layer has the one before it as its only input."""
    before: str | None = None
    for described in layers:
        layer = _Layer(described)
        inputs = set(_names(described.get("inbound_nodes", [])))
        if inputs != ({before} if before is not None else set[str]()):
            raise layer.refused(f"does not follow the layer before it; supported are {SUPPORTED}")
        before = layer.name


def _names(nodes: Any) -> list[str]:
    """The layers that a description of inbound nodes names, in the forms of Keras 2 and 3."""
    if isinstance(nodes, dict):
        inside: dict[str, Any] = cast("dict[str, Any]", nodes)
        history: Any = inside.get("config", {}).get("keras_history") if "config" in inside else None
        if history:
            return [str(history[0])]
        return [name for value in inside.values() for name in _names(value)]
    if isinstance(nodes, list):
        items = cast("list[Any]", nodes)
        is_link = len(items) >= 3 and isinstance(items[0], str) and isinstance(items[1], int)
        return [items[0]] if is_link else [name for value in items for name in _names(value)]
    return []


def _quantiser(layer: _Layer, described: Any) -> tuple[Quantiser, dict[str, Any]]:
    """A quantiser by its description: a short name, or a class with its settings."""
    if described is None:
        return _no_op, {}
    name, settings = _described(described)
    if name not in QUANTISERS:
        raise layer.refused(
            f"has the quantiser {name!r}; supported are {', '.join(list(QUANTISERS)[:7])}"
        )
    return QUANTISERS[name], settings


def _described(described: Any) -> tuple[str, dict[str, Any]]:
    """The name, without its package, and the settings of a short name or of a class."""
    settings: dict[str, Any] = {}
    name: Any = described
    if isinstance(described, dict):
        whole = cast("dict[str, Any]", described)
        name, settings = whole.get("class_name"), whole.get("config") or {}
    return str(name).rpartition(">")[2], settings


def _quantised(signal: Signal, layer: _Layer, described: Any) -> Signal:
    if described is None:
        return signal
    quantise, settings = _quantiser(layer, described)
    if quantise is _scaled_sign:
        raise layer.refused(
            "quantises its input by MagnitudeAwareSign, which looks at all values at once; "
            "supported is SteSign"
        )
    return signal.then(layer.label, lambda x: quantise(x, settings))


def _activated(signal: Signal, layer: _Layer, activation: Any) -> Signal:
    name, _ = _described(activation)
    if name in ("None", "linear"):
        return signal
    if name in ("softmax", "Softmax"):
        return replace(signal, ranks_only=True, label=layer.label)
    if name not in ACTIVATIONS:
        raise layer.refused(
            f"has the activation {name!r}; supported are {', '.join(ACTIVATIONS)} and softmax"
        )
    return signal.then(layer.label, ACTIVATIONS[name])
