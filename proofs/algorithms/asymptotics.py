"""Theorems on what iterations tend to: the drift of a problem without solution, and angles of subspaces, AL-22 and AL-23."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from proofs.algorithms.instances import iterates, terms_of
from proofs.algorithms.linear_iterations import squared, step_matrix
from proofs.generators import orthogonal
from proofs.ratios import farthest, safe_ratio
from proofs.theorem import Counterexample, Mutant, Theorem

# ---- AL-22 -----------------------------------------------------------------------------------------


def drift_ratio(
    problem: Any,
    method: Any,
    start: np.ndarray,
    z: np.ndarray,
    v: np.ndarray,
    count: int,
    a: float | None = None,
    **changes: Any,
) -> float:
    """max over k of (|x_k + kv - z|^2 + (1 - a)/a sum |x_j - x_{j+1} - v|^2)/|x_0 - z|^2, where z - Tz = v."""
    a = float(method.averagedness(terms_of(problem, method, **changes))) if a is None else a
    points = iterates(problem, method, start, count, **changes)
    total, worst = 0.0, 0.0
    for k, x in enumerate(points):
        worst = max(worst, safe_ratio(squared(x + k * v - z) + (1 - a) / a * total, squared(start - z), 1 + squared(z)))
        if k < count:
            total += squared(x - points[k + 1] - v)
    return worst


def disjoint(generator: np.random.Generator) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Two disjoint convex sets with their closest points c and d: balls, half spaces or boxes, in R^3."""
    direction = generator.standard_normal(3)
    direction /= np.linalg.norm(direction)
    gap, first, second = (float(generator.uniform(0.2, 3.0)) for _ in range(3))
    centre = generator.standard_normal(3)
    kind = int(generator.integers(3))
    if kind == 0:
        c, d = centre + first * direction, centre + (first + gap) * direction
        return ball(centre, first), ball(d + second * direction, second), c, d
    if kind == 1:
        c = centre - (centre @ direction) * direction
        near, far = monops.HalfSpace(direction, 0.0), monops.HalfSpace(-direction, -gap)
        return near, far, c, c + gap * direction
    low = monops.Box(centre - first, centre)
    high = monops.Box(centre + gap, centre + gap + second)
    return low, high, centre, centre + gap


def ball(centre: np.ndarray, r: float) -> Any:
    """The closed ball."""
    return monops.L2Ball(r).translate(centre)


def al22_sample(generator: np.random.Generator) -> float:
    """The inequality along 12 steps of Douglas-Rachford for disjoint sets: v = relaxation (d - c) and z = d."""
    C, D, c, d = disjoint(generator)
    relaxation = float(generator.uniform(0.3, 1.9))
    method = monops.DouglasRachford(step_size=1.0, relaxation=relaxation)
    start = 5 * generator.standard_normal(3)
    return drift_ratio(C + D, method, start, d, relaxation * (d - c), 12)


def line_and_plane(relaxation: float = 1.5, scale: float = 1.0, **claim: Any) -> float:
    """C = {x_2 = x_3 = 0}, D = {x_2 = 1} in R^3: T is a translation along x_2, the identity along x_1, -1/2 along x_3."""
    C = monops.AffineSet(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.zeros(2))
    D = monops.AffineSet(np.array([[0.0, 1.0, 0.0]]), np.ones(1))
    v = scale * np.array([0.0, 1.0, 0.0])
    method = monops.DouglasRachford(step_size=1.0, relaxation=1.5)
    z = np.array([0.0, 1.0, 0.0])
    return drift_ratio(C + D, method, np.array([1.0, 1.0, 2.0]), z, v, 10, relaxation=relaxation, **claim)


def al22_extremal() -> float:
    """The inequality is an equality at every k; v = relaxation times the gap vector, 3/2 (0, 1, 0)."""
    return line_and_plane(scale=1.5)


def no_minimiser() -> float:
    """Gradient steps on exp(-x) from 0: v = 0 is not attained, and the points leave every z; here z = 1."""
    constants = monops.Constants(0.0, lipschitz=1.0, cocoercivity=1.0)
    B = monops.Custom(forward=lambda x: -np.exp(-x), constants=constants)
    method = monops.ForwardStep(step_size=1.0)
    return drift_ratio(B, method, np.zeros(1), np.ones(1), np.zeros(1), 12)


def another_displacement() -> float:
    """Gradient steps on x^2/2 of length 1/2 from 0, which never move, held against the drift 1/2 of the point 1."""
    method = monops.ForwardStep(step_size=0.5)
    return drift_ratio(monops.SquaredL2(), method, np.zeros(1), np.ones(1), np.full(1, 0.5), 12)


