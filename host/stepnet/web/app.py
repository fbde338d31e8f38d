"""The page's requests and their answers.

`GET /` and the files beside it are the page; `networks/` has the networks as JSON. Below `/api/`:

    GET  state                the board, the network, and what may be chosen
    POST choose               {"board": ..., "network": ...}, either or both
    POST read?as=&steps=      a picture; what was read in it
    POST keep?as=&label=      a picture; it is kept with its label

`as` says what the picture is: a "drawing" of a character, the "picture" of one, or a "line".

Whatever goes wrong is {"error": one sentence} with a status of 400 or more.
"""

from __future__ import annotations

import asyncio
import io
import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stepnet.errors import BoardError, StepnetError
from stepnet.link.messages import pack_pixels
from stepnet.link.tokens import without_token
from stepnet.networks import reference
from stepnet.networks.kinds import AnyNetwork
from stepnet.pictures.preparing import (
    Prepared,
    prepare_character,
    prepare_drawing,
    prepare_line,
)
from stepnet.pictures.steps import draw_steps
from stepnet.pictures.text_line import joined_text
from stepnet.web import STATIC
from stepnet.web.catalogue import Catalogue
from stepnet.web.guard import Guard
from stepnet.web.keeping import keep_drawing
from stepnet.web.network_json import network_files, network_json
from stepnet.web.page_files import PageFiles
from stepnet.web.station import Read, Station

MOST_PICTURE_BYTES = 16 << 20
"""Of an upload; a telephone's photo has a third of it. How many pixels it may have is up to
`stepnet.pictures.picture.MAX_MEGAPIXELS`."""

MOST_WORDS_BYTES = 4096
"""Of a request that is no picture."""

MOST_CHARACTERS = 120
"""In a line that is read."""

SHOWN_NAME = "picture"
"""How an upload is called in sentences; its own name is never used."""

UNPROCESSABLE = 422
TOO_LARGE = 413
UNAVAILABLE = 503


class UploadError(StepnetError):
    """A request is too large or makes no sense."""


class TooLargeError(UploadError):
    """A request has more bytes than are taken."""


@dataclass(frozen=True)
class Page:
    """What all requests have in common.

    keep: the folder for drawings; None if none are kept.
    run: distinguishes this run of the server from others.
    """

    station: Station
    catalogue: Catalogue
    keep: Path | None
    run: str
    decoding: asyncio.Lock
    keeping: asyncio.Lock


