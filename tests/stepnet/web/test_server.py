"""What the page's server answers to good requests and to bad ones, with a board of Python."""

import http.client
import io
import json
import socket
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from page_server import bomb, serving_page
from peer import CYCLES, MARGIN, Peer, serving
from stepnet.errors import ListenError
from stepnet.networks.random_networks import random_network
from stepnet.web import STATIC
from stepnet.web.app import MOST_PICTURE_BYTES
from stepnet.web.serving import listen_at

NETWORK = random_network(
    np.random.default_rng(0), (784, 12, 7), height=28, name="scribble", ink_part=0.125
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with (
        serving(Peer()) as where,
        serving_page([where], network=NETWORK, keep=tmp_path_factory.mktemp("kept")) as started,
    ):
        deadline_s = time.monotonic() + 20
        while ask(started, "GET", "/api/state")[1]["condition"] != "ready":
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        yield started


def ask(server, method, path, body=None, **headers):
    """Status and answer of a request as the page makes it."""
    own = f"127.0.0.1:{server.port}"
    given = {"Origin": f"http://{own}", **headers}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        content = response.read()
        kind = response.headers.get("content-type", "")
        return response.status, json.loads(content) if "json" in kind else content


def picture(size=(60, 60), kind="PNG"):
    """A stroke on paper."""
    image = Image.new("L", size, 255)
    image.paste(0, (20, 10, 26, 50))
    packed = io.BytesIO()
    image.save(packed, kind)
    return packed.getvalue()


def blank():
    """Paper alone."""
    packed = io.BytesIO()
    Image.new("L", (60, 60), 255).save(packed, "PNG")
    return packed.getvalue()


def test_a_picture_is_read_by_the_board_and_by_numpy(server):
    status, answer = ask(server, "POST", "/api/read?steps=yes", picture())
    assert status == 200
    (character,) = answer["characters"]
    numpy, board = character["numpy"], character["board"]
    assert board == {"code": numpy["code"], "margin": MARGIN, "cycles": CYCLES}
    assert answer["network"] == "scribble"
    assert len(answer["steps"]) > 1000
    assert "text" not in answer


def test_the_board_is_asked_while_a_page_looks(server):
    ask(server, "POST", "/api/read", picture())
    _, state = ask(server, "GET", "/api/state")
    assert (state["condition"], state["network"], state["keep"]) == ("ready", "scribble", True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "sentence"),
    [
        (
            "POST",
            "/api/read",
            b"no picture",
            422,
            "The file given is no picture or is damaged; give a PNG, a JPEG or another image file.",
        ),
        (
            "POST",
            "/api/read?as=line",
            picture()[:-40],
            422,
            "The picture given cannot be read (its content is damaged); give a PNG, a JPEG or "
            "another image file.",
        ),
        (
            "POST",
            "/api/read",
            bytes(MOST_PICTURE_BYTES + 1),
            413,
            "The upload has more than 16 MiB; scale the picture down first.",
        ),
        (
            "POST",
            "/api/choose",
            b"no JSON",
            422,
            "This request is no JSON; reload the page.",
        ),
        (
            "POST",
            "/api/choose",
            b"[1]",
            422,
            "This request names no board and no network; reload the page.",
        ),
        (
            "POST",
            "/api/choose",
            b'{"board": "/dev/sda"}',
            422,
            "There is no board '/dev/sda' in the list; choose one that is.",
        ),
        (
            "POST",
            "/api/choose",
            b'{"network": "../../etc/passwd"}',
            422,
            "There is no network '../../etc/passwd' here; choose one of the list.",
        ),
        (
            "POST",
            "/api/read?as=poem",
            picture(),
            422,
            "This request does not say what it brings; reload the page.",
        ),
        (
            "POST",
            "/api/read?as=drawing",
            blank(),
            422,
            "The picture is blank; draw something.",
        ),
        (
            "GET",
            "/networks/nothing.json",
            None,
            422,
            "There is no network 'nothing.json' here; choose one of the list.",
        ),
        (
            "POST",
            "/api/keep?label=../x",
            picture(),
            422,
            "A drawing shows one character of a code below 256, and '../x' is none; give the "
            "character that it was.",
        ),
    ],
)
def test_a_bad_request_gets_one_sentence(server, method, path, body, status, sentence):
    assert ask(server, method, path, body) == (status, {"error": sentence})
    assert ask(server, "POST", "/api/read", picture())[0] == 200


def test_a_decompression_bomb_is_not_unpacked(server):
    status, answer = ask(server, "POST", "/api/read", bomb())
    assert status == 422
    assert answer["error"] == ("The picture has more than 64 million pixels; scale it down first.")


def test_nothing_beside_the_page_is_served(server):
    for path in ("/../app.py", "/%2e%2e/app.py", "/js/../../guard.py", "//etc/passwd", "/js"):
        assert ask(server, "GET", path)[0] == 404


def test_files_are_sent_once(server):
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", "/js/main.js")
        first = connection.getresponse()
        assert (first.status, first.headers["content-type"]) == (
            200,
            "text/javascript; charset=utf-8",
        )
        assert first.read() == (STATIC / "js" / "main.js").read_bytes()
        connection.request("GET", "/js/main.js", headers={"If-None-Match": first.headers["etag"]})
        again = connection.getresponse()
        assert (again.status, again.read()) == (304, b"")


def test_another_site_gets_nothing(server):
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        status, answer = ask(server, "POST", "/api/read", picture(), **headers)
        assert (status, list(answer)) == (403, ["error"])


def test_a_client_that_leaves_in_the_middle_harms_nobody(server):
    own = f"127.0.0.1:{server.port}"
    head = (
        f"POST /api/read HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\n"
        "Content-Length: 100000\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head.encode() + b"half")
    assert ask(server, "POST", "/api/read", picture())[0] == 200


def test_a_busy_port_is_named():
    with listen_at(0, public=False) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as refused:
            listen_at(port, public=False)
    assert str(refused.value) == (
        f"Another program listens at '127.0.0.1:{port}'; end it, or choose another port, or port "
        "0 for any that is free."
    )


def test_stepnet_alone_imports_no_web_server():
    code = (
        "import sys, stepnet, stepnet.cli; stepnet.open_board; stepnet.cli.make_app();"
        "print({'starlette', 'uvicorn'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
