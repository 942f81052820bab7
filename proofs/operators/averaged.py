"""Theorems on averaged maps: compositions and combinations (OP-22), relaxation (OP-23), conically averaged maps (OP-24)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.constants import Constants, resolvent
from monops.doctor import FixedPointMap
from proofs.operators.averaged_instances import (
    TINY,
    Exact,
    averaged_ratio,
    chain,
    composed_turns,
    relaxed,
    relaxed_resolvent,
    small_turn,
    turned,
)
from proofs.operators.instances import Map, cocoercive_member, minty, points
from proofs.ratios import farthest, inner, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem

# ---- OP-22 -----------------------------------------------------------------------------------------


def composition(thetas: Sequence[Any]) -> Any:
    """1/(1 + 1/sum theta/(1 - theta)); for two, (t1 + t2 - 2 t1 t2)/(1 - t1 t2), also where one exceeds 1 and t1 t2 < 1."""
    if len(thetas) == 2:
        first, second = thetas
        return (first + second - 2 * first * second) / (1 - first * second)
    return 1 / (1 + 1 / sum(theta / (1 - theta) for theta in thetas))


def op22_sample(generator: np.random.Generator) -> float:
    """Two or three relaxed resolvents composed and combined, and a forward-backward step with monops' own averagedness."""
    n = int(generator.integers(2, 5))
    drawn = [
        relaxed_resolvent(turned(n, generator), float(generator.uniform(0.1, 1.95)))
        for _ in range(int(generator.integers(2, 4)))
    ]
    maps, thetas = [T for T, _ in drawn], [theta for _, theta in drawn]
    weights = generator.dirichlet(np.ones(len(maps)))
    x, y = points(generator, n)
    worst = averaged_ratio(chain(maps), x, y, composition(thetas))

    def combined(z: np.ndarray) -> np.ndarray:
        return np.asarray(sum(weight * T(z) for weight, T in zip(weights, maps, strict=True)))

    worst = max(worst, averaged_ratio(combined, x, y, float(weights @ np.array(thetas))))
    return max(worst, forward_backward_ratio(generator))


def forward_backward_ratio(generator: np.random.Generator) -> float:
    """The step of ``ForwardBackward`` against its declared averagedness: the formula for 1/2 and step/(2 beta)."""
    M, _, beta = cocoercive_member(generator)
    B = monops.operators.Custom(monops.Affine(M).forward, constants=Constants(cocoercivity=beta))
    step = float(generator.uniform(0.05, 1.95) * beta)
    T = FixedPointMap(monops.ForwardBackward(step_size=step), minty(len(M), generator, step) + B)
    theta = float(T.algorithm.averagedness(T.terms) or math.inf)
    agreement = abs(theta - composition((0.5, step / (2 * beta)))) / 1e-9
    return max(agreement, averaged_ratio(T, *points(generator, len(M)), theta))


THETAS = (Fraction(3, 10), Fraction(4, 5))
THREE = (Fraction(1, 2), Fraction(1, 3), Fraction(3, 4))


def op22_extremal() -> float:
    """Small turns, displaced in the ratio theta/(1 - theta) (limit, 1e-12 away); a combination of equal turns (exact)."""
    two = composed_turns(THETAS).averagedness() / composition(THETAS)
    three = composed_turns(THREE).averagedness() / composition(THREE)
    turn = Exact(Fraction(3, 5), Fraction(4, 5))
    average = (THETAS[0] + THETAS[1]) / 2
    combined = Exact(1 - average + average * turn.real, average * turn.imaginary)
    return float(farthest(two, three, float(combined.averagedness() / average)))


def rotation_ratio(angle: float, theta: float) -> float:
    """The rotation by an angle, the composition of two reflections, held against a claimed theta."""
    T = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return averaged_ratio(lambda x: T @ x, np.array([1.0, 0.0]), np.zeros(2), theta)


