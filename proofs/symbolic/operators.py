"""Identities behind the theorems on one operator: each proves its statement for all parameters."""

from __future__ import annotations

import sympy


def op02() -> bool:
    """|x|^2/(1+am)^2 - |p|^2 = (2a/(1+am)) (<p,u> - m|p|^2) + (a/(1+am))^2 |u - mp|^2 with x = p + au, for all a, m."""
    a, m, p, u, q, v = sympy.symbols("a m p u q v", real=True)  # p, u in the plane: (p, q), (u, v)
    left = ((p + a * u) ** 2 + (q + a * v) ** 2) / (1 + a * m) ** 2 - p**2 - q**2
    slack = p * u + q * v - m * (p**2 + q**2)
    right = 2 * a / (1 + a * m) * slack + (a / (1 + a * m)) ** 2 * ((u - m * p) ** 2 + (v - m * q) ** 2)
    return bool(sympy.simplify(left - right) == 0)


def op09() -> bool:
    """rho^2|x|^2 - |x - au|^2 = 2a (<x,u> - m|x|^2) + a^2 (L^2|x|^2 - |u|^2), rho^2 = 1 - 2am + a^2L^2."""
    a, m, L, x, y, u, v = sympy.symbols("a m L x y u v", real=True)
    rho2 = 1 - 2 * a * m + a**2 * L**2
    left = rho2 * (x**2 + y**2) - (x - a * u) ** 2 - (y - a * v) ** 2
    right = 2 * a * (x * u + y * v - m * (x**2 + y**2)) + a**2 * (L**2 * (x**2 + y**2) - u**2 - v**2)
    return bool(sympy.expand(left - right) == 0)


def op13() -> bool:
    """With x = p + au and 2Jx - x = p - au: rho^2|p + au|^2 - |p - au|^2 is the two slacks with nonnegative multipliers."""
    a, m, L, p, q, u, v = sympy.symbols("a m L p q u v", real=True)
    D = 1 + 2 * a * m + a**2 * L**2
    rho2 = 1 - 4 * a * m / D
    pp, uu, pu = p**2 + q**2, u**2 + v**2, p * u + q * v
    left = rho2 * (pp + 2 * a * pu + a**2 * uu) - (pp - 2 * a * pu + a**2 * uu)
    right = 4 * a * (1 + a**2 * L**2) / D * (pu - m * pp) + 4 * a**3 * m / D * (L**2 * pp - uu)
    return bool(sympy.simplify(left - right) == 0)
