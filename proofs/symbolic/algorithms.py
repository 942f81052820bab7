"""Proofs for all parameters of the theorems on methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy

from proofs.pep.gram import inner, square
from proofs.symbolic.operators import (
    D13,
    D14,
    GRADIENT,
    MONOTONE,
    OP10,
    OP11,
    OP15,
    STRONG_COCOERCIVE,
    STRONG_LIPSCHITZ,
    L,
    a,
    b,
    m,
    q,
    r,
    vectors,
)
from proofs.symbolic.proof import Proof, positive

nu, t, rho, s, k, h, p = positive("nu t rho s k h p")

# ---- AL-02: fixed points of a nonexpansive T ---------------------------------------------------------------------


def al02() -> bool:
    """Halpern, for every k, with r = (x - Tx)/2 and V_k = k (k + 1) |r_k|^2 + (k + 1) <r_k, x_k - x_0>, V_0 = 0.

    V_k - V_{k+1} = (k + 1)(k + 2) (<r_k - r_{k+1}, x_k - x_{k+1}> - |r_k - r_{k+1}|^2) >= 0, so V_k <= 0. With
    <r_k, x_k - x*> >= |r_k|^2 this gives |x_0 - x*|^2 - (k + 1)^2 |r_k|^2 >= |x_0 - x* - (k + 1) r_k|^2, identically
    up to 2 (-V_k) and 2 (k + 1) (<r_k, x_k - x*> - |r_k|^2).
    """
    x0, x, now, after = vectors(4)  # x* at the origin
    following = x0 / (k + 2) + (k + 1) / (k + 2) * (x - 2 * now)
    potential = k * (k + 1) * square(now) + (k + 1) * inner(now, x - x0)
    next_potential = (k + 1) * (k + 2) * square(after) + (k + 2) * inner(after, following - x0)
    interpolation = inner(now - after, x - following) - square(now - after)
    decrease = potential - next_potential - (k + 1) * (k + 2) * interpolation
    end = square(x0) - (k + 1) ** 2 * square(now) - square(x0 - (k + 1) * now)
    end = end + 2 * potential - 2 * (k + 1) * (inner(now, x) - square(now))
    return not any(sympy.cancel(value) for value in (*decrease.ravel(), *end.ravel()))


# ---- AL-05: forward-backward -----------------------------------------------------------------------------------

SHRINK = 1 + a * nu


def then_backward(proof: Proof) -> Proof:
    """A forward step, then the resolvent of a nu-strongly monotone operator, which shrinks by SHRINK."""
    used = {name: multiplier / SHRINK**2 for name, multiplier in proof.multipliers.items()}
    used["A.strongly_monotone(p)"] = 2 * a / SHRINK
    parameters, classes = {"step": a, "relaxation": sympy.Integer(1)}, {"A": {"strongly_monotone": nu}, **proof.classes}
    rest = ((a / SHRINK) ** 2, (1 / a, -1, -1 / a - nu))  # v - nu p in x, u, p; v = (x - a u - p)/a in Ap
    return Proof("forward_backward", parameters, classes, proof.tau / SHRINK**2, used, proof.domain, squares=(rest,))


AL05 = (
    *(then_backward(proof) for proof in (OP10[0], *OP11)),
    Proof(
        "forward_backward",
        {"step": a, "relaxation": t},
        {"A": MONOTONE, "B": {"cocoercive": b}},
        sympy.Integer(1),
        {"A.strongly_monotone(p)": 2 * a * t, "B.cocoercive(x)": 2 * a * t},
        {a: 2 * b * (2 - t) / (1 + q), t: 2 / (1 + r)},  # t <= 2 - a/(2b)
    ),
)

# ---- AL-06, AL-09: Douglas-Rachford, T = (1 - h) I + h R_A R_B, 0 < h < 1, with |R_A x - R_A y| <= rho |x - y| ----------
# c (rho^2 |z|^2 - |R_A R_B z|^2) + (h (1 - h)/rho) |rho z - R_A R_B z|^2, c = h (h + (1 - h)/rho), is the slack of
# (1 - h + h rho)^2. The step is 1: A and B stand for step times A and B.

UNIT = {a: 1}


def reflected(
    known: Mapping[str, Any], factor: Any, multipliers: Mapping[str, Any], domain: dict, relations: dict, *squares: Any
) -> Proof:
    """Douglas-Rachford from the certificate of the reflected resolvent."""
    factor = factor.subs(UNIT)
    weight = h * (h + (1 - h) / factor)
    used = {f"A.{name}(y)": weight * multiplier.subs(UNIT) for name, multiplier in multipliers.items()}
    used["B.strongly_monotone(x)"] = 4 * weight * factor**2
    parameters, tau = {"step": sympy.Integer(1), "relaxation": 2 * h}, (1 - h + h * factor) ** 2
    squares = ((h * (1 - h) / factor, (factor - 1, 2, -2)), *((weight * extra, vector) for extra, vector in squares))
    domain = {h: 1 / (1 + p), **domain}
    return Proof("douglas_rachford", parameters, {"A": known, "B": MONOTONE}, tau, used, domain, relations, squares)


AL06 = (
    reflected(
        STRONG_LIPSCHITZ,
        rho,
        {"strongly_monotone": 4 * a * (1 + a**2 * L**2) / D13, "lipschitz": 4 * a**3 * m / D13},
        {rho: 1 / (1 + q)},
        {m: (1 + L**2) * (1 - rho**2) / (2 * (1 + rho**2))},  # rho^2 = 1 - 4m/D13
    ),
    reflected(
        STRONG_COCOERCIVE,
        rho,
        {"strongly_monotone": 4 * a * b / D14, "cocoercive": 4 * a**3 * m / D14},
        {rho: 1 / (1 + q)},
        {b: 1 / (2 * (1 + rho**2) / (1 - rho**2) - 1 / m)},  # rho^2 = 1 - 4bm/D14
    ),
)
AL09 = (
    reflected(
        GRADIENT,
        (1 - a * m) / (1 + a * m),
        {"gradient": OP15[0].multipliers["A.gradient(p)"]},
        {L: m + (1 / m - m) / (1 + q), m: 1 / (1 + r)},  # m <= L <= 1/m
        {},
        (4 * (1 - m * L) / ((1 + m) ** 2 * (L - m)), (-1, 2, -1 - m)),  # u - m y in z, x, y; u = 2x - z - y in Ay
    ),
    reflected(
        GRADIENT,
        (a * L - 1) / (a * L + 1),
        {"gradient": OP15[1].multipliers["A.gradient(p)"]},
        {m: L + (1 / L - L) / (1 + q), L: 1 + r},  # 1/L <= m <= L
        {},
        (4 * (m * L - 1) / ((1 + L) ** 2 * (L - m)), (-1, 2, -1 - L)),  # u - L y
    ),
)

# ---- AL-11: forward-backward-forward ---------------------------------------------------------------------------

FACTOR = 1 - a * m * (1 - a * L) / (1 - a * L + a * m)
AL11 = Proof(
    "forward_backward_forward",
    {"step": a},
    {"A": MONOTONE, "B": STRONG_LIPSCHITZ},
    FACTOR**2,
    {
        "A.strongly_monotone(y)": 2 * a * FACTOR,
        "B.strongly_monotone(y)": 2 * a * FACTOR,
        "B.lipschitz(x,y)": a * FACTOR / L,
    },
    {a: s / L, m: nu * L / s, s: 1 / (1 + r)},
)


def al11() -> bool:
    """|x|^2 - (1 - a^2 L^2) |x - y|^2 - |x+|^2 = 2a <y, u + By> + a^2 (L^2 |x - y|^2 - |Bx - By|^2), u in Ay, 0 a solution."""
    x, y, Bx, By = vectors(4)
    u = (x - a * Bx - y) / a
    left = square(x) - (1 - a**2 * L**2) * square(x - y) - square(y - a * (By - Bx))
    right = 2 * a * inner(y, u + By) + a**2 * (L**2 * square(x - y) - square(Bx - By))
    return not any(sympy.cancel(value) for value in (left - right).ravel())


# ---- AL-12: Davis-Yin --------------------------------------------------------------------------------------------

DELTA = a * m * (2 - a / b) / (1 + a**2 * L**2)
DAVIS_YIN = Proof(
    "davis_yin",
    {"step": a, "relaxation": sympy.Integer(1)},
    {"A": MONOTONE, "B": {**MONOTONE, "lipschitz": L}, "C": STRONG_COCOERCIVE},
    1 - DELTA,
    {
        "A.strongly_monotone(y)": 2 * a,
        "B.strongly_monotone(x)": 2 * a * (1 - DELTA),
        "B.lipschitz(x)": a**2 * DELTA,
        "C.strongly_monotone(x)": 2 * a - a**2 / b,
        "C.cocoercive(x)": a**2 / b,
    },
    {a: b / (1 + r), m: 1 / (b * (1 + q))},  # a <= b, m <= 1/b
)
AL12 = (
    DAVIS_YIN,
    replace(DAVIS_YIN, domain={a: b * (2 + r) / (1 + r), m: 1 / (b * (1 + q))}),  # b <= a <= 2b
    Proof(
        "davis_yin",
        {"step": a, "relaxation": t},
        {"A": MONOTONE, "B": MONOTONE, "C": {"cocoercive": b}},
        sympy.Integer(1),
        {"A.strongly_monotone(y)": 2 * a * t, "B.strongly_monotone(x)": 2 * a * t, "C.cocoercive(x)": 2 * a * t},
        {a: 2 * b * (2 - t) / (1 + q), t: 2 / (1 + r)},  # t <= 2 - a/(2b)
    ),
)

PROOFS: dict[str, tuple[Proof, ...]] = {"AL-05": AL05, "AL-06": AL06, "AL-09": AL09, "AL-11": (AL11,), "AL-12": AL12}
IDENTITIES = {"AL-02": al02, "AL-11": al11}
