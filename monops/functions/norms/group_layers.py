"""Groups given as index lists, in layers of disjoint ones: a layer acts as whole arrays, whatever the lengths of its groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.norms.groups import group_size


class Group(NamedTuple):
    """Indices along the last axis, and the weight of their norm."""

    indices: tuple[int, ...]
    weight: float


def as_groups(owner: str, groups: Any) -> tuple[Group, ...]:
    """Groups from pairs (indices, weight), checked."""
    found = []
    for number, pair in enumerate(groups):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or isinstance(pair[0], (int, float)):
            raise DataError(f"{owner}: group {number} must be a pair (indices, weight), got {pair!r}")
        indices, weight = pair
        unique = tuple(int(index) for index in indices)
        if not unique or min(unique) < 0 or len(set(unique)) != len(unique):
            raise DataError(f"{owner}: group {number} must list distinct indices >= 0, got {indices!r}")
        if not 0 <= weight < math.inf:
            raise DataError(f"{owner}: group {number} has weight {weight!r}; weights must be finite and at least 0")
        found.append(Group(unique, float(weight)))
    if not found:
        raise DataError(f"{owner} needs at least one group, a pair (indices, weight)")
    return tuple(found)


def nesting(owner: str, groups: Sequence[Group]) -> list[list[Group]]:
    """Groups in ascending length, in layers: every group stands in a later layer than those inside it."""
    layers: list[list[Group]] = []
    outermost = np.full(1 + max(max(group.indices) for group in groups), -1)  # the last group so far that holds an entry
    depth: list[int] = []
    for number, group in enumerate(groups):
        indices = list(group.indices)
        inside, counts = np.unique(outermost[indices], return_counts=True)
        for other, count in zip(inside.tolist(), counts.tolist(), strict=True):
            if other >= 0 and count < len(groups[other].indices):
                raise DataError(
                    f"{owner}: groups {groups[other].indices} and {group.indices} overlap without one containing the other: "
                    "use OverlappingGroupL2"
                )
        level = 1 + max((depth[other] for other in inside.tolist() if other >= 0), default=-1)
        depth.append(level)
        outermost[indices] = number
        if level == len(layers):
            layers.append([])
        layers[level].append(group)
    return layers


def colours(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups in layers of disjoint ones, each in the first layer that has room for it."""
    layers: list[list[Group]] = []
    taken: list[set[int]] = []
    for group in groups:
        for layer, entries in zip(layers, taken, strict=True):
            if entries.isdisjoint(group.indices):
                layer.append(group)
                entries.update(group.indices)
                break
        else:
            layers.append([group])
            taken.append(set(group.indices))
    return layers


class Layer:
    """Disjoint groups on the host. Groups of similar length share a matrix of indices, filled up to a power of 2."""

    def __init__(self, owner: str, groups: Sequence[Group]) -> None:
        self.owner = owner
        widths = [1 << (len(group.indices) - 1).bit_length() for group in groups]
        ranked = sorted(range(len(groups)), key=widths.__getitem__)
        self.weights = np.array([groups[number].weight for number in ranked])
        self.highest = max(max(group.indices) for group in groups)
        self.member = np.full(self.highest + 1, len(groups))
        self.matrices: list[np.ndarray] = []
        for width in sorted(set(widths)):
            chosen = [groups[number] for number in ranked if widths[number] == width]
            matrix = np.full((len(chosen), width), -1)
            for row, group in zip(matrix, chosen, strict=True):
                row[: len(group.indices)] = group.indices
            self.matrices.append(matrix)
        for position, number in enumerate(ranked):
            self.member[list(groups[number].indices)] = position

    def on(self, x: Array) -> LayerOn:
        """The layer for arrays like x."""
        xp = arrays.namespace(x)
        length = x.shape[-1] if x.ndim else 0
        if self.highest >= length:
            raise ShapeError(f"{self.owner}: index {self.highest} does not exist in the {length} entries of the last axis of x")

        def indices(host: np.ndarray) -> Array:
            return arrays.from_numpy(np.ascontiguousarray(host, dtype=np.int64), like=x, dtype=xp.int64)

        outside = np.full(length - self.member.shape[0], len(self.weights))
        matrices = [np.where(matrix < 0, length, matrix) for matrix in self.matrices]
        return LayerOn(
            arrays.from_numpy(self.weights, like=x),
            [(indices(matrix.ravel()), matrix.shape) for matrix in matrices],
            indices(np.concatenate([self.member, outside])),
        )


class LayerOn(NamedTuple):
    """A layer on the library and device of an array: sums over groups (last axis: the groups), and back to their entries."""

    weights: Array
    matrices: list[tuple[Array, tuple[int, ...]]]
    member: Array

    def _gathered(self, x: Array) -> list[Array]:
        """The entries of the groups, one row a group, filled up with zeros."""
        xp = arrays.namespace(x)
        longer = xp.concat([x, xp.zeros_like(x[..., :1])], axis=-1)
        return [xp.reshape(xp.take(longer, flat, axis=-1), (*x.shape[:-1], *shape)) for flat, shape in self.matrices]

    def sums(self, x: Array) -> Array:
        """Sum over each group."""
        xp = arrays.namespace(x)
        return xp.concat([xp.sum(part, axis=-1) for part in self._gathered(x)], axis=-1)

    def sizes(self, x: Array) -> Array:
        """Euclidean norm of each group."""
        return arrays.namespace(x).concat([group_size(part, (-1,))[..., 0] for part in self._gathered(x)], axis=-1)

    def spread(self, values: Array, outside: float) -> Array:
        """The value of its group at every entry; ``outside`` at entries of no group."""
        xp = arrays.namespace(values)
        rest = xp.zeros_like(values[..., :1]) + outside
        return xp.take(xp.concat([values, rest], axis=-1), self.member, axis=-1)
