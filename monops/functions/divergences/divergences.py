"""Divergences between two nonnegative vectors, entry by entry: f(x, y) = sum_i y_i phi(x_i/y_i).

With the ratio r = x/y > 0 of the prox, x = X - step phi'(r) and y = Y - step (phi(r) - r phi'(r)), where (X, Y) is the
argument: one increasing equation in log r for every entry (El Gheche, Chierchia and Pesquet 2017). The prox is (0, 0) where no
ratio makes both positive. The domain includes (0, 0), with value 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.functions.calculus.blocks import SeparableSum
from monops.functions.divergences.pairs import Pairwise, rank_one_derivative, root, widened
from monops.functions.equations import omega_estimate
from monops.functions.function import Function
from monops.functions.sample import Sample
from monops.functions.sets.sets import NonNegative

__all__ = [
    "DivergenceDual",
    "JeffreysDivergence",
    "KullbackLeiblerDivergence",
    "TotalVariationDistance",
]

Slopes = tuple[Array, Array, Array, Array]


@dataclass(frozen=True, eq=False)
class Divergence(Pairwise):
    """sum_i y_i phi(x_i/y_i) on nonnegative pairs: a subclass gives ``positive_value``, ``entry_curvature``, ``entry_dual``."""

    def positive_value(self, x: Array, y: Array) -> Array:
        """y phi(x/y) where both are positive."""
        raise NotImplementedError

    def border_values(self, x: Array, y: Array) -> tuple[Any, Any]:
        """(y phi(0), x lim phi(r)/r): the values where x = 0, and where y = 0."""
        return math.inf, math.inf

    def entry_curvature(self, p: Array, q: Array) -> Array:
        """phi''(r) (1 + r^2)/q with r = p/q, both positive: the curvature across the ray through (p, q)."""
        raise NotImplementedError

    def entry_dual(self, u: Array) -> Array:
        """phi*(u) = sup over r >= 0 of r u - phi(r)."""
        raise NotImplementedError

    @property
    def domain(self) -> Function:
        half = NonNegative(batch_ndim=self.batch_ndim)
        return SeparableSum((half, half), batch_ndim=self.batch_ndim)

    def entry_value(self, x: Array, y: Array) -> Array:
        xp = arrays.namespace(x)
        one, zero = xp.ones_like(x), 0.0 * (x + y)
        both = (x > 0) & (y > 0)
        value = self.positive_value(xp.where(both, x, one), xp.where(both, y, one))
        first, second = self.border_values(x, y)
        border = xp.where(x > 0, second + zero, xp.where(y > 0, first + zero, zero))
        return xp.where((x < 0) | (y < 0), zero + math.inf, xp.where(both, value, border))

    def entry_prox_derivative(self, x: Array, y: Array, p: Array, q: Array, step: Any) -> tuple[Array, Array, Array]:
        xp = arrays.namespace(x)
        both = (p > 0) & (q > 0)
        first, second = xp.where(both, p, xp.ones_like(p)), xp.where(both, q, xp.ones_like(q))
        a, b, c = rank_one_derivative(first, second, step * self.entry_curvature(first, second))
        return (
            xp.where(both, a, xp.astype(p > 0, p.dtype)),
            xp.where(both, b, 0.0 * p),
            xp.where(both, c, xp.astype(q > 0, q.dtype)),
        )

    def conjugate(self) -> Function:
        if type(self).entry_dual is Divergence.entry_dual:
            return super().conjugate()
        return DivergenceDual(self, batch_ndim=self.batch_ndim)


@dataclass(frozen=True, eq=False)
class RatioDivergence(Divergence):
    """A divergence whose prox has both components positive or both 0: a subclass gives ``slopes`` and ``bracket``."""

    def slopes(self, u: Array) -> Slopes:
        """phi'(r), phi(r) - r phi'(r) and the derivatives of both in u = log r."""
        raise NotImplementedError

    def bracket(self, a: Array, c: Array) -> tuple[Array, Array]:
        """Bounds of log r for the argument (a, c) and step 1, valid where the prox is positive."""
        raise NotImplementedError

    def shifts(self, u: Array) -> tuple[Array, Array]:
        """The first two slopes."""
        in_x, in_y, _, _ = self.slopes(u)
        return in_x, in_y

    def ratio(self, a: Array, c: Array) -> tuple[Array, Array]:
        """log r of the prox of (a, c) with step 1, and a mask: True where no ratio makes both positive (log r is then void)."""
        xp = arrays.namespace(a)
        lower, upper = self.bracket(a, c)
        rounding = 16.0 * arrays.epsilon(a) * (1.0 + xp.abs(lower) + xp.abs(upper))
        empty = lower - upper > rounding
        zero = xp.zeros_like(a)
        a, c = xp.where(empty, zero, a), xp.where(empty, zero, c)
        right = a > c  # the ratio is then more than 1, for the left side of the equation is c - a at u = 0
        upper = xp.where(right, xp.maximum(upper, zero), zero)
        lower = xp.where(right | empty, zero, xp.minimum(lower, zero))

        def equation(u: Array) -> tuple[Array, Array, Array]:  # sqrt(r) (new y) - (new x)/sqrt(r), scaled
            in_x, in_y, dx, dy = self.slopes(u)
            up, down = xp.exp(xp.minimum(u, zero)), xp.exp(-xp.maximum(u, zero))
            p, q = a - in_x, c - in_y
            terms = up * (xp.abs(c) + xp.abs(in_y)) + down * (xp.abs(a) + xp.abs(in_x))
            slope = up * (0.5 * q - dy) + down * (0.5 * p + dx)
            return up * q - down * p, slope, terms + xp.abs(u * slope)

        return root(equation, *widened(lower, upper), xp.where(right, upper, lower)), empty

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        with np.errstate(all="ignore"):
            u, empty = self.ratio(x / step, y / step)
            u = xp.where(empty, xp.zeros_like(u), u)
            in_x, in_y = self.shifts(u)
            by_y = u <= 0  # the larger component has lost fewer digits: the smaller one follows from the ratio
            better = xp.where(by_y, y - step * in_y, x - step * in_x)
            better = xp.where((better > 0) & ~empty, better, xp.zeros_like(x))
            other = xp.exp(-xp.abs(u)) * better
        return xp.where(by_y, other, better), xp.where(by_y, better, other)


def log_ratio(x: Array, y: Array) -> Array:
    """log(x/y) of positive numbers, also where the quotient overflows or underflows."""
    xp = arrays.namespace(x)
    ratio = x / y
    safe = (ratio > xp.finfo(x.dtype).smallest_normal) & (ratio < math.inf)
    return xp.where(safe, xp.log(xp.where(safe, ratio, xp.ones_like(x))), xp.log(x) - xp.log(y))


def positive_part(x: Array) -> Array:
    return arrays.clip(x, 0.0, None)


def log_quadratic_root(b: Array, a: Array) -> Array:
    """max(0, log e) with e >= 0 the root of e (b + e) = max(a, 0), and room for rounding."""
    xp = arrays.namespace(a)
    target = positive_part(a)
    root = xp.hypot(b, 2.0 * xp.sqrt(target))
    below = b + root
    e = xp.where(b > 0, 2.0 * target / xp.where(below > 0, below, xp.ones_like(a)), 0.5 * root - 0.5 * b)
    return xp.log(xp.maximum(e, xp.ones_like(a))) * (1.0 + 8.0 * arrays.epsilon(a)) + 8.0 * arrays.epsilon(a)


@final
@dataclass(frozen=True, eq=False)
class KullbackLeiblerDivergence(RatioDivergence):
    """f(x, y) = sum_i x_i log(x_i/y_i) - x_i + y_i, for x, y >= 0.

    Notes
    -----
    prox: (x - step u, y + step (exp(u) - 1)) with u = log of the new ratio, the root of x - step u = exp(u) (y + step (exp(u) -
    1)); (0, 0) where exp(x/step) - 1 + y/step <= 0. **Domain** x, y >= 0, x = 0 where y = 0. **Constants** mu = 0 (f is
    positively homogeneous). **Cost** about 13 exponentials and logarithms an entry. **Derivative** of the prox: (I + step
    H)^-1, H the Hessian, of rank one; 0 where the prox is (0, 0).

    References
    ----------
    El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> p, q = KullbackLeiblerDivergence().prox(Blocks((np.array([np.e + 1.0, -1.0]), np.array([2.0 - np.e, 0.0]))))
    >>> np.round(p / np.e, 12), np.round(q, 12)
    (array([1., 0.]), array([1., 0.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: cp.sum(cp.kl_div(z[0], z[1]))),)

    def positive_value(self, x: Array, y: Array) -> Array:
        return x * log_ratio(x, y) - x + y

    def border_values(self, x: Array, y: Array) -> tuple[Any, Any]:
        return y, math.inf

    def entry_curvature(self, p: Array, q: Array) -> Array:
        return 1.0 / p + (p / q) / q

    def entry_dual(self, u: Array) -> Array:
        return arrays.namespace(u).expm1(u)

    def slopes(self, u: Array) -> Slopes:
        xp = arrays.namespace(u)
        return u, -xp.expm1(u), xp.ones_like(u), -xp.exp(u)

    def shifts(self, u: Array) -> tuple[Array, Array]:
        return u, -arrays.namespace(u).expm1(u)

    def ratio(self, a: Array, c: Array) -> tuple[Array, Array]:
        """With e = exp(u), e^2 + (c - 1) e + u = a: two steps of fourth order (Householder) from a start within 0.25.

        The start has u + c e in the place of e^2 + (c - 1) e + u for u < 0, and e - 1 in the place of u for u > 0.
        """
        xp = arrays.namespace(a)
        log_c, t, size = xp.log(c), a + 1.0, xp.abs(c)
        omega = omega_estimate(a + log_c)
        left = xp.where(omega > 1.0, xp.log(omega) - log_c, a - omega)
        other = 2.0 * xp.sqrt(t)
        larger, smaller = xp.maximum(size, other), xp.minimum(size, other)
        smaller = smaller / larger
        length = larger * xp.sqrt(1.0 + smaller * smaller) + size  # hypot is ten times as slow
        u = start = xp.where(a > c, xp.log(xp.where(c > 0, 2.0 * t / length, 0.5 * length)), left)
        inner = c - 1.0
        for last in (False, True):
            e = xp.exp(u)
            square, product = e * e, e * ((c + xp.expm1(u)) if last else (inner + e))
            slope = product + square + 1.0
            move = (product + (u - a)) / slope
            h, k = move * ((product + 3.0 * square) / slope), move * move * ((product + 7.0 * square) / slope)
            u = u - move * (1.0 - 0.5 * h) / (1.0 - h + k / 6.0)
        exact = 0.48 * math.log(float(xp.finfo(a.dtype).max))  # there u is nothing beside a, and e^2 soon overflows
        return xp.where(start > exact, start, u), xp.expm1(a) + c <= 0

    def value_formula(self, x: str) -> str:
        return f"KL({x} | y)"


@final
@dataclass(frozen=True, eq=False)
class JeffreysDivergence(RatioDivergence):
    """f(x, y) = sum_i (x_i - y_i) log(x_i/y_i), for x, y >= 0: the symmetric Kullback-Leibler divergence.

    Notes
    -----
    prox: with u = log of the new ratio, (x - step (u + 1 - exp(-u)), y + step (u - 1 + exp(u))); (0, 0) where no u makes both
    positive. **Domain** x, y > 0 or both 0; its closure is x, y >= 0. **Constants** mu = 0 (f is positively homogeneous).
    **Cost** about 6 to 9 pairs of exponentials an entry. **Derivative** of the prox: (I + step H)^-1, H the Hessian, of rank
    one; 0 where the prox is (0, 0).

    References
    ----------
    El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> np.round(JeffreysDivergence().prox(Blocks((np.array([3.0, -1.0]), np.array([3.0, -1.0]))))[0], 12)
    array([3., 0.])
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: cp.sum(cp.kl_div(z[0], z[1])) + cp.sum(cp.kl_div(z[1], z[0]))),
        )

    def positive_value(self, x: Array, y: Array) -> Array:
        return (x - y) * log_ratio(x, y)

    def entry_curvature(self, p: Array, q: Array) -> Array:
        return 1.0 / p + (p / q) / q + 1.0 / q + (q / p) / p

    def slopes(self, u: Array) -> Slopes:
        xp = arrays.namespace(u)
        up, down = xp.expm1(u), xp.expm1(-u)
        return u - down, -u - up, 2.0 + down, -2.0 - up

    def bracket(self, a: Array, c: Array) -> tuple[Array, Array]:
        return -log_quadratic_root(a - 1.0, c), log_quadratic_root(c - 1.0, a)

    def value_formula(self, x: str) -> str:
        return f"Jeffreys({x}, y)"


@final
@dataclass(frozen=True, eq=False)
class TotalVariationDistance(Divergence):
    """f(x, y) = sum_i |x_i - y_i|, for x, y >= 0.

    Notes
    -----
    prox: with d = clip((x - y)/2, -step, step), (max(x - d, 0), max(y + d, 0)). **Domain** x, y >= 0. **Constants** mu = 0 (f
    is positively homogeneous). **Cost** three passes. **Derivative** of the prox: the mean of both where |x - y| < 2 step, else
    the identity (also at the kink); 0 in components whose prox is 0.

    References
    ----------
    El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> TotalVariationDistance().prox(Blocks((np.array([4.0, 1.0]), np.array([1.0, 2.0]))))
    Blocks(array([3. , 1.5]), array([2. , 1.5]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(lambda a: cls(), ((5,), (5,)), lambda cp, z: (cp.norm1(z[0] - z[1]), [z[0] >= 0, z[1] >= 0])),)

    def positive_value(self, x: Array, y: Array) -> Array:
        return arrays.namespace(x).abs(x - y)

    def border_values(self, x: Array, y: Array) -> tuple[Any, Any]:
        return y, x

    def entry_dual(self, u: Array) -> Array:
        return arrays.namespace(u).where(u <= 1, arrays.clip(u, -1.0, None), 0.0 * u + math.inf)

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        d = arrays.clip(0.5 * x - 0.5 * y, -step, step)
        return positive_part(x - d), positive_part(y + d)

    def entry_prox_derivative(self, x: Array, y: Array, p: Array, q: Array, step: Any) -> tuple[Array, Array, Array]:
        xp = arrays.namespace(x)
        tied = xp.abs(0.5 * x - 0.5 * y) < step
        first, second = xp.astype(p > 0, p.dtype), xp.astype(q > 0, q.dtype)
        return xp.where(tied, 0.5 * first, first), xp.where(tied, 0.5 * first, 0.0 * first), xp.where(tied, 0.5 * first, second)

    def value_formula(self, x: str) -> str:
        return f"|{x} - y|_1"


@final
@dataclass(frozen=True, eq=False)
class DivergenceDual(Pairwise):
    """Indicator of {(u, v) : phi*(u_i) + v_i <= 0 for every i}, the conjugate of a divergence sum_i y_i phi(x_i/y_i).

    Parameters
    ----------
    divergence : a divergence sum_i y_i phi(x_i/y_i) with closed-form phi*, that is, any of the library but Jeffreys'

    Notes
    -----
    prox: (u, v) minus the prox of the divergence with step 1 (Moreau 1965). A pair counts as inside when it is within 8
    epsilon max(1, |u|, |v|) of the set, which is closed under decreasing u and v. **Domain** the set. **Constants** mu = 0.
    **Cost** one prox of the divergence. **Derivative** of the prox: the identity minus that of the divergence.

    References
    ----------
    Moreau (1965). El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> f = DivergenceDual(KullbackLeiblerDivergence())
    >>> float(f(Blocks((np.array([1.0]), np.array([1.0 - np.e]))))), float(f(Blocks((np.array([1.0]), np.array([0.0])))))
    (0.0, inf)
    """

    divergence: Divergence

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(KullbackLeiblerDivergence()), ((5,), (5,)), lambda cp, z: [cp.exp(z[0]) - 1 + z[1] <= 0]),
            Sample(
                lambda a: cls(TotalVariationDistance()),
                ((5,), (5,)),
                lambda cp, z: [cp.maximum(z[0], -1) + z[1] <= 0, z[0] <= 1],
            ),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    def entry_value(self, x: Array, y: Array) -> Array:
        xp = arrays.namespace(x)
        slack = 8 * arrays.epsilon(x) * xp.maximum(arrays.clip(xp.abs(x), 1.0, None), xp.abs(y))
        inside = self.divergence.entry_dual(x - slack) + (y - slack) <= 0
        return xp.where(inside, 0.0 * x, xp.zeros_like(x) + math.inf)

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        p, q = self.divergence.entry_prox(x, y, 1.0)
        return x - p, y - q

    def entry_prox_derivative(self, x: Array, y: Array, p: Array, q: Array, step: Any) -> tuple[Array, Array, Array]:
        a, b, c = self.divergence.entry_prox_derivative(x, y, x - p, y - q, 1.0)
        return 1.0 - a, -b, 1.0 - c

    def conjugate(self) -> Function:
        return self.divergence.batched(self.batch_ndim)

    def value_formula(self, x: str) -> str:
        return f"({self.divergence.value_formula('.')})*({x})"
