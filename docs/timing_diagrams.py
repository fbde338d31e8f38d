"""Draws the engine's ports, cycle by cycle, as a simulation of the engine has them.

    python docs/timing_diagrams.py

makes engine_pixels.json and engine_load.json, diagrams in WaveDrom's language, and their pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.sim import Simulator

from stepnet import Layer, Network
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.files import write_text
from stepnet_hdl.cores.engine.engine import Engine

HERE = Path(__file__).parent

SHAPE = EngineShape(8, max_inputs=16, weight_words=64, parameter_words=32, max_weight_bits=2)

NETWORK = Network(
    "rows",
    (
        Layer(2 * np.repeat(np.eye(2, dtype=np.int8), 8, axis=1) - 1, np.full(2, 1), 1),
        Layer(np.eye(7, 2, dtype=np.int8), np.array([1, 1, 1, 1, 0, 0, 1]), 2),
    ),
    height=2,
    width=8,
    ink_threshold=128,
    alphabet="0123",
)
"""Bit r of the code, above 0x30, is 1 where the first or the second row has more ink."""

IMAGES = (0x0F, 0x01, 0x00, 0xFF, 0x81)
"""Two images, of two bytes each, and the first byte of a third one."""

Trace = dict[str, list[int]]
"""The value of each signal in every cycle."""


def simulated(testbench: Any, engine: Engine, loaded: bool, signals: dict[str, Any]) -> Trace:
    """What the signals are in every cycle of a testbench, after the network was loaded."""
    trace: Trace = {name: [] for name in signals}
    running = not loaded

    async def drive(ctx: Any) -> None:
        nonlocal running
        if loaded:
            for body in bodies():
                await send_load(ctx, engine, body)
            await ctx.tick().repeat(engine.load_cycles)
            running = True
        await testbench(ctx)

    async def watch(ctx: Any) -> None:
        tick = ctx.tick().sample(*signals.values())
        while True:
            _, _, *values = await tick
            if running:
                for column, value in zip(trace.values(), values, strict=True):
                    column.append(int(value))

    simulator = Simulator(engine)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    return trace


def bodies() -> list[bytes]:
    """The bodies of the loads that fill the memories."""
    return [
        piece.address.to_bytes(3, "little") + bytes([piece.space]) + piece.words
        for piece in memory_image(NETWORK, SHAPE).loads(max_bytes=100)
    ]


async def send_load(ctx: Any, engine: Engine, body: bytes) -> None:
    """Send the body of one load, a byte per cycle."""
    for number, byte in enumerate(body):
        ctx.set(engine.load.p, {"data": byte, "last": number == len(body) - 1})
        ctx.set(engine.load.valid, 1)
        await ctx.tick().until(engine.load.ready)
    ctx.set(engine.load.valid, 0)


def pixels_trace() -> Trace:
    """Two images back to back, a third one that has to wait, and a reader that is late."""
    engine = Engine(SHAPE)

    async def testbench(ctx: Any) -> None:
        await ctx.tick()
        for number, byte in enumerate(IMAGES):
            if number == 1:  # nothing is offered for a cycle
                await ctx.tick()
            ctx.set(engine.pixels.p, byte)
            ctx.set(engine.pixels.valid, 1)
            await ctx.tick().until(engine.pixels.ready)
            ctx.set(engine.pixels.valid, 0)
        await ctx.tick().until(engine.readings.valid)
        await ctx.tick().repeat(2)
        ctx.set(engine.readings.ready, 1)
        await ctx.tick().repeat(4)

    return simulated(
        testbench,
        engine,
        True,
        {
            "pixels.valid": engine.pixels.valid,
            "pixels.ready": engine.pixels.ready,
            "pixels.payload": engine.pixels.payload,
            "last_pixels": engine.last_pixels,
            "readings.valid": engine.readings.valid,
            "readings.ready": engine.readings.ready,
            "readings.payload.code": engine.readings.p.code,
            "character": engine.character,
        },
    )


def load_trace() -> Trace:
    """A load of the first parameter word, which is how many bytes an image has."""
    engine = Engine(SHAPE)
    body = bodies()[0][: 4 + SHAPE.parameter_bytes]

    async def testbench(ctx: Any) -> None:
        await ctx.tick()
        await send_load(ctx, engine, body)
        await ctx.tick().repeat(engine.load_cycles + 1)

    return simulated(
        testbench,
        engine,
        False,
        {
            "load.valid": engine.load.valid,
            "load.ready": engine.load.ready,
            "load.payload.data": engine.load.p.data,
            "load.payload.last": engine.load.p.last,
            "load_done": engine.load_done,
            "load_refusal": engine.load_refusal,
            "image_bytes": engine.image_bytes,
        },
    )


def diagram(title: str, trace: Trace, spans: Sequence[range], buses: dict[str, str]) -> str:
    """A trace in WaveDrom's language, a line for each signal.

    spans: the cycles that are drawn; there is a gap between one span and the next.
    buses: the signals that are numbers, each with the signal that says where it counts; "" for
        always. Where that is the `valid` of a stream, each transfer is a box of its own.
    """
    cycles = [cycle for span in spans for cycle in (*span, None)][:-1]
    clock = "|".join("p" + "." * (len(span) - 1) for span in spans)
    lines: list[dict[str, Any]] = [{"name": "clk", "wave": clock}]
    for name, values in trace.items():
        if name not in buses:
            shown = [None if cycle is None else str(values[cycle]) for cycle in cycles]
            lines.append({"name": name, "wave": _wave(shown)})
            continue
        counts = trace.get(buses[name], [1] * len(values))
        ready = trace.get(buses[name].replace("valid", "ready"), [0] * len(values))
        shown = [
            None if cycle is None else f"{values[cycle]:02x}" if counts[cycle] else "x"
            for cycle in cycles
        ]
        new = [bool(cycle and ready[cycle - 1]) and "valid" in buses[name] for cycle in cycles]
        wave = _wave(shown, new)
        data = [text for text, mark in zip(shown, wave, strict=True) if mark == "="]
        lines.append({"name": name, "wave": wave, "data": data})
    signals = ",\n".join(f"  {json.dumps(line)}" for line in lines)
    head = json.dumps({"text": title})
    return f'{{"signal": [\n{signals}\n ],\n "head": {head}\n}}\n'


def _wave(shown: Sequence[str | None], new: Sequence[bool] = ()) -> str:
    """What WaveDrom calls a wave: a letter for each cycle, a point where nothing has changed.

    shown: 0, 1, x, or a number as text, which is drawn as a box; None for a gap.
    new: whether a box begins in that place although the number is the same.
    """
    wave, before = "", None
    for place, text in enumerate(shown):
        if text is None:
            wave += "|"
            continue
        letter = text if len(text) == 1 else "="
        begins = letter == "=" and bool(new) and new[place]
        wave += letter if text != before or begins else "."
        before = text
    return wave


def diagrams() -> dict[str, str]:
    """The diagrams by the names of their files, without what these end in."""
    pixels = pixels_trace()
    taken = [bool(each) for each in pixels["pixels.valid"]]
    waits = len(taken) - taken[::-1].index(True)  # the cycle after the last byte was taken
    read = pixels["readings.valid"].index(1)
    spans = [range(10), range(min(waits, read) - 3, read + 5)]
    payloads = {
        "pixels.payload": "pixels.valid",
        "readings.payload.code": "readings.valid",
        "character": "",
    }
    load = load_trace()
    return {
        "engine_pixels": diagram(
            "two images of two bytes, the first byte of a third one, and the first reading",
            pixels,
            spans,
            payloads,
        ),
        "engine_load": diagram(
            "a load of one parameter word: address, space, word",
            load,
            [range(len(load["load.valid"]))],
            {"load.payload.data": "load.valid", "load_refusal": "load_done", "image_bytes": ""},
        ),
    }


def picture(text: str) -> str:
    """A diagram as SVG, on paper of its own so that it is seen on any page."""
    import wavedrom

    drawing = wavedrom.render(text)
    svg = drawing.tostring()
    start = svg.index(">") + 1
    paper = '<rect width="100%" height="100%" fill="#fbfaf6"/>'
    return svg[:start] + paper + svg[start:] + "\n"


if __name__ == "__main__":
    for name, text in diagrams().items():
        write_text(HERE / f"{name}.json", text)
        write_text(HERE / f"{name}.svg", picture(text))
