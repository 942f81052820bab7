"""Resolvents and inverses of monotone operators: OP-01, OP-03, OP-12."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.constants import Constants, resolvent
from monops.constants import inverse as inverse_constants
from monops.errors import NotApplicableError
from proofs.generators import (
    exact_block,
    exact_inverse,
    exact_norm_squared,
    exact_product,
    rotation_block,
)
from proofs.operators.instances import (
    cocoercive_member,
    columns,
    convex_function,
    lipschitz_member,
    minty,
    monotone_operator,
    points,
)
from proofs.own_operator import pair
from proofs.ratios import farthest, inner, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem

MONOTONE = Constants(strong_monotonicity=Fraction(0), why="given")
STEP = Fraction(1, 2)


def monotone_with_step(generator: np.random.Generator) -> tuple[Any, int, float]:
    """A monotone operator, its dimension, and a step for which its resolvent is known: half of them by Minty."""
    n = int(generator.integers(1, 6))
    step = float(10 ** generator.uniform(-1.5, 1.5))
    made = minty(n, generator, step) if generator.integers(2) else monotone_operator(n, generator)
    return made, n, step


def declared_monotone(operator: Any) -> None:
    """Refuse an operator that is not known to be monotone."""
    if not operator.constants.monotone:
        raise NotApplicableError(f"{type(operator).__name__} is not known to be monotone: declare its strong monotonicity, 0.0")


# ---- OP-01 -----------------------------------------------------------------------------------------


def firmness(operator: Any, step: float, x: np.ndarray, y: np.ndarray, scale: float | None = None) -> float:
    """Beta |Jx - Jy|^2 / <Jx - Jy, x - y>, with the cocoercivity beta of a resolvent as monops declares it."""
    p, q = operator.resolvent(x, step), operator.resolvent(y, step)
    beta = float(resolvent(MONOTONE, step).cocoercivity)
    return quotient(beta * square(p - q), inner(p - q, x - y), rounding_scale(x, y, p, q) if scale is None else scale)


def defect(operator: Any, step: float, x: np.ndarray) -> float:
    """|p + step Ap - x| at p = Jx, over its tolerance: J x is defined, and solves what it should."""
    p = operator.resolvent(x, step)
    image = step * operator.forward(p)
    return math.sqrt(square(p + image - x)) / (1e-9 * (1 + math.sqrt(square(x)) + math.sqrt(square(image))))


def op01_sample(generator: np.random.Generator) -> float:
    """The worse of firmness and, where A has a forward value, the inclusion x - p in step Ap."""
    A, n, step = monotone_with_step(generator)
    x, y = points(generator, n)
    firm = firmness(A, step, x, y, square(x - y))
    return max(firm, defect(A, step, x)) if A.has_forward else firm


def op01_firmness(beta: Any) -> float:
    """The projection onto a line, the resolvent of its normal cone, held against cocoercivity beta, exactly."""
    direction = (Fraction(3, 5), Fraction(4, 5))
    x = (Fraction(1), Fraction(2))
    along = x[0] * direction[0] + x[1] * direction[1]
    p = tuple(along * entry for entry in direction)
    return float(beta * (p[0] ** 2 + p[1] ** 2) / (p[0] * x[0] + p[1] * x[1]))


def op01_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """Firmness of the operator's own resolvent at a random step."""
    declared_monotone(operator)
    x, y = pair(operator, generator)
    return firmness(operator, float(10 ** generator.uniform(-1.5, 1.5)), x, y)


def backwards() -> float:
    """A = -I/2 with step 1: J = 2 I."""
    A = monops.Custom(forward=lambda x: -x / 2, resolvent=lambda x, step: x / (1 - step / 2))
    return firmness(A, 1.0, np.array([1.0]), np.array([0.0]))


def hard_threshold() -> float:
    """The prox of the number of nonzeros jumps from 0 to sqrt(2): x = 1.4, y = 1.5."""
    return firmness(monops.functions.L0Norm(), 1.0, np.array([1.4]), np.array([1.5]))


