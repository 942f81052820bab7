"""Cones, polyhedra, intersections and transport polytopes beyond what the walk sees: closed forms, equivalences, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from monops import arrays, errors
from monops.functions import (
    AffineSet,
    Birkhoff,
    Box,
    DualCone,
    DualExponentialCone,
    DualPowerCone,
    EpigraphL2,
    ExponentialCone,
    Function,
    HalfSpace,
    Hyperplane,
    Intersection,
    L1Norm,
    L2Ball,
    NonNegative,
    PolarCone,
    Polyhedron,
    PowerCone,
    RotatedSecondOrderCone,
    SecondOrderCone,
    Simplex,
    TransportPolytope,
)
from monops.functions.cones.cones import Cone

RNG = np.random.default_rng(0)
CONES: tuple[tuple[Cone, int], ...] = (
    (SecondOrderCone(), 4),
    (RotatedSecondOrderCone(), 5),
    (ExponentialCone(), 3),
    (DualExponentialCone(), 3),
    (PowerCone(0.5), 3),
    (PowerCone(0.03), 3),
    (DualPowerCone(0.9), 3),
)
every_cone = pytest.mark.parametrize(("cone", "size"), CONES, ids=[cone.value_formula("x") for cone, _ in CONES])


def points(n: int, kind: str, count: int = 3000) -> np.ndarray:
    """Random points: normal, or with entries of very different size."""
    x = np.random.default_rng(5).standard_normal((count, n))
    if kind == "wild":
        return np.sign(x) * 10.0 ** np.random.default_rng(6).uniform(-12, 12, x.shape)
    if kind == "huge":
        return np.sign(x) * 10.0 ** np.random.default_rng(7).uniform(-150, 150, x.shape)
    return x


@every_cone
@pytest.mark.parametrize("kind", ["normal", "wild", "huge"])
def test_the_decomposition_of_moreau_holds_to_rounding(cone: Cone, size: int, kind: str) -> None:
    """x = p + u with p in the cone, u in the polar and <p, u> = 0 characterises the projection."""
    x = points(size, kind)
    rows = cone.batched(1)
    p, u = rows.decompose(x)
    largest = np.max(np.abs(x), axis=-1, keepdims=True)
    assert np.max(np.abs((p + u - x) / largest)) < 1e-14
    assert np.max(np.abs(np.sum((p / largest) * (u / largest), axis=-1))) < 1e-14
    assert np.all(rows(p) == 0)
    assert np.all(rows.dual().batched(1)(-u) == 0)


@every_cone
def test_scaling_a_point_scales_its_projection(cone: Cone, size: int) -> None:
    x = points(size, "normal", 50)
    p = cone.batched(1).prox(x)
    for factor in (2.0**-300, 2.0**300):
        np.testing.assert_allclose(cone.batched(1).prox(factor * x) / factor, p, rtol=1e-12, atol=1e-13)


@every_cone
def test_points_of_the_cone_stay_and_points_off_it_have_value_infinity(cone: Cone, size: int) -> None:
    x = points(size, "normal", 500)
    p = cone.batched(1).prox(x)
    moved = np.max(np.abs(p - x), axis=-1) > 1e-9
    assert 50 < np.sum(moved) < 500
    np.testing.assert_array_equal(cone.batched(1)(x) == 0, ~moved)
    np.testing.assert_array_equal(cone.batched(1)(p + 1e-6 * (x - p))[moved], np.inf)
    np.testing.assert_array_equal(p[~moved], x[~moved])
    interior = (p[:-1] + p[1:]) / 2.0  # a cone is convex
    np.testing.assert_allclose(cone.batched(1).prox(interior), interior, rtol=1e-12, atol=1e-15)


@every_cone
def test_the_dual_of_the_dual_and_the_wrappers_agree(cone: Cone, size: int) -> None:
    x = points(size, "normal", 200)
    p = cone.batched(1).prox(x)
    np.testing.assert_allclose(cone.dual().dual().batched(1).prox(x), p, atol=1e-13)
    np.testing.assert_allclose(PolarCone(cone).batched(1).prox(x), x - p, atol=1e-13)
    np.testing.assert_allclose(DualCone(cone).batched(1).prox(x), cone.dual().batched(1).prox(x), atol=1e-13)
    np.testing.assert_allclose(PolarCone(PolarCone(cone)).batched(1).prox(x), p, atol=1e-13)
    np.testing.assert_array_equal(DualCone(cone).batched(1)(x), cone.dual().batched(1)(x))
    assert type(cone.conjugate()) is PolarCone
    assert cone.conjugate().conjugate() is cone


@every_cone
def test_every_index_before_the_last_axis_is_a_cone_of_its_own(cone: Cone, size: int) -> None:
    x = points(size, "normal", 6).reshape(2, 3, size)
    p = cone.prox(x)
    for i in range(2):
        for j in range(3):
            np.testing.assert_allclose(p[i, j], cone.prox(x[i, j]), atol=1e-14)
    assert float(cone(p)) == 0
    assert float(cone(x)) == np.inf
    assert cone.batched(1)(p).shape == (2,)


@every_cone
def test_the_derivative_is_the_difference_on_many_points(cone: Cone, size: int) -> None:
    x, h = points(size, "normal", 300), np.random.default_rng(9).standard_normal((300, size))
    rows = cone.batched(1)
    numeric = (rows.prox(x + 1e-6 * h) - rows.prox(x - 1e-6 * h)) / 2e-6
    assert np.quantile(np.max(np.abs(rows.prox_derivative(x).apply(h) - numeric), axis=-1), 0.97) < 1e-6


def test_second_order_cone_is_the_epigraph_of_the_norm() -> None:
    x = points(5, "normal", 40)
    together = EpigraphL2().batched(1).prox(arrays.Blocks((x[:, 1:], x[:, :1])))
    np.testing.assert_allclose(SecondOrderCone().prox(x), np.concatenate([together[1], together[0]], axis=1), atol=1e-14)
    np.testing.assert_array_equal(SecondOrderCone().prox(np.array([-2.0])), [0.0])  # without a tail: the half-line
    np.testing.assert_array_equal(SecondOrderCone().prox(np.array([2.0])), [2.0])


def test_power_cone_with_one_half_is_a_rotated_second_order_cone() -> None:
    """x y >= z^2 is 2 x y >= (sqrt(2) z)^2: equal membership; the projections differ by the scaling, the cones do not."""
    x = points(3, "normal", 500)
    scaled = x * np.array([1.0, 1.0, 2.0**0.5])
    np.testing.assert_array_equal(PowerCone(0.5).batched(1)(x), RotatedSecondOrderCone().batched(1)(scaled))


def test_faces_of_the_exponential_cone() -> None:
    f = ExponentialCone()
    np.testing.assert_array_equal(f.prox(np.array([-2.0, -1.0, 3.0])), [-2.0, 0.0, 3.0])
    np.testing.assert_array_equal(f.prox(np.array([-2.0, -1.0, -3.0])), [-2.0, 0.0, 0.0])
    assert float(f(np.array([-1.0, 0.0, 1.0]))) == 0
    assert float(f(np.array([1.0, 0.0, 1.0]))) == np.inf
    np.testing.assert_allclose(f.prox(np.array([0.0, 1.0, 1.0])), [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(f.prox_derivative(np.array([-2.0, -1.0, 3.0])).apply(np.ones(3)), [1.0, 0.0, 1.0])
    for x in points(3, "normal", 30):  # optimality on the boundary y exp(x/y) = z
        p = f.prox(x)
        if p[1] > 0 and np.any(p != x):
            np.testing.assert_allclose(p[1] * np.exp(p[0] / p[1]), p[2], rtol=1e-12)


def test_power_cone_derivative_on_the_plane_z_equal_zero_is_the_limit() -> None:
    for alpha in (0.3, 0.5, 0.8):
        x, e = np.array([1.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])
        limit = PowerCone(alpha).prox_derivative(np.array([1.0, -1.0, 1e-13])).apply(e)
        np.testing.assert_allclose(PowerCone(alpha).prox_derivative(x).apply(e), limit, atol=2e-3 if alpha < 0.6 else 0.02)


def test_polar_and_dual_of_other_sets() -> None:
    x = points(4, "normal", 20)
    subspace = AffineSet(np.array([[1.0, 1.0, 0.0, 0.0]]), np.zeros(1))
    np.testing.assert_allclose(PolarCone(subspace).batched(1).prox(x), x - subspace.batched(1).prox(x))
    np.testing.assert_allclose(DualCone(NonNegative()).prox(x), np.maximum(x, 0.0))
    for sign, inside in ((1.0, 0.0), (-1.0, np.inf)):
        assert float(DualCone(NonNegative())(sign * np.abs(x))) == inside
    assert float(PolarCone(NonNegative())(-np.abs(x))) == 0
    assert float(PolarCone(NonNegative())(np.abs(x))) == np.inf


@pytest.mark.parametrize("wrapper", [PolarCone, DualCone])
def test_what_is_no_cone_is_refused(wrapper: Any) -> None:
    with pytest.raises(errors.DataError, match="indicator of a closed convex cone"):
        wrapper(L1Norm())
    with pytest.raises(errors.DataError, match="is not a cone"):
        wrapper(L2Ball(1.0)).prox(np.array([3.0, -3.0]))


def test_shapes_and_exponents_are_refused() -> None:
    with pytest.raises(errors.ShapeError, match="last axis must have length 3"):
        ExponentialCone().prox(np.ones(4))
    with pytest.raises(errors.ShapeError, match="at least 2 entries"):
        RotatedSecondOrderCone().prox(np.ones(1))
    with pytest.raises(errors.ShapeError, match="no axis behind the batch axes"):
        SecondOrderCone(batch_ndim=1).prox(np.ones(3))
    for alpha in (0.0, 1.0, -0.5, float("nan")):
        with pytest.raises(errors.DataError, match="strictly between 0 and 1"):
            PowerCone(alpha)


# ---- polyhedra ---------------------------------------------------------------------------------------


def optimality(f: Polyhedron, x: np.ndarray) -> float:
    """Largest violation of the conditions of Karush, Kuhn and Tucker at the projection, with the multipliers found."""
    face = f._system.project(x)
    A, p, y = f._system.rows, face.point, face.multipliers
    level = A @ p
    low, high = f._system.lower, f._system.upper
    slack = np.where(y > 0, high - level, np.where(y < 0, level - low, 0.0))
    outside = np.maximum(np.maximum(level - high, low - level), 0.0)
    fixed = low == high
    return float(max(np.abs(x - p - A.T @ y).max(), np.abs(slack[~fixed]).max(initial=0.0), outside.max()))


@pytest.mark.parametrize("seed", range(12))
def test_polyhedron_satisfies_the_optimality_conditions_to_rounding(seed: int) -> None:
    """Random, degenerate (rows repeated, small integers), with equalities and one-sided rows."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    A = rng.integers(-2, 3, (20, n)).astype(float) if seed % 2 else rng.standard_normal((20, n))
    A[3] = A[4]
    inner = rng.standard_normal(n)
    lower = A @ inner - rng.integers(0, 2, 20) * rng.random(20)
    upper = A @ inner + rng.random(20)
    upper[:1] = lower[:1] = A[:1] @ inner
    lower[10:] = -np.inf
    f = Polyhedron(A, lower, upper)
    for scale in (1.0, 100.0):
        x = scale * rng.standard_normal(n)
        assert optimality(f, x) < 1e-11 * scale
        found = f.prox_certified(x)
        assert found.converged
        assert float(f(found.point)) == 0


