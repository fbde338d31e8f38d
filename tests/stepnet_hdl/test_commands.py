"""The commands build, boards and flash."""

import json
import shlex

import pytest
import typer
from typer.testing import CliRunner

from fake_tools import make_tools
from stepnet.errors import BuildError
from stepnet_hdl import build as build_module
from stepnet_hdl import cache, commands


@pytest.fixture
def run():
    app = typer.Typer(rich_markup_mode=None)
    for command in (commands.build, commands.boards, commands.flash):
        app.command()(command)

    def run(line):
        done = CliRunner().invoke(app, shlex.split(line), catch_exceptions=True)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def fake_flow(monkeypatch, tmp_path):
    monkeypatch.setattr(cache.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    (tmp_path / "tools").mkdir()
    tools = make_tools(tmp_path / "tools", mhz_by_seed={5: 40.0})
    monkeypatch.setattr(build_module, "find_flow_tool", tools.__getitem__)


@pytest.mark.usefixtures("fake_flow")
def test_build(run, tmp_path):
    line = (
        f"build --board icebreaker --clock-mhz 24 --seed 4 --seeds 2 --output '{tmp_path / 'out'}'"
    )
    as_text = run(line)
    assert "Place and route, best so far 40.0 MHz." in as_text.stderr.splitlines()
    assert "reaches 40.0 MHz (67% to spare)" in as_text.stdout
    as_json = json.loads(run(f"{line} --json").stdout)
    assert (as_json["seed"], as_json["cached"]) == (5, True)
    assert as_json["bitstream"] == str(tmp_path / "out" / "stepnet.bin")


def test_boards(run):
    facts = {fact["name"]: fact for fact in json.loads(run("boards --json").stdout)["boards"]}
    assert facts["tangnano9k"]["part"] == "GW1NR-9C"
    assert "too small for any engine" in run("boards").stdout


def test_flash_prints_its_command(run, tmp_path, monkeypatch):
    loader = tmp_path / "openFPGALoader"
    loader.write_text("#!/bin/sh\nexit 1\n")
    loader.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    bitstream = tmp_path / "my stepnet.bit"
    bitstream.write_bytes(b"bits")
    done = run(f"flash --board ulx3s-85f --bitstream '{bitstream}' --dry-run")
    assert shlex.split(done.stdout) == [
        *(str(loader), "-b", "ulx3s", "--write-flash", str(bitstream))
    ]


def test_flash_without_a_bitstream(run, tmp_path):
    with pytest.raises(BuildError) as caught:
        run(f"flash --board icebreaker --bitstream '{tmp_path / 'none.bin'}'")
    assert str(caught.value) == (
        f"There is no bitstream {str(tmp_path / 'none.bin')!r}; make one with: stepnet build "
        "--board icebreaker."
    )
