"""Powers, inverse powers and roots, entry by entry."""

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
from monops.functions.equations import (
    Smooth,
    check_positive,
    inverse_inside,
    inverse_power_root,
    largest,
    power_root,
    times,
)
from monops.functions.function import Function
from monops.functions.sample import Sample

__all__ = [
    "InversePower",
    "NegativeRoot",
    "Power",
]


@final
@dataclass(frozen=True, eq=False)
class Power(Smooth):
    """f(x) = sum_i weight_i |x_i|^exponent/exponent, exponent > 1.

    Parameters
    ----------
    exponent : float, default 2
        Greater than 1 (``L1Norm`` is the limit 1).
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: sign(x) t with t + step weight t^(exponent - 1) = |x|: closed for the exponents 4/3, 3/2, 2, 3 and 4; otherwise by
    Newton's method in log(t). **Domain** everything. **Constants** mu = L = weight for exponent 2, else mu = 0 and the gradient
    is not Lipschitz. **Cost** one or two square roots an entry for 3/2, 2, 3; two hyperbolic functions for 4/3, 4; fifteen
    logarithms and exponentials otherwise. **Derivative** of the prox: 1/(1 + step weight (exponent - 1) |p|^(exponent - 2)).

    References
    ----------
    Chaux, Combettes, Pesquet and Wajs (2007), A variational formulation for frame-based inverse problems.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Power(3.0).prox(np.array([0.0, 2.0, -6.0])), 12)
    array([ 0.,  1., -2.])
    """

    exponent: float = 2.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.exponent, (int, float)) and 1 < self.exponent < math.inf):
            raise DataError(
                f"Power: exponent={self.exponent!r} must be a finite number > 1; for 1 use L1Norm, below 1 it is not convex"
            )
        check_positive("Power", {"weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(4.0, 0.7), (5,)),
            Sample(lambda a: cls(2.0, 0.7), (5,)),
            Sample(lambda a: cls(1.5), (5,)),
            Sample(lambda a: cls(2.6, a([0.5, 0.1, 2.0])), (2, 3)),
            Sample(lambda a: cls(4.0 / 3.0, a([0.5, 0.1, 2.0])), (2, 3)),
            Sample(lambda a: cls(1.1), (5,)),
        )

    @cached_property
    def constants(self) -> Constants:
        if self.exponent != 2:
            return Constants(0.0, cyclic=True, why="computed: the second derivative vanishes at 0 or at infinity")
        mu = -largest(-1.0 * self.weight)
        return Constants(mu, lipschitz=largest(self.weight), cyclic=True, why="computed: the weights")

    def entry_value(self, x: Array) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            return self.weight * arrays.namespace(x).abs(x) ** float(self.exponent) / self.exponent

    def entry_slope(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        with np.errstate(over="ignore", under="ignore"):
            return self.weight * xp.sign(x) * xp.abs(x) ** (self.exponent - 1.0)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_curvature(self, x: Array) -> Array:
        size, k = arrays.namespace(x).abs(x), self.exponent - 1.0
        return self.weight * k * (size ** (k - 1.0) if k >= 1.0 else inverse_inside(size, 1.0 - k))

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        return xp.sign(x) * power_root(xp.abs(x), step * self.weight, self.exponent - 1.0)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        return {"weight": xp.sign(p) * xp.abs(p) ** (self.exponent - 1.0)}

    def conjugate(self) -> Function:
        dual = self.exponent / (self.exponent - 1.0)
        return Power(dual, self.weight ** (1.0 - dual), batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'|{x}|^{self.exponent:g}/{self.exponent:g}')}"


@final
@dataclass(frozen=True, eq=False)
class InversePower(Smooth):
    """f(x) = sum_i weight_i x_i^-exponent on x > 0, exponent > 0; 1/x by default.

    Parameters
    ----------
    exponent : float, default 1
        Greater than 0.
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: the root p > 0 of p - c p^(-exponent - 1) = x with c = step weight exponent, by Newton's method in a logarithmic
    variable. **Domain** x >= 0 (its closure). **Constants** mu = 0; no gradient outside x > 0. **Cost** fifteen logarithms and
    exponentials an entry. **Derivative** of the prox: 1/(1 + c (exponent + 1) p^(-exponent - 2)).

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(InversePower().prox(np.array([-1e150, 0.0, 1.75])), 12)
    array([0., 1., 2.])
    """

    exponent: float = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("InversePower", {"exponent": self.exponent, "weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.0, 0.7), (5,)),
            Sample(lambda a: cls(2.5, a([0.5, 0.1, 2.0])), (2, 3)),
        )

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return self.weight * inverse_inside(x, self.exponent)

    def entry_slope(self, x: Array) -> Array:
        return (-self.exponent) * self.weight * inverse_inside(x, self.exponent + 1.0)

    def entry_curvature(self, x: Array) -> Array:
        return self.exponent * (self.exponent + 1.0) * self.weight * inverse_inside(x, self.exponent + 2.0)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return inverse_power_root(x, step * self.weight * self.exponent, self.exponent + 1.0)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": -self.exponent * inverse_inside(p, self.exponent + 1.0)}

    def conjugate(self) -> Function:
        q = self.exponent
        root = (q * self.weight) ** (1.0 / (q + 1.0))
        return NegativeRoot(q / (q + 1.0), root * (1.0 + 1.0 / q), batch_ndim=self.batch_ndim).scale_argument(-1.0)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'{x}^-{self.exponent:g}')}"


