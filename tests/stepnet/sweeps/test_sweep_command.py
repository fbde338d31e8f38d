"""`stepnet sweep` from its file to its results, on this machine and on a Dask cluster."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

from dask_cluster import DaskCluster, free_port
from stepnet.samples import sample_pictures
from stepnet.sweeps.cluster import about_worker, check_scheduler_version, check_worker
from stepnet.sweeps.errors import WorkersError

STEPNET = (sys.executable, "-m", "stepnet")

FILE = """
[sweep]
command = "train"

[fixed]
data = "tiny.npz"
rule = "delta"
hidden = "6"
epochs = 2

[grid]
seed = [0, 1]
readout = ["bits", "nearest"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a sweep of four short trainings, which is the current one."""
    draw = np.random.default_rng(0)
    images = (draw.random((200, 8, 8)) > 0.5).astype(np.uint8) * 255
    np.savez(tmp_path / "tiny.npz", images=images, labels=np.array([48, 49] * 100, np.uint8))
    (tmp_path / "four.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


NETWORKS = ("digits", "digits-medium", "exercise")

QUICK_FILE = f"""
[sweep]
command = "evaluate"

[fixed]
data = "samples.npz"

[grid]
network = {json.dumps(NETWORKS)}
"""


@pytest.fixture
def quick(folder):
    """A sweep of three evaluations in the current folder."""
    pictures = sample_pictures()
    images = np.stack([np.asarray(Image.open(path)) for path, _ in pictures])
    labels = np.array([ord(label) for _, label in pictures], np.uint8)
    np.savez(folder / "samples.npz", images=images, labels=labels)
    (folder / "quick.toml").write_text(QUICK_FILE)
    return folder


def results(path):
    """The rows of a table by their commands, without what differs from run to run."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert not any(row["error"] for row in rows)
    return {
        row["command"]: {name: row[name] for name in row if name.startswith("result.")}
        for row in rows
    }


@pytest.mark.slow
def test_points_are_as_if_run_one_by_one_and_none_is_run_twice(folder, stepnet):
    code, out, err = stepnet("sweep", "four.toml", "--jobs", 2)
    assert (code, out) == (0, "4 points done: sweeps/four/results.csv\n")
    first, *_, last = err.splitlines()
    assert first == "Running with 2 processes on this machine."
    assert last.startswith("4/4 train-")
    table = results(folder / "sweeps" / "four" / "results.csv")
    assert len(table) == 4
    command, told = list(table.items())[2]
    assert command == (
        "stepnet train --data tiny.npz --epochs 2 --hidden 6 --readout bits --rule delta --seed 1"
    )
    code, out, _ = stepnet(*command.split()[1:], "--json")
    alone = json.loads(out)
    assert (alone["digest"], str(alone["accuracy"])) == (
        told["result.digest"],
        told["result.accuracy"],
    )
    assert len(list((folder / "sweeps" / "four" / "points").glob("*/network.npz"))) == 4
    assert not list((folder / "sweeps" / "four" / "work").iterdir())
    assert stepnet("sweep", "four.toml", "--json") == (
        0,
        '{"sweep": "four", "points": 4, "done_before": 4, "done": 0, "failed": 0, "results": '
        '"sweeps/four/results.csv"}\n',
        "",
    )


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on(quick, stepnet):
    journal = quick / "sweeps" / "quick" / "journal.jsonl"
    with subprocess.Popen([*STEPNET, "sweep", "quick.toml", "--jobs", "1"]) as killed:
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
            time.sleep(0.02)
        killed.kill()
    kept = journal.read_bytes()
    _, out, _ = stepnet("sweep", "quick.toml", "--json")
    told = json.loads(out)
    assert told["done_before"] == kept.count(b"\n") - 1
    assert told["done"] == len(NETWORKS) - told["done_before"] > 0
    assert journal.read_bytes().startswith(kept)


def test_dry_run_prints_the_commands(folder, stepnet):
    code, out, err = stepnet("sweep", "four.toml", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"stepnet train --data tiny.npz --epochs 2 --hidden 6 --readout {readout} --rule delta "
        f"--seed {seed}"
        for seed in (0, 1)
        for readout in ("bits", "nearest")
    ]
    assert not (folder / "sweeps").exists()


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            "hidden",
            "hiden",
            "There is no option 'hiden' in the table [fixed] of 'four.toml'; did you mean "
            "'hidden'?",
        ),
        (
            "epochs = 2",
            'epochs = "many"',
            "The point 'stepnet train --data tiny.npz --epochs many --hidden 6 --readout bits "
            "--rule delta --seed 0' makes no sense. Invalid value 'many' for --epochs: Input "
            "should be a valid integer, unable to parse string as an integer; see stepnet train "
            "--help.",
        ),
        (
            'command = "train"',
            'command = "demo"',
            "In the table [sweep] of 'four.toml', command is 'demo'; give one of train, evaluate, "
            "build, estimate.",
        ),
    ],
)
def test_a_file_that_makes_no_sense(folder, stepnet, before, after, sentence):
    (folder / "four.toml").write_text(FILE.replace(before, after))
    code, out, err = stepnet("sweep", "four.toml")
    assert (code, out) == (2, "")
    if "give one of" in sentence:
        assert err.startswith(f"stepnet: {sentence.partition('; give')[0]}; give one of ")
    else:
        assert err == f"stepnet: {sentence}\n"
    assert not (folder / "sweeps").exists()


