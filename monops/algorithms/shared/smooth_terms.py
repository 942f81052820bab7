"""Smooth convex terms without a global constant: their roles and sum, a first step, and how far the model of a step is off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.roles import alone, describe, forward_operator, require_resolvent
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion, Term
from monops.theory import Guarantee, Missing

PROBE = 1e-3  # length of the first probe of a gradient, relative to 1 + |x|
CLEAR = 1e3  # roundings of the value below which a difference of values says nothing


@dataclass(frozen=True, eq=False)
class SmoothSum:
    """The sum of convex terms with gradients: forward value and, where every term has one, value."""

    terms: tuple[Term, ...]

    @cached_property
    def _operator(self) -> Any:
        return forward_operator(self.terms)

    @property
    def constants(self) -> Constants:
        """Constants of the sum."""
        return self._operator.constants

    @property
    def has_value(self) -> bool:
        """Whether the value of the sum is known."""
        return all(getattr(term.summand, "has_value", False) for term in self.terms)

    def forward(self, x: Array) -> Array:
        """The gradient of the sum."""
        return self._operator.forward(x)

    def value(self, x: Array) -> Array:
        """The value of the sum, one a row."""
        total = _value(self.terms[0], x)
        for term in self.terms[1:]:
            total = total + _value(term, x)
        return total


def _value(term: Term, x: Array) -> Array:
    function: Any = term.summand
    return function(x if term.map is None else term.map.apply(x))


class SmoothRoles(NamedTuple):
    """Terms that need their prox, and the sum of those that go by their gradients."""

    resolvents: tuple[Any, ...]
    smooth: SmoothSum


def smooth_roles(problem: Inclusion, most: int, way_out: str) -> SmoothRoles | Missing:
    """Every convex term with a gradient goes forward, whether or not its Lipschitz constant is known; the rest: proxes."""

    def usable(term: Term) -> bool:
        return bool(term.has_forward and term.constants.cyclic and term.constants.monotone)

    rest = tuple(alone(term) for term in problem.terms if not usable(term))
    for operator in rest:
        missing = require_resolvent(operator, None)
        if missing is not None:
            return missing
        if not operator.constants.cyclic:
            return Missing(
                "the adaptive step is proven for convex functions only, and a term is an operator",
                "use ForwardBackward, DavisYin or ForwardBackwardForward",
            )
    smooth = tuple(term for term in problem.terms if usable(term))
    if not smooth:
        return Missing("no term is a convex function with a gradient", "use DouglasRachford")
    if len(rest) > most:
        labels = " and ".join(map(describe, rest))
        return Missing(f"{len(rest)} terms need their proxes: {labels}", way_out)
    return SmoothRoles(rest, SmoothSum(smooth))


def first_step(smooth: SmoothSum, x: Array, gradient: Array, fallback: float, batch_ndim: int) -> Array:
    """1/L of each row, L measured between x and a point close by against the gradient; ``fallback`` where it shows none."""
    size = arrays.norm(gradient, batch_ndim)
    length = PROBE * (1.0 + arrays.norm(x, batch_ndim))
    probe = x - arrays.scale_rows(adaptive.ratio(length, size, 0.0), gradient)
    change = arrays.norm(smooth.forward(probe) - gradient, batch_ndim)
    xp = arrays.namespace(change)
    seen = xp.where(change > 16.0 * arrays.epsilon(change) * size, change, xp.zeros_like(change))
    step = adaptive.ratio(arrays.norm(probe - x, batch_ndim), seen, fallback)
    return xp.where(step > 0, step, xp.zeros_like(step) + fallback)


def any_first_step(fallback: float, rate: str, source: str) -> Guarantee:
    """What is proven of a method whose steps adapt themselves: every positive first step."""
    return Guarantee(interval=(0, math.inf), best_step=fallback, formula="0 < step_size", rate=rate, source=source)


class Descent(NamedTuple):
    """From z to x, one number a row: the gap h(x) - h(z) - <grad h(z), x - z>, what rounding may hide of it, |x - z|^2/2, and
    whether h(z) is NaN.
    """

    gap: Array
    half_square: Array
    rounding: Array
    broken: Array

    def within(self, step: Array) -> Array:
        """Whether the values show the gap to be at most |x - z|^2/(2 step)."""
        model = self.half_square / step
        return (model > self.rounding) & (self.gap <= model)


def descent(smooth: SmoothSum, z: Array, value: Array, gradient: Array, x: Array, batch_ndim: int) -> Descent:
    """Measure a step from z, with its value and gradient, to x."""
    change, new = x - z, smooth.value(x)
    xp = arrays.namespace(value)
    rounding = CLEAR * arrays.epsilon(value) * (xp.abs(value) + xp.abs(new))
    gap = new - value - arrays.inner(gradient, change, batch_ndim)
    return Descent(gap, 0.5 * arrays.inner(change, change, batch_ndim), rounding, xp.isnan(value))


def accepted(smooth: SmoothSum, found: Descent, z: Array, gradient: Array, x: Array, step: Array, batch_ndim: int) -> Array:
    """Whether h(x) <= h(z) + <grad h(z), x - z> + |x - z|^2/(2 step), in every row.

    Where rounding hides it in the values, from the gradients: <grad h(x) - grad h(z), x - z> bounds the gap of a convex h.
    A row that is broken already (NaN) is let through: it must not shrink the step of the others.
    """
    good = found.within(step) | found.broken
    if arrays.holds_everywhere(good):
        return good
    bound = arrays.inner(smooth.forward(x) - gradient, x - z, batch_ndim)
    return good | (bound <= found.half_square / step)


def lengthened(found: Descent, step: Array, factor: float, allowed: Array, *operators: Any) -> Array:
    """factor times the step of each row whose curvature is at most half of what that step is accepted for, where ``allowed``.

    Rows share a step where the operators take one only: those at rest, or broken, then follow the others.
    """
    xp = arrays.namespace(step)
    longest = 2.0 * factor * step
    held = (found.half_square / longest > found.rounding) | ~allowed
    free = xp.where(held, step, xp.zeros_like(step) + math.inf)
    new = adaptive.shared(xp.where(found.within(longest) & allowed, factor * step, free), *operators)
    return xp.where(new < math.inf, new, step)
