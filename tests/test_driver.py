"""The driver: stopping rules, gaps, warm starts, checkpoints, inconsistent problems, batches whose ended rows cost nothing."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.errors import DataError, NotConvergedWarning, ShapeError
from monops.rows import Rows

rng = np.random.default_rng(0)
A, b = rng.standard_normal((30, 20)), rng.standard_normal(30)
WEIGHT = 0.2 * float(np.max(np.abs(A.T @ b)))


def lasso() -> Any:
    return monops.LeastSquares(A, b) + WEIGHT * monops.L1Norm()


def quiet(*args: Any, **kwargs: Any) -> monops.Result:
    return monops.solve(*args, **kwargs, on_failure="ignore")


# ---- stopping rules ------------------------------------------------------------------------------------


def test_rules_combine() -> None:
    either = quiet(lasso(), monops.ForwardBackward(), stop=monops.ResidualBelow(1e-300) | monops.IterationLimit(20))
    assert either.status is monops.Status.STOPPED
    assert either.iterations == 20
    assert "IterationLimit(20)" in either.message
    both = quiet(lasso(), monops.ForwardBackward(), stop=monops.ResidualBelow(1e300) & monops.IterationLimit(50))
    assert both.status is monops.Status.CONVERGED
    assert both.iterations == 50
    assert quiet(lasso(), monops.ForwardBackward(), stop=monops.TimeLimit(0.0)).iterations == 10


@pytest.mark.parametrize(
    ("rule", "reached"),
    [
        (monops.GapBelow(1e-3), lambda r: r.gap <= 1e-3),
        (monops.RelativeGapBelow(1e-5), lambda r: r.gap <= 1e-5 * r.objective),
        (monops.DistanceBelow(1e-2), lambda r: r.error_bound <= 1e-2),
        (monops.RelativeResidualBelow(1e-3), lambda r: r.residual <= 1e-3 * r.history[0][1]),
    ],
    ids=str,
)
def test_goals_stop_where_they_say_and_not_before(rule: monops.Rule, reached: Any) -> None:
    result = monops.solve(lasso(), monops.ForwardBackward(), stop=rule, history=True, check_every=1)
    assert result.success
    assert reached(result)
    before = quiet(lasso(), monops.ForwardBackward(), tol=0.0, max_iter=result.iterations - 1, history=True, check_every=1)
    assert not reached(before)


def test_small_steps_are_no_goal() -> None:
    result = quiet(lasso(), monops.ForwardBackward(), stop=monops.ChangeBelow(1e-3))
    assert result.status is monops.Status.STOPPED


def test_rules_that_the_problem_cannot_answer_say_so() -> None:
    rotation = monops.Affine(np.array([[0.0, -1.0], [1.0, 0.0]]), np.ones(2))
    with pytest.raises(DataError, match="a term is no function"):
        monops.solve(rotation, stop=monops.GapBelow(1e-3))
    with pytest.raises(DataError, match="strongly monotone"):
        monops.solve(rotation, stop=monops.DistanceBelow(1e-3))
    with pytest.raises(DataError, match="tol or stop, not both"):
        monops.solve(lasso(), tol=1e-3, stop=monops.TimeLimit(1.0))
    with pytest.raises(DataError, match=r"tol=-1"):
        monops.solve(lasso(), tol=-1)


# ---- objective and gap -----------------------------------------------------------------------------------


def test_the_gap_bounds_the_distance_to_the_minimum() -> None:
    best = monops.solve(lasso(), tol=1e-10)
    assert best.gap < 1e-10
    assert best.dual_objective <= best.objective
    for iterations in (3, 10, 30):
        rough = quiet(lasso(), monops.ForwardBackward(), tol=0.0, max_iter=iterations)
        assert rough.objective == pytest.approx(0.5 * np.sum((A @ rough.x - b) ** 2) + WEIGHT * np.abs(rough.x).sum())
        assert rough.gap >= rough.objective - best.objective > 0
        assert np.isfinite(rough.gap)


def test_the_gap_of_total_variation_and_its_two_residuals() -> None:
    signal, D = rng.standard_normal(24), monops.Matrix(np.diff(np.eye(24), axis=0))
    problem = monops.SquaredL2().translate(signal) + 0.7 * monops.L1Norm() @ D
    result = monops.solve(problem, monops.ChambollePock(), tol=1e-9)
    assert abs(result.gap) < 1e-8
    assert result.residual == pytest.approx(np.hypot(result.primal_residual, result.dual_residual), abs=1e-15)
    assert monops.solve(lasso()).dual_residual is None


def test_gap_of_rows_is_one_number_a_row() -> None:
    targets = rng.standard_normal((4, 30))
    result = monops.solve(monops.LeastSquares(A, targets) + 2.0 * monops.L1Norm(), x0=np.zeros((4, 20)), batch_ndim=1, tol=1e-9)
    assert result.gap.shape == (4,)
    assert np.all(np.abs(result.gap) < 1e-7)


# ---- warm starts and checkpoints ---------------------------------------------------------------------------


def test_a_warm_start_keeps_the_dual_point() -> None:
    D = monops.Matrix(np.diff(np.eye(24), axis=0))
    signal = rng.standard_normal(24)

    def problem(signal: np.ndarray) -> Any:
        return monops.SquaredL2().translate(signal) + 0.7 * monops.L1Norm() @ D

    cold = monops.solve(problem(signal), monops.ChambollePock(), tol=1e-8)
    again = monops.solve(problem(signal), warm_start=cold, tol=1e-8)
    assert isinstance(again.algorithm, monops.ChambollePock)
    assert again.iterations == 10  # one check
    near = monops.solve(problem(signal + 1e-3), warm_start=cold, tol=1e-6)
    primal_only = monops.solve(problem(signal + 1e-3), monops.ChambollePock(), x0=cold.x, tol=1e-6)
    assert near.iterations < primal_only.iterations
    with pytest.raises(DataError, match="x0 or warm_start"):
        monops.solve(problem(signal), x0=signal, warm_start=cold)


@pytest.mark.parametrize("method", [monops.ForwardBackward(), monops.AcceleratedForwardBackward(), monops.DouglasRachford()])
def test_a_resumed_run_has_identical_iterates(method: monops.Algorithm, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    whole = quiet(lasso(), method, tol=0.0, max_iter=45)
    cut = quiet(lasso(), method, tol=0.0, max_iter=25, save_to=file)
    resumed = quiet(lasso(), method, tol=0.0, max_iter=45, resume_from=file)
    np.testing.assert_array_equal(whole.x, resumed.x)
    assert resumed.iterations == 45
    assert not np.array_equal(cut.x, whole.x)
    for leaf, other in zip(arrays.leaves(whole.state), arrays.leaves(resumed.state), strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    quiet(lasso(), monops.ForwardBackward(), tol=0.0, max_iter=5, save_to=file)
    other = monops.LeastSquares(A, b + 1.0) + WEIGHT * monops.L1Norm()
    with pytest.raises(DataError, match="belongs to another run"):
        monops.solve(other, monops.ForwardBackward(), resume_from=file)
    with pytest.raises(DataError, match="there is no such file"):
        monops.solve(lasso(), monops.ForwardBackward(), resume_from=tmp_path / "none.npz")
    with pytest.raises(DataError, match="a folder that exists"):
        monops.solve(lasso(), monops.ForwardBackward(), save_to=tmp_path / "nowhere" / "a.npz")
    (tmp_path / "junk.npz").write_bytes(b"junk")
    with pytest.raises(DataError, match="cannot be read"):
        monops.solve(lasso(), monops.ForwardBackward(), resume_from=tmp_path / "junk.npz")


# ---- inconsistent problems ----------------------------------------------------------------------------------


def test_disjoint_sets_give_the_gap_vector_and_a_separating_one() -> None:
    """Two discs of radius 1 with centres 4 apart: the minimal displacement is the gap of length 2 between them."""
    left, right = monops.L2Ball(1.0), monops.L2Ball(1.0).translate(np.array([4.0, 0.0]))
    with pytest.warns(NotConvergedWarning, match="no point lies in all domains"):
        result = monops.solve(left + right, monops.DouglasRachford(), x0=np.array([0.0, 0.5]))
    assert result.status is monops.Status.INCONSISTENT
    reason = result.inconsistency
    assert reason is not None
    assert reason.kind == "infeasible"
    assert reason.value < 0
    np.testing.assert_allclose(np.abs(reason.displacement), [2.0, 0.0], atol=0.05)
    y = arrays.leaves(reason.vector)
    np.testing.assert_allclose(y[0] + y[1], 0.0, atol=1e-12)
    # the hyperplane separates: the largest <y1, .> on the left disc plus the largest <y2, .> on the right one is negative
    assert np.linalg.norm(y[0]) + np.linalg.norm(y[1]) + y[1] @ np.array([4.0, 0.0]) < 0


def test_an_unbounded_objective_is_certified_by_a_direction() -> None:
    slope = monops.Zero().tilt(np.array([1.0, -1.0]))
    with pytest.warns(NotConvergedWarning, match="the objective falls for ever along a direction"):
        result = monops.solve(slope + monops.NonNegative(), monops.DouglasRachford(), x0=np.ones(2))
    assert result.status is monops.Status.INCONSISTENT
    assert result.inconsistency is not None
    d = result.inconsistency.vector
    assert np.all(d >= 0)
    assert d @ np.array([1.0, -1.0]) < 0


def test_a_far_solution_is_not_called_inconsistent() -> None:
    """|x - 10^4| falls at a constant speed: the steps stand still for long, and yet there is a solution."""
    far = monops.L1Norm().translate(np.array([1e4]))
    result = monops.solve(far, monops.ProximalPoint(step_size=1.0), x0=np.zeros(1), max_iter=20_000)
    assert result.success
    short = quiet(far, monops.ProximalPoint(step_size=1.0), x0=np.zeros(1), max_iter=5000)
    assert short.status is monops.Status.ITERATION_LIMIT
    assert "or it is far away" in short.message
    assert short.inconsistency is not None
    assert short.inconsistency.kind == "drift"


def test_a_residual_that_stops_changing_is_stalled() -> None:
    """In float32 the residual reaches a floor above the tolerance, and the solve does not go on for ever."""
    single = monops.LeastSquares(A.astype(np.float32), b.astype(np.float32)) + WEIGHT * monops.L1Norm()
    result = quiet(single, monops.ForwardBackward(), tol=1e-12, max_iter=100_000)
    assert result.status is monops.Status.STALLED
    assert result.iterations < 10_000
    assert "rounding level of float32" in result.message


# ---- batches -----------------------------------------------------------------------------------------------


class Counting:
    """Rows that a forward value is taken of."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.rows += x.shape[0]
        return x * np.linspace(1.0, 0.02, 8)


