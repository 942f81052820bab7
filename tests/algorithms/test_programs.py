"""Linear, quadratic and conic programs: against other solvers, by optimality conditions, and where there is no solution."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

import monops
from benchmarks.programs import clarabel_solver, load_quadratic, residuals
from monops import arrays
from monops.algorithms.newton.augmented_lagrangian_newton import _exact_step
from monops.algorithms.shared.programs import Program, equilibrate, pair, read_program, rescaled
from monops.algorithms.shared.quasidefinite import IGNORED, QuasidefiniteSystem
from monops.errors import DataError, NotApplicableError, ShapeError, StepSizeError
from monops.models import conic_program, linear_program, quadratic_program
from tests.backends import BACKENDS

METHODS = (monops.InteriorProximalMultipliers(), monops.AugmentedLagrangianNewton())
both = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
INF = np.inf


def by_name(name: str) -> Any:
    """A backend."""
    return next(backend for backend in BACKENDS if backend.name == name)


class Case:
    """A program with everything that its optimality conditions need."""

    def __init__(self, P: Any, q: Any, A: Any, lower: Any, upper: Any) -> None:
        self.P, self.q, self.A = np.asarray(P, float), np.asarray(q, float), np.asarray(A, float)
        self.lower, self.upper = np.asarray(lower, float), np.asarray(upper, float)

    def problem(self, as_sparse: bool = False) -> Any:
        """The inclusion."""
        P, A = (sparse.csr_array(self.P), sparse.csr_array(self.A)) if as_sparse else (self.P, self.A)
        return quadratic_program(P if np.any(self.P) else None, self.q, A, self.lower, self.upper)

    def value(self, x: np.ndarray) -> float:
        """Objective."""
        return float(0.5 * x @ self.P @ x + self.q @ x)

    def error(self, x: np.ndarray, y: np.ndarray) -> float:
        """Largest violation of stationarity, feasibility, signs and complementarity, each written out."""
        image = self.A @ x
        slack_up = np.where(np.isfinite(self.upper), self.upper - image, 1.0)
        slack_down = np.where(np.isfinite(self.lower), image - self.lower, 1.0)
        parts = [
            np.abs(self.P @ x + self.q + self.A.T @ y),
            np.maximum(-slack_up, 0.0),
            np.maximum(-slack_down, 0.0),
            np.where(np.isinf(self.upper), np.maximum(y, 0.0), 0.0),
            np.where(np.isinf(self.lower), np.maximum(-y, 0.0), 0.0),
            np.minimum(np.abs(np.maximum(y, 0.0)), np.abs(slack_up)),
            np.minimum(np.abs(np.minimum(y, 0.0)), np.abs(slack_down)),
        ]
        return float(max(np.max(part, initial=0.0) for part in parts))

    def reference(self) -> float:
        """The optimal value by Clarabel."""
        data = (sparse.csc_array(self.P), self.q, sparse.csr_array(self.A), self.lower, self.upper)
        from benchmarks.programs import Data

        answer = clarabel_solver(Data(*data), 10.0)
        assert answer.x is not None
        assert answer.claims
        return self.value(answer.x)


def random_case(seed: int, n: int, m: int, rank: int, equations: int, free: int) -> Case:
    """A feasible, bounded program: P of the given rank, rows that are equations, free, one-sided and two-sided."""
    rng = np.random.default_rng(seed)
    F, A = rng.standard_normal((rank, n)), rng.standard_normal((m, n))
    x = rng.standard_normal(n)
    lower, upper = A @ x - rng.random(m), A @ x + rng.random(m)
    lower[:equations] = upper[:equations] = (A @ x)[:equations]
    lower[equations : equations + free], upper[equations : equations + free] = -INF, INF
    lower[equations + free :: 3], upper[equations + free + 1 :: 3] = -INF, INF
    rows = np.vstack([A, np.eye(n)])
    return Case(F.T @ F, rng.standard_normal(n), rows, np.r_[lower, x - 3.0], np.r_[upper, x + 3.0])


CASES = {
    "transport": Case(  # degenerate: 2 x 2 transport with equal supplies, a redundant equation
        np.zeros((4, 4)),
        [1, 2, 3, 1],
        np.vstack([[[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]], np.eye(4)]),
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, INF, INF, INF, INF],
    ),
    "many optima": Case(np.zeros((2, 2)), [1, 1], np.vstack([[[1, 1]], np.eye(2)]), [1, 0, 0], [INF, INF, INF]),
    "singular P": Case([[1, 1], [1, 1]], [-1, -1], np.eye(2), [0, 0], [5, 5]),
    "equations only": Case(np.diag([1.0, 2.0, 0.0]), [0, 0, 1], [[1, 1, 1], [0, 1, -1]], [1, 0], [1, 0]),
    "zero": Case(np.zeros((2, 2)), [0, 0], np.eye(2), [1, -INF], [2, INF]),
    "badly scaled": Case(np.diag([1e-4, 1e4]), [-1, -1e3], [[1e3, 1], [1e-3, 1e2]], [-INF, -1], [1e3, 1]),
    "fixed variable": Case(np.eye(2), [1, 1], np.eye(2), [3, -INF], [3, INF]),
    "tiny multiplier": Case(np.eye(2), [-1, -1], np.eye(2), [-INF, -INF], [1 - 1e-7, 2]),
    **{f"random QP {k}": random_case(k, 12, 8, 12, 2, 2) for k in range(3)},
    **{f"random semidefinite {k}": random_case(10 + k, 15, 9, 4, 3, 1) for k in range(3)},
    **{f"random LP {k}": random_case(20 + k, 10, 8, 0, 2, 1) for k in range(3)},
}


@both
@pytest.mark.parametrize("as_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", CASES)
def test_answers_meet_the_optimality_conditions(name: str, method: Any, as_sparse: bool) -> None:
    case = CASES[name]
    result = monops.solve(case.problem(as_sparse), method, tol=1e-9, check_every=1)
    assert result.success
    assert case.error(result.x, result.dual) <= 1e-8
    assert case.value(result.x) == pytest.approx(case.reference(), abs=2e-6, rel=2e-6)


@both
def test_residual_is_recomputed_from_the_data_as_given(method: Any) -> None:
    case = CASES["random QP 0"]
    result = monops.solve(case.problem(), method, tol=1e-9, check_every=1)
    y, image = result.dual, case.A @ result.x
    s = np.where(y > 0, case.upper, np.where(y < 0, case.lower, np.clip(image, case.lower, case.upper)))
    parts = np.concatenate([case.P @ result.x + case.q + case.A.T @ y, s - image])
    assert result.residual == pytest.approx(float(np.linalg.norm(parts)), rel=1e-6, abs=1e-14)


@both
def test_certificate_is_large_away_from_solutions(method: Any) -> None:
    """The first states are no solutions, and their certificates say by how much."""
    case = CASES["random QP 1"]
    terms = method.match(as_inclusion(case.problem()))
    state = method.init(terms, np.zeros(12))
    point = method.solution(terms, state)
    assert case.error(point.x, point.dual) > 1e-3
    assert float(arrays.norm(method.certificate(terms, state))) > 1e-3


def as_inclusion(problem: Any) -> Any:
    from monops.solve import as_inclusion as convert

    return convert(problem)


@both
def test_duals_of_several_boxes_are_blocks_in_their_order(method: Any) -> None:
    P, q = np.array([[4.0, 1.0], [1.0, 2.0]]), np.ones(2)
    problem = quadratic_program(P, q, np.ones((1, 2)), 1.0, 1.0, 0.0, 0.7)
    result = monops.solve(problem, method, tol=1e-10, check_every=1)
    row, bounds = result.dual
    assert np.allclose(result.x, [0.3, 0.7])
    assert row.shape == (1,)
    assert bounds.shape == (2,)
    assert np.allclose(P @ result.x + q + row[0] + bounds, 0.0, atol=1e-9)


@both
def test_terms_that_are_read_as_one_program(method: Any) -> None:
    """LeastSquares, Linear, a tilt, NonNegative and a stack of maps, against the program written out."""
    rng = np.random.default_rng(3)
    K, b, c, B = rng.standard_normal((6, 4)), rng.standard_normal(6), rng.standard_normal(4), rng.standard_normal((3, 4))
    problem = (
        monops.LeastSquares(K, b)
        + monops.Linear(c)
        + monops.Quadratic(np.eye(3)).tilt(np.ones(3)) @ B
        + monops.NonNegative()
        + monops.Box(-1.0, 0.5) @ sparse.csr_array(B)
    )
    result = monops.solve(problem, method, tol=1e-10, check_every=1)
    case = Case(
        K.T @ K + B.T @ B,
        c - K.T @ b + B.sum(axis=0),
        np.vstack([np.eye(4), B]),
        np.r_[np.zeros(4), -np.ones(3)],
        np.r_[np.full(4, INF), np.full(3, 0.5)],
    )
    assert case.error(result.x, np.concatenate(list(result.dual))) <= 1e-8


def test_agrees_with_a_splitting_method_on_the_whole_primal_dual_point() -> None:
    case = random_case(5, 8, 5, 8, 1, 0)
    answers = [
        monops.solve(case.problem(), method, tol=1e-10, max_iter=200_000) for method in (*METHODS, monops.ChambollePock())
    ]
    for answer in answers[1:]:
        assert np.allclose(answer.x, answers[0].x, atol=1e-7)


def test_warm_start_with_multipliers_needs_few_newton_steps() -> None:
    method, case = monops.AugmentedLagrangianNewton(), random_case(6, 30, 20, 30, 3, 0)
    cold = monops.solve(case.problem(), method, tol=1e-8, check_every=1)
    case.q = case.q + 1e-4
    again = monops.solve(case.problem(), method, tol=1e-8, check_every=1)
    warm = monops.solve(case.problem(), method, warm_start=cold, tol=1e-8, check_every=1)
    assert warm.success
    assert case.error(warm.x, warm.dual) <= 1e-7
    assert warm.iterations <= again.iterations / 2


def test_exact_step_is_the_minimum_of_the_piecewise_quadratic() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        m = 7
        z, image, penalty = rng.standard_normal(m), rng.standard_normal(m), rng.random(m) + 0.1
        lower, upper = -rng.random(m), rng.random(m)
        lower[0] = upper[0] = 0.3
        lower[1], upper[2] = -INF, INF
        z[3] = upper[3]
        program = Program(None, np.zeros(1), None, lower, upper, (m,), None)
        start = -float((penalty * image) @ (z - np.clip(z, lower, upper))) - rng.random() - 0.1  # the slope at 0 is negative

        step = _exact_step(0.2, start, penalty, z, image, program)
        moved = z + step * image
        slope = 0.2 * step + start + float((penalty * image) @ (moved - np.clip(moved, lower, upper)))
        assert step > 0
        assert abs(slope) <= 1e-10 * (1 + abs(start))


@pytest.mark.parametrize("dense", [False, True])
def test_quasidefinite_solves_equal_dense_solves(dense: bool) -> None:
    rng = np.random.default_rng(1)
    n, m = 8, 6
    share = 1.0 if dense else 0.3
    A = rng.standard_normal((m, n)) * (rng.random((m, n)) < share)
    A[0], A[1] = np.eye(n)[2], np.eye(n)[2] * -3.0  # two bounds of one variable
    F = rng.standard_normal((3, n)) * (rng.random((3, n)) < share)
    P, c = F.T @ F, 10.0 ** rng.uniform(-6, 3, m)
    system = QuasidefiniteSystem(sparse.csr_array(P), sparse.csr_array(A), np.ones(n), np.ones(m)).factor(1e-5, c)
    f, g = rng.standard_normal(n), rng.standard_normal(m)
    x, y = system.solve(f, g, 1e-13)
    matrix = np.block([[P + 1e-5 * np.eye(n), A.T], [A, -np.diag(c)]])
    assert np.allclose(np.concatenate([x, y]), np.linalg.solve(matrix, np.concatenate([f, g])), rtol=1e-6, atol=1e-6)
    off = np.where(np.arange(m) < 3, IGNORED, c)  # rows that are switched off do not matter
    x, _ = system.factor(1e-5, off).solve(f, g * (off < IGNORED), 1e-13)
    short = np.block([[P + 1e-5 * np.eye(n), A[3:].T], [A[3:], -np.diag(c[3:])]])
    assert np.allclose(x, np.linalg.solve(short, np.concatenate([f, g[3:]]))[:n], rtol=1e-6, atol=1e-6)


def test_quasidefinite_by_the_schur_complement_of_the_rows() -> None:
    """A diagonal P and rows that fill in: small entries of d must not be raised, for they determine x."""
    rng = np.random.default_rng(2)
    n, m = 120, 60
    A = sparse.csr_array(rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.2))
    d, c = 10.0 ** rng.uniform(-13, 6, n), np.full(m, 1e-9)
    system = QuasidefiniteSystem(sparse.csr_array((n, n)), A, np.ones(n), np.ones(m)).factor(d, c)
    assert system.by_rows
    f, g = rng.standard_normal(n), rng.standard_normal(m)
    x, y = system.solve(f, g, 1e-13)
    scale = np.linalg.norm(f) + np.linalg.norm(g)
    assert np.linalg.norm(d * x + A.T @ y - f) <= 1e-9 * scale
    assert np.linalg.norm(A @ x - c * y - g) <= 1e-9 * scale
    first, _ = system.solve(f, g, np.inf)  # before any refinement
    raised = np.block([[np.diag(d), A.toarray().T], [A.toarray(), -np.diag(c + 1e-8)]])
    exact = np.linalg.solve(raised, np.concatenate([f, g]))[:n]
    assert np.linalg.norm(first - exact) <= 1e-4 * np.linalg.norm(exact)
    system.factor(np.full(n, 1e20), np.full(m, -1.0))  # no longer definite: triangular factors take over
    assert not system.by_rows


def test_scaling_keeps_the_pair() -> None:
    program = read_program(as_inclusion(CASES["badly scaled"].problem()))
    assert isinstance(program, Program)
    scaling = equilibrate(program)
    found = pair(scaling, program, np.array([0.3, -2.0]), np.array([0.7, -0.2]))
    x, y, _ = rescaled(scaling, found)
    assert np.allclose(x, [0.3, -2.0])
    assert np.allclose(y, [0.7, -0.2])
    largest = np.abs(scaling.program.A.toarray()).max(axis=1)
    assert np.all((largest > 0.3) & (largest < 3.0))


# ---- programs without a solution -----------------------------------------------------------------


INFEASIBLE = {
    "crossing rows": Case(np.zeros((2, 2)), [1, 1], [[1, 1], [1, 1]], [1, -INF], [INF, 0]),
    "bounds against a row": Case(np.eye(2), [0, 0], np.vstack([[[1, 1]], np.eye(2)]), [5, 0, 0], [INF, 1, 1]),
    "equations": Case(np.eye(3), [1, 1, 1], [[1, 1, 0], [0, 1, 1], [1, 2, 1]], [1, 1, 3], [1, 1, 3]),
}
UNBOUNDED = {
    "linear": Case(np.zeros((2, 2)), [-1, 1], np.eye(2), [0, 0], [INF, INF]),
    "flat direction": Case([[1, -1], [-1, 1]], [-1, -1], np.vstack([[[1, -1]], np.eye(2)]), [-1, -INF, -INF], [1, INF, INF]),
}


def certificate_of(case: Case, method: Any, steps: int = 200) -> Any:
    """The certificate that the method finds, and the number of steps."""
    terms = method.match(as_inclusion(case.problem()))
    state = method.init(terms, np.zeros(len(case.q)))
    for _ in range(steps):
        state = method.step(terms, state)
        found = method.inconsistency(terms, state)
        if found is not None:
            return found
    return None


@both
@pytest.mark.parametrize("name", INFEASIBLE)
def test_infeasible_programs_get_a_separating_vector(name: str, method: Any) -> None:
    case = INFEASIBLE[name]
    found = certificate_of(case, method)
    assert found is not None
    assert found.kind == "primal"
    y = found.vector
    support = np.where(y > 0, case.upper, np.where(y < 0, case.lower, 0.0)) * y
    assert np.sum(support) == pytest.approx(-1.0)
    assert np.linalg.norm(case.A.T @ y) == pytest.approx(found.residual, abs=1e-15)
    assert found.residual <= 1e-8


@both
@pytest.mark.parametrize("name", UNBOUNDED)
def test_unbounded_programs_get_a_direction(name: str, method: Any) -> None:
    case = UNBOUNDED[name]
    found = certificate_of(case, method)
    assert found is not None
    assert found.kind == "dual"
    d = found.vector
    assert case.q @ d == pytest.approx(-1.0)
    image = case.A @ d
    outside = np.where(np.isfinite(case.upper), np.maximum(image, 0), 0) + np.where(
        np.isfinite(case.lower), np.minimum(image, 0), 0
    )
    assert np.hypot(np.linalg.norm(case.P @ d), np.linalg.norm(outside)) <= 1e-8


@both
@pytest.mark.parametrize("name", CASES)
def test_solvable_programs_get_no_certificate_of_inconsistency(name: str, method: Any) -> None:
    assert certificate_of(CASES[name], method, 60) is None


# ---- refusals, libraries -------------------------------------------------------------------------


@both
def test_refusals(method: Any) -> None:
    with pytest.raises(NotApplicableError, match="neither quadratic"):
        method.match(monops.Quadratic(np.eye(2)) + monops.L1Norm())
    with pytest.raises(NotApplicableError, match="batch holds many programs"):
        method.match((monops.Quadratic(np.eye(2)) + monops.NonNegative()).batched(1))
    with pytest.raises(NotApplicableError, match="one vector"):
        method.match(as_inclusion(monops.SquaredL2() + monops.NonNegative()))
    with pytest.raises(DataError, match="not convex"):
        method.match(monops.Quadratic(np.diag([1.0, -1.0])) + monops.Box(0.0, 1.0))
    with pytest.raises(StepSizeError, match="outside the proven interval"):
        type(method)(step_size=-1.0).match(as_inclusion(CASES["zero"].problem()))


@both
@pytest.mark.parametrize("name", ["torch", "strict"])
def test_other_libraries_and_float32(name: str, method: Any) -> None:
    backend = next((item for item in BACKENDS if name in item.name), None)
    assert backend is not None
    if backend.missing:
        pytest.skip(backend.missing)
    case = random_case(7, 6, 4, 6, 1, 0)
    expected = monops.solve(case.problem(), method, tol=1e-9, check_every=1)
    for dtype, accuracy in (("float64", 1e-12), ("float32", 1e-5)):
        P, q, A, lower, upper = (backend.asarray(v, dtype) for v in (case.P, case.q, case.A, case.lower, case.upper))
        tol = 1e-9 if dtype == "float64" else 1e-4
        result = monops.solve(quadratic_program(P, q, A, lower, upper), method, tol=tol, check_every=1, on_failure="ignore")
        assert arrays.library(result.x) == arrays.library(q)
        assert result.x.dtype == q.dtype
        assert result.dual.dtype == q.dtype
        assert np.allclose(backend.to_numpy(result.x), expected.x, atol=max(accuracy, 10 * tol))


# ---- models --------------------------------------------------------------------------------------


def test_models_print_and_refuse() -> None:
    problem = quadratic_program(np.eye(2), np.ones(2), np.ones((1, 2)), 0.0, 1.0, 0.0)
    assert len(problem.terms) == 3
    assert "Px" in str(problem)
    with pytest.raises(DataError, match="needs a quadratic part"):
        quadratic_program(None, None, np.eye(2))
    with pytest.raises(ShapeError, match="upper bound has shape"):
        quadratic_program(np.eye(2), None, np.ones((1, 2)), 0.0, np.ones(2))
    with pytest.raises(DataError, match="belong together"):
        linear_program(np.ones(2), np.ones((1, 2)))
    with pytest.raises(DataError, match="2 matrices, 1 right-hand"):
        conic_program(None, np.ones(2), [np.eye(2), np.eye(2)], [np.ones(2)], [monops.NonNegative()])
    with pytest.raises(ShapeError, match="b has shape"):
        conic_program(None, np.ones(2), np.eye(2), np.ones(3), monops.SecondOrderCone())


@both
def test_linear_program_against_highs(method: Any) -> None:
    from scipy.optimize import linprog

    rng = np.random.default_rng(8)
    A, B, x = rng.random((4, 7)), rng.standard_normal((2, 7)), rng.random(7)
    c, b, e = rng.random(7) - 0.3, A @ x + 0.1, B @ x
    expected = linprog(c, A, b, B, e, bounds=(0, 2))
    result = monops.solve(linear_program(c, A, b, B, e, 0.0, 2.0), method, tol=1e-9, check_every=1)
    assert result.success
    assert c @ result.x == pytest.approx(expected.fun, abs=1e-8)


def test_conic_programs_against_clarabel() -> None:
    import cvxpy as cp

    rng = np.random.default_rng(9)
    A, b = rng.standard_normal((5, 3)), rng.standard_normal(5)
    b[0] = np.linalg.norm(b[1:]) + 1.0
    q, G = rng.standard_normal(3), np.vstack([np.eye(3), -np.eye(3)])
    x = cp.Variable(3)
    slack = b - A @ x
    cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x) + q @ x), [cp.SOC(slack[0], slack[1:]), G @ x <= 0.4]).solve(cp.CLARABEL)
    problem = conic_program(np.eye(3), q, [A, G], [b, np.full(6, 0.4)], [monops.SecondOrderCone(), monops.NonNegative()])
    result = monops.solve(problem, tol=1e-8, max_iter=100_000)
    assert result.success
    assert np.allclose(result.x, x.value, atol=1e-6)


def test_semidefinite_program_is_the_largest_eigenvalue() -> None:
    M = np.array([[2.0, 1.0, 0.0], [1.0, 0.0, -1.0], [0.0, -1.0, 1.0]])
    problem = conic_program(None, np.array([1.0]), -np.eye(3).reshape(9, 1), -M, monops.PositiveSemidefinite())
    result = monops.solve(problem, tol=1e-8, max_iter=100_000)
    assert result.success
    assert result.x[0] == pytest.approx(np.linalg.eigvalsh(M)[-1], abs=1e-7)


def test_equations_of_a_conic_program_are_boxes() -> None:
    problem = conic_program(np.eye(2), None, np.ones((1, 2)), np.array([1.0]), monops.Point(0.0))
    result = monops.solve(problem, METHODS[0], tol=1e-10, check_every=1)
    assert np.allclose(result.x, [0.5, 0.5])


# ---- sparse quadratic forms ----------------------------------------------------------------------


@pytest.mark.parametrize("n", [20, 400])
def test_sparse_quadratic_equals_dense(n: int) -> None:
    F = sparse.random_array((n, n), density=3.0 / n, rng=np.random.default_rng(n))
    P, q = sparse.csr_array(F @ F.T), np.linspace(-1.0, 1.0, n)
    thin, full = monops.Quadratic(P, q), monops.Quadratic(P.toarray(), q)
    x = np.random.default_rng(1).standard_normal((3, n))
    for step in (0.7, 2.0, 0.7):
        assert np.allclose(thin.prox(x, step), full.prox(x, step), atol=1e-10)
    assert np.allclose(thin.gradient(x[0]), full.gradient(x[0]))
    assert thin(x[0]) == pytest.approx(float(full(x[0])))
    h = np.ones(n)
    assert np.allclose(thin.prox_derivative(x[0], 0.5).apply(h), full.prox_derivative(x[0], 0.5).apply(h))
    values = np.linalg.eigvalsh(P.toarray())
    assert thin.constants.strong_monotonicity <= values[0] + 1e-10
    assert thin.constants.lipschitz >= values[-1] - 1e-10


@pytest.mark.parametrize("n", [20, 400])
def test_sparse_quadratic_refuses_what_is_not_convex(n: int) -> None:
    P = sparse.csr_array(sparse.diags_array([np.full(n, 1.0), np.full(n - 1, -0.6), np.full(n - 1, -0.6)], offsets=[0, 1, -1]))
    with pytest.raises(DataError, match="not convex"):  # eigenvalues 1 - 1.2 cos(.) < 0
        _ = monops.Quadratic(P).constants
    with pytest.raises(DataError, match="not symmetric"):
        monops.Quadratic(sparse.csr_array(np.array([[1.0, 1.0], [0.0, 1.0]])))
    laplacian = sparse.diags_array([np.full(n, 2.0), np.full(n - 1, -1.0), np.full(n - 1, -1.0)], offsets=[0, 1, -1])
    assert monops.Quadratic(sparse.csr_array(laplacian)).constants.lipschitz >= 3.9


# ---- real programs -------------------------------------------------------------------------------

MAROS = ("HS118", "DUALC2", "PRIMALC2", "QSHARE1B", "QPCBLEND")


@pytest.mark.parametrize("name", MAROS)
def test_maros_meszaros(name: str) -> None:
    folder = os.environ.get("MONOPS_DATA")
    if folder is None:
        pytest.skip("MONOPS_DATA is not set: the Maros-Meszaros programs are not at hand")
    data = load_quadratic(Path(folder) / "maros_meszaros" / f"{name}.mat")
    result = monops.solve(
        quadratic_program(data.P, data.q, data.A, data.lower, data.upper), METHODS[0], tol=1e-7, check_every=1
    )
    assert result.success
    assert max(residuals(data, result.x, result.dual)) <= 1e-7


@pytest.mark.parametrize("sparse_map", [False, True])
def test_matrix_games_are_programs(sparse_map: bool) -> None:
    """Weighted simplices of other totals: no strategy of either player does better against the other's."""
    rng = np.random.default_rng(4)
    G, v, w = rng.standard_normal((12, 9)), rng.uniform(0.5, 2.0, 12), rng.uniform(0.5, 2.0, 9)
    K = sparse.csr_array(G) if sparse_map else G
    game = monops.Saddle(monops.Simplex(2.0, w), monops.Simplex(3.0, v), K)
    result = monops.solve(game, tol=1e-10).require()
    assert isinstance(result.algorithm, monops.InteriorProximalMultipliers)
    x, y = result.x
    assert w @ x == pytest.approx(2.0)
    assert v @ y == pytest.approx(3.0)
    assert min(x.min(), y.min()) >= 0
    assert 3.0 * np.max(G @ x / v) - 2.0 * np.min(G.T @ y / w) <= 1e-9


def test_games_without_a_matrix_of_moderate_size_go_to_splitting() -> None:
    large = monops.Saddle(monops.Simplex(), monops.Simplex(), sparse.eye_array(3200, format="csr"))
    with pytest.raises(NotApplicableError):
        monops.InteriorProximalMultipliers().match(monops.Inclusion(large.terms()))
