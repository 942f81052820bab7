"""What closed convex cones share, and the second-order cones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import ShapeError
from monops.functions.arguments import check_prox
from monops.functions.feasibility import nonzero, row_norm, zero_or_infinity
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, SelfAdjointMap

__all__ = [
    "RotatedSecondOrderCone",
    "SecondOrderCone",
]


@dataclass(frozen=True, eq=False)
class Cone(Function):
    """Indicator of a closed convex cone K along the last axis; every other index is a further, independent cone.

    A subclass gives ``dual``, ``inside``, ``decompose`` and ``derivative``.
    """

    @property
    def is_indicator(self) -> bool:
        return True

    def dual(self) -> Cone:
        """The dual cone {y : <x, y> >= 0 for all x in K}, in closed form."""
        raise NotImplementedError

    def inside(self, x: Array, slack: float) -> Array:
        """Whether x, of entries at most 1, is within about ``slack`` of the cone; one Boolean a cone.

        Exact in this sense: x + slack e is in K, for an e with e + h in K for all |h|_inf <= 1. True for every point within
        slack of the cone, false for all points that are farther than slack |e|.
        """
        raise NotImplementedError

    def decompose(self, x: Array) -> tuple[Array, Array]:
        """The projections of x on K and on its polar, each to the precision of x or better, never by subtraction alone."""
        raise NotImplementedError

    def derivative(self, x: Array) -> Callable[[Array], Array]:
        """An element of the Clarke Jacobian of the projection on K, as a function of the direction."""
        raise NotImplementedError

    def check(self, x: Array) -> None:
        """Raise ShapeError unless the last axis can hold a cone."""
        if x.ndim <= self.batch_ndim:
            raise ShapeError(f"{type(self).__name__}: x has shape {tuple(x.shape)}, but no axis behind the batch axes")

    def __call__(self, x: Array) -> Array:
        self.check(x)
        xp = arrays.namespace(x)
        unit = arrays.clip(xp.max(xp.abs(x), axis=-1, keepdims=True), 1.0, None)
        slack = 16 * arrays.epsilon(x) * (1.0 + math.log2(x.shape[-1]))
        inside = self.inside(x / unit, slack)
        axes = tuple(range(self.batch_ndim, inside.ndim))
        return zero_or_infinity(xp.all(inside, axis=axes) if axes else inside, x)

    def prox(self, x: Array, step: float = 1.0) -> Array:
        check_prox(self, x, step)
        self.check(x)
        return self.with_derivative(x, step, self.decompose(autodiff.detach(x))[0])

    def conjugate(self) -> Function:
        from monops.functions.cones.dual_cones import PolarCone  # wraps cones: imported where it is made

        return PolarCone(self, batch_ndim=self.batch_ndim)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        self.check(x)
        return SelfAdjointMap(self.derivative(autodiff.detach(x)), shape_of(x))


def parts_of(x: Array) -> tuple[Array, Array]:
    """Head x[0] and tail x[1:] along the last axis."""
    return x[..., :1], x[..., 1:]


def tail_norm(tail: Array) -> Array:
    """|tail| along the last axis, which is kept, without overflow."""
    return arrays.namespace(tail).expand_dims(row_norm(tail, tail.ndim - 1), axis=-1)


def second_order_parts(x: Array) -> tuple[Array, Array]:
    """Projections on {|x[1:]| <= x[0]} and on its polar {|x[1:]| <= -x[0]}."""
    xp = arrays.namespace(x)
    head, tail = parts_of(x)
    size = tail_norm(tail)
    up, down = 0.5 * size + 0.5 * head, 0.5 * size - 0.5 * head  # half the distance along the axis to both cones
    zero = xp.zeros_like(head)
    inside, opposite = size <= head, size <= -head
    first = xp.where(inside, head, xp.where(opposite, zero, up))
    second = xp.where(opposite, head, xp.where(inside, zero, -down))
    share = xp.where(inside, 1.0 + 0.0 * size, xp.where(opposite, 0.0 * size, up / nonzero(size)))
    rest = xp.where(inside, 0.0 * size, xp.where(opposite, 1.0 + 0.0 * size, down / nonzero(size)))
    return xp.concat([first, share * tail], axis=-1), xp.concat([second, rest * tail], axis=-1)


def second_order_derivative(x: Array) -> Callable[[Array], Array]:
    """The identity inside, 0 in the polar; else, with w = x[1:]/|x[1:]| and c = (1 + x[0]/|x[1:]|)/2: the projection on (1, w),
    plus c times that on the tails orthogonal to w.
    """
    xp = arrays.namespace(x)
    head, tail = parts_of(x)
    size = tail_norm(tail)
    w = tail / nonzero(size)
    inside, opposite = size <= head, size <= -head
    c = 0.5 + 0.5 * (head / nonzero(size))

    def apply(h: Array) -> Array:
        first, rest = parts_of(h)
        along = xp.sum(w * rest, axis=-1, keepdims=True)
        common = 0.5 * first + 0.5 * along
        moved = xp.concat([common, w * common + c * (rest - w * along)], axis=-1)
        return xp.where(inside, h, xp.where(opposite, 0.0 * h, moved))

    return apply


@final
@dataclass(frozen=True, eq=False)
class SecondOrderCone(Cone):
    """Indicator of {x : |x[1:]|_2 <= x[0]} along the last axis, the head x[0] first; other axes index further cones.

    `EpigraphL2` is the same set on pairs (tail, head).

    Notes
    -----
    prox: with z = x[1:]: x inside, 0 where |z| <= -x[0], else (|z| + x[0])/2 (1, z/|z|). **Domain** the cone; a point counts as
    inside when its distance is within some 16 epsilon max(1, |x|_inf). **Constants** mu = 0; no gradient; self-dual. **Cost**
    three passes. **Derivative** of the prox: the identity inside (and on the boundary), 0 in the polar cone, else with w =
    z/|z|: the projection on (1, w), plus (1 + x[0]/|z|)/2 times the projection on the tails orthogonal to w.

    References
    ----------
    Bauschke (1996), Projection algorithms and monotone operators. Fukushima, Luo and Tseng (2002), Smoothing functions for
    second-order-cone complementarity problems.

    Examples
    --------
    >>> import numpy as np
    >>> SecondOrderCone().prox(np.array([0.0, 3.0, 4.0]))
    array([2.5, 1.5, 2. ])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), (5,), lambda cp, y: [cp.SOC(y[0], y[1:])]),
            Sample(lambda a: cls(), (3, 4), lambda cp, y: [cp.SOC(y[i, 0], y[i, 1:]) for i in range(3)]),
        )

    def dual(self) -> Cone:
        return self

    def inside(self, x: Array, slack: float) -> Array:
        head, tail = parts_of(x)
        return (tail_norm(tail) <= head + slack * (1.0 + tail.shape[-1] ** 0.5))[..., 0]

    def decompose(self, x: Array) -> tuple[Array, Array]:
        return second_order_parts(x)

    def derivative(self, x: Array) -> Callable[[Array], Array]:
        return second_order_derivative(x)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}[1:]|_2 <= {x}[0])"


