"""The registry holds; and the registry's own checks have teeth."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs.check import run
from proofs.operators.first import OP02, OP09, OP13
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


def test_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proofs", "--only", "OP-09", "--examples", "2"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "OP-09" in done.stdout
