"""Theorem on scaled relative graphs: OP-26, which computes the factors of OP-09 to OP-15 once more, by plane geometry."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

import monops
from monops.algorithms.cocoercive.forward_backward import forward_contraction
from monops.algorithms.shared.reflected import cayley_contraction
from monops.constants import Constants
from proofs.generators import rotation_block
from proofs.operators.instances import (
    cocoercive_block,
    cocoercive_member,
    forward_operator,
    lipschitz_member,
    points,
    smooth_convex,
    steepest,
)
from proofs.own_operator import pair
from proofs.ratios import farthest, quotient, square
from proofs.scaled_relative_graph import (
    largest_cayley,
    largest_forward,
    least_real,
    outside,
    scaled_relative_graph,
    scaled_relative_point,
)
from proofs.theorem import Counterexample, Mutant, Theorem

MU, LIPSCHITZ, BETA = Fraction(1, 2), Fraction(2), Fraction(3, 8)
CLASSES = (
    Constants(strong_monotonicity=MU, lipschitz=LIPSCHITZ),
    Constants(strong_monotonicity=MU, cocoercivity=BETA),
    Constants(strong_monotonicity=MU, lipschitz=LIPSCHITZ, cyclic=True),
)
STEPS = (Fraction(1, 10), Fraction(1, 3), Fraction(1), Fraction(5, 2))
ROTATION, COCOERCIVE_ROTATION = rotation_block(0.5, 2.0), cocoercive_block(0.5, 0.375)  # extremal for mu, L and for mu, beta


def disagreement(constants: Constants, step: Any) -> float:
    """The two factors of monops over those of the region, or the inverse of that: the largest of the four ratios."""
    pairs = (
        (forward_contraction(constants, step), largest_forward(constants, step)),
        (cayley_contraction(constants, step), largest_cayley(constants, step)),
    )
    rounding = 1e-12 * (1 + float(pairs[0][1]))
    return max(quotient(float(a), float(b), rounding) for one, other in pairs for a, b in ((one, other), (other, one)))


def on_curve(constants: Constants, step: float) -> float:
    """The largest factors along the drawn boundary over those at the corners."""
    curve = step * scaled_relative_graph(constants, 64)
    forward = float(np.max(np.abs(1 - curve)) ** 2), float(largest_forward(constants, step))
    cayley = float(np.max(np.abs((1 - curve) / (1 + curve))) ** 2), float(largest_cayley(constants, step))
    return max(quotient(*forward, 1e-3 * (1 + forward[1])), quotient(*cayley, 1e-3))


def member(generator: np.random.Generator) -> tuple[Any, Constants, int]:
    """An operator of one of the three classes, with the constants of the class and the dimension."""
    kind = int(generator.integers(3))
    if kind == 2:
        n = int(generator.integers(1, 5))
        function = forward_operator(smooth_convex(n, generator))
        return function, function.constants, n
    M, mu, other = lipschitz_member(generator) if kind == 0 else cocoercive_member(generator)
    return monops.Affine(M), Constants(mu, None, other) if kind == 0 else Constants(mu, other), len(M)


def point_of(operator: Any, x: np.ndarray, y: np.ndarray) -> complex:
    """The number z of the pair x, y."""
    return scaled_relative_point(operator.forward(x) - operator.forward(y), x - y)


def op26_sample(generator: np.random.Generator) -> float:
    """Points of a random operator lie in the region of its class, whose factors are those of monops."""
    operator, constants, n = member(generator)
    step = float(10 ** generator.uniform(-1.5, 1.5) / constants.lipschitz)
    worst = max(disagreement(constants, step), on_curve(constants, step))
    for _ in range(3):
        x, y = points(generator, n)
        worst = max(worst, outside(constants, point_of(operator, x, steepest(operator.forward, x, y))))
    return worst


def op26_extremal() -> float:
    """Exact: for each class and step the factors of monops are those at a corner of the region, in fractions."""
    pairs = [(forward_contraction(known, a), largest_forward(known, a)) for known in CLASSES for a in STEPS]
    pairs += [(cayley_contraction(known, a), largest_cayley(known, a)) for known in CLASSES for a in STEPS]
    return farthest(*(float(claim / largest) for claim, largest in pairs))


def factor(M: np.ndarray, constants: Constants, step: float) -> float:
    """|I - step M|^2 over the supremum on the region."""
    return float(np.linalg.norm(np.eye(2) - step * M, 2)) ** 2 / float(largest_forward(constants, step))


def op26_wrong(region: Constants, declared: Constants, step: Fraction) -> float:
    """The Cayley factor of a wrong region over the one that monops claims."""
    return float(largest_cayley(region, step) / cayley_contraction(declared, step))


def op26_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """Points of the operator lie in the region that its declared constants describe."""
    least_real(operator.constants)
    x, y = pair(operator, generator)
    u, v = (operator.forward(point) for point in (x, y))
    size = math.sqrt(square(x - y))
    lost = 1e-15 * (math.sqrt(square(u)) + math.sqrt(square(v))) / size
    z = scaled_relative_point((u - v).reshape(-1), (x - y).reshape(-1))
    if not math.isfinite(abs(z)):
        return math.inf
    return outside(operator.constants, z) if lost < 1e-12 * abs(z) else 0.0


OP26 = Theorem(
    "OP-26",
    "scaled relative graphs: the factors of forward steps and Cayley operators by plane geometry",
    "z = (|u - v|/|x - y|) exp(+-i angle(u - v, x - y)), u in Ax, v in Ay, lies in {Re z >= mu} and, as A is L-Lipschitz, "
    "beta-cocoercive or the subdifferential of an L-smooth f, in {|z| <= L}, {|z - 1/(2 beta)| <= 1/(2 beta)} or "
    "{|z - (mu + L)/2| <= (L - mu)/2}; and the squared Lipschitz constants of I - step A and 2J - I over the class are the "
    "maxima of |1 - step z|^2 and |(1 - step z)/(1 + step z)|^2 over the region",
    "Ryu, Hannah and Yin (2022), Scaled relative graphs: nonexpansive operators via 2D Euclidean geometry",
    ("A is mu-strongly monotone", "A is L-Lipschitz", "A is beta-cocoercive", "A is a subdifferential"),
    (
        "algorithms.cocoercive.forward_backward.forward_contraction",
        "algorithms.shared.reflected.cayley_contraction",
        "constants.Constants",
        "Affine.forward",
        "ForwardStep",
    ),
    op26_sample,
    op26_extremal,
    (
        Counterexample(
            "A is mu-strongly monotone",
            "the rotation i (mu = 0) against the region of mu = 1/2, L = 2",
            lambda: factor(rotation_block(0.0, 2.0), CLASSES[0], 1 / 3),
        ),
        Counterexample(
            "A is L-Lipschitz",
            "L = 3 against the region of mu = 1/2, L = 2",
            lambda: factor(rotation_block(0.5, 3.0), CLASSES[0], 1 / 3),
        ),
        Counterexample(
            "A is beta-cocoercive",
            "the extremal block for mu = 1/2, L = 1/beta, in the disc about 0 but not in the one about 1/(2 beta)",
            lambda: factor(rotation_block(0.5, 8 / 3), CLASSES[1], 0.1),
        ),
        Counterexample(
            "A is a subdifferential",
            "the same block for mu = 1/2, L = 2 against the disc with diameter [mu, L]",
            lambda: outside(CLASSES[2], point_of(monops.Affine(ROTATION), np.ones(2), np.zeros(2))),
        ),
        Counterexample(
            "A is a subdifferential",
            "the factor of its forward step against that of gradients",
            lambda: factor(ROTATION, CLASSES[2], 0.1),
        ),
    ),
    (
        Mutant(
            "claim times 0.999",
            lambda: factor(COCOERCIVE_ROTATION, CLASSES[1], 0.1) / 0.999,
        ),
        Mutant(
            "the disc |z| <= 1/beta for that about 1/(2 beta)",
            lambda: op26_wrong(Constants(strong_monotonicity=MU, lipschitz=1 / BETA), CLASSES[1], Fraction(1, 3)),
        ),
        Mutant(
            "a subdifferential taken for any operator with mu and L",
            lambda: op26_wrong(CLASSES[0], CLASSES[2], Fraction(1)),
        ),
    ),
    on_operator=op26_on_operator,
    note=(
        "All inequalities are linear in (Re z, |z|^2) and the factors linear or linear-fractional, so that maxima are at "
        "corners, and in fractions the factors of monops for (mu, L), (mu, beta) and gradients equal them exactly. With mu, "
        "beta and L < 1/beta all given, the forward factor of monops stays exact for step <= 2 beta; beyond, where no step "
        "contracts, it is valid but up to 1.84 times the maximum on 5000 random cases. The disc of gradients is filled by "
        "the class; a single symmetric matrix fills only the part of it outside the discs between neighbouring eigenvalues."
    ),
)

THEOREMS = (OP26,)
