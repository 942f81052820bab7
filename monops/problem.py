"""The inclusion 0 in K1* A1 K1 x + K2* A2 K2 x + ..., its summands, its algebra and its print-out as mathematics.

A `Summand` is anything that may stand in an inclusion: a monotone operator, or a convex function, which stands for its
subdifferential (forward value = gradient, resolvent = prox).
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Self, final

from monops import arrays, constants
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import CapabilityError, DataError, ShapeError
from monops.linear import LinearMap, as_linear_map


class Summand(ABC):
    """What an inclusion is a sum of. Subclasses: `monops.functions.Function` and `monops.operators.Operator`."""

    __array_ufunc__ = None  # `numpy_scalar * f` and `matrix @ A` reach the methods below

    @abstractmethod
    def __mul__(self, factor: Any) -> Any:
        """A number times this."""

    def __truediv__(self, divisor: Any) -> Any:
        """1/divisor times this: the divisor is a number other than 0."""
        if isinstance(divisor, str) or getattr(divisor, "ndim", 0) > 0 or divisor == 0:
            raise DataError(f"{type(self).__name__} can be divided by a number other than 0, not by {divisor!r}")
        return self * (1.0 / float(divisor))

    @property
    @abstractmethod
    def constants(self) -> Constants:
        """Constants of the operator (of the subdifferential, for a function)."""

    @property
    def has_forward(self) -> bool:
        """Whether ``forward`` has a closed form."""
        return type(self).forward is not Summand.forward

    @property
    def has_resolvent(self) -> bool:
        """Whether ``resolvent`` has a closed form."""
        return type(self).resolvent is not Summand.resolvent

    @property
    def input_shape(self) -> Any:
        """Shape of x without batch axes where the data fix it, else None."""
        return None

    def forward(self, x: Array) -> Array:
        """Ax."""
        raise CapabilityError(f"{type(self).__name__} has no forward value: use its resolvent")

    def resolvent(self, x: Array, step: float) -> Array:
        """(I + step A)^-1 x."""
        raise CapabilityError(f"{type(self).__name__} has no closed-form resolvent: use its forward value")

    def violated_by(self, distance2: float, inner: float, image2: float, rounding: float) -> str | None:
        """A claim on the operator that a pair of points shows to be false (as ``Constants.violated_by``), or None."""
        return self.constants.violated_by(distance2, inner, image2, rounding)

    def formula(self, x: str) -> str:
        """The operator at x as mathematics, for example ``A(x)``."""
        return f"{type(self).__name__}({x})"

    def batched(self, batch_ndim: int) -> Self:
        """The same object, reading the first ``batch_ndim`` axes of every array as independent rows."""
        return self._rebuilt("batch_ndim", lambda current: batch_ndim)

    def with_tolerance(self, tolerance: float) -> Self:
        """The same object, with every iterative prox in it that was given no tolerance of its own run to this one."""
        return self._rebuilt("tolerance", lambda current: tolerance if current is None else current)

    def _rebuilt(self, name: str, value_of: Callable[[Any], Any]) -> Self:
        """The same object with the field ``name`` of it and of every summand inside it replaced."""
        changes: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.name == name:
                changes[field.name] = value_of(value)
            elif isinstance(value, Summand):
                changes[field.name] = value._rebuilt(name, value_of)
            elif isinstance(value, tuple) and any(isinstance(part, Summand) for part in value):
                changes[field.name] = tuple(part._rebuilt(name, value_of) for part in value)
        unchanged = all(changes[key] is getattr(self, key) for key in changes)
        return self if unchanged else dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def terms(self) -> tuple[Term, ...]:
        """The summand as terms of an inclusion; one, unless it is itself a sum."""
        return (Term(self),)

    def __add__(self, other: Any) -> Inclusion:
        if isinstance(other, Summand):
            return Inclusion((*self.terms(), *other.terms()))
        if isinstance(other, Inclusion):
            return Inclusion((*self.terms(), *other.terms))
        return NotImplemented

    def __radd__(self, other: Any) -> Inclusion:
        if isinstance(other, int) and other == 0:  # sum([...]) starts at 0
            return Inclusion(self.terms())
        return NotImplemented

    def __rmatmul__(self, left: Any) -> Postcomposed:
        return Postcomposed(as_linear_map(left), self)

    def named_arrays(self, name: str = "") -> Iterator[tuple[str, Array]]:
        """The data arrays of the summand with readable names."""
        return named_arrays(self, name or type(self).__name__)


def tolerance_of(summand: Summand) -> float | None:
    """The roughest tolerance of an iterative prox in the summand, or None."""
    known: list[float] = []
    for field in dataclasses.fields(summand):  # type: ignore[arg-type]
        value = getattr(summand, field.name)
        if field.name == "tolerance" and value is not None:
            known.append(float(value))
        for part in value if isinstance(value, tuple) else (value,):
            inner = tolerance_of(part) if isinstance(part, Summand) else None
            known += [] if inner is None else [inner]
    return max(known) if known else None


def named_arrays(item: Any, name: str) -> Iterator[tuple[str, Array]]:
    """All arrays among the dataclass fields of ``item``, with readable names such as ``LeastSquares.b``."""
    if arrays.is_array(item):
        yield name, item
    elif isinstance(item, tuple):
        for index, part in enumerate(item):
            yield from named_arrays(part, f"{name}[{index}]")
    elif isinstance(item, (Summand, LinearMap)) and dataclasses.is_dataclass(item):
        for field in dataclasses.fields(item):
            value = getattr(item, field.name)
            if not isinstance(value, (int, float, str, Constants)):
                inner = type(value).__name__ if isinstance(value, (Summand, LinearMap)) else f"{name}.{field.name}"
                yield from named_arrays(value, inner)


@final
@dataclass(frozen=True, eq=False)
class Postcomposed:
    """K* A, waiting for ``@ K`` to become the monotone operator K* A K."""

    map: LinearMap
    summand: Summand

    def __matmul__(self, right: Any) -> Inclusion:
        right = as_linear_map(right)
        probe_left, probe_right = self.map.T, right
        same = probe_left is probe_right or _same_matrix(probe_left, probe_right)
        if not same:
            raise ShapeError("K.T @ A @ K needs the same K on both sides, or the composition need not be monotone")
        return Inclusion((Term(self.summand, right),))


def _same_matrix(a: LinearMap, b: LinearMap) -> bool:
    first, second = dict(named_arrays(a, "")), dict(named_arrays(b, ""))
    if len(first) != 1 or len(second) != 1 or a.input_shape != b.input_shape or a.output_shape != b.output_shape:
        return False
    (x,), (y,) = first.values(), second.values()
    if tuple(x.shape) != tuple(y.shape):
        x = arrays.namespace(x).matrix_transpose(x)
    return tuple(x.shape) == tuple(y.shape) and bool(arrays.namespace(x).all(x == y))


@final
@dataclass(frozen=True, eq=False)
class Term:
    """One term K* A K of an inclusion; ``map`` is None for A alone."""

    summand: Summand
    map: LinearMap | None = None

    @cached_property
    def constants(self) -> Constants:
        """Constants of K* A K."""
        if self.map is None:
            return self.summand.constants
        return constants.congruence(self.summand.constants, self.map.norm, self.map.smallest_singular_value)

    @property
    def has_forward(self) -> bool:
        """Whether K* A K x can be evaluated."""
        return self.summand.has_forward

    @property
    def has_resolvent(self) -> bool:
        """Whether the resolvent of K* A K is closed-form."""
        return self.map is None and self.summand.has_resolvent

    @property
    def input_shape(self) -> Any:
        """Shape of x where known."""
        return self.summand.input_shape if self.map is None else self.map.input_shape

    def forward(self, x: Array) -> Array:
        """K* A K x."""
        if self.map is None:
            return self.summand.forward(x)
        return self.map.adjoint(self.summand.forward(self.map.apply(x)))

    def resolvent(self, x: Array, step: float) -> Array:
        """(I + step A)^-1 x; only without a linear map."""
        if self.map is not None:
            raise CapabilityError(f"the resolvent of {self} is not closed-form: use ChambollePock, which splits off the map")
        return self.summand.resolvent(x, step)

    def __str__(self) -> str:
        if self.map is None:
            return self.summand.formula("x")
        return f"K*{self.summand.formula('Kx')}"


@final
@dataclass(frozen=True, eq=False)
class Inclusion:
    """The problem 0 in sum of K_i* A_i K_i x.

    Build it with ``+`` and ``@``: ``LeastSquares(A, b) + 0.1 * L1Norm()``, ``f + g @ K``, ``NormalCone(Simplex()) +
    Affine(M, q)``, ``A + K.T @ B @ K``.

    Raises
    ------
    ShapeError
        When two terms need x of different shapes.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import L1Norm, LeastSquares
    >>> print(LeastSquares(np.eye(2), np.ones(2)) + 0.5 * L1Norm())
    minimise 1/2 |Ax - b|^2 + 0.5 |x|_1   <=>   0 in d(1/2 |Ax - b|^2) + d(0.5 |x|_1)
    """

    terms: tuple[Term, ...]
    batch_ndim: int = 0

    def __post_init__(self) -> None:
        if not self.terms:
            raise DataError("an inclusion needs at least one term")
        known = [(term, term.input_shape) for term in self.terms if term.input_shape is not None]
        for term, shape in known[1:]:
            if shape != known[0][1]:
                raise ShapeError(f"x must have shape {known[0][1]} for {known[0][0]}, but shape {shape} for {term}")

    @property
    def input_shape(self) -> Any:
        """Shape of x without batch axes where the data fix it, else None."""
        return next((term.input_shape for term in self.terms if term.input_shape is not None), None)

    @cached_property
    def constants(self) -> Constants:
        """Constants of the whole sum."""
        return reduce(constants.add, [term.constants for term in self.terms])

    def batched(self, batch_ndim: int) -> Inclusion:
        """The same problem for arrays whose first ``batch_ndim`` axes are independent rows."""
        return Inclusion(tuple(Term(term.summand.batched(batch_ndim), term.map) for term in self.terms), batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        """Refused: a sum has no prox of its own here."""
        raise CapabilityError(
            "a sum of functions is a problem for solve, and has no prox of its own: for a prox call combine(f, g), which knows "
            "the closed forms there are"
        )

    def with_tolerance(self, tolerance: float) -> Inclusion:
        """The same problem, with every iterative prox that was given no tolerance of its own run to this one."""
        terms = tuple(Term(term.summand.with_tolerance(tolerance), term.map) for term in self.terms)
        return Inclusion(terms, self.batch_ndim)

    def named_arrays(self) -> Iterator[tuple[str, Array]]:
        """All data arrays with readable names."""
        for term in self.terms:
            yield from named_arrays(term.summand, type(term.summand).__name__)
            if term.map is not None:
                yield from named_arrays(term.map, type(term.map).__name__)

    def __add__(self, other: Any) -> Inclusion:
        if isinstance(other, Inclusion):
            return Inclusion(self.terms + other.terms)
        if isinstance(other, Summand):
            return Inclusion(self.terms + other.terms())
        return NotImplemented

    def __radd__(self, other: Any) -> Inclusion:
        if isinstance(other, int) and other == 0:
            return self
        return NotImplemented

    def __str__(self) -> str:
        inclusion = "0 in " + " + ".join(str(term) for term in self.terms)
        values: list[Any] = [getattr(term.summand, "value_formula", None) for term in self.terms]
        if all(values):
            parts = [value("x" if term.map is None else "Kx") for value, term in zip(values, self.terms, strict=True)]
            return f"minimise {' + '.join(parts)}   <=>   {inclusion}"
        return inclusion

    __repr__ = __str__
