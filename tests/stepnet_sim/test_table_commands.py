"""Commands with a network of look-up tables, on a virtual board too small for an engine."""

import json

import pytest
import typer
from typer.testing import CliRunner

from stepnet.cli.bench import bench
from stepnet.cli.demo import demo
from stepnet.cli.infer import infer
from stepnet.cli.recording import find_recorder
from stepnet.networks.shipped import load_lut_network
from stepnet.samples import sample_pictures

CHIP = ["--board", "sim:icestick", "--network", "digits-lut-small", "--json"]
CYCLES = 4101


@pytest.fixture
def run():
    app = typer.Typer(rich_markup_mode=None)
    for command in (bench, demo, infer):
        app.command()(command)

    def run(*words):
        done = CliRunner().invoke(app, [*words, *CHIP])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.slow
def test_they_read_what_numpy_reads(run):
    shown = run("demo", "--images", "3")
    assert (shown["network"], shown["clock_hz"]) == ("digits-lut-small", 96_000_000)
    assert [image["agrees"] for image in shown["images"]] == [True] * 3
    path, label = sample_pictures()[7]
    (read,) = run("infer", str(path))["images"]
    assert (read["character"], read["cycles"], read["margin"]) == (label, CYCLES, 0)
    measured = run("bench", "--seconds", "0.1")
    assert (measured["wrong"], measured["stream"]["cycles"]) == (0, CYCLES)


def test_there_is_no_recording_of_tables(tmp_path):
    network = load_lut_network("digits-lut-small")
    with pytest.raises(typer.BadParameter) as caught:
        find_recorder(tmp_path / "a.fst", None, "sim", [tmp_path / "a.png"], False, network)
    assert caught.value.message == (
        "'digits-lut-small' is a network of look-up tables, and recordings are of an engine; name "
        "a step network."
    )
