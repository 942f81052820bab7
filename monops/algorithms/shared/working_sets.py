"""Parts of vectors and matrices on index sets, on NumPy by indexing and on any other array library by taking."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse

from monops import arrays
from monops.algorithms.shared.piecewise_newton import SparseGram
from monops.arrays import Array
from monops.functions.separable import Separable

DIRECT = 100  # unknowns up to which a factorisation costs less than conjugate gradients
MUCH = 8  # products of a sparse matrix and its transpose for which one with their dense product counts


def finite_ends(g: Separable) -> tuple[Any, Any]:
    """Ends of the domain of each entry; None for a number that is infinite."""
    lower, upper = g.interval
    numbers = not arrays.is_array(lower) and not arrays.is_array(upper)
    return (None if lower == -math.inf else lower, None if upper == math.inf else upper) if numbers else (lower, upper)


def transposed(matrix: Array) -> Array:
    """The transposed matrix."""
    return arrays.namespace(matrix).matrix_transpose(matrix)


def device_indices(indices: np.ndarray[Any, Any], like: Array) -> Array:
    """Indices as an array of the library of ``like``."""
    if type(like) is np.ndarray:
        return indices
    return arrays.from_numpy(indices.astype(np.int64), like, arrays.namespace(like).int64)


def take(x: Array, indices: np.ndarray[Any, Any]) -> Array:
    """The entries of x at the indices."""
    return x[indices] if type(x) is np.ndarray else arrays.namespace(x).take(x, device_indices(indices, x), axis=0)


def put(x: Array, indices: np.ndarray[Any, Any], values: Array) -> Array:
    """x with other values at the indices."""
    if type(x) is np.ndarray:
        new = x.copy()
        new[indices] = values
        return new
    xp = arrays.namespace(x)
    position = np.arange(x.shape[0])
    position[indices] = x.shape[0] + np.arange(len(indices))
    return xp.take(xp.concat([x, values]), device_indices(position, x), axis=0)


def columns_of(linear_map: Any, indices: np.ndarray[Any, Any], like: Array) -> Any:
    """Columns of a dense or sparse matrix."""
    return linear_map.columns(device_indices(indices, like))


def weighted_gram(columns: Any, weights: Array) -> Array:
    """C* diag(weights) C; by its products where that is much cheaper than the matrix."""
    if scipy.sparse.issparse(columns):
        if columns.shape[1] > DIRECT and MUCH * columns.nnz < columns.shape[1] ** 2:
            return SparseGram(columns, weights)
        scaled = columns.copy()
        scaled.data = scaled.data * weights[scaled.indices]
        return (columns.T @ scaled).toarray()
    return transposed(columns) @ (columns * arrays.namespace(weights).expand_dims(weights, axis=1))
