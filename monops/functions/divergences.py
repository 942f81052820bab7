"""Divergences between two nonnegative vectors, entry by entry: f(x, y) = sum_i y_i phi(x_i/y_i).

With the ratio r = x/y > 0 of the prox, x = X - step phi'(r) and y = Y - step (phi(r) - r phi'(r)), where (X, Y) is the argument:
one increasing equation in log r for every entry (El Gheche, Chierchia and Pesquet 2017). The prox is (0, 0) where no ratio makes
both positive. The domain includes (0, 0), with value 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.blocks import SeparableSum
from monops.functions.function import Function
from monops.functions.pairs import Pairwise, power_root, quadratic_multiplier, rank_one_derivative
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample
from monops.functions.sets import NonNegative

__all__ = [
    "ChiSquareDivergence",
    "DivergenceDual",
    "HellingerDivergence",
    "IAlphaDivergence",
    "JeffreysDivergence",
    "KullbackLeiblerDivergence",
    "RenyiDivergence",
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

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        a, c = x / step, y / step
        lower, upper = self.bracket(a, c)
        lower = xp.minimum(lower, upper)
        start = xp.minimum(xp.maximum(0.0 * a, lower), upper)

        def equation(u: Array) -> tuple[Array, Array]:  # sqrt(r) (new y) - (new x)/sqrt(r), scaled
            in_x, in_y, dx, dy = self.slopes(u)
            up, down = xp.exp(xp.where(u < 0, u, 0.0 * u)), xp.exp(-xp.where(u > 0, u, 0.0 * u))
            p, q = a - in_x, c - in_y
            return up * q - down * p, up * (0.5 * q - dy) + down * (0.5 * p + dx)

        u = increasing_root(equation, lower, upper, start)
        in_x, in_y, _, _ = self.slopes(u)
        p, q = a - in_x, c - in_y
        positive = (p > 0) & (q > 0)
        left = u <= 0
        ratio = xp.exp(-xp.abs(u))
        first, second = xp.where(left, ratio * (y - step * in_y), x - step * in_x), y - step * in_y
        second = xp.where(left, second, ratio * first)
        return xp.where(positive, first, 0.0 * x), xp.where(positive, second, 0.0 * y)


def log_ratio(x: Array, y: Array) -> Array:
    """log(x/y) of positive numbers, also where the quotient overflows or underflows."""
    xp = arrays.namespace(x)
    ratio = x / y
    safe = (ratio > xp.finfo(x.dtype).smallest_normal) & (ratio < math.inf)
    return xp.where(safe, xp.log(xp.where(safe, ratio, xp.ones_like(x))), xp.log(x) - xp.log(y))


def _positive_part(x: Array) -> Array:
    return arrays.clip(x, 0.0, None)


def _log_quadratic(b: Array, a: Array) -> Array:
    """max(0, log e) with e >= 0 the root of e (b + e) = max(a, 0), and room for rounding."""
    xp = arrays.namespace(a)
    target = _positive_part(a)
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
    positively homogeneous). **Cost** about 6 to 9 exponentials an entry. **Derivative** of the prox: (I + step H)^-1, H the
    Hessian, of rank one; 0 where the prox is (0, 0).

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

    def bracket(self, a: Array, c: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(a)
        vanishing = c < 1.0
        lower = xp.where(
            vanishing,
            xp.log1p(-xp.where(vanishing, c, 0.0 * c)),
            xp.where(a < 0, a, 0.0 * a) - 1.0 - xp.log1p(_positive_part(c - 1.0)),
        )
        return lower, xp.minimum(a, _log_quadratic(c - 1.0, a))

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
        return -_log_quadratic(a - 1.0, c), _log_quadratic(c - 1.0, a)

    def value_formula(self, x: str) -> str:
        return f"Jeffreys({x}, y)"


def _alpha_bracket(alpha: float, a: Array, c: Array) -> tuple[Array, Array]:
    """Bounds of log r for the alpha-divergence: where a component vanishes, or from the growth of the powers."""
    xp = arrays.namespace(a)
    beta = 1.0 - alpha
    upper = _alpha_bound(alpha, a, c)
    lower = -_alpha_bound(beta, c, a)
    in_x, in_y = a < alpha, c < beta
    zero_x = -xp.log1p(-xp.where(in_x, a, 0.0 * a) / alpha) / beta  # where the new x vanishes
    zero_y = xp.log1p(-xp.where(in_y, c, 0.0 * c) / beta) / alpha
    return xp.where(in_y, xp.maximum(lower, zero_y), lower), xp.where(in_x, xp.minimum(upper, zero_x), upper)


def _alpha_bound(alpha: float, a: Array, c: Array) -> Array:
    xp = arrays.namespace(a)
    beta = 1.0 - alpha
    base = _positive_part(beta - c) / beta + ((_positive_part(a - alpha) + alpha) / beta) ** (alpha / (1.0 + alpha))
    return xp.log(xp.maximum(base, xp.ones_like(a))) / alpha + 8.0 * arrays.epsilon(a)


@final
@dataclass(frozen=True, eq=False)
class HellingerDivergence(RatioDivergence):
    """f(x, y) = sum_i (sqrt(x_i) - sqrt(y_i))^2, for x, y >= 0.

    Notes
    -----
    prox: with u = log of the new ratio, (x - step (1 - exp(-u/2)), y - step (1 - exp(u/2))); (0, 0) where x, y < step and
    (1 - x/step) (1 - y/step) >= 1. **Domain** x, y >= 0. **Constants** mu = 0 (f is positively homogeneous). **Cost** about 6
    to 9 pairs of exponentials an entry. **Derivative** of the prox: (I + step H)^-1, H the Hessian, of rank one; 0 where the
    prox is (0, 0).

    References
    ----------
    El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> p, q = HellingerDivergence().prox(Blocks((np.array([4.5, 0.1]), np.array([0.0, -1.0]))))
    >>> np.round(p, 12), np.round(q, 12)
    (array([4., 0.]), array([1., 0.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(
                lambda a: cls(),
                ((5,), (5,)),
                lambda cp, z: sum(z[0][i] + z[1][i] - 2.0 * cp.geo_mean(cp.hstack([z[0][i], z[1][i]])) for i in range(5)),
            ),
        )

    def positive_value(self, x: Array, y: Array) -> Array:
        xp = arrays.namespace(x)
        return (xp.sqrt(x) - xp.sqrt(y)) ** 2

    def border_values(self, x: Array, y: Array) -> tuple[Any, Any]:
        return y, x

    def entry_curvature(self, p: Array, q: Array) -> Array:
        ratio = p / q
        return 0.5 * (ratio**-1.5 / q + ratio**0.5 / q)

    def entry_dual(self, u: Array) -> Array:
        xp = arrays.namespace(u)
        return xp.where(u < 1, u / xp.where(u < 1, 1.0 - u, xp.ones_like(u)), xp.zeros_like(u) + math.inf)

    def slopes(self, u: Array) -> Slopes:
        xp = arrays.namespace(u)
        up, down = xp.expm1(0.5 * u), xp.expm1(-0.5 * u)
        return -down, -up, 0.5 * (1.0 + down), -0.5 * (1.0 + up)

    def bracket(self, a: Array, c: Array) -> tuple[Array, Array]:
        return _alpha_bracket(0.5, 0.5 * a, 0.5 * c)

    def value_formula(self, x: str) -> str:
        return f"|sqrt({x}) - sqrt(y)|^2"


@final
@dataclass(frozen=True, eq=False)
class IAlphaDivergence(RatioDivergence):
    """f(x, y) = sum_i alpha x_i + (1 - alpha) y_i - x_i^alpha y_i^(1-alpha), for x, y >= 0 and 0 < alpha < 1.

    Parameters
    ----------
    alpha : float, default 0.5
        Between 0 and 1; 1/2 gives half of the `HellingerDivergence`.

    Notes
    -----
    prox: with u = log of the new ratio, (x - step alpha (1 - exp((alpha - 1) u)), y - step (1 - alpha) (1 - exp(alpha u)));
    (0, 0) where no u makes both positive. **Domain** x, y >= 0. **Constants** mu = 0 (f is positively homogeneous). **Cost**
    about 6 to 9 pairs of exponentials an entry. **Derivative** of the prox: (I + step H)^-1, H the Hessian, of rank one; 0
    where the prox is (0, 0).

    References
    ----------
    El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> p, q = IAlphaDivergence(0.5).prox(Blocks((np.array([4.5]), np.array([0.0]))), 2.0)
    >>> np.round(p, 12), np.round(q, 12)
    (array([4.]), array([1.]))
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise DataError(f"IAlphaDivergence: alpha={self.alpha!r} must lie between 0 and 1; the limits are Kullback-Leibler")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.3), ((5,), (5,)), lambda cp, z: _power_cone(cp, z, 0.3)),
            Sample(lambda a: cls(0.9), ((5,), (5,)), lambda cp, z: _power_cone(cp, z, 0.9)),
        )

    def positive_value(self, x: Array, y: Array) -> Array:
        xp = arrays.namespace(x)
        return self.alpha * x + (1.0 - self.alpha) * y - y * xp.exp(self.alpha * log_ratio(x, y))

    def border_values(self, x: Array, y: Array) -> tuple[Any, Any]:
        return (1.0 - self.alpha) * y, self.alpha * x

    def entry_curvature(self, p: Array, q: Array) -> Array:
        ratio = p / q
        return self.alpha * (1.0 - self.alpha) * (ratio ** (self.alpha - 2.0) / q + ratio**self.alpha / q)

    def entry_dual(self, u: Array) -> Array:
        xp, beta = arrays.namespace(u), 1.0 - self.alpha
        inside = u < self.alpha
        log = xp.log1p(-xp.where(inside, u, 0.0 * u) / self.alpha)
        return xp.where(inside, beta * xp.expm1(-self.alpha / beta * log), xp.zeros_like(u) + math.inf)

    def slopes(self, u: Array) -> Slopes:
        xp, alpha, beta = arrays.namespace(u), self.alpha, 1.0 - self.alpha
        up, down = xp.expm1(alpha * u), xp.expm1(-beta * u)
        return -alpha * down, -beta * up, alpha * beta * (1.0 + down), -alpha * beta * (1.0 + up)

    def bracket(self, a: Array, c: Array) -> tuple[Array, Array]:
        return _alpha_bracket(self.alpha, a, c)

    def entry_parameter_columns(self, x: Array, y: Array, step: Any) -> dict[str, tuple[Array, Array]]:
        xp = arrays.namespace(x)
        p, q = self.entry_prox(x, y, step)
        both = (p > 0) & (q > 0)
        u = log_ratio(xp.where(both, p, xp.ones_like(p)), xp.where(both, q, xp.ones_like(q)))
        up, down = xp.expm1(self.alpha * u), xp.expm1((self.alpha - 1.0) * u)
        first = -down - self.alpha * (1.0 + down) * u
        second = up - (1.0 - self.alpha) * (1.0 + up) * u
        return _columns(self, x, y, p, q, step, first, second)

    def value_formula(self, x: str) -> str:
        return f"I_{self.alpha:g}({x} | y)"


def _columns(
    f: Divergence, x: Array, y: Array, p: Array, q: Array, step: Any, first: Array, second: Array
) -> dict[str, tuple[Array, Array]]:
    """Derivative of the prox in alpha from that of the gradient of f, (first, second)."""
    xp = arrays.namespace(x)
    a, b, c = f.entry_prox_derivative(x, y, p, q, step)
    both, zero = (p > 0) & (q > 0), 0.0 * p
    move = xp.where(both, -step * (a * first + b * second), zero)
    return {"alpha": (move, xp.where(both, -step * (b * first + c * second), zero))}


def _power_cone(cp: Any, z: Any, alpha: float) -> Any:
    product = cp.Variable(5)
    return cp.sum(alpha * z[0] + (1 - alpha) * z[1] - product), [cp.PowCone3D(z[0], z[1], product, alpha)]


@final
@dataclass(frozen=True, eq=False)
class RenyiDivergence(Divergence):
    """f(x, y) = sum_i x_i^alpha y_i^(1-alpha), for x, y >= 0 and alpha > 1.

    Parameters
    ----------
    alpha : float, default 2
        More than 1. (1/(alpha - 1)) log f is the Renyi divergence of two distributions.

    Notes
    -----
    prox: with the new ratio r, (x - step alpha r^(alpha-1), y + step (alpha - 1) r^alpha); (0, max(y, 0)) where x <= 0; (0, 0)
    where no r makes both positive. **Domain** x, y >= 0, x = 0 where y = 0. **Constants** mu = 0 (f is positively homogeneous).
    **Cost** about 6 times three exponentials an entry. **Derivative** of the prox: (I + step H)^-1, H the Hessian, of rank one;
    where a component of the prox is 0, it is held and the other free.

    References
    ----------
    El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> p, q = RenyiDivergence(2.0).prox(Blocks((np.array([3.0, -1.0]), np.array([0.0, 2.0]))))
    >>> np.round(p, 12), np.round(q, 12)
    (array([1., 0.]), array([1., 2.]))
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        if not 1.0 < self.alpha < math.inf:
            raise DataError(f"RenyiDivergence: alpha={self.alpha!r} must be finite and > 1; below 1 see IAlphaDivergence")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(3.0), ((5,), (5,)), lambda cp, z: _power_cone_above(cp, z, 3.0)),
            Sample(lambda a: cls(1.5), ((5,), (5,)), lambda cp, z: _power_cone_above(cp, z, 1.5)),
        )

    def positive_value(self, x: Array, y: Array) -> Array:
        return x * arrays.namespace(x).exp((self.alpha - 1.0) * log_ratio(x, y))

    def border_values(self, x: Array, y: Array) -> tuple[Any, Any]:
        return 0.0, math.inf

    def entry_curvature(self, p: Array, q: Array) -> Array:
        ratio = p / q
        return self.alpha * (self.alpha - 1.0) * (ratio ** (self.alpha - 2.0) / q + ratio**self.alpha / q)

    def entry_dual(self, u: Array) -> Array:
        return (self.alpha - 1.0) * (_positive_part(u) / self.alpha) ** (self.alpha / (self.alpha - 1.0))

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        alpha, one = self.alpha, xp.ones_like(x)
        positive, below = x > 0, y < 0
        log_x = xp.log(xp.where(positive, x, one) / step)
        depth = xp.log(xp.where(y == 0, one, xp.abs(y)) / step)
        vanishing = (depth - math.log(alpha - 1.0)) / alpha  # where the new y vanishes
        inside = positive & ~(below & (math.log(alpha) + (alpha - 1.0) * vanishing >= log_x))
        log_x = xp.where(inside, log_x, 0.0 * log_x)
        u = power_root(
            (math.log(alpha) - log_x, alpha - 1.0),
            (math.log(alpha - 1.0) - log_x, alpha + 1.0),
            (xp.where(y == 0, -math.inf * one, depth) - log_x, 1.0),
            below & inside,
        )
        u = xp.where(inside, u, 0.0 * u)
        ratio = xp.exp(-xp.abs(u))
        second = _positive_part(y + step * (alpha - 1.0) * xp.exp(alpha * u))
        first = xp.where(u <= 0, ratio * second, _positive_part(x - step * alpha * xp.exp((alpha - 1.0) * u)))
        second = xp.where(u <= 0, second, ratio * first)
        return xp.where(inside, first, 0.0 * x), xp.where(inside, second, xp.where(positive, 0.0 * y, _positive_part(y)))

    def entry_parameter_columns(self, x: Array, y: Array, step: Any) -> dict[str, tuple[Array, Array]]:
        xp = arrays.namespace(x)
        p, q = self.entry_prox(x, y, step)
        both = (p > 0) & (q > 0)
        u = log_ratio(xp.where(both, p, xp.ones_like(p)), xp.where(both, q, xp.ones_like(q)))
        first = xp.exp((self.alpha - 1.0) * u) * (1.0 + self.alpha * u)
        second = -xp.exp(self.alpha * u) * (1.0 + (self.alpha - 1.0) * u)
        return _columns(self, x, y, p, q, step, first, second)

    def value_formula(self, x: str) -> str:
        return f"<{x}^{self.alpha:g}, y^{1.0 - self.alpha:g}>"


