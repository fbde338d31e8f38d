"""Who may ask the service."""

import asyncio
import json

import pytest
from starlette.responses import PlainTextResponse

from stepnet.service.access import Access

NO_TOKEN = (
    "The token is missing or wrong; send the header Authorization: Bearer TOKEN with the token "
    "that `stepnet serve` was given or printed."
)


def ask(path="/read", public=False, token=None, **headers):
    """What a request gets: status, body and headers."""
    given = {"host": "127.0.0.1:8080", **headers}
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    asyncio.run(
        Access(PlainTextResponse("let in"), public=public, token=token)(scope, receive, send)
    )
    start, body = sent
    return start["status"], body["body"].decode(), dict(start["headers"])


def refusal(**request):
    status, body, _ = ask(**request)
    return status, json.loads(body)["error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_programs_of_this_machine_are_let_in(host):
    assert ask(host=host)[:2] == (200, "let in")


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "127.0.0.1.evil.example", "192.168.1.5:8080", "", "[::1"]
)
def test_another_name_is_turned_away(host):
    assert refusal(host=host) == (
        403,
        "This service was asked for under a name that is not this machine's own; ask it at "
        "127.0.0.1, or start `stepnet serve` with --public.",
    )


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://127.0.0.1:8080"])
def test_web_pages_are_turned_away(public, origin):
    assert refusal(public=public, origin=origin) == (
        403,
        "This request comes from a web page, and the service is for programs; let the page's own "
        "server ask.",
    )


@pytest.mark.parametrize(
    "given", [None, "", "secret", "Bearer ", "Bearer wrong", "Basic secret", "Bearer secret "]
)
def test_a_wrong_token_is_turned_away(given):
    headers = {} if given is None else {"authorization": given}
    public = {"public": True, "token": "secret", "host": "lab:8080"}
    for path in ("/read", "/boards", "/metrics"):
        assert refusal(path=path, **public, **headers) == (401, NO_TOKEN)
    assert ask(**public, **headers)[2][b"www-authenticate"] == b"Bearer"
    assert ask(path="/health", **public, **headers)[0] == 200


def test_the_token_lets_in():
    public = {"public": True, "token": "secret", "host": "lab:8080"}
    status, body, headers = ask(**public, authorization="Bearer secret")
    assert (status, body) == (200, "let in")
    assert headers[b"x-content-type-options"] == b"nosniff"
