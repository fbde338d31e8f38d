"""Boards at this machine's serial ports: found by USB id, then asked who they are.

A port is asked only if it is the UART of a board that is known here, because a byte that means
nothing to Stepnet may mean something to whatever else is connected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepnet.boards.held_network import shipped_network
from stepnet.boards.identity import Identity, read_identity
from stepnet.errors import BoardError, LinkTimeoutError
from stepnet.link.exchange import Exchange, Message
from stepnet.link.link import Link, SerialLink, no_rate_found
from stepnet.link.messages import Request
from stepnet.link.rate_search import TRY_S, find_rate, rates_at, rates_of
from stepnet.link.spi import is_spi, open_spi

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

IDENTIFY_TIMEOUT_S = 0.3
IDENTIFY_ATTEMPTS = 2


@dataclass(frozen=True)
class UsbUart:
    """How the UART of a board, or of several that cannot be told apart, shows up on USB.

    boards: the names of the boards.
    usb_id: the numbers of vendor and product.
    product: a regular expression that matches the start of the product string.
    interface: the number of the UART's interface, if the USB device has another one that must be
        left alone; else None.
    """

    boards: str
    usb_id: tuple[int, int]
    product: str
    interface: int | None = None


_FT2232H = (0x0403, 0x6010)
_FT231X = (0x0403, 0x6015)
_DAPLINK = (0x1D50, 0x602B)

# Ids and product strings without another source: definitions/boards.jsonc of
# https://github.com/FPGAwars/apio-definitions. That channel A of an FT2232H programs the board, so
# that the UART is at B: the default of iceprog -I, https://github.com/YosysHQ/icestorm.
USB_UARTS = (
    # FTDI's own string, which boards keep whose EEPROM is empty.
    UsbUart("a board with an FT2232H", _FT2232H, "Dual RS232-HS", interface=1),
    UsbUart("iCEBreaker", _FT2232H, "iCEBreaker", interface=1),
    UsbUart("Alhambra II", _FT2232H, "Alhambra II", interface=1),
    UsbUart("Alchitry Cu", _FT2232H, "Alchitry Cu", interface=1),
    UsbUart("ECP5 Versa", _FT2232H, "Lattice ECP5 Versa", interface=1),
    UsbUart("iCE40-HX8K or iCEstick", _FT2232H, "Lattice FTUSB Interface Cable", interface=1),
    # The BL702 or BL616 plays an FT2232H: https://wiki.sipeed.com/hardware/en/tang
    UsbUart("Tang Nano", _FT2232H, r"(SIPEED )?(USB|JTAG) Debugger", interface=1),
    # Strings of every release: the cable table of https://github.com/kost/fujprog. Without its
    # string an FT231X is anybody's serial adapter.
    UsbUart("ULX3S", _FT231X, "ULX3S FPGA"),
    # Strings differ between systems, as the note in boards.jsonc says.
    UsbUart("iCESugar", _DAPLINK, "DAPLink CMSIS-DAP|CMSIS-DAP-v1-MuseLab"),
)
"""The boards whose ports are asked. Of those with the same USB id, the one of which least can be
said comes first."""


@dataclass(frozen=True)
class Connected:
    """A serial port, and the board at it if there is one.

    port: the path or the name of the port.
    board: the boards that the port's USB id stands for; None if it stands for none.
    usb_id: such as "0403:6010"; None if the port is not on USB.
    identity: what the board said of itself; None if it was not asked or gave no good answer.
    network: the name of the shipped network that the board holds; None if it holds none of them.
    baud: the rate at which it answered; None if it did not.
    problem: why there is no identity, in a sentence; None if there is one.
    """

    port: str
    board: str | None
    usb_id: str | None
    identity: Identity | None
    network: str | None
    baud: int | None
    problem: str | None


def connected_boards(
    *,
    all_ports: bool = False,
    baud: int | None = None,
    ports: Iterable[ListPortInfo] | None = None,
) -> list[Connected]:
    """All serial ports of this machine, sorted by name, with the boards that are found at them.

    Only the UARTs in `USB_UARTS` are opened and written to.

    all_ports: ask at every other port too; what is connected there gets two times 8 bytes that it
    may not understand.
    baud: bits per second on the wire; None to ask at each rate that a board may have.
    ports: as `serial.tools.list_ports.comports` lists them, which is asked if None.
    """
    if ports is None:
        from serial.tools.list_ports import comports

        ports = comports()
    return [_examine(port, all_ports, baud) for port in sorted(ports, key=_in_order)]


def _in_order(port: ListPortInfo) -> list[tuple[int, str]]:
    """The port's name as a key for sorting that puts ttyUSB2 before ttyUSB10."""
    parts = re.findall(r"\d+|\D+", port.device)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _examine(port: ListPortInfo, all_ports: bool, baud: int | None) -> Connected:
    usb_id = None if port.vid is None or port.pid is None else f"{port.vid:04x}:{port.pid:04x}"
    uart, reason = _known_uart(port)
    identity = network = found = problem = None
    if reason is None or all_ports:
        try:
            bauds = rates_of(port) if baud is None else (baud,)
            identity, found = _identify(port.device, bauds)
            held = shipped_network(identity)
            network = held and held.name
        except BoardError as error:
            problem = str(error)
    else:
        problem = reason
    return Connected(port.device, uart and uart.boards, usb_id, identity, network, found, problem)


