"""What sets share: checks of their data, what counts as inside, norms without overflow, derivatives in data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError
from monops.linear import LinearMap


def holds_somewhere(condition: Any) -> bool:
    """Whether a Boolean, or some entry of a Boolean array, is true."""
    return bool(arrays.namespace(condition).any(condition)) if arrays.is_array(condition) else bool(condition)


def check_bounds(owner: str, lower: Any, upper: Any) -> None:
    """Raise DataError unless lower <= upper, entry by entry, with numbers between them."""
    for name, bound in (("lower", lower), ("upper", upper)):
        if not isinstance(bound, (int, float, np.generic)) and not arrays.is_array(bound):
            raise DataError(f"{owner}: {name}={bound!r} must be a number or an array")
        if holds_somewhere(bound != bound):
            raise DataError(f"{owner}: {name} is NaN: use -inf or inf for no bound")
    if holds_somewhere(lower > upper):
        raise DataError(f"{owner}: lower exceeds upper ({lower!r} > {upper!r}): the set is empty; exchange the bounds")
    if holds_somewhere(lower == math.inf) or holds_somewhere(upper == -math.inf):
        raise DataError(f"{owner}: lower=inf or upper=-inf leaves no number between them: the set is empty")


def check_radius(owner: str, name: str, radius: Any, positive: bool = False) -> None:
    """Raise DataError unless a radius is finite and at least 0 (``positive``: above 0), entry by entry."""
    wrong = (radius <= 0 if positive else radius < 0) | (radius == math.inf) | (radius != radius)
    if holds_somewhere(wrong):
        raise DataError(f"{owner}: {name}={radius!r} must be finite and {'> 0' if positive else '>= 0'}, or the set is empty")


def zero_or_infinity(inside: Array, like: Array) -> Array:
    """0 where the Boolean array holds, infinity elsewhere, in the real dtype that goes with ``like``."""
    xp = arrays.namespace(like)
    real = xp.real(like).dtype if xp.isdtype(like.dtype, "complex floating") else like.dtype
    zero = xp.astype(inside, real) * 0.0
    return xp.where(inside, zero, zero + math.inf)


def entry_slack(x: Array) -> Array:
    """8 epsilon max(1, |x|): what an entry may violate a bound by and still count as inside."""
    return 8 * arrays.epsilon(x) * arrays.clip(arrays.namespace(x).abs(x), 1.0, None)


def row_slack(size: Array, x: Array, batch_ndim: int) -> Array:
    """8 epsilon max(1, size) log2(2 n): what a sum of n terms with absolute sum ``size`` may be off and count as right."""
    count = max(math.prod(x.shape[batch_ndim:]), 1)
    return 8 * arrays.epsilon(x) * (1.0 + math.log2(count)) * arrays.clip(size, 1.0, None)


def projection_by_moreau(x: Array, prox: Callable[[Array], Array], indicator: Callable[[Array], Array]) -> Array:
    """x - prox(x), the projection on a set from the prox of its support function (Moreau 1965).

    The difference is off by epsilon |x|; where that left it outside the set it is projected once more, which is off by
    epsilon times its own size. The second pass is a constant to derivatives: it is 0 in exact arithmetic.
    """
    result = x - prox(x)
    rounded = autodiff.detach(result)
    if arrays.holds_everywhere(indicator(rounded) == 0):
        return result
    return result - autodiff.detach(prox(rounded))


def row_axes(x: Array, batch_ndim: int) -> tuple[int, ...]:
    """The axes of one point, behind the batch axes."""
    return tuple(range(batch_ndim, x.ndim))


@dataclass(frozen=True, eq=False)
class DataDerivative(LinearMap):
    """Derivative of a prox in a data field: ``forward`` and its adjoint ``backward``, between the two shapes."""

    forward: Callable[[Any], Array]
    backward: Callable[[Array], Array]
    parameter_shape: Any
    shape: Any

    @property
    def input_shape(self) -> Any:
        return self.parameter_shape

    @property
    def output_shape(self) -> Any:
        return self.shape

    def apply(self, x: Array) -> Array:
        return self.forward(x)

    def adjoint(self, y: Array) -> Array:
        return self.backward(y)


def nonzero(size: Array) -> Array:
    """A nonnegative array with 1 in the place of 0, to divide by."""
    xp = arrays.namespace(size)
    return xp.where(size == 0, xp.ones_like(size), size)


def row_norm(x: Array, batch_ndim: int) -> Array:
    """Euclidean norm of each row without overflow or underflow; one more pass only where they threaten."""
    xp = arrays.namespace(x)
    limits = xp.finfo(x.dtype)
    if batch_ndim == 0 and isinstance(x, np.ndarray) and x.dtype.kind == "f":
        flat = x.ravel()
        with np.errstate(over="ignore", under="ignore"):
            size = np.sqrt(flat @ flat)
        if float(limits.smallest_normal) ** 0.45 <= size < math.inf:
            return size
    with np.errstate(over="ignore", under="ignore"):
        size = arrays.norm(x, batch_ndim)
        threatened = (size < float(limits.smallest_normal) ** 0.45) | (size == math.inf)
        if x.ndim == batch_ndim or 0 in x.shape or arrays.holds_everywhere(~threatened):
            return size
        largest = xp.max(xp.abs(x), axis=row_axes(x, batch_ndim), keepdims=True)
        largest = nonzero(xp.where(largest == math.inf, xp.ones_like(largest), largest))
        return xp.reshape(largest, size.shape) * arrays.norm(x / largest, batch_ndim)


def as_text(value: Any) -> str:
    """A number in short, an array as a dot: for formulas."""
    return f"{float(value):g}" if isinstance(value, (int, float)) else "."
