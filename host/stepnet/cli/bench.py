"""`stepnet bench`: how fast a board answers, and what limits it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.on_chip import OnChipOptions, measure_on_chip
from stepnet.cli.options import (
    BaudOption,
    BoardOption,
    DataDirOption,
    DataOption,
    JsonOption,
    PeOption,
    SimdOption,
    TimeoutOption,
    UartOption,
    with_engine,
)
from stepnet.cli.output import Progress
from stepnet.link.messages import MOST_MEASURED_IMAGES
from stepnet.link.serial_line import BITS_PER_BYTE, DEFAULT_BAUD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stepnet.boards.board import Board
    from stepnet.networks.kinds import AnyNetwork


DIFFERENT_IMAGES = 256
SEED = 0

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Stream:
    """What was measured while images were streamed, as many in flight as the board takes.

    host_cpu_s_per_image: user and system time of this process with all its threads.
    cycles: how many cycles the board's engine took for an image, at most.
    engine_images_per_s: how many images a second the engine alone could do in that time.
    """

    images: int
    seconds: float
    images_per_s: float
    host_cpu_s_per_image: float
    cycles: int
    engine_images_per_s: float


@dataclass(frozen=True)
class Latency:
    """How many seconds it took from one image to its reading, with nothing else in flight."""

    images: int
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float


@dataclass(frozen=True)
class LinkUse:
    """How much of a serial line of this baud rate the stream used.

    request_bytes, answer_bytes: how long the two frames of an image are, on average.
    limit_images_per_s: the most images a second that the line carries. Its two directions work at
        once, so it is the limit of the busier one.
    utilisation: the images a second of the stream, in parts of that limit.
    request_utilisation, answer_utilisation: the part of the time in which each direction is used.
    """

    baud: int
    request_bytes: float
    answer_bytes: float
    limit_images_per_s: float
    utilisation: float
    request_utilisation: float
    answer_utilisation: float


def bench(
    board: BoardOption = "sim",
    network: Annotated[
        str | None,
        typer.Option(
            help="A shipped network, or a .npz file; digits if not given, and with --on-chip the "
            "one that the board was built with.",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, help="How long to stream, and then to ask singly.")
    ] = 5.0,
    on_chip: Annotated[
        bool,
        typer.Option(
            "--on-chip",
            help="Have the board run the images that `build --on-chip` put on it, and count.",
        ),
    ] = False,
    images: Annotated[
        int,
        typer.Option(
            min=1, max=MOST_MEASURED_IMAGES, help="How many images to run with --on-chip."
        ),
    ] = 100_000,
    data: DataOption = "mnist",
    data_dir: DataDirOption = None,
    simd: SimdOption = None,
    pe: PeOption = None,
    baud: BaudOption = None,
    timeout_s: TimeoutOption = 5.0,
    uart: UartOption = False,
    json_output: JsonOption = False,
) -> None:
    """Measure a board: rate, latency, use of the link and this process's CPU time.

    The images are noise, the same each time. For the virtual board the CPU time is that of the
    simulation, and the baud rate is only reached in simulated time. Ends with exit code 1 if the
    board and numpy disagree on any image.

    With --on-chip the board has images of the test part of --data in its memory. It runs them
    through its pipeline, one in every cycle, and counts how many codes are right.
    """
    if on_chip and (simd or pe):
        raise typer.BadParameter(
            "it measures a pipeline, which has neither; leave --simd and --pe out.",
            param_hint="--on-chip",
        )
    if on_chip:
        agrees = measure_on_chip(
            OnChipOptions(
                board=board,
                network=network,
                data=data,
                data_dir=data_dir,
                images=images,
                baud=baud,
                timeout_s=timeout_s,
                uart=uart,
                json_output=json_output,
            )
        )
        raise typer.Exit(0 if agrees else 1)
    from stepnet.boards.board import open_board
    from stepnet.networks.shipped import load_any_network

    board = with_engine(board, simd, pe)
    loaded = load_any_network(network or "digits")
    noise, codes = _noise(loaded)
    with Progress() as progress:
        opened = open_board(
            board, loaded, timeout_s=timeout_s, baud=baud, uart=uart, progress=progress
        )
        with opened:
            progress(f"Streaming for {seconds:g} s")
            stream, wrong = _stream(opened, noise, codes, seconds)
            progress(f"Asking one by one for {seconds:g} s")
            latency, also_wrong = _singly(opened, noise, codes, seconds)
    rate = opened.baud or baud or DEFAULT_BAUD
    link = _link_use(loaded, noise, codes, stream, rate)
    wrong += also_wrong
    if json_output:
        print(
            json.dumps(
                {
                    "board": board,
                    "network": loaded.name,
                    "stream": asdict(stream),
                    "latency": asdict(latency),
                    "link": asdict(link),
                    "wrong": wrong,
                }
            )
        )
    else:
        print(_text(stream, latency, link, wrong))
    if wrong:
        raise typer.Exit(1)


def _noise(network: AnyNetwork) -> tuple[NDArray[np.uint8], list[int]]:
    """Images of noise, (DIFFERENT_IMAGES, height, width) of 0 and 255, and the codes that numpy
    reads in them.
    """
    import numpy as np

    from stepnet.networks import kinds

    shape = (DIFFERENT_IMAGES, network.height, network.width)
    images = np.random.default_rng(SEED).integers(0, 2, shape, dtype=np.uint8) * np.uint8(255)
    return images, kinds.infer(network, images).tolist()


def _stream(
    board: Board, images: NDArray[np.uint8], codes: Sequence[int], seconds: float
) -> tuple[Stream, int]:
    """Stream for `seconds` and wait for the last reading; returns the figures, and how many
    readings were wrong.
    """
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    end_s = start_s + seconds

    def until_the_end() -> Iterator[NDArray[np.uint8]]:
        index = 0
        while not index or time.perf_counter() < end_s:
            yield images[index % DIFFERENT_IMAGES]
            index += 1

    count = wrong = cycles = 0
    for reading in board.infer_many(until_the_end(), placed=True):
        wrong += reading.code != codes[count % DIFFERENT_IMAGES]
        cycles = max(cycles, reading.cycles)
        count += 1
    took_s = time.perf_counter() - start_s
    took_cpu_s = time.process_time() - start_cpu_s
    engine_rate = board.identity.clock_hz / cycles if cycles else 0.0
    return Stream(count, took_s, count / took_s, took_cpu_s / count, cycles, engine_rate), wrong


def _singly(
    board: Board, images: NDArray[np.uint8], codes: Sequence[int], seconds: float
) -> tuple[Latency, int]:
    """Ask for `seconds`, one image at a time; returns the figures, and how many readings were
    wrong.
    """
    import numpy as np

    took_s: list[float] = []
    wrong = 0
    end_s = time.perf_counter() + seconds
    while not took_s or time.perf_counter() < end_s:
        index = len(took_s) % DIFFERENT_IMAGES
        start_s = time.perf_counter()
        reading = board.infer(images[index], placed=True)
        took_s.append(time.perf_counter() - start_s)
        wrong += reading.code != codes[index]
    p50_s, p90_s, p99_s = np.percentile(took_s, PERCENTILES).tolist()
    return Latency(len(took_s), p50_s, p90_s, p99_s, max(took_s)), wrong


def _link_use(
    network: AnyNetwork,
    images: NDArray[np.uint8],
    codes: Sequence[int],
    stream: Stream,
    baud: int,
) -> LinkUse:
    """How much of a serial line the frames of these images and of their readings take."""
    from stepnet.link import messages as protocol
    from stepnet.link.frames import encode_frame
    from stepnet.link.messages import Answer, Request
    from stepnet.networks import reference

    requests = [
        protocol.INFER.pack(kind=Request.INFER, sequence=index) + protocol.pack_pixels(bits)
        for index, bits in enumerate(reference.binarise(network, images))
    ]
    answers = [
        protocol.READING.pack(
            kind=Answer.READING, sequence=index, code=code, margin=0, cycles=stream.cycles
        )
        for index, code in enumerate(codes)
    ]
    request_bytes, answer_bytes = (
        sum(len(encode_frame(payload)) for payload in payloads) / len(payloads)
        for payloads in (requests, answers)
    )
    bytes_per_s = baud / BITS_PER_BYTE
    limit = bytes_per_s / max(request_bytes, answer_bytes)
    rate = stream.images_per_s
    return LinkUse(
        baud=baud,
        request_bytes=request_bytes,
        answer_bytes=answer_bytes,
        limit_images_per_s=limit,
        utilisation=rate / limit,
        request_utilisation=rate * request_bytes / bytes_per_s,
        answer_utilisation=rate * answer_bytes / bytes_per_s,
    )


def _text(stream: Stream, latency: Latency, link: LinkUse, wrong: int) -> str:
    lines = [
        f"rate      {stream.images_per_s:,.0f} images/s ({stream.images:,} in "
        f"{stream.seconds:.1f} s)",
        f"engine    {stream.cycles:,} cycles per image, at most "
        f"{stream.engine_images_per_s:,.0f} images/s",
        f"link      {link.utilisation:.1%} of the {link.limit_images_per_s:,.0f} images/s that "
        f"{link.baud:,} baud allow",
        f"  out     {link.request_bytes:g} bytes per image, {link.request_utilisation:.1%} used",
        f"  in      {link.answer_bytes:g} bytes per image, {link.answer_utilisation:.1%} used",
        f"latency   {latency.p50_s * 1e3:.3f} ms median, {latency.p90_s * 1e3:.3f} ms 90 %, "
        f"{latency.p99_s * 1e3:.3f} ms 99 %, {latency.max_s * 1e3:.3f} ms worst "
        f"({latency.images:,} images, one by one)",
        f"host      {stream.host_cpu_s_per_image * 1e6:.1f} us CPU per image in the stream",
        "readings  all as numpy reads" if not wrong else f"readings  {wrong:,} not as numpy reads",
    ]
    return "\n".join(lines)
