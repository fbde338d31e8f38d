"""What goes wrong with files, disks, folders and commands, for `fault_campaign`."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
from PIL import Image

from stepnet.errors import StepnetError
from stepnet.networks.network import Layer, Network
from stepnet_hdl.flow.build import FIGURES
from stepnet_hdl.flow.cache import Cache
from stepnet_hdl.flow.delivery import Delivery, keep_log
from stepnet_hdl.flow.report import BuildReport

COMMAND_S = 120.0

SENTENCE = re.compile(r"stepnet: [^\n]*\.\n")

ESCAPE = "\x1b]0;owned\x07\x1b[2J"

SLEEPING_BUILD = """
import sys
from pathlib import Path
from stepnet_hdl.flow.cache import Cache
from stepnet.programs import run_program

def fill(folder):
    run_program(["sh", "-c", f"echo $$ > {sys.argv[2]}; exec sleep 1000"])

Cache(Path(sys.argv[1])).add("0123", fill)
"""


class FileFaults:
    """Faults of files and commands, in `folder`, which is made."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self._folder = folder
        self._draw = draw
        self._number = 0
        folder.mkdir()
        self._programs = folder / "programs"
        self._programs.mkdir()
        self._canary = folder / "executed"
        script = self._programs / "gs"
        script.write_text(f"#!/bin/sh\necho run > '{self._canary}'\n")
        script.chmod(0o755)

    def kinds(self) -> dict[str, Callable[[], list[str]]]:
        """All of them by name."""
        return {
            "a pipe for a file": self._pipe,
            "a device for a file": self._device,
            "a program for a picture": self._postscript,
            "an archive that fills the memory": self._bomb,
            "names that a terminal obeys": self._escape,
            "a full disk": self._full_disk,
            "output that cannot be written": self._full_output,
            "a training that is killed": self._kill_training,
            "a build that is killed": self._kill_build,
            "a damaged cache": self._damage_cache,
            "a cache of somebody else": self._foreign_cache,
            "a build into a folder of the user's": self._build_into,
        }

    def _new(self) -> Path:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        return folder

    def _refused(self, *words: str, shell: str = "") -> list[str]:
        """Run a command that has to end with one sentence."""
        environment = {
            **os.environ,
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "stepnet", *words]
        if shell:
            command = ["sh", "-c", f'{shell} exec "$@"', "sh", *command]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        broken: list[str] = []
        if done.returncode != 2:
            broken.append(f"exit code {done.returncode}")
        if not SENTENCE.fullmatch(done.stderr) or not done.stderr[:-1].isprintable():
            broken.append(f"no sentence: {done.stderr[-300:]!r}")
        if self._canary.exists():
            broken.append("a foreign program was run")
        return broken

    def _pipe(self) -> list[str]:
        path = self._new() / "pipe.npz"
        os.mkfifo(path)
        command = self._draw.choice((["networks"], ["evaluate", "digits", "--data"]))
        return self._refused(*command, str(path))

    def _device(self) -> list[str]:
        return self._refused(*self._draw.choice((["infer"], ["networks"])), "/dev/zero")

    def _postscript(self) -> list[str]:
        path = self._new() / "seven.png"
        path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
        return self._refused("infer", str(path))

    def _bomb(self) -> list[str]:
        path = self._new() / "bomb.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("weights_0", "images", "labels"):
                with archive.open(f"{name}.npy", "w") as member:
                    array = io.BytesIO()
                    np.lib.format.write_array(array, np.zeros(1, np.uint8))
                    member.write(array.getvalue().replace(b"(1,)", b"(99000000,)"))
                    for _ in range(100):
                        member.write(bytes(1 << 20))
        limited = "ulimit -v 4000000;"
        if self._draw.random() < 0.5:
            return self._refused("networks", str(path), shell=limited)
        return self._refused("evaluate", "digits", "--data", str(path), shell=limited)

    def _escape(self) -> list[str]:
        layer = Layer(np.ones((7, 4), dtype=int), np.zeros(7, dtype=int))
        network = Network(f"name{ESCAPE}", (layer,), 2, 2, card={f"k{ESCAPE}": f"v{ESCAPE}"})
        path = network.save(self._new() / f"{ESCAPE}.npz")
        words = [sys.executable, "-m", "stepnet", "networks", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        shown = (done.stdout + done.stderr).replace("\n", "")
        return [] if shown.isprintable() and not done.returncode else ["it was passed on"]

    def _training(self, folder: Path) -> list[str]:
        """The words of a short training there."""
        data = folder / "data.npz"
        if not data.exists():
            draw = np.random.default_rng(0)
            images = draw.integers(0, 256, (4000, 28, 28), dtype=np.uint8)
            np.savez(data, images=images, labels=np.array([48, 49] * 2000))
        words = f"train --rule delta --hidden 24 --epochs 6 --data {data} --name n".split()
        return [*words, "--run", str(folder / "run"), "--output", str(folder / "n.npz")]

    def _full_disk(self) -> list[str]:
        folder = self._new()
        (folder / "notes.txt").write_text("mine")
        words = self._training(folder)
        broken = self._refused_after_progress(words, shell="ulimit -f 20;")
        left = {path.name for path in folder.rglob("*") if path.is_file()}
        allowed = {"notes.txt", "data.npz", "config.json", "log.jsonl"}
        return broken + ([f"left {left - allowed}"] if left - allowed else [])

    def _refused_after_progress(self, words: list[str], shell: str) -> list[str]:
        """As `_refused`, of a command that shows first how far it is."""
        command = ["sh", "-c", f'{shell} exec "$@"', "sh", sys.executable, "-m", "stepnet", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        last = done.stderr.splitlines(keepends=True)[-1:]
        sentence = bool(last) and SENTENCE.fullmatch(last[0])
        if done.returncode == 2 and sentence and "Traceback" not in done.stderr:
            return []
        return [f"exit code {done.returncode}, {done.stderr[-300:]!r}"]

    def _full_output(self) -> list[str]:
        return self._refused("networks", shell="exec >/dev/full;")

    def _kill_training(self) -> list[str]:
        """At any moment; the same command goes on, to the same network."""
        folder = self._new()
        words = [sys.executable, "-m", "stepnet", *self._training(folder)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
            time.sleep(self._draw.uniform(0.3, 2.5))
            first.kill()
        if not (folder / "n.npz").exists():
            again = subprocess.run(words, capture_output=True, text=True, check=False)
            if again.returncode:
                return [f"it did not go on: {again.stderr[-300:]!r}"]
        digest = hashlib.sha256(Network.load(folder / "n.npz").layers[0].weights.tobytes())
        expected = self._folder / "training.sha256"
        if not expected.exists():
            expected.write_text(digest.hexdigest())
        leftovers = [path.name for path in folder.rglob(".*")]
        broken = [f"left {leftovers}"] if leftovers else []
        same = expected.read_text() == digest.hexdigest()
        return broken if same else [*broken, "another network came of it"]

    def _kill_build(self) -> list[str]:
        folder = self._new()
        told = folder / "number"
        words = [sys.executable, "-c", SLEEPING_BUILD, str(folder / "cache"), str(told)]
        with subprocess.Popen(words) as build:
            deadline_s = time.monotonic() + COMMAND_S
            while not (told.exists() and told.read_text().strip()):
                if time.monotonic() > deadline_s:
                    return ["it did not start"]
                time.sleep(0.01)
            build.send_signal(self._draw.choice((signal.SIGKILL, signal.SIGTERM)))
        time.sleep(0.5)
        broken: list[str] = []
        if Path(f"/proc/{told.read_text().strip()}").exists():
            broken.append("its tool runs on")
        Cache(folder / "cache").add("4567", _fill)
        left = {path.name for path in (folder / "cache").iterdir()} - {"4567", "locks"}
        return [*broken, f"left {left}"] if left else broken

    def _damage_cache(self) -> list[str]:
        cache = Cache(self._new() / "cache")
        entry = cache.add("0123", _fill)
        path = self._draw.choice(sorted(entry.iterdir()))
        content = bytearray(path.read_bytes())
        place = self._draw.randrange(len(content))
        match self._draw.randrange(4):
            case 0:
                content[place] ^= 1 << self._draw.randrange(8)
                path.write_bytes(content)
            case 1:
                path.write_bytes(content[:place])
            case 2:
                path.unlink()
            case _:
                path.unlink()
                os.mkfifo(path)
        if cache.entry("0123") is not None and path.name != "digests.json":
            return [f"the damaged {path.name} is delivered"]
        cache.add("0123", _fill)
        good = (entry / "stepnet.bin").read_bytes() == b"bitstream" * 100
        return [] if good else ["it was not made anew"]

    def _foreign_cache(self) -> list[str]:
        cache = Cache(self._new() / "cache")
        entry = cache.add("0123", _fill)
        entry.parent.chmod(self._draw.choice((0o777, 0o770, 0o702)))
        try:
            cache.entry("0123")
        except StepnetError:
            return []
        return ["it is trusted"]

    def _build_into(self) -> list[str]:
        """Twice, then with a failure, into a folder full of files like a build's."""
        folder = self._new()
        mine = ("stepnet.npz", "stepnet.py", "stepnet.v", "notes.log", "my report.json")
        for name in mine:
            (folder / name).write_text(f"my {name}")
        entry = folder.with_name(f"{folder.name}-entry")
        entry.mkdir()
        _fill(entry)
        try:
            for _ in range(2):
                Delivery(folder).put(entry, _report(folder))
            keep_log(folder, "it failed")
            if self._draw.random() < 0.5:
                (folder / "placement.png").write_text("mine now")
                mine = (*mine, "placement.png")
            Delivery(folder).put(entry, _report(folder))
        except StepnetError as error:
            if "placement.png" not in str(error):
                raise
        kept = all((folder / name).read_text().startswith(("my ", "mine")) for name in mine)
        return [] if kept else ["a file of the user's is gone"]


def _fill(folder: Path) -> None:
    """What a build leaves in the cache."""
    (folder / "stepnet.bin").write_bytes(b"bitstream" * 100)
    (folder / FIGURES).write_text(json.dumps({"luts": 7}))
    Image.new("L", (4, 4)).save(folder / "placement.png")


def _report(folder: Path) -> BuildReport:
    empty = {field.name: "" for field in fields(BuildReport)}
    paths = {"bitstream": folder / "stepnet.bin", "picture": folder / "placement.png"}
    texts = {"critical_path": (), "tools": (), "seeds_hz": {}, "seconds": {}, "digests": {}}
    return BuildReport(**{**empty, **paths, **texts})