def test_ended_rows_cost_no_more_time() -> None:
    """One hard row among a hundred easy ones: the forward value is taken of few rows, and the answers are the same."""
    count = Counting()
    operator = monops.Custom(forward=count, constants=monops.Constants(0.02, lipschitz=1.0, cyclic=True))
    start = np.zeros((128, 8))
    start[:, 0] = rng.standard_normal(128)
    start[77] = 1.0
    result = monops.solve(operator, monops.ForwardBackward(step_size=1.0), x0=start, batch_ndim=1, tol=1e-8)
    assert result.success
    assert result.iterations[77] > 10 * np.median(result.iterations)
    assert count.rows < 0.2 * 128 * result.iterations[77]
    assert result.state.x.shape == (128, 8)
    np.testing.assert_allclose(result.x, 0.0, atol=1e-6)


def test_moved_rows_keep_their_data_their_order_and_their_iterates() -> None:
    """Row data (targets), a square matrix with as many rows as the batch, and numbers for all: against single solves."""
    M = 0.3 * np.eye(6) + np.triu(rng.standard_normal((6, 6)), 1) * 0.2
    M = M @ M.T + 0.1 * np.eye(6)
    q = rng.standard_normal((6, 6)) * np.array([[1e-6], [1.0], [1e-6], [30.0], [1e-5], [1e-6]])
    problem = monops.Affine(M, q) + monops.NonNegative()
    together = monops.solve(problem, monops.ForwardBackward(), x0=np.zeros((6, 6)), batch_ndim=1, tol=1e-9)
    assert together.success
    for row in range(6):
        alone = monops.solve(monops.Affine(M, q[row]) + monops.NonNegative(), monops.ForwardBackward(), tol=1e-9)
        assert alone.iterations == together.iterations[row]
        np.testing.assert_allclose(alone.x, together.x[row], atol=1e-13)
    assert len(set(together.iterations.tolist())) > 2


