"""What several test modules of the host need."""

import functools
import gzip
import hashlib
import http.server
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stepnet import data
from stepnet.framing import Framing
from stepnet.picture import normalise
from stepnet.samples import sample_pictures

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
    placed = np.stack([normalise(image, framing=Framing.UNIPEN) for image in images])
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