@final
@dataclass(frozen=True, eq=False)
class NegativeRoot(Smooth):
    """f(x) = -sum_i weight_i x_i^exponent on x >= 0, 0 < exponent < 1; minus the square root by default.

    Parameters
    ----------
    exponent : float, default 0.5
        Between 0 and 1.
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: the root p > 0 of p - c p^(exponent - 1) = x with c = step weight exponent, by Newton's method in a logarithmic
    variable. **Domain** x >= 0. **Constants** mu = 0; no gradient at 0. **Cost** fifteen logarithms and exponentials an entry.
    **Derivative** of the prox: 1/(1 + c (1 - exponent) p^(exponent - 2)).

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(NegativeRoot().prox(np.array([-1e150, 0.5, 3.75])), 12)
    array([0., 1., 4.])
    """

    exponent: float = 0.5
    weight: Any = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.exponent, float) and 0 < self.exponent < 1):
            raise DataError(f"NegativeRoot: exponent={self.exponent!r} must be strictly between 0 and 1")
        check_positive("NegativeRoot", {"weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.5, 0.7), (5,)),
            Sample(lambda a: cls(0.8, a([0.5, 0.1, 2.0])), (2, 3)),
        )

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        inside = -self.weight * xp.where(x < 0, xp.zeros_like(x), x) ** self.exponent
        return xp.where(x < 0, xp.zeros_like(x) + math.inf, inside)

    def entry_slope(self, x: Array) -> Array:
        return (-self.exponent) * self.weight * inverse_inside(x, 1.0 - self.exponent)

    def entry_curvature(self, x: Array) -> Array:
        return self.exponent * (1.0 - self.exponent) * self.weight * inverse_inside(x, 2.0 - self.exponent)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return inverse_power_root(x, step * self.weight * self.exponent, 1.0 - self.exponent)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        safe = xp.where(p <= 0, xp.ones_like(p), p)
        return {"weight": xp.where(p <= 0, xp.zeros_like(p), -self.exponent * safe ** (self.exponent - 1.0))}

    def conjugate(self) -> Function:
        r = self.exponent
        weight = (1.0 / r - 1.0) * (r * self.weight) ** (1.0 / (1.0 - r))
        return InversePower(r / (1.0 - r), weight, batch_ndim=self.batch_ndim).scale_argument(-1.0)

    def value_formula(self, x: str) -> str:
        return f"-sum {times(self.weight, f'{x}^{self.exponent:g}')}"
