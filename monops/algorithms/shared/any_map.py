"""What the methods for fixed points of any map share: the problem they take, and a guarantee that promises nothing."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from monops.algorithms.algorithm import Algorithm
from monops.constants import Constants
from monops.operators.fixed_point import FixedPoint
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

UNPROVEN = "no theorem says that this converges for this map: the residual tells whether it did"


class Terms(NamedTuple):
    """The residual z - f(z), and the resolved numbers."""

    operator: Any
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]
    batch_ndim: int


def fixed_point_of(problem: Inclusion, method: Algorithm) -> FixedPoint:
    """The only term of the problem; refuses what is no FixedPoint."""
    (first, *rest) = problem.terms
    if rest or first.map is not None or not isinstance(first.summand, FixedPoint):
        method.refuse(
            Missing("the problem is not z = f(z)", "write monops.FixedPoint(f), or use a method for sums of monotone operators")
        )
    return first.summand


def unproven(source: str, rate: str = "none proven") -> Guarantee:
    """The guarantee of a method for a map of which nothing is known."""
    return Guarantee((0, math.inf), 1.0, "any; nothing is proven", rate, source)
