"""Activations that saturate algebraically, and the arctangent and the squash of capsules, as proxes; see activations.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.activations.activations import Activation, odd_series, signed_infinity, squarable, within
from monops.functions.sample import Sample

__all__ = ["Arctan", "InverseSquareRoot", "Softsign", "Squash"]

ARCTAN = tuple((-1.0) ** k / (2 * k + 3) for k in range(13))  # t - arctan(t) = t^3 (1/3 - t^2/5 + ...)


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
        angle = arrays.namespace(t).atan(t if self.inner == 1.0 else self.inner * t)
        return angle if self.outer == 1.0 else self.outer * angle

    def activation_slope(self, t: Array) -> Array:
        scaled = squarable(self.inner * t)
        return self.outer * self.inner / (1.0 + scaled * scaled)

    def activation_gap(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        scaled = self.inner * t
        near = arrays.clip(scaled, -0.5, 0.5)
        root = 1.0 + xp.sqrt(1.0 + near * near)
        half = near / root  # arctan(near) = 2 arctan(half)
        bent = xp.where(xp.abs(scaled) < 0.5, near * half * half + 2.0 * odd_series(half, ARCTAN), scaled - xp.atan(scaled))
        return (1.0 - self.steepest) * t + self.outer * bent

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
        bounded = squarable(t)
        return bounded / (1.0 + arrays.namespace(t).abs(bounded))

    def activation_slope(self, t: Array) -> Array:
        grown = 1.0 + arrays.namespace(t).abs(t)
        return 1.0 / grown / grown

    def activation_gap(self, t: Array) -> Array:
        size = arrays.namespace(t).abs(t)
        return t * (size / (1.0 + size))

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
        bounded = squarable(t)
        return bounded / arrays.namespace(t).sqrt(1.0 + bounded * bounded)

    def activation_slope(self, t: Array) -> Array:
        bounded = squarable(t)
        cosine = 1.0 / arrays.namespace(t).sqrt(1.0 + bounded * bounded)
        return cosine * cosine * cosine

    def activation_gap(self, t: Array) -> Array:
        bounded = squarable(t)
        root = arrays.namespace(t).sqrt(1.0 + bounded * bounded)
        return t * (bounded / root) * (bounded / (1.0 + root))

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
        return (Sample(lambda a: cls(), (5,)),)

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
        bounded = squarable(t)
        square = bounded * bounded
        return SQUASH * (bounded * arrays.namespace(t).abs(bounded) / (1.0 + square))

    def activation_slope(self, t: Array) -> Array:
        bounded = squarable(t)
        share = 1.0 / (1.0 + bounded * bounded)
        return 2.0 * SQUASH * (arrays.namespace(t).abs(bounded) * share) * share

    def activation_gap(self, t: Array) -> Array:
        bounded = squarable(t)
        off = arrays.namespace(t).abs(bounded) - 0.5 * SQUASH
        return t * ((off * off + (1.0 - 0.25 * SQUASH * SQUASH)) / (1.0 + bounded * bounded))

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        size = xp.abs(y)
        room = arrays.clip(SQUASH - size, 0.0, None)
        root = xp.sqrt(size / xp.where(room > 0, room, xp.ones_like(room)))
        return xp.sign(y) * xp.where(room > 0, root, xp.zeros_like(root) + math.inf)

    def value_formula(self, x: str) -> str:
        return f"f_squash({x})"
