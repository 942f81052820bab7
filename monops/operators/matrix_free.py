"""Affine operators x -> Kx + q for linear maps that are no dense matrices: sparse, convolutions, products alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, ConstantError, DataError, ShapeError
from monops.linear import Convolution, SparseMatrix, as_linear_map
from monops.operators.operator import Operator

EXACT_LIMIT = 300  # up to this size the least eigenvalue of a sparse symmetric part is computed densely


class Spectrum(NamedTuple):
    """What is computed of a square map: bounds of mu and beta (None: nothing), and the structure."""

    least: float | None
    cocoercivity: float | None
    symmetric: bool
    skew: bool
    exact: bool
    slack: float  # rounding of ``least``
    why: str


def _convolution_spectrum(symbol: Array, slack: float) -> Spectrum:
    """A convolution is normal: its eigenvalues are the transform of the kernel."""
    xp = arrays.namespace(symbol)
    real, size = xp.real(symbol), xp.abs(symbol)
    used = size > slack
    safe = xp.where(used, size, xp.ones_like(size))
    ratios = xp.where(used, real / (safe * safe), xp.zeros_like(real) + np.inf)
    least, skew = float(xp.min(real)), float(xp.max(xp.abs(real))) <= slack
    symmetric = float(xp.max(xp.abs(xp.imag(symbol)))) <= slack
    beta = 0.0 if skew else max(float(xp.min(ratios)) * (1 - 1e-12), 0.0)
    return Spectrum(least, beta, symmetric, skew, True, slack, "computed: real parts of the transform of the kernel")


def _sparse_spectrum(matrix: Any, slack: float) -> Spectrum:
    """Least eigenvalue of the symmetric part up to EXACT_LIMIT rows, else Gershgorin's bound of it."""
    adjoint = matrix.conj().T
    part = scipy.sparse.csr_array(0.5 * (matrix + adjoint))
    skew = abs(part).max() <= slack
    symmetric = abs(matrix - adjoint).max() <= slack
    if matrix.shape[0] <= EXACT_LIMIT:
        least = float(np.linalg.eigvalsh(part.toarray())[0])
        return Spectrum(least, None, symmetric, skew, True, slack, "computed: least eigenvalue of the symmetric part")
    diagonal = part.diagonal().real
    bound = float(np.min(diagonal + np.abs(diagonal) - np.asarray(abs(part).sum(axis=1)).ravel()))
    known = bound if bound >= -slack else None
    return Spectrum(known, None, symmetric, skew, False, slack, "computed: Gershgorin's bound of the symmetric part")


