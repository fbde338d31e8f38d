"""The documentation as a site: pages have their places, links lead on, and docstrings are there."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.structure.files import Files

import docstrings
import links
import sources

REPOSITORY = Path(__file__).parents[2]
CONFIGURATION = REPOSITORY / "website" / "mkdocs.yml"

BUILD = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(CONFIGURATION)]


def named_pages():
    """The pages that the site's navigation names."""
    navigation = CONFIGURATION.read_text().partition("\nnav:\n")[2].partition("\nvalidation:")[0]
    return re.findall(r"^ +- (?:.*: )?(\S+\.md)$", navigation, re.M)


def test_every_page_has_one_place_on_the_site():
    named = named_pages()
    assert len(named) == len(set(named)), "website/mkdocs.yml names a page twice."
    pages = {
        page.relative_to(REPOSITORY / "docs").as_posix() for page in REPOSITORY.glob("docs/**/*.md")
    }
    missing = sorted(pages - set(named))
    assert not missing, (
        f"{', '.join(missing)} of docs/ has no place on the site; give it a line under nav in "
        "website/mkdocs.yml: under Tutorial, How to, Reference or Explanation, whichever it is."
    )
    made = {*sources.PAGES_ELSEWHERE.values(), "commands.md"}
    assert set(named) == pages | made


def test_the_api_has_every_room_and_no_command():
    pages = sources.api_pages()
    assert {"stepnet", "stepnet.boards", "stepnet_hdl.cores", "stepnet_sim.chips"} <= set(pages)
    assert pages["stepnet.data"] == ["stepnet.data", "stepnet.data.evaluation", "stepnet.data.sets"]
    assert "stepnet.errors" in pages["stepnet"]
    modules = [module for page in pages.values() for module in page]
    assert len(modules) == len(set(modules))
    assert not any(".cli" in module or ".benches" in module for module in modules)


@pytest.fixture
def shown(monkeypatch):
    """What the hook makes of the text of a page; the repository is nowhere public."""
    monkeypatch.setattr(links, "repository_url", lambda: None)
    files = Files([])
    monkeypatch.setattr(
        files, "get_file_from_path", lambda path: path in ("link.md", "path.svg") or None
    )

    def shown(text, place="pictures.md"):
        page = SimpleNamespace(file=SimpleNamespace(src_uri=place))
        return links.on_page_markdown(text, page, config=None, files=files)

    return shown


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("[a](link.md#line)", "pictures.md", "[a](link.md#line)"),
        (
            "[a](#here), [b](https://x.org/y.md)",
            "pictures.md",
            "[a](#here), [b](https://x.org/y.md)",
        ),
        ("[a](../README.md#try-it)", "pictures.md", "[a](index.md#try-it)"),
        ("![a](docs/path.svg)", "index.md", "![a](path.svg)"),
        ('<img src="docs/path.svg">', "index.md", '<img src="path.svg">'),
        ('<source srcset="docs/path.svg 2x">', "index.md", '<source srcset="path.svg 2x">'),
        ("[![a](docs/path.svg)](docs/link.md)", "index.md", "[![a](path.svg)](link.md)"),
        (
            "[a](../host/stepnet/data/sets.py) [b](../hdl/stepnet_hdl)",
            "pictures.md",
            "[a](api/stepnet.data.md#stepnet.data.sets) [b](api/stepnet_hdl.md#stepnet_hdl)",
        ),
        ("[a](../bitstreams)", "pictures.md", "[a](bitstreams.md)"),
        (
            "[a](../host/stepnet/cli/train.py)",
            "pictures.md",
            '<span title="host/stepnet/cli/train.py">a</span>',
        ),
        (
            "```sh needs-board\n[a](nothing)\n```\n",
            "pictures.md",
            '```sh title="needs board"\n[a](nothing)\n```\n',
        ),
    ],
)
def test_links_are_as_on_the_site(shown, text, place, expected):
    assert shown(text, place) == expected


def test_sources_are_linked_to_where_the_public_sees_them(shown, monkeypatch):
    monkeypatch.setattr(links, "repository_url", lambda: "https://forge.org/stepnet")
    assert shown("[a](../Makefile) [b](../tests)") == (
        "[a](https://forge.org/stepnet/blob/HEAD/Makefile) "
        "[b](https://forge.org/stepnet/tree/HEAD/tests)"
    )


@pytest.mark.parametrize("target", ["../nothing.py", "nothing.md", "../../elsewhere.md"])
def test_a_link_to_nothing_is_a_warning(shown, caplog, target):
    with caplog.at_level(logging.WARNING, "mkdocs"):
        shown(f"[a]({target})")
    assert caplog.messages == [f"The page pictures.md links to {target}, which does not exist."]


def test_explained_names_become_a_list():
    text = "Opens it.\n\nwhere: the port,\nor a socket.\nbaud: bits per second.\n\nRaises: nothing."
    assert docstrings.with_lists(text, {"where", "baud"}) == (
        "Opens it.\n\n- `where`: the port,\n    or a socket.\n- `baud`: bits per second.\n\n"
        "Raises: nothing."
    )


def test_what_has_no_docstring_is_a_warning(tmp_path, caplog):
    import griffe

    (tmp_path / "bare.py").write_text(
        '"""A module."""\n\nclass Part:\n    """A part."""\n    def elaborate(self): ...\n'
        "    def shown(self): ...\n    def _hidden(self): ...\n\ndef made(): ...\n"
    )
    extensions = griffe.load_extensions(docstrings.Docstrings)
    with caplog.at_level(logging.WARNING, "mkdocs"):
        griffe.load("bare", search_paths=[tmp_path], extensions=extensions)
    assert caplog.messages == ["bare.Part.shown has no docstring.", "bare.made has no docstring."]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        [*BUILD, "--site-dir", str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    names = [page.removesuffix(".md") for page in named_pages()]
    for name in [*names, *(f"api/{page}" for page in sources.api_pages())]:
        assert (tmp_path / f"{name}.html").exists(), name
    board = (tmp_path / "api" / "stepnet.boards.html").read_text()
    assert 'id="stepnet.boards.board.open_board"' in board
    assert "<code>timeout_s</code>: how long the board may be silent" in board
