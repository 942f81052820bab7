"""Theorems on methods for a monotone Lipschitz operator: forward-reflected-backward and extragradient, AL-13 and AL-14."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import monops
from monops.algorithms.lipschitz import extragradient, forward_reflected_backward
from monops.constants import Constants
from monops.solve import as_inclusion
from proofs.algorithms.instances import MONOTONE, block, declared_end, nonexpansive, reflecting
from proofs.algorithms.linear_iterations import backward, flat, forward, inner, radius, squared
from proofs.generators import strongly_monotone_lipschitz
from proofs.ratios import farthest, safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem

REFLECTED, EXTRA = monops.ForwardReflectedBackward(), monops.Extragradient()


def lipschitz_operator(generator: np.random.Generator) -> Any:
    """An affine operator with its zero at 0: strongly monotone and Lipschitz at once, or the same without the first."""
    M, mu, _ = strongly_monotone_lipschitz(generator)
    return monops.Affine(M if generator.integers(2) else M - mu * np.eye(len(M)))


# ---- AL-13 -----------------------------------------------------------------------------------------


def energy(terms: Any, state: Any) -> float:
    """E = |x|^2 - 2a <Bx - Bx_-, x> + aL |x - x_-|^2, the solution being 0."""
    step, L = terms.step_size, float(terms.B.constants.lipschitz)
    change = squared(state.x - state.previous)
    return squared(state.x) - 2 * step * inner(state.Bx - state.B_before, state.x) + step * L * change


def reflected_limit(lipschitz: float) -> float:
    """The end of the interval, as monops declares it."""
    return declared_end(forward_reflected_backward.guarantee(MONOTONE, Constants(0.0, lipschitz=lipschitz)))


def reflected_radius(step: float, lipschitz: float) -> float:
    """Spectral radius for B = iL and A = i/(4 a^2 L) at the step a: -2aLi is an eigenvalue."""
    problem = monops.Affine(block(1j * lipschitz)) + backward(block(1j / (4 * step**2 * lipschitz)))
    return radius(REFLECTED, problem, 2, step_size=step)


def backward_operator(generator: np.random.Generator, n: int) -> Any:
    """A maximal monotone operator that is zero at 0: a subdifferential, a skew matrix, or one made of a nonexpansive map."""
    skew = generator.standard_normal((n, n)) * generator.uniform(0.1, 3.0)
    return (
        monops.L1Norm(),
        monops.Box(-0.5, 1.0),
        backward(skew - skew.T),
        reflecting(nonexpansive(generator, n)),
    )[int(generator.integers(4))]


def al13_sample(generator: np.random.Generator) -> float:
    """E+ over E times the declared factor along a run, and Popov's midpoints against the iterates where A = 0."""
    B = lipschitz_operator(generator)
    n = len(B.M)
    A = backward_operator(generator, n)
    step = float(generator.uniform(0.05, 1.0)) * reflected_limit(float(B.constants.lipschitz))
    terms = REFLECTED.match(as_inclusion(A + B))._replace(step_size=step)
    factor = terms.guarantee.squared_contraction
    claim = 1.0 if factor is None else float(factor(step))
    start = generator.standard_normal(n)
    state, worst = REFLECTED.init(terms, start), 0.0
    for _ in range(4):
        before = energy(terms, state)
        state = REFLECTED.step(terms, state)
        worst = max(worst, safe_ratio(energy(terms, state), claim * before, squared(start)))
    return max(worst, popov_difference(B, 0.9 * step, start) / 1e-12)


def popov_difference(B: Any, step: float, start: np.ndarray) -> float:
    """Without A: the distance of Popov's midpoint y_3 from the iterate x_3 of the reflected method, relative to |x_0|."""
    popov = monops.Popov(step_size=step)
    reflected = monops.ForwardReflectedBackward(step_size=step)
    terms, other = popov.match(as_inclusion(B)), reflected.match(as_inclusion(B))
    state, reference = popov.init(terms, start), reflected.init(other, start)
    for _ in range(3):
        state, reference = popov.step(terms, state), reflected.step(other, reference)
    return float(np.linalg.norm(flat(state.y - reference.x)) / np.linalg.norm(start))


