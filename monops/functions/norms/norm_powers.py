"""Powers of norms: the squared l1 norm and the cubed l2 norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import nonzero, row_axes, row_norm
from monops.functions.function import Function, Zero
from monops.functions.norms.shrinkage import row_size
from monops.functions.sample import Sample
from monops.functions.sets.simplices import MAXIMUM_PASSES, row_total
from monops.functions.weights import check_weight
from monops.linear import BroadcastMap, DiagonalPlusRankOne, LinearMap

__all__ = ["CubedL2", "SquaredL1"]


def _threshold(ratio: Array, level: Array, share: Any) -> Array:
    """The t with sum max(ratio - t, 0) = level + share t along the last axis, which is kept; ``ratio`` has largest entry 0.

    Newton's method on a convex, decreasing, piecewise linear function, from the left, as for `Simplex`.
    """
    xp = arrays.namespace(ratio)
    t = -level / (share + 1.0)  # right if only the largest entry is above
    if isinstance(ratio, np.ndarray) and ratio.ndim == 1:  # entries that cannot be above any more are dropped
        while True:
            ratio = ratio[ratio > t]
            following = (np.sum(ratio, keepdims=True) - level) / (share + float(ratio.size))
            if not following > t:
                return t
            t = following
    one = xp.ones_like(ratio)
    for _ in range(MAXIMUM_PASSES):
        above = xp.astype(ratio > t, ratio.dtype)
        following = (xp.vecdot(above, ratio)[..., None] - level) / (share + xp.vecdot(above, one)[..., None])
        done = ~(following > t)
        t = xp.where(done, t, following)
        if arrays.holds_everywhere(done):
            break
    return t


@final
@dataclass(frozen=True, eq=False)
class SquaredL1(Function):
    """f(x) = weight/2 |x|_1^2 over all entries of a row: the exclusive lasso of one group.

    Parameters
    ----------
    weight : float, default 1
        Above 0.

    Notes
    -----
    prox: sign(x_i) max(|x_i| - t, 0) with t = step weight |prox(x)|_1. **Domain** everything. **Constants** mu = 0, not smooth.
    **Cost** linear: Newton's method on the piecewise linear equation for t, as for `Simplex`. **Derivative** of the prox: D - s
    v v*/(1 + s k) with D = 1 where prox(x) is not 0 (k entries), v = D sign(x), s = step weight.

    References
    ----------
    Kowalski (2009), Sparse regression using mixed norms.

    Examples
    --------
    >>> import numpy as np
    >>> SquaredL1().prox(np.array([3.0, -1.0]), 1.0) + 0.0
    array([1.5, 0. ])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.weight, (int, float)) or not 0 < self.weight < math.inf:
            raise DataError(f"SquaredL1: weight={self.weight!r} must be a finite number > 0")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(1.3), (5,), lambda cp, y: 0.65 * cp.square(cp.norm1(y))),
            Sample(lambda a: cls(0.1), (2, 3), lambda cp, y: 0.05 * cp.square(cp.sum(cp.abs(y)))),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        size = arrays.row_sum(arrays.namespace(x).abs(x), self.batch_ndim)
        return 0.5 * self.weight * size * size

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still = autodiff.detach(x)
        xp = arrays.namespace(still)
        size = arrays.flat_rows(xp.abs(still), self.batch_ndim)
        top = xp.max(size, axis=-1, keepdims=True)
        share = 1.0 / (autodiff.detach(step) * self.weight)
        kept = arrays.maximum(size - top - _threshold(size - top, share * top, share), 0.0)
        return self.with_derivative(x, step, xp.copysign(xp.reshape(kept, x.shape), still))

    def _face(self, x: Array, step: Any) -> tuple[Array, Array, Array]:
        """The signs where the prox is not 0, how many they are, and the sum of its moduli; row axes kept."""
        xp = arrays.namespace(x)
        p = self.prox(x, step)
        signs = xp.sign(p)
        return signs, row_total(signs * signs, self.batch_ndim), row_total(xp.abs(p), self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        signs, count, _ = self._face(x, step)
        s = step * self.weight
        return DiagonalPlusRankOne(signs * signs, signs, -s / (1.0 + s * count), row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        signs, count, total = self._face(x, step)
        return {"weight": BroadcastMap(-step * total / (1.0 + step * self.weight * count) * signs)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g}/2 |{x}|_1^2"


@final
@dataclass(frozen=True, eq=False)
class CubedL2(Function):
    """f(x) = weight/3 |x|_2^3 over all entries of a row: the cubic regularisation of Newton's method.

    Parameters
    ----------
    weight : float, default 1
        At least 0.

    Notes
    -----
    prox: x/(1 + s r) with s = step weight and r = 2 |x|/(1 + sqrt(1 + 4 s |x|)) the norm of the prox. Gradient weight |x| x.
    **Domain** everything. **Constants** mu = 0; the gradient is not Lipschitz on the whole space. **Cost** two passes.
    **Derivative** of the prox: (r/|x|) (I - u u*) + u u*/(1 + 2 s r), u = x/|x|; the identity at 0.

    References
    ----------
    Nesterov and Polyak (2006), Cubic regularization of Newton method and its global performance.

    Examples
    --------
    >>> import numpy as np
    >>> CubedL2().prox(np.array([1.2, 1.6]), 1.0)
    array([0.6, 0.8])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_weight("CubedL2", self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(1.3), (5,), lambda cp, y: 1.3 / 3 * cp.power(cp.norm(y, 2), 3), is_complex=True),)

    def __call__(self, x: Array) -> Array:
        size = row_norm(x, self.batch_ndim)
        return (self.weight / 3.0) * size * size * size

    def gradient(self, x: Array) -> Array:
        return arrays.scale_rows(self.weight * row_norm(x, self.batch_ndim), x)

    def _ratio(self, x: Array, step: Any) -> tuple[Array, Array]:
        """|x|, and r/|x|; row axes kept."""
        size = row_size(x, self.batch_ndim)
        root = arrays.namespace(size).sqrt(1.0 + (4.0 * step * self.weight) * size)
        return size, 2.0 / (1.0 + root)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still = autodiff.detach(x)
        return self.with_derivative(x, step, still * self._ratio(still, autodiff.detach(step))[1])

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        size, ratio = self._ratio(x, step)
        along = 1.0 / (1.0 + 2.0 * step * self.weight * ratio * size)
        unit = x / arrays.namespace(x).astype(nonzero(size), x.dtype)
        return DiagonalPlusRankOne(ratio, unit, along - ratio, row_axes(x, self.batch_ndim))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        size, ratio = self._ratio(x, step)
        r = ratio * size
        unit = x / arrays.namespace(x).astype(nonzero(size), x.dtype)
        return {"weight": BroadcastMap(-step * r * r / (1.0 + 2.0 * step * self.weight * r) * unit)}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g}/3 |{x}|_2^3"
