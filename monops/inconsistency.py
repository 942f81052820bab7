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
from monops.functions import AffineSet, Function
from monops.problem import Inclusion, Term

STEADY = 0.02  # relative change of the mean step over a doubling of the iterations; a power law changes it by half or more
REMOTE = 1e15  # how far along a direction a set is looked at to see whether it goes on for ever
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
        Every x with |x| < radius is excluded as a solution; infinite where nothing was left to rounding.
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
            vector = f"separating vector with value {self.value:.3g}, for |x| < {self.radius:.3g}"
            return f"infeasible, no point lies in all domains ({vector})"
        if self.kind == "unbounded":
            rate = f"by {-self.value:.3g} a unit"
            return f"unbounded, from any feasible point the objective falls for ever along a direction ({rate})"
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
        found = _unbounded(problem, functions, x, change, displacement)  # type: ignore[arg-type]
        if found is not None:
            return found
    size = float(arrays.norm(displacement))
    return Inconsistency("drift", displacement, size, 0.0, displacement)


def _infeasible(
    problem: Inclusion, functions: list[Function], x: Array, dual: Array, displacement: Array
) -> Inconsistency | None:
    """Dual points y_i with sum K_i* y_i = 0 and a negative sum of support functions, made of the method's dual step.

    With sum of supports -s and |sum K_i* y_i| = r every x with |x| < s/r is excluded: <y_i, K_i x> <= support_i, summed.
    """
    size = float(arrays.norm(dual))
    given = _assigned(problem, dual)
    if given is None or size == 0:
        return None
    try:
        with np.errstate(all="ignore"):
            duals, value, rest = {}, 0.0, 0.0
            total = 0.0 * x
            for index, y in given.items():
                duals[index] = y / size
                total = total + _pulled_back(problem.terms[index], duals[index])
            open_terms = [index for index in range(len(functions)) if index not in duals]
            bounded = [index for index in open_terms if not _is_everything(functions[index])]
            if len(bounded) > 1 or any(problem.terms[index].map is not None for index in bounded):
                return None
            if bounded:
                duals[bounded[0]], total = -total, 0.0 * x
            for index, y in duals.items():
                bound = _support(functions[index], y)
                if bound is None:
                    return None
                value, rest = value + bound[0], rest + bound[1]
            rest += float(arrays.norm(total))
    except (MonopsError, ValueError, TypeError, AttributeError):
        return None
    if not value < 0:
        return None
    radius = np.inf if rest == 0 else -value / rest
    vector = Blocks([duals[index] for index in sorted(duals)]) if len(duals) > 1 else next(iter(duals.values()))
    return Inconsistency("infeasible", vector, value, radius, displacement)


def _assigned(problem: Inclusion, dual: Array) -> dict[int, Array] | None:
    """Which terms the parts of a dual step belong to: all of them, the mapped ones, or all but the first without a map."""
    mapped = [index for index, term in enumerate(problem.terms) if term.map is not None]
    free = [index for index, term in enumerate(problem.terms) if term.map is None]
    if not mapped and isinstance(dual, Blocks) and len(dual) == len(problem.terms) and _parts_of_one_shape(dual):
        mean = sum(dual[1:], dual[0]) / float(len(dual))
        return {index: part - mean for index, part in enumerate(dual)}
    for owners in (mapped, [*mapped, *free[1:]], free[:1] if len(free) == 2 and not mapped else []):
        parts = dual if isinstance(dual, Blocks) else (dual,)
        if owners and len(parts) == len(owners):
            return dict(zip(owners, parts, strict=True))
    return None


def _parts_of_one_shape(dual: Blocks) -> bool:
    return all(not isinstance(part, tuple) and part.shape == dual[0].shape for part in dual)


def _pulled_back(term: Term, y: Array) -> Array:
    return y if term.map is None else term.map.adjoint(y)


def _support(f: Function, y: Array) -> tuple[float, float] | None:
    """(s, r) with <y, x> <= s + r |x| for every x of the domain of f; None where the support function is unknown."""
    if _is_everything(f):
        return 0.0, float(arrays.norm(y))
    if isinstance(f.domain, AffineSet):
        foot = f.domain.prox(0.0 * y)
        along = f.domain.prox(y) - foot  # the part of y along the set, on which no bound exists
        return float(arrays.inner(y - along, foot)), float(arrays.norm(along))
    value = support(f, y)
    return None if value is None else (float(value), 0.0)


def _is_everything(f: Function) -> bool:
    domain = f.domain
    if domain is None:
        return False
    interval = getattr(domain, "interval", None)
    return not domain.is_indicator or (interval is not None and interval == (-np.inf, np.inf))


def _unbounded(
    problem: Inclusion, functions: list[Function], x: Array, change: Array, displacement: Array
) -> Inconsistency | None:
    """A direction d along which every set stays and the rest falls: f^inf(d) = support of dom f* (Rockafellar 1970, 13.3)."""
    size = float(arrays.norm(change))
    if size == 0:
        return None
    direction, total, leaving = change / size, 0.0, 0.0
    try:
        with np.errstate(all="ignore"):
            for term, f in zip(problem.terms, functions, strict=True):
                d = direction if term.map is None else term.map.apply(direction)
                if f.is_indicator:  # P(td)/t tends to the projection of d on the recession cone
                    far = REMOTE * (1.0 + float(arrays.norm(x)))
                    leaving += float(arrays.norm(d - f.prox(far * d) / far))
                    continue
                value = support(f.conjugate(), d)
                if value is None:
                    return None
                total += float(value)
    except (MonopsError, ValueError, TypeError, AttributeError):
        return None
    radius = np.inf if leaving == 0 else 1.0 / leaving
    if not (total < 0 and leaving <= -1e-3 * total and radius > 1e6 * FAR * (1.0 + float(arrays.norm(x)))):
        return None
    return Inconsistency("unbounded", direction, total, radius, displacement)
