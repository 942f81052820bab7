"""Solution sets of linear systems, and graphs of linear maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import scipy.sparse.linalg

from monops import arrays, autodiff
from monops.arrays import Array, Blocks
from monops.errors import BackendError, CapabilityError, DataError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import DataDerivative, row_slack, zero_or_infinity
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, Matrix, SparseMatrix, as_linear_map
from monops.linear.jacobian import SelfAdjointMap

__all__ = [
    "AffineSet",
    "OperatorGraph",
]


def _adjoint_matrix(matrix: Array) -> Array:
    xp = arrays.namespace(matrix)
    transposed = xp.matrix_transpose(matrix)
    return xp.conj(transposed) if xp.isdtype(matrix.dtype, "complex floating") else transposed


def _outer_sum(left: Array, right: Array) -> Array:
    """Sum over the rows of left_i right_i*: the gradient in a matrix of <left, A right>."""
    xp = arrays.namespace(left)
    rows, columns = xp.reshape(left, (-1, left.shape[-1])), xp.reshape(right, (-1, right.shape[-1]))
    return xp.matrix_transpose(rows) @ (xp.conj(columns) if xp.isdtype(right.dtype, "complex floating") else columns)


class _Dense:
    """A = U S V* without its null space: V* (rank, n), and the point of least norm."""

    def __init__(self, matrix: Array, b: Array) -> None:
        xp = arrays.namespace(matrix)
        left, values, right = xp.linalg.svd(matrix, full_matrices=False)
        largest = float(values[0])
        self.rank = int(xp.sum(xp.astype(values > max(matrix.shape) * arrays.epsilon(matrix) * largest, xp.int64)))
        self.norm, self.rows = largest, int(matrix.shape[0])
        self.left, self.values, self.right = left[:, : self.rank], values[: self.rank], right[: self.rank, :]
        self.adjoint = _adjoint_matrix(self.right)
        self.coordinates = self._coordinates(b)

    def _coordinates(self, y: Array) -> Array:
        """S^-1 U* y, on the last axis."""
        xp = arrays.namespace(y)
        return (y @ xp.matrix_transpose(_adjoint_matrix(self.left))) / self.values

    def least_norm(self, y: Array) -> Array:
        """The pseudoinverse applied to y."""
        return self._coordinates(y) @ arrays.namespace(y).matrix_transpose(self.adjoint)

    def least_norm_adjoint(self, g: Array) -> Array:
        """The adjoint of the pseudoinverse applied to g."""
        xp = arrays.namespace(g)
        return ((g @ xp.matrix_transpose(self.right)) / self.values) @ xp.matrix_transpose(self.left)

    def onto_rows(self, x: Array, shift: Any) -> Array:
        """V (V* x - shift)."""
        xp = arrays.namespace(x)
        return (x @ xp.matrix_transpose(self.right) - shift) @ xp.matrix_transpose(self.adjoint)

    def displacement(self, x: Array) -> Array:
        """x minus its projection on the solutions."""
        return self.onto_rows(x, self.coordinates)

    def derivative(self, h: Array) -> Array:
        """The projection of h on the null space."""
        return h - self.onto_rows(h, 0.0)


class _Mapped:
    """A linear map with a solver for A A*."""

    def __init__(self, linear_map: LinearMap, b: Array, solver: Callable[[Array], Array]) -> None:
        self.map, self.b, self.solver = linear_map, b, solver
        self.norm = linear_map.norm.value
        self.rank = self.rows = None

    def least_norm(self, y: Array) -> Array:
        """The pseudoinverse applied to y."""
        return self.map.adjoint(self.solver(y))

    def least_norm_adjoint(self, g: Array) -> Array:
        """The adjoint of the pseudoinverse applied to g."""
        return self.solver(self.map.apply(g))

    def displacement(self, x: Array) -> Array:
        """x minus its projection on the solutions."""
        return self.least_norm(self.map.apply(x) - self.b)

    def derivative(self, h: Array) -> Array:
        """The projection of h on the null space."""
        return h - self.least_norm(self.map.apply(h))


def _sparse_solver(linear_map: SparseMatrix) -> Callable[[Array], Array]:
    """y -> (A A*)^-1 y by a sparse LU factorisation, kept."""
    matrix = linear_map.matrix
    try:
        factor = scipy.sparse.linalg.splu(scipy.sparse.csc_array(matrix @ matrix.conj().T))
    except RuntimeError:
        raise DataError(
            "AffineSet: the rows of the sparse A are linearly dependent: remove the redundant ones, pass a dense A, or a solver"
        ) from None

    def solve(y: Array) -> Array:
        flat = np.ascontiguousarray(y.reshape(-1, y.shape[-1]).T)
        return factor.solve(flat).T.reshape(y.shape)

    return solve


@final
@dataclass(frozen=True, eq=False)
class AffineSet(Function):
    """Indicator of {x : A x = b}; the rows of A may be dependent as long as the system has a solution.

    Parameters
    ----------
    A : array (m, n), SciPy sparse matrix, or LinearMap
    b : array, shape of A x for one point
        An inconsistent system is refused with DataError.
    solver : callable, optional
        y -> (A A*)^-1 y (or a pseudoinverse), for a LinearMap that is no matrix; leading batch axes pass through. A sparse
        matrix has a sparse LU factorisation of its own.

    Notes
    -----
    prox: x - A^+ (A x - b) with the pseudoinverse A^+. **Domain** the set. **Constants** mu = 0; no gradient. **Cost** once:
    a singular value decomposition of a dense A, which finds its rank; then four products with a (rank, n) matrix, or A, A*
    and the solver twice: the second pass keeps A x = b to rounding also for x far away. **Derivative** of the prox: I - A^+ A;
    for a dense A with independent rows in A and b: with l = (A A*)^-1 (A x - b) and J = I - A^+ A, dA -> -J dA* l - A^+ dA
    prox(x) and db -> A^+ db.

    References
    ----------
    Bauschke and Combettes (2017), chapter 29; Golub and Van Loan (2013) for the pseudoinverse.

    Examples
    --------
    >>> import numpy as np
    >>> AffineSet(np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]]), np.array([2.0, 4.0])).prox(np.array([4.0, 2.0, 1.0])).round(12)
    array([2., 0., 1.])
    """

    A: Any
    b: Any
    solver: Callable[[Array], Array] | None = None

    def __post_init__(self) -> None:
        system, b = self._system, autodiff.detach(self.b)
        if system.rank is not None and system.rank < system.rows and autodiff.tracks_gradient(self.A, self.b):
            raise BackendError(
                f"AffineSet: A has rank {system.rank} but {system.rows} rows, so that the projection has no derivative in A "
                "and b: pass A.detach() and b.detach()"
            )
        point = system.least_norm(b)
        missing = float(arrays.norm(self._map.apply(point) - b))
        size = float(arrays.norm(b)) + system.norm * float(arrays.norm(point))
        if not missing <= 1e3 * arrays.epsilon(b) * max(b.shape) * size:
            raise DataError(
                f"AffineSet: A x = b has no solution: at the nearest point |A x - b| = {missing:.3g} with |b| = "
                f"{float(arrays.norm(b)):.3g}; the set is empty: use LeastSquares(A, b) for an approximate solution"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        A = np.array([[1.0, -2.0, 0.5, 0.0, 1.0], [0.0, 1.0, 1.0, -1.0, 2.0]])
        b = np.array([0.5, -1.0])
        return (
            Sample(lambda a: cls(a(A), a(b)), (5,), lambda cp, y: [A @ y == b]),
            Sample(lambda a: cls(a(np.ones((1, 3))), a([2.0])), (3,), lambda cp, y: [cp.sum(y) == 2.0]),
        )

    @cached_property
    def _map(self) -> LinearMap:
        return as_linear_map(autodiff.detach(self.A) if arrays.is_array(self.A) else self.A)

    @cached_property
    def _system(self) -> _Dense | _Mapped:
        linear_map, b = self._map, autodiff.detach(self.b)
        if not arrays.is_array(b) or tuple(b.shape) != tuple(linear_map.output_shape):
            raise ShapeError(f"AffineSet: b must be an array of shape {linear_map.output_shape}, the shape of A x")
        arrays.check_finite("AffineSet: b", b)
        if self.solver is not None:
            return _Mapped(linear_map, b, self.solver)
        if isinstance(linear_map, Matrix):
            arrays.check_finite("AffineSet: A", linear_map.matrix)
            return _Dense(linear_map.matrix, b)
        if isinstance(linear_map, SparseMatrix):
            return _Mapped(linear_map, b, _sparse_solver(linear_map))
        raise CapabilityError(
            f"AffineSet: {type(linear_map).__name__} has no factorisation: give solver=..., a function y -> (A A*)^-1 y, or "
            "impose A x = b as Point(b) @ A, which needs only products with A and A*"
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def input_shape(self) -> Any:
        return self._map.input_shape

    def __call__(self, x: Array) -> Array:
        missing = arrays.norm(self._map.apply(x) - self.b, self.batch_ndim)
        size = self._system.norm * arrays.norm(x, self.batch_ndim)
        return zero_or_infinity(missing <= row_slack(size, x, self.batch_ndim), x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        self._map.check_input(x)
        point = autodiff.detach(x)
        for _ in range(2):
            point = point - self._system.displacement(point)
        return self.with_derivative(x, step, point)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return SelfAdjointMap(self._system.derivative, tuple(x.shape))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        system = self._system
        if not isinstance(system, _Dense) or system.rank < system.rows:
            return {}
        xp, shape = arrays.namespace(x), tuple(x.shape)
        p = self.prox(x)
        dual = system.least_norm_adjoint(x - p)  # x - p = A* dual
        maps: dict[str, LinearMap] = {
            "b": DataDerivative(
                lambda change: system.least_norm(change) + xp.zeros_like(x),
                lambda g: arrays.reduce_to(system.least_norm_adjoint(g), shape_of(self.b)),
                shape_of(self.b),
                shape,
            )
        }
        if arrays.is_array(self.A):
            maps["A"] = DataDerivative(
                lambda change: (
                    -system.derivative(dual @ xp.matrix_transpose(_adjoint_matrix(change)))
                    - system.least_norm(p @ xp.matrix_transpose(change))
                ),
                lambda g: -_outer_sum(dual, system.derivative(g)) - _outer_sum(system.least_norm_adjoint(g), p),
                shape_of(self.A),
                shape,
            )
        return maps

    def value_formula(self, x: str) -> str:
        return f"i(A {x} = b)"


@final
@dataclass(frozen=True, eq=False)
class OperatorGraph(Function):
    """Indicator of {(x, y) : y = A x}, the graph of a linear map, on Blocks((x, y)).

    Parameters
    ----------
    A : array (m, n), SciPy sparse matrix, or LinearMap with a regularised inverse

    Notes
    -----
    prox of (u, v): x = (I + A* A)^-1 (u + A* v), y = A x. **Domain** the graph. **Constants** mu = 0; no gradient. **Cost**
    that of ``regularized_inverse`` (a factorisation, kept) and three products. **Derivative** of the prox: the same linear
    map; for a dense A in A: dx = (I + A* A)^-1 (dA* (v - y) - A* dA x), dy = dA x + A dx.

    References
    ----------
    Parikh and Boyd (2014), Block splitting for distributed optimization.

    Examples
    --------
    >>> import numpy as np
    >>> OperatorGraph(np.array([[2.0]])).prox(Blocks((np.array([5.0]), np.array([0.0]))))
    Blocks(array([1.]), array([2.]))
    """

    A: Any

    def __post_init__(self) -> None:
        if not self._map.has_regularized_inverse:
            raise CapabilityError(
                f"OperatorGraph: {type(self._map).__name__} has no closed form for (I + A* A)^-1: pass a matrix, or write the "
                "coupling y = A x as f + g @ A in a method that needs only products"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        wide, tall = np.array([[1.0, -0.5, 2.0], [0.0, 1.5, 1.0]]), np.array([[1.0], [-2.0], [0.5]])
        return (
            Sample(lambda a: cls(a(wide)), ((3,), (2,)), lambda cp, z: [z[1] == wide @ z[0]]),
            Sample(lambda a: cls(a(tall)), ((1,), (3,)), lambda cp, z: [z[1] == tall @ z[0]]),
        )

    @cached_property
    def _map(self) -> LinearMap:
        return as_linear_map(autodiff.detach(self.A) if arrays.is_array(self.A) else self.A)

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def input_shape(self) -> Any:
        return self._map.input_shape, self._map.output_shape

    def _blocks(self, z: Array) -> Array:
        if not isinstance(z, tuple) or len(z) != 2:
            raise ShapeError("OperatorGraph is a set of pairs: pass Blocks((x, y))")
        self._map.check_input(z[0])
        return z

    def __call__(self, x: Array) -> Array:
        first, second = self._blocks(x)
        missing = arrays.norm(second - self._map.apply(first), self.batch_ndim)
        size = self._map.norm.value * arrays.norm(first, self.batch_ndim) + arrays.norm(second, self.batch_ndim)
        return zero_or_infinity(missing <= row_slack(size, first, self.batch_ndim), first)

    def _project(self, z: Array) -> Array:
        first = self._map.regularized_inverse(z[0] + self._map.adjoint(z[1]), 1.0)
        return Blocks((first, self._map.apply(first)))

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.with_derivative(x, step, self._project(autodiff.detach(self._blocks(x))))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return SelfAdjointMap(self._project, tuple(tuple(block.shape) for block in x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        if not arrays.is_array(self.A):
            return {}
        xp, linear_map = arrays.namespace(x), self._map
        first, second = self._project(x)
        rest = x[1] - second

        def forward(change: Any) -> Array:
            image = first @ xp.matrix_transpose(change)
            moved = linear_map.regularized_inverse(
                rest @ xp.matrix_transpose(_adjoint_matrix(change)) - linear_map.adjoint(image), 1.0
            )
            return Blocks((moved, image + linear_map.apply(moved)))

        def backward(g: Array) -> Array:
            weight = linear_map.regularized_inverse(g[0] + linear_map.adjoint(g[1]), 1.0)
            return _outer_sum(rest, weight) + _outer_sum(g[1] - linear_map.apply(weight), first)

        return {"A": DataDerivative(forward, backward, shape_of(self.A), tuple(tuple(block.shape) for block in x))}

    def value_formula(self, x: str) -> str:
        return f"i({x}2 = A {x}1)"
