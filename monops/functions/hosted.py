"""Linear maps that act on host copies of arrays, and that torch still differentiates through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Known
from monops.linear import LinearMap

HostFunction = Callable[[np.ndarray], np.ndarray]


@final
@dataclass(frozen=True, eq=False)
class HostMap(LinearMap):
    """x -> forward(x) for a linear function of NumPy arrays, with its adjoint ``backward``; any library in, the same out.

    Leading batch axes are flattened to one: both functions take and return arrays of shape (rows, *shape).

    Examples
    --------
    >>> import numpy as np
    >>> HostMap(lambda x: 2.0 * x, lambda y: 2.0 * y, (2,), (2,), 2.0).apply(np.array([1.0, 3.0]))
    array([2., 6.])
    """

    forward: HostFunction
    backward: HostFunction
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    bound: float
    like: Any = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.shape_in

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.shape_out

    def apply(self, x: Array) -> Array:
        return self._through_host(x, self.forward, self.backward, self.shape_in, self.shape_out)

    def adjoint(self, y: Array) -> Array:
        return self._through_host(y, self.backward, self.forward, self.shape_out, self.shape_in)

    @cached_property
    def norm(self) -> Known:
        return Known(self.bound, "computed: bound")

    def _through_host(self, x: Array, there: HostFunction, back: HostFunction, start: Any, end: Any) -> Array:
        like = x if arrays.is_array(x) else self.like
        still = autodiff.detach(x)
        result = arrays.from_numpy(_rows(there, arrays.to_numpy(still), start, end), like=like)
        if not autodiff.tracks_gradient(x):
            return result
        # A sum of zeros carries the record of x; two hooks put the adjoint in the place of its own derivative.
        arriving: list[Array] = []
        zero = x - still
        zero.register_hook(lambda _: arrays.from_numpy(_rows(back, arrays.to_numpy(arriving.pop()), end, start), like=like))
        carrier = arrays.namespace(x).zeros_like(result) + arrays.namespace(x).sum(zero)
        carrier.register_hook(arriving.append)
        return result + carrier


def _rows(function: HostFunction, x: np.ndarray, start: tuple[int, ...], end: tuple[int, ...]) -> np.ndarray:
    """``function`` on the rows of x, whose last axes have the shape ``start``; the answer's have the shape ``end``."""
    batch = x.shape[: x.ndim - len(start)]
    count = int(np.prod(batch))
    return np.asarray(function(x.reshape((count, *start)))).reshape((*batch, *end))


def self_adjoint(function: HostFunction, shape: tuple[int, ...]) -> HostMap:
    """The derivative of a prox, a self-adjoint map with spectrum in [0, 1], that is applied on the host."""
    return HostMap(function, function, shape, shape, 1.0)
