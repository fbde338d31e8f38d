"""The networks and the boards that a page may choose: those that are here, and those named at the
start. A page can name no other file and no other port."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points

from stepnet.errors import NetworkError
from stepnet.link.link import BOARDS_GROUP
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.shipped import load_any_network, lut_names, names

VIRTUAL_BOARD = "sim"


def page_names() -> list[str]:
    """The names of the shipped networks that the page draws, sorted: all but those that spike."""
    return sorted([*names(), *lut_names()])


class Catalogue:
    """Networks by name, each read once; a shipped one or one that was named at the start.

    own: networks that do not come with Stepnet; one of a shipped name takes its place.
    """

    def __init__(self, own: Iterable[AnyNetwork] = ()) -> None:
        self._loaded = {network.name: network for network in own}

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*page_names(), *self._loaded})

    def network(self, name: str) -> AnyNetwork:
        """The network of this name; NetworkError if there is none."""
        if name not in self._loaded:
            if name not in page_names():
                raise NetworkError(
                    f"There is no network {name[:80]!r} here; choose one of the list."
                )
            self._loaded[name] = load_any_network(name)
        return self._loaded[name]


def boards_here(chosen: str) -> list[str]:
    """What `open_board` can be given on this machine: the one that was named at the start, the
    virtual board if it is installed, and the serial ports of boards on USB. No port is opened."""
    from serial.tools.list_ports import comports

    virtual = [VIRTUAL_BOARD] if VIRTUAL_BOARD in entry_points(group=BOARDS_GROUP).names else []
    ports = sorted(port.device for port in comports() if port.vid is not None)
    return list(dict.fromkeys([chosen, *virtual, *ports]))
