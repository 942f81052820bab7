"""Lengths, and ratios of what was observed to what is claimed, with room for rounding."""

from __future__ import annotations

import math

import numpy as np

ROUNDING = 1e-12


def norm(matrix: np.ndarray) -> float:
    """Spectral norm of a matrix, Euclidean norm of a vector."""
    return float(np.linalg.norm(matrix, 2))


def inner(x: np.ndarray, y: np.ndarray) -> float:
    """<x, y>, the real part of the complex one."""
    return float(np.vdot(x, y).real)


def square(x: np.ndarray) -> float:
    """|x|^2."""
    return inner(x, x)


def safe_ratio(observed: float, claimed: float, scale: float = 1.0) -> float:
    """Observed / claimed, with rounding of size 1e-12 scale allowed where the claim is 0."""
    return (observed + 1e-12 * scale) / (claimed + 1e-12 * scale)


def quotient(lower: float, upper: float, scale: float = 1.0) -> float:
    """Ratio of an inequality lower <= upper; infinite where upper is negative; rounding of 1e-12 scale is allowed in upper."""
    allowed = upper + ROUNDING * scale
    if allowed > 0:
        return max(lower, 0.0) / allowed
    return 0.0 if lower <= 0 == allowed else math.inf


def rounding_scale(*values: np.ndarray) -> float:
    """A ``scale`` for ``quotient`` on a user's operator: what differences of these points and images lose to cancellation,
    measured against the distances; the values come in pairs (x, y, u, v, ...).
    """
    distance = sum(math.sqrt(square(x - y)) for x, y in zip(values[::2], values[1::2], strict=True))
    error = 64 * float(np.finfo(float).eps) * sum(math.sqrt(square(value)) for value in values)
    return distance**2 + error * (distance + error) / ROUNDING


def farthest(*ratios: float) -> float:
    """Of several ratios that must all be 1 the one farthest from it: neither too large nor too small hides behind another."""
    return max(ratios, key=lambda ratio: math.inf if math.isnan(ratio) else abs(ratio - 1))
