"""Least squares, by a kept factorisation or matrix-free."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import ShapeError
from monops.functions.arguments import check_prox
from monops.functions.function import Function
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import Composition, LinearMap, Matrix, MatvecMap, ScaledMap, SelfAdjointMap, as_linear_map

__all__ = ["LeastSquares", "MatrixFreeLeastSquares"]

TALL = np.array(
    [[1.0, 2.0, 0.5, -1.0], [0.0, 1.0, -1.0, 0.3], [2.0, 0.0, 1.0, 1.0], [0.7, -1.0, 0.0, 2.0], [1.0, 1.0, 1.0, 0.0]]
)


def as_least_squares(owner: str, A: Any, b: Array) -> LinearMap:
    """The linear map of a least-squares function whose data fit together, or a ShapeError."""
    linear_map = as_linear_map(A)
    arrays.check_floating(f"{owner}.b", b)
    shape = linear_map.output_shape
    if tuple(b.shape[b.ndim - len(shape) :]) != tuple(shape):
        raise ShapeError(f"{owner}: b has shape {tuple(b.shape)}, but Ax has shape {tuple(shape)}")
    return linear_map


def least_squares_constants(A: LinearMap) -> Constants:
    """Constants of A*(Ax - b): extreme singular values of A, squared, with the provenance of the map."""
    norm, smallest = A.norm, A.smallest_singular_value
    return Constants(
        smallest.value**2,
        lipschitz=norm.value**2,
        cyclic=True,
        affine=True,
        why={"strong_monotonicity": smallest.why, "lipschitz": f"{norm.why}, squared"},
    )


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
    prox: (I + step A*A)^-1 (x + step A*b), where A has that inverse (dense, convolution, diagonal, ...); for other maps see
    `MatrixFreeLeastSquares`. Gradient A*(Ax - b). **Domain** everything. **Constants** L = |A|^2, mu = smallest singular value
    squared, with the provenance of the map. **Cost** of the prox: one factorisation, kept for every step, then four products;
    of the gradient: two products. **Derivative** of the prox: (I + step A*A)^-1; in b, step times that times A*.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24; Woodbury (1950) for fewer rows than columns.

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
        object.__setattr__(self, "A", as_least_squares("LeastSquares", self.A, self.b))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        target = [1.0, -1.0, 0.5, 2.0, 0.0]
        return (
            Sample(lambda a: cls(a(TALL), a(target)), (4,), lambda cp, y: 0.5 * cp.sum_squares(TALL @ y - target)),
            Sample(
                lambda a: cls(a(TALL[:3]), a(target[:3])), (4,), lambda cp, y: 0.5 * cp.sum_squares(TALL[:3] @ y - target[:3])
            ),
        )

    @cached_property
    def constants(self) -> Constants:
        return least_squares_constants(self.A)

    @property
    def takes_complex(self) -> bool:
        return True

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
        check_prox(self, x, step)
        if not self.has_prox:
            return super().prox(x, step)  # refuses, naming the way out
        if not isinstance(x, arrays.Blocks) and tuple(x.shape[x.ndim - len(self.input_shape) :]) != tuple(self.input_shape):
            raise ShapeError(
                f"LeastSquares: A takes points of shape {tuple(self.input_shape)}, but x has shape {tuple(x.shape)}"
            )
        return self.A.regularized_inverse(x + step * self._target, step)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        if not self.has_prox:
            return super().prox_derivative(x, step)
        return SelfAdjointMap(lambda h: self.A.regularized_inverse(h, step), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        if self.batch_ndim or shape_of(self.b) != tuple(self.A.output_shape) or not self.has_prox:
            return {}
        return {"b": Composition(ScaledMap(self.prox_derivative(x, step), step), self.A.T)}

    def value_formula(self, x: str) -> str:
        return f"1/2 |A{x} - b|^2"


@final
@dataclass(frozen=True, eq=False)
class MatrixFreeLeastSquares(Iterative):
    """f(x) = 1/2 |Ax - b|^2 for any linear map A, with a prox by conjugate gradients that is certified.

    Parameters
    ----------
    A : linear map, SciPy sparse matrix or array
        Only products with A and A* are used.
    b : array of the output shape of A

    Notes
    -----
    prox: the solution p of (I + step A*A) p = x + step A*b, by conjugate gradients from x; the residual r of this system
    certifies |p - prox(x)| <= |r|, because no eigenvalue is below 1. Gradient A*(Ax - b). **Domain** everything. **Constants**
    L = |A|^2, mu = smallest singular value squared, with the provenance of the map. **Cost** two products an inner iteration,
    about sqrt(1 + step |A|^2) log(1/tolerance) of them. **Derivative** of the prox: (I + step A*A)^-1, to the same tolerance.

    References
    ----------
    Hestenes and Stiefel (1952), Methods of conjugate gradients for solving linear systems.

    Examples
    --------
    >>> import numpy as np
    >>> f = MatrixFreeLeastSquares(np.diag([2.0, 1.0]), np.array([2.0, 1.0]), tolerance=1e-12)
    >>> np.round(f.prox(np.zeros(2)), 9)
    array([0.8, 0.5])
    """

    A: Any
    b: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "A", as_least_squares("MatrixFreeLeastSquares", self.A, self.b))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def build(a: Any) -> MatrixFreeLeastSquares:
            K = Matrix(a(TALL))
            free = MatvecMap(K.apply, K.adjoint, (4,), (5,), float(np.linalg.norm(TALL, 2)))
            return cls(free, a([1.0, -1.0, 0.5, 2.0, 0.0]), tolerance=1e-13)

        return (
            Sample(
                build,
                (4,),
                lambda cp, y: 0.5 * cp.sum_squares(TALL @ y - [1.0, -1.0, 0.5, 2.0, 0.0]),
                accuracy=1e-9,
                exact=False,
            ),
        )

    @cached_property
    def constants(self) -> Constants:
        return least_squares_constants(self.A)

    @property
    def takes_complex(self) -> bool:
        return True

    @property
    def input_shape(self) -> Any:
        return self.A.input_shape

    def __call__(self, x: Array) -> Array:
        residual = self.A.apply(x) - self.b
        return 0.5 * arrays.inner(residual, residual, self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        return self.A.adjoint(self.A.apply(x) - self.b)

    def target_error(self, x: Array, tolerance: float | None) -> Any:
        """Tolerance (1 + |x|), not below the rounding of the residual: a linear system is solved to more than sqrt(epsilon)."""
        chosen = tolerance if tolerance is not None else self.tolerance
        relative = 1e-9 if chosen is None else chosen
        return max(float(relative), 64 * arrays.epsilon(x)) * (1.0 + arrays.norm(x, self.batch_ndim))

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        point, error, reached, iterations = self._solve(x + step * self.A.adjoint(self.b), x, step, tolerance)
        return CertifiedProx(point, error * error / (2.0 * step), error, iterations, arrays.holds_everywhere(reached))

    def _solve(self, target: Array, start: Array, step: Any, tolerance: float | None) -> tuple[Array, Array, Array, int]:
        """(I + step A*A)^-1 target by conjugate gradients; norm of each row's residual, whether it is small enough, steps.

        Small enough is what was asked for, or what rounding leaves: epsilon |I + step A*A| |p|, with the norm seen on the way.
        """
        rows = self.batch_ndim

        def product(h: Array) -> Array:
            return h + step * self.A.adjoint(self.A.apply(h))

        allowed = self.target_error(start, tolerance)
        point, iterations = start, 0
        residual = direction = target - product(start)
        square = arrays.inner(residual, residual, rows)
        xp = arrays.namespace(square)
        one, largest, floor = xp.ones_like(square), xp.ones_like(square), 0.0 * square
        while iterations < self.max_iter and not arrays.holds_everywhere((square <= allowed**2) | ~(square < math.inf)):
            image = product(direction)
            curvature, length2 = arrays.inner(direction, image, rows), arrays.inner(direction, direction, rows)
            done = ~(curvature > 0)
            safe = xp.where(done, one, curvature)
            largest = arrays.clip(xp.where(done, one, curvature / xp.where(done, one, length2)), largest, None)
            move = xp.where(done, 0.0 * square, square / safe)
            point = point + arrays.scale_rows(move, direction)
            residual = residual - arrays.scale_rows(move, image)
            following = arrays.inner(residual, residual, rows)
            direction = residual + arrays.scale_rows(following / xp.where(done, one, square), direction)
            square, iterations = following, iterations + 1
            floor = 8 * arrays.epsilon(point) * largest * arrays.norm(point, rows)
            allowed = arrays.clip(allowed, floor, None)
        error = arrays.norm(target - product(point), rows)
        return point, error, error <= allowed + 8 * floor, iterations

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return SelfAdjointMap(lambda h: self._solve(h, 0.0 * h, step, 1e-15)[0], shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        if self.batch_ndim or shape_of(self.b) != tuple(self.A.output_shape):
            return {}
        return {"b": Composition(ScaledMap(self.prox_derivative(x, step), step), self.A.T)}

    def value_formula(self, x: str) -> str:
        return f"1/2 |A{x} - b|^2"
