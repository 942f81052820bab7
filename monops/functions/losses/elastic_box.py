"""l1, quadratic and linear terms over a box, entry by entry: the conjugate of piecewise quadratic losses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.equations import check_finite_number, check_nonnegative
from monops.functions.feasibility import as_text, check_bounds, entry_slack, zero_or_infinity
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.linear import BroadcastMap, LinearMap

__all__ = ["ElasticBox"]


@final
@dataclass(frozen=True, eq=False)
class ElasticBox(Separable):
    """f(x) = sum_i l1_i |x_i| + l2_i/2 x_i^2 + slope_i x_i on the box lower <= x <= upper: the elastic net over a box.

    Parameters
    ----------
    lower, upper : float or array that broadcasts against x
        lower <= upper; may be infinite.
    l1, l2 : float or array that broadcasts against x, default 0
        At least 0.
    slope : float or array that broadcasts against x, default 0
        Finite.

    Notes
    -----
    prox: clip(S((x - step slope)/(1 + step l2), step l1/(1 + step l2)), lower, upper) with soft-thresholding S: on the line,
    the minimiser over an interval is the nearest point to the free one. The l1 norm over x >= 0 is the case lower = 0, l1 = 1;
    conjugates of hinge, epsilon-insensitive, Huber and quantile losses are others. **Domain** the box. **Constants** mu =
    least l2; no gradient. **Cost** five passes. **Derivative** of the prox: 1/(1 + step l2) where p is neither 0 (for l1 > 0)
    nor at a bound, else 0 (0 at the kinks).

    References
    ----------
    Zou and Hastie (2005), Regularization and variable selection via the elastic net; Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> ElasticBox(0.0, 1.0, l1=0.5).prox(np.array([-1.0, 1.0, 3.0]))
    array([0. , 0.5, 1. ])
    """

    lower: Any = -math.inf
    upper: Any = math.inf
    l1: Any = 0.0
    l2: Any = 0.0
    slope: Any = 0.0

    def __post_init__(self) -> None:
        check_bounds("ElasticBox", self.lower, self.upper)
        check_nonnegative("ElasticBox", "l1", self.l1)
        check_nonnegative("ElasticBox", "l2", self.l2)
        check_finite_number("ElasticBox", "slope", self.slope)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(-0.5, 1.5, 0.3, 0.7, 0.4), (5,)),
            Sample(
                lambda a: cls(
                    a([0.0, -1.0, 0.5]), a([math.inf, 0.0, 0.7]), a([0.1, 0.4, 1.0]), a([1.0, 0.2, 0.1]), a([0.5, 0.0, 2.0])
                ),
                (2, 3),
            ),
        )

    @cached_property
    def constants(self) -> Constants:
        least = float(arrays.namespace(self.l2).min(self.l2)) if arrays.is_array(self.l2) else float(self.l2)
        return Constants(least, cyclic=True, why="computed: least l2")

    @property
    def interval(self) -> tuple[Any, Any]:
        return self.lower, self.upper

    def entry_value(self, x: Array) -> Array:
        slack = entry_slack(x)
        inside = zero_or_infinity((x >= self.lower - slack) & (x <= self.upper + slack), x)
        return self.l1 * arrays.namespace(x).abs(x) + (0.5 * self.l2 * x + self.slope) * x + inside

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        smooth = self.l2 * x + self.slope
        lower, upper = (
            smooth + xp.where(x > 0, self.l1 + 0.0 * x, -self.l1 + 0.0 * x),
            smooth + xp.where(x < 0, -self.l1 + 0.0 * x, self.l1 + 0.0 * x),
        )
        infinite = xp.zeros_like(x) + math.inf
        return xp.where(x <= self.lower, -infinite, lower), xp.where(x >= self.upper, infinite, upper)

    def entry_prox(self, x: Array, step: Any) -> Array:
        free = arrays.soft_threshold(x - step * self.slope, step * self.l1) / (1.0 + step * self.l2)
        return arrays.clip(free, _bound(self.lower, -math.inf), _bound(self.upper, math.inf))

    def _moving(self, x: Array, step: Any) -> tuple[Array, Array]:
        """Where the free minimiser is strictly inside, and the derivative of the prox."""
        xp = arrays.namespace(x)
        shifted = x - step * self.slope
        free = arrays.soft_threshold(shifted, step * self.l1) / (1.0 + step * self.l2)
        inside = (free > self.lower) & (free < self.upper)
        thresholded = (xp.abs(shifted) > step * self.l1) | ((self.l1 + 0.0 * x) == 0)
        return free, xp.astype(inside & thresholded, x.dtype) / (1.0 + step * self.l2)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return self._moving(x, step)[1]

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        free, moving = self._moving(x, step)
        return {
            "lower": BroadcastMap(xp.astype(free < self.lower, x.dtype), shape_of(self.lower)),
            "upper": BroadcastMap(xp.astype(free > self.upper, x.dtype), shape_of(self.upper)),
            "l1": BroadcastMap(-step * moving * xp.sign(free), shape_of(self.l1)),
            "l2": BroadcastMap(-step * moving * free, shape_of(self.l2)),
            "slope": BroadcastMap(-step * moving, shape_of(self.slope)),
        }

    def value_formula(self, x: str) -> str:
        terms = [f"{as_text(self.l1)} |{x}|_1", f"{as_text(self.l2)}/2 |{x}|^2", f"<{as_text(self.slope)}, {x}>"]
        return " + ".join([*terms, f"i_[{as_text(self.lower)}, {as_text(self.upper)}]({x})"])


def _bound(bound: Any, infinite: float) -> Any:
    return None if isinstance(bound, (int, float)) and bound == infinite else bound
