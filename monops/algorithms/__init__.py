"""Splitting methods, one a file, a folder a family; ``assess`` asks each whether its theorem covers a problem."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from monops import arrays
from monops.algorithms import cocoercive, fixed_points, lipschitz, newton, primal_dual, resolvents, stochastic
from monops.algorithms.algorithm import Algorithm, Solution
from monops.errors import NotApplicableError
from monops.linear import LinearMap
from monops.linear.dense import EXACT_LIMIT
from monops.problem import Inclusion

FEW = 5  # iterations, at least, by which a method with a linear rate is expected to take
FAMILIES = (cocoercive, lipschitz, resolvents, primal_dual, newton, stochastic, fixed_points)


__all__ = ["FAMILIES", "Algorithm", "Assessment", "Solution", "assess", "best_method", "grouped_refusals", "methods"]


@functools.cache
def methods() -> tuple[type[Algorithm], ...]:
    """Every method of the library."""
    return tuple(getattr(family, name) for family in FAMILIES for name in family.__all__)


class Assessment(NamedTuple):
    """One method held against one problem: its terms, or the reason why it does not apply."""

    algorithm: Algorithm
    terms: Any | None
    refusal: str
    effort: float  # predicted operator evaluations to a millionth of the start; inf where nothing is proven


def assess(problem: Inclusion) -> list[Assessment]:
    """Every method with its default settings held against the problem, the least predicted effort first.

    The prediction is iterations times operator evaluations; iterations follow from the proven linear factor where there is
    one (for the accelerated method from 1 - sqrt(mu/L), Nesterov 2004), else from a typical count.
    """
    return sorted((_assessed(method(), problem) for method in methods()), key=lambda entry: entry.effort)


def best_method(problem: Inclusion) -> Assessment | None:
    """The candidate with the least predicted effort, or None.

    Methods that cannot beat the best so far are not held against the problem: first come those that need no constants; for the
    others the price of the norms that are not known yet counts too.
    """
    best: Assessment | None = None
    least = math.inf
    price = _price_of_norms(problem)
    for bound, method in _by_least_effort():
        bound = bound + price if method.needs_constants else bound
        if bound >= least:
            continue
        entry = _assessed(method(), problem)
        if entry.effort < least:
            best, least = entry, entry.effort
    return best


def _price_of_norms(problem: Inclusion) -> float:
    """Predicted cost, in operator evaluations, of the norms that the constants of the problem need: n/4 for an n x n Gram."""
    price = 0.0
    for term in problem.terms:
        P = getattr(term.summand, "P", None)
        if P is not None and arrays.is_array(P) and not {"_spectrum", "_eigenvalues"} & set(vars(term.summand)):
            price += int(P.shape[-1]) / 4.0
        for linear_map in (term.map, getattr(term.summand, "A", None)):
            matrix = getattr(linear_map, "matrix", None)
            if isinstance(linear_map, LinearMap) and matrix is not None and "norm" not in vars(linear_map):
                size = min(int(n) for n in matrix.shape)
                price += size / 4.0 if size <= EXACT_LIMIT else 1.0
    return price


@functools.cache
def _by_least_effort() -> tuple[tuple[float, type[Algorithm]], ...]:
    """Candidates with a lower bound of their effort, that of few steps where a rate may be linear; without constants first."""
    bounds = [
        (method.evaluations * (FEW if method.has_linear_rate else method.typical_iterations), method)
        for method in methods()
        if method.is_candidate
    ]
    return tuple(sorted(bounds, key=lambda pair: (pair[1].needs_constants, pair[0])))


def _assessed(algorithm: Algorithm, problem: Inclusion) -> Assessment:
    try:
        terms = algorithm.match(problem)
    except NotApplicableError as refusal:
        return Assessment(algorithm, None, str(refusal), math.inf)
    return Assessment(algorithm, terms, "", _iterations(algorithm, terms) * algorithm.evaluations)


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
    typical = algorithm.expected_iterations(terms)
    if isinstance(algorithm, cocoercive.AcceleratedForwardBackward) and terms.constants.strong_monotonicity > 0:
        factor = 1.0 - math.sqrt(min(1.0, terms.constants.strong_monotonicity * terms.step_size))
    if factor is None or factor >= 1.0:
        return typical
    if factor <= 0.0:
        return float(FEW)
    return min(max(float(FEW), math.log(1e-6) / math.log(factor)), 10 * typical)
