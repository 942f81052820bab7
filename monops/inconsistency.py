"""Problems without a solution: the vector that shows it, checked against the functions' own domains.

For a nonexpansive map T the steps z - Tz of an iteration tend to the element of least norm of the closure of ran(I - T): it is
0 when T has a fixed point, and otherwise the iterates drift by it for ever (Pazy 1971; Bauschke and Moursi 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks
from monops.duality import function_of, support
from monops.errors import MonopsError
from monops.functions import Function
from monops.problem import Inclusion

STEADY = 0.02  # relative change of the mean step over a doubling of the iterations; a power law changes it by half or more
FAR = 1e3  # a certificate must exclude every x this many times as far from 0 as the iterate


@dataclass(frozen=True, eq=False)
class Inconsistency:
    """Why a problem has no solution, or may have none.

    Attributes
    ----------
    kind : {"infeasible", "unbounded", "drift"}
        ``infeasible``: no point lies in the domains of all terms; ``vector`` is a dual point y (Blocks, one a term) with
        sum K_i* y_i = 0 up to rounding and ``value`` = sum of the support functions of the domains at y_i, which is < 0.
        ``unbounded``: ``vector`` is a direction along which the objective falls for ever, at the rate ``value`` < 0.
        ``drift``: the iterates of the method move by the constant ``vector`` (an estimate of the minimal displacement vector,
        of norm ``value``) a step, and no certificate was found: either there is no solution, or it is far away. This alone
        never gives the status ``inconsistent``.
    radius : float
        Every x with |x| < radius is excluded by the certificate; infinite where the sum of K_i* y_i is 0 exactly.
    displacement : array or Blocks
        The mean step of the method over the last half of the iterations, on its governing point.
    """

    kind: Literal["infeasible", "unbounded", "drift"]
    vector: Array
    value: float
    radius: float
    displacement: Array

    def __str__(self) -> str:
        if self.kind == "infeasible":
            return f"no point lies in all domains (separating vector with value {self.value:.3g}, |x| < {self.radius:.3g})"
        if self.kind == "unbounded":
            return f"the objective falls for ever along a direction (by {-self.value:.3g} a unit)"
        return f"the iterates drift for ever by a vector of norm {self.value:.3g} a step"


class Drift:
    """Mean steps between iterations that double (k, 2k, 4k, ...) of the governing point z, of x and of the dual point."""

    def __init__(self, first: int) -> None:
        self.next = first
        self.point: tuple[int, tuple[Any, ...]] | None = None
        self.steps: tuple[Any, ...] = ()
        self.steady = 0

    def observe(self, iteration: int, z: Array, x: Array, dual: Array | None) -> bool:
        """Take in the points of an iteration; whether the mean step of z has stood still over three doublings."""
        if iteration < self.next:
            return False
        self.next = 2 * iteration
        points = (z, x, dual)
        if self.point is not None:
            length = float(iteration - self.point[0])
            pairs = zip(points, self.point[1], strict=True)
            steps = tuple(None if now is None else (now - then) / length for now, then in pairs)
            if self.steps:
                size, moved = float(arrays.norm(steps[0])), float(arrays.norm(steps[0] - self.steps[0]))
                self.steady = self.steady + 1 if size > 0 and moved <= STEADY * size else 0
            self.steps = steps
        self.point = (iteration, points)
        return self.steady >= 3


def explain_drift(problem: Inclusion, x: Array, drift: Drift) -> Inconsistency:
    """The reason of a steady drift: a certificate made of the steps of x, of the dual point or of the governing point."""
    displacement, change, dual_change = drift.steps
    functions = [function_of(term) for term in problem.terms]
    scale = 1.0 + float(arrays.norm(x))
    if all(f is not None for f in functions):
        for dual in (dual_change, displacement, -displacement):
            found = None if dual is None else _infeasible(problem, functions, x, dual, displacement)  # type: ignore[arg-type]
            if found is not None and found.radius > FAR * scale:
                return found
        found = _unbounded(problem, functions, change, displacement)  # type: ignore[arg-type]
        if found is not None:
            return found
    size = float(arrays.norm(displacement))
    return Inconsistency("drift", displacement, size, 0.0, displacement)


def _infeasible(
    problem: Inclusion, functions: list[Function], x: Array, dual: Array, displacement: Array
) -> Inconsistency | None:
    """Duals y_i with sum K_i* y_i = 0 and negative support: given for all terms but one without a map, which closes the sum."""
    mapped = [index for index, term in enumerate(problem.terms) if term.map is not None]
    free = [index for index, term in enumerate(problem.terms) if term.map is None]
    given = mapped if mapped else free[:1] if len(free) == 2 else []
    parts = dual if isinstance(dual, Blocks) and len(given) > 1 else (dual,)
    if not given or len(parts) != len(given):
        return None
    size = float(arrays.norm(dual))
    if size == 0:
        return None
    try:
        duals = {index: part / size for index, part in zip(given, parts, strict=True)}
        total = None
        for index, y in duals.items():
            linear_map = problem.terms[index].map
            part = y if linear_map is None else linear_map.adjoint(y)
            total = part if total is None else total + part
        closing = [index for index in free if index not in duals]
        rest = float(arrays.norm(total))
        with np.errstate(all="ignore"):
            if closing:
                bounded = [index for index in closing if not _is_everything(functions[index])]
                if len(bounded) == 1:
                    duals[bounded[0]], rest = -total, 0.0  # type: ignore[operator]
                elif bounded:
                    return None
            supports = [support(functions[index], y) for index, y in duals.items()]
        if any(value is None for value in supports):
            return None
        value = sum(float(value) for value in supports if value is not None)
    except (MonopsError, ValueError, TypeError):
        return None
    if not value < 0:
        return None
    radius = np.inf if rest == 0 else -value / rest
    vector = Blocks([duals[index] for index in sorted(duals)]) if len(duals) > 1 else next(iter(duals.values()))
    return Inconsistency("infeasible", vector, value, radius, displacement)


def _is_everything(f: Function) -> bool:
    domain = f.domain
    return domain is not None and not domain.is_indicator


def _unbounded(problem: Inclusion, functions: list[Function], change: Array, displacement: Array) -> Inconsistency | None:
    """A direction d with a negative sum of recession functions, f^inf = support of dom f* (Rockafellar 1970, Thm 13.3)."""
    size = float(arrays.norm(change))
    if size == 0:
        return None
    direction, total = change / size, 0.0
    try:
        with np.errstate(all="ignore"):
            for term, f in zip(problem.terms, functions, strict=True):
                d = direction if term.map is None else term.map.apply(direction)
                value = support(f.conjugate(), d)
                if value is None:
                    return None
                total += float(value)
    except (MonopsError, ValueError, TypeError):
        return None
    if not total < 0:
        return None
    return Inconsistency("unbounded", direction, total, np.inf, displacement)
