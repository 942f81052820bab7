"""Smooth losses: least squares, quadratic, logistic, Huber."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.functions.function import Function
from monops.linear import Diagonal, LinearMap, as_linear_map

__all__ = [
    "Huber",
    "LeastSquares",
    "LogisticLoss",
    "Quadratic",
]

NEWTON_STEPS = 60  # safeguarded: Newton inside a bracket that halves; 60 halvings exhaust float64


@final
@dataclass(frozen=True, eq=False)
class LeastSquares(Function):
    """f(x) = 1/2 |Ax - b|^2.

    Parameters
    ----------
    A : array (m, n), SciPy sparse matrix, or any linear map
    b : array of the output shape of A; leading batch axes are allowed

    Raises
    ------
    ShapeError
        When b does not have the output shape of A.

    Notes
    -----
    Gradient A*(Ax - b): two products. prox: (I + step A*A)^-1 (x + step A*b), where A has that inverse; the factorisation is
    kept for every step. **Constants** L = |A|^2, mu = smallest singular value squared, with the provenance of the map.

    Examples
    --------
    >>> import numpy as np
    >>> f = LeastSquares(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([2.0, 1.0]))
    >>> f.gradient(np.zeros(2)), round(f.constants.lipschitz, 9)
    (array([-4., -1.]), 4.0)
    """

    A: Any
    b: Array

    def __post_init__(self) -> None:
        linear_map = as_linear_map(self.A)
        object.__setattr__(self, "A", linear_map)
        arrays.check_floating("LeastSquares.b", self.b)
        shape = linear_map.output_shape
        if tuple(self.b.shape[self.b.ndim - len(shape) :]) != tuple(shape):
            raise ShapeError(f"LeastSquares: b has shape {tuple(self.b.shape)}, but Ax has shape {tuple(shape)}")

    @cached_property
    def constants(self) -> Constants:
        norm, smallest = self.A.norm, self.A.smallest_singular_value
        return Constants(
            smallest.value**2,
            lipschitz=norm.value**2,
            cyclic=True,
            affine=True,
            why={"strong_monotonicity": smallest.why, "lipschitz": f"{norm.why}, squared"},
        )

    @property
    def input_shape(self) -> Any:
        return self.A.input_shape

    def __call__(self, x: Array) -> Array:
        residual = self.A.apply(x) - self.b
        return 0.5 * arrays.inner(residual, residual, self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        return self.A.adjoint(self.A.apply(x) - self.b)

    @property
    def has_prox(self) -> bool:
        return bool(self.A.has_regularized_inverse)

    @cached_property
    def _target(self) -> Array:
        return self.A.adjoint(self.b)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        return self.A.regularized_inverse(x + step * self._target, step)

    def value_formula(self, x: str) -> str:
        return f"1/2 |A{x} - b|^2"


@final
@dataclass(frozen=True, eq=False)
class Quadratic(Function):
    """f(x) = 1/2 <x, Px> + <q, x> for a symmetric positive semidefinite matrix P (n, n).

    Raises
    ------
    DataError
        When P is not symmetric, or has a negative eigenvalue beyond rounding.

    Notes
    -----
    One eigendecomposition (n^3) gives the constants mu, L exactly and the prox for every step. q may have batch rows.

    Examples
    --------
    >>> import numpy as np
    >>> f = Quadratic(np.diag([1.0, 3.0]), np.zeros(2))
    >>> f.prox(np.array([2.0, 8.0]), 1.0)
    array([1., 2.])
    """

    P: Array
    q: Array | None = None

    def __post_init__(self) -> None:
        if self.P.ndim != 2 or self.P.shape[0] != self.P.shape[1]:
            raise ShapeError(f"Quadratic: P must be a square matrix, got shape {tuple(self.P.shape)}")
        arrays.check_floating("Quadratic.P", self.P)
        arrays.check_finite("Quadratic.P", self.P)
        if self.q is not None and self.q.shape[-1] != self.P.shape[0]:
            raise ShapeError(f"Quadratic: q has shape {tuple(self.q.shape)}, but P has shape {tuple(self.P.shape)}")
        xp = arrays.namespace(self.P)
        scale = float(xp.max(xp.abs(self.P)))
        if float(xp.max(xp.abs(self.P - xp.matrix_transpose(self.P)))) > 100 * arrays.epsilon(self.P) * scale:
            raise DataError("Quadratic: P is not symmetric: use (P + P.T)/2, or Affine(P, q) if P is a monotone operator")

    @cached_property
    def _spectrum(self) -> tuple[Array, Array]:
        xp = arrays.namespace(self.P)
        values, vectors = xp.linalg.eigh(self.P)
        least, slack = float(values[0]), 10 * self.P.shape[0] * arrays.epsilon(self.P) * abs(float(values[-1]))
        if least < -slack:
            raise DataError(f"Quadratic: P has the eigenvalue {least:.6g} < 0, so that f is not convex")
        return xp.where(values > 0, values, xp.zeros_like(values)), vectors

    @cached_property
    def constants(self) -> Constants:
        values, _ = self._spectrum
        return Constants(
            float(values[0]), lipschitz=float(values[-1]), cyclic=True, affine=True, why="computed: eigenvalues of P"
        )

    @property
    def input_shape(self) -> Any:
        return (int(self.P.shape[0]),)

    def __call__(self, x: Array) -> Array:
        value = 0.5 * arrays.inner(x, x @ self.P, self.batch_ndim)
        return value if self.q is None else value + arrays.row_sum(self.q * x, self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        product = self.P @ x if x.ndim == 1 else x @ self.P
        return product if self.q is None else product + self.q

    def prox(self, x: Array, step: float = 1.0) -> Array:
        values, vectors = self._spectrum
        target = x if self.q is None else x - step * self.q
        transposed = arrays.namespace(vectors).matrix_transpose(vectors)
        return ((target @ vectors) / (1.0 + step * values)) @ transposed

    def value_formula(self, x: str) -> str:
        return f"1/2 <{x}, P{x}>" + ("" if self.q is None else f" + <q, {x}>")


@final
@dataclass(frozen=True, eq=False)
class LogisticLoss(Function):
    """f(x) = sum_i log(1 + exp(-labels_i x_i)), labels -1 or 1; ``LogisticLoss(y) @ A`` is logistic regression.

    Notes
    -----
    No overflow for any x. prox: the root p of p - x - step y/(1 + exp(y p)) = 0 by Newton safeguarded with bisection, to
    machine precision. **Constants** L = 1/4, mu = 0.

    Examples
    --------
    >>> import numpy as np
    >>> f = LogisticLoss(np.array([1.0, -1.0]))
    >>> round(float(f(np.zeros(2))), 6)
    1.386294
    """

    labels: Array

    def __post_init__(self) -> None:
        arrays.check_floating("LogisticLoss.labels", self.labels)
        xp = arrays.namespace(self.labels)
        if not bool(xp.all(xp.abs(self.labels) == 1)):
            raise DataError("LogisticLoss: labels must be -1 or 1; for labels 0 and 1 pass 2*labels - 1")

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=0.25, cyclic=True, why="computed: largest second derivative 1/4")

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        margin = self.labels * x
        return arrays.row_sum(xp.log1p(xp.exp(-xp.abs(margin))) - arrays.clip(margin, None, 0.0), self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        return -self.labels * arrays.logistic(-self.labels * x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        xp = arrays.namespace(x)
        v = self.labels * x  # p = labels u with u - v = step logistic(-u), v <= u <= v + step
        lower, upper, u = v, v + step, v + 0.5 * step
        for _ in range(NEWTON_STEPS):
            slope = arrays.logistic(-u)
            excess = u - v - step * slope
            lower, upper = xp.where(excess < 0, u, lower), xp.where(excess < 0, upper, u)
            newton = u - excess / (1.0 + step * slope * (1.0 - slope))
            inside = (newton >= lower) & (newton <= upper)
            u = xp.where(inside, newton, 0.5 * (lower + upper))
        return self.labels * u

    def value_formula(self, x: str) -> str:
        return f"sum log(1 + exp(-y {x}))"


@final
@dataclass(frozen=True, eq=False)
class Huber(Function):
    """f(x) = weight sum_i h(x_i), h(t) = t^2/2 for |t| <= delta, delta |t| - delta^2/2 beyond (Huber 1964).

    Notes
    -----
    prox with s = step weight: x/(1 + s) for |x| <= delta (1 + s), else x - s delta sign(x). **Constants** L = weight, mu = 0.

    Examples
    --------
    >>> import numpy as np
    >>> Huber(1.0).prox(np.array([1.0, 4.0]), 1.0)
    array([0.5, 3. ])
    """

    delta: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.delta < math.inf:
            raise DataError(f"Huber: delta={self.delta!r} must be a finite number > 0")
        if not 0 <= self.weight < math.inf:
            raise DataError(f"Huber: weight={self.weight!r} must be a finite number >= 0, or the function is not convex")

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=float(self.weight), cyclic=True, why="computed: the weight")

    def __call__(self, x: Array) -> Array:
        magnitude = arrays.namespace(x).abs(x)
        near = arrays.clip(magnitude, None, self.delta)
        return self.weight * arrays.row_sum(near * (magnitude - 0.5 * near), self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        return self.weight * arrays.clip(x, -self.delta, self.delta)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        s = step * self.weight
        return x - s * arrays.clip(x / (1.0 + s), -self.delta, self.delta)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        s, xp = step * self.weight, arrays.namespace(x)
        near = xp.astype(xp.abs(x) < self.delta * (1.0 + s), x.dtype)
        return Diagonal(1.0 - near * (s / (1.0 + s)))

    def value_formula(self, x: str) -> str:
        return f"{'' if self.weight == 1 else f'{self.weight:g} '}huber_{self.delta:g}({x})"
