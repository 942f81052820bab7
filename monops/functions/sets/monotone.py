"""The cone of monotone sequences (isotonic regression), and its polar cone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import scipy.optimize

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import ShapeError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import row_slack, zero_or_infinity
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.linear import LinearMap
from monops.linear.jacobian import SelfAdjointMap

__all__ = [
    "MonotoneCone",
    "MonotonePolar",
]


def isotonic(x: Array, decreasing: bool) -> Array:
    """The nearest monotone sequence along the last axis, on the host: one call of SciPy's compiled pooling a sequence."""
    host = arrays.to_numpy(x)
    if not host.ndim:
        raise ShapeError("MonotoneCone needs a last axis to be monotone along, got a number")
    rows = host.reshape(-1, host.shape[-1])
    fitted = np.empty(rows.shape)
    for row, result in zip(rows, fitted, strict=True):
        scale = np.max(np.abs(row), initial=0.0)
        scale = 2.0 ** np.floor(np.log2(scale)) if 0.0 < scale < np.inf else 1.0  # a power of 2: sums cannot overflow, exactly
        result[...] = scipy.optimize.isotonic_regression(row / scale, increasing=not decreasing).x * scale
    return arrays.from_numpy(fitted.reshape(host.shape), like=x)


def pool_means(p: Array) -> SelfAdjointMap:
    """h -> its means over the runs of equal entries of p, along the last axis."""
    xp = arrays.namespace(p)
    host = arrays.to_numpy(p)
    length = host.shape[-1]
    rows = host.reshape(-1, length)
    count = rows.shape[0]
    starts = np.ones(rows.shape, dtype=bool)
    starts[:, 1:] = rows[:, 1:] != rows[:, :-1]
    first = np.flatnonzero(starts)
    sizes = np.diff(np.append(first, rows.size))
    label = np.cumsum(starts) - 1  # runs do not cross rows, because each row starts one
    offset = first // length  # every row of running sums below has one entry more

    def indices(host_indices: Any) -> Array:
        return xp.asarray(host_indices, dtype=xp.int64, device=arrays.device(p))

    begin, end, runs = indices(first + offset), indices(first + offset + sizes), indices(label)
    sizes_there = arrays.from_numpy(sizes, like=p)

    def means(h: Array) -> Array:
        flat = xp.reshape(h, (count, length))
        running = xp.concat([xp.zeros_like(flat[:, :1]), xp.cumulative_sum(flat, axis=-1)], axis=-1)
        running = xp.reshape(running, (-1,))
        totals = xp.take(running, end, axis=0) - xp.take(running, begin, axis=0)
        return xp.reshape(xp.take(totals / sizes_there, runs, axis=0), h.shape)

    return SelfAdjointMap(means, tuple(p.shape))


@final
@dataclass(frozen=True, eq=False)
class MonotoneCone(Function):
    """Indicator of {x : x_1 <= x_2 <= ...} along the last axis; other axes hold independent sequences.

    Parameters
    ----------
    decreasing : bool, default False
        x_1 >= x_2 >= ... instead.

    Notes
    -----
    prox: isotonic regression; every entry becomes the mean of its block. **Domain** the cone. **Constants** mu = 0; no
    gradient. **Cost** linear: the pool-adjacent-violators algorithm of SciPy, on the host, once a sequence; arrays on a device
    are copied there and back. **Derivative** of the prox: the means over the runs of equal entries of prox(x) (also where two
    blocks happen to have equal means).

    References
    ----------
    Barlow, Bartholomew, Bremner and Brunk (1972); Best and Chakravarti (1990).

    Examples
    --------
    >>> import numpy as np
    >>> MonotoneCone().prox(np.array([1.0, 3.0, 2.0, 4.0]))
    array([1. , 2.5, 2.5, 4. ])
    """

    decreasing: bool = False

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), (6,), lambda cp, y: [cp.diff(y) >= 0]),
            Sample(lambda a: cls(decreasing=True), (2, 4), lambda cp, y: [y[:, 1:] <= y[:, :-1]]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        change = x[..., 1:] - x[..., :-1]
        largest = xp.where(xp.abs(x[..., 1:]) > xp.abs(x[..., :-1]), xp.abs(x[..., 1:]), xp.abs(x[..., :-1]))
        rising = (-change if self.decreasing else change) >= -8 * arrays.epsilon(x) * arrays.clip(largest, 1.0, None)
        return zero_or_infinity(arrays.row_sum(xp.astype(~rising, x.dtype), self.batch_ndim) == 0, x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return self.with_derivative(x, step, isotonic(autodiff.detach(x), self.decreasing))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return pool_means(self.prox(x))

    def conjugate(self) -> Function:
        return MonotonePolar(self.decreasing, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        order = ">=" if self.decreasing else "<="
        return f"i({x}_1 {order} {x}_2 {order} ...)"


@final
@dataclass(frozen=True, eq=False)
class MonotonePolar(Function):
    """Indicator of the polar cone {v : <v, x> <= 0 for every monotone x}: running sums >= 0, and the total 0.

    Parameters
    ----------
    decreasing : bool, default False
        The polar of the cone of decreasing sequences: running sums <= 0, and the total 0.

    Notes
    -----
    prox: x minus its isotonic regression (Moreau). **Domain** the cone. **Constants** mu = 0; no gradient. **Cost** that of
    `MonotoneCone`. **Derivative** of the prox: the identity minus the means over the runs of equal entries of the isotonic
    regression.

    References
    ----------
    Moreau (1962); Barlow, Bartholomew, Bremner and Brunk (1972).

    Examples
    --------
    >>> import numpy as np
    >>> MonotonePolar().prox(np.array([1.0, 3.0, 2.0, 4.0]))
    array([ 0. ,  0.5, -0.5,  0. ])
    """

    decreasing: bool = False

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), (5,), lambda cp, y: [cp.cumsum(y) >= 0, cp.sum(y) == 0]),
            Sample(lambda a: cls(decreasing=True), (2, 3), lambda cp, y: [cp.cumsum(y, axis=1) <= 0, cp.sum(y, axis=1) == 0]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        running = xp.cumulative_sum(x, axis=-1)
        signed = -running if self.decreasing else running
        slack = row_slack(xp.sum(xp.abs(x), axis=-1, keepdims=True), x, x.ndim - 1)
        holds = (signed >= -slack) & (xp.abs(running[..., -1:]) <= slack)
        return zero_or_infinity(arrays.row_sum(xp.astype(~holds, x.dtype), self.batch_ndim) == 0, x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still = autodiff.detach(x)
        return self.with_derivative(x, step, still - isotonic(still, self.decreasing))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        means = pool_means(isotonic(autodiff.detach(x), self.decreasing))
        return SelfAdjointMap(lambda h: h - means.apply(h), tuple(x.shape))

    def conjugate(self) -> Function:
        return MonotoneCone(self.decreasing, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"i(<{x}, y> <= 0 for {'decreasing' if self.decreasing else 'increasing'} y)"
