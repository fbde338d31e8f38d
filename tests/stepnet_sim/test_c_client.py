"""A client in another language: examples/client.c at the virtual board's terminal, and the
conversation of docs/protocol_vectors.json that such clients are written by."""

import json
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.link import messages as protocol
from stepnet.link.frames import FrameReader, encode_frame
from stepnet.link.messages import Answer, Request
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.samples import sample_pictures
from stepnet_sim.chips.design import ICEBREAKER
from stepnet_sim.chips.verilated import missing_compiler
from stepnet_sim.chips.virtual_board import open_link

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "examples" / "client.c"
VECTORS = json.loads((ROOT / "docs" / "protocol_vectors.json").read_text())

TIMEOUT_S = 60.0
NETWORK = load_network("digits")
PICTURES = [sample_pictures()[number] for number in (4, 7, 14)]

WRONG_PICTURE = (
    "client: {} is no PGM picture of 28 x 28 bytes (P5, 255 grey values, no comments).\n"
)
NOT_OPENED = (
    "client: {} cannot be opened; name a port that is there and free, or socket://host:port.\n"
)
NO_ANSWER = (
    "client: The board does not answer; check the port, the cable and the board's bitstream.\n"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


@pytest.fixture(scope="module")
def compiled():
    """Have the chip in the cache, so that no command has to say that it builds it."""
    open_link().close()


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Run the client; gives its exit code, stdout and stderr."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("cc is not installed")
    program = tmp_path_factory.mktemp("client") / "client"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([compiler, *flags, "-o", program, SOURCE], check=True, timeout=TIMEOUT_S)

    def run(*arguments):
        done = subprocess.run(
            [program, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S
        )
        return done.returncode, done.stdout, done.stderr

    run.program = program
    return run


@contextmanager
def virtual_board(*arguments, channel=("--pty",)):
    """`stepnet sim` in a process of its own; gives the path of its terminal, or its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "stepnet", "sim", *channel, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said = process.stdout.readline()
            found = re.fullmatch(r"The virtual board is at (\S+); Ctrl-C ends it\.\n", said)
            assert found, said or process.stderr.read()
            yield found[1]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def board(compiled):
    with virtual_board("--network", "digits") as where:
        yield where


@pytest.fixture
def pgm(tmp_path):
    """Convert a sample to PGM; gives the file and the grey values."""

    def convert(path):
        file = tmp_path / f"{path.stem}.pgm"
        with Image.open(path) as picture:
            picture.save(file)
            return file, np.asarray(picture)

    return convert


def test_ninety_lines():
    assert len(SOURCE.read_text().splitlines()) <= 90


def test_its_picture_is_made_as_its_head_says(client, board, tmp_path):
    """A picture of any size becomes the file that the client reads."""
    path, label = PICTURES[2]
    with Image.open(path) as picture:
        picture.resize((280, 280)).convert("RGB").save(tmp_path / "seven.jpg")
    command = re.search(r'python -c "(.*?)" \*/', SOURCE.read_text(), re.DOTALL)[1]
    subprocess.run(
        [sys.executable, "-c", " ".join(command.split())], cwd=tmp_path, check=True, timeout=60
    )
    exit_code, out, _ = client(board, tmp_path / "seven.pgm", NETWORK.ink_threshold)
    assert (exit_code, out[0]) == (0, label)


def test_the_client_speaks_to_a_board_behind_tcp(client, compiled, pgm):
    path, label = PICTURES[0]
    file, _ = pgm(path)
    words = ("--listen", "127.0.0.1:0", "--network", "digits")
    with virtual_board(*words, channel=()) as where:
        assert where.startswith("socket://127.0.0.1:")
        for _ in range(2):
            exit_code, out, stderr = client(where, file, NETWORK.ink_threshold)
            assert (exit_code, out[0], stderr) == (0, label, "")
    assert client(where, file, 64) == (1, "", NOT_OPENED.format(where))


@pytest.mark.parametrize(("path", "label"), PICTURES, ids=[label for _, label in PICTURES])
def test_the_client_reads_what_the_reference_reads(client, board, pgm, path, label):
    file, grey = pgm(path)
    character = chr(reference.infer(NETWORK, grey[np.newaxis])[0])
    assert character == label
    cycles = cycles_per_image(NETWORK, ICEBREAKER.shape, cycles_per_byte=1)
    assert client(board, file, NETWORK.ink_threshold) == (
        0,
        f"{character} in {cycles} cycles\n",
        "",
    )


@pytest.mark.parametrize("threshold", [1, 250])
def test_the_threshold_counts(client, board, pgm, threshold):
    file, grey = pgm(PICTURES[0][0])
    code = reference.infer(NETWORK, (grey >= threshold)[np.newaxis])[0]
    exit_code, out, _ = client(board, file, threshold)
    assert (exit_code, out[0]) == (0, chr(code))


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"P2\n28 28\n255\n" + bytes(784),
        b"P5\n32 28\n255\n" + bytes(896),
        b"P5\n28 28\n65535\n" + bytes(1568),
        b"P5\n28 28\n255\n" + bytes(783),
    ],
    ids=["missing", "empty", "text", "wide", "deep", "short"],
)
def test_a_wrong_picture(client, board, tmp_path, content):
    file = tmp_path / "wrong.pgm"
    if content is not None:
        file.write_bytes(content)
    assert client(board, file, 64) == (1, "", WRONG_PICTURE.format(file))


def test_a_device_that_does_not_exist_or_is_none(client, pgm, tmp_path):
    file, _ = pgm(PICTURES[0][0])
    for device in (tmp_path / "ttyNone", file):
        assert client(device, file, 64) == (
            1,
            "",
            NOT_OPENED.format(device),
        )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("port", "picture"),
        ("port", "picture", "dark"),
        ("port", "picture", "64", "fast"),
        ("port", "picture", "64", "0"),
        ("port", "picture", "64", "3000000", "more"),
    ],
)
def test_wrong_usage(client, arguments):
    assert client(*arguments) == (
        1,
        "",
        "client: Give port, picture, threshold and perhaps the rate.\n",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set a rate in other ways")
def test_the_rate_is_set(client, tmp_path):
    """At a terminal, which has a rate although nothing depends on it."""
    import fcntl

    get_termios2 = 0x802C542A  # Linux, asm-generic/ioctls.h: both speeds come last of 44 bytes
    with peer(lambda payload: b"") as where:
        for words, baud in ((), 1_000_000), (("12000000",), 12_000_000):
            file = tmp_path / "black.pgm"
            file.write_bytes(b"P5\n28 28\n255\n" + bytes(784))
            with Path(where).open("rb", buffering=0) as line:
                running = subprocess.Popen(
                    [client.program, where, file, "64", *words], stderr=subprocess.DEVNULL
                )
                deadline_s = time.monotonic() + TIMEOUT_S
                while struct.unpack("36x2I", fcntl.ioctl(line, get_termios2, bytes(44))) != (
                    baud,
                    baud,
                ):
                    assert time.monotonic() < deadline_s
                    time.sleep(0.01)
                running.kill()
                running.wait()


def test_a_board_without_a_network(client, compiled, pgm):
    file, _ = pgm(PICTURES[0][0])
    with virtual_board() as where:
        assert client(where, file, 64) == (
            1,
            "",
            "client: The board holds no network of 28 x 28 pixels; load one with: stepnet infer.\n",
        )


# Lines that carry more than a board says: the far end is played by the test.


@contextmanager
def peer(answer):
    """A terminal at which `answer(payload)` gives the bytes to send for each request."""
    import tty

    near, far = os.openpty()
    tty.setraw(far)
    os.set_blocking(near, False)  # a client that has left takes no more
    frames = FrameReader()
    ended = threading.Event()

    def serve():
        pending = bytearray()
        while not ended.is_set():
            readable, writable, _ = select.select([near], [near] if pending else [], [], 0.05)
            if readable:
                pending += b"".join(map(answer, frames.feed(os.read(near, 4096))))
            if writable:
                del pending[: os.write(near, pending)]

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(far)
    finally:
        ended.set()
        thread.join()
        os.close(near)
        os.close(far)


IDENTITY = {
    **VECTORS["conversation"][0]["answer"]["fields"],
    "loaded": 1,
    "image_bytes": 98,
}


def answer_to(payload, **changes):
    sequence = protocol.HEADER.unpack(payload)["sequence"]
    if payload[0] == Request.IDENTIFY:
        return protocol.IDENTITY.pack(**{**IDENTITY, "sequence": sequence, **changes})
    return protocol.READING.pack(
        **{
            "kind": Answer.READING,
            "sequence": sequence,
            "code": 0x37,
            "margin": 0x02FF01,
            "cycles": 0x890001,
            **changes,
        }
    )


def test_the_client_finds_its_answer_on_a_noisy_line(client, pgm):
    file, _ = pgm(PICTURES[0][0])

    def answer(payload):
        sequence = protocol.HEADER.unpack(payload)["sequence"]
        late = answer_to(payload, sequence=sequence ^ 0x100)
        good = encode_frame(answer_to(payload))
        broken = good[:-2] + bytes([good[-2] ^ 1 or 2]) + b"\0"
        other = protocol.HEADER.pack(kind=Answer.ACKNOWLEDGE, sequence=sequence)
        return b"".join(
            [
                b"boot\0\0\0\x05\x01\0",
                bytes(range(1, 256)) * 3 + b"\0",
                encode_frame(late),
                broken,
                encode_frame(other),
                good,
            ]
        )

    with peer(answer) as where:
        assert client(where, file, 64) == (0, f"7 in {0x890001} cycles\n", "")


def test_a_refusal(client, pgm):
    file, _ = pgm(PICTURES[0][0])

    def answer(payload):
        if payload[0] == Request.IDENTIFY:
            return encode_frame(answer_to(payload))
        sequence = protocol.HEADER.unpack(payload)["sequence"]
        refusal = protocol.REFUSAL.pack(kind=Answer.REFUSAL, sequence=sequence, reason=6)
        return encode_frame(refusal)

    with peer(answer) as where:
        assert client(where, file, 64) == (1, "", "client: The board refuses, for reason 6.\n")


def test_another_protocol_version(client, pgm):
    file, _ = pgm(PICTURES[0][0])

    def answer(payload):
        """As version 1 does, in fewer bytes."""
        return encode_frame(answer_to(payload, protocol_version=1)[:33])

    with peer(answer) as where:
        assert client(where, file, 64) == (
            1,
            "",
            "client: The board speaks protocol version 1, not 2.\n",
        )


@pytest.mark.parametrize("said", [b"", b"NMEA" * 3000], ids=["silent", "talkative"])
def test_a_line_that_does_not_answer(client, pgm, said):
    file, _ = pgm(PICTURES[0][0])
    with peer(lambda asked: said) as where:
        assert client(where, file, 64) == (1, "", NO_ANSWER)


# The test vectors


def test_the_documented_conversation_is_what_a_board_says(compiled):
    """Frame by frame, with a board fresh from reset."""
    with closing(open_link()) as link:
        for exchange in VECTORS["conversation"]:
            link.write(bytes.fromhex(exchange["request"]["frame"]))
            received = b""
            deadline_s = time.monotonic() + TIMEOUT_S
            while not received.endswith(b"\0") and time.monotonic() < deadline_s:
                received += link.read(1.0)
            assert received.hex().upper() == exchange["answer"]["frame"], exchange["name"]
        for vector in VECTORS["broken_frames"]:
            link.write(bytes.fromhex(vector["frame"]))
        link.write(bytes.fromhex(VECTORS["conversation"][0]["request"]["frame"]))
        (answer,) = FrameReader().feed(link.read(TIMEOUT_S))
        dropped = protocol.IDENTITY.unpack(answer)["dropped_frames"]
        assert dropped == len(VECTORS["broken_frames"])
