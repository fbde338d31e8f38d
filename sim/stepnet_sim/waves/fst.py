"""Waveforms as FST, the compact format of GTKWave, which Surfer opens too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnet_sim.waves.recording import Recording

TIMESCALE_EXPONENT = -15
"""Times are in femtoseconds, as Amaranth's simulator has them."""

NUMBER_BITS = 32


@dataclass(frozen=True)
class Track:
    """A line of a waveform that is no signal of the chip.

    scope: names, from the top.
    values: in every cycle; text, a signed number of `NUMBER_BITS` bits, or None where there is
        nothing.
    """

    scope: tuple[str, ...]
    name: str
    values: Sequence[str] | Sequence[int | None]

    @property
    def is_text(self) -> bool:
        """It holds text."""
        return isinstance(self.values[0], str)


def write_fst(path: Path, recording: Recording, tracks: Iterable[Track]) -> None:
    """Write `tracks`, and below `chip` all signals of the recording.

    The library writes to two files beside each other, and reports no failure.
    """
    import pylibfst

    lib, ffi = pylibfst.lib, pylibfst.ffi
    writer = lib.fstWriterCreate(str(path).encode(), 1)
    lib.fstWriterSetTimescale(writer, TIMESCALE_EXPONENT)
    lib.fstWriterSetPackType(writer, lib.FST_WR_PT_LZ4)
    scopes = _Scopes(lib, writer)

    def variable(kind: int, width: int, name: str, alias: int = 0) -> int:
        return lib.fstWriterCreateVar(
            writer, kind, lib.FST_VD_IMPLICIT, width, name.encode(), alias
        )

    texts: set[int] = set()
    changes: list[tuple[int, int, str]] = []
    for track in tracks:
        scopes.enter(track.scope)
        if track.is_text:
            handle = variable(lib.FST_VT_GEN_STRING, 0, track.name)
            texts.add(handle)
        else:
            handle = variable(lib.FST_VT_VCD_INTEGER, NUMBER_BITS, track.name)
        changes += _track_changes(track, handle, recording)

    handles: dict[str, int] = {}
    widths: dict[int, int] = {}
    for signal in recording.variables:
        scopes.enter(("chip", *signal.scope))
        is_text = signal.kind == "string"
        kind, width = (lib.FST_VT_GEN_STRING, 0) if is_text else (lib.FST_VT_VCD_WIRE, signal.width)
        handle = variable(kind, width, signal.name, handles.get(signal.signal, 0))
        handles[signal.signal] = handle
        if is_text:
            texts.add(handle)
        widths[handle] = signal.width
    scopes.enter(())

    changes += [
        (time_fs, handles[signal], _state(value) if handles[signal] in texts else value)
        for time_fs, signal, value in recording.changes
    ]
    changes.sort(key=lambda change: change[0])
    now_fs = -1
    for time_fs, handle, value in changes:
        if time_fs != now_fs:
            now_fs = time_fs
            lib.fstWriterEmitTimeChange(writer, now_fs)
        if handle in texts:
            text = value.encode()
            lib.fstWriterEmitVariableLengthValueChange(writer, handle, text, len(text))
        else:
            lib.fstWriterEmitValueChange(
                writer, handle, ffi.from_buffer(value.rjust(widths.get(handle, 0), "0").encode())
            )
    lib.fstWriterEmitTimeChange(writer, int(recording.edges_fs[-1]))
    lib.fstWriterClose(writer)


class _Scopes:
    """Opens and closes scopes on the way from one to the next."""

    def __init__(self, lib: Any, writer: Any) -> None:
        self._lib = lib
        self._writer = writer
        self._open: tuple[str, ...] = ()

    def enter(self, scope: tuple[str, ...]) -> None:
        common = 0
        while self._open[common : common + 1] == scope[common : common + 1] != ():
            common += 1
        for _ in self._open[common:]:
            self._lib.fstWriterSetUpscope(self._writer)
        for name in scope[common:]:
            self._lib.fstWriterSetScope(
                self._writer, self._lib.FST_ST_VCD_MODULE, name.encode(), b""
            )
        self._open = scope


def _track_changes(
    track: Track, handle: int, recording: Recording
) -> Iterable[tuple[int, int, str]]:
    before: object = ()
    for cycle, value in enumerate(track.values):
        if value == before:
            continue
        before = value
        time_fs = int(recording.edges_fs[cycle])
        if value is None:
            yield time_fs, handle, "z" * NUMBER_BITS
        elif isinstance(value, str):
            yield time_fs, handle, value
        else:
            yield time_fs, handle, f"{value & (1 << NUMBER_BITS) - 1:0{NUMBER_BITS}b}"


def _state(text: str) -> str:
    """The name of a state or a member of an enumeration, without its number."""
    return text.partition("/")[0]
