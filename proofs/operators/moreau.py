"""Theorems around Moreau's decomposition: OP-17, envelopes and Yosida approximations OP-18, the resolvent identity OP-19."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops import arrays, functions
from monops.constants import Constants, yosida
from monops.errors import NotApplicableError
from monops.functions import Conjugate
from proofs.generators import rotation_block
from proofs.operators.instances import convex_function, convex_set, monotone_operator, points
from proofs.own_operator import pair
from proofs.ratios import farthest, inner, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem

ACCURACY = 1e-9  # of identities, relative to the points
COMPILED = ("TotalVariation1D", "BoundedCumulativeSums")  # a pair whose kernels take seconds to compile, left out
Draw = tuple[np.ndarray, float]


def size(*values: Any) -> float:
    """Sum of the norms, of Blocks too."""
    return sum(float(arrays.norm(value)) for value in values)


def point_and_step(generator: np.random.Generator, n: int) -> Draw:
    """A point of size 0.1 to 30, and a step."""
    return 10 ** generator.uniform(-1, 1.5) * generator.standard_normal(n), float(10 ** generator.uniform(-1.5, 1.5))


# ---- OP-17 -----------------------------------------------------------------------------------------


@functools.cache
def conjugate_pairs() -> tuple[tuple[Any, Any, int], ...]:
    """Every function of a vector in monops that has a conjugate of its own class, with a value: f, f*, length of x."""
    found, base = [], functions.Function
    kinds = [getattr(functions, name) for name in vars(functions)["__all__"] if name not in COMPILED]
    for kind in (
        one for one in kinds if isinstance(one, type) and issubclass(one, base) and one.conjugate is not base.conjugate
    ):
        for sample in (one for one in kind.samples() if len(one.shape) == 1):
            f = sample.build(lambda data: np.asarray(data, dtype=np.float64))
            dual = f.conjugate() if f.is_convex and f.has_value else None
            if dual is not None and not isinstance(dual, Conjugate) and dual.has_value:
                found.append((f, dual, sample.shape[0]))
    return tuple(found)


def decomposition(f: Any, dual: Any, x: np.ndarray, step: float, dual_step: float | None = None) -> float:
    """|prox_{a f}(x) + a prox_{f*/a}(x/a) - x| over the accuracy."""
    p, q = f.prox(x, step), dual.prox(x / step, 1 / step if dual_step is None else dual_step)
    return size(p + step * q - x) / (ACCURACY * (size(x) + 1))


def fenchel_young(f: Any, dual: Any, x: np.ndarray, step: float) -> float:
    """f(p) + f*(q) = <p, q> at the two proxes, over the accuracy; for a cone, p and q are orthogonal."""
    p, q = f.prox(x, step), dual.prox(x / step, 1 / step)
    value, conjugate = float(f(p)), float(dual(q))
    scale = size(p) * size(q) + abs(value) + abs(conjugate) + 1
    return abs(value + conjugate - inner(p, q)) / (1e-7 * scale)


def exact_decomposition(generator: np.random.Generator) -> float:
    """The identity with == on dyadic data, where soft thresholding and clipping do not round."""
    x, step = generator.integers(-64, 64, 5) / 8, float(2.0 ** generator.integers(-3, 4))
    exact = [
        np.all(f.prox(x, step) + step * f.conjugate().prox(x / step, 1 / step) == x)
        for f in (monops.L1Norm(0.5), monops.NonNegative(), monops.Box(-0.25, 1.5))
    ]
    return 0.0 if all(exact) else math.inf


def op17_sample(generator: np.random.Generator) -> float:
    """A function and its conjugate, a matrix and its inverse, and an exact instance."""
    f, dual, n = conjugate_pairs()[int(generator.integers(len(conjugate_pairs())))]
    x, step = point_and_step(generator, n)
    worst = max(decomposition(f, dual, x, step), fenchel_young(f, dual, x, step))
    F, K = generator.standard_normal((3, 3)), generator.standard_normal((3, 3))
    M = 0.2 * np.eye(3) + F.T @ F + K - K.T
    y = x[:1] * generator.standard_normal(3)
    parts = monops.Affine(M).resolvent(y, step), monops.Affine(np.linalg.inv(M)).resolvent(y / step, 1 / step)
    return max(worst, size(parts[0] + step * parts[1] - y) / (ACCURACY * (size(y) + 1)), exact_decomposition(generator))


def op17_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The decomposition with the conjugate's own prox; where it has none, the prox of f* must be the forward value at p."""
    x, _ = pair(operator, generator)
    step = float(10 ** generator.uniform(-1.5, 1.5))
    dual = operator.conjugate() if isinstance(operator, functions.Function) else None
    if dual is not None and not isinstance(dual, Conjugate) and operator.has_value and dual.has_value:
        return max(decomposition(operator, dual, x, step), fenchel_young(operator, dual, x, step))
    if not operator.has_forward:
        raise NotApplicableError(
            f"{type(operator).__name__} has neither a conjugate of its own nor a forward value: Moreau's identity would be "
            "held against the prox that is computed by it"
        )
    p = operator.resolvent(x, step)
    return size(x - p - step * operator.forward(p)) / (1e-7 * (size(x, p) + step * size(operator.forward(p)) + 1))


