"""What weighted functions share: the check of a weight, its extremes, its place in a formula."""

from __future__ import annotations

import math
from typing import Any

from monops import arrays
from monops.errors import DataError

__all__: list[str] = []


def check_weight(owner: str, weight: Any) -> None:
    """Raise DataError unless a weight is finite and at least 0 (a number, or an array entry by entry)."""
    if arrays.is_array(weight):
        xp = arrays.namespace(weight)
        if not bool(xp.all(xp.isfinite(weight))) or bool(xp.any(weight < 0)):
            raise DataError(f"{owner}: weight has a negative or non-finite entry: weights must be finite and at least 0")
    elif not (isinstance(weight, (int, float)) and 0 <= weight < math.inf):
        raise DataError(f"{owner}: weight={weight!r} must be a finite number >= 0, or the function is not convex")


def weighted(weight: Any, formula: str) -> str:
    """A formula with its weight in front."""
    if arrays.is_array(weight):
        return f"w {formula}"
    return formula if weight == 1 else f"{weight:g} {formula}"


def extremes(weight: Any) -> tuple[float, float]:
    """Least and largest entry of a weight."""
    if not arrays.is_array(weight):
        return float(weight), float(weight)
    xp = arrays.namespace(weight)
    return float(xp.min(weight)), float(xp.max(weight))
