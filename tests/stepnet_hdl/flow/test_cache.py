"""Cached results are private, whole, or made anew."""

import errno
import json
import os
import subprocess
import sys

import pytest

from stepnet.errors import BuildError
from stepnet_hdl.flow import cache as cache_module
from stepnet_hdl.flow.cache import Cache

DIGEST = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "builds"


@pytest.fixture
def cache(folder):
    return Cache(folder, folder.parent)


def fill(folder):
    (folder / "stepnet.bin").write_bytes(bytes(range(256)))
    (folder / "report.json").write_text("{}")


def refuse(folder):
    raise AssertionError("It was there already.")


def test_what_was_made_is_found_and_not_made_again(cache, folder):
    assert cache.entry(DIGEST) is None
    entry = cache.add(DIGEST, fill)
    assert cache.entry(DIGEST) == entry == cache.add(DIGEST, refuse)
    assert sorted(path.name for path in entry.iterdir()) == [
        "digests.json",
        "report.json",
        "stepnet.bin",
    ]
    assert sorted(path.name for path in folder.iterdir()) == [DIGEST, "locks"]


def flip(entry):
    path = entry / "stepnet.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 4
    path.write_bytes(content)


def replace_with_pipe(entry):
    (entry / "stepnet.bin").unlink()
    os.mkfifo(entry / "stepnet.bin")


def become_a_file(entry):
    for path in entry.iterdir():
        path.unlink()
    entry.rmdir()
    entry.write_text("no folder")