def two_lines() -> float:
    """K = the two axes of the plane, whose polar is {0}: P_K x + P_{0} x is not x."""
    x = np.array([2.0, 1.0])
    return size(monops.L0Ball(1).prox(x, 1.0) + monops.Point(0.0).prox(x, 1.0) - x) / ACCURACY


OP17 = Theorem(
    "OP-17",
    "Moreau's decomposition",
    "f closed, convex, proper => x = p + a q with p = prox_{a f}(x), q = prox_{f*/a}(x/a), and f(p) + f*(q) = <p, q>; "
    "A maximal monotone => J_{a A} x + a J_{A^-1/a}(x/a) = x; K a closed convex cone => x = P_K x + P_{polar K} x, orthogonal",
    "Moreau (1965); Bauschke and Combettes (2017), Thm 14.3, Prop. 23.20",
    ("f is convex", "the cone is convex"),
    ("Function.prox", "Function.conjugate", "Function.__call__", "Affine.resolvent", "L1Norm", "NonNegative", "Box"),
    op17_sample,
    None,
    (
        Counterexample(
            "f is convex",
            "f = the number of nonzero entries, f* = the indicator of {0}",
            lambda: decomposition(monops.L0Norm(), monops.Point(0.0), np.array([1.0, 2.0]), 1.0),
        ),
        Counterexample(
            "f is convex",
            "f = the indicator of {0, 1}, f*(y) = max(0, y)",
            lambda: decomposition(monops.BinarySet(), monops.PositivePart(), np.array([0.2]), 1.0),
        ),
        Counterexample("the cone is convex", "two lines in the plane, with the polar {0}", two_lines),
    ),
    (
        Mutant(
            "prox of f* with step a for 1/a",
            lambda: decomposition(monops.Huber(), monops.Huber().conjugate(), np.array([3.0, 0.4]), 2.0, 2.0),
        ),
        Mutant(
            "prox of f* with a step 0.1 % off",
            lambda: decomposition(monops.Huber(), monops.Huber().conjugate(), np.array([3.0, 0.4]), 2.0, 0.5005),
        ),
        Mutant(
            "f(p) + f*(q) = <p, q> with the conjugate of 1.001 f",
            lambda: fenchel_young(monops.L1Norm(), (1.001 * monops.L1Norm()).conjugate(), np.array([3.0, 0.4]), 1.0),
        ),
    ),
    note=(
        "Held on every function of a vector in monops whose conjugate is a class of its own with a value. Where monops gets a "
        "prox by the identity itself (LInfNorm, Max, SumLargest, polar cones), f(p) + f*(q) = <p, q> is what is checked. On "
        "dyadic data the identity holds with ==."
    ),
    on_operator=op17_on_operator,
)

# ---- OP-18 -----------------------------------------------------------------------------------------

MU, BETA, PARAMETER = Fraction(3, 5), Fraction(2, 7), Fraction(1, 2)


