"""Balls, simplices, half-spaces, sections of boxes, affine sets, monotone sequences: what the walking tests cannot see."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

from monops import arrays, errors, linear
from monops.arrays import Blocks
from monops.functions import (
    AffineSet,
    Box,
    BoxSupport,
    Function,
    HalfSpace,
    HalfSpaceBox,
    Hyperplane,
    HyperplaneBox,
    L1Ball,
    L1Norm,
    L2Ball,
    LInfBall,
    MonotoneCone,
    MonotonePolar,
    NonNegative,
    OperatorGraph,
    Point,
    Simplex,
    SimplexInequality,
    Slab,
)

A = np.array([[1.0, -2.0, 0.5, 0.0], [0.0, 1.0, 1.0, -1.0]])
NORMAL = np.array([1.0, -2.0, 0.5, 1.5])


def random(shape: Any, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).standard_normal(shape)


def simplex_by_sorting(x: np.ndarray, total: float) -> np.ndarray:
    """Held, Wolfe and Crowder (1974), on one row."""
    x = x - x.max()
    descending = np.sort(x)[::-1]
    thresholds = (np.cumsum(descending) - total) / np.arange(1, x.size + 1)
    return np.maximum(x - thresholds[np.flatnonzero(descending > thresholds)[-1]], 0.0)


# ---- simplices and the l1 ball ------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 300, 5000])
@pytest.mark.parametrize("total", [1e-3, 1.0, 1000.0])
@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1.0, 1e6, 1e150])
def test_simplex_equals_the_projection_by_sorting(n: int, total: float, scale: float) -> None:
    x = random(n, n, scale)
    p = Simplex(total).prox(x)
    np.testing.assert_allclose(p, simplex_by_sorting(x, total), atol=1e-13 * total)
    assert abs(p.sum() - total) <= 1e-12 * total


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e30, 1e150])
def test_simplex_shares_equally_among_ties_at_every_scale(scale: float) -> None:
    x = np.array([scale, scale, -scale - 5.0, scale])
    np.testing.assert_allclose(Simplex(3.0).prox(x), [1.0, 1.0, 0.0, 1.0] if scale else np.array([2, 2, 0, 2]) / 2, atol=1e-14)
    weight = np.array([0.3, 0.3, 1.0, 0.3])
    np.testing.assert_allclose(Simplex(0.9, weight).prox(x), [1.0, 1.0, 0.0, 1.0], atol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cls", [Simplex, SimplexInequality, L1Ball])
def test_rows_of_different_scales_are_what_each_is_alone(cls: Any, weighted: bool) -> None:
    """Several rows take Newton's method on whole arrays, one row on NumPy the filtered one: the same numbers."""
    x = random((6, 40)) * np.array([1e-8, 1e-2, 1.0, 10.0, 1e4, 1e100])[:, None]
    weight = np.random.default_rng(3).uniform(0.3, 3.0, 40) if weighted else 2.0
    f = cls(1.7, weight)
    together = f.batched(1).prox(x)
    for row in range(6):
        np.testing.assert_allclose(together[row], f.prox(x[row]), rtol=1e-11, atol=1e-12)
    jacobian, h = f.batched(1).prox_derivative(x), random((6, 40), 5)
    for row in range(6):
        np.testing.assert_allclose(jacobian.apply(h)[row], f.prox_derivative(x[row]).apply(h[row]), atol=1e-12)


def test_weighted_simplex_is_a_section_of_the_orthant() -> None:
    weight = np.random.default_rng(1).uniform(0.2, 5.0, 50)
    x = random(50, 2, 3.0)
    p = Simplex(2.0, weight).prox(x)
    np.testing.assert_allclose(p, HyperplaneBox(weight, 2.0, 0.0, np.inf).prox(x), atol=1e-12)
    np.testing.assert_allclose(weight @ p, 2.0, rtol=1e-13)
    x[0] = 1e150  # one entry takes all
    np.testing.assert_allclose(Simplex(2.0, weight).prox(x), np.append(2.0 / weight[0], np.zeros(49)), atol=1e-15)


def test_simplex_inequality_is_the_orthant_where_the_sum_is_small_and_the_simplex_where_it_is_not() -> None:
    x = random(9)
    np.testing.assert_array_equal(SimplexInequality(100.0).prox(x), NonNegative().prox(x))
    np.testing.assert_allclose(SimplexInequality(0.1).prox(x), Simplex(0.1).prox(x), atol=1e-15)
    np.testing.assert_array_equal(SimplexInequality(0.0).prox(x), 0.0 * x)


