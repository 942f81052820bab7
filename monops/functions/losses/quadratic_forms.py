"""Quadratic forms of dense and of sparse matrices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, ScaledMap, SelfAdjointMap, SparseMatrix
from monops.linear.sparse import EXACT_LIMIT

__all__ = ["Quadratic"]

TILE = 128  # a pair of tiles of float64 is 256 kB
FORM = np.array([[2.0, 0.5, 0.0, -0.3], [0.5, 1.0, 0.2, 0.0], [0.0, 0.2, 3.0, 1.0], [-0.3, 0.0, 1.0, 1.5]])


def check_semidefinite(owner: str, P: Any) -> None:
    """Raise DataError unless the symmetric SciPy sparse matrix P is positive semidefinite up to rounding.

    The discs of Gershgorin decide where they can; else the signs of the pivots of P + epsilon I, without row exchanges.
    """
    size, largest = P.shape[0], float(np.max(np.abs(P.data), initial=0.0))
    if largest == 0 or _gershgorin(P) >= 0:
        return
    slack = 100 * size * float(np.finfo(P.dtype).eps) * largest
    if size <= EXACT_LIMIT:
        least = float(np.linalg.eigvalsh(P.toarray())[0])
        convex, seen = least >= -slack, f"the eigenvalue {least:.6g} < 0"
    else:
        shifted = scipy.sparse.csc_array(P + slack * scipy.sparse.eye_array(size, dtype=P.dtype))
        seen = "a negative pivot"
        try:
            options = {"SymmetricMode": True}
            factors = scipy.sparse.linalg.splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
            convex = bool(np.all(factors.U.diagonal() > 0)) and bool(np.all(factors.perm_r == factors.perm_c))
        except RuntimeError:  # a pivot is exactly 0, which a positive definite matrix has none of
            convex = False
    if not convex:
        raise DataError(f"{owner}: P has {seen}, so that f is not convex")


def _gershgorin(P: Any) -> float:
    """A lower bound of the eigenvalues."""
    diagonal = P.diagonal()
    return float(np.min(diagonal - (abs(P).sum(axis=1) - np.abs(diagonal))))


def _asymmetry(P: Array) -> float:
    """max |P - P'|; on NumPy in tiles that stay in the cache (n = 2000: 15 ms in place of 400)."""
    xp = arrays.namespace(P)
    if type(P) is not np.ndarray:
        return float(xp.max(xp.abs(P - xp.matrix_transpose(P))))
    starts = range(0, P.shape[0], TILE)
    tiles = ((P[i : i + TILE, j : j + TILE], P[j : j + TILE, i : i + TILE].T) for i in starts for j in starts if j <= i)
    return max(float(np.max(np.abs(a - b))) for a, b in tiles)


