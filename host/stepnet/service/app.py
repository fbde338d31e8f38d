"""The service's requests and their answers.

    POST /read          pictures; what was read in them
    GET  /boards        each board of the pool, whether it works, and what it did
    GET  /health        200 while a board works, else 503
    GET  /metrics       figures for Prometheus
    GET  /openapi.json  this, as programs read it

Whatever goes wrong is {"error": one sentence} with a status of 400 or more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stepnet.boards.pool import RETRY_S, Pool
from stepnet.boards.reading import Reading
from stepnet.errors import BoardError, StepnetError
from stepnet.pictures.text_line import joined_text
from stepnet.service.access import Access
from stepnet.service.admission import Admission, BusyError
from stepnet.service.metrics import CONTENT_TYPE, Metrics
from stepnet.service.openapi import description
from stepnet.service.uploads import UNPROCESSABLE, Upload, UploadError, read_body, read_upload

GONE, BUSY, UNAVAILABLE = 400, 429, 503


@dataclass(frozen=True)
class Limits:
    """How much is taken on.

    most_requests: that are answered at once.
    most_images: that wait for a board at once, of all requests together.
    most_batch: images in one request.
    most_bytes: that one request may carry.
    """

    most_requests: int = 32
    most_images: int = 4096
    most_batch: int = 1024
    most_bytes: int = 16 << 20


@dataclass(frozen=True, eq=False)
class _Service:
    """What all requests have in common."""

    pool: Pool
    limits: Limits
    admission: Admission
    metrics: Metrics
    decoding: asyncio.Lock
    threads: ThreadPoolExecutor


def make_app(
    pool: Pool,
    limits: Limits | None = None,
    *,
    public: bool = False,
    token: str | None = None,
) -> Starlette:
    """The application; it closes the pool at its end.

    public, token: as in `Access`.
    """
    limits = limits or Limits()
    admission = Admission(limits.most_requests, limits.most_images)
    service = _Service(
        pool,
        limits,
        admission,
        Metrics(pool, admission),
        asyncio.Lock(),
        ThreadPoolExecutor(limits.most_requests, thread_name_prefix="stepnet request"),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await asyncio.to_thread(pool.close)
        service.threads.shutdown(wait=True)

    routes = [
        Route("/read", partial(_counted, service, _read), methods=["POST"]),
        Route("/boards", partial(_boards, service)),
        Route("/health", partial(_health, service)),
        Route("/metrics", partial(_metrics, service)),
        Route("/openapi.json", partial(_openapi, service)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Access, public=public, token=token)],
        lifespan=lifespan,
        exception_handlers={HTTPException: _no_such_thing},
    )


Handler = Callable[[_Service, Request], Awaitable[Response]]


async def _counted(service: _Service, handler: Handler, request: Request) -> Response:
    """What `handler` answers, or the sentence of its error; counted."""
    started_s = time.perf_counter()
    response = await _answered(service, handler, request)
    service.metrics.answered(response.status_code, time.perf_counter() - started_s)
    return response


async def _answered(service: _Service, handler: Handler, request: Request) -> Response:
    try:
        return await handler(service, request)
    except ClientDisconnect:
        return Response(status_code=GONE)  # nobody hears it
    except BusyError as error:
        return _refused(BUSY, str(error), error.retry_after_s)
    except BoardError as error:
        return _refused(UNAVAILABLE, str(error), math.ceil(2 * RETRY_S))
    except UploadError as error:
        return _refused(error.status, str(error))
    except StepnetError as error:
        return _refused(UNPROCESSABLE, str(error))
    except MemoryError:
        return _refused(
            UNPROCESSABLE, "This picture needs more memory than there is; scale it down."
        )


def _refused(status: int, sentence: str, retry_after_s: int | None = None) -> Response:
    headers = None if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return JSONResponse({"error": sentence}, status_code=status, headers=headers)


async def _no_such_thing(request: Request, error: Exception) -> Response:
    """The answer to a path or a method that there is not."""
    assert isinstance(error, HTTPException)
    sentence = (
        f"There is no {request.method} {request.url.path[:80]} here; /openapi.json says what there "
        "is."
    )
    return JSONResponse({"error": sentence}, status_code=error.status_code, headers=error.headers)


async def _read(service: _Service, request: Request) -> Response:
    limits, network = service.limits, service.pool.network
    with service.admission.request():
        body = await read_body(request, limits.most_bytes)
        async with service.decoding:  # one at a time, so that memory suffices
            upload = await asyncio.to_thread(
                read_upload,
                body,
                request.headers.get("content-type", ""),
                request.query_params,
                network,
                limits.most_batch,
            )
        del body
        with service.admission.waiting(len(upload.images)):
            readings = await asyncio.get_running_loop().run_in_executor(
                service.threads, _readings, service.pool, upload
            )
    answer = {"network": network.name, "readings": [_as_json(reading) for reading in readings]}
    if upload.glyphs is not None:
        answer["text"] = joined_text(upload.glyphs, readings)
    return JSONResponse(answer)


def _readings(pool: Pool, upload: Upload) -> Sequence[Reading]:
    return list(pool.infer_many(upload.images, placed=True))


def _as_json(reading: Reading) -> dict[str, Any]:
    return {
        "character": reading.character,
        "code": reading.code,
        "known": reading.known,
        "margin": reading.margin,
        "cycles": reading.cycles,
    }


async def _boards(service: _Service, request: Request) -> Response:
    boards = [
        {
            "board": board.where,
            "works": board.works,
            "images": board.images,
            "images_per_s": round(board.images_per_s, 1),
            "failures": board.failures,
            "problem": None if board.failure is None else str(board.failure),
        }
        for board in service.pool.statistics
    ]
    return JSONResponse({"network": service.pool.network.name, "boards": boards})


async def _health(service: _Service, request: Request) -> Response:
    boards = service.pool.statistics
    working = sum(board.works for board in boards)
    status = "down" if not working else "ready" if working == len(boards) else "degraded"
    return JSONResponse(
        {"status": status, "boards": len(boards), "boards_working": working},
        status_code=200 if working else UNAVAILABLE,
    )


async def _metrics(service: _Service, request: Request) -> Response:
    return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})


async def _openapi(service: _Service, request: Request) -> Response:
    return JSONResponse(description(service.pool.network, service.limits.most_batch))
