"""Indicators of closed convex sets: 0 on the set, infinity off it; the prox is the projection for every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.linear import BroadcastMap, Diagonal, LinearMap

__all__ = [
    "Box",
    "BoxSupport",
    "L2Ball",
    "NonNegative",
    "Simplex",
]


@final
@dataclass(frozen=True, eq=False)
class Box(Separable):
    """Indicator of {x : lower <= x <= upper}, entry by entry; bounds may be infinite.

    Parameters
    ----------
    lower, upper : float or array that broadcasts against x
        lower <= upper.

    Notes
    -----
    prox: clip(x, lower, upper). A value counts as inside when it is within 8 epsilon max(1, |x|) of the set. **Domain** the
    box. **Constants** mu = 0. **Cost** one pass. **Derivative** of the prox: 1 strictly inside, else 0 (0 at the kinks).

    References
    ----------
    Bauschke and Combettes (2017), Prop. 29.15.

    Examples
    --------
    >>> import numpy as np
    >>> Box(0.0, 1.0).prox(np.array([-1.0, 0.5, 3.0]))
    array([0. , 0.5, 1. ])
    """

    lower: Any = -math.inf
    upper: Any = math.inf

    def __post_init__(self) -> None:
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if not arrays.is_array(bound) and bound != bound:
                raise DataError(f"Box: {name} is NaN: use -inf or inf for no bound")
        wrong = self.lower > self.upper
        if bool(arrays.namespace(wrong).any(wrong)) if arrays.is_array(wrong) else wrong:
            raise DataError(
                f"Box: lower exceeds upper ({self.lower!r} > {self.upper!r}): the set is empty; exchange the bounds"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(-0.5, 1.0), (5,)),
            Sample(lambda a: cls(a([0.0, -1.0, -2.0, -3.0, -4.0]), math.inf), (5,)),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def interval(self) -> tuple[Any, Any]:
        return self.lower, self.upper

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        slack = 8 * arrays.epsilon(x) * arrays.clip(xp.abs(x), 1.0, None)
        return xp.where((x >= self.lower - slack) & (x <= self.upper + slack), xp.zeros_like(x), xp.zeros_like(x) + math.inf)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        return xp.where(x <= self.lower, zero - math.inf, zero), xp.where(x >= self.upper, zero + math.inf, zero)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.clip(x, _bound(self.lower, -math.inf), _bound(self.upper, math.inf))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).astype((x > self.lower) & (x < self.upper), x.dtype)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        at_lower, at_upper = xp.astype(x < self.lower, x.dtype), xp.astype(x > self.upper, x.dtype)
        return {
            "lower": BroadcastMap(at_lower, shape_of(self.lower)),
            "upper": BroadcastMap(at_upper, shape_of(self.upper)),
        }

    def conjugate(self) -> Function:
        return BoxSupport(self.lower, self.upper, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i_[{_text(self.lower)}, {_text(self.upper)}]({x})"


def _bound(bound: Any, infinite: float) -> Any:
    return None if isinstance(bound, (int, float)) and bound == infinite else bound


def _text(bound: Any) -> str:
    return f"{float(bound):g}" if isinstance(bound, (int, float)) else "."


@final
@dataclass(frozen=True, eq=False)
class BoxSupport(Function):
    """Support function of a box, f(y) = sum_i max(lower_i y_i, upper_i y_i): the conjugate of ``Box(lower, upper)``.

    Notes
    -----
    prox: y - step clip(y/step, lower, upper) (Moreau). **Constants** mu = 0. L1Norm is the case lower = -upper.

    Examples
    --------
    >>> import numpy as np
    >>> float(BoxSupport(0.0, 2.0)(np.array([3.0, -1.0])))
    6.0
    """

    lower: Any
    upper: Any

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        zero, one = xp.zeros_like(x), xp.ones_like(x)
        up = xp.where(x > 0, self.upper * xp.where(x > 0, x, one), zero)  # 0 inf = 0 here
        down = xp.where(x < 0, self.lower * xp.where(x < 0, x, -one), zero)
        return arrays.row_sum(up + down, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return x - arrays.clip(x, step * self.lower, step * self.upper)

    def conjugate(self) -> Function:
        return Box(self.lower, self.upper, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"support_[{_text(self.lower)}, {_text(self.upper)}]({x})"


@final
@dataclass(frozen=True, eq=False)
class NonNegative(Function):
    """Indicator of {x : x >= 0}; its prox is the activation ReLU, for every step.

    Examples
    --------
    >>> import numpy as np
    >>> NonNegative().prox(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return arrays.indicator(-arrays.clip(x, None, 0.0), x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return arrays.maximum(x, 0.0)

    def conjugate(self) -> Function:
        return Box(-math.inf, 0.0, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return Diagonal(arrays.namespace(x).astype(x > 0, x.dtype))

    def value_formula(self, x: str) -> str:
        return f"i({x} >= 0)"


@final
@dataclass(frozen=True, eq=False)
class Simplex(Function):
    """Indicator of {x : x >= 0, sum x = total}, over all entries of a row (all axes behind the batch axes).

    Notes
    -----
    Projection: max(x - t, 0) with the t that makes the sum right, found by a sort. **Constants** mu = 0. **Cost** n log n.

    References
    ----------
    Held, Wolfe and Crowder (1974), Validation of subgradient optimization.

    Examples
    --------
    >>> import numpy as np
    >>> Simplex().prox(np.array([0.5, 1.0, -1.0]))
    array([0.25, 0.75, 0.  ])
    """

    total: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.total < math.inf:
            raise DataError(f"Simplex: total={self.total!r} must be a finite number > 0")

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return arrays.indicator(arrays.namespace(x).abs(x - self.prox(x)), x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        xp = arrays.namespace(x)
        flat = xp.reshape(x, (*x.shape[: self.batch_ndim], -1))
        n = flat.shape[-1]
        flat = flat - xp.max(flat, axis=-1, keepdims=True)  # shifting by a constant changes nothing, and keeps precision
        descending = xp.sort(flat, axis=-1, descending=True)
        counts = xp.arange(1, n + 1, dtype=x.dtype, device=arrays.device(x))
        thresholds = (xp.cumulative_sum(descending, axis=-1) - float(self.total)) / counts
        positive = xp.astype(descending > thresholds, x.dtype)
        support = xp.sum(positive, axis=-1, keepdims=True)
        threshold = xp.sum(xp.where(counts == support, thresholds, xp.zeros_like(thresholds)), axis=-1, keepdims=True)
        return xp.reshape(arrays.clip(flat - threshold, 0.0, None), x.shape)

    def value_formula(self, x: str) -> str:
        return f"i_simplex({x})"


@final
@dataclass(frozen=True, eq=False)
class L2Ball(Function):
    """Indicator of {x : |x - center|_2 <= radius}, over all entries of a row (all axes behind the batch axes).

    Examples
    --------
    >>> import numpy as np
    >>> L2Ball(1.0).prox(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """

    radius: float = 1.0
    center: Any = None

    def __post_init__(self) -> None:
        if not 0 <= self.radius < math.inf:
            raise DataError(f"L2Ball: radius={self.radius!r} must be a finite number >= 0")

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        return arrays.indicator(arrays.namespace(x).abs(x - self.prox(x)), x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        offset = x if self.center is None else x - self.center
        inside = arrays.ball_projection(offset, self.radius, tuple(range(self.batch_ndim, x.ndim)))
        return inside if self.center is None else self.center + inside

    def value_formula(self, x: str) -> str:
        return f"i(|{x}{'' if self.center is None else ' - a'}|_2 <= {self.radius:g})"
