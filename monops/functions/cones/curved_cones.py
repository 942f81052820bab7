"""What cones in R^3 with a curved boundary share, and the exponential cone and its dual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from monops import arrays
from monops.arrays import Array, polar
from monops.errors import ShapeError
from monops.functions.cones.cones import Cone
from monops.functions.divergences.pairs import keep_nan
from monops.functions.feasibility import nonzero
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample

__all__ = [
    "DualExponentialCone",
    "ExponentialCone",
]


@dataclass(frozen=True, eq=False)
class TripleCone(Cone):
    """A cone in R^3 with a curved boundary: a subclass gives ``split`` and ``tangent`` for scaled triples, or its dual does."""

    def check(self, x: Array) -> None:
        Cone.check(self, x)
        if x.shape[-1] != 3:
            raise ShapeError(f"{type(self).__name__}: x has shape {tuple(x.shape)}, but its last axis must have length 3")

    def split(self, x: Array, y: Array, z: Array) -> Split:
        """Where the triple is, and both projections; entries are at most 1."""
        raise NotImplementedError

    def tangent(self, z: Array, found: Split) -> Callable[[Array], Array]:
        """The derivative of the projection where it is on the curved boundary."""
        raise NotImplementedError

    def _scaled(self, x: Array) -> tuple[Array, Array, Array, Array]:
        xp = arrays.namespace(x)
        size = nonzero(xp.max(xp.abs(x), axis=-1, keepdims=True))
        scaled = x / size
        return size, scaled[..., 0], scaled[..., 1], scaled[..., 2]

    def decompose(self, x: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        size, *triple = self._scaled(x)
        with np.errstate(all="ignore"):
            found = self.split(*triple)
        inside, opposite = (xp.expand_dims(where, axis=-1) for where in (found.inside, found.opposite))
        p = xp.where(inside, x, xp.where(opposite, 0.0 * x, size * xp.stack(found.p, axis=-1)))
        u = xp.where(opposite, x, xp.where(inside, 0.0 * x, size * xp.stack(found.u, axis=-1)))
        total = x + xp.sum(0.0 * x, axis=-1, keepdims=True)
        return keep_nan(p, total), keep_nan(u, total)

    def derivative(self, x: Array) -> Callable[[Array], Array]:
        xp = arrays.namespace(x)
        _, *triple = self._scaled(x)
        with np.errstate(all="ignore"):
            found = self.split(*triple)
            curved = self.tangent(triple[2], found)
        inside, opposite = (xp.expand_dims(where, axis=-1) for where in (found.inside, found.opposite))

        def apply(h: Array) -> Array:
            return xp.where(inside, h, xp.where(opposite, 0.0 * h, curved(h)))

        return apply


class Split(NamedTuple):
    """Triples inside the cone, in the polar, and otherwise both projections; ``state`` is what the derivative needs."""

    inside: Array
    opposite: Array
    p: tuple[Array, Array, Array]
    u: tuple[Array, Array, Array]
    state: tuple[Array, ...]


def surface_derivative(
    first: tuple[Array, Array, Array], second: tuple[Array, Array, Array], a: Array, b: Array, c: Array
) -> Callable[[Array], Array]:
    """h -> T M T* h, T the two tangents as columns, M = [[a, b], [b, c]]."""
    xp = arrays.namespace(a)
    one, two = xp.stack(first, axis=-1), xp.stack(second, axis=-1)
    a, b, c = (xp.expand_dims(entry, axis=-1) for entry in (a, b, c))

    def apply(h: Array) -> Array:
        left, right = xp.sum(one * h, axis=-1, keepdims=True), xp.sum(two * h, axis=-1, keepdims=True)
        return one * (a * left + b * right) + two * (b * left + c * right)

    return apply


def in_exponential_cone(x: Array, y: Array, z: Array) -> Array:
    """y exp(x/y) <= z with y > 0, or y = 0, x <= 0, z >= 0; in logarithms, so that nothing overflows."""
    xp = arrays.namespace(x)
    positive = (y > 0) & (z > 0)
    one = xp.ones_like(y)
    y_safe, z_safe = xp.where(positive, y, one), xp.where(positive, z, one)
    return xp.where(positive, x <= y_safe * (xp.log(z_safe) - xp.log(y_safe)), (y == 0) & (x <= 0) & (z >= 0))


def exponential_root(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """The t with a exp(t) = z + b exp(-t), and a and b: then a (t, 1, exp(t)) and b (1, 1 - t, -exp(-t)) are the projections.

    a = ((t - 1) x + y)/d and b = (x - t y)/d with d = t^2 - t + 1 > 0 solve the first two of the three equations x = p + u;
    a > 0 above 1 - y/x (for x > 0), b > 0 below x/y (for y > 0). Newton's method runs on the logarithms of both sides, z moved
    to the side where it is positive, and on the log-odds s of t in that interval: there both sides are nearly linear.
    """
    xp = arrays.namespace(x)
    limits = xp.finfo(x.dtype)
    wide, top = float(limits.max) ** 0.2, 0.9 * float(np.log(float(limits.max)))
    x_safe, y_safe = xp.where(x == 0, xp.ones_like(x), x), xp.where(y == 0, xp.ones_like(y), y)
    lowest = xp.where(x > 0, arrays.clip(1.0 - y / x_safe, -wide, wide), -wide + 0.0 * x)
    highest = xp.where(y > 0, arrays.clip(x / y_safe, -wide, wide), wide + 0.0 * x)
    low = xp.where(y > 0, xp.maximum(lowest, arrays.clip(highest, None, 0.0) - 1.3 * top), lowest)
    high = xp.where(x > 0, xp.minimum(highest, arrays.clip(lowest, 0.0, None) + 1.3 * top), highest)
    length = arrays.clip(high - low, 0.0, None)
    at_low, at_high = (x > 0) & (low == lowest), (y > 0) & (high == highest)
    plus, minus = arrays.clip(z, 0.0, None), arrays.clip(-z, 0.0, None)

    edge = 1.1 * (top / 0.9) ** 0.75 + 0.0 * x  # e^-edge is far below epsilon: nearer to the ends a or b is 0

    def sides(s: Array) -> tuple[Array, Array, Array, Array, Array]:
        small = xp.exp(-xp.abs(s))
        near, far = small / (1.0 + small), 1.0 / (1.0 + small)
        below, above = length * xp.where(s < 0, near, far), length * xp.where(s < 0, far, near)
        t = xp.where(s < 0, low + below, high - above)
        d = t * (t - 1.0) + 1.0
        a = xp.where(at_low, x * below, (t - 1.0) * x + y) / d
        b = xp.where(at_high, y * above, x - t * y) / d
        return t, d, arrays.clip(a, 0.0, None), arrays.clip(b, 0.0, None), near * far * length

    def equation(s: Array) -> tuple[Array, Array]:
        t, d, a, b, speed = sides(s)
        bend = 2.0 * t - 1.0
        rise, fall = xp.exp(arrays.clip(t, -top, top)), xp.exp(arrays.clip(-t, -top, top))
        left, right = a * rise + minus, b * fall + plus
        slope = rise * (a + (x - bend * a) / d) / left - fall * ((-y - bend * b) / d - b) / right
        settled = (xp.abs(s) > 0.8 * edge) | (xp.abs(left - right) <= (8.0 + 2.0 * xp.abs(t)) * arrays.epsilon(x) * left)
        return xp.where(settled, 0.0 * left, xp.log(left) - xp.log(right)), slope * speed

    t, _, a, b, _ = sides(increasing_root(equation, -edge, edge, 0.0 * x))
    return t, a, b


@final
@dataclass(frozen=True, eq=False)
class ExponentialCone(TripleCone):
    """Indicator of the closure of {(x, y, z) : y exp(x/y) <= z, y > 0} along the last axis, of length 3.

    Other axes index further cones. The closure adds the face {x <= 0, y = 0, z >= 0}. log z >= x is (x, 1, z) in the cone;
    entropies and logistic losses are made of it.

    Notes
    -----
    prox: the point inside; 0 in the polar; (x, 0, max(z, 0)) where x <= 0 and y <= 0; else a (t, 1, exp(t)), with a =
    ((t - 1) x + y)/(t^2 - t + 1) and t the root of one increasing equation. **Domain** the cone; a point counts as inside when
    its distance is within some 100 epsilon max(1, |x|_inf). **Constants** mu = 0; no gradient. **Cost** 5 to 15 evaluations of
    three exponentials and two logarithms. **Derivative** of the prox: the identity inside, 0 in the polar, diag(1, 0, z > 0) on
    the face, else from the optimality system of the curved boundary, a symmetric matrix of rank two.

    References
    ----------
    Friberg (2023), Projection onto the exponential cone: a univariate root-finding problem.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(ExponentialCone().prox(np.array([1.0, 1.0, 1.0])), 6)
    array([0.426306, 0.751673, 1.325367])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), (3,), lambda cp, y: [cp.constraints.ExpCone(y[0], y[1], y[2])]),
            Sample(lambda a: cls(), (6, 3), lambda cp, y: [cp.constraints.ExpCone(y[:, 0], y[:, 1], y[:, 2])]),
        )

    def dual(self) -> Cone:
        return DualExponentialCone(batch_ndim=self.batch_ndim)

    def inside(self, x: Array, slack: float) -> Array:
        return in_exponential_cone(x[..., 0] - slack, x[..., 1] + slack, x[..., 2] + 3.0 * slack)

    def split(self, x: Array, y: Array, z: Array) -> Split:
        xp = arrays.namespace(x)
        inside = in_exponential_cone(x, y, z)
        opposite = in_exponential_cone(y - x, x, -z)  # x exp(y/x - 1) <= -z: the polar
        face = (x <= 0) & (y <= 0)
        done = inside | opposite | face
        one = xp.ones_like(x)
        t, a, b = exponential_root(xp.where(done, one, x), xp.where(done, one, y), xp.where(done, 0.0 * z, z))
        small = xp.exp(-xp.abs(t))
        up = xp.where(t < 0, a * small, z + b * small)  # the third equation, from the side whose exponential is small
        up = arrays.clip(up, 0.0, None)
        down = arrays.clip(xp.where(t < 0, up - z, b * small), 0.0, None)
        a, b = xp.where(t < 0, a, up * small), xp.where(t < 0, down * small, b)  # both on their boundaries, to rounding
        zero = xp.zeros_like(x)
        p = (xp.where(face, x, t * a), xp.where(face, zero, a), xp.where(face, arrays.clip(z, 0.0, None), up))
        u = (xp.where(face, zero, b), xp.where(face, y, (1.0 - t) * b), xp.where(face, arrays.clip(z, None, 0.0), -down))
        return Split(inside, opposite, p, u, (face, t, a, b))

    def tangent(self, z: Array, found: Split) -> Callable[[Array], Array]:
        """w (I - n n*) + (1 - w) f f*, with n and f the directions of u and p: T (T* T + diag(0, b/a))^-1 T*, without its
        cancellation, T the tangents (t, 1, e^t), (1, 0, e^t); w = a A/(a A + b |p/a|^2), A = 1 + e^2t (1 + (1 - t)^2).
        """
        xp = arrays.namespace(z)
        face, t, a, b = found.state
        scale, grown = xp.exp(-arrays.clip(t, 0.0, None)), xp.exp(arrays.clip(t, None, 0.0))  # e^t = grown/scale
        along = polar(xp.stack([t * scale, scale, grown], axis=-1), (-1,))[1]
        normal = polar(xp.stack([grown, (1.0 - t) * grown, -scale], axis=-1), (-1,))[1]
        bend = a * (scale * scale + grown * grown * (1.0 + (1.0 - t) * (1.0 - t)))
        flat_part = bend / nonzero(bend + b * ((1.0 + t * t) * scale * scale + grown * grown))
        w = xp.expand_dims(flat_part, axis=-1)

        def curved(h: Array) -> Array:
            off = h - normal * xp.sum(normal * h, axis=-1, keepdims=True)
            return w * off + (1.0 - w) * (along * xp.sum(along * h, axis=-1, keepdims=True))

        flat = xp.stack([xp.ones_like(z), 0.0 * z, xp.astype(z > 0, z.dtype)], axis=-1)
        on_face = xp.expand_dims(face, axis=-1)
        return lambda h: xp.where(on_face, flat * h, curved(h))

    def value_formula(self, x: str) -> str:
        return f"i({x}[1] exp({x}[0]/{x}[1]) <= {x}[2])"


