"""Smooth approximations of the absolute value: Fair, log-cosh, pseudo-Huber, entry by entry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.entropies.bounded_entropies import ArtanhEntropy, Semicircle, SymmetricBarrier
from monops.functions.equations import (
    Smooth,
    check_positive,
    hypotenuse_root,
    in_blocks,
    largest,
    logistic_root,
    reciprocal_root,
    times,
)
from monops.functions.function import Function
from monops.functions.sample import Sample

__all__ = [
    "Fair",
    "LogCosh",
    "PseudoHuber",
]


@final
@dataclass(frozen=True, eq=False)
class Fair(Smooth):
    """f(x) = sum_i weight_i delta^2 (|x_i|/delta - log(1 + |x_i|/delta)).

    Parameters
    ----------
    delta : float, default 1
        Greater than 0.
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox, with s = step weight: sign(x) (z + sqrt(z^2 + 4 delta |x|))/2 with z = |x| - delta (1 + s). **Domain** everything.
    **Constants** L = weight (f'' at 0), mu = 0. **Cost** two square roots an entry. **Derivative** of the prox:
    1/(1 + s/(1 + |p|/delta)^2).

    References
    ----------
    Fair (1974), On the robust estimation of econometric models; Combettes and Pesquet (2011).

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Fair(1.0).prox(np.array([0.0, 1.5, -1e150])), 3)
    array([ 0.e+000,  1.e+000, -1.e+150])
    """

    delta: float = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("Fair", {"delta": self.delta, "weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.5), (5,)),
            Sample(lambda a: cls(1.0, a([0.5, 0.1, 2.0])), (2, 3)),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=largest(self.weight), cyclic=True, why="computed: largest second derivative, at 0")

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        t = xp.abs(x) / self.delta
        return self.weight * self.delta**2 * (t - xp.log1p(t))

    def entry_slope(self, x: Array) -> Array:
        return self.weight * x / (1.0 + arrays.namespace(x).abs(x) / self.delta)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_curvature(self, x: Array) -> Array:
        shrunk = 1.0 / (1.0 + arrays.namespace(x).abs(x) / self.delta)
        return self.weight * shrunk * shrunk

    def entry_prox(self, x: Array, step: Any) -> Array:
        return _fair_root(x, self.delta, step * self.weight)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        size = arrays.namespace(p).abs(p) / self.delta
        shrunk = p / (1.0 + size)
        return {"delta": self.weight * shrunk * size / (self.delta * (1.0 + size)), "weight": shrunk}

    def conjugate(self) -> Function:
        return SymmetricBarrier(self.weight * self.delta, self.delta, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return times(self.weight, f"fair_{self.delta:g}({x})")


@in_blocks
def _fair_root(x: Array, delta: float, s: Any) -> Array:
    """The p with p + s p/(1 + |p|/delta) = x."""
    xp = arrays.namespace(x)
    size = xp.abs(x)
    return xp.sign(x) * reciprocal_root(size - delta * (1.0 + s), delta * size)


@final
@dataclass(frozen=True, eq=False)
class LogCosh(Smooth):
    """f(x) = sum_i weight_i log(cosh(x_i)).

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        Greater than 0. ``f.scale_argument`` changes the width of the smooth part.

    Notes
    -----
    prox: the root p of p + step weight tanh(p) = x, which is the logistic equation in 2p: Halley's method in three steps.
    **Domain** everything. **Constants** L = weight (f'' at 0), mu = 0; each term is weight-Lipschitz. **Cost** seven
    logarithms and exponentials an entry. **Derivative** of the prox: 1/(1 + step weight (1 - tanh(p)^2)).

    References
    ----------
    Green (1990), Bayesian reconstructions from emission tomography data using a modified EM algorithm.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(LogCosh().prox(np.array([0.0, 1.0 + np.tanh(1.0), -1000.0])), 12)
    array([   0.,    1., -999.])
    """

    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("LogCosh", {"weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.7), (5,)), Sample(lambda a: cls(a([0.5, 0.1, 2.0])), (2, 3)))

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=largest(self.weight), cyclic=True, why="computed: largest second derivative, at 0")

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        size = xp.abs(x)
        small = arrays.clip(size, None, 1.0)
        near = 0.5 * xp.log1p(xp.sinh(small) * xp.sinh(small))
        return self.weight * xp.where(size < 1.0, near, size + xp.log1p(xp.exp(-2.0 * size)) - math.log(2.0))

    def entry_slope(self, x: Array) -> Array:
        return self.weight * arrays.namespace(x).tanh(x)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_curvature(self, x: Array) -> Array:
        return 4.0 * self.weight * arrays.logistic(2.0 * x) * arrays.logistic(-2.0 * x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        s = step * self.weight
        size = xp.abs(x)
        p = 0.5 * logistic_root(2.0 * (size - s), 4.0 * s)
        linear = size / (1.0 + s)  # tanh(p) = p: the digits of the smallest x
        return xp.sign(x) * xp.where(linear < arrays.epsilon(x) ** 0.5, linear, p)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": arrays.namespace(p).tanh(p)}

    def conjugate(self) -> Function:
        return ArtanhEntropy(self.weight, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'log cosh({x})')}"


@final
@dataclass(frozen=True, eq=False)
class PseudoHuber(Smooth):
    """f(x) = sum_i weight_i (sqrt(x_i^2 + delta^2) - delta), the hyperbolic or smoothed absolute value.

    Parameters
    ----------
    delta : float, default 1
        Greater than 0.
    weight : float or array that broadcasts against x, default 1
        Greater than 0.

    Notes
    -----
    prox: the root p of p + step weight p/sqrt(p^2 + delta^2) = x, by Halley's method in three steps. **Domain** everything.
    **Constants** L = weight/delta (f'' at 0), mu = 0; each term is weight-Lipschitz. **Cost** eleven square roots an entry.
    **Derivative** of the prox: 1/(1 + step weight delta^2/(p^2 + delta^2)^(3/2)).

    References
    ----------
    Charbonnier, Blanc-Feraud, Aubert and Barlaud (1997), Deterministic edge-preserving regularization in computed imaging.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(PseudoHuber(1.0).prox(np.array([0.0, 1.0 + 0.5**0.5, -1e150])), 12)
    array([ 0.e+000,  1.e+000, -1.e+150])
    """

    delta: float = 1.0
    weight: Any = 1.0

    def __post_init__(self) -> None:
        check_positive("PseudoHuber", {"delta": self.delta, "weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.5), (5,)),
            Sample(lambda a: cls(1.0, a([0.5, 0.1, 2.0])), (2, 3)),
        )

    @cached_property
    def constants(self) -> Constants:
        L = largest(self.weight) / self.delta
        return Constants(0.0, lipschitz=L, cyclic=True, why="computed: largest second derivative, at 0")

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        root = xp.hypot(x, self.delta + xp.zeros_like(x))
        return self.weight * x * (x / (root + self.delta))

    def entry_slope(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return self.weight * x / xp.hypot(x, self.delta + xp.zeros_like(x))

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_curvature(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        cosine = self.delta / xp.hypot(x, self.delta + xp.zeros_like(x))
        return self.weight / self.delta * cosine * cosine * cosine

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        return self.delta * xp.sign(x) * hypotenuse_root(xp.abs(x) / self.delta, step * self.weight / self.delta)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        xp = arrays.namespace(p)
        root = xp.hypot(p, self.delta + xp.zeros_like(p))
        sine, cosine = p / root, self.delta / root
        return {"delta": -self.weight * sine * cosine / root, "weight": sine}

    def conjugate(self) -> Function:
        return Semicircle(self.weight, self.delta, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {times(self.weight, f'(sqrt({x}^2 + {self.delta:g}^2) - {self.delta:g})')}"