def make_app(
    station: Station,
    catalogue: Catalogue,
    *,
    port: int,
    public: bool = False,
    token: str | None = None,
    keep: Path | None = None,
) -> Starlette:
    """The application; it opens the station's board when it starts and gives it back at its end.

    port, public, token: as in `Guard`.
    keep: the folder in which drawings are kept; None for none.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        station.start()
        yield
        await station.stop()

    page = Page(station, catalogue, keep, uuid4().hex, asyncio.Lock(), asyncio.Lock())
    routes = [
        Route("/networks/index.json", partial(_answered, page, _network_names)),
        Route("/networks/{file}", partial(_answered, page, _network)),
        Route("/api/state", partial(_answered, page, _state)),
        Route("/api/choose", partial(_answered, page, _choose), methods=["POST"]),
        Route("/api/read", partial(_answered, page, _read), methods=["POST"]),
        Route("/api/keep", partial(_answered, page, _keep), methods=["POST"]),
        Route("/{path:path}", PageFiles(STATIC).answer),
    ]
    middleware = [Middleware(Guard, port=port, public=public, token=token)]
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


Handler = Callable[[Page, Request], Awaitable[Response]]


async def _answered(page: Page, handler: Handler, request: Request) -> Response:
    """What `handler` answers, or the sentence of its error."""
    try:
        return await handler(page, request)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody hears it
    except TooLargeError as error:
        status = TOO_LARGE
        sentence = str(error)
    except BoardError as error:
        status, sentence = UNAVAILABLE, str(error)
    except StepnetError as error:
        status, sentence = UNPROCESSABLE, str(error)
    except MemoryError:
        status, sentence = (
            UNPROCESSABLE,
            "This picture needs more memory than there is; scale it down.",
        )
    return JSONResponse({"error": sentence}, status_code=status)


async def _network_names(page: Page, request: Request) -> Response:
    return JSONResponse({"networks": network_files(page.catalogue.names)})


async def _network(page: Page, request: Request) -> Response:
    names = {file: name for name, file in network_files(page.catalogue.names).items()}
    file = str(request.path_params["file"])
    network = page.catalogue.network(names.get(file) or file)
    content = await asyncio.to_thread(_network_bytes, network)
    return Response(content, media_type="application/json")


@lru_cache(maxsize=32)
def _network_bytes(network: AnyNetwork) -> bytes:
    return json.dumps(network_json(network)).encode()


async def _state(page: Page, request: Request) -> Response:
    page.station.looked_at()
    return JSONResponse(_state_of(page))


def _state_of(page: Page) -> dict[str, Any]:
    station = page.station
    return {
        "run": page.run,
        "board": without_token(station.where),
        "boards": [without_token(where) for where in station.wheres],
        "condition": str(station.condition),
        "problem": station.problem,
        "clock_hz": station.clock_hz,
        "network": station.network.name,
        "networks": page.catalogue.names,
        "keep": page.keep is not None,
    }


async def _choose(page: Page, request: Request) -> Response:
    try:
        wanted: object = json.loads(await _body(request, MOST_WORDS_BYTES))
    except ValueError:
        raise UploadError("This request is no JSON; reload the page.") from None
    station = page.station
    shown = {without_token(where): where for where in station.wheres}
    if not isinstance(wanted, dict):
        raise UploadError("This request names no board and no network; reload the page.")
    choice = cast(dict[str, object], wanted)
    where, network = None, None
    if "board" in choice:
        board = str(choice["board"])
        if board not in shown:
            raise UploadError(f"There is no board {board[:80]!r} in the list; choose one that is.")
        where = shown[board]
    if "network" in choice:
        network = page.catalogue.network(str(choice["network"]))
    await station.choose(where, network)
    return JSONResponse(_state_of(page))


async def _read(page: Page, request: Request) -> Response:
    picture = await _body(request, MOST_PICTURE_BYTES)
    network = page.station.network
    prepared = await _prepared(page, picture, network, request)
    if len(prepared.images) > MOST_CHARACTERS:
        raise UploadError(
            f"The line has {len(prepared.images)} characters and at most {MOST_CHARACTERS} are "
            "read at a time; give a part of it."
        )
    if await request.is_disconnected():
        raise ClientDisconnect  # the next stroke came before this one was read
    reads = await page.station.read(prepared.images, request.headers.get("x-stepnet-tab", ""))
    answer = {"network": network.name, "characters": [_character(read) for read in reads]}
    if prepared.line is not None:
        answer["text"] = joined_text(prepared.glyphs, [_Shown.of(read) for read in reads])
    if request.query_params.get("steps") == "yes":
        answer["steps"] = await asyncio.to_thread(_steps, prepared, reads)
    return JSONResponse(answer | {"state": _state_of(page)})


async def _keep(page: Page, request: Request) -> Response:
    if page.keep is None:
        raise UploadError("No drawings are kept; start `stepnet web` with --keep FOLDER.")
    picture = await _body(request, MOST_PICTURE_BYTES)
    network = page.station.network
    prepared = await _prepared(page, picture, network, request)
    if prepared.line is not None:
        raise UploadError("A line is not kept; give one character.")
    label = request.query_params.get("label", "")
    async with page.keeping:
        path, count = await asyncio.to_thread(
            keep_drawing, page.keep, network, prepared.images[0], label
        )
    return JSONResponse({"file": path.name, "count": count})


async def _body(request: Request, most_bytes: int) -> bytes:
    """What a request carries, taken only as far as it may be large."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most_bytes:
            raise TooLargeError(
                f"The upload has more than {most_bytes / 2**20:g} MiB; scale the picture "
                "down first."
            )
    return bytes(content)


PREPARE = {"drawing": prepare_drawing, "picture": prepare_character, "line": prepare_line}
"""What is made of an upload, by what it is said to be."""


async def _prepared(page: Page, picture: bytes, network: AnyNetwork, request: Request) -> Prepared:
    """A picture as the network gets it. One is decoded at a time, so that memory suffices."""
    prepare = PREPARE.get(request.query_params.get("as", "picture"))
    if prepare is None:
        raise UploadError("This request does not say what it brings; reload the page.")
    async with page.decoding:
        return await asyncio.to_thread(prepare, picture, network)


@dataclass(frozen=True)
class _Shown:
    """A reading as far as a text needs it."""

    character: str | None

    @classmethod
    def of(cls, read: Read) -> _Shown:
        code = read.code if read.reading is None else read.reading.code
        return cls(chr(code) if chr(code) in read.network.characters else None)


def _character(read: Read) -> dict[str, Any]:
    bits = reference.ink(read.image, read.network.ink_threshold)
    reading = read.reading
    return {
        "pixels": b64encode(pack_pixels(bits)).decode("ascii"),
        "numpy": {"code": read.code, "margin": read.margin},
        "board": reading
        and {"code": reading.code, "margin": reading.margin, "cycles": reading.cycles},
    }


def _steps(prepared: Prepared, reads: list[Read]) -> str:
    """The steps of normalisation as a PNG in base64."""
    captions = [_Shown.of(read).character or "?" for read in reads]
    drawn = draw_steps(prepared, captions, reads[0].network.ink_threshold)
    packed = io.BytesIO()
    drawn.save(packed, "PNG")
    return b64encode(packed.getvalue()).decode("ascii")
