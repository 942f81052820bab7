"""Nonconvex sets with a closed-form projection, marked nonconvex.

A projection on a nonconvex set is *a* nearest point; where several are equally near the docstring says which one is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, DataError
from monops.functions.arguments import check_prox
from monops.functions.function import Function
from monops.functions.nonconvex.nonconvex import check_positive
from monops.functions.sample import Sample
from monops.functions.separable import Separable, shape_of
from monops.linear import BroadcastMap, Diagonal, DiagonalPlusRankOne, LinearMap, SelfAdjointMap

__all__ = ["BinarySet", "L0Ball", "Sphere", "Stiefel"]


@dataclass(frozen=True, eq=False)
class Nonconvex(Function):
    """A function that is not convex: no constants are claimed, no conjugate is offered."""

    @property
    def is_convex(self) -> bool:
        return False

    @cached_property
    def constants(self) -> Constants:
        return Constants()

    def conjugate(self) -> Function:
        raise CapabilityError(
            f"{type(self).__name__} is nonconvex: the conjugate of its conjugate is not the function itself, so that "
            "primal-dual methods do not apply"
        )


def rows_of(x: Array, batch_ndim: int) -> Array:
    """x with everything behind the batch axes flattened to one axis."""
    return arrays.flat_rows(x, batch_ndim)


@final
@dataclass(frozen=True, eq=False)
class L0Ball(Nonconvex):
    """Indicator of {x : at most ``count`` entries of a row are nonzero}.

    Notes
    -----
    prox: the ``count`` entries of largest magnitude are kept, the others set to 0; of equal magnitudes the first are kept.
    **Domain** the set. **Constants** none: not convex. **Cost** one sort. **Derivative** of the prox: 1 where x_i is kept,
    else 0.

    References
    ----------
    Blumensath and Davies (2009), Iterative hard thresholding for compressed sensing.

    Examples
    --------
    >>> import numpy as np
    >>> L0Ball(2).prox(np.array([1.0, -3.0, 2.0]))
    array([ 0., -3.,  2.])
    """

    count: int

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 0:
            raise DataError(f"L0Ball: count={self.count!r} must be an integer >= 0, the number of entries that may be nonzero")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(2), (5,), is_complex=False), Sample(lambda a: cls(9), (5,)))

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        found = arrays.row_sum(xp.astype(x != 0, arrays.real_dtype(x)), self.batch_ndim)
        return xp.where(found <= self.count, xp.zeros_like(found), xp.zeros_like(found) + math.inf)

    def _kept(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        magnitude = xp.abs(rows_of(x, self.batch_ndim))
        order = xp.argsort(magnitude, axis=-1, descending=True, stable=True)
        rank = xp.argsort(order, axis=-1)
        return xp.reshape(rank < self.count, x.shape)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        xp = arrays.namespace(x)
        return xp.where(self._kept(x) | xp.isnan(x), x, xp.zeros_like(x))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return Diagonal(arrays.namespace(x).astype(self._kept(x), x.dtype))

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_0 <= {self.count})"


@final
@dataclass(frozen=True, eq=False)
class BinarySet(Separable):
    """Indicator of {lower, upper} for every entry: the set of binary vectors.

    Notes
    -----
    prox: the nearer of the two values, ``lower`` in the middle. **Domain** the two values. **Constants** none: not convex.
    **Cost** one pass. **Derivative** of the prox: 0.

    References
    ----------
    Diamond, Takapoui and Boyd (2018), A general system for heuristic minimization of convex functions over non-convex sets.

    Examples
    --------
    >>> import numpy as np
    >>> BinarySet().prox(np.array([0.2, 0.7, -3.0]))
    array([0., 1., 0.])
    """

    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        if not -math.inf < self.lower < self.upper < math.inf:
            raise DataError(f"BinarySet: lower={self.lower!r} must be less than upper={self.upper!r}, both finite")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(-1.0, 1.0), (5,)),)

    @property
    def is_convex(self) -> bool:
        return False

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def domain(self) -> Function:
        return self

    @cached_property
    def constants(self) -> Constants:
        return Constants()

    def conjugate(self) -> Function:
        raise CapabilityError("BinarySet is nonconvex: use its convex relaxation Box(lower, upper), whose conjugate it shares")

    def entry_value(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        inside = (x == self.lower) | (x == self.upper)
        return xp.where(inside, xp.zeros_like(x), xp.zeros_like(x) + math.inf)

    def entry_prox(self, x: Array, step: Any) -> Array:
        xp = arrays.namespace(x)
        zero = xp.zeros_like(x)
        nearest = xp.where(x > 0.5 * (self.lower + self.upper), zero + self.upper, zero + self.lower)
        return xp.where(xp.isnan(x), x, nearest)

    def entry_prox_derivative(self, x: Array, p: Array, step: Any) -> Array:
        return 0.0 * p

    def value_formula(self, x: str) -> str:
        return f"i({x} in {{{self.lower:g}, {self.upper:g}}})"


@final
@dataclass(frozen=True, eq=False)
class Sphere(Nonconvex):
    """Indicator of {x : |x|_2 = radius}, over all entries of a row.

    Notes
    -----
    prox: radius x/|x|; at x = 0, where every point of the sphere is nearest, equal entries. **Domain** the sphere.
    **Constants** none: not convex. **Cost** two passes. **Derivative** of the prox: (radius/|x|)(I - v v*), v = x/|x|; 0 at 0.

    References
    ----------
    Bauschke and Combettes (2017), chapter 3, for projections on nonconvex sets.

    Examples
    --------
    >>> import numpy as np
    >>> Sphere(2.0).prox(np.array([3.0, 4.0]))
    array([1.2, 1.6])
    """

    radius: float = 1.0

    def __post_init__(self) -> None:
        check_positive("Sphere", radius=self.radius)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(1.3), (5,)),)

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        size = arrays.norm(x, self.batch_ndim)
        xp = arrays.namespace(size)
        inside = xp.abs(size - self.radius) <= 16 * arrays.epsilon(x) * max(float(self.radius), 1.0)
        return xp.where(inside, xp.zeros_like(size), xp.zeros_like(size) + math.inf)

    def _unit(self, x: Array) -> tuple[Array, Array]:
        """x/|x| (equal entries for x = 0) and |x| of each row, kept for broadcasting."""
        size, unit = arrays.polar(x, tuple(range(self.batch_ndim, x.ndim)))
        even = 1.0 / math.prod(x.shape[self.batch_ndim :]) ** 0.5
        return arrays.namespace(x).where(size == 0, unit + even, unit), size

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.radius * self._unit(x)[0]

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        unit, size = self._unit(x)
        xp = arrays.namespace(x)
        slope = xp.where(size > 0, self.radius / xp.where(size > 0, size, xp.ones_like(size)), xp.zeros_like(size))
        return DiagonalPlusRankOne(slope, unit, -slope, tuple(range(self.batch_ndim, x.ndim)))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        return {"radius": BroadcastMap(self._unit(x)[0])}

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_2 = {self.radius:g})"


@final
@dataclass(frozen=True, eq=False)
class Stiefel(Nonconvex):
    """Indicator of {X (m, n) : X*X = I}, m >= n: matrices with orthonormal columns; further axes index further matrices.

    Notes
    -----
    prox: the polar factor U V* of X = U S V*; unique where no singular value is 0. **Domain** the set. **Constants** none: not
    convex. **Cost** one singular value decomposition, m n^2. **Derivative** of the prox: h -> U (F o (U*hV - V*h*U)) V* +
    (I - U U*) h V S^-1 V*, F_ij = 1/(s_i + s_j).

    References
    ----------
    Fan and Hoffman (1955), Some metric inequalities in the space of matrices; Higham (1986), Computing the polar decomposition.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Stiefel().prox(np.array([[2.0, 0.0], [0.0, -0.5], [0.0, 0.0]])), 12) + 0.0
    array([[ 1.,  0.],
           [ 0., -1.],
           [ 0.,  0.]])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), (4, 2), accuracy=1e-10), Sample(lambda a: cls(), (3, 3), accuracy=1e-10))

    @property
    def is_indicator(self) -> bool:
        return True

    def _check(self, x: Array) -> None:
        if x.ndim < 2 or x.shape[-2] < x.shape[-1]:
            raise DataError(f"Stiefel: x has shape {tuple(x.shape)}; columns can be orthonormal only with rows >= columns")

    def __call__(self, x: Array) -> Array:
        self._check(x)
        xp = arrays.namespace(x)
        gram = xp.matrix_transpose(x) @ x
        off = xp.abs(gram - xp.eye(x.shape[-1], dtype=x.dtype, device=arrays.device(x)))
        worst = xp.max(arrays.flat_rows(off, self.batch_ndim), axis=-1)
        inside = worst <= 64 * arrays.epsilon(x) * x.shape[-2]
        return xp.where(inside, xp.zeros_like(worst), xp.zeros_like(worst) + math.inf)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        self._check(x)
        still = autodiff.detach(x)
        xp = arrays.namespace(still)
        bad = xp.any(xp.isnan(still), axis=(-2, -1), keepdims=True)
        U, _, Vh = xp.linalg.svd(xp.where(bad, xp.zeros_like(still), still), full_matrices=False)
        factor = U @ Vh
        return self.with_derivative(x, step, xp.where(bad, factor + math.nan, factor))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        U, s, Vh = xp.linalg.svd(x, full_matrices=False)
        V, Uh = xp.matrix_transpose(Vh), xp.matrix_transpose(U)
        total = s[..., :, None] + s[..., None, :]
        inverse = xp.where(total > 0, 1.0 / xp.where(total > 0, total, xp.ones_like(total)), xp.zeros_like(total))
        reciprocal = xp.where(s > 0, 1.0 / xp.where(s > 0, s, xp.ones_like(s)), xp.zeros_like(s))

        def apply(h: Array) -> Array:
            core = Uh @ h @ V
            turned = U @ (inverse * (core - xp.matrix_transpose(core))) @ Vh
            rest = h @ V
            return turned + ((rest - U @ (Uh @ rest)) * reciprocal[..., None, :]) @ Vh

        return SelfAdjointMap(apply, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"i({x}*{x} = I)"
