"""Proofs hold for the blocks as they are, and are refused for blocks that are broken."""

import inspect
import re

import pytest

from stepnet.errors import MissingToolError
from stepnet_hdl.blocks import popcount
from stepnet_hdl.link import cobs
from stepnet_sim.verification import broken_blocks, formal
from stepnet_sim.verification.combinational import paths_from_ready
from stepnet_sim.verification.formal import ProofError, prove
from stepnet_sim.verification.levels import proofs
from stepnet_sim.verification.mutants import Mutant, broken, driven

QUICK = [proof for proof in proofs.ALL if proof.quick]


@pytest.mark.slow
@pytest.mark.parametrize("proof", QUICK, ids=lambda proof: proof.name)
def test_block_equals_its_formula_and_a_broken_one_does_not(proof, tmp_path):
    assert proof.mutants
    outcome = proofs.checked(proof, tmp_path)
    assert outcome.disagreement == ""


def test_every_proof_has_a_name_of_its_own_and_nearly_all_refuse_a_mutant():
    assert len({proof.name for proof in proofs.ALL}) == len(proofs.ALL)
    # Blocks of COBS that are not full do not meet what breaks full ones.
    without = [proof.name for proof in proofs.ALL if not proof.mutants]
    assert without == [f"COBS decoder, {size} bytes other than zero" for size in (253, 254)]


@pytest.mark.slow
def test_counterexample_names_cycle_and_trace(tmp_path):
    proof, mutant = QUICK[0], QUICK[0].mutants[0]
    verdict = prove(proof, tmp_path, mutant)
    assert not verdict.holds
    trace = tmp_path / "proof" / "engine_0" / "trace.vcd"
    assert re.search(rf"in cycle \d+, see {trace}$", verdict.detail)
    assert trace.exists()


@pytest.mark.slow
def test_proof_that_accepts_a_broken_block_is_no_proof(tmp_path):
    class NothingIsBroken(popcount.Popcount):
        pass

    harmless = Mutant(popcount, NothingIsBroken)
    proof = formal.Proof(
        "popcount", "the sum", QUICK[0].harness, 5, unbounded=True, mutants=(harmless,)
    )
    outcome = proofs.checked(proof, tmp_path)
    assert outcome.disagreement == f"the proof accepts a broken block, {harmless}"


def test_missing_solver_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(formal, "SOLVER_PROGRAM", "no-such-solver")
    with pytest.raises(MissingToolError) as error:
        prove(QUICK[0], tmp_path)
    assert str(error.value) == (
        "The tool 'no-such-solver' is missing; install it with: pip install \"stepnet[test]\"."
    )


@pytest.mark.slow
def test_tool_that_fails_is_no_verdict(tmp_path, monkeypatch):
    monkeypatch.setattr(formal, "SOLVER", "no-such-solver")
    with pytest.raises(ProofError) as error:
        prove(QUICK[0], tmp_path)
    log = tmp_path / "proof.log"
    assert str(error.value) == (
        f"The proof of {QUICK[0].name!r} could not be tried; {str(log)!r} says why."
    )


def test_path_from_ready_to_valid_is_found(tmp_path):
    assert paths_from_ready(cobs.CobsDecoder(), tmp_path / "sound") == []
    with broken(Mutant(cobs, broken_blocks.WaitsForItsReader)):
        assert paths_from_ready(cobs.CobsEncoder(), tmp_path / "broken") == ["bytes"]


def test_mutant_of_what_is_not_in_the_block_is_refused():
    elsewhere = broken(Mutant(popcount, broken_blocks.NeverBroken))
    with (
        pytest.raises(AttributeError, match="does not have the attribute 'CobsDecoder'"),
        elsewhere,
    ):
        pass
    with pytest.raises(ValueError, match=r"^The module assigns 0 signals named 'block_right'\.$"):
        driven(cobs.CobsDecoder().elaborate(None), "block_right")


def test_mutant_lasts_as_long_as_asked():
    sound = cobs.CobsDecoder
    with broken(Mutant(cobs, broken_blocks.NeverBroken)):
        assert cobs.CobsDecoder is broken_blocks.NeverBroken
    assert cobs.CobsDecoder is sound


def test_every_broken_block_says_what_is_broken_and_is_refused_by_a_proof():
    used = {
        mutant.block for proof in proofs.ALL for mutant in (proof.lemma, *proof.mutants) if mutant
    }
    blocks = {
        block
        for block in vars(broken_blocks).values()
        if inspect.isclass(block) and block.__module__ == broken_blocks.__name__
    }
    assert used == blocks - {broken_blocks.WaitsForItsReader}
    assert all(block.__doc__ for block in blocks)
