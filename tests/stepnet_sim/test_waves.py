"""Waveforms of one image, read back with a reader that is not ours, against the reference."""

import re
import sys
from itertools import pairwise

import numpy as np
import pytest
import pywellen

from stepnet import Readout, cli
from stepnet.cores.engine.cycles import cycles_after, cycles_per_image
from stepnet.cores.engine.memory_image import enlarged, words_per_row
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import MissingToolError, NetworkError, PictureError
from stepnet.networks import reference
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_images,
    random_network,
)
from stepnet.samples import sample_pictures
from stepnet_sim.chips.design import ICEBREAKER, Design
from stepnet_sim.verification.first_difference import decisions
from stepnet_sim.waves.waves import record_waves

pytestmark = pytest.mark.slow

ONE_BY_ONE = EngineShape(8, 64, 512, 128, 4, weight_memory="single_port", overlap_neurons=20)
IN_GROUPS = EngineShape(16, 64, 512, 128, 4, pe=4, parameter_lanes=2, max_sum_bits=0)
FAR_APART = EngineShape(64, 64, 512, 128, 4, "registered", pe=10, parameter_lanes=5)

CASES = {
    "bits, first layer by input": (ONE_BY_ONE, (40, 12, 9, 7), (1, 1, 3), Readout.BITS),
    "tree, first layer by input": (ONE_BY_ONE, (40, 12, 15), (1, 2), Readout.TREE),
    "bits, in groups": (IN_GROUPS, (40, 13, 7), (2, 1), Readout.BITS),
    "tree, in groups": (IN_GROUPS, (40, 13, 15), (1, 2), Readout.TREE),
    "nearest, in groups": (IN_GROUPS, (40, 9, 11), (1, 1), Readout.NEAREST),
    "bits, in neighbourhoods": (FAR_APART, (40, 13, 7), (2, 1), Readout.BITS),
}


NUMBER_BITS = 32

SAMPLE, _ = sample_pictures()[0]


class Waveform:
    """The values in a file, cycle by cycle."""

    def __init__(self, path):
        self.variables = {
            variable.full_name: variable for variable in pywellen.Waveform(str(path)).all_vars()
        }

    def at(self, name, cycle):
        middle_fs = round((cycle + 0.5) / ICEBREAKER.clock_hz * 1e15)
        return self.variables[name].signal.value_at(middle_fs)

    def number(self, name, cycle):
        """A signed number; None where there is nothing."""
        value = self.at(name, cycle)
        if value == "z" * NUMBER_BITS:
            return None
        return value - (value >> NUMBER_BITS - 1 << NUMBER_BITS)

    def cycles_with(self, name, value, count):
        return [cycle for cycle in range(count) if self.at(name, cycle) == value]


@pytest.fixture(scope="module", params=CASES, ids=str)
def recorded(request, tmp_path_factory):
    """A network, an image as a batch, what was recorded and the waveform of it, read again."""
    shape, sizes, weight_bits, readout = CASES[request.param]
    rng = np.random.default_rng(0)
    network = random_network(rng, sizes, weight_bits, readout=readout)
    images = random_images(rng, network, 1)
    waves = record_waves(network, images[0], design=Design(shape))
    path = tmp_path_factory.mktemp("waves") / "out.fst"
    waves.write(path)
    assert list(path.parent.iterdir()) == [path]
    return network, images, waves, Waveform(path)


def test_decided_sums_are_the_references(recorded):
    network, images, waves, waveform = recorded
    states = reference.activations(network, images)
    pe = waves.account.shape.pe
    decided = []
    for cycle in range(waves.account.cycles):
        for lane in range(pe):
            scope = "image.decided" if pe == 1 else f"image.decided.lane_{lane}"
            layer, neuron, sum_, excess, fires = (
                waveform.number(f"{scope}.{name}", cycle)
                for name in ("layer", "neuron", "sum", "excess", "fires")
            )
            if layer is None:
                continue
            decided.append((layer, neuron))
            weights = network.layers[layer]
            assert sum_ == reference.sums(weights, states[layer])[0, neuron]
            assert fires == (excess >= 0) == states[layer + 1][0, neuron]
    whole = network.layers[: -1 if network.readout is Readout.TREE else None]
    expected = [(n, neuron) for n, layer in enumerate(whole) for neuron in range(layer.n_out)]
    assert decided[: len(expected)] == expected
    assert {layer for layer, _ in decided} == set(range(len(network.layers)))


