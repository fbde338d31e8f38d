# pyright: basic
# (torch publishes many functions without complete types)
"""What the rows of the last layer are taught for each readout, and what being right means.

The rules that go down a gradient share it. A row has an excess, a real number: by how much its sum,
brought to a common scale, exceeds its threshold. It fires where that is not negative.

bits     every row has its bit to answer; the loss is the sum of the binary cross-entropies.
tree     only the rows on the path of the true bits have a bit to answer: the true bits choose the
         rows while learning, the network's own bits when it reads.
nearest  the row with the largest excess wins; the loss is the cross-entropy over all rows.

In each case the loss of an image is minus the logarithm of the chance that its whole code comes out
right, where each excess is taken as an independent logit. Where a teacher says that an image may be
several characters, the loss is the mean over these.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from stepnet.learning.targets import Targets
from stepnet.networks.network import Readout


class Lesson:
    """The lesson of one readout and alphabet.

    targets: what each row has to answer, in numpy, with the rows that are not trained.
    rows: how many rows are trained.
    """

    def __init__(self, readout: Readout, alphabet: str) -> None:
        self.readout = readout
        self.targets = Targets.of(readout, alphabet)
        wanted = torch.from_numpy(self.targets.wanted[:, self.targets.trained_rows])
        self.rows = wanted.shape[1]
        self._wanted = wanted
        self._fires = (wanted > 0).float()
        self._silent = (wanted < 0).float()

    def loss(self, excess: Tensor, chances: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar.

        excess: (N, rows).
        chances: (N, characters), how probable each character of the alphabet is; a label makes one
        of them 1 and the others 0.
        """
        if self.readout is Readout.NEAREST:
            return -(chances * functional.log_softmax(excess, dim=1)).sum(dim=1).mean()
        rows = (chances @ self._fires) * functional.softplus(-excess)
        rows = rows + (chances @ self._silent) * functional.softplus(excess)
        return rows.sum(dim=1).mean()

    def right(self, excess: Tensor, indices: Tensor) -> Tensor:
        """Whether each whole code is right: (N,) bool.

        excess: (N, rows).
        indices: (N,) int64, the place of each true character in the alphabet.
        """
        if self.readout is Readout.NEAREST:
            return excess.argmax(dim=1) == indices
        # A tree whose rows on the true path are all right has walked the true path.
        wanted = self._wanted[indices]
        return (((excess >= 0) == (wanted > 0)) | (wanted == 0)).all(dim=1)

    def chances(self, indices: Tensor) -> Tensor:
        """Labels as chances: (N, characters) float of 0 and 1, from (N,) int64."""
        return functional.one_hot(indices, len(self.targets.alphabet)).float()
