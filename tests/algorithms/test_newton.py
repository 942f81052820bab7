"""Working sets against optimality conditions written in NumPy; what all Newton methods share."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import monops
from monops import arrays
from monops.algorithms import best_method
from monops.algorithms.newton import working_set_newton
from monops.algorithms.newton.dual_newton import guarantee as dual_guarantee
from monops.algorithms.newton.panoc import guarantee as panoc_guarantee
from monops.algorithms.newton.semismooth_newton import guarantee as semismooth_guarantee
from monops.algorithms.newton.working_set_newton import guarantee as working_set_guarantee
from monops.algorithms.shared import piecewise_newton, working_set_penalties
from monops.errors import NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.algorithms.newton_cases import box_violation, l1_violation, portfolio, positive, rng, solution, wide

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


def test_systems_of_groups_are_those_of_the_few_rows() -> None:
    C, force, u = rng(70).standard_normal((7, 30)), rng(71).standard_normal(30), rng(72).standard_normal(30)
    labels = np.repeat(np.arange(5), [3, 1, 6, 10, 10])
    u = u / np.sqrt(np.bincount(labels, u * u))[labels]
    bend = (0.1 + rng(73).random(5))[labels]
    B = np.diag(bend) - (labels[:, None] == labels) * np.outer(bend * u, u)
    exact = np.linalg.solve(C.T @ C + B, force)
    shuffled = rng(74).permutation(30)  # entries of a working set come in any order
    for order in (np.arange(30), shuffled):
        groups = working_set_penalties.Groups(labels[order], np.ones(5))
        model = groups.model(C[:, order].T @ C[:, order], force, np.zeros(30), 7, C[:, order])
        found = model._solved(np.arange(30), bend[order], u[order], force[order])
        np.testing.assert_allclose(found, exact[order], atol=1e-9)
        model.columns = None
        np.testing.assert_allclose(model._solved(np.arange(30), bend[order], u[order], force[order]), found, atol=1e-9)


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
    A, b = wide(0, 150, 600)
    problem = as_inclusion(monops.LeastSquares(A, b) + monops.L1Norm(20.0))
    method = monops.WorkingSetNewton()
    terms = method.match(problem)
    state = method.init(terms, np.zeros(600))
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


# ---- which of them solve chooses ---------------------------------------------------------------------


def chosen(problem: Any, batch_ndim: int = 0) -> str:
    found = best_method(dataclasses.replace(as_inclusion(problem), batch_ndim=batch_ndim))
    return found.algorithm.name if found is not None else ""


def test_the_method_with_the_least_work_is_chosen() -> None:
    A, n = np.abs(rng(50).standard_normal((60, 40))), 50
    P, few = positive(n, 51), rng(52).standard_normal((5, 30))
    assert chosen(monops.LeastSquares(A, A[:, 0]) + monops.NonNegative()) == "SemismoothNewton"
    assert chosen(monops.LeastSquares(A.T, A[0]) + monops.NonNegative()) == "WorkingSetNewton"
    assert chosen(monops.LeastSquares(A, A[:, 0]) + monops.L1Norm(0.1)) == "WorkingSetNewton"
    assert chosen(monops.Quadratic(P, P[0]) + monops.Box(-1.0, 1.0)) == "SemismoothNewton"
    assert chosen(monops.SquaredL2() + monops.L1Norm() + monops.AffineSet(few, few[:, 0])) == "DualNewton"
    # no term is strongly convex, and a proximal point method repeats the Newton steps
    assert chosen(monops.L1Norm() + monops.AffineSet(few, few[:, 0])) == "DouglasRachford"
    program = monops.models.linear_program(rng(53).random(30), A_equal=scipy.sparse.csr_array(few), b_equal=few[:, 0])
    assert chosen(program) == "InteriorProximalMultipliers"
    # rows of a batch: factorisations one by one, against products of matrices
    scaled = np.diag(np.linspace(0.1, 1.0, n))
    assert chosen(monops.Quadratic(scaled, rng(54).standard_normal((9, n))) + monops.Box(-1.0, 1.0), 1) != "SemismoothNewton"
    scaled = np.diag(np.geomspace(1e-6, 1.0, n))
    assert chosen(monops.Quadratic(scaled, rng(54).standard_normal((9, n))) + monops.Box(-1.0, 1.0), 1) == "SemismoothNewton"
