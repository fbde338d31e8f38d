"""What several test modules of the host need."""

import functools
import http.server
import os
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
