"""Theorems on proxes: rules of the calculus (OP-20), tight frames (OP-21), the prox inequality (OP-25).

The rules are checked by the inclusion that defines the prox, (x - p)/a in df(p), with the exact interval dphi of each entry of
a separable function, and not by a second implementation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import monops
from monops import functions
from monops.arrays import Blocks
from monops.constants import Constants, resolvent
from monops.errors import NotApplicableError
from proofs.generators import orthogonal
from proofs.operators.instances import convex_function, convex_set
from proofs.own_operator import pair
from proofs.ratios import farthest, inner, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem

ACCURACY = 1e-9  # of inclusions, relative to the subgradient
Base = Any  # a Separable function


def base(generator: np.random.Generator) -> Base:
    """A separable function with corners, flat, curved and vertical pieces."""
    candidates = (
        monops.L1Norm(0.75),
        monops.Huber(0.5),
        monops.Quantile(0.25),
        monops.Hinge(),
        monops.PositivePart(),
        monops.NonNegative(),
        monops.Box(-0.5, 1.25),
        monops.ElasticNet(0.5, 1.5),
        monops.SquaredL2(2.0),
        monops.LogCosh(),
        monops.Vapnik(0.5),
        monops.Power(3.0),
    )
    return candidates[int(generator.integers(len(candidates)))]


def inclusion(f: Base, p: np.ndarray, v: np.ndarray) -> float:
    """Distance of v from df(p), relative; p is rounded to 12 decimals, so that corners are met."""
    v = np.asarray(v)
    distance = f.distance_to_subdifferential(np.round(p, 12), v)
    return float(np.max(distance)) / (ACCURACY * (1 + float(np.max(np.abs(v)))))


def subgradient(g: Any, x: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """The prox p of g at x, and (x - p)/step, which must be in dg(p)."""
    p = g.prox(x, step)
    return p, (x - p) / step


# ---- OP-20 -----------------------------------------------------------------------------------------


def translation(f: Base, x: np.ndarray, step: float, shift: np.ndarray) -> float:
    """G = f(. - shift): dg(p) = df(p - shift)."""
    p, v = subgradient(f.translate(shift), x, step)
    return inclusion(f, p - shift, v)


def argument_scaling(f: Base, x: np.ndarray, step: float, factor: float) -> float:
    """G = f(c .): dg(p) = c df(c p)."""
    p, v = subgradient(f.scale_argument(factor), x, step)
    return inclusion(f, factor * p, v / factor)


def perturbation(f: Base, x: np.ndarray, step: float, weight: float, slope: np.ndarray) -> float:
    """G = f + weight/2 |.|^2 + <slope, .>: dg(p) = df(p) + weight p + slope."""
    p, v = subgradient(f.add_quadratic(weight).tilt(slope), x, step)
    return inclusion(f, p, v - weight * p - slope)


def separable_sum(f: Base, h: Base, x: np.ndarray, step: float) -> float:
    """G(x1, x2) = f(x1) + h(x2): dg is the product."""
    blocks = Blocks((x, x[::-1] - 0.5))
    p = functions.SeparableSum((f, h)).prox(blocks, step)
    return max(inclusion(g, q, (y - q) / step) for g, q, y in zip((f, h), p, blocks, strict=True))


def conjugate(f: Base, x: np.ndarray, step: float) -> float:
    """G = f* by Moreau's identity: v in df*(p) where p in df(v)."""
    p, v = subgradient(functions.Conjugate(f), x, step)
    return inclusion(f, v, p)


def radial(phi: Base, x: np.ndarray, step: float) -> float:
    """G = phi(|x|), phi even: dg(p) = dphi(|p|) p/|p|, and the ball of radius max dphi(0) at 0."""
    p, v = subgradient(functions.GroupPenalty(phi), x, step)
    size, length = np.linalg.norm(p), np.linalg.norm(v)
    if size < 1e-12:
        return max(0.0, float(length) - float(phi.entry_subdifferential(np.zeros(1))[1][0])) / (ACCURACY * (1 + float(length)))
    unit = p / size
    tangential = float(np.linalg.norm(v - (v @ unit) * unit)) / (ACCURACY * (1 + float(length)))
    return max(tangential, inclusion(phi, np.array([size]), np.array([v @ unit])))


def epigraph(f: Base, x: np.ndarray, height: float) -> float:
    """The projection (q, s) of (x, t) on the epigraph of f: s = f(q), x - q in (s - t) df(q), s > t; or (x, t) itself."""
    q, (s,) = functions.Epigraph(f).prox(Blocks((x, np.array([height]))), 1.0)
    if float(f(x)) <= height:
        return float(np.linalg.norm(q - x) + abs(s - height)) / ACCURACY
    on_graph = abs(s - float(f(q))) / (1e-8 * (1 + abs(s)))
    return max(on_graph, inclusion(f, q, (x - q) / (s - height)) / 10 if s > height else math.inf)