def rotated(x: Array) -> Array:
    """(x0, x1, z) -> ((x0 + x1)/sqrt2, (x0 - x1)/sqrt2, z): orthogonal, its own inverse; 2 x0 x1 = (first)^2 - (second)^2."""
    xp = arrays.namespace(x)
    a, b = math.sqrt(0.5) * x[..., :1], math.sqrt(0.5) * x[..., 1:2]
    return xp.concat([a + b, a - b, x[..., 2:]], axis=-1)


@final
@dataclass(frozen=True, eq=False)
class RotatedSecondOrderCone(Cone):
    """Indicator of {x : 2 x[0] x[1] >= |x[2:]|_2^2, x[0] >= 0, x[1] >= 0} along the last axis; other axes index further cones.

    Notes
    -----
    prox: R P R x, P the projection on the second-order cone, R x = ((x0 + x1)/sqrt(2), (x0 - x1)/sqrt(2), x[2:]) its own
    inverse. **Domain** the cone. **Constants** mu = 0; no gradient; self-dual. **Cost** seven passes. **Derivative** of the
    prox: R J R with the derivative J of P.

    References
    ----------
    Alizadeh and Goldfarb (2003), Second-order cone programming.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(RotatedSecondOrderCone().prox(np.array([0.0, 0.0, 2.0])), 12)
    array([0.70710678, 0.70710678, 1.        ])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def constraints(cp: object, y: object) -> list[object]:
            return [cp.quad_over_lin(y[2:], y[0]) <= 2 * y[1], y[1] >= 0]  # type: ignore[attr-defined,index]

        def several(cp: object, y: object) -> list[object]:
            return [part for i in range(2) for part in constraints(cp, y[i, :])]  # type: ignore[index]

        return (Sample(lambda a: cls(), (5,), constraints), Sample(lambda a: cls(), (2, 4), several))

    def check(self, x: Array) -> None:
        Cone.check(self, x)
        if x.shape[-1] < 2:
            raise ShapeError(
                f"RotatedSecondOrderCone: x has shape {tuple(x.shape)}: its last axis must have at least 2 entries"
            )

    def dual(self) -> Cone:
        return self

    def inside(self, x: Array, slack: float) -> Array:
        xp = arrays.namespace(x)
        wide = slack * (1.0 + x.shape[-1] ** 0.5)
        first, second = x[..., 0] + wide, x[..., 1] + wide
        square = xp.sum(x[..., 2:] * x[..., 2:], axis=-1)
        return (first >= 0) & (second >= 0) & (2.0 * first * second >= square)

    def decompose(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        turned = rotated(x)
        head, tail = parts_of(turned)
        size = tail_norm(tail)
        p, u = (rotated(part) for part in second_order_parts(turned))
        p, u = xp.where(size <= head, x, p), xp.where(size <= -head, x, u)  # no rounding where x stays
        return p, u

    def derivative(self, x: Array) -> Callable[[Array], Array]:
        inner = second_order_derivative(rotated(x))
        return lambda h: rotated(inner(rotated(h)))

    def value_formula(self, x: str) -> str:
        return f"i(|{x}[2:]|^2 <= 2 {x}[0] {x}[1], {x}[0] and {x}[1] >= 0)"
