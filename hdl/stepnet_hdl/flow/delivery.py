"""What a build leaves in the folder that it was asked to put its result into.

The folder is the user's, and may hold anything. A file is replaced or removed only if a report
there says that an earlier build made it, and its content is still what that build wrote.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stepnet.errors import BuildError
from stepnet.files import open_regular, read_text, sha256_of, write_text, write_together
from stepnet_hdl.flow.report import BuildReport, report_from_json

REPORT = "report.json"
PICTURE = "placement.png"
LOG = "stepnet.log"

LOG_HEADING = "The log of a build that failed; the next build in this folder replaces it.\n"

MOST_REPORT_BYTES = 1 << 20


class Delivery:
    """A folder that gets a result. It is made, and looked at, before anything is built.

    Raises BuildError if it cannot be written to, or if the names of the results are taken there by
    files that no earlier build has made; so does `put`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(0, "Permission denied")
            self._earlier = _earlier_report(folder / REPORT)
            if self._earlier is None and (folder / REPORT).exists():
                raise _not_ours(folder / REPORT)
            self._check_free({PICTURE: ""})
        except OSError as error:
            raise _cannot_write(folder, error) from error

    def put(self, entry: Path, report: BuildReport) -> None:
        """Copy a result from the cache, with its report.

        All are whole before the first takes its place; the report, which lists the others, is the
        last to do so.
        """
        try:
            contents = {name: (entry / name).read_bytes() for name in report.digests}
            self._check_free(report.digests)
            write_together(self._folder, {**contents, REPORT: report.to_json().encode()})
            self._remove_stale(tuple(report.digests))
        except OSError as error:
            raise _cannot_write(self._folder, error) from error

    def _check_free(self, digests: dict[str, str]) -> None:
        """Refuse to write over what is neither of an earlier build nor the very same content."""
        for name, digest in digests.items():
            path = self._folder / name
            if path.is_symlink() or path.exists():
                found = _sha256(path)
                if found is None or found not in (digest, self._earlier_digest(name)):
                    raise _not_ours(path)

    def _earlier_digest(self, name: str) -> str | None:
        return self._earlier.digests.get(name) if self._earlier else None

    def _remove_stale(self, names: tuple[str, ...]) -> None:
        """Remove what an earlier build of another kind has left, and the log of one that failed."""
        for name in self._earlier.digests if self._earlier else ():
            path = self._folder / name
            is_inside = path.parent == self._folder
            if name not in names and is_inside and _sha256(path) == self._earlier_digest(name):
                path.unlink()
        for path in self._folder.glob(f"{Path(LOG).stem}*.log"):
            if _is_our_log(path):
                path.unlink()


def keep_log(folder: Path, log: str) -> Path:
    """Write the log of a build that failed, in the place of an earlier one; returns its path.

    Raises BuildError if the folder cannot be written.
    """
    number = 1
    path = folder / LOG
    while path.exists() and not _is_our_log(path):
        number += 1
        path = folder / f"{Path(LOG).stem}-{number}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return write_text(path, LOG_HEADING + log)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _is_our_log(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(LOG_HEADING)) == LOG_HEADING.encode()
    except OSError:
        return False


def _earlier_report(path: Path) -> BuildReport | None:
    """The report of an earlier build; None if the file is something else."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        report = report_from_json(read_text(path, MOST_REPORT_BYTES))
        return report if isinstance(report.digests, dict) else None
    return None


def _sha256(path: Path) -> str | None:
    """The digest of a regular file; None for anything else."""
    try:
        return None if path.is_symlink() else sha256_of(path)
    except OSError:
        return None


def _not_ours(path: Path) -> BuildError:
    return BuildError(
        f"The file {str(path)!r} is not as a build left it, and would be written over; move it, or "
        "name another folder with --output."
    )


def _cannot_write(folder: Path, error: OSError) -> BuildError:
    return BuildError(
        f"The folder {str(folder)!r} cannot be written ({error.strerror}); "
        "name another with --output."
    )