@final
@dataclass(frozen=True, eq=False)
class MatrixFreeAffine(Operator):
    """x -> Kx + q for a square linear map K with K + K* positive semidefinite.

    Parameters
    ----------
    map : SciPy sparse matrix, linear map or array
        Its output shape is its input shape.
    q : array of that shape, optional
        Leading axes are batch rows.
    strong_monotonicity : float, optional
        mu, where it is not computed; 0 declares K monotone.

    Raises
    ------
    ShapeError
        When K is not square, or q does not fit.
    ConstantError
        When the computed mu is negative, or shows the given one to be false.

    Notes
    -----
    **Constants**: L is the norm of the map. mu of a sparse matrix is the least eigenvalue of the symmetric part up to 300 rows,
    beyond that Gershgorin's bound where it is not negative; of a convolution the least real part of the transformed kernel,
    which gives beta too. Of any other map mu is what is given. **Resolvent** of a sparse matrix by an LU factorisation of
    I + step K, kept for the last step; of a convolution by two FFTs. **Cost** one product.

    References
    ----------
    Bauschke and Combettes (2017), Example 20.12; Horn and Johnson (2013) for Gershgorin's bound.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> M = scipy.sparse.diags_array([2.0 * np.ones(4), -np.ones(3), np.ones(3)], offsets=[0, 1, -1])
    >>> A = MatrixFreeAffine(M, np.ones(4))
    >>> round(A.constants.strong_monotonicity, 9), A.constants.reasons["strong_monotonicity"]
    (2.0, 'computed: least eigenvalue of the symmetric part')
    """

    map: Any
    q: Array | None = None
    strong_monotonicity: float | None = None
    _factor: dict[float, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "map", as_linear_map(self.map))
        shape = self.map.input_shape
        if shape != self.map.output_shape:
            raise ShapeError(f"MatrixFreeAffine: K takes shape {shape} and gives {self.map.output_shape}: it must be square")
        if self.q is not None and tuple(self.q.shape[self.q.ndim - len(shape) :]) != tuple(shape):
            raise ShapeError(f"MatrixFreeAffine: q has shape {tuple(self.q.shape)}, but Kx has shape {shape}")
        given = self.strong_monotonicity
        if given is not None and not 0 <= given < np.inf:
            raise DataError(f"MatrixFreeAffine: strong_monotonicity={given!r} must be a finite number >= 0")
        _ = self.constants  # refuses what is not monotone

    @cached_property
    def _symbol(self) -> Array:
        """Transform of the response of a convolution to a unit impulse."""
        kernel, shape = self.map.kernel, self.map.shape
        xp = arrays.namespace(kernel)
        impulse = np.zeros(shape)
        impulse[(0,) * len(shape)] = 1.0
        return xp.fft.rfftn(self.map.apply(arrays.from_numpy(impulse, kernel)), axes=tuple(range(len(shape))))

    @cached_property
    def _spectrum(self) -> Spectrum:
        norm = float(self.map.norm.value)
        if isinstance(self.map, Convolution):
            return _convolution_spectrum(self._symbol, 32 * arrays.epsilon(self.map.kernel) * norm)
        if isinstance(self.map, SparseMatrix):
            rows = min(self.map.input_shape[0], EXACT_LIMIT)
            return _sparse_spectrum(self.map.matrix, 4 * rows * float(np.finfo(self.map.matrix.dtype).eps) * norm)
        return Spectrum(None, None, False, False, False, 0.0, "")

    @cached_property
    def constants(self) -> Constants:
        found, norm, given = self._spectrum, self.map.norm, self.strong_monotonicity
        if found.least is not None and found.least < -found.slack:
            raise ConstantError(
                f"MatrixFreeAffine: K is not monotone: the least eigenvalue of its symmetric part is {found.least:.6g} < 0; "
                f"add at least {-found.least:.6g} times the identity, or split K differently"
            )
        if found.exact and found.least is not None and given is not None and given > found.least + found.slack:
            raise ConstantError(
                f"MatrixFreeAffine: strong_monotonicity={given:g} is false: the least eigenvalue of the symmetric part is "
                f"{found.least:.6g}"
            )
        mu, why = given, "given"
        if found.least is not None and (given is None or found.least > given):
            mu, why = (0.0 if found.skew else max(found.least - found.slack, 0.0)), found.why
        reasons = {"strong_monotonicity": why, "cocoercivity": found.why, "lipschitz": norm.why}
        cyclic = found.symmetric and mu is not None  # a symmetric map is the gradient of a convex function once it is monotone
        beta = None if cyclic else 0.0 if found.skew else found.cocoercivity
        return Constants(mu, beta, norm.value, cyclic=cyclic, affine=True, skew=found.skew, why=reasons)

    @property
    def input_shape(self) -> Any:
        return self.map.input_shape

    @property
    def has_resolvent(self) -> bool:
        return isinstance(self.map, (Convolution, SparseMatrix))

    def forward(self, x: Array) -> Array:
        product = self.map.apply(x)
        return product if self.q is None else product + self.q

    def resolvent(self, x: Array, step: float) -> Array:
        if not self.has_resolvent:
            raise CapabilityError(
                f"the resolvent of MatrixFreeAffine needs (I + step K)^-1, which {type(self.map).__name__} does not have: use "
                "a method that takes it by its forward value, such as ForwardBackwardForward, or Affine for a dense matrix"
            )
        target = x if self.q is None else x - step * self.q
        if isinstance(self.map, Convolution):
            xp, shape = arrays.namespace(target), self.map.shape
            axes = tuple(range(-len(shape), 0))
            return xp.fft.irfftn(xp.fft.rfftn(target, axes=axes) / (1.0 + step * self._symbol), s=shape, axes=axes)
        if step not in self._factor:
            matrix = self.map.matrix
            system = scipy.sparse.eye_array(matrix.shape[0], dtype=matrix.dtype) + step * matrix
            self._factor.clear()
            self._factor[step] = scipy.sparse.linalg.splu(scipy.sparse.csc_array(system))
        flat = np.ascontiguousarray(target.reshape(-1, target.shape[-1]).T)
        return self._factor[step].solve(flat).T.reshape(target.shape)

    def formula(self, x: str) -> str:
        return f"K{x}" if self.q is None else f"(K{x} + q)"
