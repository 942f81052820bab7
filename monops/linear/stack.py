"""Diagonal maps, and maps stacked on top of each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, final

from monops import arrays
from monops.arrays import Array, Blocks
from monops.constants import Known
from monops.errors import DataError, ShapeError
from monops.linear.linear_map import LinearMap, Shape


@final
@dataclass(frozen=True, eq=False)
class Diagonal(LinearMap):
    """x -> diagonal * x, entry by entry; the derivative of an elementwise prox has this form.

    Examples
    --------
    >>> import numpy as np
    >>> Diagonal(np.array([2.0, -3.0])).norm.value
    3.0
    """

    diagonal: Array

    @property
    def input_shape(self) -> Shape:
        return tuple(int(n) for n in self.diagonal.shape)

    @property
    def output_shape(self) -> Shape:
        return self.input_shape

    def apply(self, x: Array) -> Array:
        return self.diagonal * x

    def adjoint(self, y: Array) -> Array:
        xp = arrays.namespace(self.diagonal)
        return (xp.conj(self.diagonal) if xp.isdtype(self.diagonal.dtype, "complex floating") else self.diagonal) * y

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        xp = arrays.namespace(self.diagonal)
        magnitude = xp.abs(self.diagonal)
        return float(xp.min(magnitude)), float(xp.max(magnitude))

    @cached_property
    def norm(self) -> Known:
        return Known(self._extremes[1], "computed: largest entry")

    @cached_property
    def smallest_singular_value(self) -> Known:
        return Known(self._extremes[0], "computed: smallest entry")

    def regularized_inverse(self, y: Array, step: float) -> Array:
        magnitude = arrays.namespace(y).abs(self.diagonal)
        return y / (1.0 + step * magnitude * magnitude)


@final
@dataclass(frozen=True, eq=False)
class Stack(LinearMap):
    """x -> (K1 x, K2 x, ...) as Blocks; |K|^2 <= |K1|^2 + |K2|^2 + ...

    Examples
    --------
    >>> import numpy as np
    >>> from monops.linear import Identity, Matrix
    >>> Stack((Identity((2,)), Matrix(np.ones((1, 2))))).apply(np.array([1.0, 2.0]))
    Blocks(array([1., 2.]), array([3.]))
    """

    maps: tuple[LinearMap, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "maps", tuple(self.maps))
        if not self.maps:
            raise DataError("Stack needs at least one linear map")
        shapes = {tuple(part.input_shape) for part in self.maps}
        if len(shapes) > 1:
            raise ShapeError(f"Stack: the maps take inputs of different shapes {sorted(shapes)}")

    @property
    def input_shape(self) -> Shape:
        return self.maps[0].input_shape

    @property
    def output_shape(self) -> Any:
        return tuple(part.output_shape for part in self.maps)

    def apply(self, x: Array) -> Array:
        return Blocks([part.apply(x) for part in self.maps])

    def adjoint(self, y: Array) -> Array:
        if not isinstance(y, tuple) or len(y) != len(self.maps):
            raise ShapeError(f"the adjoint of a Stack of {len(self.maps)} maps needs Blocks of {len(self.maps)} arrays")
        parts = [part.adjoint(block) for part, block in zip(self.maps, y, strict=True)]
        return reduce(lambda a, b: a + b, parts)

    @cached_property
    def norm(self) -> Known:
        norms = [part.norm for part in self.maps]
        kind = "estimated" if any(known.estimated for known in norms) else "rule"
        return Known(sum(known.value**2 for known in norms) ** 0.5, f"{kind}: root of the sum of squared norms")

    @cached_property
    def smallest_singular_value(self) -> Known:
        squares = sum(part.smallest_singular_value.value**2 for part in self.maps)
        return Known(squares**0.5, "rule: root of the sum of squares")