AL22 = Theorem(
    "AL-22",
    "problems without solution: the iterates drift by the minimal displacement",
    "T a-averaged, v the element of least norm in the closure of ran(I - T), z - Tz = v for some z, x_{k+1} = Tx_k => "
    "|x_k + kv - z|^2 + (1 - a)/a sum over j < k of |x_j - x_{j+1} - v|^2 <= |x_0 - z|^2 for every k; so x_k - x_{k+1} tends "
    "to v, and |(x_0 - x_k)/k - v| <= 2|x_0 - z|/k. For Douglas-Rachford with relaxation t on sets with closest points c and "
    "d, C by the second resolvent: v = t(d - c), z = d",
    "Pazy (1971); Bauschke, Hare and Moursi (2014); Bauschke and Moursi (2017)",
    ("T is a-averaged with a < 1", "z - Tz = v for some z", "v is the element of least norm"),
    (
        "DouglasRachford.step",
        "DouglasRachford.averagedness",
        "ForwardStep.averagedness",
        "L2Ball",
        "HalfSpace",
        "Box",
        "AffineSet",
        "Function.translate",
    ),
    al22_sample,
    al22_extremal,
    (
        Counterexample(
            "T is a-averaged with a < 1",
            "relaxation 2 on a line and a plane, held against a = 3/4: one coordinate changes its sign for ever",
            lambda: line_and_plane(relaxation=2.0, scale=2.0, a=0.75),
        ),
        Counterexample("z - Tz = v for some z", "gradient steps on exp(-x), v = 0: log k exceeds every bound", no_minimiser),
        Counterexample("v is the element of least norm", "T = x/2, z = 1, v = z - Tz = 1/2, from 0", another_displacement),
    ),
    (
        Mutant("claim times 0.999", lambda: al22_extremal() / 0.999),
        Mutant("v without the relaxation", lambda: line_and_plane(scale=1.0)),
        Mutant("v of the other sign", lambda: line_and_plane(scale=-1.5)),
    ),
    note="Attained, at every k at once, by an affine pair. Where v is not attained the mean (x_0 - x_k)/k still tends to it "
    "(Pazy), without a rate. This is what monops.solve reads its Inconsistency from; the displacement there is -v, the "
    "mean step.",
)

# ---- AL-23 -----------------------------------------------------------------------------------------


ROUNDING = 1e-13  # of a power of a nonexpansive matrix


def projector(basis: np.ndarray) -> np.ndarray:
    """The orthogonal projection on the span of orthonormal columns."""
    return np.asarray(basis @ basis.T)


def subspace(basis: np.ndarray) -> Any:
    """The span of orthonormal columns as a set of monops."""
    rest = np.linalg.svd(basis, full_matrices=True)[0][:, basis.shape[1] :].T
    return monops.AffineSet(rest, np.zeros(len(rest)))


def friedrichs(first: np.ndarray, second: np.ndarray, index: int = 0) -> float:
    """The largest cosine below 1 of the principal angles, 0 where there is none; ``index`` 1 the next."""
    cosines = np.linalg.svd(first.T @ second, compute_uv=False)
    return float([*(c for c in cosines if c < 1 - 1e-9), 0.0, 0.0][index])


def fixed_projector(matrix: np.ndarray) -> np.ndarray:
    """The projection on the fixed points of a nonexpansive matrix."""
    _, singular, rows = np.linalg.svd(matrix - np.eye(len(matrix)))
    return projector(rows[singular < 1e-9].T)


def reflection_ratio(first: np.ndarray, second: np.ndarray, relaxation: float, power: int, index: int = 0) -> float:
    """|T^k - P_Fix| over (1 - t(2 - t) sin^2)^(k/2) for Douglas-Rachford."""
    method = monops.DouglasRachford(step_size=1.0, relaxation=relaxation)
    T = step_matrix(method, method.match(subspace(first) + subspace(second)), np.zeros(len(first)))
    claim = (1 - relaxation * (2 - relaxation) * (1 - friedrichs(first, second, index) ** 2)) ** (power / 2)
    return safe_ratio(power_norm(T, power), claim)


def alternating_ratio(first: np.ndarray, second: np.ndarray, power: int) -> float:
    """|T^k - P_Fix| over cos^(2k - 1) for T = P_U P_V, a forward-backward step with half the squared distance from V."""
    method = monops.ForwardBackward(step_size=1.0)
    problem = monops.SquaredDistance(subspace(second)) + subspace(first)
    T = step_matrix(method, method.match(problem), np.zeros(len(first)))
    common = fixed_projector(projector(first) @ projector(second))
    observed = float(np.linalg.norm(np.linalg.matrix_power(T, power) - common, 2))
    return safe_ratio(max(0.0, observed - ROUNDING), friedrichs(first, second) ** (2 * power - 1))


