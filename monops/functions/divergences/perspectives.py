"""Perspective functions y phi(x/y), closed at y = 0 by the recession function of phi.

The prox is a projection on the epigraph of phi*, by Moreau's identity (Combettes and Mueller 2018): one scalar equation. The
divergences of `divergences` are perspectives on nonnegative pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import final

from monops import arrays, autodiff
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import CapabilityError, ShapeError
from monops.functions.arguments import check_prox
from monops.functions.divergences.pairs import split_pair, whole_rows
from monops.functions.epigraphs.entry_epigraphs import EpigraphSquare
from monops.functions.epigraphs.epigraphs import Epigraph, check_has_value_and_prox, graph_map, project
from monops.functions.epigraphs.norm_epigraphs import EpigraphL2
from monops.functions.function import Function
from monops.functions.norms.norms import L1Norm
from monops.functions.norms.squares import SquaredL2
from monops.functions.sample import Sample
from monops.linear import LinearMap

__all__ = [
    "Perspective",
    "ReflectedSecond",
]


@final
@dataclass(frozen=True, eq=False)
class Perspective(Function):
    """f(x, y) = y g(x/y) for y > 0, the recession function of g at x for y = 0, infinity for y < 0.

    Parameters
    ----------
    function : Function
        g; with a value, and a conjugate class with value and prox.
    entrywise : bool, default False
        False: x is a point of g, y one number a row (shape: the batch shape and (1,)). True: y has the shape of x, and f is
        the sum of y_i phi(x_i/y_i) for a function g whose conjugate is `Separable`.

    Notes
    -----
    prox: (x - step q, step m), where (q, s) is the projection of (x, -y)/step on the epigraph of g*, and m >= 0 its
    multiplier: q = prox_{m g*}(x/step) and m = y/step + g*(q). **Domain** not given in general. **Constants** mu = 0 (f is
    positively homogeneous). **Cost** about 10 to 30 proxes of g*; see `Epigraph`. **Derivative** of the prox: the identity
    minus that of the projection, with the sign of y exchanged. No derivative is taken in the data of g.

    References
    ----------
    Combettes and Mueller (2018), Perspective functions: proximal calculus and applications in high-dimensional statistics.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> from monops.functions import SquaredL2
    >>> p, q = Perspective(SquaredL2()).prox(Blocks((np.array([4.0]), np.array([-1.0]))))
    >>> np.round(p, 12), np.round(q, 12)
    (array([2.]), array([1.]))
    """

    function: Function
    entrywise: bool = False

    def __post_init__(self) -> None:
        dual = self.function.conjugate()
        if not self.function.has_value or not dual.has_value or not recession(dual, 0):
            raise CapabilityError(
                f"Perspective needs a function with a value and a conjugate with value and domain, and "
                f"{type(self.function).__name__} lacks one: choose a function whose conjugate is a class of its own"
            )
        check_has_value_and_prox("Perspective of the conjugate of", dual, self.entrywise)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(SquaredL2(2.0)), ((5,), (1,)), lambda cp, z: cp.quad_over_lin(z[0], z[1][0])),
            Sample(
                lambda a: cls(L1Norm(0.5), entrywise=True),
                ((5,), (5,)),
                lambda cp, z: (0.5 * cp.norm1(z[0]), [z[1] >= 0]),
            ),
        )

    def _dual(self, x: Array) -> Function:
        """g* with every problem in a row of its own."""
        return self.function.conjugate().batched(x.ndim if self.entrywise else self.batch_ndim)

    def __call__(self, x: Array) -> Array:
        point, y = split_pair(self, x, self.entrywise)
        xp = arrays.namespace(point)
        ndim = point.ndim if self.entrywise else self.batch_ndim
        level = xp.reshape(y, point.shape[:ndim])
        positive = level > 0
        height = xp.where(positive, level, xp.ones_like(level))
        rowwise = self.function.batched(ndim)

        def perspective(scale: Array) -> Array:
            return height * rowwise(point / xp.reshape(scale, (*level.shape, *((1,) * (point.ndim - ndim)))))

        inside = perspective(height)
        if self.function.is_indicator:  # a cone: a pair within rounding of it counts as inside
            slack = 8 * arrays.epsilon(point) * xp.maximum(arrays.clip(arrays.norm(point, ndim), 1.0, None), height)
            lower = xp.where(height > 2.0 * slack, height - slack, 0.5 * height)
            inside = xp.minimum(inside, xp.minimum(perspective(height + slack), perspective(lower)))
        limit = recession(self.function.conjugate(), ndim)
        assert limit is not None  # refused when built
        border = xp.where(level == 0, limit(point), xp.zeros_like(level) + math.inf)
        return arrays.row_sum(xp.where(positive, inside, border), self.batch_ndim)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        split_pair(self, x, self.entrywise)
        first, second = autodiff.detach(x)
        size = autodiff.detach(step)
        xp = arrays.namespace(first)
        scaled = first / size
        q, _, multiplier = project(self._dual(first), scaled, -second / size)
        p = xp.where(q == scaled, xp.zeros_like(q), first - size * q)
        return self.with_derivative(x, step, Blocks((p, size * xp.reshape(multiplier, second.shape) + 0.0 * second)))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        first, second = x[0] / step, -x[1] / step
        dual = self._dual(first)
        inner = graph_map(dual, first, second, project(dual, first, second))

        def apply(h: Array) -> Array:
            u, v = inner.apply(Blocks((h[0], -h[1])))
            return Blocks((h[0] - u, h[1] + v))

        return whole_rows(apply, (tuple(x[0].shape), tuple(x[1].shape)))

    def conjugate(self) -> Function:
        dual = self.function.conjugate()
        return ReflectedSecond(Epigraph(dual, self.entrywise, batch_ndim=self.batch_ndim), batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"y ({self.function.value_formula('.')})({x}/y)"


def recession(dual: Function, batch_ndim: int) -> Function | None:
    """The recession function of g from g*: the support function of the domain of g*; None without a value."""
    if dual.domain is None:
        return None
    support = dual.domain.conjugate()
    return support.batched(batch_ndim) if support.has_value else None


@final
@dataclass(frozen=True, eq=False)
class ReflectedSecond(Function):
    """f(x, y) = g(x, -y) for a function g of pairs: an epigraph seen from below, the form that conjugates of perspectives take.

    Notes
    -----
    prox: that of g at (x, -y), with the sign of its second component exchanged. **Domain** that of g, reflected. **Constants**
    those of g. **Cost** that of g. **Derivative** of the prox: that of g between the two changes of sign.

    References
    ----------
    Bauschke and Combettes (2017), Prop. 24.8.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> ReflectedSecond(EpigraphL2()).prox(Blocks((np.array([3.0, 4.0]), np.array([0.0]))))
    Blocks(array([1.5, 2. ]), array([-2.5]))
    """

    function: Function

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(EpigraphL2()), ((5,), (1,)), lambda cp, z: [cp.SOC(-z[1][0], z[0])]),
            Sample(lambda a: cls(EpigraphSquare()), ((5,), (5,)), lambda cp, z: [0.5 * cp.square(z[0]) + z[1] <= 0]),
        )

    @cached_property
    def constants(self) -> Constants:
        return self.function.constants

    @property
    def has_value(self) -> bool:
        return self.function.has_value

    @property
    def has_prox(self) -> bool:
        return self.function.has_prox

    @property
    def has_gradient(self) -> bool:
        return self.function.has_gradient

    @property
    def is_indicator(self) -> bool:
        return self.function.is_indicator

    @property
    def is_convex(self) -> bool:
        return self.function.is_convex

    @property
    def domain(self) -> Function | None:
        if self.is_indicator:
            return self
        inner = self.function.domain
        return None if inner is None else ReflectedSecond(inner, batch_ndim=self.batch_ndim)

    def _reflect(self, x: Array) -> Array:
        if not isinstance(x, tuple) or len(x) != 2:
            raise ShapeError("ReflectedSecond is a function of pairs: pass Blocks((x, y)), two arrays")
        return Blocks((x[0], -x[1]))

    def __call__(self, x: Array) -> Array:
        return self.function(self._reflect(x))

    def prox(self, x: Array, step: float = 1.0) -> Array:
        p, q = self.function.prox(self._reflect(x), step)
        return Blocks((p, -q))

    def gradient(self, x: Array) -> Array:
        p, q = self.function.gradient(self._reflect(x))
        return Blocks((p, -q))

    def conjugate(self) -> Function:
        return ReflectedSecond(self.function.conjugate(), batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        inner = self.function.prox_derivative(self._reflect(x), step)

        def apply(h: Array) -> Array:
            u, v = inner.apply(Blocks((h[0], -h[1])))
            return Blocks((u, -v))

        return whole_rows(apply, (tuple(x[0].shape), tuple(x[1].shape)))

    def value_formula(self, x: str) -> str:
        return f"{self.function.value_formula(x)} at -t"
