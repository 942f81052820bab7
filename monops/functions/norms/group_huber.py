"""The Huber function of the norm of every group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import nonzero
from monops.functions.function import Function
from monops.functions.norms.groups import Axis, group_axes, group_size
from monops.functions.sample import Sample
from monops.functions.weights import check_weight, weighted
from monops.linear import BroadcastMap, DiagonalPlusRankOne, LinearMap

__all__ = ["GroupHuber"]


@final
@dataclass(frozen=True, eq=False)
class GroupHuber(Function):
    """f(x) = weight sum over groups of h(|x_group|_2), h(t) = t^2/2 for t <= delta, delta t - delta^2/2 beyond.

    Parameters
    ----------
    delta : float, default 1
        Greater than 0.
    weight : float, default 1
        At least 0.
    axis : int or tuple of int, default -1
        The axes inside a group, as in GroupL2. ``GroupHuber(axis=0) @ Gradient(shape)`` is the smoothed total variation.

    Notes
    -----
    prox: x_group (1 - s min(1/(1 + s), delta/|x_group|)) with s = step weight; also for complex x. Gradient: weight x_group
    min(1, delta/|x_group|). **Domain** everything. **Constants** mu = 0, L = weight. **Cost** two passes. **Derivative** of the
    prox: I/(1 + s) where |x_group| < delta (1 + s); else (1 - r) I + r u u* with r = s delta/|x_group|, u = x_group/|x_group|
    (also at the kinks).

    References
    ----------
    Huber (1964), Robust estimation of a location parameter; Bauschke and Combettes (2017), chapter 24, for radial functions.

    Examples
    --------
    >>> import numpy as np
    >>> GroupHuber().prox(np.array([[3.0, 4.0], [0.6, 0.8]]), 1.0)
    array([[2.4, 3.2],
           [0.3, 0.4]])
    """

    delta: float = 1.0
    weight: float = 1.0
    axis: Axis = -1

    def __post_init__(self) -> None:
        check_weight("GroupHuber", self.weight)
        if not 0 < self.delta < math.inf:
            raise DataError(f"GroupHuber: delta={self.delta!r} must be a finite number > 0: where the quadratic part ends")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def reference(cp: Any, y: Any) -> Any:
            return 1.3 * 0.5 * cp.sum(cp.huber(cp.norm(y, 2, axis=0), 0.8))

        return (
            Sample(lambda a: cls(0.8, 1.3, axis=0), (2, 4), reference, is_complex=True),
            Sample(lambda a: cls(3.0, 0.4), (2, 3), lambda cp, y: 0.2 * cp.sum(cp.huber(cp.norm(y, 2, axis=1), 3.0))),
        )

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, lipschitz=float(self.weight), cyclic=True, why="computed: the weight")

    def _sizes(self, x: Array) -> tuple[tuple[int, ...], Array]:
        axes = group_axes(self.axis, self.batch_ndim)
        return axes, group_size(x, axes)

    def _pull(self, size: Array, s: Any) -> tuple[Array, Array]:
        """Where the linear part holds the prox, and min(1/(1 + s), delta/|x|), without a zero to divide by."""
        xp = arrays.namespace(size)
        beyond = size >= self.delta * (1.0 + s)
        ratio = self.delta / xp.where(beyond, size, xp.ones_like(size))
        return beyond, xp.where(beyond, ratio, xp.zeros_like(size) + 1.0 / (1.0 + s))

    def __call__(self, x: Array) -> Array:
        size = self._sizes(x)[1]
        near = arrays.clip(size, None, self.delta)
        return self.weight * arrays.row_sum(near * (size - 0.5 * near), self.batch_ndim)

    def gradient(self, x: Array) -> Array:
        size = self._sizes(x)[1]
        return x * arrays.namespace(x).astype(self.weight * self._pull(size, 0.0)[1], x.dtype)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        s = step * self.weight
        return x * arrays.namespace(x).astype(self._factor(*self._pull(self._sizes(x)[1], s), s), x.dtype)

    def _factor(self, beyond: Array, pull: Array, s: Any) -> Array:
        """1 - s pull; equal to the pull where that is 1/(1 + s), without cancellation."""
        return arrays.namespace(pull).where(beyond, 1.0 - s * pull, pull)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        axes, size = self._sizes(x)
        s = step * self.weight
        beyond, pull = self._pull(size, s)
        unit = x / xp.astype(nonzero(size), x.dtype)
        return DiagonalPlusRankOne(self._factor(beyond, pull, s), unit, xp.where(beyond, s * pull, xp.zeros_like(pull)), axes)

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        xp = arrays.namespace(x)
        _, size = self._sizes(x)
        s = step * self.weight
        beyond, pull = self._pull(size, s)
        in_delta = xp.where(beyond, -s / nonzero(size), xp.zeros_like(size))
        in_weight = -step * pull * xp.where(beyond, xp.ones_like(size), pull)
        return {
            "delta": BroadcastMap(x * xp.astype(in_delta, x.dtype)),
            "weight": BroadcastMap(x * xp.astype(in_weight, x.dtype)),
        }

    def value_formula(self, x: str) -> str:
        return weighted(self.weight, f"huber_{self.delta:g}(|{x}_g|_2)")
