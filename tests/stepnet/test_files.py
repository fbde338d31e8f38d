"""Files appear whole or not at all."""

import pytest

from stepnet.files import write_text, write_whole


def test_a_file_takes_its_place(tmp_path):
    path = write_text(tmp_path / "a.txt", "neu\n")
    assert path.read_bytes() == b"neu\n"
    assert path.stat().st_mode & 0o777 == 0o644
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
