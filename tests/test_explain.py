"""``rate`` and ``best_step`` are the numbers of the theorems; the choice is the best of all methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monops
from monops.algorithms import assess, best_method, methods
from monops.errors import NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.problems import CASES
from tests.zoo import PROBLEMS

MU, L = 0.3, 1.0
EXTREMAL = np.array([[MU, -((L**2 - MU**2) ** 0.5)], [(L**2 - MU**2) ** 0.5, MU]])


def test_rate_is_attained_on_the_extremal_rotation() -> None:
    A = monops.Affine(EXTREMAL)
    for step in (0.05, 0.3, 0.55):
        forward = np.linalg.norm(np.eye(2) - step * EXTREMAL, 2)
        assert monops.rate(monops.ForwardStep(), A, step) == pytest.approx(forward, abs=1e-12)
    sum_of_two = A + monops.NonNegative()
    step = monops.best_step(monops.PeacemanRachford(), sum_of_two)
    cayley = np.linalg.solve(np.eye(2) + step * EXTREMAL, np.eye(2) - step * EXTREMAL)
    assert monops.rate(monops.PeacemanRachford(), sum_of_two) == pytest.approx(np.linalg.norm(cayley, 2), abs=1e-12)


def test_best_step_has_the_best_rate() -> None:
    problem = monops.Affine(EXTREMAL) + monops.NonNegative()
    for method in (monops.ForwardBackward(), monops.DouglasRachford(), monops.ForwardBackwardForward()):
        best = monops.best_step(method, problem)
        factor = monops.rate(method, problem, best)
        assert factor is not None
        for other in (0.9 * best, 1.1 * best):
            slower = monops.rate(method, problem, other)
            assert slower is not None
            assert slower >= factor - 1e-12


def test_rate_says_what_is_not_proven_and_refuses_what_is_outside() -> None:
    assert monops.rate(monops.DouglasRachford(), monops.L1Norm() + monops.Box(0.0, 1.0)) is None
    with pytest.raises(StepSizeError, match="outside the proven interval"):
        monops.rate(monops.ForwardStep(), monops.Affine(EXTREMAL), 5.0)
    with pytest.raises(NotApplicableError):
        monops.rate(monops.ForwardBackward(), monops.L1Norm() + monops.Box(0.0, 1.0))


@pytest.mark.parametrize("item", [*CASES, *PROBLEMS], ids=lambda item: item.name)
def test_the_choice_is_the_candidate_with_the_least_effort_of_all(item: Any) -> None:
    """``best_method`` leaves methods out by lower bounds of their effort; none of those left out may be better."""
    problem = as_inclusion(item.build(np.asarray))
    chosen = best_method(problem)
    assert chosen is not None
    candidates = [entry for entry in assess(problem) if entry.algorithm.is_candidate]  # now every norm is known
    assert chosen.effort <= candidates[0].effort


def test_methods_with_a_linear_rate_say_so() -> None:
    """Else ``best_method`` would leave them out."""
    for item in (*CASES, *PROBLEMS):
        for entry in assess(as_inclusion(item.build(np.asarray))):
            if entry.terms is not None and entry.terms.guarantee.squared_contraction is not None:
                assert type(entry.algorithm).has_linear_rate, entry.algorithm.name


def test_ranking_numbers_are_sane() -> None:
    for method in methods():
        assert method.evaluations > 0
        assert method.typical_iterations > 0
        assert method.cost
