"""The command line, from the arguments to the exit code and all that is printed.

Most tests call `main` in this process; signals and pipes need one of their own.
"""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import peer
from peer import CYCLES, MARGIN, Peer, serving
from stepnet import Layer, Network
from stepnet.cli.output import Progress
from stepnet.cli.render import grey_picture, plain_picture
from stepnet.link.messages import Refusal, Request
from stepnet.networks import reference
from stepnet.networks.placing import Placing
from stepnet.networks.random_networks import random_network
from stepnet.pictures.picture import normalise
from stepnet.samples import sample_pictures

STEPNET = (sys.executable, "-m", "stepnet")


def make_network(alphabet, name="scribble"):
    """784-12-7 with random weights; its codes differ from image to image."""
    rng, sizes = np.random.default_rng(0), (784, 12, 7)
    return random_network(rng, sizes, height=28, name=name, alphabet=alphabet, ink_part=0.125)


@pytest.fixture(scope="module")
def network():
    return make_network("".join(map(chr, range(128))))


@pytest.fixture
def network_file(network, tmp_path):
    return network.save(tmp_path / "scribble.npz")


@pytest.fixture
def pictures(tmp_path):
    """Two photographs of a kind: dark strokes on light paper, of different sizes."""
    paths = []
    for name, box in (("one", (20, 80, 45, 55)), ("bar", (40, 60, 10, 110))):
        picture = np.full((120, 130, 3), 230, np.uint8)
        top, bottom, left, right = box
        picture[top:bottom, left:right] = 30
        path = tmp_path / f"{name}.png"
        Image.fromarray(picture).save(path)
        paths.append(path)
    return paths


def expected_codes(network, paths):
    images = [normalise(Image.open(path), network.height, network.width) for path in paths]
    return reference.infer(network, np.stack(images)).tolist()


class Lying(Peer):
    """A board that gets the last bit of every code wrong."""

    def code(self, image):
        return super().code(image) ^ 1


# stepnet


def test_help_and_version(stepnet):
    exit_code, out, err = stepnet("--help")
    assert (exit_code, err) == (0, "")
    for command in ("demo", "infer", "train", "evaluate", "build", "boards"):
        assert re.search(rf"^  {command} ", out, re.MULTILINE)
    assert stepnet("--version") == (0, f"stepnet {version('stepnet')}\n", "")


def test_no_words_are_a_wish_for_help(stepnet):
    assert stepnet() == stepnet("--help")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["infre"], "No such command 'infre'. Did you mean 'infer'?"),
        (["read"], "No such command 'read'; see stepnet --help."),
        (["--fast"], "No such option: --fast; see stepnet --help."),
        (["infer"], "Missing argument 'IMAGE'; see stepnet infer --help."),
        (["share"], "Missing option '--board'; see stepnet share --help."),
        (
            ["demo", "--bord", "sim"],
            "No such option: --bord (Possible options: --baud, --board); see stepnet demo --help.",
        ),
        (
            ["infer", "a.png", "--timeout"],
            "Option '--timeout' requires an argument; see stepnet infer --help.",
        ),
    ],
)
def test_wrong_usage(stepnet, arguments, sentence):
    """The words are typer's own, but for the way out."""
    assert stepnet(*arguments) == (2, "", f"stepnet: {sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "value", "option", "command"),
    [
        (["demo", "--images", "0"], "'0'", "--images", "demo"),
        (["infer", "a.png", "--timeout", "soon"], "'soon'", "--timeout", "infer"),
        (["infer", "a.png", "--timeout", "1", "--timeout=-1"], "'-1'", "--timeout", "infer"),
        (["bench", "--baud=fast", "--board", "sim"], "'fast'", "--baud", "bench"),
    ],
)
def test_a_wrong_value_is_named(stepnet, arguments, value, option, command):
    """What the value should be is in typer's words, which differ between its versions."""
    exit_code, out, err = stepnet(*arguments)
    assert (exit_code, out) == (2, "")
    assert err.startswith(f"stepnet: Invalid value {value} for {option}: ")
    assert err.endswith(f"; see stepnet {command} --help.\n")
    assert err.count("\n") == 1