def infimal_postcomposition(f: Base, x: np.ndarray, step: float, K: np.ndarray) -> float:
    """G(y) = inf {f(w) : Lw = y}, L = K', L'L = nu I: v in dg(p) where p = Lw and L'v in df(w)."""
    nu = float(K[0] @ K[0])
    p, v = subgradient(functions.InfimalPostcomposition(f, K.T), x, step)
    w = K @ p / nu
    return max(float(np.linalg.norm(p - K.T @ w)) / ACCURACY / (1 + float(np.linalg.norm(x))), inclusion(f, w, K @ v))


def frame(rows: int, n: int, generator: np.random.Generator) -> np.ndarray:
    """K with K K' = nu I, rows x n."""
    return float(10 ** generator.uniform(-0.5, 0.5)) * orthogonal(n, generator)[:rows]


def op20_sample(generator: np.random.Generator) -> float:
    """One of the rules, on random data."""
    f, step = base(generator), float(10 ** generator.uniform(-1, 1))
    x, other = 2 * generator.standard_normal((2, 4))
    even = (monops.L1Norm(0.75), monops.Huber(0.5), monops.SquaredL2(2.0), monops.Power(3.0), monops.Box(-0.5, 0.5))
    smooth = (monops.L1Norm(0.75), monops.SquaredL2(2.0), monops.LogCosh(), monops.Huber(0.5))
    rules: tuple[Callable[[], float], ...] = (
        lambda: translation(f, x, step, other),
        lambda: argument_scaling(f, x, step, float(other[0])),
        lambda: perturbation(f, x, step, float(abs(other[0])), other),
        lambda: separable_sum(f, base(generator), x, step),
        lambda: conjugate(f, x, step),
        lambda: radial(even[int(generator.integers(5))], x, step),
        lambda: epigraph(smooth[int(generator.integers(4))], x, float(other[0])),
        lambda: infimal_postcomposition(f, x, step, frame(2, 4, generator)),
    )
    return rules[int(generator.integers(len(rules)))]()


X = np.array([0.4, -1.5, 3.0])


def wrong_rule(p: np.ndarray, f: Base, step: float, moved: Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]) -> float:
    """The inclusion for a point p that a wrong rule gives; ``moved`` maps (p, v) to a pair that must be in the graph of df."""
    return inclusion(f, *moved(p, (X - p) / step))


def lost_half_line() -> float:
    """Prox_{|.|} after the projection on [2, inf) for the prox of the sum, at 2: 1 instead of 2."""
    x = np.array([2.0])
    p = monops.L1Norm().prox(monops.Box(2.0, math.inf).prox(x, 1.0), 1.0)
    return float(np.abs(p - monops.Box(2.0, math.inf).prox(p, 1.0))[0]) / ACCURACY


OP20 = Theorem(
    "OP-20",
    "calculus of the prox",
    "prox_{a f(. - s)}(x) = s + prox_{a f}(x - s); prox_{a f(c .)}(x) = prox_{a c^2 f}(c x)/c; "
    "prox_{a (f + w/2 |.|^2 + <v, .>)}(x) = prox_{a/(1 + a w) f}((x - a v)/(1 + a w)); block by block for f1(x1) + f2(x2); "
    "prox_{a phi(|.|)}(x) = prox_{a phi}(|x|) x/|x|, phi even; prox_{a f*}(x) = x - a prox_{f/a}(x/a); on the epigraph of f "
    "(q, t + m) with q = prox_{m f}(x), t + m = f(q); L prox_{a f/nu}(L'x/nu) for y -> inf {f(w) : Lw = y}, L'L = nu I",
    "Combettes and Wajs (2005), Table 1; Beck (2017), chapter 6; Bauschke and Combettes (2017), chapter 24",
    ("f is convex (for the prox of f*)", "the summands have disjoint arguments (for the prox of a sum)"),
    (
        "Function.translate",
        "Function.scale_argument",
        "Function.add_quadratic",
        "Function.tilt",
        "SeparableSum",
        "Conjugate",
        "GroupPenalty",
        "Epigraph",
        "InfimalPostcomposition",
        "Separable.distance_to_subdifferential",
    ),
    op20_sample,
    None,
    (
        Counterexample(
            "f is convex (for the prox of f*)",
            "f = the number of nonzero entries, f* = the indicator of {0}: Moreau's identity gives 1, not 0",
            lambda: float(np.abs(functions.Conjugate(monops.L0Norm()).prox(np.array([1.0]), 1.0))[0]) / ACCURACY,
        ),
        Counterexample(
            "the summands have disjoint arguments (for the prox of a sum)",
            "|x| and the indicator of [2, inf): the proxes one after the other leave the half-line",
            lost_half_line,
        ),
    ),
    (
        Mutant(
            "step a c for a c^2 in f(c .)",
            lambda: wrong_rule(monops.Huber().prox(2 * X, 0.5 * 2) / 2, monops.Huber(), 0.5, lambda p, v: (2 * p, v / 2)),
        ),
        Mutant(
            "the argument not divided by 1 + a w",
            lambda: wrong_rule(monops.Huber().prox(X, 0.5 / 1.5), monops.Huber(), 0.5, lambda p, v: (p, v - p)),
        ),
        Mutant(
            "the step not divided by 1 + a w",
            lambda: wrong_rule(monops.Huber().prox(X / 1.5, 0.5), monops.Huber(), 0.5, lambda p, v: (p, v - p)),
        ),
        Mutant(
            "prox of f* with step a for 1/a",
            lambda: wrong_rule(X - 0.5 * monops.Huber().prox(X / 0.5, 0.5), monops.Huber(), 0.5, lambda p, v: (v, p)),
        ),
    ),
)