@pytest.mark.parametrize("scale", [1.0, 1e150])
def test_l1_ball_shrinks_the_moduli_onto_the_solid_simplex(scale: float) -> None:
    weight = np.random.default_rng(1).uniform(0.2, 5.0, 30)
    x = random(30, 1, scale)
    for f, g in ((L1Ball(0.9), SimplexInequality(0.9)), (L1Ball(0.9, weight), SimplexInequality(0.9, weight))):
        np.testing.assert_allclose(f.prox(x), np.sign(x) * g.prox(np.abs(x)), atol=1e-14)
        np.testing.assert_allclose(np.sum(g.weight * np.abs(f.prox(x))), 0.9, rtol=1e-12)
        phase = np.exp(1j * np.arange(30))
        np.testing.assert_allclose(f.prox(np.abs(x) * phase), phase * g.prox(np.abs(x)), atol=1e-14)
    np.testing.assert_array_equal(L1Ball(0.0).prox(x), 0.0 * x)
    inside = x / np.sum(np.abs(x))
    np.testing.assert_array_equal(L1Ball(2.0).prox(inside), inside)


def test_l1_ball_and_max_norm_split_a_point() -> None:
    """Moreau: the prox of the largest modulus is x minus the projection on the l1 ball; here by bisection on the clip level."""
    x, step = random(12, 3, 2.0), 0.8
    level = scipy.optimize.brentq(lambda t: np.sum(np.maximum(np.abs(x) - t, 0.0)) - step, 0.0, 10.0, xtol=1e-14)
    np.testing.assert_allclose(x - L1Ball(step).prox(x), np.clip(x, -level, level), atol=1e-12)


def test_derivative_inside_the_l1_ball_is_the_identity_also_at_zero_entries() -> None:
    x, h = np.array([0.5, 0.0, -0.25]), np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(L1Ball(1.0).prox_derivative(x).apply(h), h)
    np.testing.assert_array_equal(L1Ball(0.5).prox_derivative(x).apply(h), [2.0, 0.0, 2.0])


# ---- boxes, points, balls -----------------------------------------------------------------------------


def test_support_of_a_box_has_its_special_cases() -> None:
    x = random(8, 0, 2.0)
    np.testing.assert_allclose(BoxSupport(-0.7, 0.7).prox(x, 1.5), L1Norm(0.7).prox(x, 1.5), atol=1e-15)
    assert float(BoxSupport(-0.7, 0.7)(x)) == pytest.approx(float(L1Norm(0.7)(x)))
    linear_function = BoxSupport(0.3, 0.3)
    np.testing.assert_allclose(linear_function.prox(x, 2.0), x - 0.6, atol=1e-15)
    assert float(linear_function(x)) == pytest.approx(0.3 * x.sum())
    one_sided = BoxSupport(0.0, np.inf)  # support of the orthant: the indicator of x <= 0
    np.testing.assert_array_equal(one_sided.prox(x, 3.0), np.minimum(x, 0.0))
    assert float(one_sided(np.array([-1.0, 0.0]))) == 0.0
    assert float(one_sided(np.array([-1.0, 1e-9]))) == np.inf


def test_infinite_bounds_of_a_support_leave_no_nan_in_torch_gradients() -> None:
    torch = pytest.importorskip("torch")
    step = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([2.0, -3.0], dtype=torch.float64)
    for lower, upper in ((-1.0, np.inf), (torch.tensor([-np.inf, -1.0]).double(), torch.tensor([1.0, np.inf]).double())):
        step.grad = None
        BoxSupport(lower, upper).prox(x, step).sum().backward()
        assert torch.isfinite(step.grad)


def test_point_is_an_empty_box_and_its_conjugate_is_linear() -> None:
    a, x = random(4), random(4, 1)
    np.testing.assert_array_equal(Point(a).prox(x), a)
    assert float(Point(a)(a)) == 0.0
    assert float(Point(a)(a + 1e-6)) == np.inf
    assert float(Point(a).conjugate()(x)) == pytest.approx(a @ x)


def test_max_norm_ball_of_real_points_is_a_box() -> None:
    x, radius = random(7, 2, 3.0), np.linspace(0.0, 2.0, 7)
    np.testing.assert_array_equal(LInfBall(radius).prox(x), Box(-radius, radius).prox(x))
    np.testing.assert_allclose(LInfBall(radius).prox(x + 0j), Box(-radius, radius).prox(x), atol=1e-15)
    assert isinstance(LInfBall(2.0).conjugate(), L1Norm)