@dataclass(frozen=True, eq=False)
class DualOfTriple(TripleCone):
    """The dual of a cone in R^3, by Moreau's decomposition of -x."""

    def decompose(self, x: Array) -> tuple[Array, Array]:
        p, u = self.dual().decompose(-x)
        return -u, -p

    def derivative(self, x: Array) -> Callable[[Array], Array]:
        inner = self.dual().derivative(-x)
        return lambda h: h - inner(h)


@final
@dataclass(frozen=True, eq=False)
class DualExponentialCone(DualOfTriple):
    """Indicator of the closure of {(u, v, w) : -u exp(v/u) <= e w, u < 0} along the last axis, the dual of `ExponentialCone`.

    The closure adds the face {u = 0, v >= 0, w >= 0}.

    Notes
    -----
    prox: x + P(-x), P the projection on the exponential cone (Moreau), computed without the sum. **Domain** the cone.
    **Constants** mu = 0; no gradient. **Cost** that of `ExponentialCone`. **Derivative** of the prox: the identity minus that
    of P at -x.

    References
    ----------
    Friberg (2023), Projection onto the exponential cone: a univariate root-finding problem. Moreau (1962).

    Examples
    --------
    >>> import numpy as np
    >>> np.round(DualExponentialCone().prox(np.array([-1.0, -1.0, -1.0])), 6) + 0.0
    array([-0.573694, -0.248327,  0.325367])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), (3,), lambda cp, y: [cp.constraints.ExpCone(y[0] - y[1], -y[0], y[2])]),
            Sample(lambda a: cls(), (6, 3), lambda cp, y: [cp.constraints.ExpCone(y[:, 0] - y[:, 1], -y[:, 0], y[:, 2])]),
        )

    def dual(self) -> Cone:
        return ExponentialCone(batch_ndim=self.batch_ndim)

    def inside(self, x: Array, slack: float) -> Array:
        u, v, w = x[..., 0] - slack, x[..., 1] + slack, x[..., 2] + 2.0 * slack
        return in_exponential_cone(u - v, -u, w)

    def value_formula(self, x: str) -> str:
        return f"i(-{x}[0] exp({x}[1]/{x}[0]) <= e {x}[2])"
