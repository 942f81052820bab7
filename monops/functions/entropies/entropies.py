"""Entropies and exponentials, entry by entry; barriers stand in barriers.py, powers in powers.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.equations import (
    Smooth,
    check_finite_number,
    check_positive,
    entropic_root,
    exponential,
    exponential_root,
    inverse_inside,
    log,
    log_inside,
    logistic_root,
    x_log_x,
)
from monops.functions.feasibility import as_text
from monops.functions.function import Function
from monops.functions.sample import Sample

__all__ = [
    "Exponential",
    "FermiDirac",
    "NegativeEntropy",
]


@final
@dataclass(frozen=True, eq=False)
class NegativeEntropy(Smooth):
    """f(x) = sum_i x_i log(x_i) + slope_i x_i on x >= 0, with 0 log 0 = 0.

    Parameters
    ----------
    slope : float or array that broadcasts against x, default 0
        Finite.

    Notes
    -----
    prox: step omega(x/step - 1 - slope - log(step)), with Wright's omega: omega(z) + log(omega(z)) = z, that is W(exp(z))
    without the overflow of exp. **Domain** x >= 0. **Constants** mu = 0 (f'' = 1/x); no gradient at 0. **Cost** five
    logarithms and exponentials an entry. **Derivative** of the prox: p/(p + step).

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing; Corless and Jeffrey (2002).

    Examples
    --------
    >>> import numpy as np
    >>> np.round(NegativeEntropy().prox(np.array([-800.0, 1.0, 8.0])), 3)
    array([0.   , 0.567, 5.327])
    """

    slope: Any = 0.0

    def __post_init__(self) -> None:
        check_finite_number("NegativeEntropy", "slope", self.slope)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(a([0.5, -2.0, 3.0])), (2, 3)))

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_value(self, x: Array) -> Array:
        return x_log_x(x) + self.slope * x

    def entry_slope(self, x: Array) -> Array:
        return 1.0 + self.slope + log_inside(x)

    def entry_curvature(self, x: Array) -> Array:
        return inverse_inside(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return entropic_root(x, step, -1.0 - self.slope)

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"slope": arrays.namespace(p).ones_like(p)}

    def conjugate(self) -> Function:
        return Exponential(exponential(-1.0 - self.slope), batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        plain = not arrays.is_array(self.slope) and self.slope == 0
        return f"sum {x} log({x})" + ("" if plain else f" + <{as_text(self.slope)}, {x}>")


@final
@dataclass(frozen=True, eq=False)
class Exponential(Smooth):
    """f(x) = sum_i weight_i exp(x_i), or weight_i (exp(x_i) - 1) when centered.

    Parameters
    ----------
    weight : float or array that broadcasts against x, default 1
        Greater than 0.
    centered : bool, default False
        Whether f(0) = 0.

    Notes
    -----
    prox: x - omega(x + log(step weight)), with Wright's omega; log(omega) - log(step weight) where that keeps the digits.
    **Domain** everything. **Constants** mu = 0; the gradient is not Lipschitz. **Cost** six logarithms and exponentials an
    entry. **Derivative** of the prox: 1/(1 + step weight exp(p)).

    References
    ----------
    Combettes and Pesquet (2011), Proximal splitting methods in signal processing; Corless and Jeffrey (2002).

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Exponential().prox(np.array([-5.0, 1.0, 1e150])), 3)
    array([ -5.007,   0.   , 345.388])
    """

    weight: Any = 1.0
    centered: bool = False

    def __post_init__(self) -> None:
        check_positive("Exponential", {"weight": self.weight})

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(a([0.5, 2.0, 30.0]), centered=True), (2, 3)))

    def entry_value(self, x: Array) -> Array:
        with np.errstate(over="ignore"):
            return self.weight * (arrays.namespace(x).expm1(x) if self.centered else exponential(x))

    def entry_slope(self, x: Array) -> Array:
        return self.weight * exponential(x)

    def gradient(self, x: Array) -> Array:
        return self.entry_slope(x)

    def entry_curvature(self, x: Array) -> Array:
        return self.weight * exponential(x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        return exponential_root(x, log(self.weight) + log(step))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        return {"weight": exponential(p)}

    def conjugate(self) -> Function:
        if self.centered:
            from monops.functions.losses.likelihoods import KullbackLeibler  # built on this module: imported where it is made

            return KullbackLeibler(self.weight, batch_ndim=self.batch_ndim)
        return NegativeEntropy(-1.0 - log(self.weight), batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {as_text(self.weight)} (exp({x}){' - 1' if self.centered else ''})"


@final
@dataclass(frozen=True, eq=False)
class FermiDirac(Smooth):
    """f(x) = sum_i x_i log(x_i) + (1 - x_i) log(1 - x_i) on [0, 1], the Fermi-Dirac or binary entropy.

    Notes
    -----
    prox: 1/(1 + exp(u)) with the root u of u - 1/(step (1 + exp(u))) = -x/step. **Domain** [0, 1]. **Constants** mu = 4 (f''
    at 1/2); no gradient at 0 and 1. **Cost** seven logarithms and exponentials an entry. **Derivative** of the prox:
    1/(1 + step/(p (1 - p))).

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(FermiDirac().prox(np.array([-1e150, 0.5, 1.0, 3.0])), 3)
    array([0.   , 0.5  , 0.599, 0.892])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(), (2, 3)))

    @cached_property
    def constants(self) -> Constants:
        return Constants(4.0, cyclic=True, why="computed: smallest second derivative, at 1/2")

    @property
    def interval(self) -> tuple[Any, Any]:
        return 0.0, 1.0

    def entry_value(self, x: Array) -> Array:
        return x_log_x(x) + x_log_x(1.0 - x)

    def entry_slope(self, x: Array) -> Array:
        return log_inside(x) - log_inside(1.0 - x)

    def entry_curvature(self, x: Array) -> Array:
        return inverse_inside(x) + inverse_inside(1.0 - x)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        with np.errstate(all="ignore"):
            high = x > 0.5
            low = xp.where(high, 1.0 - x, x)  # the prox is at most 1/2 here
            u = logistic_root(-arrays.clip(low / step, -1e30, None), 1.0 / step)
            p = 1.0 / (1.0 + xp.exp(u))
            return xp.where(high, 1.0 - p, p)

    def conjugate(self) -> Function:
        from monops.functions.losses.likelihoods import LogisticLoss  # built on this module: imported where it is made

        return LogisticLoss(-1.0, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"sum {x} log({x}) + (1 - {x}) log(1 - {x})"
