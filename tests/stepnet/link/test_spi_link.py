"""Boards on an SPI bus: the link, and what its address may be."""

import errno
import os
import re
import sys
import threading
from types import SimpleNamespace

import pytest

from peer import Peer
from small_networks import images_for, small_network
from stepnet import open_board
from stepnet.boards.search import identify
from stepnet.errors import LinkBrokenError, LinkError, MissingToolError
from stepnet.link.link import open_link, open_port
from stepnet.link.spi import POLL_BYTES, SpiLink, is_spi
from stepnet.link.spi_line import MOST_SPI_HZ
from stepnet.networks import reference

WHERE = "spi:///dev/spidev0.0"


class Device:
    """A board on SPI: `peer` behind it is two bytes late and says what it has to say while it is
    sent something. It is what `spidev.SpiDev()` gives, too.

    transfers: how many bytes went in each transaction.
    """

    def __init__(self, peer=None, error=None):
        self.peer = peer or Peer()
        self.error = error
        self.transfers = []
        self.opened = None
        self.closed = False
        self._waiting = bytearray(2)

    def open(self, bus, chip_select):
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.opened = bus, chip_select

    def xfer3(self, data):
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.transfers.append(len(data))
        said = bytes(self._waiting[: len(data)]).ljust(len(data), b"\0")
        del self._waiting[: len(data)]
        self._waiting += self.peer.receive(data)
        return tuple(said)

    def close(self):
        self.closed = True


@pytest.fixture
def device(monkeypatch):
    """The device that `spidev` opens."""
    made = Device()
    monkeypatch.setitem(sys.modules, "spidev", SimpleNamespace(SpiDev=lambda: made))
    return made


def test_a_board_on_spi_reads_images(device):
    network = small_network()
    images = images_for(network, 30)
    with open_board(WHERE, network) as board:
        codes = [reading.code for reading in board.infer_many(images, placed=True)]
        assert board.baud == MOST_SPI_HZ
        assert board.statistics.retries == board.statistics.dropped_frames == 0
    assert codes == reference.infer(network, images).tolist()
    assert (device.opened, device.mode, device.max_speed_hz) == ((0, 0), 0, MOST_SPI_HZ)
    assert device.closed


def test_a_board_on_spi_is_identified(device):
    assert identify("spi:///dev/spidev1.2?speed_hz=8000000").buffer_bytes == 2048
    assert (device.opened, device.max_speed_hz, device.closed) == ((1, 2), 8_000_000, True)


def test_the_rate_that_is_asked_for_counts(device):
    link = open_port(f"{WHERE}?speed_hz=8000000", baud=5_000_000)
    assert link.baud == device.max_speed_hz == 5_000_000


def test_idle_bytes_are_no_bytes():
    link = SpiLink(device := Device(), WHERE, MOST_SPI_HZ)
    assert link.read(0.0) == b""
    assert device.transfers == [POLL_BYTES]
    said = iter([b"\0\0ab\0\0\0c", b"d\0", b"\0\0\0", b"\0e\0"])
    device.xfer3 = lambda data: next(said)
    assert link.read(1.0) == b"ab\0c"
    assert link.read(1.0) == b"d\0"
    assert link.read(1.0) == b"e\0"


def test_what_is_said_while_something_is_sent_is_kept():
    link = SpiLink(device := Device(), WHERE, MOST_SPI_HZ)
    device.xfer3 = lambda data: b"an answer\0".ljust(len(data), b"\0")
    link.write(b"a question\0")
    device.xfer3 = None
    assert link.read(0.0) == b"an answer\0"


def test_one_thread_reads_while_another_writes():
    """Each byte of an echo comes back once, in its order."""
    sent = bytes(range(1, 256)) * 20
    link = SpiLink(device := Device(), WHERE, MOST_SPI_HZ)
    device.peer = SimpleNamespace(receive=lambda data: bytes(data).replace(b"\0", b""))

    def write():
        for start in range(0, len(sent), 100):
            link.write(sent[start : start + 100])

    thread = threading.Thread(target=write)
    thread.start()
    heard = b""
    while len(heard) < len(sent):
        heard += link.read(1.0)
    thread.join()
    assert heard.replace(b"\0", b"") == sent


