"""Theorems on Cayley operators: of gradients (OP-15), and what one constant alone does not give (OP-16)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.algorithms.resolvents.douglas_rachford import guarantee as douglas_rachford
from monops.algorithms.resolvents.peaceman_rachford import guarantee as peaceman_rachford
from monops.algorithms.shared.reflected import best_cayley_step, cayley_contraction
from monops.constants import Constants, resolvent
from monops.doctor import FixedPointMap
from monops.errors import NotApplicableError
from monops.theory import Missing
from proofs.generators import orthogonal, rotation_block
from proofs.operators.instances import Map, Pair, columns, convex_function, points
from proofs.own_operator import declared, pair
from proofs.ratios import farthest, norm, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem

MU, LIPSCHITZ = Fraction(1), Fraction(4)
GRADIENT = Constants(strong_monotonicity=MU, lipschitz=LIPSCHITZ, cyclic=True)
STEPS = (Fraction(1, 8), Fraction(1, 2), Fraction(3))  # before, at and beyond 1/sqrt(mu L)


def expansion(T: Map, x: np.ndarray, y: np.ndarray, claim: float) -> float:
    """|Tx - Ty|^2 / (claim |x - y|^2)."""
    u, v = T(x), T(y)
    return quotient(square(u - v), claim * square(x - y), rounding_scale(x, y, u, v))


def cayley(operator: Any, step: float) -> Map:
    """2 J - I."""
    return lambda x: 2 * operator.resolvent(x, step) - x


# ---- OP-15 -----------------------------------------------------------------------------------------


def smooth_function(n: int, generator: np.random.Generator) -> monops.functions.Function:
    """A strongly convex smooth function with a prox: a quadratic with both eigenvalues, a loss or an envelope, rotated."""
    mu, more = float(10 ** generator.uniform(-1.5, 0)), float(10 ** generator.uniform(-0.5, 1))
    kind, Q = int(generator.integers(3)), orthogonal(n, generator)
    if kind == 0:
        eigenvalues = np.concatenate([[mu, mu + more], generator.uniform(mu, mu + more, n)])[:n]
        return monops.Quadratic((Q * eigenvalues) @ Q.T, generator.standard_normal(n))
    if kind == 1:
        losses = (monops.Huber(1.0, more), monops.LogCosh(more), monops.PseudoHuber(1.0, more), monops.Fair(1.0, more))
        loss: monops.functions.Function = losses[int(generator.integers(4))].translate(generator.standard_normal(n))
    else:
        loss = convex_function(n, generator).envelope(1 / more)
    return loss.precompose(Q).add_quadratic(mu)


def op15_pair(function: Any, x: np.ndarray, y: np.ndarray, step: float) -> float:
    """|R x - R y|^2 / (claim |x - y|^2), R = 2 prox - I, with the constants that the function declares."""
    return expansion(cayley(function, step), x, y, float(cayley_contraction(function.constants, step)))


def op15_sample(generator: np.random.Generator) -> float:
    """The worse of two pairs of points, the second one close together, at a random step."""
    n = int(generator.integers(1, 5))
    function = smooth_function(n, generator)
    step = float(10 ** generator.uniform(-1.5, 1.5) / math.sqrt(declared(function, "strong_monotonicity").lipschitz))
    x, y = points(generator, n)
    return max(op15_pair(function, x, y, step), op15_pair(function, x, x + 1e-2 * y, step))


def op15_observed(step: Fraction) -> Fraction:
    """|R|^2 of the quadratic with the eigenvalues mu and L, exactly."""
    return max(((1 - step * value) / (1 + step * value)) ** 2 for value in (MU, LIPSCHITZ))


def op15_extremal() -> float:
    """The quadratic with the eigenvalues mu and L attains it exactly at every step, the best one 1/sqrt(mu L) too."""
    assert best_cayley_step(GRADIENT) == STEPS[1]
    return float(farthest(*(op15_observed(step) / cayley_contraction(GRADIENT, step) for step in STEPS)))


def op15_matrix(M: np.ndarray, step: float) -> float:
    """|R|^2 of a linear operator over the claim for mu = 1, L = 4."""
    return norm(columns(cayley(monops.Affine(M), step), 2)) ** 2 / float(cayley_contraction(GRADIENT, step))


def op15_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The claim for the operator's own mu and L, at a random step and pair."""
    constants = declared(operator, "strong_monotonicity", "lipschitz")
    if not constants.cyclic:
        raise NotApplicableError(
            f"{type(operator).__name__} is not known to be a subdifferential: OP-13 is for other operators"
        )
    step = float(10 ** generator.uniform(-1.5, 1.5) / constants.lipschitz)
    x, y = pair(operator, generator)
    return op15_pair(operator, x, y, step)


