"""How well a network reads a data set, measured with integer arithmetic.

`score` is what `stepnet evaluate` and `stepnet train` call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset
from stepnet.errors import DataError
from stepnet.networks import kinds, sigmoid
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.sigmoid import SigmoidNetwork

_BATCH = 10_000


@dataclass(frozen=True, eq=False)
class Score:
    """How a network read the images of a data set.

    images: how many images were read.

    right: how many readings have exactly the code of the label.
    unknown: how many have a code that is not in the network's alphabet; the rest are wrong
        characters.
    left_out: how many images were not read because the network does not know their character.
    accuracy_by_character: the part of right readings, 0 to 1, for each character that occurs.
    accuracy_by_bit: for each bit of the code, bit 0 first, the part of readings in which it is
        right; 7 bits, or 8 if a label or a reading has more.
    case_folded_accuracy: the part of readings that are right where a letter may stand for the same
        letter in the other case. An unknown code stays wrong.
    accuracy_by_writer: the part of right readings for each writer; empty where writers are unknown.
    characters: the network's alphabet in the order of the codes.
    confusion: (characters, characters + 1) int64, how many images of the character of each row were
        read as the character of each column, in the order of `characters`; the last column counts
        unknown codes.
    """

    images: int
    right: int
    unknown: int
    left_out: int
    accuracy_by_character: dict[str, float]
    accuracy_by_bit: tuple[float, ...]
    case_folded_accuracy: float
    accuracy_by_writer: dict[int, float]
    characters: str
    confusion: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The part of the images whose code is exactly right, 0 to 1."""
        return self.right / self.images

    @property
    def missing(self) -> str:
        """The characters of the network's alphabet that no image shows, in the order of codes."""
        return "".join(
            character
            for character, images in zip(self.characters, self.confusion.sum(axis=1), strict=True)
            if not images
        )

    def top_confusions(self, n: int) -> list[tuple[str, str | None, int]]:
        """The `n` most frequent mistakes as (true, read, count); fewer if there are fewer.

        `read` is None for an unknown code, as in a `Reading`. Of mistakes as frequent as each
        other, the one with the smaller true code comes first, then that with the smaller read code.
        """
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        ranked = np.argsort(-wrong, axis=None, kind="stable")[:n]
        pairs = np.stack(np.unravel_index(ranked, wrong.shape), axis=1).tolist()
        read_as = [*self.characters, None]
        return [
            (self.characters[true], read_as[read], int(wrong[true, read]))
            for true, read in pairs
            if wrong[true, read]
        ]


def score(network: AnyNetwork, dataset: Dataset) -> Score:
    """Read every image of `dataset` that shows a character of the network's alphabet.

    Raises DataError if there is none, and ImageError if the images have another size than the
    network takes.
    """
    known = _known(network, dataset)
    codes = _read(functools.partial(kinds.infer, network), known)
    right = codes == known.labels
    unknown = ~np.isin(codes, network.character_codes)
    code_bits = max(7, int(max(codes.max(), known.labels.max())).bit_length())
    wrong_bits = (codes ^ known.labels)[:, np.newaxis] >> np.arange(code_bits) & 1
    return Score(
        images=len(known),
        right=int(right.sum()),
        unknown=int(unknown.sum()),
        left_out=len(dataset) - len(known),
        accuracy_by_character={
            character: float(right[known.labels == ord(character)].mean())
            for character in known.alphabet
        },
        accuracy_by_bit=tuple((1 - wrong_bits.mean(axis=0)).tolist()),
        case_folded_accuracy=float((~unknown & (_folded(codes) == _folded(known.labels))).mean()),
        accuracy_by_writer=_by_writer(right, known),
        characters="".join(sorted(network.characters)),
        confusion=_confusion(np.sort(network.character_codes), known.labels, codes),
    )


def float_accuracy(network: SigmoidNetwork, dataset: Dataset) -> float:
    """The part of the images, 0 to 1, that the network reads right before its weights are rounded.

    It counts the same images as `score`, and raises what that raises.
    """
    return accuracy(network, dataset, functools.partial(sigmoid.infer_float, network))


def accuracy(
    network: AnyNetwork,
    dataset: Dataset,
    infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> float:
    """The part of the images, 0 to 1, of which `infer` gives exactly the right code.

    It counts the same images as `score`, and raises what that raises.
    """
    known = _known(network, dataset)
    return float((_read(infer, known) == known.labels).mean())


def _known(network: AnyNetwork, dataset: Dataset) -> Dataset:
    """The images that show a character of the network's alphabet."""
    in_alphabet = np.isin(dataset.labels, network.character_codes)
    if not in_alphabet.any():
        raise DataError(
            f"The data set shows none of the characters of network {network.name!r} "
            f"({network.characters}); choose another data set."
        )
    return dataset.select(in_alphabet)


def _read(
    infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], dataset: Dataset
) -> NDArray[np.uint8]:
    """The codes of all images, some thousands at a time."""
    starts = range(0, len(dataset), _BATCH)
    return np.concatenate([infer(dataset.images[start : start + _BATCH]) for start in starts])


def _confusion(
    alphabet: NDArray[np.uint8], labels: NDArray[np.uint8], codes: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """`Score.confusion` of readings `codes` of images that show `labels`.

    alphabet: sorted codes; holds every label.
    """
    column = np.full(256, len(alphabet))
    column[alphabet] = np.arange(len(alphabet))
    shape = len(alphabet), len(alphabet) + 1
    cells = np.ravel_multi_index((column[labels], column[codes]), shape)
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)


def _folded(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes with the ASCII letters A to Z in lower case, which is bit 5."""
    upper = (codes >= ord("A")) & (codes <= ord("Z"))
    return codes | np.where(upper, np.uint8(32), np.uint8(0))


def _by_writer(right: NDArray[np.bool_], dataset: Dataset) -> dict[int, float]:
    writer = dataset.writer
    if writer is None:
        return {}
    return {int(one): float(right[writer == one].mean()) for one in np.unique(writer)}
