"""Softmax as a prox, for every step; and what is no prox: the activations that are refused, with the reason and a stand-in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError
from monops.functions.activations.activations import entropy
from monops.functions.arguments import check_prox
from monops.functions.equations import wright_omega
from monops.functions.function import Function
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.sets.simplices import Simplex
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["NOT_A_PROX", "Softmax", "refuse_activation"]


@final
@dataclass(frozen=True, eq=False)
class Softmax(Function):
    """f(y) = sum y log y - |y|^2/2 on the simplex, over all entries of a row; prox_f = softmax.

    Notes
    -----
    prox: the y with (1 - step) y_i + step log y_i = x_i - nu and sum y = 1: nu by Newton's method in a bracket, log y_i by
    Newton's method for each nu; step 1 is softmax itself. **Domain** the simplex. **Constants** mu = 1, because softmax is
    1/2-Lipschitz; not smooth. **Cost** one exponential at step 1, some 50 otherwise. **Derivative** of the prox: diag(d) - d
    d*/sum d, d = y/((1 - step) y + step); no kinks.

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Softmax().prox(np.array([800.0, 800.0, 0.0])), 12)
    array([0.5, 0.5, 0. ])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (5,)), Sample(lambda a: cls(), (2, 2)))

    @property
    def domain(self) -> Function:
        return Simplex(batch_ndim=self.batch_ndim)

    @cached_property
    def constants(self) -> Constants:
        return Constants(1.0, cyclic=True, why="computed: softmax is 1/2-Lipschitz")

    def __call__(self, x: Array) -> Array:
        y = arrays.clip(x, 0.0, None)
        value = arrays.row_sum(entropy(y), self.batch_ndim) - 0.5 * arrays.inner(x, x, self.batch_ndim)
        return value + Simplex(batch_ndim=self.batch_ndim)(x)

    def _flat(self, x: Array) -> Array:
        return arrays.flat_rows(x, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        xp = arrays.namespace(x)
        if not arrays.is_array(step) and step == 1.0:
            return xp.reshape(_softmax(self._flat(x)), x.shape)
        point = self._solve(self._flat(autodiff.detach(x)), autodiff.detach(step))
        return self.with_derivative(x, step, xp.reshape(point, x.shape))

    def _solve(self, x: Array, a: Any) -> Array:
        """The prox along the last axis."""
        xp = arrays.namespace(x)
        count, rounding = x.shape[-1], 4.0 * arrays.epsilon(x)
        top = xp.max(x, axis=-1, keepdims=True)
        x = x - top  # a constant changes nothing; the largest entry, now 0, has y between 1/n and 1
        ends = [a * 0.0 - (1.0 - a), a * math.log(count) - (1.0 - a) / count]
        lowest, highest = (0.0 * top + end for end in ends)
        state: list[Array] = [xp.zeros_like(x) - math.log(count)]

        def logarithms(nu: Array) -> Array:
            """The u = log y with (1 - a) e^u + a u = x - nu, at most 0."""
            d = x - nu
            one, other = d / a, (d - (1.0 - a)) / a
            low, high = xp.where(one < other, one, other), arrays.clip(xp.where(one < other, other, one), None, 0.0)
            low = xp.where(low < high, low, high) * (1.0 + rounding)  # the root may be the very end

            def equation(u: Array) -> tuple[Array, Array]:
                bent, straight = (1.0 - a) * xp.exp(u), a * u
                left = bent + straight - d
                noise = rounding * (xp.abs(bent) + xp.abs(straight))  # less is 0, or rounding sends Newton's method astray
                return xp.where(xp.abs(left) <= noise, 0.0 * u, left), bent + a

            start = arrays.clip(state[0], None, 0.0)
            start = xp.where(start < low, low, xp.where(start > high, high, start))
            state[0] = increasing_root(equation, low, high, start)
            return state[0]

        def entries(nu: Array) -> Array:
            if isinstance(a, (int, float)) and a < 1:  # c y + log(c y) = (x - nu)/a + log c with c = (1 - a)/a
                c = (1.0 - a) / a
                with np.errstate(over="ignore"):
                    z = (x - nu) / a + math.log(c)
                return wright_omega(z) / c
            return xp.exp(logarithms(nu))

        def excess(nu: Array) -> tuple[Array, Array]:
            y = entries(nu)
            slope = y / ((1.0 - a) * y + a)
            left = 1.0 - xp.sum(y, axis=-1, keepdims=True)
            left = xp.where(xp.abs(left) <= 4.0 * rounding, 0.0 * left, left)
            return left, xp.sum(slope, axis=-1, keepdims=True)

        low, high = xp.where(lowest < highest, lowest, highest), xp.where(lowest < highest, highest, lowest)
        start = low if isinstance(a, (int, float)) and a < 1 else 0.5 * (low + high)  # from there, convex: no overshooting
        nu = increasing_root(excess, low, high, start)
        y = entries(nu)
        return y / xp.sum(y, axis=-1, keepdims=True)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        y = self.prox(x, step)
        d = y / ((1.0 - step) * y + step)
        total = self._total(d)
        return SelfAdjointMap(lambda h: d * (h - self._total(d * h) / total), shape_of(x))

    def _total(self, x: Array) -> Array:
        return arrays.namespace(x).sum(x, axis=tuple(range(self.batch_ndim, x.ndim)), keepdims=True)

    def value_formula(self, x: str) -> str:
        return f"f_softmax({x})"


def _softmax(x: Array) -> Array:
    xp = arrays.namespace(x)
    grown = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return grown / xp.sum(grown, axis=-1, keepdims=True)


class Refusal(NamedTuple):
    """Why an activation is the prox of no convex function, and what to use instead."""

    reason: str
    stand_in: str


NOT_A_PROX = {
    "gelu": Refusal("its slope lies in [-0.129, 1.129]", "Softplus() or ELU()"),
    "silu": Refusal("its slope lies in [-0.100, 1.100]", "Softplus() or ELU()"),
    "swish": Refusal("its slope lies in [-0.100, 1.100]", "Softplus() or ELU()"),
    "mish": Refusal("its slope lies in [-0.113, 1.089]", "Softplus() or ELU()"),
    "selu": Refusal("its slope reaches 1.76 at 0", "ELU(), whose slope is at most 1"),
    "hardswish": Refusal("it is not increasing", "HardSigmoid() or NonNegative()"),
    "sin": Refusal("it is not increasing", "Tanh()"),
    "groupsort": Refusal("its Jacobian has the eigenvalue -1", "Max() or another prox of sorted entries"),
}


def refuse_activation(name: str) -> None:
    """Raise CapabilityError, with the reason and a stand-in, when ``name`` is an activation that is no prox.

    A function of one variable is the prox of a convex function exactly when it is increasing and 1-Lipschitz (Moreau 1965;
    Combettes and Pesquet 2020). Names are compared without case, spaces, hyphens and underscores; other names pass.

    Examples
    --------
    >>> refuse_activation("tanh")
    >>> NOT_A_PROX["gelu"].reason
    'its slope lies in [-0.129, 1.129]'
    """
    key = "".join(letter for letter in name.lower() if letter.isalnum())
    if key in NOT_A_PROX:
        refusal = NOT_A_PROX[key]
        raise CapabilityError(
            f"{key} is the prox of no convex function, because {refusal.reason}: an equilibrium need not exist or be unique; "
            f"use {refusal.stand_in} instead"
        )
