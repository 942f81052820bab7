"""Theorems on Douglas-Rachford and Peaceman-Rachford splitting: AL-06 to AL-09."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

import monops
from monops.algorithms.resolvents.douglas_rachford import guarantee as douglas_rachford_guarantee
from monops.constants import Constants
from proofs.algorithms.instances import (
    MONOTONE,
    block,
    by_cayley,
    declared_square,
    image,
    image_matrix,
    map_ratio,
    nonexpansive,
    reflecting,
    squared_contraction,
)
from proofs.algorithms.two_operators import AL07, AL08, cayley, factor, method
from proofs.generators import orthogonal, rotation_block, strongly_monotone_lipschitz
from proofs.own_operator import declared, pair, squared_factor
from proofs.ratios import farthest, safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem

# ---- AL-06 -----------------------------------------------------------------------------------------


def one_sided(M: np.ndarray, claimed: Constants, step: float, relaxation: float, R: complex) -> float:
    """|T|^2 for Affine(M) and the plane operator with the Cayley operator R, over the claim for these constants."""
    T = image_matrix(by_cayley(R) + monops.Affine(M), method(step, relaxation), 2)
    claim = declared_square(douglas_rachford_guarantee(MONOTONE, claimed, relaxation), step)
    return safe_ratio(float(np.linalg.norm(T, 2)) ** 2, claim)


def attained(z: complex, claimed: Constants, step: float, relaxation: float) -> float:
    """The same for multiplication by z, and the turn that aligns R_A R_B with I."""
    R = cayley(step * z)
    return one_sided(block(z), claimed, step, relaxation, R.conjugate() / abs(R))


def al06_sample(generator: np.random.Generator) -> float:
    """A strongly monotone and Lipschitz matrix with a nonlinear monotone operator, or in the plane with the aligning turn."""
    step, relaxation = float(10 ** generator.uniform(-1, 1)), float(generator.choice([2.0, generator.uniform(0.1, 1.99)]))
    M, mu, lipschitz = strongly_monotone_lipschitz(generator)
    step /= lipschitz
    if generator.integers(2):
        z = complex(mu, math.sqrt(lipschitz**2 - mu**2)) if generator.integers(2) else complex(mu, 0)
        return attained(z, Constants(strong_monotonicity=mu, lipschitz=lipschitz), step, relaxation)
    A, B = monops.Affine(M), reflecting(nonexpansive(generator, len(M)))
    x, y = generator.standard_normal((2, len(M)))
    return safe_ratio(factor(A, B, step, relaxation, x, y), squared_contraction(A + B, method(step, relaxation)))


def al06_extremal() -> float:
    """Mu + i sqrt(L^2 - mu^2), and mu + i sqrt(mu/beta - mu^2) for the cocoercive class, at several steps and relaxations."""
    lipschitz = Constants(strong_monotonicity=0.6, lipschitz=1.0)
    cocoercive = Constants(strong_monotonicity=0.4, cocoercivity=0.5)
    return farthest(
        *(attained(0.6 + 0.8j, lipschitz, step, t) for step in (0.5, 1.0, 3.0) for t in (0.7, 1.0, 1.9, 2.0)),
        *(attained(complex(0.4, 0.8), cocoercive, step, t) for step in (0.5, 2.0) for t in (1.0, 2.0)),
    )


def squared_rate(relaxation: float) -> float:
    """What monops declares at mu = 3/5, L = 1, step 1."""
    claimed = Constants(strong_monotonicity=0.6, lipschitz=1.0)
    return declared_square(douglas_rachford_guarantee(MONOTONE, claimed, relaxation), 1.0)


def al06_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The operator with a multiple of the l1 norm, at a random step and relaxation."""
    constants = declared(operator, "strong_monotonicity", "lipschitz")
    step = float(10 ** generator.uniform(-1.5, 1.5) / constants.lipschitz)
    solver = method(step, float(generator.choice([1.0, 1.8, 2.0])))
    problem = operator + float(10 ** generator.uniform(-2, 1)) * monops.L1Norm()
    return map_ratio(problem, solver, *pair(operator, generator))


