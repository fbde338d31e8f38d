"""What the last layer is taught: the loss is minus the logarithm of a chance."""

import numpy as np
import pytest
import torch

from stepnet.learning import lesson
from stepnet.networks.network import Readout

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def test_only_rows_on_the_true_path_are_taught():
    taught = lesson.Lesson(Readout.TREE, "0123456789")
    margins = torch.zeros(1, taught.rows, requires_grad=True)
    loss = taught.loss(margins, taught.chances(torch.tensor([0])))
    loss.backward()
    asked = margins.grad[0] != 0
    # "0" is 011 0000: the rows on its path are 0, 1, 3 and 7, each with a chance of 1/2.
    assert taught.targets.trained_rows[asked].tolist() == [0, 1, 3, 7]
    assert loss.item() == pytest.approx(4 * np.log(2))


@pytest.mark.parametrize("readout", [Readout.TREE, Readout.NEAREST])
def test_the_chances_of_all_characters_add_up_to_1(readout):
    """exp(-loss) is a probability where the readout can answer nothing but its alphabet."""
    taught = lesson.Lesson(readout, PRINTABLE)
    margins = torch.randn(1, taught.rows, generator=torch.Generator().manual_seed(0))
    losses = [
        taught.loss(margins, taught.chances(torch.tensor([index]))).item()
        for index in range(len(PRINTABLE))
    ]
    assert np.exp(-np.array(losses)).sum() == pytest.approx(1, rel=1e-4)


def test_under_bits_every_bit_counts():
    taught = lesson.Lesson(Readout.BITS, "AC")
    margins = torch.tensor([[2.0]])
    # A is 0x41 and C 0x43: only bit 1 has to be learned.
    assert taught.rows == 1
    loss = taught.loss(margins, taught.chances(torch.tensor([1]))).item()
    assert loss == pytest.approx(np.log1p(np.exp(-2)))
    assert taught.right(margins, torch.tensor([1])).tolist() == [True]
    assert taught.right(margins, torch.tensor([0])).tolist() == [False]


@pytest.mark.parametrize("readout", Readout)
def test_a_teacher_in_doubt_gives_the_mean_of_both_lessons(readout):
    taught = lesson.Lesson(readout, "0123456789")
    margins = torch.randn(1, taught.rows, generator=torch.Generator().manual_seed(1))
    one, other = (taught.chances(torch.tensor([index])) for index in (3, 8))
    mixed = taught.loss(margins, 0.25 * one + 0.75 * other).item()
    alone = [taught.loss(margins, chances).item() for chances in (one, other)]
    assert mixed == pytest.approx(0.25 * alone[0] + 0.75 * alone[1], rel=1e-5)
