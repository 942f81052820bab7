"""Problems in the form  f(x) + h(Kx)  with separable f and h and few rows in K: the parts, found in the terms of a problem."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.functions import (
    AffineSet,
    Box,
    L1Norm,
    LeastSquares,
    Linear,
    NonNegative,
    Point,
    Simplex,
    SquaredL2,
    Translation,
    Zero,
)
from monops.functions.separable import Separable
from monops.linear import Matrix, SparseMatrix, as_linear_map
from monops.problem import Inclusion, Term
from monops.theory import Missing

MOST_ROWS = 2000  # rows for whose dual Hessian there is room


class Joined:
    """Separable functions of consecutive parts of a vector, as one."""

    def __init__(self, parts: tuple[Separable, ...], sizes: tuple[int, ...], like: Array) -> None:
        self.parts, self._size, self._like = parts, sum(sizes), like
        ends = np.cumsum(sizes).tolist()
        self.slices = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        self.is_indicator = all(part.is_indicator for part in parts)

    def _each(self, name: str, *vectors: Any, rest: tuple[Any, ...] = ()) -> Array:
        values = [
            getattr(part, name)(*(vector[where] for vector in vectors), *rest)
            for part, where in zip(self.parts, self.slices, strict=True)
        ]
        if len(values) == 1:
            return values[0]
        xp = arrays.namespace(vectors[0])
        if isinstance(values[0], tuple):
            return tuple(xp.concat(list(side)) for side in zip(*values, strict=True))
        return xp.concat(values)

    @cached_property
    def interval(self) -> tuple[Array, Array]:
        """Ends of the domain of each entry."""
        xp, like = arrays.namespace(self._like), self._like
        zero = xp.zeros((self._size,), dtype=like.dtype, device=arrays.device(like))
        ends = [
            [zero[where] + part.interval[side] for part, where in zip(self.parts, self.slices, strict=True)] for side in (0, 1)
        ]
        return xp.concat(ends[0]), xp.concat(ends[1])

    def entry_value(self, x: Array) -> Array:
        """Of each entry."""
        return self._each("entry_value", x)

    def entry_subdifferential(self, x: Array) -> Any:
        """Of each entry."""
        return self._each("entry_subdifferential", x)

    def entry_prox(self, x: Array, step: float) -> Array:
        """Of each entry."""
        return self._each("entry_prox", x, rest=(step,))

    def entry_prox_derivative(self, x: Array, p: Array, step: float) -> Array:
        """Of each entry."""
        return self._each("entry_prox_derivative", x, p, rest=(step,))


@dataclass(frozen=True, eq=False)
class Rows:
    """All maps on top of each other: K, dense where there is more than one."""

    maps: tuple[Any, ...]  # Matrix, SparseMatrix, or a vector that is a single row

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of rows of each map."""
        return tuple(part.output_shape[0] if isinstance(part, (Matrix, SparseMatrix)) else 1 for part in self.maps)

    @cached_property
    def matrix(self) -> Any:
        """K as one array, or one SciPy sparse matrix."""
        if len(self.maps) == 1:
            return getattr(self.maps[0], "matrix", self.maps[0])
        dense = [
            part.matrix.toarray() if isinstance(part, SparseMatrix) else part.matrix if isinstance(part, Matrix) else part
            for part in self.maps
        ]
        xp = arrays.namespace(dense[0])
        return xp.concat([xp.reshape(part, (-1, part.shape[-1])) for part in dense], axis=0)

    @cached_property
    def _transposed(self) -> Any:
        matrix = self.matrix
        return (
            matrix.T
            if isinstance(self.maps[0], SparseMatrix) and len(self.maps) == 1
            else (arrays.namespace(matrix).matrix_transpose(matrix))
        )

    def apply(self, x: Array) -> Array:
        """Kx."""
        return self.matrix @ x

    def adjoint(self, y: Array) -> Array:
        """K*y."""
        return self._transposed @ y

    def weighted_gram(self, weights: Array) -> Array:
        """K diag(weights) K*, from the columns whose weight is not 0."""
        matrix = self.matrix
        if type(weights) is not np.ndarray:
            return (matrix * weights) @ self._transposed
        moving = np.flatnonzero(weights)
        part = matrix[:, moving] if moving.size < 0.8 * weights.size else matrix
        kept = weights[moving] if part is not matrix else weights
        if hasattr(part, "toarray"):
            return np.asarray((part.multiply(kept) @ part.T).toarray())
        return np.asarray((part * kept) @ part.T)


class Parts(NamedTuple):
    """d, c (numbers or arrays), g, K, h and h*."""

    d: Any
    c: Any
    g: Separable
    K: Rows
    dual: Joined