@pytest.mark.parametrize("start", ["nothing", "violated"])
def test_polyhedron_finds_the_face_from_a_wrong_guess(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the Newton steps name a wrong face, changes of the face or nonnegative least squares still find the right one."""
    from monops.functions.sets.polyhedron import System

    def guess(system: Any, w: np.ndarray, scale: float) -> np.ndarray:
        return np.zeros(len(system.free)) if start == "nothing" else system._violation(w)

    rng = np.random.default_rng(4)
    A = np.concatenate([rng.integers(-1, 2, (30, 4)), np.ones((2, 4))]).astype(float)
    f = Polyhedron(A, -1.0, 0.5)
    monkeypatch.setattr(System, "_augmented", guess)
    for _ in range(50):
        x = 5.0 * rng.standard_normal(4)
        assert optimality(f, x) < 1e-11


def test_polyhedron_equals_the_sets_that_it_contains() -> None:
    x = points(5, "normal", 10)
    a = np.array([1.0, -2.0, 0.5, 0.0, 1.0])
    cases: tuple[tuple[Polyhedron, Function], ...] = (
        (Polyhedron(np.eye(5), -0.3, 0.4), Box(-0.3, 0.4)),
        (Polyhedron(a[None], -np.inf, 0.2), HalfSpace(a, 0.2)),
        (Polyhedron(np.concatenate([np.eye(5), np.ones((1, 5))]), np.r_[np.zeros(5), 1.0], np.r_[np.ones(5), 1.0]), Simplex()),
    )
    for polyhedron, other in cases:
        np.testing.assert_allclose(polyhedron.batched(1).prox(x), other.batched(1).prox(x), atol=1e-12)


def test_polyhedron_error_bound_covers_the_error() -> None:
    A = RNG.standard_normal((8, 4))
    f = Polyhedron(A, -1.0, 0.5)
    x = 3 * RNG.standard_normal((20, 4))
    found = f.batched(1).prox_certified(x)
    exact = Intersection(tuple(HalfSpace(s * row, b) for row in A for s, b in ((1.0, 0.5), (-1.0, 1.0)))).batched(1)
    other = exact.prox_certified(x, tolerance=1e-9)
    distance = np.linalg.norm(found.point - other.point, axis=1)
    assert np.all(distance <= found.error_bound + other.error_bound)
    assert np.all(distance < 1e-6)


def test_empty_polyhedra_and_bad_bounds_are_refused() -> None:
    rows = np.array([[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(errors.DataError, match="the set is empty"):
        Polyhedron(rows, np.array([2.0, -np.inf]), np.array([np.inf, 1.0]))
    with pytest.raises(errors.DataError, match="contradict each other"):
        Polyhedron(rows, np.array([2.0, 1.0]), np.array([2.0, 1.0]))
    with pytest.raises(errors.DataError, match="a row of A is 0"):
        Polyhedron(np.zeros((1, 2)), 1.0, 2.0)
    with pytest.raises(errors.DataError, match="lower exceeds upper"):
        Polyhedron(rows, 1.0, 0.0)
    with pytest.raises(errors.ShapeError, match="lower has shape"):
        Polyhedron(rows, np.zeros(3), 1.0)
    with pytest.raises(errors.ShapeError, match="a point has 2 entries"):
        Polyhedron(rows, 0.0, 1.0).prox(np.ones(3))


# ---- intersections -----------------------------------------------------------------------------------


def test_intersection_equals_closed_forms() -> None:
    x = points(6, "normal", 8) * np.array([1.0, 10.0, 1e3, 1e5, 1.0, 1.0, 0.1, 1.0])[:, None]
    f = Intersection((NonNegative(), Hyperplane(np.ones(6), 1.0)), tolerance=1e-12).batched(1)
    np.testing.assert_allclose(f.prox(x), Simplex().batched(1).prox(x), atol=1e-9)
    ball = Intersection((L2Ball(1.0), NonNegative()), tolerance=1e-12).batched(1)
    positive = np.maximum(x, 0.0)
    size = np.linalg.norm(positive, axis=1, keepdims=True)
    np.testing.assert_allclose(ball.prox(x), positive / np.maximum(size, 1.0), atol=1e-9)
    np.testing.assert_allclose(Intersection((L2Ball(1.0),)).batched(1).prox(x), L2Ball(1.0).batched(1).prox(x), atol=1e-12)


def test_intersection_without_newton_steps_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from monops.functions.sets import intersections

    x = points(6, "normal", 4)
    f = Intersection((Box(0.0, 1.0), HalfSpace(np.arange(6.0), 1.0), L2Ball(0.8)), tolerance=1e-9).batched(1)
    fast = f.prox_certified(x)
    monkeypatch.setattr(intersections, "DENSE", 0)
    slow = f.prox_certified(x)
    assert fast.iterations < slow.iterations
    np.testing.assert_allclose(fast.point, slow.point, atol=1e-6)
    assert np.all(np.linalg.norm(fast.point - slow.point, axis=1) <= fast.error_bound + slow.error_bound + 1e-12)


@pytest.mark.parametrize("gap", [1.0, 1e-3])
def test_empty_intersections_are_refused(gap: float) -> None:
    with pytest.raises(errors.DataError, match="apart: the intersection is empty"):
        Intersection((Box(0.0, 1.0), HalfSpace(np.ones(3), -gap))).prox(np.array([1.0, 2.0, -3.0]))


def test_touching_sets_are_not_called_empty() -> None:
    normal = np.ones(3) / 3**0.5
    point = Intersection((L2Ball(1.0), HalfSpace(-normal, -1.0))).prox(np.array([1.0, 2.0, -3.0]))
    np.testing.assert_allclose(point, normal, atol=1e-2)


def test_sets_that_meet_far_away_are_not_called_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines x2 = 0 and x1 = 100 (1 - x2) meet at (100, 0) only."""
    from monops.functions.sets import intersections

    lines = Intersection((Hyperplane(np.array([0.0, 1.0]), 0.0), Hyperplane(np.array([1e-2, 1.0]), 1.0)))
    np.testing.assert_allclose(lines.prox(np.array([0.0, 3.0])), [1e2, 0.0], rtol=1e-6, atol=1e-9)
    monkeypatch.setattr(intersections, "DENSE", 0)  # without Newton steps the multipliers grow for a long time
    np.testing.assert_allclose(lines.prox(np.array([0.0, 3.0])), [1e2, 0.0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scale", [1e2, 1e5, 1e8])
def test_far_points_are_projected_on_an_intersection(scale: float) -> None:
    normal = np.array([1.0, 2.0, -1.0, 0.5, 1.0])
    f = Intersection((Box(-0.5, 1.0), HalfSpace(normal, 0.3), Hyperplane(np.ones(5), 1.0)))
    exact = Polyhedron(np.stack([*np.eye(5), normal, np.ones(5)]), np.r_[[-0.5] * 5, -np.inf, 1.0], np.r_[[1.0] * 5, 0.3, 1.0])
    for seed in range(3):
        x = scale * np.random.default_rng(seed).standard_normal(5)
        found = f.prox_certified(x)
        assert found.converged
        assert found.iterations < 3000
        np.testing.assert_allclose(found.point, exact.prox(x), atol=1e-5 + 1e-11 * scale)


def test_intersection_refuses_what_is_no_set() -> None:
    with pytest.raises(errors.DataError, match="L1Norm is not the indicator"):
        Intersection((L1Norm(), NonNegative()))
    with pytest.raises(errors.DataError, match="at least one set"):
        Intersection(())
    with pytest.raises(errors.ShapeError, match="Blocks"):
        Intersection((NonNegative(),)).prox(arrays.Blocks((np.ones(2), np.ones(2))))


def test_an_intersection_that_is_stopped_early_warns_with_its_error() -> None:
    f = Intersection((L2Ball(1.0), HalfSpace(np.array([1.0, 0.2, 0.0]), 0.1), NonNegative()), max_iter=2)
    with pytest.warns(errors.InexactProxWarning, match="certified error"):
        f.prox(np.array([3.0, 2.0, 1.0]))


# ---- transport ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_transport_projection_satisfies_its_optimality_conditions(seed: int) -> None:
    """P = max(X + u + v, 0) with the right sums: here u and v are recovered from the positive entries."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(2, 12)), int(rng.integers(2, 12))
    r, c = rng.random(m), rng.random(n)
    c *= r.sum() / c.sum()
    f, x = TransportPolytope(r, c), rng.standard_normal((m, n)) * 10.0 ** (seed - 3)
    found = f.prox_certified(x)
    p = found.point
    assert found.converged
    assert float(f(p)) == 0
    i, j = np.nonzero(p > 1e-14)
    system = np.zeros((len(i), m + n))
    system[np.arange(len(i)), i], system[np.arange(len(i)), m + j] = 1.0, 1.0
    potentials = np.linalg.lstsq(system, (p - x)[i, j])[0]
    np.testing.assert_allclose(system @ potentials, (p - x)[i, j], atol=1e-11 * (1 + np.abs(x).max()))
    for _ in range(200):  # the inequality that defines a projection, at vertices and their mixtures
        y = f.prox(rng.standard_normal((m, n)) * 10.0)
        assert np.sum((x - p) * (y - p)) <= 1e-9 * (1 + np.abs(x).max())


def test_a_far_point_is_projected_on_the_best_assignment() -> None:
    x = np.random.default_rng(3).standard_normal((8, 8))
    rows, columns = linear_sum_assignment(-x)
    expected = np.zeros((8, 8))
    expected[rows, columns] = 1.0
    np.testing.assert_allclose(Birkhoff(8).prox(1e6 * x), expected, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6, 1e12])
def test_transport_with_sums_of_very_different_size_converges(scale: float) -> None:
    rng = np.random.default_rng(0)
    r, c = rng.random(60) * 10.0 ** rng.uniform(-6, 0, 60), rng.random(30)
    c *= r.sum() / c.sum()
    f = TransportPolytope(r, c)
    for _ in range(2):
        found = f.prox_certified(scale * rng.standard_normal((60, 30)))
        assert found.converged
        assert float(f(found.point)) == 0


def test_transport_with_zero_sums_and_of_one_line() -> None:
    f = TransportPolytope((0.0, 1.0, 1.0), (2.0, 0.0))
    np.testing.assert_allclose(f.prox(np.ones((3, 2))), [[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], atol=1e-15)
    np.testing.assert_allclose(TransportPolytope((1.0,), (0.25,) * 4).prox(np.arange(4.0)[None]), [[0.25] * 4], atol=1e-15)
    np.testing.assert_allclose(TransportPolytope((0.0,), (0.0,)).prox(np.ones((1, 1))), [[0.0]])


def test_further_axes_are_further_plans() -> None:
    x = points(9, "normal", 4).reshape(2, 2, 3, 3)
    together = Birkhoff(3, batch_ndim=1).prox(x)
    for i in range(2):
        for j in range(2):
            np.testing.assert_allclose(together[i, j], Birkhoff(3).prox(x[i, j]), atol=1e-14)


def test_sums_that_do_not_match_are_refused() -> None:
    with pytest.raises(errors.DataError, match="no matrix has both"):
        TransportPolytope((1.0, 1.0), (1.0, 1.5))
    with pytest.raises(errors.DataError, match=">= 0"):
        TransportPolytope((1.0, -1.0), (0.0,))
    with pytest.raises(errors.ShapeError, match="last two axes"):
        Birkhoff(3).prox(np.ones((3, 2)))
    with pytest.raises(errors.DataError, match="at least 1"):
        Birkhoff(0)
