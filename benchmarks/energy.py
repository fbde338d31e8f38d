"""What an image costs in energy on an iCE40UP5K: constants from published measurements, and bounds.

    python benchmarks/energy.py [--json]

There is no open power model of this part. Two currents were measured by others on designs of the
open tools, both at the 1.2 V core of Lattice's breakout board:

- tinyVision.ai, github.com/tinyvision-ai-inc/ice40_power, with a Joulescope JS110: counters of
  several widths and clocks, and an 8 x 8 multiplication in every cycle, in a DSP block or in LUTs.
- Symbiotic EDA, MARLANN, github.com/SymbioticEDA/MARLANN, power-test, with an uncalibrated
  multimeter: a whole accelerator with eight DSP blocks and all single-port RAMs, idle and at work.

From three rows of the first come three constants: what flows with the clock halted, and per cycle
of the clock what one cell more costs and what is left without cells. All other rows check them.

For a design whose nets nobody has measured they are a lower bound: its clock and its cells, with no
net but the counter's toggling and no memory read. The accelerator at work is an upper bound for an
engine on the same part that keeps neither multipliers nor as many cells busy. The energy of an
image lies between both, per cycle, times its cycles.

Where the toggles of nets were counted (energy_toggles.py, energy_toggles.json) the lower bound is
nearer: the multiplication in LUTs says what a toggle costs, the one in a DSP block what a product
does. Each is one measurement and gives one constant, so that none is left to check them; the
interval of a toggle is that between nets that settle at once and nets that toggle on the way, as
far as a model with one delay for all LUTs tells. What reading a memory costs is not published.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.networks.shipped import load_network
from stepnet_hdl.shipping.manifest import Manifest, read_manifest, shipped_folder

CORE_V = 1.219


class Row(NamedTuple):
    """A published measurement.

    clock_hz: 0 for a halted clock. cells: logic cells of the design, as published.
    current_a: into the core.
    """

    name: str
    clock_hz: float
    cells: int
    current_a: float

    @property
    def power_w(self) -> float:
        """What the core takes."""
        return self.current_a * CORE_V


HALTED = Row("clock halted, counter of 24 bits", 0, 28, 92.1e-6)
NARROW = Row("12 MHz from outside, counter of 28 bits", 12e6, 32, 613.5e-6)
WIDE = Row("12 MHz from outside, counter of 8 x 28 bits", 12e6, 228, 641.3e-6)
FITTED = (HALTED, NARROW, WIDE)

CHECKED = (
    Row("12 MHz from outside, counter of 2 x 28 bits", 12e6, 60, 616.65e-6),
    Row("12 MHz from outside, counter of 4 x 28 bits", 12e6, 116, 624.2e-6),
    Row("6 MHz from the oscillator, counter of 24 bits", 6e6, 28, 388.4e-6),
    Row("12 MHz from the oscillator, counter of 24 bits", 12e6, 28, 645e-6),
    Row("24 MHz from the oscillator, counter of 24 bits", 24e6, 28, 1162e-6),
    Row("48 MHz from the oscillator, counter of 24 bits", 48e6, 28, 2184e-6),
)

OSCILLATOR = CHECKED[3]
MULTIPLIED = {
    "8 x 8 multiplication in LUTs": Row("12 MHz, multiplication in LUTs", 12e6, 208, 996e-6),
    "8 x 8 multiplication in a DSP block": Row("12 MHz, multiplication in a DSP", 12e6, 72, 882e-6),
}

MARLANN_J = {
    "idle, 12 MHz": 2.9e-3 * 1.218 / 12e6,
    "at work, 12 MHz": 8.7e-3 * 1.216 / 12e6,
    "at work, 20 MHz": 14e-3 * 1.214 / 20e6,
}
"""Energy per cycle of the accelerator."""

MARLANN_CELLS = 5_280
"""All cells of the part; how many it has is not published with the measurement, and fewer make what
is left to nets and memories larger."""

NETWORKS = ("digits", "digits-medium", "ascii")

COUNTED = Path(__file__).with_name("energy_toggles.json")
"""What energy_toggles.py counted."""

UP5K = "iCE40UP5K"


class Constants(NamedTuple):
    """What the three fitted rows say.

    static_w: with the clock halted. clock_j: per cycle of a design without cells. cell_j: per cycle
    and cell.
    """

    static_w: float
    clock_j: float
    cell_j: float

    def power_w(self, clock_hz: float, cells: int) -> float:
        """What the core of a nearly still design takes."""
        return self.static_w + clock_hz * (self.clock_j + cells * self.cell_j)


def fit() -> Constants:
    """The constants that the fitted rows determine."""
    table = [[1.0, row.clock_hz, row.clock_hz * row.cells] for row in FITTED]
    found = np.linalg.solve(np.array(table), np.array([row.power_w for row in FITTED]))
    return Constants(*map(float, found))


class Interval(NamedTuple):
    """What an energy in J is at least and at most."""

    low: float
    high: float


class Nets(NamedTuple):
    """What the two multiplications say.

    toggle_j: of a net that leaves its logic cell. product_j: of 8 x 8 bits in a DSP block.
    """

    toggle_j: Interval
    product_j: Interval


def counted() -> dict[str, Any]:
    """What was counted, by design."""
    return json.loads(COUNTED.read_text(encoding="utf-8"))


def fit_nets(constants: Constants) -> Nets:
    """The constants that the multiplications determine, beside the counter that they have as well.

    At least, a toggle costs what is left of the multiplication in LUTs by all toggles, those on the
    way included; at most, by those alone that settle.
    """
    found = counted()
    counter, in_luts = found["counter"], found["multiplication in LUTs"]
    in_dsp = found["multiplication in a DSP block"]
    left_j = {
        name: (row.power_w - OSCILLATOR.power_w) / row.clock_hz
        - (row.cells - OSCILLATOR.cells) * constants.cell_j
        for name, row in MULTIPLIED.items()
    }

    def more(design: dict[str, Any], which: str) -> float:
        return design[which] - counter[which]

    luts_j, dsp_j = (left_j[f"8 x 8 multiplication in {what}"] for what in ("LUTs", "a DSP block"))
    toggle_j = Interval(
        luts_j / more(in_luts, "unsettled_toggles_per_cycle"),
        luts_j / more(in_luts, "routed_toggles_per_cycle"),
    )
    dsp_toggles = more(in_dsp, "routed_toggles_per_cycle")
    return Nets(
        toggle_j,
        Interval(dsp_j - dsp_toggles * toggle_j.high, dsp_j - dsp_toggles * toggle_j.low),
    )


class ImageEnergy(NamedTuple):
    """What an image costs in a chip whose toggles were counted, in J.

    still_j: leakage, clock and cells, as far as no net toggles. nets_j, products_j: more than that.
    at_most_j: with memories, which nobody has measured alone: MARLANN at work if any of the core is
        read, or nothing more.
    """

    still_j: float
    nets_j: Interval
    products_j: Interval
    at_most_j: float

    @property
    def interval_j(self) -> Interval:
        """At least and at most."""
        return Interval(self.still_j + self.nets_j.low + self.products_j.low, self.at_most_j)


def image_energy(constants: Constants, nets: Nets, design: dict[str, Any]) -> ImageEnergy:
    """The energy of an image in a counted chip on an iCE40UP5K.

    design: an entry of `counted`.
    """
    cycles = design["simulated_cycles"]
    still_j = cycles * (
        constants.static_w / design["clock_hz"]
        + constants.clock_j
        + design["cells"] * constants.cell_j
    )
    nets_j = Interval(*(design["routed_toggles"] * toggle_j for toggle_j in nets.toggle_j))
    # Of the published products all bits change; pixels of one bit may cost next to nothing.
    products_j = Interval(0, design["products"] * nets.product_j.high)
    known_j = still_j + nets_j.high + products_j.high
    at_most_j = known_j
    if any(design["memory_cycles"].values()):
        at_most_j = max(known_j, cycles * max(MARLANN_J.values()))
    return ImageEnergy(still_j, nets_j, products_j, at_most_j)


def image_bounds_j(constants: Constants, network: str, manifest: Manifest) -> dict[str, Any]:
    """The bounds for one image in the engine of a shipped bitstream, at full clock."""
    cycles = cycles_per_image(load_network(network), manifest.shape)
    cells = manifest.utilisation["LUTs"][0]
    static_j = constants.static_w / manifest.clock_hz
    low_j = static_j + constants.clock_j + cells * constants.cell_j
    high_j = max(MARLANN_J.values())
    return {
        "network": network,
        "cycles": cycles,
        "cells": cells,
        "low_j_per_cycle": low_j,
        "high_j_per_cycle": high_j,
        "low_j": cycles * low_j,
        "high_j": cycles * high_j,
    }


def counted_table() -> str:
    """The chips whose toggles were counted, a line each, as docs/energy.md has them."""
    lines = [
        "| chip | part | cells | cycles | toggles | clock and cells | nets | products | "
        "with memories |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    constants = fit()
    for name, design in counted().items():
        if "part" not in design:  # a published design
            continue
        cells = design["cells"] or design["luts"]
        cycles, toggles = design["simulated_cycles"], design["routed_toggles"]
        energies = "no data | no data | no data | no data"
        if design["part"] == UP5K:
            image = image_energy(constants, fit_nets(constants), design)
            products = _in_uj(image.products_j) if design["products"] else "0"
            energies = (
                f"{1e6 * image.still_j:.2g} | {_in_uj(image.nets_j)} | {products} | "
                f"{_in_uj(image.interval_j)}"
            )
        lines.append(
            f"| {name} | {design['part']} | {cells:,} | {cycles:,.0f} | {toggles:,.0f} | "
            f"{energies} |"
        )
    return "\n".join(lines) + "\n"


def _in_uj(interval: Interval) -> str:
    low, high = (f"{1e6 * each:.2g}" for each in interval)
    return low if low == high else f"{low} to {high}"


def report() -> dict[str, Any]:
    """Constants, how far the other measurements are from them, and the bounds."""
    constants = fit()
    manifest = read_manifest(shipped_folder("icebreaker"))
    checks = {
        row.name: constants.power_w(row.clock_hz, row.cells) / row.power_w - 1 for row in CHECKED
    }
    multiplications = {
        name: (row.power_w - OSCILLATOR.power_w) / row.clock_hz for name, row in MULTIPLIED.items()
    }
    return {
        "constants": constants._asdict(),
        "errors": checks,
        "multiplication_j": multiplications,
        "marlann_j_per_cycle": MARLANN_J,
        "marlann_idle_over_model": MARLANN_J["idle, 12 MHz"]
        / (constants.power_w(12e6, MARLANN_CELLS) / 12e6),
        "nets": fit_nets(constants),
        "counted": {
            name: image_energy(constants, fit_nets(constants), design)._asdict()
            for name, design in counted().items()
            if design.get("part") == UP5K
        },
        "images": [image_bounds_j(constants, name, manifest) for name in NETWORKS],
    }


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description="Energy of an image on an iCE40UP5K.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    found = report()
    if arguments.json:
        print(json.dumps(found))
        return
    constants = Constants(**found["constants"])
    print(
        f"halted {1e3 * constants.static_w:.3f} mW; per cycle {1e12 * constants.clock_j:.1f} pJ, "
        f"and {1e15 * constants.cell_j:.1f} fJ for each cell"
    )
    for name, error in found["errors"].items():
        print(f"  {name}: predicted {error:+.1%} beside what was measured")
    for name, joules in found["multiplication_j"].items():
        print(f"{name}, operands counted: {1e12 * joules:.1f} pJ")
    for name, joules in MARLANN_J.items():
        print(f"MARLANN {name}: {1e9 * joules:.2f} nJ per cycle")
    print(f"MARLANN idle over clock and cells alone: {found['marlann_idle_over_model']:.1f}")
    nets = Nets(*found["nets"])
    low, high = (1e12 * toggle_j for toggle_j in nets.toggle_j)
    print(f"a toggle of a net {low:.2f} to {high:.2f} pJ")
    low, high = (1e12 * product_j for product_j in nets.product_j)
    print(f"a product of 8 x 8 bits in a DSP block {low:.1f} to {high:.1f} pJ")
    for name, energies in found["counted"].items():
        image = ImageEnergy(**energies)
        low, high = (1e6 * each for each in image.interval_j)
        parts = ", ".join(
            f"{what} {1e6 * part.low:.2g} to {1e6 * part.high:.2g}"
            for what, part in (("nets", image.nets_j), ("products", image.products_j))
        )
        print(
            f"{name}: clock and cells {1e6 * image.still_j:.2g}, {parts}, in all {low:.2g} to "
            f"{high:.2g} uJ"
        )
    for image in found["images"]:
        print(
            f"{image['network']}: {image['cycles']:,} cycles, "
            f"{1e9 * image['low_j_per_cycle']:.2f} to {1e9 * image['high_j_per_cycle']:.2f} nJ per "
            f"cycle, {1e6 * image['low_j']:.2f} to {1e6 * image['high_j']:.2f} uJ"
        )


if __name__ == "__main__":
    main()
