"""Total variation: exact chains, certificates of grids and graphs, one problem through several classes, no compiler."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from monops import errors
from monops.functions import (
    BoundedCumulativeSums,
    FusedLasso,
    GraphTotalVariation,
    L1Norm,
    TotalVariation,
    TotalVariation1D,
    TreeTotalVariation,
    compiled,
)
from monops.functions.variation import chains, gluing, graphs, grid_kernels, primal_dual

RNG = np.random.default_rng(3)


def steps(n: int, seed: int = 0) -> np.ndarray:
    """A signal with jumps and noise."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.standard_normal(n) * (rng.random(n) < 0.05)) * 3 + rng.standard_normal(n)


def picture(*shape: int) -> np.ndarray:
    """A grid with a step and noise."""
    z = np.zeros(shape)
    z[tuple(slice(0, n // 2 + 1) for n in shape)] = 1.0
    return z + 0.3 * np.random.default_rng(1).standard_normal(shape)


def optimal_on_a_chain(x: np.ndarray, p: np.ndarray, bound: np.ndarray) -> None:
    """|u_k| <= bound_k everywhere, with u = the running sums of x - p; equality with the sign of the jump at jumps."""
    u = -np.cumsum(x - p)
    assert abs(u[-1]) < 1e-9 * (1 + np.abs(x).sum())
    u, jump = u[:-1], np.diff(p)
    slack = 1e-10 * (1 + np.abs(x).sum())
    assert np.all(np.abs(u) <= bound + slack)
    assert np.all(np.abs(u - bound * np.sign(jump))[jump != 0] <= slack)


@pytest.mark.parametrize("n", [1, 2, 3, 50, 3000])
@pytest.mark.parametrize("scale", [1e-3, 0.3, 3.0, 1e4])
def test_chain_prox_satisfies_the_optimality_conditions(n: int, scale: float) -> None:
    for seed in range(3):
        x = steps(n, seed)
        weight = scale * np.random.default_rng(seed).uniform(0, 1, max(n - 1, 0)) * (np.arange(max(n - 1, 0)) % 7 != 3)
        p = TotalVariation1D(weight).prox(x) if n > 1 else TotalVariation1D(scale).prox(x)
        optimal_on_a_chain(x, p, weight)


def test_the_compiled_loops_equal_their_python_source() -> None:
    x = np.stack([steps(300), steps(300, 1)])
    bound = np.broadcast_to(1.5, (2, 299))
    compiled_result, python_result = np.empty_like(x), np.empty_like(x)
    chains.chain_prox(x, bound, compiled_result)
    chains.chain_prox.python(x, bound, python_result)
    np.testing.assert_allclose(compiled_result, python_result, rtol=1e-13, atol=1e-13)

    for anisotropic in (False, True):
        for kernel, shape in ((grid_kernels.plane_steps, (5, 6)), (grid_kernels.volume_steps, (3, 4, 5))):
            z, d = picture(*shape), len(shape)
            results = []
            for function in (kernel, kernel.python):
                state = [z.copy(), z.copy(), *(np.zeros(shape) for _ in range(d))]
                function(z, *state, 0.2, *(1.0, 0.5, 2.0)[:d], 2.0, 0.01, 0.7, 30, 1.0, anisotropic)
                results.append(np.array(state))
            np.testing.assert_allclose(results[0], results[1], atol=1e-13)
            assert np.abs(results[0][2:]).max() > 0.01


def test_large_offsets_cost_no_digits() -> None:
    """Pieces are recomputed from their means: a spike of 1e10 leaves the rest exact."""
    x = np.array([1e10, 1.0, 1.5, 0.0, 0.25, 7.0])
    p = TotalVariation1D(0.5).prox(x)
    np.testing.assert_allclose(
        p[1:-1], TotalVariation1D(0.5).prox(x + np.array([-1e10 + 100, 0, 0, 0, 0, 0]))[1:-1], atol=1e-12
    )


def test_edges_of_weight_zero_separate_signals_also_in_the_derivative() -> None:
    f = TotalVariation1D(np.array([5.0, 0.0, 5.0]))
    x = np.array([1.0, 3.0, 0.0, 4.0])
    np.testing.assert_allclose(f.prox(x), [2, 2, 2, 2])  # two pieces of the same value
    np.testing.assert_allclose(f.prox_derivative(x).apply(np.array([1.0, 0, 0, 0])), [0.5, 0.5, 0, 0])


def test_known_pieces_and_weights() -> None:
    x = np.array([0.0, 0.0, 10.0, 10.0, 10.0, 0.0])
    np.testing.assert_allclose(TotalVariation1D(3.0).prox(x), [1.5, 1.5, 8, 8, 8, 3])
    derivative = TotalVariation1D(3.0).prox_parameter_derivatives(x)["weight"].apply(1.0)
    np.testing.assert_allclose(derivative, [0.5, 0.5, -2 / 3, -2 / 3, -2 / 3, 1])


def test_the_conjugate_projects_on_bounded_running_sums() -> None:
    v = BoundedCumulativeSums(0.7).prox(steps(40))
    assert np.abs(np.cumsum(v)[:-1]).max() <= 0.7 + 1e-12
    assert abs(v.sum()) < 1e-12
    assert float(BoundedCumulativeSums(0.7)(v)) == 0
    assert float(BoundedCumulativeSums(0.7)(1.01 * v)) == np.inf
    assert float(BoundedCumulativeSums(0.7)(v + 1e-6)) == np.inf


def test_fused_lasso_without_one_of_its_terms() -> None:
    x = steps(60)
    np.testing.assert_array_equal(FusedLasso(0.8, 0.0).prox(x), TotalVariation1D(0.8).prox(x))
    np.testing.assert_allclose(FusedLasso(0.0, 0.8).prox(x), L1Norm(0.8).prox(x), atol=1e-13)


@pytest.mark.parametrize("anisotropic", [False, True])
def test_a_grid_of_one_axis_is_a_chain(anisotropic: bool) -> None:
    x = steps(80)
    found = TotalVariation(0.9, anisotropic=anisotropic, max_iter=100_000).prox_certified(x, 1.3, 1e-7)
    exact = TotalVariation1D(0.9).prox(x, 1.3)
    assert np.linalg.norm(found.point - exact) <= float(found.error_bound) + 1e-14 * np.linalg.norm(x)
    assert float(found.error_bound) <= 1e-7 * (1 + np.linalg.norm(x))


@pytest.mark.parametrize("shape", [(9, 7), (4, 5, 3), (3, 2, 2, 3)])
def test_anisotropic_grid_equals_its_graph_and_is_finished_exactly(shape: tuple[int, ...]) -> None:
    x = picture(*shape)
    index = np.arange(x.size).reshape(shape)
    edges = [
        np.stack([np.delete(index, -1, axis).ravel(), np.delete(index, 0, axis).ravel()], axis=1) for axis in range(x.ndim)
    ]
    graph = GraphTotalVariation(np.concatenate(edges), 0.15).prox_certified(x.ravel(), 1.0, 1e-12)
    grid = TotalVariation(0.15, anisotropic=True).prox_certified(x, 1.0, 1e-7)
    assert graph.converged
    assert grid.converged
    assert float(graph.error_bound) < 1e-12
    np.testing.assert_allclose(grid.point.ravel(), graph.point, atol=1e-12)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4])
def test_the_certified_error_holds(tolerance: float) -> None:
    x = picture(24, 20)
    f = TotalVariation(0.2, max_iter=100_000)
    exact = f.prox_certified(x, 1.0, 1e-7).point
    found = f.prox_certified(x, 1.0, tolerance)
    assert found.converged
    assert np.linalg.norm(found.point - exact) <= float(found.error_bound) <= tolerance * (1 + np.linalg.norm(x))
    objective = [float(f(p)) + 0.5 * np.sum((p - x) ** 2) for p in (found.point, exact)]
    assert objective[0] - objective[1] <= float(found.gap) * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("anisotropic", [False, True])
@pytest.mark.parametrize("shape", [(12, 9), (5, 4, 6)])
def test_buffers_fused_and_generic_steps_agree(anisotropic: bool, shape: tuple[int, ...]) -> None:
    x = np.stack([picture(*shape), -2 * picture(*shape)])
    x = x - x.mean(axis=tuple(range(1, x.ndim)), keepdims=True)
    scales = (1.0, 0.5, 2.0)[: len(shape)]
    forms = (primal_dual.GridIteration, primal_dual.BufferedIteration, primal_dual.FusedIteration)
    methods = [form(x, np.array([0.1, 0.3]), scales, anisotropic) for form in forms]
    for count in (1, 7, 450):
        for method in methods:
            method.advance(count)
        first, *rest = [method.certify() for method in methods]
        for other in rest:
            np.testing.assert_allclose(other.gap, first.gap, rtol=1e-6, atol=1e-12)
            np.testing.assert_allclose(other.point, first.point, atol=1e-9)


def test_rows_of_a_batch_have_gaps_of_their_own() -> None:
    x = np.stack([picture(8, 8), np.zeros((8, 8)), 100 * picture(8, 8)])
    found = TotalVariation(0.2, batch_ndim=1).prox_certified(x, 1.0, 1e-5)
    assert found.error_bound.shape == (3,)
    assert np.all(found.error_bound <= 1e-5 * (1 + np.linalg.norm(x, axis=(1, 2))))
    assert float(found.error_bound[1]) == 0


def test_spacing_rescales_the_axes() -> None:
    x = picture(6, 5)
    a = TotalVariation(0.2, spacing=2.0, tolerance=1e-7).prox(x)
    b = TotalVariation(0.1, tolerance=1e-7).prox(x)
    np.testing.assert_allclose(a, b, atol=1e-6)
    index = np.arange(x.size).reshape(x.shape)
    down = np.stack([index[:-1].ravel(), index[1:].ravel()], axis=1)
    right = np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()], axis=1)
    graph = GraphTotalVariation(np.concatenate([down, right]), np.repeat([0.4, 0.05], [len(down), len(right)]), tolerance=1e-9)
    grid = TotalVariation(0.2, anisotropic=True, spacing=(0.5, 4.0), tolerance=1e-7)
    np.testing.assert_allclose(grid.prox(x).ravel(), graph.prox(x.ravel()), atol=1e-6)
    np.testing.assert_allclose(float(grid(x)), float(graph(x.ravel())))


