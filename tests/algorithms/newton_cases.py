"""Problems for the Newton methods, and their optimality conditions in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops


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


def portfolio(assets: int, factors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    F = rng(26).standard_normal((assets, factors)) * (rng(27).random((assets, factors)) < 0.5)
    d, mean = rng(28).random(assets) * factors**0.5 + 0.1, rng(29).standard_normal(assets)
    problem = monops.SquaredL2(d) + monops.Linear(-mean) + monops.SquaredL2() @ np.ascontiguousarray(F.T) + monops.Simplex()
    return F, d, mean, problem
