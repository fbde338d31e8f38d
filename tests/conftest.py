"""What all tests need."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

# A shell makes its background jobs ignore Ctrl-C, and what they start inherits that; programs that
# the tests interrupt must not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Gives a function that has a folder filled by the first process of this run that asks for it;
    the others wait and find it. What fails is tried again by the next one."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def made(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / f"once-{name}", shared / f"once-{name}.done"
        with FileLock(shared / f"once-{name}.lock"):
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return made