def power_norm(T: np.ndarray, power: int) -> float:
    """|T^k - P_Fix|."""
    return max(0.0, float(np.linalg.norm(np.linalg.matrix_power(T, power) - fixed_projector(T), 2)) - ROUNDING)


def two_subspaces(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal bases of two subspaces of R^5, with nothing, a line or all of the smaller one in common."""
    Q = orthogonal(5, generator)
    count = int(generator.integers(0, 3))
    bases = []
    for size in (2, 3):
        extra = generator.standard_normal((5, size - count))
        bases.append(np.linalg.qr(np.column_stack([Q[:, :count], extra]))[0])
    return bases[0], bases[1]


def al23_sample(generator: np.random.Generator) -> float:
    """Both norms, for a random power and relaxation."""
    first, second = two_subspaces(generator)
    power = int(generator.integers(1, 5))
    relaxation = float(generator.uniform(0.2, 1.8))
    return max(reflection_ratio(first, second, relaxation, power), alternating_ratio(first, second, power))


def lines(cosine: float) -> tuple[np.ndarray, np.ndarray]:
    """Two lines in the plane."""
    return np.array([[1.0], [0.0]]), np.array([[cosine], [np.sqrt(1 - cosine**2)]])


def al23_extremal() -> float:
    """Two lines with cos = 3/5: the least of three ratios that are all 1."""
    pair = lines(0.6)
    return farthest(reflection_ratio(*pair, 1.0, 3), reflection_ratio(*pair, 1.5, 2), alternating_ratio(*pair, 3))


def tangent_ratio() -> float:
    """Alternating projections on a disc and its tangent: distance of step 20 over that of step 10, held against cos = 0.95.

    Any cos < 1 fails in the end.
    """
    tangent = monops.AffineSet(np.array([[0.0, 1.0]]), np.zeros(1))
    problem = monops.SquaredDistance(tangent) + ball(np.array([0.0, 1.0]), 1.0)
    points = iterates(problem, monops.ForwardBackward(step_size=1.0), np.array([0.5, 0.0]), 20)
    return abs(float(points[20][0])) / abs(float(points[10][0])) / 0.95**20


AL23 = Theorem(
    "AL-23",
    "two subspaces: the Friedrichs angle is the rate",
    "U, V subspaces, theta the least positive principal angle between them, a right one where there is none. "
    "Douglas-Rachford with relaxation t in (0, 2): "
    "|T^k - P_Fix T| = (1 - t(2 - t) sin^2 theta)^(k/2), so that t = 1 is best, cos^k theta. Alternating projections: "
    "|(P_U P_V)^k - P| = cos^(2k - 1) theta, P the projection on U cap V",
    "Bauschke, Bello Cruz, Nghia, Phan and Wang (2014), The rate of linear convergence of the Douglas-Rachford algorithm for "
    "subspaces is the cosine of the Friedrichs angle; Kayalar and Weinert (1988)",
    ("U and V are subspaces",),
    ("DouglasRachford.step", "ForwardBackward.step", "SquaredDistance.gradient", "AffineSet.prox", "L2Ball"),
    al23_sample,
    al23_extremal,
    (Counterexample("U and V are subspaces", "a disc and its tangent, alternating projections: sublinear", tangent_ratio),),
    (
        Mutant("claim times 0.999", lambda: al23_extremal() / 0.999),
        Mutant("cos^2 theta for cos theta", lambda: reflection_ratio(*lines(0.6), 1.0, 1) / 0.6),
        Mutant("the second angle for the least", lambda: second_angle()),
        Mutant("cos^(2k) for cos^(2k - 1)", lambda: alternating_ratio(*lines(0.6), 2) / 0.6),
    ),
    note="Equalities, for every pair of subspaces. For polyhedral sets the rate is reached once the active faces are found; "
    "that is local and not checked here. The case t = 1 is the cited one, t in (0, 2) follows from the 2 x 2 blocks.",
)


def second_angle() -> float:
    """Two planes of R^4 with principal angles of cosines 4/5 and 3/5, against the second."""
    first = np.eye(4)[:, :2]
    second = np.array([[0.8, 0.0], [0.0, 0.6], [0.6, 0.0], [0.0, 0.8]])
    return reflection_ratio(first, second, 1.0, 1, index=1)


THEOREMS = (AL22, AL23)
