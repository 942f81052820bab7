"""Averaged maps for OP-22 to OP-24: exact plane rotations, relaxed resolvents, and how averaged a map is at a pair of points.

T is theta-averaged (conically, if theta may exceed 1) when T = (1 - theta) I + theta N, N nonexpansive; that is,
|(I - T)x - (I - T)y|^2 <= 2 theta <x - y, (I - T)x - (I - T)y>.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

import monops
from monops.constants import Constants
from monops.doctor import FixedPointMap
from proofs.operators.instances import Map, block_diagonal, contraction, minty
from proofs.ratios import inner, quotient, rounding_scale, square


def averaged_ratio(T: Map, x: np.ndarray, y: np.ndarray, theta: float) -> float:
    """|d|^2 / (2 theta <x - y, d>), d = (x - Tx) - (y - Ty)."""
    u, v = T(x), T(y)
    d = (x - u) - (y - v)
    return quotient(square(d), 2 * theta * inner(x - y, d), max(1.0, theta) * rounding_scale(x, y, u, v))


class Exact(NamedTuple):
    """A complex number with fractions: a plane rotation with a factor, as a map of the plane."""

    real: Fraction
    imaginary: Fraction

    def times(self, other: Exact) -> Exact:
        """The product, that is, the composition."""
        return Exact(
            self.real * other.real - self.imaginary * other.imaginary, self.real * other.imaginary + self.imaginary * other.real
        )

    def averagedness(self) -> Fraction:
        """The least theta of the map: |1 - z|^2 / (2 Re(1 - z))."""
        return ((1 - self.real) ** 2 + self.imaginary**2) / (2 * (1 - self.real))


def small_turn(theta: Fraction, displacement: Fraction) -> Exact:
    """(1 - theta) + theta e^{i phi}, exactly theta-averaged, with theta sin(phi) about the displacement (rational points)."""
    t = displacement / (2 * theta)
    cosine, sine = (1 - t**2) / (1 + t**2), 2 * t / (1 + t**2)
    return Exact(1 - theta + theta * cosine, theta * sine)


TINY = Fraction(1, 10**6)  # angles at which the composition formula is attained up to 1e-12


def composed_turns(thetas: Sequence[Fraction]) -> Exact:
    """The product of small turns whose displacements are in the ratio theta/(1 - theta), which is the extremal one."""
    product = Exact(Fraction(1), Fraction(0))
    for theta in thetas:
        product = product.times(small_turn(theta, TINY * theta / (1 - theta)))
    return product


def relaxed_resolvent(A: Any, relaxation: float, step: float = 1.0) -> tuple[FixedPointMap, float]:
    """I + relaxation (J - I) as the step of ``ProximalPoint``, and the averagedness that monops declares for it."""
    T = FixedPointMap(monops.ProximalPoint(step_size=step, relaxation=relaxation), A)
    return T, float(T.algorithm.averagedness(T.terms) or math.inf)


def chain(maps: Sequence[Map]) -> Map:
    """The composition, the first map first."""

    def composed(x: np.ndarray) -> np.ndarray:
        for T in maps:
            x = T(x)
        return x

    return composed


def relaxed(T: Map, relaxation: float) -> Map:
    """I + relaxation (T - I)."""
    return lambda x: x + relaxation * (T(x) - x)


def turned(n: int, generator: np.random.Generator, step: float = 1.0) -> Any:
    """A random Minty operator for this step, or one with a small plane rotation or a contraction as its Cayley operator."""
    if generator.integers(2):
        return minty(n, generator, step)
    N, blocks = contraction(n, generator), [np.eye(n - 2)] if n > 2 else []
    angle = float(10 ** generator.uniform(-3, 0.4))
    blocks.append(np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]))
    rotation = block_diagonal(blocks, generator) if generator.integers(2) else N
    return monops.Custom(resolvent=lambda x, asked: (x + rotation @ x) / 2, constants=Constants(strong_monotonicity=0.0))
