"""The description of an exported core for FuseSoC, in its format CAPI2.

https://fusesoc.readthedocs.io/en/stable/ref/capi2.html
"""

from __future__ import annotations

from importlib.metadata import version


def fusesoc_core(name: str, description: str) -> str:
    """The text of `name.core`: the Verilog, its testbench, and targets to lint and to simulate."""
    return f"""\
CAPI=2:
name: "stepnet::{name}:{version("stepnet")}"
description: {_quoted(description)}

filesets:
  rtl:
    files:
      - {name}.v
    file_type: verilogSource-2005
  testbench:
    files:
      - {name}_tb.v
    file_type: verilogSource-2005

targets:
  default:
    filesets: [rtl]
    toplevel: {name}
  lint:
    description: All of Verilator's warnings
    filesets: [rtl]
    toplevel: {name}
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
  sim: &sim
    description: The testbench in Icarus Verilog
    filesets: [rtl, testbench]
    toplevel: {name}_tb
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2005]
      vvp_options: [-N] # $stop, which ends a run that failed, is an error
  sim_verilator:
    <<: *sim
    description: The testbench in Verilator
    flow_options:
      tool: verilator
      mode: binary
"""


def _quoted(text: str) -> str:
    """The text as a string of YAML."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
