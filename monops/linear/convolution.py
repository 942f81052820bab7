"""Circular convolution by FFT."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Known
from monops.errors import ShapeError
from monops.linear.linear_map import LinearMap, Shape


@final
@dataclass(frozen=True, eq=False)
class Convolution(LinearMap):
    """(Kx)[i] = sum_j kernel[j] x[i - j + centre] with periodic boundary, on arrays of one shape.

    Parameters
    ----------
    kernel : real array with as many axes as ``shape``, not larger than it
        Its middle entry, index n // 2 of each axis, is the centre, so that a symmetric kernel does not shift.
    shape : tuple of int
        Shape of x.

    Notes
    -----
    **Norm** and **smallest singular value** are exact: the extremes of |FFT of the kernel|; so is the regularised inverse.
    **Cost** two FFTs.

    Examples
    --------
    >>> import numpy as np
    >>> K = Convolution(np.array([0.25, 0.5, 0.25]), (4,))
    >>> K.apply(np.array([4.0, 0.0, 0.0, 0.0]))
    array([2., 1., 0., 1.])
    """

    kernel: Array
    shape: Shape

    def __post_init__(self) -> None:
        arrays.check_floating("Convolution.kernel", self.kernel)
        arrays.check_finite("Convolution.kernel", self.kernel)
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(int(n) for n in self.shape)
        object.__setattr__(self, "shape", shape)
        if self.kernel.ndim != len(shape) or any(k > n for k, n in zip(self.kernel.shape, shape, strict=False)):
            raise ShapeError(
                f"Convolution: a kernel of shape {tuple(self.kernel.shape)} does not fit into arrays of shape {shape}"
            )

    @property
    def input_shape(self) -> Shape:
        return self.shape

    @property
    def output_shape(self) -> Shape:
        return self.shape

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-len(self.shape), 0))

    @cached_property
    def _symbol(self) -> Array:
        xp = arrays.namespace(self.kernel)
        padded = self.kernel
        for axis, n in enumerate(self.shape):
            missing = list(padded.shape)
            missing[axis] = n - padded.shape[axis]
            if missing[axis]:
                zeros = xp.zeros(tuple(missing), dtype=padded.dtype, device=arrays.device(padded))
                padded = xp.concat([padded, zeros], axis=axis)
        shifts = tuple(-(k // 2) for k in self.kernel.shape)
        return xp.fft.rfftn(xp.roll(padded, shifts, axis=tuple(range(len(self.shape)))), axes=self._axes)

    def _filter(self, x: Array, symbol: Any) -> Array:
        xp = arrays.namespace(x)
        return xp.fft.irfftn(xp.fft.rfftn(x, axes=self._axes) * symbol, s=self.shape, axes=self._axes)

    def apply(self, x: Array) -> Array:
        return self._filter(x, self._symbol)

    def adjoint(self, y: Array) -> Array:
        return self._filter(y, arrays.namespace(y).conj(self._symbol))

    @cached_property
    def norm(self) -> Known:
        xp = arrays.namespace(self.kernel)
        return Known(float(xp.max(xp.abs(self._symbol))), "computed: largest singular value")

    @cached_property
    def smallest_singular_value(self) -> Known:
        xp = arrays.namespace(self.kernel)
        least = float(xp.min(xp.abs(self._symbol))) - 8 * arrays.epsilon(self.kernel) * self.norm.value
        return Known(max(least, 0.0), "computed: smallest singular value")

    def regularized_inverse(self, y: Array, step: float) -> Array:
        magnitude = arrays.namespace(y).abs(self._symbol)
        return self._filter(y, 1.0 / (1.0 + step * magnitude * magnitude))
