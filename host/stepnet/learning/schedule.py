"""The learning rate over a run."""

from __future__ import annotations

import math

WARM_UP_PART = 0.02
"""Part of all steps over which the rate rises from 0."""


def rate(step: int, steps: int) -> float:
    """Factor on the learning rate in step 0 to `steps` - 1: up in a line, down to 0 in half a
    cosine (Loshchilov and Hutter, arXiv:1608.03983, without restarts).
    """
    warm_up = max(1, int(steps * WARM_UP_PART))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))
