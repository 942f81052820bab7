"""GMRES (Saad and Schultz 1986) on every row of a batch at once: each row ends when its own residual is small enough."""

from __future__ import annotations

from collections.abc import Callable

from monops import arrays
from monops.arrays import Array

BREAKDOWN = 100.0  # epsilons: a new direction this small beside its image is rounding


def gmres_rows(product: Callable[[Array], Array], right: Array, tolerance: Array, dimension: int, batch_ndim: int) -> Array:
    """d with the least |right - product(d)| in a Krylov space, from 0.

    ``product`` acts on all rows. Rows that have reached their tolerance go on as zeros, which change nothing. Orthogonal by
    modified Gram and Schmidt, the small problems by rotations of Givens.
    """
    size = arrays.norm(right, batch_ndim)
    xp = arrays.namespace(size)
    zero, one = xp.zeros_like(size), xp.ones_like(size)
    basis, heads = [arrays.scale_rows(reciprocal(size), right)], [size]
    columns: list[list[Array]] = []
    rotations: list[tuple[Array, Array]] = []
    done = (size <= tolerance) | ~xp.isfinite(size)
    for _ in range(dimension):
        if arrays.holds_everywhere(done):
            break
        new = product(basis[-1])
        whole, column = arrays.norm(new, batch_ndim), []
        for vector in basis:
            projection = arrays.inner(vector, new, batch_ndim)
            new = new - arrays.scale_rows(projection, vector)
            column.append(projection)
        length = arrays.norm(new, batch_ndim)
        length = xp.where(length <= BREAKDOWN * arrays.epsilon(length) * whole, zero, length)
        for index, (cosine, sine) in enumerate(rotations):
            upper, lower = column[index], column[index + 1]
            column[index], column[index + 1] = cosine * upper + sine * lower, cosine * lower - sine * upper
        radius = xp.hypot(column[-1], length)
        cosine, sine = xp.where(radius > 0, column[-1] * reciprocal(radius), one), length * reciprocal(radius)
        column[-1] = radius
        rotations.append((cosine, sine))
        columns.append(column)
        heads = [*heads[:-1], cosine * heads[-1], -sine * heads[-1]]
        done = done | ~(xp.abs(heads[-1]) > tolerance) | (length == 0)
        basis.append(arrays.scale_rows(xp.where(done, zero, reciprocal(length)), new))
    weights: list[Array] = []
    for index in reversed(range(len(columns))):
        left = heads[index]
        for position, weight in enumerate(weights):
            left = left - columns[len(columns) - 1 - position][index] * weight
        weights.append(left * reciprocal(columns[index][index]))
    total = 0.0 * right
    for weight, vector in zip(reversed(weights), basis, strict=False):
        total = total + arrays.scale_rows(weight, vector)
    return total


def reciprocal(number: Array) -> Array:
    """1/number, and 0 in rows where the number is too small to be divided by."""
    xp = arrays.namespace(number)
    usable = xp.abs(number) >= float(xp.finfo(number.dtype).smallest_normal)
    return xp.where(usable, 1.0 / xp.where(usable, number, xp.ones_like(number)), xp.zeros_like(number))
