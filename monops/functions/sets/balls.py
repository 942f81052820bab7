"""Balls of the norms |x|_1, |x|_2, |x|_inf, and their projections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.functions.arguments import check_prox
from monops.functions.feasibility import (
    DataDerivative,
    as_text,
    check_radius,
    entry_slack,
    nonzero,
    row_axes,
    row_norm,
    row_slack,
    zero_or_infinity,
)
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.functions.sets.simplices import Face, is_complex, positive_part_with_sum
from monops.linear import BroadcastMap, LinearMap
from monops.linear.jacobian import DiagonalPlusRankOne, SelfAdjointMap

__all__ = [
    "L1Ball",
    "L2Ball",
    "LInfBall",
]


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
            Sample(lambda a: cls(a([0.25, 0.5, 1.0, 2.0, 0.125])), (5,), is_complex=True),
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
        phase = x / xp.astype(nonzero(xp.abs(x)), x.dtype)
        one = xp.ones_like(ratio)
        return DiagonalPlusRankOne(xp.where(outside, ratio, one), phase, xp.where(outside, -ratio, 0.0 * one), ())

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        phase = x / xp.astype(nonzero(xp.abs(x)), x.dtype)
        column = xp.where(xp.abs(x) > self.radius, phase, xp.zeros_like(x))
        return {"radius": BroadcastMap(column, shape_of(self.radius))}

    def _ratio(self, x: Array) -> tuple[Array, Array]:
        """radius/|x|, and where |x| >= radius."""
        size = arrays.namespace(x).abs(x)
        return self.radius / nonzero(size), size >= self.radius

    def conjugate(self) -> Function:
        from monops.functions.norms.norms import L1Norm  # norms are built on sets: imported where it is made

        return L1Norm(self.radius, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_inf <= {as_text(self.radius)})"


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
        check_prox(self, x, step)
        if self.center is None and self.batch_ndim == 0 and isinstance(x, np.ndarray) and not arrays.is_array(self.radius):
            size = float(row_norm(x, 0))
            return x * (1.0 if size <= self.radius else self.radius / size) if size == size else x + size
        still = self.detached()
        offset = still._offset(autodiff.detach(x))
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
        return xp.where(size < self.radius, xp.ones_like(size), self.radius / nonzero(size))

    def _parts(self, x: Array) -> tuple[Array, Array, Array]:
        """u, min(1, radius/s), and whether s >= radius; the last two with the row axes kept."""
        xp = arrays.namespace(x)
        offset = self._offset(x)
        size = row_norm(offset, self.batch_ndim)
        kept = xp.reshape(size, (*size.shape, *(1,) * (x.ndim - self.batch_ndim)))
        return offset / nonzero(kept), self._ratio(kept), kept >= self.radius

    def conjugate(self) -> Function:
        from monops.functions.norms.norms import L2Norm  # norms are built on sets: imported where it is made

        norm = L2Norm(self.radius, batch_ndim=self.batch_ndim)
        return norm if self.center is None else norm.tilt(self.center)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}{'' if self.center is None else ' - a'}|_2 <= {as_text(self.radius)})"


@final
@dataclass(frozen=True, eq=False)
class L1Ball(Function):
    """Indicator of {x : sum weight_i |x_i| <= radius}, over all entries of a row, real or complex.

    Parameters
    ----------
    radius : float, default 1
        At least 0.
    weight : float or array that broadcasts against a row, default 1
        Above 0.

    Notes
    -----
    prox: x inside; else sign(x_i) max(|x_i| - t weight_i, 0) with the t > 0 that makes the weighted sum radius; the phase of
    complex entries is kept. **Domain** the ball. **Constants** mu = 0; no gradient. **Cost** linear: that of `Simplex`.
    **Derivative** of the prox: inside and on the sphere, the identity; else D - v v*/|v|^2 with D = 1 where prox(x) is not 0
    (0 at the kinks) and v = D sign(x) weight; across the phase of a complex entry |prox(x)_i|/|x_i|.

    References
    ----------
    Duchi, Shalev-Shwartz, Singer and Chandra (2008); Condat (2016).

    Examples
    --------
    >>> import numpy as np
    >>> L1Ball(2.0).prox(np.array([3.0, -2.0, 0.5])) + 0.0
    array([ 1.5, -0.5,  0. ])
    """

    radius: Any = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_radius("L1Ball", "radius", self.radius)
        check_radius("L1Ball", "weight", self.weight, positive=True)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        weight = [0.5, 1.0, 2.0, 0.25]
        return (
            Sample(lambda a: cls(1.5), (5,), lambda cp, y: [cp.norm1(y) <= 1.5], is_complex=True),
            Sample(
                lambda a: cls(a(0.8), a(weight)),
                (4,),
                lambda cp, y: [cp.norm1(cp.multiply(np.array(weight), y)) <= 0.8],
                is_complex=True,
            ),
            Sample(lambda a: cls(40.0), (2, 3), lambda cp, y: [cp.sum(cp.abs(y)) <= 40.0]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        size = arrays.row_sum(self.weight * arrays.namespace(x).abs(x), self.batch_ndim)
        return zero_or_infinity(size <= self.radius + row_slack(size, x, self.batch_ndim), x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still, x0 = self.detached(), autodiff.detach(x)
        xp = arrays.namespace(x0)
        size = xp.abs(x0)
        kept = positive_part_with_sum(size, still.weight, still.radius, self.batch_ndim, capped=True)
        moved = x0 * xp.astype(kept / nonzero(size), x0.dtype) if is_complex(x0) else xp.copysign(kept, x0)
        return self.with_derivative(x, step, moved)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        face = self._face(x)
        if not is_complex(x):
            vector = face.phase * face.weight
            return DiagonalPlusRankOne(face.diagonal, vector, -1.0 / face.square, row_axes(x, self.batch_ndim))
        phase = x / xp.astype(nonzero(xp.abs(x)), x.dtype)
        ratio = xp.where(xp.abs(x) > 0, face.magnitude / nonzero(xp.abs(x)), face.diagonal)

        def derivative(h: Array) -> Array:
            along = xp.real(xp.conj(phase) * h)
            radial = phase * xp.astype(face.derivative(along), h.dtype)
            return radial + xp.astype(ratio, h.dtype) * (h - phase * xp.astype(along, h.dtype))

        return SelfAdjointMap(derivative, tuple(x.shape))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        face = self._face(x)
        return {
            "radius": BroadcastMap(face.in_total(), shape_of(self.radius)),
            "weight": face.in_weight(x, shape_of(self.weight)),
        }

    def _face(self, x: Array) -> Face:
        inside = arrays.row_sum(self.weight * arrays.namespace(x).abs(x), self.batch_ndim) <= self.radius
        return Face(x, self.prox(x), self.weight, self.batch_ndim, inside, free=True)

    def conjugate(self) -> Function:
        from monops import functions  # families are loaded one after the other: looked up where it is made

        norm = getattr(functions, "LInfNorm", None)
        if norm is None or arrays.is_array(self.weight):
            return super().conjugate()
        return norm(self.radius / self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        plain = not arrays.is_array(self.weight) and self.weight == 1
        return f"i(|{'' if plain else 'w '}{x}|_1 <= {as_text(self.radius)})"