DAMAGE = {
    "a flipped bit": flip,
    "cut": lambda entry: os.truncate(entry / "stepnet.bin", 10),
    "empty": lambda entry: os.truncate(entry / "stepnet.bin", 0),
    "a missing file": lambda entry: (entry / "stepnet.bin").unlink(),
    "one file more": lambda entry: (entry / "more").touch(),
    "a pipe": replace_with_pipe,
    "a folder": lambda entry: (entry / "more").mkdir(),
    "no digests": lambda entry: (entry / "digests.json").unlink(),
    "digests of nothing": lambda entry: (entry / "digests.json").write_text("{}"),
    "digests that are none": lambda entry: (entry / "digests.json").write_text("[" * 100_000),
    "digests of other types": lambda entry: (entry / "digests.json").write_text('{"a": [1]}'),
    "no folder": become_a_file,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_result_is_made_anew(cache, kind):
    entry = cache.add(DIGEST, fill)
    DAMAGE[kind](entry)
    assert cache.entry(DIGEST) is None
    cache.add(DIGEST, fill)
    assert cache.entry(DIGEST) == entry
    assert (entry / "stepnet.bin").read_bytes() == bytes(range(256))


def test_what_fails_leaves_no_entry(cache, folder):
    with pytest.raises(AssertionError):
        cache.add(DIGEST, refuse)
    assert cache.entry(DIGEST) is None
    assert [path.name for path in folder.iterdir()] == ["locks"]


def test_folders_are_private(cache, folder):
    before = os.umask(0)
    try:
        cache.add(DIGEST, fill)
    finally:
        os.umask(before)
    for path in (folder, folder.parent):
        assert path.stat().st_mode & 0o777 == 0o700


def not_trusted(folder, reason):
    return (
        f"Nothing is taken from the cache {str(folder)!r}, because it {reason}; delete it, or name "
        "a folder of your own in XDG_CACHE_HOME."
    )


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
@pytest.mark.parametrize("inner", [True, False])
def test_a_folder_that_others_may_write_is_not_trusted(cache, folder, mode, inner):
    cache.add(DIGEST, fill)
    opened = folder if inner else folder.parent
    opened.chmod(mode)
    for use in (lambda: cache.entry(DIGEST), lambda: cache.add(DIGEST, fill)):
        with pytest.raises(BuildError) as caught:
            use()
        assert str(caught.value) == not_trusted(opened, "may be written by other users")


def test_a_folder_of_another_user_is_not_trusted(cache, folder, monkeypatch):
    cache.add(DIGEST, fill)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(BuildError) as caught:
        cache.entry(DIGEST)
    assert str(caught.value) == not_trusted(folder.parent, "belongs to another user")


def test_a_folder_in_which_every_user_moves_folders_is_not_trusted(cache, folder, tmp_path):
    cache.add(DIGEST, fill)
    tmp_path.chmod(0o777)
    with pytest.raises(BuildError) as caught:
        cache.entry(DIGEST)
    assert str(caught.value) == not_trusted(tmp_path, "may be written by every user")
    tmp_path.chmod(0o1777)  # as /tmp is
    assert cache.entry(DIGEST)


def cannot_be_used(folder, reason):
    return (
        f"The cache {str(folder)!r} cannot be used ({reason}); make room there, or name another "
        "folder in XDG_CACHE_HOME."
    )


def test_a_cache_that_is_a_file(cache, folder):
    folder.parent.mkdir(parents=True)
    folder.write_text("")
    with pytest.raises(BuildError) as caught:
        cache.add(DIGEST, fill)
    assert str(caught.value) == cannot_be_used(folder, "File exists")
    folder.unlink()
    folder.parent.rmdir()
    folder.parent.write_text("")
    with pytest.raises(BuildError) as caught:
        cache.add(DIGEST, fill)
    assert str(caught.value) == cannot_be_used(folder, "File exists")
    assert cache.entry(DIGEST) is None


def test_a_cache_that_cannot_be_written_still_gives_what_it_has(cache, folder, request):
    entry = cache.add(DIGEST, fill)
    for path in (folder, folder / "locks"):
        path.chmod(0o500)
        request.addfinalizer(lambda path=path: path.chmod(0o700))
    request.getfixturevalue("modes_count")
    assert cache.entry(DIGEST) == entry
    with pytest.raises(BuildError) as caught:
        cache.add("another", fill)
    assert str(caught.value) == cannot_be_used(folder, "Permission denied")


def test_a_full_disk(cache, folder):
    def fail(made):
        (made / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(BuildError) as caught:
        cache.add(DIGEST, fail)
    assert str(caught.value) == cannot_be_used(folder, "No space left on device")
    assert [path.name for path in folder.iterdir()] == ["locks"]


def test_another_process_that_never_ends_is_not_waited_for(cache, folder, monkeypatch):
    monkeypatch.setattr(cache_module, "LOCK_S", 0.1)
    (folder / "locks").mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    folder.chmod(0o700)
    with cache_module.FileLock(folder / "locks" / DIGEST), pytest.raises(BuildError) as caught:
        cache.add(DIGEST, fill)
    assert str(caught.value) == (
        f"Another process has been making what is wanted in {str(folder)!r} for an hour; end it, "
        "and try again."
    )


@pytest.mark.parametrize(
    "known",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"digest": 1, "tools": []}',
        '{"digest": "../../etc", "tools": []}',
        '{"digest": "a", "tools": 3}',
        '{"digest": "a", "tools": [3]}',
        '{"digest": "a", "tools": ["nobody 1.0"]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_key_finds_nothing(tmp_path, known):
    cache = cache_module.BuildCache(tmp_path)
    cache.add(DIGEST, fill)
    cache.remember("key", DIGEST, ["yosys 1.0"])
    assert cache.recall("key", {"yosys": "yosys 1.0"}.__getitem__) == tmp_path / DIGEST
    (tmp_path / "keys" / "key.json").write_text(known)
    assert cache.recall("key", {"yosys": "yosys 1.0"}.__getitem__) is None


KILLED = """
import os, signal, sys
from pathlib import Path
from stepnet_hdl.flow.cache import Cache

def die(made):
    (made / "half").write_bytes(b"x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)

Cache(Path(sys.argv[1])).add("0123", die)
"""


def test_what_a_killed_build_left_goes_with_the_next_one(folder):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -9
    assert len(list(folder.iterdir())) == 2  # locks, and what it left
    cache = Cache(folder)
    assert cache.entry("0123") is None
    cache.add("0123", fill)
    assert sorted(path.name for path in folder.iterdir()) == ["0123", "locks"]
    assert json.loads((folder / "0123" / "digests.json").read_text()).keys() == {
        "report.json",
        "stepnet.bin",
    }
