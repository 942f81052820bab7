"""Tight factors of Douglas-Rachford with the hypotheses shared between the operators.

Ryu, Taylor, Bergeling and Giselsson (2020), Operator splitting performance estimation: tight contraction factors and optimal
parameter selection, Theorems 4.1 and 4.3, for u+ = u + relaxation (J_A R_B u - J_B u) in either order of A and B.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import scipy.optimize

from monops.constants import Constants
from monops.theory import Number

DECADES = 4.0  # on both sides of the middle, in which the best step is looked for


class Rate(NamedTuple):
    """The case of the published theorem that applies, counted from 1, and the squared factor."""

    regime: int
    square: Number


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


def shared_contraction(A: Constants, B: Constants, step: Number, relaxation: Number = 1) -> Number | None:
    """The least squared factor of the two theorems that applies to A and B in some order; None where none does.

    Both are stated for a relaxation in (0, 2).
    """
    if not 0 < relaxation < 2:
        return None
    found = []
    for strong, other in ((A, B), (B, A)):
        mu = strong.strong_monotonicity
        if mu is None or not 0 < mu < math.inf or not other.monotone:
            continue
        if other.cocoercivity is not None and 0 < other.cocoercivity < math.inf:
            found.append(cocoercive_rate(mu, other.cocoercivity, step, relaxation).square)
        if other.lipschitz is not None and 0 < other.lipschitz < math.inf:
            found.append(lipschitz_rate(mu, other.lipschitz, step, relaxation).square)
    return min(found) if found else None


def best_shared_step(A: Constants, B: Constants, relaxation: Number = 1) -> float | None:
    """The minimiser of ``shared_contraction``, by a search over its logarithm; None where no theorem applies."""
    scales = [c.lipschitz for c in (A, B) if c.lipschitz is not None and 0 < c.lipschitz < math.inf]
    scales += [c.strong_monotonicity for c in (A, B) if c.strong_monotonicity is not None and c.strong_monotonicity > 0]
    if not scales or shared_contraction(A, B, 1.0, relaxation) is None:
        return None
    middle = -sum(math.log(float(scale)) for scale in scales) / len(scales)
    width = DECADES * math.log(10.0)

    def factor(logarithm: float) -> float:
        return float(shared_contraction(A, B, math.exp(logarithm), relaxation) or 0.0)

    grid = [middle + width * (index / 20.0 - 1.0) for index in range(41)]
    start = min(grid, key=factor)
    found = scipy.optimize.minimize_scalar(
        factor, bounds=(start - width / 20.0, start + width / 20.0), method="bounded", options={"xatol": 1e-6}
    )
    return math.exp(float(found.x))
