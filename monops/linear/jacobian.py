"""Derivatives of proxes as structured linear maps: rank-one corrections, means over segments, blocks, broadcast parameters.

`Diagonal` (stack.py) is the derivative of an elementwise prox. The derivative of a prox in x is always self-adjoint with
spectrum in [0, 1], because a prox is the gradient of a convex function and nonexpansive (Moreau 1965).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array, Blocks
from monops.constants import Known
from monops.linear.linear_map import LinearMap, Shape

NONEXPANSIVE = Known(1.0, "rule: the derivative of a nonexpansive map")


def _shape(x: Array) -> Shape:
    return tuple(int(n) for n in x.shape)


@final
@dataclass(frozen=True, eq=False)
class DiagonalPlusRankOne(LinearMap):
    """h -> diagonal h + coefficient v <v, h>, with the inner product over ``axes``: one rank-one term for each other index.

    Parameters
    ----------
    diagonal : array that broadcasts against h
    vector : array v, shape of h
    coefficient : array that broadcasts against h, with length 1 along ``axes``, or a float
    axes : tuple of int
        The axes inside a group.

    Notes
    -----
    Self-adjoint. The derivative of block soft-thresholding, of the projections on a ball, a simplex, a half-space.

    Examples
    --------
    >>> import numpy as np
    >>> mask = np.array([1.0, 1.0, 0.0])
    >>> DiagonalPlusRankOne(mask, mask, -0.5, (0,)).apply(np.array([3.0, 1.0, 7.0]))
    array([ 1., -1.,  0.])
    """

    diagonal: Array
    vector: Array
    coefficient: Any
    axes: tuple[int, ...]

    @property
    def input_shape(self) -> Shape:
        return _shape(self.vector)

    @property
    def output_shape(self) -> Shape:
        return self.input_shape

    def apply(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        complex_vector = xp.isdtype(self.vector.dtype, "complex floating")
        product = xp.real(xp.conj(self.vector) * x) if complex_vector else self.vector * x
        inner = xp.sum(product, axis=self.axes, keepdims=True) if self.axes else product
        return self.diagonal * x + self.coefficient * inner * self.vector

    def adjoint(self, y: Array) -> Array:
        return self.apply(y)

    @cached_property
    def norm(self) -> Known:
        return NONEXPANSIVE


@final
@dataclass(frozen=True, eq=False)
class SelfAdjointMap(LinearMap):
    """h -> function(h) for a function that is linear and self-adjoint; the derivative of a prox without simpler structure.

    Examples
    --------
    >>> import numpy as np
    >>> SelfAdjointMap(lambda h: h - np.mean(h), (2,)).apply(np.array([3.0, 1.0]))
    array([ 1., -1.])
    """

    function: Callable[[Array], Array]
    shape: Any

    @property
    def input_shape(self) -> Shape:
        return self.shape

    @property
    def output_shape(self) -> Shape:
        return self.shape

    def apply(self, x: Array) -> Array:
        return self.function(x)

    def adjoint(self, y: Array) -> Array:
        return self.function(y)

    @cached_property
    def norm(self) -> Known:
        return NONEXPANSIVE


@final
@dataclass(frozen=True, eq=False)
class BlockDiagonal(LinearMap):
    """(h1, h2, ...) -> (K1 h1, K2 h2, ...) on Blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.linear import Diagonal
    >>> twice = Diagonal(np.array([2.0]))
    >>> BlockDiagonal((twice, twice)).apply(Blocks((np.ones(1), np.zeros(1))))
    Blocks(array([2.]), array([0.]))
    """

    maps: tuple[LinearMap, ...]

    @property
    def input_shape(self) -> Any:
        return tuple(part.input_shape for part in self.maps)

    @property
    def output_shape(self) -> Any:
        return tuple(part.output_shape for part in self.maps)

    def apply(self, x: Array) -> Array:
        return Blocks([part.apply(block) for part, block in zip(self.maps, x, strict=True)])

    def adjoint(self, y: Array) -> Array:
        return Blocks([part.adjoint(block) for part, block in zip(self.maps, y, strict=True)])

    @cached_property
    def norm(self) -> Known:
        norms = [part.norm for part in self.maps]
        kind = "estimated" if any(known.estimated for known in norms) else "rule"
        return Known(max(known.value for known in norms), f"{kind}: largest norm of a block")

    @cached_property
    def smallest_singular_value(self) -> Known:
        return Known(min(part.smallest_singular_value.value for part in self.maps), "rule: the smallest of a block")


@final
@dataclass(frozen=True, eq=False)
class BroadcastMap(LinearMap):
    """t -> column t, with t of ``parameter_shape`` broadcast against the column: the derivative in a weight or a bound.

    Parameters
    ----------
    column : array
        The shape of x.
        Derivative of each entry of the prox in the parameter entry that is broadcast to it.
    parameter_shape : tuple of int
        ``()`` for a number.

    Examples
    --------
    >>> import numpy as np
    >>> K = BroadcastMap(np.array([1.0, -2.0]), ())
    >>> K.apply(3.0), float(K.adjoint(np.array([1.0, 1.0])))
    (array([ 3., -6.]), -1.0)
    """

    column: Array
    parameter_shape: Shape = ()

    @property
    def input_shape(self) -> Shape:
        return self.parameter_shape

    @property
    def output_shape(self) -> Shape:
        return _shape(self.column)

    def apply(self, x: Array) -> Array:
        inner, extra = len(self.parameter_shape), getattr(x, "ndim", 0) - len(self.parameter_shape)
        if extra > 0:  # batch axes stand in front of all axes of the column
            shape = (*x.shape[:extra], *(1,) * (self.column.ndim - inner), *self.parameter_shape)
            x = arrays.namespace(x).reshape(x, shape)
        return self.column * x

    def adjoint(self, y: Array) -> Array:
        extra = y.ndim - self.column.ndim
        if extra <= 0:
            return arrays.reduce_to(self.column * y, self.parameter_shape)
        xp = arrays.namespace(y)
        lead = tuple(int(n) for n in y.shape[:extra])
        padded = (*lead, *(1,) * (self.column.ndim - len(self.parameter_shape)), *self.parameter_shape)
        return xp.reshape(arrays.reduce_to(self.column * y, padded), (*lead, *self.parameter_shape))

    @cached_property
    def norm(self) -> Known:
        return Known(float(arrays.norm(self.column)), "computed: bound |column|_2")
