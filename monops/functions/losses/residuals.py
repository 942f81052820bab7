"""Losses of the residual x that are piecewise linear or quadratic: epsilon-insensitive, quantile, positive part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.equations import check_nonnegative, check_positive, check_weight, largest, times
from monops.functions.feasibility import as_text, holds_somewhere
from monops.functions.function import Function
from monops.functions.losses.elastic_box import ElasticBox
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.functions.sets.sets import Box
from monops.linear import BroadcastMap, LinearMap

__all__ = [
    "PositivePart",
    "Quantile",
    "SquaredVapnik",
    "Vapnik",
]


@final
@dataclass(frozen=True, eq=False)
class Vapnik(Separable):
    """f(x) = sum_i weight_i max(|x_i| - epsilon_i, 0), the epsilon-insensitive loss.

    Parameters
    ----------
    epsilon : float or array that broadcasts against x
        At least 0; 0 gives ``L1Norm``.
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: x + clip(e, -s, s) with e = clip(x, -epsilon, epsilon) - x and s = step weight. **Domain** everything. **Constants**
    mu = 0; no gradient where |x| = epsilon. **Cost** four passes. **Derivative** of the prox: 0 where epsilon <= |x| <=
    epsilon + s, else 1 (0 at the kinks); in epsilon: sign(x) where epsilon < |x| <= epsilon + s.

    References
    ----------
    Vapnik (1995), The nature of statistical learning theory.

    Examples
    --------
    >>> import numpy as np
    >>> Vapnik(1.0).prox(np.array([0.5, 1.5, -3.0]))
    array([ 0.5,  1. , -2. ])
    """

    epsilon: Any
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_nonnegative("Vapnik", "epsilon", self.epsilon)
        check_weight("Vapnik", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(a([0.1, 0.9, 0.3]), a([0.5, 0.1, 2.0])), (2, 3)),
            Sample(lambda a: cls(0.5), (5,)),
        )

    def entry_value(self, x: Array) -> Array:
        return self.weight * arrays.maximum(arrays.namespace(x).abs(x) - self.epsilon, 0.0)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        weight = self.weight + zero
        lower = xp.where(x > self.epsilon, weight, xp.where(x <= -self.epsilon, -weight, zero))
        upper = xp.where(x >= self.epsilon, weight, xp.where(x < -self.epsilon, -weight, zero))
        return lower, upper

    def entry_prox(self, x: Array, step: Any) -> Array:
        s = step * self.weight
        return x + arrays.clip(arrays.clip(x, -self.epsilon, self.epsilon) - x, -s, s)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        excess = xp.abs(x) - self.epsilon
        return xp.astype((excess < 0) | (excess > step * self.weight), x.dtype)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        excess, sign, s = xp.abs(x) - self.epsilon, xp.sign(x), step * self.weight
        at_epsilon = xp.astype((excess > 0) & (excess <= s), x.dtype)
        return {
            "epsilon": BroadcastMap(sign * at_epsilon, shape_of(self.epsilon)),
            "weight": BroadcastMap(-step * sign * xp.astype(excess > s, x.dtype), shape_of(self.weight)),
        }

    def conjugate(self) -> Function:
        return ElasticBox(-1.0 * self.weight, 1.0 * self.weight, l1=self.epsilon, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'max(|{x}| - {as_text(self.epsilon)}, 0)')}"


@final
@dataclass(frozen=True, eq=False)
class SquaredVapnik(Separable):
    """f(x) = sum_i weight_i/2 max(|x_i| - epsilon_i, 0)^2: half the squared distance from an interval.

    Parameters
    ----------
    epsilon : float or array that broadcasts against x
        At least 0; 0 gives ``SquaredL2``.
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: x + s/(1 + s) (clip(x, -epsilon, epsilon) - x) with s = step weight. **Domain** everything. **Constants** L = weight,
    mu = 0 (mu = weight for epsilon = 0). **Cost** three passes. **Derivative** of the prox: 1/(1 + s) where |x| > epsilon,
    else 1 (1 at the kinks).

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing.

    Examples
    --------
    >>> import numpy as np
    >>> SquaredVapnik(1.0).prox(np.array([0.5, 2.0, -5.0]))
    array([ 0.5,  1.5, -3. ])
    """

    epsilon: Any
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_nonnegative("SquaredVapnik", "epsilon", self.epsilon)
        check_positive("SquaredVapnik", {"weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(a([0.1, 0.9, 0.3]), a([0.5, 0.1, 2.0])), (2, 3)),
            Sample(lambda a: cls(0.5), (5,)),
        )

    @cached_property
    def constants(self) -> Constants:
        mu = -largest(-1.0 * self.weight) if not holds_somewhere(self.epsilon != 0) else 0.0
        return Constants(mu, lipschitz=largest(self.weight), cyclic=True, why="computed: from the weights")

    def _excess(self, x: Array) -> Array:
        return x - arrays.clip(x, -self.epsilon, self.epsilon)

    def entry_value(self, x: Array) -> Array:
        excess = self._excess(x)
        return 0.5 * self.weight * excess * excess

    def entry_slope(self, x: Array) -> Array:
        return self.weight * self._excess(x)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        s = step * self.weight
        return x - (s / (1.0 + s)) * self._excess(x)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        s = step * self.weight + xp.zeros_like(x)
        return xp.where(xp.abs(x) > self.epsilon, 1.0 / (1.0 + s), xp.ones_like(x))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        outside = xp.astype(xp.abs(p) > self.epsilon, p.dtype)
        return {"epsilon": -self.weight * xp.sign(p) * outside, "weight": self._excess(p)}

    def conjugate(self) -> Function:
        return ElasticBox(l1=self.epsilon, l2=1.0 / self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'max(|{x}| - {as_text(self.epsilon)}, 0)^2/2')}"


@final
@dataclass(frozen=True, eq=False)
class Quantile(Separable):
    """f(x) = sum_i weight_i max(level_i x_i, (level_i - 1) x_i), the pinball loss of the residual x = data - prediction.

    Parameters
    ----------
    level : float or array that broadcasts against x, default 0.5
        Between 0 and 1.
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: x - clip(x, -s (1 - level), s level) with s = step weight. **Domain** everything. **Constants** mu = 0; no gradient
    at 0. **Cost** two passes. **Derivative** of the prox: 1 where x leaves the interval that is clipped to, else 0 (0 at the
    kinks).

    References
    ----------
    Koenker and Bassett (1978), Regression quantiles.

    Examples
    --------
    >>> import numpy as np
    >>> Quantile(0.75).prox(np.array([-1.0, 0.5, 2.0]))
    array([-0.75,  0.  ,  1.25])
    """

    level: Any = 0.5
    weight: Any = 1.0

    def __post_init__(self) -> None:
        if holds_somewhere((self.level < 0) | (self.level > 1) | (self.level != self.level)):
            raise DataError(f"Quantile: level={self.level!r} must be between 0 and 1, or the function is not convex")
        check_weight("Quantile", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(a([0.1, 0.9, 0.3]), a([0.5, 1.0, 2.0])), (2, 3)),
            Sample(lambda a: cls(0.9), (5,)),
        )

    def entry_value(self, x: Array) -> Array:
        return self.weight * (self.level * x + arrays.maximum(-x, 0.0))

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        low, high = (self.level - 1.0) * self.weight + xp.zeros_like(x), self.level * self.weight + xp.zeros_like(x)
        return xp.where(x > 0, high, low), xp.where(x < 0, low, high)

    def entry_prox(self, x: Array, step: Any) -> Array:
        s = step * self.weight
        return x - arrays.clip(x, s * (self.level - 1.0), s * self.level)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        s = step * self.weight
        return arrays.namespace(x).astype((x > s * self.level) | (x < s * (self.level - 1.0)), x.dtype)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        weight = self.weight + xp.zeros_like(p)
        return {"level": weight, "weight": xp.where(p > 0, self.level + 0.0 * p, self.level - 1.0 + 0.0 * p)}

    def conjugate(self) -> Function:
        return Box((self.level - 1.0) * self.weight, self.level * self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'pinball_{as_text(self.level)}({x})')}"


@final
@dataclass(frozen=True, eq=False)
class PositivePart(Separable):
    """f(x) = sum_i weight_i max(x_i, 0).

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        At least 0.

    Notes
    -----
    prox: x - clip(x, 0, step weight). **Domain** everything. **Constants** mu = 0; no gradient at 0. **Cost** two passes.
    **Derivative** of the prox: 0 where 0 <= x <= step weight, else 1 (0 at the kinks).

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> PositivePart().prox(np.array([-1.0, 0.5, 2.0]))
    array([-1.,  0.,  1.])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("PositivePart", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.7), (5,)), Sample(lambda a: cls(a([0.5, 0.1, 2.0])), (2, 3)))

    def entry_value(self, x: Array) -> Array:
        return self.weight * arrays.maximum(x, 0.0)

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        weight = self.weight + zero
        return xp.where(x > 0, weight, zero), xp.where(x < 0, zero, weight)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return x - arrays.clip(x, 0.0, step * self.weight)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return arrays.namespace(x).astype((x < 0) | (x > step * self.weight), x.dtype)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": arrays.namespace(p).astype(p > 0, p.dtype)}

    def conjugate(self) -> Function:
        return Box(0.0 * self.weight, 1.0 * self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'max({x}, 0)')}"
