"""Activations of neural networks as proxes: sigma = prox_f, with prox_{step f} right for every step.

For an increasing, 1-Lipschitz sigma the convex f has f' = sigma^-1 - id (Combettes and Pesquet 2020), so y = prox_{a f}(x)
is y = sigma(t) with t the root of (1 - a) sigma(t) + a t = x: the slope of the left side lies between min(1, a) and
max(1, a), which gives a bracket for Newton's method. Here: the bounded ones; rectifiers.py has the one-sided and unbounded
ones, activation_names.py the names of other libraries and the activations that are no prox. ReLU is `NonNegative`, clipped
ReLU and hard tanh are `Box`, the soft threshold is `L1Norm`, sparsemax is `Simplex`, the identity is `Zero`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.feasibility import zero_or_infinity
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample
from monops.functions.separable import Separable

__all__ = ["Arctan", "CenteredSigmoid", "InverseSquareRoot", "Sigmoid", "Softsign", "Squash", "Tanh"]


@dataclass(frozen=True, eq=False)
class Activation(Separable):
    """An increasing sigma with slope in [0, 1], as the prox with step 1 of the convex f with f' = sigma^-1 - id.

    A subclass gives ``activation`` (sigma), ``activation_slope``, ``activation_inverse``, ``entry_value`` and ``interval``.
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

        def equation(t: Array) -> tuple[Array, Array]:
            value = self.activation(t)  # t - sigma(t) has no rounding where the two are close, and a large step multiplies it
            return step * (t - value) + value - x, (1.0 - step) * self.activation_slope(t) + step

        offset = x - (1.0 - step) * self.activation(xp.zeros_like(x))
        near, far = offset / _largest(step), offset / _smallest(step)
        return increasing_root(equation, xp.where(offset > 0, near, far), xp.where(offset > 0, far, near), near)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return self.activation(self.preimage(x, step))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        slope = self.activation_slope(self.preimage(x, step))
        return slope / ((1.0 - step) * slope + step)


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
        decay = arrays.namespace(t).exp(-2.0 * arrays.namespace(t).abs(t))
        return 4.0 * decay / ((1.0 + decay) * (1.0 + decay))

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
        return arrays.logistic(t)

    def activation_slope(self, t: Array) -> Array:
        return arrays.logistic(t) * arrays.logistic(-t)

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
        return arrays.logistic(t) * arrays.logistic(-t)

    def activation_inverse(self, y: Array) -> Array:
        return 2.0 * artanh(2.0 * y)

    def value_formula(self, x: str) -> str:
        return f"f_sigmoid-1/2({x})"


