"""Splitting methods, one a file, a folder a family; ``assess`` asks each whether its theorem covers a problem."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from monops.algorithms import cocoercive, lipschitz, newton, primal_dual, resolvents, stochastic
from monops.algorithms.algorithm import Algorithm, Solution
from monops.errors import NotApplicableError
from monops.problem import Inclusion

FAMILIES = (cocoercive, lipschitz, resolvents, primal_dual, newton, stochastic)


__all__ = ["FAMILIES", "Algorithm", "Assessment", "Solution", "assess", "grouped_refusals", "methods"]


@functools.cache
def methods() -> tuple[type[Algorithm], ...]:
    """Every method of the library."""
    return tuple(getattr(family, name) for family in FAMILIES for name in family.__all__)


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


def grouped_refusals(entries: Iterable[Assessment]) -> list[str]:
    """Each reason once, with the methods it keeps away: the reason that keeps most of them away first."""
    groups: dict[str, list[str]] = {}
    for entry in entries:
        if entry.terms is None:
            reason = entry.refusal.removeprefix(f"{entry.algorithm.name} does not apply: ")
            groups.setdefault(reason, []).append(entry.algorithm.name)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [f"{reason}   [{', '.join(names)}]" for reason, names in ordered]


def _iterations(algorithm: Algorithm, terms: Any) -> float:
    factor = terms.guarantee.factor(terms.step_size)
    typical = algorithm.typical_iterations
    if isinstance(algorithm, cocoercive.AcceleratedForwardBackward) and terms.constants.strong_monotonicity > 0:
        factor = 1.0 - math.sqrt(min(1.0, terms.constants.strong_monotonicity * terms.step_size))
    if factor is None or factor >= 1.0:
        return typical
    if factor <= 0.0:
        return 1.0
    return min(max(1.0, math.log(1e-6) / math.log(factor)), 10 * typical)
