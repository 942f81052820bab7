"""Finite differences on an n-dimensional grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.constants import Known
from monops.errors import DataError
from monops.linear.linear_map import LinearMap, Shape


@final
@dataclass(frozen=True, eq=False)
class Gradient(LinearMap):
    """Forward differences along every axis of a grid: (..., *shape) -> (..., len(shape), *shape); 0 past the last point.

    Parameters
    ----------
    shape : tuple of int
        Shape of the grid.
    spacing : float, default 1
        Distance of grid points; differences are divided by it.

    Notes
    -----
    The adjoint is minus the divergence. **Norm** exact: 2 sqrt(sum_i cos(pi/(2 n_i))^2)/spacing, from the cosine
    eigenvectors of the discrete Neumann Laplacian. Constant arrays are in the kernel, so the smallest singular value is 0.
    **Cost** one read of x and len(shape) writes; the adjoint the other way round.

    Examples
    --------
    >>> import numpy as np
    >>> Gradient((3,)).apply(np.array([1.0, 4.0, 2.0]))
    array([[ 3., -2.,  0.]])
    >>> round(Gradient((512, 512)).norm.value ** 2, 4)
    7.9999
    """

    shape: Shape
    spacing: float = 1.0

    def __post_init__(self) -> None:
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(int(n) for n in self.shape)
        object.__setattr__(self, "shape", shape)
        if not shape or min(shape) < 1:
            raise DataError(f"Gradient: shape={shape} must be one or more positive integers")
        if not 0 < self.spacing < math.inf:
            raise DataError(f"Gradient: spacing={self.spacing!r} must be a finite number > 0")

    @property
    def input_shape(self) -> Shape:
        return self.shape

    @property
    def output_shape(self) -> Shape:
        return (len(self.shape), *self.shape)

    def apply(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        d = len(self.shape)
        if isinstance(x, np.ndarray):
            return self._apply_numpy(x)
        parts = []
        for axis in range(-d, 0):
            ahead, behind = _slices(x.ndim, axis, slice(1, None)), _slices(x.ndim, axis, slice(None, -1))
            edge = xp.zeros_like(x[_slices(x.ndim, axis, slice(0, 1))])
            parts.append(xp.concat([x[ahead] - x[behind], edge], axis=axis))
        result = xp.stack(parts, axis=-d - 1)
        return result if self.spacing == 1 else result / self.spacing

    def _apply_numpy(self, x: np.ndarray) -> np.ndarray:
        d = len(self.shape)
        result = np.empty((*x.shape[: x.ndim - d], d, *self.shape), dtype=x.dtype)
        for index in range(d):
            axis = index - d
            part = result[_component(index, d)]
            last = _slices(x.ndim, axis, slice(-1, None))
            ahead, behind = _slices(x.ndim, axis, slice(1, None)), _slices(x.ndim, axis, slice(None, -1))
            np.subtract(x[ahead], x[behind], out=part[behind])
            part[last] = 0
        if self.spacing != 1:
            result /= self.spacing
        return result

    def adjoint(self, y: Array) -> Array:
        d = len(self.shape)
        if isinstance(y, np.ndarray):
            return self._adjoint_numpy(y)
        xp = arrays.namespace(y)
        total: Any = 0.0
        for index in range(d):
            axis = index - d
            part = y[_component(index, d)]
            used = part[_slices(part.ndim, axis, slice(None, -1))]
            edge = xp.zeros_like(part[_slices(part.ndim, axis, slice(0, 1))])
            term = xp.concat([edge, used], axis=axis) - xp.concat([used, edge], axis=axis)
            total = term + total
        return total if self.spacing == 1 else total / self.spacing

    def _adjoint_numpy(self, y: np.ndarray) -> np.ndarray:
        d = len(self.shape)
        ndim = y.ndim - 1
        result = np.zeros((*y.shape[: ndim - d], *self.shape), dtype=y.dtype)
        for index in range(d):
            axis = index - d
            part = y[_component(index, d)]
            behind, ahead = _slices(ndim, axis, slice(None, -1)), _slices(ndim, axis, slice(1, None))
            result[behind] -= part[behind]
            result[ahead] += part[behind]
        if self.spacing != 1:
            result /= self.spacing
        return result

    @cached_property
    def norm(self) -> Known:
        total = sum(math.cos(math.pi / (2 * n)) ** 2 for n in self.shape)
        return Known(2.0 * math.sqrt(total) / self.spacing, "computed: largest singular value")


def _slices(ndim: int, axis: int, cut: slice) -> tuple[slice, ...]:
    """Everything, with ``cut`` along one (negative) axis."""
    whole = [slice(None)] * ndim
    whole[axis] = cut
    return tuple(whole)


def _component(index: int, d: int) -> Any:
    """The index of one partial derivative in front of d grid axes."""
    return (..., index, *(slice(None),) * d)