def _power_cone_above(cp: Any, z: Any, alpha: float) -> Any:
    value = cp.Variable(5)
    return cp.sum(value), [cp.PowCone3D(value, z[1], z[0], 1.0 / alpha), z[0] >= 0]


@final
@dataclass(frozen=True, eq=False)
class ChiSquareDivergence(Divergence):
    """f(x, y) = sum_i (x_i - y_i)^2/y_i, for x, y >= 0: Pearson's divergence.

    Notes
    -----
    prox: with X = max(x + 2 step, 0) and Y = y - step, (X m/(m + 2 step), m) with the root m >= 0 of m = Y + step X^2/(m + 2
    step)^2; (0, 0) where there is none. **Domain** x, y >= 0, x = 0 where y = 0. **Constants** mu = 0. **Cost** about 6 passes.
    **Derivative** of the prox: (I + step H)^-1, H the Hessian, of rank one; where a component of the prox is 0, it is held and
    the other free.

    References
    ----------
    El Gheche, Chierchia and Pesquet (2017), Proximity operators of discrete information divergences.

    Examples
    --------
    >>> import numpy as np
    >>> from monops import Blocks
    >>> ChiSquareDivergence().prox(Blocks((np.array([3.0, -5.0]), np.array([3.0, 4.0]))))
    Blocks(array([3., 0.]), array([3., 3.]))
    """

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(
                lambda a: cls(),
                ((5,), (5,)),
                lambda cp, z: (sum(cp.quad_over_lin(z[0][i] - z[1][i], z[1][i]) for i in range(5)), [z[0] >= 0]),
            ),
        )

    def positive_value(self, x: Array, y: Array) -> Array:
        return (x - y) * ((x - y) / y)

    def border_values(self, x: Array, y: Array) -> tuple[Any, Any]:
        return y, math.inf

    def entry_curvature(self, p: Array, q: Array) -> Array:
        return 2.0 / q + 2.0 * (p / q) ** 2 / q

    def entry_dual(self, u: Array) -> Array:
        high = arrays.clip(u, -2.0, None)
        return high + 0.25 * high * high

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        weight = 2.0 * step
        first = _positive_part(x + weight)
        second = quadratic_multiplier(first, y - step, weight)
        return first * (second / (second + weight)), second

    def value_formula(self, x: str) -> str:
        return f"chi2({x} | y)"


