# pyright: basic
# (torch publishes many functions without complete types)
"""Networks of look-up tables under training, and the exact way from there to a file.

Each counted table sees some pixels, of its own choice. With four of them it is one table. With
more, some of its inputs are the answers of first-layer tables that belong to it alone:

    pixels seen     4    7    10   13   16
    tables in all   1    2    3    4    5

so a counted table sees three more pixels for every table before it, and only one bit is counted of
them all: counting costs two look-up tables of a part for each bit, more than the table itself.

Forward, everything is what it will be in hardware: each input has one wire, to the pixel with the
largest weight among the candidates, and each entry of a table is 0 or 1, as its latent is positive
or not. Backward, a table's answer is taken to change from entry to entry along a sigmoid of the
latents, as if it were linear in each input (so in Petersen et al., arXiv:2210.08277); and a wire's
weights learn what the answer would have gained from each candidate in its place (so in Bacellar et
al., arXiv:2410.11112). A wire's gradients of all its candidates share one step size, so that
candidates that hardly ever change do not take over.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stepnet.networks.lut import TABLE_BITS, TABLE_INPUTS, Counts, LutLayer, tables_of

PASS_ON = 0xAAAA
"""The table whose answer is its first input."""

INITIAL_WEIGHT = 0.02
"""Standard deviation of a wire's weights before training: a few steps change its mind."""

INITIAL_LATENT = 0.5
"""Standard deviation of the latents of tables before training."""

SLOPE = 2.0
"""The slope of the sigmoid that stands for the entries of a table on the way back."""

MOMENTUM = 0.9
SECOND_MOMENT = 0.99

PIXELS_PER_BYTE = 8
"""How many pixels a byte of the link brings."""

ADDRESSES = torch.arange(TABLE_BITS)


