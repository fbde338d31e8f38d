"""What of the repository becomes which page of the site."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

DOCS = "docs"

PAGES_ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "bitstreams/README.md": "bitstreams.md",
}
"""Pages that lie outside of docs/, by their path in the repository, and as which page of the site
they appear."""

PACKAGES = {"stepnet": "host", "stepnet_hdl": "hdl", "stepnet_sim": "sim"}
"""The packages whose API is shown, and the folder of each."""

NO_API = {"cli", "benches", "__main__"}
"""Modules that nobody imports: commands have a page of their own, benches are run by cocotb."""


@cache
def api_pages() -> dict[str, list[str]]:
    """The modules on each page of the API, by the page's name: a page for each room of a package,
    and one for the package with the modules that lie in no room."""
    pages: dict[str, list[str]] = {}
    for module in _modules():
        package, *inner = module.split(".")
        room = inner[:1] if (folder_of(package) / Path(*inner[:1], "__init__.py")).exists() else []
        pages.setdefault(".".join([package, *room]), []).append(module)
    return pages


def folder_of(package: str) -> Path:
    """The folder that holds a package's modules."""
    return REPOSITORY / PACKAGES[package] / package


def _modules() -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted(folder_of(package).rglob("*.py")):
            name = module_of(path.relative_to(REPOSITORY).as_posix())
            if name is not None:
                yield name


def module_of(path: str) -> str | None:
    """The module of the API that a path in the repository holds, a file or a package's folder;
    None if it holds none."""
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    if len(parts) < 2 or PACKAGES.get(parts[1]) != parts[0]:
        return None
    is_module = path.endswith(".py") or (REPOSITORY / path / "__init__.py").exists()
    inner = parts[1:]
    if not is_module or NO_API & set(inner) or any(part.startswith("_") for part in inner):
        return None
    return ".".join(inner)


@cache
def repository_url() -> str | None:
    """Where the public can see the sources, as pyproject.toml says; None if it does not."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    url = project.get("urls", {}).get("Source")
    return url and url.rstrip("/")
