"""Forward steps I - step A of cocoercive operators and of gradients: OP-08, OP-10, OP-11."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.algorithms.cocoercive import forward_step
from monops.algorithms.cocoercive.forward_backward import forward_contraction
from monops.constants import Constants
from proofs.generators import exact_block, exact_norm_squared, rotation_block
from proofs.operators.instances import (
    Map,
    cocoercive_block,
    cocoercive_member,
    columns,
    declared_gradient,
    forward_operator,
    points,
    smooth_convex,
    steepest,
    strongly_cocoercive,
)
from proofs.own_operator import declared, pair
from proofs.ratios import farthest, norm, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem


def bound_step(problem: monops.Inclusion, step: float) -> tuple[Map, float, Any]:
    """The map x -> x - step Ax as ``ForwardStep`` runs it, its averagedness, and its guarantee."""
    method = monops.ForwardStep(step)
    terms = method.match(problem)

    def one_step(x: np.ndarray) -> np.ndarray:
        return method.governing(terms, method.step(terms, method.at(terms, x)))

    return one_step, method.averagedness(terms), terms.guarantee


def step_matrix(M: np.ndarray, step: float) -> np.ndarray:
    """I - step M, through the forward value."""
    A = monops.Affine(M)
    return columns(lambda x: x - step * A.forward(x), len(M))


def exact_step(block: list[list[Any]], step: Fraction) -> Fraction:
    """|I - step M|^2 of a multiple of a plane rotation, exactly."""
    (a, b), (c, d) = block
    return exact_norm_squared([[1 - step * a, -step * b], [-step * c, 1 - step * d]])


def operator_ratio(operator: Any, step: float, claim: float, x: np.ndarray, y: np.ndarray) -> float:
    """|(x - step Ax) - (y - step Ay)|^2 / (claim |x - y|^2) on a user's operator."""
    u, v = step * operator.forward(x), step * operator.forward(y)
    return quotient(square((x - y) - (u - v)), claim * square(x - y), rounding_scale(x, y, u, v))


# ---- OP-08 -----------------------------------------------------------------------------------------


def averaged_ratios(problem: monops.Inclusion, step: float, x: np.ndarray, y: np.ndarray) -> float:
    """Worse of |N x - N y|^2 / |x - y|^2, N = I + (T - I)/a with the averagedness a that monops states, and |Ax - Ay| by L."""
    T, averagedness, _ = bound_step(problem, step)
    A = forward_operator(problem)
    distance, moved, change = x - y, T(x) - T(y), A.forward(x) - A.forward(y)
    N = distance + (moved - distance) / averagedness
    lipschitz = float(Constants(cocoercivity=A.constants.cocoercivity).lipschitz)
    return max(
        quotient(square(N), square(distance), square(distance)),
        quotient(square(change), lipschitz**2 * square(distance), lipschitz**2 * square(distance)),
    )


def op08_sample(generator: np.random.Generator) -> float:
    """Matrices (extremal and non-normal), gradients, and nonlinear operators built from Minty's; some pairs the steepest."""
    kind, n = int(generator.integers(3)), int(generator.integers(1, 6))
    if kind == 0:
        M, _, _ = cocoercive_member(generator)
        problem, n = monops.Inclusion(monops.Affine(M).terms()), len(M)
    else:
        problem = (smooth_convex if kind == 1 else strongly_cocoercive)(n, generator)
    A = forward_operator(problem)
    step = float(generator.uniform(0.01, 1.99) * A.constants.cocoercivity)
    x, y = points(generator, n)
    return averaged_ratios(problem, step, x, steepest(A.forward, x, y) if generator.integers(2) else y)


BETA = Fraction(1, 2)
ON_CIRCLE = exact_block(Fraction(8, 5), Fraction(4, 5))  # |1 - 2 beta z| = 1: exactly beta-cocoercive, and no multiple of I


def op08_exact(step: Fraction, averagedness: Fraction) -> float:
    """|N|^2 for N = I - (step/averagedness) A, exactly, A on the circle."""
    return float(exact_step(ON_CIRCLE, step / averagedness))