OP15 = Theorem(
    "OP-15",
    "Cayley operator of the gradient of a strongly convex smooth function",
    "f mu-strongly convex and L-smooth => |R x - R y| <= max{(1 - a mu)/(1 + a mu), (a L - 1)/(a L + 1)} |x - y|, "
    "R = 2 prox_{a f} - I; with a = 1/sqrt(mu L) the factor is (sqrt k - 1)/(sqrt k + 1), k = L/mu",
    "Giselsson and Boyd (2017), Linear convergence and metric selection for Douglas-Rachford splitting and ADMM, Thm 1",
    ("f is mu-strongly convex", "f is L-smooth", "the operator is a gradient"),
    ("Quadratic.prox", "Huber", "LogCosh", "MoreauEnvelope.prox", "algorithms.shared.reflected.cayley_contraction"),
    op15_sample,
    op15_extremal,
    (
        Counterexample(
            "f is mu-strongly convex",
            "f = 0 (R = I) against the claim for mu = 1, L = 4",
            lambda: op15_matrix(np.zeros((2, 2)), 0.5),
        ),
        Counterexample(
            "f is L-smooth",
            "the indicator of {0} (R = -I) against the claim for mu = 1, L = 4",
            lambda: expansion(
                cayley(monops.Point(0.0), 0.5), np.ones(2), np.zeros(2), float(cayley_contraction(GRADIENT, STEPS[1]))
            ),
        ),
        Counterexample(
            "the operator is a gradient",
            "the rotation block with mu = 1, L = 4, which is extremal for OP-13",
            lambda: op15_matrix(rotation_block(1.0, 4.0), 0.5),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op15_extremal() / 0.999),
        Mutant(
            "only the term of mu",
            lambda: float(op15_observed(STEPS[2]) / ((1 - STEPS[2] * MU) / (1 + STEPS[2] * MU)) ** 2),
        ),
        Mutant("the minimum of the two terms", lambda: float(op15_observed(STEPS[0]) / ((4 - 8) / (4 + 8)) ** 2)),
    ),
    on_operator=op15_on_operator,
)

# ---- OP-16 -----------------------------------------------------------------------------------------

ORIGIN = monops.NormalCone(monops.Point(0.0))  # mu-strongly monotone for every mu
TURN = rotation_block(0.0, 1.0)
ONLY_STRONG, ONLY_LIPSCHITZ = Constants(strong_monotonicity=1.0), Constants(strong_monotonicity=0.0, lipschitz=1.0)
EVERY_PAIR: Pair = (np.array([2.0, -1.0]), np.zeros(2))


def steps_of(A: Any, B: Any, step: float) -> tuple[Map, Map, Map]:
    """R_A, the Peaceman-Rachford step R_A R_B (which monops refuses to run here), and the Douglas-Rachford step of monops."""
    R_A, R_B = cayley(A, step), cayley(B, step)
    return R_A, lambda x: R_A(R_B(x)), FixedPointMap(monops.DouglasRachford(step_size=step), A + B)


def claims_more(A: Constants, B: Constants) -> bool:
    """Whether monops claims a contraction for these constants, by a Cayley operator, Douglas-Rachford or Peaceman-Rachford."""
    proven = douglas_rachford(A, B)
    claims = not isinstance(proven, Missing) and proven.squared_contraction is not None
    return claims or not isinstance(peaceman_rachford(A, B), Missing) or cayley_contraction(A, 1.0) is not None


def only_strong(n: int, generator: np.random.Generator) -> Any:
    """A strongly monotone operator with no Lipschitz constant: a normal cone or a nonsmooth function plus a quadratic."""
    if generator.integers(4) == 0:
        return monops.NormalCone(monops.Point(generator.standard_normal(n)))
    return (monops.NonNegative(), monops.L1Norm(), monops.L2Norm())[int(generator.integers(3))].add_quadratic(0.7)


def only_lipschitz(n: int, generator: np.random.Generator) -> monops.Affine:
    """A Lipschitz operator that is not strongly monotone: skew, or with a singular symmetric part."""
    K, F = generator.standard_normal((n, n)), generator.standard_normal((n - 1, n)) * generator.integers(2)
    return monops.Affine(K - K.T + F.T @ F)


