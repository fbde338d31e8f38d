"""Run folders: what they hold, and that a stopped run goes on as if nothing had been."""

import errno
import json
import os

import numpy as np
import pytest

from characters import bars
from stepnet import Network
from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning import Config, Run, train
from stepnet.learning import run as run_module
from stepnet.networks.network_file import content_digest

pytestmark = pytest.mark.slow

CONFIGS = {
    "delta": {"rule": "delta", "hidden": (12,)},
    "surrogate": {"hidden": (12, 8), "batch_size": 100},
    "nearest": {"hidden": (12,), "readout": "nearest", "batch_size": 100},
    "helpers": {"hidden": (12,), "batch_size": 100, "auxiliary": 0.5, "distillation": 0.7},
    "analogue": {"hidden": (12,), "batch_size": 100, "analogue": "pcm"},
    "sigmoid": {"rule": "sigmoid", "hidden": (12,), "batch_size": 100},
    "sgd": {"rule": "sgd", "hidden": (12,), "batch_size": 100},
}


def begin(folder, config, dataset=None):
    return Run.open(folder, config, dataset or bars(), {"name": "bars"})


def stop_at(image):
    """What Ctrl-C does to a run that has seen this many images."""

    def on_progress(progress):
        if progress.images_done >= image:
            raise KeyboardInterrupt

    return on_progress


def log(folder):
    """The log but for the time, which differs from run to run."""
    lines = (folder / "log.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


@pytest.mark.parametrize("settings", CONFIGS.values(), ids=CONFIGS)
def test_a_stopped_run_goes_on_bit_for_bit(settings, tmp_path):
    config = Config(epochs=4, teacher_epochs=2, seed=5, **settings)
    whole = begin(tmp_path / "whole", config)
    expected = train(config, bars(), run=whole, check_on=bars(seed=1))

    # In the middle of an epoch, then right at the start of one.
    for image in (1300, 1900):
        stopped = begin(tmp_path / "stopped", config)
        with pytest.raises(KeyboardInterrupt):
            train(config, bars(), run=stopped, check_on=bars(seed=1), on_progress=stop_at(image))
    assert len(begin(tmp_path / "stopped", config).records) == 3
    again = begin(tmp_path / "stopped", config)
    network = train(config, bars(), run=again, check_on=bars(seed=1))
    assert network.digest == expected.digest
    assert log(tmp_path / "stopped") == log(tmp_path / "whole")
    assert [record["epoch"] for record in again.records] == list(range(1, config.passes + 1))


def test_what_a_finished_run_leaves(tmp_path):
    config = Config(rule="delta", hidden=(8,), epochs=3)
    folder = tmp_path / "run"
    run = begin(folder, config)
    network = train(config, bars(), run=run, check_on=bars(seed=1))
    run.finish(network, {"accuracy": 0.5})
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "curves.png",
        "log.jsonl",
        "network.npz",
        "result.json",
    ]
    assert Network.load(folder / "network.npz").digest == network.digest
    told = json.loads((folder / "config.json").read_text())
    assert told["config"]["seed"] == 0
    assert told["learned"]["alphabet"] == "5Eacz"
    assert json.loads((folder / "result.json").read_text()) == {"accuracy": 0.5}
    assert {
        "epoch",
        "loss",
        "accuracy",
        "learning_rate",
        "teaching",
        "checked_accuracy",
    } == set(log(folder)[0])
    with pytest.raises(TrainingError) as caught:
        begin(folder, config)
    assert str(caught.value) == (
        f"The run in {str(folder)!r} is done; look at its network.npz, or name another folder "
        "with --run."
    )


def test_checks_are_spread_over_the_run_and_end_with_it(tmp_path):
    config = Config(rule="delta", hidden=(4,), epochs=30)
    run = begin(tmp_path / "run", config)
    train(config, bars(count=40), run=run, check_on=bars(count=20, seed=1))
    checked = [record["epoch"] for record in run.records if "checked_accuracy" in record]
    assert checked == [3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30]


def test_a_run_of_another_configuration_is_refused(tmp_path):
    begin(tmp_path, Config(rule="delta", hidden=(8,), seed=1))
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path, Config(rule="delta", hidden=(8,), seed=2))
    assert str(caught.value) == (
        f"The run in {str(tmp_path)!r} was begun with seed 1 instead of 2; go on with the command "
        "it was begun with, or name another folder with --run."
    )


def test_a_run_on_other_data_is_refused(tmp_path):
    config = Config(rule="delta", hidden=(8,))
    run = begin(tmp_path, config)
    other = bars(seed=1)
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path, config, Dataset(other.images[:500], other.labels[:500]))
    assert str(caught.value) == (
        f"The run in {str(tmp_path)!r} was begun with images 600 instead of 500; go on with the "
        "command it was begun with, or name another folder with --run."
    )
    assert run.description["learned"]["images"] == 600


def test_a_damaged_checkpoint_is_named(tmp_path):
    config = Config(rule="delta", hidden=(8,), epochs=2)
    train(config, bars(), run=begin(tmp_path, config))
    checkpoint = tmp_path / "checkpoint.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path, config)
    assert str(caught.value) == (
        f"The checkpoint {str(checkpoint)!r} is damaged; delete it and the run begins anew."
    )