def cocoercivity_ratio(T: Callable[[Any], Any], x: np.ndarray, y: np.ndarray, beta: float) -> float:
    """Beta |Tx - Ty|^2 / <Tx - Ty, x - y>; for beta = infinity, T must be constant."""
    u, v = T(x), T(y)
    scale = rounding_scale(x, y, u, v)
    if beta == math.inf:
        return size(u - v) / (ACCURACY * (size(x, y) + 1))
    return quotient(beta * square(u - v), inner(u - v, x - y), max(1.0, beta) * scale)


def monotonicity_ratio(T: Callable[[Any], Any], x: np.ndarray, y: np.ndarray, mu: float) -> float:
    """Mu |x - y|^2 / <Tx - Ty, x - y>."""
    u, v = T(x), T(y)
    return quotient(mu * square(x - y), inner(u - v, x - y), max(1.0, mu) * rounding_scale(x, y, u, v))


def semigroup(A: Any, x: np.ndarray, first: float, second: float, total: float) -> float:
    """(A_first)_second = A_total at x, over the accuracy."""
    twice = monops.Yosida(monops.Yosida(A, first), second).forward(x)
    once = monops.Yosida(A, total).forward(x)
    return size(twice - once) * min(first, second) / (ACCURACY * (size(x, first * once, second * twice) + 1))


def constants_ratio(A: Any, x: np.ndarray, y: np.ndarray, parameter: float) -> float:
    """The worse of the two declared constants of the Yosida approximation of A."""
    approximation = monops.Yosida(A, parameter)
    known = approximation.constants
    return max(
        cocoercivity_ratio(approximation.forward, x, y, float(known.cocoercivity)),
        monotonicity_ratio(approximation.forward, x, y, float(known.strong_monotonicity)),
    )


def taylor_ratio(e: Any, x: np.ndarray, y: np.ndarray) -> float:
    """mu/2 |y - x|^2 <= e(y) - e(x) - <grad e(x), y - x> <= L/2 |y - x|^2: ``gradient`` is that of the value."""
    values, distance = (float(e(x)), float(e(y))), square(y - x) / 2
    rest = values[1] - values[0] - inner(e.gradient(x), y - x)
    scale = abs(values[0]) + abs(values[1]) + rounding_scale(x, y, e.gradient(x), e.gradient(y))
    lower, upper = float(e.constants.strong_monotonicity) * distance, float(e.constants.lipschitz) * distance
    return max(quotient(lower, rest, scale), quotient(rest, upper, scale))


def minorant_ratio(f: Any, e: Any, x: np.ndarray, z: np.ndarray) -> float:
    """e(x) <= f(z) + |z - x|^2/(2 a) and e(z) <= f(z) for z in the domain of f, over the accuracy."""
    value, lower = float(f(z)), (float(e(x)), float(e(z)))
    excess = max(lower[0] - value - square(z - x) / (2 * e.parameter), lower[1] - value)
    return excess / (ACCURACY * (abs(value) + abs(lower[0]) + abs(lower[1]) + 1))


def op18_sample(generator: np.random.Generator) -> float:
    """Constants and semigroup of a random operator; value, gradient and constants of the envelope of a random function."""
    n = int(generator.integers(2, 5))
    A, f = monotone_operator(n, generator), convex_function(n, generator)
    a, b = 10 ** generator.uniform(-1, 1, 2)
    (x, y), envelope = points(generator, n), f.envelope(float(a))
    worst = max(constants_ratio(A, x, y, float(a)), semigroup(A, x, float(a), float(b), float(a + b)))
    worst = max(worst, cocoercivity_ratio(envelope.gradient, x, y, float(envelope.constants.cocoercivity)))
    worst = max(worst, monotonicity_ratio(envelope.gradient, x, y, float(envelope.constants.strong_monotonicity)))
    return max(worst, taylor_ratio(envelope, x, y), minorant_ratio(f, envelope, x, f.prox(y, 1.0)))


def exact_yosida(factor: Fraction) -> Fraction:
    """The number (1 - J)/a with J = 1/(1 + a factor): the Yosida approximation of factor I, a = PARAMETER."""
    return (1 - 1 / (1 + PARAMETER * factor)) / PARAMETER


