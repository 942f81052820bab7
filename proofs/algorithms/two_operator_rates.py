"""Tight factors of Douglas-Rachford with the hypotheses shared between the operators, and the instances that attain them.

The iteration is T = (1 - t/2) I + (t/2) R_A R_B with 0 < t < 2. Ryu, Taylor, Bergeling and Giselsson (2020), Operator splitting
performance estimation, found its factors by semidefinite programs. They also follow from plane geometry, the second half of
this file. On two points with difference d let R_B turn d to e and R_A turn e to f: the scaled relative graphs of R_B and R_A
constrain the lengths and angles of (d, e) and of (e, f), nothing else, and |(1 - t/2) d + (t/2) f| is largest when f lies in
the plane of d and e, on the side of d. So the squared factor is the largest |1 - t/2 + (t/2) u v|^2 over two sets of complex
numbers, those graphs; it is the same for both orders of A and B, and plane linear operators attain it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

Number = Any  # float or Fraction


class Rate(NamedTuple):
    """The case of the published theorem that applies, counted from 1, and the squared factor."""

    regime: int
    square: Number


class Disc(NamedTuple):
    """The disc in the complex plane with its centre on the real axis."""

    centre: Number
    radius: Number


class Pair(NamedTuple):
    """Points of the scaled relative graphs of R_A and of R_B whose product is worst."""

    u: complex
    v: complex


# ---- the published formulas --------------------------------------------------------------------------


def cocoercive_rate(mu: Number, beta: Number, step: Number = 1, relaxation: Number = 1) -> Rate:
    """A beta-cocoercive, B mu-strongly monotone: Theorem 4.1, five cases, exact on fractions.

    With m = step mu, b = beta/step and t = relaxation the squares of 1 - t b/(1 + b), 1 - t (1 + m b)/((1 + m)(1 + b)), 1 - t,
    1 - t m/(1 + m), and in between a rational function.
    """
    m, b, t = step * mu, beta / step, relaxation
    if m * b - m + b < 0 and t <= 2 * (b + 1) * (m - b - m * b) / (m + m * b - b - b**2 - 2 * m * b**2):
        return Rate(1, (1 - t * b / (b + 1)) ** 2)
    symmetric = m**2 + b**2 + m + b
    if m * b - m - b > 0 and t <= 2 * (symmetric + m * b - m**2 * b**2) / (symmetric + m**2 * b + m * b**2 - 2 * m**2 * b**2):
        return Rate(2, (1 - t * (1 + m * b) / ((1 + m) * (1 + b))) ** 2)
    if t >= 2 * (m * b + m + b) / (2 * m * b + m + b):
        return Rate(3, (1 - t) ** 2)
    if m * b + m - b < 0 and t <= 2 * (m + 1) * (b - m - m * b) / (b + m * b - m - m**2 - 2 * m**2 * b):
        return Rate(4, (1 - t * m / (m + 1)) ** 2)
    first = (2 - t) * m * (b + 1) + t * b * (1 - m)
    second = (2 - t) * b * (m + 1) + t * m * (1 - b)
    return Rate(5, (2 - t) * first * second / (4 * m * b * (2 * m * b * (1 - t) + (2 - t) * (m + b + 1))))


def lipschitz_rate(mu: Number, lipschitz: Number, step: Number = 1, relaxation: Number = 1) -> Rate:
    """A monotone and L-Lipschitz, B mu-strongly monotone: Theorem 4.3, three cases, the first with a square root.

    With m = step mu, s = step L, t = relaxation and c^2 = ((2(t - 1)m + t - 2)^2 + s^2 (t - 2(m + 1))^2)/(s^2 + 1): the squares
    of (t + c)/(2(m + 1)) and of 1 - t (s + m)/((1 + s)(1 + m)), and in between a rational function.
    """
    m, s, t = step * mu, step * lipschitz, relaxation
    first, second = 2 * (t - 1) * m + t - 2, t - 2 * (m + 1)
    c = math.sqrt((first**2 + s**2 * second**2) / (s**2 + 1))
    if c > 0 and c + m * (first - s**2 * second) / (s**2 + 1) >= 0:
        return Rate(1, ((t + c) / (2 * (m + 1))) ** 2)
    limit = -2 * (m + 1) * (s + 1) * (m + (m - 1) * s**2 - 2 * m * s - 1)
    scale = m + s * (s**2 + s + 1) + 2 * m**2 * (s - 1) + m * s * (1 - (s - 3) * s) + 1
    if s <= 1 and m * (s - 1) ** 2 >= s**2 + 1 and t <= limit / scale:
        return Rate(2, (1 - t * (s + m) / ((s + 1) * (m + 1))) ** 2)
    left = t * (1 - 2 * m + s**2) - 2 * m * (s**2 - 1)
    right = t * (1 + 2 * m + s**2) - 2 * (m + 1) * (s**2 + 1)
    return Rate(3, (2 - t) * left * right / (4 * m * (s**2 + 1) * (t * (1 + 2 * m - s**2) - 2 * (m + 1) * (1 - s**2))))


# ---- the same by plane geometry ------------------------------------------------------------------------


def strongly_monotone_disc(mu: Number, step: Number = 1) -> Disc:
    """R of a mu-strongly monotone operator: the disc with the diameter [-1, (1 - m)/(1 + m)], m = step mu."""
    return Disc(-step * mu / (1 + step * mu), 1 / (1 + step * mu))


def cocoercive_disc(beta: Number, step: Number = 1) -> Disc:
    """R of a beta-cocoercive operator: the disc with the diameter [(b - 1)/(b + 1), 1], b = beta/step."""
    return Disc(beta / (beta + step), step / (beta + step))


def product_factor(u: Any, v: Any, relaxation: float) -> Any:
    """|1 - t/2 + (t/2) u v|^2."""
    return np.abs(1 - relaxation / 2 + relaxation / 2 * u * v) ** 2


def aligned(u: complex, disc: Disc, relaxation: float) -> Pair:
    """The point v of the disc that is worst for u: radius and centre add up, 1 - t/2 + (t/2) u v in one direction."""
    middle = 1 - relaxation / 2 + relaxation / 2 * u * disc.centre
    turn = middle * np.conj(u)
    return Pair(u, disc.centre + disc.radius * (turn / abs(turn) if abs(turn) > 0 else 1))


def worst_of_discs(A: Disc, B: Disc, relaxation: float) -> Pair:
    """The worst pair of two discs, in closed form.

    For u = c + r e^{i angle} on the circle of A the worst v of B gives |1 - t/2 + (t/2) u c_B| + (t/2) r_B |u|: with
    k = cos(angle) a sum sqrt(a + b k) + sqrt(p + q k), concave in k, whose maximum is at -1, at 1 or where b^2 (p + q k) =
    q^2 (a + b k).
    """
    rest, half = 1 - relaxation / 2, relaxation / 2
    square, slope = A.centre**2 + A.radius**2, 2 * A.centre * A.radius
    a = rest**2 + 2 * rest * half * B.centre * A.centre + (half * B.centre) ** 2 * square
    b = 2 * rest * half * B.centre * A.radius + (half * B.centre) ** 2 * slope
    p, q = (half * B.radius) ** 2 * square, (half * B.radius) ** 2 * slope
    if b * q < 0:
        cosine = min(1.0, max(-1.0, float((q**2 * a - b**2 * p) / (b * q * (b - q)))))
    else:
        cosine = 1.0 if b + q > 0 else -1.0
    return aligned(complex(A.centre + A.radius * cosine, A.radius * math.sqrt(1 - cosine**2)), B, float(relaxation))


def worst_of_lipschitz(lipschitz: float, B: Disc, step: float, relaxation: float, count: int = 400) -> Pair:
    """The worst pair of R_A for monotone L-Lipschitz A and the disc B, to rounding.

    The maximum is on the boundary, convex functions having no other: on the image of step A = s e^{i angle} under
    (1 - z)/(1 + z), searched, whose end, the skew A, is worst on the rest of the boundary, an arc of the unit circle.
    """
    low, high = 0.0, math.pi / 2
    best = high
    for _ in range(6):
        angles = np.linspace(low, high, count)
        z = step * lipschitz * np.exp(1j * angles)
        u = (1 - z) / (1 + z)
        values = np.abs(1 - relaxation / 2 + relaxation / 2 * u * B.centre) + relaxation / 2 * B.radius * np.abs(u)
        best, width = float(angles[int(np.argmax(values))]), (high - low) / (count - 1)
        low, high = max(0.0, best - width), min(math.pi / 2, best + width)
    z = step * lipschitz * complex(math.cos(best), math.sin(best))
    return aligned((1 - z) / (1 + z), B, relaxation)