def test_a_large_weight_gives_the_mean() -> None:
    x = picture(10, 10)
    for f in (TotalVariation(1e6), TotalVariation(1e6, anisotropic=True)):
        np.testing.assert_allclose(f.prox(x), x.mean(), atol=1e-4)


def test_the_iteration_limit_is_reported_with_the_error() -> None:
    with pytest.warns(errors.InexactProxWarning, match="certified error"):
        TotalVariation(0.2, max_iter=3, tolerance=1e-6).prox(picture(10, 10))


def test_the_gap_of_a_graph_is_primal_minus_dual_value() -> None:
    edges, weight = random_graph(30, 1)
    graph = gluing.Edges(edges[:, 0], edges[:, 1], np.ones(len(edges)), 30)
    x, p = RNG.standard_normal(30), RNG.standard_normal(30)
    u = RNG.uniform(-1, 1, len(edges)) * weight
    force = graph.transpose @ u
    primal = weight @ np.abs(p[edges[:, 0]] - p[edges[:, 1]]) + 0.5 * np.sum((p - x) ** 2)
    dual = 0.5 * np.sum(x**2) - 0.5 * np.sum((x - force) ** 2)
    np.testing.assert_allclose(gluing.gaps(graph, weight, x, p, u, 1), [primal - dual])


