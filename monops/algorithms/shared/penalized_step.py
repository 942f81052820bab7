"""The first step of ADMM in closed form: x = argmin f(x) + |Kx - v|^2/(2 step), and who plays which role in ADMM.

Closed forms: f by its prox for K = I; f with Hessian w I where K, identities in its stack set aside, has (I + s K*K)^-1 or
is a Gradient (cosine transform); any quadratic f of up to 1000 variables, where one simultaneous diagonalisation of its
Hessian and K*K serves every step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.roles import describe, require_resolvent
from monops.algorithms.shared.saddle_form import BlockResolvent
from monops.arrays import Array
from monops.errors import CapabilityError
from monops.functions import (
    Function,
    LeastSquares,
    Linear,
    MatrixFreeLeastSquares,
    Quadratic,
    QuadraticPerturbation,
    Scaling,
    SquaredL2,
    Tilt,
    Translation,
    Zero,
)
from monops.linear import Gradient, Identity, LinearMap, SparseMatrix, Stack
from monops.problem import Inclusion
from monops.theory import Missing

DENSE_LIMIT = 1000  # variables up to which K*K and a Hessian are diagonalised


class PenalizedStep(ABC):
    """v -> argmin f(x) + |Kx - v|^2/(2 step)."""

    takes_many_steps: bool

    @abstractmethod
    def solve(self, v: Array, step: Array, x: Array, Kx: Array) -> Array:
        """The minimiser, by a correction of x; ``step`` has one entry a row, or is a 0-d array."""


@dataclass(frozen=True, eq=False)
class ByResolvent(PenalizedStep):
    """K = I: the resolvent of f."""

    f: Any

    @property
    def takes_many_steps(self) -> bool:  # type: ignore[override]
        """Whether f takes many steps."""
        return bool(getattr(self.f, "takes_many_steps", False))

    def solve(self, v: Array, step: Array, x: Array, Kx: Array) -> Array:
        return adaptive.resolvent(self.f, v, step)


def _residual(f: Any, K: LinearMap, v: Array, step: Array, x: Array, Kx: Array) -> Array:
    """Minus the gradient of f(x) + |Kx - v|^2/(2 step): what the correction of x answers to."""
    return arrays.scale_rows(1.0 / step, K.adjoint(v - Kx)) - f.forward(x)


@dataclass(frozen=True, eq=False)
class ByInverse(PenalizedStep):
    """Hessian weight I and K*K = identities I + M*M, where M has a regularised inverse, is a Gradient, or is absent."""

    f: Any
    K: LinearMap
    weight: float
    identities: float
    M: LinearMap | None

    @property
    def takes_many_steps(self) -> bool:  # type: ignore[override]
        """Whether the inverse takes one step a row."""
        return not isinstance(self.M, SparseMatrix)

    def solve(self, v: Array, step: Array, x: Array, Kx: Array) -> Array:
        residual = _residual(self.f, self.K, v, step, x, Kx)
        total = self.weight + self.identities / step
        residual = arrays.scale_rows(1.0 / total, residual)
        if self.M is None:
            return x + residual
        inner = 1.0 / (step * total)
        if step.ndim:
            if self.takes_many_steps:
                inner = arrays.namespace(inner).reshape(inner, inner.shape + (1,) * (x.ndim - inner.ndim))
            else:
                inner = float(arrays.namespace(inner).max(inner))  # all entries are equal: the rows share their step
        else:
            inner = float(inner)
        if isinstance(self.M, Gradient):
            return x + neumann_inverse(self.M, residual, inner)
        return x + self.M.regularized_inverse(residual, inner)


def neumann_inverse(gradient: Gradient, y: Array, step: Any) -> Array:
    """(I + step G*G)^-1 y: on the array mirrored along each axis G*G is a circular convolution, diagonal for the FFT."""
    xp, d = arrays.namespace(y), len(gradient.shape)
    if xp.isdtype(y.dtype, "complex floating"):
        return neumann_inverse(gradient, xp.real(y), step) + 1j * neumann_inverse(gradient, xp.imag(y), step)
    axes = tuple(range(-d, 0))
    mirrored = y
    for axis in axes:
        mirrored = xp.concat([mirrored, xp.flip(mirrored, axis=axis)], axis=axis)
    eigenvalues: Any = 0.0
    for place, n in enumerate(gradient.shape):
        frequencies = np.arange(n + 1 if place == d - 1 else 2 * n)
        shape = [-1 if other == place else 1 for other in range(d)]
        eigenvalues = eigenvalues + ((2.0 * np.sin(np.pi * frequencies / (2 * n)) / gradient.spacing) ** 2).reshape(shape)
    symbol = arrays.from_numpy(eigenvalues, y)
    sizes = tuple(2 * n for n in gradient.shape)
    filtered = xp.fft.irfftn(xp.fft.rfftn(mirrored, axes=axes) / (1.0 + step * symbol), s=sizes, axes=axes)
    return filtered[(..., *[slice(0, n) for n in gradient.shape])]


@dataclass(frozen=True, eq=False)
class ByDiagonalization(PenalizedStep):
    """Any quadratic f on arrays of up to 1000 entries: P = Hessian and K*K in one basis of P + scale K*K."""

    f: Any
    K: LinearMap
    like: Array
    takes_many_steps: bool = True

    @cached_property
    def _pencil(self) -> tuple[Array, Array, float]:
        """A basis, the share theta of scale K*K in P + scale K*K along it, and the scale; raises where the sum is singular."""
        xp, shape = arrays.namespace(self.like), self.K.input_shape
        n = math.prod(shape)
        eye = xp.eye(n, dtype=self.like.dtype, device=arrays.device(self.like))
        rows = xp.reshape(eye, (n, *shape))
        gram = xp.reshape(self.K.adjoint(self.K.apply(rows)), (n, n))
        P = xp.reshape(hessian(self.f, rows), (n, n))
        weight, size = float(xp.linalg.trace(P)), float(xp.linalg.trace(gram))
        scale = weight / size if weight > 0 and size > 0 else 1.0
        both = P + scale * gram
        values, vectors = xp.linalg.eigh(0.5 * (both + xp.matrix_transpose(both)))
        if not float(values[0]) > 10.0 * n * arrays.epsilon(self.like) * float(values[-1]):
            raise CapabilityError(
                "the Hessian of f and K*K have a common kernel: the first step of ADMM has no single solution"
            )
        root = vectors / xp.sqrt(values)
        inner = xp.matrix_transpose(root) @ (scale * gram) @ root
        theta, turned = xp.linalg.eigh(0.5 * (inner + xp.matrix_transpose(inner)))
        return root @ turned, arrays.clip(theta, 0.0, 1.0), scale

    @property
    def is_singular(self) -> bool:
        """Whether the Hessian of f and K*K have a common kernel."""
        known, n = self.f.constants, math.prod(self.K.input_shape)
        threshold = 20.0 * n**2 * arrays.epsilon(self.like)
        if float(known.strong_monotonicity) > threshold * float(known.lipschitz):
            return False
        if self.K.smallest_singular_value.value**2 > threshold * self.K.norm.value**2:
            return False
        try:
            return not self._pencil
        except CapabilityError:
            return True

    def solve(self, v: Array, step: Array, x: Array, Kx: Array) -> Array:
        basis, theta, scale = self._pencil
        xp = arrays.namespace(x)
        residual = _residual(self.f, self.K, v, step, x, Kx)
        shape = residual.shape
        flat = arrays.flat_rows(residual, residual.ndim - len(self.K.input_shape))
        many = xp.reshape(step, (*step.shape, *(1,) * (flat.ndim - step.ndim)))
        weights = (1.0 - theta) + theta / (scale * many)
        return x + xp.reshape(((flat @ basis) / weights) @ xp.matrix_transpose(basis), shape)


# ---- what is quadratic ------------------------------------------------------------------------------

_PLAIN = (Zero, Linear, SquaredL2, Quadratic, LeastSquares, MatrixFreeLeastSquares)
_WRAPPED = (Translation, Tilt, Scaling, QuadraticPerturbation)


def is_quadratic(f: Any) -> bool:
    """Whether f is a quadratic function whose Hessian `hessian` can apply."""
    if isinstance(f, _WRAPPED):
        return is_quadratic(f.function)
    return isinstance(f, _PLAIN)


def hessian(f: Any, rows: Array) -> Array:
    """The Hessian of a quadratic f applied to every row."""
    if isinstance(f, (Zero, Linear)):
        return 0.0 * rows
    if isinstance(f, SquaredL2):
        return f.weight * rows
    if isinstance(f, Quadratic):
        return rows @ f.P
    if isinstance(f, (LeastSquares, MatrixFreeLeastSquares)):
        return f.A.adjoint(f.A.apply(rows))
    if isinstance(f, QuadraticPerturbation):
        return hessian(f.function, rows) + f.weight * rows
    return (f.factor if isinstance(f, Scaling) else 1.0) * hessian(f.function, rows)


# ---- roles ----------------------------------------------------------------------------------------------


class SplitForm(NamedTuple):
    """f by its penalised step, B by its resolvents behind K."""

    f: Any
    B: BlockResolvent
    map: LinearMap
    first: PenalizedStep


def split_form(problem: Inclusion) -> SplitForm | Missing:
    """Roles of ADMM: a quadratic term without a map takes the penalised step, every other one its resolvent behind its map.

    Terms without a map get the identity as theirs; with none that is quadratic f = 0, or the only one for K = I.
    """
    simple = [term.summand for term in problem.terms if term.map is None]
    mapped = [(term.summand, term.map) for term in problem.terms if term.map is not None]
    if not mapped and len(simple) < 3:
        return Missing("the problem contains no linear map", "use DouglasRachford")
    shape = problem.input_shape
    if shape is None or (shape and isinstance(shape[0], tuple)):
        return Missing("x is not one array of a shape that the data fix", "use ChambollePock")
    quadratic = [summand for summand in simple if is_quadratic(summand)]
    only_identities = all(isinstance(linear_map, Identity) for _, linear_map in mapped)
    if quadratic:
        f = quadratic[0]
    elif len(simple) == 1 and only_identities and len(mapped) == 1:
        f = simple[0]
    else:
        f = Zero(batch_ndim=problem.batch_ndim)
    mapped += [(summand, Identity(shape)) for summand in simple if summand is not f]
    for operator in [summand for summand, _ in mapped] + ([] if is_quadratic(f) else [f]):
        missing = require_resolvent(operator, None)
        if missing is not None:
            return missing
    B = BlockResolvent(tuple(summand for summand, _ in mapped))
    maps = tuple(linear_map for _, linear_map in mapped if linear_map is not None)
    linear_map = maps[0] if len(maps) == 1 else Stack(maps)
    first = penalized_step(f, linear_map, problem)
    return first if isinstance(first, Missing) else SplitForm(f, B, linear_map, first)


def penalized_step(f: Any, K: LinearMap, problem: Inclusion) -> PenalizedStep | Missing:
    """The closed form of the first step, or why there is none."""
    if isinstance(K, Identity) and f.has_resolvent:
        return ByResolvent(f)
    maps = K.maps if isinstance(K, Stack) else (K,)
    rest = [part for part in maps if not isinstance(part, Identity)]
    known = f.constants
    weight = float(known.strong_monotonicity)
    multiple = known.lipschitz is not None and weight == float(known.lipschitz)
    invertible = len(rest) == 0 or rest[0].has_regularized_inverse or isinstance(rest[0], Gradient)
    if multiple and len(rest) <= 1 and invertible and (weight > 0 or len(rest) < len(maps)):
        return ByInverse(f, K, weight, float(len(maps) - len(rest)), rest[0] if rest else None)
    size = math.prod(K.input_shape)
    if size > DENSE_LIMIT:
        return Missing(
            f"the first step of ADMM, on {describe(f)} and |Kx - v|^2 with {size} variables, has no closed form here",
            "use ChambollePock, LinearizedADMM or CondatVu, which need only products with K",
        )
    like = next((data for _, data in problem.named_arrays() if arrays.is_floating(data)), np.empty(0))
    if arrays.namespace(like).isdtype(like.dtype, "complex floating") or _batched_data(f):
        return Missing("the Hessian of f is complex or differs from row to row", "use ChambollePock")
    first = ByDiagonalization(f, K, like)
    if first.is_singular:
        return Missing(
            f"the Hessian of {describe(f)} and K*K have a common kernel, so that the first step of ADMM has no single solution",
            "use ChambollePock or LinearizedADMM",
        )
    return first


def _batched_data(f: Function) -> bool:
    """Whether the weights of a squared norm in f have batch axes."""
    while isinstance(f, _WRAPPED):
        f = f.function
    return isinstance(f, SquaredL2) and arrays.is_array(f.weight) and f.batch_ndim > 0 and f.weight.ndim > f.batch_ndim
