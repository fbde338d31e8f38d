"""The flow to a bitstream: with tools that do as told, and once with the real ones."""

import dataclasses
import functools
import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fake_tools import make_tools
from stepnet import Layer, Network
from stepnet.cores.engine.memory_image import check_fits, memory_image
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.shipped import load_network
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.estimation.engine_choice import choose_engine
from stepnet_hdl.estimation.goal import Goal
from stepnet_hdl.flow import build as build_module
from stepnet_hdl.flow import build_plan
from stepnet_hdl.flow.build import BuildSettings, EngineWish, board_of, build
from stepnet_hdl.flow.cache import BuildCache
from stepnet_hdl.flow.report import report_from_json
from stepnet_hdl.shipping.manifest import read_manifest, shipped_folder

ICEBREAKER = BuildSettings("icebreaker", clock_hz=24_000_000)

make_plan_once = functools.cache(build_plan.make_plan)


@pytest.fixture
def use_tools(monkeypatch, tmp_path):
    """Puts fake tools in the place of the real ones; see `make_tools`."""

    # The chip is generated once for all tests.
    monkeypatch.setattr(build_plan, "make_plan", make_plan_once)

    def use(**how):
        folder = tmp_path / "tools"
        folder.mkdir(exist_ok=True)
        tools = make_tools(folder, **how)
        monkeypatch.setattr(build_module, "find_flow_tool", lambda name, part=None: tools[name])

    return use


@pytest.fixture
def cache(tmp_path):
    return BuildCache(tmp_path / "cache")


def test_result_is_whole_and_says_what_was_used(use_tools, cache, tmp_path):
    use_tools()
    steps = []
    report = build(ICEBREAKER, tmp_path / "out", progress=steps.append, cache=cache)
    assert report.bitstream.read_text() == "seed 1\n"
    assert (report.luts, report.block_rams, report.single_port_rams) == (2288, 24, 4)
    assert report.max_frequency_hz == 34_500_000
    assert report.tools == ("yosys 1.0 (PATH)", "nextpnr-ice40 1.0 (PATH)", "icepack 1.0 (PATH)")
    assert [step.step for step in steps] == [
        "Generating the chip",
        "Synthesis with yosys 1.0 (PATH)",
        "Place and route with nextpnr-ice40 1.0 (PATH)",
        "Place and route, best so far 34.5 MHz",
        "Packing with icepack 1.0 (PATH)",
    ]
    assert [step.done for step in steps] == [0, 0, 1, 2, 2]
    assert Image.open(report.picture).format == "PNG"
    assert report_from_json((tmp_path / "out" / "report.json").read_text()) == report
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "placement.png",
        "report.json",
        "stepnet.bin",
    ]


def test_critical_path_is_in_the_designs_own_names(use_tools, cache, tmp_path):
    use_tools()
    report = build(ICEBREAKER, tmp_path / "out", cache=cache)
    path = [(step.name, step.after_ns, step.location) for step in report.critical_path]
    assert path == [("chip.a.state", 1.5, (1, 2)), ("chip.b.sum", 3.75, (3, 5))]
    text = report.to_text()
    assert "LUTs        2288 of 5280 (43%)" in text
    assert "reaches 34.5 MHz (44% to spare)" in text
    assert "    3.75 ns  chip.b.sum  (column 3, row 5)" in text


def test_best_seed_is_kept(use_tools, cache, tmp_path):
    use_tools(mhz_by_seed={1: 25.0, 2: 23.0, 3: 31.0, 4: 31.0})
    settings = replace(ICEBREAKER, seeds=(1, 2, 3, 4))
    report = build(settings, tmp_path / "out", cache=cache)
    assert report.seed == 3  # of two that are equally fast, the first
    assert report.seeds_hz == {1: 25_000_000, 2: 23_000_000, 3: 31_000_000, 4: 31_000_000}
    assert report.bitstream.read_text() == "seed 3\n"
    assert "3, the best of 4; the worst 23.0 MHz" in report.to_text()


