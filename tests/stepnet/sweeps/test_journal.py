"""What a sweep keeps, and the table that is made of it."""

import csv
import errno
import os
from dataclasses import replace

import pytest
from pyarrow import parquet

from stepnet.sweeps import journal as journals
from stepnet.sweeps.errors import SweepError
from stepnet.sweeps.journal import Journal
from stepnet.sweeps.point import Point
from stepnet.sweeps.results import write_results
from stepnet.sweeps.work import Outcome

POINTS = [Point("train", {"seed": seed, "hidden": hidden}) for seed, hidden in ((0, 8), (1, "8,4"))]
GOOD = Outcome(
    {"accuracy": 0.5, "nested": {"a": 1, "b": [1, 2]}}, "", 0, 1.5, "here:1", {"run/a.npz": b"net"}
)
BAD = Outcome({}, "It did not learn.", 2, 0.5, "here:2")


def test_what_is_kept_is_found_again(tmp_path):
    folder = tmp_path / "kept"
    with Journal(folder, "first") as journal:
        entry = journal.keep(POINTS[0], GOOD)
        journal.keep(POINTS[1], BAD)
    assert (folder / "points" / POINTS[0].name / "run" / "a.npz").read_bytes() == b"net"
    with Journal(folder, "first") as again:
        assert list(again.entries) == [point.key for point in POINTS]
        assert again.entries[entry.key] == entry
        assert [each.done for each in again.entries.values()] == [True, False]
        again.keep(POINTS[1], GOOD)
    with Journal(folder, "first") as third:
        assert [each.done for each in third.entries.values()] == [True, True]


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    with Journal(tmp_path / "kept", "first") as journal:
        for point in POINTS:
            journal.keep(point, GOOD)
    path = tmp_path / "kept" / "journal.jsonl"
    whole = path.read_bytes()
    for end in range(1, len(whole), 7):
        path.write_bytes(whole[:end])
        with Journal(tmp_path / "kept", "first") as journal:
            assert len(journal.entries) == max(0, whole[:end].count(b"\n") - 1)
            for point in POINTS:
                journal.keep(point, GOOD)
        with Journal(tmp_path / "kept", "first") as journal:
            assert len(journal.entries) == 2


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path, monkeypatch):
    with Journal(tmp_path, "first") as journal:
        journal.keep(POINTS[0], replace(GOOD, files={}))
        whole = (tmp_path / "journal.jsonl").read_bytes()
        synced = os.fsync

        def full(handle):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(journals.os, "fsync", full)
        with pytest.raises(SweepError) as refused:
            journal.keep(POINTS[1], replace(GOOD, files={}))
        assert str(refused.value) == (
            f"The results in {str(tmp_path)!r} cannot be written (No space left on device); make "
            "room there, and the same command goes on: 1 points are done and kept."
        )
        assert (tmp_path / "journal.jsonl").read_bytes() == whole
        monkeypatch.setattr(journals.os, "fsync", synced)
        journal.keep(POINTS[1], GOOD)  # room was made
    with Journal(tmp_path, "first") as again:
        assert len(again.entries) == 2


def test_results_of_another_sweep(tmp_path):
    Journal(tmp_path, "first").close()
    with pytest.raises(SweepError) as refused:
        Journal(tmp_path, "second")
    assert str(refused.value) == (
        f"The results in {str(tmp_path)!r} are of the sweep 'first' and not of 'second'; name "
        "another folder with --output."
    )


@pytest.mark.parametrize("content", [b"\n", b"[]\n", b"not JSON\n", b'{"sweep": "first"}\n{}\n'])
def test_a_journal_that_is_none(tmp_path, content):
    (tmp_path / "journal.jsonl").write_bytes(content)
    with pytest.raises(SweepError) as refused:
        Journal(tmp_path, "first")
    assert str(refused.value) == (
        f"The file {str(tmp_path / 'journal.jsonl')!r} is no journal of a sweep or is damaged; "
        "move it away, or name another folder with --output."
    )
    assert (tmp_path / "journal.jsonl").read_bytes() == content


def test_a_folder_of_somebody_else(tmp_path):
    (tmp_path / "results.csv").write_text("mine")
    with pytest.raises(SweepError) as refused:
        Journal(tmp_path, "first")
    assert str(refused.value) == (
        f"The folder {str(tmp_path)!r} holds a results.csv that no sweep has made; name another "
        "one with --output."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_one_process_at_a_time(tmp_path):
    with Journal(tmp_path, "first"), pytest.raises(SweepError) as refused:
        Journal(tmp_path, "first")
    assert str(refused.value) == (
        f"Another process runs the sweep in {str(tmp_path)!r}; wait until it ends, or name another "
        "folder with --output."
    )


def test_the_table_has_the_command_of_each(tmp_path):
    with Journal(tmp_path, "first") as journal:
        entries = [journal.keep(POINTS[0], GOOD), journal.keep(POINTS[1], BAD)]
    write_results(tmp_path / "results.csv", entries)
    with (tmp_path / "results.csv").open(newline="") as file:
        good, bad = csv.DictReader(file)
    assert good == {
        "point": POINTS[0].name,
        "command": "stepnet train --hidden 8 --seed 0",
        "seed": "0",
        "hidden": "8",
        "result.accuracy": "0.5",
        "result.nested.a": "1",
        "result.nested.b": "[1, 2]",
        "error": "",
        "seconds": "1.5",
        "worker": "here:1",
    }
    assert (bad["error"], bad["result.accuracy"]) == ("It did not learn.", "")
    write_results(tmp_path / "results.parquet", entries)
    table = parquet.read_table(tmp_path / "results.parquet").to_pydict()
    assert table["result.accuracy"] == [0.5, None]
    assert table["hidden"] == ["8", "8,4"]
    assert table["command"] == [point.text for point in POINTS]


def test_a_table_that_cannot_be_written(tmp_path):
    (tmp_path / "results.csv").mkdir()
    with pytest.raises(SweepError) as refused:
        write_results(tmp_path / "results.csv", [])
    assert str(refused.value) == (
        f"The table of results {str(tmp_path / 'results.csv')!r} cannot be written (Is a "
        "directory); make room there, and the same command writes it: every point that is done is "
        "kept."
    )
