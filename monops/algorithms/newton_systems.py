"""Newton systems of a fixed-point residual x - prox(x - s(Hx + q)): diagonal, diagonal plus rank one, and general derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from monops import arrays
from monops.algorithms.piecewise_newton import solve_reduced
from monops.arrays import Array
from monops.linear import Diagonal, DiagonalPlusRankOne, LinearMap

KRYLOV = 60  # dimension of the Krylov space of the general system


def padded_systems(
    matrix: np.ndarray[Any, Any], diagonal: Any, right: Any, free: Any, symmetric: bool
) -> np.ndarray[Any, Any]:
    """d with (H + diagonal)_FF d_F = right_F, row by row; all rows in one batched solve, free sets padded to the longest."""
    if right.ndim == 1 and symmetric:
        return np.asarray(solve_reduced(matrix, diagonal, right, free))
    shape = right.shape
    diagonal, right, free = (np.reshape(array, (-1, shape[-1])) for array in (diagonal, right, free))
    solution = np.zeros_like(right)
    sizes = np.count_nonzero(free, axis=1)
    rows = np.flatnonzero(sizes)
    if rows.size:
        longest = int(sizes.max())
        index = np.argsort(~free[rows], axis=1, kind="stable")[:, :longest]
        used = np.arange(longest) < sizes[rows, None]
        systems = matrix[index[:, :, None], index[:, None, :]]
        systems *= used[:, :, None] & used[:, None, :]
        ridge = 10 * np.finfo(matrix.dtype).eps * np.max(np.abs(np.diagonal(matrix)), initial=0.0)
        ends = np.where(used, np.take_along_axis(diagonal[rows], index, axis=1) + ridge, 1.0).astype(matrix.dtype)
        systems[:, np.arange(longest), np.arange(longest)] += ends
        sides = np.where(used, np.take_along_axis(right[rows], index, axis=1), 0.0)
        try:
            found = np.linalg.solve(systems, sides[..., None])[..., 0]
        except np.linalg.LinAlgError:  # one row is singular: the splitting step takes over in all
            found = np.full_like(sides, np.nan)
        full = np.zeros((rows.size, shape[-1]), dtype=right.dtype)
        np.put_along_axis(full, index, np.where(used, found, 0.0), axis=1)
        solution[rows] = full
    return solution.reshape(shape)


def masked_systems(matrix: Array, diagonal: Array, right: Array, free: Array, symmetric: bool) -> Array:
    """The same on any array library: rows and columns of fixed entries are those of the identity."""
    xp = arrays.namespace(right)
    both = xp.expand_dims(free, axis=-1) & xp.expand_dims(free, axis=-2)
    identity = xp.eye(matrix.shape[0], dtype=matrix.dtype, device=arrays.device(matrix))
    ridge = 10 * arrays.epsilon(matrix) * xp.max(xp.abs(matrix))
    ends = xp.where(free, diagonal + ridge, xp.ones_like(diagonal))
    systems = xp.where(both, matrix, xp.zeros_like(matrix)) + identity * xp.expand_dims(ends, axis=-2)
    sides = xp.where(free, right, xp.zeros_like(right))
    return xp.linalg.solve(systems, xp.expand_dims(sides, axis=-1))[..., 0]


def derivative_system(matrix: Array, jacobian: LinearMap, residual: Array, step: float) -> Array:
    """d with (I - J + s J H) d = -r for a structured J: reduced to the rows where J is not 0, or by GMRES."""
    xp = arrays.namespace(residual)
    if isinstance(jacobian, DiagonalPlusRankOne) and residual.ndim == 1 and jacobian.axes:
        weight = jacobian.coefficient * jacobian.vector
        diagonal = xp.zeros_like(residual) + jacobian.diagonal
        dense = xp.expand_dims(weight, axis=1) * xp.expand_dims(jacobian.vector, axis=0)
        dense = dense + xp.eye(residual.shape[0], dtype=dense.dtype, device=arrays.device(dense)) * diagonal
        return _dense_system(matrix, dense, (diagonal != 0) | (weight * jacobian.vector != 0), residual, step)
    if isinstance(jacobian, Diagonal):
        dense = xp.eye(residual.shape[0], dtype=residual.dtype, device=arrays.device(residual)) * jacobian.diagonal
        return _dense_system(matrix, dense, jacobian.diagonal != 0, residual, step)
    return gmres(lambda d: d + jacobian.apply(step * (matrix @ d) - d), -residual)


def _dense_system(matrix: Array, jacobian: Array, support: Array, residual: Array, step: float) -> Array:
    """Off the support of the symmetric J, d = -r; on it, a system of its size (NumPy), or of the full size."""
    xp = arrays.namespace(residual)
    identity = xp.eye(residual.shape[0], dtype=residual.dtype, device=arrays.device(residual))
    try:
        if type(residual) is not np.ndarray:
            system = identity - jacobian + step * (jacobian @ matrix)
            return xp.linalg.solve(system, xp.expand_dims(-residual, axis=1))[:, 0]
        index = np.flatnonzero(support)
        solution = -residual
        inner = jacobian[np.ix_(index, index)]
        off = np.where(support, 0.0, solution).astype(residual.dtype)
        side = -residual[index] - step * (inner @ (matrix[index] @ off))
        system = identity[: index.size, : index.size] - inner + step * (inner @ matrix[np.ix_(index, index)])
        solution[index] = np.linalg.solve(system, side)
        return solution
    except np.linalg.LinAlgError:
        return xp.zeros_like(residual)


def gmres(product: Any, right: Array) -> Array:
    """The least-residual solution in a Krylov space of ``product``, by Arnoldi's process (Saad and Schultz 1986)."""
    size = float(arrays.norm(right))
    if not size > 0.0:
        return right
    basis, columns = [right / size], []
    for _ in range(min(KRYLOV, int(np.prod(right.shape)))):
        new = product(basis[-1])
        column = []
        for _ in range(2):  # twice: orthogonal to rounding
            projections = [float(arrays.inner(vector, new)) for vector in basis]
            for vector, projection in zip(basis, projections, strict=True):
                new = new - projection * vector
            column = projections if not column else [a + b for a, b in zip(column, projections, strict=True)]
        length = float(arrays.norm(new))
        columns.append([*column, length])
        if length <= 100 * arrays.epsilon(right) * max(map(abs, column), default=1.0):
            break
        basis.append(new / length)
        small = np.zeros((len(columns) + 1, len(columns)))
        for position, entries in enumerate(columns):
            small[: len(entries), position] = entries
        target = np.zeros(len(columns) + 1)
        target[0] = size
        weights, *_ = np.linalg.lstsq(small, target, rcond=None)
        if float(np.linalg.norm(small @ weights - target)) <= 1e-12 * size:
            break
    small = np.zeros((len(columns) + 1, len(columns)))
    for position, entries in enumerate(columns):
        small[: len(entries), position] = entries
    target = np.zeros(len(columns) + 1)
    target[0] = size
    weights, *_ = np.linalg.lstsq(small, target, rcond=None)
    total = float(weights[0]) * basis[0]
    for weight, vector in zip(weights[1:], basis[1:], strict=False):
        total = total + float(weight) * vector
    return total
