"""A chip on SPI at its pins: through the host's own link, through the MicroPython client, and with
transactions that begin and end anywhere."""

import ast
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from stepnet.boards.board import Board
from stepnet.boards.packing import ImagePacker
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import image_bytes, memory_image
from stepnet.link import messages as protocol
from stepnet.link.frames import FrameReader, encode_frame, window
from stepnet.link.messages import Answer, Refusal, Request
from stepnet.link.spi import SpiLink
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.samples import sample_pictures
from stepnet_sim.chips.design import design_for
from stepnet_sim.chips.spi_pins import SpiPins, spi_library
from stepnet_sim.chips.verilated import missing_compiler

CLIENT = Path(__file__).parents[2] / "examples" / "micropython_client.py"
NETWORK = load_network("digits")
DESIGN = design_for(None, "icebreaker")
SPI_HZ = 20_000_000
BYTE_S = 8 / SPI_HZ

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


@pytest.fixture(scope="module")
def library():
    return spi_library(DESIGN)


@pytest.fixture
def pins_at(library):
    """Starts a chip with a clock of so many hertz, and its line."""
    started = []

    def start(clock_hz=DESIGN.clock_hz, spi_hz=SPI_HZ, **options):
        started.append(SpiPins(library, clock_hz, spi_hz, **options))
        return started[-1]

    yield start
    for pins in started:
        pins.close()


def board_at(pins, network=NETWORK):
    return Board(SpiLink(pins, "spi:///dev/spidev0.0", SPI_HZ), network, 60.0)