# ---- OP-21 -----------------------------------------------------------------------------------------


def frame_inclusion(f: Base, K: np.ndarray, nu: float | None, x: np.ndarray, step: float) -> float:
    """(x - p)/step = K'w with w in df(K p), for the prox of f(K .) by the tight-frame rule with this nu."""
    p, v = subgradient(functions.TightFrameComposition(f, K, nu), x, step)
    w = np.linalg.lstsq(K.T, v, rcond=None)[0]
    off = float(np.linalg.norm(v - K.T @ w)) / (ACCURACY * (1 + float(np.linalg.norm(v))))
    return max(off, inclusion(f, K @ p, w))


def op21_sample(generator: np.random.Generator) -> float:
    """Rows of a scaled orthogonal matrix, or all of it."""
    n = int(generator.integers(2, 6))
    K = frame(int(generator.integers(1, n + 1)), n, generator)
    return frame_inclusion(base(generator), K, None, 2 * generator.standard_normal(n), float(10 ** generator.uniform(-1, 1)))


GENERIC = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 1.0]])
TIGHT = np.array([[1.0, 2.0, 2.0], [2.0, 1.0, -2.0]]) / 3
OP21 = Theorem(
    "OP-21",
    "composition with a tight frame",
    "K K' = nu I => J_{a K'AK}(x) = x + (1/nu) K'(J_{a nu A}(Kx) - Kx); for A = df, the prox of f(K .)",
    "Combettes and Pesquet (2007), Prop. 11; Bauschke and Combettes (2017), Prop. 23.25",
    ("K K' = nu I",),
    ("TightFrameComposition.prox", "Separable.distance_to_subdifferential"),
    op21_sample,
    None,
    (
        Counterexample(
            "K K' = nu I",
            "a generic 2 x 3 matrix with nu = |K|^2",
            lambda: frame_inclusion(monops.L1Norm(), GENERIC, float(np.linalg.norm(GENERIC, 2)) ** 2, X, 0.5),
        ),
        Counterexample(
            "K K' = nu I",
            "an isometry: K'K = I, with K a column and K K' of rank 1",
            lambda: frame_inclusion(monops.SquaredL2(), np.array([[0.6], [0.8]]), 0.5, np.array([3.0]), 1.0),
        ),
    ),
    (
        Mutant("2 nu for nu", lambda: frame_inclusion(monops.Huber(), TIGHT, 2.0, X, 0.5)),
        Mutant("nu 0.1 % off", lambda: frame_inclusion(monops.Huber(), TIGHT, 1.001, X, 0.5)),
    ),
)

# ---- OP-25 -----------------------------------------------------------------------------------------


def growth(f: Any, x: np.ndarray, z: np.ndarray, step: float, modulus: float) -> float:
    """modulus/2 |z - p|^2 over a f(z) + |x - z|^2/2 - a f(p) - |x - p|^2/2, p the prox; 0 outside the domain."""
    p = f.prox(x, step)
    values = step * float(f(p)), step * float(f(z))
    if values[1] == math.inf:
        return 0.0
    gap = values[1] - values[0] + inner(z - p, z + p - 2 * x) / 2
    scale = 1e-3 * (abs(values[0]) + abs(values[1])) + rounding_scale(x, p, x, z)
    return quotient(modulus * square(z - p) / 2, gap, scale)


def modulus(known: Constants, step: float) -> float:
    """1 + a mu, as monops declares it: the cocoercivity of the prox."""
    return float(resolvent(known, step).cocoercivity)


def op25_ratio(f: Any, x: np.ndarray, z: np.ndarray, step: float) -> float:
    """The inequality with the constants that f declares."""
    return growth(f, x, z, step, modulus(f.constants, step))


