"""Finding boards at serial ports: real terminals whose USB side is made up."""

import json
import os
import pty
import select
import sys
import tty
from contextlib import contextmanager

import pytest
import serial.tools.list_ports
from serial.tools.list_ports_common import ListPortInfo

from peer import Claiming, Nonsense, Peer, Silent, serving
from stepnet import cli
from stepnet.boards import search as connected
from stepnet.boards.board import open_board
from stepnet.boards.search import connected_boards, identify
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BoardError, LinkTimeoutError
from stepnet.link.messages import Request

FT2232H = (0x0403, 0x6010)
FT231X = (0x0403, 0x6015)
UNKNOWN = "It is no FPGA board that is known here, so it was not asked; --all-ports asks it."


def usb_port(device, usb_id, product, location="1-2"):
    port = ListPortInfo(device)
    port.vid, port.pid = usb_id
    port.product, port.location = product, location
    return port


def icebreaker(device, interface=1):
    return usb_port(device, FT2232H, "iCEBreaker V1.0e", f"1-2:1.{interface}")


@contextmanager
def untouched_port():
    """A terminal that must hear nothing."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    heard = select.select([master], [], [], 0)[0]
    os.close(master)
    os.close(slave)
    assert not heard, "something was written to the port"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(connected, "IDENTIFY_TIMEOUT_S", 0.1)


@pytest.fixture
def stepnet(monkeypatch, capsys):
    """Run a command on a machine with some ports; gives its exit code, stdout and stderr."""

    def run(ports, *arguments):
        monkeypatch.setattr(sys, "argv", ["stepnet", *arguments])
        monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: ports)
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as left:
            cli.main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return run


def test_a_board_is_found_and_asked():
    with serving(Peer(), "pty") as where:
        (found,) = connected_boards(ports=[icebreaker(where)])
    assert (found.port, found.board, found.usb_id) == (where, "iCEBreaker", "0403:6010")
    assert found.identity.shape == EngineShape(16, 1024, 4096, 512)
    assert (found.network, found.problem) == (None, None)


def test_the_network_that_it_holds():
    board_peer = Peer(EngineShape(64, 1024, 16384, 1024, weight_memory="single_port"))
    with serving(board_peer, "socket") as where:
        open_board(where, "digits", timeout_s=20).close()
        found = connected.connected_boards(ports=[icebreaker(where)])
    assert [each.network for each in found] == ["digits"]


@pytest.mark.parametrize(
    ("usb_id", "product", "location", "board"),
    [
        (FT2232H, "iCEBreaker V1.0e", "1-2:1.1", "iCEBreaker"),
        (FT2232H, "Dual RS232-HS", "1-2:1.1", "a board with an FT2232H"),
        (FT2232H, "Lattice FTUSB Interface Cable", "3-1.4:1.1", "iCE40-HX8K or iCEstick"),
        (FT2232H, "USB Debugger", "1-2:1.1", "Tang Nano"),
        (FT2232H, "JTAG Debugger", "1-2:1.1", "Tang Nano"),
        (FT2232H, None, "1-2:x.1", "a board with an FT2232H"),
        (FT231X, "ULX3S FPGA 85K v3.0.8", "1-2", "ULX3S"),
        ((0x1D50, 0x602B), "DAPLink CMSIS-DAP", "1-2:1.1", "iCESugar"),
    ],
)
def test_boards_that_are_asked(usb_id, product, location, board):
    board_peer = Peer()
    with serving(board_peer, "pty") as where:
        (found,) = connected_boards(ports=[usb_port(where, usb_id, product, location)])
    assert (found.board, found.problem) == (board, None)
    assert set(board_peer.requests) == {Request.IDENTIFY}


@pytest.mark.parametrize(
    ("usb_id", "product", "location", "problem"),
    [
        ((0x2341, 0x0043), "Arduino Uno", "1-2", UNKNOWN),
        (FT231X, "FT231X USB UART", "1-2", UNKNOWN),
        (FT2232H, "Some measuring device", "1-2:1.1", UNKNOWN),
        (
            FT2232H,
            "iCEBreaker V1.0e",
            "1-2:1.0",
            "It programs the board and was not asked; the UART is its other port.",
        ),
        (
            FT2232H,
            "iCEBreaker V1.0e",
            "20-2",
            "It may be the board's other port, which programs it, so it was not asked; "
            "--all-ports asks it.",
        ),
        (
            (None, None),
            None,
            None,
            "It is not on USB, so it was not asked; --all-ports asks it.",
        ),
    ],
)
def test_ports_that_hear_nothing(usb_id, product, location, problem):
    with untouched_port() as where:
        (found,) = connected_boards(ports=[usb_port(where, usb_id, product, location)])
    assert (found.identity, found.network, found.problem) == (None, None, problem)


def test_all_ports_if_told():
    with serving(Peer(), "pty") as where:
        port = usb_port(where, (0x2341, 0x0043), "Arduino Uno")
        (found,) = connected_boards(ports=[port], all_ports=True)
    assert (found.board, found.usb_id, found.problem) == (None, "2341:0043", None)
    assert found.identity.simd == 16


def test_a_board_that_says_nothing():
    with serving(Silent(), "pty") as where, pytest.raises(LinkTimeoutError) as caught:
        identify(where)
    assert str(caught.value) == (
        f"The board at {where!r} did not answer within 0.2 s; check the port, the cable, the baud "
        "rate and that the board runs Stepnet's bitstream."
    )


def test_boards_with_a_problem_do_not_hide_the_others():
    with (
        serving(Silent(), "pty") as silent,
        serving(Nonsense(), "pty") as nonsense,
        serving(Peer(), "pty") as good,
    ):
        ports = [*map(icebreaker, (silent, nonsense, good)), icebreaker("/dev/nowhere")]
        found = {each.port: each for each in connected_boards(ports=ports)}
    assert found[silent].problem == (
        f"What is at {silent!r} gave no answer of Stepnet's protocol within 0.2 s at 12,000,000, "
        "8,000,000, 3,000,000 or 1,000,000 baud; check the port, the cable and that the board runs "
        "Stepnet's bitstream, or name the rate that this was built for with --baud."
    )
    assert found[nonsense].problem == found[silent].problem.replace(silent, nonsense)
    assert "There is no port" in found["/dev/nowhere"].problem
    assert found[good].problem is None


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        (
            {"protocol_version": 9},
            "The board at {where!r} speaks protocol version 9, this stepnet version 2; upgrade "
            "stepnet.",
        ),
        (
            {"core": 7},
            "The board at {where!r} has a core of kind 7, which this stepnet does not know; "
            "upgrade stepnet.",
        ),
    ],
)
def test_boards_of_another_version(claims, sentence):
    with serving(Claiming(**claims), "pty") as where, pytest.raises(BoardError) as caught:
        identify(where)
    assert str(caught.value) == sentence.format(where=where)


def test_ports_are_sorted_as_people_count():
    ports = [ListPortInfo(f"/dev/ttyUSB{number}") for number in (10, 2, 0)]
    found = [each.port for each in connected_boards(ports=ports)]
    assert found == ["/dev/ttyUSB0", "/dev/ttyUSB2", "/dev/ttyUSB10"]


# The command


def test_the_command(stepnet):
    with serving(Peer(), "pty") as where:
        exit_code, out, err = stepnet([icebreaker(where)], "boards", "--connected")
    assert (exit_code, err) == (0, "Asking the boards at the serial ports.\n")
    heading, row = out.splitlines()
    assert heading.split() == ["port", "board", "USB", "id", "core", "rate", "network"]
    cells = (where, "iCEBreaker", "0403:6010", "12,000,000 baud", "none")
    for cell in (*cells, "engine, SIMD 16 x PE 1, 64 kbit of weights of up to 8 bits, 12 MHz"):
        assert cell in row


def test_the_command_counts_the_weights_of_all_lanes(stepnet):
    shape = EngineShape(144, 1152, 512, 1024, pe=8)
    with serving(Peer(shape), "pty") as where:
        _, out, _ = stepnet([icebreaker(where)], "boards", "--connected")
    assert "engine, SIMD 144 x PE 8, 576 kbit of weights" in out


def test_the_command_says_why_a_port_was_not_asked(stepnet):
    port = usb_port("/dev/ttyACM7", (0x2341, 0x0043), "Arduino Uno")
    exit_code, out, _ = stepnet([port], "boards", "--connected")
    assert exit_code == 0
    assert out.splitlines()[-1] == f"/dev/ttyACM7: {UNKNOWN}"


def test_the_command_as_json(stepnet):
    with serving(Peer(), "pty") as where:
        exit_code, out, _ = stepnet([icebreaker(where)], "boards", "--connected", "--json")
    (port,) = json.loads(out)["ports"]
    assert exit_code == 0
    assert port["identity"]["simd"] == 16
    assert (port["port"], port["board"], port["problem"]) == (where, "iCEBreaker", None)


def test_a_machine_without_ports(stepnet):
    assert stepnet([], "boards", "--connected")[1] == (
        "This machine has no serial ports; connect a board and check its cable.\n"
    )


def test_all_ports_goes_with_connected(stepnet):
    exit_code, out, err = stepnet([], "boards", "--all-ports")
    assert (exit_code, out) == (2, "")
    assert "it goes with --connected." in err
