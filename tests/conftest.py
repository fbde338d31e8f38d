"""What all tests need."""

import ctypes
import gzip
import hashlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from stepnet import cli
from stepnet.data import sets as data
from stepnet.networks.placing import Placing
from stepnet.pictures.picture import normalise
from stepnet.samples import sample_pictures

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


@pytest.fixture
def stepnet(monkeypatch, capsys):
    """Run a command of `stepnet` in this process; gives its exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["stepnet", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return run


def samples():
    """The shipped samples: (20, 28, 28) uint8 grey values and (20,) codes."""
    images = np.stack([np.asarray(Image.open(path)) for path, _ in sample_pictures()])
    return images, np.array([ord(label) for _, label in sample_pictures()], np.uint8)


@pytest.fixture
def sample_data(tmp_path, monkeypatch):
    """A folder of data sets in the form of the real ones, but made of the shipped samples alone:
    MNIST with all of them in either part, UNIPEN with ten writers. It is in STEPNET_DATA."""
    folder = tmp_path / "sample-data"
    write_sample_mnist(folder / "mnist", monkeypatch)
    images, labels = samples()
    placed = np.stack([normalise(image, placing=Placing.UNIPEN) for image in images])
    writer, clean = np.arange(20) // 2, np.arange(20) % 10 > 0
    columns = {"images": placed, "labels": labels, "writer": writer, "clean": clean}
    np.savez_compressed(folder / data.UNIPEN_FILE, **columns)
    monkeypatch.setenv(data.DATA_DIR_VARIABLE, str(folder))
    return folder


def write_sample_mnist(folder, monkeypatch):
    """The shipped samples as the four files of MNIST, and their digests in the place of those that
    are expected."""
    folder.mkdir(parents=True)
    images, labels = samples()
    content = {
        "images": bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes() + images.tobytes(),
        "labels": bytes([0, 0, 8, 1])
        + np.array(labels.shape, ">u4").tobytes()
        + (labels - ord("0")).tobytes(),
    }
    expected = {}
    for part, files in data.MNIST_FILES.items():
        expected[part] = ()
        for what, file in zip(content, files, strict=True):
            (folder / file.name).write_bytes(gzip.compress(content[what]))
            md5 = hashlib.md5(content[what], usedforsecurity=False).hexdigest()
            expected[part] += (data.IdxFile(file.name, md5),)
    monkeypatch.setattr(data, "MNIST_FILES", expected)


CAPABILITY_VERSION = 0x20080522
OVERRIDE_MODES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root may read what no mode allows. Numbers of
include/uapi/linux/capability.h."""


class CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Capabilities(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


@pytest.fixture
def modes_count():
    """The modes of files count, where the tests run as root too.

    The user stays the same, because another one might not be let into the folder of the clone.
    """
    if os.geteuid():
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root sees everything on this system; run the tests as another user")
    library = ctypes.CDLL(None, use_errno=True)
    header, pair = CapabilityHeader(CAPABILITY_VERSION, 0), (Capabilities * 2)()

    def call(function):
        if function(ctypes.byref(header), pair):
            raise OSError(ctypes.get_errno(), function.__name__)

    call(library.capget)
    before = pair[0].effective
    pair[0].effective &= ~OVERRIDE_MODES
    call(library.capset)
    yield
    pair[0].effective = before
    call(library.capset)