def test_both_windows_that_are_evaluated_at_once_are_told():
    """Pooled ones, two positions, and the last of an odd number."""
    rng = np.random.default_rng(3)
    maps = (RandomMap(5, 2, pool=True), RandomMap(9, 2))
    network = random_convolution_network(rng, 9, 9, maps)
    image = random_images(rng, network, 1)[0]
    shape = enlarged(EngineShape(16, pe=3, map_words=2, map_windows=2), network)
    account = record_waves(network, image, design=Design(shape)).account
    told = [(found.layer, found.neuron, found.lane, found.excess) for found in account.decisions]
    assert told == [
        (due.layer, due.neuron, due.neuron % 3 + 3 * due.window, due.excess)
        for due in decisions(network, image, shape)
    ]


def test_the_character_comes_when_the_formula_says(recorded):
    network, images, waves, waveform = recorded
    code = int(reference.infer(network, images)[0])
    last_pixel = waveform.cycles_with("image.cycle", 0, waves.account.cycles)
    assert len(last_pixel) == 1
    result = last_pixel[0] + cycles_per_image(network, waves.account.shape, 1)
    assert waveform.at("chip.engine.intake.pixel_intake.take", last_pixel[0]) == 1
    assert (waveform.at("image.code", result - 1), waveform.at("image.code", result)) == (0, code)
    assert waveform.at("chip.character", result) == code
    shown = chr(code) if 0x20 <= code < 0x7F else f"0x{code:02x}"
    assert waveform.at("image.character", result) == shown


def test_states_have_names(recorded):
    network, _, waves, waveform = recorded
    for name in ("image.state", "chip.engine.sequencer.fsm_state"):
        starts = waveform.cycles_with(name, "ROW_HEADER", waves.account.cycles)
        assert len(starts) == len(network.layers)
        assert [waveform.number("image.layer", cycle) for cycle in starts] == [
            *range(len(network.layers))
        ]


def test_every_word_of_a_row_is_issued(recorded):
    network, _, waves, waveform = recorded
    cycles = range(waves.account.cycles)
    issued = [
        tuple(waveform.number(f"image.issued.{name}", cycle) for name in ("layer", "group", "word"))
        for cycle in cycles
        if waveform.at("chip.engine.sequencer.walk.count", cycle)
    ]
    words = words_per_row(network, network.layers[0], waves.account.shape)
    groups = waves.account.shape.groups(network.sizes[1])
    planes = network.layers[0].weight_bits
    first_layer = sorted((group, word) for layer, group, word in issued if layer == 0)
    assert first_layer == sorted(
        (group, word) for group in range(groups) for word in range(words) for _ in range(planes)
    )


def test_pixels_at_the_pace_of_a_serial_line():
    rng = np.random.default_rng(1)
    network = random_network(rng, (40, 12, 7), (1, 2))
    image = random_images(rng, network, 1)[0]
    cycles_per_byte = 40
    baud = 10 * ICEBREAKER.clock_hz // cycles_per_byte
    account = record_waves(network, image, uart=True, baud=baud, design=Design(ONE_BY_ONE)).account
    arrivals = account.pixel_cycles.tolist()
    assert len(arrivals) == 5
    assert {after - before for before, after in pairwise(arrivals)} <= {
        cycles_per_byte,
        2 * cycles_per_byte,
    }
    assert account.counted_cycles == cycles_after(network, ONE_BY_ONE, arrivals)
    # The first layer is computed by then, but for the last word; the result waits for the CRC.
    assert account.counted_cycles < account.result_cycle - arrivals[-1]


def test_a_network_that_does_not_fit_is_refused():
    network = random_network(np.random.default_rng(0), (80, 7), (1,))
    with pytest.raises(NetworkError, match="layer 0 has 80 inputs, the engine takes up to 64"):
        record_waves(network, np.zeros((1, 80), np.uint8), design=Design(ONE_BY_ONE))


