"""`stepnet infer` on many pictures: folders, stdin, formats, lines of text, pictures that fail."""

import csv
import dataclasses
import io
import json
import os
import pty
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from peer import CYCLES, MARGIN, Peer, reading, serving
from stepnet import Layer, cli
from stepnet.boards.board import Reading
from stepnet.cli.infer import BATCH_S
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.link import messages as protocol
from stepnet.link.messages import Request
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.pictures import steps as picture_steps
from stepnet.pictures.picture import normalise
from stepnet.pictures.text_line import read_text
from stepnet.samples import sample_pictures

NETWORK = load_network("digits")
STEPNET = (sys.executable, "-m", "stepnet")


class Lying(Peer):
    """A board that gets the last bit of every code wrong."""

    def code(self, image):
        return super().code(image) ^ 1


def enough(peer):
    """One that has room for the digits network."""
    return peer(EngineShape(64, 1024, 4096, 512))


@pytest.fixture
def infer(monkeypatch, capsys):
    """Run `stepnet infer` on a board; gives exit code, stdout and stderr."""

    def run(*arguments, stdin=b"", peer=Peer):
        with serving(enough(peer), "pty") as where:
            words = ["stepnet", "infer", *map(str, arguments), "--board", where]
            monkeypatch.setattr(sys, "argv", words)
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
            with pytest.raises(SystemExit) as left:
                cli.main()
        captured = capsys.readouterr()
        return left.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def folder(tmp_path):
    """Three pictures, b before c before d, and a file that is none; the names of the pictures."""
    (tmp_path / "a.txt").write_text("no picture")
    for name, (path, _) in zip("bcd", sample_pictures()[::9], strict=False):
        Image.open(path).save(tmp_path / f"{name}.png")
    return tmp_path


def code(path):
    return int(reference.infer(NETWORK, normalise(path)[np.newaxis])[0])


def line(path, name=None):
    read = code(path)
    character = repr(chr(read)) if chr(read) in NETWORK.alphabet else "unknown"
    return (
        f"{name or path}: {character}, code 0x{read:02x}, register {read:08b}, "
        f"margin {MARGIN}, {CYCLES} cycles, agrees with numpy\n"
    )


def pictures_in(folder):
    return [folder / f"{name}.png" for name in "bcd"]


def test_the_pictures_of_a_folder_in_order(infer, folder):
    first, *_ = sample_pictures()[5]
    result = infer(first, folder)
    assert result == (0, line(first) + "".join(map(line, pictures_in(folder))), "")


def test_a_picture_on_stdin(infer, folder):
    path = folder / "c.png"
    assert infer("-", path, stdin=path.read_bytes()) == (0, line(path, "-") + line(path), "")


def test_what_comes_on_stdin_and_is_no_picture(infer):
    assert infer("-", stdin=b"text") == (
        2,
        "",
        "stepnet: The file '-' is no picture or is damaged; "
        "give a PNG, a JPEG or another image file.\n",
    )


def test_pictures_that_fail_are_named_and_the_others_go_on(infer, folder):
    Image.new("L", (40, 40), 200).save(folder / "bb.png")
    missing, empty = folder / "missing.png", folder / "empty"
    empty.mkdir()
    exit_code, out, err = infer(missing, folder, empty)
    assert (exit_code, out) == (2, "".join(map(line, pictures_in(folder))))
    assert sorted(err.splitlines()) == sorted(
        [
            f"stepnet: There is no picture {str(missing)!r}; check the path.",
            f"stepnet: The picture {str(folder / 'bb.png')!r} is blank: no ink differs from its "
            "border; give a character with some paper around it.",
            f"stepnet: The folder {str(empty)!r} holds no picture; name one with PNG, JPEG or "
            "other image files in it.",
        ]
    )


def test_a_folder_that_may_not_be_read(infer, folder, request):
    (folder / "locked").mkdir(mode=0)
    request.getfixturevalue("modes_count")
    exit_code, out, err = infer(folder / "locked")
    assert (exit_code, out) == (2, "")
    assert err == (
        f"stepnet: What is at {str(folder / 'locked')!r} cannot be seen (Permission denied); "
        "name pictures and folders that you may read.\n"
    )


def test_a_board_that_disagrees_weighs_more_than_a_picture_that_fails(infer, folder):
    exit_code, out, err = infer(folder / "missing.png", folder / "b.png", peer=Lying)
    assert exit_code == 1
    assert out.endswith(f"numpy says 0x{code(folder / 'b.png'):02x}\n")
    assert err.startswith("stepnet: There is no picture")


