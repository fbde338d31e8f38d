"""What only Unix has is asked for when it is used: every module can be imported elsewhere."""

import subprocess
import sys

import pytest

IMPORT_WITHOUT_UNIX = """
import importlib, os, pkgutil, select, signal, sys

# What others make of the system is theirs; they find it as it is.
import amaranth, amaranth_boards, asyncio, cocotb, multiprocessing, numpy, PIL.Image, rich, serial
import subprocess, tempfile, typer, webbrowser, cocotb_tools.runner, platformdirs, filelock

for name in ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
gone = {
    os: "fork geteuid getuid killpg mkfifo openpty setsid sched_getaffinity O_DIRECTORY O_NOFOLLOW "
        "O_NONBLOCK O_CLOEXEC",
    select: "poll POLLIN POLLOUT POLLRDHUP epoll",
    signal: "SIGKILL SIGHUP SIGALRM SIGUSR1 SIGWINCH SIGPIPE",
}
for module, names in gone.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

for package in ("stepnet", "stepnet_hdl", "stepnet_sim"):
    path = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(path, package + "."):
        if not LEFT_OUT & set(found.name.split(".")):
            importlib.import_module(found.name)
"""

LEFT_OUT = {
    "__main__": "runs the command",
    "benches": "is imported by a simulator",
    "icebox_memories": "runs where Project IceStorm is installed",
    "learning": "takes seconds to import torch, and does nothing with the system",
}


@pytest.mark.slow
def test_every_module_can_be_imported_where_there_is_no_unix():
    script = f"LEFT_OUT = {set(LEFT_OUT)!r}\n{IMPORT_WITHOUT_UNIX}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
