"""The page as files, for a server of one's own: it prepares drawings, lines and pictures by itself
and reads them with its own reference, or with a board that it reaches through Web Serial."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from stepnet.errors import StepnetError
from stepnet.files import write_text
from stepnet.networks.kinds import AnyNetwork
from stepnet.web import STATIC
from stepnet.web.network_json import network_files, network_json

SERVED = 'data-server="yes"'
ALONE = 'data-server="no"'
"""How the page knows whether `stepnet web` answers it."""


class SiteError(StepnetError):
    """The page cannot be written where it was to go."""


def write_site(folder: str | os.PathLike[str], networks: Sequence[AnyNetwork]) -> list[Path]:
    """Write the page and networks as JSON into a folder; the files that were written, sorted.

    networks: the first is the one that the page begins with.

    Files of the same name are replaced, others stay. Raises SiteError if the folder cannot be
    written.
    """
    home = Path(folder)
    try:
        shutil.copytree(STATIC, home, dirs_exist_ok=True)
        written = [home / path.relative_to(STATIC) for path in STATIC.rglob("*") if path.is_file()]
        index = home / "index.html"
        write_text(index, index.read_text(encoding="utf-8").replace(SERVED, ALONE))
        (home / "networks").mkdir(exist_ok=True)
        files = network_files(network.name for network in networks)
        contents = {files[network.name]: network_json(network) for network in networks}
        for name, content in {"index.json": {"networks": files}, **contents}.items():
            write_text(home / "networks" / name, json.dumps(content))
            written.append(home / "networks" / name)
    except OSError as error:
        raise SiteError(
            f"The page cannot be written to {str(folder)!r} ({error.strerror or error}); name a "
            "folder that you may write."
        ) from error
    return sorted(written)
