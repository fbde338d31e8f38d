"""Who may ask the page's server for anything: the page itself, and nobody else's."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from stepnet.web.guard import HEADERS, Guard, own_names

PORT = 8123
OWN = f"127.0.0.1:{PORT}"
PRINTED = "; open the address that `stepnet web` printed."
ANOTHER_NAME = f"This server was asked for under a name that is not its own{PRINTED}"
ANOTHER_PAGE = f"This request comes from another page{PRINTED}"
NO_TOKEN = f"The token is missing or wrong{PRINTED}"


def ask(method="GET", path="/api/state", public=False, token=None, **headers):
    """What a request gets: status, body and headers."""
    given = {"host": OWN, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    guard = Guard(PlainTextResponse("let in"), PORT, public=public, token=token)
    asyncio.run(guard(scope, receive, send))
    start, body = sent
    return start["status"], body["body"].decode(), dict(start["headers"])


def refused(**request):
    status, body, _ = ask(**request)
    return status == 403 and body


@pytest.mark.parametrize("host", [OWN, f"localhost:{PORT}", f"[::1]:{PORT}"])
def test_the_page_itself_is_let_in(host):
    same = {"host": host, "origin": f"http://{host}"}
    assert ask(host=host)[:2] == (200, "let in")
    assert ask("POST", **same, sec_fetch_site="same-origin")[:2] == (200, "let in")


@pytest.mark.parametrize(
    "host",
    [
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:80",
        f"127.0.0.1.evil.example:{PORT}",
        f"127.0.0.1:{PORT}@evil.example:{PORT}",
        f"192.168.1.5:{PORT}",
        "127.0.0.1:port",
        "",
    ],
)
def test_another_name_is_turned_away(host):
    assert refused(host=host) == f'{{"error":"{ANOTHER_NAME}"}}'
    assert refused(host=host, path="/") == f'{{"error":"{ANOTHER_NAME}"}}'


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"https://{OWN}", "http://x"])
def test_another_page_is_turned_away(origin):
    expected = f'{{"error":"{ANOTHER_PAGE}"}}'
    assert refused(origin=origin) == expected
    assert refused(method="POST", origin=origin) == expected


def test_what_changes_something_has_to_tell_its_origin():
    assert refused(method="POST") == f'{{"error":"{ANOTHER_PAGE}"}}'
    assert refused(method="PUT") == f'{{"error":"{ANOTHER_PAGE}"}}'


def test_pictures_and_scripts_of_other_sites_are_turned_away():
    assert refused(sec_fetch_site="cross-site") == f'{{"error":"{ANOTHER_PAGE}"}}'
    assert refused(path="/js/main.js", sec_fetch_site="same-site")
    # A link to the page may stand anywhere.
    assert ask(path="/", sec_fetch_site="cross-site")[0] == 200


def test_other_machines_need_the_token():
    public = {"public": True, "token": "secret"}
    for path in ("/api/state", "/networks/ascii.json"):
        assert refused(**public, path=path) == f'{{"error":"{NO_TOKEN}"}}'
        assert refused(**public, path=path, x_stepnet_token="wrong")
        assert ask(**public, path=path, x_stepnet_token="secret")[0] == 200
    assert ask(**public, path="/js/main.js")[0] == 200


def test_a_public_server_knows_its_names_and_addresses_alone():
    public = {"public": True, "token": None}
    for name in (f"192.168.1.5:{PORT}", f"[fe80::1]:{PORT}", f"{own_names()[0]}:{PORT}"):
        assert ask(**public, host=name)[0] == 200
    assert refused(**public, host=f"evil.example:{PORT}")


def test_every_answer_forbids_what_the_page_does_not_need():
    for answer in (ask(), ask(host="evil.example")):
        headers = {name.decode(): value.decode() for name, value in answer[2].items()}
        assert HEADERS.items() <= headers.items()
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