def op08_averagedness(step: Fraction) -> Fraction:
    """Step over the end of the interval that monops proves, as ``ForwardStep.averagedness`` has it."""
    proven = forward_step.guarantee(Constants(cocoercivity=BETA, why="given"))
    assert not isinstance(proven, monops.theory.Missing)
    return step / Fraction(proven.interval[1])


def op08_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """|N x - N y|^2 / |x - y|^2 with the cocoercivity that the operator declares: N = I - 2 beta A."""
    beta = float(declared(operator, "cocoercivity").cocoercivity)
    x, y = pair(operator, generator)
    return operator_ratio(operator, 2 * beta if np.isfinite(beta) else 1.0, 1.0, x, y)


def beyond() -> float:
    """A = I/beta with step 2.01 beta: I - step A = -1.01 I, and ``ForwardStep`` refuses the step."""
    return norm(step_matrix(np.eye(1) / 0.5, 2.01 * 0.5)) ** 2


OP08 = Theorem(
    "OP-08",
    "forward steps of a cocoercive operator are averaged",
    "A beta-cocoercive => A is monotone and 1/beta-Lipschitz, and for 0 < step < 2 beta: I - step A = (1 - a) I + a N with N "
    "nonexpansive and a = step/(2 beta)",
    "Bauschke and Combettes (2017), Prop. 4.39",
    ("A is beta-cocoercive", "0 < step < 2 beta"),
    (
        "ForwardStep.match",
        "ForwardStep.step",
        "ForwardStep.averagedness",
        "Affine.forward",
        "Yosida.forward",
        "Constants.lipschitz",
    ),
    op08_sample,
    lambda: op08_exact(Fraction(1, 3), op08_averagedness(Fraction(1, 3))),
    (
        Counterexample(
            "A is beta-cocoercive",
            "the rotation i, monotone and 1-Lipschitz, with step 1/2: I + (T - I)/a for beta = 1 has norm sqrt(5)",
            lambda: norm(step_matrix(rotation_block(0.0, 1.0), 2.0)) ** 2,
        ),
        Counterexample("0 < step < 2 beta", "A = I/beta with step 2.01 beta, where I - step A = -1.01 I", beyond),
    ),
    (
        Mutant("a times 0.999", lambda: op08_exact(Fraction(1, 3), op08_averagedness(Fraction(1, 3)) * Fraction(999, 1000))),
        Mutant("a = step/(4 beta)", lambda: op08_exact(Fraction(1, 3), op08_averagedness(Fraction(1, 3)) / 2)),
        Mutant("A is 0.999/beta-Lipschitz", lambda: norm(monops.Affine(np.eye(1) / 0.5).M) * 0.5 / 0.999),
    ),
    on_operator=op08_on_operator,
    note="Also necessary: a forward step that is step/(2 beta)-averaged comes from a beta-cocoercive operator. On a user's "
    "operator N = I - 2 beta A is evaluated, which is the same map for every step.",
)

# ---- OP-10 -----------------------------------------------------------------------------------------


def strong_claim(mu: Any, beta: Any, step: Any) -> Any:
    """Squared factor of I - step A as monops computes it."""
    return forward_contraction(Constants(mu, beta, why="given"), step)


def op10_sample(generator: np.random.Generator) -> float:
    """Matrices with steps in both regimes, or nonlinear operators run by ``ForwardStep`` against its guarantee."""
    if generator.integers(2):
        M, mu, beta = cocoercive_member(generator)
        step = float(generator.uniform(0.01, 3) * beta)
        return quotient(norm(step_matrix(M, step)) ** 2, strong_claim(mu, beta, step), 1.0)
    n = int(generator.integers(1, 6))
    problem = strongly_cocoercive(n, generator)
    step = float(generator.uniform(0.01, 1.99) * problem.constants.cocoercivity)
    T, _, proven = bound_step(problem, step)
    x, y = points(generator, n)
    return quotient(square(T(x) - T(y)), proven.squared_contraction(step) * square(x - y), square(x - y))


