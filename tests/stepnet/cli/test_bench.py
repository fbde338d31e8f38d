"""`stepnet bench`, against boards in Python."""

import json
import sys

import pytest

import peer
from peer import CLOCK_HZ, CYCLES, serving
from small_networks import small_network
from stepnet import cli

pytestmark = pytest.mark.slow

REQUEST_BYTES = 3 + 8 + 2 + 1 + 1
"""Header, 64 pixels, CRC, COBS, zero."""

ANSWER_BYTES = 12 + 2 + 1 + 1
"""The reading, CRC, COBS, zero."""


class Peer(peer.Peer):
    """Works each image out only once."""

    def __init__(self):
        super().__init__()
        self.known = {}

    def code(self, image):
        if image not in self.known:
            self.known[image] = super().code(image)
        return self.known[image]


class Lying(Peer):
    """Gets the last bit of every code wrong."""

    def code(self, image):
        return super().code(image) ^ 1


@pytest.fixture
def network_file(tmp_path):
    network = small_network(sizes=(64, 12, 7), height=8, alphabet="0123456789")
    return network.save(tmp_path / "small.npz")


@pytest.fixture
def bench(monkeypatch, capsys, network_file):
    """Run the command against a peer; gives its exit code and stdout."""

    def run(board_peer, *options):
        with serving(board_peer, "pty") as where:
            arguments = ["--board", where, "--network", str(network_file), "--seconds", "0.3"]
            monkeypatch.setattr(sys, "argv", ["stepnet", "bench", *arguments, *options])
            with pytest.raises(SystemExit) as left:
                cli.main()
        return left.value.code or 0, capsys.readouterr().out

    return run


def test_figures(bench):
    exit_code, out = bench(Peer(), "--json", "--baud", "115200")
    assert exit_code == 0
    figures = json.loads(out)
    assert (figures["network"], figures["wrong"]) == ("small", 0)
    stream, latency, link = figures["stream"], figures["latency"], figures["link"]
    assert stream["images"] > 1
    assert stream["seconds"] >= 0.3
    assert stream["images_per_s"] == pytest.approx(stream["images"] / stream["seconds"])
    assert 0 < stream["host_cpu_s_per_image"] < stream["seconds"]
    assert stream["cycles"] == CYCLES
    assert stream["engine_images_per_s"] == pytest.approx(CLOCK_HZ / CYCLES)
    assert latency["images"] >= 1
    assert 0 < latency["p50_s"] <= latency["p90_s"] <= latency["p99_s"] <= latency["max_s"]
    assert (link["request_bytes"], link["answer_bytes"]) == (REQUEST_BYTES, ANSWER_BYTES)
    assert link["limit_images_per_s"] == pytest.approx(115200 / 10 / ANSWER_BYTES)
    assert link["utilisation"] == pytest.approx(stream["images_per_s"] / link["limit_images_per_s"])
    assert link["answer_utilisation"] == pytest.approx(link["utilisation"])
    assert link["request_utilisation"] == pytest.approx(
        link["utilisation"] * REQUEST_BYTES / ANSWER_BYTES
    )


def test_text(bench):
    exit_code, out = bench(Peer())
    assert exit_code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "rate",
        "engine",
        "link",
        "out",
        "in",
        "latency",
        "host",
        "readings",
    ]
    assert "of the 6,250 images/s that 1,000,000 baud allow" in lines[2]
    assert lines[3].startswith("  out     15 bytes per image, ")
    assert lines[-1] == "readings  all as numpy reads"


def test_wrong_readings_are_a_failure(bench):
    exit_code, out = bench(Lying(), "--json")
    figures = json.loads(out)
    assert exit_code == 1
    assert figures["wrong"] == figures["stream"]["images"] + figures["latency"]["images"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--on-chip", "--simd", "32"],
            "Invalid value for --on-chip: it measures a pipeline, which has neither; leave --simd "
            "and --pe out.",
        ),
        (
            ["--board", "/dev/ttyUSB1", "--pe", "4"],
            "Invalid value for --pe: the engine of '/dev/ttyUSB1' is as wide as it is; leave --pe "
            "out, or choose --board sim.",
        ),
    ],
)
def test_widths_where_there_are_none_to_choose(monkeypatch, capsys, options, sentence):
    monkeypatch.setattr(sys, "argv", ["stepnet", "bench", *options])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert (left.value.code, capsys.readouterr().err) == (2, f"stepnet: {sentence}\n")
