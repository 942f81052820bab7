"""Problems without a solution, of three kinds."""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from tests.zoo.problem import Unsolvable, linear, zeros

CENTRE = np.array([3.0, 1.0, 0.0])
ROWS = np.array([[1.0, 2.0, 1.0, 0.5], [1.0, -1.0, 1.0, 0.0]])
FLAT = np.array([[1.0, -1.0, 0.0, 2.0], [0.0, 1.0, -1.0, 1.0]])  # FLAT (1, 1, 1, 0) = 0
COST = np.array([1.0, -2.0, 0.5, 1.0])


def _disjoint() -> str:
    """What is left of the distance of the ball and the box is a number above 0."""
    return f"distance {np.linalg.norm(CENTRE - np.clip(CENTRE, -1.0, 1.0)) - 0.5:.3f}"


def _program(A: np.ndarray, b: np.ndarray) -> str:
    return {2: "infeasible", 3: "unbounded"}[linear(COST, A_eq=A, b_eq=b).status]


def _build(a: Any, A: np.ndarray, b: np.ndarray) -> monops.Inclusion:
    return monops.Linear(a(COST)) + monops.NonNegative() + monops.AffineSet(a(A), a(b))


NEGATIVE, ZERO = np.array([-1.0, 0.5]), np.array([0.5, 0.2])

UNSOLVABLE = (
    Unsolvable(
        "disjoint convex sets",
        lambda a: monops.L2Ball(0.5, a(CENTRE)) + monops.Box(-1.0, 1.0),
        zeros((3,)),
        "a ball and a box at a distance: no point is in both",
        _disjoint,
    ),
    Unsolvable(
        "infeasible linear program",
        lambda a: _build(a, ROWS, NEGATIVE),
        zeros((4,)),
        "a row of positive numbers times x >= 0 cannot be -1",
        lambda: _program(ROWS, NEGATIVE),
    ),
    Unsolvable(
        "unbounded linear program",
        lambda a: _build(a, FLAT, ZERO),
        zeros((4,)),
        "along (1, 1, 1, 0) every point stays feasible, and the cost falls without end",
        lambda: _program(FLAT, ZERO),
    ),
)
