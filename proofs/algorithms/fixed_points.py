"""Theorems on fixed-point iterations: Krasnoselskii-Mann, Halpern, contractive Halpern, proximal point (AL-01 to AL-04)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

import monops
from monops.algorithms.resolvents.proximal_point import guarantee as proximal_point_guarantee
from monops.constants import Constants
from proofs.algorithms.instances import (
    Map,
    by_resolvent,
    declared_square,
    image,
    in_planes,
    iterates,
    linear,
    nonexpansive,
    reflecting,
    rotation,
    terms_of,
)
from proofs.algorithms.proximal_point import AL04
from proofs.generators import orthogonal
from proofs.ratios import farthest, safe_ratio, square
from proofs.theorem import Counterexample, Mutant, Theorem

E1 = np.array([1.0, 0.0])


# ---- AL-01 -----------------------------------------------------------------------------------------


def mann_claim(n: int, t: float) -> float:
    """Bound of |x_n - N x_n|^2/4 for |x_0 - x*| = 1, of which the best rotation is the maximum."""
    if abs(2 * t - 1) <= math.sqrt(n / (n + 1)):
        return (n / (n + 1)) ** n / ((n + 1) * 4 * t * (1 - t))
    return float((2 * t - 1) ** (2 * n))


def best_mann_rotation(n: int, t: float) -> np.ndarray:
    """The rotation with sin^2(angle/2) = 1/(4 (n + 1) t (1 - t)), or -I where that exceeds 1."""
    return rotation(2 * math.asin(min(1.0, 1 / math.sqrt(4 * (n + 1) * t * (1 - t)))))


def mann_residuals(N: Map, x0: np.ndarray, t: float, count: int) -> list[float]:
    """|x_k - N x_k|^2 for k = 0 .. count, from the iterates of the proximal point method with relaxation 2t on 2J - I = N."""
    points = iterates(reflecting(N), monops.ProximalPoint(1.0, 2 * t), x0, count + 1)
    return [square(after - before) / t**2 for before, after in pairwise(points)]


def mann_ratio(N: Map, x0: np.ndarray, t: float, n: int) -> float:
    """|x_n - N x_n|^2/4 over the bound for the fixed point 0."""
    return mann_residuals(N, x0, t, n)[-1] / (4 * mann_claim(n, t) * square(x0))


def al01_sample(generator: np.random.Generator) -> float:
    """The worst of the bound, the sum and the monotone residual."""
    n, t = int(generator.integers(1, 25)), float(generator.uniform(0.5, 0.99))
    x0 = generator.standard_normal(4)
    N = nonexpansive(generator, 4) if generator.integers(2) else linear(in_planes(best_mann_rotation(n, t), generator, 4))
    found = mann_residuals(N, x0, t, n)
    scale = square(x0)
    growth = max(safe_ratio(after, before, scale) for before, after in pairwise(found))
    return max(found[-1] / (4 * mann_claim(n, t) * scale), t * (1 - t) * sum(found) / scale, growth)


def al01_extremal() -> float:
    """The best rotations of both ranges of t: 10 steps at 3/4, 5 steps at 0.99."""
    return farthest(*(mann_ratio(linear(best_mann_rotation(n, t)), E1, t, n) for n, t in ((10, 0.75), (5, 0.99))))


def short_steps(n: int, t: float) -> float:
    """N = 2 prox_{c|.|} - I with c = 1/(1 + 2nt), from 1: every step is 2tc long, |x_n - N x_n|/2 = c."""
    c = 1 / (1 + 2 * n * t)
    return mann_ratio(lambda x: 2 * (c * monops.L1Norm()).prox(x, 1.0) - x, np.ones(1), t, n)


AL01 = Theorem(
    "AL-01",
    "Krasnoselskii-Mann iteration",
    "N nonexpansive, x* = N x*, x+ = (1 - t) x + t N x, 1/2 <= t < 1 => |x_n - N x_n|^2/4 <= c |x_0 - x*|^2 with "
    "c = (n/(n + 1))^n/(4 (n + 1) t (1 - t)) while (2t - 1)^2 <= n/(n + 1), else c = (2t - 1)^(2n); |x_k - N x_k| never grows, "
    "and sum t (1 - t) |x_k - N x_k|^2 <= |x_0 - x*|^2",
    "Lieder (2018), thesis, Theorem 4.9; Krasnoselskii (1955), Mann (1953)",
    ("N is nonexpansive", "N has a fixed point x*", "t >= 1/2"),
    ("ProximalPoint", "Custom.resolvent", "NonNegative.prox", "Box.prox", "L2Ball.prox", "L1Norm.prox"),
    al01_sample,
    al01_extremal,
    (
        Counterexample(
            "N is nonexpansive",
            "1.05 times the best rotation for n = 10, t = 3/4",
            lambda: mann_ratio(linear(1.05 * best_mann_rotation(10, 0.75)), E1, 0.75, 10),
        ),
        Counterexample(
            "N has a fixed point x*",
            "the translation by 1, whose residual is 1 for ever, held against x* = 0 and x_0 = 1",
            lambda: mann_ratio(lambda x: x + 1.0, np.ones(1), 0.75, 10),
        ),
        Counterexample(
            "t >= 1/2",
            "t = 1/10, n = 5, N the reflected prox of |x|/2 on the line: residual 1/(1 + 2nt)",
            lambda: short_steps(5, 0.1),
        ),
    ),
    (
        Mutant("bound times 0.999", lambda: al01_extremal() / 0.999),
        Mutant(
            "without 4 t (1 - t)", lambda: mann_ratio(linear(best_mann_rotation(10, 0.75)), E1, 0.75, 10) / (4 * 0.75 * 0.25)
        ),
        Mutant("exponent n + 1 for n", lambda: mann_ratio(linear(best_mann_rotation(10, 0.75)), E1, 0.75, 10) * 11 / 10),
    ),
    note="Attained for every n and t by one rotation, sin^2(angle/2) = min{1, 1/(4 (n + 1) t (1 - t))}: the bound is its "
    "maximum over the angle. Below t = 1/2 the line is worse than every rotation for few or short steps: semidefinite "
    "programs for n <= 5 give the larger of 1/(1 + 2nt)^2 and c (measured, not proven here). Formula read in the "
    "documentation of PEPit.",
)

# ---- AL-02 -----------------------------------------------------------------------------------------


def halpern_residuals(problem: Any, inner: Any, x0: np.ndarray, count: int) -> list[float]:
    """|z_k - N z_k|^2 for k = 0 .. count along Halpern(inner) without restarts; T = (1 - a) I + a N is a step of ``inner``."""
    a = inner.averagedness(terms_of(problem, inner))
    points = iterates(problem, monops.Halpern(inner, restart=0.0), x0, count)
    return [square(z - image(problem, inner, z)) / a**2 for z in points]


def halpern_ratio(found: list[float], x0: np.ndarray, numerator: float = 4.0) -> float:
    """The worst |z_k - N z_k|^2 (k + 1)^2/4 over the path, for the fixed point 0."""
    return max(value * (k + 1) ** 2 for k, value in enumerate(found)) / (numerator * square(x0))


def al02_sample(generator: np.random.Generator) -> float:
    """Nonlinear N, or the rotation that is worst for some k; by a proximal point or a Douglas-Rachford step."""
    n, x0 = int(generator.integers(1, 16)), generator.standard_normal(4)
    kind = int(generator.integers(3))
    relaxation = float(generator.uniform(0.2, 1.9))
    if kind == 0:
        N = linear(in_planes(rotation(math.pi / (n + 1)), generator, 4))
        found = halpern_residuals(reflecting(N), monops.ProximalPoint(1.0, relaxation), x0, n)
    elif kind == 1:
        found = halpern_residuals(reflecting(nonexpansive(generator, 4)), monops.ProximalPoint(1.0, relaxation), x0, n)
    else:
        A, B = reflecting(nonexpansive(generator, 4)), monops.Affine(2 * orthogonal(4, generator) + 2 * np.eye(4))
        found = halpern_residuals(A + B, monops.DouglasRachford(0.5, relaxation), x0, n)
    return halpern_ratio(found, x0)


def al02_extremal() -> float:
    """N = -I at an even step, and the rotation by pi/(n + 1) at step n."""
    method = monops.ProximalPoint(1.0)
    minus = halpern_residuals(reflecting(lambda x: -x), method, E1, 8)[-1] * 81 / 4
    turns = [halpern_residuals(reflecting(linear(rotation(math.pi / (n + 1)))), method, E1, n)[-1] for n in (1, 5, 10)]
    return farthest(minus, *(value * (n + 1) ** 2 / 4 for value, n in zip(turns, (1, 5, 10), strict=True)))


def restarted(angle: float, count: int) -> float:
    """The worst ratio on a rotation when the anchor moves as soon as the residual has fallen to a half."""
    N = linear(rotation(angle))
    points = iterates(reflecting(N), monops.Halpern(monops.ProximalPoint(1.0), restart=0.5), E1, count)
    return halpern_ratio([square(z - N(z)) for z in points], E1)


AL02 = Theorem(
    "AL-02",
    "Halpern iteration",
    "N nonexpansive, z* = N z*, z_{k+1} = z_0/(k + 2) + (k + 1)/(k + 2) N z_k => |z_k - N z_k| <= 2 |z_0 - z*|/(k + 1)",
    "Lieder (2021), On the convergence rate of the Halpern-iteration, Theorem 2.1",
    ("N is nonexpansive", "N has a fixed point z*", "the anchor is z_0 with the weight 1/(k + 2)"),
    ("Halpern", "ProximalPoint", "DouglasRachford", "Algorithm.averagedness", "Custom.resolvent", "Affine.resolvent"),
    al02_sample,
    al02_extremal,
    (
        Counterexample(
            "N is nonexpansive",
            "1.01 times the rotation by pi/11, step 10",
            lambda: halpern_ratio(
                halpern_residuals(reflecting(linear(1.01 * rotation(math.pi / 11))), monops.ProximalPoint(1.0), E1, 10), E1
            ),
        ),
        Counterexample(
            "N has a fixed point z*",
            "the translation by 1, held against z* = 0 and z_0 = 1",
            lambda: halpern_ratio(
                halpern_residuals(reflecting(lambda x: x + 1.0), monops.ProximalPoint(1.0), np.ones(1), 10), np.ones(1)
            ),
        ),
        Counterexample(
            "the anchor is z_0 with the weight 1/(k + 2)",
            "no anchor: Krasnoselskii-Mann with t = 1/2 on its best rotation, n = 10",
            lambda: mann_residuals(linear(best_mann_rotation(10, 0.5)), E1, 0.5, 10)[-1] * 121 / 4,
        ),
        Counterexample(
            "the anchor is z_0 with the weight 1/(k + 2)",
            "an anchor that moves as soon as the residual has halved, on the rotation by pi/25, 60 steps",
            lambda: restarted(math.pi / 25, 60),
        ),
    ),
    (
        Mutant("bound times 0.999", lambda: al02_extremal() / 0.999),
        Mutant("2 |z_0 - z*|/(k + 2)", lambda: al02_extremal() * (12 / 11) ** 2),
    ),
    note="Attained at every n by the rotation by pi/(n + 1), since z_n - N z_n = (I - N^(n+1)) z_0/(n + 1) for linear N, and "
    "at even n by -I. Optimal among methods that span residuals (Park and Ryu 2022). monops.Halpern restarts unless "
    "restart=0: that gives a linear rate where the residual grows with the distance, and may exceed this bound (last "
    "counterexample).",
)

# ---- AL-03 -----------------------------------------------------------------------------------------


def contractive_terms(gamma: float) -> tuple[Constants, Any]:
    """The constants and the method whose step is T = (1 + 1/gamma) J - I/gamma, J = (I + A)^-1, A (gamma - 1)/2-strong."""
    return Constants(strong_monotonicity=(gamma - 1) / 2), monops.ProximalPoint(1.0, 1 + 1 / gamma)


def declared_gamma(gamma: float) -> float:
    """1/(contraction factor of T), as monops declares it for that step."""
    constants, method = contractive_terms(gamma)
    return declared_square(proximal_point_guarantee(constants, method.relaxation), 1.0) ** -0.5


def anchored_residual(T: Map, x0: np.ndarray, gamma: float, n: int, anchored: bool = True) -> float:
    """|x_n - T x_n|^2 for x_k = x_0/phi_k + (1 - 1/phi_k) T x_{k-1}, T by the step of monops (unanchored: x_k = T x_{k-1})."""
    constants, method = contractive_terms(gamma)
    A = by_resolvent(lambda x: (T(x) + x / gamma) / (1 + 1 / gamma), constants)
    x, phi = x0, 1.0
    for k in range(1, n + 1):
        phi += gamma ** (2 * k)
        step = image(A, method, x)
        x = x0 / phi + (1 - 1 / phi) * step if anchored else step
    return square(x - image(A, method, x))


def contractive_claim(gamma: float, n: int) -> float:
    """Squared bound for |x_0 - x*| = 1."""
    return float(((1 + 1 / gamma) / sum(gamma**k for k in range(n + 1))) ** 2)


def al03_sample(generator: np.random.Generator) -> float:
    """Scaled nonexpansive maps and the worst rotation."""
    gamma, n = declared_gamma(float(generator.uniform(1.01, 2.0))), int(generator.integers(1, 12))
    x0 = generator.standard_normal(4)
    turn = linear(in_planes(rotation(math.pi / (n + 1)), generator, 4))
    N = nonexpansive(generator, 4) if generator.integers(2) else turn
    return anchored_residual(lambda x: N(x) / gamma, x0, gamma, n) / (contractive_claim(gamma, n) * square(x0))


def al03_extremal() -> float:
    """T = rotation by pi/(n + 1), over gamma."""
    cases = [(declared_gamma(gamma), n) for gamma, n in ((1.5, 1), (1.2, 5), (2.0, 7))]
    return farthest(
        *(
            anchored_residual(linear(rotation(math.pi / (n + 1)) / gamma), E1, gamma, n) / contractive_claim(gamma, n)
            for gamma, n in cases
        )
    )


AL03 = Theorem(
    "AL-03",
    "optimal contractive Halpern iteration",
    "T 1/gamma-contractive, gamma > 1, x_k = x_0/phi_k + (1 - 1/phi_k) T x_{k-1}, phi_k = sum_{i<=k} gamma^(2i) => "
    "|x_n - T x_n| <= (1 + 1/gamma)/(1 + gamma + ... + gamma^n) |x_0 - x*|",
    "Park and Ryu (2022), Exact optimal accelerated complexity for fixed-point iterations, Corollary 3.3",
    ("T is 1/gamma-contractive", "the weights are 1/phi_k"),
    ("ProximalPoint", "Custom.resolvent", "resolvents.proximal_point.guarantee"),
    al03_sample,
    al03_extremal,
    (
        Counterexample(
            "T is 1/gamma-contractive",
            "a rotation by pi/6, only nonexpansive, held against gamma = 1.2, n = 5",
            lambda: anchored_residual(linear(rotation(math.pi / 6)), E1, 1.2, 5) / contractive_claim(1.2, 5),
        ),
        Counterexample(
            "the weights are 1/phi_k",
            "no anchor: x_n = T^n x_0 with T = -I/gamma, gamma = 1.2, n = 5",
            lambda: anchored_residual(lambda x: -x / 1.2, E1, 1.2, 5, anchored=False) / contractive_claim(1.2, 5),
        ),
    ),
    (
        Mutant("bound times 0.999", lambda: al03_extremal() / 0.999),
        Mutant(
            "gamma^(2k) for gamma^k in the bound",
            lambda: anchored_residual(linear(rotation(math.pi / 6) / 1.2), E1, 1.2, 5) / contractive_claim(1.44, 5),
        ),
    ),
    note="Attained for every n and gamma by the rotation R by pi/(n + 1) over gamma: then |x_n - T x_n| = "
    "|(I - (gamma R)^(n+1)) x_0|/(gamma phi_n). gamma -> 1 is AL-02. T is run as the relaxed proximal point step of a "
    "(gamma - 1)/2-strongly monotone operator, whose factor 1/gamma monops declares; the anchored loop is written here, monops "
    "has no such method. Statement read in the documentation of PEPit.",
)

THEOREMS = (AL01, AL02, AL03, AL04)