@final
@dataclass(frozen=True, eq=False)
class Quadratic(Function):
    """f(x) = 1/2 <x, Px> + <q, x> for a symmetric positive semidefinite matrix P (n, n), an array or a SciPy sparse matrix.

    Raises
    ------
    DataError
        When P is not symmetric, or has a negative eigenvalue beyond rounding.

    Notes
    -----
    prox: (I + step P)^-1 (x - step q). Gradient Px + q. **Domain** everything. **Constants** mu and L are the extreme
    eigenvalues of P; for a sparse P with more than 300 rows mu is the bound of Gershgorin's discs, L the smaller of |P|_1 and
    |P|_F. **Cost** one eigendecomposition (n^3), kept, gives the constants and the prox for every step, then two products; a
    sparse P is factorised as I + step P, kept for the last step. q may have batch rows. **Derivative** of the prox:
    (I + step P)^-1; in q, -step times that.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24.

    Examples
    --------
    >>> import numpy as np
    >>> f = Quadratic(np.diag([1.0, 3.0]), np.zeros(2))
    >>> f.prox(np.array([2.0, 8.0]), 1.0)
    array([1., 2.])
    """

    P: Any
    q: Array | None = None

    def __post_init__(self) -> None:
        if scipy.sparse.issparse(self.P):
            object.__setattr__(self, "P", SparseMatrix(self.P).matrix)
        if self.P.ndim != 2 or self.P.shape[0] != self.P.shape[1]:
            raise ShapeError(f"Quadratic: P must be a square matrix, got shape {tuple(self.P.shape)}")
        if not self.is_sparse:
            arrays.check_floating("Quadratic.P", self.P)
            arrays.check_finite("Quadratic.P", self.P)
        if self.q is not None and self.q.shape[-1] != self.P.shape[0]:
            raise ShapeError(f"Quadratic: q has shape {tuple(self.q.shape)}, but P has shape {tuple(self.P.shape)}")
        if self.is_sparse:
            scale = float(np.max(np.abs(self.P.data), initial=0.0))
            difference = float(np.max(np.abs((self.P - self.P.T).data), initial=0.0))
            epsilon = float(np.finfo(self.P.dtype).eps)
        else:
            xp, P = arrays.namespace(self.P), autodiff.detach(self.P)
            scale, epsilon = max(float(xp.max(P)), -float(xp.min(P))), arrays.epsilon(P)
            difference = _asymmetry(P)
        if difference > 100 * epsilon * scale:
            raise DataError("Quadratic: P is not symmetric: use (P + P.T)/2, or Affine(P, q) if P is a monotone operator")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        q = [1.0, -2.0, 0.5, 0.0]
        return (
            Sample(lambda a: cls(a(FORM), a(q)), (4,), lambda cp, y: 0.5 * cp.quad_form(y, FORM) + np.array(q) @ y),
            Sample(
                lambda a: cls(a(np.diag([0.0, 1.0, 2.0, 0.5]))),
                (4,),
                lambda cp, y: 0.5 * cp.sum_squares(np.diag([0.0, 1.0, 2.0**0.5, 0.5**0.5]) @ y),
            ),
        )

    @property
    def is_sparse(self) -> bool:
        """Whether P is a SciPy sparse matrix."""
        return bool(scipy.sparse.issparse(self.P))

    @cached_property
    def _map(self) -> SparseMatrix:
        return SparseMatrix(self.P)

    @cached_property
    def _factors(self) -> dict[float, Any]:
        return {}

    @cached_property
    def _spectrum(self) -> tuple[Array, Array]:
        P = autodiff.detach(self.P)
        values, vectors = arrays.namespace(P).linalg.eigh(P)
        return self._nonnegative(values), vectors

    @cached_property
    def _eigenvalues(self) -> Array:
        """For the constants alone: a third of the price of the whole spectrum."""
        P = autodiff.detach(self.P)
        return self._nonnegative(arrays.namespace(P).linalg.eigvalsh(P))

    def _nonnegative(self, values: Array) -> Array:
        xp = arrays.namespace(values)
        least, slack = float(values[0]), 10 * self.P.shape[0] * arrays.epsilon(self.P) * abs(float(values[-1]))
        if least < -slack:
            raise DataError(f"Quadratic: P has the eigenvalue {least:.6g} < 0, so that f is not convex")
        return xp.where(values > 0, values, xp.zeros_like(values))

    @cached_property
    def constants(self) -> Constants:
        if self.is_sparse:
            check_semidefinite("Quadratic", self.P)
            if self.P.shape[0] > EXACT_LIMIT:
                least, norm = max(0.0, _gershgorin(self.P)), self._map.norm
                reasons = {"strong_monotonicity": "computed: bound by Gershgorin discs", "lipschitz": norm.why}
                return Constants(least, lipschitz=max(least, norm.value), cyclic=True, affine=True, why=reasons)
            values = np.linalg.eigvalsh(self.P.toarray())
            least = max(0.0, float(values[0]))
            largest = max(0.0, float(values[-1]))
            return Constants(least, lipschitz=largest, cyclic=True, affine=True, why="computed: eigenvalues of P")
        values = self._spectrum[0] if "_spectrum" in vars(self) else self._eigenvalues
        return Constants(
            float(values[0]), lipschitz=float(values[-1]), cyclic=True, affine=True, why="computed: eigenvalues of P"
        )

    @property
    def input_shape(self) -> Any:
        return (int(self.P.shape[0]),)

    def __call__(self, x: Array) -> Array:
        value = 0.5 * arrays.inner(x, self._product(x), self.batch_ndim)
        return value if self.q is None else value + arrays.row_sum(self.q * x, self.batch_ndim)

    def _product(self, x: Array) -> Array:
        if self.is_sparse:
            return self._map.apply(x)
        return self.P @ x if x.ndim == 1 else x @ self.P

    def gradient(self, x: Array) -> Array:
        product = self._product(x)
        return product if self.q is None else product + self.q

    def _inverse(self, x: Array, step: Any) -> Array:
        """(I + step P)^-1 x."""
        if self.is_sparse:
            return self._sparse_inverse(x, float(step))
        values, vectors = self._spectrum
        transposed = arrays.namespace(vectors).matrix_transpose(vectors)

        def solve(right: Array) -> Array:
            return ((right @ vectors) / (1.0 + step * values)) @ transposed

        if autodiff.tracks_gradient(self.P):
            return autodiff.solve_through(solve, lambda y: y + step * self._product(y), x)
        return solve(x)

    def _sparse_inverse(self, x: Array, step: float) -> Array:
        if step not in self._factors:
            system = scipy.sparse.eye_array(self.P.shape[0], dtype=self.P.dtype) + step * self.P
            self._factors.clear()
            self._factors[step] = scipy.sparse.linalg.splu(scipy.sparse.csc_array(system))
        flat = np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)
        return self._factors[step].solve(flat).T.reshape(x.shape)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self._inverse(x if self.q is None else x - step * self.q, step)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return SelfAdjointMap(lambda h: self._inverse(h, step), shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        if self.q is None or shape_of(self.q) != shape_of(x):
            return {}
        return {"q": ScaledMap(self.prox_derivative(x, step), -step)}

    def value_formula(self, x: str) -> str:
        return f"1/2 <{x}, P{x}>" + ("" if self.q is None else f" + <q, {x}>")