def test_row_data_out_of_sight_switch_the_moving_off() -> None:
    """A callable that closes over row data cannot be given fewer rows: the trial step shows it, and all rows stay."""
    shift = rng.standard_normal((4, 3)) * np.array([[1e-7], [1e-7], [1e-7], [10.0]])
    operator = monops.Custom(forward=lambda x: 0.5 * x - shift, constants=monops.Constants(0.5, lipschitz=0.5, cyclic=True))
    result = monops.solve(operator, monops.ForwardBackward(step_size=0.5), x0=np.zeros((4, 3)), batch_ndim=1, tol=1e-9)
    assert result.success
    np.testing.assert_allclose(result.x, 2.0 * shift, atol=1e-8)


def test_callback_sees_all_rows_in_order() -> None:
    q = np.array([[1e-9], [5.0], [1e-9], [1e-9]]) * np.ones((4, 3))
    shapes, residuals = [], []

    def look(check: monops.Check) -> None:
        shapes.append(check.x.shape)
        residuals.append(check.residual)

    M = np.diag([1.0, 0.1, 0.5])
    monops.solve(monops.Affine(M, q), monops.ForwardBackward(), x0=np.zeros((4, 3)), batch_ndim=1, callback=look)
    assert set(shapes) == {(4, 3)}
    assert residuals[-1][1] == max(residuals[-1])


