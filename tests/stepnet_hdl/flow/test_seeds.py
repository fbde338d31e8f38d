"""Place and route with several seeds, on this machine and on the workers of a cluster."""

import os
from dataclasses import replace

import pytest

from dask_cluster import DaskCluster, free_port
from fake_tools import make_tools
from stepnet.errors import MissingToolError
from stepnet.sweeps.errors import WorkersError
from stepnet.sweeps.work import run_task
from stepnet_hdl.flow.build_plan import Plan
from stepnet_hdl.flow.place_and_route import seed_task
from stepnet_hdl.flow.run import run_flow
from stepnet_hdl.flow.tool_run import ToolFailedError

PLAN = Plan(
    {"stepnet.pcf": "pins\n", "stepnet.il": "design\n"},
    None,
    ("yosys", "-q", "stepnet.ys"),
    ("nextpnr-ice40", "--json", "stepnet.json", "--pcf", "stepnet.pcf"),
    ("icepack", "stepnet.asc", "stepnet.bin"),
)


@pytest.fixture
def tools_folder(tmp_path):
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


@pytest.fixture
def flow(tmp_path):
    """Runs the plan in a new folder, with what was done kept in the same place each time."""
    folders = (tmp_path / f"work-{n}" for n in range(9))

    def run(tools, **how):
        folder = next(folders)
        folder.mkdir()
        told = []
        built = run_flow(
            PLAN,
            tools,
            folder,
            kept=tmp_path / "kept",
            progress=lambda progress: told.append((progress.step, progress.done)),
            **{"seeds": (1, 2, 3, 4), **how},
        )
        return built, told

    return run


def placings(calls):
    return calls.read_text().split().count("nextpnr-ice40")


def test_seeds_that_are_done_are_not_run_again(flow, tools_folder, tmp_path):
    calls = tmp_path / "calls"
    mhz = {1: 25.0, 2: 31.0, 3: 28.0, 4: 26.0}
    broken = make_tools(tools_folder, mhz_by_seed=mhz, calls=calls)
    packer = tools_folder / "icepack"
    whole = packer.read_text()
    packer.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(ToolFailedError):
        flow(broken)
    assert placings(calls) == 4
    packer.write_text(whole)
    built, told = flow(broken)
    assert placings(calls) == 4
    assert built.best.seed == 2
    assert built.bitstream.read_text() == "seed 2\n"
    assert built.seeds_hz == {1: 25_000_000, 2: 31_000_000, 3: 28_000_000, 4: 26_000_000}
    assert told[-1] == ("Packing with icepack 1.0 (PATH)", 5)


def test_a_seed_that_failed_is_run_again(flow, tools_folder):
    with pytest.raises(ToolFailedError) as failed:
        flow(make_tools(tools_folder, nextpnr='echo "ERROR: no room" > stepnet.tim; exit 1'))
    assert str(failed.value) == "nextpnr-ice40: no room"
    assert "ERROR: no room" in failed.value.log
    built, _ = flow(make_tools(tools_folder))
    assert sorted(built.seeds_hz) == [1, 2, 3, 4]


def test_more_than_a_worker_hands_back(flow, tools_folder, monkeypatch):
    monkeypatch.setattr("stepnet.sweeps.work.MOST_FILE_BYTES", 10)
    with pytest.raises(ToolFailedError) as failed:
        flow(make_tools(tools_folder))
    assert str(failed.value) == "what nextpnr made is more than the 256 MiB of a point"


def test_what_is_kept_and_damaged_is_begun_anew(flow, tools_folder, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "journal.jsonl").write_text("no journal\n")
    assert flow(make_tools(tools_folder))[0].best.seed == 1


def test_a_run_gets_what_it_reads_and_leaves_what_it_makes(tools_folder, tmp_path):
    tool = make_tools(tools_folder)["nextpnr-ice40"]
    task = seed_task("one", PLAN.place_and_route, tool, {"a.json": b"{}"}, 3, elsewhere=False)
    (tmp_path / "run").mkdir()
    for left in ("a.json", "stepnet.asc", "stepnet.pnr.json", "stepnet.pnr.json.gz", "left"):
        (tmp_path / "run" / left).write_bytes(b"by a run that was killed")
    outcome = run_task(task, tmp_path / "run")
    assert (outcome.result, outcome.error) == ({"tool_failed": None}, "")
    assert sorted(outcome.files) == [
        "nextpnr.json",
        "stepnet.asc",
        "stepnet.pnr.json.gz",
        "stepnet.tim",
    ]
    assert outcome.files["stepnet.asc"] == b"seed 3\n"


def test_a_worker_with_another_tool_is_refused(tools_folder, tmp_path, monkeypatch):
    tool = make_tools(tools_folder)["nextpnr-ice40"]
    (tools_folder / "nextpnr-ice40").write_text('#!/bin/sh\necho "nextpnr-ice40 99.1"\n')
    monkeypatch.setenv("PATH", f"{tools_folder}{os.pathsep}{os.environ['PATH']}")
    task = seed_task("one", PLAN.place_and_route, tool, {}, 3, elsewhere=True)
    outcome = run_task(task, tmp_path / "run")
    assert outcome.exit_code == MissingToolError.exit_code
    assert outcome.error == (
        "The worker has nextpnr-ice40 99.1 (PATH), and the build began with nextpnr-ice40 1.0 "
        "(PATH), which may place otherwise."
    )


def test_a_scheduler_that_is_not_there_is_missed_before_synthesis(
    flow, tools_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("stepnet.sweeps.cluster.CONNECT_S", 0.2)
    calls = tmp_path / "calls"
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(WorkersError, match="There is no scheduler at"):
        flow(make_tools(tools_folder, calls=calls), scheduler=address)
    assert not calls.exists()


@pytest.mark.slow
def test_a_cluster_gives_what_this_machine_gives(flow, tools_folder, tmp_path, monkeypatch):
    tools = make_tools(tools_folder, mhz_by_seed={1: 20.0, 2: 31.0, 3: 28.0})
    placer = tools["nextpnr-ice40"]
    script = tools_folder / "nextpnr-ice40"
    told = '#!/bin/sh\n[ "$1" = --version ] && echo "nextpnr-ice40 99.1" && exit\n'
    script.write_text(told + script.read_text())
    tools["nextpnr-ice40"] = replace(placer, version="99.1")
    monkeypatch.setenv("PATH", f"{tools_folder}{os.pathsep}{os.environ['PATH']}")
    cluster = DaskCluster(tmp_path)
    try:
        cluster.start(workers=1)
        far, _ = flow(tools, first_seed=True, scheduler=cluster.address)
    finally:
        cluster.kill()
    assert (far.best.seed, far.seeds_hz) == (2, {1: 20_000_000, 2: 31_000_000})
    assert far.bitstream.read_text() == "seed 2\n"