@pytest.mark.parametrize(("scale", "radius"), [(1e200, 2.0), (1e300, 1e-5), (1e-200, 1e-250), (1e-300, 0.0), (1.0, 0.0)])
def test_euclidean_ball_neither_overflows_nor_underflows(scale: float, radius: float) -> None:
    x = scale * np.array([3.0, 0.0, -4.0])
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(L2Ball(radius).prox(x), radius * np.array([0.6, 0.0, -0.8]), rtol=1e-14)
    single = x.astype(np.float32) if 1e-38 < scale < 1e38 else np.array([3e30, 0.0, -4e30], dtype=np.float32)
    np.testing.assert_allclose(L2Ball(0.5).prox(single), [0.3, 0.0, -0.4], rtol=1e-6)
    assert L2Ball(0.5).prox(single).dtype == np.float32


def complex_cases() -> list[Function]:
    return [L1Ball(1.5), L1Ball(0.8, np.array([0.5, 1.0, 2.0, 0.25])), LInfBall(0.8), L2Ball(1.5), L2Ball(0.5, random(4))]


@pytest.mark.parametrize("f", complex_cases(), ids=lambda f: type(f).__name__)
def test_derivatives_at_complex_points_are_finite_differences_and_self_adjoint(f: Function) -> None:
    x, h, g = (random(4, seed) + 1j * random(4, seed + 50) for seed in (1, 2, 3))
    jacobian, t = f.prox_derivative(x), 1e-6
    numeric = (f.prox(x + t * h) - f.prox(x - t * h)) / (2 * t)
    np.testing.assert_allclose(jacobian.apply(h), numeric, atol=1e-8)
    assert float(arrays.inner(jacobian.apply(h), g)) == pytest.approx(float(arrays.inner(h, jacobian.apply(g))))
    columns = f.prox_parameter_derivatives(x)
    grown = {"radius": f.radius + t}
    numeric = (dataclasses.replace(f, **grown).prox(x) - f.prox(x)) / t
    np.testing.assert_allclose(columns["radius"].apply(1.0), numeric, atol=1e-5)


# ---- hyperplanes, half-spaces, sections of a box --------------------------------------------------------