def test_second_time_comes_from_the_cache(use_tools, cache, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    use_tools(calls=calls)
    first = build(ICEBREAKER, tmp_path / "one", cache=cache)
    assert calls.read_text().split() == ["yosys", "nextpnr-ice40", "icepack"]
    # Nothing of the design may be looked at.
    monkeypatch.setattr(build_module, "_build_or_find", None)
    started_s = time.monotonic()
    second = build(ICEBREAKER, tmp_path / "two", cache=cache)
    assert time.monotonic() - started_s < 1
    assert calls.read_text().split() == ["yosys", "nextpnr-ice40", "icepack"]
    assert (first.cached, second.cached) == (False, True)
    assert second.bitstream.read_bytes() == first.bitstream.read_bytes()
    assert second.critical_path == first.critical_path
    assert "from the cache; when it was built: " in second.to_text()


def test_two_processes_that_want_the_same_build_it_once(cache):
    filled = []
    waiting = threading.Barrier(2)

    def fill(folder):
        filled.append(folder)
        time.sleep(0.05)
        (folder / "made").touch()

    def add(_):
        waiting.wait()
        return cache.add("digest", fill)

    with ThreadPoolExecutor(2) as both:
        entries = list(both.map(add, range(2)))
    assert entries[0] == entries[1]
    assert (entries[0] / "made").exists()
    assert len(filled) == 1


def test_changed_source_with_the_same_plan_is_found_in_the_cache(
    use_tools, cache, tmp_path, monkeypatch
):
    calls = tmp_path / "calls"
    use_tools(calls=calls)
    build(ICEBREAKER, tmp_path / "one", cache=cache)
    monkeypatch.setattr(build_module, "source_key", lambda *settings: "of another source")
    assert build(ICEBREAKER, tmp_path / "two", cache=cache).cached
    assert len(calls.read_text().split()) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        replace(ICEBREAKER, baud=3_000_000),
        replace(ICEBREAKER, clock_hz=12_000_000),
        replace(ICEBREAKER, seeds=(2,)),
    ],
)
def test_other_settings_are_another_result(use_tools, cache, tmp_path, other):
    use_tools()
    build(ICEBREAKER, tmp_path / "one", cache=cache)
    assert not build(other, tmp_path / "two", cache=cache).cached


def test_other_tools_are_another_result(use_tools, cache, tmp_path, monkeypatch):
    use_tools()
    build(ICEBREAKER, tmp_path / "one", cache=cache)
    tools = make_tools(tmp_path / "tools")
    newer = {name: type(tool)(name, tool.path, "2.0", "PATH") for name, tool in tools.items()}
    monkeypatch.setattr(build_module, "find_flow_tool", lambda name, part=None: newer[name])
    assert not build(ICEBREAKER, tmp_path / "two", cache=cache).cached


def test_clock_not_met(use_tools, cache, tmp_path):
    use_tools(mhz_by_seed={1: 20.5})
    for _ in range(2):  # from the cache just the same
        with pytest.raises(BuildError) as caught:
            build(ICEBREAKER, tmp_path / "out", cache=cache)
        assert str(caught.value) == (
            "The clock of icebreaker is not met: it reaches 20.5 MHz of 24 MHz on the path from "
            "chip.a.state to chip.b.sum; try more --seeds or a lower --clock-mhz."
        )
        assert not (tmp_path / "out").exists()


def test_a_build_that_is_refused_leaves_no_folder(tmp_path, cache):
    with pytest.raises(BuildError) as caught:
        build(BuildSettings("icebraker"), tmp_path / "build" / "icebraker", cache=cache)
    assert str(caught.value) == "There is no board 'icebraker'; did you mean icebreaker?"
    assert list(tmp_path.iterdir()) == []


def test_failing_tool_is_quoted(use_tools, cache, tmp_path):
    use_tools(nextpnr='echo "ERROR: no BELs remaining" > stepnet.tim; exit 1')
    folder = tmp_path / "out"
    with pytest.raises(BuildError) as caught:
        build(ICEBREAKER, folder, cache=cache)
    assert str(caught.value) == (
        "The build for icebreaker failed (nextpnr-ice40: no BELs remaining); "
        f"{str(folder / 'stepnet.log')!r} has the whole story."
    )
    assert [path.name for path in folder.iterdir()] == ["stepnet.log"]
    assert "no BELs remaining" in (folder / "stepnet.log").read_text()
    use_tools()
    build(ICEBREAKER, folder, cache=cache)
    assert not (folder / "stepnet.log").exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "ERROR: package does not have a pin named '99' (on line 4)\n"
            "ERROR: Loading PCF failed.\n0 warnings, 2 errors",
            "package does not have a pin named '99' (on line 4)",
        ),
        (
            "ERROR: PLL 'pll' couldn't be placed anywhere, no suitable BEL found.\n"
            "    PLL bel 'X12/Y31/pll_3' cannot be used as it conflicts with input 'rx' on pin "
            "'35'.\n\nERROR: Packing design failed.",
            "PLL 'pll' couldn't be placed anywhere, no suitable BEL found. PLL bel 'X12/Y31/pll_3' "
            "cannot be used as it conflicts with input 'rx' on pin '35'.",
        ),
        ("nothing", "it did not say why"),
    ],
)
def test_the_first_error_is_the_reason(use_tools, cache, tmp_path, said, reason):
    """What comes after it only says that the tool gave up."""
    use_tools(nextpnr=f"cat > stepnet.tim <<'E'\n{said}\nE\nexit 1")
    with pytest.raises(BuildError) as caught:
        build(ICEBREAKER, tmp_path / "out", cache=cache)
    assert str(caught.value) == (
        f"The build for icebreaker failed (nextpnr-ice40: {reason}); "
        f"{str(tmp_path / 'out' / 'stepnet.log')!r} has the whole story."
    )


