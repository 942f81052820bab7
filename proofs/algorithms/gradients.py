"""Theorems on gradient methods: fixed steps with and without momentum, and steps that adapt, AL-17 and AL-18."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import monops
from monops.constants import Constants
from monops.solve import as_inclusion
from proofs.algorithms.linear_iterations import squared
from proofs.ratios import farthest, safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem

CONVEX = Constants(0.0, lipschitz=1.0, cocoercivity=1.0, cyclic=True, why="held against it")


def smooth(generator: np.random.Generator) -> tuple[Any, Any]:
    """A smooth convex function of a linear image of x in R^3 with least value 0 at 0, as a term and as the function alone."""
    K = monops.Matrix(10 ** float(generator.uniform(-0.5, 0.5)) * generator.standard_normal((4, 3)))
    delta = float(generator.uniform(0.05, 2.0))
    f: Any = (monops.Huber(delta), monops.LogCosh(), monops.SquaredL2(), monops.PseudoHuber(delta))[int(generator.integers(4))]
    least = float(f(np.zeros(4)))
    return f @ K, lambda x: float(f(K.apply(x))) - least


def scalar(slope: Any) -> Any:
    """The operator x -> slope(x) held to be the gradient of a convex function with L = 1."""
    return as_inclusion(monops.Custom(forward=slope, constants=CONVEX, input_shape=(1,)))


# ---- AL-17 -----------------------------------------------------------------------------------------


def descend(method: Any, problem: Any, start: np.ndarray, steps: int, **changes: Any) -> np.ndarray:
    """The answer of the method after so many steps."""
    terms = method.match(problem)._replace(**changes)
    state = method.init(terms, start)
    for _ in range(steps):
        state = method.step(terms, state)
    return np.asarray(method.solution(terms, state).x)


def plain_claim(L: float, distance_squared: float, steps: int) -> float:
    """L |x_0 - x*|^2/(4N + 2)."""
    return L * distance_squared / (4 * steps + 2)


def accelerated_claim(step: float, distance_squared: float, steps: int) -> float:
    """9 |x_0 - x*|^2/(2 a (N + 2)^2)."""
    return 9 * distance_squared / (2 * step * (steps + 2) ** 2)


def strong_claim(terms: Any, distance_squared: float, steps: int) -> float:
    """min((1 + r)(1 - r)^N, 4/(N + 1)^2) (1 + a mu_f) |x_0 - x*|^2/(2a), with 1 - r the factor that monops declares."""
    shrinking = float(terms.guarantee.squared_contraction(terms.step_size))
    scale = (1 + terms.step_size * float(terms.A.constants.strong_monotonicity)) * distance_squared / (2 * terms.step_size)
    return min((2 - shrinking) * shrinking**steps, 4 / (steps + 1) ** 2) * scale


def al17_sample(generator: np.random.Generator) -> float:
    """The three claims on random smooth functions, the last two with an l1 term and a strong one too."""
    term, value = smooth(generator)
    start = 10 ** float(generator.uniform(-1, 1)) * generator.standard_normal(3)
    size, steps = squared(start), int(generator.integers(1, 12))
    L = float(as_inclusion(term).terms[0].constants.lipschitz)
    gap = value(descend(monops.ForwardStep(step_size=1 / L), as_inclusion(term), start, steps))
    worst = safe_ratio(gap, plain_claim(L, size, steps), L * size)
    weight, mu = float(generator.uniform(0.01, 0.5)), 10 ** float(generator.uniform(-2, 0))
    simple = weight * monops.L1Norm()
    x = descend(monops.AcceleratedForwardBackward(restart=False), term + simple, start, steps)
    gap = value(x) + float(simple(x))
    worst = max(worst, safe_ratio(gap, accelerated_claim(1 / L, size, steps), L * size))
    strong, method = simple.add_quadratic(mu), monops.StronglyConvexForwardBackward()
    x = descend(method, term + strong, start, steps)
    gap = value(x) + float(strong(x))
    return max(worst, safe_ratio(gap, strong_claim(method.match(term + strong), size, steps), L * size))


def huber_gap(steps: int, factor: float = 1.0, L: float = 1.0) -> float:
    """f(x_N) for gradient descent with the step factor/L on the Huber function that bends at 1/(2N + 1), from 1."""
    f = monops.Huber(1 / (2 * steps + 1), L)
    return float(f(descend(monops.ForwardStep(), as_inclusion(f), np.ones(1), steps, step_size=factor / L)))


def al17_extremal() -> float:
    """The least ratio over N = 1, 3, 7: x_N = (N + 1)/(2N + 1), where f is still affine."""
    return farthest(*(huber_gap(steps) / plain_claim(1.0, 1.0, steps) for steps in (1, 3, 7)))


def hilltop() -> float:
    """f = 1 - cos x from its maximum at pi: f stays at 2."""
    x = descend(monops.ForwardStep(step_size=1.0), scalar(np.sin), np.array([math.pi]), 10)
    return float(1 - np.cos(x[0])) / plain_claim(1.0, math.pi**2, 10)


AL17 = Theorem(
    "AL-17",
    "gradient descent attains LR^2/(4N + 2); momentum does better",
    "f convex, grad f L-Lipschitz, R = |x_0 - x*|: N gradient steps of size 1/L give f(x_N) - f* <= L R^2/(4N + 2). Proximal "
    "gradient with momentum (t - 1)/t+, t+ = t + 1/3, a <= 1/L: F(x_N) - F* <= 9 R^2/(2 a (N + 2)^2). F mu-strongly convex, "
    "momentum from mu: F(x_N) - F* <= min((1 + r)(1 - r)^N, 4/(N + 1)^2) (1 + a mu_f) R^2/(2a), r = sqrt(a mu/(1 + a mu_f))",
    "Drori and Teboulle (2014), Theorem 3.1; Chambolle and Dossal (2015); Chambolle and Pock (2016), Algorithm 5",
    ("f is convex", "grad f is L-Lipschitz", "the step is 1/L"),
    (
        "ForwardStep.step",
        "AcceleratedForwardBackward.step",
        "StronglyConvexForwardBackward.step",
        "algorithms.cocoercive.strongly_convex_forward_backward.guarantee",
        "Huber",
        "LogCosh",
        "PseudoHuber",
    ),
    al17_sample,
    al17_extremal,
    (
        Counterexample("f is convex", "1 - cos x from its maximum, N = 10", hilltop),
        Counterexample(
            "grad f is L-Lipschitz",
            "the Huber function with L = 3 held to have L = 1, N = 3: the step 1/3 of its scale is too long",
            lambda: huber_gap(3, factor=3.0, L=3.0) / plain_claim(1.0, 1.0, 3),
        ),
        Counterexample(
            "the step is 1/L",
            "half the step on the Huber function, N = 3",
            lambda: huber_gap(3, factor=0.5) / plain_claim(1.0, 1.0, 3),
        ),
    ),
    (
        Mutant("claim times 0.999", lambda: al17_extremal() / 0.999),
        Mutant("4N + 3 for 4N + 2", lambda: huber_gap(7) / (1 / 31)),
        Mutant(
            "the bound of momentum for the plain method, N = 100", lambda: huber_gap(100) / accelerated_claim(1.0, 1.0, 100)
        ),
    ),
    note="Attained for gradient descent by the Huber function that bends at R/(2N + 1), for every N. The bounds with momentum "
    "are not tight: the worst ratios seen are 0.51 (Huber functions, N = 30) and, strongly convex, 0.64; a worst-case program "
    "for the sequence of Nesterov gives 0.67 of 2LR^2/(N + 1)^2 at N = 5. The optimised gradient method of Kim and Fessler, "
    "whose bound is attained, is not in monops.",
)

# ---- AL-18 -----------------------------------------------------------------------------------------


def adaptive_energy(terms: Any, before: Any, state: Any, value: Any) -> float:
    """|x|^2/2 + (pi/r - 1)|x - x_-|^2/2 + g (1 + pi g/g_-)(F(x_-) - F*), the minimiser being 0 and F* = 0."""
    step, pi = float(state.step), terms.pi
    change = (pi / terms.r - 1) * squared(state.x - state.previous)
    return 0.5 * (squared(state.x) + change) + step * (1 + pi * step / float(before.step)) * value(state.previous)


def largest_growth(
    problem: Any, start: np.ndarray, value: Any, *, settings: Any = None, pi: float | None = None, blind: bool = False
) -> float:
    """The largest ratio of successive energies in 12 steps.

    ``pi`` replaces that of the rule (not of the energy), and ``blind`` hides the last change of the gradient from it.
    """
    method = monops.AdaptiveProximalGradient(**(settings or {}))
    terms = method.match(problem)
    rule = terms if pi is None else terms._replace(pi=pi)
    before = method.init(terms, start)
    after = method.step(rule, before)
    first = old = adaptive_energy(terms, before, after, value)
    worst = 0.0
    for _ in range(12):
        shown = after._replace(gradient_previous=after.gradient) if blind else after
        before, after = after, method.step(rule, shown)
        new = adaptive_energy(terms, before, after, value)
        worst, old = max(worst, safe_ratio(new, old, first)), new
    return worst


def al18_sample(generator: np.random.Generator) -> float:
    """Energies for smooth functions and for the fourth power, with an l1 norm, an orthant or nothing, at several settings."""
    if generator.integers(2):
        term, h = smooth(generator)
    else:
        power = monops.Power(4.0)
        term, h = power, lambda x: float(power(x))
    start = 10 ** float(generator.uniform(-1, 0.5)) * generator.standard_normal(3)
    kind, weight = int(generator.integers(3)), float(generator.uniform(0.0, 0.5)) + 1e-3
    settings = ({}, {"pi": 1.0, "r": 0.5}, {"pi": 1.2, "r": 0.9})[int(generator.integers(3))]
    settings = {**settings, "step_size": 10 ** float(generator.uniform(-2, 0))} if generator.integers(2) else settings
    if kind == 0:
        return largest_growth(as_inclusion(term), start, h, settings=settings)
    if kind == 1:
        return largest_growth(
            term + weight * monops.L1Norm(), start, lambda x: h(x) + weight * float(np.sum(np.abs(x))), settings=settings
        )
    return largest_growth(term + monops.NonNegative(), np.abs(start), h, settings=settings)


def slope_growth(pi: float | None = None) -> float:
    """h(x) = x on x >= 0 from 10^5 with parameters (1/2 + 1e-13, 1/2), which leave no slack where h is affine."""
    return largest_growth(
        monops.Linear(np.ones(1)) + monops.NonNegative(),
        np.array([1e5]),
        lambda x: float(x[0]),
        settings={"step_size": 1.0, "pi": 0.5 + 1e-13, "r": 0.5},
        pi=pi,
    )


AL18 = Theorem(
    "AL-18",
    "proximal gradient with adaptive steps: an energy without constants",
    "f, h convex, grad h locally Lipschitz, pi > r >= 1/2, g+ = g min(sqrt(1/pi + g/g_-), sqrt((1 - r/pi)/max(D, 0))), "
    "D = g^2 L^2 + 2gl(r - 1) - (2r - 1) with l = <dh, dx>/|dx|^2, L = |dh|/|dx|: for F = f + h the energy "
    "|x - x*|^2/2 + (pi/r - 1)|x - x_-|^2/2 + g (1 + pi g/g_-)(F(x_-) - F*) never grows",
    "Malitsky and Mishchenko (2020); Latafat, Themelis, Stella and Patrinos (2024); parameters: Latafat, Themelis and "
    "Patrinos (2024)",
    ("h is convex", "a step grows by at most sqrt(1/pi + g/g_-)", "a step is bounded by the curvature seen"),
    ("AdaptiveProximalGradient.step", "Power", "Huber", "LogCosh", "PseudoHuber", "Linear", "NonNegative", "L1Norm"),
    al18_sample,
    slope_growth,
    (
        Counterexample(
            "h is convex",
            "h = 1 - cos x, from 3.1",
            lambda: largest_growth(
                scalar(np.sin), np.array([3.1]), lambda x: float(1 - np.cos(x[0])), settings={"step_size": 1.0}
            ),
        ),
        Counterexample(
            "a step grows by at most sqrt(1/pi + g/g_-)",
            "h(x) = x on x >= 0, with the bound for pi = 1/20",
            lambda: slope_growth(pi=0.05),
        ),
        Counterexample(
            "a step is bounded by the curvature seen",
            "x^2/2 with the change of the gradient hidden from the rule",
            lambda: largest_growth(
                as_inclusion(monops.SquaredL2()),
                np.ones(1),
                lambda x: float(monops.SquaredL2()(x)),
                settings={"step_size": 0.5},
                blind=True,
            ),
        ),
    ),
    (
        Mutant("energy times 0.999", lambda: slope_growth() / 0.999),
        Mutant("the growth 1/pi + g/g_- with pi one per cent smaller", lambda: slope_growth(pi=0.495)),
    ),
    note="The energy is attained where h is affine and the growth bound is active, in the limit pi, r -> 1/2 (here 1e-13 off; "
    "the largest ratio of a run is shown). Checked for x^4 too, which has no Lipschitz gradient. The energy is the one that "
    "monops states; of the sources the abstracts were read.",
)

THEOREMS = (AL17, AL18)
