"""The driver: statuses, rows, choice, callback, Result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from monops.errors import NotConvergedError, NotConvergedWarning
from tests.problems import CASES


def lasso(rows: int = 30, columns: int = 20) -> monops.Inclusion:
    """A small lasso."""
    generator = np.random.default_rng(0)
    return (
        monops.LeastSquares(generator.standard_normal((rows, columns)), generator.standard_normal(rows)) + 2.0 * monops.L1Norm()
    )


def test_iteration_limit_is_reported_once_and_nothing_is_lost() -> None:
    with pytest.warns(
        NotConvergedWarning,
        match=r"iteration limit: residual .* does not meet ResidualBelow\(1e-12\), after 7 iterations; raise max_iter",
    ) as record:
        result = monops.solve(lasso(), monops.ForwardBackward(), tol=1e-12, max_iter=7)
    assert len(record) == 1
    assert result.status is monops.Status.ITERATION_LIMIT
    assert not result.success
    assert result.iterations == 7
    assert np.all(np.isfinite(result.x))
    with pytest.raises(NotConvergedError, match="iteration limit"):
        result.require()


def test_on_failure_raise_and_ignore() -> None:
    with pytest.raises(NotConvergedError):
        monops.solve(lasso(), monops.ForwardBackward(), tol=1e-12, max_iter=3, on_failure="raise")
    assert not monops.solve(lasso(), monops.ForwardBackward(), tol=1e-12, max_iter=3, on_failure="ignore").success


def test_converged_result_reads_well() -> None:
    result = monops.solve(lasso(), monops.DouglasRachford(), history=True)
    text = repr(result)
    assert text.startswith("converged after")
    for word in ("residual", "error bound", "step", "theorem", "choice"):
        assert word in text
    assert result.require() is result
    assert result.history[-1] == (result.iterations, result.residual)


def test_error_bound_contains_the_solution() -> None:
    problem = lasso()
    exact = monops.solve(problem, tol=1e-11).x
    rough = monops.solve(problem, monops.ForwardBackward(), tol=1e-2)
    assert np.linalg.norm(rough.x - exact) <= rough.error_bound


def test_float32_floor_is_named() -> None:
    generator = np.random.default_rng(0)
    A = generator.standard_normal((30, 20)).astype(np.float32)
    problem = monops.LeastSquares(A, A @ np.ones(20, dtype=np.float32)) + 0.1 * monops.L1Norm()
    with pytest.warns(NotConvergedWarning, match="rounding level of float32"):
        result = monops.solve(problem, tol=1e-12, max_iter=500)
    assert result.x.dtype == np.float32


def test_callback_sees_checks_and_stops() -> None:
    seen: list[monops.Check] = []

    def stop(check: monops.Check) -> bool:
        seen.append(check)
        return len(seen) == 3

    with pytest.warns(NotConvergedWarning, match="stopped by the callback"):
        result = monops.solve(lasso(), monops.ForwardBackward(), tol=0.0, callback=stop)
    assert [check.iteration for check in seen] == [10, 20, 30]
    assert result.status is monops.Status.STOPPED
    assert result.iterations == 30


def test_start_is_not_modified_and_checks_do_not_change_the_iterates() -> None:
    start = np.ones(20)
    one = monops.solve(lasso(), monops.ForwardBackward(), x0=start, tol=0.0, max_iter=30, check_every=1, on_failure="ignore")
    ten = monops.solve(lasso(), monops.ForwardBackward(), x0=start, tol=0.0, max_iter=30, check_every=10, on_failure="ignore")
    np.testing.assert_array_equal(one.x, ten.x)
    np.testing.assert_array_equal(start, np.ones(20))


def rows_problem() -> tuple[Any, np.ndarray, np.ndarray]:
    """Complementarity problems with one matrix and a q a row."""
    generator = np.random.default_rng(3)
    skew = generator.standard_normal((6, 6))
    M = 0.5 * np.eye(6) + skew - skew.T
    q = generator.standard_normal((5, 6)) * np.array([[1e-3], [1.0], [10.0], [1.0], [0.1]])
    return M, q, np.zeros((5, 6))


@pytest.mark.parametrize("name", ["ForwardBackward", "DouglasRachford", "PeacemanRachford", "ForwardBackwardForward"])
def test_rows_of_a_batch_are_independent_problems(name: str) -> None:
    M, q, start = rows_problem()
    method = getattr(monops, name)()
    together = monops.solve(monops.Affine(M, q) + monops.NonNegative(), method, x0=start, batch_ndim=1, tol=1e-8)
    assert together.row_status == (monops.Status.CONVERGED,) * 5
    assert together.residual.shape == together.iterations.shape == (5,)
    for row in range(5):
        alone = monops.solve(monops.Affine(M, q[row]) + monops.NonNegative(), method, x0=start[row], tol=1e-8)
        assert alone.iterations == together.iterations[row]
        np.testing.assert_allclose(alone.x, together.x[row], atol=1e-12)
    assert len(set(together.iterations.tolist())) > 1  # rows really end at different times


def test_accelerated_rows_restart_on_their_own() -> None:
    generator = np.random.default_rng(0)
    A, targets = generator.standard_normal((30, 20)), generator.standard_normal((4, 30))
    batch = monops.LeastSquares(A, targets) + 2.0 * monops.L1Norm()
    together = monops.solve(batch, monops.AcceleratedForwardBackward(), x0=np.zeros((4, 20)), batch_ndim=1, tol=1e-9)
    for row in range(4):
        single = monops.LeastSquares(A, targets[row]) + 2.0 * monops.L1Norm()
        alone = monops.solve(single, monops.AcceleratedForwardBackward(), tol=1e-9)
        assert alone.iterations == together.iterations[row]
        np.testing.assert_allclose(alone.x, together.x[row], atol=1e-12)


def test_a_row_with_nan_is_isolated() -> None:
    M, q, start = rows_problem()
    q[2, 1] = np.nan
    with pytest.warns(NotConvergedWarning, match="1 of 5 rows: non-finite.*q contains 1 NaN value"):
        result = monops.solve(monops.Affine(M, q) + monops.NonNegative(), monops.ForwardBackward(), x0=start, batch_ndim=1)
    assert result.status is monops.Status.NON_FINITE
    assert result.row_status[2] is monops.Status.NON_FINITE
    good = [0, 1, 3, 4]
    assert all(result.row_status[row] is monops.Status.CONVERGED for row in good)
    clean = monops.solve(
        monops.Affine(M, q[good]) + monops.NonNegative(), monops.ForwardBackward(), x0=start[good], batch_ndim=1
    )
    np.testing.assert_allclose(result.x[good], clean.x, atol=1e-12)
    assert np.all(np.isfinite(result.x))


def test_divergence_names_the_false_constant() -> None:
    """A constant that random probing cannot refute: the operator misbehaves only far from the start."""
    operator = monops.Custom(
        forward=lambda x: np.where(np.abs(x) < 5, x, -10 * x) + 20.0,
        constants=monops.Constants(strong_monotonicity=1.0, lipschitz=1.0),
    )
    with pytest.warns(NotConvergedWarning, match="is false: two points have"):
        result = monops.solve(operator, monops.ForwardBackward(), x0=np.zeros(1), max_iter=5000)
    assert result.status in (monops.Status.DIVERGED, monops.Status.NON_FINITE)
    assert np.all(np.isfinite(result.x))


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, {"PeacemanRachford", "AcceleratedForwardBackward", "ForwardBackward", "DouglasRachford"}),
        (3, {"ChambollePock", "ForwardBackwardForward", "DouglasRachford"}),
        (4, {"ChambollePock", "ForwardBackwardForward"}),
    ],
)
def test_choice_is_an_applicable_method_and_says_why(index: int, expected: set[str]) -> None:
    case = CASES[index]
    result = monops.solve(case.build(np.asarray), x0=case.start(np.asarray), tol=1e-6, max_iter=100_000)
    assert "least predicted effort" in result.choice
    explanation = monops.explain(case.build(np.asarray))
    assert explanation.applicable()[0] == result.algorithm.name
    assert expected <= set(explanation.applicable())


def test_explain_prints_a_row_or_a_reason_for_every_method() -> None:
    text = str(monops.explain(lasso()))
    for method in monops.algorithms.methods():
        assert method.__name__ in text
    assert "do not apply" in text
    assert "0 in" in text


def test_estimated_constants_are_marked() -> None:
    from scipy.sparse.linalg import LinearOperator

    A = np.random.default_rng(0).standard_normal((30, 20))
    operator = LinearOperator((30, 20), matvec=lambda x: A @ x, rmatvec=lambda y: A.T @ y, dtype=np.float64)
    result = monops.solve(monops.LeastSquares(operator, np.ones(30)) + 1.0 * monops.L1Norm(), monops.ForwardBackward())
    assert any("estimated" in note for note in result.notes)
    assert "note" in repr(result)


def test_zero_start_keeps_library_dtype_and_device(backend: Any) -> None:
    A = backend.asarray(np.eye(3), "float32")
    b = backend.asarray(np.array([2.0, 0.1, -3.0]), "float32")
    result = monops.solve(monops.LeastSquares(A, b) + 1.0 * monops.L1Norm(), tol=1e-5)
    assert type(result.x) is type(b)
    assert result.x.dtype == b.dtype
    assert arrays.device(result.x) == arrays.device(b)
    np.testing.assert_allclose(arrays.to_numpy(result.x), [1.0, 0.0, -2.0], atol=1e-5)


def test_progress_bar_needs_nothing_but_rich(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich", reason="rich is not installed")
    assert monops.solve(lasso(), monops.ForwardBackward(), progress=True).success
    capsys.readouterr()


def test_no_iteration_is_an_iteration_limit() -> None:
    result = monops.solve(lasso(), max_iter=0, on_failure="ignore")
    assert result.status is monops.Status.ITERATION_LIMIT
    assert np.all(result.x == 0)


def test_disjoint_sets_are_certified() -> None:
    """Four entries of at least 1/2 cannot sum to 1."""
    with pytest.warns(NotConvergedWarning, match="no point lies in all domains"):
        result = monops.solve(monops.Simplex() + monops.Box(0.5, 1.0), x0=np.zeros(4), max_iter=2000)
    assert result.status is monops.Status.INCONSISTENT


def test_sparse_data_solve_like_dense_data() -> None:
    import scipy.sparse

    dense = np.random.default_rng(0).standard_normal((40, 60)) * (np.random.default_rng(2).random((40, 60)) < 0.2)
    b = np.random.default_rng(1).standard_normal(40)
    sparse = scipy.sparse.csr_array(dense)
    one = monops.solve(monops.LeastSquares(sparse, b) + 0.1 * monops.L1Norm(), tol=1e-9)
    two = monops.solve(monops.LeastSquares(dense, b) + 0.1 * monops.L1Norm(), tol=1e-9)
    np.testing.assert_allclose(one.x, two.x, atol=1e-6)
