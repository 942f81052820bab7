"""Anything that is a linear map, as a LinearMap: arrays, SciPy sparse matrices, objects with matvec and rmatvec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
import scipy.sparse

from monops import arrays
from monops.arrays import Array
from monops.constants import Known
from monops.errors import BackendError, ConstantError, ShapeError
from monops.linear.dense import Matrix
from monops.linear.linear_map import LinearMap, Shape
from monops.linear.sparse import SparseMatrix

POWER_ITERATIONS = 50
SAFETY = 1.05  # power iteration approaches the norm from below


@final
@dataclass(frozen=True, eq=False)
class MatvecMap(LinearMap):
    """A linear map given by two callables on arrays of fixed shapes.

    Parameters
    ----------
    matvec, rmatvec : callable
        x -> Kx and y -> K*y.
    shape_in, shape_out : tuple of int
    known_norm : float, optional
        An upper bound of |K|. Without it the norm is *estimated*: 50 power iterations on K*K times 1.05, marked as such.
    like : array, optional
        Any array of the library, dtype and device to run the power iteration in; NumPy float64 by default.

    Examples
    --------
    >>> import numpy as np
    >>> K = MatvecMap(lambda x: 2.0 * x, lambda y: 2.0 * y, (3,), (3,))
    >>> round(K.norm.value, 6), K.norm.estimated
    (2.1, True)
    """

    matvec: Callable[[Array], Array]
    rmatvec: Callable[[Array], Array]
    shape_in: Shape
    shape_out: Shape
    known_norm: float | None = None
    like: Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.known_norm is not None and not 0 <= self.known_norm < float("inf"):
            raise ConstantError(
                f"MatvecMap: known_norm={self.known_norm!r} must be a finite number >= 0, an upper bound of |K|"
            )

    @property
    def input_shape(self) -> Shape:
        return self.shape_in

    @property
    def output_shape(self) -> Shape:
        return self.shape_out

    def apply(self, x: Array) -> Array:
        return self._rows(self.matvec, x, self.shape_in)

    def adjoint(self, y: Array) -> Array:
        return self._rows(self.rmatvec, y, self.shape_out)

    @staticmethod
    def _rows(function: Callable[[Array], Array], x: Array, shape: Shape) -> Array:
        if tuple(x.shape) == tuple(shape):
            return function(x)
        xp, extra = arrays.namespace(x), x.ndim - len(shape)
        if extra < 1:
            raise ShapeError(f"MatvecMap expects an array of shape (..., {', '.join(map(str, shape))}), got {tuple(x.shape)}")
        flat = xp.reshape(x, (-1, *shape))
        rows = xp.stack([function(flat[row, ...]) for row in range(flat.shape[0])])
        return xp.reshape(rows, (*x.shape[:extra], *rows.shape[1:]))

    @cached_property
    def norm(self) -> Known:
        if self.known_norm is not None:
            return Known(float(self.known_norm), "given")
        like = np.empty(0) if self.like is None else self.like
        x = arrays.from_numpy(np.random.default_rng(0).standard_normal(self.shape_in), like)
        size = 0.0
        for _ in range(POWER_ITERATIONS):
            scale = float(arrays.norm(x))
            if scale == 0:
                break
            y = self.matvec(x / scale)
            size = float(arrays.norm(y))
            x = self.rmatvec(y)
        return Known(SAFETY * size, f"estimated: {POWER_ITERATIONS} power iterations, times {SAFETY}")


def as_linear_map(item: Any) -> LinearMap:
    """A LinearMap from what a user has.

    Parameters
    ----------
    item : LinearMap, two-dimensional array, SciPy sparse matrix, or object with shape, matvec and rmatvec

    Raises
    ------
    BackendError
        For anything else.

    Examples
    --------
    >>> import numpy as np
    >>> as_linear_map(np.eye(2))
    Matrix(matrix=array([[1., 0.],
           [0., 1.]]))
    """
    if isinstance(item, LinearMap):
        return item
    if scipy.sparse.issparse(item):
        return SparseMatrix(item)
    if arrays.is_array(item):
        return Matrix(item)
    if all(hasattr(item, name) for name in ("shape", "matvec", "rmatvec")):
        m, n = item.shape
        return MatvecMap(item.matvec, item.rmatvec, (int(n),), (int(m),))
    raise BackendError(
        f"{type(item).__name__} is no linear map: pass a two-dimensional array, a SciPy sparse matrix, an object with shape, "
        "matvec and rmatvec, or a LinearMap"
    )


def adjoint_error(linear_map: LinearMap, like: Array, seed: int = 0) -> float:
    """|<Kx, y> - <x, K*y>| / (|Kx| |y|) on random x and y of the library, dtype and device of ``like``: rounding when right."""
    generator = np.random.default_rng(seed)
    x = arrays.from_numpy(generator.standard_normal(linear_map.input_shape), like)
    image = linear_map.apply(x)
    y = arrays.tree_map(lambda leaf: arrays.from_numpy(generator.standard_normal(leaf.shape), leaf), image)
    difference = float(arrays.inner(image, y)) - float(arrays.inner(x, linear_map.adjoint(y)))
    return abs(difference) / max(float(arrays.norm(image)) * float(arrays.norm(y)), 1e-300)
