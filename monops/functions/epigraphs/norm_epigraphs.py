"""Indicators of the epigraphs {(x, t) : f(x) <= t} of norms and of the maximum, one t a row, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from monops import arrays, autodiff
from monops.arrays import Array, Blocks
from monops.functions.arguments import check_prox
from monops.functions.divergences.pairs import split_pair, waterline, whole_rows
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.linear import LinearMap

__all__ = [
    "EpigraphL1",
    "EpigraphL2",
    "EpigraphLInf",
    "EpigraphMax",
]


@dataclass(frozen=True, eq=False)
class _RowEpigraph(Function):
    """Indicator of {f(x) <= t}, one t a row: a subclass gives ``height``, ``project`` and its derivative ``move``."""

    @property
    def is_indicator(self) -> bool:
        return True

    def height(self, x: Array) -> Array:
        """f of every row of (batch, n); shape (batch, 1)."""
        raise NotImplementedError

    def project(self, x: Array, t: Array) -> tuple[Array, Array]:
        """The projection of rows (batch, n) and (batch, 1)."""
        raise NotImplementedError

    def move(self, x: Array, t: Array, h: Array, k: Array) -> tuple[Array, Array]:
        """Derivative of ``project`` along (h, k)."""
        raise NotImplementedError

    def _flat(self, x: Array) -> tuple[Array, Array]:
        first, second = split_pair(self, x, same_shape=False)
        xp, batch = arrays.namespace(first), tuple(first.shape[: self.batch_ndim])
        n = math.prod(first.shape[self.batch_ndim :])
        return xp.reshape(first, (*batch, n)), xp.reshape(second, (*batch, 1))

    def __call__(self, x: Array) -> Array:
        first, second = self._flat(x)
        xp = arrays.namespace(first)
        size = xp.linalg.vector_norm(first, axis=-1, keepdims=True)
        slack = 8 * arrays.epsilon(first) * xp.maximum(arrays.clip(size, 1.0, None), xp.abs(second))
        slack = slack * max(1.0, float(first.shape[-1])) ** 0.5  # a sum of n rounded entries
        value = xp.where(self.height(first) <= second + slack, 0.0 * second, xp.zeros_like(second) + math.inf)
        return arrays.row_sum(value, self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        first, second = self._flat(x)
        q, s = self.project(first, second)
        xp = arrays.namespace(first)
        return Blocks((xp.reshape(q, x[0].shape), xp.reshape(s, x[1].shape)))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        first, second = self._flat(x)
        xp = arrays.namespace(first)

        def apply(h: Array) -> Array:
            q, s = self.move(first, second, *self._flat(h))
            return Blocks((xp.reshape(q, x[0].shape), xp.reshape(s, x[1].shape)))

        return whole_rows(apply, (tuple(x[0].shape), tuple(x[1].shape)))


@final
@dataclass(frozen=True, eq=False)
class EpigraphMax(_RowEpigraph):
    """Indicator of {(x, t) : max_i x_i <= t}, one t a row (shape: the batch shape and (1,)).

    Notes
    -----
    prox: (min(x, s), s) with the root s of s - t = sum_i max(x_i - s, 0), by sorting. **Domain** the set. **Constants** mu =
    0. **Cost** one sort. **Derivative** of the prox: ds = (dt + sum of dx_i where x_i > s)/(1 + their number); the new x_i
    moves with s where x_i > s, else with x_i (also at the kink).

    References
    ----------
    Held, Wolfe and Crowder (1974) for the sort. Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphMax().prox(Blocks((np.array([4.0, 1.0]), np.array([2.0]))))
    Blocks(array([3., 1.]), array([3.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), ((5,), (1,)), lambda cp, z: [cp.max(z[0]) <= z[1]]),
            Sample(lambda a: cls(), ((2, 3), (1,)), lambda cp, z: [cp.max(z[0]) <= z[1]]),
        )

    def height(self, x: Array) -> Array:
        return arrays.namespace(x).max(x, axis=-1, keepdims=True)

    def project(self, x: Array, t: Array) -> tuple[Array, Array]:
        s, mask = waterline(x, t)
        return arrays.namespace(x).where(mask > 0, s, x), s

    def move(self, x: Array, t: Array, h: Array, k: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        _, mask = waterline(x, t)
        rise = (k + xp.sum(mask * h, axis=-1, keepdims=True)) / (1.0 + xp.sum(mask, axis=-1, keepdims=True))
        return xp.where(mask > 0, rise, h), rise

    def value_formula(self, x: str) -> str:
        return f"i(max {x} <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphLInf(_RowEpigraph):
    """Indicator of {(x, t) : max_i |x_i| <= t}, one t a row (shape: the batch shape and (1,)).

    Notes
    -----
    prox: (sign(x) min(|x|, s), s) with s the larger of 0 and the root of s - t = sum_i max(|x_i| - s, 0), by sorting.
    **Domain** the set. **Constants** mu = 0. **Cost** one sort. **Derivative** of the prox: ds = (dt + sum of d|x_i| where
    |x_i| > s)/(1 + their number); the new |x_i| moves with s where |x_i| > s, else with |x_i|; 0 where the vertex is nearest.

    References
    ----------
    Held, Wolfe and Crowder (1974) for the sort. Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphLInf().prox(Blocks((np.array([-4.0, 1.0]), np.array([2.0]))))
    Blocks(array([-3.,  1.]), array([3.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (1,)), lambda cp, z: [cp.norm(z[0], "inf") <= z[1]]),)

    def height(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return xp.max(xp.abs(x), axis=-1, keepdims=True)

    def project(self, x: Array, t: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        s, mask = waterline(xp.abs(x), t)
        s = xp.where(s < 0, 0.0 * s, s)
        return xp.where(mask > 0, xp.sign(x) * s, x), s

    def move(self, x: Array, t: Array, h: Array, k: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        s, mask = waterline(xp.abs(x), t)
        sign = xp.sign(x) * mask
        rise = (k + xp.sum(sign * h, axis=-1, keepdims=True)) / (1.0 + xp.sum(mask, axis=-1, keepdims=True))
        rise = xp.where(s < 0, 0.0 * rise, rise)
        return xp.where(mask > 0, sign * rise, h), rise

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_inf <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphL1(_RowEpigraph):
    """Indicator of {(x, t) : sum_i |x_i| <= t}, one t a row (shape: the batch shape and (1,)).

    Notes
    -----
    prox: (sign(x) max(|x| - m, 0), t + m) with m the larger of 0 and the root of m + t = sum_i max(|x_i| - m, 0), by sorting.
    **Domain** the set. **Constants** mu = 0. **Cost** one sort. **Derivative** of the prox: with dm = (sum of d|x_i| where
    |x_i| > m, minus dt)/(1 + their number): dt + dm for t, d|x_i| - dm where |x_i| > m and else 0; the identity inside.

    References
    ----------
    Held, Wolfe and Crowder (1974) for the sort. Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphL1().prox(Blocks((np.array([-4.0, 0.5]), np.array([2.0]))))
    Blocks(array([-3., -0.]), array([3.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (1,)), lambda cp, z: [cp.norm1(z[0]) <= z[1]]),)

    def height(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        return xp.sum(xp.abs(x), axis=-1, keepdims=True)

    def project(self, x: Array, t: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        multiplier, mask = waterline(xp.abs(x), -t)
        outside = multiplier > 0
        s = xp.where(outside, arrays.clip(t + multiplier, 0.0, None), t)
        return xp.where(outside, mask * (x - xp.sign(x) * multiplier), x + 0.0 * multiplier), s

    def move(self, x: Array, t: Array, h: Array, k: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        multiplier, mask = waterline(xp.abs(x), -t)
        outside, sign = multiplier > 0, xp.sign(x) * mask
        rise = (xp.sum(sign * h, axis=-1, keepdims=True) - k) / (1.0 + xp.sum(mask, axis=-1, keepdims=True))
        return xp.where(outside, mask * h - sign * rise, h), xp.where(outside, k + rise, k)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_1 <= t)"


@final
@dataclass(frozen=True, eq=False)
class EpigraphL2(_RowEpigraph):
    """Indicator of {(x, t) : |x|_2 <= t}, one t a row (shape: the batch shape and (1,)): the second-order cone.

    Notes
    -----
    prox: s (x/|x|, 1) with s = max(0, (|x| + t)/2) outside the cone. **Domain** the cone. **Constants** mu = 0. **Cost** two
    passes. **Derivative** of the prox: with n = x/|x|: ds = (<n, dx> + dt)/2, dq = n ds + s/|x| (dx - n <n, dx>); the identity
    inside (and at its boundary), 0 where the vertex is nearest.

    References
    ----------
    Bauschke (1996), Projection algorithms and monotone operators. Bauschke and Combettes (2017), chapter 29.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> EpigraphL2().prox(Blocks((np.array([3.0, 4.0]), np.array([0.0]))))
    Blocks(array([1.5, 2. ]), array([2.5]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (1,)), lambda cp, z: [cp.SOC(z[1][0], z[0])]),)

    def height(self, x: Array) -> Array:
        return arrays.namespace(x).linalg.vector_norm(x, axis=-1, keepdims=True)

    def _parts(self, x: Array, t: Array) -> tuple[Array, Array, Array, Array]:
        """Direction n, size, new height s, and where the pair is outside."""
        xp = arrays.namespace(x)
        largest = xp.max(xp.abs(autodiff.detach(x)), axis=-1, keepdims=True)
        largest = xp.where(largest > 0, largest, xp.ones_like(largest))
        scaled = x / largest
        squares = xp.sum(scaled * scaled, axis=-1, keepdims=True)
        length = xp.sqrt(xp.where(squares > 0, squares, xp.ones_like(squares)))
        size = xp.where(squares > 0, largest * length, 0.0 * squares)
        s = 0.5 * size + 0.5 * t
        return scaled / length, size, xp.where(s < 0, 0.0 * s, s), ~(size <= t)

    def project(self, x: Array, t: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        n, _, s, outside = self._parts(x, t)
        return xp.where(outside, n * s, x), xp.where(outside, s, t)

    def move(self, x: Array, t: Array, h: Array, k: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        n, size, s, outside = self._parts(x, t)
        along = xp.sum(n * h, axis=-1, keepdims=True)
        rise = xp.where(s > 0, 0.5 * along + 0.5 * k, 0.0 * k)
        shrink = s / xp.where(size > 0, size, xp.ones_like(size))
        return xp.where(outside, n * rise + shrink * (h - n * along), h), xp.where(outside, rise, k)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}|_2 <= t)"
