"""Which engine suits a network and a board: the one that computes most images per second, or the
smallest that keeps up with the link."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from stepnet.cores.engine.memory_image import (
    check_fits,
    enlarged,
    largest_map_words,
    layer_weight_words,
    memory_image,
    overlaps,
    parameter_words,
    widest_layer,
)
from stepnet.cores.engine.shape import (
    ADDRESS_BITS,
    HEADER_BITS,
    MOST_MAP_WINDOWS,
    EngineShape,
)
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.network import Network
from stepnet_hdl.boards.catalogue import BoardType
from stepnet_hdl.estimation.goal import Goal
from stepnet_hdl.estimation.size import Estimate, estimate
from stepnet_hdl.estimation.speed import Performance, performance
from stepnet_hdl.fpga.family import Family
from stepnet_hdl.fpga.parts import SPRAM_BITS, SPRAM_WORDS
from stepnet_hdl.fpga.ram_mapping import map_ram

SIMDS = range(8, 1025, 8)
PES = range(1, 65)

REFERENCE_SIMD = 64
"""SIMD of the engine that tells how wide a network's sums are."""

MAX_OVERLAP_LOSS = 0.1
"""Part of the images per second that may go for a result that comes earlier."""

CLOCK_MARGIN = 0.1
"""How far below its estimate the clock of a chosen engine is asked for: as far as estimates are
off, see docs/estimate.md."""

LEAST_BUFFER_BYTES = 1024
"""Of a receive buffer that gives way to an engine's memories: nine images of 28 x 28 pixels."""

MIN_PARAMETER_WORDS, MAX_PARAMETER_WORDS = 16, 1 << 16


@dataclass(frozen=True)
class Candidate:
    """An engine's shape for a network on a part, and what comes of it."""

    estimate: Estimate
    performance: Performance

    @property
    def shape(self) -> EngineShape:
        """The engine's shape."""
        return self.estimate.shape

    @property
    def fits(self) -> bool:
        """Whether the part is large enough."""
        return self.estimate.too_small is None


@dataclass(frozen=True)
class EngineChoice:
    """The engine that suits a network and a board.

    neighbours: shapes next to the chosen one, that it was preferred to; some of them do not fit.
    """

    board: str
    network: str
    goal: Goal
    chosen: Candidate
    neighbours: tuple[Candidate, ...]


def choose_engine(
    network: Network,
    board: BoardType,
    goal: Goal = Goal.IMAGES,
    baud: int | None = None,
    *,
    simd: int | None = None,
    pe: int | None = None,
    built_in: bool = False,
) -> EngineChoice:
    """Pick SIMD, PE, parameter lanes, memory and overlap for `network` on `board`: what `stepnet
    estimate` marks, and what `stepnet build` builds where it is told a goal, SIMD or PE.

    goal: IMAGES, the most images per second that the engine computes, with the first layer
        computed while pixels arrive where that fits and costs at most `MAX_OVERLAP_LOSS` of them;
        or LINK, the fewest LUTs that keep up with a serial line of `baud`, and if none does, what
        IMAGES gives.
    baud: None for the rate of the board's own line.
    simd, pe: the only ones that may be picked; None for any.
    built_in: the network is built in, so that its weights are in memory that a bitstream fills.

    Every shape holds `network`, and beyond that what its RAMs hold anyway. Raises BuildError, with
    what is too small, if no engine fits, or if there is no engine of such SIMD or PE; NetworkError
    if no engine takes the network.
    """
    _ = board.settings  # raises if no engine fits
    for name, wanted, possible in (("SIMD", simd, SIMDS), ("PE", pe, PES)):
        if wanted is not None and wanted not in possible:
            raise BuildError(
                f"No engine is made with {name} {wanted}; choose {possible[0]} to {possible[-1]} "
                f"in steps of {possible.step}."
            )
    search = _Search(
        network,
        board,
        baud or board.baud,
        SIMDS if simd is None else range(simd, simd + 1),
        PES if pe is None else range(pe, pe + 1),
        built_in,
    )
    choices = list(search.fitting())
    if not choices:
        raise search.nothing_fits()
    chosen = max(choices, key=lambda choice: choice.performance.images_per_s)
    enough = [choice for choice in choices if choice.performance.keeps_up]
    if goal == Goal.LINK and enough:
        chosen = min(enough, key=lambda choice: (choice.estimate.luts, choice.estimate.block_rams))
    else:
        chosen = search.with_overlap(chosen)
    return EngineChoice(board.name, network.name, goal, chosen, search.neighbours(chosen))