STRONG, COCOERCIVE = Fraction(1, 2), Fraction(2, 5)
STRONG_BLOCK = exact_block(STRONG, Fraction(1))  # beta = mu/(mu^2 + 1)


def op10_extremal() -> float:
    """Both regimes: mu + i sqrt(mu/beta - mu^2) at step beta, I/beta at step 3 beta; the smaller ratio, exactly."""
    short, long = COCOERCIVE, 3 * COCOERCIVE
    first = exact_step(STRONG_BLOCK, short) / strong_claim(STRONG, COCOERCIVE, short)
    second = (1 - long / COCOERCIVE) ** 2 / strong_claim(STRONG, COCOERCIVE, long)
    return float(farthest(first, second))


def op10_long(claim: Any) -> float:
    """I/beta at step 3 beta against another claim."""
    return float((1 - Fraction(3)) ** 2 / claim)


def op10_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The factor for the operator's own mu and beta, at a step in either regime."""
    constants = declared(operator, "strong_monotonicity", "cocoercivity")
    mu, beta = float(constants.strong_monotonicity), float(constants.cocoercivity)
    step = float(generator.uniform(0.01, 3) * beta)
    return operator_ratio(operator, step, float(strong_claim(mu, beta, step)), *pair(operator, generator))


OP10 = Theorem(
    "OP-10",
    "forward step of a strongly monotone cocoercive operator",
    "A mu-strongly monotone, beta-cocoercive => |(I - step A)x - (I - step A)y|^2 <= rho^2 |x - y|^2 with "
    "rho^2 = 1 - 2 step mu + step^2 mu/beta for step <= 2 beta, and rho = step/beta - 1 for step >= 2 beta",
    "Ryu and Boyd (2016), A primer on monotone operator methods; the factor in this form derived",
    ("A is mu-strongly monotone", "A is beta-cocoercive"),
    ("Affine.forward", "ForwardStep.step", "Guarantee.squared_contraction", "Yosida", "forward_backward.forward_contraction"),
    op10_sample,
    op10_extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "mu = 1/10 and beta = 1/2 held against the claim for mu = 1",
            lambda: norm(step_matrix(cocoercive_block(0.1, 0.5), 0.5)) ** 2 / strong_claim(1.0, 0.5, 0.5),
        ),
        Counterexample(
            "A is beta-cocoercive",
            "mu-strongly monotone and 1/beta-Lipschitz, 1/2 + i sqrt(15)/2, held against beta = 1/2",
            lambda: norm(step_matrix(rotation_block(0.5, 2.0), 0.5)) ** 2 / strong_claim(0.5, 0.5, 0.5),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op10_extremal() / 0.999),
        Mutant(
            "step^2 mu^2 for step^2 mu/beta",
            lambda: float(exact_step(STRONG_BLOCK, COCOERCIVE) / (1 - 2 * COCOERCIVE * STRONG + COCOERCIVE**2 * STRONG**2)),
        ),
        Mutant(
            "the first regime continued beyond 2 beta",
            lambda: op10_long(1 - 6 * COCOERCIVE * STRONG + 9 * COCOERCIVE * STRONG),
        ),
    ),
    standing="derived",
    on_operator=op10_on_operator,
    note="Attained in both regimes, by mu + i sqrt(mu/beta - mu^2) and by I/beta. Least at step = beta: 1 - mu beta.",
)

# ---- OP-11 -----------------------------------------------------------------------------------------


def gradient_claim(mu: Any, lipschitz: Any, step: Any) -> Any:
    """Squared factor of a gradient step as monops computes it."""
    return forward_contraction(Constants(mu, lipschitz=lipschitz, cyclic=True, why="given"), step)


