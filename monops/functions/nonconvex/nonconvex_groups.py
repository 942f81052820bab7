"""Functions of the norm of a group, convex or not, and the difference of the l1 and the l2 norm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.function import Function
from monops.functions.nonconvex.nonconvex import check_positive
from monops.functions.nonconvex.nonconvex_sets import Nonconvex, rows_of
from monops.functions.sample import Sample
from monops.functions.separable import Separable
from monops.linear import BroadcastMap, DiagonalPlusRankOne, LinearMap

__all__ = ["GroupPenalty", "L1MinusL2"]


@final
@dataclass(frozen=True, eq=False)
class L1MinusL2(Nonconvex):
    """f(x) = weight (|x|_1 - |x|_2): zero exactly on vectors with one nonzero entry; a row is one vector.

    Notes
    -----
    prox with c = step weight: z (1 + c/|z|), z the soft threshold of x at c, where max |x_i| > c; else the entry of largest
    magnitude alone (the first of equals). **Domain** everything. **Constants** none: not weakly convex at 0. **Cost** three
    passes. **Derivative** of the prox: that of the first formula on the entries kept, or 1 on the single entry.

    References
    ----------
    Lou and Yan (2018), Fast L1-L2 minimization via a proximal operator.

    Examples
    --------
    >>> import numpy as np
    >>> L1MinusL2().prox(np.array([0.3, -0.5, 0.1]))
    array([ 0. , -0.5,  0. ])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_positive("L1MinusL2", weight=self.weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(0.6), (5,)), Sample(lambda a: cls(8.0), (5,)))

    def __call__(self, x: Array) -> Array:
        return self.weight * (arrays.row_sum(arrays.namespace(x).abs(x), self.batch_ndim) - arrays.norm(x, self.batch_ndim))

    def _parts(self, x: Array, step: Any) -> tuple[Array, Array, Array, Array, Array]:
        """(dense, z, its unit vector, its norm, the mask of the single largest entry), shapes that broadcast against x."""
        xp = arrays.namespace(x)
        axes, c = tuple(range(self.batch_ndim, x.ndim)), step * self.weight
        magnitude = xp.abs(x)
        dense = xp.max(magnitude, axis=axes, keepdims=True) > c
        z = arrays.soft_threshold(x, c)
        size, unit = arrays.polar(z, axes)
        flat = rows_of(autodiff.detach(magnitude), self.batch_ndim)
        first = xp.argmax(flat, axis=-1, keepdims=True)
        index = xp.arange(flat.shape[-1], device=arrays.device(x), dtype=first.dtype)
        return dense, z, unit, size, xp.reshape(index == first, x.shape)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        xp = arrays.namespace(x)
        dense, z, unit, _, single = self._parts(x, step)
        return xp.where(dense, z + step * self.weight * unit, xp.where(single | xp.isnan(x), x, xp.zeros_like(x)))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        c = step * self.weight
        dense, z, unit, size, single = self._parts(x, step)
        kept = xp.astype(z != 0, x.dtype)
        bend = c / xp.where(size > 0, size, xp.ones_like(size))
        diagonal = xp.where(dense, kept * (1.0 + bend), xp.astype(single, x.dtype))
        coefficient = xp.where(dense, -bend, xp.zeros_like(bend))
        return DiagonalPlusRankOne(diagonal, unit, coefficient, tuple(range(self.batch_ndim, x.ndim)))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        u = (x - self.prox(x, step)) / (-self.weight)
        return {"weight": BroadcastMap(self.prox_derivative(x, step).apply(u))}

    def value_formula(self, x: str) -> str:
        return f"{self.weight:g} (|{x}|_1 - |{x}|_2)"


