"""What several test modules of the host need."""

import functools
import http.server
import os
import threading
from types import SimpleNamespace

import pytest

from stepnet import data


@pytest.fixture(scope="session")
def mnist():
    """MNIST in its two parts, if STEPNET_DATA names a folder that has it."""
    folder = os.environ.get("STEPNET_DATA")
    if not folder or not list(data.data_folder(folder).glob("**/t10k-images-idx3-ubyte.gz")):
        pytest.skip("STEPNET_DATA names no folder with MNIST")
    return data.load("mnist", folder)


@pytest.fixture(scope="session")
def unipen():
    """UNIPEN in its two parts, if STEPNET_DATA names a folder that has it."""
    folder = os.environ.get("STEPNET_DATA")
    if not folder or not (data.data_folder(folder) / data.UNIPEN_FILE).is_file():
        pytest.skip("STEPNET_DATA names no folder with UNIPEN")
    return data.load("unipen", folder)


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


@pytest.fixture
def nobody():
    """Run as a user who may do little, where the tests run as root."""
    if os.geteuid():
        yield
    else:
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)
        yield
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
