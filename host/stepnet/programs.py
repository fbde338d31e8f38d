"""Programs that do not outlive the one that started them.

A build that is killed must not leave a tool behind that runs for minutes more, and a sweep no
training. So between the two stands a guard, a small process that ends the tool and all that the
tool has started, as soon as the pipe from this process closes; the system closes it, however this
process ends. The guard is in a group of its own: whoever ends this process with all of its group
leaves the guard to do its work.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_GUARD = """
import contextlib, os, signal, subprocess, sys, threading

try:
    tool = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, process_group=0)
except OSError as error:
    sys.exit(f"error: {error}")

def end_group():
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(tool.pid, signal.SIGKILL)

def watch():
    os.read(0, 1)
    end_group()

threading.Thread(target=watch, daemon=True).start()
code = 130
try:
    with contextlib.suppress(KeyboardInterrupt):
        code = tool.wait()
finally:
    end_group()
sys.exit(code if code >= 0 else 128 - code)
"""


def run_program(
    command: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    started: Callable[[Callable[[], None]], object] = lambda end: None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it prints is in the result, bytes that are no text replaced.

    started: is given a function with which another thread ends the program; where there are no
        process groups, that does nothing.

    It gets no input. A program that a signal ends has an exit code from 129 on, as in a shell.
    """
    words = [os.fspath(word) for word in command]
    if os.name == "posix":
        words = [sys.executable, "-I", "-S", "-c", _GUARD, *words]
    guarded, ours = os.pipe()
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=guarded,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0 if os.name == "posix" else None,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(guarded)
    pipe = os.fdopen(ours, "wb")
    with process:
        started(pipe.close)
        try:
            out, err = process.communicate()
        finally:
            pipe.close()  # Ctrl-C ends the tool, too
    return subprocess.CompletedProcess(command, process.returncode, out, err)