def has_engine_for(network: Network, board: BoardType) -> bool:
    """Whether `choose_engine` finds any; without computing how fast they are."""
    search = _Search(network, board, board.baud)
    return search.may_fit and any(True for _ in search.fitting_sizes())


def board_with(choice: EngineChoice, board: BoardType, also: Sequence[Network] = ()) -> BoardType:
    """The board with the chosen engine in place of the one that suits its part, at a clock that
    the estimate leaves `CLOCK_MARGIN` for.

    also: networks that the engine has to hold beside the one that it was chosen for; its memories
        grow for them, and where that makes room, it evaluates one window at once in place of two,
        and the receive buffer shrinks, to `LEAST_BUFFER_BYTES` at least.

    Raises NetworkError if no engine of its SIMD and PE holds one of them, and BuildError if the
    part is too small for it then.
    """
    chosen = choice.chosen.shape
    found = [
        _with_room(dataclasses.replace(chosen, map_windows=windows), also, board)
        for windows in range(chosen.map_windows, 0, -1)
    ]
    size, buffer_bytes = next((each for each in found if each[0].too_small is None), found[-1])
    if size.too_small is not None:
        names = " and ".join(repr(network.name) for network in also)
        raise BuildError(
            f"The engine for network {choice.network!r} that holds {names}, too, does not fit the "
            f"{board.device} of {board.name}: it takes {size.too_small}; name fewer networks."
        )
    clock_hz = round((1 - CLOCK_MARGIN) * size.frequency_hz)
    return board.with_engine(size.shape, clock_hz, buffer_bytes)


def _with_room(
    shape: EngineShape, also: Sequence[Network], board: BoardType
) -> tuple[Estimate, int]:
    """The engine with memories that hold the networks as well, and the largest receive buffer that
    fits beside it, or the smallest."""
    for network in also:
        shape = _grown(shape, network)
    buffer_bytes = board.settings.buffer_bytes
    size = estimate(shape, board.device, buffer_bytes)
    while size.too_small and buffer_bytes > LEAST_BUFFER_BYTES:
        buffer_bytes //= 2
        size = estimate(shape, board.device, buffer_bytes)
    return size, buffer_bytes


def _grown(shape: EngineShape, network: Network) -> EngineShape:
    """The engine with memories that hold `network` as well, and with no wider sums than it needs;
    NetworkError if no engine of such SIMD and PE holds it."""
    larger = enlarged(shape, network)
    return _narrowed(larger, network, shape.sum_bits)


def _narrowed(shape: EngineShape, network: Network, least: int) -> EngineShape:
    """The engine with the narrowest sums from `least` bits on with which it holds `network`;
    NetworkError if it holds it with none."""
    for sum_bits in range(least, shape.sum_bits):
        try:
            narrow = dataclasses.replace(shape, max_sum_bits=sum_bits)
            memory_image(network, narrow)
        except NetworkError:
            continue
        return narrow
    memory_image(network, shape)
    return shape


