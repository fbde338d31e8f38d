"""What the commands need that may not be installed."""

from importlib.util import find_spec

from stepnet.errors import MissingToolError


def require_amaranth() -> None:
    """Raise MissingToolError, with the command that installs it, if Amaranth is missing."""
    for package in ("amaranth", "amaranth_boards"):
        if find_spec(package) is None:
            raise MissingToolError(
                f'The package {package!r} is missing; install it with: pip install "stepnet[fpga]".'
            )
