"""Finding the rate of a board's line: in which order, at what cost, and what is said."""

import os
from contextlib import closing
from types import SimpleNamespace

import pytest
import serial.tools.list_ports
from serial.tools.list_ports_common import ListPortInfo

from peer import Peer, Silent, serving
from stepnet.boards.board import open_board
from stepnet.boards.search import connected_boards, identify
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import LinkError, LinkTimeoutError
from stepnet.link import rate_search
from stepnet.link.link import open_port
from stepnet.link.messages import Request
from stepnet.link.rate_search import find_rate, rates_at, rates_of
from stepnet.link.usb_chips import BL702, FT231X, FT2232H, UNKNOWN_BAUDS, chip_of

MOST_S = 0.3


class Line:
    """The port of a board with one rate. The board is `peer.Peer`, and hears nothing at others.

    now_s: a clock that goes on while somebody waits in vain.
    """

    def __init__(self, baud):
        self.now_s = 0.0
        self.peer = Peer()
        self.right_baud = baud
        self.tried = []
        self.answer = b""

    def set_baud(self, baud):
        self.tried.append(baud)

    def write(self, data):
        if self.tried[-1] == self.right_baud:
            self.answer += self.peer.receive(data)

    def read(self, timeout_s):
        answer, self.answer = self.answer, b""
        if not answer:
            self.now_s += timeout_s
        return answer


@pytest.fixture
def line_at(monkeypatch):
    """Make a line of this rate, by whose clock rates are looked for."""

    def make(baud):
        line = Line(baud)
        clock = SimpleNamespace(monotonic=lambda: line.now_s)
        monkeypatch.setattr(rate_search, "time", clock)
        return line

    return make


def usb_port(device="/dev/ttyUSB1", usb_id=(0x0403, 0x6010), product="iCEBreaker V1.0e"):
    port = ListPortInfo(device)
    port.vid, port.pid = usb_id
    port.product, port.location = product, "1-2:1.1"
    return port


@pytest.fixture
def listed(monkeypatch):
    """Make this machine list one port."""

    def make(port):
        monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: [port])

    return make


@pytest.mark.parametrize("bauds", [FT2232H.board_bauds, FT231X.board_bauds, UNKNOWN_BAUDS])
def test_each_rate_is_found_in_its_turn_within_the_time(bauds, line_at):
    for number, baud in enumerate(bauds):
        line = line_at(baud)
        assert find_rate(line, bauds) == baud
        assert line.now_s == pytest.approx(number * rate_search.TRY_S)
        assert line.now_s < MOST_S
        assert line.tried == list(bauds[: number + 1])
        assert line.peer.requests == [Request.IDENTIFY]


def test_the_highest_rate_of_a_chip_costs_nothing(line_at):
    line = line_at(12_000_000)
    assert find_rate(line, FT2232H.board_bauds) == 12_000_000
    assert line.now_s == 0


def test_a_board_at_no_rate_costs_no_more_and_is_asked_until_the_time_is_over(line_at):
    line = line_at(115_200)
    assert find_rate(line, UNKNOWN_BAUDS) is None
    assert line.now_s < MOST_S
    assert line.tried == list(UNKNOWN_BAUDS)
    assert find_rate(line, FT231X.board_bauds, timeout_s=0.2) is None
    assert line.tried[5:] == 2 * list(FT231X.board_bauds)


def test_every_chip_can_make_the_rates_of_its_boards():
    for chip in (FT2232H, FT231X, BL702):
        assert [chip.nearest(baud) for baud in chip.board_bauds] == [
            [baud] for baud in chip.board_bauds
        ]


@pytest.mark.parametrize(
    ("usb_id", "product", "chip"),
    [
        ((0x0403, 0x6010), "iCEBreaker V1.0e", FT2232H),
        ((0x0403, 0x6010), None, FT2232H),
        ((0x0403, 0x6010), "SIPEED USB Debugger", BL702),
        ((0x0403, 0x6010), "JTAG Debugger", BL702),
        ((0x0403, 0x6015), "ULX3S FPGA 85K v3.0.8", FT231X),
        ((0x1D50, 0x602B), "DAPLink CMSIS-DAP", None),
        ((None, None), None, None),
    ],
)
def test_the_chip_of_a_port(usb_id, product, chip):
    port = usb_port(usb_id=usb_id, product=product)
    assert chip_of(port) is chip
    assert rates_of(port) == (chip.board_bauds if chip else UNKNOWN_BAUDS)


def test_which_ports_have_rates(listed, tmp_path):
    device = tmp_path / "ttyUSB1"
    device.touch()
    link = tmp_path / "by-id"
    link.symlink_to(device)
    listed(usb_port(str(device)))
    assert rates_at(str(device)) == rates_at(str(link)) == FT2232H.board_bauds
    assert rates_at("rfc2217://lab:4000") == UNKNOWN_BAUDS
    assert rates_at("socket://lab:4000") == rates_at("/dev/pts/1") == (1_000_000,)


def test_a_board_is_opened_at_the_rate_that_is_found(listed):
    told = []
    with serving(Peer(), "pty") as where:
        listed(usb_port(where))
        with closing(open_port(where, progress=told.append)) as port:
            assert port.baud == 12_000_000
        with closing(open_port(where, baud=3_000_000)) as port:
            assert port.baud == 3_000_000
    held_back = (
        f"The driver of {where!r} may hold answers back for 16 ms; docs/runtime.md tells how to "
        "set its latency timer to 1 ms"
    )
    assert told == [f"The board at {where!r} answers at 12,000,000 baud", held_back]


def test_a_board_has_its_rate(listed):
    shape = EngineShape(64, 1024, 16384, 1024, weight_memory="single_port")
    with serving(Peer(shape), "socket") as where, open_board(where, timeout_s=20) as board:
        assert board.baud is None
    with serving(Peer(shape), "pty") as where:
        listed(usb_port(where))
        with open_board(where, timeout_s=20) as board:
            assert board.baud == 12_000_000


def test_a_board_that_answers_at_no_rate(listed, monkeypatch):
    monkeypatch.setattr(rate_search, "TRY_S", 0.01)
    with serving(Silent(), "pty") as where:
        listed(usb_port(where, (0x0403, 0x6015), "ULX3S FPGA 85K v3.0.8"))
        with pytest.raises(LinkTimeoutError) as caught:
            open_port(where, timeout_s=0.05)
        with pytest.raises(LinkTimeoutError):
            identify(where)
        (found,) = connected_boards(ports=[usb_port(where)])
    assert str(caught.value) == (
        f"What is at {where!r} gave no answer of Stepnet's protocol within 0.05 s at 3,000,000, "
        "2,000,000 or 1,000,000 baud; check the port, the cable and that the board runs Stepnet's "
        "bitstream, or name the rate that this was built for with --baud."
    )
    assert found.problem is not None
    assert (found.baud, found.identity) == (None, None)


def test_a_rate_that_the_chip_of_the_port_does_not_make(listed):
    device = os.devnull
    listed(usb_port(device, (0x0403, 0x6015), "ULX3S FPGA 85K v3.0.8"))
    with pytest.raises(LinkError) as caught:
        open_port(device, baud=2_500_000)
    assert str(caught.value) == (
        f"The FT231X of {device!r} cannot make 2500000 baud; choose 2000000 or 3000000 baud."
    )
