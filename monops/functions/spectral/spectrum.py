"""What spectral.py and eigenvalues.py share: decompositions, divided differences, and functions of singular values.

A matrix variable has the shape (..., m, n): the first ``batch_ndim`` axes are rows, and the axes between them and the last two
count independent matrices, whose values are added.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.calculus.duality import Conjugate
from monops.functions.feasibility import DataDerivative
from monops.functions.function import Function, Zero
from monops.functions.separable import Separable
from monops.linear import Diagonal, DiagonalPlusRankOne, LinearMap, SelfAdjointMap


def adjoint(x: Array) -> Array:
    """The conjugate transpose of every matrix."""
    xp = arrays.namespace(x)
    swapped = xp.matrix_transpose(x)
    return xp.conj(swapped) if xp.isdtype(x.dtype, "complex floating") else swapped


def real(x: Array) -> Array:
    """The real part; a real array as it is."""
    xp = arrays.namespace(x)
    return xp.real(x) if xp.isdtype(x.dtype, "complex floating") else x


def symmetric_part(x: Array) -> Array:
    """(X + X*)/2 without overflow."""
    half = 0.5 * x
    return half + adjoint(half)


def check_matrix(owner: str, x: Array, square: bool = False) -> None:
    """Raise ShapeError unless the last two axes are those of a matrix with entries (a square one)."""
    if x.ndim < 2 or 0 in x.shape[-2:] or (square and x.shape[-1] != x.shape[-2]):
        raise ShapeError(
            f"{owner}: x has shape {tuple(x.shape)}; the last two axes must be those of a "
            f"{'square matrix' if square else 'matrix'} with at least one entry"
        )


def tamed(x: Array) -> tuple[Array, Array, Array]:
    """The matrices in a range that a decomposition survives, the scale taken out, and which have a NaN or an infinity.

    Those are replaced by 0, because libraries raise, or never return, at a NaN.
    """
    xp = arrays.namespace(x)
    size = xp.max(xp.abs(x), axis=(-2, -1), keepdims=True)
    broken = ~xp.isfinite(size)
    limit = float(xp.finfo(size.dtype).max) ** 0.25
    plain = (size == 0) | ((size < limit) & (size > 1.0 / limit))
    one = xp.ones_like(size)
    if arrays.holds_everywhere(plain):
        return x, one, broken
    scale = xp.where(plain | broken, one, size)
    return xp.where(broken, xp.zeros_like(x), x / xp.astype(scale, x.dtype)), scale, broken


def with_nan(x: Array, broken: Array) -> Array:
    """x, and NaN where the matrix it comes from was broken."""
    xp = arrays.namespace(x)
    return x if arrays.holds_everywhere(~broken) else xp.where(broken, xp.zeros_like(x) + np.nan, x)


def singular_values(x: Array) -> Array:
    """Singular values, largest first; NaN for a matrix with a NaN or an infinity."""
    xp = arrays.namespace(x)
    tame, scale, broken = tamed(x)
    return with_nan(xp.linalg.svdvals(tame) * scale[..., 0], broken[..., 0])


def eigenvalues(x: Array) -> Array:
    """Eigenvalues of the symmetric part, smallest first; NaN for a matrix with a NaN or an infinity."""
    xp = arrays.namespace(x)
    tame, scale, broken = tamed(x)
    return with_nan(xp.linalg.eigvalsh(symmetric_part(tame)) * scale[..., 0], broken[..., 0])


def dense(jacobian: LinearMap, s: Array) -> Array:
    """The matrix of the derivative of the inner prox, one for each vector s (last axis)."""
    xp = arrays.namespace(s)
    n = s.shape[-1]
    unit = xp.eye(n, dtype=s.dtype, device=arrays.device(s))
    if isinstance(jacobian, Diagonal):
        return unit * (jacobian.diagonal + xp.zeros_like(s))[..., None]
    if isinstance(jacobian, DiagonalPlusRankOne) and jacobian.axes == (s.ndim - 1,):
        diagonal, vector = jacobian.diagonal + xp.zeros_like(s), jacobian.vector
        coefficient = jacobian.coefficient + xp.zeros_like(s[..., :1])
        return unit * diagonal[..., None] + (coefficient * vector)[..., :, None] * vector[..., None, :]
    return xp.stack([jacobian.apply(unit[j, :] + xp.zeros_like(s)) for j in range(n)], axis=-1)


class Slopes:
    """Divided differences of the vector map s -> p = prox_g(s), in which the derivative of the matrix map is written.

    Parameters
    ----------
    s, p : array
        Singular values or eigenvalues, and their prox.
    jacobian : LinearMap
        Derivative J of the inner prox at s.
    is_convex : bool
        Whether quotients lie in [0, 1], so that rounding may be cut off.

    Notes
    -----
    ``across`` has (p_i - p_j)/(s_i - s_j), which is (J_ii + J_jj - J_ij - J_ji)/2 in the limit s_i = s_j. That mean, the
    trapezoidal rule for a J that changes along the segment, is taken where the quotient would have lost more digits: for gaps
    below the cube root of epsilon where J changes little, and above the square root only where the two agree up to rounding. At
    a tie with a kink it is an element of the Clarke Jacobian. ``opposite`` has (p_i + p_j)/(s_i + s_j), the divided difference
    to the mirror image -s_j, and (J_ii + J_jj)/2 at 0: there J_ij = 0, because g does not depend on signs.
    """

    def __init__(self, s: Array, p: Array, jacobian: LinearMap, is_convex: bool) -> None:
        xp = arrays.namespace(s)
        self.s, self.p, self.jacobian, self.is_convex = s, p, jacobian, is_convex
        matrix = dense(jacobian, s)
        self.diagonal = xp.linalg.diagonal(matrix)
        self.unit = xp.eye(s.shape[-1], dtype=s.dtype, device=arrays.device(s))
        self.pair = self.diagonal[..., :, None] + self.diagonal[..., None, :]
        self.mixed = (matrix + xp.matrix_transpose(matrix)) * (1.0 - self.unit)

    def _cut(self, quotient: Array) -> Array:
        return arrays.clip(quotient, 0.0, 1.0) if self.is_convex else quotient

    @cached_property
    def across(self) -> Array:
        """The divided differences; 0 on the diagonal."""
        xp = arrays.namespace(self.s)
        gap = self.s[..., :, None] - self.s[..., None, :]
        size = xp.max(xp.abs(self.s), axis=-1, keepdims=True)[..., None]
        epsilon = arrays.epsilon(self.s)
        change = self.diagonal[..., :, None] - self.diagonal[..., None, :]
        limit, distance = 0.5 * (self.pair - self.mixed), xp.abs(gap)
        quotient = (self.p[..., :, None] - self.p[..., None, :]) / xp.where(gap == 0, xp.ones_like(gap), gap)
        near = (distance <= epsilon**0.5 * size) | (xp.abs(quotient - limit) * distance <= (32.0 * epsilon) * size)
        near = near & (distance <= epsilon ** (1.0 / 3.0) * size) & (change * change * distance <= (8.0 * epsilon) * size)
        return self._cut(xp.where(near | (gap == 0), limit, quotient)) * (1.0 - self.unit)

    @cached_property
    def opposite(self) -> Array:
        """The divided differences to the mirror images; p_i/s_i on the diagonal."""
        xp = arrays.namespace(self.s)
        total = self.s[..., :, None] + self.s[..., None, :]
        zero = total == 0
        quotient = (self.p[..., :, None] + self.p[..., None, :]) / xp.where(zero, xp.ones_like(total), total)
        return self._cut(xp.where(zero, 0.5 * self.pair, quotient))

    @cached_property
    def ratio(self) -> Array:
        """p_i/s_i; J_ii where s_i = 0."""
        return arrays.namespace(self.s).linalg.diagonal(self.opposite)

    def on_diagonal(self, core: Array) -> Array:
        """The diagonal matrix of J applied to the real diagonal of ``core``."""
        xp = arrays.namespace(core)
        moved = self.jacobian.apply(real(xp.linalg.diagonal(core)))
        return xp.astype(self.unit, core.dtype) * xp.astype(moved, core.dtype)[..., None]


class SingularValues:
    """X = U diag(values) V*, thin."""

    def __init__(self, x: Array) -> None:
        tame, scale, self.broken = tamed(x)
        self.left, values, self.right = arrays.namespace(x).linalg.svd(tame, full_matrices=False)
        self.values = values * scale[..., 0]

    def spread(self, p: Array) -> Array:
        """U diag(p) V*."""
        return with_nan((self.left * p[..., None, :]) @ self.right, self.broken)

    def compose(self, p: Array) -> Array:
        """The matrix that belongs to the values p."""
        return self.spread(p)

    def core(self, h: Array) -> Array:
        """U* H V."""
        return adjoint(self.left) @ h @ adjoint(self.right)

    def derivative(self, slopes: Slopes) -> LinearMap:
        """The derivative of U diag(p(s)) V* in X, where p is the map whose slopes are given."""
        m, n, r = self.left.shape[-2], self.right.shape[-1], self.values.shape[-1]

        def apply(h: Array) -> Array:
            left_core = adjoint(self.left) @ h
            core = left_core @ adjoint(self.right)
            even, odd = symmetric_part(core), 0.5 * (core - adjoint(core))
            inner = slopes.across * even + slopes.opposite * odd + slopes.on_diagonal(core)
            moved = self.left @ inner @ self.right
            if m > r:
                rest = h @ adjoint(self.right) - self.left @ core
                moved = moved + (rest * slopes.ratio[..., None, :]) @ self.right
            if n > r:
                rest = left_core - core @ self.right
                moved = moved + self.left @ (slopes.ratio[..., :, None] * rest)
            return moved

        return SelfAdjointMap(apply, (*(int(k) for k in self.values.shape[:-1]), m, n))


@dataclass(frozen=True, eq=False)
class OfMatrix(Function):
    """A function of the singular values or of the eigenvalues of a matrix; a subclass says which, and of what form."""

    @property
    @abstractmethod
    def vector(self) -> Function:
        """The function g of the vector of singular values or eigenvalues."""

    @abstractmethod
    def _decompose(self, x: Array) -> Any:
        """The decomposition: ``values``, ``compose(p)``, ``core(h)`` and ``derivative(slopes)``."""

    @property
    def is_convex(self) -> bool:
        return self.vector.is_convex

    @property
    def is_indicator(self) -> bool:
        return self.vector.is_indicator

    @property
    def has_value(self) -> bool:
        return self.vector.has_value

    @property
    def has_prox(self) -> bool:
        return self.vector.has_prox

    @property
    def has_gradient(self) -> bool:
        return self.vector.has_gradient

    @property
    def input_shape(self) -> Any:
        return None

    def conjugate(self) -> Function:
        if self.is_convex:
            return super().conjugate()
        raise CapabilityError(
            f"{type(self).__name__} is nonconvex here: the conjugate of its conjugate is not the function itself, so that "
            "primal-dual methods do not apply; a convex relative is NuclearNorm"
        )

    def _inner(self, x: Array) -> Function:
        """g, reading the values of one matrix as one row."""
        return self.vector.batched(x.ndim - 2)

    def _value_at(self, s: Array, x: Array) -> Array:
        """g at the values s; those that rounding of a matrix of this size may have moved out of the domain go back into it.

        For g that is not convex, and may jump at 0, values of the size of rounding count as 0, as for the rank.
        """
        inner = self._inner(x)
        if not self.is_convex:
            xp = arrays.namespace(s)
            rounding = max(x.shape[-2:]) * arrays.epsilon(s) * xp.max(xp.abs(s), axis=-1, keepdims=True)
            s = xp.where(xp.abs(s) <= rounding, xp.zeros_like(s), s)
        domain = inner.domain
        if domain is not None and not is_everything(domain):
            xp = arrays.namespace(s)
            size = arrays.clip(xp.max(xp.abs(s), axis=-1, keepdims=True), 1.0, None)
            move = domain.prox(s) - s
            near = xp.abs(move) <= (32.0 * arrays.epsilon(s) * float(s.shape[-1]) ** 0.5) * size
            s = s + xp.where(near, move, xp.zeros_like(move))
        return arrays.row_sum(inner(s), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        found, inner = self._decompose(autodiff.detach(x)), self._inner(x)
        point = found.compose(inner.prox(found.values, step))
        if not autodiff.tracks_gradient(x):
            return point
        jacobian = self._derivative(found, inner.detached(), autodiff.detach(step))
        still = 0.0 * autodiff.detach(point)
        return point + autodiff.attach(still, [autodiff.Source(x, jacobian.apply, jacobian.adjoint)])

    def _derivative(self, found: Any, inner: Function, step: Any) -> LinearMap:
        s = found.values
        return found.derivative(Slopes(s, inner.prox(s, step), inner.prox_derivative(s, step), self.is_convex))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._derivative(self._decompose(x), self._inner(x), step)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        found = self._decompose(x)
        maps = self._inner(x).prox_parameter_derivatives(found.values, step)
        mine = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        if isinstance(mine.get("function"), Function):
            return {f"function.{name}": _through(found, part, x) for name, part in maps.items()}
        return {name: _through(found, part, x) for name, part in maps.items() if name in mine}


def _through(found: Any, part: LinearMap, x: Array) -> LinearMap:
    """The derivative of the inner prox in a data field, carried to the matrices."""
    diagonal = arrays.namespace(x).linalg.diagonal
    return DataDerivative(
        lambda change: found.spread(part.apply(change)),
        lambda h: part.adjoint(real(diagonal(found.core(h)))),
        part.input_shape,
        tuple(int(n) for n in x.shape),
    )


@dataclass(frozen=True, eq=False)
class OfSingularValues(OfMatrix):
    """f(X) = g(sigma(X)), where g depends neither on the order nor on the signs of its arguments."""

    def _decompose(self, x: Array) -> SingularValues:
        check_matrix(type(self).__name__, x)
        return SingularValues(x)

    @cached_property
    def constants(self) -> Constants:
        return self.vector.constants

    @property
    def domain(self) -> Function | None:
        if self.is_indicator:
            return self
        inner = self.vector.domain
        if inner is None or is_everything(inner):
            return None if inner is None else Zero(batch_ndim=self.batch_ndim)
        from monops.functions.spectral.spectral import SpectralFunction  # made from this class

        return SpectralFunction(inner, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        check_matrix(type(self).__name__, x)
        return self._value_at(singular_values(x), x)

    def gradient(self, x: Array) -> Array:
        if not self.has_gradient:
            return super().gradient(x)
        found = self._decompose(x)
        return found.spread(self._inner(x).gradient(found.values))

    def conjugate(self) -> Function:
        from monops.functions.spectral.spectral import SpectralFunction  # made from this class

        dual = self.vector.conjugate() if self.is_convex else None
        if dual is None or isinstance(dual, Conjugate):
            return super().conjugate()
        return SpectralFunction(dual, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return self.vector.value_formula(f"sigma({x})")


def is_everything(domain: Function) -> bool:
    """Whether a domain is visibly the whole space."""
    if isinstance(domain, Zero):
        return True
    return isinstance(domain, Separable) and all(
        isinstance(end, float) and end == sign * np.inf for end, sign in zip(domain.interval, (-1, 1), strict=True)
    )