def test_a_waveform_that_cannot_be_written_leaves_nothing(recorded, tmp_path):
    *_, waves, _ = recorded
    path = tmp_path / "missing" / "out.fst"
    with pytest.raises(PictureError) as error:
        waves.write(path)
    assert str(error.value) == (
        f"The waveform cannot be written to '{path}' (No such file or directory); "
        "name a file in a folder that exists and is writable."
    )
    assert not list(tmp_path.iterdir())


def test_without_the_library_of_traces_its_package_is_named(recorded, monkeypatch, tmp_path):
    *_, waves, _ = recorded
    monkeypatch.setitem(sys.modules, "pylibfst", None)
    with pytest.raises(MissingToolError) as error:
        waves.write(tmp_path / "out.fst")
    assert str(error.value) == (
        "Traces are written with the package pylibfst, which is missing; install it with: "
        "pip install pylibfst (on Windows that needs a C compiler)."
    )
    assert not list(tmp_path.iterdir())


def stepnet_infer(monkeypatch, capsys, *arguments):
    """Exit code, stdout and stderr of the command."""
    monkeypatch.setattr(sys, "argv", ["stepnet", "infer", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    captured = capsys.readouterr()
    return left.value.code or 0, captured.out, captured.err


def test_the_command_records_what_it_reads(monkeypatch, capsys, tmp_path):
    network = random_network(np.random.default_rng(0), (64, 12, 7), (1, 1), height=8)
    network.save(tmp_path / "small.npz")
    code, out, err = stepnet_infer(
        *(monkeypatch, capsys, SAMPLE, "--network", tmp_path / "small.npz"),
        *("--simd", "32", "--pe", "4"),
        *("--waves", tmp_path / "out.fst", "--schedule", tmp_path / "out.png"),
    )
    assert (code, err.splitlines()[-1]) == (
        0,
        "Recording every signal of the chip (some seconds).",
    )
    read = int(re.search(r"code 0x(..)", out)[1], 16)
    waveform = Waveform(tmp_path / "out.fst")
    # Neurons are decided four by four.
    layers = [waveform.number("image.decided.lane_3.layer", cycle) for cycle in range(1000)]
    lanes = [
        [waveform.number(f"image.decided.lane_{lane}.neuron", cycle) for lane in range(4)]
        for cycle, layer in enumerate(layers)
        if layer == 0
    ]
    assert lanes == [[*range(first, first + 4)] for first in range(0, 12, 4)]
    last = max(cycle for cycle in range(1000) if waveform.at("image.state", cycle) == "RESULT")
    assert waveform.at("image.code", last + 1) == read
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            [SAMPLE, "--waves", "out.vcd"],
            "Invalid value for --waves: waveforms are FST files, but 'out.vcd' ends otherwise; "
            "name a file that ends in .fst.",
        ),
        (
            [SAMPLE, "--waves", "missing/out.fst"],
            "Invalid value for --waves: no file can be made in 'missing'; "
            "name a file in a folder that exists and is writable.",
        ),
        (
            [SAMPLE, "--waves", "folder.fst"],
            "Invalid value for --waves: 'folder.fst' is a folder; name a file that ends in .fst.",
        ),
        (
            [SAMPLE, "--board", "/dev/ttyUSB1", "--waves", "out.fst"],
            "Invalid value for --waves: nothing inside the board '/dev/ttyUSB1' can be seen; "
            "choose --board sim.",
        ),
        (
            [SAMPLE, SAMPLE, "--waves", "out.fst"],
            "Invalid value for --waves: 2 pictures have no one recording; "
            "name one picture of a character.",
        ),
        (
            [SAMPLE, "--text", "--schedule", "out.png"],
            "Invalid value for --schedule: a line of text has no one recording; "
            "name one picture of a character.",
        ),
    ],
)
def test_the_command_refuses_before_it_infers(monkeypatch, capsys, tmp_path, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.fst").mkdir()
    code, out, err = stepnet_infer(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err == f"stepnet: {sentence}\n"


def test_the_command_refuses_a_schedule_that_is_no_png(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = stepnet_infer(monkeypatch, capsys, SAMPLE, "--schedule", "out.svg")
    assert (code, out, err) == (
        2,
        "",
        "stepnet: Pictures are PNG files, but 'out.svg' ends otherwise; "
        "name a file that ends in .png.\n",
    )
