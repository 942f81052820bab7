"""The power cone in R^3 and its dual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError
from monops.functions.cones.cones import Cone
from monops.functions.cones.curved_cones import DualOfTriple, Split, TripleCone, surface_derivative
from monops.functions.feasibility import nonzero
from monops.functions.roots import increasing_root
from monops.functions.sample import Sample

__all__ = ["DualPowerCone", "PowerCone"]


def check_alpha(owner: str, alpha: Any) -> None:
    """Raise DataError unless alpha is a number strictly between 0 and 1."""
    if not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        raise DataError(
            f"{owner}: alpha={alpha!r} must be a number strictly between 0 and 1; at the ends the cone is |z| <= y or |z| <= x"
        )


def in_power_cone(x: Array, y: Array, z: Array, alpha: float) -> Array:
    """x^alpha y^(1 - alpha) >= |z|, x >= 0, y >= 0; entries of moderate size."""
    xp = arrays.namespace(x)
    mean = arrays.clip(x, 0.0, None) ** alpha * arrays.clip(y, 0.0, None) ** (1.0 - alpha)
    return (x >= 0) & (y >= 0) & (mean >= xp.abs(z))


@final
@dataclass(frozen=True, eq=False)
class PowerCone(TripleCone):
    """Indicator of {(x, y, z) : x^alpha y^(1 - alpha) >= |z|, x >= 0, y >= 0} along the last axis, of length 3.

    Other axes index further cones.

    Parameters
    ----------
    alpha : float
        Strictly between 0 and 1; 1/2 gives the rotated second-order cone with z multiplied by sqrt(2).

    Notes
    -----
    prox: the point inside; 0 in the polar; else, with r in (0, |z|) the root of px^alpha py^(1 - alpha) = r:
    (px, py, sign(z) r), px = (x + sqrt(x^2 + 4 alpha q))/2, py = (y + sqrt(y^2 + 4 (1 - alpha) q))/2, q = r (|z| - r).
    **Domain** the cone; a point counts as inside when its distance is within some 100 epsilon max(1, |x|_inf). **Constants** mu
    = 0; no gradient. **Cost** 5 to 15 evaluations of an exponential and four logarithms. **Derivative** of the prox: the
    identity inside, 0 in the polar, else from the optimality system of the curved boundary, a symmetric matrix of rank two;
    where z = 0, its limit for z above 0.

    References
    ----------
    Hien (2015), Differential properties of Euclidean projection onto power cone.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(PowerCone(0.5).prox(np.array([0.0, 0.0, 1.0])), 12)
    array([0.33333333, 0.33333333, 0.33333333])
    """

    alpha: float

    def __post_init__(self) -> None:
        check_alpha("PowerCone", self.alpha)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(lambda a: cls(0.3), (3,), lambda cp, y: [cp.PowCone3D(y[0], y[1], y[2], 0.3)]),
            Sample(lambda a: cls(0.75), (6, 3), lambda cp, y: [cp.PowCone3D(y[:, 0], y[:, 1], y[:, 2], np.full(6, 0.75))]),
        )

    def dual(self) -> Cone:
        return DualPowerCone(self.alpha, batch_ndim=self.batch_ndim)

    def inside(self, x: Array, slack: float) -> Array:
        return in_power_cone(x[..., 0] + 2.0 * slack, x[..., 1] + 2.0 * slack, x[..., 2], self.alpha)

    def split(self, x: Array, y: Array, z: Array) -> Split:
        """The equation in the log-odds s of r in (0, |z|): increasing, and r and |z| - r are both exact in it."""
        xp = arrays.namespace(x)
        alpha, beta = self.alpha, 1.0 - self.alpha
        tiny = float(xp.finfo(x.dtype).smallest_normal)
        size = arrays.clip(xp.abs(z), tiny**0.3, None)  # z = 0 as the limit, with a q that is no underflow
        inside = in_power_cone(x, y, z, alpha)
        opposite = in_power_cone(-x / alpha, -y / beta, z, alpha)
        done = inside | opposite

        def parts(s: Array) -> tuple[Array, ...]:
            small = xp.exp(-xp.abs(s))
            near, far = small / (1.0 + small), 1.0 / (1.0 + small)
            share, rest = xp.where(s < 0, near, far), xp.where(s < 0, far, near)
            q = arrays.clip(size * share * (size * rest), tiny, None)
            root_x, root_y = xp.sqrt(x * x + 4.0 * alpha * q), xp.sqrt(y * y + 4.0 * beta * q)
            px = xp.where(x > 0, 0.5 * (root_x + x), 2.0 * alpha * q / xp.where(x > 0, root_x, root_x - x))
            py = xp.where(y > 0, 0.5 * (root_y + y), 2.0 * beta * q / xp.where(y > 0, root_y, root_y - y))
            ux = xp.where(x < 0, 0.5 * (root_x - x), 2.0 * alpha * q / xp.where(x < 0, root_x, root_x + x))
            uy = xp.where(y < 0, 0.5 * (root_y - y), 2.0 * beta * q / xp.where(y < 0, root_y, root_y + y))
            return share, rest, q, px, py, ux, uy

        def equation(s: Array) -> tuple[Array, Array]:
            share, rest, _, px, py, ux, uy = parts(s)
            height = xp.log(share) + xp.log(size)
            value = height - alpha * xp.log(px) - beta * xp.log(py)
            settled = done | (xp.abs(s) > 0.9 * edge) | (xp.abs(value) <= 4 * arrays.epsilon(x) * (1.0 + xp.abs(height)))
            value = xp.where(settled, 0.0 * value, value)
            return value, rest - (rest - share) * (alpha * ux / (px + ux) + beta * uy / (py + uy))

        edge = 0.9 * float(np.log(float(xp.finfo(x.dtype).max))) + 0.0 * x
        s = increasing_root(equation, -edge, edge, 0.0 * x)
        share, rest, q, px, py, ux, uy = parts(s)
        sign = xp.sign(z)
        p, u = (px, py, sign * size * share), (-ux, -uy, sign * size * rest)
        return Split(inside, opposite, p, u, (q, size * share, xp.where(z < 0, -1.0 + 0.0 * z, 1.0 + 0.0 * z)))

    def tangent(self, z: Array, found: Split) -> Callable[[Array], Array]:
        """With the tangents in log x and log y, of sizes m and n: T (T* T + alpha (1 - alpha) q [[1, -1], [-1, 1]])^-1 T*."""
        xp = arrays.namespace(z)
        alpha, beta = self.alpha, 1.0 - self.alpha
        q, r, sign = found.state
        px, py, _ = found.p
        m, n = nonzero(xp.hypot(px, alpha * r)), nonzero(xp.hypot(py, beta * r))
        cx, sx, cy, sy = px / m, alpha * r / m, py / n, beta * r / n
        bend = xp.sqrt(alpha * beta * q)
        left, right = bend / m, bend / n
        a, c, b = 1.0 + right * right, 1.0 + left * left, left * right - sx * sy
        determinant = cx * cx * cy * cy + sy * sy * cx * cx + sx * sx * cy * cy + left * left + right * right
        determinant = nonzero(determinant + 2.0 * left * right * sx * sy)
        zero = xp.zeros_like(z)
        return surface_derivative(
            (cx, zero, sign * sx), (zero, cy, sign * sy), a / determinant, b / determinant, c / determinant
        )

    def value_formula(self, x: str) -> str:
        return f"i(|{x}[2]| <= {x}[0]^{self.alpha:g} {x}[1]^{1.0 - self.alpha:g})"


@final
@dataclass(frozen=True, eq=False)
class DualPowerCone(DualOfTriple):
    """Indicator of {(u, v, w) : (u/alpha)^alpha (v/(1 - alpha))^(1 - alpha) >= |w|, u >= 0, v >= 0}, the dual of `PowerCone`.

    Parameters
    ----------
    alpha : float
        Strictly between 0 and 1.

    Notes
    -----
    prox: x + P(-x), P the projection on the power cone (Moreau), computed without the sum. **Domain** the cone. **Constants**
    mu = 0; no gradient. **Cost** that of `PowerCone`. **Derivative** of the prox: the identity minus that of P at -x.

    References
    ----------
    Hien (2015), Differential properties of Euclidean projection onto power cone. Moreau (1962).

    Examples
    --------
    >>> import numpy as np
    >>> np.round(DualPowerCone(0.5).prox(np.array([0.0, 0.0, 1.0])), 12)
    array([0.33333333, 0.33333333, 0.66666667])
    """

    alpha: float

    def __post_init__(self) -> None:
        check_alpha("DualPowerCone", self.alpha)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def constraints(cp: Any, y: Any) -> list[Any]:
            return [cp.PowCone3D(y[:, 0] / 0.75, y[:, 1] / 0.25, y[:, 2], np.full(6, 0.75))]

        return (
            Sample(lambda a: cls(0.3), (3,), lambda cp, y: [cp.PowCone3D(y[0] / 0.3, y[1] / 0.7, y[2], 0.3)]),
            Sample(lambda a: cls(0.75), (6, 3), constraints),
        )

    def dual(self) -> Cone:
        return PowerCone(self.alpha, batch_ndim=self.batch_ndim)

    def inside(self, x: Array, slack: float) -> Array:
        first, second = x[..., 0] + 2.0 * slack, x[..., 1] + 2.0 * slack
        return in_power_cone(first / self.alpha, second / (1.0 - self.alpha), x[..., 2], self.alpha)

    def value_formula(self, x: str) -> str:
        return f"i(|{x}[2]| <= ({x}[0]/{self.alpha:g})^{self.alpha:g} ({x}[1]/{1.0 - self.alpha:g})^{1.0 - self.alpha:g})"
