"""Damaged and forged files, in small: the benchmark reads ten thousand."""

import pytest

from stepnet.archives import read_arrays
from stepnet_sim.fuzz import files


@pytest.fixture
def fuzzer(tmp_path):
    (tmp_path / "work").mkdir()
    return files.FileFuzzer(tmp_path / "work", files.small_networks(tmp_path, 0), 0)


def test_every_file_is_read_or_refused_in_a_sentence(fuzzer):
    found = fuzzer.run(400)
    assert found.failures == []
    assert not found.executed
    assert found.refused > 200
    assert set(found.files.values()) == {100}


def test_a_reader_that_lets_an_error_through_is_found(fuzzer, monkeypatch):
    monkeypatch.setattr(files.sets, "read_arrays", lambda path, *rest: read_arrays(path, 1 << 40))
    monkeypatch.setattr(files.sets, "ArchiveError", ZeroDivisionError)
    failures = fuzzer.run(100).failures
    assert any(failure.startswith("data ") for failure in failures)


def test_a_pickle_that_is_run_is_found(fuzzer):
    assert not fuzzer.run(0).executed
    _, (path,) = files.Trap(fuzzer._canary).__reduce__()
    files.os.mkdir(path)
    assert fuzzer.run(0).executed