def _unscaled(function: Any) -> Any:
    """A factor in front moved into the weight."""
    inner = getattr(function, "function", None)
    if isinstance(inner, (SquaredL2, L1Norm)) and hasattr(function, "factor"):
        return dataclasses.replace(inner, weight=function.factor * inner.weight)
    return function


def coupled_parts(problem: Inclusion) -> Parts | Missing:
    """The problem in the form of the method, or what is missing."""
    if problem.batch_ndim:
        return Missing("dual Newton systems of batch rows are not built", "solve row by row, or use ChambollePock")
    d: Any = 0.0
    c: Any = 0.0
    others: list[Any] = []
    rows: list[tuple[Any, Any]] = []
    for term in problem.terms:
        function: Any = _unscaled(term.summand)
        if term.map is not None:
            missing = _unusable_rows(term, function)
            if missing is not None:
                return missing
            rows.append((term.map, function))
        elif isinstance(function, SquaredL2):
            d = d + function.weight
        elif isinstance(function, Translation) and isinstance(_unscaled(function.function), SquaredL2):
            weight = _unscaled(function.function).weight
            d, c = d + weight, c - weight * function.shift
        elif isinstance(function, Linear):
            c = c + function.slope
        elif isinstance(function, Simplex):
            rows.append((function.weight, Point(function.total)))
            others.append(NonNegative())
        elif isinstance(function, AffineSet) and isinstance(as_linear_map(function.A), (Matrix, SparseMatrix)):
            rows.append((as_linear_map(function.A), Point(function.b)))
        elif isinstance(function, LeastSquares) and _is_real_matrix(function.A):  # 1/2 |Ax|^2 - <A*b, x>, up to a number
            rows.append((function.A, SquaredL2()))
            c = c - function.A.adjoint(function.b)
        elif isinstance(function, Separable) and function.is_convex and function.has_value:
            others.append(function)
        elif not isinstance(function, Zero):
            return Missing(
                f"{term} is not a convex separable function of x",
                "write what couples the entries as h @ K with a matrix K of few rows, or use ChambollePock",
            )
    return _joined(problem, d, c, others, rows)


def _joined(problem: Inclusion, d: Any, c: Any, others: list[Any], rows: list[tuple[Any, Any]]) -> Parts | Missing:
    if len(others) > 1 and not all(isinstance(one, NonNegative) for one in others):
        return Missing(
            f"{len(others)} functions of x besides squares and linear ones need their prox",
            "join them with combine, where it can",
        )
    if not rows:
        return Missing("no term couples the entries of x by a matrix or a simplex", "use ForwardBackward, or the prox itself")
    shape = problem.input_shape
    like = next((array for _, array in problem.named_arrays() if arrays.is_floating(array)), None)
    if like is None or (shape is None and any(not isinstance(K, (Matrix, SparseMatrix)) for K, _ in rows)):
        shape = shape or next((tuple(data.shape) for _, data in problem.named_arrays() if data.ndim == 1), None)
    if like is None or shape is None or len(shape) != 1:
        return Missing("the number of entries of x is not known from the data", "give one of the terms data of full length")
    count = int(shape[0])
    maps = tuple(K if isinstance(K, (Matrix, SparseMatrix)) else _row(K, count, like) for K, _ in rows)
    found = Rows(maps)
    if sum(found.sizes) > min(MOST_ROWS, count):
        return Missing(
            f"{sum(found.sizes)} rows couple {count} entries, and the dual system is as large as the rows are many",
            "use ChambollePock, or SemismoothNewton where a quadratic term couples the entries",
        )
    conjugates = tuple(function.conjugate() for _, function in rows)
    for (_, function), conjugate in zip(rows, conjugates, strict=True):
        if not isinstance(conjugate, Separable):
            return Missing(f"the conjugate of {function.value_formula('z')} is not separable here", "use ChambollePock")
    g = others[0] if others else Box()
    return Parts(d, c, g, found, Joined(conjugates, found.sizes, like))


def _is_real_matrix(linear_map: Any) -> bool:
    return isinstance(linear_map, (Matrix, SparseMatrix)) and "complex" not in str(linear_map.matrix.dtype)


def _row(weight: Any, count: int, like: Array) -> Array:
    xp = arrays.namespace(like)
    return xp.zeros((1, count), dtype=like.dtype, device=arrays.device(like)) + weight


def _unusable_rows(term: Term, function: Any) -> Missing | None:
    if not isinstance(term.map, (Matrix, SparseMatrix)):
        return Missing(f"the map of {term} is not a matrix, and Newton systems need its columns", "use ChambollePock")
    data = term.map.matrix
    if "complex" in str(data.dtype):
        return Missing(f"the map of {term} is complex", "use ChambollePock")
    if not isinstance(function, Separable) or not function.is_convex:
        return Missing(f"{term} is not a convex separable function of Kx", "use ChambollePock")
    return None
