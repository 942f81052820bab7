"""Types only: what a theorem guarantees for a method, and which hypothesis is missing. The formulas live beside each method."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from monops.errors import NotApplicableError, StepSizeError

Number = Any  # float or Fraction


@dataclass(frozen=True)
class Missing:
    """The hypothesis that a problem lacks for a method, and the way out."""

    hypothesis: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.hypothesis}; {self.way_out}"

    def error(self, method: str) -> NotApplicableError:
        """The exception that says so."""
        return NotApplicableError(f"{method} does not apply: {self}")


@dataclass(frozen=True)
class Guarantee:
    """What is proven of a method for given constants.

    Parameters
    ----------
    interval : (lower, upper)
        Open interval of proven step sizes; the upper end may be ``math.inf``.
    best_step : number
        The step size with the best proven rate, or the usual choice where no rate distinguishes them.
    formula : str
        The interval as an expression in the constants, for example ``"0 < step_size < 2*beta"``.
    rate : str
        The rate in words or symbols, for example ``"O(1/k) in |r|^2"`` or ``"linear"``.
    source : str
        Author, year, number.
    upper_included : bool
        Whether the upper end of the interval is proven too.
    squared_contraction : callable or None
        step size -> squared factor by which the distance to the solution shrinks each iteration; None when the rate is
        not linear. Exact on fractions.
    """

    interval: tuple[Number, Number]
    best_step: Number
    formula: str
    rate: str
    source: str
    squared_contraction: Callable[[Number], Number] | None = None
    upper_included: bool = False

    def resolve(self, step_size: float | None, method: str, name: str = "step_size") -> float:
        """The step to use: the best proven one, or the given one after checking that it is proven."""
        if step_size is None:
            return float(self.best_step)
        step, (lower, upper) = float(step_size), self.interval
        inside = lower < step < upper or (self.upper_included and step == upper)  # False for NaN
        if not inside:
            raise StepSizeError(
                f"{name}={step:g} is outside the proven interval {self.interval_text} of {method}: "
                f"{self.formula} ({self.source}). Leave {name}=None for the best proven step {float(self.best_step):.6g}"
            )
        return step

    def __getstate__(self) -> dict[str, Any]:
        """Without the contraction, which is a function inside ``guarantee`` and cannot be pickled."""
        return {**vars(self), "squared_contraction": None}

    @property
    def interval_text(self) -> str:
        """The interval in numbers, for example ``(0, 0.507)``."""
        lower, upper = self.interval
        return (
            f"({float(lower):.4g}, {'inf' if upper == math.inf else f'{float(upper):.4g}'}{']' if self.upper_included else ')'}"
        )

    def factor(self, step: float) -> float | None:
        """Contraction factor of one iteration at this step, or None."""
        if self.squared_contraction is None:
            return None
        return math.sqrt(max(float(self.squared_contraction(step)), 0.0))
