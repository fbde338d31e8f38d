"""Files appear whole or not at all."""

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepnet import files
from stepnet.files import (
    NotAFileError,
    open_file_or_pipe,
    open_regular,
    read_limited,
    write_text,
    write_whole,
)
from stepnet.temporary import temporary_folder


def umask():
    before = os.umask(0o022)
    os.umask(before)
    return before


def test_a_file_takes_its_place(tmp_path):
    path = write_text(tmp_path / "a.txt", "neu\n")
    assert path.read_bytes() == b"neu\n"
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_there_stays_if_writing_fails(tmp_path, error):
    path = write_text(tmp_path / "a.txt", "old")

    def fail(file):
        file.write(b"ne")
        raise error

    with pytest.raises(error):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path, mask):
    before = os.umask(mask)
    try:
        path = write_text(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_file_that_is_written_again_keeps_its_mode(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")
    path.chmod(0o600)
    write_text(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_a_link_stays_one(tmp_path):
    target, link = write_text(tmp_path / "target", "old"), tmp_path / "link"
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    """As root one could put a file in the place of /dev/null."""
    os.mkfifo(tmp_path / "pipe")
    for path, error in (
        (tmp_path / "pipe", NotAFileError),
        (Path(os.devnull), NotAFileError),
        (tmp_path, IsADirectoryError),
    ):
        with pytest.raises(error):
            write_text(path, "new")
    assert not Path(os.devnull).is_file()
    assert list(tmp_path.iterdir()) == [tmp_path / "pipe"]


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(file):
        file.write(b"ne")
        raise full

    with pytest.raises(OSError, match="No space left"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_not_opened(tmp_path):
    """Opening a pipe would wait for ever, and a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name, reason in (("pipe", "it is a pipe"), ("socket", "it is a socket")):
            with pytest.raises(NotAFileError) as caught:
                open_regular(tmp_path / name)
            assert caught.value.strerror == reason
    with pytest.raises(NotAFileError) as caught:
        open_regular("/dev/zero")
    assert caught.value.strerror == "it is a device"
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # most of it on no disk
    with pytest.raises(OSError, match="File too large"):
        read_limited(path, 1000)
    assert read_limited(write_text(tmp_path / "small", "x" * 1000), 1000) == b"x" * 1000


def test_a_pipe_is_read_to_its_end_and_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIPE_SILENT_S", 0.2)
    monkeypatch.setattr(files, "PIPE_S", 0.5)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    start_s = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        open_file_or_pipe(pipe, 1000)
    assert caught.value.strerror == "it is a pipe that nobody fills"
    write = f"open({str(pipe)!r}, 'wb').write(b'x' * {{}})"
    with subprocess.Popen([sys.executable, "-c", write.format(900)]):
        monkeypatch.setattr(files, "PIPE_SILENT_S", 20.0)
        monkeypatch.setattr(files, "PIPE_S", 20.0)
        assert open_file_or_pipe(pipe, 1000).read() == b"x" * 900
    with (
        subprocess.Popen([sys.executable, "-c", write.format(90_000)], stderr=subprocess.DEVNULL),
        pytest.raises(OSError, match="File too large"),
    ):
        open_file_or_pipe(pipe, 1000)
    assert time.monotonic() - start_s < 20


# What a process that was killed leaves behind

KILLED = """
import os, signal, sys
from stepnet.files import write_whole
from stepnet.temporary import temporary_folder

def die(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "file":
    write_whole(sys.argv[2], die)
with temporary_folder(sys.argv[2]) as folder:
    (folder / "work").mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(what, path):
    done = subprocess.run([sys.executable, "-c", KILLED, what, str(path)], check=False)
    assert done.returncode == -9


def test_the_next_one_removes_what_a_killed_writer_left(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")
    killed("file", path)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".a.txt.notes").touch()  # of the user's
    with path.open():
        write_text(path, "new")
    assert sorted(each.name for each in tmp_path.iterdir()) == [".a.txt.notes", "a.txt"]
    assert path.read_text() == "new"


def test_the_next_one_removes_the_folder_that_a_killed_process_left(tmp_path):
    killed("folder", tmp_path)
    (left,) = tmp_path.iterdir()
    (tmp_path / "stepnet-0123456789abcdef").mkdir()  # of the user's, though it looks like ours
    with temporary_folder(tmp_path) as mine:
        assert not left.exists()
        with temporary_folder(tmp_path):
            assert mine.exists()  # it is in use
    assert [each.name for each in tmp_path.iterdir()] == ["stepnet-0123456789abcdef"]
