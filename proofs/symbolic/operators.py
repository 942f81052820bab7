"""Proofs for all parameters of the theorems on one operator."""

from __future__ import annotations

from typing import Any

import sympy

from proofs.pep.gram import inner, square
from proofs.symbolic.proof import Proof, positive, semidefinite

a, m, L, b, d, r, q = positive("a m L b d r q")
A, B = "A.{}(p)".format, "B.{}(x)".format
STEP = {"step": a}
STRONG, MONOTONE = {"strongly_monotone": m}, {"strongly_monotone": sympy.Integer(0)}
STRONG_LIPSCHITZ, STRONG_COCOERCIVE = {**STRONG, "lipschitz": L}, {**STRONG, "cocoercive": b}
GRADIENT = {"gradient": (m, L)}
SHORT, LONG = {a: 2 * b / (1 + r)}, {a: 2 * b * (1 + r)}  # a <= 2b, a >= 2b


def vectors(count: int) -> list[Any]:
    """Independent vectors."""
    return list(sympy.eye(count).__array__(dtype=object))


# ---- resolvents ----------------------------------------------------------------------------------------------

OP02 = Proof("resolvent", STEP, {"A": STRONG}, 1 / (1 + a * m) ** 2, {A("strongly_monotone"): 2 * a / (1 + a * m)})
OP12 = Proof("cayley", STEP, {"A": MONOTONE}, sympy.Integer(1), {A("strongly_monotone"): 4 * a})


def op01() -> bool:
    """With x = p + au: <p, x> - |p|^2 = a <p, u>, so that monotone and firmly nonexpansive say the same."""
    p, u = vectors(2)
    return not any((inner(p, p + a * u) - square(p) - a * inner(p, u)).ravel())


def op17() -> bool:
    """u = (x - p)/a in Ap solves the inclusion of the inverse at x/a, x/a - u = p/a with p in A^-1 u: p + au = x."""
    p, u = vectors(2)
    x = p + a * u
    return not any(sympy.expand(value) for value in x / a - u - p / a)


def op18() -> bool:
    """A_a = (I - J)/a takes x = p + au to u, u in Ap; (A_a)_b takes x = p + (a + b)u to u, as x - bu = p + au.

    <x, u> - (a + b) |u|^2 = <p, u> - b |u|^2, and <x, u> - m/(1 + am) |x|^2 = <p, u> - m |p|^2 + a/(1 + am) |u - mp|^2.
    """
    p, u = vectors(2)
    x = p + a * u
    cocoercive = inner(x, u) - (a + b) * square(u) - (inner(p, u) - b * square(u))
    strong = inner(x, u) - m / (1 + a * m) * square(x) - (inner(p, u) - m * square(p)) - a / (1 + a * m) * square(u - m * p)
    semigroup = p + (a + b) * u - b * u - x
    return not any(sympy.cancel(value) for value in (*cocoercive.ravel(), *strong.ravel(), *semigroup))


def op19() -> bool:
    """p = J_aA x = J_bA y with y = (b/a) x + (1 - b/a) p: y - p = bu, u = (x - p)/a in Ap."""
    p, u = vectors(2)
    y = b / a * (p + a * u) + (1 - b / a) * p
    return not any(sympy.expand(value) for value in y - p - b * u)


# ---- forward steps -------------------------------------------------------------------------------------------

OP08 = (
    Proof("forward", STEP, {"B": {"cocoercive": b}}, sympy.Integer(1), {B("cocoercive"): 2 * a}, SHORT),
    Proof("forward", STEP, {"B": {"cocoercive": b}}, (1 - a / b) ** 2, {B("cocoercive"): 2 * a**2 / b - 2 * a}, LONG),
)
OP09 = Proof(
    "forward",
    STEP,
    {"B": STRONG_LIPSCHITZ},
    1 - 2 * a * m + a**2 * L**2,
    {B("strongly_monotone"): 2 * a, B("lipschitz"): a**2},
)
OP10 = (
    Proof(
        "forward",
        STEP,
        {"B": STRONG_COCOERCIVE},
        1 - 2 * a * m + a**2 * m / b,
        {B("strongly_monotone"): 2 * a - a**2 / b, B("cocoercive"): a**2 / b},
        SHORT,
    ),
    Proof("forward", STEP, {"B": STRONG_COCOERCIVE}, (1 - a / b) ** 2, {B("cocoercive"): 2 * a**2 / b - 2 * a}, LONG),
)
OP11 = (
    Proof(
        "forward",
        STEP,
        {"B": GRADIENT},
        (1 - a * m) ** 2,
        {B("gradient"): 2 * a * (1 - a * m) / (L - m)},
        {L: m + d, a: 2 / (2 * m + d) / (1 + r)},
    ),
    Proof(
        "forward",
        STEP,
        {"B": GRADIENT},
        (1 - a * L) ** 2,
        {B("gradient"): 2 * a * (a * L - 1) / (L - m)},
        {L: m + d, a: 2 / (2 * m + d) * (1 + r)},
    ),
)

