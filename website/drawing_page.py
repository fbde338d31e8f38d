"""The page on which a character is drawn and read, as a part of the site.

It is what `stepnet web --export` writes; where there is no such command, the site has none.
A hook of MkDocs.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Link, Navigation

TITLE = "Draw a character"
FOLDER = "draw"
"""Where on the site the page is."""


@cache
def _can_export() -> bool:
    from typer.main import get_command

    from stepnet.cli import make_app

    commands = getattr(get_command(make_app()), "commands", {})
    options = {name for each in getattr(commands.get("web"), "params", []) for name in each.opts}
    return "--export" in options


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:
    """Put the page behind the first one, because a visitor can draw before installing anything."""
    if _can_export():
        nav.items.insert(1, Link(TITLE, f"{FOLDER}/index.html"))


def on_post_build(config: MkDocsConfig) -> None:
    """Write the page into the site."""
    if _can_export():
        folder = Path(config.site_dir) / FOLDER
        command = [sys.executable, "-m", "stepnet", "web", "--export", str(folder)]
        subprocess.run(command, check=True)
