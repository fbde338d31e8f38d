"""How the learning rate rises and falls over a run, for the rules that go down a gradient."""

from __future__ import annotations

import math

WARM_UP_PART = 0.02
"""Part of all steps over which the rate rises from 0."""


def rate(step: int, steps: int) -> float:
    """The factor on the learning rate in a step, which counts from 0 to `steps` - 1.

    It rises in a line and falls to 0 in half a cosine (Loshchilov and Hutter, arXiv:1608.03983,
    without restarts).
    """
    warm_up = max(1, int(steps * WARM_UP_PART))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))
