"""Dense matrices and the identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Known
from monops.errors import DataError, ShapeError
from monops.linear.linear_map import LinearMap, Shape

EXACT_LIMIT = 1000  # up to this smaller dimension the norm is the root of an exactly computed eigenvalue of the Gram matrix


@final
@dataclass(frozen=True, eq=False)
class Matrix(LinearMap):
    """x -> A x for a dense matrix A (m, n); x is (..., n).

    Parameters
    ----------
    matrix : array, shape (m, n), floating dtype
        NumPy, CuPy, torch, JAX or any array of the standard.

    Raises
    ------
    ShapeError
        When the matrix is not two-dimensional.

    Notes
    -----
    **Norm**: root of the largest eigenvalue of the smaller Gram matrix (cost m n min(m, n)) up to min(m, n) = 1000; beyond,
    the certified bound min(|A|_F, sqrt(|A|_1 |A|_inf)). **Regularised inverse**: one eigendecomposition of the smaller
    Gram matrix, kept, then two products for every step size.

    Examples
    --------
    >>> import numpy as np
    >>> K = Matrix(np.array([[3.0, 0.0], [0.0, 4.0]]))
    >>> round(K.norm.value, 6), K.norm.why
    (4.0, 'computed: largest singular value')
    """

    matrix: Array
    known_norm: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if getattr(self.matrix, "ndim", None) != 2:
            raise ShapeError(f"a Matrix needs a two-dimensional array, got shape {getattr(self.matrix, 'shape', None)}")
        arrays.check_floating("Matrix", self.matrix)

    @property
    def input_shape(self) -> Shape:
        return (int(self.matrix.shape[1]),)

    @property
    def output_shape(self) -> Shape:
        return (int(self.matrix.shape[0]),)

    @cached_property
    def _transposed(self) -> Array:
        return arrays.namespace(self.matrix).matrix_transpose(self.matrix)

    @cached_property
    def _is_complex(self) -> bool:
        return bool(arrays.namespace(self.matrix).isdtype(self.matrix.dtype, "complex floating"))

    def apply(self, x: Array) -> Array:
        return self.matrix @ x if x.ndim == 1 else x @ self._transposed

    def adjoint(self, y: Array) -> Array:
        if self._is_complex:
            xp = arrays.namespace(y)
            return xp.conj(xp.conj(y) @ self.matrix)
        return y @ self.matrix

    def columns(self, indices: Array) -> Array:
        """The columns A[:, indices] as an array (m, k); indices are integers of the same library."""
        return arrays.namespace(self.matrix).take(self.matrix, indices, axis=1)

    @cached_property
    def gram_spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (ascending) and eigenvectors of the smaller of A*A and AA*, without a record of derivatives."""
        matrix = autodiff.detach(self.matrix)
        xp = arrays.namespace(matrix)
        m, n = matrix.shape
        adjoint = xp.conj(xp.matrix_transpose(matrix)) if self._is_complex else xp.matrix_transpose(matrix)
        values, vectors = xp.linalg.eigh(matrix @ adjoint if m < n else adjoint @ matrix)
        return xp.where(values > 0, values, xp.zeros_like(values)), vectors

    @cached_property
    def _extreme_singular_values(self) -> tuple[float, float]:
        """Bounds of the extreme singular values from the smaller Gram matrix, on the safe side of rounding."""
        xp = arrays.namespace(self.matrix)
        m, n = self.matrix.shape
        adjoint = xp.conj(self._transposed) if self._is_complex else self._transposed
        values = xp.linalg.eigvalsh(self.matrix @ adjoint if m < n else adjoint @ self.matrix)
        largest = max(float(values[-1]), 0.0)
        slack = 4 * min(m, n) * arrays.epsilon(self.matrix) * largest  # eigenvalues are accurate to this much
        return max(float(values[0]) - slack, 0.0) ** 0.5, (largest + slack) ** 0.5

    @cached_property
    def norm(self) -> Known:
        if self.known_norm is not None:
            return Known(float(self.known_norm), "given")
        if 0 in self.matrix.shape:
            raise DataError("Matrix is empty: a linear map needs at least one row and one column")
        if min(self.matrix.shape) <= EXACT_LIMIT:
            return Known(self._extreme_singular_values[1], "computed: largest singular value")
        xp = arrays.namespace(self.matrix)
        magnitude = xp.abs(self.matrix)
        frobenius = float(xp.linalg.matrix_norm(self.matrix))
        mixed = (float(xp.max(xp.sum(magnitude, axis=0))) * float(xp.max(xp.sum(magnitude, axis=1)))) ** 0.5
        if mixed < frobenius:
            return Known(mixed, "computed: bound sqrt(|A|_1 |A|_inf)")
        return Known(frobenius, "computed: bound |A|_F")

    @cached_property
    def smallest_singular_value(self) -> Known:
        m, n = self.matrix.shape
        if m < n:
            return Known(0.0, "computed: fewer rows than columns")
        if n > EXACT_LIMIT:
            return Known(0.0, "computed: trivial lower bound 0")
        return Known(self._extreme_singular_values[0], "computed: smallest singular value")

    def regularized_inverse(self, y: Array, step: float) -> Array:
        values, vectors = self.gram_spectrum
        xp = arrays.namespace(y)
        adjoint = xp.conj(xp.matrix_transpose(vectors)) if self._is_complex else xp.matrix_transpose(vectors)

        def solve(rhs: Any, scale: Any) -> Any:  # V diag(scale) V* applied to the rows of rhs
            return (rhs @ xp.matrix_transpose(adjoint) * scale) @ xp.matrix_transpose(vectors)

        def inverse(right: Array) -> Array:
            m, n = self.matrix.shape
            if m < n:  # Woodbury: I - A* (s / (1 + s lambda)) A
                return right - self.adjoint(solve(self.apply(right), step / (1.0 + step * values)))
            return solve(right, 1.0 / (1.0 + step * values))

        if autodiff.tracks_gradient(self.matrix):
            return autodiff.solve_through(inverse, lambda x: x + step * self.adjoint(self.apply(x)), y)
        return inverse(y)


@final
@dataclass(frozen=True, eq=False)
class Identity(LinearMap):
    """x -> x on arrays of one shape.

    Examples
    --------
    >>> Identity((3,)).norm.value
    1.0
    """

    shape: Shape

    @property
    def input_shape(self) -> Shape:
        return self.shape

    @property
    def output_shape(self) -> Shape:
        return self.shape

    def apply(self, x: Array) -> Array:
        return x

    def adjoint(self, y: Array) -> Array:
        return y

    @cached_property
    def norm(self) -> Known:
        return Known(1.0, "computed: the identity")

    @cached_property
    def smallest_singular_value(self) -> Known:
        return Known(1.0, "computed: the identity")

    def regularized_inverse(self, y: Array, step: float) -> Array:
        return y / (1.0 + step)