def test_a_slab_is_between_a_half_space_and_a_hyperplane() -> None:
    for seed in range(10):
        x = random(4, seed, 3.0)
        half, plane = HalfSpace(NORMAL, 0.5).prox(x), Hyperplane(NORMAL, 0.5).prox(x)
        np.testing.assert_allclose(Slab(NORMAL, -np.inf, 0.5).prox(x), half, atol=1e-14)
        np.testing.assert_allclose(Slab(NORMAL, 0.5, 0.5).prox(x), plane, atol=1e-14)
        np.testing.assert_allclose(
            Hyperplane(NORMAL, 0.5).prox(x), AffineSet(NORMAL[None], np.array([0.5])).prox(x), atol=1e-13
        )
        np.testing.assert_allclose(
            HalfSpaceBox(NORMAL, 0.5, -np.inf, np.inf).prox(x), HalfSpace(NORMAL, 0.5).prox(x), atol=1e-12
        )


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e30, 1e200])
def test_the_length_of_the_normal_does_not_matter(size: float) -> None:
    x = random(4, 1, 3.0)
    np.testing.assert_allclose(HalfSpace(size * NORMAL, -2.0 * size).prox(x), HalfSpace(NORMAL, -2.0).prox(x), atol=1e-13)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_sections_of_a_box_agree_with_bisection_on_the_multiplier(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    n = 25
    a = generator.standard_normal(n)
    a[seed % n] = 0.0
    lower, upper = -generator.uniform(0.0, 1.0, n), generator.uniform(0.0, 1.0, n)
    upper[3], lower[5], lower[7] = np.inf, -np.inf, upper[7]
    x, b = scale * generator.standard_normal(n), 0.4

    def excess(t: float) -> float:
        return float(a @ np.clip(x - t * a, lower, upper)) - b

    t = scipy.optimize.brentq(excess, -1e7, 1e7, xtol=1e-14, rtol=1e-15, maxiter=500)
    np.testing.assert_allclose(HyperplaneBox(a, b, lower, upper).prox(x), np.clip(x - t * a, lower, upper), atol=1e-9 * scale)
    expected = np.clip(x - max(t, 0.0) * a, lower, upper)
    np.testing.assert_allclose(HalfSpaceBox(a, b, lower, upper).prox(x), expected, atol=1e-9 * scale)


@pytest.mark.parametrize("scale", [1.0, 1e8, 1e30, 1e150])
def test_capped_simplex_shares_ties_equally_however_far_away(scale: float) -> None:
    f = HyperplaneBox(np.ones(4), 1.5, 0.0, 1.0)
    np.testing.assert_allclose(f.prox(np.array([scale, scale, -scale, scale])), [0.5, 0.5, 0.0, 0.5], atol=1e-12)


def test_unbounded_entries_go_as_far_as_the_level_needs() -> None:
    f = HyperplaneBox(np.array([1.0, 3.0, 1.0]), 1000.0, 0.0, np.array([np.inf, np.inf, 1.0]))
    np.testing.assert_allclose(f.prox(np.zeros(3)), [99.9, 299.7, 1.0], rtol=1e-13)
    g = HyperplaneBox(np.array([1.0, -3.0]), -1000.0, 0.0, np.inf)
    np.testing.assert_allclose(g.prox(np.zeros(2)), [0.0, 1000.0 / 3.0], rtol=1e-13)


def test_equations_hold_also_for_points_far_away_along_the_normal() -> None:
    b = np.array([0.5, -1.0])
    for scale in (1e4, 1e8, 1e12):
        far = random(4, 1) + scale * NORMAL
        for f in (Hyperplane(NORMAL, 0.3), HalfSpace(NORMAL, 0.3), Slab(NORMAL, -1.0, 0.3)):
            assert abs(NORMAL @ f.prox(far) - 0.3) < 1e-14
            assert float(f(f.prox(far))) == 0.0
        away = random(4, 1) + scale * (np.array([1.0, -0.7]) @ A)
        np.testing.assert_allclose(A @ AffineSet(A, b).prox(away), b, atol=1e-14)


def test_sections_that_are_a_corner_of_the_box_are_found() -> None:
    x = random(5, 0, 10.0)
    np.testing.assert_allclose(HyperplaneBox(np.ones(5), 5.0, 0.0, 1.0).prox(x), np.ones(5), atol=1e-12)
    np.testing.assert_allclose(HyperplaneBox(np.ones(5), 0.0, 0.0, 1.0).prox(x), np.zeros(5), atol=1e-12)
    assert np.all(HyperplaneBox(np.ones(5), 5.0, 0.0, 1.0).prox_derivative(x).apply(np.ones(5)) == 0)


# ---- linear systems -----------------------------------------------------------------------------------


def test_affine_set_with_dependent_rows_is_the_one_without_them() -> None:
    redundant, b = np.vstack([A, A[0] - 2 * A[1], 0 * A[0]]), np.array([0.5, -1.0])
    f, g = AffineSet(redundant, np.concatenate([b, [b[0] - 2 * b[1], 0.0]])), AffineSet(A, b)
    x, h = random(4, 3), random(4, 4)
    np.testing.assert_allclose(f.prox(x), g.prox(x), atol=1e-13)
    np.testing.assert_allclose(f.prox(x), x - np.linalg.pinv(A) @ (A @ x - b), atol=1e-13)
    np.testing.assert_allclose(f.prox_derivative(x).apply(h), g.prox_derivative(x).apply(h), atol=1e-13)
    assert not f.prox_parameter_derivatives(x)  # the set vanishes when b moves


def test_affine_set_from_a_sparse_matrix_and_from_a_map_with_a_solver() -> None:
    b, x = np.array([0.5, -1.0]), random((3, 4), 5)
    expected = AffineSet(A, b, batch_ndim=1).prox(x)
    gram = np.linalg.inv(A @ A.T)
    for f in (
        AffineSet(scipy.sparse.csr_array(A), b, batch_ndim=1),
        AffineSet(linear.Matrix(A), b, batch_ndim=1),
        AffineSet(linear.Matrix(A), b, lambda y: y @ gram, batch_ndim=1),
    ):
        np.testing.assert_allclose(f.prox(x), expected, atol=1e-13)
        np.testing.assert_array_equal(f(expected), np.zeros(3))
        np.testing.assert_allclose(f.prox_derivative(x).apply(x), AffineSet(A, b).prox_derivative(x).apply(x), atol=1e-13)


def test_affine_set_of_an_ill_conditioned_system_keeps_every_row() -> None:
    """Condition 1e9: the Gram matrix would lose the small singular value, the singular value decomposition does not."""
    steep = np.array([[1.0, 1.0, 0.0], [1.0, 1.0 + 1e-9, 0.0]])
    p = AffineSet(steep, steep @ np.array([1.0, 2.0, 0.0])).prox(np.array([5.0, -3.0, 4.0]))
    np.testing.assert_allclose(p, [1.0, 2.0, 4.0], atol=1e-5)


def test_graph_of_a_matrix_is_an_affine_set() -> None:
    u, v = random(4, 1), random(2, 2)
    p = AffineSet(np.hstack([A, -np.eye(2)]), np.zeros(2)).prox(np.concatenate([u, v]))
    for f in (OperatorGraph(A), OperatorGraph(scipy.sparse.csr_array(A)), OperatorGraph(linear.Matrix(A))):
        q = f.prox(Blocks((u, v)))
        np.testing.assert_allclose(np.concatenate(q), p, atol=1e-13)
        assert float(f(q)) == 0.0
        assert float(f(Blocks((q[0], q[1] + 1e-6)))) == np.inf


# ---- monotone sequences ---------------------------------------------------------------------------------


def min_max(x: np.ndarray) -> np.ndarray:
    """Isotonic regression by its min-max formula: p_i = max over j <= i of min over k >= i of mean(x_j..x_k)."""
    n = x.size
    return np.array([max(min(x[j : k + 1].mean() for k in range(i, n)) for j in range(i + 1)) for i in range(n)])


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e150, 1.7e308])
def test_monotone_projection_is_the_min_max_of_means(scale: float) -> None:
    x = random((3, 9), 4)
    x = np.sort(x / np.max(np.abs(x)), axis=-1)[:, ::-1] * np.array([[1.0], [0.5], [-1.0]])  # long pools: sums overflow
    with np.errstate(over="raise", invalid="raise"):
        p = MonotoneCone().prox(scale * x) / scale
    np.testing.assert_allclose(p, [min_max(row) for row in x], rtol=1e-12)
    down = MonotoneCone(decreasing=True).prox(scale * x) / scale
    np.testing.assert_allclose(down, [-min_max(-row) for row in x], rtol=1e-12)