@pytest.mark.parametrize("rule", ["delta", "sigmoid"])
def test_the_checkpoint_of_another_run_is_refused(tmp_path, rule):
    for name, neurons in (("narrow", 8), ("wide", 12)):
        config = Config(rule=rule, hidden=(neurons,), epochs=1)
        train(config, bars(), run=begin(tmp_path / name, config))
    checkpoint = tmp_path / "wide" / "checkpoint.npz"
    checkpoint.write_bytes((tmp_path / "narrow" / "checkpoint.npz").read_bytes())
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path / "wide", config)
    assert str(caught.value) == (
        f"The checkpoint {str(checkpoint)!r} is of a run with hidden [8] instead of [12]; delete "
        "it and the run begins anew."
    )


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "run"
    with pytest.raises(TrainingError) as caught:
        begin(folder, Config(rule="delta"))
    assert str(caught.value) == (
        f"The run folder {str(folder)!r} cannot be used (Not a directory); name another one with "
        "--run."
    )


@pytest.mark.parametrize("description", ["{", "3"])
def test_a_damaged_description_is_named(tmp_path, description):
    (tmp_path / "config.json").write_text(description)
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path, Config(rule="delta"))
    assert str(caught.value) == (
        f"The file {str(tmp_path / 'config.json')!r} is damaged; delete the folder "
        f"{str(tmp_path)!r}, or name another one with --run."
    )


SMALL = Config(rule="delta", hidden=(8,), epochs=2)


@pytest.mark.parametrize("name", ["network.npz", "result.json", "log.jsonl", "checkpoint.npz"])
def test_a_folder_with_files_of_the_user_is_refused(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path, SMALL)
    assert str(caught.value) == (
        f"The folder {str(tmp_path)!r} holds a {name} that no run there has made; name another "
        "folder with --run."
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_other_files_are_no_hindrance(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    run = begin(tmp_path, SMALL)
    run.finish(train(SMALL, bars(), run=run), {})
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.fixture
def full_disk(monkeypatch):
    """From now on nothing that a run writes has room."""

    def fill():
        def fail(path, *anything):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        monkeypatch.setattr(run_module, "write_text", fail)
        monkeypatch.setattr(run_module, "write_whole", fail)

    return fill


def test_a_full_disk_stops_a_run_that_goes_on_later(tmp_path, full_disk, monkeypatch):
    run = begin(tmp_path, SMALL)
    train(Config(rule="delta", hidden=(8,), epochs=1), bars(), run=run)
    with monkeypatch.context():
        full_disk()
        with pytest.raises(TrainingError) as caught:
            train(SMALL, bars(), run=run)
        monkeypatch.undo()
    assert str(caught.value) == (
        f"The run folder {str(tmp_path)!r} cannot be written (No space left on device); make room "
        "there, and the same command goes on after its last whole pass."
    )
    again = begin(tmp_path, SMALL)
    assert len(again.records) == 1
    assert train(SMALL, bars(), run=again).digest == train(SMALL, bars()).digest


def test_a_full_disk_before_the_first_pass(tmp_path, full_disk):
    full_disk()
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path / "run", SMALL)
    assert str(caught.value) == (
        f"The run folder {str(tmp_path / 'run')!r} cannot be used (No space left on device); name "
        "another one with --run."
    )


def with_checkpoint(folder, change, save=np.savez):
    """A run whose checkpoint is changed and has a digest that fits."""
    train(Config(rule="delta", hidden=(8,), epochs=1), bars(), run=begin(folder, SMALL))
    checkpoint = folder / "checkpoint.npz"
    with np.load(checkpoint) as file:
        content = {key: file[key] for key in file.files}
    change(content)
    texts = {key: content.pop(key) for key in ("description", "records")}
    digest = content_digest("".join(str(text[()]) for text in texts.values()), content)
    save(checkpoint, digest=np.array(digest), **texts, **content)
    return checkpoint


def drop_digest(content):
    del content["digest"]


def lose_state(content):
    drop_digest(content)
    del content["state_random"]


def odd_state(content):
    drop_digest(content)
    content["state_random"] = np.zeros(3)


def odd_records(content):
    drop_digest(content)
    content["records"] = np.array('[{"epoch": 1}]')


def deep_records(content):
    drop_digest(content)
    content["records"] = np.array("[" * 100_000)


@pytest.mark.parametrize(
    ("change", "save"),
    [
        (lose_state, np.savez),
        (odd_state, np.savez),
        (odd_records, np.savez),
        (deep_records, np.savez),
        (drop_digest, np.savez_compressed),
    ],
)
def test_an_odd_checkpoint_is_named_and_not_taken_up(tmp_path, change, save):
    checkpoint = with_checkpoint(tmp_path, change, save)
    with pytest.raises(TrainingError) as caught:
        train(SMALL, bars(), run=begin(tmp_path, SMALL))
    assert str(caught.value) == (
        f"The checkpoint {str(checkpoint)!r} is damaged; delete it and the run begins anew."
    )


def test_a_checkpoint_that_only_looks_odd_is_taken_up(tmp_path):
    with_checkpoint(tmp_path, drop_digest)
    assert len(begin(tmp_path, SMALL).records) == 1


@pytest.mark.parametrize("name", ["config.json", "checkpoint.npz"])
def test_a_pipe_in_a_run_folder_is_not_waited_for(tmp_path, name):
    begin(tmp_path, SMALL)
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path, SMALL)
    assert str(caught.value) == (
        f"The run folder {str(tmp_path)!r} cannot be used (it is a pipe); name another one with "
        "--run."
    )


def test_a_network_that_no_file_would_hold_is_refused_before_training(tmp_path):
    config = Config(rule="delta", hidden=(8000, 8000))
    with pytest.raises(TrainingError) as caught:
        begin(tmp_path, config)
    pixels = bars().images[0].size
    weights = pixels * 8000 + 8000 * 8000 + 8000 * 255
    assert str(caught.value) == (
        f"The network would have {weights:,} weights, and a network file holds at most "
        "33,554,432; give fewer --hidden neurons."
    )
    assert list(tmp_path.iterdir()) == []
