"""Norms over disjoint groups of entries that run along an axis: l2,1, l_inf,1, sparse groups, and their balls.

`GroupPenalty` makes the group form of any even function of one variable (group Huber, group SCAD, ...).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.functions.arguments import check_prox
from monops.functions.feasibility import entry_slack, nonzero, zero_or_infinity
from monops.functions.function import Function, Zero
from monops.functions.norms.shrinkage import Shrinkage
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.sets.balls import L1Ball
from monops.functions.weights import check_weight, weighted
from monops.linear import BroadcastMap, DiagonalPlusRankOne, LinearMap, SelfAdjointMap

__all__ = ["GroupL2", "GroupL2Ball", "GroupLInf", "SparseGroup"]

Axis = int | tuple[int, ...]


def group_axes(axis: Axis, batch_ndim: int) -> tuple[int, ...]:
    """The axes inside a group, counted with the batch axes."""
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(one if one < 0 else one + batch_ndim for one in axes)


def group_size(x: Array, axes: tuple[int, ...]) -> Array:
    """Euclidean norm over the axes, which are kept with length 1, without overflow; its derivative at 0 is 0."""
    xp = arrays.namespace(x)
    if not axes:
        return xp.abs(x)
    magnitude = xp.abs(x) if xp.isdtype(x.dtype, "complex floating") else x
    tiny = float(xp.finfo(x.dtype).smallest_normal) / arrays.epsilon(x)
    with np.errstate(over="ignore", under="ignore"):
        square = xp.sum(magnitude * magnitude, axis=axes, keepdims=True)
        threatened = (square == math.inf) | ((square > 0) & (square < tiny))
    scale = None
    if not arrays.holds_everywhere(~threatened):  # one more pass; a scale is a constant to the derivative, too
        largest = autodiff.detach(xp.max(xp.abs(x), axis=axes, keepdims=True))
        scale = nonzero(xp.where(largest < math.inf, largest, xp.ones_like(largest)))
        square = xp.sum((magnitude / scale) * (magnitude / scale), axis=axes, keepdims=True)
    if autodiff.tracks_gradient(x):
        zero = square == 0
        size = xp.where(zero, xp.zeros_like(square), xp.sqrt(xp.where(zero, xp.ones_like(square), square)))
    else:
        size = xp.sqrt(square)
    return size if scale is None else scale * size


@final
@dataclass(frozen=True, eq=False)
class GroupL2(Function):
    """f(x) = weight sum over groups of |x_group|_2; a group runs along ``axis``, one group for each other index.

    Parameters
    ----------
    weight : float, or array with length 1 along the axis, default 1
        At least 0.
    axis : int or tuple of int, default -1
        The axes inside a group, counted without the batch axes. ``GroupL2(axis=0) @ Gradient(shape)`` is the isotropic
        total variation.

    Notes
    -----
    prox: x_group max(1 - step weight/|x_group|, 0), block soft-thresholding; also for complex x. **Domain** everything.
    **Constants** mu = 0, not smooth. **Cost** two passes. **Derivative** of the prox: that of `L2Norm` in each group.

    References
    ----------
    Yuan and Lin (2006), Model selection and estimation in regression with grouped variables.

    Examples
    --------
    >>> import numpy as np
    >>> float(GroupL2()(np.array([[3.0, 4.0], [0.0, 1.0]])))
    6.0
    """

    weight: Any = 1.0
    axis: Axis = -1

    def __post_init__(self) -> None:
        check_weight("GroupL2", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.8, axis=0), (2, 4), lambda cp, y: 0.8 * cp.sum(cp.norm(y, 2, axis=0)), is_complex=True),
            Sample(lambda a: cls(a([[0.5], [1.5]])), (2, 3), lambda cp, y: 0.5 * cp.norm(y[0]) + 1.5 * cp.norm(y[1])),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def _axes(self, x: Array) -> tuple[int, ...]:
        return group_axes(self.axis, self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        return arrays.row_sum(self.weight * group_size(x, self._axes(x)), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        threshold = step * self.weight
        xp = arrays.namespace(x)
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":  # two buffers serve all passes
            with np.errstate(over="ignore", under="ignore"):
                result = x * x
                size = np.sum(result, axis=self._axes(x), keepdims=True)
            least = threshold if isinstance(threshold, float) else np.min(threshold)
            if size.max(initial=0.0) < np.inf and least > np.finfo(x.dtype).smallest_normal ** 0.45:
                np.sqrt(size, out=size)
                np.maximum(size, threshold, out=size)
                np.divide(threshold, size, out=size)
                np.subtract(1.0, size, out=size)
                return np.multiply(x, size, out=result)
        size = group_size(x, self._axes(x))
        moving = size > threshold
        factor = xp.where(moving, 1.0 - threshold / xp.where(moving, size, xp.ones_like(size)), xp.zeros_like(size))
        return x * xp.astype(factor, x.dtype)

    def _shrinkage(self, x: Array, step: Any) -> Shrinkage:
        return Shrinkage(x, group_size(x, self._axes(x)), step * self.weight)

    def conjugate(self) -> Function:
        return GroupL2Ball(self.weight, self.axis, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._shrinkage(x, step).derivative(self._axes(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"weight": BroadcastMap(step * self._shrinkage(x, step).in_threshold(), shape_of(self.weight))}

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"|{x}|_2,1")


@final
@dataclass(frozen=True, eq=False)
class GroupL2Ball(Function):
    """Indicator of {x : |x_group|_2 <= radius for every group}, the conjugate of ``GroupL2(radius, axis)``.

    Parameters
    ----------
    radius : float, or array with length 1 along the axis, default 1
        At least 0.
    axis : int or tuple of int, default -1
        As in GroupL2.

    Notes
    -----
    prox: x_group/max(1, |x_group|/radius); also for complex x. **Domain** the set. **Constants** mu = 0. **Cost** two passes.
    **Derivative** of the prox: inside, the identity; else radius/|x| (I - u u*), u = x/|x|, in each group.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> GroupL2Ball(1.0).prox(np.array([[3.0, 4.0], [0.0, 0.5]]))
    array([[0.6, 0.8],
           [0. , 0.5]])
    """

    radius: Any = 1.0
    axis: Axis = -1

    def __post_init__(self) -> None:
        check_weight("GroupL2Ball", self.radius)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.8, axis=0), (2, 4), lambda cp, y: [cp.norm(y, 2, axis=0) <= 0.8], is_complex=True),)

    @property
    def is_indicator(self) -> bool:
        return True

    def _axes(self, x: Array) -> tuple[int, ...]:
        return group_axes(self.axis, self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        size = group_size(x, self._axes(x))
        outside = arrays.namespace(size).astype(~(size <= self.radius + entry_slack(size)), size.dtype)
        return zero_or_infinity(arrays.row_sum(outside, self.batch_ndim) == 0, x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        if not arrays.is_array(self.radius) and not autodiff.tracks_gradient(x):
            return arrays.ball_projection(x, self.radius, self._axes(x))
        size, outside = self._parts(x)
        xp = arrays.namespace(x)
        ratio = xp.where(outside, self.radius / xp.where(outside, nonzero(size), xp.ones_like(size)), xp.ones_like(size))
        return x * xp.astype(ratio, x.dtype)

    def _parts(self, x: Array) -> tuple[Array, Array]:
        size = group_size(x, self._axes(x))
        return size, size >= self.radius

    def conjugate(self) -> Function:
        return GroupL2(self.radius, self.axis, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        size, outside = self._parts(x)
        xp = arrays.namespace(x)
        ratio = xp.where(outside, self.radius / nonzero(size), xp.ones_like(size))
        unit = x / xp.astype(nonzero(size), x.dtype)
        return DiagonalPlusRankOne(ratio, unit, xp.where(outside, -ratio, xp.zeros_like(ratio)), self._axes(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        size, outside = self._parts(x)
        unit = x / arrays.namespace(x).astype(nonzero(size), x.dtype)
        column = arrays.namespace(x).where(outside, unit, 0.0 * unit)
        return {"radius": BroadcastMap(column, shape_of(self.radius))}

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_2,inf <= {'r' if arrays.is_array(self.radius) else f'{self.radius:g}'})"


@final
@dataclass(frozen=True, eq=False)
class SparseGroup(Function):
    """f(x) = l1 |x|_1 + l2 sum over groups of |x_group|_2: groups vanish together, and entries within them.

    Parameters
    ----------
    l1, l2 : float, default 1
        At least 0.
    axis : int or tuple of int, default -1
        The axes inside a group, as in GroupL2.

    Notes
    -----
    prox: block soft-thresholding (step l2) of the soft threshold (step l1) of x. **Domain** everything. **Constants** mu = 0,
    not smooth. **Cost** three passes. **Derivative** of the prox: that of GroupL2 at the soft threshold z, on the entries where
    z is not 0.

    References
    ----------
    Simon, Friedman, Hastie and Tibshirani (2013), A sparse-group lasso.

    Examples
    --------
    >>> import numpy as np
    >>> SparseGroup(1.0, 2.5).prox(np.array([[4.0, -5.0, 0.5], [1.5, 1.5, 0.0]])) + 0.0
    array([[ 1.5, -2. ,  0. ],
           [ 0. ,  0. ,  0. ]])
    """

    l1: float = 1.0
    l2: float = 1.0
    axis: Axis = -1

    def __post_init__(self) -> None:
        check_weight("SparseGroup", self.l1)
        check_weight("SparseGroup", self.l2)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def reference(cp: Any, y: Any) -> Any:
            return 0.4 * cp.sum(cp.abs(y)) + 0.7 * cp.sum(cp.norm(y, 2, axis=0))

        return (Sample(lambda a: cls(0.4, 0.7, axis=0), (3, 4), reference),)

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    @property
    def _group(self) -> GroupL2:
        return GroupL2(self.l2, self.axis, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        return self.l1 * arrays.row_sum(arrays.namespace(x).abs(x), self.batch_ndim) + self._group(x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self._group.prox(arrays.soft_threshold(x, step * self.l1), step)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        z = arrays.soft_threshold(x, step * self.l1)
        axes = group_axes(self.axis, self.batch_ndim)
        outer = Shrinkage(z, group_size(z, axes), step * self.l2).derivative(axes)
        kept = arrays.namespace(x).astype(z != 0, x.dtype)
        return DiagonalPlusRankOne(kept * outer.diagonal, outer.vector, outer.coefficient, axes)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        z = arrays.soft_threshold(x, step * self.l1)
        axes = group_axes(self.axis, self.batch_ndim)
        shrinkage = Shrinkage(z, group_size(z, axes), step * self.l2)
        signs = arrays.namespace(z).sign(z)
        return {
            "l1": BroadcastMap(-step * shrinkage.derivative(axes).apply(signs)),
            "l2": BroadcastMap(step * shrinkage.in_threshold()),
        }

    def value_formula(self, x: str) -> str:
        return f"({weighted(self.l1, f'|{x}|_1')} + {weighted(self.l2, f'|{x}|_2,1')})"


@final
@dataclass(frozen=True, eq=False)
class GroupLInf(Function):
    """f(x) = weight sum over groups of max |x_i|; a group runs along ``axis``, one group for each other index.

    Parameters
    ----------
    weight : float, default 1
        At least 0.
    axis : int or tuple of int, default -1
        The axes inside a group, as in GroupL2.

    Notes
    -----
    prox: each group minus its projection on the l1 ball of radius step weight. **Domain** everything. **Constants** mu = 0, not
    smooth. **Cost** linear: that of `L1Ball`. **Derivative** of the prox: the identity minus that of the projection.

    References
    ----------
    Quattoni, Carreras, Collins and Darrell (2009), An efficient projection for l1,infinity regularization.

    Examples
    --------
    >>> import numpy as np
    >>> GroupLInf().prox(np.array([[3.0, -2.5, 0.5], [0.2, 0.1, 0.0]]), 1.5)
    array([[ 2. , -2. ,  0.5],
           [ 0. ,  0. ,  0. ]])
    """

    weight: float = 1.0
    axis: Axis = -1

    def __post_init__(self) -> None:
        check_weight("GroupLInf", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.8, axis=0), (3, 4), lambda cp, y: 0.8 * cp.sum(cp.max(cp.abs(y), axis=0))),
            Sample(lambda a: cls(0.3), (2, 3), lambda cp, y: 0.3 * cp.sum(cp.max(cp.abs(y), axis=1))),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return self.weight * arrays.row_sum(xp.max(xp.abs(x), axis=group_axes(self.axis, self.batch_ndim)), self.batch_ndim)

    def _order(self, x: Array) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """The permutation that brings the axes of a group to the end, its inverse, and the number of the other axes."""
        inside = sorted(axis % x.ndim for axis in group_axes(self.axis, self.batch_ndim))
        order = (*(axis for axis in range(x.ndim) if axis not in inside), *inside)
        return order, tuple(order.index(axis) for axis in range(x.ndim)), x.ndim - len(inside)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        xp = arrays.namespace(x)
        order, back, others = self._order(x)
        ball = L1Ball(step * self.weight, batch_ndim=others)
        return x - xp.permute_dims(ball.prox(xp.permute_dims(x, order)), back)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        order, back, others = self._order(x)
        jacobian = L1Ball(step * self.weight, batch_ndim=others).prox_derivative(xp.permute_dims(x, order))

        def apply(h: Array) -> Array:
            return h - xp.permute_dims(jacobian.apply(xp.permute_dims(h, order)), back)

        return SelfAdjointMap(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        reach = step * self.weight
        within = x - self.prox(x, step)
        jacobian = self.prox_derivative(x, step)
        return {"weight": BroadcastMap((x - jacobian.apply(x) - within) * (step / reach))} if self.weight > 0 else {}

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"|{x}|_inf,1")
