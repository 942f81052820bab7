"""One-sided activations as proxes: leaky ReLU, ELU, softplus and their relatives; see activations.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.activations.activations import Activation, odd_series, squarable, within
from monops.functions.sample import Sample
from monops.functions.separable import Separable

__all__ = ["ELU", "HardSigmoid", "InverseSquareRootLinear", "LeakyReLU", "Softplus"]


ARTANH = tuple(1 / (2 * k + 3) for k in range(14))  # artanh(r) - r = r^3 (1/3 + r^2/5 + ...)


def beyond_logarithm(y: Array, logarithm: Array) -> Array:
    """y - log(1 + y), given that logarithm; near 0, where the two cancel, from log(1 + y) = 2 artanh(y/(2 + y))."""
    xp = arrays.namespace(y)
    near = arrays.clip(y, -0.4, 0.6)
    ratio = near / (2.0 + near)
    return xp.where((y > -0.4) & (y < 0.6), near * ratio - 2.0 * odd_series(ratio, ARTANH), y - logarithm)


@final
@dataclass(frozen=True, eq=False)
class LeakyReLU(Separable):
    """f(y) = sum (1/slope - 1) min(y, 0)^2/2; prox_f = x for x >= 0, slope x for x < 0.

    Parameters
    ----------
    slope : float or array that broadcasts against x, default 0.01
        In (0, 1]; an array is the parametric ReLU. Slope 0 is `NonNegative`.

    Notes
    -----
    prox: x_i for x_i >= 0, else x_i/(1 + step (1/slope - 1)). Gradient (1/slope - 1) min(y_i, 0). **Domain** everything.
    **Constants** mu = 0, L = 1/slope - 1 (the largest). **Cost** two passes. **Derivative** of the prox: 1 for x_i >= 0 (also
    at the kink), else 1/(1 + step (1/slope - 1)).

    References
    ----------
    He, Zhang, Ren and Sun (2015), Delving deep into rectifiers; Combettes and Pesquet (2020).

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(0.25).prox(np.array([2.0, -2.0]))
    array([ 2. , -0.5])
    """

    slope: Any = 0.01

    def __post_init__(self) -> None:
        slope = autodiff.detach(self.slope)
        wrong = ~((slope > 0) & (slope <= 1)) if arrays.is_array(slope) else not 0 < slope <= 1
        if bool(arrays.namespace(wrong).any(wrong)) if arrays.is_array(wrong) else wrong:
            raise DataError(
                f"LeakyReLU: slope={self.slope!r} must lie in (0, 1]: with a negative slope it is not increasing, above 1 it "
                "is no prox; for slope 0 use NonNegative"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.25), (5,)), Sample(lambda a: cls(a([0.1, 0.2, 0.5, 0.9, 0.7])), (5,), exact=False))

    @cached_property
    def constants(self) -> Constants:
        slope = autodiff.detach(self.slope)
        least = float(arrays.namespace(slope).min(slope)) if arrays.is_array(slope) else float(slope)
        return Constants(0.0, lipschitz=1.0 / least - 1.0, cyclic=True, why="computed: 1/slope - 1")

    @property
    def _bend(self) -> Any:
        return 1.0 / self.slope - 1.0

    def entry_value(self, x: Array) -> Array:
        negative = arrays.clip(x, None, 0.0)
        return 0.5 * self._bend * negative * negative

    def entry_slope(self, x: Array) -> Array:
        return self._bend * arrays.clip(x, None, 0.0)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.namespace(x).where(x >= 0, x, x / (1.0 + step * self._bend))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        return xp.where(x >= 0, xp.ones_like(x), 1.0 / (1.0 + step * self._bend + 0.0 * x))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"slope": -arrays.clip(p, None, 0.0) / (self.slope * self.slope)}

    def value_formula(self, x: str) -> str:
        return f"f_leaky relu({x})"


@final
@dataclass(frozen=True, eq=False)
class HardSigmoid(Separable):
    """f(y) = sum 5 y^2/2 - 3 y on [0, 1]; prox_f = clip(x/6 + 1/2, 0, 1).

    Notes
    -----
    prox: clip((x_i + 3 step)/(1 + 5 step), 0, 1). **Domain** [0, 1]^n. **Constants** mu = 5; not smooth. **Cost** two passes.
    **Derivative** of the prox: 1/(1 + 5 step) strictly inside, else 0 (0 at the kinks).

    References
    ----------
    Courbariaux, Bengio and David (2015), BinaryConnect; Combettes and Pesquet (2020).

    Examples
    --------
    >>> import numpy as np
    >>> HardSigmoid().prox(np.array([0.0, 1.5, 9.0]))
    array([0.5 , 0.75, 1.  ])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @cached_property
    def constants(self) -> Constants:
        return Constants(5.0, cyclic=True, why="computed: second derivative")

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, 1.0

    def entry_value(self, x: Array) -> Array:
        y, outside = within(x, 0.0, 1.0)
        return y * (2.5 * y - 3.0) + outside

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        slope, infinite = 5.0 * x - 3.0, xp.zeros_like(x) + math.inf
        return xp.where(x <= 0, -infinite, slope), xp.where(x >= 1, infinite, slope)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return arrays.clip((x + 3.0 * step) / (1.0 + 5.0 * step), 0.0, 1.0)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        inner = (x + 3.0 * step) / (1.0 + 5.0 * step)
        return arrays.namespace(x).astype((inner > 0) & (inner < 1), x.dtype) / (1.0 + 5.0 * step)

    def value_formula(self, x: str) -> str:
        return f"f_hard sigmoid({x})"