@final
@dataclass(frozen=True, eq=False)
class TotalVariationDistance(Divergence):
    """f(x, y) = sum_i |x_i - y_i|, for x, y >= 0.

    Notes
    -----
    prox: with d = clip((x - y)/2, -step, step), (max(x - d, 0), max(y + d, 0)). **Domain** x, y >= 0. **Constants** mu = 0; f is
    positively homogeneous. **Cost** three passes. **Derivative** of the prox: the mean of both where |x - y| < 2 step, else the
    identity (also at the kink); 0 in components whose prox is 0.

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
        return _positive_part(x - d), _positive_part(y + d)

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
    divergence : one of the divergences of this module but Jeffreys', whose phi* is not closed-form

    Notes
    -----
    prox: (u, v) minus the prox of the divergence with step 1 (Moreau 1965). A pair counts as inside when it is within 8 epsilon
    max(1, |u|, |v|) of the set, which is closed under decreasing u and v. **Domain** the set. **Constants** mu = 0. **Cost** one
    prox of the divergence. **Derivative** of the prox: the identity minus that of the divergence.

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
            Sample(lambda a: cls(HellingerDivergence()), ((5,), (5,)), lambda cp, z: [cp.inv_pos(1 - z[0]) - 1 + z[1] <= 0]),
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