def op18_extremal() -> float:
    """Exact: N_{0} (where J = 0), I/beta and mu I attain the three constants."""
    cone = yosida(Constants(cyclic=True), PARAMETER).cocoercivity * (1 / PARAMETER)
    coco = yosida(Constants(cocoercivity=BETA), PARAMETER).cocoercivity * exact_yosida(1 / BETA)
    strong = yosida(Constants(strong_monotonicity=MU), PARAMETER).strong_monotonicity / exact_yosida(MU)
    return float(farthest(cone, coco, strong))


def scaled_identity(factor: float, parameter: float) -> Callable[[Any], Any]:
    """Yosida approximation of factor I, for factor < 0 too."""
    A = monops.Custom(resolvent=lambda x, step: x / (1 + step * factor))
    return monops.Yosida(A, parameter).forward


def jump() -> float:
    """(x - prox)/a for the number of nonzero entries, on the two sides of its jump."""
    nonconvex = monops.L0Norm()
    return cocoercivity_ratio(lambda x: x - nonconvex.prox(x, 1.0), np.array([1.42]), np.array([1.41]), 1.0)


def op18_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """Constants and semigroup of the Yosida approximation of the operator, at a random parameter."""
    if not operator.constants.monotone:
        raise NotApplicableError(f"{type(operator).__name__} is not known to be monotone: declare strong_monotonicity >= 0")
    A = monops.Subdifferential(operator) if isinstance(operator, functions.Function) else operator
    x, y = pair(operator, generator)
    a, b = 10 ** generator.uniform(-1, 1, 2)
    return max(constants_ratio(A, x, y, float(a)), semigroup(A, x, float(a), float(b), float(a + b)))


ONE_ZERO = (np.array([1.0, 0.0]), np.zeros(2))
OP18 = Theorem(
    "OP-18",
    "Yosida approximation and Moreau envelope",
    "A maximal monotone, A_a = (I - J_{a A})/a => A_a is (a + beta)-cocoercive and mu/(1 + a mu)-strongly monotone, with beta, "
    "mu >= 0 those of A, and (A_a)_b = A_{a+b}; f closed convex, e(x) = min f + |. - x|^2/(2 a) => e <= f and grad e = (df)_a, "
    "with these constants",
    "Moreau (1965); Bauschke and Combettes (2017), Props. 12.30, 23.7, Cor. 23.11; with beta: derived (A_a is the inverse of "
    "A^-1 + a I)",
    ("A is monotone", "A is beta-cocoercive", "A is mu-strongly monotone", "f is convex"),
    ("Yosida.forward", "Yosida.resolvent", "MoreauEnvelope", "constants.yosida", "Function.envelope"),
    op18_sample,
    op18_extremal,
    (
        Counterexample(
            "A is monotone",
            "A = -I with a = 1/2: A_a = -2 I",
            lambda: cocoercivity_ratio(scaled_identity(-1.0, 0.5), *ONE_ZERO, 0.5),
        ),
        Counterexample(
            "A is beta-cocoercive",
            "a rotation (beta = 0) against the claim for beta = 1",
            lambda: cocoercivity_ratio(
                monops.Yosida(monops.Affine(rotation_block(0.0, 1.0)), 0.5).forward,
                *ONE_ZERO,
                float(yosida(Constants(cocoercivity=1.0), 0.5).cocoercivity),
            ),
        ),
        Counterexample(
            "A is mu-strongly monotone",
            "A = I/10 against the claim for mu = 1",
            lambda: monotonicity_ratio(
                scaled_identity(0.1, 0.5), *ONE_ZERO, float(yosida(Constants(strong_monotonicity=1.0), 0.5).strong_monotonicity)
            ),
        ),
        Counterexample("f is convex", "the number of nonzero entries: the gradient of its envelope jumps down", jump),
    ),
    (
        Mutant("cocoercivity claim 0.1 % too large", lambda: 1.001 * op18_extremal()),
        Mutant(
            "strong monotonicity mu for mu/(1 + a mu)",
            lambda: float(MU / yosida(Constants(strong_monotonicity=MU), PARAMETER).strong_monotonicity),
        ),
        Mutant(
            "semigroup with a b for a + b",
            lambda: semigroup(monops.Subdifferential(monops.Huber()), np.array([0.4, 3.0]), 0.5, 0.8, 0.4),
        ),
        Mutant(
            "semigroup with a parameter 0.1 % off",
            lambda: semigroup(monops.Subdifferential(monops.Huber()), np.array([0.4, 3.0]), 0.5, 0.8, 1.3013),
        ),
    ),
    on_operator=op18_on_operator,
)

