"""AL-07 for all parameters: Douglas-Rachford, A beta-cocoercive, B mu-strongly monotone.

With u = step/beta, v = 1/(step mu) and T = (2 - t)/t for the relaxation t, Theorem 4.1 of Ryu, Taylor, Bergeling and Giselsson
(2020) becomes symmetric in u and v. Its cases are u > 1 + v, v > 1 + u, 1 > u + v, or u, v and 1 the sides of a triangle; in
each, T is above or below thresholds. Case 5 has the squared factor

    T (T (1 + u) + v - 1)(T (1 + v) + u - 1) / ((T + 1)^2 (T (1 + u)(1 + v) - 1)),

with multipliers 4 (T (1 + v) + u - 1)/(u (T + 1)^2) and 4 T v (T (1 + v) + u - 1)/((T + 1)^2 (T (1 + u)(1 + v) - 1)).
The proofs are in the letters of the theorem, b = 1/u, m = 1/v and t. The step is 1: A and B stand for step times A and B.
"""

from __future__ import annotations

from typing import Any

import sympy

from proofs.symbolic.proof import Proof, positive

b, m, t, u, v, T, p, q, r, s, x, y, z = positive("b m t u v T p q r s x y z")

OVER_U = {u: 1 + v + q}
OVER_V = {v: 1 + u + q}
OVER_1 = {v: p / (1 + p + q), u: q / (1 + p + q)}
TRIANGLE = {u: (x + z) / (y + z), v: (x + y) / (y + z)}

T1 = (u - 1) / ((u + 1) * (u - v - 1))
T2 = (1 - u) * (1 - v) / ((1 + u) * (1 + v) * (1 - u - v))
T3 = 1 / (1 + u + v)
T4 = (v - 1) / ((v + 1) * (v - u - 1))


def case(squared: Any, of_A: Any, of_B: Any, domain: dict) -> Proof:
    """A proof from the squared factor and the two multipliers."""
    classes = {"A": {"cocoercive": b}, "B": {"strongly_monotone": m}}
    multipliers = {"A.cocoercive(y)": of_A, "B.strongly_monotone(x)": of_B}
    parameters = {"step": sympy.Integer(1), "relaxation": t}
    domain = {t: 2 / (1 + T), b: 1 / u, m: 1 / v, **domain}
    return Proof("douglas_rachford", parameters, classes, squared, multipliers, domain)


FIRST = 1 - t * b / (1 + b)
SECOND = 1 - t * (1 + b * m) / ((1 + b) * (1 + m))
FOURTH = 1 - t * m / (1 + m)
LEFT, RIGHT = (2 - t) * m * (1 + b) + t * b * (1 - m), (2 - t) * b * (1 + m) + t * m * (1 - b)
COMMON = 2 * m * b * (1 - t) + (2 - t) * (1 + m + b)
FIFTH = ((2 - t) * LEFT * RIGHT / (4 * m * b * COMMON), t * RIGHT / m, t * (2 - t) * RIGHT / (m * COMMON))

AL07 = (
    case(FIRST**2, 2 * t * FIRST, 2 * t * (1 - b) / (1 + b) * FIRST, {T: T1 + s, **OVER_U}),
    case(
        SECOND**2,
        2 * t * (m + 1) / (m - 1) * SECOND,
        2 * t * (b - 1) / (b + 1) * SECOND,
        {T: T2 + s, **OVER_1},
    ),
    case((1 - t) ** 2, 2 * t * (t - 1), 2 * t * (t - 1), {T: T3 / (1 + s)}),
    case(FOURTH**2, 2 * t * (1 + m) / (1 - m) * FOURTH, 2 * t * FOURTH, {T: T4 + s, **OVER_V}),
    *(case(*FIFTH, {T: (T3 + r * high) / (1 + r), **domain}) for high, domain in ((T1, OVER_U), (T2, OVER_1), (T4, OVER_V))),
    case(*FIFTH, {T: T3 + s, **TRIANGLE}),
)
PROOFS: dict[str, tuple[Proof, ...]] = {"AL-07": AL07}
