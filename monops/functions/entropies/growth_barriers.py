"""Logarithmic barriers with a term of growth: penalties of gamma, Weibull and inverse Gaussian priors, entry by entry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.entropies.barriers import minus_inverse
from monops.functions.equations import (
    Smooth,
    check_positive,
    inverse_inside,
    inverse_power_root,
    largest,
    log_inside,
    power_root,
    reciprocal_root,
    square_root,
    times,
)
from monops.functions.sample import Sample

__all__ = [
    "LogInverse",
    "LogPower",
]


@final
@dataclass(frozen=True, eq=False)
class LogPower(Smooth):
    """f(x) = sum_i -log_weight_i log(x_i) + weight_i x_i^exponent on x > 0, exponent >= 1.

    Parameters
    ----------
    exponent : float, default 2
        At least 1; ``PoissonLoss`` is the case 1.
    weight, log_weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: the root p > 0 of p - step log_weight/p + step weight exponent p^(exponent - 1) = x, by Newton's method in a bracket
    of closed-form bounds. **Domain** x >= 0 (its closure). **Constants** mu = 2 weight for exponent 2 (f'' at infinity),
    else 0; no gradient outside x > 0. **Cost** five to eight evaluations of the equation.
    **Derivative** of the prox: 1/(1 + step f''(p)).

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(LogPower(3.0).prox(np.array([3.0, -1e150])), 12)
    array([1., 0.])
    """

    exponent: float = 2.0
    weight: Any = 1.0
    log_weight: Any = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.exponent, (int, float)) and 1 <= self.exponent < math.inf):
            raise DataError(f"LogPower: exponent={self.exponent!r} must be a finite number >= 1, or the function is not convex")
        check_positive("LogPower", {"weight": self.weight, "log_weight": self.log_weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(3.0, 0.7, 0.5), (5,)),
            Sample(lambda a: cls(2.0, 0.7), (5,)),
            Sample(lambda a: cls(1.3, a([0.5, 0.1, 2.0]), a([0.2, 3.0, 1.0])), (2, 3)),
        )

    @cached_property
    def constants(self) -> Constants:
        mu = -2.0 * largest(-1.0 * self.weight) if self.exponent == 2 else 0.0
        return Constants(mu, cyclic=True, why="computed: infimum of the second derivative")

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        inside = arrays.clip(x, 0.0, None)
        return self.weight * inside ** float(self.exponent) - self.log_weight * log_inside(x)

    def entry_slope(self, x: Array) -> Array:
        grown = arrays.clip(x, 0.0, None) ** (self.exponent - 1.0)
        return self.exponent * self.weight * grown - self.log_weight * inverse_inside(x)

    def entry_curvature(self, x: Array) -> Array:
        safe = arrays.namespace(x).where(x <= 0, 1.0 + 0.0 * x, x)
        grown = self.exponent * (self.exponent - 1.0) * self.weight * safe ** (self.exponent - 2.0)
        return grown + self.log_weight * inverse_inside(x, 2.0)

    def entry_bracket(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """Without the growth p would be larger; it is at most sqrt(c), or -c/p adds at most sqrt(c) to x."""
        xp = arrays.namespace(x)
        c, s, k = step * self.log_weight, step * self.exponent * self.weight, self.exponent - 1.0
        root = square_root(c)
        alone = reciprocal_root(x, c)
        if k == 0.0:
            exact = reciprocal_root(x - s, c)
            return exact, exact, exact
        grown = power_root(xp.abs(x) + root, s, k)
        grown = xp.where(grown < root, root + 0.0 * x, grown)
        upper = xp.where(alone < grown, alone, grown)
        lower = reciprocal_root(x - s * upper**k, c)
        least = power_root(arrays.clip(x, 0.0, None), s, k)
        return xp.where(lower < least, least, lower), upper, upper

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": self.exponent * p ** (self.exponent - 1.0), "log_weight": minus_inverse(p)}

    def value_formula(self, x: str) -> str:
        growth = times(self.weight, f"{x}^{self.exponent:g}")
        return f"sum {growth} - {times(self.log_weight, f'log({x})')}"


@final
@dataclass(frozen=True, eq=False)
class LogInverse(Smooth):
    """f(x) = sum_i -log_weight_i log(x_i) + weight_i/x_i on x > 0.

    Parameters
    ----------
    weight, log_weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: the root p > 0 of p - step log_weight/p - step weight/p^2 = x, by Newton's method in a bracket of closed-form bounds.
    With ``tilt(a)`` the penalty of a generalised inverse Gaussian prior. **Domain** x >= 0 (its closure). **Constants** mu =
    0; no gradient outside x > 0. **Cost** two closed-form proxes and five evaluations of the equation. **Derivative** of the
    prox: 1/(1 + step f''(p)).

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(LogInverse().prox(np.array([-1.0, 1.25])), 12)
    array([1., 2.])
    """

    weight: Any = 1.0
    log_weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("LogInverse", {"weight": self.weight, "log_weight": self.log_weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7, 0.5), (5,)),
            Sample(lambda a: cls(a([0.5, 0.1, 2.0]), a([0.2, 3.0, 1.0])), (2, 3)),
        )

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return self.weight * inverse_inside(x) - self.log_weight * log_inside(x)

    def entry_slope(self, x: Array) -> Array:
        inverse = inverse_inside(x)
        with np.errstate(over="ignore"):
            return -(self.log_weight + self.weight * inverse) * inverse

    def entry_curvature(self, x: Array) -> Array:
        return self.log_weight * inverse_inside(x, 2.0) + 2.0 * self.weight * inverse_inside(x, 3.0)

    def entry_bracket(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """Each term alone gives less than p; log_weight/p is at most its value at the root with 1/p alone."""
        xp = arrays.namespace(x)
        c, d = step * self.log_weight, step * self.weight
        first, second = reciprocal_root(x, c), inverse_power_root(x, d, 2.0)
        lower = xp.where(first < second, second, first)
        moved = x + c / lower
        upper = inverse_power_root(xp.where(moved < x, x, moved), d, 2.0)
        return lower, xp.where(upper < lower, lower, upper), lower

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": -inverse_inside(p, 2.0), "log_weight": minus_inverse(p)}

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'1/{x}')} - {times(self.log_weight, f'log({x})')}"