def test_a_wrong_choice_is_named_once(stepnet):
    exit_code, out, err = stepnet("infer", "a.png", "--format", "xml")
    assert (exit_code, out) == (2, "")
    assert err == (
        "stepnet: Invalid value for --format: 'xml' is not one of 'text', 'jsonl', 'csv'; "
        "see stepnet infer --help.\n"
    )


# stepnet infer


def test_infer(stepnet, network, network_file, pictures):
    first, second = expected_codes(network, pictures)
    with serving(Peer(), "pty") as where:
        exit_code, out, err = stepnet(
            "infer", *pictures, "--board", where, "--network", network_file
        )
    assert (exit_code, err) == (0, "")
    assert out == (
        f"{pictures[0]}: {chr(first)!r}, code 0x{first:02x}, register {first:08b}, "
        f"margin {MARGIN}, {CYCLES} cycles, agrees with numpy\n"
        f"{pictures[1]}: {chr(second)!r}, code 0x{second:02x}, register {second:08b}, "
        f"margin {MARGIN}, {CYCLES} cycles, agrees with numpy\n"
    )


def test_infer_as_json(stepnet, network, network_file, pictures):
    codes = expected_codes(network, pictures)
    with serving(Peer(), "pty") as where:
        exit_code, out, err = stepnet(
            "infer", *pictures, "--board", where, "--network", network_file, "--json"
        )
    assert (exit_code, err) == (0, "")
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "board": where,
        "network": "scribble",
        "images": [
            {
                "path": str(path),
                "character": chr(code),
                "code": code,
                "known": True,
                "margin": MARGIN,
                "cycles": CYCLES,
                "agrees": True,
            }
            for path, code in zip(pictures, codes, strict=True)
        ],
    }


def test_infer_an_unknown_character(stepnet, network, pictures, tmp_path):
    (code,) = expected_codes(network, pictures[:1])
    other = make_network(chr(code ^ 1)).save(tmp_path / "other.npz")
    with serving(Peer(), "pty") as where:
        options = ("--board", where, "--network", other)
        _, out, _ = stepnet("infer", pictures[0], *options)
        _, json_out, _ = stepnet("infer", pictures[0], *options, "--json")
    assert out == (
        f"{pictures[0]}: unknown, code 0x{code:02x}, register {code:08b}, "
        f"margin {MARGIN}, {CYCLES} cycles, agrees with numpy\n"
    )
    (entry,) = json.loads(json_out)["images"]
    assert (entry["character"], entry["known"], entry["code"]) == (None, False, code)


def test_infer_disagrees_with_numpy(stepnet, network, network_file, pictures):
    (code,) = expected_codes(network, pictures[:1])
    with serving(Lying(), "pty") as where:
        options = ("--board", where, "--network", network_file)
        exit_code, out, err = stepnet("infer", pictures[0], *options)
        json_exit_code, json_out, _ = stepnet("infer", pictures[0], *options, "--json")
    assert (exit_code, json_exit_code, err) == (1, 1, "")
    assert out.endswith(f"{CYCLES} cycles, numpy says 0x{code:02x}\n")
    assert json.loads(json_out)["images"][0]["agrees"] is False


