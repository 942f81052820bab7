"""Theorems on single operators: OP-02, OP-09, OP-13."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.algorithms.cocoercive.forward_backward import forward_contraction
from monops.algorithms.shared.reflected import cayley_contraction
from monops.constants import Constants, resolvent
from proofs.generators import (
    exact_block,
    exact_inverse,
    exact_norm_squared,
    exact_product,
    rotation_block,
    strongly_monotone_lipschitz,
)
from proofs.own_operator import declared, pair
from proofs.ratios import norm, quotient, rounding_scale, safe_ratio, square
from proofs.theorem import Counterexample, Mutant, Theorem

MU, IMAGINARY, STEP = Fraction(3, 5), Fraction(4, 5), Fraction(1, 2)  # so that L = 1
EXACT = Constants(strong_monotonicity=MU, lipschitz=Fraction(1), why="given")


def resolvent_matrix(M: np.ndarray, step: float) -> np.ndarray:
    """The matrix of the resolvent of Affine(M), column by column, through the public API."""
    A = monops.Affine(M)
    return np.array([A.resolvent(e, step) for e in np.eye(len(M))]).T


def exact_resolvent() -> list[list[Fraction]]:
    """(I + STEP M)^-1 of the exact extremal block."""
    (a, b), (c, d) = exact_block(MU, IMAGINARY)
    return exact_inverse([[1 + STEP * a, STEP * b], [STEP * c, 1 + STEP * d]])


# ---- OP-02 -----------------------------------------------------------------------------------------


def resolvent_claim(mu: float, step: float) -> float:
    """Lipschitz constant of the resolvent as monops declares it."""
    return float(resolvent(Constants(strong_monotonicity=mu), step).lipschitz)


def op02_sample(generator: np.random.Generator) -> float:
    """|J| / claim."""
    M, mu, _ = strongly_monotone_lipschitz(generator)
    step = float(10 ** generator.uniform(-2, 2))
    return norm(resolvent_matrix(M, step)) / resolvent_claim(mu, step)


def op02_extremal() -> float:
    """A = mu I attains it, exactly: 1/(1 + step mu) in fractions."""
    claim = resolvent(Constants(strong_monotonicity=MU), STEP).lipschitz
    return float((1 / (1 + STEP * MU)) / claim)


OP02 = Theorem(
    "OP-02",
    "resolvent of a strongly monotone operator",
    "A mu-strongly monotone => |J x - J y| <= |x - y| / (1 + step mu),  J = (I + step A)^-1",
    "Rockafellar (1976); Bauschke and Combettes (2017), Prop. 23.13",
    ("A is mu-strongly monotone",),
    ("Affine.resolvent", "constants.resolvent"),
    op02_sample,
    op02_extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "A = 0 held against the claim for mu = 1",
            lambda: norm(resolvent_matrix(np.zeros((2, 2)), 1.0)) / resolvent_claim(1.0, 1.0),
        ),
        Counterexample(
            "A is mu-strongly monotone",
            "a rotation held against the claim for mu = L = 1",
            lambda: norm(resolvent_matrix(rotation_block(0.0, 1.0), 1.0)) / resolvent_claim(1.0, 1.0),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op02_extremal() / 0.999),
        Mutant("1/(1 + 2 step mu)", lambda: op02_extremal() * resolvent_claim(0.6, 0.5) / resolvent_claim(1.2, 0.5)),
    ),
)

# ---- OP-09 -----------------------------------------------------------------------------------------


def op09_sample(generator: np.random.Generator) -> float:
    """|I - step M|^2 / claim."""
    M, mu, lipschitz = strongly_monotone_lipschitz(generator)
    step = float(generator.uniform(0.01, 2.5) * mu / lipschitz**2)
    claim = forward_contraction(Constants(strong_monotonicity=mu, lipschitz=lipschitz), step)
    columns = np.array([e - step * monops.Affine(M).forward(e) for e in np.eye(len(M))]).T
    return safe_ratio(norm(columns) ** 2, claim)


def op09_observed() -> Fraction:
    """|I - STEP M|^2 of the exact extremal block."""
    (a, b), (c, d) = exact_block(MU, IMAGINARY)
    return exact_norm_squared([[1 - STEP * a, -STEP * b], [-STEP * c, 1 - STEP * d]])


def op09_extremal() -> float:
    """The rotation block attains it exactly."""
    return float(op09_observed() / forward_contraction(EXACT, STEP))


def op09_swapped() -> float:
    """The claim with mu and L exchanged."""
    return float(op09_observed() / (1 - 2 * STEP * 1 + STEP**2 * MU**2))


def op09_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """|(I - step A)x - (I - step A)y|^2 / (claim |x - y|^2) for the operator's own mu and L, at a random step."""
    known = declared(operator, "strong_monotonicity", "lipschitz")
    constants = Constants(strong_monotonicity=known.strong_monotonicity, lipschitz=known.lipschitz)
    step = float(generator.uniform(0.01, 2.5) * constants.strong_monotonicity / constants.lipschitz**2)
    x, y = pair(operator, generator)
    u, v = (point - step * operator.forward(point) for point in (x, y))
    claim = float(forward_contraction(constants, step)) * square(x - y)
    return quotient(square(u - v), claim, rounding_scale(x, y, u, v))


