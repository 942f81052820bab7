"""The chain: its total variation prox by dynamic programming, its constant pieces, and derivatives through them."""

from __future__ import annotations

from typing import Any

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.compiled import compiled
from monops.functions.hosted import HostMap
from monops.functions.separable import shape_of
from monops.linear import BroadcastMap, LinearMap


@compiled
def chain_prox(rows, thresholds, out):  # type: ignore[no-untyped-def]
    """Minimise 1/2 |p - y|^2 + sum_k threshold_k |p_{k+1} - p_k| for every row y: the last axis of ``out`` becomes p.

    Johnson's dynamic programming. The derivative of the best value of the first k terms, as a function of p_k, is piecewise
    linear and increasing; minimising over p_k clips it to [-threshold, threshold]. Its kinks are kept in a double-ended
    queue: each is put in once and taken out once, so that the whole is linear in n. Going back, p_k is p_{k+1} clipped to
    where the derivative was not; every constant piece is then computed again from its mean.
    """
    count, n = rows.shape
    lower, upper = np.empty(n), np.empty(n)
    capacity = 64
    knots, slopes, offsets = np.empty(capacity), np.empty(capacity), np.empty(capacity)
    for row in range(count):
        y, lam, p = rows[row], thresholds[row], out[row]
        least, most = np.inf, -np.inf
        for k in range(n):
            least, most = min(least, y[k]), max(most, y[k])
            if y[k] != y[k]:
                least, most = -np.inf, np.inf
                break
        if not (most - least) < np.inf:
            p[:] = np.nan
            continue
        most_useful = n * (float(most) - float(least))  # no multiplier of a minimiser is larger
        first, last = capacity // 2, capacity // 2 - 1
        before = 0.0
        for k in range(n):
            after = min(float(lam[k]), most_useful) if k < n - 1 else 0.0
            value = float(y[k])
            slope, offset = 1.0, -value - before
            while first <= last and slope * knots[first] + offset < -after:
                slope += slopes[first]
                offset += offsets[first]
                first += 1
            lower[k] = (-after - offset) / slope
            if k == n - 1:
                break
            first -= 1
            knots[first], slopes[first], offsets[first] = lower[k], slope, offset + after
            slope, offset = 1.0, before - value
            while last > first and slope * knots[last] + offset > after:
                slope -= slopes[last]
                offset -= offsets[last]
                last -= 1
            upper[k] = (after - offset) / slope
            last += 1
            knots[last], slopes[last], offsets[last] = upper[k], -slope, after - offset
            before = after
            if first == 0 or last == capacity - 1:  # back to the middle of the queue, of a longer one if it is half full
                size = last - first + 1
                capacity = 2 * capacity if 2 * size > capacity else capacity
                start = (capacity - size) // 2
                knots2, slopes2, offsets2 = np.empty(capacity), np.empty(capacity), np.empty(capacity)
                knots2[start : start + size] = knots[first : last + 1]
                slopes2[start : start + size] = slopes[first : last + 1]
                offsets2[start : start + size] = offsets[first : last + 1]
                knots, slopes, offsets = knots2, slopes2, offsets2
                first, last = start, start + size - 1
        level, end = lower[n - 1], n
        pull = 0.0  # threshold times sign of the jump at the right end of the piece
        for k in range(n - 1, -1, -1):
            jump, following = 0.0, level
            if k > 0:
                following = min(max(level, lower[k - 1]), upper[k - 1])
                if following == level:
                    continue
                jump = float(lam[k - 1]) if level > following else -float(lam[k - 1])
            base = float(y[k])
            total = 0.0
            for i in range(k + 1, end):
                total += y[i] - base
            exact = base + (total + (pull - jump)) / (end - k)
            for i in range(k, end):
                p[i] = exact
            pull, end, level = jump, k, following


def check_signal(owner: str, name: str, weight: Any, x: Array) -> None:
    """Raise unless x is real, has an axis, and a weight array fits its pairs of neighbours."""
    if arrays.namespace(x).isdtype(x.dtype, "complex floating"):
        raise DataError(f"{owner}: x is complex: take the real and the imaginary part as two signals")
    if x.ndim == 0:
        raise ShapeError(f"{owner} needs an axis to run along, got a number")
    shape = shape_of(weight)
    if shape and shape[-1] not in (1, x.shape[-1] - 1):
        raise ShapeError(
            f"{owner}: {name} has shape {shape} and x {tuple(x.shape)}: one entry for each of the {x.shape[-1] - 1} pairs of "
            "neighbours is needed"
        )


