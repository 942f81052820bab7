"""Activations without bounds on either side, as proxes: bent identity, signed logarithm, arcsinh; see activations.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.functions.activations.activations import Activation, odd_series
from monops.functions.activations.rectifiers import beyond_logarithm
from monops.functions.sample import Sample
from monops.functions.separable import Separable

__all__ = ["Arcsinh", "BentIdentity", "SignedLogarithm"]

HYPERBOLIC_SINE = tuple(1 / math.factorial(2 * k + 3) for k in range(9))  # sinh(y) - y = y^3 (1/6 + y^2/120 + ...)


@final
@dataclass(frozen=True, eq=False)
class BentIdentity(Separable):
    """f(y) = sum y/2 - log(2 y + 1)/4 for y > -1/2; prox_f = (x + sqrt(x^2 + 1) - 1)/2.

    Notes
    -----
    prox: the larger root p of 2 p^2 + (1 + step - 2 x) p - x = 0. **Domain** y_i >= -1/2, open. **Constants**
    mu = 0; not smooth. **Cost** some 6 passes. **Derivative** of the prox: s^2/(s^2 + step), s = 2 p + 1.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> BentIdentity().prox(np.array([0.75, -1e200]))
    array([ 0.5, -0.5])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    @property
    def interval(self) -> tuple[Any, Any]:
        return -0.5, math.inf

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        inside = x > -0.5
        logarithm = xp.log(xp.where(inside, 2.0 * x + 1.0, xp.ones_like(x)))
        value = 0.5 * x - 0.25 * logarithm
        return xp.where(inside | xp.isnan(x), value, xp.zeros_like(x) + math.inf)

    def entry_slope(self, x: Array) -> Array:
        return 0.5 - 0.5 / (2.0 * x + 1.0)

    def _root(self, x: Array, step: Any) -> Array:
        """s = 2 p + 1, without cancellation for either sign of the linear coefficient."""
        xp = arrays.namespace(x)
        b = 2.0 * x + (1.0 - step)
        size = xp.abs(b) + xp.hypot(b, xp.zeros_like(b) + 2.0 * step**0.5)
        return xp.where(b >= 0, 0.5 * size, 2.0 * step / size)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        c = (1.0 + step) - 2.0 * x
        root = xp.hypot((1.0 - step) + 2.0 * x, xp.zeros_like(x) + 2.0 * step**0.5)
        positive = c > 0  # 2 p^2 + c p - x = 0 by the formula that does not cancel
        return xp.where(positive, 2.0 * x / xp.where(positive, c + root, xp.ones_like(x)), 0.25 * (root - c))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        ratio = self._root(x, step) / step**0.5
        return 1.0 / (1.0 + (1.0 / ratio) ** 2)

    def value_formula(self, x: str) -> str:
        return f"f_bent identity({x})"


@final
@dataclass(frozen=True, eq=False)
class SignedLogarithm(Activation):
    """f(y) = sum exp(|y|) - |y| - 1 - y^2/2; prox_f = sign(x) log(1 + |x|).

    Notes
    -----
    prox: sign(t) log(1 + |t|) with (1 - step) sign(t) log(1 + |t|) + step t = x. Gradient sign(y) (exp(|y|) - 1) - y.
    **Domain** everything. **Constants** mu = 0; the gradient is not Lipschitz on the whole space. **Cost** one logarithm at
    step 1, some 6 otherwise. **Derivative** of the prox: s/((1 - step) s + step), s = 1/(1 + |t|); no kinks.

    References
    ----------
    Bilski (2000), The backpropagation learning with logarithmic transfer function; Combettes and Pesquet (2020).

    Examples
    --------
    >>> import numpy as np
    >>> SignedLogarithm().prox(np.array([np.e - 1.0, 1.0 - np.e]))
    array([ 1., -1.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        size = xp.abs(x)
        return xp.expm1(size) - size - 0.5 * x * x

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def activation(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return xp.sign(t) * xp.log1p(xp.abs(t))

    def activation_slope(self, t: Array) -> Array:
        return 1.0 / (1.0 + arrays.namespace(t).abs(t))

    def activation_gap(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        size = xp.abs(t)
        return xp.sign(t) * beyond_logarithm(size, xp.log1p(size))

    def activation_inverse(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        return xp.sign(y) * xp.expm1(xp.abs(y))

    def value_formula(self, x: str) -> str:
        return f"f_signed log({x})"


@final
@dataclass(frozen=True, eq=False)
class Arcsinh(Activation):
    """f(y) = sum cosh(y) - 1 - y^2/2; prox_f = arcsinh(x).

    Notes
    -----
    prox: arcsinh(t) with (1 - step) arcsinh(t) + step t = x. Gradient sinh(y) - y. **Domain** everything. **Constants** mu = 0;
    the gradient is not Lipschitz on the whole space. **Cost** one arcsinh at step 1, some 6 otherwise. **Derivative** of the
    prox: s/((1 - step) s + step), s = 1/sqrt(1 + t^2); no kinks.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities, for the construction.

    Examples
    --------
    >>> import numpy as np
    >>> Arcsinh().prox(np.sinh(np.array([1.0, -2.0])))
    array([ 1., -2.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)),)

    def entry_value(self, x: Array) -> Array:
        half = arrays.namespace(x).sinh(0.5 * x)
        return 2.0 * half * half - 0.5 * x * x

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def activation(self, t: Array) -> Array:
        return arrays.namespace(t).asinh(t)

    def activation_slope(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        return 1.0 / xp.hypot(xp.ones_like(t), t)

    def activation_gap(self, t: Array) -> Array:
        xp = arrays.namespace(t)
        y = xp.asinh(t)
        return xp.where(xp.abs(y) < 1, odd_series(arrays.clip(y, -1.0, 1.0), HYPERBOLIC_SINE), t - y)

    def activation_inverse(self, y: Array) -> Array:
        return arrays.namespace(y).sinh(y)

    def value_formula(self, x: str) -> str:
        return f"f_arcsinh({x})"
