"""The proof of AL-15 and AL-16: one identity for all steps and Lipschitz constants, and the signs that it needs.

0 in Ax + Cx + K*BKx, A and B monotone, C 1/L-cocoercive, p = J_tA(x - t(Cx + K*y)), q = J_sB^-1(y + sK(2p - x)). Scale x by
sqrt(t) and y by sqrt(s): then both steps are 1, K has norm at most r, r^2 = (4/3)c, c = 1 - l/2, l = tL. K is r times a
contraction, which dilates to a unitary map of a larger space, the operators being the normal cones of 0 in the added
coordinates, where nothing moves: so let KK* = K*K = r^2, and write e = K*(y - y_-). With the solution at 0 the identity is

V(z, z_-) - V(z+, z) = 2 <x+, u+> + 2 <y+, v+> + 2 (<x, w> - |w|^2/l) + 3 <dx+, du+> + (2/3) <dy+, dv+>
                     + 3 (<dx, dw> - |dw|^2/l) + (2/l)|w + (l/2) dx+|^2 + (3/l)|dw - (l/2)(dx - dx+)|^2 + Q,

u in Ax, v in B^-1 y, w = Cx, d the change in one step, Q a positive semidefinite form in (dx, e, dx+, e+); where L = 0 the
terms with w are absent. u needs x to be a point of the resolvent, so all of this holds from the first step on. The first six
terms are nonnegative by monotonicity and cocoercivity, so V never grows. Q is singular at (1, 2c, -1, -2c) alone, which is
(1, 2, -1, -2) in the coordinates (sqrt(c) dx, e/sqrt(c), ...) of WEIGHTS, and where the norm of K is less than r the dilation
moves outside that direction: d tends to 0, and cluster points are solutions. V is positive,

V = 2 <x, u> + 2 <x, w> + |x + dx - e - dw|^2 + |y|^2 + 2 (<dx, dw> - |dw|^2/l) + ((1 + l)/6)|dx|^2
  + |(1/f) dw - f e|^2, f^2 = l/(2c),

so that the iterates are bounded. With a cluster point as the solution V tends to 0 along a subsequence, hence entirely, and
it dominates |y|, |dx| and |x + dx - e - dw|: in finite dimensions the iterates converge.
"""

from __future__ import annotations

import itertools
from typing import Any

import sympy

WEIGHTS = ((14, -12, -18, 4), (-12, 12, 18, -3), (-18, 18, 34, -8), (4, -3, -8, 3))  # 12 Q where L = 0, r^2 = 4/3

Number = Any  # float, Fraction or expression


def energy(x: Number, y: Number, dx: Number, dy: Number, r: Number, reach: Number) -> Number:
    """V = |x|^2 - 2 <Kx, y> + |y|^2 + ((7 + l)/6)|dx|^2 - 2 <K dx, dy> + (4/3)|dy|^2 for numbers, K = r, l = ``reach``."""
    return x**2 - 2 * r * x * y + y**2 + (7 + reach) * dx**2 / 6 - 2 * r * dx * dy + 4 * dy**2 / 3


def remainder(changes: tuple[Number, Number, Number, Number], r: Number, c: Number) -> Number:
    """Q in (dx, dy, dx+, dy+): the form of L = 0 in (sqrt(c) dx, r dy/sqrt(c), ...), where r^2/c = 4/3."""
    scale = ((c, r), (r, sympy.Rational(4, 3)))
    pairs = itertools.product(range(4), repeat=2)
    total = sum(WEIGHTS[i][j] * scale[i % 2][j % 2] * changes[i] * changes[j] for i, j in pairs)
    return sympy.expand(total) / 12


def is_semidefinite() -> bool:
    """Q has positive leading minors up to order three, determinant 0, and the null vector (1, 2, -1, -2)."""
    Q = sympy.Matrix(WEIGHTS)
    minors = [Q[:k, :k].det() for k in (1, 2, 3)]
    return all(minor > 0 for minor in minors) and Q.det() == 0 and Q * sympy.Matrix([1, 2, -1, -2]) == sympy.zeros(4, 1)


def al16() -> bool:
    """Both identities for all l in (0, 2): forms in vectors with scalar coefficients agree if they agree for numbers."""
    x, y, dx, dy, w, dw, ax, ay, r, reach = sympy.symbols("x y dx dy w dw ax ay r l", real=True)
    c, new_x, new_y, third = 1 - reach / 2, x + ax, y + ay, sympy.Rational(1, 3)
    old_x, old_y, e = x - dx, y - dy, r * dy
    u, v = -dx - r * old_y - (w - dw), -dy + r * (2 * x - old_x)
    new_u, new_v = -ax - r * y - w, -ay + r * (2 * new_x - x)
    slacks = 2 * new_x * new_u + 2 * new_y * new_v + 2 * (x * w - w**2 / reach)
    slacks += 3 * ax * (new_u - u) + 2 * third * ay * (new_v - v) + 3 * (dx * dw - dw**2 / reach)
    squares = 2 / reach * (w + reach / 2 * ax) ** 2 + 3 / reach * (dw - reach / 2 * (dx - ax)) ** 2
    decrease = energy(x, y, dx, dy, r, reach) - energy(new_x, new_y, ax, ay, r, reach)
    positive = 2 * x * (u + w) + (x + dx - e - dw) ** 2 + y**2 + 2 * (dx * dw - dw**2 / reach) + (1 + reach) / 6 * dx**2
    positive += 2 * c / reach * (dw - reach / (2 * c) * e) ** 2
    differences = (
        decrease - slacks - squares - remainder((dx, dy, ax, ay), r, c),
        energy(x, y, dx, dy, r, reach) - positive,
    )
    return is_semidefinite() and all(_vanishes(part, r, 4 * third * c, reach * c) for part in differences)


def _vanishes(part: Number, r: Number, r_squared: Number, denominator: Number) -> bool:
    """Whether the expression, quadratic in r, is 0 where r^2 has this value."""
    return bool(sympy.expand(sympy.cancel(sympy.expand(part).subs(r**2, r_squared) * denominator)) == 0)


IDENTITIES = {"AL-15": al16, "AL-16": al16}  # AL-15 is the case l = 0
