"""The abstract linear map K and its algebra: adjoint, composition, scaling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.constants import Known
from monops.errors import CapabilityError, ShapeError

Shape = tuple[int, ...]


class LinearMap(ABC):
    """A bounded linear map K between spaces of arrays.

    Inputs may carry leading batch axes in front of ``input_shape``; they pass through. A subclass writes ``apply`` and
    ``adjoint`` and the two shapes, and a better ``norm`` where it has one.
    """

    __array_ufunc__ = None  # NumPy hands `array @ K` and `number * K` over to this class

    @property
    @abstractmethod
    def input_shape(self) -> Shape:
        """Shape of x, without batch axes."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of Kx, without batch axes; a Stack has Blocks and gives a tuple of shapes."""

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """Kx."""

    @abstractmethod
    def adjoint(self, y: Array) -> Array:
        """K*y, with <Kx, y> = <x, K*y>."""

    @cached_property
    def norm(self) -> Known:
        """An upper bound of the operator norm |K|, with provenance; an estimate says so."""
        raise CapabilityError(f"{type(self).__name__} has no bound of its norm: give norm=... (an upper bound of |K|)")

    @cached_property
    def smallest_singular_value(self) -> Known:
        """A lower bound of |Kx|/|x|, with provenance; 0 when nothing better was computed."""
        return Known(0.0, "computed: trivial lower bound 0")

    @property
    def has_regularized_inverse(self) -> bool:
        """Whether ``regularized_inverse`` has a closed form."""
        return type(self).regularized_inverse is not LinearMap.regularized_inverse

    def regularized_inverse(self, y: Array, step: float) -> Array:
        """(I + step K*K)^-1 y, where it is cheap."""
        raise CapabilityError(
            f"{type(self).__name__} has no closed form for (I + step K*K)^-1: use a method that needs only Kx and K*y, "
            "such as ForwardBackward or ChambollePock"
        )

    @property
    def T(self) -> LinearMap:
        """The adjoint map K* (conjugate transpose for complex maps)."""
        return Adjoint(self)

    def check_input(self, x: Array, name: str = "x") -> None:
        """Raise ShapeError unless x ends in ``input_shape``."""
        _check_shape(x, self.input_shape, f"{type(self).__name__} expects {name}")

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, LinearMap):
            return Composition(self, other)
        if arrays.is_array(other) or isinstance(other, arrays.Blocks):
            self.check_input(other)
            return self.apply(other)
        return NotImplemented

    def __mul__(self, factor: Any) -> LinearMap:
        return ScaledMap(self, float(factor))

    __rmul__ = __mul__

    def __neg__(self) -> LinearMap:
        return ScaledMap(self, -1.0)


def _check_shape(x: Array, shape: Any, expects: str) -> None:
    if isinstance(x, arrays.Blocks):
        if not (shape and isinstance(shape[0], tuple)) or len(shape) != len(x):
            raise ShapeError(f"{expects} of shape {shape}, got {len(x)} blocks")
        for block, part in zip(x, shape, strict=True):
            _check_shape(block, part, expects)
    elif shape and isinstance(shape[0], tuple):
        raise ShapeError(f"{expects} as Blocks of shapes {shape}, got one array of shape {tuple(x.shape)}")
    elif tuple(x.shape[x.ndim - len(shape) :]) != tuple(shape) or x.ndim < len(shape):
        raise ShapeError(f"{expects} of shape (..., {', '.join(map(str, shape))}), got {tuple(x.shape)}")


@final
@dataclass(frozen=True, eq=False)
class Adjoint(LinearMap):
    """K* of a linear map K."""

    map: LinearMap

    @property
    def input_shape(self) -> Shape:
        return self.map.output_shape

    @property
    def output_shape(self) -> Shape:
        return self.map.input_shape

    def apply(self, x: Array) -> Array:
        return self.map.adjoint(x)

    def adjoint(self, y: Array) -> Array:
        return self.map.apply(y)

    @cached_property
    def norm(self) -> Known:
        return self.map.norm

    @property
    def T(self) -> LinearMap:
        return self.map


@final
@dataclass(frozen=True, eq=False)
class Composition(LinearMap):
    """x -> K(Lx); |KL| <= |K| |L|."""

    outer: LinearMap
    inner: LinearMap

    def __post_init__(self) -> None:
        if self.outer.input_shape != self.inner.output_shape:
            raise ShapeError(
                f"cannot compose: the left map takes shape {self.outer.input_shape}, the right one gives "
                f"{self.inner.output_shape}"
            )

    @property
    def input_shape(self) -> Shape:
        return self.inner.input_shape

    @property
    def output_shape(self) -> Shape:
        return self.outer.output_shape

    def apply(self, x: Array) -> Array:
        return self.outer.apply(self.inner.apply(x))

    def adjoint(self, y: Array) -> Array:
        return self.inner.adjoint(self.outer.adjoint(y))

    @cached_property
    def norm(self) -> Known:
        a, b = self.outer.norm, self.inner.norm
        kind = "estimated" if a.estimated or b.estimated else "rule"
        return Known(a.value * b.value, f"{kind}: product of norms")

    @cached_property
    def smallest_singular_value(self) -> Known:
        a, b = self.outer.smallest_singular_value, self.inner.smallest_singular_value
        return Known(a.value * b.value, "rule: product of smallest singular values")


@final
@dataclass(frozen=True, eq=False)
class ScaledMap(LinearMap):
    """x -> factor Kx for a real factor."""

    map: LinearMap
    factor: float

    @property
    def input_shape(self) -> Shape:
        return self.map.input_shape

    @property
    def output_shape(self) -> Shape:
        return self.map.output_shape

    def apply(self, x: Array) -> Array:
        return self.factor * self.map.apply(x)

    def adjoint(self, y: Array) -> Array:
        return self.factor * self.map.adjoint(y)

    @cached_property
    def norm(self) -> Known:
        return Known(abs(self.factor) * self.map.norm.value, self.map.norm.why)

    @cached_property
    def smallest_singular_value(self) -> Known:
        known = self.map.smallest_singular_value
        return Known(abs(self.factor) * known.value, known.why)

    @property
    def has_regularized_inverse(self) -> bool:
        return self.map.has_regularized_inverse

    def regularized_inverse(self, y: Array, step: float) -> Array:
        return self.map.regularized_inverse(y, step * self.factor**2)