OP22 = Theorem(
    "OP-22",
    "compositions and convex combinations of averaged maps",
    "T_i t_i-averaged, 0 < t_i < 1 => T_1 T_2 is (t_1 + t_2 - 2 t_1 t_2)/(1 - t_1 t_2)-averaged, T_1 ... T_n is "
    "1/(1 + 1/sum t_i/(1 - t_i))-averaged, and sum w_i T_i is sum w_i t_i-averaged",
    "Ogura and Yamada (2002), Thm 3; Combettes and Yamada (2015), Props. 2.2, 2.4, 2.5",
    ("T_1 is t_1-averaged", "t_1, t_2 < 1"),
    ("ProximalPoint.averagedness", "ForwardBackward.averagedness", "FixedPointMap"),
    op22_sample,
    op22_extremal,
    (
        Counterexample(
            "T_1 is t_1-averaged",
            "T_1 3/5-averaged, held against the claim for t_1 = 3/10",
            lambda: float(composed_turns((Fraction(3, 5), THETAS[1])).averagedness() / composition(THETAS)),
        ),
        Counterexample(
            "t_1, t_2 < 1",
            "two reflections whose composition is a rotation by 0.1: not averaged, held against t = 0.999",
            lambda: rotation_ratio(0.1, 0.999),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op22_extremal() / 0.999),
        Mutant("the larger of t_1 and t_2", lambda: float(composed_turns(THETAS).averagedness() / max(THETAS))),
        Mutant(
            "t_1 + t_2 - 2 t_1 t_2 without the denominator",
            lambda: float(composed_turns(THETAS).averagedness() / (THETAS[0] + THETAS[1] - 2 * THETAS[0] * THETAS[1])),
        ),
    ),
    note=(
        "The constant of a composition is least possible but attained in the limit of small angles only: equality would need "
        "t_1/(1 - t_1) < 0. The exact instance here is 1e-12 away. The older 2/(1 + 1/max t_i) is larger: .889 against .816 at "
        "(.3, .8). For t_1 = 1/2 and t_2 = step/(2 beta) monops' averagedness of ForwardBackward is this formula."
    ),
)

# ---- OP-23 -----------------------------------------------------------------------------------------


def op23_sample(generator: np.random.Generator) -> float:
    """Relaxed steps of monops, resolvent, Douglas-Rachford and forward-backward, against the averagedness that it declares."""
    n, relaxation = int(generator.integers(2, 5)), float(generator.uniform(0.05, 1.95))
    A, B = turned(n, generator), minty(n, generator)
    beta = float(10 ** generator.uniform(-1, 1))
    C = monops.Custom(forward=lambda x: (x - A.resolvent(x, 1.0)) / beta, constants=Constants(cocoercivity=beta))
    step = 0.99 * beta * min(1.0, 2 - relaxation)
    plain = relaxed_resolvent(A, 1.0)[0]
    problems: tuple[tuple[Any, Any], ...] = (
        (monops.ProximalPoint(step_size=1.0, relaxation=relaxation), A),
        (monops.DouglasRachford(step_size=1.0, relaxation=relaxation), A + B),
        (monops.ForwardBackward(step_size=step, relaxation=relaxation), minty(n, generator, step) + C),
    )
    x, y = points(generator, n)
    worst = averaged_ratio(relaxed(plain, relaxation), x, y, 0.5 * relaxation)
    for method, problem in problems:
        T = FixedPointMap(method, problem)
        worst = max(worst, averaged_ratio(T, x, y, float(method.averagedness(T.terms))))
    return worst


PLANE = (np.array([2.0, 1.0]), np.zeros(2))


def half_turn(relaxation: float) -> Map:
    """The relaxed resolvent of a skew map: its Cayley operator is the rotation by 90 degrees."""
    return relaxed_resolvent(monops.Affine(np.array([[0.0, 1.0], [-1.0, 0.0]])), relaxation)[0]


def op23_extremal() -> float:
    """The resolvent of a skew map and that of N_{0} (Cayley operators: isometries) attain it at every relaxation."""
    found = []
    for relaxation in (0.3, 1.0, 1.7):
        T, theta = relaxed_resolvent(monops.NormalCone(monops.Point(0.0)), relaxation)
        found += [averaged_ratio(T, *PLANE, theta), averaged_ratio(half_turn(relaxation), *PLANE, theta)]
    return farthest(*found)


