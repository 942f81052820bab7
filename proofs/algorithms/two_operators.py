"""Theorems on Douglas-Rachford splitting with the hypotheses shared between the operators: AL-07, AL-08."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.algorithms.resolvents.douglas_rachford import guarantee
from monops.algorithms.shared.two_operator_rates import cocoercive_rate, lipschitz_rate
from monops.constants import Constants
from proofs.algorithms.instances import by_cayley, declared_square, image, image_matrix, in_disc
from proofs.algorithms.two_operator_planes import (
    Pair,
    cocoercive_disc,
    strongly_monotone_disc,
    worst_of_discs,
    worst_of_lipschitz,
)
from proofs.generators import orthogonal
from proofs.own_operator import squared_factor
from proofs.ratios import farthest, safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem


def method(step: float, relaxation: float) -> Any:
    """Douglas-Rachford, or Peaceman-Rachford for relaxation 2."""
    return monops.PeacemanRachford(step) if relaxation == 2 else monops.DouglasRachford(step, relaxation)


def factor(A: Any, B: Any, step: float, relaxation: float, x: np.ndarray, y: np.ndarray) -> float:
    """|Tx - Ty|^2/|x - y|^2."""
    solver = method(step, relaxation)
    return squared_factor((image(A + B, solver, x), image(A + B, solver, y)), (x, y))


def cayley(z: complex) -> complex:
    """(1 - z)/(1 + z)."""
    return (1 - z) / (1 + z)


# ---- AL-07 -----------------------------------------------------------------------------------------


def of_pair(worst: Pair, step: float, relaxation: float) -> float:
    """|T|^2 for the plane operators with the Cayley operators u and v."""
    T = image_matrix(by_cayley(worst.u) + by_cayley(worst.v), method(step, relaxation), 2)
    return float(np.linalg.norm(T, 2)) ** 2


REGIMES = {
    1: (Fraction(2), Fraction(1, 4), Fraction(1, 2)),
    2: (Fraction(4), Fraction(4), Fraction(1, 2)),
    3: (Fraction(1), Fraction(1), Fraction(9, 5)),
    4: (Fraction(1, 4), Fraction(2), Fraction(1, 2)),
    5: (Fraction(1), Fraction(1), Fraction(1)),
}
"""(mu, beta, t) at step 1 in each case of Theorem 4.1."""


def declared(A: Constants, mu: float, step: float, relaxation: float) -> float:
    """The squared factor that Douglas-Rachford declares for A and a mu-strongly monotone B, in either order."""
    B = Constants(strong_monotonicity=mu)
    one, other = (declared_square(guarantee(*pair, relaxation), step) for pair in ((A, B), (B, A)))
    assert one == other
    return one


def discs(mu: float, beta: float, step: float, relaxation: float) -> Pair:
    """The worst pair, A beta-cocoercive and B mu-strongly monotone."""
    return worst_of_discs(cocoercive_disc(beta, step), strongly_monotone_disc(mu, step), relaxation)


def al07_case(case: int, step: float = 1.0) -> tuple[float, float]:
    """|T|^2 of the worst pair of a case, and what is declared, scaled to another step."""
    mu, beta, t = (float(value) for value in REGIMES[case])
    assert cocoercive_rate(*REGIMES[case][:2], Fraction(1), REGIMES[case][2]).regime == case
    observed = of_pair(discs(mu / step, beta * step, step, t), step, t)
    return observed, declared(Constants(cocoercivity=beta * step), mu / step, step, t)


def al07_sample(generator: np.random.Generator) -> float:
    """A nonlinear pair, or the worst plane pair in either order, at random constants, step and relaxation."""
    mu, beta, step = (float(value) for value in 10 ** generator.uniform(-1.2, 1.2, 3))
    t = float(generator.uniform(0.05, 1.95))
    claim = declared(Constants(cocoercivity=beta), mu, step, t)
    kind = int(generator.integers(3))
    if kind < 2:
        worst = discs(mu, beta, step, t)
        return safe_ratio(of_pair(worst if kind else Pair(worst.v, worst.u), step, t), claim)
    A, B = in_disc(cocoercive_disc(beta, step), generator, 3), in_disc(strongly_monotone_disc(mu, step), generator, 3)
    x, y = generator.standard_normal((2, 3))
    return safe_ratio(factor(A, B, step, t, x, y), claim)


def al07_extremal() -> float:
    """The worst plane pair of each of the five cases, at two steps."""
    found = [al07_case(case, step) for case in REGIMES for step in (1.0, 0.3)]
    return farthest(*(observed / claim for observed, claim in found))


AL07 = Theorem(
    "AL-07",
    "Douglas-Rachford, one operator cocoercive, the other strongly monotone",
    "A beta-cocoercive, B mu-strongly monotone, T = (1 - t/2) I + (t/2) R_A R_B, 0 < t < 2 => |Tx - Ty| <= r |x - y|, with r "
    "one of five expressions in m = step mu, b = beta/step and t: |1 - t b/(1 + b)|, |1 - t (1 + m b)/((1 + m)(1 + b))|, |1 - "
    "t|, |1 - t m/(1 + m)| or a fifth between them",
    "Ryu, Taylor, Bergeling and Giselsson (2020), Operator splitting performance estimation, Theorem 4.1",
    ("A is beta-cocoercive", "B is mu-strongly monotone"),
    ("DouglasRachford", "resolvents.douglas_rachford.guarantee", "Custom.resolvent"),
    al07_sample,
    al07_extremal,
    (
        Counterexample(
            "A is beta-cocoercive",
            "A the normal cone of {0} and B = 1000 I, T nearly I, held against mu = beta = 1",
            lambda: of_pair(Pair(-1, cayley(1000)), 1.0, 1.0) / cocoercive_rate(1.0, 1.0).square,
        ),
        Counterexample(
            "B is mu-strongly monotone",
            "A = B = 0, T = I, held against mu = beta = 1",
            lambda: of_pair(Pair(1, 1), 1.0, 1.0) / cocoercive_rate(1.0, 1.0).square,
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: al07_extremal() / 0.999),
        Mutant(
            "step beta for beta/step, as in the reference formula of an example of PEPit",
            lambda: of_pair(discs(0.5, 0.3, 2.0, 1.0), 2.0, 1.0) / cocoercive_rate(0.5, 0.3 * 4, 2.0).square,
        ),
        Mutant("the first case everywhere", lambda: al07_case(5)[0] / (1 - 1 * 1 / (1 + 1)) ** 2),
        Mutant(
            "mu and beta exchanged in the case 4", lambda: al07_case(4)[0] / float((1 - Fraction(1, 2) * Fraction(2, 3)) ** 2)
        ),
    ),
    note="Attained in all five cases by plane linear operators, and provable by plane geometry (two_operator_planes): the "
    "factor is the largest |1 - t/2 + (t/2) u v| over the discs of R_A and R_B, for the worst v concave in the cosine of one "
    "angle; the two ends with their two signs are the cases 1 to 4, the interior maximum is the case 5. "
    "Conditions and formulas compared with the published code of the authors.",
)


# ---- AL-08 -----------------------------------------------------------------------------------------


def lipschitz_pair(mu: float, lipschitz: float, step: float, relaxation: float) -> Pair:
    """The worst pair, A monotone and L-Lipschitz, B mu-strongly monotone."""
    return worst_of_lipschitz(lipschitz, strongly_monotone_disc(mu, step), step, relaxation)


LIPSCHITZ_REGIMES = {1: (0.5, 2.0, 1.0, 0.7), 2: (4.0, 0.1, 1.0, 0.5), 3: (4.0, 0.5, 1.0, 0.5)}
"""(mu, L, step, t) in each case of Theorem 4.3."""


def al08_case(case: int) -> float:
    """|T|^2 of the worst pair of a case over the claim."""
    mu, lipschitz, step, t = LIPSCHITZ_REGIMES[case]
    assert lipschitz_rate(mu, lipschitz, step, t).regime == case
    claim = declared(Constants(0.0, lipschitz=lipschitz), mu, step, t)
    return of_pair(lipschitz_pair(mu, lipschitz, step, t), step, t) / claim


def al08_sample(generator: np.random.Generator) -> float:
    """A monotone matrix scaled to L with a nonlinear strongly monotone operator, or the worst plane pair in either order."""
    mu, lipschitz, step = (float(value) for value in 10 ** generator.uniform(-1.2, 1.2, 3))
    t = float(generator.uniform(0.05, 1.95))
    claim = declared(Constants(0.0, lipschitz=lipschitz), mu, step, t)
    kind = int(generator.integers(3))
    if kind < 2:
        worst = lipschitz_pair(mu, lipschitz, step, t)
        return safe_ratio(of_pair(worst if kind else Pair(worst.v, worst.u), step, t), claim)
    M = orthogonal(4, generator)
    M = M - M.T + float(generator.uniform(0, 0.1)) * np.eye(4)
    A = monops.Affine(lipschitz / np.linalg.norm(M, 2) * M)
    x, y = generator.standard_normal((2, 4))
    return safe_ratio(factor(A, in_disc(strongly_monotone_disc(mu, step), generator, 4), step, t, x, y), claim)


def al08_extremal() -> float:
    """The worst plane pair of each of the three cases."""
    return farthest(*(al08_case(case) for case in LIPSCHITZ_REGIMES))


AL08 = Theorem(
    "AL-08",
    "Douglas-Rachford, one operator Lipschitz, the other strongly monotone",
    "A monotone and L-Lipschitz, B mu-strongly monotone, T = (1 - t/2) I + (t/2) R_A R_B, 0 < t < 2 => |Tx - Ty| <= r |x - y|, "
    "with r one of three expressions in m = step mu, s = step L and t: (t + c)/(2(m + 1)), "
    "c^2 = ((2(t - 1)m + t - 2)^2 + s^2 (t - 2(m + 1))^2)/(s^2 + 1), |1 - t (s + m)/((1 + s)(1 + m))| or a third between them",
    "Ryu, Taylor, Bergeling and Giselsson (2020), Operator splitting performance estimation, Theorem 4.3",
    ("A is monotone", "A is L-Lipschitz", "B is mu-strongly monotone"),
    ("DouglasRachford", "resolvents.douglas_rachford.guarantee", "Affine.resolvent", "Custom.resolvent"),
    al08_sample,
    al08_extremal,
    (
        Counterexample(
            "A is monotone",
            "A = -1/2, whose Cayley operator is 3, and B = I/2, held against mu = 1/2, L = 1/2",
            lambda: of_pair(Pair(cayley(-0.5), cayley(0.5)), 1.0, 1.0) / lipschitz_rate(0.5, 0.5).square,
        ),
        Counterexample(
            "A is L-Lipschitz",
            "the normal cone of {0} and B = 1000 I, T nearly I, held against mu = L = 1",
            lambda: of_pair(Pair(-1, cayley(1000)), 1.0, 1.0) / lipschitz_rate(1.0, 1.0).square,
        ),
        Counterexample(
            "B is mu-strongly monotone",
            "A = B = 0, T = I, held against mu = L = 1",
            lambda: of_pair(Pair(1, 1), 1.0, 1.0) / lipschitz_rate(1.0, 1.0).square,
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: al08_extremal() / 0.999),
        Mutant(
            "the cocoercive rate with beta = 1/L",
            lambda: of_pair(lipschitz_pair(0.5, 2.0, 1.0, 0.7), 1.0, 0.7) / cocoercive_rate(0.5, 0.5, 1.0, 0.7).square,
        ),
        Mutant(
            "mu and L exchanged",
            lambda: of_pair(lipschitz_pair(0.5, 2.0, 1.0, 0.7), 1.0, 0.7) / lipschitz_rate(2.0, 0.5, 1.0, 0.7).square,
        ),
    ),
    note="Attained in all three cases by plane linear operators: A = L i in the first, symmetric operators in the second. "
    "From plane geometry as AL-07, with the lens |u| <= 1, |u - 1| <= s |u + 1| in place of a disc. "
    "Formulas compared with the reference values of PEPit.",
)


THEOREMS = (AL07, AL08)
