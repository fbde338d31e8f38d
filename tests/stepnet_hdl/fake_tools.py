"""Tools that do as told instead of working, in the place of the real ones."""

import json

from stepnet_hdl.flow.tools import Tool

NEXTPNR_REPORT = {
    "fmax": {"chip.clk": {"achieved": 34.5, "constraint": 24.0}},
    "critical_paths": [
        {
            "from": "posedge chip.clk",
            "to": "posedge chip.clk",
            "path": [
                {"type": kind, "delay": delay, "from": end, "to": end}
                for kind, delay, end in (
                    ("clk-skew", 0.5, {"cell": "chip.b.sum_SB_DFF_Q", "loc": [9, 9]}),
                    ("clk-to-q", 1.0, {"cell": "chip.a.state_SB_DFFESR_Q_DFFLC", "loc": [1, 2]}),
                    ("routing", 2.0, {"cell": "chip.b$2.sum_SB_LUT4_O_1_LC", "loc": [3, 4]}),
                    ("logic", 0.25, {"cell": "chip.b$2.sum_SB_LUT4_O_LC", "loc": [3, 5]}),
                )
            ],
        }
    ],
    "utilization": {
        "ICESTORM_LC": {"used": 2288, "available": 5280},
        "ICESTORM_RAM": {"used": 24, "available": 30},
        "ICESTORM_SPRAM": {"used": 4, "available": 4},
    },
}

NETLIST = {
    "modules": {
        "stepnet": {
            "attributes": {"top": "1"},
            "cells": {
                "chip.a.state_SB_DFFESR_Q": {"attributes": {"NEXTPNR_BEL": "X1/Y2/lc3"}},
                "$nextpnr_ICESTORM_LC_0": {"attributes": {"NEXTPNR_BEL": "X2/Y2/lc0"}},
                "unplaced": {"attributes": {}},
            },
        }
    }
}

PARSE = """
while [ $# -gt 0 ]; do
  case "$1" in --report) report=$2;; --write) netlist=$2;; --seed) seed=$2;; esac
  shift
done
"""


def make_tools(folder, *, mhz_by_seed=None, nextpnr=None, calls=None):
    """Tools of the iCE40 flow as scripts in `folder`.

    mhz_by_seed: what each seed reaches; 34.5 MHz if it is not there.
    nextpnr: a script instead of the one that reports.
    calls: a file that gets a line for each call.
    """
    log = f'echo "$(basename "$0")" >> "{calls}"\n' if calls else ""
    reports = {seed: _report(mhz) for seed, mhz in {**(mhz_by_seed or {}), 0: 34.5}.items()}
    cases = "\n".join(
        f"{seed}) cat <<'E' > $report\n{text}\nE\n;;" for seed, text in reports.items()
    )
    place = f"{PARSE}\ncat <<'E' > $netlist\n{json.dumps(NETLIST)}\nE\n"
    place += f"case $seed in\n{cases}\n*) cat <<'E' > $report\n{reports[0]}\nE\n;; esac\n"
    place += 'echo "seed $seed" > stepnet.asc; echo timing > stepnet.tim\n'
    scripts = {
        "yosys": "echo '{}' > stepnet.json; echo area > stepnet.rpt",
        "nextpnr-ice40": nextpnr or place,
        "icepack": "cp stepnet.asc stepnet.bin",
    }
    tools = {}
    for name, body in scripts.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{log}{body}\n")
        path.chmod(0o755)
        tools[name] = Tool(name, str(path), "1.0", "PATH")
    return tools


def _report(mhz):
    fmax = {"chip.clk": {"achieved": mhz, "constraint": 24.0}}
    return json.dumps({**NEXTPNR_REPORT, "fmax": fmax})