def growth(T: Map) -> float:
    """|Tx - Ty|^2/|x - y|^2 at one pair."""
    return square(T(PLANE[0]) - T(PLANE[1])) / square(PLANE[0])


OP23 = Theorem(
    "OP-23",
    "relaxation of an averaged map",
    "T t-averaged, 0 < lambda < 1/t => I + lambda (T - I) is lambda t-averaged; at lambda = 1/t it is nonexpansive, beyond it "
    "need not be",
    "Bauschke and Combettes (2017), Prop. 4.40",
    ("T is t-averaged", "lambda <= 1/t"),
    ("ProximalPoint.averagedness", "DouglasRachford.averagedness", "ForwardBackward.averagedness", "FixedPointMap"),
    op23_sample,
    op23_extremal,
    (
        Counterexample(
            "T is t-averaged",
            "a rotation by 90 degrees (t = 1), relaxed by 1/2 and held against t = 1/2",
            lambda: averaged_ratio(relaxed(lambda x: np.array([-x[1], x[0]]), 0.5), *PLANE, 0.25),
        ),
        Counterexample(
            "lambda <= 1/t",
            "J = 0 (t = 1/2) relaxed by 2.1: -1.1 I expands",
            lambda: growth(relaxed(relaxed_resolvent(monops.NormalCone(monops.Point(0.0)), 1.0)[0], 2.1)),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op23_extremal() / 0.999),
        Mutant("lambda t/(1 + t) for lambda t", lambda: averaged_ratio(half_turn(1.0), *PLANE, 0.5 / 1.5)),
        Mutant("t for lambda t, lambda > 1", lambda: averaged_ratio(half_turn(1.7), *PLANE, 0.5)),
    ),
)

# ---- OP-24 -----------------------------------------------------------------------------------------


def conic(mu: Any, step: Any) -> Any:
    """Theta of -R, R = 2J - I: the inverse of the cocoercivity of J that monops declares, 1/(1 + step mu)."""
    return 1 / resolvent(Constants(strong_monotonicity=mu), step).cocoercivity


def reflections(alpha: Any, beta: Any, step: Any) -> Any:
    """Theta of R_A R_B: (alpha + beta)/(alpha + beta + step alpha beta)."""
    return (alpha + beta) / (alpha + beta + step * alpha * beta)


def hypomonotone(n: int, generator: np.random.Generator, mu: float, step: float) -> monops.Custom:
    """A + mu I for a random monotone A, mu of any sign, at one step a: J(x) = J_{b A}(x/(1 + a mu)), b = a/(1 + a mu)."""
    scale = 1 + step * mu
    A = turned(n, generator, step / scale)
    return monops.Custom(
        resolvent=lambda x, asked: A.resolvent(x / scale, step / scale), constants=Constants(strong_monotonicity=mu)
    )


def op24_sample(generator: np.random.Generator) -> float:
    """Resolvents of a weakly and a strongly monotone operator, their reflections composed, and the relaxed step."""
    n, step = int(generator.integers(2, 5)), float(10 ** generator.uniform(-1, 1))
    alpha = float(generator.uniform(-0.8, 0.5)) / step
    beta = float(max(-alpha / (1 + step * alpha), 0.0) * generator.uniform(1.05, 3.0) + 0.02 / step)
    A, B = hypomonotone(n, generator, alpha, step), hypomonotone(n, generator, beta, step)
    x, y = points(generator, n)
    u, v = A.resolvent(x, step), A.resolvent(y, step)
    cocoercivity = float(A.resolvent_constants(step).cocoercivity)
    worst = quotient(cocoercivity * square(u - v), inner(u - v, x - y), rounding_scale(x, y, u, v))
    both = chain([lambda z, op=op: op.reflected_resolvent(z, step) for op in (B, A)])  # type: ignore[misc]
    theta = reflections(alpha, beta, step)
    agreement = abs(theta - composition((conic(alpha, step), conic(beta, step)))) / (1e-9 * theta)
    k = float(generator.uniform(0.05, 1.0)) / theta
    return max(worst, agreement, averaged_ratio(both, x, y, theta), averaged_ratio(relaxed(both, k), x, y, k * theta))


ALPHA, BETA, STEP = Fraction(-1, 4), Fraction(1), Fraction(1)


