"""The service's description in OpenAPI 3.1, from which programs and pages are made."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from stepnet.networks.kinds import AnyNetwork


def description(network: AnyNetwork, most_batch: int) -> dict[str, Any]:
    """The whole document.

    network: that the boards infer.
    most_batch: images in one request.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stepnet",
            "version": version("stepnet"),
            "summary": f"Boards that read handwriting with the network {network.name}.",
        },
        "paths": {
            "/read": {"post": _read(network)},
            "/boards": {"get": _get("The boards of the pool", "Boards", token=True)},
            "/health": {"get": _health()},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _openapi()},
        },
        "components": {
            "schemas": _schemas(most_batch),
            "responses": _refusals(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


TOKEN: list[dict[str, list[str]]] = [{"token": []}, {}]
"""A token is asked for where other machines reach the service."""


def _read(network: AnyNetwork) -> dict[str, Any]:
    size = f"{network.height} x {network.width}"
    return {
        "operationId": "read",
        "summary": "What the boards read in one picture, in a batch of them, or in arrays",
        "security": TOKEN,
        "parameters": [
            _choice("as", "What a picture shows.", ["picture", "drawing", "line"]),
            _choice(
                "placed",
                "Whether the characters of arrays lie as the network expects them.",
                ["auto", "yes", "no"],
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": {}},
                "application/octet-stream": {"schema": {}},
                "application/json": {"schema": _ref("Batch")},
                "application/x-npy": {
                    "schema": {
                        "description": "A file of numpy.save: uint8 or bool of the shape (n, "
                        f"height, width), with placed=yes {size}, ink bright on 0."
                    }
                },
            },
        },
        "responses": {
            "200": _json("A reading for each character, in their order", "Readings"),
            **{
                status: {"$ref": f"#/components/responses/{name}"}
                for status, name in {
                    "401": "Refused",
                    "403": "Refused",
                    "408": "Refused",
                    "413": "Refused",
                    "415": "Refused",
                    "422": "Refused",
                    "429": "Later",
                    "503": "Later",
                }.items()
            },
        },
    }


def _choice(name: str, what: str, words: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": what,
        "schema": {"type": "string", "enum": words, "default": words[0]},
    }


def _ref(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _json(what: str, schema: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": _ref(schema)}}}


def _get(what: str, schema: str, *, token: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": schema.lower(),
        "summary": what,
        "responses": {"200": _json(what, schema)},
    }
    if token:
        told["security"] = TOKEN
        told["responses"]["401"] = {"$ref": "#/components/responses/Refused"}
    return told


def _health() -> dict[str, Any]:
    told = _get("A board works", "Health", token=False)
    told["responses"]["503"] = _json("No board works", "Health")
    return told


def _metrics() -> dict[str, Any]:
    return {
        "operationId": "metrics",
        "summary": "Figures in the text format of Prometheus",
        "security": TOKEN,
        "responses": {
            "200": {"description": "Figures", "content": {"text/plain": {"schema": {}}}},
            "401": {"$ref": "#/components/responses/Refused"},
        },
    }


def _openapi() -> dict[str, Any]:
    document: dict[str, Any] = {
        "description": "This document",
        "content": {"application/json": {"schema": {}}},
    }
    return {
        "operationId": "openapi",
        "summary": "This document",
        "responses": {"200": document},
    }


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that always has all of these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(schema: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(schema)}


def _whole(what: str, most: int | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "integer", "minimum": 0, "description": what}
    return told if most is None else told | {"maximum": most}


def _schemas(most_batch: int) -> dict[str, Any]:
    text = {"type": "string"}
    or_nothing = {"type": ["string", "null"]}
    readings = _object(network=text, readings=_list("Reading"))
    readings["properties"]["text"] = {
        "type": "string",
        "description": "Of a line: its characters, with a space between words.",
    }
    return {
        "Batch": _object(
            pictures={
                "type": "array",
                "minItems": 1,
                "maxItems": most_batch,
                "items": {"type": "string", "contentEncoding": "base64"},
                "description": "Encoded pictures, such as PNG or JPEG.",
            }
        ),
        "Reading": _object(
            character=or_nothing
            | {"description": "null if the code is none of the network's characters."},
            code=_whole("The character register.", 255),
            known={"type": "boolean", "description": "Whether the code is a character."},
            margin=_whole("How far any one sum may move before the code changes."),
            cycles=_whole("Of the board's clock, from the last pixel to the register."),
        ),
        "Readings": readings,
        "Board": _object(
            board=text,
            works={"type": "boolean"},
            images=_whole("Answered since the start."),
            images_per_s={"type": "number", "description": "While it was busy."},
            failures=_whole("How many times it was lost."),
            problem=or_nothing,
        ),
        "Boards": _object(network=text, boards=_list("Board")),
        "Health": _object(
            status={"type": "string", "enum": ["ready", "degraded", "down"]},
            boards=_whole("In the pool."),
            boards_working=_whole("That work now."),
        ),
        "Error": _object(error={"type": "string", "description": "One sentence."}),
    }


def _refusals() -> dict[str, Any]:
    later = _json("Too much at once, or no board is there; nothing was read", "Error")
    seconds = {"type": "integer", "minimum": 1}
    later["headers"] = {
        "Retry-After": {"description": "Seconds to wait.", "schema": seconds},
    }
    return {"Refused": _json("The request cannot be answered, and why", "Error"), "Later": later}