def op11_sample(generator: np.random.Generator) -> float:
    """A gradient step of ``ForwardStep`` against its guarantee; at times the best step, or the steepest pair."""
    n = int(generator.integers(1, 6))
    problem = smooth_convex(n, generator)
    mu, lipschitz = problem.constants.strong_monotonicity, problem.constants.lipschitz
    step = float(2 / (mu + lipschitz) if generator.integers(3) == 0 else generator.uniform(0.01, 1.99) / lipschitz)
    T, _, proven = bound_step(problem, step)
    x, y = points(generator, n)
    if generator.integers(2):
        y = steepest(forward_operator(problem).forward, x, y)
    return quotient(square(T(x) - T(y)), proven.squared_contraction(step) * square(x - y), square(x - y))


LEAST, LARGEST = Fraction(1), Fraction(4)


def op11_ratio(step: Fraction, claim: Any) -> float:
    """The quadratic with eigenvalues mu and L against a claim, exactly."""
    return float(max((1 - step * LEAST) ** 2, (1 - step * LARGEST) ** 2) / claim)


def op11_extremal() -> float:
    """At a short, the best and a long step; the smallest ratio."""
    proven = forward_step.guarantee(Constants(LEAST, lipschitz=LARGEST, cyclic=True, why="given"))
    assert not isinstance(proven, monops.theory.Missing)
    assert proven.squared_contraction is not None
    claim: Callable[[Any], Any] = proven.squared_contraction
    return farthest(*(op11_ratio(step, claim(step)) for step in (Fraction(1, 10), Fraction(proven.best_step), Fraction(9, 20))))


def op11_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The factor for the operator's own mu and L, where it declares to be a gradient."""
    constants = declared_gradient(operator, "lipschitz")
    mu, lipschitz = float(constants.strong_monotonicity), float(constants.lipschitz)
    step = float(generator.uniform(0.01, 3) / max(lipschitz, 1e-300))
    claim = float(gradient_claim(mu, lipschitz, step))
    return operator_ratio(operator, step, claim, *pair(operator, generator))


BEST = Fraction(2, 5)  # 2/(mu + L)

OP11 = Theorem(
    "OP-11",
    "gradient step of a strongly convex smooth function",
    "f mu-strongly convex, grad f L-Lipschitz => I - step grad f is max(|1 - step mu|, |1 - step L|)-Lipschitz; least at "
    "step = 2/(mu + L): (L - mu)/(L + mu)",
    "Polyak (1987), Introduction to Optimization, section 1.4; Ryu and Boyd (2016)",
    ("A is a gradient", "f is mu-strongly convex", "grad f is L-Lipschitz"),
    (
        "ForwardStep.step",
        "Guarantee.squared_contraction",
        "Quadratic",
        "Huber",
        "LogCosh",
        "MoreauEnvelope",
        "forward_contraction",
    ),
    op11_sample,
    op11_extremal,
    (
        Counterexample(
            "A is a gradient",
            "1 + i sqrt(15), strongly monotone and Lipschitz with mu = 1 and L = 4",
            lambda: norm(step_matrix(rotation_block(1.0, 4.0), 0.4)) ** 2 / gradient_claim(1.0, 4.0, 0.4),
        ),
        Counterexample(
            "f is mu-strongly convex",
            "eigenvalues 1/2 and 4 held against mu = 1",
            lambda: norm(step_matrix(np.diag([0.5, 4.0]), 0.4)) ** 2 / gradient_claim(1.0, 4.0, 0.4),
        ),
        Counterexample(
            "grad f is L-Lipschitz",
            "eigenvalues 1 and 8 held against L = 4",
            lambda: norm(step_matrix(np.diag([1.0, 8.0]), 0.4)) ** 2 / gradient_claim(1.0, 4.0, 0.4),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: op11_extremal() / 0.999),
        Mutant("the rate of the heavy ball, (sqrt L - sqrt mu)/(sqrt L + sqrt mu)", lambda: op11_ratio(BEST, Fraction(1, 9))),
        Mutant("|1 - step mu| alone", lambda: op11_ratio(Fraction(9, 20), (1 - Fraction(9, 20) * LEAST) ** 2)),
    ),
    on_operator=op11_on_operator,
    note="Attained for every step by the quadratic with eigenvalues mu and L.",
)

THEOREMS = (OP08, OP10, OP11)