def test_monotone_derivative_takes_means_over_pools_and_over_ties() -> None:
    x = np.array([3.0, 1.0, 2.0, 5.0, 7.0])  # pools: {3, 1, 2}, {5}, {7}
    h = np.arange(5.0)
    np.testing.assert_allclose(MonotoneCone().prox_derivative(x).apply(h), [1.0, 1.0, 1.0, 3.0, 4.0], atol=1e-15)
    np.testing.assert_allclose(MonotoneCone().prox_derivative(0.0 * x).apply(h), np.full(5, 2.0), atol=1e-15)
    np.testing.assert_allclose(MonotonePolar().prox_derivative(x).apply(h), [-1.0, 0.0, 1.0, 0.0, 0.0], atol=1e-15)


def test_monotone_polar_is_where_every_monotone_sequence_has_a_nonpositive_product() -> None:
    for decreasing in (False, True):
        v = MonotonePolar(decreasing).prox(random(7, 3))
        for seed in range(30):
            y = np.sort(random(7, seed))
            assert v @ (y[::-1] if decreasing else y) <= 1e-12
        assert float(MonotonePolar(decreasing)(v)) == 0.0
        assert float(MonotonePolar(decreasing)(-v)) == np.inf
        assert isinstance(MonotonePolar(decreasing).conjugate(), MonotoneCone)


# ---- all of them ----------------------------------------------------------------------------------------


def all_sets() -> list[Function]:
    return [
        Box(-0.5, 1.0),
        NonNegative(),
        LInfBall(0.7),
        L1Ball(0.7),
        L1Ball(0.7, np.array([0.5, 1.0, 2.0, 0.25])),
        L2Ball(0.7),
        L2Ball(0.7, random(4)),
        Simplex(0.7),
        Simplex(0.7, np.array([0.5, 1.0, 2.0, 0.25])),
        SimplexInequality(0.7),
        Point(random(4)),
        Hyperplane(NORMAL, 0.7),
        HalfSpace(NORMAL, -0.7),
        Slab(NORMAL, -0.7, 0.7),
        HyperplaneBox(NORMAL, 0.7, -1.0, 1.0),
        HalfSpaceBox(NORMAL, -0.7, -1.0, 1.0),
        AffineSet(A, np.array([0.5, -1.0])),
        MonotoneCone(),
        MonotonePolar(),
    ]


