"""What goes wrong with a sweep as a whole."""

from __future__ import annotations

from stepnet.errors import StepnetError


class SweepError(StepnetError):
    """A sweep cannot begin or go on; what is done is kept."""


class WorkersError(SweepError):
    """The workers cannot be had, or lack something."""

    exit_code = 3
