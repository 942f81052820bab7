"""Perspectives of functions of |x|, in closed form: |x|^2/(2y), and Huber's function of x/y for estimation with a scale y."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, final

from monops import arrays, autodiff
from monops.arrays import Array, Blocks
from monops.errors import DataError
from monops.functions.arguments import check_prox
from monops.functions.calculus.blocks import SeparableSum
from monops.functions.divergences.pairs import keep_nan, quadratic_multiplier, rank_one_derivative, split_pair, whole_rows
from monops.functions.divergences.perspectives import ReflectedSecond
from monops.functions.epigraphs.entry_epigraphs import EpigraphSquare
from monops.functions.epigraphs.epigraphs import Epigraph
from monops.functions.function import Function, Zero
from monops.functions.norms.squares import SquaredL2
from monops.functions.sample import Sample
from monops.functions.sets.sets import NonNegative
from monops.linear import BroadcastMap, LinearMap, Stack

__all__ = [
    "HuberPerspective",
    "QuadraticOverLinear",
]


class _Radial(NamedTuple):
    """The prox in terms of r = |x|: new y, new x as ``factor`` x, and where the linear part holds."""

    y: Array
    factor: Array
    linear: Array
    direction: Array
    size: Array


@dataclass(frozen=True, eq=False)
class _RadialPerspective(Function):
    """y h(|x|/y), h(r) = r^2/2 up to ``reach`` and linear beyond; one y a row, or entrywise."""

    entrywise: bool = False

    @property
    def reach(self) -> Any:
        """Where h turns linear."""
        return math.inf

    @property
    def domain(self) -> Function:
        parts = (Zero(batch_ndim=self.batch_ndim), NonNegative(batch_ndim=self.batch_ndim))
        return SeparableSum(parts, batch_ndim=self.batch_ndim)

    def _flat(self, x: Array) -> tuple[Array, Array]:
        """Entrywise: every entry a row of length 1; else x as (batch, n) and y as (batch, 1)."""
        first, second = split_pair(self, x, self.entrywise)
        xp = arrays.namespace(first)
        batch = tuple(first.shape[: first.ndim if self.entrywise else self.batch_ndim])
        n = math.prod(first.shape[len(batch) :])
        return xp.reshape(first, (*batch, n)), xp.reshape(second, (*batch, 1))

    def _size(self, x: Array) -> tuple[Array, Array]:
        """|x| of every row without overflow, and the direction x/|x| (0 for x = 0)."""
        xp = arrays.namespace(x)
        if self.entrywise:
            return xp.abs(x), xp.sign(x)
        largest = xp.max(xp.abs(x), axis=-1, keepdims=True)
        scaled = x / xp.where(largest > 0, largest, xp.ones_like(largest))
        length = xp.linalg.vector_norm(scaled, axis=-1, keepdims=True)
        return largest * length, scaled / xp.where(length > 0, length, xp.ones_like(length))

    def __call__(self, x: Array) -> Array:
        first, second = self._flat(x)
        xp = arrays.namespace(first)
        size, _ = self._size(first)
        positive = second > 0
        y = xp.where(positive, second, xp.ones_like(second))
        quadratic = 0.5 * size * (size / y)
        if isinstance(self.reach, float) and self.reach == math.inf:
            value, border = quadratic, xp.where(size > 0, 0.0 * size + math.inf, 0.0 * size)
        else:
            linear = self.reach * size - 0.5 * self.reach * self.reach * y
            value, border = xp.where(size <= self.reach * y, quadratic, linear), self.reach * size
        border = xp.where(second < 0, 0.0 * size + math.inf, border)
        return arrays.row_sum(xp.where(positive, value, border), self.batch_ndim)

    def _solve(self, x: Array, y: Array, step: Any) -> _Radial:
        xp = arrays.namespace(x)
        size, direction = self._size(x)
        root = quadratic_multiplier(size, y, step)
        ratio, reach = size / (root + step), self.reach
        linear = ratio > reach
        bound = xp.where(linear, reach * xp.ones_like(ratio), 0.0 * ratio)
        shrunk = 1.0 - step * bound / xp.where(linear, size, xp.ones_like(size))
        raised = arrays.clip(y + 0.5 * step * bound * bound, 0.0, None)
        return _Radial(xp.where(linear, raised, root), xp.where(linear, shrunk, root / (root + step)), linear, direction, size)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        still = self.detached()
        first, second = still._flat(autodiff.detach(x))
        found = still._solve(first, second, autodiff.detach(step))
        xp = arrays.namespace(first)
        p, q = keep_nan(first * found.factor, first + second), keep_nan(found.y, second + found.size)
        return self.with_derivative(x, step, Blocks((xp.reshape(p, x[0].shape), xp.reshape(q, x[1].shape))))

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        first, second = self._flat(x)
        xp = arrays.namespace(first)
        found = self._solve(first, second, step)
        above = found.y > 0
        y = xp.where(above, found.y, xp.ones_like(found.y))
        radius = found.factor * found.size
        curvature = 1.0 / y + (radius / y) ** 2 / y
        a, b, c = rank_one_derivative(radius, y, step * curvature)
        one, zero = xp.ones_like(y), xp.zeros_like(y)
        curved = above & ~found.linear
        a = xp.where(curved, a, xp.where(found.linear, one, zero))
        b = xp.where(curved, b, zero)
        c = xp.where(curved, c, xp.where(above, one, zero))
        n, factor = found.direction, found.factor

        def apply(h: Array) -> Array:
            u, v = self._flat(h)
            along = xp.sum(n * u, axis=-1, keepdims=True)
            moved = factor * (u - n * along) + n * (a * along + b * v)
            return Blocks((xp.reshape(moved, x[0].shape), xp.reshape(b * along + c * v, x[1].shape)))

        return whole_rows(apply, (tuple(x[0].shape), tuple(x[1].shape)))


@final
@dataclass(frozen=True, eq=False)
class QuadraticOverLinear(_RadialPerspective):
    """f(x, y) = |x|^2/(2y) for y > 0, 0 at (0, 0), else infinity: the perspective of half the squared norm.

    Parameters
    ----------
    entrywise : bool, default False
        False: one y a row (shape: the batch shape and (1,)). True: y has the shape of x, and f is the sum of x_i^2/(2 y_i).

    Notes
    -----
    prox: (x m/(m + step), m) with the root m > 0 of m = y + step |x|^2/(2 (m + step)^2), by Newton's method; (0, 0) where y +
    |x|^2/(2 step) <= 0. **Domain** y > 0 or (0, 0); its closure is y >= 0. **Constants** mu = 0 (f is positively homogeneous).
    **Cost** two passes over x and about 6 over y. **Derivative** of the prox: (I + step H)^-1, H the Hessian, with the one
    curved direction of (|x|, y) and m/(m + step) across x; 0 where the prox is (0, 0).

    References
    ----------
    Combettes and Mueller (2018), Perspective functions: proximal calculus and applications in high-dimensional statistics.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> QuadraticOverLinear().prox(Blocks((np.array([4.0]), np.array([-1.0]))))
    Blocks(array([2.]), array([1.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), ((5,), (1,)), lambda cp, z: 0.5 * cp.quad_over_lin(z[0], z[1][0])),
            Sample(
                lambda a: cls(entrywise=True),
                ((5,), (5,)),
                lambda cp, z: sum(0.5 * cp.quad_over_lin(z[0][i], z[1][i]) for i in range(5)),
            ),
        )

    def conjugate(self) -> Function:
        inner: Function = (
            EpigraphSquare(batch_ndim=self.batch_ndim)
            if self.entrywise
            else Epigraph(SquaredL2(batch_ndim=self.batch_ndim), batch_ndim=self.batch_ndim)
        )
        return ReflectedSecond(inner, batch_ndim=self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"|{x}|^2/(2y)"


@final
@dataclass(frozen=True, eq=False)
class HuberPerspective(_RadialPerspective):
    """f(x, y) = |x|^2/(2y) where |x| <= delta y, else delta |x| - delta^2 y/2; delta |x| at y = 0, infinity for y < 0.

    Parameters
    ----------
    entrywise : bool, default False
        False: one y a row (shape: the batch shape and (1,)). True: y has the shape of x, and f is a sum over entries.
    delta : float, default 1
        Where Huber's function turns linear.

    Notes
    -----
    prox: that of |x|^2/(2y) where its |x|/y is at most delta, else (x (1 - step delta/|x|), max(0, y + step delta^2/2)).
    **Domain** y >= 0. **Constants** mu = 0 (f is positively homogeneous). **Cost** two passes over x and about 6 over y.
    **Derivative** of the prox: that of |x|^2/(2y), or that of block soft-thresholding in x and 1 in y (0 where the new y is 0).
    With a term in y alone, f is the concomitant M-estimator of Huber.

    References
    ----------
    Huber (1981), Robust statistics. Combettes and Mueller (2020), Perspective maximum likelihood-type estimation via proximal
    decomposition.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> HuberPerspective(delta=1.0).prox(Blocks((np.array([4.0]), np.array([1.0]))))
    Blocks(array([3.]), array([1.5]))
    """

    delta: Any = 1.0

    def __post_init__(self) -> None:
        if not arrays.is_array(self.delta) and not 0.0 < self.delta < math.inf:
            raise DataError(f"HuberPerspective: delta={self.delta!r} must be a finite number > 0; see QuadraticOverLinear")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(delta=0.8), ((5,), (1,)), lambda cp, z: _infimal_convolution(cp, z, 0.8)),
            Sample(lambda a: cls(True, 0.6), ((5,), (5,)), lambda cp, z: _infimal_convolutions(cp, z, 0.6)),
        )

    @property
    def reach(self) -> Any:
        return self.delta

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        first, second = self._flat(x)
        xp = arrays.namespace(first)
        found = self._solve(first, second, step)
        zero = 0.0 * found.y
        in_x = xp.where(found.linear, -step * found.direction, 0.0 * first)
        in_y = xp.where(found.linear & (found.y > 0), step * self.delta + zero, zero)
        u, v = xp.reshape(in_x, x[0].shape), xp.reshape(in_y, x[1].shape)
        return {"delta": Stack((BroadcastMap(u, ()), BroadcastMap(v, ())))}

    def value_formula(self, x: str) -> str:
        return f"y huber_{self.delta:g}({x}/y)"


def _infimal_convolution(cp: Any, z: Any, delta: float) -> Any:
    """Huber is the infimal convolution of the square and delta |.|."""
    part = cp.Variable(5)
    return 0.5 * cp.quad_over_lin(part, z[1][0]) + delta * cp.norm(z[0] - part, 2)


def _infimal_convolutions(cp: Any, z: Any, delta: float) -> Any:
    part = cp.Variable(5)
    return sum(0.5 * cp.quad_over_lin(part[i], z[1][i]) + delta * cp.abs(z[0][i] - part[i]) for i in range(5))
