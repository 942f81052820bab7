"""Rates and moving steps of primal-dual methods: bounds of the theorems along the iterates, diagonal steps, no constants."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.algorithms.shared import diagonal_steps
from monops.errors import NotApplicableError
from monops.solve import as_inclusion
from tests.algorithms.primal_dual_cases import BY_NAME, DESIGN, IMAGE, STEPS, TARGET
from tests.algorithms.test_primal_dual import run, square

# ---- rates ------------------------------------------------------------------------------------------


def test_accelerated_distance_obeys_its_bound() -> None:
    """|x_N - x*|^2 <= t_N^2 (|x0 - x*|^2/t_0^2 + |y0 - y*|^2/(s_0 t_0)), and t_N falls like 1/(gamma N)."""
    problem = BY_NAME["denoising"].build(np.asarray)
    exact = monops.solve(problem, monops.ChambollePock(), x0=np.zeros((8, 8)), tol=1e-12, max_iter=50_000)
    for fraction in (0.7, 1.0):
        method = monops.AcceleratedChambollePock(fraction=fraction, step_size=1.0, max_restarts=0)
        terms, states = run(method, problem, np.full((8, 8), 5.0), 400)
        first = square(states[0].x - exact.x) / terms.step_size**2
        first += square(exact.dual) / (terms.step_size * terms.dual_step_size)
        for count, state in enumerate(states[1:], start=1):
            assert square(state.x - exact.x) <= state.used_step_size**2 * first * (1 + 1e-9)
            assert abs(state.step_size * state.dual_step_size * terms.map.norm.value**2 - 1) < 1e-9
            assert state.used_step_size <= 1.5 / (fraction * count)


def test_acceleration_on_the_dual_obeys_the_mirrored_bound() -> None:
    problem = BY_NAME["lasso behind the map"].build(np.asarray)  # |x|_1 is not strongly convex, |Kx - b|^2/2 is smooth
    exact = monops.solve(problem, monops.ChambollePock(), x0=np.zeros(8), tol=1e-12, max_iter=50_000)
    method = monops.AcceleratedChambollePock(max_restarts=0)
    terms, states = run(method, problem, np.full(8, 2.0), 300)
    assert terms.dual_leads
    first = square(exact.dual) / terms.dual_step_size**2
    first += square(states[0].x - exact.x) / (terms.step_size * terms.dual_step_size)
    for state in states[1:]:
        assert square(state.y - exact.dual) <= state.used_dual_step_size**2 * first * (1 + 1e-9)


def test_both_strongly_monotone_contracts_by_the_claimed_factor() -> None:
    """mu |x - x*|^2 + (1 - w) dual_mu |y - y*|^2 <= w^N (mu |x0 - x*|^2 + dual_mu |y0 - y*|^2)."""
    mu, L = 0.3, 2.0
    problem = monops.SquaredL2(mu).translate(TARGET[:8]) + monops.SquaredL2(L).translate(TARGET) @ monops.Matrix(DESIGN)
    exact_x = np.linalg.solve(mu * np.eye(8) + L * DESIGN.T @ DESIGN, mu * TARGET[:8] + L * DESIGN.T @ TARGET)
    exact_y = L * (DESIGN @ exact_x - TARGET)
    terms, states = run(monops.AcceleratedChambollePock(), problem, np.full(8, 3.0), 200)
    w = terms.guarantee.squared_contraction(terms.step_size)
    norm = np.linalg.norm(DESIGN, 2)
    assert abs(terms.step_size - math.sqrt(1 / L / mu) / norm) < 1e-9
    assert abs(w - 1 / (1 + 2 * math.sqrt(mu / L) / norm)) < 1e-9
    first = mu * square(states[0].x - exact_x) + square(exact_y) / L
    for count, state in enumerate(states[1:], start=1):
        left = mu * square(state.x - exact_x) + (1 - w) / L * square(state.y - exact_y)
        assert left <= w**count * first * (1 + 1e-9) + 1e-13


def test_line_search_keeps_its_inequality_and_the_energy_of_the_proof_falls() -> None:
    """|x_{k+1} - x*|^2 + |y_{k+1} - y*|^2/ratio + 2 t_k (1 + theta_k) P(x_k) never grows (Malitsky-Pock 2018, Thm 3.4)."""
    problem = BY_NAME["denoising"].build(np.asarray)
    exact = monops.solve(problem, monops.ChambollePock(), x0=np.zeros((8, 8)), tol=1e-12, max_iter=50_000)
    f = monops.SquaredL2().translate(IMAGE)
    for settings in ({"ratio": 0.5}, {"step_size": 1e-3}, {"step_size": 1e3}):
        method = monops.ChambollePockLineSearch(**settings)
        terms, states = run(method, problem, np.full((8, 8), 4.0), 150)
        pull = terms.map.adjoint(exact.dual)
        energies = []
        for before, state, after in zip(states[:-2], states[1:-1], states[2:], strict=True):
            assert float(state.step_size) <= float(before.step_size) * math.sqrt(1 + float(before.theta)) * (1 + 1e-12)
            change = state.y - before.y
            left = math.sqrt(terms.ratio) * float(state.step_size) * float(arrays.norm(terms.map.adjoint(change)))
            assert left <= 0.99 * float(arrays.norm(change)) + 1e-10
            gap = float(f(state.x) - f(exact.x) + arrays.inner(pull, state.x - exact.x))
            energy = square(after.x - exact.x) + square(state.y - exact.dual) / terms.ratio
            energies.append(energy + 2 * float(state.step_size) * (1 + float(state.theta)) * gap)
        assert all(now <= then * (1 + 1e-9) + 1e-10 for then, now in itertools.pairwise(energies))
        assert float(states[-1].step_size) >= 0.6 * 0.99 / (math.sqrt(terms.ratio) * terms.map.norm.value)


def test_adaptive_steps_keep_their_product_and_their_changes_have_a_finite_sum() -> None:
    problem = BY_NAME["linear program"].build(np.asarray)
    terms, states = run(monops.AdaptiveChambollePock(step_size=100.0), problem, np.zeros(8), 3000)
    products = [float(state.step_size * state.dual_step_size) * terms.map.norm.value**2 for state in states]
    assert max(abs(product - 0.99) for product in products) < 1e-9
    steps = [float(state.step_size) for state in states]
    changes = [max(a, b) / min(a, b) - 1 for a, b in itertools.pairwise(steps) if a != b]
    assert len(changes) > 10
    for number, change in enumerate(changes):  # 1/(1 - a) with a = 0.5 0.95^number
        assert abs(change - (1 / (1 - 0.5 * 0.8**number) - 1)) < 1e-9


def test_the_balance_does_not_depend_on_units() -> None:
    """x in other units by c, the objective by c^2: the same iterates up to c."""
    answers = []
    for c in (1.0, 1e4):
        problem = monops.SquaredL2().translate(c * IMAGE) + 0.4 * c * monops.L1Norm() @ monops.Gradient((8, 8))
        _, states = run(monops.AdaptiveChambollePock(), problem, c * np.ones((8, 8)), 60)
        answers.append(states[-1].x / c)
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-9)


def test_restarts_lower_the_reference_and_beat_the_plain_method_on_a_linear_program() -> None:
    problem = BY_NAME["linear program"].build(np.asarray)
    terms, states = run(monops.RestartedChambollePock(), problem, np.zeros(8), 1500)
    references = [float(state.reference) for state in states]
    assert all(now <= then for then, now in itertools.pairwise(references))
    assert references[-1] < 1e-3 * references[21]
    jumps = [(a, b) for a, b in itertools.pairwise(states) if float(b.length) == 0 and b.iteration > 20]
    assert len(jumps) > 3
    weights = {float(state.step_size) for state in states}
    assert 2 < len(weights) <= 51
    plain, plain_states = run(monops.ChambollePock(), problem, np.zeros(8), 1500)
    here = float(arrays.norm(monops.RestartedChambollePock().certificate(terms, states[-1])))
    there = float(arrays.norm(monops.ChambollePock().certificate(plain, plain_states[-1])))
    assert here < 1e-3 * there


def test_restarted_averages_are_the_averages_of_the_stretch() -> None:
    """Up to the first comparison the sums are those of the iterates, which are those of ChambollePock."""
    problem = BY_NAME["denoising"].build(np.asarray)
    terms, states = run(monops.RestartedChambollePock(), problem, np.zeros((8, 8)), 19)
    np.testing.assert_allclose(states[-1].sum_x, sum(state.x for state in states[1:]), atol=1e-12)
    plain = monops.ChambollePock(terms.step_size, terms.product / terms.step_size)
    np.testing.assert_allclose(states[-1].x, run(plain, problem, np.zeros((8, 8)), 19)[1][-1].x, atol=1e-12)


# ---- diagonal steps -----------------------------------------------------------------------------------


def dense(linear_map: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a map."""
    columns = []
    for unit in np.eye(math.prod(shape)):
        image = linear_map.apply(unit.reshape(shape))
        columns.append(np.concatenate([np.ravel(leaf) for leaf in arrays.leaves(image)]))
    return np.array(columns).T


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_diagonal_sums_are_those_of_the_matrix_and_the_scaled_norm_is_at_most_one(alpha: float) -> None:
    import scipy.sparse

    kernel = np.array([0.5, -1.0, 0.0])
    for linear_map, shape in (
        (monops.Matrix(STEPS), (8,)),
        (monops.SparseMatrix(scipy.sparse.csr_array(STEPS)), (8,)),
        (monops.Gradient((3, 4), 0.5), (3, 4)),
        (monops.Gradient((1, 3)), (1, 3)),
        (monops.Convolution(kernel, (5,)), (5,)),
        (2.0 * monops.Matrix(STEPS), (8,)),
        (monops.Matrix(STEPS).T, (7,)),
        (monops.Stack((monops.Identity((8,)), monops.Matrix(STEPS), monops.linear.Diagonal(np.arange(8.0)))), (8,)),
    ):
        matrix = np.abs(dense(linear_map, shape))
        matrix = np.where(matrix > 1e-12, matrix, 0.0)  # the FFT rounds
        powers = np.where(matrix > 0, np.where(matrix > 0, matrix, 1.0) ** alpha, 0.0)
        others = np.where(matrix > 0, np.where(matrix > 0, matrix, 1.0) ** (2 - alpha), 0.0)
        x, y = np.zeros(shape), linear_map.apply(np.zeros(shape))
        rows, columns = diagonal_steps.sums(linear_map, alpha), diagonal_steps.sums(linear_map, 2 - alpha)
        assert not isinstance(rows, monops.theory.Missing)
        assert not isinstance(columns, monops.theory.Missing)
        expanded = arrays.tree_map(lambda leaf, like: leaf + like, rows.rows, y)
        np.testing.assert_allclose(np.concatenate([np.ravel(v) for v in arrays.leaves(expanded)]), powers.sum(axis=1))
        np.testing.assert_allclose(np.ravel(columns.columns + x), others.sum(axis=0))
        s = arrays.tree_map(lambda leaf, like: leaf + like, diagonal_steps.reciprocal(rows.rows, y), y)
        t = diagonal_steps.reciprocal(columns.columns, x) + x
        S = np.concatenate([np.ravel(v) for v in arrays.leaves(s)])
        assert np.linalg.norm(np.sqrt(S)[:, None] * dense(linear_map, shape) * np.sqrt(np.ravel(t)), 2) <= 1 + 1e-12


