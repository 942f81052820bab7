"""Newton methods on structure, held against optimality conditions written in NumPy, and against their own safeguards."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import monops
from monops import arrays
from monops.algorithms import newton_systems, piecewise_newton
from monops.algorithms.newton import semismooth_newton, working_set_newton
from monops.algorithms.newton.dual_newton import guarantee as dual_guarantee
from monops.algorithms.newton.panoc import guarantee as panoc_guarantee
from monops.algorithms.newton.semismooth_newton import guarantee as semismooth_guarantee
from monops.algorithms.newton.working_set_newton import guarantee as working_set_guarantee
from monops.errors import NotApplicableError, StepSizeError
from monops.solve import as_inclusion


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def solution(problem: Any, method: Any, start: np.ndarray, tol: float = 1e-9, max_iter: int = 2000, **options: Any) -> Any:
    result = monops.solve(problem, method, x0=start, tol=tol, max_iter=max_iter, check_every=1, **options)
    assert result.success, result.message
    return result


def l1_violation(x: np.ndarray, gradient: np.ndarray, weight: Any) -> float:
    """Of 0 in gradient + weight d|x|, entry by entry."""
    at_zero = np.maximum(np.abs(gradient) - weight, 0.0)
    return float(np.max(np.where(x == 0, at_zero, np.abs(gradient + weight * np.sign(x)))))


def box_violation(x: np.ndarray, force: np.ndarray, lower: Any, upper: Any) -> float:
    """|x - clip(x - F(x))|: zero exactly at solutions of the variational inequality on the box."""
    return float(np.max(np.abs(x - np.clip(x - force, lower, upper))))


def wide(seed: int = 0, rows: int = 60, columns: int = 300, support: int = 8) -> tuple[np.ndarray, np.ndarray]:
    A = rng(seed).standard_normal((rows, columns))
    A += 0.7 * np.roll(A, 1, axis=1)
    truth = np.zeros(columns)
    truth[rng(seed + 1).choice(columns, support, replace=False)] = 3.0
    return A, A @ truth + 0.1 * rng(seed + 2).standard_normal(rows)


def positive(n: int, seed: int, extra: int = 5) -> np.ndarray:
    F = rng(seed).standard_normal((n, n + extra))
    return F @ F.T / n


# ---- columns of linear maps ------------------------------------------------------------------------


def test_columns_of_a_matrix_are_its_columns(backend: Any) -> None:
    A = rng(0).standard_normal((4, 7))
    K = monops.Matrix(backend.asarray(A))
    index = arrays.from_numpy(np.array([5, 0, 3]), K.matrix, arrays.namespace(K.matrix).int64)
    np.testing.assert_array_equal(backend.to_numpy(K.columns(index)), A[:, [5, 0, 3]])


@pytest.mark.parametrize("imaginary", [0.0, 1.0])
def test_columns_of_a_sparse_matrix_are_its_columns(imaginary: float) -> None:
    A = rng(0).standard_normal((4, 7)) * (rng(1).random((4, 7)) < 0.5)
    A = A + imaginary * 1j * A**2 if imaginary else A
    found = monops.SparseMatrix(scipy.sparse.csr_array(A)).columns(np.array([5, 0, 3]))
    np.testing.assert_array_equal(found.toarray(), A[:, [5, 0, 3]])


# ---- the quadratic model plus g ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_projected_newton_solves_ill_conditioned_l1_models_in_few_steps(seed: int) -> None:
    """Condition numbers of 1e4 to 1e6; before violators that point out of their piece were dropped, two of these failed."""
    n = 100
    F = rng(seed).standard_normal((n, n))
    P = F @ F.T / n
    model = piecewise_newton.Model(0.5 * monops.L1Norm(), P, 3.0 * rng(seed).standard_normal(n), np.zeros(n))
    point, steps = model.accelerate(model.at(np.zeros(n)), 5, model.lipschitz()), 0
    while l1_violation(point.x, point.gradient, 0.5) > 1e-8:
        new = model.newton(point, piecewise_newton.around(model.g, point.x, -point.gradient))
        assert new is not None
        assert model.change(point, new) < 0.0
        point, steps = new, steps + 1
        assert steps < 60
    x = model.minimise(1e-9)
    assert l1_violation(x, model.at(x).gradient, 0.5) <= 1e-8


@pytest.mark.parametrize(
    ("g", "check"),
    [
        (monops.NonNegative(), lambda x, v: box_violation(x, v, 0.0, np.inf)),
        (monops.Box(-0.1, 0.2), lambda x, v: box_violation(x, v, -0.1, 0.2)),
        (monops.L1Norm(np.linspace(0.1, 2.0, 20)), lambda x, v: l1_violation(x, v, np.linspace(0.1, 2.0, 20))),
        (monops.ElasticNet(0.4, 0.7), lambda x, v: l1_violation(x, v + 0.7 * x, 0.4)),
        (monops.Huber(0.3), lambda x, v: float(np.abs(v + np.clip(x / 0.3, -1, 1) * 0.3).max())),
    ],
)
def test_model_is_minimised_for_every_kind_of_piece(g: Any, check: Any) -> None:
    n = 20
    P, q = positive(n, 1), rng(2).standard_normal(n)
    model = piecewise_newton.Model(g, P, q, np.zeros(n))
    x = model.minimise(1e-11)
    if isinstance(g, monops.Huber):
        assert float(np.abs(P @ x + q + g.gradient(x)).max()) <= 1e-9
    else:
        assert check(x, P @ x + q) <= 1e-9


def test_a_singular_model_is_solved_too() -> None:
    column = rng(3).standard_normal((10, 3))
    A = np.concatenate([column, column, column], axis=1)  # every column three times
    b = rng(4).standard_normal(10)
    model = piecewise_newton.Model(monops.L1Norm(0.1), A.T @ A, -A.T @ b, np.zeros(9))
    x = model.minimise(1e-9)
    assert l1_violation(x, A.T @ (A @ x - b), 0.1) <= 1e-7


# ---- working sets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("part", [0.9, 0.1, 0.01])
def test_lasso(sparse: bool, part: float) -> None:
    A, b = wide()
    weight = part * float(np.abs(A.T @ b).max())
    data = scipy.sparse.csr_array(A) if sparse else A
    result = solution(monops.LeastSquares(data, b) + weight * monops.L1Norm(), monops.WorkingSetNewton(), np.zeros(300))
    assert l1_violation(result.x, A.T @ (A @ result.x - b), weight) <= 1e-9
    assert result.iterations <= 8


def test_lasso_with_a_weight_above_the_largest_correlation_is_zero_at_once() -> None:
    A, b = wide()
    weight = 1.01 * float(np.abs(A.T @ b).max())
    assert not np.any(solution(monops.LeastSquares(A, b) + monops.L1Norm(weight), monops.WorkingSetNewton(), np.zeros(300)).x)


def test_other_penalties_on_least_squares() -> None:
    A, b = wide()
    gradient = lambda x: A.T @ (A @ x - b)  # noqa: E731
    weights = np.linspace(0.5, 30.0, 300)
    run = functools.partial(solution, method=monops.WorkingSetNewton(), start=np.zeros(300))
    x = run(monops.LeastSquares(A, b) + monops.L1Norm(weights)).x
    assert l1_violation(x, gradient(x), weights) <= 1e-9
    x = run(monops.LeastSquares(A, b) + monops.ElasticNet(5.0, 2.0)).x
    assert l1_violation(x, gradient(x) + 2.0 * x, 5.0) <= 1e-9
    x = run(monops.LeastSquares(A, b) + monops.Box(-0.2, np.linspace(0.1, 2.0, 300))).x
    assert box_violation(x, gradient(x), -0.2, np.linspace(0.1, 2.0, 300)) <= 1e-8
    x = run(monops.LeastSquares(A, b) + monops.OnBox(monops.L1Norm(5.0), -1.0, 2.0)).x
    assert float(np.abs(x - np.clip(x - gradient(x) - 5.0 * np.sign(x), -1.0, 2.0))[x != 0].max()) <= 1e-8
    assert float(np.abs(gradient(x))[x == 0].max()) <= 5.0 + 1e-8


def group_violation(x: np.ndarray, gradient: np.ndarray, groups: list[tuple[list[int], float]]) -> float:
    """Of 0 in gradient + sum weight d|x_group|, group by group."""
    found = []
    for indices, weight in groups:
        part, size = x[indices], float(np.linalg.norm(x[indices]))
        at_zero = max(float(np.linalg.norm(gradient[indices])) - weight, 0.0)
        found.append(at_zero if size == 0 else float(np.linalg.norm(gradient[indices] + weight * part / size)))
    return max(found)


@pytest.mark.parametrize("loss", ["squares", "sparse squares", "logistic"])
@pytest.mark.parametrize("part", [0.5, 0.05])
def test_group_lasso_with_groups_of_any_length(loss: str, part: float) -> None:
    A, b = wide(41, 60, 300, 12)
    ends = [0, 4, 5, 12, *range(15, 297, 3)]  # the last three entries are in no group
    groups = [(list(range(i, j)), float(j - i) ** 0.5) for i, j in itertools.pairwise(ends)]
    labels = np.sign(b)
    gradient = (
        (lambda x: -A.T @ (labels / (1 + np.exp(labels * (A @ x))))) if loss == "logistic" else lambda x: A.T @ (A @ x - b)
    )
    scale = part * max(float(np.linalg.norm(gradient(np.zeros(300))[indices])) / weight for indices, weight in groups)
    g = scale * monops.TreeGroupL2(groups)
    data = scipy.sparse.csr_array(A) if loss.startswith("sparse") else A
    problem = monops.LogisticLoss(labels) @ A + g if loss == "logistic" else monops.LeastSquares(data, b) + g
    if loss == "logistic":  # every entry in a group, or the free ones separate the labels
        problem = monops.LogisticLoss(labels) @ A + scale * monops.TreeGroupL2([*groups, ([297, 298, 299], 2.0)])
        groups = [*groups, ([297, 298, 299], 2.0)]
    x = solution(problem, monops.WorkingSetNewton(), np.zeros(300), tol=1e-8).x
    scaled = [(indices, scale * weight) for indices, weight in groups]
    assert group_violation(x, gradient(x), scaled) <= 1e-8
    free = sorted(set(range(300)) - {index for indices, _ in groups for index in indices})
    assert float(np.max(np.abs(gradient(x)[free]), initial=0.0)) <= 1e-8


def test_nonnegative_least_squares_equals_the_active_set_method_of_scipy() -> None:
    A = np.abs(rng(5).standard_normal((80, 40)))
    b = A @ np.maximum(rng(6).standard_normal(40), 0.0) + rng(7).standard_normal(80)
    x = solution(monops.LeastSquares(A, b) + monops.NonNegative(), monops.WorkingSetNewton(), np.zeros(40)).x
    np.testing.assert_allclose(x, scipy.optimize.nnls(A, b)[0], atol=1e-10)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("part", [0.5, 0.03])
def test_logistic_regression(sparse: bool, part: float) -> None:
    A = rng(8).standard_normal((200, 400)) * (rng(9).random((200, 400)) < 0.2)
    labels = np.where(A[:, :5].sum(axis=1) + 0.3 * rng(10).standard_normal(200) > 0, 1.0, -1.0)
    weight = part * float(np.abs(A.T @ labels).max()) / 2
    data = scipy.sparse.csr_array(A) if sparse else A
    problem = monops.LogisticLoss(labels) @ monops.linear.as_linear_map(data) + weight * monops.L1Norm()
    x = solution(problem, monops.WorkingSetNewton(), np.zeros(400)).x
    gradient = -A.T @ (labels / (1.0 + np.exp(labels * (A @ x))))
    assert l1_violation(x, gradient, weight) <= 1e-9


def test_objective_falls_with_every_pass_and_the_working_set_only_grows() -> None:
    A, b = wide(3, 80, 600, 25)
    weight = 0.02 * float(np.abs(A.T @ b).max())
    method = monops.WorkingSetNewton()
    for problem, value in (
        (
            monops.LeastSquares(A, b) + monops.L1Norm(weight),
            lambda x: 0.5 * np.sum((A @ x - b) ** 2) + weight * np.abs(x).sum(),
        ),
        (
            monops.LogisticLoss(np.sign(b)) @ A + monops.L1Norm(2.0),
            lambda x: np.sum(np.logaddexp(0.0, -np.sign(b) * (A @ x))) + 2.0 * np.abs(x).sum(),
        ),
    ):
        terms = method.match(as_inclusion(problem))
        state = method.init(terms, 0.1 * rng(11).standard_normal(600))
        for _ in range(8):
            new = method.step(terms, state)
            assert value(new.x) <= value(state.x) * (1 + 1e-13)
            assert set(state.indices.tolist()) <= set(new.indices.tolist())
            state = new


def test_working_sets_need_no_norm_of_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> Any:
        raise AssertionError("the norm of A was computed")

    monkeypatch.setattr(monops.Matrix, "norm", property(refuse))
    A, b = wide()
    problem = as_inclusion(monops.LeastSquares(A, b) + monops.L1Norm(20.0))
    method = monops.WorkingSetNewton()
    terms = method.match(problem)
    state = method.init(terms, np.zeros(300))
    for _ in range(6):
        state = method.step(terms, state)
    assert float(np.linalg.norm(method.certificate(terms, state))) <= 1e-9


def test_proximal_gradient_steps_take_over_where_the_working_set_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_set_newton, "LARGEST", 50)
    A, b = wide()
    weight = 0.3 * float(np.abs(A.T @ b).max())
    start = 0.01 * rng(12).standard_normal(300)  # every entry moves
    for problem, gradient in (
        (monops.LeastSquares(A, b) + monops.L1Norm(weight), lambda x: A.T @ (A @ x - b)),
        (
            monops.LogisticLoss(np.sign(b)) @ A + monops.L1Norm(3.0),
            lambda x: -A.T @ (np.sign(b) / (1.0 + np.exp(np.sign(b) * (A @ x)))),
        ),
    ):
        monkeypatch.setattr(working_set_newton, "FIRST", 10)
        x = solution(problem, monops.WorkingSetNewton(), start, tol=1e-7, max_iter=20_000).x
        assert l1_violation(x, gradient(x), weight if problem.terms[0].map is None else 3.0) <= 1e-7


def test_certificate_of_the_working_set_is_the_least_element_of_the_sum() -> None:
    A, b = wide()
    problem = as_inclusion(monops.LeastSquares(A, b) + monops.L1Norm(20.0))
    method = monops.WorkingSetNewton()
    terms = method.match(problem)
    state = method.step(terms, method.init(terms, np.zeros(300)))
    x, certificate = state.x, method.certificate(terms, state)
    subgradient = certificate - A.T @ (A @ x - b)
    assert np.all(np.abs(subgradient) <= 20.0 + 1e-9)
    np.testing.assert_allclose(subgradient[x != 0], 20.0 * np.sign(x[x != 0]))


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
        monkeypatch.setattr(semismooth_newton, "padded_systems", lambda H, d, right, free, s, noise=noise: noise(right))
        monkeypatch.setattr(semismooth_newton, "derivative_system", lambda H, J, r, s, noise=noise: noise(r))
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


def portfolio(assets: int, factors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    F = rng(26).standard_normal((assets, factors)) * (rng(27).random((assets, factors)) < 0.5)
    d, mean = rng(28).random(assets) * factors**0.5 + 0.1, rng(29).standard_normal(assets)
    problem = monops.SquaredL2(d) + monops.Linear(-mean) + monops.SquaredL2() @ np.ascontiguousarray(F.T) + monops.Simplex()
    return F, d, mean, problem


def test_portfolio() -> None:
    F, d, mean, problem = portfolio(200, 8)
    result = solution(problem, monops.DualNewton(), np.zeros(200), tol=1e-9)
    x = result.x
    gradient = d * x + F @ (F.T @ x) - mean
    assert abs(x.sum() - 1.0) <= 1e-10
    assert x.min() >= 0.0
    assert float(gradient @ x - gradient.min()) <= 1e-9
    assert result.iterations <= 25


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


def test_the_dual_value_falls_with_every_step() -> None:
    F, d, mean, problem = portfolio(50, 5)
    method = monops.DualNewton()
    terms = method.match(problem)
    state = method.init(terms, np.zeros(50))
    values = []
    for _ in range(15):
        x, y = state.x, state.y
        conjugate = -float(np.sum(0.5 * d * x * x - mean * x + (np.concatenate([F, np.ones((50, 1))], axis=1) @ y) * x))
        values.append(conjugate + 0.5 * float(y[:5] @ y[:5]) + float(y[5]))
        state = method.step(terms, state)
    assert all(later <= now + 1e-12 for now, later in itertools.pairwise(values))
    assert values[0] > values[-1]


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


# ---- every method ----------------------------------------------------------------------------------------


def _cases(a: Any) -> list[tuple[Any, Any, Any]]:
    A, b = wide(8, 12, 20, 3)
    P, q = positive(10, 37), rng(38).standard_normal(10)
    S = rng(39).standard_normal((10, 10))
    _, d, mean, _ = portfolio(12, 3)
    K = rng(40).standard_normal((3, 12))
    return [
        (monops.WorkingSetNewton(), monops.LeastSquares(a(A), a(b)) + monops.L1Norm(3.0), np.zeros(20)),
        (monops.WorkingSetNewton(), monops.LogisticLoss(a(np.sign(b))) @ a(A) + monops.L1Norm(0.5), np.zeros(20)),
        (monops.SemismoothNewton(), monops.Quadratic(a(P), a(q)) + monops.Box(-0.3, 0.3), np.zeros(10)),
        (monops.SemismoothNewton(), monops.Quadratic(a(P), a(q)) + monops.Simplex(), np.full(10, 0.1)),
        (monops.SemismoothNewton(), monops.Affine(a(np.eye(10) + S - S.T), a(q)) + monops.NonNegative(), np.zeros(10)),
        (monops.DualNewton(), monops.SquaredL2(a(d)) + monops.Linear(a(-mean)) + monops.SquaredL2() @ a(K), np.zeros(12)),
        (monops.PANOC(), monops.LeastSquares(a(A), a(b)) + monops.L1Norm(3.0), np.zeros(20)),
    ]


@pytest.mark.parametrize("index", range(7))
def test_iterates_on_every_library_are_those_of_numpy(backend: Any, index: int) -> None:
    method, problem, start = _cases(backend.asarray)[index]
    _, reference, _ = _cases(np.asarray)[index]
    terms, expected = method.match(as_inclusion(problem)), method.match(as_inclusion(reference))
    state, other = method.init(terms, backend.asarray(start)), method.init(expected, start)
    for _ in range(4):
        state, other = method.step(terms, state), method.step(expected, other)
        point = method.solution(terms, state).x
        assert type(point) is type(backend.asarray(start))
        np.testing.assert_allclose(backend.to_numpy(point), method.solution(expected, other).x, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("index", range(7))
def test_float32_stays_float32_and_converges(index: int) -> None:
    method, problem, start = _cases(lambda host: np.asarray(host, dtype=np.float32))[index]
    result = monops.solve(problem, method, x0=start.astype(np.float32), tol=1e-3, max_iter=500)
    assert result.success
    assert result.x.dtype == np.float32


@pytest.mark.parametrize("index", range(7))
def test_states_are_never_mutated_and_a_solved_state_stays(index: int) -> None:
    method, problem, start = _cases(np.asarray)[index]
    terms = method.match(as_inclusion(problem))
    state = method.init(terms, start)
    for _ in range(60):
        copies = [np.array(leaf, copy=True) for leaf in arrays.leaves(state)]
        new = method.step(terms, state)
        for leaf, copy in zip(arrays.leaves(state), copies, strict=True):
            np.testing.assert_array_equal(leaf, copy)
        state = new
    if index < 6:  # PANOC is of first order
        again = method.solution(terms, method.step(terms, state)).x
        np.testing.assert_allclose(method.solution(terms, state).x, again, atol=1e-9)


def test_refusals_name_what_is_missing_and_the_way_out() -> None:
    A, b = wide(9, 5, 8, 2)
    smooth = monops.LeastSquares(A, b)
    P = np.eye(8)
    rows = {
        "working sets of batch rows": (monops.WorkingSetNewton(), as_inclusion(smooth + monops.L1Norm()).batched(1)),
        "2 terms stand beside": (monops.WorkingSetNewton(), smooth + monops.L1Norm() + monops.NonNegative()),
        "0 terms are a twice": (monops.WorkingSetNewton(), monops.Quadratic(P) + monops.L1Norm()),
        "no kink and no bound": (monops.WorkingSetNewton(), smooth + monops.SquaredL2()),
        "is not separable": (monops.WorkingSetNewton(), smooth + monops.L2Norm()),
        "nested or do not fit": (
            monops.WorkingSetNewton(),
            smooth + monops.TreeGroupL2([((0, 1, 2), 1.0), ((0, 1), 1.0)]),
        ),
        "is nonconvex": (monops.WorkingSetNewton(), smooth + monops.L0Norm()),
        "one affine term": (monops.SemismoothNewton(), monops.LogisticLoss(1.0) + monops.L1Norm()),
        "contains a linear map": (monops.SemismoothNewton(), monops.Quadratic(P) + monops.L1Norm() @ P),
        "couples entries": (monops.SemismoothNewton(), as_inclusion(monops.Quadratic(P) + monops.Simplex()).batched(1)),
        "dual Newton systems of batch rows": (
            monops.DualNewton(),
            as_inclusion(monops.SquaredL2() + monops.L1Norm() @ A).batched(1),
        ),
        "no term couples": (monops.DualNewton(), monops.SquaredL2(np.ones(8)) + monops.L1Norm()),
        "rows couple": (monops.DualNewton(), monops.SquaredL2(np.ones(8)) + monops.L1Norm() @ rng(0).standard_normal((9, 8))),
        "is not a convex separable function of x": (monops.DualNewton(), monops.L2Norm() + monops.L1Norm() @ A),
        "line searches of batch rows": (monops.PANOC(), as_inclusion(smooth + monops.L1Norm()).batched(1)),
        "is an operator": (monops.PANOC(), monops.Affine(P, np.ones(8)) + monops.L1Norm()),
        "2 terms need their prox": (monops.PANOC(), smooth + monops.L1Norm() + monops.NonNegative()),
        "no term is differentiable": (monops.PANOC(), as_inclusion(monops.L1Norm())),
    }
    for sentence, (method, problem) in rows.items():
        with pytest.raises(NotApplicableError, match=sentence) as refusal:
            method.match(as_inclusion(problem))
        assert ";" in str(refusal.value)  # what is missing; the way out


def test_step_sizes_outside_the_proven_interval_are_refused() -> None:
    A, b = wide(9, 5, 8, 2)
    problem = as_inclusion(monops.LeastSquares(A, b) + monops.L1Norm())
    for method in (
        monops.WorkingSetNewton(step_size=1.5),
        monops.PANOC(step_size=0.0),
        monops.SemismoothNewton(step_size=-1.0),
    ):
        with pytest.raises(StepSizeError):
            method.match(problem)


def test_printed_intervals_are_those_of_the_code() -> None:
    for proven in (
        working_set_guarantee(),
        semismooth_guarantee(True),
        semismooth_guarantee(False),
        dual_guarantee(),
        panoc_guarantee(),
    ):
        for step_size in (-1.0, 0.0, 0.5, 1.0, 1.5, 1e6):
            lower, upper = proven.interval
            inside = lower < step_size < upper or (proven.upper_included and step_size == upper)
            assert eval(proven.formula, {"step_size": step_size}) == inside
