"""SciPy sparse matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from monops.arrays import Array, library
from monops.constants import Known
from monops.errors import BackendError, DataError
from monops.linear.linear_map import LinearMap, Shape

EXACT_LIMIT = 300


@final
@dataclass(frozen=True, eq=False)
class SparseMatrix(LinearMap):
    """x -> A x for a SciPy sparse matrix A (m, n); x is a NumPy array (..., n).

    Raises
    ------
    BackendError
        When applied to arrays that are not NumPy's: SciPy would copy them to the host unasked.

    Notes
    -----
    **Norm**: exact (dense eigenvalues of the smaller Gram matrix) up to min(m, n) = 300, else the smaller of the certified
    bounds |A|_F and sqrt(|A|_1 |A|_inf). **Regularised inverse**: a sparse LU factorisation, kept for the last step size.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> SparseMatrix(scipy.sparse.eye_array(3)).apply(np.ones(3))
    array([1., 1., 1.])
    """

    matrix: Any
    _factor: dict[float, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        matrix = scipy.sparse.csr_array(self.matrix)
        if matrix.dtype.kind not in "fc":
            raise BackendError(f"SparseMatrix has dtype {matrix.dtype}: convert it to a floating dtype first")
        if not np.all(np.isfinite(matrix.data)):
            raise DataError("SparseMatrix contains non-finite values: remove or impute missing data before solving")
        object.__setattr__(self, "matrix", matrix)

    @property
    def input_shape(self) -> Shape:
        return (int(self.matrix.shape[1]),)

    @property
    def output_shape(self) -> Shape:
        return (int(self.matrix.shape[0]),)

    @cached_property
    def _adjoint_matrix(self) -> Any:
        return scipy.sparse.csr_array(self.matrix.conj().T)

    def columns(self, indices: Any) -> Any:
        """The columns A[:, indices] as a SciPy sparse matrix (m, k), compressed by columns; indices are NumPy integers."""
        adjoint = self._adjoint_matrix  # its rows are the columns, conjugated
        return adjoint[indices].T if adjoint.dtype.kind == "f" else adjoint[indices].T.conj()

    @staticmethod
    def _product(matrix: Any, x: Array) -> Array:
        if not isinstance(x, np.ndarray):
            raise BackendError(f"a SciPy sparse matrix works on NumPy arrays, got {library(x)}: use Matrix, or convert x")
        if x.ndim == 1:
            return matrix @ x
        return (matrix @ x.reshape(-1, x.shape[-1]).T).T.reshape(*x.shape[:-1], matrix.shape[0])

    def apply(self, x: Array) -> Array:
        return self._product(self.matrix, x)

    def adjoint(self, y: Array) -> Array:
        return self._product(self._adjoint_matrix, y)

    @cached_property
    def _gram_extremes(self) -> tuple[float, float]:
        m, n = self.matrix.shape
        gram = self.matrix @ self._adjoint_matrix if m < n else self._adjoint_matrix @ self.matrix
        values = np.linalg.eigvalsh(gram.toarray())
        slack = 4 * len(values) * np.finfo(values.dtype).eps * float(values[-1])
        return max(float(values[0]) - slack, 0.0) ** 0.5, (max(float(values[-1]), 0.0) + slack) ** 0.5

    @cached_property
    def norm(self) -> Known:
        if min(self.matrix.shape) <= EXACT_LIMIT:
            return Known(self._gram_extremes[1], "computed: largest singular value")
        magnitude = abs(self.matrix)
        frobenius = float(np.linalg.norm(self.matrix.data))
        mixed = (float(magnitude.sum(axis=0).max()) * float(magnitude.sum(axis=1).max())) ** 0.5
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
        return Known(self._gram_extremes[0], "computed: smallest singular value")

    def regularized_inverse(self, y: Array, step: float) -> Array:
        if step not in self._factor:
            n = self.matrix.shape[1]
            system = scipy.sparse.eye_array(n, dtype=self.matrix.dtype) + step * (self._adjoint_matrix @ self.matrix)
            self._factor.clear()
            self._factor[step] = scipy.sparse.linalg.splu(scipy.sparse.csc_array(system))
        flat = y.reshape(-1, y.shape[-1]).T
        return self._factor[step].solve(np.ascontiguousarray(flat)).T.reshape(y.shape)