def test_json_lines(infer, folder):
    exit_code, out, _ = infer(folder, "--format", "jsonl")
    assert exit_code == 0
    assert [json.loads(each) for each in out.splitlines()] == [
        {
            "path": str(path),
            "character": chr(code(path)) if chr(code(path)) in NETWORK.alphabet else None,
            "code": code(path),
            "known": chr(code(path)) in NETWORK.alphabet,
            "margin": MARGIN,
            "cycles": CYCLES,
            "agrees": True,
        }
        for path in pictures_in(folder)
    ]


def test_a_reading_with_too_small_a_margin_is_unknown(infer, folder):
    path = folder / "b.png"
    unsure = line(path).replace(repr(chr(code(path))), "unknown")
    assert infer(path, "--min-margin", MARGIN) == (0, line(path), "")
    assert infer(path, "--min-margin", MARGIN + 1) == (0, unsure, "")
    assert "unknown" in unsure


def test_pipelines_tell_no_margin(infer, folder):
    exit_code, out, err = infer(folder, "--network", "digits-lut", "--min-margin", 3)
    assert (exit_code, out) == (2, "")
    assert err == (
        "stepnet: Invalid value for --min-margin: boards tell no margin for networks of look-up "
        "tables such as 'digits-lut'; leave it out.\n"
    )


def test_csv(infer, folder):
    exit_code, out, _ = infer(folder, "--format", "csv")
    assert exit_code == 0
    assert out.splitlines()[0] == "path,character,code,known,margin,cycles,agrees"
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["path"] for row in rows] == list(map(str, pictures_in(folder)))
    assert [int(row["code"]) for row in rows] == list(map(code, pictures_in(folder)))
    assert [int(row["margin"]) for row in rows] == [MARGIN] * 3


def test_more_pictures_than_are_kept_at_once(infer, folder):
    paths = pictures_in(folder) * 30
    exit_code, out, _ = infer(*paths)
    assert (exit_code, out) == (0, "".join(map(line, paths)))


# Lines of characters


@pytest.fixture
def written(tmp_path):
    """A line of samples with a space in it, and its text as the reference reads it."""
    images = [np.asarray(Image.open(path)) for path, _ in sample_pictures()[::4]][:5]
    parts = [np.pad(each[:, np.flatnonzero(each.any(axis=0))], 4) for each in images]
    page = np.pad(np.hstack([*parts[:2], np.zeros((36, 20), np.uint8), *parts[2:]]), 12)
    path = tmp_path / "line.png"
    Image.fromarray(page).save(path)

    def infer_many(images):
        for image in images:
            code = int(reference.infer(NETWORK, image[np.newaxis])[0])
            yield Reading(chr(code), code, True, 0, 0)

    return path, str(read_text(infer_many, path, NETWORK))


def test_a_line_of_text(infer, written):
    path, text = written
    assert len(text) == 6
    assert text[2] == " "
    assert infer(path, "--text") == (
        0,
        f"{path}: {text!r}, 5 characters, margin {MARGIN} or more, all agree with numpy\n",
        "",
    )
    exit_code, out, _ = infer(path, "--text", peer=Lying)
    assert exit_code == 1
    assert out.endswith(f", 5 characters, margin {MARGIN} or more, 5 disagree with numpy\n")


def test_a_line_of_text_for_programs(infer, written):
    path, text = written
    _, out, _ = infer(path, "--text", "--format", "jsonl")
    result = json.loads(out)
    assert (result["path"], result["text"], result["agrees"]) == (str(path), text, True)
    assert [each["character"] for each in result["characters"]] == list(text.replace(" ", ""))
    assert [each["after_space"] for each in result["characters"]] == [False] * 2 + [True] + [
        False
    ] * 2
    lefts = [each["box"][0] for each in result["characters"]]
    assert lefts == sorted(lefts)
    _, out, _ = infer(path, "--text", "--json")
    assert json.loads(out)["images"] == [result]
    _, out, _ = infer(path, "--text", "--format", "csv")
    assert out == f"path,text,margin,agrees,characters\n{path},{text},{MARGIN},True,5\n"


class Wavering(Peer):
    """Is less sure of each image than of the one before."""

    def answer(self, payload):
        if payload[0] != Request.INFER:
            return super().answer(payload)
        self.requests.append(Request.INFER)
        number = self.requests.count(Request.INFER)
        code = self.code(payload[protocol.INFER.size :])
        return reading(protocol.HEADER.unpack(payload)["sequence"], code, 300_000 - number)