@final
@dataclass(frozen=True, eq=False)
class Arctan(Activation):
    """f(y) = sum -(outer/inner) log cos(y/outer) - y^2/2 for |y| < outer pi/2; prox_f = outer arctan(inner x).

    Parameters
    ----------
    outer, inner : float, default 1
        Above 0, with outer inner <= 1: the slope at 0. (2/pi, 1) and (2/pi, pi/2) are the usual forms with range (-1, 1).

    Notes
    -----
    prox: outer arctan(inner t) with (1 - step) outer arctan(inner t) + step t = x. **Domain** |y_i| <= outer pi/2, open.
    **Constants** mu = 1/(outer inner) - 1; not smooth. **Cost** one arctan at step 1, some 6 otherwise. **Derivative** of the
    prox: s/((1 - step) s + step), s = outer inner/(1 + (inner t)^2); no kinks.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> Arctan().prox(np.array([0.0, 1.0])) * 4 / np.pi
    array([0., 1.])
    """

    outer: float = 1.0
    inner: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.outer < math.inf and 0 < self.inner < math.inf and self.outer * self.inner <= 1 + 1e-12):
            raise DataError(
                f"Arctan: outer={self.outer!r} and inner={self.inner!r} must be > 0 with product <= 1: a steeper activation is "
                "no prox; lower one of them"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(2.0 / math.pi), (5,)))

    @property
    def interval(self) -> tuple[Any, Any]:
        return -0.5 * math.pi * self.outer, 0.5 * math.pi * self.outer

    @property
    def steepest(self) -> float:
        return min(self.outer * self.inner, 1.0)

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        y, outside = within(x, *self.interval)
        cosine = xp.cos(y / self.outer)
        open_end = xp.where(cosine > 0, cosine, xp.ones_like(cosine))
        inside = -(self.outer / self.inner) * xp.log(open_end) - 0.5 * y * y
        return xp.where(cosine > 0, inside, xp.zeros_like(inside) + math.inf) + outside

    def activation(self, t: Array) -> Array:
        return self.outer * arrays.namespace(t).atan(self.inner * t)

    def activation_slope(self, t: Array) -> Array:
        scaled = self.inner * t
        return self.outer * self.inner / (1.0 + scaled * scaled)

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        end = 0.5 * math.pi
        angle = y / self.outer
        open_angle = arrays.clip(angle, -end, end)
        infinite = xp.where(angle > 0, xp.zeros_like(y) + math.inf, xp.zeros_like(y) - math.inf)
        return xp.where(xp.abs(angle) >= end, infinite, xp.tan(open_angle) / self.inner)

    def value_formula(self, x: str) -> str:
        return f"f_{self.outer:.3g} arctan({self.inner:.3g} .)({x})"


