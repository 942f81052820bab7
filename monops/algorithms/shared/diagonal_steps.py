"""Diagonal steps of Pock and Chambolle (2011, Lemma 2): row and column sums of |K|^power for the maps that can give them.

With steps 1/sum_i |K_ij|^(2 - alpha) for column j and 1/sum_j |K_ij|^alpha for row i, the scaled map has norm at most 1.
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks
from monops.linear import (
    Adjoint,
    Convolution,
    Diagonal,
    Gradient,
    Identity,
    LinearMap,
    Matrix,
    Row,
    ScaledMap,
    SparseMatrix,
    Stack,
)
from monops.theory import Missing


class Sums(NamedTuple):
    """Sums of |K_ij|^power over each row (shape of Kx) and over each column (shape of x); numbers where all are equal."""

    rows: Any
    columns: Any


def sums(linear_map: LinearMap, power: float) -> Sums | Missing:
    """Row and column sums of |K|^power with |0|^power = 0, or the map that cannot give them.

    The arrays are of the library of the map's data, and of NumPy for maps without data (Gradient); `steps` converts them.
    """
    if isinstance(linear_map, Matrix):
        xp = arrays.namespace(linear_map.matrix)
        entries = _power(linear_map.matrix, power)
        return Sums(xp.sum(entries, axis=1), xp.sum(entries, axis=0))
    if isinstance(linear_map, SparseMatrix):
        entries = abs(linear_map.matrix)
        entries.eliminate_zeros()
        entries.data **= power
        return Sums(np.asarray(entries.sum(axis=1)).ravel(), np.asarray(entries.sum(axis=0)).ravel())
    if isinstance(linear_map, Diagonal):
        entries = _power(linear_map.diagonal, power)
        return Sums(entries, entries)
    if isinstance(linear_map, Identity):
        return Sums(1.0, 1.0)
    if isinstance(linear_map, Convolution):
        total = float(arrays.namespace(linear_map.kernel).sum(_power(linear_map.kernel, power)))
        return Sums(total, total)
    if isinstance(linear_map, Gradient):
        return _gradient_sums(linear_map, power)
    if isinstance(linear_map, ScaledMap):
        inner = sums(linear_map.map, power)
        factor = abs(linear_map.factor) ** power if linear_map.factor else 0.0
        return inner if isinstance(inner, Missing) else Sums(*[arrays.tree_map(lambda a: factor * a, part) for part in inner])
    if isinstance(linear_map, Adjoint):
        inner = sums(linear_map.map, power)
        return inner if isinstance(inner, Missing) else Sums(inner.columns, inner.rows)
    if isinstance(linear_map, (Stack, Row)):
        parts = []
        for entry in linear_map.maps:
            part = sums(entry, power)
            if isinstance(part, Missing):
                return part
            parts.append(part)
        rows, columns = [part.rows for part in parts], [part.columns for part in parts]
        if isinstance(linear_map, Stack):
            return Sums(Blocks(rows), reduce(operator.add, columns))
        return Sums(reduce(operator.add, rows), Blocks(columns))
    return Missing(
        f"the entries of {type(linear_map).__name__} are not known, so that diagonal steps cannot be computed",
        "use ChambollePock, or give the map as a Matrix, SparseMatrix, Gradient, Convolution, Diagonal or Stack of them",
    )


def _power(entries: Array, power: float) -> Array:
    xp = arrays.namespace(entries)
    size = xp.abs(entries)
    return xp.where(size > 0, xp.where(size > 0, size, xp.ones_like(size)) ** power, xp.zeros_like(size))


def _gradient_sums(linear_map: Gradient, power: float) -> Sums:
    """Two entries 1/spacing in each row but the last of every axis; each point is met by its differences on both sides."""
    shape, weight = linear_map.shape, linear_map.spacing**-power
    rows = np.full((len(shape), *shape), 2.0 * weight)
    columns = np.zeros(shape)
    for axis, n in enumerate(shape):
        np.moveaxis(rows[axis], axis, 0)[n - 1] = 0.0
        sides = np.full(n, 2.0 * weight)
        sides[0] -= weight
        sides[-1] -= weight
        columns += sides.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return Sums(rows, columns)


def reciprocal(total: Any, like: Array) -> Any:
    """1/total entry by entry in the library, dtype, device and number of axes of ``like``.

    Where total is 0 any step is proven: it gets the smallest of the others.
    """
    if isinstance(total, Blocks):
        return Blocks([reciprocal(part, block) for part, block in zip(total, like, strict=True)])
    first = arrays.leaves(like)[0]
    if not arrays.is_array(total):
        return 1.0 / total if total > 0 else 1.0
    host = arrays.to_numpy(total).astype(np.float64)
    least = 1.0 / np.max(host) if np.max(host, initial=0.0) > 0 else 1.0
    values = np.where(host > 0, 1.0 / np.where(host > 0, host, 1.0), least)
    values = values.reshape((1,) * (like.ndim - values.ndim) + values.shape)
    return arrays.from_numpy(values, first, arrays.real_dtype(first))


def for_resolvent(summand: Any, step: Any) -> Any:
    """The steps where the resolvent takes one for each entry, else the smallest of them (smaller steps are proven too)."""
    if getattr(summand, "takes_many_steps", False) or not (isinstance(step, Blocks) or arrays.is_array(step)):
        return step
    leaves = arrays.leaves(step)
    return min(float(arrays.namespace(leaf).min(leaf)) if arrays.is_array(leaf) else leaf for leaf in leaves)
