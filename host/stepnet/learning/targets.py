"""What each neuron of the last layer has to answer for each character, under all learning rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.network import Layer, Readout
from stepnet.networks.readout import NO_CHARACTER


@dataclass(frozen=True, eq=False)
class Targets:
    """What the rows of the last layer have to answer.

    readout: how they become a character.
    alphabet: the characters, in the order of their codes; the first may be the one of code 0, which
    stands for images without any of the others.
    wanted: (characters, rows) int8, for each character of the alphabet and each row of the last
    layer: +1 it has to fire, -1 it has to be silent, 0 nobody asks it.
    code_prefix: the leading bits that all codes share, with readout tree; else empty.
    """

    readout: Readout
    alphabet: str
    wanted: NDArray[np.int8]
    code_prefix: str = ""

    @classmethod
    def of(cls, readout: Readout, alphabet: str) -> Targets:
        """The targets for an alphabet of two or more characters.

        Codes have 7 bits, or 8 if a character lies beyond ASCII.
        """
        codes = np.array([ord(character) for character in alphabet])
        code_bits = max(7, int(codes.max()).bit_length())
        match readout:
            case Readout.BITS:
                bits = codes[:, np.newaxis] >> np.arange(code_bits) & 1
                wanted = (2 * bits - 1).astype(np.int8)
                return cls(readout, alphabet, _without_needless_zeros(wanted, codes))
            case Readout.TREE:
                words = [f"{code:0{code_bits}b}" for code in codes]
                # The bits that the smallest and the largest code share, all codes share.
                shared = code_bits - int(codes.min() ^ codes.max()).bit_length()
                paths = _tree_paths([word[shared:] for word in words])
                return cls(readout, alphabet, paths, words[0][:shared])
            case Readout.NEAREST:
                own = np.eye(len(alphabet), dtype=np.int8)
                return cls(readout, alphabet, 2 * own - np.int8(1))

    @property
    def answered(self) -> str:
        """The alphabet of the network that learned this. Code 0, which stands for no character, is
        in it only where each character has a row.
        """
        if self.readout is Readout.NEAREST:
            return self.alphabet
        return self.alphabet.replace(NO_CHARACTER, "")

    @property
    def trained_rows(self) -> NDArray[np.intp]:
        """The rows that have to fire for some characters and be silent for others."""
        return np.flatnonzero((self.wanted.max(axis=0) > 0) & (self.wanted.min(axis=0) < 0))

    def indices(self, codes: NDArray[np.uint8]) -> NDArray[np.intp]:
        """The place of each code in the alphabet, which has all of them."""
        alphabet = np.array([ord(character) for character in self.alphabet])
        return np.searchsorted(alphabet, codes)

    def complete(self, trained: Layer) -> Layer:
        """The last layer with all its rows, from one that has only the `trained_rows`.

        A row that has to fire whenever it is asked always fires; one that has to be silent, or is
        never asked, never does.
        """
        rows = self.wanted.shape[1]
        weights = np.ones((rows, trained.n_in), dtype=np.int8)
        # A row of ones sums to 0 .. n_in: at least 0 always, at least n_in + 1 never.
        always = self.wanted.max(axis=0) > 0
        thresholds = np.where(always, 0, trained.n_in + 1).astype(np.int32)
        weights[self.trained_rows] = trained.weights
        thresholds[self.trained_rows] = trained.thresholds
        return Layer(weights, thresholds, trained.weight_bits)


def _without_needless_zeros(
    wanted: NDArray[np.int8], codes: NDArray[np.integer[Any]]
) -> NDArray[np.int8]:
    """The targets of `bits`, in which images without a character ask no bit that they need not.

    A code is none of the alphabet where a bit is silent that all characters have, as bits 4 and 5
    of the digits. If there are such bits, they alone are asked; else all have to be silent.
    """
    none = codes == ord(NO_CHARACTER)
    common = (wanted[~none] > 0).all(axis=0)
    if common.any():
        wanted[np.ix_(none, ~common)] = 0
    return wanted


def _tree_paths(words: list[str]) -> NDArray[np.int8]:
    """The targets of a tree: for each word of bits the rows, in heap order, that it passes, with
    its bit there as +1 or -1, and 0 for all other rows.
    """
    wanted = np.zeros((len(words), (1 << len(words[0])) - 1), dtype=np.int8)
    for path, word in zip(wanted, words, strict=True):
        row = 0
        for bit in map(int, word):
            path[row] = 2 * bit - 1
            row = 2 * row + 1 + bit
    return wanted
