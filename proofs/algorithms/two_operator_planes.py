"""The instances that attain the factors of Douglas-Rachford with the hypotheses shared between the operators.

The iteration is T = (1 - t/2) I + (t/2) R_A R_B with 0 < t < 2. Ryu, Taylor, Bergeling and Giselsson (2020), Operator splitting
performance estimation, found its factors by semidefinite programs. They also follow from plane geometry. On two points with
difference d let R_B turn d to e and R_A turn e to f: the scaled relative graphs of R_B and R_A constrain the lengths and angles
of (d, e) and of (e, f), nothing else, and |(1 - t/2) d + (t/2) f| is largest when f lies in the plane of d and e, on the side
of d. So the squared factor is the largest |1 - t/2 + (t/2) u v|^2 over two sets of complex
numbers, those graphs; it is the same for both orders of A and B, and plane linear operators attain it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

Number = Any  # float or Fraction


class Disc(NamedTuple):
    """The disc in the complex plane with its centre on the real axis."""

    centre: Number
    radius: Number


class Pair(NamedTuple):
    """Points of the scaled relative graphs of R_A and of R_B whose product is worst."""

    u: complex
    v: complex


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