def test_a_path_that_the_terminal_cannot_show(network_file, pictures, tmp_path):
    strange = os.fsencode(tmp_path) + b"/\xff.png"
    pictures[0].rename(os.fsdecode(strange))
    with serving(Peer(), "pty") as where:
        done = subprocess.run(
            [*STEPNET, "infer", strange, "--board", where, "--network", network_file],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(os.fsencode(tmp_path) + b"/\\udcff.png: ")


# Bad input: one sentence, an exit code, no traceback


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        ("missing.png", "There is no picture 'missing.png'; check the path."),
        (
            "empty.png",
            "The file 'empty.png' is no picture or is damaged; "
            "give a PNG, a JPEG or another image file.",
        ),
        (
            "blank.png",
            "The picture 'blank.png' is blank: no ink differs from its border; "
            "give a character with some paper around it.",
        ),
    ],
)
def test_bad_pictures(stepnet, network_file, tmp_path, monkeypatch, image, sentence):
    monkeypatch.chdir(tmp_path)
    Path("empty.png").touch()
    Image.new("L", (50, 50), 200).save("blank.png")
    result = stepnet("infer", image, "--board", "/dev/ttyNOSUCH1", "--network", network_file)
    assert result == (2, "", f"stepnet: {sentence}\n")


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (
            "missing.npz",
            "There is no network file 'missing.npz'; name a .npz that `stepnet train` wrote, or a "
            "shipped network.",
        ),
        (
            "damaged.npz",
            "The file 'damaged.npz' is no network or is damaged; train it again or fetch a fresh "
            "copy.",
        ),
    ],
)
@pytest.mark.parametrize("command", ["infer", "demo"])
def test_bad_networks(stepnet, pictures, tmp_path, monkeypatch, command, network, sentence):
    monkeypatch.chdir(tmp_path)
    Path("damaged.npz").write_bytes(b"PK\3\4 but no more")
    images = pictures if command == "infer" else []
    result = stepnet(command, *images, "--network", network)
    assert result == (2, "", f"stepnet: {sentence}\n")


BOARD_FAULTS = {
    "silent": (
        peer.Silent,
        "The board at PORT did not answer within 0.25 s; check the port, the cable, the baud rate "
        "and that the board runs Stepnet's bitstream.",
    ),
    "stops answering": (
        lambda: peer.Falling(Request.INFER),
        "The board at PORT did not answer within 0.25 s; check the port, the cable, the baud rate "
        "and that the board runs Stepnet's bitstream.",
    ),
    "nonsense": (
        peer.Nonsense,
        "What answers at PORT does not speak Stepnet's protocol (MANY bytes came, but no whole "
        "message); check the port, the baud rate and that the board runs Stepnet's bitstream.",
    ),
    "other version": (
        lambda: peer.Claiming(protocol_version=9),
        "The board at PORT speaks protocol version 9, this stepnet version 2; upgrade stepnet.",
    ),
    "older version": (
        peer.Older,
        "The board at PORT speaks protocol version 1, this stepnet version 2; build its bitstream "
        "again.",
    ),
    "refusing": (
        lambda: peer.Refusing(Request.INFER, Refusal.PROGRAM_OVERRUN),
        "The board at PORT refused to infer an image because the loaded network has no last layer; "
        "open it again, and if that does not help, build its bitstream with this version.",
    ),
}


NEVER_ANSWERING = ("silent", "stops answering", "nonsense")


@pytest.mark.slow
@pytest.mark.parametrize("fault", BOARD_FAULTS)
@pytest.mark.parametrize("command", ["infer", "demo"])
def test_boards_that_go_wrong(stepnet, network_file, pictures, command, fault):
    make_peer, sentence = BOARD_FAULTS[fault]
    images = pictures if command == "infer" else []
    timeout = 0.25 if fault in NEVER_ANSWERING else 5
    with serving(make_peer(), "pty") as where:
        exit_code, out, err = stepnet(
            command, *images, "--board", where, "--network", network_file, "--timeout", timeout
        )
    err = re.sub(r"\d+ bytes", "MANY bytes", err.replace(repr(where), "PORT"))
    assert (exit_code, out, err) == (1, "", f"stepnet: {sentence}\n")


def test_no_board_at_the_port(stepnet, network_file):
    result = stepnet("demo", "--board", "/dev/ttyNOSUCH1", "--network", network_file)
    assert result == (
        1,
        "",
        "stepnet: There is no port '/dev/ttyNOSUCH1' and no installed board of that name; "
        "this lists the ports: stepnet boards --connected.\n",
    )


def test_a_network_that_does_not_fit(stepnet, network_file):
    small = peer.EngineShape(16, 512, 4096, 512)
    with serving(Peer(small), "pty") as where:
        result = stepnet("demo", "--board", where, "--network", network_file)
    assert result == (
        2,
        "",
        "stepnet: Network 'scribble' does not fit the engine: layer 0 has 784 inputs, the engine "
        "takes up to 512; use a smaller network or an engine of a larger shape.\n",
    )