def op24_turns(alpha: Fraction, beta: Fraction) -> Fraction:
    """Theta of R_A R_B for the extremal A and B, where it is the product of the small turns -R_A and -R_B; exactly."""
    return composed_turns((conic(alpha, STEP), conic(beta, STEP))).averagedness()


def op24_extremal() -> float:
    """A = mu I attains the Lipschitz constant of J exactly; small turns attain theta up to 1e-12."""
    lipschitz = 1 / (1 + STEP * ALPHA) / resolvent(Constants(strong_monotonicity=ALPHA), STEP).lipschitz
    return float(farthest(lipschitz, op24_turns(ALPHA, BETA) / reflections(ALPHA, BETA, STEP)))


def not_averaged() -> float:
    """Alpha = -1/2, beta = 2/5, step 1: turns against each other give Re z > 1, which no theta allows."""
    alpha, beta = Fraction(-1, 2), Fraction(2, 5)
    product = small_turn(conic(alpha, STEP), TINY).times(small_turn(conic(beta, STEP), -TINY))
    return math.inf if product.real > 1 else 0.0


OP24 = Theorem(
    "OP-24",
    "weakly and strongly monotone operators: conically averaged reflected resolvents",
    "A mu-monotone, <u - v, x - y> >= mu |x - y|^2 with mu of any sign, 1 + a mu > 0 => J_{a A} is (1 + a mu)-cocoercive, so "
    "1/(1 + a mu)-Lipschitz; A alpha-monotone, B beta-monotone, 1 + a alpha, 1 + a beta and alpha + beta + a alpha beta > 0 => "
    "R_A R_B is conically theta-averaged, theta = (alpha + beta)/(alpha + beta + a alpha beta), and (1 - k) I + k R_A R_B is "
    "k theta-averaged for k < 1/theta; k = 1/2 is Douglas-Rachford",
    "Dao and Phan (2019), Adaptive Douglas-Rachford splitting; Bartz, Dao and Phan (2022), Conical averagedness; Giselsson and "
    "Moursi (2021); the closed form of theta is derived",
    ("A is alpha-monotone", "1 + a alpha > 0", "alpha + beta + a alpha beta > 0"),
    ("constants.resolvent", "Operator.resolvent_constants", "Operator.reflected_resolvent", "Custom"),
    op24_sample,
    op24_extremal,
    (
        Counterexample(
            "A is alpha-monotone",
            "alpha = -2/5 held against the claim for alpha = -1/4, beta = 1, a = 1",
            lambda: float(op24_turns(Fraction(-2, 5), BETA) / reflections(ALPHA, BETA, STEP)),
        ),
        Counterexample(
            "1 + a alpha > 0",
            "alpha = -3/2, a = 1: A = -0.999 I is alpha-monotone, and J = 1000 I against 1/|1 + a alpha| = 2",
            lambda: float(monops.Custom(resolvent=lambda x, a: x / (1 - 0.999 * a)).resolvent(np.ones(1), 1.0)[0]) / 2,
        ),
        Counterexample("alpha + beta + a alpha beta > 0", "alpha = -1/2, beta = 2/5, a = 1: no theta at all", not_averaged),
    ),
    (
        Mutant("claim times 0.999", lambda: op24_extremal() / 0.999),
        Mutant("theta = 1, as for monotone operators", lambda: float(op24_turns(ALPHA, BETA))),
        Mutant(
            "the larger of 1/(1 + a alpha) and 1/(1 + a beta)",
            lambda: float(op24_turns(ALPHA, BETA) / max(conic(ALPHA, STEP), conic(BETA, STEP))),
        ),
    ),
    standing="derived",
    note=(
        "Least possible, in the limit of small angles, as in OP-22. For alpha, beta > 0 it says that Peaceman-Rachford is "
        "averaged (theta < 1) although by OP-16 it need not contract; for alpha < 0 that Douglas-Rachford converges while "
        "alpha + beta + 2 a alpha beta > 0. monops itself declares the resolvent constants for mu < 0, but its methods ask for "
        "monotone terms."
    ),
)

THEOREMS = (OP22, OP23, OP24)