class _Search:
    """Engines for one network on one board.

    simds, pes: that are tried.
    built_in: weights are not in single-port RAM, which no bitstream fills.
    """

    def __init__(
        self,
        network: Network,
        board: BoardType,
        baud: int,
        simds: range = SIMDS,
        pes: range = PES,
        built_in: bool = False,
    ) -> None:
        self._simds, self._pes, self._built_in = simds, pes, built_in
        self._network = network
        self._board = board
        self._part = board.part
        self._family: Family = board.part.family
        self._baud = baud

    @property
    def may_fit(self) -> bool:
        """Whether the part has as many bits of memory as the network has weights."""
        bits = sum(layer.weights.size * layer.weight_bits for layer in self._network.layers)
        return bits <= self._part.memory_bits

    def fitting(self) -> Iterator[Candidate]:
        """Every engine that fits, without overlap, and how fast it is."""
        return map(self._choice, self.fitting_sizes())

    def fitting_sizes(self) -> Iterator[Estimate]:
        """Every engine that fits, without overlap, by SIMD and PE."""
        for memory in self._memories:
            for simd in self._simds:
                for pe in self._pes:
                    if not self._words_fit(simd, pe, memory):
                        break
                    for lanes, windows in itertools.product(_divisors(pe), self._windows):
                        shape = self._shape(simd, pe, lanes, memory, windows=windows)
                        if shape is None:
                            continue
                        size = estimate(shape, self._board.device)
                        if size.too_small is None:
                            yield size

    def with_overlap(self, choice: Candidate) -> Candidate:
        """Return the engine of `choice` with the first layer computed while pixels arrive, if that
        fits, brings the result earlier and costs little; else `choice`."""
        overlapping = self._variant(choice, overlap=True)
        if overlapping is None or not overlapping.fits:
            return choice
        before, after = choice.performance, overlapping.performance
        if after.latency_s >= before.latency_s:
            return choice
        enough = after.images_per_s >= (1 - MAX_OVERLAP_LOSS) * before.images_per_s
        return overlapping if enough else choice

    def neighbours(self, choice: Candidate) -> tuple[Candidate, ...]:
        """Half, one less, one more and twice as much of SIMD and of PE; and the same engine with or
        without overlap, or with another number of windows. The one with most images per second
        comes first."""
        shape = choice.shape
        step = SIMDS.step
        changes: list[dict[str, int]] = [
            *(
                {"simd": simd}
                for simd in (
                    shape.simd // (2 * step) * step,
                    shape.simd - step,
                    shape.simd + step,
                    2 * shape.simd,
                )
            ),
            *({"pe": pe} for pe in (shape.pe // 2, shape.pe - 1, shape.pe + 1, 2 * shape.pe)),
            {"overlap": not shape.overlap_neurons},
            *({"windows": windows} for windows in self._windows),
        ]
        found = {choice.shape: choice}
        for change in changes:
            variant = self._variant(choice, **change)
            if variant is not None:
                found.setdefault(variant.shape, variant)
        del found[choice.shape]
        by_speed = sorted(found.values(), key=lambda other: -other.performance.images_per_s)
        return tuple(by_speed)

    def nothing_fits(self) -> BuildError:
        """What is too small for the engine that comes closest."""
        pe = self._pes[0]
        shapes = [
            self._shape(simd, pe, 1, memory) for memory in self._memories for simd in self._simds
        ]
        sizes = [estimate(shape, self._board.device) for shape in shapes if shape is not None]
        if len(self._simds) == 1 or len(self._pes) == 1:
            return self._no_such_engine()
        if not sizes:
            return BuildError(
                f"No engine takes the {self._widest:,} inputs of the widest layer of network "
                f"{self._network.name!r}; use a smaller network."
            )
        closest = min(sizes, key=lambda size: size.fullness)
        return BuildError(
            f"No engine for network {self._network.name!r} fits the {self._board.device} of "
            f"{self._board.name}: the smallest takes {closest.too_small}; use a smaller "
            "network or a larger board."
        )

    def _no_such_engine(self) -> BuildError:
        """What to raise where SIMD or PE is given."""
        given = [
            f"{name} {values[0]}"
            for name, values in (("SIMD", self._simds), ("PE", self._pes))
            if len(values) == 1
        ]
        return BuildError(
            f"No engine of {' and '.join(given)} for network {self._network.name!r} fits the "
            f"{self._board.device} of {self._board.name}; give other ones, or leave them out and "
            "have them picked."
        )

    @property
    def _memories(self) -> tuple[str, ...]:
        if self._family.output_registers:
            return ("registered",)
        single_port = self._part.single_port_rams and not self._built_in
        return ("block", "single_port" if single_port else "registered")

    @cached_property
    def _windows(self) -> range:
        """Over how many windows at once an engine may evaluate a convolution."""
        convolves = any(layer.convolution for layer in self._network.layers)
        return range(1, 1 + (MOST_MAP_WINDOWS if convolves else 1))

    @cached_property
    def _widest(self) -> int:
        return max(max(layer.fan_in, layer.neurons) for layer in self._network.layers)

    @cached_property
    def _weight_bits(self) -> int:
        return max(layer.weight_bits for layer in self._network.layers)

    @cached_property
    def _sum_bits(self) -> int:
        """The narrowest sums that do, from those of a header on."""
        return _narrowed(self._roomy(REFERENCE_SIMD), self._network, HEADER_BITS).sum_bits

    def _roomy(self, simd: int, pe: int = 1, lanes: int = 1) -> EngineShape:
        """An engine for layers as wide as the network's, with memory without end."""
        narrow = EngineShape(
            simd=simd,
            max_inputs=simd,
            weight_words=1 << ADDRESS_BITS - (pe - 1).bit_length(),
            parameter_words=MAX_PARAMETER_WORDS,
            max_weight_bits=self._weight_bits,
            pe=pe,
            parameter_lanes=lanes,
        )
        return dataclasses.replace(
            narrow,
            max_inputs=widest_layer(self._network, narrow),
            max_sum_bits=0,
            map_words=largest_map_words(self._network, narrow),
        )

    def _words_fit(self, simd: int, pe: int, memory: str) -> bool:
        """Whether the RAMs are together as wide as a weight word; with one more PE it is wider."""
        if memory == "single_port":
            columns = -(-simd // SPRAM_BITS)
            return pe * columns * SPRAM_BITS * SPRAM_WORDS <= self._part.single_port_bits
        return simd * pe <= self._part.block_rams * self._family.block_ram.widest_bits

    def _variant(self, choice: Candidate, **changes: int) -> Candidate | None:
        """`choice` with another SIMD, PE, overlap or number of windows, and as many parameter lanes
        as it then needs at least; None if there is no such engine."""
        shape = choice.shape
        simd, pe = changes.get("simd", shape.simd), changes.get("pe", shape.pe)
        if simd not in SIMDS or pe not in PES:
            return None
        overlap = bool(changes.get("overlap", shape.overlap_neurons))
        windows = changes.get("windows", shape.map_windows)
        lanes = [n for n in _divisors(pe) if n >= min(pe, shape.parameter_lanes)]
        for count in lanes:
            variant = self._shape(
                simd, pe, count, shape.weight_memory, overlap=overlap, windows=windows
            )
            if variant is not None:
                return self._choice(estimate(variant, self._board.device))
        return None

    def _choice(self, size: Estimate) -> Candidate:
        speed = performance(self._network, size.shape, size.frequency_hz, self._baud)
        return Candidate(size, speed)

    def _shape(
        self,
        simd: int,
        pe: int,
        lanes: int,
        memory: str,
        *,
        overlap: bool = False,
        windows: int = 1,
    ) -> EngineShape | None:
        """The engine of that kind that is as deep as the network needs; None if there is none."""
        first = self._network.layers[0].convolution
        try:
            roomy = self._roomy(simd, pe, lanes)
            if first is not None and first.kernel > roomy.max_kernel:
                return None
            shape = dataclasses.replace(
                roomy,
                weight_memory=memory,
                weight_words=self._weight_words(roomy, memory),
                parameter_words=self._parameter_words(roomy),
                max_sum_bits=self._sum_bits if self._sum_bits < roomy.sum_bits else 0,
                overlap_neurons=self._network.layers[0].neurons if overlap else 0,
                map_windows=windows,
            )
            check_fits(self._network, shape)
        except NetworkError:
            return None
        return shape if overlaps(self._network, shape) == overlap else None

    def _weight_words(self, roomy: EngineShape, memory: str) -> int:
        """What the network needs, and what the same RAMs hold."""
        words = sum(
            layer_weight_words(self._network, layer, roomy) for layer in self._network.layers
        )
        if memory == "single_port":
            depth = -(-words // SPRAM_WORDS) * SPRAM_WORDS
        else:
            depth = map_ram(self._family, roomy.simd, words).depth
        return max(words, min(depth, roomy.weight_words))

    def _parameter_words(self, roomy: EngineShape) -> int:
        words = max(MIN_PARAMETER_WORDS, parameter_words(self._network, roomy))
        width = max(HEADER_BITS, self._sum_bits)
        return max(words, min(map_ram(self._family, width, words).depth, MAX_PARAMETER_WORDS))


def _divisors(number: int) -> list[int]:
    """Return the divisors of `number`, from 1 up."""
    return [n for n in range(1, number + 1) if number % n == 0]
