"""Classes of operators, and what separates gradients from monotone operators: OP-04, OP-05, OP-06, OP-07."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import nnls

import monops
from monops.constants import Constants
from proofs.generators import rotation_block
from proofs.operators.instances import (
    Map,
    block_diagonal,
    convex_function,
    declared_gradient,
    forward_operator,
    lipschitz_member,
    points,
    smooth_convex,
    steepest,
)
from proofs.own_operator import pair
from proofs.ratios import inner, norm, quotient, rounding_scale, square
from proofs.theorem import Counterexample, Mutant, Theorem

# ---- OP-04 -----------------------------------------------------------------------------------------


def baillon_haddad(lipschitz: Any) -> Any:
    """Cocoercivity that monops derives for a gradient with this Lipschitz constant."""
    return Constants(lipschitz=lipschitz, cyclic=True, why="given").cocoercivity


def cocoercivity_ratio(forward: Map, beta: float, x: np.ndarray, y: np.ndarray, scale: float | None = None) -> float:
    """Beta |Ax - Ay|^2 / <Ax - Ay, x - y>."""
    u, v = forward(x), forward(y)
    return quotient(beta * square(u - v), inner(u - v, x - y), rounding_scale(x, y, u, v) if scale is None else scale)


def op04_sample(generator: np.random.Generator) -> float:
    """A gradient with its declared L, on a random pair or along the direction of largest growth."""
    n = int(generator.integers(1, 6))
    A = forward_operator(smooth_convex(n, generator))
    x, y = points(generator, n)
    y = steepest(A.forward, x, y) if generator.integers(2) else y
    lipschitz = A.constants.lipschitz
    return cocoercivity_ratio(A.forward, baillon_haddad(lipschitz), x, y, lipschitz * square(x - y))


def op04_extremal(beta: Any) -> float:
    """A quadratic with L = 7/3 along its eigenvector, exactly: beta L^2/L."""
    lipschitz = Fraction(7, 3)
    return float(beta * lipschitz**2 / lipschitz)


def op04_linear(M: np.ndarray, lipschitz: float) -> float:
    """A linear operator against the claim for L, on (2, 1) - (0, 0)."""
    A = monops.Custom(forward=lambda x: M @ x)
    return cocoercivity_ratio(A.forward, baillon_haddad(lipschitz), np.array([2.0, 1.0]), np.zeros(2))


def op04_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """For the L that the operator declares as a gradient."""
    constants = declared_gradient(operator, "lipschitz")
    x, y = pair(operator, generator)
    beta = baillon_haddad(float(constants.lipschitz))
    return cocoercivity_ratio(operator.forward, beta if beta < math.inf else 1.0, x, y)


OP04 = Theorem(
    "OP-04",
    "Baillon-Haddad: Lipschitz gradients of convex functions are cocoercive",
    "f convex, grad f L-Lipschitz <=> <grad f(x) - grad f(y), x - y> >= |grad f(x) - grad f(y)|^2/L",
    "Baillon and Haddad (1977), Cor. 10; Bauschke and Combettes (2017), Cor. 18.17",
    ("f is convex", "A is a gradient", "A is L-Lipschitz"),
    ("Constants.cocoercivity", "Quadratic.gradient", "Huber", "LogCosh", "PseudoHuber", "Fair", "MoreauEnvelope.gradient"),
    op04_sample,
    lambda: op04_extremal(baillon_haddad(Fraction(7, 3))),
    (
        Counterexample("f is convex", "the saddle (x1^2 - x2^2)/2, L = 1", lambda: op04_linear(np.diag([1.0, -1.0]), 1.0)),
        Counterexample(
            "A is a gradient",
            "the strongly monotone rotation 1/2 + i sqrt(3)/2, L = 1",
            lambda: op04_linear(rotation_block(0.5, 1.0), 1.0),
        ),
        Counterexample("A is L-Lipschitz", "the quadratic |x|^2 held against L = 1", lambda: op04_linear(2 * np.eye(2), 1.0)),
    ),
    (
        Mutant("1.001/L", lambda: 1.001 * op04_extremal(baillon_haddad(Fraction(7, 3)))),
        Mutant("2/L", lambda: op04_extremal(2 * baillon_haddad(Fraction(7, 3)))),
    ),
    on_operator=op04_on_operator,
    note="Equality on quadratics along the eigenvectors of L (and of 0). For operators that are no gradients Lipschitz and "
    "monotone give no cocoercivity at all; mu-strongly monotone ones are mu/L^2-cocoercive.",
)

# ---- OP-05 -----------------------------------------------------------------------------------------


def interpolation_ratio(mu: Any, lipschitz: Any, distance2: Any, product: Any, image2: Any) -> Any:
    """(|u - v|^2 + mu L |x - y|^2) / ((mu + L) <u - v, x - y>)."""
    return (image2 + mu * lipschitz * distance2) / ((mu + lipschitz) * product)


def op05_graph_ratio(mu: float, lipschitz: float, x: np.ndarray, y: np.ndarray, u: np.ndarray, v: np.ndarray) -> float:
    """The same with rounding allowed: u, v the values at x, y."""
    left = square(u - v) + mu * lipschitz * square(x - y)
    return quotient(left, (mu + lipschitz) * inner(u - v, x - y), max(1.0, lipschitz**2) * rounding_scale(x, y, u, v))


def op05_sample(generator: np.random.Generator) -> float:
    """A strongly convex smooth function with the constants that monops declares."""
    n = int(generator.integers(1, 6))
    A = forward_operator(smooth_convex(n, generator))
    x, y = points(generator, n)
    mu, lipschitz = A.constants.strong_monotonicity, A.constants.lipschitz
    return op05_graph_ratio(mu, lipschitz, x, y, A.forward(x), A.forward(y))


LEAST, LARGEST = Fraction(1, 3), Fraction(5)


def op05_extremal(mu: Any = LEAST, lipschitz: Any = LARGEST) -> float:
    """The quadratic with eigenvalues 1/3 and 5, on any pair: equality, exactly; here along (7, 2)."""
    d, u = (Fraction(7), Fraction(2)), (LEAST * 7, LARGEST * 2)
    products = [a[0] * b[0] + a[1] * b[1] for a, b in ((d, d), (u, d), (u, u))]
    return float(interpolation_ratio(mu, lipschitz, *products))


def op05_linear(M: np.ndarray, mu: float, lipschitz: float) -> float:
    """A linear operator against the claim, on (2, 1) - (0, 0)."""
    A, x = monops.Affine(M), np.array([2.0, 1.0])
    return op05_graph_ratio(mu, lipschitz, x, 0 * x, A.forward(x), A.forward(0 * x))


def op05_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """For the mu (0 when none) and L that the operator declares as a gradient."""
    constants = declared_gradient(operator, "lipschitz")
    x, y = pair(operator, generator)
    mu, lipschitz = float(constants.strong_monotonicity), float(constants.lipschitz)
    return op05_graph_ratio(mu, lipschitz, x, y, operator.forward(x), operator.forward(y))


OP05 = Theorem(
    "OP-05",
    "interpolation inequality of strongly convex smooth functions",
    "f mu-strongly convex, u - v = grad f(x) - grad f(y), grad f L-Lipschitz => "
    "(mu + L) <u - v, x - y> >= |u - v|^2 + mu L |x - y|^2",
    "Nesterov (2004), Introductory Lectures on Convex Optimization, Thm 2.1.12",
    ("f is mu-strongly convex", "A is a gradient", "A is L-Lipschitz"),
    ("Quadratic.gradient", "Huber", "LogCosh", "PseudoHuber", "Fair", "MoreauEnvelope.gradient", "Function.add_quadratic"),
    op05_sample,
    op05_extremal,
    (
        Counterexample(
            "f is mu-strongly convex",
            "eigenvalues 1/2 and 3 held against mu = 1, L = 3",
            lambda: op05_linear(np.diag([0.5, 3.0]), 1.0, 3.0),
        ),
        Counterexample(
            "A is a gradient",
            "1 + i sqrt(8), strongly monotone and Lipschitz with mu = 1 and L = 3: the ratio is L/mu",
            lambda: op05_linear(rotation_block(1.0, 3.0), 1.0, 3.0),
        ),
        Counterexample(
            "A is L-Lipschitz",
            "eigenvalues 1 and 6 held against mu = 1, L = 3",
            lambda: op05_linear(np.diag([1.0, 6.0]), 1.0, 3.0),
        ),
    ),
    (
        Mutant("right-hand side times 1.001", lambda: 1.001 * op05_extremal()),
        Mutant("mu 1 % larger", lambda: op05_extremal(LEAST * Fraction(101, 100))),
        Mutant("L 1 % smaller", lambda: op05_extremal(lipschitz=LARGEST * Fraction(99, 100))),
    ),
    on_operator=op05_on_operator,
    note="Equality on every pair of every quadratic whose eigenvalues are mu and L. It separates gradients from operators with "
    "the same mu and L, and is equivalent to OP-11 at the step 2/(mu + L). mu = 0 is Baillon-Haddad.",
)

# ---- OP-06 -----------------------------------------------------------------------------------------


def cycle_ratio(p: np.ndarray, u: np.ndarray, scale: float) -> float:
    """Sum <u_i, p_{i+1} - c> / sum <u_i, p_i - c>, c the mean: at most 1 on a cyclically monotone graph."""
    centred = p - p.mean(axis=0)
    return quotient(inner(u, np.roll(centred, -1, axis=0)), inner(u, centred), scale)


def polygon(n: int, angle: float) -> np.ndarray:
    """The regular n-gon whose vertices follow each other by the angle."""
    turns = angle * np.arange(n)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1)


def rotation_cycle(phi: float, n: int) -> float:
    """The rotation by phi on the regular n-gon run in its own sense, the worst cycle; n > 2."""
    A = monops.Affine(rotation_block(math.cos(phi), 1.0))
    p = polygon(n, 2 * math.pi / n)
    return cycle_ratio(p, np.array([A.forward(x) for x in p]), 1.0)


def op06_sample(generator: np.random.Generator) -> float:
    """A convex function through its prox, or a sum of scaled rotations by at most pi/n; on a random or the worst cycle."""
    n, cycle = int(generator.integers(1, 5)), int(generator.integers(3, 9))
    size, kind = float(10 ** generator.uniform(-1, 1)), int(generator.integers(4))
    if kind == 0:
        return rotation_cycle(math.pi / cycle * float(generator.choice([1.0, generator.uniform(0, 1)])), cycle)
    if kind > 1:
        A, step = monops.Subdifferential(convex_function(n, generator)), float(10 ** generator.uniform(-1, 1))
        x = size * generator.standard_normal((cycle, n))
        p = np.array([A.resolvent(point, step) for point in x])
        return cycle_ratio(p, (x - p) / step, (square(x) + square(p)) / step)
    angles = np.pi / cycle * np.append(generator.uniform(0, 1, n - 1), 1.0)
    M = block_diagonal([10 ** generator.uniform(-1, 1) * rotation_block(math.cos(phi), 1.0) for phi in angles], generator)
    p = size * generator.standard_normal((cycle, 2 * n))
    return cycle_ratio(p, np.array([monops.Affine(M).forward(x) for x in p]), 10 * square(p))


def op06_extremal() -> float:
    """Rotation by pi/4 (times sqrt 2) on the square, in integers: equality."""
    A = monops.Affine(np.array([[1.0, -1.0], [1.0, 1.0]]))
    p = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    return cycle_ratio(p, np.array([A.forward(x) for x in p]), 1.0)


def op06_on_operator(operator: Any, generator: np.random.Generator) -> float:
    """A regular polygon in a random or coordinate plane, or a random cycle, in the graph of a declared subdifferential."""
    declared_gradient(operator)
    step, cycle = float(10 ** generator.uniform(-1, 1)), int(generator.integers(3, 9))
    start, stop = pair(operator, generator)
    x = start + generator.standard_normal((cycle, *start.shape)) * norm2(stop - start)
    if generator.integers(3) and start.size > 1:
        plane = np.eye(start.size)[generator.permutation(start.size)[:2]]
        if generator.integers(2):
            plane = np.linalg.qr(generator.standard_normal((start.size, 2)))[0].T
        x = start + norm2(stop - start) * (polygon(cycle, 2 * math.pi / cycle) @ plane).reshape(cycle, *start.shape)
    p = x if operator.has_forward else np.array([operator.resolvent(point, step) for point in x])
    u = np.array([operator.forward(point) for point in x]) if operator.has_forward else (x - p) / step
    return cycle_ratio(p.reshape(cycle, -1), u.reshape(cycle, -1), norm2(p) * (norm2(u) + (norm2(x) + norm2(p)) / step))


OP06 = Theorem(
    "OP-06",
    "cyclic monotonicity of subdifferentials, and its sharp family",
    "A = df, f convex => sum_i <u_i, x_{i+1} - x_i> <= 0 on every cycle (and a maximal monotone A with this property for all "
    "cycles is a df); the plane rotation by phi in [0, pi/2] has it on cycles of n points if and only if phi <= pi/n",
    "Rockafellar (1966; 1970), Thm 24.8; Asplund (1970), A monotone convergence theorem for sequences of nonlinear mappings",
    ("A is a subdifferential", "phi <= pi/n"),
    ("Subdifferential.resolvent", "Affine.forward", "Quantile", "Max", "Simplex", "Function.tilt", "Function.translate"),
    op06_sample,
    op06_extremal,
    (
        Counterexample(
            "A is a subdifferential",
            "the rotation by pi/4 on the pentagon: strongly monotone, even 4-cyclically monotone",
            lambda: rotation_cycle(math.pi / 4, 5),
        ),
        Counterexample(
            "phi <= pi/n",
            "the rotation by 1.01 pi/3 on the triangle",
            lambda: rotation_cycle(1.01 * math.pi / 3, 3),
        ),
    ),
    (
        Mutant("phi <= pi/(n - 1)", lambda: rotation_cycle(math.pi / 5, 6)),
        Mutant("phi <= 1.001 pi/n", lambda: rotation_cycle(1.001 * math.pi / 3, 3)),
        Mutant("sum multiplied by 1.001", lambda: 1.001 * op06_extremal()),
    ),
    on_operator=op06_on_operator,
    note="The ratio compares sum <u_i, x_{i+1} - c> with sum <u_i, x_i - c>, c the mean of the points; on the rotation by phi "
    "and the regular n-gon it is cos(2 pi/n - phi)/cos(phi). The cycle form has the eigenvalues 2 sin(t/2) sin(t/2 - phi), "
    "t = 2 pi k/n.",
)

# ---- OP-07 -----------------------------------------------------------------------------------------

INCLUSION = 1e-6  # distance up to which x - p in N_C(p) + N_D(p) counts as verified
Disc = monops.functions.L2Ball


def monotonicity_ratio(M: np.ndarray, mu: float, x: np.ndarray) -> float:
    """Mu |x|^2 / <Mx, x>."""
    A = monops.Custom(forward=lambda z: M @ z)
    return quotient(mu * square(x), inner(A.forward(x), x), norm(M) * square(x))


def discs(half: float, angle: float) -> tuple[Disc, Disc]:
    """Two unit discs whose centres are 2 half apart, on both sides of the origin."""
    centre = half * np.array([math.cos(angle), math.sin(angle)])
    return Disc(1.0, -centre), Disc(1.0, centre)


def distance_to_sum(C: Disc, D: Disc, p: np.ndarray, x: np.ndarray) -> float:
    """Distance of x - p from N_C(p) + N_D(p); a ray from the centre is normal at p when the projection of its points is p."""
    rays = [p - disc.center for disc in (C, D)]
    normal = [
        ray
        for disc, ray in zip((C, D), rays, strict=True)
        if norm2(monops.NormalCone(disc).resolvent(p + ray, 1.0) - p) < INCLUSION
    ]
    return float(nnls(np.array(normal).T, x - p)[1]) if normal else norm2(x - p)


def norm2(x: np.ndarray) -> float:
    """|x|."""
    return math.sqrt(square(x))


def op07_sample(generator: np.random.Generator) -> float:
    """A matrix and its least eigenvalue, its resolvent equation; or x in (I + N_C + N_D)(p) for overlapping discs, solved by
    Douglas-Rachford and verified on the cones.
    """
    if generator.integers(4):
        M, _, _ = lipschitz_member(generator)
        A, x = monops.Affine(M), generator.standard_normal(len(M))
        least = np.linalg.eigh((M + M.T) / 2)[1][:, 0]
        p = A.resolvent(x, 1.0)
        unsolved = norm2(p + A.forward(p) - x) / (1e-10 * (norm2(p) + norm2(A.forward(p)) + norm2(x)))
        return max(monotonicity_ratio(M, float(A.constants.strong_monotonicity), least), unsolved)
    C, D = discs(float(generator.uniform(0.2, 0.9)), float(generator.uniform(0, 2 * math.pi)))
    x = 2 * generator.standard_normal(2)
    problem = monops.NormalCone(C) + D.add_quadratic(1.0).tilt(-x)
    p = monops.solve(problem, monops.DouglasRachford(), x0=x, tol=1e-9, max_iter=5000).require().x
    return distance_to_sum(C, D, p, x) / INCLUSION


SHEAR = np.array([[1.0, -1.0], [1.0, 3.0]])


def op07_extremal() -> float:
    """[[1, -1], [1, 3]] has mu = 1, attained at (1, 0)."""
    return monotonicity_ratio(SHEAR, float(monops.Affine(SHEAR).constants.strong_monotonicity), np.array([1.0, 0.0]))


def touching() -> float:
    """Unit discs that touch at 0, x = (0, 1): p = 0 is the only candidate, and x - p is 1 away from N_C(p) + N_D(p)."""
    C, D = discs(1.0, 0.0)
    return distance_to_sum(C, D, np.zeros(2), np.array([0.0, 1.0])) / INCLUSION


OP07 = Theorem(
    "OP-07",
    "maximal monotone matrices and sums",
    "a matrix A is maximal monotone <=> A + A' >= 0, and then <Ax, x> >= mu |x|^2 with mu the least eigenvalue of (A + A')/2; "
    "A, B maximal monotone, int dom A meets dom B => A + B maximal monotone: x in p + Ap + Bp has a solution p for every x",
    "Rockafellar (1970), On the maximality of sums of nonlinear monotone operators, Thm 1; Minty (1962)",
    ("A + A' >= 0", "int dom A meets dom B"),
    ("Affine.constants", "Affine.resolvent", "NormalCone.resolvent", "L2Ball", "DouglasRachford", "solve"),
    op07_sample,
    op07_extremal,
    (
        Counterexample(
            "A + A' >= 0",
            "[[1, -3], [0, 1]], with both eigenvalues 1, which Affine refuses: <Ax, x> = -1 at (1, 1), below mu = 0",
            lambda: monotonicity_ratio(np.array([[1.0, -3.0], [0.0, 1.0]]), 0.0, np.array([1.0, 1.0])),
        ),
        Counterexample(
            "int dom A meets dom B",
            "normal cones of two discs that touch at 0: N_C(0) + N_D(0) is a line, and x = (0, 1) is not reached",
            touching,
        ),
    ),
    (
        Mutant("mu times 1.001", lambda: 1.001 * op07_extremal()),
        Mutant(
            "mu the least singular value",
            lambda: monotonicity_ratio(SHEAR, float(np.linalg.svd(SHEAR)[1][-1]), np.array([1.0, 0.0])),
        ),
    ),
    note="The sum of monotone operators is monotone without any condition; what the touching discs lose is maximality. There 0 "
    "minimises |p - x|^2/2 over C and D together, and no multipliers exist: Douglas-Rachford has no fixed point.",
)

THEOREMS = (OP04, OP05, OP06, OP07)