class Tables:
    """Tables of one layer under training, without their wires, which `LutModel` keeps.

    latents: (tables, 16) in -1 to 1; an entry is 1 where its latent is positive.
    """

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.latents = torch.randn(count, TABLE_BITS, generator=generator) * INITIAL_LATENT
        self.latents.clamp_(-1, 1)
        self.addresses = torch.zeros(0, dtype=torch.int64)

    def forward(self, inputs: list[Tensor]) -> Tensor:
        """The answers, (tables, N) uint8 of 0 and 1, from four inputs of the same shape each."""
        a, b, c, d = inputs
        self.addresses = (a + 2 * b + 4 * c + 8 * d).long()
        return (self.latents > 0).to(torch.uint8).gather(1, self.addresses)

    def backward(self, gradient: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The gradients of the latents and of the four inputs, from that of the answers."""
        of_entries = torch.zeros_like(self.latents).scatter_add_(1, self.addresses, gradient)
        entries = torch.sigmoid(SLOPE * self.latents)
        of_inputs: list[Tensor] = []
        for place in range(TABLE_INPUTS):
            gain = entries[:, ADDRESSES | 1 << place] - entries[:, ADDRESSES & ~(1 << place)]
            of_inputs.append(gain.gather(1, self.addresses).mul_(gradient))
        return of_entries * SLOPE * entries * (1 - entries), of_inputs

    def export(self) -> NDArray[np.uint16]:
        """The truth tables."""
        return tables_of((self.latents > 0).numpy())


class Wires:
    """What wires want: for each of them a weight for each bit that it may be connected to.

    weights: (wires, candidates); the largest one is where the wire goes.
    """

    def __init__(self, count: int, candidates: int, generator: torch.Generator) -> None:
        self.weights = torch.randn(count, candidates, generator=generator) * INITIAL_WEIGHT
        self._momentum = torch.zeros_like(self.weights)
        self._square = torch.zeros(count, 1)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes, by name."""
        return {"weights": self.weights, "momentum": self._momentum, "square": self._square}

    @property
    def chosen(self) -> Tensor:
        """The candidate of each wire: (wires,) int64."""
        return self.weights.argmax(dim=1)

    def move(self, gradient: Tensor, step: int, rate: float) -> None:
        """One step of Adam (Kingma and Ba, arXiv:1412.6980) with one second moment for each wire.

        gradient: of the weights. step: 1 for the first.
        """
        self._momentum.lerp_(gradient, 1 - MOMENTUM)
        self._square.lerp_(gradient.square().mean(dim=1, keepdim=True), 1 - SECOND_MOMENT)
        spread = (self._square / (1 - SECOND_MOMENT**step)).sqrt_().add_(1e-12)
        self.weights.addcdiv_(self._momentum, spread, value=-rate / (1 - MOMENTUM**step))


class Gathering:
    """Tables that each see up to four pixels of one byte, and so can be answered when it comes.

    A chip that takes an image byte by byte then keeps their answers instead of pixels, at no more
    cost: where a pixel would be kept, a table lies in front of the register.

    pixels: (tables,) the pixel that each table passes on at first; it sees the others of its byte.
    count: pixels of an image.
    """

    def __init__(self, pixels: NDArray[np.int64], count: int, generator: torch.Generator) -> None:
        tables = len(pixels)
        self.tables = Tables(tables, generator)
        passes = (ADDRESSES & 1) * 2.0 - 1
        self.tables.latents.mul_(0.2).add_(0.3 * passes)
        self.wires = Wires(TABLE_INPUTS * tables, PIXELS_PER_BYTE, generator)
        own = torch.from_numpy(pixels)
        self._bits = (own - own % PIXELS_PER_BYTE)[:, None] + torch.arange(PIXELS_PER_BYTE)
        self.wires.weights[torch.arange(tables), own % PIXELS_PER_BYTE] += 3 * INITIAL_WEIGHT
        outside = (self._bits >= count).repeat(TABLE_INPUTS, 1)
        self.wires.weights[outside] = -torch.inf
        self._bits.clamp_(max=count - 1)
        self._pixels = torch.zeros(0)

    @property
    def _seen(self) -> Tensor:
        """The pixels of each table: (tables, 4)."""
        places = self.wires.chosen.reshape(TABLE_INPUTS, -1).T
        return self._bits.gather(1, places)

    def forward(self, pixels: Tensor) -> Tensor:
        """The answers, (tables, N) uint8, from the bits of all pixels, (pixels, N) uint8."""
        self._pixels = pixels
        return self.tables.forward([pixels[seen] for seen in self._seen.T])

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of the latents and of the wires' weights, from that of the answers."""
        of_latents, of_inputs = self.tables.backward(gradient)
        signs = self._pixels[self._bits] * 2.0 - 1
        products = [torch.einsum("tn,tbn->tb", each, signs) for each in of_inputs]
        return of_latents, torch.cat(products)

    def export(self, pixels: int) -> LutLayer:
        """The layer, whose wires go to the pixels of an image."""
        return LutLayer(self._seen.numpy(), self.tables.export(), pixels)


class LutModel:
    """Counted tables, the tables before them, and the wires of all.

    candidates: (candidates,) the pixels, or gathered bits, that wires may choose.
    rows: how many rows of the readout are trained.
    counted: how many tables are counted, spread evenly over the rows.
    inputs: how many candidates each of them sees: 4, 7, 10, 13 or 16.
    """

    def __init__(
        self, candidates: Tensor, rows: int, counted: int, inputs: int, generator: torch.Generator
    ) -> None:
        self.candidates = candidates
        self.rows = rows
        self.before = (inputs - TABLE_INPUTS) // (TABLE_INPUTS - 1)
        self.counted = Tables(counted, generator)
        self.first = Tables(counted * self.before, generator)
        self.wires = Wires(inputs * counted, len(candidates), generator)
        self.groups = torch.arange(counted) % rows
        self._belongs = torch.nn.functional.one_hot(self.groups, rows).float()
        self._half = torch.bfloat16 if _has_bfloat16() else torch.float32
        self._pixels = torch.zeros(0)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes, by name, except what the optimiser of the latents keeps."""
        return {
            "counted": self.counted.latents,
            "first": self.first.latents,
            **self.wires.tensors(),
        }

    @property
    def sizes(self) -> Tensor:
        """How many tables are counted for each row: (rows,) int64."""
        return torch.bincount(self.groups, minlength=self.rows)

    def forward(self, pixels: Tensor) -> Tensor:
        """The counts, (N, rows) float, from the candidates' bits, (candidates, N) uint8."""
        self._pixels = pixels
        inputs = self._split(pixels[self.wires.chosen])
        if self.before:
            groups = inputs[: TABLE_INPUTS * self.before]
            merged = [torch.cat(groups[place::TABLE_INPUTS]) for place in range(TABLE_INPUTS)]
            answers = self._split(self.first.forward(merged))
            inputs = [*answers, *inputs[TABLE_INPUTS * self.before :]]
        return self.counted.forward(inputs).float().T @ self._belongs

    def backward(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The gradients of the counted tables' latents, of the first tables', of the inputs of both
        as `_split` has them, stacked, and of the weights.

        gradient: (N, rows), that of the counts which `forward` gave last.
        """
        of_counted, of_inputs = self.counted.backward(self._belongs @ gradient.T)
        of_first = torch.zeros_like(self.first.latents)
        if self.before:
            answers, direct = of_inputs[: self.before], of_inputs[self.before :]
            of_first, merged = self.first.backward(torch.cat(answers))
            by_place = [self._split(each) for each in merged]
            of_inputs = [
                by_place[place][table]
                for table in range(self.before)
                for place in range(TABLE_INPUTS)
            ] + direct
        # A pixel of 1 in place of the chosen one pushes one way, a pixel of 0 the other.
        signs = self._pixels.to(self._half) * 2 - 1
        stacked = torch.cat(of_inputs)
        of_weights = stacked.to(self._half) @ signs.T
        return of_counted, of_first, stacked, of_weights.float()

    def of_candidates(self, of_inputs: Tensor) -> Tensor:
        """The gradient of the candidates' bits, (candidates, N), from that of the inputs."""
        found = torch.zeros(len(self.candidates), of_inputs.shape[1])
        return found.index_add_(0, self.wires.chosen, of_inputs)

    def export(self, pixels: int) -> tuple[LutLayer, ...]:
        """The layers of the network. pixels: what there is that the first layer can be wired to."""
        chosen = self.candidates[self.wires.chosen].numpy()
        wires = chosen.reshape(-1, len(self.counted.latents))
        if not self.before:
            return (LutLayer(wires.T, self.counted.export(), pixels),)
        count = wires.shape[1]
        split = TABLE_INPUTS * self.before
        of_first = wires[:split].reshape(self.before, TABLE_INPUTS, count)
        of_first = of_first.transpose(0, 2, 1).reshape(-1, TABLE_INPUTS)
        passed, places = np.unique(wires[split:], return_inverse=True)
        first = LutLayer(
            np.concatenate([of_first, np.repeat(passed[:, np.newaxis], TABLE_INPUTS, axis=1)]),
            np.concatenate([self.first.export(), np.full(len(passed), PASS_ON)]),
            pixels,
        )
        answers = np.arange(self.before * count).reshape(self.before, count)
        direct = self.before * count + places.reshape(-1, count)
        below = np.concatenate([answers, direct]).T
        return first, LutLayer(below, self.counted.export(), first.n_out)

    def counts(self, thresholds: NDArray[np.int32], rows: NDArray[np.intp]) -> Counts:
        """How the exported tables are counted.

        thresholds: one for each row of the readout.
        rows: which of these rows are trained, in their order.
        """
        return Counts(rows[self.groups.numpy()], thresholds)

    def _split(self, stacked: Tensor) -> list[Tensor]:
        """The rows in blocks, each of as many as there are counted tables."""
        return list(stacked.split(len(self.counted.latents)))


def _has_bfloat16() -> bool:
    """Whether this processor multiplies matrices of bfloat16 quickly."""
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