def test_a_board_that_went_away():
    link = SpiLink(device := Device(), WHERE, MOST_SPI_HZ)
    device.error = errno.EIO
    for use in (lambda: link.write(b"a"), lambda: link.read(0.0)):
        with pytest.raises(LinkBrokenError) as caught:
            use()
        assert str(caught.value) == (
            f"The connection to {WHERE!r} broke (Input/output error); check the wires and open the "
            "board again."
        )
    link.close()
    link.close()
    with pytest.raises(LinkBrokenError, match=re.escape("broke (it was closed here)")):
        link.write(b"a")


def test_spidev_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "spidev", None)
    with pytest.raises(MissingToolError) as caught:
        open_link(WHERE)
    assert str(caught.value) == (
        f"The board at {WHERE!r} needs the package spidev, which is missing here; install it with: "
        'pip install "stepnet[spi]".'
    )


@pytest.mark.parametrize(
    "where",
    [
        "spi://",
        "spi://dev/spidev0.0",
        "spi:///dev/spidev0",
        "spi:///dev/ttyUSB0",
        "spi:///dev/spidev0.0/",
        "spi:///dev/spidev0.0?speed=8000000",
        "spi:///dev/spidev0.0?speed_hz=fast",
        "spi:///dev/spidev0.0?speed_hz=",
        "spi:///dev/spidev0.0?speed_hz=-1",
        "spi:///dev/spidev0.0?speed_hz=1000&speed_hz=2000",
        "SPI:///dev/spidev0.0#fast",
    ],
)
def test_an_address_that_is_none(where, device):
    assert is_spi(where)
    with pytest.raises(LinkError) as caught:
        open_link(where)
    assert str(caught.value) == (
        f"The address {where!r} names no SPI device; write it as spi:///dev/spidev0.0, with three "
        "slashes and the numbers of bus and chip select, and perhaps ?speed_hz=8000000 behind it."
    )
    assert device.opened is None


@pytest.mark.parametrize("hz", [0, 20_000_001])
def test_a_rate_that_no_board_follows(hz, device):
    where = f"{WHERE}?speed_hz={hz}"
    with pytest.raises(LinkError) as caught:
        open_link(where)
    assert str(caught.value) == (
        f"The SPI line to {where!r} cannot run at {hz} Hz; choose at most 20000000 Hz, such as "
        "?speed_hz=8000000."
    )


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errno.ENOENT, "There is no SPI device '/dev/spidev0.0'; switch SPI on, on a Raspberry Pi "
         "with: sudo raspi-config nonint do_spi 0."),
        (errno.EACCES, "You may not open the SPI device '/dev/spidev0.0'; ask who administers this "
         "machine to let you."),
        (errno.EBUSY, "The SPI device '/dev/spidev0.0' is busy; close the other program that uses "
         "it."),
        (errno.EINVAL, "The SPI device '/dev/spidev0.0' cannot be opened (Invalid argument); check "
         "that it is one of Linux' spidev driver, and its rate."),
    ],
)  # fmt: skip
def test_a_device_that_cannot_be_opened(error, sentence, device):
    device.error = error
    with pytest.raises(LinkError) as caught:
        open_link(WHERE)
    assert str(caught.value) == sentence
    assert device.closed


@pytest.mark.skipif(sys.platform != "linux", reason="spidev is Linux' driver")
def test_the_real_package_finds_no_such_device():
    pytest.importorskip("spidev")
    with pytest.raises(LinkError, match=r"There is no SPI device '/dev/spidev97\.0'; "):
        open_link("spi:///dev/spidev97.0")
