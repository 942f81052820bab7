"""The sorted l1 norm (OWL, SLOPE) and the ball of its dual norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Known
from monops.errors import DataError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import DataDerivative, projection_by_moreau, row_slack, zero_or_infinity
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.sets.monotone import isotonic, pool_means
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["SortedL1", "SortedL1Ball"]


def check_weights(owner: str, weights: Any) -> None:
    """Raise DataError unless the weights are a nonincreasing vector of numbers >= 0."""
    if not arrays.is_array(weights) or weights.ndim != 1:
        raise DataError(f"{owner}: weights must be a vector, one weight for each rank of |x_i|, the largest first")
    host = arrays.to_numpy(weights)
    if not np.all(np.isfinite(host)) or np.any(host < 0) or np.any(np.diff(host) > 0):
        raise DataError(f"{owner}: weights must be finite, at least 0 and nonincreasing (sort them), or f is not convex")


class Ranked:
    """|x| of each row in descending order, and the way back."""

    def __init__(self, x: Array, weights: Array, batch_ndim: int) -> None:
        xp = arrays.namespace(x)
        self.shape, self.rows = x.shape, (*x.shape[:batch_ndim], math.prod(x.shape[batch_ndim:]))
        flat = xp.reshape(x, self.rows)
        if flat.shape[-1] != weights.shape[0]:
            raise ShapeError(f"{weights.shape[0]} weights do not fit the {flat.shape[-1]} entries of x")
        self.signs, magnitude = xp.sign(flat), xp.abs(flat)
        if isinstance(flat, np.ndarray):  # ties may come in any order, and the inverse needs no second sort
            self.order = np.argsort(-magnitude, axis=-1)
            self.back = np.empty_like(self.order)
            ranks = np.broadcast_to(np.arange(flat.shape[-1]), flat.shape)
            np.put_along_axis(self.back, self.order, ranks, axis=-1)
        else:
            self.order = xp.argsort(magnitude, axis=-1, descending=True, stable=True)
            self.back = xp.argsort(self.order, axis=-1)
        self.sizes = self.ranked(magnitude)

    def ranked(self, flat: Array) -> Array:
        """Entries in the order of descending |x|."""
        return arrays.namespace(flat).take_along_axis(flat, self.order, axis=-1)

    def placed(self, ranked: Array) -> Array:
        """Entries of an array of ranks in their own places."""
        return arrays.namespace(ranked).take_along_axis(ranked, self.back, axis=-1)

    def restored(self, ranked: Array) -> Array:
        """The same, with the signs and the shape of x."""
        return arrays.namespace(ranked).reshape(self.signs * self.placed(ranked), self.shape)


@final
@dataclass(frozen=True, eq=False)
class SortedL1(Function):
    """f(x) = sum_i weights_i |x|_(i), |x|_(1) >= |x|_(2) >= ... the magnitudes of a row in descending order.

    Parameters
    ----------
    weights : array, shape (n,)
        Nonincreasing, at least 0; n is the number of entries of a row. Equal weights are the l1 norm, (1, 0, 0, ...) is l_inf.

    Notes
    -----
    prox: with z = |x|_(i) - step weights_i in that order, the positive part of the nearest nonincreasing sequence, put back
    with the signs of x. **Domain** everything. **Constants** mu = 0, not smooth; f is |weights|_2-Lipschitz. **Cost** one sort
    and one isotonic regression (on the host). **Derivative** of the prox: the means, with the signs, over the entries of a
    block that is not 0; 0 on the others.

    References
    ----------
    Bogdan, van den Berg, Sabatti, Su and Candes (2015), SLOPE; Zeng and Figueiredo (2014), for the OWL norm.

    Examples
    --------
    >>> import numpy as np
    >>> SortedL1(np.array([2.0, 1.0, 0.0])).prox(np.array([0.5, -4.0, 3.5]), 1.0)
    array([ 0.5 , -2.25,  2.25])
    """

    weights: Array

    def __post_init__(self) -> None:
        check_weights("SortedL1", autodiff.detach(self.weights))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def reference(cp: Any, y: Any) -> Any:
            weights = [2.0, 1.1, 1.0, 0.4, 0.1]
            steps = [a - b for a, b in zip(weights, [*weights[1:], 0.0], strict=True)]
            return sum(step * cp.sum_largest(cp.abs(y), rank + 1) for rank, step in enumerate(steps))

        return (Sample(lambda a: cls(a([2.0, 1.1, 1.0, 0.4, 0.1])), (5,), reference),)

    @property
    def value_lipschitz(self) -> Known:
        return Known(float(arrays.norm(autodiff.detach(self.weights))), "computed: the norm of the weights")

    def __call__(self, x: Array) -> Array:
        return arrays.namespace(x).sum(self.weights * Ranked(x, self.weights, self.batch_ndim).sizes, axis=-1)

    def _solve(self, x: Array, step: Any) -> tuple[Ranked, Array]:
        ranked = Ranked(x, self.weights, self.batch_ndim)
        return ranked, isotonic(ranked.sizes - step * self.weights, decreasing=True)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        ranked, fitted = self.detached()._solve(autodiff.detach(x), autodiff.detach(step))
        return self.with_derivative(x, step, ranked.restored(arrays.clip(fitted, 0.0, None)))

    def conjugate(self) -> Function:
        return SortedL1Ball(self.weights, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        ranked, fitted = self._solve(x, step)
        kept, means = xp.astype(fitted > 0, x.dtype), pool_means(fitted)
        # zeros that all have ranks of weight 0 are not penalised: there the prox is the identity
        at_zero = ranked.sizes == 0
        heaviest = xp.max(xp.where(at_zero, self.weights + 0.0 * fitted, 0.0 * fitted), axis=-1, keepdims=True)
        unranked = xp.astype(at_zero & (heaviest == 0), x.dtype)

        def apply(h: Array) -> Array:
            there = ranked.ranked(xp.reshape(h, ranked.rows))
            pooled = ranked.restored(kept * means.apply(ranked.ranked(ranked.signs) * there))
            return pooled + xp.reshape(ranked.placed(unranked * there), h.shape)

        return SelfAdjointMap(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        ranked, fitted = self._solve(x, step)
        kept, means = xp.astype(fitted > 0, x.dtype), pool_means(fitted)

        def forward(change: Array) -> Array:
            return ranked.restored(-step * kept * means.apply(change + 0.0 * fitted))

        def backward(g: Array) -> Array:
            moved = kept * ranked.ranked(ranked.signs * xp.reshape(g, ranked.rows))
            return arrays.reduce_to(-step * means.apply(moved), shape_of(self.weights))

        return {"weights": DataDerivative(forward, backward, shape_of(self.weights), shape_of(x))}

    def value_formula(self, x: str) -> str:
        return f"sum w |{x}|_sorted"


@final
@dataclass(frozen=True, eq=False)
class SortedL1Ball(Function):
    """Indicator of {x : |x|_(1) + ... + |x|_(k) <= weights_1 + ... + weights_k for every k}, the conjugate of `SortedL1`.

    Notes
    -----
    prox: x minus the prox of SortedL1 with step 1. **Domain** the set. **Constants** mu = 0. **Cost** one sort and one isotonic
    regression (on the host). **Derivative** of the prox: the identity minus that of SortedL1.

    References
    ----------
    Bogdan, van den Berg, Sabatti, Su and Candes (2015), SLOPE.

    Examples
    --------
    >>> import numpy as np
    >>> SortedL1Ball(np.array([2.0, 1.0, 0.0])).prox(np.array([0.5, -4.0, 3.5]))
    array([ 0.  , -1.75,  1.25])
    """

    weights: Array

    def __post_init__(self) -> None:
        check_weights("SortedL1Ball", autodiff.detach(self.weights))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        total = np.cumsum([2.0, 1.1, 1.0, 0.4, 0.1])

        def reference(cp: Any, y: Any) -> Any:
            return [cp.sum_largest(cp.abs(y), k + 1) <= total[k] for k in range(5)]

        return (Sample(lambda a: cls(a([2.0, 1.1, 1.0, 0.4, 0.1])), (5,), reference),)

    @property
    def is_indicator(self) -> bool:
        return True

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        sums = xp.cumulative_sum(Ranked(x, self.weights, self.batch_ndim).sizes, axis=-1)
        excess = xp.max(sums - xp.cumulative_sum(self.weights, axis=0), axis=-1)
        return zero_or_infinity(excess <= row_slack(sums[..., -1], x, self.batch_ndim), x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        return projection_by_moreau(x, self.conjugate().prox, self)

    def conjugate(self) -> Function:
        return SortedL1(self.weights, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        jacobian = SortedL1(self.weights, batch_ndim=self.batch_ndim).prox_derivative(x, 1.0)
        return SelfAdjointMap(lambda h: h - jacobian.apply(h), shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"i(sorted |{x}| majorised by w)"
