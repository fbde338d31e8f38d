"""Pages of the site that lie elsewhere than in docs/, or are made from the sources.

A hook of MkDocs.
"""

from __future__ import annotations

import re
from importlib.metadata import version

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from sources import PACKAGES, PAGES_ELSEWHERE, REPOSITORY, api_pages


def on_config(config: MkDocsConfig) -> None:
    """Put the pages of the API into the navigation, a section for each package."""
    sections = [
        {
            package: [
                {_room(page): f"api/{page}.md"} for page in api_pages() if _is_of(page, package)
            ]
        }
        for package in PACKAGES
    ]
    assert config.nav is not None
    for entry in config.nav:
        if entry.get("API") == "api":
            entry["API"] = sections


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages."""
    for source, page in PAGES_ELSEWHERE.items():
        files.append(File.generated(config, page, content=(REPOSITORY / source).read_text()))
    files.append(File.generated(config, "commands.md", content=_commands()))
    for page, modules in api_pages().items():
        files.append(File.generated(config, f"api/{page}.md", content=_api(modules)))


def _is_of(page: str, package: str) -> bool:
    return page.partition(".")[0] == package


def _room(page: str) -> str:
    return page.partition(".")[2] or page


def _api(modules: list[str]) -> str:
    """A page of the API; its first module is the room, which gives the title."""
    levels = [1, *[2] * (len(modules) - 1)]
    return "\n".join(
        f"::: {module}\n    options:\n      heading_level: {level}\n"
        for module, level in zip(modules, levels, strict=True)
    )


def _commands() -> str:
    """The page of all commands with their options, as they say it themselves."""
    import typer
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from stepnet.cli import make_app

    app = get_command(make_app())
    text = get_docs_for_click(obj=app, ctx=typer.Context(app, info_name="stepnet"), name="stepnet")
    # The list of all commands has half of a sentence for each; the page's contents do that better.
    text = re.sub(r"\*\*Commands\*\*:.*?(?=^## )", "", text, count=1, flags=re.M | re.S)
    return text.replace("# `stepnet`", f"# Commands of Stepnet {version('stepnet')}", 1)