AL06 = Theorem(
    "AL-06",
    "Douglas-Rachford with the hypotheses on one operator",
    "A mu-strongly monotone and L-Lipschitz (or beta-cocoercive), B monotone, T = (1 - t/2) I + (t/2) R_A R_B, 0 < t <= 2 => "
    "|Tx - Ty| <= (1 - t/2 + (t/2) r) |x - y|, r^2 = 1 - 4 step mu/(1 + 2 step mu + step^2 L^2) (mu/beta for L^2)",
    "Giselsson (2017), Tight global linear convergence rate bounds for Douglas-Rachford splitting",
    ("A is mu-strongly monotone", "A is L-Lipschitz", "B is monotone"),
    ("DouglasRachford", "PeacemanRachford", "Affine.resolvent", "resolvents.douglas_rachford.guarantee"),
    al06_sample,
    al06_extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "A = i and the aligning turn, T = I, held against mu = 1/2",
            lambda: attained(1j, Constants(strong_monotonicity=0.5, lipschitz=1.0), 1.0, 1.0),
        ),
        Counterexample(
            "A is L-Lipschitz",
            "A = 100 I, B its mirror, held against mu = 1, L = 2",
            lambda: attained(100 + 0j, Constants(strong_monotonicity=1.0, lipschitz=2.0), 0.5, 1.0),
        ),
        Counterexample(
            "B is monotone",
            "R_B 1.2 times the aligning turn",
            lambda: one_sided(
                rotation_block(0.6, 1.0),
                Constants(strong_monotonicity=0.6, lipschitz=1.0),
                1.0,
                1.0,
                1.2 * cmath.exp(-1j * cmath.phase(cayley(0.6 + 0.8j))),
            ),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: al06_extremal() / 0.999),
        Mutant(
            "relaxation t for t/2",
            lambda: (
                attained(0.6 + 0.8j, Constants(strong_monotonicity=0.6, lipschitz=1.0), 1.0, 0.5)
                * squared_rate(0.5)
                / squared_rate(1.0)
            ),
        ),
    ),
    on_operator=al06_on_operator,
    note="Attained for every step and t by z = mu + i sqrt(L^2 - mu^2) (or mu + i sqrt(mu/beta - mu^2)) with R_B the turn that "
    "aligns R_A R_B with I: B is then a multiple of the quarter turn, or the normal cone of {0}.",
)


# ---- AL-09 -----------------------------------------------------------------------------------------


def functions(curvatures: np.ndarray, Q: np.ndarray) -> Any:
    """The quadratic with these eigenvalues."""
    return monops.Quadratic(Q @ np.diag(curvatures) @ Q.T, np.zeros(len(curvatures)))


def quadratic_ratio(curvature: float, g: Any, claimed: Constants, step: float, relaxation: float) -> float:
    """|Tx - Tx'|^2/|x - x'|^2 for f = curvature x^2/2 and g on the line, over the claim."""
    f = functions(np.array([curvature]), np.eye(1))
    claim = declared_square(douglas_rachford_guarantee(MONOTONE, claimed, relaxation), step)
    return safe_ratio(factor(f, g, step, relaxation, np.ones(1), np.zeros(1)), claim)


CONVEX = Constants(strong_monotonicity=0.5, lipschitz=8.0, cyclic=True)
ORIGIN = monops.Box(0.0, 0.0)


def al09_sample(generator: np.random.Generator) -> float:
    """A quadratic with a nonsmooth convex function, by Douglas-Rachford, Peaceman-Rachford or ADMM; or worst on the line."""
    mu = float(10 ** generator.uniform(-1, 0.5))
    curvatures = mu * 10 ** generator.uniform(0, 1.5, 3)
    curvatures[0] = mu
    f = functions(curvatures, orthogonal(3, generator))
    g = (monops.L1Norm(), monops.NonNegative(), monops.L2Ball(1.0), monops.Box(0.0, 0.0))[int(generator.integers(4))]
    step = float(10 ** generator.uniform(-0.7, 0.7) / math.sqrt(mu * curvatures.max()))
    t = float(generator.choice([1.0, 2.0, generator.uniform(0.1, 1.99)]))
    if generator.integers(3) == 0:
        claimed = Constants(strong_monotonicity=mu, lipschitz=float(curvatures.max()), cyclic=True)
        curvature, partner = (mu, monops.Zero()) if generator.integers(2) else (float(curvatures.max()), ORIGIN)
        return quadratic_ratio(curvature, partner, claimed, step, t)
    x, y = generator.standard_normal((2, 3))
    y = y if generator.integers(2) else 0 * y
    claim = squared_contraction(f + g, method(step, t))
    if t < 2 and generator.integers(2):
        problem, solver = f + g @ monops.Identity((3,)), monops.ADMM(step, t)
        return safe_ratio(squared_factor((image(problem, solver, x), image(problem, solver, y)), (x, y)), claim)
    return safe_ratio(factor(f, g, step, t, x, y), claim)


