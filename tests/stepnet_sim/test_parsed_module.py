"""Modules that were taken apart are remembered by their source."""

import json

import pytest

from stepnet_sim import parsed_module
from stepnet_sim.parsed_module import FILE, ParsedModule, ParsedModules

SOURCE = b"""
from typing import TYPE_CHECKING
import stepnet.errors
if TYPE_CHECKING:
    import stepnet.boards
def run():
    from stepnet import data  # later
"""


@pytest.fixture
def never_again(monkeypatch):
    """After `never_again()` no source is taken apart."""

    def taken_apart(source):
        raise AssertionError(source)

    return lambda: monkeypatch.setattr(parsed_module.ParsedModule, "of", taken_apart)


def test_what_counts_of_a_module():
    found = ParsedModule.of(SOURCE)
    assert found.imports == (
        *("typing", "typing.TYPE_CHECKING", "stepnet.errors", "stepnet", "stepnet.data"),
    )
    assert ParsedModule.of(b"# Head.\n" + SOURCE) == found
    assert ParsedModule.of(SOURCE + b"WIDTH = 1\n").digest != found.digest


def test_it_is_remembered_until_the_source_changes(tmp_path, never_again):
    modules = ParsedModules(tmp_path / "cache")
    found = modules[SOURCE]
    modules.save()
    never_again()
    again = ParsedModules(tmp_path / "cache")
    assert again[SOURCE] == found
    with pytest.raises(AssertionError):
        again[SOURCE + b"\n"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"a": 1}', b'{"a": ["b"]}', b'{"a": [1, []]}']
)
def test_a_damaged_file_is_made_anew(tmp_path, content):
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    (folder / FILE).write_bytes(content)
    modules = ParsedModules(folder)
    assert modules[SOURCE] == ParsedModule.of(SOURCE)
    modules.save()
    assert len(json.loads((folder / FILE).read_bytes())) == 1


def test_what_others_may_write_is_not_believed(tmp_path):
    folder = tmp_path / "cache"
    modules = ParsedModules(folder)
    modules[SOURCE]
    modules.save()
    wrong = {key: ["0", []] for key in json.loads((folder / FILE).read_bytes())}
    (folder / FILE).write_text(json.dumps(wrong))
    assert ParsedModules(folder)[SOURCE].digest == "0"
    folder.chmod(0o777)
    assert ParsedModules(folder)[SOURCE] == ParsedModule.of(SOURCE)


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    modules = ParsedModules(tmp_path / "file" / "cache")
    assert modules[SOURCE] == ParsedModule.of(SOURCE)
    modules.save()


def test_the_oldest_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(parsed_module, "MOST_REMEMBERED", 2)
    modules = ParsedModules(tmp_path / "cache")
    for number in (1, 2, 1, 3):
        modules[f"WIDTH = {number}\n".encode()]
    modules.save()
    assert len(json.loads((tmp_path / "cache" / FILE).read_bytes())) == 2