def al13_energy() -> float:
    """E+/E on the invariant plane of the eigenvalue -i, A = B = i and a = 1/2: x_- = ix."""
    terms = REFLECTED.match(monops.Affine(block(1j)) + backward(block(1j)))._replace(step_size=reflected_limit(1.0))
    x, previous = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    B_before = terms.B.forward(previous)
    state = forward_reflected_backward.State(x, terms.B.forward(x), B_before, previous, B_before)
    return energy(terms, REFLECTED.step(terms, state)) / energy(terms, state)


def al13_extremal() -> float:
    """At a = 1/(2L) the radius is 1 and the energy stands still: the lesser of the two."""
    return farthest(reflected_radius(reflected_limit(1.0), 1.0), al13_energy())


def negative_definite() -> float:
    """A = 0, B = -I/2."""
    problem = as_inclusion(forward(block(-0.5 + 0j), Constants(0.0, lipschitz=0.5)))
    return radius(REFLECTED, problem, 2, step_size=0.5)


AL13 = Theorem(
    "AL-13",
    "forward-reflected-backward: 1/(2L) is the end",
    "A monotone, B monotone and L-Lipschitz, 0 in Ax* + Bx*, a <= 1/(2L), x+ = J_aA(x - 2a Bx + a Bx_-) => E+ <= E for "
    "E = |x - x*|^2 + 2a <Bx - Bx_-, x* - x> + aL |x - x_-|^2 >= (1 - aL) |x - x*|^2; with A + B mu-strongly monotone "
    "E+ <= E/(1 + min(2 a mu/(1 + aL), (1 - 2aL)/(2aL))). For A = i/(4 a^2 L), B = iL the iteration has the eigenvalue -2aLi",
    "Malitsky and Tam (2020), A forward-backward splitting method for monotone inclusions without cocoercivity, Theorem 2.5; "
    "the instance is ours",
    ("A and B are monotone", "B is L-Lipschitz", "a <= 1/(2L)"),
    ("ForwardReflectedBackward.step", "algorithms.lipschitz.forward_reflected_backward.guarantee", "Popov.step", "Affine"),
    al13_sample,
    al13_extremal,
    (
        Counterexample("A and B are monotone", "A = 0, B = -I/2 with a = 1/2", negative_definite),
        Counterexample("B is L-Lipschitz", "L = 2 at 0.9 of the step for L = 1", lambda: reflected_radius(0.45, 2.0)),
        Counterexample(
            "a <= 1/(2L)",
            "a = 1.001/(2L) with A = i/(4 a^2 L), B = iL: radius 1.001",
            lambda: reflected_radius(1.001 * reflected_limit(1.0), 1.0),
        ),
    ),
    (
        Mutant(
            "1/(sqrt(3) L), where the method without A stops converging",
            lambda: reflected_radius(1 / math.sqrt(3), 1.0),
        ),
        Mutant("energy times 0.999", lambda: al13_energy() / 0.999),
        Mutant("interval 1/L, that of Tseng's method", lambda: reflected_radius(1.0, 1.0)),
    ),
    note="The energy, its factor and the interval are attained at a = 1/(2L) by A = B = i; the linear factor is a bound, not "
    "tight. Without A the iterates are the midpoints of Popov's method, and that case converges up to 1/(sqrt(3) L): a "
    "bilinear game without constraints does not show the bound.",
)

# ---- AL-14 -----------------------------------------------------------------------------------------