def edge_weights(weight: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Host copy of the weights in float64, broadcast to one for each edge of each signal: shape (signals, n - 1)."""
    *front, n = shape
    values = np.asarray(arrays.to_numpy(weight) if arrays.is_array(weight) else weight, dtype=np.float64)
    if values.size == 1:
        return np.broadcast_to(values.ravel(), (int(np.prod(front)), max(n - 1, 0)))
    return np.broadcast_to(values, (*front, n - 1)).reshape(-1, n - 1)


def denoise(x: Array, step: Any, weight: Any) -> Array:
    """The prox of the weighted total variation along the last axis, computed on the host."""
    host = arrays.to_numpy(x)
    if host.size == 0:
        return x
    result = np.empty(host.shape, dtype=host.dtype)
    thresholds = edge_weights(step * weight, host.shape)
    chain_prox(host.reshape(-1, host.shape[-1]), thresholds, result.reshape(-1, host.shape[-1]))
    return arrays.from_numpy(result, like=x)


class Pieces:
    """The pieces on which signals p are constant: cut where values differ, or where the weight is 0."""

    def __init__(self, p: np.ndarray, weight: Any) -> None:
        self.shape = p.shape
        n = p.shape[-1]
        rows = p.reshape(-1, n)
        cut = np.ones(rows.shape, dtype=bool)
        cut[:, 1:] = (rows[:, 1:] != rows[:, :-1]) | (edge_weights(weight, p.shape) == 0)
        self.starts = np.flatnonzero(cut)
        self.lengths = np.diff(np.append(self.starts, p.size))
        self.signs = np.sign(rows[:, 1:] - rows[:, :-1])

    def average(self, h: np.ndarray) -> np.ndarray:
        """The mean of each row of h, shape (rows, *shape of p), over each piece."""
        flat = h.reshape(len(h), -1).astype(np.float64)
        means = np.add.reduceat(flat, self.starts, axis=1) / self.lengths
        return np.repeat(means, self.lengths, axis=1).reshape(h.shape)

    def push(self, change: np.ndarray) -> np.ndarray:
        """Minus the move of p when the thresholds, shape (rows, *edges), change: the pieces move as their ends push."""
        force = np.zeros((len(change), *self.signs.shape[:-1], self.signs.shape[-1] + 1))
        pull = self.signs * change.reshape(len(change), *self.signs.shape)
        force[..., 1:] += pull
        force[..., :-1] -= pull
        return self.average(force).reshape(len(change), *self.shape)

    def push_adjoint(self, g: np.ndarray) -> np.ndarray:
        """The adjoint of ``push``."""
        averaged = self.average(g).reshape(len(g), *self.signs.shape[:-1], self.signs.shape[-1] + 1)
        return (self.signs * (averaged[..., 1:] - averaged[..., :-1])).reshape(len(g), *self.shape[:-1], self.shape[-1] - 1)


def weight_derivative(pieces: Pieces, weight: Any, step: float, like: Array, mask: Any = 1.0) -> LinearMap:
    """The derivative of the prox in the weight (a number or an array); ``mask`` multiplies the answer."""
    edges = (*pieces.shape[:-1], max(pieces.shape[-1] - 1, 0))
    shape = shape_of(weight)
    if not shape:
        column = arrays.from_numpy(-step * pieces.push(np.ones((1, *edges)))[0], like=like)
        return BroadcastMap(mask * column)
    host_mask = arrays.to_numpy(mask) if arrays.is_array(mask) else mask

    def forward(change: np.ndarray) -> np.ndarray:
        padded = change.reshape(len(change), *(1,) * (len(edges) - len(shape)), *shape)
        return -step * host_mask * pieces.push(np.broadcast_to(padded, (len(change), *edges)))

    def backward(g: np.ndarray) -> np.ndarray:
        back = -step * pieces.push_adjoint(host_mask * g)
        return np.stack([np.asarray(arrays.reduce_to(row, shape)) for row in back])

    return HostMap(forward, backward, shape, pieces.shape, 2.0 * step * float(np.prod(edges)) ** 0.5)
