"""Norms and the squared Euclidean norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import Separable
from monops.functions.sets import Box, L2Ball
from monops.linear import Diagonal, LinearMap

__all__ = [
    "GroupL2",
    "GroupL2Ball",
    "L1Norm",
    "L2Norm",
    "SquaredL2",
]


def check_weight(owner: str, weight: Any) -> None:
    """Raise DataError unless a weight is finite and at least 0 (a number, or an array entry by entry)."""
    if arrays.is_array(weight):
        xp = arrays.namespace(weight)
        if not bool(xp.all(xp.isfinite(weight))) or bool(xp.any(weight < 0)):
            raise DataError(f"{owner}: weight has a negative or non-finite entry: weights must be finite and at least 0")
    elif not (isinstance(weight, (int, float)) and 0 <= weight < math.inf):
        raise DataError(f"{owner}: weight={weight!r} must be a finite number >= 0, or the function is not convex")


@final
@dataclass(frozen=True, eq=False)
class L1Norm(Separable):
    """f(x) = sum_i weight_i |x_i|.

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: sign(x_i) max(|x_i| - step weight_i, 0), soft-thresholding; also for complex x. **Domain** everything.
    **Constants** mu = 0, not smooth; f is |weight|_2-Lipschitz. **Cost** one pass. **Derivative** of the prox: 1 where
    |x_i| > step weight_i, else 0 (0 at the kink).

    References
    ----------
    Donoho and Johnstone (1994); Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> L1Norm(2.0).prox(np.array([3.0, -1.0]), 1.0) + 0.0
    array([1., 0.])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("L1Norm", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7), (5,), is_complex=True),
            Sample(lambda a: cls(a([0.25, 0.5, 1.0, 2.0, 3.0])), (5,)),
        )

    def entry_value(self, x: Array) -> Array:
        return self.weight * arrays.namespace(x).abs(x)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        weight = self.weight * xp.ones_like(x)
        return xp.where(x > 0, weight, -weight), xp.where(x < 0, -weight, weight)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.soft_threshold(x, step * self.weight)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        return xp.astype(xp.abs(x) > step * self.weight, x.dtype)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": arrays.namespace(p).sign(p)}

    def conjugate(self) -> Function:
        return Box(-1.0 * self.weight, 1.0 * self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        if arrays.is_array(self.weight):
            return f"|w {x}|_1"
        return f"|{x}|_1" if self.weight == 1 else f"{self.weight:g} |{x}|_1"


@final
@dataclass(frozen=True, eq=False)
class L2Norm(Function):
    """f(x) = weight |x|_2 over all entries of a row (all axes behind the batch axes).

    Notes
    -----
    prox: x max(1 - step weight/|x|, 0), block soft-thresholding. **Constants** mu = 0. **Cost** two passes.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> L2Norm().prox(np.array([3.0, 4.0]), 2.5)
    array([1.5, 2. ])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight("L2Norm", self.weight)

    def __call__(self, x: Array) -> Array:
        return self.weight * arrays.norm(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return x * shrinkage(x, step * self.weight, tuple(range(self.batch_ndim, x.ndim)))

    def conjugate(self) -> Function:
        return L2Ball(self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"|{x}|_2" if self.weight == 1 else f"{self.weight:g} |{x}|_2"


def shrinkage(x: Array, threshold: float, axes: tuple[int, ...]) -> Array:
    """max(1 - threshold/|x|, 0) with |x| over the axes, which are kept."""
    size = group_size(x, axes)
    if threshold == 0:
        return arrays.namespace(x).ones_like(size)
    return 1.0 - threshold / arrays.clip(size, threshold, None)


def group_size(x: Array, axes: tuple[int, ...]) -> Array:
    """Euclidean norm over the axes, which are kept with length 1."""
    xp = arrays.namespace(x)
    if not axes:
        return xp.abs(x)
    magnitude = xp.abs(x) if xp.isdtype(x.dtype, "complex floating") else x
    return xp.sqrt(xp.sum(magnitude * magnitude, axis=axes, keepdims=True))


@final
@dataclass(frozen=True, eq=False)
class GroupL2(Function):
    """f(x) = weight sum over groups of |x_group|_2; a group runs along ``axis``, one group for each other index.

    Parameters
    ----------
    weight : float, default 1
    axis : int or tuple of int, default -1
        The axes inside a group, counted without the batch axes. ``GroupL2(axis=0) @ Gradient(shape)`` is the isotropic
        total variation.

    Notes
    -----
    prox: block soft-thresholding of each group. **Constants** mu = 0. **Cost** two passes.

    References
    ----------
    Yuan and Lin (2006); Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> float(GroupL2()(np.array([[3.0, 4.0], [0.0, 1.0]])))
    6.0
    """

    weight: float = 1.0
    axis: int | tuple[int, ...] = -1

    def __post_init__(self) -> None:
        check_weight("GroupL2", self.weight)

    def _axes(self, x: Array) -> tuple[int, ...]:
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        return tuple(axis if axis < 0 else axis + self.batch_ndim for axis in axes)

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        magnitude = xp.abs(x)
        return self.weight * arrays.row_sum(xp.sqrt(xp.sum(magnitude * magnitude, axis=self._axes(x))), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return x * shrinkage(x, step * self.weight, self._axes(x))

    def conjugate(self) -> Function:
        return GroupL2Ball(self.weight, self.axis, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"|{x}|_2,1" if self.weight == 1 else f"{self.weight:g} |{x}|_2,1"


@final
@dataclass(frozen=True, eq=False)
class GroupL2Ball(Function):
    """Indicator of {x : |x_group|_2 <= radius for every group}, the conjugate of ``GroupL2(radius, axis)``.

    Notes
    -----
    prox: each group is divided by max(1, |x_group|/radius). **Constants** mu = 0.

    Examples
    --------
    >>> import numpy as np
    >>> GroupL2Ball(1.0).prox(np.array([[3.0, 4.0], [0.0, 0.5]]))
    array([[0.6, 0.8],
           [0. , 0.5]])
    """

    radius: float = 1.0
    axis: int | tuple[int, ...] = -1

    def __post_init__(self) -> None:
        check_weight("GroupL2Ball", self.radius)

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        distance = arrays.namespace(x).abs(x - self.prox(x))
        return arrays.indicator(distance, x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return arrays.ball_projection(x, self.radius, GroupL2(axis=self.axis, batch_ndim=self.batch_ndim)._axes(x))

    def conjugate(self) -> Function:
        return GroupL2(self.radius, self.axis, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_2,inf <= {self.radius:g})"


@final
@dataclass(frozen=True, eq=False)
class SquaredL2(Function):
    """f(x) = weight/2 |x|^2.

    Notes
    -----
    prox: x/(1 + step weight); gradient: weight x. **Constants** mu = L = weight.

    Examples
    --------
    >>> import numpy as np
    >>> SquaredL2(3.0).prox(np.array([8.0]), 1.0)
    array([2.])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight("SquaredL2", self.weight)

    @cached_property
    def constants(self) -> Constants:
        weight = float(self.weight)
        return Constants(weight, lipschitz=weight, cyclic=True, affine=True, why="computed: the weight")

    def __call__(self, x: Array) -> Array:
        return 0.5 * self.weight * arrays.inner(x, x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return x / (1.0 + step * self.weight)

    def gradient(self, x: Array) -> Array:
        return self.weight * x

    def conjugate(self) -> Function:
        if self.weight == 0:
            return Box(0.0, 0.0, batch_ndim=self.batch_ndim)
        return SquaredL2(1.0 / self.weight, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return Diagonal(arrays.namespace(x).ones_like(x) / (1.0 + step * self.weight))

    def value_formula(self, x: str) -> str:
        return f"1/2 |{x}|^2" if self.weight == 1 else f"{self.weight:g}/2 |{x}|^2"