def test_preconditioned_steps_are_those_of_the_paper() -> None:
    problem = monops.L1Norm() + monops.SquaredL2().translate(TARGET) @ monops.Matrix(DESIGN)
    _, states = run(monops.PreconditionedChambollePock(step_size=2.0, alpha=0.3), problem, np.zeros(8), 1)
    np.testing.assert_allclose(states[1].primal_steps, 2.0 / np.sum(np.abs(DESIGN) ** 1.7, axis=0))
    np.testing.assert_allclose(states[1].dual_steps, 0.5 / np.sum(np.abs(DESIGN) ** 0.3, axis=1))


def test_preconditioning_pays_on_badly_scaled_rows() -> None:
    scales = 10.0 ** np.linspace(-2, 2, 7)
    problem = monops.SquaredL2().translate(TARGET[:8]) + monops.Box(-scales / 4, scales / 4) @ monops.Matrix(
        scales[:, None] * STEPS
    )
    counts = {}
    for name in ("ChambollePock", "PreconditionedChambollePock"):
        counts[name] = monops.solve(problem, getattr(monops, name)(), tol=1e-6, max_iter=5000, on_failure="ignore").iterations
    assert counts["PreconditionedChambollePock"] < 0.4 * counts["ChambollePock"]


# ---- methods without constants ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AdaptivePrimalDual", "AdaptivePrimalDualLineSearch"])
def test_a_gradient_without_a_lipschitz_constant(name: str) -> None:
    """min sum (x - 1)^4 + |x|_1 over the differences: against a slow reference from another method's answer by CVXPY."""
    import cvxpy as cp

    problem = monops.Power(4.0).translate(TARGET[:8]) + monops.Box(-1.0, 0.8) + 0.1 * monops.L1Norm() @ monops.Matrix(STEPS)
    scale = float(monops.Power(4.0)(np.ones(1)))  # the factor in front of the power in this library
    x = cp.Variable(8)
    objective = cp.Minimize(scale * cp.sum(cp.power(x - TARGET[:8], 4)) + 0.1 * cp.norm1(STEPS @ x))
    best = cp.Problem(objective, [x >= -1, x <= 0.8]).solve(solver=cp.CLARABEL)
    result = monops.solve(problem, getattr(monops, name)(), tol=1e-4)
    value = scale * np.sum((result.x - TARGET[:8]) ** 4) + 0.1 * np.sum(np.abs(STEPS @ result.x))
    assert result.success
    assert abs(value - best) < 1e-5
    with pytest.raises(NotApplicableError, match="forward value"):
        monops.CondatVu().match(as_inclusion(problem))