OP09 = Theorem(
    "OP-09",
    "forward step of a strongly monotone Lipschitz operator",
    "A mu-strongly monotone, L-Lipschitz => |(I - step A)x - (I - step A)y|^2 <= (1 - 2 step mu + step^2 L^2) |x - y|^2",
    "Ryu and Boyd (2016), A primer on monotone operator methods",
    ("A is mu-strongly monotone", "A is L-Lipschitz"),
    ("Affine.forward", "algorithms.cocoercive.forward_backward.forward_contraction"),
    op09_sample,
    op09_extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "the rotation (mu = 0) held against the claim for mu = 1/2",
            lambda: (
                norm(np.eye(2) - 0.4 * rotation_block(0.0, 1.0)) ** 2
                / forward_contraction(Constants(strong_monotonicity=0.5, lipschitz=1.0), 0.4)
            ),
        ),
        Counterexample(
            "A is L-Lipschitz",
            "L = 2 held against the claim for L = 1",
            lambda: (
                norm(np.eye(2) - 0.4 * rotation_block(0.5, 2.0)) ** 2
                / forward_contraction(Constants(strong_monotonicity=0.5, lipschitz=1.0), 0.4)
            ),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op09_extremal() / 0.999),
        Mutant("mu and L exchanged", op09_swapped),
    ),
    on_operator=op09_on_operator,
)

# ---- OP-13 -----------------------------------------------------------------------------------------


def cayley_claim(mu: float, lipschitz: float, step: float) -> float:
    """Squared factor as monops computes it."""
    return float(cayley_contraction(Constants(strong_monotonicity=mu, lipschitz=lipschitz), step))


def cayley_norm2(M: np.ndarray, step: float) -> float:
    """|2J - I|^2."""
    return norm(2 * resolvent_matrix(M, step) - np.eye(len(M))) ** 2


def op13_sample(generator: np.random.Generator) -> float:
    """|2J - I|^2 / claim."""
    M, mu, lipschitz = strongly_monotone_lipschitz(generator)
    step = float(10 ** generator.uniform(-1.5, 1.5) / lipschitz)
    return safe_ratio(cayley_norm2(M, step), cayley_claim(mu, lipschitz, step))


def op13_observed() -> Fraction:
    """|2J - I|^2 of the exact extremal block."""
    (a, b), (c, d) = exact_resolvent()
    return exact_norm_squared([[2 * a - 1, 2 * b], [2 * c, 2 * d - 1]])


def op13_extremal() -> float:
    """The rotation block attains it exactly."""
    product = exact_product(exact_resolvent(), [[1 + STEP * MU, -STEP * IMAGINARY], [STEP * IMAGINARY, 1 + STEP * MU]])
    assert product == [[1, 0], [0, 1]]
    return float(op13_observed() / cayley_contraction(EXACT, STEP))


def op13_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """|R x - R y|^2 / (claim |x - y|^2) for the operator's own mu and L, at a random step."""
    constants = declared(operator, "strong_monotonicity", "lipschitz")
    step = float(10 ** generator.uniform(-1.5, 1.5) / constants.lipschitz)
    x, y = pair(operator, generator)
    u, v = (2 * operator.resolvent(point, step) - point for point in (x, y))
    claim = float(cayley_contraction(constants, step)) * square(x - y)
    return quotient(square(u - v), claim, rounding_scale(x, y, u, v))


OP13 = Theorem(
    "OP-13",
    "Cayley operator of a strongly monotone Lipschitz operator",
    "A mu-strongly monotone, L-Lipschitz => |R x - R y|^2 <= (1 - 4 step mu/(1 + 2 step mu + step^2L^2)) |x - y|^2, R = 2J - I",
    "Giselsson (2017), Tight global linear convergence rate bounds for Douglas-Rachford splitting",
    ("A is mu-strongly monotone", "A is L-Lipschitz"),
    ("Affine.resolvent", "algorithms.shared.reflected.cayley_contraction"),
    op13_sample,
    op13_extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "a rotation (R is an isometry) held against the claim for mu = 1/2",
            lambda: cayley_norm2(rotation_block(0.0, 1.0), 1.0) / cayley_claim(0.5, 1.0, 1.0),
        ),
        Counterexample(
            "A is L-Lipschitz",
            "A = 1000 I held against the claim for mu = L = 1, where R tends to -I",
            lambda: (cayley_norm2(1000 * np.eye(2), 0.5) + 1e-12) / (cayley_claim(1.0, 1.0, 0.5) + 1e-12),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op13_extremal() / 0.999),
        Mutant(
            "5 step mu for 4 step mu",
            lambda: float(op13_observed() / (1 - 5 * STEP * MU / (1 + 2 * STEP * MU + STEP**2))),
        ),
    ),
    on_operator=op13_on_operator,
)

THEOREMS = (OP02, OP09, OP13)