def hole() -> float:
    """Sign(x) with sign(0) = 0, as code has it: p + sign(p) stays 1/2 away from 1/2, while the prox of |x| sends 1/2 to 0."""
    target, p = 0.5, np.concatenate([[0.0], np.linspace(-2, 2, 4001)])
    assert monops.L1Norm().prox(np.array([target]), 1.0)[0] == 0.0
    return float(np.min(np.abs(p + np.sign(p) - target))) / 1e-9


OP01 = Theorem(
    "OP-01",
    "resolvents are firmly nonexpansive and defined everywhere",
    "A maximal monotone => J = (I + step A)^-1 is defined everywhere, and |J x - J y|^2 <= <J x - J y, x - y>; every firmly "
    "nonexpansive J with full domain arises so",
    "Minty (1962), Monotone (nonlinear) operators in Hilbert space; Bauschke and Combettes (2017), Thm 21.1 and Prop. 23.8",
    ("A is monotone", "A is maximal"),
    (
        "Custom.resolvent",
        "NormalCone.resolvent",
        "Affine.resolvent",
        "Inverse",
        "Yosida",
        "Subdifferential",
        "constants.resolvent",
    ),
    op01_sample,
    lambda: op01_firmness(resolvent(MONOTONE, STEP).cocoercivity),
    (
        Counterexample("A is monotone", "A = -I/2 with step 1, where J = 2 I", backwards),
        Counterexample("A is monotone", "hard thresholding, the prox of the number of nonzeros", hard_threshold),
        Counterexample("A is maximal", "sign(x) with the value 0 at 0: p + sign(p) = 1/2 has no solution", hole),
    ),
    (
        Mutant("J is 1.001-cocoercive", lambda: 1.001 * op01_firmness(resolvent(MONOTONE, STEP).cocoercivity)),
        Mutant(
            "J is (1 + step)-cocoercive", lambda: op01_firmness(resolvent(Constants(strong_monotonicity=1.0), 0.5).cocoercivity)
        ),
    ),
    on_operator=op01_on_operator,
    note="Equality on normal cones of subspaces and on A = 0. By the converse half of the samples are made: N nonexpansive, "
    "J = (I + N)/2. Behind it stands the identity <Jx - Jy, x - y> - |Jx - Jy|^2 = step <u - v, Jx - Jy>, u, v in A Jx, A Jy.",
)

# ---- OP-03 -----------------------------------------------------------------------------------------


def inverse_ratios(M: np.ndarray, known: Constants, lipschitz: float, step: float = 1.0) -> float:
    """Worst of the claims on A^-1: strongly monotone and cocoercive as ``known`` says, and |A^-1 u - A^-1 v| >= |u - v|/L.

    The matrix of A^-1 comes from its resolvent, computed by monops from that of A: P and (I - P)/step are its graph.
    """
    A = monops.Affine(M)
    P = columns(lambda x: A.inverse().resolvent(x, step), len(M))
    V = np.linalg.solve(P.T, (np.eye(len(M)) - P).T / step).T
    back = np.linalg.inv(V)
    strong, cocoercive = (np.linalg.eigvalsh((matrix + matrix.T) / 2)[0] for matrix in (V, back))
    return max(
        float(known.strong_monotonicity / strong),
        float(known.cocoercivity / cocoercive),
        float(1 / (lipschitz * np.linalg.svd(V, compute_uv=False)[-1])),
    )


def conjugate_ratio(generator: np.random.Generator) -> float:
    """|u - v| / (L |p - q|) on the graph of the gradient of f*, f strongly convex, L as monops declares it for f*."""
    n = int(generator.integers(1, 6))
    f = convex_function(n, generator).add_quadratic(float(10 ** generator.uniform(-1, 1)))
    conjugate, step = f.conjugate(), float(10 ** generator.uniform(-1, 1))
    x, y = points(generator, n)
    p, q = conjugate.prox(x, step), conjugate.prox(y, step)
    moved, distance = ((x - p) - (y - q)) / step, p - q
    return quotient(square(moved), float(conjugate.constants.lipschitz) ** 2 * square(distance), square(x - y) / step**2)


