"""The methods for a monotone Lipschitz term: rows of a batch, libraries, dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import monops
from monops import arrays
from tests.algorithms.lipschitz_cases import ADAPTIVE, FIXED, MONOTONE, complementarity, every, name_of, run
from tests.backends import BACKENDS, Backend


def rows_problem(asarray: Any = np.asarray) -> tuple[Any, np.ndarray]:
    """Three rows whose local Lipschitz constants differ by orders of magnitude, and their starts."""
    _, _, S, q = complementarity(0.0)
    S, q = asarray(0.3 * S.T), asarray(q)
    B = monops.Custom(forward=lambda x: x**3 + x @ S + q, constants=MONOTONE)
    start = np.stack([np.full(8, 0.1), np.linspace(0.0, 8.0, 8), np.full(8, 40.0)])
    return B + monops.NonNegative(), start


@pytest.mark.parametrize("method", FIXED, ids=name_of)
def test_rows_equal_single_runs(method: Any) -> None:
    _, _, M, _ = complementarity(0.1)
    q = np.random.default_rng(1).standard_normal((3, 8)) * np.array([[0.1], [1.0], [10.0]])
    start = np.stack([np.zeros(8), np.ones(8), np.full(8, 5.0)])

    def after(q: np.ndarray, x0: np.ndarray, batch_ndim: int) -> np.ndarray:
        problem = monops.Affine(M, q) + monops.NonNegative()
        result = monops.solve(problem, method, x0=x0, tol=0.0, max_iter=60, batch_ndim=batch_ndim, on_failure="ignore")
        return np.asarray(result.x)

    together = after(q, start, 1)
    for row in range(3):
        np.testing.assert_allclose(together[row], after(q[row], start[row], 0), atol=1e-11)


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
def test_rows_of_adaptive_methods_have_steps_of_their_own(method: Any) -> None:
    problem, start = rows_problem()
    options: dict[str, Any] = {"tol": 0.0, "max_iter": 40, "on_failure": "ignore"}
    together = monops.solve(problem, method, x0=start, batch_ndim=1, **options)
    for row in range(3):
        alone = monops.solve(problem, method, x0=start[row], **options)
        np.testing.assert_allclose(together.x[row], alone.x, atol=1e-9, rtol=1e-9)
        np.testing.assert_allclose(together.state.step[row], alone.state.step, rtol=1e-7)
    assert np.ptp(together.state.step) > 0


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
def test_rows_share_a_step_where_the_resolvent_takes_one(method: Any) -> None:
    _, _, S, q = complementarity(0.0)
    B = monops.Custom(forward=lambda x: x**3 + x @ S.T + q, constants=MONOTONE)
    start = np.stack([np.full(8, 1.0), np.linspace(0.0, 4.0, 8)])
    result = monops.solve(B + monops.Simplex(), method, x0=start, tol=1e-8, batch_ndim=1).require()
    assert np.ptp(result.state.step) == 0
    for row in result.x:
        slope = row**3 + S @ row + q
        np.testing.assert_allclose(row @ slope, slope.min(), atol=1e-7)  # the vertex with the least slope is no better


@pytest.mark.parametrize("method", ADAPTIVE, ids=name_of)
@pytest.mark.parametrize("simple", [True, False], ids=["without A", "with a sum of two functions"])
def test_rows_of_several_blocks(method: Any, simple: bool) -> None:
    """A step of its own for each row where there is no A, a shared one where A takes only one."""

    def forward(z: Any) -> Any:
        x, y = z
        return monops.Blocks((x**3 + y - 1.0, y**3 - x))

    problem: Any = monops.Custom(forward=forward, constants=MONOTONE)
    if not simple:
        problem = problem + monops.SeparableSum((monops.NonNegative(), monops.Box(-0.5, 0.5)))
    x, y = np.array([[0.1, 0.2], [4.0, 3.0]]), np.array([[0.3, 0.0], [-5.0, 2.0]])
    result = monops.solve(problem, method, x0=monops.Blocks((x, y)), tol=1e-9, batch_ndim=1).require()
    assert bool(np.ptp(result.state.step) > 0) is simple
    u, v = forward(result.x)
    low, high = (-np.inf, np.inf) if simple else (-0.5, 0.5)
    np.testing.assert_allclose(result.x[0], np.clip(result.x[0] - u, 0.0 if not simple else -np.inf, None), atol=1e-8)
    np.testing.assert_allclose(result.x[1], np.clip(result.x[1] - v, low, high), atol=1e-8)


def test_a_broken_row_costs_the_line_search_no_trials() -> None:
    calls = []

    def forward(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        return x - 1.0

    problem = monops.Custom(forward=forward, constants=MONOTONE) + monops.NonNegative()
    start = np.array([[0.0, 0.0], [np.nan, 0.0]])
    method = monops.ForwardBackwardForwardLineSearch(step_size=0.5)
    terms = method.match(problem.batched(1))
    calls.clear()
    run(method, terms, start, 5)
    assert len(calls) == 10


@every
def test_a_broken_row_leaves_the_others_alone(method: Any) -> None:
    _, _, M, q = complementarity(0.3)
    problem = monops.Affine(M, q) + monops.NonNegative()
    start = np.zeros((2, 8))
    start[1, 3] = np.nan
    result = monops.solve(problem, method, x0=start, tol=1e-7, max_iter=5000, batch_ndim=1, on_failure="ignore")
    assert [str(status) for status in result.row_status] == ["converged", "non-finite"]


@every
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b.name in ("torch", "strict")], ids=lambda b: b.name)
def test_other_libraries_take_the_same_steps(method: Any, backend: Backend) -> None:
    if backend.missing:
        pytest.skip(backend.missing)

    def after(asarray: Any, problem_of: Any, start: np.ndarray) -> Any:
        result = monops.solve(
            problem_of(asarray), method, x0=asarray(start), tol=0.0, max_iter=12, batch_ndim=start.ndim - 1, on_failure="ignore"
        )
        return result.x

    _, _, M, q = complementarity(0.2)
    D = np.diff(np.eye(8), axis=0)
    problems: list[tuple[Any, np.ndarray]] = [
        (lambda a: monops.Affine(a(M), a(q)) + monops.NonNegative(), np.ones((3, 8))),
        (lambda a: monops.SquaredL2().translate(a(q)) + 0.3 * monops.L1Norm() @ monops.Matrix(a(D)), np.ones(8)),
    ]
    if method in ADAPTIVE:
        problems.append((lambda a: rows_problem(a)[0], rows_problem()[1]))
    for problem_of, start in problems:
        expected = after(np.asarray, problem_of, start)
        got = backend.to_numpy(after(backend.asarray, problem_of, start))
        np.testing.assert_allclose(got, expected, atol=1e-12 * max(1.0, float(np.max(np.abs(expected)))))


@every
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_float32_stays(method: Any, name: str) -> None:
    backend = next(b for b in BACKENDS if b.name == name)
    if backend.missing:
        pytest.skip(backend.missing)
    _, _, M, q = complementarity(0.2)
    problem = monops.Affine(backend.asarray(M, "float32"), backend.asarray(q, "float32")) + monops.NonNegative()
    start = backend.asarray(np.ones((2, 8)), "float32")
    result = monops.solve(problem, method, x0=start, tol=1e-3, max_iter=2000, batch_ndim=1).require()
    assert all("float32" in str(leaf.dtype) for leaf in arrays.leaves(result.state))
