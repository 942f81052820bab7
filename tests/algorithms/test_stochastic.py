"""SAGA, SVRG, block coordinates and stochastic primal-dual: answers, laws of expectation by enumeration, and draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy
import numpy as np
import pytest
import scipy.sparse

import monops
from monops import arrays
from monops.algorithms.stochastic.saga import guarantee as saga_guarantee
from monops.algorithms.stochastic.stochastic_primal_dual import guarantee as primal_dual_guarantee
from monops.algorithms.stochastic.svrg import guarantee as svrg_guarantee
from monops.errors import NotApplicableError, StepSizeError
from monops.solve import as_inclusion
from tests.backends import BACKENDS

ROWS, COLUMNS = 60, 8
generator = np.random.default_rng(11)
DATA = generator.standard_normal((ROWS, COLUMNS))
TARGET = DATA @ np.array([2.0, -1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0]) + 0.3 * generator.standard_normal(ROWS)
LABELS = np.where(DATA[:, 0] - DATA[:, 1] + 0.5 * generator.standard_normal(ROWS) > 0, 1.0, -1.0)
VARIANCE_REDUCED = (monops.SAGA(minibatch=4), monops.SVRG(minibatch=4), monops.SAGA(), monops.SVRG())
PRIMAL = (*VARIANCE_REDUCED[:2], monops.RandomizedCoordinate(block_size=3))
ALL = (*PRIMAL, monops.StochasticPrimalDual(minibatch=6))


def after(method: Any, problem: Any, x0: Any, steps: int) -> tuple[Any, Any]:
    """Terms, and the state after some steps."""
    terms = method.match(as_inclusion(problem))
    state = method.init(terms, x0)
    for _ in range(steps):
        state = method.step(terms, state)
    return terms, state


def soft_violation(x: np.ndarray, gradient: np.ndarray, weight: float) -> float:
    """Distance of -gradient from weight times the subdifferential of |x|_1."""
    on = np.abs(x) > 1e-9
    return float(np.where(on, np.abs(gradient + weight * np.sign(x)), np.maximum(np.abs(gradient) - weight, 0.0)).max())


def named(method: Any) -> str:
    return f"{method.name}-{getattr(method, 'minibatch', None)}"


# ---- answers ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", [*VARIANCE_REDUCED, monops.RandomizedCoordinate(), ALL[3]], ids=named)
def test_ridge_against_a_dense_solve(method: Any) -> None:
    problem = monops.LeastSquares(DATA, TARGET) + monops.SquaredL2(3.0)
    result = monops.solve(problem, method, tol=1e-8, max_iter=5000)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(DATA.T @ DATA + 3.0 * np.eye(COLUMNS), DATA.T @ TARGET), atol=1e-8)


@pytest.mark.parametrize("method", [*VARIANCE_REDUCED, *PRIMAL[2:]], ids=named)
def test_elastic_net(method: Any) -> None:
    """The mean of squares, so that least squares is scaled; the smooth part of the penalty is a term of its own."""
    problem = (1 / ROWS) * monops.LeastSquares(DATA, TARGET) + 0.2 * monops.L1Norm() + monops.SquaredL2(0.1)
    x = monops.solve(problem, method, tol=1e-9, max_iter=5000).require().x
    assert soft_violation(x, DATA.T @ (DATA @ x - TARGET) / ROWS + 0.1 * x, 0.2) <= 1e-8
    assert 0 < np.count_nonzero(x) < COLUMNS
    y = cvxpy.Variable(COLUMNS)
    loss = cvxpy.sum_squares(DATA @ y - TARGET) / (2 * ROWS) + 0.2 * cvxpy.norm1(y) + 0.05 * cvxpy.sum_squares(y)
    cvxpy.Problem(cvxpy.Minimize(loss)).solve(solver="CLARABEL")
    np.testing.assert_allclose(x, y.value, atol=1e-4)


@pytest.mark.parametrize("method", [*VARIANCE_REDUCED, *PRIMAL[2:]], ids=named)
@pytest.mark.parametrize("matrix", [np.array, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_sparse_logistic_regression(method: Any, matrix: Callable[[np.ndarray], Any]) -> None:
    problem = monops.LogisticLoss(LABELS) @ matrix(DATA) + 1.5 * monops.L1Norm() + monops.SquaredL2(0.5)
    x = monops.solve(problem, method, tol=1e-8, max_iter=5000).require().x
    slopes = -LABELS / (1 + np.exp(LABELS * (DATA @ x)))
    assert soft_violation(x, DATA.T @ slopes + 0.5 * x, 1.5) <= 1e-7


def test_several_smooth_terms_are_a_finite_sum() -> None:
    """Quadratics that do not come apart into rows, and a box; an unsplit sum needs no map."""
    matrices = [np.diag(generator.uniform(0.5, 2.0, 5)) for _ in range(4)]
    slopes = [generator.standard_normal(5) for _ in range(4)]
    problem = sum((monops.Quadratic(P, q) for P, q in zip(matrices, slopes, strict=True)), as_inclusion(monops.Box(-0.3, 0.3)))
    expected = np.clip(-sum(slopes) / np.diag(sum(matrices)), -0.3, 0.3)
    for method in (monops.SAGA(), monops.SVRG()):
        np.testing.assert_allclose(monops.solve(problem, method, tol=1e-9, max_iter=5000).require().x, expected, atol=1e-9)


def test_stochastic_primal_dual_with_rows_maps_and_several_proxes() -> None:
    D = np.diff(np.eye(COLUMNS), axis=0)
    problem = monops.LeastSquares(DATA, TARGET) + 4.0 * monops.L1Norm() @ D + monops.Box(-1.0, 1.0)
    problem = problem + monops.HalfSpace(np.ones(COLUMNS), 0.5)
    method = monops.StochasticPrimalDual(dual_step_size=1.0)
    terms = method.match(problem)
    assert len(terms.blocks) == 30 + 7 + 1  # slices of rows of both matrices, and the second term without a map
    result = monops.solve(problem, method, tol=1e-6, max_iter=30_000).require()
    y = cvxpy.Variable(COLUMNS)
    loss = 0.5 * cvxpy.sum_squares(DATA @ y - TARGET) + 4.0 * cvxpy.norm1(D @ y)
    limits = [cvxpy.abs(y) <= 1, cvxpy.sum(y) <= 0.5]
    cvxpy.Problem(cvxpy.Minimize(loss), limits).solve(solver="CLARABEL")
    np.testing.assert_allclose(result.x, y.value, atol=1e-5)


def test_stochastic_primal_dual_on_nonsmooth_rows() -> None:
    """A support vector machine, and the same as two parts of a Stack: strongly convex, so that the answer is one."""
    problem = monops.SquaredL2(1.0) + monops.Hinge(LABELS) @ DATA
    result = monops.solve(problem, monops.StochasticPrimalDual(minibatch=10), tol=1e-7, max_iter=30_000).require()
    y = cvxpy.Variable(COLUMNS)
    loss = 0.5 * cvxpy.sum_squares(y) + cvxpy.sum(cvxpy.pos(1 - cvxpy.multiply(LABELS, DATA @ y)))
    cvxpy.Problem(cvxpy.Minimize(loss)).solve(solver="CLARABEL")
    np.testing.assert_allclose(result.x, y.value, atol=1e-4)
    losses = monops.SeparableSum((monops.Hinge(LABELS[:30]), monops.Hinge(LABELS[30:])))
    stacked = monops.SquaredL2(1.0) + losses @ monops.Stack((monops.Matrix(DATA[:30]), monops.Matrix(DATA[30:])))
    other = monops.solve(stacked, monops.StochasticPrimalDual(), tol=1e-7, max_iter=30_000).require()
    np.testing.assert_allclose(other.x, result.x, atol=1e-6)


# ---- laws ---------------------------------------------------------------------------------------------------------
class Draw:
    """A generator that draws one given part, and moves the anchor or not."""

    def __init__(self, index: int, anchor_moves: bool) -> None:
        self.index, self.anchor_moves = index, anchor_moves

    def integers(self, count: int, size: int) -> np.ndarray:
        return np.array([self.index])

    def permutation(self, count: int) -> np.ndarray:
        return np.array([self.index])

    def random(self, count: int) -> np.ndarray:
        return np.array([(0.99 if self.anchor_moves else 1.01) / count])


def quadratic_parts(strong: bool, seed: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Least squares in parts of one row (or of four, which makes each part strongly convex), and its solution; 4 unknowns."""
    draws = np.random.default_rng(seed)
    A, b = draws.standard_normal((12, 4)), draws.standard_normal(12)
    if strong:
        A = np.concatenate([np.linalg.qr(block)[0] * draws.uniform(0.5, 1.5, 4) for block in A.reshape(3, 4, 4)])
    return monops.LeastSquares(A, b) + monops.Zero(), A, b