def op16_sample(generator: np.random.Generator) -> float:
    """No step of a random pair of one of the two classes expands, and monops claims no contraction for it."""
    n = int(generator.integers(2, 5))
    draw = (only_strong, only_lipschitz)[int(generator.integers(2))]
    A, B = draw(n, generator), draw(n, generator)
    known = [Constants(0.0, lipschitz=op.constants.lipschitz, cyclic=op.constants.cyclic) for op in (A, B)]
    if claims_more(ONLY_STRONG, ONLY_STRONG) or claims_more(*known):
        return math.inf
    x, y = points(generator, n)
    return max(expansion(T, x, y, 1.0) for T in steps_of(A, B, float(10 ** generator.uniform(-1, 1))))


def op16_factors() -> list[float]:
    """Squared factors of the steps: both strongly monotone, both Lipschitz, and (without DR) one Lipschitz, one strong."""
    skew, back, zero = monops.Affine(TURN), monops.Affine(-TURN), monops.Affine(np.zeros((2, 2)))
    steps = [*steps_of(ORIGIN, ORIGIN, 1.0), *steps_of(skew, back, 1.0), *steps_of(zero, ORIGIN, 1.0)[:2]]
    return [expansion(T, *EVERY_PAIR, 1.0) for T in steps]


def op16_extremal() -> float:
    """Each of them is an isometry: the least of all factors is 1."""
    return farthest(*op16_factors())


def expanding() -> float:
    """A = -I/2, whose resolvent is 2 I at step 1: its Cayley operator is 3 I."""
    return expansion(cayley(monops.Custom(resolvent=lambda x, a: x / (1 - a / 2)), 1.0), *EVERY_PAIR, 1.0)


OP16 = Theorem(
    "OP-16",
    "strong monotonicity alone, or a Lipschitz constant alone, gives no contraction of reflected resolvents",
    "A, B monotone => R_A, R_A R_B and (I + R_A R_B)/2 are nonexpansive; and they have no factor below 1 in common for all "
    "A, B that are mu-strongly monotone (A = B = N_{0}, R_A = -I, whatever mu), nor for all that are L-Lipschitz (A = -B = L "
    "times a rotation by 90 degrees); R_A R_B has none for A Lipschitz and B strongly monotone either (A = 0, B = N_{0})",
    "derived; positive results need both constants on one operator (Giselsson 2017), or one on each for Douglas-Rachford (Ryu, "
    "Taylor, Bergeling and Giselsson 2020, Thm 4.3)",
    ("A and B are monotone", "no operator is known to be both strongly monotone and Lipschitz"),
    (
        "Operator.reflected_resolvent",
        "NormalCone",
        "DouglasRachford",
        "algorithms.resolvents.douglas_rachford.guarantee",
        "algorithms.resolvents.peaceman_rachford.guarantee",
        "algorithms.shared.reflected.cayley_contraction",
    ),
    op16_sample,
    op16_extremal,
    (
        Counterexample("A and B are monotone", "A = -I/2, step 1: J = 2 I and R = 3 I", expanding),
        Counterexample(
            "no operator is known to be both strongly monotone and Lipschitz",
            "A = I, mu = L = 1, step 1: the least factor is 0, not 1",
            lambda: 1.0 / (norm(columns(cayley(monops.Affine(np.eye(2)), 1.0), 2)) ** 2 + 1e-12),
        ),
        Counterexample(
            "no operator is known to be both strongly monotone and Lipschitz",
            "mu = 1, L = 4 at step 1/4, any operator: the factor of OP-13 is below 1",
            lambda: 1.0 / float(cayley_contraction(Constants(strong_monotonicity=1.0, lipschitz=4.0), 0.25)),
        ),
    ),
    (
        Mutant("claim 0.999 for any of the three steps", lambda: op16_extremal() / 0.999),
        Mutant(
            "the factor of the resolvent, 1/(1 + step mu), taken for that of R_A",
            lambda: expansion(cayley(ORIGIN, 1.0), *EVERY_PAIR, float(resolvent(ONLY_STRONG, 1.0).lipschitz) ** 2),
        ),
        Mutant(
            "a factor with L for mu: 1 - 4 step L/(1 + 2 step L + step^2 L^2) from a Lipschitz constant alone",
            lambda: expansion(
                cayley(monops.Affine(TURN), 1.0),
                *EVERY_PAIR,
                float(cayley_contraction(Constants(strong_monotonicity=0.9, lipschitz=1.0), 1.0)),
            ),
        ),
    ),
    standing="derived",
    note=(
        "That monops claims no contraction here is part of the check: a rate for one of these classes of constants would be "
        "reported as an infinite ratio. With both operators strongly monotone R_A R_B is still averaged (OP-24), so that "
        "Peaceman-Rachford converges, at no rate."
    ),
)

THEOREMS = (OP15, OP16)
