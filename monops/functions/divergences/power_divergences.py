"""Divergences between two nonnegative vectors built from powers: Hellinger, alpha, Renyi and chi-square."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.divergences.divergences import Divergence, RatioDivergence, Slopes, log_ratio, positive_part
from monops.functions.divergences.pairs import power_root
from monops.functions.sample import Sample

__all__ = [
    "ChiSquareDivergence",
    "HellingerDivergence",
    "IAlphaDivergence",
    "RenyiDivergence",
]


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
    base = positive_part(beta - c) / beta + ((positive_part(a - alpha) + alpha) / beta) ** (alpha / (1.0 + alpha))
    return xp.log(xp.maximum(base, xp.ones_like(a))) / alpha * (1.0 + 8.0 * arrays.epsilon(a)) + 8.0 * arrays.epsilon(a)


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
        return (self.alpha - 1.0) * (positive_part(u) / self.alpha) ** (self.alpha / (self.alpha - 1.0))

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
        second = positive_part(y + step * (alpha - 1.0) * xp.exp(alpha * u))
        first = xp.where(u <= 0, ratio * second, positive_part(x - step * alpha * xp.exp((alpha - 1.0) * u)))
        second = xp.where(u <= 0, second, ratio * first)
        zero = xp.zeros_like(x)
        return xp.where(inside, first, zero), xp.where(inside, second, xp.where(positive, zero, positive_part(y)))

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
class ChiSquareDivergence(RatioDivergence):
    """f(x, y) = sum_i (x_i - y_i)^2/y_i, for x, y >= 0: Pearson's divergence.

    Notes
    -----
    prox: with the new ratio r, (x - 2 step (r - 1), y + step (r^2 - 1)); (0, max(y - step, 0)) where x <= -2 step; (0, 0) where
    no r makes both positive. **Domain** x, y >= 0, x = 0 where y = 0. **Constants** mu = 0 (f is positively homogeneous).
    **Cost** about 6 to 9 pairs of exponentials an entry. **Derivative** of the prox: (I + step H)^-1, H the Hessian, of rank
    one; where a component of the prox is 0, it is held and the other free.

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

    def slopes(self, u: Array) -> Slopes:
        xp = arrays.namespace(u)
        one, two = xp.expm1(u), xp.expm1(2.0 * u)
        return 2.0 * one, -two, 2.0 + 2.0 * one, -2.0 - 2.0 * two

    def bracket(self, a: Array, c: Array) -> tuple[Array, Array]:
        xp = arrays.namespace(a)
        no_x = xp.log1p(xp.where(a > -2.0, 0.5 * a, 0.0 * a))  # where the new x vanishes
        vanishing = c < 1.0
        height = xp.where(vanishing, 0.0 * c, c) + 1.0
        no_y = 0.5 * xp.log1p(-xp.where(vanishing, c, 0.0 * c))  # where the new y vanishes
        log_d = no_x + math.log(2.0)  # r^3 + (c + 1) r = d, so that r^2 <= max(-c - 1, 0) + d^(2/3), and r <= d/(c + 1)
        square = positive_part(-c - 1.0) + xp.exp(log_d * (2.0 / 3.0))
        bound = 0.5 * xp.log(square)
        bound = xp.where(vanishing, bound, xp.minimum(bound, log_d - xp.log(height)))
        upper = xp.minimum(no_x, bound + 8.0 * arrays.epsilon(a) * (1.0 + xp.abs(bound)))
        return xp.where(vanishing, no_y, xp.minimum(log_d - xp.log(height + square), upper)), upper

    def entry_prox(self, x: Array, y: Array, step: Any) -> tuple[Array, Array]:
        xp = arrays.namespace(x)
        inside = x > -2.0 * step
        p, q = super().entry_prox(xp.where(inside, x, 0.0 * x), xp.where(inside, y, 0.0 * y), step)
        return xp.where(inside, p, xp.zeros_like(x)), xp.where(inside, q, positive_part(y - step))

    def value_formula(self, x: str) -> str:
        return f"chi2({x} | y)"
