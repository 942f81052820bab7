"""Activations of neural networks as proxes: sigma = prox_f, with prox_{step f} right for every step.

For an increasing, 1-Lipschitz sigma the convex f has f' = sigma^-1 - id (Combettes and Pesquet 2020), so y = prox_{a f}(x)
is y = sigma(t) with t the root of (1 - a) sigma(t) + a t = x: the slope of the left side lies between min(1, a) and
max(1, a), which gives a bracket for Newton's method. Here: what activations share, and those made of exponentials;
saturations.py has the other bounded ones, rectifiers.py the one-sided and unbounded ones, softmax_activation.py softmax and
the activations that are no prox. ReLU is `NonNegative`, clipped ReLU and hard tanh are `Box`, the soft threshold is `L1Norm`,
sparsemax is `Simplex`, the identity is `Zero`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.arguments import check_prox
from monops.functions.feasibility import zero_or_infinity
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample
from monops.functions.separable import Separable
from monops.linear import Diagonal, LinearMap

__all__ = ["CenteredSigmoid", "Sigmoid", "Tanh"]


@dataclass(frozen=True, eq=False)
class Activation(Separable):
    """An increasing sigma with slope in [0, 1], as the prox with step 1 of the convex f with f' = sigma^-1 - id.

    A subclass gives ``activation`` (sigma), ``activation_slope``, ``activation_inverse``, ``entry_value`` and ``interval``;
    and ``activation_gap`` where t - sigma(t) cancels, because a large step multiplies what is left of it.
    """

    def activation(self, t: Array) -> Array:
        """sigma(t), entry by entry."""
        raise NotImplementedError

    def activation_slope(self, t: Array) -> Array:
        """sigma'(t); at a corner an element of the Clarke derivative."""
        raise NotImplementedError

    def activation_inverse(self, y: Array) -> Array:
        """The t with sigma(t) = y, infinite at an end of the range that is not attained."""
        raise NotImplementedError

    def activation_gap(self, t: Array) -> Array:
        """t - sigma(t)."""
        return t - self.activation(t)

    @property
    def steepest(self) -> float:
        """The largest slope of sigma; f is (1/steepest - 1)-strongly convex."""
        return 1.0

    @property
    def solves_for_prox(self) -> bool:
        return True

    @cached_property
    def constants(self) -> Constants:
        return Constants(1.0 / self.steepest - 1.0, cyclic=True, why="computed: 1/(largest slope of sigma) - 1")

    def entry_slope(self, x: Array) -> Array:
        return self.activation_inverse(x) - x

    def entry_curvature(self, x: Array) -> Array:
        return 1.0 / self.activation_slope(self.activation_inverse(x)) - 1.0

    def preimage(self, x: Array, step: Any) -> Array:
        """The t with (1 - step) sigma(t) + step t = x."""
        if not arrays.is_array(step) and step == 1.0:
            return x
        xp = arrays.namespace(x)

        rounding, largest = 4.0 * arrays.epsilon(x), 0.25 * float(xp.finfo(x.dtype).max)

        def equation(t: Array) -> tuple[Array, Array]:
            value, rest = self.activation(t), step * self.activation_gap(t)
            left = value + rest - x
            noise = rounding * (xp.abs(value) + xp.abs(rest))  # less than that is 0, or rounding sends Newton's method astray
            return xp.where(xp.abs(left) <= noise, 0.0 * t, left), (1.0 - step) * self.activation_slope(t) + step

        offset = x - (1.0 - step) * self.activation(xp.zeros_like(x))
        with np.errstate(over="ignore"):
            far = arrays.clip(offset / _smallest(step) * (1.0 + rounding), -largest, largest)  # the root may be the very end
        near = offset / _largest(step)
        return increasing_root(equation, xp.where(offset > 0, near, far), xp.where(offset > 0, far, near), near)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return self.activation(self.preimage(x, step))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        slope = self.activation_slope(self.preimage(x, step))
        return slope / ((1.0 - step) * slope + step)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        if arrays.is_array(step) or step != 1.0:
            return super().prox_derivative(x, step)
        check_prox(self, x, step)
        self._check_data(x)
        return Diagonal(self.activation_slope(x))  # plain code in x, which may be differentiated once more


