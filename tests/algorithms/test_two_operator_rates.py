"""Douglas-Rachford with strong monotonicity in one operator and cocoercivity or a Lipschitz constant in the other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import monops
from monops.algorithms.resolvents.douglas_rachford import guarantee
from monops.algorithms.shared.two_operator_rates import cocoercive_rate
from monops.constants import Constants
from monops.theory import Guarantee

STRONG = Constants(strong_monotonicity=0.5)


@pytest.mark.parametrize("other", [Constants(cocoercivity=0.3), Constants(0.0, lipschitz=2.0)], ids=["cocoercive", "Lipschitz"])
@pytest.mark.parametrize("relaxation", [0.6, 1.0, 1.7])
def test_the_step_is_the_best_and_the_order_does_not_matter(other: Constants, relaxation: float) -> None:
    found, turned = guarantee(other, STRONG, relaxation), guarantee(STRONG, other, relaxation)
    assert isinstance(found, Guarantee)
    assert isinstance(turned, Guarantee)
    best = found.factor(found.best_step)
    assert best is not None
    assert best < 1
    assert turned.factor(turned.best_step) == pytest.approx(best)
    factors = [found.factor(step) for step in np.geomspace(1e-3, 1e3, 200)]
    assert all(factor is not None and best <= factor + 1e-9 for factor in factors)
    assert "Ryu" in found.source


def test_rational_constants_give_a_rational_square() -> None:
    assert isinstance(cocoercive_rate(Fraction(1, 2), Fraction(1, 3), Fraction(2), Fraction(1)).square, Fraction)


def test_a_problem_contracts_at_least_as_declared() -> None:
    """Rotations and projections: B = N_C + mu I is strongly monotone only, A is monotone and Lipschitz only."""
    rng = np.random.default_rng(0)
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])
    problem = monops.Affine(turn, rng.standard_normal(2)) + monops.Box(-1.0, 1.0).add_quadratic(0.5)
    method = monops.DouglasRachford()
    terms = method.match(problem)
    factor = terms.guarantee.factor(terms.step_size)
    assert factor is not None
    assert factor < 1
    for _ in range(200):
        u, v = 3 * rng.standard_normal(2), 3 * rng.standard_normal(2)
        moved = [method.governing(terms, method.step(terms, method.at(terms, z))) for z in (u, v)]
        assert np.linalg.norm(moved[0] - moved[1]) <= factor * np.linalg.norm(u - v) * (1 + 1e-9)


def test_a_point_set_does_not_break_the_rate() -> None:
    """mu = inf, as of the normal cone of a point, is left to the other theorems."""
    found = guarantee(Constants(strong_monotonicity=math.inf), Constants(0.0, lipschitz=1.0))
    assert isinstance(found, Guarantee)
    assert found.squared_contraction is None
