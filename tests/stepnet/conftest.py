"""What several test modules of the host need."""

import ctypes
import functools
import http.server
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from stepnet.data import sets as data

NEARBY_DATA = Path(__file__).parents[3] / "shared" / "data"
"""Where data sets are looked for if STEPNET_DATA names no folder: beside the clone."""


def real_data(file):
    """The folder of data sets, if it has a file that matches the pattern."""
    folder = data.data_folder(os.environ.get(data.DATA_DIR_VARIABLE) or NEARBY_DATA)
    if not list(folder.glob(file)):
        pytest.skip(f"{file} is neither below the folder in STEPNET_DATA nor in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def mnist_folder():
    """A folder with all of MNIST, where there is one."""
    return real_data("**/t10k-images-idx3-ubyte.gz")


@pytest.fixture(scope="session")
def mnist(mnist_folder):
    """MNIST in its two parts, where the data are."""
    return data.load("mnist", mnist_folder)


@pytest.fixture(scope="session")
def unipen():
    """UNIPEN in its two parts, where the data are."""
    return data.load("unipen", real_data(data.UNIPEN_FILE))


@pytest.fixture
def local_files(tmp_path_factory):
    """A web server on this machine that serves `folder` at `url`."""
    folder = tmp_path_factory.mktemp("served")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield SimpleNamespace(folder=folder, url=f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
        thread.join()


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