# ---- OP-19 -----------------------------------------------------------------------------------------


def identity_error(J: Callable[[Any, float], Any], x: np.ndarray, a: float, b: float, factor: float | None = None) -> float:
    """|J_a x - J_b((b/a) x + (1 - b/a) J_a x)| over the accuracy; ``factor`` stands for b/a in a mutant."""
    p, ratio = J(x, a), b / a if factor is None else factor
    moved = ratio * x + (1 - ratio) * p
    return size(p - J(moved, b)) / (ACCURACY * (size(x, p, moved) + 1))


def op19_sample(generator: np.random.Generator) -> float:
    """A random operator and a random function of monops, at two random steps."""
    n = int(generator.integers(2, 5))
    x, a = point_and_step(generator, n)
    b = float(10 ** generator.uniform(-1.5, 1.5))
    f, _, length = conjugate_pairs()[int(generator.integers(len(conjugate_pairs())))]
    other = 3.0 * generator.standard_normal(length)
    fixed = monops.NormalCone(convex_set(n, generator))
    candidates = (monotone_operator(n, generator), monops.Subdifferential(convex_function(n, generator)), fixed)
    return max(identity_error(f.prox, other, a, b), *(identity_error(A.resolvent, x, a, b) for A in candidates))


def op19_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """The identity for the operator's resolvent at two random steps: whether it scales with the step as a resolvent must."""
    if isinstance(operator, functions.Function) and not operator.is_convex:
        raise NotApplicableError(
            f"{type(operator).__name__} is nonconvex, so that its prox need not obey the resolvent identity"
        )
    x, _ = pair(operator, generator)
    a, b = 10 ** generator.uniform(-1, 1, 2)
    return identity_error(operator.resolvent, x, float(a), float(b))


POINT = np.array([0.3, -1.5, 4.0])
OP19 = Theorem(
    "OP-19",
    "resolvent identity",
    "A maximal monotone => J_{a A} x = J_{b A}((b/a) x + (1 - b/a) J_{a A} x) for all a, b > 0",
    "Bauschke and Combettes (2017), Prop. 23.31",
    ("J_{a A}, a > 0, are the resolvents of one operator", "A is monotone"),
    ("Operator.resolvent", "Function.prox", "NormalCone", "Subdifferential", "Yosida", "Inverse", "operators.Shifted"),
    op19_sample,
    None,
    (
        Counterexample(
            "J_{a A}, a > 0, are the resolvents of one operator",
            "tanh taken for every step: it is the prox of one function with step 1 only",
            lambda: identity_error(lambda x, step: np.tanh(x), POINT, 1.0, 0.5),
        ),
        Counterexample(
            "J_{a A}, a > 0, are the resolvents of one operator",
            "prox_{a f} written as prox_f(x/a), a scaling convention mistaken",
            lambda: identity_error(lambda x, step: monops.L1Norm().prox(x / step, 1.0), POINT, 1.0, 0.5),
        ),
        Counterexample(
            "A is monotone",
            "hard thresholding, the prox of the number of nonzero entries: x = 1.5 is kept at a = 1 and lost at b = 4",
            lambda: identity_error(monops.L0Norm().prox, np.array([1.5]), 1.0, 4.0),
        ),
    ),
    (
        Mutant("a/b for b/a", lambda: identity_error(monops.L1Norm().prox, POINT, 1.0, 0.5, 2.0)),
        Mutant("b/a 0.1 % off", lambda: identity_error(monops.L1Norm().prox, POINT, 1.0, 0.5, 0.5005)),
    ),
    on_operator=op19_on_operator,
)

THEOREMS = (OP17, OP18, OP19)
