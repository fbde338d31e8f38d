"""The model of phase-change memory beside that of IBM's Analog Hardware Acceleration Kit.

    pip install --no-deps aihwkit==1.1.0
    python benchmarks/analogue_noise_model.py [--json]

Needs torch, and aihwkit without its dependencies, some of which want another torch. Both models
program, drift and read a million cells of each conductance, and the means and standard deviations
of what comes out are compared. Ends with 1 if one of them differs by more than chance explains:
five standard errors.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepnet_sim.analogue import pcm

CELLS = 1_000_000
CONDUCTANCES_US = (0.0, 0.5, 2.5, 5.0, 12.5, 25.0)
SECONDS = {"programming": 0.0, "1 hour": 3600.0, "1 day": 86_400.0, "1 year": 31_557_600.0}
MOST_ERRORS = 5.0


class Row(NamedTuple):
    """What both models say of one conductance at one time, in microsiemens; and by how many
    standard errors the means and the standard deviations are apart.
    """

    target_us: float
    after: str
    mean_us: float
    their_mean_us: float
    deviation_us: float
    their_deviation_us: float
    mean_errors: float
    deviation_errors: float


def ours(target_us: float, seconds: float) -> NDArray[np.float32]:
    """Conductances of `CELLS` cells by this project's model."""
    random = np.random.default_rng(0)
    target = np.full(CELLS, target_us, dtype=np.float32)
    exponents = pcm.drift_exponents(target, random)
    return pcm.read(pcm.program(target, random), exponents, seconds, random)


def theirs(target_us: float, seconds: float) -> NDArray[np.float32]:
    """The same by aihwkit's model."""
    torch: Any = importlib.import_module("torch")
    model: Any = importlib.import_module("aihwkit.inference.noise.pcm").PCMLikeNoiseModel()
    torch.manual_seed(1)
    target = torch.full((CELLS,), target_us)
    exponents = model.generate_drift_coefficients(target)
    programmed = model.apply_programming_noise_to_conductance(target)
    return model.apply_drift_noise_to_conductance(programmed, exponents, seconds).numpy()


def compare(target_us: float, after: str) -> Row:
    """Both models at one conductance and time."""
    found = [model(target_us, SECONDS[after]).astype(np.float64) for model in (ours, theirs)]
    means = [cells.mean() for cells in found]
    deviations = [cells.std() for cells in found]
    # Of a mean the standard error follows from the deviation, of a deviation from fourth moments.
    mean_error = np.hypot(*deviations) / CELLS**0.5
    fourths = [((cells - cells.mean()) ** 4).mean() for cells in found]
    errors = [
        ((fourth - deviation**4) / CELLS) ** 0.5 / (2 * deviation)
        for fourth, deviation in zip(fourths, deviations, strict=True)
    ]
    return Row(
        target_us,
        after,
        float(means[0]),
        float(means[1]),
        float(deviations[0]),
        float(deviations[1]),
        float(abs(means[0] - means[1]) / mean_error),
        float(abs(deviations[0] - deviations[1]) / np.hypot(*errors)),
    )


def main() -> int:
    """Compare at all conductances and times; the exit code."""
    parser = argparse.ArgumentParser(description="Our model of memory cells beside aihwkit's.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    rows = [compare(target, after) for target in CONDUCTANCES_US for after in SECONDS]
    farthest = max(max(row.mean_errors, row.deviation_errors) for row in rows)
    if arguments.json:
        print(json.dumps({"farthest_errors": farthest, "rows": [row._asdict() for row in rows]}))
    else:
        print("target   after         mean, theirs        deviation, theirs     (microsiemens)")
        for row in rows:
            print(
                f"{row.target_us:6.1f}   {row.after:12}"
                f"  {row.mean_us:8.4f} {row.their_mean_us:8.4f}"
                f"    {row.deviation_us:8.4f} {row.their_deviation_us:8.4f}"
            )
        print(f"At most {farthest:.1f} standard errors apart, of {CELLS:,} cells each.")
    return 1 if farthest > MOST_ERRORS else 0


if __name__ == "__main__":
    sys.exit(main())