def test_newton_rounds_finish_what_first_order_steps_began() -> None:
    """One round is not enough from here; a handful is."""
    x = picture(40, 40).ravel()
    graph = gluing.joined(gluing.grid_edges((40, 40), (1.0, 1.0)))
    bound = np.full(len(graph.tails), 0.2)
    degree = np.bincount(np.concatenate([graph.tails, graph.heads]))
    search = graphs.DualSearch(graph, x, bound, 1.0 / (degree[graph.tails] + degree[graph.heads]))
    search.advance(150)
    p, u = search.primal(), search.u
    start = gluing.Pair(p, u, gluing.gaps(graph, bound, x, p, u, 1))
    all_rounds = gluing.finish(graph, bound, x, start, np.zeros(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gluing, "ROUNDS", 1)
        one_round = gluing.finish(graph, bound, x, start, np.zeros(1))
    assert float(all_rounds.gap[0]) < 1e-24 < 1e-18 < float(one_round.gap[0])


def test_the_compiled_dual_search_takes_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    edges, weight = random_graph(50, 2)
    graph = gluing.Edges(edges[:, 0], edges[:, 1], np.ones(len(edges)), 50)
    degree = np.bincount(edges.ravel(), minlength=50)
    searches = [
        graphs.DualSearch(graph, RNG.permutation(50) / 10.0, weight, 1.0 / (degree[edges[:, 0]] + degree[edges[:, 1]]))
        for _ in range(2)
    ]
    searches[1].x = searches[0].x
    searches[0].advance(60)  # restarts included
    monkeypatch.setattr(graphs, "has_compiler", lambda: False)
    searches[1].advance(60)
    np.testing.assert_allclose(searches[0].u, searches[1].u, atol=1e-11)
    assert searches[0].age == pytest.approx(searches[1].age)
    assert searches[0].age < 25  # without a restart about 30


def random_graph(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, n, (3 * n, 2))
    edges = edges[edges[:, 0] != edges[:, 1]]
    return edges, rng.uniform(0, 0.4, len(edges))


@pytest.mark.parametrize("seed", range(4))
def test_graphs_are_solved_to_machine_precision(seed: int) -> None:
    edges, weight = random_graph(200, seed)
    x = np.random.default_rng(seed).standard_normal(200)
    found = GraphTotalVariation(edges, weight, 200).prox_certified(x, 1.0, 1e-10)
    assert float(found.error_bound) < 1e-12
    for _ in range(50):  # optimal against every indicator move: f(p + t 1_S) >= f(p) + <x - p, t 1_S> for random level sets
        move = 1e-3 * (found.point > RNG.choice(found.point)) * RNG.choice([-1.0, 1.0])
        value = [float(GraphTotalVariation(edges, weight, 200)(y)) for y in (found.point, found.point + move)]
        assert value[1] >= value[0] + float((x - found.point) @ move) - 1e-10


def test_a_path_a_tree_and_a_chain_agree() -> None:
    x = steps(500)
    weight = np.random.default_rng(0).uniform(0.5, 3, 499)
    chain = TotalVariation1D(weight).prox(x)
    path = np.stack([np.arange(499), np.arange(1, 500)], axis=1)
    np.testing.assert_allclose(GraphTotalVariation(path, weight, tolerance=1e-9).prox(x), chain, atol=1e-7)
    parents = np.arange(-1, 499)
    tree = TreeTotalVariation(parents, np.concatenate([[0.0], weight]))
    np.testing.assert_allclose(tree.prox(x), chain, atol=1e-11)


@pytest.mark.parametrize("seed", range(6))
def test_random_trees_equal_their_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 120
    parents = np.array([-1 if i == 0 or rng.random() < 0.03 else int(rng.integers(max(0, i - 30), i)) for i in range(n)])
    shuffled = rng.permutation(n)
    moved = np.full(n, -1)
    for child, parent in enumerate(parents):
        moved[shuffled[child]] = -1 if parent < 0 else shuffled[parent]
    weight = rng.uniform(0, 1, n)
    x = 2 * rng.standard_normal((3, n))
    keep = moved >= 0
    graph = GraphTotalVariation(
        np.stack([np.flatnonzero(keep), moved[keep]], axis=1), weight[keep], n, tolerance=1e-9, batch_ndim=1
    )
    tree = TreeTotalVariation(moved, weight, batch_ndim=1)
    np.testing.assert_allclose(tree(x), graph(x))
    np.testing.assert_allclose(tree.prox(x, 0.8), graph.prox(x, 0.8), atol=1e-7)


def test_refusals_name_cause_and_fix() -> None:
    with pytest.raises(errors.ShapeError, match="one entry for each of the 4 pairs"):
        TotalVariation1D(np.ones(3)).prox(np.ones(5))
    with pytest.raises(errors.DataError, match="real and the imaginary"):
        TotalVariation1D().prox(np.ones(5) + 0j)
    with pytest.raises(errors.ShapeError, match="needs an axis"):
        TotalVariation1D().prox(np.array(1.0))
    with pytest.raises(errors.DataError, match="weight"):
        TotalVariation(-1.0)
    with pytest.raises(errors.ShapeError, match="GraphTotalVariation"):
        TotalVariation(np.ones(3))
    with pytest.raises(errors.DataError, match="spacing"):
        TotalVariation(spacing=0.0)
    with pytest.raises(errors.ShapeError, match="give one an axis"):
        TotalVariation(spacing=(1.0, 2.0)).prox(np.ones(5))
    with pytest.raises(errors.DataError, match="joins a vertex to itself"):
        GraphTotalVariation([(0, 1), (2, 2)])
    with pytest.raises(errors.DataError, match="between 0 and vertices"):
        GraphTotalVariation([(0, 5)], vertices=3)
    with pytest.raises(errors.DataError, match="pairs of integers"):
        GraphTotalVariation(np.ones((3, 2)))
    with pytest.raises(errors.ShapeError, match="must have the 3 vertices"):
        GraphTotalVariation([(0, 2)]).prox(np.ones(4))
    with pytest.raises(errors.ShapeError, match="l1_weight must be one number"):
        FusedLasso(1.0, np.ones(4))
    with pytest.raises(errors.DataError, match="cycle"):
        TreeTotalVariation(np.array([1, 0]))


def test_without_edges_the_prox_is_the_identity() -> None:
    x = np.arange(3.0)
    np.testing.assert_array_equal(GraphTotalVariation([], vertices=3).prox(x), x)
    np.testing.assert_array_equal(TotalVariation1D(0.0).prox(x), x)


def test_everything_runs_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    x, edges = picture(9, 8), random_graph(72, 0)
    makers: tuple[Any, ...] = (
        lambda: TotalVariation1D(0.3).prox(x),
        lambda: TotalVariation(0.2, tolerance=1e-6).prox(x),
        lambda: TotalVariation(0.2, anisotropic=True, tolerance=1e-6).prox(x),
        lambda: GraphTotalVariation(edges[0], edges[1], 72, tolerance=1e-9).prox(x.ravel()),
    )
    with_compiler = [make() for make in makers]
    for module in (compiled, primal_dual, graphs):
        monkeypatch.setattr(module, "has_compiler", lambda: False)
    for loop in (chains.chain_prox, grid_kernels.plane_steps, graphs.graph_steps):
        monkeypatch.setattr(loop, "_fast", None)
    for make, expected in zip(makers, with_compiler, strict=True):
        np.testing.assert_allclose(make(), expected, atol=1e-5)
    assert chains.chain_prox._fast is chains.chain_prox.python


def test_importing_monops_does_not_import_the_compiler() -> None:
    code = "import sys, monops; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
