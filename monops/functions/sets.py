"""Indicators of closed convex sets: 0 on the set, infinity off it; the prox is the projection for every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.function import Function, check_step
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.linear import BroadcastMap, LinearMap
from monops.linear.jacobian import DiagonalPlusRankOne

__all__ = [
    "Box",
    "BoxSupport",
    "L2Ball",
    "LInfBall",
    "NonNegative",
    "Point",
]


def holds_somewhere(condition: Any) -> bool:
    """Whether a Boolean, or some entry of a Boolean array, is true."""
    return bool(arrays.namespace(condition).any(condition)) if arrays.is_array(condition) else bool(condition)


def check_bounds(owner: str, lower: Any, upper: Any) -> None:
    """Raise DataError unless lower <= upper, entry by entry, with numbers between them."""
    for name, bound in (("lower", lower), ("upper", upper)):
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
    """0 where the Boolean array holds, infinity elsewhere, in the dtype of ``like`` (real)."""
    xp = arrays.namespace(like)
    zero = xp.zeros_like(inside, dtype=arrays.real_dtype(like))
    return xp.where(inside, zero, zero + math.inf)


def entry_slack(x: Array) -> Array:
    """8 epsilon max(1, |x|): what an entry may violate a bound by and still count as inside."""
    return 8 * arrays.epsilon(x) * arrays.clip(arrays.namespace(x).abs(x), 1.0, None)


def row_slack(size: Array, x: Array, batch_ndim: int) -> Array:
    """8 epsilon max(1, size) log2(2 n): what a sum of n terms with absolute sum ``size`` may be off and count as right."""
    count = max(math.prod(x.shape[batch_ndim:]), 1)
    return 8 * arrays.epsilon(x) * (1.0 + math.log2(count)) * arrays.clip(size, 1.0, None)


def row_axes(x: Array, batch_ndim: int) -> tuple[int, ...]:
    """The axes of one point, behind the batch axes."""
    return tuple(range(batch_ndim, x.ndim))


@dataclass(frozen=True, eq=False)
class DataDerivative(LinearMap):
    """Derivative of a prox in a data field: ``forward`` and its adjoint ``backward``, between the two shapes."""

    forward: Callable[[Any], Array]
    backward: Callable[[Array], Array]
    input_shape: Any
    output_shape: Any

    def apply(self, x: Array) -> Array:
        return self.forward(x)

    def adjoint(self, y: Array) -> Array:
        return self.backward(y)


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
    box. **Constants** mu = 0; no gradient. **Cost** one pass. **Derivative** of the prox: 1 strictly inside, else 0 (0 at the
    kinks); in a bound: 1 where x is beyond it.

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
        check_bounds("Box", self.lower, self.upper)

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
        slack = entry_slack(x)
        return zero_or_infinity((x >= self.lower - slack) & (x <= self.upper + slack), x)

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
class BoxSupport(Separable):
    """Support function of a box, f(y) = sum_i max(lower_i y_i, upper_i y_i): the conjugate of ``Box(lower, upper)``.

    Parameters
    ----------
    lower, upper : float or array that broadcasts against y
        lower <= upper; may be infinite, then f is infinite on one side of 0.

    Notes
    -----
    prox: y - clip(y, step lower, step upper). **Domain** y_i <= 0 where upper_i = inf, y_i >= 0 where lower_i = -inf.
    **Constants** mu = 0; no gradient at 0. L1Norm is the case lower = -upper, the pinball loss lower < 0 < upper, a linear
    function lower = upper. **Cost** two passes. **Derivative** of the prox: 1 where y leaves [step lower, step upper], else 0
    (0 at the kinks).

    References
    ----------
    Bauschke and Combettes (2017), chapters 7 and 24; Koenker and Bassett (1978).

    Examples
    --------
    >>> import numpy as np
    >>> float(BoxSupport(0.0, 2.0)(np.array([3.0, -1.0])))
    6.0
    """

    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        check_bounds("BoxSupport", self.lower, self.upper)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(-0.5, 1.5), (5,)),
            Sample(lambda a: cls(a([0.0, -1.0, 0.5, -3.0, 0.7]), a([1.0, 0.0, 0.5, 2.0, 0.9])), (5,)),
            Sample(lambda a: cls(0.25, math.inf), (5,)),
        )

    @property
    def interval(self) -> tuple[Any, Any]:
        return _end(self.lower, -math.inf), _end(self.upper, math.inf)

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        zero, one = xp.zeros_like(x), xp.ones_like(x)
        up = xp.where(x > 0, self.upper * xp.where(x > 0, x, one), zero)  # 0 inf = 0 here
        down = xp.where(x < 0, self.lower * xp.where(x < 0, x, -one), zero)
        return up + down + zero * x

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        lower, upper = xp.zeros_like(x) + self.lower, xp.zeros_like(x) + self.upper
        return xp.where(x > 0, upper, lower), xp.where(x < 0, lower, upper)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return x - arrays.clip(x, _scaled(step, self.lower), _scaled(step, self.upper))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).astype((x > step * self.upper) | (x < step * self.lower), x.dtype)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        left, right = xp.astype(p < 0, p.dtype), xp.astype(p > 0, p.dtype)
        return {"lower": left, "upper": right}

    def conjugate(self) -> Function:
        return Box(self.lower, self.upper, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"support_[{_text(self.lower)}, {_text(self.upper)}]({x})"


def _end(bound: Any, infinite: float) -> Any:
    """End of the domain of a support function: 0 where the bound is infinite, else infinity."""
    if not arrays.is_array(bound):
        return 0.0 if bound == infinite else infinite
    xp = arrays.namespace(bound)
    return xp.where(bound == infinite, xp.zeros_like(bound), xp.zeros_like(bound) + infinite)


def _scaled(step: Any, bound: Any) -> Any:
    """step * bound with no derivative where the bound is infinite; None for no bound."""
    if not arrays.is_array(bound):
        return None if math.isinf(bound) else step * bound
    xp = arrays.namespace(bound)
    finite = xp.isfinite(bound)
    return xp.where(finite, step * xp.where(finite, bound, xp.zeros_like(bound)), bound)


@final
@dataclass(frozen=True, eq=False)
class NonNegative(Separable):
    """Indicator of {x : x >= 0}; its prox is the activation ReLU, for every step.

    Notes
    -----
    prox: max(x, 0). **Domain** the orthant. **Constants** mu = 0; no gradient. **Cost** one pass. **Derivative** of the prox:
    1 where x > 0, else 0 (0 at the kink).

    References
    ----------
    Bauschke and Combettes (2017), chapter 29; Combettes and Pesquet (2020) for activations as proxes.

    Examples
    --------
    >>> import numpy as np
    >>> NonNegative().prox(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(), (2, 3)))

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return zero_or_infinity(x >= -8 * arrays.epsilon(x), x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        return xp.where(x <= 0, zero - math.inf, zero), zero

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.maximum(x, 0.0)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).astype(x > 0, x.dtype)

    def conjugate(self) -> Function:
        return Box(-math.inf, 0.0, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i({x} >= 0)"


@final
@dataclass(frozen=True, eq=False)
class LInfBall(Separable):
    """Indicator of {x : |x_i| <= radius_i}, real or complex; for real x the same as ``Box(-radius, radius)``.

    Parameters
    ----------
    radius : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: x_i / max(1, |x_i|/radius_i), which keeps the phase. **Domain** the ball. **Constants** mu = 0; no gradient.
    **Cost** one pass. **Derivative** of the prox: real: 1 where |x_i| < radius_i, else 0 (0 at the kinks); complex: where
    |x_i| >= radius_i the phase turns and the modulus stands still, radius_i/|x_i| (h - u Re(conj(u) h)) with u = x_i/|x_i|.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> LInfBall(2.0).prox(np.array([3.0 + 4.0j, 1.0j])).round(12)
    array([1.2+1.6j, 0. +1.j ])
    """

    radius: Any = 1.0

    def __post_init__(self) -> None:
        check_radius("LInfBall", "radius", self.radius)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.8), (5,), is_complex=True),
            Sample(lambda a: cls(a([0.25, 0.5, 1.0, 2.0, 0.0])), (5,), is_complex=True),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0 * self.radius, self.radius

    def entry_value(self, x: Array) -> Array:
        return zero_or_infinity(arrays.namespace(x).abs(x) <= self.radius + entry_slack(x), x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        return xp.where(x <= -1.0 * self.radius, zero - math.inf, zero), xp.where(x >= self.radius, zero + math.inf, zero)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        if not xp.isdtype(x.dtype, "complex floating"):
            return arrays.clip(x, -1.0 * self.radius, self.radius)
        ratio, outside = self._ratio(x)
        return xp.where(outside, x * xp.astype(ratio, x.dtype), x)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        return xp.astype(xp.abs(x) < self.radius, x.dtype)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        if not xp.isdtype(x.dtype, "complex floating"):
            return super().prox_derivative(x, step)
        ratio, outside = self._ratio(x)
        phase = x / xp.astype(_nonzero(xp.abs(x)), x.dtype)
        one = xp.ones_like(ratio)
        return DiagonalPlusRankOne(xp.where(outside, ratio, one), phase, xp.where(outside, -ratio, 0.0 * one), ())

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        phase = x / xp.astype(_nonzero(xp.abs(x)), x.dtype)
        column = xp.where(xp.abs(x) > self.radius, phase, xp.zeros_like(x))
        return {"radius": BroadcastMap(column, shape_of(self.radius))}

    def _ratio(self, x: Array) -> tuple[Array, Array]:
        """radius/|x|, and where |x| >= radius."""
        size = arrays.namespace(x).abs(x)
        return self.radius / _nonzero(size), size >= self.radius

    def conjugate(self) -> Function:
        from monops.functions.norms import L1Norm  # norms are built on sets: imported where it is made

        return L1Norm(self.radius, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_inf <= {_text(self.radius)})"


def _nonzero(size: Array) -> Array:
    """A nonnegative array with 1 in the place of 0, to divide by."""
    xp = arrays.namespace(size)
    return xp.where(size == 0, xp.ones_like(size), size)


@final
@dataclass(frozen=True, eq=False)
class Point(Separable):
    """Indicator of the single point {point}.

    Parameters
    ----------
    point : float or array that broadcasts against x
        Finite.

    Notes
    -----
    prox: point, whatever x. **Domain** the point. **Constants** mu = 0 (the largest is infinite, and of no use); no gradient.
    **Cost** one pass. **Derivative** of the prox: 0 in x, the identity in the point.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> Point(np.array([1.0, 2.0])).prox(np.array([8.0, 9.0]))
    array([1., 2.])
    """

    point: Any = 0.0

    def __post_init__(self) -> None:
        if holds_somewhere((self.point != self.point) | (abs(self.point) == math.inf)):
            raise DataError(f"Point: point={self.point!r} must be finite")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.5), (5,)), Sample(lambda a: cls(a([1.0, -2.0, 0.0, 3.0])), (4,)))

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def interval(self) -> tuple[Any, Any]:
        return self.point, self.point

    def entry_value(self, x: Array) -> Array:
        return zero_or_infinity(arrays.namespace(x).abs(x - self.point) <= entry_slack(x), x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        zero = arrays.namespace(x).zeros_like(x)
        return zero - math.inf, zero + math.inf

    def entry_prox(self, x: Array, step: Any) -> Array:
        return 0.0 * x + self.point

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).zeros_like(x)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"point": BroadcastMap(arrays.namespace(x).ones_like(x), shape_of(self.point))}

    def conjugate(self) -> Function:
        return BoxSupport(self.point, self.point, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i({x} = {_text(self.point)})"


@final
@dataclass(frozen=True, eq=False)
class L2Ball(Function):
    """Indicator of {x : |x - center|_2 <= radius}, over all entries of a row (all axes behind the batch axes).

    Parameters
    ----------
    radius : float, default 1
        At least 0.
    center : array that broadcasts against x, optional
        Default: the origin.

    Notes
    -----
    prox: center + (x - center)/max(1, |x - center|/radius), also for complex x. **Domain** the ball. **Constants** mu = 0; no
    gradient. **Cost** two passes. **Derivative** of the prox: inside, the identity; else radius/s (I - u u*) with s = |x -
    center| and u = (x - center)/s (also on the sphere). In the radius: u outside; in the center: I minus the derivative in x.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> L2Ball(1.0).prox(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """

    radius: float = 1.0
    center: Any = None

    def __post_init__(self) -> None:
        check_radius("L2Ball", "radius", self.radius)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        middle = [0.5, -1.0, 0.0, 2.0]
        return (
            Sample(lambda a: cls(1.5), (5,), lambda cp, y: [cp.norm(y) <= 1.5], is_complex=True),
            Sample(lambda a: cls(0.7, a(middle)), (4,), lambda cp, y: [cp.norm(y - np.array(middle)) <= 0.7], is_complex=True),
            Sample(lambda a: cls(0.9), (2, 3), lambda cp, y: [cp.norm(cp.vec(y, order="F")) <= 0.9]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        size = row_norm(self._offset(x), self.batch_ndim)
        return zero_or_infinity(size <= self.radius + row_slack(row_norm(x, self.batch_ndim), x, self.batch_ndim), x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_step(step)
        still = self.detached()
        offset = still._offset(arrays.detach(x))
        inside = arrays.scale_rows(still._ratio(row_norm(offset, self.batch_ndim)), offset)
        return self.with_derivative(x, step, inside if self.center is None else still.center + inside)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        unit, ratio, outside = self._parts(x)
        return DiagonalPlusRankOne(ratio, unit, xp.where(outside, -ratio, xp.zeros_like(ratio)), row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        unit, _, outside = self._parts(x)
        maps: dict[str, LinearMap] = {"radius": BroadcastMap(xp.where(outside, unit, 0.0 * unit), shape_of(self.radius))}
        if self.center is not None:
            jacobian, shape = self.prox_derivative(x, step), shape_of(self.center)

            def forward(change: Any) -> Array:
                change = change + xp.zeros_like(x)
                return change - jacobian.apply(change)

            maps["center"] = DataDerivative(
                forward, lambda g: arrays.reduce_to(g - jacobian.apply(g), shape), shape, tuple(x.shape)
            )
        return maps

    def _offset(self, x: Array) -> Array:
        return x if self.center is None else x - self.center

    def _ratio(self, size: Array) -> Array:
        """min(1, radius/size); 0 at size 0 for radius 0."""
        xp = arrays.namespace(size)
        return xp.where(size < self.radius, xp.ones_like(size), self.radius / _nonzero(size))

    def _parts(self, x: Array) -> tuple[Array, Array, Array]:
        """u, min(1, radius/s), and whether s >= radius; the last two with the row axes kept."""
        xp = arrays.namespace(x)
        offset = self._offset(x)
        size = row_norm(offset, self.batch_ndim)
        kept = xp.reshape(size, (*size.shape, *(1,) * (x.ndim - self.batch_ndim)))
        return offset / _nonzero(kept), self._ratio(kept), kept >= self.radius

    def conjugate(self) -> Function:
        if self.center is not None:
            return super().conjugate()
        from monops.functions.norms import L2Norm  # norms are built on sets: imported where it is made

        return L2Norm(self.radius, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}{'' if self.center is None else ' - a'}|_2 <= {_text(self.radius)})"


def row_norm(x: Array, batch_ndim: int) -> Array:
    """Euclidean norm of each row without overflow or underflow; one more pass only where they threaten."""
    xp = arrays.namespace(x)
    limits = xp.finfo(x.dtype)
    with np.errstate(over="ignore", under="ignore"):
        size = arrays.norm(x, batch_ndim)
        threatened = (size < float(limits.smallest_normal) ** 0.45) | (size == math.inf)
        if x.ndim == batch_ndim or 0 in x.shape or arrays.holds_everywhere(~threatened):
            return size
        largest = xp.max(xp.abs(x), axis=row_axes(x, batch_ndim), keepdims=True)
        largest = _nonzero(xp.where(largest == math.inf, xp.ones_like(largest), largest))
        return xp.reshape(largest, size.shape) * arrays.norm(x / largest, batch_ndim)
