"""What the pages say of the command line and of each other."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from stepnet import cli

REPOSITORY = Path(__file__).parents[2]

PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "SECURITY.md",
    REPOSITORY / "bitstreams" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]


def name(page):
    return str(page.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_their_options_exist(page):
    commands = get_command(cli.make_app()).commands
    for line in re.findall(r"^(?:    )?(?:.*\| )?stepnet ([^#\n]*)", page.read_text(), re.M):
        command, *words = line.split("|")[0].split()
        assert command in commands, line
        options = {option for each in commands[command].params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize(
    ("command", "page"),
    [
        ("infer", "pictures.md"),
        ("import", "your-network.md"),
        ("export", "your-network.md"),
        ("bench", "runtime.md"),
        ("boards", "runtime.md"),
        ("share", "runtime.md"),
        ("sim", "runtime.md"),
        ("web", "web.md"),
        ("serve", "serving.md"),
        ("sweep", "sweeps.md"),
    ],
)
def test_every_option_is_on_some_page(command, page):
    """On that of the command or, for what several share, on that of the runtime."""
    texts = [(REPOSITORY / "docs" / each).read_text() for each in (page, "runtime.md")]
    text = "\n".join([*texts, (REPOSITORY / "README.md").read_text()])
    options = {each.opts[0] for each in get_command(cli.make_app()).commands[command].params}
    words = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert {option for option in options if option.startswith("--")} <= words


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        path, _, section = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if section:
            assert section in {anchor(line) for line in headings(target)}, link


def headings(page):
    return re.findall(r"^#+ (.*)", page.read_text(), re.M)


def anchor(heading):
    """The name that a renderer gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
