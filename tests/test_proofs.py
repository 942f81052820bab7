"""The registry holds; and the registry's own checks have teeth."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import monops
from monops import errors
from monops.theory import Guarantee
from proofs.check import Verdict, check, run
from proofs.check import theorem as theorem_of
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
    with pytest.raises(errors.DataError, match="must be a monops operator or function"):
        check("OP-13", operator=M)
    with pytest.raises(errors.DataError, match="samples=0 must be an integer >= 1"):
        check("OP-13", samples=0)
    nowhere = monops.operators.Custom(lambda x: np.nan * x, constants=monops.Constants(0.5, lipschitz=1.0))
    assert not check("OP-26", operator=nowhere).holds
    with pytest.raises(KeyError, match="no theorem 'OP-99'"):
        check("OP-99")


def interval_scaled(guarantee: Any) -> Any:
    """The same guarantee, its interval 2 % too long."""

    def wrong(*arguments: Any) -> Any:
        proven = guarantee(*arguments)
        if not isinstance(proven, Guarantee):
            return proven
        return dataclasses.replace(proven, interval=(proven.interval[0], 1.02 * proven.interval[1]))

    return wrong


def factor_scaled(guarantee: Any) -> Any:
    """The same guarantee, its squared factor 2 % too small."""

    def wrong(*arguments: Any) -> Any:
        proven = guarantee(*arguments)
        contraction = getattr(proven, "squared_contraction", None)
        if contraction is None:
            return proven
        return dataclasses.replace(proven, squared_contraction=lambda step: 0.98 * contraction(step))

    return wrong


def scaled(function: Any) -> Any:
    """The same number, 2 % too small."""
    return lambda *arguments: None if function(*arguments) is None else 0.98 * function(*arguments)


METHODS = "monops.algorithms."
WRONG = [
    (METHODS + "shared.reflected.cayley_contraction", scaled, "OP-13 OP-14 OP-15 AL-06 AL-09"),
    (METHODS + "shared.forward_terms.forward_contraction", scaled, "OP-09 OP-10 OP-11 AL-05 NN-05"),
    (METHODS + "resolvents.douglas_rachford.guarantee", factor_scaled, "AL-06 AL-07 AL-08 AL-09"),
    (METHODS + "cocoercive.forward_backward.guarantee", factor_scaled, "AL-05 NN-05 NN-12"),
    (METHODS + "cocoercive.davis_yin.guarantee", factor_scaled, "AL-12"),
    (METHODS + "lipschitz.forward_backward_forward.guarantee", factor_scaled, "AL-11"),
    (METHODS + "cocoercive.forward_backward.guarantee", interval_scaled, "AL-05"),
    (METHODS + "cocoercive.davis_yin.guarantee", interval_scaled, "AL-12"),
    (METHODS + "lipschitz.forward_backward_forward.guarantee", interval_scaled, "AL-11"),
    (METHODS + "lipschitz.forward_reflected_backward.guarantee", interval_scaled, "AL-13"),
    (METHODS + "lipschitz.extragradient.guarantee", interval_scaled, "AL-14"),
    (METHODS + "primal_dual.chambolle_pock.guarantee", interval_scaled, "AL-15"),
    (METHODS + "primal_dual.condat_vu.guarantee", interval_scaled, "AL-16"),
    (METHODS + "primal_dual.primal_dual_three_operator.guarantee", interval_scaled, "AL-16"),
    (METHODS + "primal_dual.condat_vu.CondatVu.averagedness", scaled, "AL-16"),
    (METHODS + "primal_dual.primal_dual_three_operator.PrimalDualThreeOperator.averagedness", scaled, "AL-16"),
    (METHODS + "primal_dual.admm.ADMM.averagedness", scaled, "AL-10"),
]


@pytest.mark.parametrize(
    ("place", "wrong", "theorems"), WRONG, ids=[place.split(".", 2)[2] + "-" + wrong.__name__ for place, wrong, _ in WRONG]
)
def test_a_wrong_claim_of_the_library_fails_its_theorem(
    place: str, wrong: Any, theorems: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two per cent: what monops declares is what the registry holds, wherever it was imported under whatever name."""
    owner, name = place.rsplit(".", 1)
    holder = (
        sys.modules[owner] if owner in sys.modules else getattr(sys.modules[owner.rsplit(".", 1)[0]], owner.rsplit(".", 1)[1])
    )
    right = vars(holder)[name]
    monkeypatch.setattr(holder, name, wrong(right))
    for module in [module for key, module in sys.modules.items() if key.startswith(("monops.", "proofs."))]:
        for alias in [alias for alias, value in vars(module).items() if value is right]:
            monkeypatch.setattr(module, alias, vars(holder)[name])
    for theorem in theorems.split():
        assert not run(theorem_of(theorem), samples=15).ok, theorem


def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "proofs", "--only", "OP-09", "--examples", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "OP-09" in done.stdout
