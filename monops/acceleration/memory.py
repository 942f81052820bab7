"""The last pairs of differences (dz, dg) of a fixed-point iteration, g = z - Tz, and the quasi-Newton step they give."""

from __future__ import annotations

from typing import Any, NamedTuple

from monops import arrays
from monops.arrays import Array


class Memory(NamedTuple):
    """Differences of z and of g, newest last, and the Gram matrices <dz_i, dg_j> and <dg_i, dg_j>, one a row."""

    dz: tuple[Array, ...]
    dg: tuple[Array, ...]
    mixed: Array
    gram: Array
    sizes: Array  # |dz_i|^2, for the regularisation


def empty(z: Array, length: int, batch_ndim: int) -> Memory:
    """Zeros in the place of pairs not yet seen: they do not change the step."""
    nothing = 0.0 * z
    first = arrays.leaves(z)[0]
    xp = arrays.namespace(first)
    batch = first.shape[:batch_ndim]
    square = xp.zeros((*batch, length, length), dtype=arrays.real_dtype(first), device=arrays.device(first))
    return Memory((nothing,) * length, (nothing,) * length, square, square, square[..., 0])


def push(memory: Memory, dz: Array, dg: Array, batch_ndim: int) -> Memory:
    """The memory with one pair more, without the oldest."""
    z_list, g_list = (*memory.dz[1:], dz), (*memory.dg[1:], dg)
    xp = arrays.namespace(memory.gram)

    def column(left: Any, right: Any) -> Array:
        return xp.stack([arrays.inner(a, b, batch_ndim) for a, b in zip(left, right, strict=True)], axis=-1)

    length = len(z_list)
    gram_column = column(g_list, (dg,) * length)
    mixed_column, mixed_row = column(z_list, (dg,) * length), column((dz,) * length, g_list)
    sizes = xp.concat([memory.sizes[..., 1:], arrays.inner(dz, dz, batch_ndim)[..., None]], axis=-1)
    return Memory(
        z_list,
        g_list,
        _grow(xp, memory.mixed, mixed_column, mixed_row),
        _grow(xp, memory.gram, gram_column, gram_column),
        sizes,
    )


def _grow(xp: Any, matrix: Array, column: Array, row: Array) -> Array:
    """The matrix without its first row and column, with a new last column and row."""
    upper = xp.concat([matrix[..., 1:, 1:], column[..., :-1, None]], axis=-1)
    return xp.concat([upper, row[..., None, :]], axis=-2)


def combine(memory: Memory, g: Array, kind: int, regularisation: float, batch_ndim: int) -> Array:
    """sum_i gamma_i (dz_i - dg_i): what type I or II of Anderson's method subtracts from Tz.

    Type II: gamma minimises |g - dG gamma|^2 + r |gamma|^2; type I solves (dZ'dG + r I) gamma = dZ'g; r is the regularisation
    times (|dZ|^2 + |dG|^2) (Fu, Zhang and Boyd 2020), so that it does not depend on the scale of the problem.
    """
    xp = arrays.namespace(memory.gram)
    length = len(memory.dz)
    matrix = memory.gram if kind == 2 else memory.mixed
    left = memory.dg if kind == 2 else memory.dz
    right = xp.stack([arrays.inner(part, g, batch_ndim) for part in left], axis=-1)
    trace = xp.sum(memory.sizes, axis=-1) + xp.sum(xp.linalg.diagonal(memory.gram), axis=-1)
    unseen = xp.astype(xp.linalg.diagonal(memory.gram) == 0, matrix.dtype)  # a pair of zeros gets gamma = 0
    shift = regularisation * trace[..., None] + unseen
    identity = xp.eye(length, dtype=matrix.dtype, device=arrays.device(matrix))
    gamma = xp.linalg.solve(matrix + shift[..., None] * identity, right[..., None])[..., 0]
    total = None
    for index, (dz, dg) in enumerate(zip(memory.dz, memory.dg, strict=True)):
        part = arrays.scale_rows(gamma[..., index], dz - dg)
        total = part if total is None else total + part
    return total
