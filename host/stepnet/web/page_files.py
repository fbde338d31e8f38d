"""The page's own files, held in memory: they are small, and answered without waiting for a disk."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

INDEX = "index.html"

TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}
"""Of the files that a browser refuses under another type, whatever this machine takes them for."""

NOT_FOUND = 404
NOT_MODIFIED = 304


class PageFiles:
    """Answers requests for the files below a folder, as they are when this is made.

    folder: with `INDEX`, which is what a request for the folder itself gets.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): _answer_of(path)
            for path in folder.rglob("*")
            if path.is_file()
        }

    async def answer(self, request: Request) -> Response:
        """The file that the request's path names; nothing if the browser has it already."""
        found = self._files.get(request.url.path.lstrip("/") or INDEX)
        if found is None:
            return PlainTextResponse("There is no such file.", NOT_FOUND)
        content, kind, tag = found
        headers = {"etag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=NOT_MODIFIED, headers=headers)
        return Response(content, media_type=kind, headers=headers)


def _answer_of(path: Path) -> tuple[bytes, str, str]:
    """Content, type and tag of a file."""
    content = path.read_bytes()
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return content, kind or "application/octet-stream", tag
