"""Norms, functions of sorted entries and group norms: known values, classes that coincide, ties, ranges, refusals."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import scipy.optimize

from monops import errors
from monops import functions as f
from monops.functions.norms.group_layers import colours, nesting
from monops.functions.norms.groups import group_size
from monops.linear import Gradient
from tests.reference import cvxpy_prox
from tests.strategies import rng

X = 2.0 * rng(3).standard_normal(7)
ROWS = 2.0 * rng(4).standard_normal((4, 6))
STEPS = (1e-3, 0.3, 1.0, 4.0)

SAME = [
    ("sum of one largest is the maximum", f.SumLargest(1, 0.7), f.Max(0.7)),
    ("one largest modulus is l_inf", f.SumLargestAbsolute(1, 0.7), f.LInfNorm(0.7)),
    ("all largest moduli are l1", f.SumLargestAbsolute(7, 0.7), f.L1Norm(0.7)),
    ("equal sorted weights are l1", f.SortedL1(np.full(7, 0.7)), f.L1Norm(0.7)),
    ("one sorted weight is l_inf", f.SortedL1(np.array([0.7, 0, 0, 0, 0, 0, 0])), f.LInfNorm(0.7)),
    ("k equal sorted weights", f.SortedL1(np.array([0.7, 0.7, 0.7, 0, 0, 0, 0])), f.SumLargestAbsolute(3, 0.7)),
    ("all largest entries are a linear function", f.SumLargest(7, 0.7), f.Linear(np.full(7, 0.7))),
    ("one group is l2", f.GroupL2(0.7), f.L2Norm(0.7)),
    ("one group of maxima is l_inf", f.GroupLInf(0.7), f.LInfNorm(0.7)),
    ("one sparse group is l1 + l2", f.SparseGroup(0.2, 0.7), f.L1PlusL2(0.2, 0.7)),
    ("no l2 part", f.L1PlusL2(0.7, 0.0), f.L1Norm(0.7)),
    ("no l1 part", f.L1PlusL2(0.0, 0.7), f.L2Norm(0.7)),
    ("group Huber is the group form of Huber", f.GroupHuber(0.9, 0.7), f.GroupPenalty(f.Huber(0.9, 0.7))),
    ("group Huber with a far end is a square", f.GroupHuber(1e9, 0.7), f.SquaredL2(0.7)),
    ("one tree group is l2", f.TreeGroupL2(((range(7), 0.7),)), f.L2Norm(0.7)),
    ("tree of single entries is l1", f.TreeGroupL2([((i,), 0.7) for i in range(7)]), f.L1Norm(0.7)),
    ("group of one is l2", f.OverlappingGroupL2(((range(7), 0.7),), tolerance=1e-9), f.L2Norm(0.7)),
    ("elastic net is l1 with a square", f.ElasticNet(0.7, 0.4), f.L1Norm(0.7).add_quadratic(0.4)),
    ("no l2 in the elastic net", f.ElasticNet(0.7, 0.0), f.L1Norm(0.7)),
    ("no l1 in the elastic net", f.ElasticNet(0.0, 0.7), f.SquaredL2(0.7)),
    ("capped simplex without caps in force", f.CappedSimplex(1.5, 9.0), f.Simplex(1.5)),
    ("capped simplex is a knapsack", f.CappedSimplex(2.5, 0.6), f.HyperplaneBox(np.ones(7), 2.5, 0.0, 0.6)),
    ("group ball of one group", f.GroupL2Ball(0.7), f.L2Ball(0.7)),
    ("dual ball of l_inf", f.SortedL1Ball(np.array([0.7, 0, 0, 0, 0, 0, 0])), f.L1Ball(0.7)),
    ("dual ball of l1", f.SortedL1Ball(np.full(7, 0.7)), f.LInfBall(0.7)),
]


@pytest.mark.parametrize(("a", "b"), [pair[1:] for pair in SAME], ids=[pair[0] for pair in SAME])
def test_classes_that_are_the_same_function_agree_in_value_prox_and_derivative(a: f.Function, b: f.Function) -> None:
    for step in STEPS:
        p = a.prox(X, step)
        np.testing.assert_allclose(p, b.prox(X, step), atol=1e-12)
        for direction in np.eye(7):
            np.testing.assert_allclose(
                a.prox_derivative(X, step).apply(direction), b.prox_derivative(X, step).apply(direction), atol=1e-9
            )
    if a.has_value and b.has_value:
        for y in (X, b.prox(X, 1.0)):
            np.testing.assert_allclose(float(a(y)), float(b(y)), rtol=1e-13)


def test_groups_along_an_axis_are_a_loop_over_single_groups() -> None:
    pairs = [(f.GroupL2, f.L2Norm), (f.GroupLInf, f.LInfNorm), (f.GroupL2Ball, f.L2Ball)]
    for grouped, single in pairs:
        p = grouped(0.8, axis=0).prox(ROWS, 0.9)
        for column in range(6):
            np.testing.assert_allclose(p[:, column], single(0.8).prox(ROWS[:, column], 0.9), atol=1e-13)
        value = sum(float(single(0.8)(p[:, column])) for column in range(6))
        np.testing.assert_allclose(float(grouped(0.8, axis=0)(p)), value, rtol=1e-13)


def test_groups_over_several_axes_and_with_a_weight_each() -> None:
    x = rng(5).standard_normal((3, 2, 4))
    p = f.GroupL2(np.array([[[0.1]], [[5.0]], [[0.5]]]), axis=(1, 2)).prox(x, 1.0)
    for index, weight in enumerate((0.1, 5.0, 0.5)):
        np.testing.assert_allclose(p[index], f.L2Norm(weight).prox(x[index], 1.0), atol=1e-14)
    q = f.GroupLInf(0.4, axis=(0, 2)).prox(x, 1.0)
    for index in range(2):
        np.testing.assert_allclose(q[:, index], f.LInfNorm(0.4).prox(x[:, index], 1.0), atol=1e-14)


def test_group_huber_of_single_entries_is_huber_also_at_an_extreme_step() -> None:
    for step in (1e-10, 0.7, 1e10):
        p = f.GroupHuber(0.9, 1.3, axis=()).prox(ROWS, step)
        np.testing.assert_allclose(p, f.Huber(0.9, 1.3).prox(ROWS, step), atol=1e-15)
        np.testing.assert_allclose(f.GroupHuber(1e9).prox(ROWS, step), ROWS / (1.0 + step), rtol=1e-14)
    np.testing.assert_allclose(f.GroupHuber(0.9, axis=()).gradient(ROWS), np.clip(ROWS, -0.9, 0.9), atol=1e-15)


def test_isotropic_total_variation_is_a_group_norm_of_the_gradient() -> None:
    image = rng(6).standard_normal((4, 3))
    np.testing.assert_allclose(
        float(f.GroupL2(0.4, axis=0)(Gradient((4, 3)).apply(image))), float(f.TotalVariation(0.4)(image))
    )


# ---- scalar equations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1.0, 1e8, 1e100])
def test_squared_l1_thresholds_at_the_norm_of_its_own_prox(scale: float) -> None:
    for step in (1e-6, 0.3, 1e6):
        p = f.SquaredL1(1.7).prox(scale * X, step)
        threshold = step * 1.7 * np.sum(np.abs(p))
        np.testing.assert_allclose(p, np.sign(X) * np.maximum(np.abs(scale * X) - threshold, 0.0), atol=1e-12 * scale)


@pytest.mark.parametrize("scale", [1e-100, 1e-8, 1.0, 1e8, 1e100])
def test_cubed_l2_has_the_norm_that_solves_the_quadratic(scale: float) -> None:
    """r + s r^2 = |x|."""
    for step in (1e-6, 0.3, 1e6):
        r = float(np.linalg.norm(f.CubedL2(0.9).prox(scale * X, step)))
        np.testing.assert_allclose(r + step * 0.9 * r * r, scale * np.linalg.norm(X), rtol=1e-14)


@pytest.mark.parametrize("step", STEPS)
def test_maximum_and_range_cut_off_at_a_height_that_balances(step: float) -> None:
    p = f.Max(1.3).prox(X, step)
    np.testing.assert_allclose(p, np.minimum(X, p.max()), atol=1e-15)
    np.testing.assert_allclose(np.sum(X - p), 1.3 * step)
    span = f.SpanSeminorm(1.3).prox(X, step)
    np.testing.assert_allclose(np.sum(span), np.sum(X))
    if np.ptp(span) > 1e-12:
        np.testing.assert_allclose(span, np.clip(X, span.min(), span.max()), atol=1e-14)
        np.testing.assert_allclose(np.sum(np.maximum(X - span, 0.0)), 1.3 * step)
    np.testing.assert_allclose(f.SpanSeminorm(1.3).prox(X + 5.0, step), span + 5.0, atol=1e-13)  # constants are not penalised


def test_a_large_step_makes_the_range_flat() -> None:
    np.testing.assert_allclose(f.SpanSeminorm().prox(X, 100.0), np.full(7, X.mean()), atol=1e-14)
    np.testing.assert_allclose(f.SpanSeminorm().prox_derivative(X, 100.0).apply(X), np.full(7, X.mean()), atol=1e-14)


def _capped_by_enumeration(x: np.ndarray, total: float, cap: float) -> np.ndarray:
    """Projection on the capped simplex by trying every pair (how many at the cap, how many free) of the sorted entries."""
    order = np.argsort(-x)
    for at_cap in range(len(x) + 1):
        for free in range(len(x) - at_cap + 1):
            inside = order[at_cap : at_cap + free]
            if free == 0:
                if abs(at_cap * cap - total) > 1e-12:
                    continue
                low, high = (x[order[at_cap]] if at_cap < len(x) else -np.inf), x[order[at_cap - 1]] - cap
                if low > high:
                    continue
                t = high
            else:
                t = (np.sum(x[inside]) - (total - at_cap * cap)) / free
            p = np.clip(x - t, 0.0, cap)
            if abs(p.sum() - total) < 1e-10:
                return p
    raise AssertionError("no candidate")


@pytest.mark.parametrize("count", [0.5, 1.0, 2.0, 3.7, 6.9])
def test_capped_simplex_against_enumeration(count: float) -> None:
    for seed in range(10):
        x = rng(seed).standard_normal(7)
        np.testing.assert_allclose(f.CappedSimplex(count).prox(x), _capped_by_enumeration(x, count, 1.0), atol=1e-12)
        expected = x - 0.4 * _capped_by_enumeration(x / 0.4, count, 1.0)
        np.testing.assert_allclose(f.SumLargest(count).prox(x, 0.4), expected, atol=1e-12)


@pytest.mark.parametrize("cap", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e150])
def test_cutting_a_long_row_down_to_the_entries_near_the_threshold_changes_nothing(cap: float, scale: float) -> None:
    for seed, count in enumerate((0.4, 1.0, 7.0, 30.5, 1500.0, 1998.0, 1999.0, 2000.0)):
        x = scale * np.round(rng(seed).standard_normal(2000), 1 + seed % 3)  # ties, too
        cut, whole = (g.batched(batch).prox(y)[0] for g, batch, y in _cut_and_whole(count, cap * scale, x))
        np.testing.assert_allclose(cut / scale, whole / scale, atol=1e-12)
    np.testing.assert_allclose(f.CappedSimplex(3.0).prox(1e150 * np.arange(2000.0)), np.arange(2000) > 1996)
    assert np.any(np.isnan(f.CappedSimplex(3.0).prox(np.append(np.ones(1999), np.nan))))


def _cut_and_whole(count: float, cap: float, x: np.ndarray) -> Any:
    """One row alone, which is cut down; and the same as the first row of a batch, which is not."""
    g = f.CappedSimplex(count * cap, cap)
    return (g, 0, x[None]), (g, 1, np.stack([x, x]))


def test_sums_of_the_largest_against_all_subsets() -> None:
    for count in (1, 3, 7):
        subsets = [list(chosen) for chosen in combinations(range(7), count)]
        assert float(f.SumLargest(count)(X)) == pytest.approx(max(X[chosen].sum() for chosen in subsets))
        assert float(f.SumLargestAbsolute(count)(X)) == pytest.approx(max(np.abs(X[chosen]).sum() for chosen in subsets))
    between = 0.75 * float(f.SumLargest(2)(X)) + 0.25 * float(f.SumLargest(3)(X))
    assert float(f.SumLargest(2.25)(X)) == pytest.approx(between)


# ---- sorted l1 ----------------------------------------------------------------------------------------


def test_sorted_l1_against_a_quadratic_program_over_all_orders() -> None:
    """f(x) = max over permutations of <permuted weights, |x|>: minimised over every sign-and-order cone by NNLS."""
    weights = np.array([1.5, 0.7, 0.2])
    for seed in range(8):
        x = 1.5 * rng(seed).standard_normal(3)
        order = np.argsort(-np.abs(x))
        target = np.abs(x)[order] - weights
        cone = np.triu(np.ones((3, 3)))  # z = cone c with c >= 0: nonincreasing and nonnegative
        fitted = cone @ scipy.optimize.nnls(cone, target)[0]
        expected = np.zeros(3)
        expected[order] = fitted
        np.testing.assert_allclose(f.SortedL1(weights).prox(x, 1.0), np.sign(x) * expected, atol=1e-12)


def test_sorted_l1_pools_neighbours_whose_order_the_weights_would_turn() -> None:
    np.testing.assert_allclose(f.SortedL1(np.array([3.0, 1.0])).prox(np.array([4.0, -3.5]), 1.0), [1.75, -1.75])


def test_ties_keep_sorted_l1_symmetric_with_a_self_adjoint_derivative() -> None:
    g = f.SortedL1(np.array([1.0, 0.6, 0.3, 0.1]))
    x = np.array([2.0, -2.0, 2.0, 0.0])
    p = g.prox(x, 1.0)
    np.testing.assert_allclose(np.abs(p[:3]), np.full(3, 2.0 - 1.9 / 3.0), atol=1e-14)
    J = np.array([g.prox_derivative(x, 1.0).apply(e) for e in np.eye(4)])
    np.testing.assert_allclose(J, J.T, atol=1e-15)
    assert np.all(np.linalg.eigvalsh(J) > -1e-14)
    assert np.all(np.linalg.eigvalsh(J) < 1 + 1e-14)


@pytest.mark.parametrize(
    ("weights", "x"),
    [([1.0, 0.0], [3.0, 0.0]), ([1.0, 0.5, 0.0], [3.0, 0.0, 0.0]), ([1.0, 0.0, 0.0], [3.0, -2.0, 0.0])],
)
def test_zeros_move_freely_exactly_where_their_ranks_have_no_weight(weights: list[float], x: list[float]) -> None:
    g, point, h = f.SortedL1(np.array(weights)), np.array(x), 1e-6
    for e in np.eye(len(x)):
        numeric = (g.prox(point + h * e, 0.7) - g.prox(point - h * e, 0.7)) / (2 * h)
        np.testing.assert_allclose(g.prox_derivative(point, 0.7).apply(e), numeric, atol=1e-8)


# ---- trees and overlapping groups -----------------------------------------------------------------------

TREE = (((0, 1, 2, 3, 4, 5, 6), 0.3), ((0, 1, 2), 0.5), ((1,), 0.4), ((3, 4), 0.6), ((5, 6), 0.0))


@pytest.mark.parametrize("step", STEPS)
def test_a_tree_solved_as_overlapping_groups_gives_the_same(step: float) -> None:
    tree, general = f.TreeGroupL2(TREE), f.OverlappingGroupL2(TREE, tolerance=1e-12)
    assert float(tree(X)) == pytest.approx(float(general(X)), rel=1e-14)
    np.testing.assert_allclose(general.prox(X, step), tree.prox(X, step), atol=1e-7)
    for e in np.eye(7):
        np.testing.assert_allclose(general.prox_derivative(X, step).apply(e), tree.prox_derivative(X, step).apply(e), atol=1e-5)


def test_the_order_in_which_a_tree_is_listed_does_not_matter() -> None:
    np.testing.assert_array_equal(f.TreeGroupL2(TREE).prox(X, 0.7), f.TreeGroupL2(TREE[::-1]).prox(X, 0.7))


def test_disjoint_groups_of_any_length_are_a_tree() -> None:
    groups = (((6, 0), 0.5), ((1, 2, 3), 2.0), ((5,), 0.2))
    expected = X.copy()
    for indices, weight in groups:
        expected[list(indices)] = f.L2Norm(weight).prox(X[list(indices)], 0.8)
    np.testing.assert_allclose(f.TreeGroupL2(groups).prox(X, 0.8), expected, atol=1e-15)


def test_layers_are_disjoint_and_inner_groups_come_first() -> None:
    groups = f.TreeGroupL2(TREE).groups
    layers = nesting("", groups)
    assert [len(layer) for layer in layers] == [3, 1, 1]
    for layer in (*layers, *colours(f.OverlappingGroupL2((*TREE, ((2, 3), 1.0))).groups)):
        entries = [index for group in layer for index in group.indices]
        assert len(entries) == len(set(entries))
    for number, layer in enumerate(layers):
        for group in layer:
            inside = [other for later in layers[number:] for other in later if set(other.indices) < set(group.indices)]
            assert not inside


def _chain(n: int, width: int) -> tuple[Any, ...]:
    return tuple((tuple(range(start, start + width)), 0.3 + 0.1 * (start % 3)) for start in range(0, n - width + 1, width // 2))


@pytest.mark.parametrize("step", [0.2, 1.0, 2.5])
def test_overlapping_groups_against_an_interior_point_method(step: float) -> None:
    groups = _chain(24, 6)
    x = rng(9).standard_normal(24)
    g = f.OverlappingGroupL2(groups, tolerance=1e-9)
    found = g.prox_certified(x, step)
    assert found.converged
    sample = f.sample.Sample(lambda a: g, (24,), lambda cp, y: sum(w * cp.norm(y[list(i)], 2) for i, w in groups))
    reference = cvxpy_prox(sample, x, step)
    distance = np.linalg.norm(found.point - reference)
    assert distance < 1e-5
    objective = [step * float(g(p)) + 0.5 * np.sum((p - x) ** 2) for p in (found.point, reference)]
    assert objective[0] <= objective[1] + 1e-12


@pytest.mark.parametrize("step", [0.5, 6.0, 7.0])
def test_the_certified_error_bounds_the_true_one_at_every_tolerance(step: float) -> None:
    g, x = f.OverlappingGroupL2(_chain(24, 6)), rng(9).standard_normal(24)
    exact = g.prox_certified(x, step, tolerance=1e-14).point
    previous = 0
    for tolerance in (1.0, 0.3, 1e-1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-6):
        found = g.prox_certified(x, step, tolerance)
        assert found.converged
        assert np.linalg.norm(found.point - exact) <= float(found.error_bound) + 1e-9
        assert float(found.error_bound) <= tolerance * (1 + np.linalg.norm(x))
        assert found.iterations >= previous
        previous = found.iterations


def _dense() -> tuple[f.OverlappingGroupL2, np.ndarray]:
    """Windows of which every entry is in four, and a point at which about half of the entries vanish."""
    groups = [(tuple(range(start, start + 8)), 0.3 + 0.1 * (start % 3)) for start in range(0, 41, 2)]
    return f.OverlappingGroupL2(groups), rng(9).standard_normal(48) + 4.0 * (np.arange(48) < 16)


def test_entries_of_vanishing_overlapping_groups_are_exactly_zero() -> None:
    g, x = _dense()
    p = g.prox(x, 3.0)
    assert np.sum(np.abs(p) < 1e-9) > 20
    assert np.all((p == 0) | (np.abs(p) > 1e-9))


def test_the_duality_gap_is_the_primal_minus_the_dual_value_also_of_a_point_set_to_zero() -> None:
    """F(p) - D(u), F(p) = step f(p) + |p - x|^2/2 and D(u) = |x|^2/2 - |x - sum u|^2/2, for any feasible u."""
    g, x = _dense()
    step = 3.0
    layers = [layer.on(x) for layer in g._layers]
    reaches = [step * layer.weights for layer in layers]
    sparse = []
    for shrunk in (0.0, 0.5, 0.99):
        shares = [shrunk * layer.spread(reach / layer.sizes(x), 0.0) for layer, reach in zip(layers, reaches, strict=True)]
        duals = [np.minimum(share, 1.0) * x for share in shares]
        living = [layer.sizes(x) > 9.0 for layer in layers]
        found = g._certified(layers, reaches, duals, living, x - sum(duals))
        sparse.append(np.any(found.point == 0))
        primal = step * float(g(found.point)) + 0.5 * np.sum((found.point - x) ** 2)
        dual = 0.5 * np.sum(x**2) - 0.5 * np.sum((x - sum(duals)) ** 2)
        assert float(found.gap) == pytest.approx(primal - dual, rel=1e-12)
    assert any(sparse)


def test_a_group_without_weight_never_vanishes() -> None:
    g = f.OverlappingGroupL2((((0, 1), 0.0), ((2,), 1.0)))
    np.testing.assert_array_equal(g.prox_derivative(np.array([0.0, 0.0, 0.5]), 1.0).apply(np.ones(3)), [1.0, 1.0, 0.0])


def test_too_few_sweeps_are_reported_with_the_certified_error() -> None:
    with pytest.warns(errors.InexactProxWarning, match="max_iter=1 .* certified error"):
        f.OverlappingGroupL2(_chain(24, 6), max_iter=1).prox(rng(9).standard_normal(24), 0.5)


# ---- range of the numbers, complex entries --------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-160, 1e-155, 1e160, 1e200])
def test_sizes_of_groups_neither_overflow_nor_underflow(scale: float) -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0], [5.0, 12.0]])
    np.testing.assert_allclose(group_size(scale * x, (1,))[:, 0] / scale, [5.0, 0.0, 13.0], rtol=1e-14)
    np.testing.assert_allclose(f.GroupL2(scale).prox(scale * x, 1.0) / scale, f.GroupL2().prox(x, 1.0), rtol=1e-13)
    assert float(f.GroupL2()(scale * x)) / scale == pytest.approx(18.0)
    tree = f.TreeGroupL2((((0, 1), scale),))
    np.testing.assert_allclose(tree.prox(scale * x, 1.0) / scale, f.GroupL2().prox(x, 1.0), rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-150, 1e-10, 1e10, 1e150])
def test_positively_homogeneous_functions_commute_with_scaling(scale: float) -> None:
    """prox of step t at t x is t times the prox of step 1 at x."""
    for g in (
        f.Max(),
        f.SumLargest(2),
        f.SumLargestAbsolute(2),
        f.SortedL1(np.arange(7.0)[::-1]),
        f.SpanSeminorm(),
        f.LInfNorm(),
        f.L2Norm(),
        f.L1PlusL2(),
    ):
        np.testing.assert_allclose(g.prox(scale * X, scale) / scale, g.prox(X, 1.0), atol=1e-13)


def test_group_norms_keep_the_phase_of_complex_entries() -> None:
    x = ROWS + 1j * ROWS[::-1]
    turn = np.exp(0.7j)
    for g in (f.GroupL2(0.8, axis=0), f.GroupL2Ball(0.8, axis=0), f.L2Norm(0.8), f.CubedL2(0.8), f.LInfNorm(0.8)):
        np.testing.assert_allclose(g.prox(turn * x, 0.6), turn * g.prox(x, 0.6), atol=1e-13)


def test_proxes_in_single_precision_keep_it() -> None:
    x = X.astype(np.float32)
    weights = np.arange(7.0, dtype=np.float32)[::-1].copy()
    for g in (f.TreeGroupL2(TREE), f.OverlappingGroupL2(TREE), f.SumLargest(2.5), f.SortedL1(weights), f.SpanSeminorm()):
        p = g.prox(x, 0.3)
        assert p.dtype == np.float32
        np.testing.assert_allclose(p, g.prox(X, 0.3) if not isinstance(g, f.SortedL1) else p, atol=1e-3)


# ---- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: f.L2Norm(-1.0), "L2Norm: weight=-1.0 must be a finite number >= 0"),
        (lambda: f.GroupL2(np.array([[1.0], [np.nan]])), "GroupL2: weight has a negative or non-finite entry"),
        (lambda: f.SquaredL1(0.0), "SquaredL1: weight=0.0 must be a finite number > 0"),
        (lambda: f.GroupHuber(0.0), "GroupHuber: delta=0.0 must be a finite number > 0"),
        (lambda: f.SumLargest(0), "SumLargest: count=0 must be a finite number > 0"),
        (lambda: f.SumLargest(7).prox(np.ones(5)), "SumLargest: 7 of the 5 entries of a row cannot be summed"),
        (lambda: f.SumLargestAbsolute(7)(np.ones(5)), "SumLargestAbsolute: 7 of the 5 entries"),
        (lambda: f.CappedSimplex(7.0).prox(np.ones(5)), "5 entries of at most 1 cannot sum to 7: the set is empty"),
        (lambda: f.CappedSimplex(0.0), "CappedSimplex: total=0.0 must be a finite number > 0"),
        (lambda: f.SortedL1(np.array([1.0, 2.0])), "nonincreasing"),
        (lambda: f.SortedL1(np.array([1.0, -2.0])), "at least 0"),
        (lambda: f.Linear(2.0), "slope=2.0 must be an array"),
        (lambda: f.TreeGroupL2((((0, 1), 1.0), ((1, 2), 1.0))), r"\(0, 1\) and \(1, 2\) overlap .* use OverlappingGroupL2"),
        (lambda: f.TreeGroupL2((((0, 0), 1.0),)), "must list distinct indices"),
        (lambda: f.TreeGroupL2(((0, 1),)), r"group 0 must be a pair \(indices, weight\), got \(0, 1\)"),
        (lambda: f.TreeGroupL2(([0, 1, 2],)), r"group 0 must be a pair \(indices, weight\)"),
        (lambda: f.OverlappingGroupL2((((0, 1), -1.0),)), "weight -1.0; weights must be finite and at least 0"),
        (lambda: f.OverlappingGroupL2(()), "at least one group"),
    ],
)
def test_bad_data_are_refused_by_name_with_the_way_out(make: Any, message: str) -> None:
    with pytest.raises(errors.DataError, match=message):
        make()


@pytest.mark.parametrize("cls", [f.TreeGroupL2, f.OverlappingGroupL2])
def test_groups_beyond_the_end_and_weights_of_another_length_are_refused(cls: Any) -> None:
    with pytest.raises(errors.ShapeError, match="index 7 does not exist in the 7 entries"):
        cls((((0, 7), 1.0),)).prox(X)
    with pytest.raises(errors.ShapeError, match="3 weights do not fit the 7 entries"):
        f.SortedL1(np.array([1.0, 0.5, 0.2])).prox(X)