def test_adaptive_primal_dual_steps_obey_all_three_bounds() -> None:
    problem = BY_NAME["three terms"].build(np.asarray)
    terms, states = run(monops.AdaptivePrimalDual(), problem, np.full(8, 2.0), 200)
    norm, epsilon = terms.norm, 1e-6
    for before, state in itertools.pairwise(states[1:]):
        t, last, new = float(before.step_size), float(before.previous_step), float(state.step_size)
        dx, dg = before.x - before.previous_x, before.gradient - before.previous_gradient
        local = float(dg @ dx / (dx @ dx)) if dx @ dx > 0 else 0.0
        c = float(dg @ dg / (dg @ dx)) if dg @ dx > 0 else 0.0
        D, xi = t * local * (t * c - 1), (t * norm) ** 2
        room = 1 - 4 * xi * (1 + epsilon) ** 2
        third = t * math.sqrt(room / (2 * (1 + epsilon) * (D + math.sqrt(D * D + xi * room))))
        assert abs(new - min(t * math.sqrt(1 + t / last), 1 / (2.4 * norm), third)) <= 1e-6 * new


def test_line_search_of_the_adaptive_method_bounds_the_map_on_every_step() -> None:
    problem = BY_NAME["three terms"].build(np.asarray)
    for first in (None, 1e-3, 1e3):
        method = monops.AdaptivePrimalDualLineSearch(step_size=first)
        terms, states = run(method, problem, np.full(8, 2.0), 100)
        for before, state in itertools.pairwise(states):
            change = state.y - before.y
            assert float(arrays.norm(terms.map.adjoint(change))) <= float(state.estimate * arrays.norm(change)) + 1e-10
            assert float(state.step_size) <= 1 / (2.4 * float(state.estimate)) * (1 + 1e-12)
        assert float(states[-1].estimate) <= 2 * terms.map.norm.value
