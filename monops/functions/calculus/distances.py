"""Distance to a closed convex set, and its square, from the projection alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants, Known
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.function import Function, Zero
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.wrapper import Wrapper, renamed
from monops.linear import BroadcastMap, LinearMap, SelfAdjointMap

__all__ = ["Distance", "SquaredDistance"]


def _check(owner: str, function: Function, weight: float) -> None:
    if not function.is_indicator or not function.is_convex:
        raise DataError(
            f"{owner}: {type(function).__name__} is not the indicator of a closed convex set, such as Box or L2Ball"
        )
    if not 0 < weight < math.inf:
        raise DataError(f"{owner}: weight={weight!r} must be a finite number > 0")


@final
@dataclass(frozen=True, eq=False)
class Distance(Wrapper):
    """f(x) = weight |x - P(x)|, the Euclidean distance of each row from a closed convex set with projection P.

    Parameters
    ----------
    function : Function
        The indicator of the set.
    weight : float, default 1

    Notes
    -----
    prox: x + min(step weight/d, 1) (P(x) - x) with d = |x - P(x)|. **Domain** everything. **Constants** mu = 0, not smooth;
    f is weight-Lipschitz. **Cost** one projection. **Derivative** of the prox: J = P'(x) where d <= step weight (the
    projection itself; also at the kink), else I - step weight (I - J - v v*)/d with v = (x - P(x))/d.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import NonNegative
    >>> Distance(NonNegative()).prox(np.array([3.0, -4.0]), 1.0)
    array([ 3., -3.])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        _check("Distance", self.function, self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.sets.balls import L2Ball
        from monops.functions.sets.sets import NonNegative

        return (
            Sample(lambda a: cls(NonNegative(), 0.8), (5,), lambda cp, y: 0.8 * cp.norm(cp.neg(y), 2)),
            Sample(lambda a: cls(L2Ball(1.5), 0.7), (5,), lambda cp, y: 0.7 * cp.pos(cp.norm(y, 2) - 1.5)),
        )

    @property
    def has_value(self) -> bool:
        return True

    @property
    def has_gradient(self) -> bool:
        return False

    @cached_property
    def constants(self) -> Constants:
        return Constants(cyclic=True)

    @property
    def value_lipschitz(self) -> Known:
        return Known(float(self.weight), "computed: the weight")

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        return self.weight * arrays.norm(x - self.function.prox(x), self.batch_ndim)

    def _away(self, x: Array) -> tuple[Array, Array]:
        """x - P(x), and the distance of each row, shaped to broadcast against x."""
        away = x - self.function.prox(x)
        d = arrays.norm(away, self.batch_ndim)
        return away, d if isinstance(x, tuple) else arrays.namespace(d).reshape(d, d.shape + (1,) * (x.ndim - d.ndim))

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        away, d = self._away(x)
        reach = step * self.weight
        xp = arrays.namespace(d)
        share = xp.where(d <= reach, xp.ones_like(d), reach / xp.where(d <= reach, xp.ones_like(d), d))
        return x - share * away

    def conjugate(self) -> Function:
        from monops.functions.calculus.duality import Conjugate

        return Conjugate(self, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        away, d = self._away(x)
        reach = step * self.weight
        jacobian = self.function.prox_derivative(x)
        xp = arrays.namespace(d)
        near = d <= reach
        safe = xp.where(near, xp.ones_like(d), d)
        unit = away / safe

        def apply(h: Array) -> Array:
            inside = jacobian.apply(h)
            along = arrays.inner(unit, h, self.batch_ndim)
            along = xp.reshape(along, d.shape) * unit
            outside = h - (reach / safe) * (h - inside - along)
            return xp.where(near, inside, outside)

        return SelfAdjointMap(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        away, d = self._away(x)
        xp = arrays.namespace(d)
        near = d <= step * self.weight
        column = xp.where(near, 0.0 * away, -step * away / xp.where(near, xp.ones_like(d), d))
        return {"weight": BroadcastMap(column)}

    def value_formula(self, x: str) -> str:
        weight = "" if self.weight == 1 else f"{self.weight:g} "
        return f"{weight}distance({x}, {self.function.value_formula('.')})"


@final
@dataclass(frozen=True, eq=False)
class SquaredDistance(Wrapper):
    """f(x) = weight/2 |x - P(x)|^2, half the squared distance from a closed convex set with projection P.

    Notes
    -----
    prox: x + step weight/(1 + step weight) (P(x) - x). Gradient weight (x - P(x)). **Domain** everything. **Constants**
    mu = 0, L = weight. **Cost** one projection. **Derivative** of the prox: (I + step weight J)/(1 + step weight), J = P'(x).

    References
    ----------
    Bauschke and Combettes (2017), chapters 12 and 24.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import NonNegative
    >>> SquaredDistance(NonNegative()).prox(np.array([3.0, -4.0]), 1.0)
    array([ 3., -2.])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        _check("SquaredDistance", self.function, self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.sets.balls import L2Ball
        from monops.functions.sets.sets import NonNegative

        return (
            Sample(lambda a: cls(NonNegative(), 0.8), (5,), lambda cp, y: 0.4 * cp.sum_squares(cp.neg(y)), exact=False),
            Sample(lambda a: cls(L2Ball(1.5), 0.7), (5,), lambda cp, y: 0.35 * cp.square(cp.pos(cp.norm(y, 2) - 1.5))),
        )

    @property
    def has_value(self) -> bool:
        return True

    @property
    def has_gradient(self) -> bool:
        return self.function.has_prox

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=float(self.weight), cyclic=True, why="computed: the weight")

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        away = x - self.function.prox(x)
        return 0.5 * self.weight * arrays.inner(away, away, self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        return self.weight * (x - self.function.prox(x))

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        s = step * self.weight
        return x + (s / (1.0 + s)) * (self.function.prox(x) - x)

    def conjugate(self) -> Function:
        return self.function.conjugate().add_quadratic(1.0 / self.weight)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        s, jacobian = step * self.weight, self.function.prox_derivative(x)
        return SelfAdjointMap(lambda h: h + (s / (1.0 + s)) * (jacobian.apply(h) - h), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        s = step * self.weight
        column = (step / (1.0 + s) ** 2) * (self.function.prox(x) - x)
        maps = renamed(self.function.prox_parameter_derivatives(x), s / (1.0 + s))
        return {"weight": BroadcastMap(column)} | maps

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g}/2 distance^2({x}, {self.function.value_formula('.')})"