@pytest.mark.parametrize("method", ["SAGA", "SVRG"])
@pytest.mark.parametrize("share", [1 / 6, 0.249])
def test_the_distance_shrinks_in_expectation(method: str, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """E V+ over all outcomes of one draw: V = |x - x*|^2 + c s falls, and by max(1 - t mu, 1 - p/2) for steps up to 1/(6 L).

    s is the mean of |grad N f_j at the table - grad N f_j(x*)|^2; random points, and x = x* with a bad table.
    """
    problem, A, b = quadratic_parts(False, 1)
    solution, N, p = np.linalg.lstsq(A, b, rcond=None)[0], 12, 1 / 12
    L = N * max(float(row @ row) for row in A)
    mu = float(np.linalg.eigvalsh(A.T @ A)[0])
    algorithm = getattr(monops, method)(step_size=share / L, minibatch=1)
    terms = algorithm.match(problem)
    t = terms.step_size
    c, factor = (4 * t * t / p, max(1 - t * mu, 1 - p / 2)) if share < 0.2 else (2 * t * t / p, 1.0)
    best_slopes = A @ solution - b

    def energy(x: np.ndarray, table: Any) -> float:
        slopes = np.concatenate(list(table))
        spread = np.mean([N * N * float(row @ row) * d * d for row, d in zip(A, slopes - best_slopes, strict=True)])
        return float(np.sum((x - solution) ** 2)) + c * float(spread)

    for trial in range(12):
        draws = np.random.default_rng(trial)
        x = solution if trial % 3 == 0 else draws.standard_normal(4)
        anchors = draws.standard_normal((12, 4)) if method == "SAGA" else np.tile(draws.standard_normal(4), (12, 1))
        slopes = np.einsum("ij,ij->i", A, anchors) - b
        state = algorithm.init(terms, x)._replace(table=monops.Blocks(list(slopes[:, None])), total=A.T @ slopes)
        expected, mean = 0.0, np.zeros(4)
        for index in range(N):
            for moves, weight in ((True, p), (False, 1 - p)) if method == "SVRG" else ((False, 1.0),):
                monkeypatch.setattr(np.random, "default_rng", lambda seed, j=index, m=moves: Draw(j, m))
                new = algorithm.step(terms, state)
                monkeypatch.undo()
                expected += weight / N * energy(new.x, new.table)
                mean += weight / N * (x - new.argument) / t
        np.testing.assert_allclose(mean, A.T @ (A @ x - b), atol=1e-9)  # the estimate of the gradient is unbiased
        assert expected <= factor * energy(state.x, state.table) * (1 + 1e-12)


def test_saga_contracts_for_strongly_convex_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Lyapunov function of Defazio et al. (2014) falls by 1 - t mu in expectation, t = 1/(2 (mu N + L))."""
    problem, A, b = quadratic_parts(True, 2)
    N, solution = 3, np.linalg.lstsq(A, b, rcond=None)[0]
    forms = [N * block.T @ block for block in A.reshape(3, 4, 4)]
    mu = min(float(np.linalg.eigvalsh(form)[0]) for form in forms)
    L = max(float(np.linalg.eigvalsh(form)[-1]) for form in forms)
    method = monops.SAGA(minibatch=4)
    terms = method.match(problem)
    t = terms.step_size
    assert t == pytest.approx(max(1 / (2 * (mu * N + L)), 1 / (3 * L)), rel=1e-6)
    t = 1 / (2 * (mu * N + L))
    terms = terms._replace(step_size=t)
    c = 1 / (2 * t * (1 - t * mu) * N)

    def energy(x: np.ndarray, table: np.ndarray) -> float:
        bregman = [0.5 * (point - solution) @ form @ (point - solution) for point, form in zip(table, forms, strict=True)]
        return float(np.mean(bregman)) + c * float(np.sum((x - solution) ** 2))

    for trial in range(20):
        draws = np.random.default_rng(trial)
        x, anchors = draws.standard_normal(4), solution + draws.standard_normal() * draws.standard_normal((3, 4))
        slopes = [block @ point - part for block, point, part in zip(A.reshape(3, 4, 4), anchors, b.reshape(3, 4), strict=True)]
        state = method.init(terms, x)._replace(table=monops.Blocks(slopes), total=A.T @ np.concatenate(slopes))
        expected = 0.0
        for index in range(N):
            monkeypatch.setattr(np.random, "default_rng", lambda seed, j=index: Draw(j, False))
            new = method.step(terms, state)
            monkeypatch.undo()
            moved = anchors.copy()
            moved[index] = x
            expected += energy(new.x, moved) / N
        assert expected <= (1 - t * mu) * energy(x, anchors) * (1 + 1e-12)


@pytest.mark.parametrize("dual_step_size", [0.2, 1.0])
def test_stochastic_primal_dual_comes_closer_in_expectation(dual_step_size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """E V+ <= V with V = |x - x*|^2/(2 t) + N (|y - y*|^2 + |y - y_before|^2)/(2 s) - N <K(x - x*), y - y_before>.

    For y - y_before in one block; the two inequalities of monotonicity and N t s |K_i|^2 <= 1 give it.
    """
    K, N = np.random.default_rng(4).standard_normal((6, 4)), 6
    method = monops.StochasticPrimalDual(minibatch=1, dual_step_size=dual_step_size)
    problem = monops.Quadratic(np.diag([0.0, 0.1, 1.0, 2.0]), np.array([1.0, -1.0, 2.0, 0.5])) + monops.L1Norm() @ K
    terms, limit = after(method, problem, np.zeros(4), 4000)
    t, s = terms.step_size, dual_step_size
    best_x, best_y = limit.x, np.concatenate(list(limit.y))

    def energy(x: np.ndarray, y: np.ndarray, before: np.ndarray) -> float:
        squares = np.sum((x - best_x) ** 2) / (2 * t) + N * (np.sum((y - best_y) ** 2) + np.sum((y - before) ** 2)) / (2 * s)
        return float(squares - N * (K @ (x - best_x)) @ (y - before))

    for trial in range(20):
        draws = np.random.default_rng(trial)
        x, before = draws.standard_normal(4), np.clip(2.0 * draws.standard_normal(6), -1, 1)
        y = before.copy()
        y[trial % N] = draws.uniform(-1, 1)
        state = limit._replace(x=x, y=monops.Blocks(list(y[:, None])), z=K.T @ y, extrapolated=K.T @ (y + N * (y - before)))
        expected = 0.0
        for index in range(N):
            monkeypatch.setattr(np.random, "default_rng", lambda seed, j=index: Draw(j, False))
            new = method.step(terms, state)
            monkeypatch.undo()
            after_draw = np.concatenate(list(new.y))
            np.testing.assert_allclose(new.z, K.T @ after_draw, atol=1e-12)
            np.testing.assert_allclose(new.extrapolated, K.T @ (after_draw + N * (after_draw - y)), atol=1e-12)
            expected += energy(new.x, after_draw, y) / N
        assert expected <= energy(x, y, before) + 1e-9


@pytest.mark.parametrize("block_size", [1, 3, None])
def test_no_coordinate_move_raises_the_objective(block_size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, penalty = monops.LogisticLoss(LABELS), 1.5 * monops.L1Norm()
    method = monops.RandomizedCoordinate(block_size=block_size)
    terms = method.match(loss @ DATA + penalty + monops.SquaredL2(20.0))
    state = method.init(terms, np.full(COLUMNS, 5.0))

    def objective(x: np.ndarray) -> float:
        return float(loss(DATA @ x) + penalty(x)) + 10.0 * float(x @ x)

    for epoch in range(30):
        index = (5 * epoch) % len(terms.blocks)
        block = terms.blocks[index]
        monkeypatch.setattr(np.random, "default_rng", lambda seed, j=index: Draw(j, False))
        new = method.step(terms, state)
        monkeypatch.undo()
        moved = float(np.sum((new.x - state.x) ** 2))
        assert objective(new.x) <= objective(state.x) - moved / (2 * block.step_size) + 1e-12  # sufficient decrease
        np.testing.assert_array_equal(np.delete(new.x, block.cut), np.delete(state.x, block.cut))
        np.testing.assert_allclose(new.image, DATA @ new.x, atol=1e-12)
        state = new
    assert objective(state.x) < objective(np.full(COLUMNS, 5.0))


def test_rounding_of_many_updates_does_not_stay() -> None:
    """A wrong Ax, as many small updates would leave it, is computed anew within twenty epochs."""
    problem = rows_problem(np.asarray)
    terms, state = after(PRIMAL[2], problem, np.ones(COLUMNS), 0)
    state = state._replace(image=state.image + 0.1)
    for _ in range(20):
        state = PRIMAL[2].step(terms, state)
    np.testing.assert_allclose(state.image, DATA @ state.x, atol=1e-12)


def test_separable_problems_take_one_epoch_of_coordinates() -> None:
    """Orthogonal columns of different lengths: L_j is exact, so that every block is solved by its first move."""
    scales = np.array([0.1, 1.0, 5.0, 30.0])
    b = np.array([3.0, -0.5, 2.0, 0.001])
    problem = monops.LeastSquares(np.diag(scales), b) + 0.2 * monops.L1Norm()
    _, state = after(monops.RandomizedCoordinate(block_size=1), problem, np.zeros(4), 1)
    expected = np.sign(scales * b) * np.maximum(np.abs(scales * b) - 0.2, 0) / scales**2
    np.testing.assert_allclose(state.x, expected, atol=1e-12)


@pytest.mark.parametrize("method", PRIMAL, ids=named)
def test_certificate_is_an_element_of_the_sum_whatever_was_drawn(method: Any) -> None:
    norm = 1.5 * monops.L1Norm()
    terms, state = after(method, monops.LeastSquares(DATA, TARGET) + norm, np.ones(COLUMNS), 2)
    x = method.solution(terms, state).x
    subgradient = method.certificate(terms, state) - DATA.T @ (DATA @ x - TARGET)
    assert np.linalg.norm(method.certificate(terms, state)) > 1e-6
    for y in np.random.default_rng(0).standard_normal((50, COLUMNS)):
        assert norm(y) >= norm(x) + subgradient @ (y - x) - 1e-9


def test_certificate_of_stochastic_primal_dual_is_an_element_of_the_operator() -> None:
    D = np.diff(np.eye(COLUMNS), axis=0)
    norm, box = 0.7 * monops.L1Norm(), monops.Box(-1.0, 1.0)
    method = monops.StochasticPrimalDual(minibatch=3)
    terms, state = after(method, box + norm @ D, np.linspace(-2, 2, COLUMNS), 3)
    x, y = method.solution(terms, state)
    primal, *gaps = method.certificate(terms, state)
    y, gap = np.concatenate(list(y)), np.concatenate(gaps)
    assert np.linalg.norm(gap) > 1e-6
    normal, point = primal - D.T @ y, gap + D @ x  # normal to the box at x; y is a subgradient of the norm at the point
    for other in np.random.default_rng(0).standard_normal((50, COLUMNS)):
        assert normal @ (box.prox(other) - x) <= 1e-10
        assert norm(other[1:]) >= norm(point) + y @ (other[1:] - point) - 1e-10


def test_printed_intervals_are_the_code() -> None:
    for L, mu, parts in ((2.0, 0.0, 5), (2.0, 0.1, 5), (7.0, 6.0, 3)):
        for proven in (saga_guarantee(L, mu, parts), svrg_guarantee(L, mu)):
            upper = proven.interval[1]
            assert 0 < proven.best_step <= upper
            for step in (0.99 * upper, upper, 1.01 * upper):
                inside = step < upper or (proven.upper_included and step == upper)
                assert eval(proven.formula, {}, {"L": L, "step_size": step}) == inside
    proven = primal_dual_guarantee(2.0, 0.5, 0.25)
    for step in (0.9, 1.1):
        names = {"norm": 2.0, "dual_step_size": 0.5, "probability": 0.25, "step_size": step * proven.interval[1]}
        assert eval(proven.formula, {}, names) == (step < 1)


# ---- draws --------------------------------------------------------------------------------------------------------
def rows_problem(asarray: Callable[[np.ndarray], Any]) -> Any:
    return monops.LeastSquares(asarray(DATA), asarray(TARGET)) + 1.5 * monops.L1Norm()


@pytest.mark.parametrize("method", ALL, ids=named)
def test_the_seed_fixes_the_run_and_a_resumed_run_is_the_same(method: Any) -> None:
    problem, start = rows_problem(np.asarray), np.ones(COLUMNS)
    terms, whole = after(method, problem, start, 24)
    _, again = after(method, problem, start, 24)
    _, part = after(method, problem, start, 9)
    part = arrays.tree_map(lambda leaf: leaf if isinstance(leaf, int) else np.copy(leaf), part)
    before = arrays.tree_map(np.copy, part)
    method.step(terms, part)
    for a, b in zip(arrays.leaves(part), arrays.leaves(before), strict=True):
        np.testing.assert_array_equal(a, b)  # a step leaves its input alone
    for _ in range(15):
        part = method.step(terms, part)
    assert part.epoch == 24
    for a, b, c in zip(arrays.leaves(whole), arrays.leaves(again), arrays.leaves(part), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    other = type(method)(**{**method.__dict__, "seed": 1})
    assert not np.array_equal(after(other, problem, start, 3)[1].x, after(method, problem, start, 3)[1].x)


@pytest.mark.parametrize("method", ALL, ids=named)
def test_rows_of_a_batch_are_independent(method: Any) -> None:
    starts = np.random.default_rng(2).standard_normal((3, COLUMNS)) * np.array([[1.0], [20.0], [0.1]])
    targets = np.stack([TARGET, -TARGET, 0.5 * TARGET])
    together = (monops.LeastSquares(DATA, targets) + 1.5 * monops.L1Norm()).batched(1)
    terms, state = after(method, together, starts, 6)
    for index in range(3):
        alone = monops.LeastSquares(DATA, targets[index]) + 1.5 * monops.L1Norm()
        terms_one, one = after(method, alone, starts[index], 6)
        np.testing.assert_allclose(method.solution(terms, state).x[index], method.solution(terms_one, one).x, atol=1e-11)
        norms = arrays.norm(method.certificate(terms, state), 1)
        np.testing.assert_allclose(norms[index], arrays.norm(method.certificate(terms_one, one)), rtol=1e-8)


@pytest.mark.parametrize("library", [b for b in BACKENDS if b.name in ("torch", "strict")], ids=lambda b: b.name)
@pytest.mark.parametrize("method", ALL, ids=named)
def test_other_libraries_make_the_same_iterates(method: Any, library: Any) -> None:
    if library.missing:
        pytest.skip(library.missing)
    for build in (
        rows_problem,
        lambda a: monops.LogisticLoss(a(LABELS)) @ monops.Matrix(a(DATA)) + monops.L1Norm(),
    ):
        terms, state = after(method, build(np.asarray), np.ones(COLUMNS), 3)
        terms_other, other = after(method, build(library.asarray), library.asarray(np.ones(COLUMNS)), 3)
        np.testing.assert_allclose(
            library.to_numpy(method.solution(terms_other, other).x), method.solution(terms, state).x, atol=1e-12
        )
    single = library.asarray(np.ones(COLUMNS), "float32")
    _, narrow = after(method, rows_problem(lambda host: library.asarray(host, "float32")), single, 2)
    kinds = {str(leaf.dtype).split(".")[-1] for leaf in arrays.leaves(narrow) if not isinstance(leaf, int)}
    assert kinds == {"float32"}


def test_refusals_say_what_is_missing() -> None:
    smooth = monops.LeastSquares(DATA, TARGET)
    for method in (monops.SAGA, monops.SVRG):
        with pytest.raises(NotApplicableError, match="do not come apart into a finite sum"):
            method().match(monops.Quadratic(np.eye(3)) + monops.L1Norm())
        with pytest.raises(NotApplicableError, match="2 terms need their resolvents"):
            method().match(smooth + monops.L1Norm() + monops.Box(0.0, 1.0))
        with pytest.raises(NotApplicableError, match="contains a linear map"):
            method().match(smooth + monops.L1Norm() @ DATA)
        with pytest.raises(NotApplicableError, match="no convex function"):
            method().match(
                smooth
                + monops.Affine(np.eye(COLUMNS) + np.triu(np.ones((COLUMNS, COLUMNS))) - np.tril(np.ones((COLUMNS, COLUMNS))))
            )
        for bad in (0, 2.5, True):
            with pytest.raises(NotApplicableError, match="no number of rows"):
                method(minibatch=bad).match(smooth + monops.L1Norm())
        with pytest.raises(StepSizeError, match="outside the proven interval"):
            method(step_size=1.0).match(smooth + monops.L1Norm())
    coordinate = monops.RandomizedCoordinate
    for problem, sentence in (
        (monops.Quadratic(np.eye(3)) + monops.L1Norm(), "0 terms are smooth functions of Ax"),
        (smooth + monops.L2Ball(1.0), "does not come apart into blocks of coordinates"),
        (smooth + monops.L1Norm() + monops.Box(0.0, 1.0), "2 terms need their proxes"),
        (smooth + monops.L1Norm() @ DATA, "no smooth function of Ax"),
    ):
        with pytest.raises(NotApplicableError, match=sentence):
            coordinate().match(problem)
    with pytest.raises(NotApplicableError, match="block_size=0 is no number of coordinates"):
        coordinate(block_size=0).match(smooth + monops.L1Norm())
    with pytest.raises(StepSizeError, match=r"step_size=1\.5 is outside"):
        coordinate(step_size=1.5).match(smooth + monops.L1Norm())
    primal_dual = monops.StochasticPrimalDual
    with pytest.raises(NotApplicableError, match="no term contains a linear map"):
        primal_dual().match(as_inclusion(monops.L1Norm()))
    with pytest.raises(NotApplicableError, match="only one block contains a linear map"):
        primal_dual(minibatch=100).match(smooth + monops.L1Norm())
    with pytest.raises(StepSizeError, match="dual_step_size=0"):
        primal_dual(dual_step_size=0.0).match(smooth + monops.L1Norm())
    with pytest.raises(StepSizeError, match="step_size=10"):
        primal_dual(step_size=10.0).match(smooth + monops.L1Norm())
