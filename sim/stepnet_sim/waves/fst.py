"""Writes waveforms as FST, the compact format of GTKWave, which Surfer opens too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnet.errors import MissingToolError
from stepnet_sim.waves.recording import Recording, Variable

TIMESCALE_EXPONENT = -15
"""Times are in femtoseconds, as Amaranth's simulator has them."""

NUMBER_BITS = 32


@dataclass(frozen=True)
class Track:
    """A line of a waveform that is no signal of the chip.

    scope: the names of the scopes that it stands in, from the top.
    values: one for every cycle: text, or a signed number of `NUMBER_BITS` bits, None where there is
        none.
    """

    scope: tuple[str, ...]
    name: str
    values: Sequence[str] | Sequence[int | None]

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return isinstance(self.values[0], str)


def write_fst(path: Path, recording: Recording, tracks: Iterable[Track]) -> None:
    """Write `tracks`, and below `chip` all signals of the recording.

    The library writes to two files beside each other, and reports no failure.

    Raises MissingToolError if it is not installed.
    """
    try:
        import pylibfst
    except ModuleNotFoundError as error:
        raise MissingToolError(
            "Traces are written with the package pylibfst, which is missing; install it with: "
            "pip install pylibfst (on Windows that needs a C compiler)."
        ) from error

    lib, ffi = pylibfst.lib, pylibfst.ffi
    writer = lib.fstWriterCreate(str(path).encode(), 1)
    lib.fstWriterSetTimescale(writer, TIMESCALE_EXPONENT)
    lib.fstWriterSetPackType(writer, lib.FST_WR_PT_LZ4)
    variables = _Variables(lib, writer)
    changes: list[tuple[int, int, str]] = []
    for track in tracks:
        handle = variables.declare_track(track)
        changes += _track_changes(track, handle, recording)
    handles: dict[str, int] = {}
    for variable in recording.variables:
        alias = handles.get(variable.signal, 0)
        handles[variable.signal] = variables.declare_signal(variable, alias)
    variables.end()

    changes += [
        (time_fs, handles[signal], _state(value) if handles[signal] in variables.texts else value)
        for time_fs, signal, value in recording.changes
    ]
    changes.sort(key=lambda change: change[0])
    now_fs = -1
    for time_fs, handle, value in changes:
        if time_fs != now_fs:
            now_fs = time_fs
            lib.fstWriterEmitTimeChange(writer, now_fs)
        if handle in variables.texts:
            text = value.encode()
            lib.fstWriterEmitVariableLengthValueChange(writer, handle, text, len(text))
        else:
            digits = value.rjust(variables.widths.get(handle, 0), "0")
            lib.fstWriterEmitValueChange(writer, handle, ffi.from_buffer(digits.encode()))
    lib.fstWriterEmitTimeChange(writer, int(recording.edges_fs[-1]))
    lib.fstWriterClose(writer)


class _Variables:
    """Declares the lines of a waveform, opening and closing the scopes on the way.

    texts: the handles of those that hold text.
    widths: how many bits the others have, by their handles.
    """

    def __init__(self, lib: Any, writer: Any) -> None:
        self.texts: set[int] = set()
        self.widths: dict[int, int] = {}
        self._lib = lib
        self._writer = writer
        self._open: tuple[str, ...] = ()

    def declare_track(self, track: Track) -> int:
        """A handle for a track."""
        self._enter(track.scope)
        if track.is_text:
            return self._declare_text(track.name)
        return self._declare(self._lib.FST_VT_VCD_INTEGER, NUMBER_BITS, track.name)

    def declare_signal(self, variable: Variable, alias: int) -> int:
        """A handle for a signal as one scope has it; `alias` is its handle elsewhere, or 0."""
        self._enter(("chip", *variable.scope))
        if variable.kind == "string":
            return self._declare_text(variable.name, alias)
        wire = self._lib.FST_VT_VCD_WIRE
        handle = self._declare(wire, variable.width, variable.name, alias)
        self.widths[handle] = variable.width
        return handle

    def end(self) -> None:
        """Close all scopes."""
        self._enter(())

    def _declare_text(self, name: str, alias: int = 0) -> int:
        handle = self._declare(self._lib.FST_VT_GEN_STRING, 0, name, alias)
        self.texts.add(handle)
        return handle

    def _declare(self, kind: int, width: int, name: str, alias: int = 0) -> int:
        return self._lib.fstWriterCreateVar(
            self._writer, kind, self._lib.FST_VD_IMPLICIT, width, name.encode(), alias
        )

    def _enter(self, scope: tuple[str, ...]) -> None:
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