def test_more_samples_than_there_are(stepnet, network_file):
    exit_code, out, err = stepnet("demo", "--images", "1000", "--network", network_file)
    assert (exit_code, out) == (2, "")
    shipped = len(sample_pictures())
    assert f"1000 is more than the {shipped} samples that are shipped." in err


# stepnet demo


def right_labels(network, count):
    """How many of `count` samples the random network gets right: by chance, a few."""
    shipped = sample_pictures()
    chosen = [shipped[index * len(shipped) // count] for index in range(count)]
    images = np.stack([np.asarray(Image.open(path)) for path, _ in chosen])
    codes = reference.infer(network, images).tolist()
    labels = [label for _, label in chosen]
    return codes, labels, sum(chr(c) == label for c, label in zip(codes, labels, strict=True))


def test_demo_as_json(stepnet, network, network_file):
    codes, labels, _ = right_labels(network, 10)
    assert len(set(labels)) == 10
    with serving(Peer(), "pty") as where:
        exit_code, out, err = stepnet(
            "demo", "--images", 10, "--board", where, "--network", network_file, "--json"
        )
    assert (exit_code, err) == (0, "")
    assert out.count("\n") == 1
    shown = json.loads(out)
    assert {key: value for key, value in shown.items() if key != "images"} == {
        "board": where,
        "network": "scribble",
        "clock_hz": peer.CLOCK_HZ,
    }
    assert [entry["code"] for entry in shown["images"]] == codes
    assert [entry["label"] for entry in shown["images"]] == labels
    for entry in shown["images"]:
        assert Path(entry["path"]).is_file()
        assert (entry["margin"], entry["cycles"]) == (MARGIN, CYCLES)
        assert entry["agrees"] is True
        assert entry["known"] is True
        assert entry["character"] == chr(entry["code"])


def test_demo_without_a_terminal(stepnet, network, network_file, monkeypatch):
    """Plain ASCII without colour, in rows as wide as the output."""
    monkeypatch.setenv("COLUMNS", "70")
    codes, labels, right = right_labels(network, 3)
    with serving(Peer(), "pty") as where:
        exit_code, out, err = stepnet(
            "demo", "--images", 3, "--board", where, "--network", network_file
        )
    assert (exit_code, err) == (0, "")
    assert out.isascii()
    assert "\x1b" not in out
    *rows, summary = out.splitlines()
    assert len(rows) == 2 * (14 + 3 + 1)
    assert max(len(row.rstrip()) for row in rows) > 31 + 20
    cells = [
        f"{code:08b} = {chr(code)!r}, label {label!r}"
        for code, label in zip(codes, labels, strict=True)
    ]
    assert re.split(r"\s{3,}", rows[14].rstrip()) == cells[:2]
    assert rows[14 + 18].rstrip() == cells[2]
    assert re.split(r"\s{3,}", rows[15].rstrip()) == [f"margin {MARGIN}, {CYCLES} cycles"] * 2
    assert re.split(r"\s{3,}", rows[16].rstrip()) == ["numpy agrees"] * 2
    first_picture = np.asarray(Image.open(sample_pictures()[0][0])) >= network.ink_threshold
    drawn = [row[:28] for row in rows[:14]]
    assert drawn == plain_picture(first_picture.view(np.uint8)).plain.splitlines()
    assert summary == (
        f"3 of 3 agree with numpy, {right} of 3 match their label; {CYCLES} cycles per image, "
        "26.8 us at 12 MHz."
    )


def test_demo_disagrees_with_numpy(stepnet, network, network_file):
    codes, _, _ = right_labels(network, 1)
    with serving(Lying(), "pty") as where:
        exit_code, out, err = stepnet(
            "demo", "--images", 1, "--board", where, "--network", network_file
        )
    assert (exit_code, err) == (1, "")
    assert [line.rstrip() for line in out.splitlines()[15:17]] == [
        f"margin {MARGIN}, {CYCLES} cycles",
        f"numpy says 0x{codes[0]:02x}",
    ]
    assert "\n0 of 1 agree with numpy, " in out


def test_demo_places_characters_as_the_network_learned_them(stepnet, tmp_path):
    rng = np.random.default_rng(0)
    layer = Layer(rng.choice([-1, 1], (7, 784)), rng.integers(-20, 20, 7))
    alphabet = "".join(map(chr, range(128)))
    network = Network("placed", (layer,), alphabet=alphabet, card={"data": "unipen, clean"})
    path = network.save(tmp_path / "placed.npz")
    with serving(Peer(), "pty") as where:
        _, out, _ = stepnet("demo", "--board", where, "--network", path, "--json")
    codes = [entry["code"] for entry in json.loads(out)["images"]]

    def expected(placing):
        images = [normalise(path, placing=placing) for path, _ in sample_pictures()]
        return reference.infer(network, np.stack(images)).tolist()

    assert codes == expected(Placing.UNIPEN)
    assert codes != expected(Placing.MNIST)


def test_demo_of_another_image_size(stepnet, tmp_path):
    """The samples are scaled to what the network takes."""
    rng = np.random.default_rng(0)
    layer = Layer(rng.choice([-1, 1], (7, 15 * 11)), np.zeros(7, int))
    alphabet = "".join(map(chr, range(128)))
    network = Network("odd", (layer,), 15, 11, alphabet=alphabet).save(tmp_path / "odd.npz")
    with serving(Peer(), "pty") as where:
        exit_code, out, _ = stepnet("demo", "--board", where, "--network", network, "--images", 1)
    assert exit_code == 0
    assert len(out.splitlines()) == 8 + 3 + 1 + 1


def in_a_terminal(*command, **environment):
    """What `command` writes to a terminal, and its exit code."""
    terminal, other_side = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=other_side,
        stdout=other_side,
        stderr=other_side,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(other_side)
    written = b""
    while True:
        try:
            written += os.read(terminal, 65536)
        except OSError:  # the terminal's last user is gone
            break
    os.close(terminal)
    return written.decode(), process.wait()


@pytest.mark.parametrize("no_color", ["", "1"])
def test_demo_in_a_terminal(network_file, no_color):
    with serving(Peer(), "pty") as where:
        arguments = ("demo", "--images", "1", "--board", where, "--network", network_file)
        written, exit_code = in_a_terminal(
            *STEPNET, *arguments, NO_COLOR=no_color, COLORTERM="truecolor"
        )
    assert exit_code == 0
    assert ("\N{UPPER HALF BLOCK}" in written) == (not no_color)
    assert ("\x1b[38;2;" in written) == (not no_color)
    assert "1 of 1 agree with numpy" in written


def test_plain_picture():
    bits = np.array([[0, 1, 0, 1], [0, 0, 1, 1], [1, 0, 1, 0]], np.uint8)
    assert plain_picture(bits).plain == " '.#\n' ' \n"


def test_grey_picture():
    text = grey_picture(np.array([[0, 255], [128, 1], [7, 8]], np.uint8))
    assert text.plain == "\N{UPPER HALF BLOCK}" * 2 + "\n" + "\N{UPPER HALF BLOCK}" * 2 + "\n"
    shades = [(span.style.color.triplet.red, span.style.bgcolor.triplet.red) for span in text.spans]
    assert shades == [(0, 128), (255, 1), (7, 0), (8, 0)]


def test_progress_without_a_terminal(capsys):
    with Progress() as progress:
        progress("Building")
        progress("Starting [not markup]")
    assert capsys.readouterr() == ("", "Building.\nStarting [not markup].\n")


def test_progress_in_a_terminal():
    program = (
        "import time\n"
        "from stepnet.cli.output import Progress\n"
        "with Progress() as progress:\n"
        "    progress('Building [not markup]')\n"
        "    time.sleep(0.2)\n"
    )
    written, exit_code = in_a_terminal(sys.executable, "-c", program)
    assert exit_code == 0
    assert written.endswith("\nBuilding [not markup].\r\n") or written.endswith(
        "\x1b[2KBuilding [not markup].\r\n"
    )
    assert written.count("Building [not markup]") > 1


# Processes


def test_ctrl_c_ends_at_once(network_file):
    board_peer = peer.Silent()
    with serving(board_peer, "pty") as where:
        process = subprocess.Popen(
            [*STEPNET, "demo", "--board", where, "--network", network_file, "--timeout", "60"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        give_up = time.monotonic() + 20
        while not board_peer.heard and time.monotonic() < give_up:
            time.sleep(0.05)
        assert board_peer.heard
        assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert time.monotonic() - start < 2
    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize("command", ["infer", "demo"])
def test_a_closed_pipe_is_no_error(network_file, pictures, command):
    """Whether it shows while the command still runs, or when the last output is flushed."""
    images = pictures if command == "infer" else []
    environment = dict(os.environ)
    environment.pop("PYTHONUNBUFFERED", None)
    with serving(Peer(), "pty") as where:
        process = subprocess.Popen(
            [*STEPNET, command, *images, "--board", where, "--network", network_file],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(20) == 1
    assert err == ""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_disk_behind_the_output_is_one_sentence(stream):
    """And Python does not add that it could not write the rest."""
    with Path("/dev/full").open("w") as full:
        words = [*STEPNET, "networks", *(["absent"] if stream == "stderr" else [])]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: full}
        done = subprocess.run(words, **streams, text=True, check=False)
    assert done.returncode == 2
    if stream == "stdout":
        assert done.stderr == (
            "stepnet: The system refused to go on (No space left on device); make sure that the "
            "disk is not full and that you may use what you named.\n"
        )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(closed, tmp_path):
    """Nor does a file take its place."""
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *STEPNET, "networks", "digits"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("digits\n") != (">&-" in closed and closed != "2>&-")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(28, "No space left on device", "/some/file"),
            "The system refused to go on at '/some/file' (No space left on device); make sure "
            "that the disk is not full and that you may use what you named.",
        ),
        (
            MemoryError(),
            "This machine has not enough memory for that; give it less at a time.",
        ),
    ],
)
def test_what_the_system_refuses_is_one_sentence(stepnet, monkeypatch, error, sentence):
    def fail(name):
        raise error

    monkeypatch.setattr("stepnet.networks.shipped.load_any_network", fail)
    monkeypatch.setattr("stepnet.networks.shipped.load_network", fail)
    assert stepnet("networks", "digits") == (2, "", f"stepnet: {sentence}\n")


# What other packages add


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package "acme" with a command `launch`; gives a function that installs it."""

    def install(source):
        folder = tmp_path / "site"
        metadata = folder / "acme-1.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(
            "[stepnet.commands]\nlaunch = acme_commands:launch\n"
        )
        (folder / "acme_commands.py").write_text(source)
        monkeypatch.syspath_prepend(folder)

    yield install
    sys.modules.pop("acme_commands", None)


def test_a_command_that_a_package_brings(package, stepnet):
    package("def launch(times: int = 1):\n    print('lift-off ' * times)\n")
    assert stepnet("launch", "--times", 2) == (0, "lift-off lift-off \n", "")


def test_a_command_that_cannot_be_loaded(package, stepnet):
    package("1 / 0")
    assert stepnet("--version") == (
        0,
        f"stepnet {version('stepnet')}\n",
        "stepnet: The command 'launch' of acme cannot be loaded (ZeroDivisionError: division by "
        "zero); upgrade or uninstall that package.\n",
    )


def test_a_missing_extra(package, stepnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    package("def launch():\n    import torch\n")
    assert stepnet("launch") == (
        3,
        "",
        "stepnet: This needs the package torch, which is not installed; "
        'install it with: pip install "stepnet[train]".\n',
    )


def test_an_error_in_the_program_is_not_hidden(package, stepnet):
    package("def launch():\n    import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        stepnet("launch")