def test_rows_agree_after_a_checkpoint(tmp_path: Path) -> None:
    q = np.array([[1e-9], [5.0], [1.0], [1e-9]]) * np.ones((4, 3))
    problem = monops.Affine(np.diag([1.0, 0.05, 0.5]), q)
    settings: dict[str, Any] = {"x0": np.zeros((4, 3)), "batch_ndim": 1, "tol": 1e-8}
    whole = monops.solve(problem, monops.ForwardBackward(), **settings)
    quiet(problem, monops.ForwardBackward(), **settings, max_iter=30, save_to=tmp_path / "rows.npz")
    resumed = monops.solve(problem, monops.ForwardBackward(), **settings, resume_from=tmp_path / "rows.npz")
    np.testing.assert_array_equal(whole.x, resumed.x)
    np.testing.assert_array_equal(whole.iterations, resumed.iterations)


def test_two_batch_axes_are_frozen_but_not_moved() -> None:
    assert Rows((2, 3)).index is None
    targets = rng.standard_normal((2, 3, 30))
    result = monops.solve(monops.LeastSquares(A, targets) + 1.0 * monops.L1Norm(), x0=np.zeros((2, 3, 20)), batch_ndim=2)
    assert result.success
    assert result.residual.shape == (2, 3)


# ---- what a newcomer met ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_complementarity_problems_without_a_solution_are_never_called_solved(seed: int) -> None:
    """Skew matrices with integer entries: often infeasible; a claimed solution must be one."""
    generator = np.random.default_rng(seed)
    S = np.triu(generator.integers(-4, 5, (4, 4)), 1).astype(float)
    M, q = S - S.T, generator.integers(-4, 1, 4).astype(float)
    result = quiet(monops.linear_complementarity(M, q), max_iter=300)
    if result.success:
        w = M @ result.x + q
        assert min(result.x.min(), w.min()) >= -1e-5
        assert abs(result.x @ w) <= 1e-5


def test_a_point_that_ran_away_is_no_solution() -> None:
    """Mx + q = q < 0 for M = 0: x grows until q is lost in rounding."""
    result = quiet(monops.linear_complementarity(np.zeros((2, 2)), -np.ones(2)), max_iter=20_000)
    assert not result.success
    if result.status is monops.Status.DIVERGED:
        assert "rounding hides the residual" in result.message


def test_a_rough_prox_takes_the_certified_bound_away_and_is_noted() -> None:
    z = rng.standard_normal((16, 16))
    rough = quiet(monops.SquaredL2().translate(z) + monops.TotalVariation(1.0, tolerance=1e-2))
    assert rough.error_bound is None
    assert any("residual does not see that error" in note for note in rough.notes)


def test_a_tolerance_that_leaves_a_large_error_bound_is_noted() -> None:
    small = monops.LeastSquares(1e-4 * A, 1e-4 * b) + 1e-9 * monops.L1Norm()
    assert any("tol may be too large for these data" in note for note in monops.solve(small, monops.ForwardBackward()).notes)
    assert not monops.solve(lasso()).notes


def test_rows_without_batch_ndim_are_explained() -> None:
    rows = monops.LeastSquares(A, rng.standard_normal((50, 30))) + 1.0 * monops.L1Norm()
    with pytest.raises(ShapeError, match="pass batch_ndim=1"):
        monops.solve(rows)
    with pytest.raises(ShapeError, match="pass batch_ndim=1"):
        monops.solve(monops.linear_complementarity(np.eye(10), rng.standard_normal((500, 10))))