def pictures(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def framed(kind, sequence, fields=b""):
    return encode_frame(protocol.HEADER.pack(kind=kind, sequence=sequence) + fields)


def answers(pins, data, *, more=0):
    """The answers to what `data` asks, and what comes while `more` idle bytes follow."""
    frames = FrameReader()
    heard = frames.feed(pins.transfer(data))
    while more > 0:
        heard += frames.feed(pins.transfer(bytes(min(more, 48))))
        more -= 48
    assert frames.dropped == 0
    return heard


# 24 and 42 MHz have an UP5K's chips; 10 MHz are the fewest for this line.
@pytest.mark.parametrize("clock_hz", [10_000_000, 24_000_000, 42_000_000, 120_000_000])
@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_a_stream_of_images(pins_at, clock_hz, jitter):
    # An edge that is late makes its byte shorter by that much, so that the line has to be slower.
    images = pictures(20)
    with board_at(pins_at(clock_hz, int(SPI_HZ * (1 - jitter / 8)), jitter=jitter)) as board:
        codes = [reading.code for reading in board.infer_many(images, placed=True)]
        assert board.statistics.retries == board.statistics.dropped_frames == 0
        assert board.identity.dropped_frames == 0
    assert codes == reference.infer(NETWORK, images).tolist()


def test_the_line_is_used_as_far_as_the_engine_goes(pins_at):
    """22,199 images a second in the core, 23,810 on the line."""
    pins = pins_at()
    images = pictures(120)
    with board_at(pins) as board:
        start_s = pins.seconds
        readings = list(board.infer_many(images, placed=True))
        images_per_s = len(readings) / (pins.seconds - start_s)
    most = DESIGN.clock_hz / cycles_per_image(NETWORK, DESIGN.shape)
    assert 0.95 * most < images_per_s < most


def test_every_request_and_every_refusal(pins_at):
    pins = pins_at()
    memory = memory_image(NETWORK, DESIGN.shape)
    image = bytes(image_bytes(NETWORK))
    digest = memory.digest.to_bytes(4, "little")
    (identity,) = answers(pins, framed(Request.IDENTIFY, 1), more=96)
    assert protocol.IDENTITY.unpack(identity)["buffer_bytes"] == DESIGN.buffer_bytes

    def refused(kind, reason, fields=b""):
        (refusal,) = answers(pins, framed(kind, 2, fields), more=96)
        assert protocol.REFUSAL.unpack(refusal) == {
            "kind": Answer.REFUSAL,
            "sequence": 2,
            "reason": reason,
        }

    refused(0x7F, Refusal.UNKNOWN_KIND)
    refused(Request.INFER, Refusal.NOTHING_LOADED, image)
    refused(Request.IDENTIFY, Refusal.WRONG_LENGTH, b"\0")
    assert len(answers(pins, framed(Request.CLEAR, 3), more=48)) == 1
    for load in memory.loads(1024):
        place = protocol.LOAD.pack(kind=0, sequence=0, address=load.address, space=load.space)
        fields = place[protocol.HEADER.size :] + load.words
        (answer,) = answers(pins, framed(Request.LOAD, 4, fields), more=192)
        assert answer[0] == Answer.ACKNOWLEDGE
    refused(Request.COMMIT, Refusal.WRONG_DIGEST, bytes(4))
    (answer,) = answers(pins, framed(Request.COMMIT, 5, digest), more=48)
    assert answer[0] == Answer.ACKNOWLEDGE
    refused(Request.INFER, Refusal.WRONG_LENGTH, image[1:])
    (answer,) = answers(pins, framed(Request.INFER, 6, image), more=480)
    assert protocol.READING.unpack(answer)["code"] == reference.infer(
        NETWORK, np.zeros((1, 28, 28), np.uint8)
    )


def test_transactions_that_end_anywhere_cut_their_frame_alone(pins_at):
    """Whole bytes of a frame may go in several transactions. One that ends within a byte breaks the
    frame it is of; nothing else is lost, and no answer at all."""
    rng = random.Random(5)
    pins = pins_at(jitter=0.0)
    frames, sent, cut = FrameReader(), [], 0
    heard = []
    for number in range(300):
        frame = framed(Request.IDENTIFY, number)
        # The first answer may still be on its way when the next question comes.
        at = rng.randrange(1, len(frame))
        if rng.random() < 0.3:
            bits = rng.randrange(1, 8)
            data = frame[:at]
            pins.transfer(data, bits_of_last=bits)  # answers go on below, from that byte on
            heard += frames.feed(pins.transfer(b"\0" + bytes(60)))
            cut += at > 1
        else:
            sent.append(number)
            for part in (frame[:at], frame[at:], bytes(50)):
                heard += frames.feed(pins.transfer(part))
            pins.wait(rng.choice((0.0, 1e-7, 2e-6)))
    heard += frames.feed(pins.transfer(bytes(200)))
    identities = [protocol.IDENTITY.unpack(payload) for payload in heard]
    assert [identity["sequence"] for identity in identities] == sent
    assert frames.dropped == 0
    assert identities[-1]["dropped_frames"] <= cut % 256


def test_a_window_of_images_at_once_does_not_overrun_the_buffer(pins_at):
    """As many as fit, in one transaction, while the chip has had no time for the first one."""
    pins = pins_at(10_000_000)  # its engine takes four times as long as an image on the line
    images = pictures(window(DESIGN.buffer_bytes, image_bytes(NETWORK)), seed=3)
    with board_at(pins) as board:
        asked = board.identity.dropped_frames
        codes = [reading.code for reading in board.infer_many(images, placed=True)]
        assert codes == reference.infer(NETWORK, images).tolist()
        assert board.statistics.retries == 0
        assert board.identity.dropped_frames == asked


MACHINE = """
import socket, struct
_board = socket.socket()
_board.connect(socket.getaddrinfo("127.0.0.1", {port})[0][-1])

def _read(size):
    data = b""
    while len(data) < size:
        data += _board.recv(size - len(data))
    return data

class SPI:
    def __init__(self, number, baudrate):
        assert baudrate == {spi_hz}
    def write_readinto(self, out, into):
        assert Pin.level == 0, "the board is not selected"
        _board.send(struct.pack("<H", len(out)) + bytes(out))
        into[:] = _read(len(out))

class Pin:
    OUT = 1
    level = 1
    def __init__(self, number, mode, value):
        Pin.level = value
    def __call__(self, value):
        Pin.level = value
"""
"""MicroPython's module of that name, whose bus ends at the pins of the simulated chip."""

PROGRAM = """
import sys
sys.path[:0] = {folders!r}
from machine import SPI, Pin
import micropython_client
spi = SPI(0, baudrate=20_000_000)
cs = Pin(17, Pin.OUT, value=1)
for pixels in {images!r}:
    code, cycles = micropython_client.infer(spi, cs, pixels)
    print(chr(code), cycles)
try:
    micropython_client.infer(spi, cs, b"too short")
except OSError as error:
    print(error)
print(sys.implementation.name if hasattr(sys.implementation, "name") else sys.implementation[0])
"""


@pytest.fixture(params=["micropython", "python"])
def interpreter(request):
    """A real MicroPython where there is one, and the Python of the tests."""
    if request.param == "python":
        return request.param, sys.executable
    program = Path(sys.executable).with_name("micropython")
    found = program if program.exists() else shutil.which("micropython")
    if not found:
        pytest.skip("no MicroPython: PyPI has it for Python 3.11 on Linux, x86-64, alone")
    return request.param, str(found)


@pytest.fixture
def machine(pins_at, tmp_path):
    """A folder with a module `machine` whose SPI leads to a chip that holds the network."""
    pins = pins_at()
    board_at(pins)  # loads it
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as asked:
                while size := asked.read(2):
                    data = asked.read(*struct.unpack("<H", size))
                    connection.sendall(pins.transfer(data))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        (tmp_path / "machine.py").write_text(MACHINE.format(port=port, spi_hz=SPI_HZ))
        yield tmp_path
        thread.join(10)


def test_the_micropython_client_reads_what_the_reference_reads(interpreter, machine):
    name, program = interpreter
    packer = ImagePacker(NETWORK, 1)
    images, labels = [], ""
    for path, label in sample_pictures()[:4]:
        packer.add(path)
        images.append(packer.take().tobytes())
        labels += label
    run = machine / "run.py"
    run.write_text(PROGRAM.format(folders=[str(machine), str(CLIENT.parent)], images=images))
    done = subprocess.run(
        [program, run], capture_output=True, text=True, timeout=120, cwd=machine, check=False
    )
    assert done.stderr == ""
    *readings, refusal, implementation = done.stdout.splitlines()
    cycles = cycles_per_image(NETWORK, DESIGN.shape, round(BYTE_S * DESIGN.clock_hz))
    assert [reading[0] for reading in readings] == list(labels)
    for reading in readings:  # a byte does not last a whole number of cycles
        assert abs(int(reading[2:]) - cycles) <= 2
    assert refusal == "The board refuses; load a network for images of this size."
    assert implementation == {"micropython": "micropython", "python": "cpython"}[name]


def test_about_forty_lines():
    tree = ast.parse(CLIENT.read_text())
    text = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    text = [node for node in text if isinstance(node.value, ast.Constant)]
    lines = {line for node in text for line in range(node.lineno, node.end_lineno + 1)}
    numbered = enumerate(CLIENT.read_text().splitlines(), 1)
    assert len([line for number, line in numbered if line and number not in lines]) <= 42