@final
@dataclass(frozen=True, eq=False)
class ELU(Activation):
    """f(y) = sum over y < 0 of (y + alpha) log(1 + y/alpha) - y - y^2/2, y >= -alpha; prox_f = ELU.

    Parameters
    ----------
    alpha : float, default 1
        In (0, 1]: alpha (exp(x) - 1) for x < 0 has slope alpha at 0, and a steeper one is no prox.

    Notes
    -----
    prox: e(t) with (1 - step) e(t) + step t = x, e = ELU; x itself for x >= 0. **Domain** y_i >= -alpha. **Constants** mu = 0;
    not smooth. **Cost** one exponential at step 1, some 5 otherwise. **Derivative** of the prox: s/((1 - step) s + step), s = 1
    for t >= 0 (also at the kink), alpha exp(t) for t < 0.

    References
    ----------
    Clevert, Unterthiner and Hochreiter (2016), Fast and accurate deep network learning by exponential linear units.

    Examples
    --------
    >>> import numpy as np
    >>> ELU().prox(np.array([2.0, -800.0]))
    array([ 2., -1.])
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise DataError(
                f"ELU: alpha={self.alpha!r} must lie in (0, 1]: above 1 the slope exceeds 1 and the activation is no prox, so "
                "that an equilibrium need not be unique; use alpha=1"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(0.6), (5,)))

    @property
    def interval(self) -> tuple[Any, Any]:
        return -self.alpha, math.inf

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        y, outside = within(x, -self.alpha, math.inf)
        negative = arrays.clip(y, None, 0.0)
        share = 1.0 + negative / self.alpha
        logarithm = xp.log(xp.where(share > 0, share, xp.ones_like(share)))
        return self.alpha * share * logarithm - negative - 0.5 * negative * negative + outside

    def activation(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return xp.where(t >= 0, t, self.alpha * xp.expm1(arrays.clip(t, None, 0.0)))

    def activation_slope(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return xp.where(t >= 0, xp.ones_like(t), self.alpha * xp.exp(arrays.clip(t, None, 0.0)))

    def activation_gap(self, t: Array) -> Array:
        negative = arrays.clip(t, None, 0.0)
        share = arrays.namespace(t).expm1(negative)
        return (1.0 - self.alpha) * negative - self.alpha * beyond_logarithm(share, negative)

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        share = arrays.clip(y, None, 0.0) / self.alpha
        inside = share > -1
        negative = xp.where(inside, xp.log1p(xp.where(inside, share, xp.zeros_like(y))), xp.zeros_like(y) - math.inf)
        return xp.where(y >= 0, y, negative)

    def value_formula(self, x: str) -> str:
        return f"f_elu({x})"


@final
@dataclass(frozen=True, eq=False)
class InverseSquareRootLinear(Activation):
    """f(y) = sum over y < 0 of 1 - sqrt(1 - y^2) - y^2/2, y >= -1; prox_f = x for x >= 0, x/sqrt(1 + x^2) for x < 0.

    Notes
    -----
    prox: s(t) with (1 - step) s(t) + step t = x; x itself for x >= 0. **Domain** y_i >= -1. **Constants** mu = 0; not smooth.
    **Cost** three passes at step 1, some 5 times that otherwise. **Derivative** of the prox: d/((1 - step) d + step), d = 1 for
    t >= 0, (1 + t^2)^(-3/2) for t < 0; no kinks.

    References
    ----------
    Carlile, Delamarter, Kinney, Marti and Whitney (2017), Improving deep learning by inverse square root linear units.

    Examples
    --------
    >>> import numpy as np
    >>> InverseSquareRootLinear().prox(np.array([2.0, -0.75]))
    array([ 2. , -0.6])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return -1.0, math.inf

    def entry_value(self, x: Array) -> Array:
        y, outside = within(x, -1.0, math.inf)
        negative = arrays.clip(y, -1.0, 0.0)
        root = arrays.namespace(x).sqrt((1.0 - negative) * (1.0 + negative))
        return negative * negative / (1.0 + root) - 0.5 * negative * negative + outside

    def activation(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        negative = squarable(arrays.clip(t, None, 0.0))
        return xp.where(t >= 0, t, negative / xp.sqrt(1.0 + negative * negative))

    def activation_slope(self, t: Array) -> Array:
        negative = squarable(arrays.clip(t, None, 0.0))
        cosine = 1.0 / arrays.namespace(t).sqrt(1.0 + negative * negative)
        return cosine * cosine * cosine

    def activation_gap(self, t: Array) -> Array:
        negative = arrays.clip(t, None, 0.0)
        bounded = squarable(negative)
        root = arrays.namespace(t).sqrt(1.0 + bounded * bounded)
        return negative * (bounded / root) * (bounded / (1.0 + root))

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        negative = arrays.clip(y, -1.0, 0.0)
        room = (1.0 - negative) * (1.0 + negative)
        steep = negative / xp.sqrt(xp.where(room > 0, room, xp.ones_like(room)))
        return xp.where(y >= 0, y, xp.where(room > 0, steep, xp.zeros_like(y) - math.inf))

    def value_formula(self, x: str) -> str:
        return f"f_isrlu({x})"


BERNOULLI = (
    1 / 36,
    -1 / 3600,
    1 / 211680,
    -1 / 10886400,
    1 / 526901760,
    -691 / 16999766784000,
    1 / 1120863744000,
    -3617 / 181400588328960000,
)


def dilogarithm_of_exp(y: Array) -> Array:
    """Li2(exp(-y)) for y >= 0, accurate to rounding: Debye's series in -log(1 - exp(-y)), reflected for y < log 2."""
    xp = arrays.namespace(y)
    small = y < math.log(2.0)
    positive = xp.where(y > 0, y, xp.ones_like(y))
    room = -xp.expm1(-positive)  # 1 - exp(-y)
    far = xp.where(small, xp.ones_like(y), positive)
    u = xp.where(small, positive, -xp.log1p(-xp.exp(-far)))
    square, total = u * u, xp.zeros_like(u)
    for coefficient in reversed(BERNOULLI):
        total = (total + coefficient) * square
    series = u * (1.0 + total) - 0.25 * square
    reflected = math.pi**2 / 6.0 + positive * xp.log(room) - series
    return xp.where(y > 0, xp.where(small, reflected, series), xp.zeros_like(y) + math.pi**2 / 6.0)


@final
@dataclass(frozen=True, eq=False)
class Softplus(Activation):
    """f(y) = sum Li2(exp(-y)) for y >= 0, Li2 the dilogarithm; prox_f = log(1 + exp(x)).

    Notes
    -----
    prox: s(t) with (1 - step) s(t) + step t = x, s the softplus. **Domain** y_i >= 0. **Constants** mu = 0; not smooth.
    **Cost** two logarithms at step 1, some 5 times that otherwise. **Derivative** of the prox: d/((1 - step) d + step),
    d = 1/(1 + exp(-t)); no kinks.

    References
    ----------
    Combettes and Pesquet (2020) for the construction; Lewin (1981), Polylogarithms and associated functions, for Li2.

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().prox(np.array([800.0, -800.0]))
    array([800.,   0.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        y, outside = within(x, 0.0, math.inf)
        return dilogarithm_of_exp(y) + outside

    def activation(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return xp.log1p(xp.exp(-xp.abs(t))) + arrays.clip(t, 0.0, None)

    def activation_slope(self, t: Array) -> Array:
        return arrays.logistic(t)

    def activation_gap(self, t: Array) -> Array:
        return -self.activation(-t)

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        room = -xp.expm1(-arrays.clip(y, 0.0, None))
        return xp.where(room > 0, y + xp.log(xp.where(room > 0, room, xp.ones_like(room))), xp.zeros_like(y) - math.inf)

    def value_formula(self, x: str) -> str:
        return f"f_softplus({x})"
