"""The last pairs of differences (dz, dg) of a fixed-point iteration, g = z - Tz, and the quasi-Newton step they give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.arrays import Array

HALF = 1e-4  # between the spacings of half and single precision


class Memory(NamedTuple):
    """Differences of g and of z - g = Tz, newest last; those of z, and the matrix <dz_i, dg_j>, for type I only.

    For type II ``dz`` is empty and the matrix is <dg_i, dg_j>. Everything small is one a row.
    """

    dz: tuple[Array, ...]
    dg: tuple[Array, ...]
    steps: tuple[Array, ...]
    matrix: Array
    sizes: Array  # |dz_i|^2, for the regularisation
    lengths: Array  # |dg_i|^2


def empty(z: Array, length: int, batch_ndim: int, kind: int = 2) -> Memory:
    """Zeros in the place of pairs not yet seen: they do not change the step."""
    nothing = 0.0 * z
    first = arrays.leaves(z)[0]
    xp = arrays.namespace(first)
    batch = first.shape[:batch_ndim]
    square = xp.zeros((*batch, length, length), dtype=arrays.real_dtype(first), device=arrays.device(first))
    none, many = (), (nothing,) * length
    return Memory(many if kind == 1 else none, many, many, square, square[..., 0], square[..., 0])


def push(memory: Memory, dz: Array, dg: Array, batch_ndim: int) -> Memory:
    """The memory with one pair more, without the oldest."""
    g_list, steps = (*memory.dg[1:], dg), (*memory.steps[1:], dz - dg)
    xp = arrays.namespace(memory.matrix)

    def with_all(left: tuple[Array, ...], right: Array) -> Array:
        return xp.stack([arrays.inner(part, right, batch_ndim) for part in left], axis=-1)

    def grown(numbers: Array, last: Array) -> Array:
        return xp.concat([numbers[..., 1:], last[..., None]], axis=-1)

    if memory.dz:
        z_list = (*memory.dz[1:], dz)
        column, row, length = with_all(z_list, dg), with_all(g_list, dz), arrays.inner(dg, dg, batch_ndim)
    else:
        z_list, row = (), with_all(g_list, dg)
        column, length = row, row[..., -1]
    sizes = grown(memory.sizes, arrays.inner(dz, dz, batch_ndim))
    return Memory(z_list, g_list, steps, _grow(xp, memory.matrix, column, row), sizes, grown(memory.lengths, length))


def _grow(xp: Any, matrix: Array, column: Array, row: Array) -> Array:
    """The matrix without its first row and column, with a new last column and row."""
    upper = xp.concat([matrix[..., 1:, 1:], column[..., :-1, None]], axis=-1)
    return xp.concat([upper, row[..., None, :]], axis=-2)


def combine(memory: Memory, Tz: Array, g: Array, regularisation: float, batch_ndim: int) -> Array:
    """Tz - sum_i gamma_i (dz_i - dg_i): the point that type I or II of Anderson's method proposes.

    Type II: gamma minimises |g - dG gamma|^2 + r |gamma|^2; type I solves (dZ'dG + r I) gamma = dZ'g; r is the regularisation
    times (|dZ|^2 + |dG|^2) (Fu, Zhang and Boyd 2020), so that it does not depend on the scale of the problem.
    """
    matrix = memory.matrix
    xp = arrays.namespace(matrix)
    right = xp.stack([arrays.inner(part, g, batch_ndim) for part in memory.dz or memory.dg], axis=-1)
    trace = xp.sum(memory.sizes, axis=-1) + xp.sum(memory.lengths, axis=-1)
    unseen = xp.astype(memory.lengths == 0, matrix.dtype)  # a pair of zeros gets gamma = 0
    least = 4.0 * arrays.epsilon(matrix) if regularisation > 0 else 0.0  # what rounding leaves of dependent differences
    shift = max(regularisation, least) * trace[..., None] + unseen
    identity = xp.eye(len(memory.dg), dtype=matrix.dtype, device=arrays.device(matrix))
    gamma = _solution(xp, matrix + shift[..., None] * identity, right)
    for index, step in enumerate(memory.steps):
        Tz = arrays.add_scaled_rows(Tz, -gamma[..., index], step)
    return Tz


def _solution(xp: Any, matrix: Array, right: Array) -> Array:
    """The solution of each row's small system; 0 for all, which is the plain step, where one is singular to rounding."""
    dtype = matrix.dtype
    if arrays.epsilon(matrix) > HALF:  # no library factors matrices in half precision
        matrix, right = xp.astype(matrix, xp.float32), xp.astype(right, xp.float32)
    try:
        found = xp.linalg.solve(matrix, right[..., None])[..., 0]
    except (np.linalg.LinAlgError, RuntimeError):  # torch's error is a RuntimeError
        found = xp.zeros_like(right)
    return xp.astype(found, dtype)
