"""`stepnet web` from its arguments to its exit code."""

import re
import signal
import subprocess
import sys
import urllib.request

from peer import Peer, serving
from stepnet.web.serving import listen_at

STEPNET = (sys.executable, "-m", "stepnet", "web", "--no-browser", "--network", "digits")


def test_the_page_is_served_until_ctrl_c():
    with (
        serving(Peer()) as where,
        subprocess.Popen([*STEPNET, "--board", where], stdout=subprocess.PIPE, text=True) as web,
    ):
        said = web.stdout.readline()
        url = re.fullmatch(r"The page is at (http://127\.0\.0\.1:\d+/); Ctrl-C ends it\.\n", said)[
            1
        ]
        with urllib.request.urlopen(url, timeout=20) as page:
            assert b"Handwriting in, ASCII out" in page.read()
        web.send_signal(signal.SIGINT)
        assert web.wait(30) == 130


def test_a_public_page_has_a_token():
    with (
        serving(Peer()) as where,
        subprocess.Popen(
            [*STEPNET, "--board", where, "--public"], stdout=subprocess.PIPE, text=True
        ) as web,
    ):
        assert re.search(r"http://[^/]+:\d+/#[\w-]{22}; Ctrl-C", web.stdout.readline())
        web.terminate()


def test_a_busy_port(stepnet):
    with listen_at(0, public=False) as taken:
        port = taken.getsockname()[1]
        assert stepnet("web", "--no-browser", "--port", port, "--board", "nowhere") == (
            2,
            "",
            f"stepnet: Another program listens at '127.0.0.1:{port}'; end it, or choose another "
            "port, or port 0 for any that is free.\n",
        )


def test_no_such_network(stepnet):
    code, out, err = stepnet("web", "--network", "nothing")
    assert (code, out) == (2, "")
    assert err.startswith("stepnet: There is no network 'nothing'; choose one of ")


def test_without_the_extra(stepnet, monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("stepnet.web.", "starlette.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert stepnet("web", "--no-browser") == (
        3,
        "",
        "stepnet: This needs the package starlette, which is not installed; install it with: pip "
        'install "stepnet[web]".\n',
    )


def test_the_page_as_files_needs_no_extra(stepnet, monkeypatch, tmp_path):
    for package in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, package, None)
    code, out, _ = stepnet("web", "--export", tmp_path / "site", "--network", "digits")
    assert code == 0
    assert re.fullmatch(
        r"Wrote \d+ files of \d+\.\d MB into \S+; serve them over https or from localhost\.\n", out
    )
    assert (tmp_path / "site" / "networks" / "digits.json").exists()
