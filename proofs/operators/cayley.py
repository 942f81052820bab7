"""The Cayley operator of a strongly monotone cocoercive operator: OP-14."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.algorithms.shared.reflected import best_cayley_step, cayley_contraction
from monops.constants import Constants
from proofs.generators import exact_block, exact_inverse, exact_norm_squared, exact_product, rotation_block
from proofs.operators.instances import cocoercive_block, cocoercive_member, columns
from proofs.own_operator import declared, pair
from proofs.ratios import norm, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem

MU, IMAGINARY, BETA, STEP = Fraction(1, 2), Fraction(1), Fraction(2, 5), Fraction(2, 3)  # beta = mu/(mu^2 + imaginary^2)


def claim(mu: Any, beta: Any, step: Any) -> Any:
    """Squared factor as monops computes it."""
    return cayley_contraction(Constants(mu, beta, why="given"), step)


def observed(M: np.ndarray, step: float) -> float:
    """|2J - I|^2 through the public reflected resolvent."""
    A = monops.Affine(M)
    return norm(columns(lambda x: A.reflected_resolvent(x, step), len(M))) ** 2


def op14_sample(generator: np.random.Generator) -> float:
    """The worse of the contraction at a random step, and of the factor at the best step against that at this one."""
    M, mu, beta = cocoercive_member(generator)
    step = float(10 ** generator.uniform(-1.5, 1.5) * math.sqrt(beta / mu))
    bound = claim(mu, beta, step)
    best = claim(mu, beta, best_cayley_step(Constants(mu, beta)))
    return max(quotient(observed(M, step), bound, 1.0), quotient(best, bound, 1.0))


def exact_observed() -> Fraction:
    """|2J - I|^2 of the extremal block mu + i sqrt(mu/beta - mu^2), exactly."""
    (a, b), (c, d) = exact_block(STEP * MU, STEP * IMAGINARY)
    (p, q), (r, s) = exact_inverse([[1 + a, b], [c, 1 + d]])
    assert exact_product([[p, q], [r, s]], [[1 + a, b], [c, 1 + d]]) == [[1, 0], [0, 1]]
    return exact_norm_squared([[2 * p - 1, 2 * q], [2 * r, 2 * s - 1]])


def extremal() -> float:
    """The block attains the factor exactly."""
    return float(exact_observed() / claim(MU, BETA, STEP))


def wrong(numerator: Any, curvature: Any) -> float:
    """The extremal block against 1 - numerator/(1 + 2 step mu + step^2 curvature)."""
    return float(exact_observed() / (1 - numerator / (1 + 2 * STEP * MU + STEP**2 * curvature)))


def on_operator(operator: Any, generator: np.random.Generator) -> float:
    """|R x - R y|^2 / (claim |x - y|^2) for the operator's own mu and beta, at a random step."""
    constants = declared(operator, "strong_monotonicity", "cocoercivity")
    mu, beta = float(constants.strong_monotonicity), float(constants.cocoercivity)
    step = float(10 ** generator.uniform(-1.5, 1.5) * math.sqrt(beta / mu))
    x, y = pair(operator, generator)
    p, q = operator.resolvent(x, step), operator.resolvent(y, step)
    moved = 2 * (p - q) - (x - y)
    return quotient(square(moved), float(claim(mu, beta, step)) * square(x - y), rounding_scale(x, y, p, q))


OP14 = Theorem(
    "OP-14",
    "Cayley operator of a strongly monotone cocoercive operator",
    "A mu-strongly monotone, beta-cocoercive => |R x - R y|^2 <= (1 - 4 step mu/(1 + 2 step mu + step^2 mu/beta)) |x - y|^2, "
    "R = 2 J - I, for every step > 0; the factor is least at step = sqrt(beta/mu): (1 - sqrt(mu beta))/(1 + sqrt(mu beta))",
    "Giselsson (2017), Tight global linear convergence rate bounds for Douglas-Rachford splitting",
    ("A is mu-strongly monotone", "A is beta-cocoercive"),
    (
        "Affine.reflected_resolvent",
        "algorithms.shared.reflected.cayley_contraction",
        "algorithms.shared.reflected.best_cayley_step",
    ),
    op14_sample,
    extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "mu = 1/10 and beta = 1/2 held against the claim for mu = 1",
            lambda: observed(cocoercive_block(0.1, 0.5), 0.7) / claim(1.0, 0.5, 0.7),
        ),
        Counterexample(
            "A is beta-cocoercive",
            "mu-strongly monotone and 1/beta-Lipschitz, 1/2 + i sqrt(15)/2, held against beta = 1/2",
            lambda: observed(rotation_block(0.5, 2.0), 1.0) / claim(0.5, 0.5, 1.0),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: extremal() / 0.999),
        Mutant("5 step mu for 4 step mu", lambda: wrong(5 * STEP * MU, MU / BETA)),
        Mutant("step^2 mu beta for step^2 mu/beta", lambda: wrong(4 * STEP * MU, MU * BETA)),
    ),
    on_operator=on_operator,
    note="Attained by mu + i sqrt(mu/beta - mu^2) for every step. Sharper than OP-13 with L = 1/beta unless mu = 1/beta: for a "
    "Lipschitz operator that factor is attained, so that cocoercivity is a real gain.",
)

THEOREMS = (OP14,)
