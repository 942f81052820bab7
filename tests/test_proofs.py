"""The registry holds; and the registry's own checks have teeth."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import monops
from monops import errors
from proofs.check import Verdict, check, run
from proofs.operators.contractions import OP02, OP09, OP13
from proofs.registry import THEOREMS
from proofs.theorem import Mutant, Theorem

every_theorem = pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.id)


@every_theorem
def test_theorem_holds_is_tight_and_not_vacuous(theorem: Theorem) -> None:
    row = run(theorem, samples=10)
    assert row.ok, row.failures


@every_theorem
def test_every_counterexample_breaks_and_every_mutant_dies(theorem: Theorem) -> None:
    assert {example.dropped for example in theorem.counterexamples} == set(theorem.hypotheses)
    assert len(theorem.mutants) >= 2
    assert all(example.ratio() > 1.0001 for example in theorem.counterexamples)
    assert all(mutant.ratio() > 1.0001 for mutant in theorem.mutants)


@pytest.mark.parametrize("theorem", [OP02, OP09, OP13], ids=lambda theorem: theorem.id)
@given(seed=st.integers(0, 2**32 - 1))
def test_bounds_hold_on_any_draw(theorem: Theorem, seed: int) -> None:
    assert theorem.sample(np.random.default_rng(seed)) <= 1 + 1e-9


def test_surviving_mutant_missing_counterexample_and_slack_bound_are_reported() -> None:
    survivor = dataclasses.replace(OP09, mutants=(Mutant("claim times 1.01", lambda: OP09.extremal() / 1.01),))
    vacuous = dataclasses.replace(OP09, counterexamples=())
    slack = dataclasses.replace(OP09, extremal=lambda: 0.9)
    broken = dataclasses.replace(OP09, sample=lambda generator: 1.01)
    for wrong in (survivor, vacuous, slack, broken):
        assert not run(wrong, samples=2).ok
    assert "vacuity unchecked" in run(vacuous, samples=2).failures[0]


@pytest.mark.parametrize("seed", [1, 2])
@every_theorem
def test_other_seeds_hold_too(theorem: Theorem, seed: int) -> None:
    generator = np.random.default_rng(seed)
    assert all(theorem.sample(generator) <= 1 + 1e-9 for _ in range(8))


def test_every_entry_of_the_catalogue_is_there() -> None:
    counts = {"OP": 26, "AL": 23, "NN": 15}
    wanted = [f"{family}-{number:02d}" for family, count in counts.items() for number in range(1, count + 1)]
    assert [theorem.id for theorem in THEOREMS] == wanted


def test_a_users_operator_is_held_against_the_theorem() -> None:
    M = np.array([[1.0, -2.0], [2.0, 1.0]])
    able = [theorem.id for theorem in THEOREMS if theorem.on_operator is not None]
    assert {"OP-01", "OP-09", "OP-13", "AL-05"} <= set(able)
    for name in ("OP-01", "OP-09", "OP-13"):
        verdict = check(name, operator=monops.Affine(M))
        assert isinstance(verdict, Verdict)
        assert verdict.holds, str(verdict)
    lies = monops.operators.Custom(lambda x: x @ M.T, constants=monops.Constants(0.9, lipschitz=2.0), input_shape=(2,))
    wrong = check("OP-09", operator=lies)
    assert "IS BROKEN" in str(wrong)
    with pytest.raises(errors.NotApplicableError, match="cannot be held against a single operator"):
        check("AL-19", operator=monops.Affine(M))
    with pytest.raises(errors.NotApplicableError, match="declares no lipschitz"):
        check("OP-09", operator=monops.operators.Custom(lambda x: x, constants=monops.Constants(1.0)))
    with pytest.raises(KeyError, match="no theorem 'OP-99'"):
        check("OP-99")


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "proofs", "--only", "OP-09", "--examples", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "OP-09" in done.stdout