def op03_sample(generator: np.random.Generator) -> float:
    """Strongly monotone and cocoercive, strongly monotone and Lipschitz, or the conjugate of a strongly convex function."""
    kind, step = int(generator.integers(3)), float(10 ** generator.uniform(-1, 1))
    if kind == 0:
        M, mu, beta = cocoercive_member(generator)
        return inverse_ratios(M, inverse_constants(Constants(mu, beta)), 1 / beta, step)
    if kind == 1:
        M, mu, lipschitz = lipschitz_member(generator)
        return inverse_ratios(M, inverse_constants(Constants(mu, lipschitz=lipschitz)), lipschitz, step)
    return conjugate_ratio(generator)


MU, IMAGINARY, BETA = Fraction(1), Fraction(2), Fraction(1, 5)  # beta = mu/(mu^2 + imaginary^2)


def op03_exact(strong: Any, cocoercive: Any) -> float:
    """Claims on the inverse of the extremal block 1 + 2i: the larger ratio, exactly."""
    (a, b), (c, d) = exact_inverse(exact_block(MU, IMAGINARY))
    return float(max(strong / a, cocoercive * exact_norm_squared([[a, b], [c, d]]) / a))


def op03_claim() -> Constants:
    """What monops says of the inverse of a mu-strongly monotone, beta-cocoercive operator."""
    return inverse_constants(Constants(MU, BETA, why="given"))


def op03_extremal() -> float:
    """Both are attained, so that neither ratio is below 1."""
    claim = op03_claim()
    return farthest(op03_exact(claim.strong_monotonicity, 0), op03_exact(0, claim.cocoercivity))


OP03 = Theorem(
    "OP-03",
    "strong monotonicity of an operator is cocoercivity of its inverse",
    "A mu-strongly monotone <=> A^-1 mu-cocoercive; A beta-cocoercive <=> A^-1 beta-strongly monotone; A L-Lipschitz <=> "
    "|u - v| >= |x - y|/L for u in A^-1 x, v in A^-1 y; f mu-strongly convex => grad f* is 1/mu-Lipschitz",
    "Bauschke and Combettes (2017), Ex. 22.7 and Thm 18.15",
    ("A is mu-strongly monotone", "A is beta-cocoercive", "A is L-Lipschitz"),
    ("Affine.inverse", "Inverse.resolvent", "Function.conjugate", "constants.inverse"),
    op03_sample,
    op03_extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "diag(1, 1/100) held against the claims for mu = 1/2, beta = 1",
            lambda: inverse_ratios(np.diag([1.0, 0.01]), inverse_constants(Constants(0.5, 1.0)), 1.0),
        ),
        Counterexample(
            "A is beta-cocoercive",
            "monotone and L-Lipschitz is not 1/L-cocoercive: 1/10 + i held against beta = 1/L",
            lambda: inverse_ratios(
                rotation_block(0.1, math.sqrt(1.01)), inverse_constants(Constants(0.1, 1 / math.sqrt(1.01))), math.sqrt(1.01)
            ),
        ),
        Counterexample(
            "A is L-Lipschitz",
            "diag(1/2, 10) held against L = 1",
            lambda: inverse_ratios(np.diag([0.5, 10.0]), inverse_constants(Constants(0.5, 0.1)), 1.0),
        ),
    ),
    (
        Mutant("claims times 1.001", lambda: 1.001 * op03_extremal()),
        Mutant("A^-1 is mu-strongly monotone", lambda: op03_exact(MU, 0)),
        Mutant("A^-1 is 1/L-strongly monotone", lambda: op03_exact(1 / Fraction(9, 4), 0)),  # L = sqrt(5) < 9/4
    ),
    note="The inverse of a monotone L-Lipschitz operator need not be strongly monotone: the rotation i is an example; with "
    "mu > 0 the inverse is mu/L^2-strongly monotone, attained by mu + i sqrt(L^2 - mu^2).",
)

