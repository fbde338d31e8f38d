"""Where the command-line tools are that the flow calls."""

import shutil
import sysconfig

from stepnet.errors import MissingToolError


def find_tool(name: str, extra: str = "fpga") -> str:
    """Path of the program `name`: beside this Python, where pip puts scripts, or else on PATH.

    extra: the extra of the `stepnet` distribution that brings it.

    Raises MissingToolError with the command that installs it.
    """
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if path is None:
        raise MissingToolError(
            f'The tool {name!r} is missing; install it with: pip install "stepnet[{extra}]".'
        )
    return path