def _largest(step: Any) -> Any:
    return arrays.clip(step, 1.0, None) if arrays.is_array(step) else max(1.0, step)


def _smallest(step: Any) -> Any:
    return arrays.clip(step, None, 1.0) if arrays.is_array(step) else min(1.0, step)


def within(x: Array, lower: float, upper: float) -> tuple[Array, Array]:
    """x moved to the nearest point of the interval, and 0 where that is rounding only, infinity where x was off it."""
    slack = 8 * arrays.epsilon(x) * max(1.0, abs(lower) if math.isfinite(lower) else 1.0)
    inside = (x >= lower - slack) & (x <= upper + slack)
    xp = arrays.namespace(x)
    return arrays.clip(x, lower, upper), xp.where(xp.isnan(x), x, zero_or_infinity(inside, x))


def squarable(t: Array) -> Array:
    """t moved to where its square is finite."""
    limit = 0.5 * float(arrays.namespace(t).finfo(t.dtype).max) ** 0.5
    return arrays.clip(t, -limit, limit)


def odd_series(t: Array, coefficients: tuple[float, ...]) -> Array:
    """t^3 times the power series in t^2: what remains of an odd function when its linear term cancels."""
    square, total = t * t, 0.0 * t
    for coefficient in reversed(coefficients):
        total = total * square + coefficient
    return t * square * total


def signed_infinity(y: Array) -> Array:
    """Infinity with the sign of y."""
    xp = arrays.namespace(y)
    return xp.where(y >= 0, xp.zeros_like(y) + math.inf, xp.zeros_like(y) - math.inf)


def artanh(y: Array) -> Array:
    """The inverse of tanh, infinite from 1 on, and no warning there."""
    xp = arrays.namespace(y)
    inside = xp.abs(y) < 1
    return xp.where(inside, xp.atanh(xp.where(inside, y, xp.zeros_like(y))), signed_infinity(y))


def entropy(share: Array) -> Array:
    """share log(share), 0 at 0."""
    xp = arrays.namespace(share)
    return share * xp.log(xp.where(share > 0, share, xp.ones_like(share)))


def logistic_slope(t: Array) -> Array:
    """exp(-t)/(1 + exp(-t))^2, even in t, so that nothing overflows."""
    xp = arrays.namespace(t)
    decay = xp.exp(-xp.abs(t))
    return decay / ((1.0 + decay) * (1.0 + decay))


HYPERBOLIC = tuple((2 * k + 2) / math.factorial(2 * k + 3) for k in range(10))  # t cosh(t) - sinh(t) = t^3 (1/3 + ...)