@pytest.mark.parametrize("f", all_sets(), ids=lambda f: type(f).__name__)
def test_projections_are_inside_and_stay_where_they_are_also_from_far_away(f: Function) -> None:
    for scale in (1.0, 1e6, 1e12):
        for seed in range(5):
            p = f.prox(random(4, seed, scale))
            assert float(f(p)) == 0.0, f"{type(f).__name__} does not know its own projection from scale {scale:g}"
            np.testing.assert_allclose(f.prox(p), p, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", all_sets(), ids=lambda f: type(f).__name__)
def test_points_a_little_outside_are_outside(f: Function) -> None:
    x = next(x for x in (random(4, seed, 4.0) for seed in range(9)) if np.linalg.norm(x - f.prox(x)) > 0.1)
    p = f.prox(x)
    outward = (x - p) / np.linalg.norm(x - p)
    assert float(f(p + 1e-9 * outward)) == np.inf
    assert np.isinf(float(f(np.full(4, np.nan))))


REFUSALS = {
    "Box: lower exceeds upper": lambda: Box(1.0, 0.0),
    "Box: lower is NaN": lambda: Box(np.array([0.0, np.nan]), 1.0),
    "Box: lower=inf": lambda: Box(np.inf, np.inf),
    "BoxSupport: lower exceeds upper": lambda: BoxSupport(np.array([0.0, 2.0]), 1.0),
    "LInfBall: radius": lambda: LInfBall(np.array([1.0, -1.0])),
    "L2Ball: radius": lambda: L2Ball(np.inf),
    "L1Ball: radius": lambda: L1Ball(-1.0),
    "L1Ball: weight": lambda: L1Ball(1.0, np.array([1.0, 0.0])),
    "Simplex: total": lambda: Simplex(0.0),
    "Simplex: weight": lambda: Simplex(1.0, np.nan),
    "SimplexInequality: total": lambda: SimplexInequality(-1.0),
    "Point: point": lambda: Point(np.array([np.inf])),
    "Hyperplane: a is 0": lambda: Hyperplane(np.zeros(2)),
    "HalfSpace: a=1": lambda: HalfSpace(1.0),
    "HalfSpace: b=nan": lambda: HalfSpace(NORMAL, float("nan")),
    "Slab: lower exceeds upper": lambda: Slab(NORMAL, 1.0, 0.0),
    "Slab: lower and upper are one number": lambda: Slab(NORMAL, np.zeros(3), 1.0),
    r"HyperplaneBox: <a, x> lies in \[0, 3\]": lambda: HyperplaneBox(np.ones(3), 4.0, 0.0, 1.0),
    "HalfSpaceBox: <a, x> is at least -3": lambda: HalfSpaceBox(-np.ones(3), -4.0, 0.0, 1.0),
    "AffineSet: A x = b has no solution": lambda: AffineSet(np.ones((2, 3)), np.array([1.0, 2.0])),
    "AffineSet: b must be an array of shape": lambda: AffineSet(A, np.ones(3)),
    "AffineSet: Gradient has no factorisation": lambda: AffineSet(linear.Gradient((3, 3)), np.zeros((2, 3, 3))),
    "AffineSet: the rows of the sparse A": lambda: AffineSet(scipy.sparse.csr_array(np.ones((2, 3))), np.ones(2)),
    "OperatorGraph: MatvecMap has no closed form": lambda: OperatorGraph(
        linear.MatvecMap(lambda x: x, lambda y: y, (2,), (2,))
    ),
    "OperatorGraph is a set of pairs": lambda: OperatorGraph(A).prox(np.ones(4)),
    "MonotoneCone needs a last axis": lambda: MonotoneCone().prox(np.array(1.0)),
    "but a point has shape": lambda: Hyperplane(NORMAL).prox(np.ones((3, 4))),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_bad_data_are_refused_with_a_sentence(message: str) -> None:
    with pytest.raises(errors.MonopsError, match=message):
        REFUSALS[message]()


def test_dependent_rows_with_a_recorded_right_hand_side_are_refused() -> None:
    torch = pytest.importorskip("torch")
    b = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with pytest.raises(errors.BackendError, match="A has rank 1 but 2 rows"):
        AffineSet(torch.ones((2, 3), dtype=torch.float64), b)