def extragradient_parts(terms: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The midpoint y and the next point x+ of the method."""
    y = terms.A.resolvent(x - terms.step_size * terms.B.forward(x), terms.step_size)
    return y, EXTRA.step(terms, EXTRA.at(terms, x)).x


def extragradient_ratio(terms: Any, x: np.ndarray, weight: float = 1.0) -> float:
    """(1 + a mu_A) |x+|^2 over |x|^2 - (1 - a^2 L^2) |x - y|^2 - a (2 mu_B + mu_A) |y|^2, the solution being 0."""
    step, A, B = terms.step_size, terms.A.constants, terms.B.constants
    y, new = extragradient_parts(terms, x)
    claim = squared(x) - weight * (1 - (step * float(B.lipschitz)) ** 2) * squared(x - y)
    claim -= step * float(2 * B.strong_monotonicity + A.strong_monotonicity) * squared(y)
    return safe_ratio((1 + step * float(A.strong_monotonicity)) * squared(new), claim, squared(x))


def al14_sample(generator: np.random.Generator) -> float:
    """The inequality and the declared factor at a random point; without A also Tseng's method and the last iterate."""
    B = lipschitz_operator(generator)
    functions = (monops.L1Norm(), monops.Box(-0.5, 1.0), monops.L1Norm().add_quadratic(0.3), monops.Zero())
    A = functions[int(generator.integers(4))]
    limit = declared_end(extragradient.guarantee(A.constants, B.constants))
    step = float(generator.uniform(0.05, 1.0)) * limit
    x = 10 ** float(generator.uniform(-1, 1)) * generator.standard_normal(len(B.M))
    terms = EXTRA.match(as_inclusion(B) if isinstance(A, monops.Zero) else A + B)._replace(step_size=step)
    worst, factor = extragradient_ratio(terms, x), terms.guarantee.squared_contraction
    if factor is not None:
        worst = max(worst, safe_ratio(squared(extragradient_parts(terms, x)[1]), float(factor(step)) * squared(x), squared(x)))
    if isinstance(A, monops.Zero):
        worst = max(worst, tseng_difference(terms, x), last_iterate(generator))
    return worst


def tseng_difference(terms: Any, x: np.ndarray) -> float:
    """Without A the step is Tseng's: the difference over rounding."""
    tseng = monops.ForwardBackwardForward()
    other = tseng.step(terms, tseng.at(terms, x)).x
    return float(np.linalg.norm(other - extragradient_parts(terms, x)[1])) / (1e-13 * (1 + float(np.linalg.norm(x))))


def last_iterate(generator: np.random.Generator) -> float:
    """(K + 1) a^2 (1 - a^2 L^2) |Bx_K|^2 over |x_0|^2 for a nonlinear B = skew + gradient of log cosh, K = 8."""
    S = generator.standard_normal((3, 3))
    problem = monops.Affine(S - S.T) + monops.LogCosh()
    terms = EXTRA.match(problem)
    L = float(terms.B.constants.lipschitz)
    step = float(generator.uniform(0.2, 1.0)) / (math.sqrt(2) * L)
    terms = terms._replace(step_size=step)
    x = 3 * generator.standard_normal(3)
    state = EXTRA.init(terms, x)
    for _ in range(8):
        state = EXTRA.step(terms, state)
    return 9 * step**2 * (1 - (step * L) ** 2) * squared(state.Bx) / squared(x)


def turn(step: float, lipschitz: float = 1.0) -> Any:
    """Terms for A = 0, B = iL with any step."""
    return EXTRA.match(as_inclusion(monops.Affine(block(1j * lipschitz))))._replace(step_size=step)


def al14_extremal() -> float:
    """A = 0, B = iL: |x+|^2 = (1 - s^2 + s^4) |x|^2, s = aL, the same number as the claim, here 13/16, and 1 at the end."""
    return farthest(extragradient_ratio(turn(0.5), np.array([1.0, 0.0])), at_the_end())


def at_the_end(part: float = 1.0) -> float:
    """Growth for A = 0, B = i at this part of the interval that monops declares."""
    end = declared_end(extragradient.guarantee(Constants(0.0, cyclic=True), Constants(0.0, lipschitz=1.0)))
    return growth(turn(part * end), np.array([1.0, 0.0]))


def growth(terms: Any, x: np.ndarray) -> float:
    """|x+|^2/|x|^2."""
    return squared(extragradient_parts(terms, x)[1]) / squared(x)


def skew_pair(p: float, q: float, step: float) -> float:
    """Growth for A = ip held to be a subdifferential, B = iq."""
    A = backward(block(1j * p), Constants(0.0, cyclic=True))
    terms = EXTRA.match(A + monops.Affine(block(1j * q)))._replace(step_size=step)
    return growth(terms, np.array([1.0, 0.0]))


def against_monotone() -> float:
    """Growth for A = 0, B = -I/2."""
    problem = as_inclusion(forward(block(-0.5 + 0j), Constants(0.0, lipschitz=0.5)))
    return growth(EXTRA.match(problem)._replace(step_size=0.5), np.array([1.0, 0.0]))


AL14 = Theorem(
    "AL-14",
    "extragradient: one step, and the last iterate",
    "A mu_A-strongly monotone and a subdifferential, B mu_B-strongly monotone and L-Lipschitz, 0 in Ax* + Bx*, "
    "y = J_aA(x - a Bx), x+ = J_aA(x - a By) => (1 + a mu_A) |x+ - x*|^2 <= |x - x*|^2 - (1 - a^2 L^2) |x - y|^2 "
    "- a (2 mu_B + mu_A) |y - x*|^2, so that the distance never grows for a <= 1/L. Without A the step is Tseng's, and "
    "|Bx_K|^2 <= |x_0 - x*|^2/(a^2 (1 - a^2 L^2) (K + 1)) for a <= 1/(sqrt(2) L)",
    "Korpelevich (1976); last iterate: Gorbunov, Loizou and Gidel (2022), Extragradient method, O(1/K) last iterate",
    ("A is a subdifferential", "B is monotone", "B is L-Lipschitz", "a <= 1/L"),
    (
        "Extragradient.step",
        "algorithms.lipschitz.extragradient.guarantee",
        "ForwardBackwardForward.step",
        "L1Norm.prox",
        "Function.add_quadratic",
        "LogCosh.gradient",
    ),
    al14_sample,
    al14_extremal,
    (
        Counterexample(
            "A is a subdifferential",
            "A = -3i/4 and B = i, both skew, at a = 1/2: the distance grows",
            lambda: skew_pair(-0.75, 1.0, 0.5),
        ),
        Counterexample("B is monotone", "A = 0, B = -I/2", against_monotone),
        Counterexample(
            "B is L-Lipschitz",
            "B = 2i at 0.9 of the step for L = 1: the distance grows",
            lambda: growth(turn(0.9, 2.0), np.array([1.0, 0.0])),
        ),
        Counterexample("a <= 1/L", "A = 0, B = iL at 1.001 of the end: the distance grows", lambda: at_the_end(1.001)),
    ),
    (
        Mutant("claim times 0.999", lambda: al14_extremal() / 0.999),
        Mutant(
            "1 - a^2 L^2 counted twice",
            lambda: extragradient_ratio(turn(0.5), np.array([1.0, 0.0]), weight=2.0),
        ),
        Mutant("interval sqrt(2)/L", lambda: growth(turn(math.sqrt(2)), np.array([1.0, 0.0]))),
    ),
    note="The inequality is attained at every step by A = 0 and B = iL, where |x+|^2 = (1 - s^2 + s^4)|x|^2, s = aL. The "
    "declared linear factor follows from it and is not tight. That A is a subdifferential is used: for every a there are skew "
    "A and B on which the method diverges. The last iterate is checked for nonlinear B; of the source we read the abstract.",
)

THEOREMS = (AL13, AL14)