def test_an_oscillator_inside_the_part_is_doubted(use_tools, cache, tmp_path, monkeypatch):
    (tmp_path / "inner.py").write_text(
        "from amaranth.vendor import LatticeICE40Platform\n"
        "from amaranth_boards.resources import UARTResource\n"
        "class Inner(LatticeICE40Platform):\n"
        "    device, package, default_clk, hfosc_div = 'iCE40UP5K', 'SG48', 'SB_HFOSC', 0\n"
        "    resources, connectors = (UARTResource(0, rx='6', tx='9'),), ()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    use_tools()
    settings = BuildSettings("inner:Inner", clock_hz=24_000_000)
    lines = build(settings, tmp_path / "out", cache=cache).to_text().splitlines()
    assert (
        "  oscillator  SB_HFOSC inside the part, which may be 10 % off, while a serial line bears "
        "about 4 %; if the board does not answer, clock it from a crystal"
    ) in lines
    assert "SB_HFOSC" not in build(ICEBREAKER, tmp_path / "out", cache=cache).to_text()


def test_seeds_end_with_the_first_that_meets_the_clock(use_tools, cache, tmp_path, monkeypatch):
    """The smallest seed that meets it counts, though a later one that runs beside it is faster."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    calls = tmp_path / "calls"
    mhz = {1: 20.0, 2: 21.0, 3: 25.0, 4: 30.0, 5: 40.0}
    use_tools(mhz_by_seed=mhz, calls=calls)
    first = dataclasses.replace(ICEBREAKER, seeds=(1, 2, 3, 4, 5, 6), first_seed=True)
    report = build(first, tmp_path / "first", cache=cache)
    assert (report.seed, report.seeds_hz) == (3, {1: 20000000, 2: 21000000, 3: 25000000})
    assert calls.read_text().split().count("nextpnr-ice40") in (3, 4, 5)  # 4 runs beside 3
    best = build(dataclasses.replace(first, first_seed=False), tmp_path / "best", cache=cache)
    assert best.seed == 5
    assert len(best.seeds_hz) == 6


def test_seeds_of_which_none_meets_the_clock(use_tools, cache, tmp_path):
    use_tools(mhz_by_seed={1: 20.0, 2: 21.0, 3: 20.5})
    settings = dataclasses.replace(ICEBREAKER, seeds=(1, 2, 3), first_seed=True)
    with pytest.raises(BuildError, match=r"it reaches 21\.0 MHz of 24 MHz"):
        build(settings, tmp_path / "out", cache=cache)


@pytest.mark.parametrize(
    "wish", [EngineWish(), EngineWish(Goal.LINK), EngineWish(simd=32, pe=2)], ids=str
)
def test_what_is_estimated_is_built(wish):
    """One chooser: the shape that `stepnet estimate` marks, at a clock that it leaves room for."""
    plain = find_board("icebreaker")
    settings = BuildSettings("icebreaker", engine=wish)
    digits = load_network("digits")
    chosen = choose_engine(digits, plain, wish.goal, simd=wish.simd, pe=wish.pe).chosen
    board = board_of(settings, None)
    assert board.settings.shape == chosen.shape
    assert 0.8 * chosen.estimate.frequency_hz < board.clock_hz <= 0.9 * chosen.estimate.frequency_hz
    assert plain.settings.shape == board_of(BuildSettings("icebreaker"), None).settings.shape


def test_an_engine_that_holds_several_networks():
    names = ("digits-conv-open", "ascii-conv")
    settings = BuildSettings("icebreaker", engine=EngineWish(networks=names))
    board, alone = board_of(settings, None), board_of(of_first(settings), None)
    shape = board.settings.shape
    assert (shape.simd, shape.pe) == (alone.settings.shape.simd, alone.settings.shape.pe)
    for name in names:
        check_fits(load_network(name), shape)
    with pytest.raises(NetworkError):
        check_fits(load_network("ascii-conv"), alone.settings.shape)
    # No sum is wider than one of them needs, though the widest that there could be are.
    wider = EngineWish(networks=("digits-conv", "digits"))
    shape = board_of(dataclasses.replace(settings, engine=wider), None).settings.shape
    needed = memory_image(load_network("digits"), shape)
    assert needed.shape.sum_bits < dataclasses.replace(shape, max_sum_bits=0).sum_bits


def of_first(settings):
    first = EngineWish(networks=settings.engine.networks[:1])
    return dataclasses.replace(settings, engine=first)


def test_an_engine_that_holds_too_many_networks():
    wish = EngineWish(networks=("digits-conv", "digits-large"))
    with pytest.raises(BuildError) as caught:
        board_of(BuildSettings("icebreaker", engine=wish), None)
    assert str(caught.value) == (
        "The engine for network 'digits-conv' that holds 'digits-large', too, does not fit the "
        "iCE40UP5K of icebreaker: it takes 16 of 4 single-port RAMs; name fewer networks."
    )


def test_a_network_that_is_built_in_stays_out_of_memory_that_cannot_be_filled():
    layer = Layer(np.ones((7, 64), np.int8), np.zeros(7, np.int32))
    small = Network("small", (layer,), width=8, height=8)
    board = board_of(BuildSettings("icebreaker", engine=EngineWish()), small)
    assert board.settings.shape.weight_memory == "block"


def test_no_engine_is_picked_for_tables(cache, tmp_path):
    settings = BuildSettings("ulx3s-25f", network="digits-lut", engine=EngineWish())
    with pytest.raises(BuildError) as caught:
        build(settings, tmp_path / "out", cache=cache)
    assert str(caught.value) == (
        "The network 'digits-lut' is made of look-up tables and takes no engine; leave out --goal, "
        "--simd and --pe, or name a step network."
    )


def test_a_platform_that_amaranth_fails_with(use_tools, cache, tmp_path, monkeypatch):
    (tmp_path / "failing.py").write_text(
        "from amaranth_boards.icebreaker import ICEBreakerPlatform\n"
        "class Failing(ICEBreakerPlatform):\n"
        "    def toolchain_prepare(self, fragment, name, **options):\n"
        "        raise KeyError('no such thing')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    use_tools()
    with pytest.raises(BuildError) as caught:
        build(BuildSettings("failing:Failing"), tmp_path / "out", cache=cache)
    assert str(caught.value) == (
        "Amaranth cannot make a chip for the platform 'failing:Failing' (KeyError: 'no such "
        "thing'); correct it after the example in docs/boards.md."
    )


def test_a_build_that_fails_leaves_no_cache_entry(use_tools, cache, tmp_path):
    use_tools(nextpnr="exit 1")
    with pytest.raises(BuildError):
        build(ICEBREAKER, tmp_path / "out", cache=cache)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["locks", "unfinished"]


# The folder is the user's


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def own_files(tmp_path):
    """A folder with files of the user's, whose names are like those of a build."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("stepnet.npz", "stepnet.py", "stepnet.bit", "notes.log", "stepnet.v"):
        (folder / name).write_text(f"my {name}")
    return folder


def test_files_of_the_user_stay(use_tools, cache, own_files):
    mine = contents(own_files)
    use_tools()
    build(ICEBREAKER, own_files, cache=cache)
    assert contents(own_files).items() >= mine.items()
    with pytest.raises(BuildError):
        build(BuildSettings("icebraker"), own_files, cache=cache)
    use_tools(mhz_by_seed={2: 20.5})
    with pytest.raises(BuildError, match="is not met"):
        build(replace(ICEBREAKER, seeds=(2,)), own_files, cache=cache)
    assert contents(own_files).items() >= mine.items()


def test_a_network_in_the_folder_can_be_built_in(use_tools, cache, tmp_path):
    load_network("digits").save(tmp_path / "stepnet.npz")
    saved = (tmp_path / "stepnet.npz").read_bytes()
    use_tools()
    network = str(tmp_path / "stepnet.npz")
    with pytest.raises(BuildError):  # it does not fit
        build(replace(ICEBREAKER, network=network), tmp_path, cache=cache)
    assert (tmp_path / "stepnet.npz").read_bytes() == saved


@pytest.mark.parametrize("name", ["report.json", "placement.png", "stepnet.bin"])
@pytest.mark.parametrize("kind", ["text", "json", "folder", "link"])
def test_no_file_of_the_user_is_written_over(use_tools, cache, tmp_path, name, kind):
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.write_text("mine")
    match kind:
        case "text":
            (folder / name).write_text("mine")
        case "json":
            (folder / name).write_text('{"bitstream": "stepnet.bin", "picture": "a.png"}')
        case "folder":
            (folder / name).mkdir()
        case _:
            (folder / name).symlink_to(elsewhere)
    use_tools()
    with pytest.raises(BuildError) as caught:
        build(ICEBREAKER, folder, cache=cache)
    assert str(caught.value) == (
        f"The file {str(folder / name)!r} is not as a build left it, and would be written over; "
        "move it, or name another folder with --output."
    )
    assert [path.name for path in folder.iterdir()] == [name]
    assert elsewhere.read_text() == "mine"


def test_what_the_user_changed_is_the_users(use_tools, cache, tmp_path):
    use_tools()
    folder = tmp_path / "out"
    first = build(ICEBREAKER, folder, cache=cache)
    build(ICEBREAKER, folder, cache=cache)
    first.picture.write_bytes(b"with my notes on it")
    with pytest.raises(BuildError, match="is not as a build left it"):
        build(ICEBREAKER, folder, cache=cache)
    assert first.picture.read_bytes() == b"with my notes on it"


def test_a_failing_build_leaves_the_result_of_an_earlier_one(use_tools, cache, tmp_path):
    use_tools()
    folder = tmp_path / "out"
    build(ICEBREAKER, folder, cache=cache)
    before = contents(folder)
    use_tools(nextpnr="exit 1")
    with pytest.raises(BuildError):
        build(replace(ICEBREAKER, seeds=(7,)), folder, cache=cache)
    assert contents(folder).keys() - before.keys() == {"stepnet.log"}
    assert contents(folder).items() >= before.items()


def test_another_build_replaces_what_an_earlier_one_made(use_tools, cache, tmp_path):
    use_tools(mhz_by_seed={2: 31.0})
    folder = tmp_path / "out"
    first = build(ICEBREAKER, folder, cache=cache)
    second = build(replace(ICEBREAKER, seeds=(2,)), folder, cache=cache)
    assert first.digests["stepnet.bin"] != second.digests["stepnet.bin"]
    assert second.bitstream.read_text() == "seed 2\n"
    assert len(contents(folder)) == 3


def test_the_log_of_the_user_stays(use_tools, cache, tmp_path):
    use_tools(nextpnr="exit 1")
    (tmp_path / "stepnet.log").write_text("my log")
    for _ in range(2):
        with pytest.raises(BuildError, match=r"stepnet-2\.log"):
            build(ICEBREAKER, tmp_path, cache=cache)
    assert (tmp_path / "stepnet.log").read_text() == "my log"
    assert not (tmp_path / "stepnet-3.log").exists()


@pytest.mark.parametrize("name", ["stepnet.bin", "figures.json", "stepnet.pnr.json.gz"])
@pytest.mark.parametrize("damage", [b"", b"something else"])
def test_a_damaged_result_in_the_cache_is_built_again(use_tools, cache, tmp_path, name, damage):
    calls = tmp_path / "calls"
    use_tools(calls=calls)
    build(ICEBREAKER, tmp_path / "one", cache=cache)
    (damaged,) = (tmp_path / "cache").glob(f"*/{name}")
    damaged.write_bytes(damage)
    report = build(ICEBREAKER, tmp_path / "two", cache=cache)
    assert not report.cached
    assert report.bitstream.read_text() == "seed 1\n"
    assert len(calls.read_text().split()) == 6


def test_folder_that_cannot_be_written(cache, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError) as caught:
        build(ICEBREAKER, tmp_path / "file" / "out", cache=cache)
    assert str(caught.value) == (
        f"The folder {str(tmp_path / 'file' / 'out')!r} cannot be written (Not a directory); "
        "name another with --output."
    )


@pytest.mark.slow
def test_icebreaker_is_built_again_to_the_same_bytes(made_once, tmp_path):
    """The real tools, once: what they make is what the manifest says."""
    cache = BuildCache(made_once("builds", lambda folder: None))
    manifest = read_manifest(shipped_folder("icebreaker"))
    settings = BuildSettings("icebreaker", manifest.baud, seeds=(manifest.seed,))
    report = build(settings, tmp_path / "out", cache=cache)
    assert report.bitstream.read_bytes()[4:8] == bytes.fromhex("7eaa997e")  # iCE40's preamble
    assert report.spare >= 0.05
    assert report.luts <= 0.6 * report.luts_available
    assert report.plan_digest == manifest.source_digest
    if report.tools != manifest.tools:
        pytest.skip(f"the bitstream was made with other tools: {', '.join(manifest.tools)}")
    found = hashlib.sha256(report.bitstream.read_bytes()).hexdigest()
    assert found == manifest.sha256
    assert report.max_frequency_hz == manifest.max_frequency_hz
