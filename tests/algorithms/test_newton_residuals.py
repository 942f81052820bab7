"""Semismooth and dual Newton and PANOC against optimality conditions, and against their own safeguards."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import scipy.sparse

import monops
from monops import arrays
from monops.algorithms.shared import newton_systems, piecewise_newton
from monops.solve import as_inclusion
from tests.algorithms.newton_cases import box_violation, l1_violation, portfolio, positive, rng, solution, wide

# ---- semismooth Newton -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 7, 60])
def test_box_quadratic(n: int) -> None:
    P, q = positive(n, 1), 2.0 * rng(2).standard_normal(n)
    result = solution(monops.Quadratic(P, q) + monops.Box(-1.0, 0.5), monops.SemismoothNewton(), np.zeros(n), tol=1e-10)
    assert box_violation(result.x, P @ result.x + q, -1.0, 0.5) <= 1e-10
    assert result.iterations <= 40


def test_functions_that_couple_entries() -> None:
    n = 30
    P, q = positive(n, 3), 3.0 * rng(4).standard_normal(n)
    groups = [(tuple(range(i, i + 3)), 1.5) for i in range(0, n, 3)]
    for g in (
        monops.Simplex(),
        monops.L2Norm(2.0),
        monops.L2Ball(0.5),
        monops.LInfNorm(1.0),
        monops.TreeGroupL2(groups),
    ):
        x = solution(monops.Quadratic(P, q) + g, monops.SemismoothNewton(), np.zeros(n), tol=1e-9).x
        np.testing.assert_allclose(g.prox(x - (P @ x + q), 1.0), x, atol=1e-8)


def test_least_squares_with_a_simplex() -> None:
    A = rng(5).standard_normal((40, 15))
    b = rng(6).standard_normal(40)
    x = solution(monops.LeastSquares(A, b) + monops.Simplex(), monops.SemismoothNewton(), np.full(15, 1 / 15), tol=1e-9).x
    gradient = A.T @ (A @ x - b)
    assert float(gradient @ x - gradient.min()) <= 1e-8  # the gap of the linear subproblem on the simplex


@pytest.mark.parametrize("seed", range(3))
def test_a_support_vector_machine_takes_few_steps_although_its_norm_is_far_above_its_diagonal(seed: int) -> None:
    """With the step size of the splitting steps, two Newton steps in 18 were kept and 190 splitting steps were needed."""
    n = 120
    X = rng(seed).standard_normal((n, 8))
    labels = np.where(X[:, 0] * X[:, 1] + 0.3 * rng(seed + 10).standard_normal(n) > 0, 1.0, -1.0)
    Q = np.outer(labels, labels) * np.exp(-0.1 * ((X[:, None] - X[None]) ** 2).sum(axis=2))
    problem = monops.Quadratic(Q, -np.ones(n)) + monops.HyperplaneBox(labels, 0.0, 0.0, 1.0)
    result = solution(problem, monops.SemismoothNewton(), np.zeros(n), tol=1e-10)
    x, force = result.x, Q @ result.x - 1.0
    inside = (x > 1e-9) & (x < 1 - 1e-9)
    multiplier = -float(np.mean((force * labels)[inside]))
    assert abs(float(labels @ x)) <= 1e-10
    assert box_violation(x, force + multiplier * labels, 0.0, 1.0) <= 1e-9
    assert result.iterations <= 12


@pytest.mark.parametrize("mu", [0.5, 0.01])
@pytest.mark.parametrize("n", [20, 120])
def test_monotone_variational_inequalities_on_boxes_with_a_large_skew_part(mu: float, n: int) -> None:
    S = rng(7).standard_normal((n, n))
    M, q = mu * np.eye(n) + (S - S.T) / 4, rng(8).standard_normal(n)
    for g, lower, upper in (
        (monops.NonNegative(), 0.0, np.inf),
        (monops.Box(-np.inf, 0.3), -np.inf, 0.3),
        (monops.Box(-0.1, np.where(np.arange(n) % 2, np.inf, 0.1)), -0.1, np.where(np.arange(n) % 2, np.inf, 0.1)),
    ):
        result = solution(monops.Affine(M, q) + g, monops.SemismoothNewton(), np.zeros(n), tol=1e-9)
        assert box_violation(result.x, M @ result.x + q, lower, upper) <= 1e-9
        assert result.iterations <= 60


def test_other_monotone_inclusions_fall_back_on_tsengs_method() -> None:
    n = 20
    S = rng(9).standard_normal((n, n))
    M, q = 0.3 * np.eye(n) + (S - S.T) / 4, rng(10).standard_normal(n)
    for g in (monops.L1Norm(0.3), monops.Simplex(), monops.L2Ball(0.4)):
        x = solution(monops.Affine(M, q) + g, monops.SemismoothNewton(), np.zeros(n)).x
        np.testing.assert_allclose(g.prox(x - (M @ x + q), 1.0), x, atol=1e-8)


def test_rows_of_a_batch_are_those_of_single_runs_and_all_are_solved() -> None:
    n, rows = 20, 60
    P, Q = positive(n, 11), 3.0 * rng(12).standard_normal((rows, n))
    for g, lower, upper in ((monops.Box(-1.0, 0.5), -1.0, 0.5), (monops.NonNegative(), 0.0, np.inf)):
        batch = solution(monops.Quadratic(P, Q) + g, monops.SemismoothNewton(), np.zeros((rows, n)), batch_ndim=1)
        for row in range(rows):
            assert box_violation(batch.x[row], P @ batch.x[row] + Q[row], lower, upper) <= 1e-8
        for row in range(0, rows, 20):
            alone = solution(
                monops.Quadratic(P, Q[row : row + 1]) + g, monops.SemismoothNewton(), np.zeros((1, n)), batch_ndim=1
            )
            np.testing.assert_allclose(alone.x[0], batch.x[row], atol=1e-12)
            assert alone.iterations[0] == batch.iterations[row]


def test_without_a_useful_newton_step_the_splitting_step_still_converges(monkeypatch: pytest.MonkeyPatch) -> None:
    """The safeguard: directions of noise, and of NaN, change the speed and not the answer."""
    n = 12
    P, q = positive(n, 13), 2.0 * rng(14).standard_normal(n)
    S = rng(15).standard_normal((n, n))
    M = np.eye(n) + (S - S.T) / 4
    generator = rng(16)
    for noise in (lambda right: 1e3 * generator.standard_normal(right.shape), lambda right: np.full_like(right, np.nan)):
        monkeypatch.setattr(newton_systems, "padded_systems", lambda H, d, right, free, s, noise=noise: noise(right))
        monkeypatch.setattr(newton_systems, "derivative_system", lambda H, J, r, s, noise=noise: noise(r))
        monkeypatch.setattr(piecewise_newton, "solve_reduced", lambda H, d, right, free, noise=noise: noise(right))
        run = functools.partial(solution, method=monops.SemismoothNewton(), tol=1e-7, max_iter=20_000)
        x = run(monops.Quadratic(P, q) + monops.Box(-1.0, 0.5), start=np.zeros(n)).x
        assert box_violation(x, P @ x + q, -1.0, 0.5) <= 1e-6
        x = run(monops.Quadratic(P, q[None]) + monops.Box(-1.0, 0.5), start=np.zeros((1, n)), batch_ndim=1).x[0]
        assert box_violation(x, P @ x + q, -1.0, 0.5) <= 1e-6
        x = run(monops.Affine(M, q) + monops.L1Norm(0.3), start=np.zeros(n)).x
        assert l1_violation(np.where(np.abs(x) < 1e-12, 0.0, x), M @ x + q, 0.3) <= 1e-5
        x = run(monops.Quadratic(P, q) + monops.Simplex(), start=np.zeros(n)).x
        np.testing.assert_allclose(monops.Simplex().prox(x - (P @ x + q)), x, atol=1e-6)


def test_a_step_size_far_too_long_shrinks_to_a_proven_one() -> None:
    P, q = positive(8, 17), rng(18).standard_normal(8)
    problem = as_inclusion(monops.Quadratic(P, q) + monops.L1Norm(0.1))
    method = monops.SemismoothNewton(step_size=1e6)
    terms = method.match(problem)
    state = method.init(terms, np.ones(8))
    for _ in range(100):
        state = method.step(terms, state)
    assert float(state.step) < 1e6
    assert l1_violation(state.x, P @ state.x + q, 0.1) <= 1e-9


def test_gmres_and_the_reduced_system_solve_the_full_one() -> None:
    n, step = 9, 0.4
    H, r = positive(n, 19) + 0.3 * (np.tri(n) - np.tri(n).T), rng(20).standard_normal(n)
    x = rng(21).standard_normal(n)
    for jacobian in (
        monops.Simplex().prox_derivative(x),
        monops.L2Norm(0.5).prox_derivative(x),
        monops.L1Norm(0.5).prox_derivative(x),
        monops.LInfNorm(0.5).prox_derivative(x),
    ):
        J = np.stack([jacobian.apply(column) for column in np.eye(n)], axis=1)
        exact = np.linalg.solve(np.eye(n) - J + step * J @ H, -r)
        np.testing.assert_allclose(newton_systems.derivative_system(H, jacobian, r, step), exact, atol=1e-9)
        found = newton_systems.gmres(lambda d, J=J: d - J @ d + step * J @ (H @ d), -r)
        np.testing.assert_allclose(found, exact, atol=1e-9)


def test_padded_and_masked_systems_agree() -> None:
    H, free = positive(6, 22), rng(23).random((5, 6)) < 0.5
    free[0] = False
    diagonal, right = rng(24).random((5, 6)), rng(25).standard_normal((5, 6))
    padded = newton_systems.padded_systems(H, diagonal, right, free, True)
    masked = newton_systems.masked_systems(H, diagonal, right, free, True)
    np.testing.assert_allclose(np.where(free, padded, 0.0), np.where(free, masked, 0.0), atol=1e-11)
    for row in range(5):
        on = free[row]
        exact = np.linalg.solve(H[np.ix_(on, on)] + np.diag(diagonal[row, on]), right[row, on])
        np.testing.assert_allclose(padded[row, on], exact, atol=1e-11)


def test_the_box_complementarity_function_vanishes_exactly_at_solutions() -> None:
    x = np.array([0.0, 0.0, 2.0, 2.0, 1.0, 1.0, 0.0])
    F = np.array([0.0, 3.0, -3.0, 0.0, 0.0, 0.5, -1.0])
    solved = np.array([True, True, True, True, True, False, False])
    value = newton_systems.box_complementarity(x, F, 0.0, 2.0).value
    np.testing.assert_array_equal(np.abs(value) < 1e-15, solved)
    free = newton_systems.box_complementarity(x, F, -np.inf, np.inf).value
    np.testing.assert_array_equal(free, F)


# ---- Newton on the dual ------------------------------------------------------------------------------


def test_portfolio() -> None:
    F, d, mean, problem = portfolio(200, 8)
    result = solution(problem, monops.DualNewton(), np.zeros(200), tol=1e-9)
    x = result.x
    gradient = d * x + F @ (F.T @ x) - mean
    assert abs(x.sum() - 1.0) <= 1e-10
    assert x.min() >= 0.0
    assert float(gradient @ x - gradient.min()) <= 1e-9
    assert result.iterations <= 25


@pytest.mark.parametrize("sparse", [False, True])
def test_least_squares_of_few_rows_are_squares_of_rows(sparse: bool) -> None:
    A, b, d = rng(60).standard_normal((6, 40)), rng(61).standard_normal(6), 0.1 + rng(62).random(40)
    data = scipy.sparse.csr_array(A) if sparse else A
    problem = monops.LeastSquares(data, b) + monops.SquaredL2(d) + monops.Simplex()
    result = solution(problem, monops.DualNewton(), np.zeros(40), tol=1e-10)
    slope = A.T @ (A @ result.x - b) + d * result.x
    assert abs(float(result.x.sum()) - 1.0) <= 1e-10
    assert float(slope @ result.x - slope.min()) <= 1e-9  # the gap of the linear subproblem on the simplex
    assert result.iterations <= 15
    assert monops.solve(problem, x0=np.zeros(40)).algorithm.name == "DualNewton"


def test_projection_on_half_spaces_and_a_box() -> None:
    A, c, limit = rng(30).standard_normal((6, 40)), rng(31).standard_normal(40), -np.ones(6)
    problem = monops.SquaredL2() + monops.Linear(-c) + monops.Box(-1.0, 1.0) + monops.Box(-np.inf, limit) @ A
    result = solution(problem, monops.DualNewton(), np.zeros(40), tol=1e-10)
    x, y = result.x, result.dual
    np.testing.assert_allclose(x, np.clip(c - A.T @ y, -1.0, 1.0), atol=1e-12)
    assert y.min() >= 0.0
    assert float(np.max(A @ x - limit)) <= 1e-9
    assert abs(float(y @ (A @ x - limit))) <= 1e-9


def test_basis_pursuit_by_the_proximal_point_method() -> None:
    A = rng(32).standard_normal((30, 80))
    truth = np.zeros(80)
    truth[:5] = [1.0, -2.0, 3.0, 1.5, -1.0]
    result = solution(
        monops.L1Norm() + monops.AffineSet(A, A @ truth), monops.DualNewton(), np.zeros(80), tol=1e-6, max_iter=200
    )
    np.testing.assert_allclose(result.x, truth, atol=1e-5)
    y = -result.dual  # a dual certificate: |A* y| <= 1, with the signs of x on the support
    assert float(np.abs(A.T @ y).max()) <= 1.0 + 1e-5
    np.testing.assert_allclose(A.T[:5] @ y, np.sign(truth[:5]), atol=1e-5)


def test_lasso_on_the_side_of_the_rows() -> None:
    A, b = wide(4, 20, 100, 4)
    weight = 0.1 * float(np.abs(A.T @ b).max())
    problem = monops.L1Norm(weight) + monops.SquaredL2() @ A + monops.Linear(-A.T @ b)
    x = solution(problem, monops.DualNewton(), np.zeros(100), tol=1e-7, max_iter=300).x
    assert l1_violation(x, A.T @ (A @ x - b), weight) <= 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_the_dual_value_falls_with_every_step(seed: int) -> None:
    """Weak curvature, and bounds that most entries meet: without the line search the same steps diverge here."""
    d, A, c = 0.05, rng(seed).standard_normal((4, 30)), 5.0 * rng(seed + 10).standard_normal(30)
    b = A @ rng(seed + 20).uniform(-1.0, 1.0, 30)
    problem = monops.SquaredL2(d) + monops.Linear(-c) + monops.Box(-1.0, 1.0) + monops.AffineSet(A, b)
    method = monops.DualNewton()
    terms = method.match(as_inclusion(problem))
    state = method.init(terms, np.zeros(30))
    values = []
    for _ in range(25):
        x = state.x
        values.append(float(state.y @ b) - float(np.sum(0.5 * d * x * x - c * x + (A.T @ state.y) * x)))
        state = method.step(terms, state)
    assert all(later <= now + 1e-12 for now, later in itertools.pairwise(values))
    assert values[0] > values[-1]
    assert float(arrays.norm(method.certificate(terms, state))) <= 1e-6


# ---- PANOC ---------------------------------------------------------------------------------------------


def test_panoc_solves_what_it_matches() -> None:
    A, b = wide(5, 40, 60, 5)
    x = solution(monops.LeastSquares(A, b) + monops.L1Norm(5.0), monops.PANOC(), np.zeros(60), tol=1e-8).x
    assert l1_violation(np.where(np.abs(x) < 1e-13, 0.0, x), A.T @ (A @ x - b), 5.0) <= 1e-7
    labels = np.sign(b)
    x = solution(monops.LogisticLoss(labels) @ A + monops.SquaredL2(0.5), monops.PANOC(), np.zeros(60), tol=1e-8).x
    assert float(np.abs(0.5 * x - A.T @ (labels / (1 + np.exp(labels * (A @ x))))).max()) <= 1e-8
    P, q = positive(30, 33), rng(34).standard_normal(30)
    x = solution(monops.Quadratic(P, q) + monops.Simplex(), monops.PANOC(), np.full(30, 1 / 30), tol=1e-8).x
    assert float((P @ x + q) @ x - (P @ x + q).min()) <= 1e-8


def test_the_envelope_falls_with_every_step_at_a_fixed_step_size() -> None:
    A, b = wide(6, 40, 60, 5)
    problem = as_inclusion(monops.LeastSquares(A, b) + monops.L1Norm(5.0))
    method = monops.PANOC()
    terms = method.match(problem)
    state = method.init(terms, rng(35).standard_normal(60))

    def envelope(x: np.ndarray, step: float) -> float:
        gradient = A.T @ (A @ x - b)
        z = x - step * gradient
        p = np.sign(z) * np.maximum(np.abs(z) - 5.0 * step, 0.0)
        smooth = 0.5 * np.sum((A @ x - b) ** 2) + gradient @ (p - x)
        return float(smooth + np.sum((p - x) ** 2) / (2 * step) + 5.0 * np.abs(p).sum())

    for _ in range(60):
        new = method.step(terms, state)
        if float(new.step) == float(state.step):
            square = float(np.sum((state.x - state.image) ** 2))
            fall = envelope(state.x, float(state.step)) - envelope(new.x, float(state.step))
            assert fall >= 0.5 * 0.05 / (2 * float(state.step)) * square * (1 - 1e-6) - 1e-9
        state = new


def test_panoc_with_useless_directions_is_the_proximal_gradient_method(monkeypatch: pytest.MonkeyPatch) -> None:
    from monops.algorithms.newton import panoc

    generator = rng(36)
    monkeypatch.setattr(panoc, "_two_loops", lambda residual, moves, changes: 1e3 * generator.standard_normal(residual.shape))
    A, b = wide(7, 60, 20, 3)
    x = solution(monops.LeastSquares(A, b) + monops.L1Norm(5.0), monops.PANOC(), np.zeros(20), tol=1e-7, max_iter=20_000).x
    assert l1_violation(np.where(np.abs(x) < 1e-12, 0.0, x), A.T @ (A @ x - b), 5.0) <= 1e-6


def test_panoc_shrinks_its_step_where_the_curvature_is_not_known() -> None:
    """x^4 has no Lipschitz gradient, and no constant to declare."""
    problem = monops.NormPower(4.0, 1.0) + monops.Box(0.5, 100.0) if hasattr(monops, "NormPower") else None
    if problem is None:
        problem = monops.LogisticLoss(-1.0) @ (1e3 * np.eye(3)) + monops.Box(-1.0, 1.0)
    result = solution(problem, monops.PANOC(step_size=1e3), np.full(3, 1.0), tol=1e-7, max_iter=5000)
    assert result.state.step < 1e3
