"""The proximal point method: AL-04."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import monops
from monops.algorithms.resolvents.proximal_point import guarantee as proximal_point_guarantee
from monops.constants import Constants
from proofs.algorithms.instances import (
    by_resolvent,
    declared_square,
    image_matrix,
    in_planes,
    iterates,
    linear,
    nonexpansive,
    reflecting,
    rotation,
)
from proofs.generators import strongly_monotone_lipschitz
from proofs.ratios import farthest, safe_ratio, square
from proofs.theorem import Counterexample, Mutant, Theorem

E1 = np.array([1.0, 0.0])


def proximal_claim(n: int) -> float:
    """Bound of |x_n - x_{n-1}|^2 for |x_0 - x*| = 1."""
    return float((1 - 1 / n) ** (n - 1) / n)


def proximal_ratio(A: Any, step: float, x0: np.ndarray, n: int) -> float:
    """|x_n - x_{n-1}|^2 over the bound for the zero 0."""
    points = iterates(A, monops.ProximalPoint(step), x0, n)
    return square(points[n] - points[n - 1]) / (proximal_claim(n) * square(x0))


def turn_ratio(n: int) -> float:
    """The quarter turn with its best step, 1/sqrt(n - 1)."""
    return proximal_ratio(monops.Affine(rotation(math.pi / 2)), 1 / math.sqrt(n - 1), E1, n)


def value_ratio(f: Any, step: float, x0: np.ndarray, n: int) -> float:
    """(f(x_n) - f(0)) 4 n step/|x_0|^2, 0 a minimiser."""
    x = iterates(f, monops.ProximalPoint(step), x0, n)[n]
    return float(f(x) - f(0 * x0)) * 4 * n * step / square(x0)


def sharp_ratio(n: int = 7, step: float = 0.3) -> float:
    """f = c|x| with c = 1/(2 n step), from 1."""
    return value_ratio(monops.L1Norm() * (1 / (2 * n * step)), step, np.ones(1), n)


def strong_ratio(M: np.ndarray, mu: float, step: float, relaxation: float) -> float:
    """|T|^2 over the factor that monops declares for mu."""
    method = monops.ProximalPoint(step, relaxation)
    T = image_matrix(monops.Affine(M), method, len(M))
    claim = declared_square(proximal_point_guarantee(Constants(strong_monotonicity=mu), relaxation), step)
    return safe_ratio(float(np.linalg.norm(T, 2)) ** 2, claim)


def al04_sample(generator: np.random.Generator) -> float:
    """One of the three statements, on a random or a nearly worst member."""
    n, step, kind = int(generator.integers(2, 20)), float(10 ** generator.uniform(-1, 1)), int(generator.integers(4))
    x0 = generator.standard_normal(4)
    if kind == 0:
        return proximal_ratio(reflecting(nonexpansive(generator, 4)), step, x0, n)
    if kind == 1:
        S = in_planes(rotation(math.pi / 2), generator, 4)
        return proximal_ratio(monops.Affine(0.5 * (S - S.T)), float(generator.choice([1.0, step])) / math.sqrt(n - 1), x0, n)
    if kind == 2:
        functions = (monops.L1Norm(), monops.SquaredL2(), monops.L2Norm(), monops.Huber(0.5))
        f = float(generator.uniform(0.2, 2)) / (2 * n * step) * functions[int(generator.integers(4))]
        return value_ratio(f, step, x0, n)
    M, mu, _ = strongly_monotone_lipschitz(generator)
    return strong_ratio(M, mu, step, float(generator.uniform(0.1, 1.9)))


def al04_extremal() -> float:
    """The quarter turn with its best step; c|x| with its best c; mu I."""
    turns = [turn_ratio(n) for n in (2, 5, 10)]
    return farthest(*turns, sharp_ratio(), strong_ratio(0.5 * np.eye(2), 0.5, 2.0, 1.2))


def antimonotone() -> float:
    """A = i - 1/10 with step 1/3, n = 10."""
    matrix = np.linalg.inv(np.eye(2) + (rotation(math.pi / 2) - 0.1 * np.eye(2)) / 3)
    return proximal_ratio(by_resolvent(linear(matrix)), 1 / 3, E1, 10)


def counting() -> float:
    """The prox of f = [x != 0] keeps 2, where f = 1, whatever n."""
    f, x = monops.L0Norm(), np.full(1, 2.0)
    for _ in range(3):
        x = f.prox(x, 1.0)
    return float(f(x)) * 4 * 3 / 4.0


AL04 = Theorem(
    "AL-04",
    "proximal point method",
    "A maximally monotone, 0 in A x*, x_k = (I + step A)^-1 x_{k-1} => |x_n - x_{n-1}|^2 <= (1 - 1/n)^(n-1)/n |x_0 - x*|^2; "
    "A = df, f convex => f(x_n) - f* <= |x_0 - x*|^2/(4 n step); "
    "A mu-strongly monotone => |x_n - x*| <= (1 + step mu)^-n |x_0 - x*|",
    "Gu and Yang (2020), Tight sublinear convergence rate of the proximal point algorithm; Taylor, Hendrickx and Glineur "
    "(2017), Exact worst-case performance of first-order methods; Rockafellar (1976)",
    ("A is monotone", "A has a zero x*", "f is convex", "A is mu-strongly monotone"),
    (
        "ProximalPoint",
        "Affine.resolvent",
        "L1Norm.prox",
        "L2Norm.prox",
        "SquaredL2.prox",
        "Huber.prox",
        "resolvents.proximal_point.guarantee",
    ),
    al04_sample,
    al04_extremal,
    (
        Counterexample("A is monotone", "A = i - 1/10, step 1/3, n = 10", antimonotone),
        Counterexample(
            "A has a zero x*",
            "A = -1, the negative gradient of x, whose steps have length 1 for ever, held against x* = 0 and x_0 = 1",
            lambda: proximal_ratio(by_resolvent(lambda x: x + 1.0), 1.0, np.ones(1), 10),
        ),
        Counterexample("f is convex", "f = [x != 0] from x_0 = 2 with step 1, n = 3: x stays, f = 1", counting),
        Counterexample(
            "A is mu-strongly monotone",
            "the quarter turn (mu = 0) held against mu = 1",
            lambda: strong_ratio(rotation(math.pi / 2), 1.0, 1.0, 1.0),
        ),
    ),
    (
        Mutant("bound times 0.999", lambda: al04_extremal() / 0.999),
        Mutant("exponent n for n - 1", lambda: turn_ratio(5) / (1 - 1 / 5)),
        Mutant("8 n step for 4 n step", lambda: 2 * sharp_ratio()),
        Mutant("1 + 2 step mu", lambda: strong_ratio(0.5 * np.eye(2), 1.0, 2.0, 1.0)),
    ),
    note="The first bound is AL-01 with t = 1/2 and n - 1 steps, attained by the quarter turn with step 1/sqrt(n - 1) for "
    "every n >= 2; the second is attained by f = c|x|, c = |x_0|/(2 n step), the third by mu I. The accelerated method of Kim "
    "(2021), |x_n - y_{n-1}| <= |x_0 - x*|/n, is AL-02 on N = 2J - I. Relaxed steps are checked against the factor of monops.",
)


THEOREMS = (AL04,)
