"""The page as files, for a server of one's own: it reads with its own reference, or with a board
that it reaches through Web Serial."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from stepnet.errors import StepnetError
from stepnet.files import write_text
from stepnet.networks.kinds import BoardNetwork
from stepnet.web import STATIC
from stepnet.web.network_json import network_files, network_json

SERVED = 'data-server="yes"'
ALONE = 'data-server="no"'
"""How the page knows whether `stepnet web` answers it."""


class SiteError(StepnetError):
    """The page cannot be written where it was to go."""


def write_site(folder: str | os.PathLike[str], networks: Sequence[BoardNetwork]) -> list[Path]:
    """Write the page and networks as JSON into a folder; the files, sorted.

    networks: the first is the one that the page begins with.

    Files of the same name are replaced, others stay. Raises SiteError if the folder cannot be
    written.
    """
    home = Path(folder)
    try:
        shutil.copytree(STATIC, home, dirs_exist_ok=True)
        index = home / "index.html"
        write_text(index, index.read_text(encoding="utf-8").replace(SERVED, ALONE))
        (home / "networks").mkdir(exist_ok=True)
        files = network_files(network.name for network in networks)
        write_text(home / "networks" / "index.json", json.dumps({"networks": files}))
        for network in networks:
            content = json.dumps(network_json(network))
            write_text(home / "networks" / files[network.name], content)
    except OSError as error:
        raise SiteError(
            f"The page cannot be written to {str(folder)!r} ({error.strerror or error}); name a "
            "folder that you may write."
        ) from error
    return sorted(path for path in home.rglob("*") if path.is_file())
