"""Separable functions f(x) = sum_i phi_i(x_i): value, subdifferential, prox and its derivatives from a few scalar formulas."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import BackendError, CapabilityError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.function import Function
from monops.functions.roots import increasing_root
from monops.linear import BroadcastMap, Diagonal, LinearMap

BLOCK = 8192  # entries: a few temporaries of this length fit into the second-level cache


@dataclass(frozen=True, eq=False)
class Separable(Function):
    """f(x) = sum over entries of phi(x_i), phi closed and convex; data fields are numbers or arrays that broadcast against x.

    A subclass gives, elementwise and without reading array values on the host,

    - ``entry_value(x)``: phi, infinite outside the domain (never NaN there);
    - ``entry_subdifferential(x)``: the ends (lower, upper) of the interval dphi(x_i), inside the domain; or, when phi is
      differentiable inside its interval, ``entry_slope(x)`` alone;
    - ``interval``: the ends of the domain of phi, when it is not everything;
    - ``entry_prox(x, step)`` in closed form; or ``entry_curvature(x)`` (phi'') and ``entry_bracket(x, step)``, from which the
      prox is found as the root p of p + step phi'(p) = x;
    - ``entry_prox_derivative(x, p, step)`` when phi'' does not give it;
    - ``entry_parameter_slopes(p)``: derivative of phi'(p) in each data field, for the derivative of the prox in it.

    ``step`` may be an array that broadcasts against x: entries are independent.
    """

    # ---- what a subclass writes ---------------------------------------------------------------------
    def entry_value(self, x: Array) -> Array:
        """phi of every entry."""
        raise CapabilityError(f"{type(self).__name__} has no closed-form value")

    def entry_slope(self, x: Array) -> Array:
        """phi' of every entry inside the domain."""
        raise CapabilityError(f"{type(self).__name__} is not differentiable everywhere: use its prox")

    def entry_subdifferential(self, x: Array) -> tuple[Array, Array]:
        """Ends of the interval dphi of every entry (equal where phi is differentiable)."""
        slope = self.entry_slope(x)
        return slope, slope

    def entry_curvature(self, x: Array) -> Array:
        """phi'' of every entry."""
        raise CapabilityError(f"{type(self).__name__} has no closed-form second derivative")

    @property
    def interval(self) -> tuple[Any, Any]:
        """Ends of the domain of phi (numbers, or arrays that broadcast against x); infinite for no end."""
        return -math.inf, math.inf

    def entry_bracket(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """(lower, upper, start) for the root p of p + step phi'(p) = x; right where the domain is everything.

        phi' is increasing, so p lies between x and x - step phi'(x).
        """
        xp = arrays.namespace(x)
        other = x - step * self.entry_slope(x)
        return xp.where(other < x, other, x), xp.where(other < x, x, other), x

    def entry_prox(self, x: Array, step: Any) -> Array:
        """The prox of every entry; here by Newton's method in the bracket, to machine precision."""

        def equation(p: Array) -> tuple[Array, Array]:
            return p + step * self.entry_slope(p) - x, 1.0 + step * self.entry_curvature(p)

        return increasing_root(equation, *self.entry_bracket(x, step))

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        """Derivative of the prox p of every entry in x: 1/(1 + step phi''(p))."""
        return 1.0 / (1.0 + step * self.entry_curvature(p))

    def entry_parameter_slopes(self, p: Array) -> dict[str, Array]:
        """For each differentiable data field, the derivative of phi'(p) in it; valid where the prox moves with x."""
        return {}

    @property
    def takes_many_steps(self) -> bool:
        return True

    # ---- what follows --------------------------------------------------------------------------------
    @property
    def solves_for_prox(self) -> bool:
        """Whether the prox is found by iteration (its derivative is then attached, not recorded)."""
        return type(self).entry_prox is Separable.entry_prox

    @property
    def has_value(self) -> bool:
        return type(self).entry_value is not Separable.entry_value

    @property
    def domain(self) -> Function:
        from monops.functions.sets.sets import Box  # a box is separable: the one import that cannot stand above

        return Box(*self.interval, batch_ndim=self.batch_ndim)

    @cached_property
    def _data(self) -> tuple[tuple[str, Array], ...]:
        return tuple((name, data) for name, data in self.named_arrays() if data.ndim > 0)

    def _check_data(self, x: Array) -> None:
        """Raise unless the data arrays are of the library of x and broadcast against it without making it larger."""
        for name, data in self._data:
            if arrays.namespace(data) is not arrays.namespace(x):
                raise BackendError(
                    f"{name} is an array of {arrays.library(data)}, but x is one of {arrays.library(x)}: convert one of them"
                )
            missing = x.ndim - data.ndim
            if missing < 0 or any(n not in (1, m) for n, m in zip(data.shape, x.shape[missing:], strict=True)):
                raise ShapeError(
                    f"{name} has shape {tuple(data.shape)}, which does not broadcast against x of shape {tuple(x.shape)}: "
                    "give one number, or one for each entry of a point"
                )

    def __call__(self, x: Array) -> Array:
        self._check_data(x)
        return arrays.row_sum(self.entry_value(x), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        self._check_data(x)
        if not self.solves_for_prox:
            return self.entry_prox(x, step)
        if type(x) is np.ndarray and isinstance(step, (int, float)):
            return self._prox_in_blocks(x, step)
        still = self.detached()
        if still is self and not autodiff.tracks_gradient(x, step):
            return self.entry_prox(x, step)
        return self.with_derivative(x, step, still.entry_prox(autodiff.detach(x), autodiff.detach(step)))

    def _prox_in_blocks(self, x: np.ndarray[Any, Any], step: float) -> Array:
        """The prox on NumPy: a long array in blocks that stay in the cache, where data are numbers; about twice as fast."""
        fields = (getattr(self, entry.name) for entry in dataclasses.fields(self))
        if x.size <= 2 * BLOCK or not all(isinstance(value, (int, float)) for value in fields):
            return self.entry_prox(x, step)
        flat = x.reshape(-1)
        result = np.empty_like(flat)
        for start in range(0, flat.size, BLOCK):
            result[start : start + BLOCK] = self.entry_prox(flat[start : start + BLOCK], step)
        return result.reshape(x.shape)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return Diagonal(self.entry_prox_derivative(x, self.prox(x, step), step))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        p = self.prox(x, step)
        slopes = self.entry_parameter_slopes(p)
        if not slopes:
            return {}
        moving = -step * self.entry_prox_derivative(x, p, step)
        return {name: BroadcastMap(moving * slope, shape_of(getattr(self, name))) for name, slope in slopes.items()}

    def distance_to_subdifferential(self, x: Array, v: Array) -> Array:
        """Distance of each v_i from the interval dphi(x_i): 0 exactly when v is a subgradient at x.

        The score of a coordinate in a working set, and an optimality check: -gradient of the rest in the place of v.
        """
        lower, upper = self.entry_subdifferential(x)
        xp = arrays.namespace(x)
        excess = xp.where(lower - v > v - upper, lower - v, v - upper)
        return arrays.clip(excess, 0.0, None)

    def __mul__(self, factor: Any) -> Function:
        scaled = super().__mul__(factor)  # checks the factor
        if float(factor) == 0.0 or type(self).entry_value is Separable.entry_value:
            return scaled
        from monops.functions.calculus.scaling import ScaledSeparable

        return ScaledSeparable(self, float(factor), batch_ndim=self.batch_ndim)

    __rmul__ = __mul__

    def restrict(self, indices: Array) -> Separable:
        """The same function of the entries ``x[indices]`` of a vector x: data of full length are restricted, numbers kept."""
        changes: dict[str, Any] = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Separable):
                changes[entry.name] = value.restrict(indices)
            elif arrays.is_array(value) and value.ndim == 1 and value.shape[0] != 1:
                changes[entry.name] = arrays.namespace(value).take(value, indices, axis=0)
        return dataclasses.replace(self, **changes)


def shape_of(value: Any) -> tuple[int, ...]:
    """Shape of a data field; ``()`` for a number."""
    return tuple(int(n) for n in value.shape) if arrays.is_array(value) else ()