def _known_uart(port: ListPortInfo) -> tuple[UsbUart | None, str | None]:
    """The kind of board at the port, if it is known, and why the port may not be written to; None
    if it may.
    """
    if port.vid is None or port.pid is None:
        return None, "It is not on USB, so it was not asked; --all-ports asks it."
    for uart in USB_UARTS:
        # Windows does not tell the product string, so that the id has to do.
        if uart.usb_id == (port.vid, port.pid) and (
            port.product is None or re.match(uart.product, port.product)
        ):
            interface = _interface(port)
            if uart.interface in (None, interface):
                return uart, None
            if interface is None:
                return uart, (
                    "It may be the board's other port, which programs it, so it was not asked; "
                    "--all-ports asks it."
                )
            return uart, "It programs the board and was not asked; the UART is its other port."
    return None, "It is no FPGA board that is known here, so it was not asked; --all-ports asks it."


def _interface(port: ListPortInfo) -> int | None:
    """The number at the end of a location such as 1-2:1.1 or 1-2:x.1; None if there is none."""
    found = re.search(r":[0-9x]+\.(\d+)$", port.location or "")
    return int(found[1]) if found else None


def identify(where: str, *, baud: int | None = None) -> Identity:
    """Ask the board at a port who it is, `IDENTIFY_TIMEOUT_S` at a time.

    baud: bits per second on the wire; None to ask at each rate that the port may have.

    Raises LinkError if the port cannot be opened or nothing answers, and what `read_identity`
    raises.
    """
    if is_spi(where):
        return _asked(open_spi(where, hz=baud), where)
    identity, _ = _identify(where, rates_at(where) if baud is None else (baud,))
    return identity


def _identify(where: str, bauds: Sequence[int]) -> tuple[Identity, int | None]:
    """Who the board is, and at which of some rates it says so; None for a port without a rate."""
    link = SerialLink(where, baud=bauds[0], timeout_s=IDENTIFY_TIMEOUT_S)
    try:
        if len(bauds) > 1 and find_rate(link, bauds) is None:
            raise LinkTimeoutError(no_rate_found(where, bauds, len(bauds) * TRY_S))
        return _asked(link, where), link.baud
    finally:
        link.close()


def _asked(link: Link, where: str) -> Identity:
    """Who the board at a link says that it is; the link is closed then."""
    try:
        exchange = Exchange(link, where, IDENTIFY_TIMEOUT_S)
        exchange.resync()
        answer = exchange.ask(Message(Request.IDENTIFY), attempts=IDENTIFY_ATTEMPTS)
        return read_identity(answer, where)
    finally:
        link.close()