@final
@dataclass(frozen=True, eq=False)
class Softsign(Activation):
    """f(y) = sum -|y| - log(1 - |y|) - y^2/2 for |y| < 1; prox_f = x/(1 + |x|), the Elliot function.

    Notes
    -----
    prox: t/(1 + |t|) with (1 - step) t/(1 + |t|) + step t = x. **Domain** |y_i| <= 1, open. **Constants** mu = 0; not smooth.
    **Cost** two passes at step 1, some 5 times that otherwise. **Derivative** of the prox: s/((1 - step) s + step),
    s = 1/(1 + |t|)^2; no kinks.

    References
    ----------
    Elliott (1993), A better activation function for artificial neural networks; Combettes and Pesquet (2020).

    Examples
    --------
    >>> import numpy as np
    >>> Softsign().prox(np.array([1.0, -3.0]))
    array([ 0.5 , -0.75])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0, 1.0

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        y, outside = within(x, -1.0, 1.0)
        size = xp.abs(y)
        left = xp.where(size < 1, size, xp.zeros_like(size))
        inside = -size - xp.log1p(-left) - 0.5 * y * y
        return xp.where(size < 1, inside, xp.zeros_like(inside) + math.inf) + outside

    def activation(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return xp.where(xp.abs(t) == math.inf, xp.sign(t), t / (1.0 + xp.abs(t)))

    def activation_slope(self, t: Array) -> Array:
        grown = 1.0 + arrays.namespace(t).abs(t)
        return 1.0 / grown / grown

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        room = arrays.clip(1.0 - xp.abs(y), 0.0, None)
        return xp.where(room > 0, y / xp.where(room > 0, room, xp.ones_like(room)), signed_infinity(y))

    def value_formula(self, x: str) -> str:
        return f"f_softsign({x})"


@final
@dataclass(frozen=True, eq=False)
class InverseSquareRoot(Activation):
    """f(y) = sum 1 - sqrt(1 - y^2) - y^2/2 on [-1, 1]; prox_f = x/sqrt(1 + x^2), the inverse square root unit.

    Notes
    -----
    prox: t/sqrt(1 + t^2) with (1 - step) t/sqrt(1 + t^2) + step t = x. **Domain** [-1, 1]^n. **Constants** mu = 0; not smooth.
    **Cost** three passes at step 1, some 5 times that otherwise. **Derivative** of the prox: s/((1 - step) s + step),
    s = (1 + t^2)^(-3/2); no kinks.

    References
    ----------
    Carlile, Delamarter, Kinney, Marti and Whitney (2017), Improving deep learning by inverse square root linear units.

    Examples
    --------
    >>> import numpy as np
    >>> InverseSquareRoot().prox(np.array([0.75, 1e200]))
    array([0.6, 1. ])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0, 1.0

    def entry_value(self, x: Array) -> Array:
        y, outside = within(x, -1.0, 1.0)
        root = arrays.namespace(x).sqrt((1.0 - y) * (1.0 + y))
        return y * y / (1.0 + root) - 0.5 * y * y + outside

    def activation(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return xp.where(xp.abs(t) == math.inf, xp.sign(t), t / xp.hypot(xp.ones_like(t), t))

    def activation_slope(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return (1.0 / xp.hypot(xp.ones_like(t), t)) ** 3

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        room = arrays.clip((1.0 - y) * (1.0 + y), 0.0, None)
        return xp.where(room > 0, y / xp.sqrt(xp.where(room > 0, room, xp.ones_like(room))), signed_infinity(y))

    def value_formula(self, x: str) -> str:
        return f"f_isru({x})"


SQUASH = 8.0 / (3.0 * 3.0**0.5)  # the factor that makes the largest slope 1, at |t| = 1/sqrt(3)


@final
@dataclass(frozen=True, eq=False)
class Squash(Activation):
    """f with prox_f = c x|x|/(1 + x^2), c = 8/(3 sqrt 3): on groups, ``GroupPenalty(Squash())``, the squash of capsules.

    f(y) = sum c arcsin(sqrt(s)) - sqrt(|y| (c - |y|)) - y^2/2 with s = |y|/c, for |y| <= c.

    Notes
    -----
    prox: c t|t|/(1 + t^2) with (1 - step) c t|t|/(1 + t^2) + step t = x. **Domain** |y_i| <= c. **Constants** mu = 0; not
    smooth. **Cost** four passes at step 1, some 6 times that otherwise. **Derivative** of the prox: s/((1 - step) s + step),
    s = 2 c |t|/(1 + t^2)^2; no kinks.

    References
    ----------
    Sabour, Frosst and Hinton (2017), Dynamic routing between capsules; Combettes and Pesquet (2020).

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Squash().prox(np.array([1.0, -3.0])), 6)
    array([ 0.7698  , -1.385641])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,), accuracy=1e-9),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return -SQUASH, SQUASH

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        y, outside = within(x, -SQUASH, SQUASH)
        size = xp.abs(y)
        angle = xp.asin(xp.sqrt(arrays.clip(size / SQUASH, None, 1.0)))
        return SQUASH * angle - xp.sqrt(size * arrays.clip(SQUASH - size, 0.0, None)) - 0.5 * y * y + outside

    def activation(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        inverse = 1.0 / arrays.clip(xp.abs(t), 1.0, None)
        small = arrays.clip(xp.abs(t), None, 1.0)
        share = xp.where(xp.abs(t) > 1, 1.0 / (1.0 + inverse * inverse), small * small / (1.0 + small * small))
        return xp.where(xp.isnan(t), t, SQUASH * xp.sign(t) * share)

    def activation_slope(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        size = xp.abs(t)
        grown = 1.0 / (1.0 + size) / (1.0 + size)  # (1 + t^2) >= (1 + |t|)^2/2 keeps the quotient within range
        ratio = (1.0 + size) * (1.0 + size) / (1.0 + size * size)
        bounded = xp.where(xp.isfinite(ratio), ratio, xp.ones_like(ratio))
        return 2.0 * SQUASH * (size * grown) * grown * bounded * bounded

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        size = xp.abs(y)
        room = arrays.clip(SQUASH - size, 0.0, None)
        root = xp.sqrt(size / xp.where(room > 0, room, xp.ones_like(room)))
        return xp.sign(y) * xp.where(room > 0, root, xp.zeros_like(root) + math.inf)

    def value_formula(self, x: str) -> str:
        return f"f_squash({x})"