def test_a_line_is_as_sure_as_its_least_sure_character(infer, written):
    path, text = written
    _, out, _ = infer(path, "--text", peer=Wavering)
    assert out == (f"{path}: {text!r}, 5 characters, margin 299995 or more, all agree with numpy\n")
    _, out, _ = infer(path, "--text", "--format", "jsonl", peer=Wavering)
    result = json.loads(out)
    assert result["margin"] == 299_995
    assert [each["margin"] for each in result["characters"]] == [
        299_999,
        299_998,
        299_997,
        299_996,
        299_995,
    ]


# The steps


@pytest.mark.parametrize("options", [[], ["--text"]])
def test_steps_are_drawn(infer, written, tmp_path, options):
    path = written[0] if options else sample_pictures()[0][0]
    drawing = tmp_path / "steps.png"
    exit_code, _, err = infer(path, "--steps", drawing, *options)
    assert (exit_code, err) == (0, "")
    picture = np.asarray(Image.open(drawing))
    assert picture.shape[2] == 3
    red = (picture[..., 0].astype(int) - picture[..., 1]) > 100
    assert red.any(axis=1).sum() > 20


@pytest.mark.parametrize(
    ("angle", "lies"),
    [(0, "as it lies"), (6, "level (it climbed by "), (-6, "level (it fell by ")],
)
def test_the_steps_of_a_line_say_what_was_found(infer, written, tmp_path, monkeypatch, angle, lies):
    path, text = written
    Image.open(path).rotate(angle, expand=True, resample=3).save(path)
    captions = []
    monkeypatch.setattr(
        picture_steps, "_write", lambda picture, place, caption: captions.append(caption)
    )
    assert infer(path, "--text", "--steps", tmp_path / "steps.png")[0] == 0
    assert "3 What is left: the ink" in captions
    (found,) = [caption for caption in captions if caption.startswith("4 ")]
    assert found.startswith(f"4 The line, {lies}")
    assert found.endswith("pixels high; 5 characters, 1 space")
    for character in text.replace(" ", ""):
        assert character in captions


def test_steps_of_one_picture_only(infer, folder):
    exit_code, out, err = infer(folder, "--steps", folder / "steps.png")
    assert (exit_code, out) == (2, "")
    assert err.endswith(
        "Invalid value for --steps: 3 pictures have no one drawing; name one picture.\n"
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "absent/steps.png",
            "no file can be made in 'absent'; name a file in a folder that exists and is writable.",
        ),
        (
            "steps.jpg",
            "drawings are PNG files, but 'steps.jpg' ends otherwise; name a file that ends in "
            ".png.",
        ),
        ("folder.png", "'folder.png' is a folder; name a file that ends in .png."),
    ],
)
def test_steps_that_cannot_be_written(infer, folder, monkeypatch, name, sentence):
    monkeypatch.chdir(folder)
    (folder / "folder.png").mkdir()
    exit_code, out, err = infer("b.png", "--steps", name)
    assert (exit_code, out) == (2, "")
    assert err.endswith(f"Invalid value for --steps: {sentence}\n")


