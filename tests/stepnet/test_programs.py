"""Programs end with whoever started them."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stepnet.programs import run_program

TIMEOUT_S = 20.0


def test_a_program_runs_to_its_end(tmp_path):
    script = "import os, sys; print(os.getcwd(), sys.stdin.read()); sys.stderr.write(sys.argv[1])"
    done = run_program([sys.executable, "-c", script, "said"], cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path} \n", "said")
    assert run_program(["sh", "-c", "exit 3"]).returncode == 3
    assert run_program(["sh", "-c", "kill -9 $$"]).returncode == 128 + 9
    assert "ONLY=this" in run_program(["env"], env={"ONLY": "this"}).stdout.splitlines()
    assert run_program(["printf", "\\377"]).stdout == "\N{REPLACEMENT CHARACTER}"


def test_a_program_that_does_not_start():
    done = run_program(["/nowhere/program"])
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


STARTER = """
import sys
from stepnet.programs import run_program
run_program(["sh", "-c", f"sleep 1000 & echo $! > {sys.argv[1]}; echo $$ >> {sys.argv[1]}; wait"])
"""


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="asks /proc what still runs, and only Linux has it"
)


def is_running(number):
    try:
        status = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_program_started_ends_with_whoever_started_it(tmp_path, how):
    told = tmp_path / "numbers"
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(told)], stderr=subprocess.DEVNULL
    ) as starter:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not told.exists() or len(told.read_text().split()) < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        numbers = told.read_text().split()
        assert all(map(is_running, numbers))
        starter.send_signal(how)
        starter.wait(TIMEOUT_S)
    while any(map(is_running, numbers)):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@needs_proc
def test_a_program_whose_starter_was_started_so_ends_with_the_first_one(tmp_path):
    """As a tool of a build that is a point of a sweep."""
    told = tmp_path / "numbers"
    deadline_s = time.monotonic() + TIMEOUT_S

    def end_when_told(end):
        def wait():
            while not told.exists() or len(told.read_text().split()) < 2:
                time.sleep(0.01)
            end()

        threading.Thread(target=wait, daemon=True).start()

    run_program([sys.executable, "-c", STARTER, str(told)], started=end_when_told)
    while any(map(is_running, told.read_text().split())):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_what_a_program_leaves_running_ends_with_it(tmp_path):
    done = run_program(["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"])
    deadline_s = time.monotonic() + TIMEOUT_S
    while is_running(done.stdout.strip()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