def test_gaps_of_programs_are_finite_and_true() -> None:
    P, q = np.diag([1.0, 2.0]), np.array([-1.0, -3.0])
    program = monops.quadratic_program(P, q, np.ones((1, 2)), u=np.array([1.0]), lower=0.0)
    result = monops.solve(program, tol=1e-8)
    assert abs(result.gap) < 1e-6
    linear = monops.linear_program(np.array([1.0, 2.0, 0.5]), A_equal=np.ones((1, 3)), b_equal=np.ones(1))
    assert monops.solve(linear, tol=1e-8).objective == pytest.approx(0.5, abs=1e-6)


def test_results_can_be_pickled_and_copied() -> None:
    result = monops.solve(lasso())
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        np.testing.assert_array_equal(again.x, result.x)
        assert again.guarantee.interval == result.guarantee.interval
        assert again.objective == result.objective


def test_wrong_things_in_the_place_of_rules_results_and_methods() -> None:
    with pytest.raises(DataError, match="combines with another rule"):
        _ = monops.GapBelow(1e-3) | 1e-3  # type: ignore[operator]
    with pytest.raises(DataError, match="a point goes into x0"):
        monops.solve(lasso(), warm_start=np.zeros(20))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"such as DouglasRachford\(\)"):
        monops.solve(lasso(), monops.Anderson(monops.DouglasRachford))  # type: ignore[arg-type]


def test_single_precision_has_its_own_default_tolerance() -> None:
    single = monops.LeastSquares(A.astype(np.float32), b.astype(np.float32)) + WEIGHT * monops.L1Norm()
    assert monops.solve(single, monops.ForwardBackward()).success


# ---- what a hostile tester met --------------------------------------------------------------------------------------


@pytest.mark.parametrize("check_every", [1, 10])
@pytest.mark.parametrize(
    "name", ["AdaptiveADMM", "AdaptiveDavisYin", "AdaptiveChambollePock", "ChambollePockLineSearch", "RestartedChambollePock"]
)
def test_rows_that_share_a_step_are_solved_each(name: str, check_every: int) -> None:
    """Rows that end at different times must not leave the others with a step of their own."""
    b = np.array([[8.0, -8.4, 40.9], [2.9, -15.0, 10.1], [0.1, 0.1, -0.1]])
    K = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])

    def problem(b: np.ndarray) -> Any:
        return monops.LeastSquares(K, b) + monops.LInfNorm(0.5) + monops.L2Norm(0.3)

    together = monops.solve(problem(b), getattr(monops, name)(), x0=np.zeros((3, 2)), batch_ndim=1, check_every=check_every)
    assert together.success
    for row in range(3):
        alone = monops.solve(problem(b[row]), getattr(monops, name)(), x0=np.zeros(2), tol=1e-9)
        np.testing.assert_allclose(together.x[row], alone.x, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, 1e200])
@pytest.mark.parametrize(
    "name", ["AdaptiveAcceleratedForwardBackward", "AdaptiveDavisYin", "AdaptiveProximalGradient", "GoldenRatio"]
)
def test_a_broken_row_does_not_take_the_step_from_the_others(name: str, bad: float) -> None:
    x0 = np.zeros((3, 2))
    x0[1] = bad
    b = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
    problem = monops.LeastSquares(np.array([[1.0, 0.5], [0.0, 1.0]]), b) + monops.L2Norm(0.1)
    result = quiet(problem, getattr(monops, name)(), x0=x0, batch_ndim=1)
    assert [status.value for status in result.row_status] == ["converged", "non-finite", "converged"]


def test_a_far_solution_of_a_linear_program_is_not_called_unbounded() -> None:
    """min -x1 subject to e x1 <= x2 <= 1 has the solution (1/e, 1)."""
    for e in (9e-6, 1e-4):
        half = monops.HalfSpace(np.array([e, -1.0]))
        problem = monops.Linear(np.array([-1.0, 0.0])) + half + monops.Box(-np.inf, np.array([np.inf, 1.0]))
        for method in (None, monops.DavisYin(), monops.MalitskyTam(), monops.Ryu()):
            assert quiet(problem, method, x0=np.zeros(2), max_iter=500).status is not monops.Status.INCONSISTENT