def test_no_name_is_no_folder(infer, folder, monkeypatch):
    """As from a shell variable that is not set; the current folder is `.`."""
    monkeypatch.chdir(folder)
    assert infer("", "b.png") == (
        2,
        line("b.png"),
        "stepnet: A picture without a name cannot be read; give its path.\n",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "lines"), [([], 2), (["--format", "jsonl"], 2), (["--format", "csv"], 3)]
)
def test_what_is_read_does_not_wait_for_slow_pictures(folder, monkeypatch, options, lines):
    """Nor in the buffer of a pipe."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    content = (folder / "b.png").read_bytes()
    slow, slower = folder / "slow.png", folder / "slower.png"
    os.mkfifo(slow)
    os.mkfifo(slower)
    with serving(enough(Peer), "pty") as where:
        words = [*STEPNET, "infer", folder / "b.png", slow, slower, "--board", where, *options]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        hung = threading.Timer(20, process.kill)
        hung.start()
        with slow.open("wb") as end:
            time.sleep(2 * BATCH_S)
            end.write(content)
        # Nobody writes to the last one until the lines of the others are there.
        written = [process.stdout.readline() for _ in range(lines)]
        assert "slow.png" in written[-1]
        slower.write_bytes(content)
        rest = process.stdout.read()
        process.stdout.close()
        assert process.wait() == 0
        hung.cancel()
    assert rest.count("\n") == 1


def test_json_has_one_format(infer, folder):
    exit_code, out, err = infer(folder, "--json", "--format", "csv")
    assert (exit_code, out) == (2, "")
    assert err.endswith(
        "Invalid value for --format: --json is one object, and --format csv a line for each "
        "picture; give one of them.\n"
    )


def test_a_terminal_shows_how_far_it_is(folder):
    """The bar is on stderr; what goes into a file or a pipe stays clean."""
    terminal, other_end = pty.openpty()
    with serving(enough(Peer), "pty") as where:
        words = [*STEPNET, "infer", str(folder), "--board", where]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=other_end, env={**os.environ, "TERM": "xterm"}
        )
        out = process.stdout.read()
        os.close(other_end)
        shown = b""
        try:
            while chunk := os.read(terminal, 4096):
                shown += chunk
        except OSError:
            pass  # how a terminal says that its other end is closed
        process.stdout.close()
        assert process.wait() == 0
    os.close(terminal)
    assert b"3/3" in shown
    assert out.decode() == "".join(map(line, pictures_in(folder)))


@pytest.mark.parametrize("option", ["--steps", "--schedule"])
def test_no_output_takes_the_place_of_a_picture(infer, folder, monkeypatch, option):
    monkeypatch.chdir(folder)
    before = Path("b.png").read_bytes()
    Path("link.png").symlink_to("b.png")
    for name in ("b.png", "./b.png", "link.png"):
        exit_code, out, err = infer("b.png", option, name)
        assert (exit_code, out) == (2, "")
        assert err == (
            f"stepnet: Invalid value for {option}: the file {str(Path(name))!r} is what is to be "
            "read; name another one.\n"
        )
    assert Path("b.png").read_bytes() == before


def test_two_outputs_in_one_place(infer, folder, monkeypatch):
    monkeypatch.chdir(folder)
    exit_code, _, err = infer("b.png", "--steps", "new.png", "--schedule", "new.png")
    assert exit_code == 2
    assert "the file 'new.png' is --steps too; name another one." in err


def test_what_a_folder_holds_of_other_formats_is_left_out(infer, folder):
    for name in ("a.eps", "a.pdf", "a.ico"):
        (folder / name).write_bytes(b"%!PS")
    os.mkfifo(folder / "pipe.png")
    exit_code, out, err = infer(folder)
    assert (exit_code, err) == (0, "")
    assert out == "".join(map(line, pictures_in(folder)))


# The network that a board holds


def test_the_network_that_the_board_holds_is_kept_or_named(monkeypatch, capsys):
    path, character = sample_pictures()[0]

    def run(where, network):
        words = ["stepnet", "infer", str(path), "--board", where, "--network", network]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    with serving(Peer(EngineShape(64, 1024, 16384, 2048))) as where:
        code, _, stderr = run(where, "held")
        assert (code, stderr) == (
            1,
            f"stepnet: The board at {where!r} holds no network; name one for it: a shipped one, or "
            "a .npz file.\n",
        )
        assert run(where, "digits")[2] == ""
        code, stdout, stderr = run(where, "held")
        assert (code, stderr) == (0, "")
        assert f"'{character}'" in stdout
        code, _, stderr = run(where, "letters")
        assert stderr == f"Loading 'letters' over 'digits', which the board at {where!r} held.\n"


def test_a_network_of_ones_own_is_kept_by_its_file(monkeypatch, capsys, tmp_path):
    """Nothing is loaded: its alphabet comes from the file, whose digest the board has."""
    path, character = sample_pictures()[0]
    first, *others = NETWORK.layers
    first = Layer(first.weights, first.thresholds + 1)
    own = dataclasses.replace(NETWORK, name="own", layers=(first, *others))
    file = str(own.save(tmp_path / "own.npz"))

    def run(where, network):
        words = ["stepnet", "infer", str(path), "--board", where, "--network", network]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    with serving(Peer(EngineShape(64, 1024, 16384, 2048))) as where:
        assert run(where, file)[0] == 0
        code, stdout, stderr = run(where, f"held:{file}")
        assert (code, stderr) == (0, "")
        assert f"'{character}'" in stdout
        code, _, stderr = run(where, "held")
        digest = memory_image(own, EngineShape(64, 1024, 16384, 2048)).digest
        assert (code, stderr) == (
            1,
            f"stepnet: The board at {where!r} holds a network that does not come with Stepnet "
            f"(digest {digest:08x}), and that alone does not tell its alphabet; name its .npz "
            "file, which is not loaded again if the board holds it.\n",
        )
        assert run(where, "digits")[0] == 0
        code, _, stderr = run(where, f"held:{file}")
        assert (code, stderr) == (
            1,
            f"stepnet: The board at {where!r} holds network 'digits', not 'own'; read with that by "
            f"--network held, or load 'own' with --network {file}.\n",
        )
