"""Activations of neural networks as proxes: sigma = prox_f, with prox_{step f} right for every step.

For an increasing, 1-Lipschitz sigma the convex f has f' = sigma^-1 - id (Combettes and Pesquet 2020), so y = prox_{a f}(x)
is y = sigma(t) with t the root of (1 - a) sigma(t) + a t = x: the slope of the left side lies between min(1, a) and
max(1, a), and Newton from t = x, kept inside the bracket that the slope bounds give, converges. ReLU is `NonNegative`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from monops import arrays
from monops.arrays import Array
from monops.functions.function import Function
from monops.linear import Diagonal, LinearMap

__all__ = [
    "Tanh",
]

NEWTON_STEPS = 30  # a step of 10^4 needs 20


@final
@dataclass(frozen=True, eq=False)
class Tanh(Function):
    """f(y) = sum y artanh(y) + log(1 - y^2)/2 - y^2/2 on [-1, 1]; prox_f = tanh.

    Notes
    -----
    prox for step a: y = tanh(t), (1 - a) tanh(t) + a t = x; step 1 is tanh itself and needs no root. The root is found to
    machine precision. **Constants** mu = 0 (f'' = y^2/(1 - y^2) vanishes at 0).

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Tanh().prox(np.array([0.5, -2.0])) - np.tanh([0.5, -2.0]), 12)
    array([0., 0.])
    """

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        up, down = arrays.clip(1.0 + x, 0.0, None), arrays.clip(1.0 - x, 0.0, None)
        # y artanh y + log(1 - y^2)/2 = ((1 + y) log(1 + y) + (1 - y) log(1 - y))/2, with 0 log 0 = 0
        safe_up, safe_down = xp.where(up > 0, up, xp.ones_like(x)), xp.where(down > 0, down, xp.ones_like(x))
        entropy = 0.5 * (up * xp.log(safe_up) + down * xp.log(safe_down)) - 0.5 * x * x
        value = arrays.row_sum(entropy, self.batch_ndim)
        return value + arrays.indicator(arrays.clip(xp.abs(x) - 1.0, 0.0, None), x, self.batch_ndim)

    def _root(self, x: Array, step: float) -> Array:
        """T with (1 - step) tanh(t) + step t = x."""
        if step == 1.0:
            return x
        xp = arrays.namespace(x)
        magnitude = xp.abs(x)  # the equation is odd: solve for t >= 0
        low, high = magnitude / max(1.0, step), magnitude / min(1.0, step)
        t = magnitude  # Newton is monotone from here: the left side is concave for step < 1 and convex for step > 1
        for _ in range(NEWTON_STEPS):
            value = xp.tanh(t)
            excess = (1.0 - step) * value + step * t - magnitude
            low, high = xp.where(excess < 0, t, low), xp.where(excess < 0, high, t)
            newton = t - excess / ((1.0 - step) * (1.0 - value * value) + step)
            t = xp.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        return xp.where(x < 0, -t, t)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return arrays.namespace(x).tanh(self._root(x, float(step)))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        value = arrays.namespace(x).tanh(self._root(x, float(step)))
        slope = 1.0 - value * value
        return Diagonal(slope / ((1.0 - step) * slope + step))

    def value_formula(self, x: str) -> str:
        return f"f_tanh({x})"
