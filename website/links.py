"""Links of the pages, as the site needs them.

In the repository a page links to others, and to sources, by where they lie. On the site, a page
that is shown is linked to as the page it is there, a module to its place in the API, and any other
file or folder to where the public can see the sources; as long as that is nowhere, it is only
named. What does not exist is a warning, which ends a strict build.

A hook of MkDocs.
"""

from __future__ import annotations

import logging
import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from sources import DOCS, PAGES_ELSEWHERE, REPOSITORY, api_pages, module_of, repository_url

log = logging.getLogger("mkdocs.hooks.links")

FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
MARKED_FENCE = re.compile(r"^```(?P<language>\w+) (?P<mark>[a-z-]+)$", re.M)
"""The first line of a block with a mark, such as needs-board."""
LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^][]|\[[^][]*\])*)\]\((?P<target>[^)\s]+)\)")
SOURCE_ATTRIBUTE = re.compile(r'(?P<before>\b(?:src|srcset|href)=")(?P<target>[^"#\s]+)')

_SOURCES = {page: source for source, page in PAGES_ELSEWHERE.items()}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text of a page with its links as on the site, and marks of blocks as their titles."""
    place = page.file.src_uri
    if place.startswith("api/"):
        return markdown
    parts: list[str] = []
    end = 0
    for fence in FENCE.finditer(markdown):
        parts += [_relinked(markdown[end : fence.start()], place, files), _titled(fence[0])]
        end = fence.end()
    return "".join([*parts, _relinked(markdown[end:], place, files)])


def _titled(block: str) -> str:
    """A block of code whose mark, if it has one, is its title."""
    return MARKED_FENCE.sub(
        lambda found: f'```{found["language"]} title="{found["mark"].replace("-", " ")}"', block
    )


def _relinked(text: str, place: str, files: Files) -> str:
    def link(found: re.Match[str]) -> str:
        image, target = found["image"], found["target"]
        inner = LINK.sub(link, found["text"])  # a picture may be what is clicked
        new = _on_site(target, place, files)
        if new is None:
            return f'<span title="{_in_repository(target, place)}">{inner}</span>'
        return f"{image}[{inner}]({new})"

    def attribute(found: re.Match[str]) -> str:
        new = _on_site(found["target"], place, files)
        return f"{found['before']}{new or ''}"

    return SOURCE_ATTRIBUTE.sub(attribute, LINK.sub(link, text))


def _on_site(target: str, place: str, files: Files) -> str | None:
    """The target of a link on the page `place`, as it is on the site; None if it is not there."""
    if re.match(r"[a-z]+:|#", target):
        return target
    _, _, section = target.partition("#")
    anchor = f"#{section}" if section else ""
    path = _in_repository(target, place)
    if path.startswith("..") or not (REPOSITORY / path).exists():
        log.warning("The page %s links to %s, which does not exist.", place, target)
        return None
    page = PAGES_ELSEWHERE.get(path) or PAGES_ELSEWHERE.get(f"{path}/README.md")
    if page is None and path.startswith(f"{DOCS}/"):
        inner = path.removeprefix(f"{DOCS}/")
        page = inner if files.get_file_from_path(inner) else None
    if page is None and (url := repository_url()):
        kind = "tree" if (REPOSITORY / path).is_dir() else "blob"
        return f"{url}/{kind}/HEAD/{path}{anchor}"
    if page is None and (module := module_of(path)):
        page = f"api/{_api_page(module)}.md"
        anchor = f"#{module}"
    if page is None:
        return None
    return posixpath.relpath(page, posixpath.dirname(place) or ".") + anchor


def _in_repository(target: str, place: str) -> str:
    """The path in the repository that a link on the page `place` leads to."""
    source = _SOURCES.get(place, f"{DOCS}/{place}")
    path = target.partition("#")[0]
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), path))


def _api_page(module: str) -> str:
    return next(page for page, modules in api_pages().items() if module in modules)