def test_jobs_of_a_cluster(folder, stepnet):
    assert stepnet("sweep", "four.toml", "--jobs", 2, "--scheduler", "tcp://lab:8786") == (
        2,
        "",
        "stepnet: Invalid value for --jobs: it is for this machine, and a scheduler has workers of "
        "its own; leave one of them out.\n",
    )


def test_a_scheduler_that_is_not_there(folder, stepnet, monkeypatch):
    monkeypatch.setattr("stepnet.sweeps.cluster.CONNECT_S", 0.2)
    address = f"tcp://127.0.0.1:{free_port()}"
    code, out, err = stepnet("sweep", "four.toml", "--scheduler", address)
    assert (code, out) == (3, "")
    assert err.splitlines()[-1].startswith(f"stepnet: There is no scheduler at {address!r} (")
    assert err.endswith(
        "); start `dask scheduler` there, or leave --scheduler out. What is done is kept.\n"
    )


@pytest.mark.parametrize("address", ["lab", "tcp://lab", "tcp://:8786", "lab:", "tcp://lab:x"])
def test_an_address_that_can_be_none(folder, stepnet, address):
    assert stepnet("sweep", "four.toml", "--scheduler", address) == (
        3,
        "",
        f"stepnet: The address {address!r} names no scheduler; give its machine and port, like "
        "tcp://lab:8786.\n",
    )


def test_a_scheduler_of_another_version():
    check_scheduler_version("tcp://lab:8786", version("distributed"))
    with pytest.raises(WorkersError) as refused:
        check_scheduler_version("tcp://lab:8786", "2024.1.0")
    assert str(refused.value) == (
        "The scheduler at 'tcp://lab:8786' is of distributed 2024.1.0, and here it is "
        f"{version('distributed')}; install the same on both, with pip install "
        "distributed==2024.1.0 here."
    )


def test_workers_of_another_version_or_without_stepnet():
    check_worker("tcp://lab:1", about_worker())
    with pytest.raises(WorkersError) as refused:
        check_worker("tcp://lab:1", {**about_worker(), "Python": "3.9"})
    ours = about_worker()["Python"]
    assert str(refused.value) == (
        f"The worker at tcp://lab:1 has Python 3.9, and here it is {ours}; install the same on "
        "both, so that results are the same wherever they are computed."
    )
    with pytest.raises(WorkersError) as refused:
        check_worker("tcp://lab:1", ModuleNotFoundError("No module named 'stepnet'"))
    assert str(refused.value) == (
        "The worker at tcp://lab:1 has no stepnet (No module named 'stepnet'); install it there "
        f'with pip install "stepnet=={version("stepnet")}", with the extras that the command '
        "needs."
    )


@pytest.mark.slow
def test_killed_workers_and_a_restarted_scheduler_lose_nothing(quick, stepnet):
    journal = quick / "far" / "journal.jsonl"
    with ExitStack() as stack:
        cluster = DaskCluster(quick)
        stack.callback(cluster.kill)
        (worker,) = cluster.start(workers=1)
        words = ["quick.toml", "--output", "far", "--scheduler", cluster.address, "--json"]
        sweep = stack.enter_context(
            subprocess.Popen([*STEPNET, "sweep", *words], stdout=subprocess.PIPE, text=True)
        )
        deadline_s = time.monotonic() + 100
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        os.kill(worker.pid, signal.SIGKILL)
        cluster.kill()
        cluster.start(workers=1)
        out, _ = sweep.communicate(timeout=100)
        assert (sweep.returncode, json.loads(out)["done"]) == (0, len(NETWORKS))
    assert stepnet("sweep", "quick.toml")[0] == 0  # here
    table = results(quick / "far" / "results.csv")
    assert len(table) == len(NETWORKS)
    assert table == results(quick / "sweeps" / "quick" / "results.csv")