def al09_extremal() -> float:
    """Curvature mu with g = 0 at small steps, curvature L with g the indicator of 0 at large ones, both at the best step."""
    zero = monops.Zero()
    steps = [(0.5, zero, 0.1), (0.5, zero, 0.5), (8.0, ORIGIN, 0.5), (8.0, ORIGIN, 2.0)]
    return farthest(*(quadratic_ratio(c, g, CONVEX, step, t) for c, g, step in steps for t in (0.6, 1.0, 2.0)))


def skew_block() -> float:
    """0.5 + i sqrt(63.75), as strongly monotone and as Lipschitz as CONVEX but no gradient, with the aligning turn."""
    z = complex(0.5, math.sqrt(8.0**2 - 0.5**2))
    R = cayley(0.5 * z)
    return one_sided(block(z), CONVEX, 0.5, 1.0, R.conjugate() / abs(R))


AL09 = Theorem(
    "AL-09",
    "Douglas-Rachford and ADMM for functions",
    "f mu-strongly convex and L-smooth, g convex, T = (1 - t/2) I + (t/2) R_f R_g, 0 < t <= 2 => "
    "|Tx - Ty| <= (1 - t/2 + (t/2) r) |x - y|, r = max{(1 - step mu)/(1 + step mu), (step L - 1)/(step L + 1)}",
    "Giselsson and Boyd (2017), Linear convergence and metric selection for Douglas-Rachford splitting and ADMM, Theorem 2",
    ("f is mu-strongly convex", "f is L-smooth", "the operators are gradients"),
    (
        "DouglasRachford",
        "PeacemanRachford",
        "ADMM",
        "Quadratic.prox",
        "L1Norm.prox",
        "NonNegative.prox",
        "L2Ball.prox",
        "Box.prox",
    ),
    al09_sample,
    al09_extremal,
    (
        Counterexample(
            "f is mu-strongly convex",
            "f = x^2/20 (mu = 1/10) and g = 0 held against mu = 1/2",
            lambda: quadratic_ratio(0.1, monops.Zero(), CONVEX, 0.5, 1.0),
        ),
        Counterexample(
            "f is L-smooth",
            "f = 50 x^2 and g the indicator of 0 held against L = 8",
            lambda: quadratic_ratio(100.0, ORIGIN, CONVEX, 0.5, 1.0),
        ),
        Counterexample("the operators are gradients", "mu + i sqrt(L^2 - mu^2) with the same mu and L", skew_block),
    ),
    (
        Mutant("claim times 0.999", lambda: al09_extremal() / 0.999),
        Mutant("r without step L", lambda: quadratic_ratio(8.0, ORIGIN, Constants(0.5, lipschitz=0.5, cyclic=True), 2.0, 1.0)),
        Mutant(
            "2 step mu for step mu",
            lambda: quadratic_ratio(0.5, monops.Zero(), Constants(1.0, lipschitz=8.0, cyclic=True), 0.1, 1.0),
        ),
    ),
    note="Attained for every step and t. At the best step 1/sqrt(mu L) the factor for t = 2 is (sqrt(L/mu) - 1)/(sqrt(L/mu) + "
    "1). For t between 2 and 2/(1 + r) the factor is |1 - t/2| + (t/2) r: outside the interval of monops, and not run.",
)

THEOREMS = (AL06, AL07, AL08, AL09)