def op25_sample(generator: np.random.Generator) -> float:
    """A convex function, a strongly convex one and a set, against points of their domains."""
    n, step = int(generator.integers(2, 5)), float(10 ** generator.uniform(-1, 1))
    plain = convex_function(n, generator)
    candidates = (plain, plain.add_quadratic(float(generator.uniform(0, 2))), convex_set(n, generator))
    x, y = 10 ** generator.uniform(-1, 1) * generator.standard_normal((2, n))
    return max(op25_ratio(f, x, f.prox(y, 0.5), step) for f in candidates)


def op25_extremal() -> float:
    """A line (Pythagoras), |.| on a half-line (3, 1 and 5), and mu/2 |.|^2 attain it; the least of the three ratios."""
    line, x, z = monops.Hyperplane(np.array([0.6, 0.8]), 0.0), np.array([3.0, 1.0]), np.array([4.0, -3.0])
    three, five = np.array([3.0]), np.array([5.0])
    ratios = (op25_ratio(line, x, z, 1.0), op25_ratio(monops.L1Norm(), three, five, 1.0))
    return farthest(*ratios, op25_ratio(monops.SquaredL2(0.5), x, z, 2.0))


def variational(f: Any, x: np.ndarray, z: np.ndarray) -> float:
    """<x - Px, z - Px> over |x - z|^2, plus 1: above 1 where the variational inequality of the projection fails."""
    p = f.prox(x, 1.0)
    return 1.0 + inner(x - p, z - p) / square(x - z)


def op25_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The inequality for a function with value and prox, or a normal cone, at two random points and a random step."""
    f = operator.set if isinstance(operator, monops.NormalCone) else operator
    f = f.function if isinstance(f, monops.Subdifferential) else f
    if not (isinstance(f, functions.Function) and f.has_value and f.has_prox and f.constants.monotone):
        raise NotApplicableError(
            f"{type(operator).__name__} is not a convex function with value and prox, or its subdifferential"
        )
    x, y = pair(f, generator)
    return op25_ratio(f, x, f.prox(y, 1.0), float(10 ** generator.uniform(-1, 1)))


OP25 = Theorem(
    "OP-25",
    "prox inequality, and the variational inequality of the projection",
    "f closed, mu-strongly convex (mu >= 0), p = prox_{a f}(x) => a f(z) + |x - z|^2/2 >= a f(p) + |x - p|^2/2 + (1 + a mu)/2 "
    "|z - p|^2 for every z; for the indicator of a closed convex set C: <x - Px, c - Px> <= 0 for every c in C",
    "Bauschke and Combettes (2017), Prop. 12.26, Thm 3.16; with mu: Beck (2017), Thm 6.39 and strong convexity",
    ("f is convex", "f is mu-strongly convex"),
    ("Function.prox", "Function.__call__", "constants.resolvent", "Hyperplane", "L1Norm", "SquaredL2"),
    op25_sample,
    op25_extremal,
    (
        Counterexample(
            "f is convex",
            "the set {0, 1}: x = 0.6, Px = 1, c = 0",
            lambda: growth(monops.BinarySet(), np.array([0.6]), np.array([0.0]), 1.0, 1.0),
        ),
        Counterexample(
            "f is convex",
            "the variational inequality for the unit circle, x = 0.2 e1",
            lambda: variational(functions.Sphere(), np.array([0.2, 0.0]), np.array([-1.0, 0.0])),
        ),
        Counterexample(
            "f is convex",
            "the number of nonzero entries: x = 1.5 is kept, z = 0",
            lambda: growth(monops.L0Norm(), np.array([1.5]), np.array([0.0]), 1.0, 1.0),
        ),
        Counterexample(
            "f is mu-strongly convex",
            "f = 0 held against the claim for mu = 1",
            lambda: growth(monops.Zero(), np.ones(2), np.zeros(2), 1.0, modulus(Constants(strong_monotonicity=1.0), 1.0)),
        ),
    ),
    (
        Mutant("modulus 0.1 % too large", lambda: 1.001 * op25_extremal()),
        Mutant(
            "2 (1 + a mu) for 1 + a mu",
            lambda: growth(monops.L1Norm(), np.array([3.0]), np.array([5.0]), 1.0, 2 * modulus(monops.L1Norm().constants, 1.0)),
        ),
        Mutant(
            "1 + 2 a mu for 1 + a mu",
            lambda: growth(
                monops.SquaredL2(0.5), np.ones(2), np.zeros(2), 2.0, modulus(Constants(strong_monotonicity=1.0), 2.0)
            ),
        ),
    ),
    on_operator=op25_on_operator,
)

THEOREMS = (OP20, OP21, OP25)
