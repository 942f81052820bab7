"""The capped simplex {0 <= x_i <= cap, sum x = total}."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import entry_slack, row_slack, zero_or_infinity
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.sets.box_multiplier import section_projection
from monops.functions.sets.box_sections import HyperplaneBox
from monops.linear import LinearMap

__all__ = ["CappedSimplex"]

FILTERED = 1000  # entries from which on a partition pays


def row_of_ones(x: Array, batch_ndim: int) -> Array:
    """Ones of the shape of a row."""
    xp = arrays.namespace(x)
    return xp.ones(tuple(x.shape[batch_ndim:]), dtype=x.dtype, device=arrays.device(x))


def capped_projection(x: Array, total: Any, cap: Any, batch_ndim: int) -> Array:
    """clip(x - t, 0, cap) with the t that makes the sum of each row ``total``, which must be at most cap a row's entries.

    On NumPy, a single row is first cut down to the entries near t: with x_(1) >= x_(2) >= ..., t lies between x_(m) - cap and
    x_(j + 1), where m and j are total/cap rounded up and down.
    """
    single = isinstance(x, np.ndarray) and batch_ndim == 0 and x.size >= FILTERED
    count = float(total) / float(cap) if single else 0.0
    if not (single and 0 < math.floor(count) < x.size - 1 and np.max(x) < math.inf):  # NaN is not, either
        return section_projection(x, row_of_ones(x, batch_ndim), total, 0.0, cap, batch_ndim)
    flat = x.reshape(-1)
    above, below = flat.size - math.ceil(count), flat.size - 1 - math.floor(count)
    ranked = np.partition(flat, (max(above, 0), below))
    low, high = ranked[max(above, 0)] - cap, ranked[below] + cap
    slack = 4.0 * arrays.epsilon(x) * (abs(low) + abs(high) + cap)
    full, middle = flat >= high + slack, (flat > low - slack) & (flat < high + slack)
    result = full.astype(x.dtype) * cap
    rest = flat[middle]
    if rest.size:
        left = float(total) - float(np.count_nonzero(full)) * float(cap)
        result[middle] = section_projection(rest, np.ones_like(rest), left, 0.0, cap, 0)
    return result.reshape(x.shape)


@final
@dataclass(frozen=True, eq=False)
class CappedSimplex(Function):
    """Indicator of {x : 0 <= x_i <= cap, sum x = total}, over all entries of a row; the conjugate of `SumLargest`.

    Parameters
    ----------
    total : float, default 1
        Above 0, and at most cap times the number of entries (else the set is empty: refused where x is known).
    cap : float, default 1
        Above 0.

    Notes
    -----
    prox: clip(x - t, 0, cap) with the t that makes the sum right. **Domain** the set. **Constants** mu = 0. **Cost** that of
    `HyperplaneBox`: a few passes. **Derivative** of the prox: on the entries strictly inside, the identity minus their mean.

    References
    ----------
    Wang and Lu (2015), Projection onto the capped simplex.

    Examples
    --------
    >>> import numpy as np
    >>> CappedSimplex(2.0).prox(np.array([9.0, 0.5, 0.5]))
    array([1. , 0.5, 0.5])
    """

    total: Any = 1.0
    cap: Any = 1.0

    def __post_init__(self) -> None:
        for name in ("total", "cap"):
            value = autodiff.detach(getattr(self, name))
            if not 0 < float(value) < math.inf:
                raise DataError(f"CappedSimplex: {name}={value!r} must be a finite number > 0")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(2.0), (5,), lambda cp, y: [y >= 0, y <= 1, cp.sum(y) == 2]),
            Sample(lambda a: cls(1.5, 0.4), (2, 3), lambda cp, y: [y >= 0, y <= 0.4, cp.sum(y) == 1.5]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def _section(self, x: Array) -> HyperplaneBox:
        return HyperplaneBox(row_of_ones(x, self.batch_ndim), self.total, 0.0, self.cap, batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        slack = entry_slack(x)
        outside = arrays.row_sum(xp.astype(~((x >= -slack) & (x <= self.cap + slack)), x.dtype), self.batch_ndim)
        off = xp.abs(arrays.row_sum(x, self.batch_ndim) - self.total)
        return zero_or_infinity((outside == 0) & (off <= row_slack(0.0 * off + self.total, x, self.batch_ndim)), x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still, entries = self.detached(), math.prod(x.shape[self.batch_ndim :])
        if float(still.total) > float(still.cap) * entries * (1.0 + 8 * arrays.epsilon(x)):
            raise DataError(
                f"CappedSimplex: {entries} entries of at most {float(still.cap):g} cannot sum to {float(still.total):g}: the "
                "set is empty"
            )
        point = capped_projection(autodiff.detach(x), still.total, still.cap, self.batch_ndim)
        return self.with_derivative(x, step, point)

    def conjugate(self) -> Function:
        from monops.functions.norms.order import SumLargest  # it is built on this set: imported where it is made

        return SumLargest(float(self.total) / float(self.cap), float(self.cap), batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self._section(x).prox_derivative(x)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        maps = self._section(x).prox_parameter_derivatives(x)
        return {"total": maps["b"], "cap": maps["upper"]}

    def value_formula(self, x: str) -> str:
        return f"i(0 <= {x} <= {float(self.cap):g}, sum {x} = {float(self.total):g})"