def test_certificates_hold_after_rejected_steps() -> None:
    """Cut anywhere, the error bound of semismooth Newton holds; a rejected step must not make it look solved."""
    extremal = monops.Quadratic(np.eye(2), np.array([-3.0, 1.0])) + monops.L1Norm()  # y - x an eigenvector, new step 1/L
    for iterations in (1, 2, 3):
        settings: dict[str, Any] = {"x0": np.array([5.0, 5.0]), "max_iter": iterations}
        cut = quiet(extremal, monops.SemismoothNewton(step_size=1 / 0.7), **settings)
        assert np.linalg.norm(cut.x - np.array([2.0, 0.0])) <= cut.residual * (1 + 1e-9) + 1e-12
    generator = np.random.default_rng(0)
    for _ in range(30):
        P = generator.standard_normal((3, 3))
        P = P @ P.T + 0.1 * np.eye(3)
        problem = monops.Quadratic(P, 3.0 * generator.standard_normal(3)) + monops.L1Norm()
        exact = monops.solve(problem, monops.DouglasRachford(), tol=1e-11, max_iter=50_000).x
        for iterations in (1, 2, 3, 5):
            method = monops.SemismoothNewton(step_size=generator.uniform(0.1, 10.0))
            cut = quiet(problem, method, x0=5.0 * generator.standard_normal(3), max_iter=iterations, tol=1e-9)
            mu = float(np.linalg.eigvalsh(P)[0])
            assert np.linalg.norm(cut.x - exact) <= cut.residual / mu * (1 + 1e-6) + 1e-8


def test_shared_arrays_of_the_state_are_not_taken_for_rows() -> None:
    b = np.array([[0.0, 0, 0], [0, 0, 0], [5.0, -4, 3]])
    K = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
    problem = monops.LeastSquares(np.eye(3), b) + monops.L1Norm(0.5) @ K
    assert monops.solve(problem, monops.PreconditionedChambollePock(), x0=np.zeros((3, 3)), batch_ndim=1).success


def test_gaps_never_crash_and_never_lie() -> None:
    """Every method that applies, whatever dual point it has: the gap is None, or an upper bound of the suboptimality."""
    generator = np.random.default_rng(3)
    F, K = generator.standard_normal((5, 3)), generator.standard_normal((4, 3))
    problems = (
        monops.SquaredL2() + monops.Huber() @ K + monops.L1Norm() @ F,
        monops.L1Norm() + monops.L2Norm().translate(np.ones(4)) @ K,
        monops.SquaredL2().translate(np.ones(3)) + monops.L1Norm() + monops.Box(-0.5, 0.5),
    )
    for problem in problems:
        best = min(quiet(problem, tol=1e-9, max_iter=20_000, x0=np.zeros(3)).objective, np.inf)
        for entry in monops.assess(problem):
            if entry.terms is not None:
                result = quiet(problem, entry.algorithm, x0=np.zeros(3), max_iter=60, tol=1e-7)
                if result.gap is not None:
                    assert result.objective - best <= result.gap + 1e-6, entry.algorithm.name


def test_warm_starts_between_accelerations_of_different_maps_keep_x() -> None:
    first = monops.solve(lasso(), monops.Anderson(monops.ParallelDouglasRachford()))
    again = monops.solve(lasso(), monops.Anderson(monops.ForwardBackward()), warm_start=first)
    assert again.success
    assert again.iterations <= 20


def test_states_that_grow_resume_with_identical_iterates(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"x0": np.ones(20), "tol": 0.0, "check_every": 2, "on_failure": "ignore"}
    whole = monops.solve(lasso(), monops.PANOC(), max_iter=20, **settings)
    monops.solve(lasso(), monops.PANOC(), max_iter=10, save_to=tmp_path / "p.npz", **settings)
    resumed = monops.solve(lasso(), monops.PANOC(), max_iter=20, resume_from=tmp_path / "p.npz", **settings)
    np.testing.assert_array_equal(whole.x, resumed.x)
    other = monops.LeastSquares(A, b) + WEIGHT * (1 + 1e-12) * monops.L1Norm()
    with pytest.raises(DataError, match="another run"):
        monops.solve(other, monops.PANOC(), resume_from=tmp_path / "p.npz", **settings)


@pytest.mark.parametrize(
    "build",
    [
        lambda: (monops.LeastSquares(A, b) + monops.L1Norm(np.ones(99)), {}),
        lambda: (monops.linear_program(np.ones(2), np.ones((1, 3)), np.ones(1)), {}),
        lambda: (monops.LeastSquares(A, np.ones((4, 30))) + monops.L1Norm(), {"x0": np.zeros((3, 20)), "batch_ndim": 1}),
    ],
    ids=["weights", "program", "rows"],
)
def test_data_that_do_not_fit_are_named(build: Any) -> None:
    problem, settings = build()
    with pytest.raises(ShapeError, match=r"has shape|of shape \("):
        monops.solve(problem, **settings)
