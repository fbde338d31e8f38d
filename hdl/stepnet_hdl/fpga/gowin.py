"""Amaranth's Gowin platform with the tools of today.

Amaranth 0.5 calls nextpnr-gowin, which nextpnr has replaced with nextpnr-himbaechel; pins, clocks
and synthesis stay Amaranth's.
"""

from __future__ import annotations

from amaranth.vendor import GowinPlatform

PLACE_AND_ROUTE = r"""
    {{invoke_tool("nextpnr-himbaechel")}}
        {{quiet("--quiet")}}
        {{get_override("nextpnr_opts")|options}}
        --log {{name}}.tim
        --device {{platform.part}}
        --vopt family={{platform._chipdb_device}}
        --vopt cst={{name}}.cst
        --freq {{platform.default_clk_frequency / 1e6}}
        --json {{name}}.syn.json
        --write {{name}}.pnr.json
    """
"""Instead of Amaranth's second command. --freq: the flow knows no clock constraints in a file of
the Gowin kind."""


def with_himbaechel(platform: type[GowinPlatform]) -> type[GowinPlatform]:
    """`platform` with nextpnr-himbaechel in the place of nextpnr-gowin."""
    synthesis, _, packing = GowinPlatform._apicula_command_templates
    commands = [synthesis, PLACE_AND_ROUTE, packing]
    tools = ["yosys", "nextpnr-himbaechel", "gowin_pack"]
    return type(
        platform.__name__,
        (platform,),
        {"required_tools": tools, "command_templates": commands, "__module__": platform.__module__},
    )
