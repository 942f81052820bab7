"""Slow, independent minimisers of f(y) + |y - x|^2/(2 step): golden section entry by entry, and CVXPY."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from monops import arrays
from monops.functions.sample import Sample
from monops.functions.separable import Separable

GOLDEN = (5**0.5 - 1) / 2


def golden_prox(f: Separable, x: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Minimiser and minimum for every entry, from values alone: a grid of 2001 points, then golden sections around its best."""
    lower, upper = (np.broadcast_to(np.asarray(end, dtype=float), x.shape) for end in f.interval)
    reach = 60.0 + 10.0 * np.abs(x) + 10.0 * step
    low, high = np.maximum(x - reach, lower), np.minimum(x + reach, upper)
    low, high = np.minimum(low, np.where(upper < low, upper, low)), np.maximum(high, np.where(lower > high, lower, high))

    def objective(y: np.ndarray) -> np.ndarray:
        value = f.entry_value(y) + (y - x) ** 2 / (2 * step)
        assert not np.any(np.isnan(value)), "the value is NaN"
        return value

    with np.errstate(all="ignore"):
        grid = np.linspace(0.0, 1.0, 2001) ** 1.0
        points = [low + t * (high - low) for t in grid] + [np.clip(x, low, high), np.clip(0.0 * x, low, high)]
        values = np.array([objective(y) for y in points])
        best = np.argmin(values, axis=0)
        center = np.take_along_axis(np.array(points), best[None], axis=0)[0]
        width = (high - low) / 2000
        a, b = np.maximum(center - width, low), np.minimum(center + width, high)
        for _ in range(90):
            c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
            left = objective(c) <= objective(d)
            a, b = np.where(left, a, c), np.where(left, d, b)
        middle = 0.5 * (a + b)
        candidates = np.array([middle, a, b, center])
        attained = np.array([objective(y) for y in candidates])
    chosen = np.argmin(attained, axis=0)[None]
    return np.take_along_axis(candidates, chosen, axis=0)[0], np.take_along_axis(attained, chosen, axis=0)[0]


def cvxpy_prox(sample: Sample, x: Any, step: float) -> np.ndarray:
    """The minimiser by an interior-point method, from the sample's own definition in CVXPY atoms; blocks are concatenated."""
    import cvxpy as cp

    leaves = arrays.leaves(x)
    variables = [cp.Variable(leaf.shape) for leaf in leaves]
    definition = sample.reference(cp, variables if isinstance(x, tuple) else variables[0])
    if isinstance(definition, list):
        definition = (0.0, definition)
    value, constraints = definition if isinstance(definition, tuple) else (definition, [])
    distance = sum(cp.sum_squares(variable - leaf) for variable, leaf in zip(variables, leaves, strict=True))
    problem = cp.Problem(cp.Minimize(step * value + distance / 2), constraints)
    with warnings.catch_warnings():  # at 1e-10 the solver may say that it came only almost as near; the comparison decides
        warnings.simplefilter("ignore")
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    assert problem.status in ("optimal", "optimal_inaccurate"), problem.status
    return np.concatenate([np.asarray(variable.value).ravel() for variable in variables])
