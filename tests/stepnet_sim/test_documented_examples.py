"""Every block of commands and of Python in README and docs does what it says.

A block runs as it stands, in a folder with the files that it names. Where it names a serial port,
the virtual board is behind one. What cannot run here says so in the first line of its block, as in
```sh needs-board```.
"""

import ast
import asyncio
import contextlib
import functools
import importlib
import inspect
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepnet import cli
from stepnet.data.sets import UNIPEN_FILE
from stepnet.formats.nir_file import write_nir
from stepnet.formats.qonnx_export import write_qonnx
from stepnet.networks.network import Layer
from stepnet.networks.shipped import load_network
from stepnet.networks.spiking import SpikingLayer, SpikingNetwork
from stepnet.samples import sample_pictures
from stepnet_hdl.flow import build
from stepnet_hdl.flow.cache import BuildCache
from stepnet_sim.chips.verilated import missing_compiler

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

MARKS = {"needs-board", "needs-internet", "needs-machines", "needs-service", "takes-hours"}
"""Why a block may be left out."""

INSTALLING = ("pip install", "make ")
"""How lines begin that whoever runs this has been through."""

LEFT_OUT = {"verify": "takes half an hour in all, and each of its levels has tests of its own"}
"""Commands by name, and why they do not run here."""

SERVING = {"sim", "share", "web", "serve"}
READY = "Ctrl-C ends it"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    marks: frozenset[str]
    text: str
    printed: str | None
    """What the page says that a block of Python prints: the block after the word `prints`."""

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(page):
    text = page.read_text()
    found = list(re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.M))
    for block, after in zip_longest(found, found[1:]):
        language, *marks = block[1].split() or [""]
        prints = after is not None and text[block.end() : after.start()].strip() == "prints"
        line = text.count("\n", 0, block.start()) + 2
        printed = after[2] if prints else None
        yield Block(page.name, line, language, frozenset(marks), block[2], printed)


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUNNING = [block for block in BLOCKS if not block.marks]


def commands_of(block):
    """The lines of a block of commands that run here, without their comments."""
    lines = [line.partition("  #")[0].strip() for line in block.text.splitlines()]
    lines = [line for line in lines if not line.startswith(INSTALLING)]
    return [line for line in lines if not LEFT_OUT.keys() & set(line.split()[1:2])]


def test_what_is_left_out_says_why():
    assert sum(len(commands_of(block)) for block in RUNNING if block.language == "sh") > 30
    for block in BLOCKS:
        assert block.marks <= MARKS, block
        assert block.language in ("sh", "python", "text", "mermaid", ""), block
    for page in PAGES:  # a block that is only indented would not run
        outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
        assert not re.search(r"^    (stepnet|python|pip|from|import) ", outside, re.M), page


NAMES = sorted(
    {
        name
        for page in PAGES
        for name in re.findall(
            r"(?<![\w./-])stepnet(?:_hdl|_sim)?(?:\.[A-Za-z_]\w*)+", page.read_text()
        )
        if not name.endswith((".bin", ".bit", ".npz", ".log", ".commands", ".recorders"))
    }
)
"""Dotted names of modules and of what is in them."""


@pytest.mark.parametrize("name", NAMES)
def test_names_on_the_pages_exist(name):
    parts = name.split(".")
    found, rest = importlib.import_module(parts[0]), parts[1:]
    for number, part in enumerate(rest, 2):
        if not hasattr(found, part):
            found = importlib.import_module(".".join(parts[:number]))
        else:
            found = getattr(found, part)


@pytest.fixture(scope="module")
def port():
    """The virtual board at a terminal device."""
    with serving("stepnet sim --pty") as process:
        yield re.search(r"is at (\S+);", process.said)[1]


@contextlib.contextmanager
def serving(command, **environment):
    """Run a command until Ctrl-C; `said` is what it printed until it was ready."""
    words = [sys.executable, "-m", *shlex.split(command)]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        process.said = process.stdout.readline()
        while READY not in process.said:
            line = process.stdout.readline()
            assert line, (command, process.said)
            process.said += line
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130, command


@pytest.fixture
def folder(tmp_path, monkeypatch, sample_data, made_once):
    """The files that the pages name."""
    monkeypatch.chdir(tmp_path)
    builds = made_once("builds", lambda folder: None)
    monkeypatch.setattr(build, "BuildCache", functools.partial(BuildCache, builds))
    pictures = [Image.open(path).resize((280, 280)) for path, _ in sample_pictures()]
    seven = pictures[14]
    for name in ("seven.png", "seven.jpg", "my_seven.png"):
        seven.save(name)
    Path("photos").mkdir()
    for number in (2, 6):
        pictures[number].save(f"photos/{number}.png")
    Path("handwriting").mkdir()
    for path, _ in sample_pictures():
        shutil.copy(path, "handwriting")
    line = np.hstack([np.pad(np.asarray(picture), 40) for picture in pictures[:6:2]])
    Image.fromarray(255 - line).save("note.jpg")
    Path("drawings").mkdir()
    shutil.copy(sample_data / UNIPEN_FILE, "drawings/drawings-28x28-unipen.npz")
    for name in ("my.npz", "mine.npz"):
        load_network("digits").save(name)
    write_qonnx(load_network("digits"), "network.onnx")
    write_nir(small_spiking_network(), "network.nir")
    (sweep, *_) = [block.text for block in BLOCKS if block.page == "sweeps.md"]
    Path("capacity.toml").write_text(sweep)
    Path("examples").symlink_to(REPOSITORY / "examples")
    return tmp_path


def small_spiking_network():
    """Of 28 x 28 pixels; its neurons count ink."""
    step = Layer(np.ones((10, 784), np.int8), np.full(10, 20, np.int32))
    layer = SpikingLayer(step, np.zeros(10, np.int32), 1, 0)
    return SpikingNetwork("ink", (layer,), readout="nearest", ticks=2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "block",
    [block for block in RUNNING if block.language == "sh" and commands_of(block)],
    ids=str,
)
def test_commands(block, port):
    for line in commands_of(block):
        line = re.sub(r":(4000|808\d)\b", lambda _: f":{free_port()}", line)
        run(line.replace("/dev/ttyUSB1", port))


def run(line):
    """Run one line to its end, or until it serves; it has to end well."""
    words = shlex.split(line)
    with pytest.MonkeyPatch.context() as patch:
        if "|" in words:
            programs = Path(sys.executable).parent
            patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
            subprocess.run(["sh", "-c", line], check=True, stdout=subprocess.DEVNULL)
            return
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            patch.setenv(name, value)
            if name == "PYTHONPATH":
                patch.syspath_prepend(value)
        assert words[0] == "stepnet", line
        if words[1] in SERVING and "--export" not in words:
            with serving(shlex.join(words)):
                return
        patch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code, line


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "block", [block for block in RUNNING if block.language == "python"], ids=str
)
def test_python(block, port):
    text = block.text.replace("/dev/ttyUSB1", port).replace("socket://lab:4000", "sim")
    images = np.stack([np.asarray(Image.open(path)) for path, _ in sample_pictures()[:3]])
    import stepnet

    known = {"stepnet": stepnet, "images": list(images), "image": images[0], "__name__": "example"}
    code = compile(text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        waited_for = eval(code, known)
        if inspect.iscoroutine(waited_for):
            asyncio.run(waited_for)
    if block.printed is not None:
        assert printed.getvalue() == block.printed
