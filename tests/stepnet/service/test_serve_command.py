"""`stepnet serve` from its arguments to its exit code."""

import re
import signal
import subprocess
import sys

import pytest

from peer import Peer, serving
from service_client import ask
from small_networks import small_network
from stepnet.link.share import listen

STEPNET = (sys.executable, "-m", "stepnet", "serve", "--listen", "127.0.0.1:0")


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_boards_are_served_until_they_are_stopped(tmp_path, stop, code):
    small_network().save(tmp_path / "small.npz")
    with (
        serving(Peer()) as where,
        subprocess.Popen(
            [*STEPNET, "--boards", where, "--network", str(tmp_path / "small.npz")],
            stdout=subprocess.PIPE,
            text=True,
        ) as serve,
    ):
        said = [serve.stdout.readline(), serve.stdout.readline()]
        assert f"The board at {where} reads.\n" in said
        port = re.search(
            r"The network small reads at http://127\.0\.0\.1:(\d+); Ctrl-C ends it\.\n",
            "".join(said),
        )[1]
        assert ask(int(port), "/health")[0] == 200
        serve.send_signal(stop)
        assert serve.wait(30) == code


@pytest.mark.slow
def test_a_public_service_has_a_token():
    with subprocess.Popen(
        [*STEPNET, "--boards", "/dev/nowhere", "--public"], stdout=subprocess.PIPE, text=True
    ) as serve:
        said = serve.stdout.readline() + serve.stdout.readline()
        assert re.search(r":\d+ with the token [\w-]{22}; Ctrl-C ends it\.", said)
        assert (
            "The board at /dev/nowhere is lost and sought again (There is no port '/dev/nowhere' "
            "and no installed board of that name; this lists the ports: stepnet boards "
            "--connected).\n"
        ) in said
        serve.terminate()
        assert serve.wait(30) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--boards", "sim,,sim"],
            "Invalid value for --boards: a name is missing in 'sim,,sim'; give boards with single "
            "commas between.",
        ),
        (["--listen", "8080"], "One cannot listen at '8080'; give host:port, such as "),
        (["--network", "nothing"], "There is no network 'nothing'; choose one of "),
        (["--listen", "0.0.0.0:0"], "At '0.0.0.0:0' other machines can reach the board; say "),
    ],
)
def test_wrong_usage(stepnet, options, sentence):
    code, out, err = stepnet("serve", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"stepnet: {sentence}")


def test_a_busy_port(stepnet):
    with listen("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        assert stepnet("serve", "--boards", "nowhere", "--listen", f"127.0.0.1:{port}") == (
            2,
            "",
            f"stepnet: Another program listens at '127.0.0.1:{port}'; end it, or choose another "
            "port, or port 0 for any that is free.\n",
        )


@pytest.mark.parametrize("package", ["prometheus_client", "starlette"])
def test_without_the_extra(stepnet, monkeypatch, package):
    for name in list(sys.modules):
        if name.startswith(("stepnet.service.", "stepnet.web.", f"{package}.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert stepnet("serve") == (
        3,
        "",
        f"stepnet: This needs the package {package}, which is not installed; install it with: pip "
        'install "stepnet[serve]".\n',
    )
