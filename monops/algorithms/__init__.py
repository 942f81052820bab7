"""Splitting methods, one a file; ``assess`` asks each of them whether its theorem covers a problem."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from monops.algorithms.accelerated_forward_backward import AcceleratedForwardBackward
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.chambolle_pock import ChambollePock
from monops.algorithms.davis_yin import DavisYin
from monops.algorithms.douglas_rachford import DouglasRachford
from monops.algorithms.forward_backward import ForwardBackward
from monops.algorithms.forward_backward_forward import ForwardBackwardForward
from monops.algorithms.peaceman_rachford import PeacemanRachford
from monops.algorithms.proximal_point import ProximalPoint
from monops.errors import NotApplicableError
from monops.problem import Inclusion

__all__ = [
    "AcceleratedForwardBackward",
    "Algorithm",
    "Assessment",
    "ChambollePock",
    "DavisYin",
    "DouglasRachford",
    "ForwardBackward",
    "ForwardBackwardForward",
    "PeacemanRachford",
    "ProximalPoint",
    "Solution",
    "assess",
    "methods",
]

# Iterations to a millionth of the start, for ranking where no linear rate is proven: from runs on the test problems.
TYPICAL_ITERATIONS: dict[type[Algorithm], float] = {
    ProximalPoint: 100,
    AcceleratedForwardBackward: 500,
    DouglasRachford: 1000,
    PeacemanRachford: 1000,
    ForwardBackward: 5000,
    DavisYin: 5000,
    ChambollePock: 5000,
    ForwardBackwardForward: 6000,
}


def methods() -> tuple[type[Algorithm], ...]:
    """Every method of the library."""
    return tuple(TYPICAL_ITERATIONS)


class Assessment(NamedTuple):
    """One method held against one problem: its terms, or the reason why it does not apply."""

    algorithm: Algorithm
    terms: Any | None
    refusal: str
    effort: float  # predicted operator evaluations to a millionth of the start; inf when it does not apply


def assess(problem: Inclusion) -> list[Assessment]:
    """Every method with its default settings held against the problem, the least predicted effort first.

    The prediction is iterations times operator evaluations; iterations follow from the proven linear factor where there is
    one (for the accelerated method from 1 - sqrt(mu/L), Nesterov 2004), else from a typical count.
    """
    found = []
    for method in methods():
        algorithm = method()
        try:
            terms = algorithm.match(problem)
        except NotApplicableError as refusal:
            found.append(Assessment(algorithm, None, str(refusal), math.inf))
        else:
            found.append(Assessment(algorithm, terms, "", _iterations(algorithm, terms) * algorithm.evaluations))
    return sorted(found, key=lambda entry: entry.effort)


def _iterations(algorithm: Algorithm, terms: Any) -> float:
    factor = terms.guarantee.factor(terms.step_size)
    typical = TYPICAL_ITERATIONS[type(algorithm)]
    if isinstance(algorithm, AcceleratedForwardBackward) and terms.constants.strong_monotonicity > 0:
        factor = 1.0 - math.sqrt(min(1.0, terms.constants.strong_monotonicity * terms.step_size))
    if factor is None or factor >= 1.0:
        return typical
    if factor <= 0.0:
        return 1.0
    return min(max(1.0, math.log(1e-6) / math.log(factor)), 10 * typical)
