"""The words in which laws are written, and counterexamples printed: norms as floats, rows, precisions, Jacobians."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from monops import arrays
from monops.arrays import Array

DENSE_LIMIT = 36  # entries of a point up to which Jacobians are formed column by column


def norm(x: Array) -> float:
    """|x| as a float."""
    return float(arrays.norm(x))


def inner(x: Array, y: Array) -> float:
    """<x, y> as a float."""
    return float(arrays.inner(x, y))


def isfinite(*values: Any) -> bool:
    """Whether every number of the points is finite."""
    return all(
        math.isfinite(leaf) if isinstance(leaf, float) else bool(np.all(np.isfinite(arrays.to_numpy(leaf))))
        for value in values
        for leaf in arrays.leaves(value)
    )


def unlike(p: Array, x: Array, same_shape: bool = True) -> int:
    """How many leaves of p have not the library, dtype, device and shape of x; ``same_shape=False``: precision for dtype."""
    mine, other = arrays.leaves(p), arrays.leaves(x)
    if not same_shape:
        other = other[:1] * len(mine)
    if len(mine) != len(other):
        return max(len(mine), len(other))
    pairs = zip(mine, other, strict=True)
    return sum(_alien(a, b) or (same_shape and (a.dtype != b.dtype or tuple(a.shape) != tuple(b.shape))) for a, b in pairs)


def _alien(a: Array, b: Array) -> bool:
    if not arrays.is_array(a) and not isinstance(a, np.generic):
        return True
    if arrays.namespace(a) is not arrays.namespace(b) or arrays.device(a) != arrays.device(b):
        return True
    return not arrays.is_floating(a) or arrays.real_dtype(a) != arrays.real_dtype(b)


def shape_of(x: Array) -> Any:
    """Shape of a point; a tuple of shapes for Blocks."""
    return tuple(shape_of(block) for block in x) if isinstance(x, tuple) else tuple(x.shape)


# ---- rows of a batch ------------------------------------------------------------------------------


def stack(*points: Array) -> Array:
    """Points as the rows of a batch."""
    return arrays.tree_map(lambda *parts: arrays.namespace(parts[0]).stack(parts), *points)


def row(points: Array, index: int) -> Array:
    """One row of a batch."""
    return arrays.tree_map(lambda leaf: leaf[index, ...], points)


# ---- precisions and libraries ------------------------------------------------------------------------


def single(item: Any) -> Any:
    """A point, or an object with all its data, in single precision."""
    return _mapped(item, lambda a: a if arrays.real_dtype(a) == arrays.namespace(a).float32 else _cast(a))


def _cast(a: Array) -> Array:
    xp = arrays.namespace(a)
    return xp.astype(a, xp.complex64 if xp.isdtype(a.dtype, "complex floating") else xp.float32)


def on_numpy(item: Any) -> Any:
    """A point, or an object with all its data, on NumPy in double precision."""
    return _mapped(
        item, lambda a: np.array(arrays.to_numpy(a), dtype=complex if arrays.to_numpy(a).dtype.kind == "c" else float)
    )


def _mapped(item: Any, change: Callable[[Array], Array]) -> Any:
    if arrays.is_array(item):
        return change(item) if arrays.is_floating(item) else item
    if isinstance(item, (tuple, list)):
        parts = [_mapped(part, change) for part in item]
        if all(new is old for new, old in zip(parts, item, strict=True)):
            return item
        return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    if hasattr(item, "tocsr"):
        data = change(item.data)
        return item if data is item.data else item.astype(data.dtype)
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item) if field.init}
        values = {name: _mapped(value, change) for name, value in fields.items() if not name.startswith("_")}
        if all(new is fields[name] for name, new in values.items()):
            return item
        return type(item)(**values)  # private fields are caches of the old data: they start anew
    return item


def holds_callables(item: Any) -> bool:
    """Whether a field of the object is a plain function, whose captured data nobody can convert."""
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return callable(item)
    values = [getattr(item, field.name) for field in dataclasses.fields(item)]
    parts = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
    return any(
        holds_callables(part) if dataclasses.is_dataclass(part) else callable(part)
        for part in parts
        if not arrays.is_array(part)
    )


# ---- points as vectors of the host ---------------------------------------------------------------------


def flat(x: Array) -> np.ndarray[Any, Any]:
    """All numbers of a point in one real NumPy vector; a complex number is two."""
    return np.concatenate([_reals(arrays.to_numpy(leaf)) for leaf in arrays.leaves(x)])


def _reals(host: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if host.dtype.kind == "c":
        return np.ascontiguousarray(host, dtype=complex).reshape(-1).view(float)
    return np.asarray(host, dtype=float).reshape(-1)


def unflat(vector: np.ndarray[Any, Any], like: Array) -> Array:
    """The point of the structure of ``like`` with the numbers of the vector."""
    position = 0

    def take(leaf: Array) -> Array:
        nonlocal position
        is_complex = bool(arrays.namespace(leaf).isdtype(leaf.dtype, "complex floating"))
        size = int(np.prod(leaf.shape, dtype=int)) * (2 if is_complex else 1)
        part = np.ascontiguousarray(vector[position : position + size])
        position += size
        return arrays.from_numpy((part.view(complex) if is_complex else part).reshape(tuple(leaf.shape)), leaf)

    return arrays.tree_map(take, like)


def jacobian(image: Callable[[Array], Array], x: Array, h: float) -> np.ndarray[Any, Any] | None:
    """The matrix of differences (image(x + h e_i) - image(x))/h, or None where it is too large or not finite."""
    start = flat(x)
    if not 0 < start.size <= DENSE_LIMIT:
        return None
    base = flat(image(x))
    columns = []
    for index in range(start.size):
        moved = start.copy()
        moved[index] += h
        columns.append((flat(image(unflat(moved, x))) - base) / h)
    matrix = np.stack(columns, axis=1)
    return matrix if np.all(np.isfinite(matrix)) else None