@final
@dataclass(frozen=True, eq=False)
class Tanh(Activation):
    """f(y) = sum y artanh(y) + log(1 - y^2)/2 - y^2/2 on [-1, 1]; prox_f = tanh.

    Notes
    -----
    prox: tanh(t) with (1 - step) tanh(t) + step t = x; step 1 is tanh itself and needs no root. **Domain** [-1, 1]^n.
    **Constants** mu = 0, because tanh has slope 1 at 0; not smooth. **Cost** one tanh at step 1, some 5 otherwise.
    **Derivative** of the prox: s/((1 - step) s + step), s = 1 - tanh(t)^2; no kinks.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Tanh().prox(np.array([0.5, -2.0])) - np.tanh([0.5, -2.0]), 12)
    array([0., 0.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0, 1.0

    def entry_value(self, x: Array) -> Array:
        y, outside = within(x, -1.0, 1.0)
        return 0.5 * (entropy(1.0 + y) + entropy(1.0 - y)) - 0.5 * y * y + outside

    def activation(self, t: Array) -> Array:
        return arrays.namespace(t).tanh(t)

    def activation_slope(self, t: Array) -> Array:
        return 4.0 * logistic_slope(2.0 * t)

    def activation_gap(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        small = arrays.clip(t, -1.0, 1.0)
        return xp.where(xp.abs(t) < 1, odd_series(small, HYPERBOLIC) / xp.cosh(small), t - xp.tanh(t))

    def activation_inverse(self, y: Array) -> Array:
        return artanh(y)

    def value_formula(self, x: str) -> str:
        return f"f_tanh({x})"


@final
@dataclass(frozen=True, eq=False)
class Sigmoid(Activation):
    """f(y) = sum y log y + (1 - y) log(1 - y) - y^2/2 on [0, 1]; prox_f = 1/(1 + exp(-x)).

    Notes
    -----
    prox: s(t) with (1 - step) s(t) + step t = x, s the sigmoid; step 1 is the sigmoid itself. **Domain** [0, 1]^n.
    **Constants** mu = 3, because the sigmoid has slope at most 1/4; not smooth. **Cost** one exponential at step 1, some 5
    otherwise. **Derivative** of the prox: d/((1 - step) d + step), d = s(t) (1 - s(t)); no kinks.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid().prox(np.array([0.0, 800.0, -800.0]))
    array([0.5, 1. , 0. ])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, 1.0

    @property
    def steepest(self) -> float:
        return 0.25

    def entry_value(self, x: Array) -> Array:
        y, outside = within(x, 0.0, 1.0)
        return entropy(y) + entropy(1.0 - y) - 0.5 * y * y + outside

    def activation(self, t: Array) -> Array:
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + arrays.namespace(t).exp(-t))  # 1/infinity is the 0 that is due

    def activation_slope(self, t: Array) -> Array:
        return logistic_slope(t)

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        inside = (y > 0) & (y < 1)
        share = xp.where(inside, y, 0.5 * xp.ones_like(y))
        infinite = xp.where(y > 0.5, xp.zeros_like(y) + math.inf, xp.zeros_like(y) - math.inf)
        return xp.where(inside, xp.log(share) - xp.log1p(-share), infinite)

    def value_formula(self, x: str) -> str:
        return f"f_sigmoid({x})"


@final
@dataclass(frozen=True, eq=False)
class CenteredSigmoid(Activation):
    """f(y) = sum (1/2 + y) log(1/2 + y) + (1/2 - y) log(1/2 - y) - y^2/2 on [-1/2, 1/2]; prox_f = 1/(1 + exp(-x)) - 1/2.

    Notes
    -----
    prox: s(t) - 1/2 with (1 - step) (s(t) - 1/2) + step t = x, s the sigmoid. **Domain** [-1/2, 1/2]^n. **Constants** mu = 3,
    because the slope is at most 1/4; not smooth. **Cost** one tanh at step 1, some 5 otherwise. **Derivative** of the prox:
    d/((1 - step) d + step), d = s(t) (1 - s(t)); no kinks.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> CenteredSigmoid().prox(np.array([0.0, 800.0, -800.0]))
    array([ 0. ,  0.5, -0.5])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return -0.5, 0.5

    @property
    def steepest(self) -> float:
        return 0.25

    def entry_value(self, x: Array) -> Array:
        y, outside = within(x, -0.5, 0.5)
        return entropy(0.5 + y) + entropy(0.5 - y) - 0.5 * y * y + outside

    def activation(self, t: Array) -> Array:
        return 0.5 * arrays.namespace(t).tanh(0.5 * t)

    def activation_slope(self, t: Array) -> Array:
        return logistic_slope(t)

    def activation_inverse(self, y: Array) -> Array:
        return 2.0 * artanh(2.0 * y)

    def value_formula(self, x: str) -> str:
        return f"f_sigmoid-1/2({x})"
