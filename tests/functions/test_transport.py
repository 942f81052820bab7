"""Transport polytopes: known projections, the assignment problem as a limit, the certificate, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

from monops import errors
from monops.functions import Birkhoff, TransportPolytope


def dykstra(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, sweeps: int = 20_000) -> np.ndarray:
    """The projection by alternating corrections, an independent slow method."""
    n, m = x.shape
    y, increment = x, np.zeros_like(x)
    system = np.concatenate([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    inverse = np.linalg.pinv(system)
    for _ in range(sweeps):
        flat = y.ravel() - inverse @ (system @ y.ravel() - np.concatenate([rows, columns]))
        shifted = flat.reshape(x.shape) + increment
        y = np.maximum(shifted, 0.0)
        increment = shifted - y
    return y


def random_sums(rng: Any, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = rng.random(n), rng.random(m) + 0.05
    return rows, columns * rows.sum() / columns.sum()


def test_equals_dykstra() -> None:
    rng = np.random.default_rng(3)
    rows, columns = random_sums(rng, 5, 4)
    x = rng.standard_normal((5, 4))
    np.testing.assert_allclose(TransportPolytope(rows, columns).prox(x), dykstra(x, rows, columns), atol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e8])
def test_far_away_the_projection_on_the_birkhoff_polytope_solves_the_assignment_problem(scale: float) -> None:
    """<X, P>/scale is at most |P|^2/scale short of its maximum; for a generic X that makes P the permutation matrix."""
    rng = np.random.default_rng(4)
    x = scale * rng.standard_normal((30, 30))
    p = Birkhoff(30).prox(x)
    assert float(Birkhoff(30)(p)) == 0
    chosen = scipy.optimize.linear_sum_assignment(-x)
    if scale >= 1e4:
        np.testing.assert_allclose(p[chosen], 1.0, atol=1e-15 * scale + 1e-12)
    else:
        assert p[chosen].min() < 0.99


def test_zero_sums_leave_a_row_and_a_column_empty() -> None:
    f = TransportPolytope([0.0, 1.0, 2.0], [1.5, 0.0, 1.5])
    x = np.random.default_rng(0).standard_normal((3, 3)) + 5.0
    found = f.prox_certified(x)
    assert found.converged
    assert np.all(found.point[0] == 0)
    assert np.all(found.point[:, 1] == 0)
    assert float(f(found.point)) == 0


def test_one_row_is_a_simplex_with_given_columns() -> None:
    x = np.array([[3.0, -1.0]])
    np.testing.assert_allclose(TransportPolytope([2.0], [0.5, 1.5]).prox(x), [[0.5, 1.5]], atol=1e-14)


def test_interior_projection_is_the_affine_one() -> None:
    """Where no entry reaches 0: X + (r - X 1)/m 1' + 1 (c - X' 1)'/n + (sum of X - total)/(n m)."""
    rng = np.random.default_rng(2)
    rows, columns = np.full(3, 4.0), np.full(4, 3.0)
    x = 1.0 + 0.1 * rng.standard_normal((3, 4))
    expected = x + (rows - x.sum(1))[:, None] / 4 + (columns - x.sum(0)) / 3 + (x.sum() - 12.0) / 12
    np.testing.assert_allclose(TransportPolytope(rows, columns).prox(x), expected, atol=1e-14)


def test_repair_keeps_the_plan_feasible_and_the_bound_true_when_the_steps_run_out() -> None:
    rng = np.random.default_rng(1)
    rows, columns = random_sums(rng, 6, 5)
    x = 3.0 * rng.standard_normal((6, 5))
    exact = TransportPolytope(rows, columns).prox(x)
    short = TransportPolytope(rows, columns, max_iter=1).prox_certified(x)
    assert not short.converged
    assert float(TransportPolytope(rows, columns)(short.point)) == 0
    assert np.linalg.norm(short.point - exact) <= float(short.error_bound) <= 20.0
    assert np.linalg.norm(short.point - exact) > 1e-6
    with pytest.warns(errors.InexactProxWarning, match="max_iter=1"):
        TransportPolytope(rows, columns, max_iter=1).prox(x)


def test_plans_in_further_axes_are_independent_and_share_the_value() -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, 3, 3))
    f = Birkhoff(3)
    together = f.prox(x)
    for plan, alone in zip(together, x, strict=True):
        np.testing.assert_allclose(plan, f.prox(alone), atol=1e-13)
    assert float(f(together)) == 0
    together[1, 0, 0] += 1e-6
    assert float(f(together)) == np.inf


def test_value_sees_negative_entries_and_each_kind_of_sum() -> None:
    f = TransportPolytope([1.0, 1.0], [1.0, 1.0])
    assert float(f(np.eye(2))) == 0
    assert float(f(np.array([[1.5, -0.5], [-0.5, 1.5]]))) == np.inf
    assert float(f(np.array([[1.0, 0.0], [1.0, 0.0]]))) == np.inf
    assert float(f(np.array([[1.0, 1.0], [0.0, 0.0]]))) == np.inf


def test_refusals_name_cause_and_fix() -> None:
    with pytest.raises(errors.DataError, match=r"row_sums add.* 3.* column_sums to 2"):
        TransportPolytope([1.0, 2.0], [1.0, 1.0])
    with pytest.raises(errors.DataError, match="finite and"):
        TransportPolytope([1.0, -1.0], [0.0, 0.0])
    with pytest.raises(errors.ShapeError, match="TransportPolytope: row_sums"):
        TransportPolytope(np.ones((2, 2)), [2.0, 2.0])
    with pytest.raises(errors.ShapeError, match=r"last two axes must be \(2, 2\)"):
        Birkhoff(2).prox(np.ones((2, 3)))
    with pytest.raises((errors.ShapeError, errors.DataError), match="at least 1"):
        Birkhoff(0)


def test_sums_in_single_precision_are_accepted_and_made_to_agree() -> None:
    """float32 sums agree to 1e-7 only; in float64 the projection reaches rounding all the same."""
    rng = np.random.default_rng(8)
    rows, columns = (sums.astype(np.float32) for sums in random_sums(rng, 40, 30))
    assert rows.astype(float).sum() != columns.astype(float).sum()
    found = TransportPolytope(rows, columns).prox_certified(rng.standard_normal((40, 30)))
    assert found.converged
    np.testing.assert_allclose(found.point.sum(1), rows, rtol=1e-12)