# ---- reflected resolvents ------------------------------------------------------------------------------------

D13 = 1 + 2 * a * m + a**2 * L**2
OP13 = Proof(
    "cayley",
    STEP,
    {"A": STRONG_LIPSCHITZ},
    1 - 4 * a * m / D13,
    {A("strongly_monotone"): 4 * a * (1 + a**2 * L**2) / D13, A("lipschitz"): 4 * a**3 * m / D13},
)
D14 = b + 2 * a * b * m + a**2 * m
OP14 = Proof(
    "cayley",
    STEP,
    {"A": STRONG_COCOERCIVE},
    1 - 4 * a * b * m / D14,
    {A("strongly_monotone"): 4 * a * b / D14, A("cocoercive"): 4 * a**3 * m / D14},
)
OP15 = (
    Proof(
        "cayley",
        STEP,
        {"A": GRADIENT},
        ((1 - a * m) / (1 + a * m)) ** 2,
        {A("gradient"): 4 * a * (1 - a * m) / ((1 + a * m) * (L - m))},
        {L: m * (1 + ((1 + r) ** 2 - 1) / (1 + q)), a: 1 / (m * (1 + r))},  # m <= L <= 1/(a^2 m)
    ),
    Proof(
        "cayley",
        STEP,
        {"A": GRADIENT},
        ((a * L - 1) / (a * L + 1)) ** 2,
        {A("gradient"): 4 * a * (a * L - 1) / ((1 + a * L) * (L - m))},
        {m: L * (1 - (1 - 1 / (1 + r) ** 2) / (1 + q)), a: (1 + r) / L},  # 1/(a^2 L) <= m <= L
    ),
)

# ---- composition ---------------------------------------------------------------------------------------------


def op22() -> bool:
    """T_i averaged with t_i: |T_i x|^2 <= |x|^2 - k_i |x - T_i x|^2, t_i = 1/(1 + k_i). T_2 T_1 has 1/k = 1/k_1 + 1/k_2.

    k_1 |p|^2 + k_2 |s|^2 - k |p + s|^2 is positive semidefinite, p = x - T_1 x, s = T_1 x - T_2 T_1 x; n maps by induction.
    Convex combinations, p = x - T_1 x, s = x - T_2 x: 2 <p, x> >= |p|^2/t_1, and |p|^2 w/t_1 + |s|^2 (1 - w)/t_2 -
    |w p + (1 - w) s|^2/(w t_1 + (1 - w) t_2) is positive semidefinite.
    """
    first, second = positive("k1 k2")
    p, s = vectors(2)
    k = first * second / (first + second)
    one, two, w = 1 / (1 + first), 1 / (1 + second), 1 / (1 + r)
    constant = sympy.cancel((one + two - 2 * one * two) / (1 - one * two) - 1 / (1 + k))
    mixed = w / one * square(p) + (1 - w) / two * square(s) - square(w * p + (1 - w) * s) / (w * one + (1 - w) * two)
    composed = first * square(p) + second * square(s) - k * square(p + s)
    return constant == 0 and semidefinite(composed, {}) and semidefinite(mixed, {})


PROOFS: dict[str, tuple[Proof, ...]] = {
    "OP-02": (OP02,),
    "OP-08": OP08,
    "OP-09": (OP09,),
    "OP-10": OP10,
    "OP-11": OP11,
    "OP-12": (OP12,),
    "OP-13": (OP13,),
    "OP-14": (OP14,),
    "OP-15": OP15,
}
IDENTITIES = {"OP-01": op01, "OP-17": op17, "OP-18": op18, "OP-19": op19, "OP-22": op22}
