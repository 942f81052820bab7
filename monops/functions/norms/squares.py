"""The squared l2 norm, the elastic net, and linear functions, entry by entry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.errors import DataError
from monops.functions.function import Function
from monops.functions.norms.shrinkage import complex_shrinkage
from monops.functions.sample import Sample
from monops.functions.separable import Separable
from monops.functions.sets.balls import LInfBall
from monops.functions.sets.sets import Box, Point
from monops.functions.weights import check_weight, extremes, weighted
from monops.linear import LinearMap

__all__ = ["ElasticNet", "Linear", "SquaredL2"]


@final
@dataclass(frozen=True, eq=False)
class SquaredL2(Separable):
    """f(x) = 1/2 sum_i weight_i |x_i|^2.

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: x_i/(1 + step weight_i). Gradient weight_i x_i. **Domain** everything. **Constants** mu and L are the least and the
    largest weight. **Cost** one pass. **Derivative** of the prox: 1/(1 + step weight_i).

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> SquaredL2(3.0).prox(np.array([8.0]), 1.0)
    array([2.])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("SquaredL2", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(2.5), (5,), is_complex=True),
            Sample(lambda a: cls(a([0.5, 1.0, 2.0, 0.25, 3.0])), (5,), is_complex=True),
        )

    @cached_property
    def constants(self) -> Constants:
        least, most = extremes(self.weight)
        return Constants(least, lipschitz=most, cyclic=True, affine=True, why="computed: the weight")

    def entry_value(self, x: Array) -> Array:
        size = arrays.namespace(x).abs(x)
        return 0.5 * self.weight * size * size

    def entry_slope(self, x: Array) -> Array:
        return self.weight * x

    def gradient(self, x: Array) -> Array:
        return self.weight * x

    def entry_curvature(self, x: Array) -> Array:
        return self.weight * arrays.namespace(x).ones_like(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return x / (1.0 + step * self.weight)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": p}

    def conjugate(self) -> Function:
        if extremes(self.weight)[0] > 0:
            return SquaredL2(1.0 / self.weight, batch_ndim=self.batch_ndim)
        return Box(0.0, 0.0, batch_ndim=self.batch_ndim) if extremes(self.weight)[1] == 0 else super().conjugate()

    def value_formula(self, x: str) -> str:
        if arrays.is_array(self.weight):
            return f"1/2 sum w |{x}|^2"
        return f"1/2 |{x}|^2" if self.weight == 1 else f"{self.weight:g}/2 |{x}|^2"


@final
@dataclass(frozen=True, eq=False)
class ElasticNet(Separable):
    """f(x) = sum_i l1 |x_i| + l2/2 |x_i|^2.

    Parameters
    ----------
    l1, l2 : float or array that broadcasts against x, default 1
        At least 0. With bounds on x: `ElasticBox`.

    Notes
    -----
    prox: sign(x_i) max(|x_i| - step l1, 0)/(1 + step l2); also for complex x. **Domain** everything. **Constants** mu = the
    least l2, not smooth. **Cost** two passes. **Derivative** of the prox: 1/(1 + step l2) where |x_i| > step l1, else 0 (0 at
    the kink).

    References
    ----------
    Zou and Hastie (2005), Regularization and variable selection via the elastic net.

    Examples
    --------
    >>> import numpy as np
    >>> ElasticNet(1.0, 1.0).prox(np.array([5.0, -0.5])) + 0.0
    array([2., 0.])
    """

    l1: Any = 1.0
    l2: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("ElasticNet", self.l1)
        check_weight("ElasticNet", self.l2)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.7, 0.4), (5,), is_complex=True),
            Sample(lambda a: cls(a([0.25, 0.5, 1.0, 2.0, 3.0]), 1.5), (5,)),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(extremes(self.l2)[0], cyclic=True, why="computed: the weight l2")

    def entry_value(self, x: Array) -> Array:
        size = arrays.namespace(x).abs(x)
        return size * (self.l1 + 0.5 * self.l2 * size)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        l1, rest = self.l1 * xp.ones_like(x), self.l2 * x
        return rest + xp.where(x > 0, l1, -l1), rest + xp.where(x < 0, -l1, l1)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.soft_threshold(x, step * self.l1) / (1.0 + step * self.l2)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        return xp.astype(xp.abs(x) > step * self.l1, x.dtype) / (1.0 + step * self.l2)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return complex_shrinkage(x, step * self.l1, 1.0 + step * self.l2) or super().prox_derivative(x, step)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"l1": arrays.namespace(p).sign(p), "l2": p}

    def conjugate(self) -> Function:
        ball = LInfBall(self.l1, batch_ndim=self.batch_ndim)
        if arrays.is_array(self.l2):
            return super().conjugate()
        if self.l2 == 0:
            return ball
        from monops.functions.calculus.distances import (
            SquaredDistance,  # distances are built on norms: imported where it is made
        )

        return SquaredDistance(ball, 1.0 / self.l2, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        if arrays.is_array(self.l1) or arrays.is_array(self.l2):
            return f"(sum l1 |{x}| + l2/2 |{x}|^2)"
        return f"({weighted(self.l1, f'|{x}|_1')} + {self.l2:g}/2 |{x}|^2)"


@final
@dataclass(frozen=True, eq=False)
class Linear(Separable):
    """f(x) = <slope, x>, an array slope that broadcasts against x.

    Notes
    -----
    prox: x - step slope. Gradient: the slope. **Domain** everything. **Constants** mu = L = 0; f is Lipschitz with the norm of
    the slope. **Cost** one pass. **Derivative** of the prox: the identity; in the slope: -step.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> Linear(np.array([1.0, -2.0])).prox(np.array([5.0, 5.0]), 2.0)
    array([3., 9.])
    """

    slope: Any

    def __post_init__(self) -> None:
        if not arrays.is_array(self.slope):
            raise DataError(f"Linear: slope={self.slope!r} must be an array, for example numpy.asarray(...)")
        arrays.check_floating("Linear.slope", self.slope)
        arrays.check_finite("Linear.slope", autodiff.detach(self.slope))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(a([0.5, -1.0, 2.0, 0.0, 3.0])), (5,)),)

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, math.inf, 0.0, cyclic=True, affine=True, why="computed: linear")

    @property
    def value_lipschitz(self) -> Known:
        return Known(float(arrays.norm(autodiff.detach(self.slope))), "computed: the norm of the slope")

    def entry_value(self, x: Array) -> Array:
        return self.slope * x

    def entry_slope(self, x: Array) -> Array:
        return self.slope + 0.0 * x

    def gradient(self, x: Array) -> Array:
        return self.slope + 0.0 * x

    def entry_curvature(self, x: Array) -> Array:
        return 0.0 * x

    def entry_prox(self, x: Array, step: Any) -> Array:
        return x - step * self.slope

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"slope": arrays.namespace(p).ones_like(p)}

    def conjugate(self) -> Function:
        return Point(self.slope, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"<q, {x}>"
