"""The containers of examples/service: what each of them runs, here without a container."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from stepnet.samples import sample_pictures
from stepnet_sim.chips.verilated import missing_compiler
from stepnet_sim.chips.virtual_board import open_link

FOLDER = Path(__file__).parents[2] / "examples" / "service"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
TIMEOUT_S = 60.0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason=f"{missing_compiler()} is not installed")
def test_two_virtual_boards_read_behind_the_service():
    open_link().close()  # has the chip in the cache, as the container file does
    ports = {name: free_port() for name in SERVICES}

    def local(word):
        """A word of a command with this machine's ports."""
        for name, port in ports.items():
            word = word.replace(f"{name}:4000", f"127.0.0.1:{port}")
        return word

    with ExitStack() as running:
        for name, service in SERVICES.items():
            own = f"127.0.0.1:{ports[name]}"
            words = [re.sub(r"^0\.0\.0\.0:\d+$", own, local(word)) for word in service["command"]]
            process = running.enter_context(
                subprocess.Popen([sys.executable, "-m", "stepnet", *words])
            )
            running.callback(process.send_signal, signal.SIGTERM)
        url = f"http://127.0.0.1:{ports['service']}"
        deadline_s = time.monotonic() + TIMEOUT_S
        while health(url) != "ready":
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        picture, label = sample_pictures()[0]
        request = urllib.request.Request(
            f"{url}/read", picture.read_bytes(), {"Content-Type": "image/png"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            (reading,) = json.load(answer)["readings"]
        assert reading["character"] == label


def health(url):
    """The status that the service tells; None while it tells none."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=TIMEOUT_S) as answer:
            return json.load(answer)["status"]
    except urllib.error.HTTPError as error:
        return json.load(error)["status"]
    except OSError:
        return None


def test_the_service_checks_its_health_where_it_listens():
    service = SERVICES["service"]
    (published,) = service["ports"]
    port = published.rpartition(":")[2]
    assert published.startswith("127.0.0.1:")  # which is why it may do without a token
    assert f"0.0.0.0:{port}" in service["command"]
    assert f":{port}/health" in service["healthcheck"]["test"][-1]


def test_the_container_file_installs_what_the_commands_need():
    text = (FOLDER / "Containerfile").read_text()
    assert 'pip install --no-cache-dir "/src[sim,serve]"' in text
    assert text.rstrip().endswith('ENTRYPOINT ["stepnet"]')
