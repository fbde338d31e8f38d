"""What to do about a device that this user may not open."""

from __future__ import annotations

from pathlib import Path


def permission_advice(where: str) -> str:
    """Who may open the port, and how to become one of them: the end of an error's sentence."""
    try:
        device = Path(where)
        mode, owner, group = device.stat().st_mode, device.owner(), device.group()
    except (OSError, KeyError, NotImplementedError):  # Windows knows neither
        return "; ask who administers this machine to let you."
    if group != "root" and mode & 0o060 == 0o060:
        return (
            f", which belongs to the group {group!r}; join that group (sudo usermod -aG {group} "
            "$USER) and log in again."
        )
    return (
        f", which only {owner!r} may; let others use it with a udev rule or, until it is plugged "
        f"in again, with sudo chmod a+rw {where}."
    )
