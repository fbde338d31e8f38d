"""`stepnet verify`: its levels, its table, its exit codes; and where a difference is."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from stepnet.cli import make_app
from stepnet.cores.engine.memory_image import enlarged
from stepnet.cores.engine.shape import EngineShape
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_network,
)
from stepnet_hdl.cores.engine import engine
from stepnet_sim.benches import coverage
from stepnet_sim.cli import verify
from stepnet_sim.verification import ladder
from stepnet_sim.verification.broken_blocks import (
    NegatesWithoutCarry,
    PoolsOneOfTwoWindows,
    SeesTheLastWindowAlone,
)
from stepnet_sim.verification.code_coverage import read_counts
from stepnet_sim.verification.first_difference import first_difference
from stepnet_sim.verification.ladder import LEVELS, Outcome, level
from stepnet_sim.verification.levels import blocks
from stepnet_sim.verification.mutants import Mutant, broken

SHAPE = EngineShape(8, max_inputs=64, weight_words=256, parameter_words=64)

AGREES = Outcome("adder", "the sum", "256 words", 1.25, 300)
DIFFERS = Outcome("carry", "the sum", "1 word", 0.5, None, "image 3: layer 1, neuron 2, cycle 40")


class Canned:
    """A level whose outcomes are known."""

    def __init__(self, *outcomes):
        self.outcomes = outcomes

    def run(self, folder, progress, boards=()):
        progress("Looking at known outcomes")
        yield from self.outcomes


@pytest.fixture
def run(monkeypatch, tmp_path):
    app = make_app()
    if not any(command.name == "verify" for command in app.registered_commands):
        app.command(name="verify")(verify)
    levels = {"proofs": Canned(AGREES), "chip": Canned(AGREES, DIFFERS)}
    monkeypatch.setattr(ladder, "level", lambda name: levels[name])

    def invoke(*arguments):
        return CliRunner().invoke(app, ["verify", "--output", str(tmp_path), *arguments])

    return invoke


def test_every_level_is_a_module_with_the_same_face():
    for name in LEVELS:
        assert callable(level(name).run)


def test_table_shows_what_agrees_and_ends_with_0(run):
    result = run("--level", "proofs")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split() == [
        *("adder", "the", "sum", "256", "words"),
        *("300", "1.2", "agrees"),
    ]


def test_disagreement_is_shown_and_ends_with_1(run):
    result = run("--level", "proofs", "--level", "chip", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["agree"] is False
    assert [outcome["disagreement"] for outcome in found["levels"]["chip"]] == [
        "",
        "image 3: layer 1, neuron 2, cycle 40",
    ]
    assert run("--level", "chip").exit_code == 1


def test_unknown_level_is_refused_before_any_runs(run):
    result = run("--level", "proofs", "--level", "silicon")
    assert result.exit_code == 2
    assert "there is no level 'silicon'; choose one of blocks, chip, proofs, netlist" in " ".join(
        result.output.replace("│", " ").split()
    )
    assert "Looking" not in result.output


NETWORKS = (
    ((40, 9, 16, 7), (1, 2, 1), Readout.BITS),
    ((13, 5, 7), (1, 8), Readout.TREE),
    ((21, 10), (3,), Readout.NEAREST),
)


@pytest.mark.parametrize("sizes", NETWORKS, ids=lambda sizes: sizes[2].value)
def test_sound_engine_has_no_first_difference(sizes):
    rng = np.random.default_rng(1)
    network = random_network(rng, *sizes)
    assert first_difference(network, SHAPE, rng.integers(0, 2, (1, sizes[0][0])) == 1) is None


@pytest.mark.parametrize("windows", [1, 2])
def test_a_convolution_has_no_first_difference_unless_it_is_broken(windows):
    rng = np.random.default_rng(4)
    maps = (RandomMap(6, 2, padding=1), RandomMap(5, 2, pool=True), RandomMap(4, 1))
    network = random_convolution_network(rng, 6, 6, maps)
    shape = enlarged(replace(SHAPE, pe=2, map_words=2, map_windows=windows), network)
    image = rng.integers(0, 2, (6, 6)) == 1
    assert first_difference(network, shape, image) is None
    mutant = PoolsOneOfTwoWindows if windows == 2 else SeesTheLastWindowAlone
    with broken(Mutant(engine, mutant)):
        difference = first_difference(network, shape, image)
    assert difference is not None
    assert difference.expected is not None
    assert difference.expected.layer == 1
    assert (difference.engine[1], difference.expected.fires) == (False, True)


def test_first_difference_names_layer_neuron_and_cycle():
    rng = np.random.default_rng(1)
    network = random_network(rng, *NETWORKS[0])
    image = rng.integers(0, 2, (1, 40)) == 1
    # Only the weights of the second layer have two planes, the upper of which counts negative.
    with broken(Mutant(engine, NegatesWithoutCarry)):
        difference = first_difference(network, SHAPE, image)
    assert difference is not None
    assert difference.expected is not None
    assert (difference.expected.layer, difference.expected.neuron) == (1, 0)
    excess = difference.expected.excess
    assert str(difference) == (
        f"layer 1, neuron 0, cycle {difference.cycle}: excess {difference.engine[0]} and "
        f"{'fires' if difference.engine[1] else 'rests'} instead of {excess} and "
        f"{'fires' if excess >= 0 else 'rests'}"
    )


def test_bins_are_known_and_holes_are_named(tmp_path):
    with pytest.raises(ValueError, match="no bin guess") as error:
        coverage.cover("engine: readout", "guess")
    assert str(error.value) == "There is no bin guess of 'engine: readout'; add it to POINTS."
    hits = Counter({("engine: readout", "bits"): 3, ("engine: readout", "tree"): 1})
    assert coverage.missed(hits, "engine: readout") == ["nearest"]
    holes = [outcome for outcome in blocks.functional_coverage(tmp_path) if not outcome.agrees]
    assert len(holes) == len(coverage.POINTS)


def test_code_coverage_adds_runs_and_instances(tmp_path):
    def point(page, name):
        return f"C '\x01f\x02bench.sv\x01l\x021\x01page\x02{page}\x01o\x02{name}'"

    first = [
        point("v_toggle/bench_top.popcount_8", "count[0]") + " 0",
        point("v_toggle/bench_top.popcount_24", "count[0]") + " 4",
        point("v_line/bench_top.chip.endpoint", "block") + " 0",
        point("v_branch/bench_top.engine_wide.weights$98.ram", "if") + " 1",
        point("v_branch/bench_top.engine_narrow.weights$98.ram", "else") + " 0",
    ]
    second = [point("v_toggle/bench_top.popcount_8", "count[0]") + " 1"]
    paths = [tmp_path / "first.dat", tmp_path / "second.dat"]
    for path, lines in zip(paths, (first, second), strict=True):
        path.write_text("\n".join(["# SystemC::Coverage-3", *lines]) + "\n")
    blocks_found = read_counts(paths)
    assert str(blocks_found["popcount"].toggles) == "100 %"
    assert str(blocks_found["popcount"].lines) == "none"
    assert str(blocks_found["chip.endpoint"].lines) == "0 %"
    assert str(blocks_found["weights.ram"].lines) == "50 %"