@final
@dataclass(frozen=True, eq=False)
class GroupPenalty(Function):
    """f(x) = sum over groups of phi(|x_group|_2) for an even separable phi: group SCAD, group MCP, group Huber, ...

    Parameters
    ----------
    function : Separable
        phi, even; convex or not, and so is f.
    axis : int or tuple of int, default -1
        The axes inside a group, counted without the batch axes.

    Notes
    -----
    prox: x_group prox_phi(r)/r with r = |x_group|. **Domain** groups with norm in the domain of phi. **Constants** mu and L of
    phi. **Cost** two passes and one prox of phi a group. **Derivative** of the prox: (q/r) I + (q' - q/r) v v* with
    q = prox_phi(r), v = x_group/r.

    References
    ----------
    Bauschke and Combettes (2017), chapter 24, for radial functions; Huang, Breheny and Ma (2012), A selective review of group
    selection in high-dimensional models.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import SCAD
    >>> GroupPenalty(SCAD(1.0)).prox(np.array([[0.6, 0.8], [30.0, 40.0]]))
    array([[ 0.,  0.],
           [30., 40.]])
    """

    function: Separable
    axis: int | tuple[int, ...] = -1

    def __post_init__(self) -> None:
        if not isinstance(self.function, Separable):
            raise DataError(f"GroupPenalty: {type(self.function).__name__} is not separable: phi must act on a norm a group")
        if any(array.ndim for _, array in self.function.named_arrays()):
            raise DataError(
                f"GroupPenalty: {type(self.function).__name__} has an array as data: give it numbers, the same phi for all"
            )
        probe = np.concatenate([[0.0], 10.0 ** np.linspace(-6.0, 3.0, 28)])
        with np.errstate(all="ignore"):
            there, mirrored = self.function.entry_value(probe), self.function.entry_value(-probe)
            falls = there[1:] < there[:-1] - 1e-12 * (1.0 + np.abs(there[:-1]))
        even = np.isclose(there, mirrored, rtol=1e-9, atol=1e-12) | (there == mirrored)
        if not np.all(even) or np.any(falls) or not np.isfinite(there[0]):
            raise DataError(
                f"GroupPenalty: {self.function.value_formula('x')} is not even and nondecreasing in |x|, finite at 0: as a "
                "function of the norm of a group it would have another prox, and need not be convex"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.nonconvex.nonconvex import MCP, SCAD
        from monops.functions.norms.norms import L1Norm

        return (
            Sample(lambda a: cls(L1Norm(0.8), 0), (2, 4), lambda cp, y: 0.8 * cp.sum(cp.norm(y, 2, axis=0)), exact=False),
            Sample(lambda a: cls(SCAD(0.9), 1), (2, 4)),
            Sample(lambda a: cls(MCP(0.9, 2.5), 1), (2, 4)),
        )

    @property
    def is_convex(self) -> bool:
        return self.function.is_convex

    @cached_property
    def constants(self) -> Constants:
        return self.function.constants

    def conjugate(self) -> Function:
        if not self.is_convex:
            return self.function.conjugate()  # refuses by name
        return super().conjugate()

    def _axes(self, x: Array) -> tuple[int, ...]:
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        return tuple(axis if axis < 0 else axis + self.batch_ndim for axis in axes)

    def __call__(self, x: Array) -> Array:
        return arrays.row_sum(self.function.entry_value(arrays.polar(x, self._axes(x))[0]), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        size, unit = arrays.polar(x, self._axes(x))
        return self.function.prox(size, step) * unit

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        xp = arrays.namespace(x)
        size, unit = arrays.polar(x, self._axes(x))
        q = self.function.prox(size, step)
        slope = self.function.entry_prox_derivative(size, q, step)
        across = xp.where(size > 0, q / xp.where(size > 0, size, xp.ones_like(size)), slope)
        return DiagonalPlusRankOne(across, unit, slope - across, self._axes(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        size, unit = arrays.polar(x, self._axes(x))
        inner = self.function.prox_parameter_derivatives(size, step)
        return {
            f"function.{name}": BroadcastMap(part.column * unit)
            for name, part in inner.items()
            if isinstance(part, BroadcastMap) and part.parameter_shape == ()
        }

    def value_formula(self, x: str) -> str:
        return self.function.value_formula(f"|{x}_g|_2")