# ---- OP-12 -----------------------------------------------------------------------------------------


def reflection_ratio(operator: Any, step: float, x: np.ndarray, y: np.ndarray, factor: float = 2.0) -> float:
    """|R x - R y|^2 / |x - y|^2 for R = factor J - (factor - 1) I."""
    p, q = operator.resolvent(x, step), operator.resolvent(y, step)
    moved = factor * (p - q) - (factor - 1) * (x - y)
    return quotient(square(moved), square(x - y), rounding_scale(x, y, p, q))


def op12_sample(generator: np.random.Generator) -> float:
    """R by the public reflected resolvent; and |x - y|^2 - |Rx - Ry|^2 = 4 step <u - v, p - q>, whose sign is monotonicity."""
    A, n, step = monotone_with_step(generator)
    x, y = points(generator, n)
    r, s = A.reflected_resolvent(x, step), A.reflected_resolvent(y, step)
    p, q = A.resolvent(x, step), A.resolvent(y, step)
    distance, moved = square(x - y), square(r - s)
    gap = abs(distance - moved - 4 * inner((x - p) - (y - q), p - q))
    return max(quotient(moved, distance, distance), gap / (1e-12 * sum(square(point) for point in (x, y, p, q))))


def op12_exact(factor: Fraction) -> float:
    """|factor J - (factor - 1) I|^2 for the skew block and step 1/2, exactly."""
    block = exact_block(Fraction(0), Fraction(3, 2))
    (a, b), (c, d) = (tuple(STEP * entry for entry in row) for row in block)
    inverse = exact_inverse([[1 + a, b], [c, 1 + d]])
    assert exact_product(inverse, [[1 + a, b], [c, 1 + d]]) == [[1, 0], [0, 1]]
    (a, b), (c, d) = inverse
    return float(exact_norm_squared([[factor * a - factor + 1, factor * b], [factor * c, factor * d - factor + 1]]))


def op12_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """|R x - R y|^2 / |x - y|^2 of the operator at a random step."""
    declared_monotone(operator)
    x, y = pair(operator, generator)
    return reflection_ratio(operator, float(10 ** generator.uniform(-1.5, 1.5)), x, y)


OP12 = Theorem(
    "OP-12",
    "Cayley operators are nonexpansive",
    "A maximal monotone => R = 2 J - I is nonexpansive, an isometry for skew A; and only for monotone A is it nonexpansive: "
    "|x - y|^2 - |R x - R y|^2 = 4 step <u - v, J x - J y>",
    "Bauschke and Combettes (2017), Cor. 23.11 and Prop. 4.4; Eckstein and Bertsekas (1992)",
    ("A is monotone",),
    ("Operator.reflected_resolvent", "Custom", "NormalCone", "Affine", "Inverse", "Yosida"),
    op12_sample,
    lambda: op12_exact(Fraction(2)),
    (
        Counterexample(
            "A is monotone",
            "A = -I/2 with step 1, where R = 3 I",
            lambda: reflection_ratio(
                monops.Custom(resolvent=lambda x, step: x / (1 - step / 2)), 1.0, np.array([1.0]), np.array([0.0])
            ),
        ),
        Counterexample(
            "A is monotone",
            "the reflection in the set {0, 1}, whose normal cone is not monotone",
            lambda: reflection_ratio(monops.functions.BinarySet(), 1.0, np.array([0.49]), np.array([0.51])),
        ),
    ),
    (
        Mutant("|R x - R y|^2 <= 0.999 |x - y|^2", lambda: op12_exact(Fraction(2)) / 0.999),
        Mutant("the over-reflection 2.01 J - 1.01 I", lambda: op12_exact(Fraction(201, 100))),
    ),
    on_operator=op12_on_operator,
    note="R of a Minty sample is the nonexpansive map that it was made from, so that isometries (rotations, reflections in "
    "affine subspaces and their compositions) occur among the samples.",
)

THEOREMS = (OP01, OP03, OP12)
