"""Objective, dual objective and gap of a sum of convex functions at a primal and a dual point.

For min sum f_i(K_i x) any u_i with sum K_i* u_i = 0 give the lower bound -sum f_i*(u_i) (Fenchel and Rockafellar 1967). The u_i
come from the method where it has a dual point, from gradients for smooth terms, and one term closes the sum; where its
conjugate is infinite there (a gradient just outside a dual ball) all u_i are shrunk until it is finite.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks
from monops.errors import CapabilityError, MonopsError
from monops.functions import Function, LeastSquares
from monops.operators import NormalCone, Subdifferential
from monops.problem import Inclusion, Term

NEAR = 1e-6  # sets that are missed by so much count as met in the objective
ROUNDING = 1e-9  # dual points that miss a domain by so much, relative, count as inside where they cannot be shrunk
SHRINKING = 40  # halvings of the interval in which the dual point becomes feasible


class Duality(NamedTuple):
    """Floats, NumPy arrays with one entry a row, or None where unknown."""

    objective: Any
    dual_objective: Any
    gap: Any


UNKNOWN = Duality(None, None, None)


def function_of(term: Term) -> Function | None:
    """The function whose subdifferential the term's summand is, or None."""
    summand = term.summand
    if isinstance(summand, Function):
        return summand
    if isinstance(summand, Subdifferential):
        return summand.function
    return summand.set if isinstance(summand, NormalCone) else None


def evaluate(problem: Inclusion, x: Array, dual: Array | None) -> Duality:
    """Values at x, and the best lower bound that the dual point and the gradients give."""
    functions = [function_of(term) for term in problem.terms]
    if any(f is None or not f.is_convex or not f.has_value for f in functions):
        return UNKNOWN
    points = [x if term.map is None else term.map.apply(x) for term in problem.terms]
    with np.errstate(all="ignore"):
        values = [_value(f, point) for f, point in zip(functions, points, strict=True) if f is not None]
        objective = _sum(values)
        bounds = [
            bound
            for assignment in _assignments(problem, functions, dual)
            if (bound := _lower_bound(problem, functions, points, x, assignment)) is not None
        ]
    if not bounds:
        return Duality(_host(objective), None, None)
    best = _host(bounds[0])
    for bound in bounds[1:]:
        best = np.maximum(best, _host(bound))
    best = best if np.ndim(best) else float(best)
    return Duality(_host(objective), best, _host(objective) - best)


def _value(f: Function, point: Array) -> Array:
    """f at the point; an indicator is 0 within ``NEAR`` of its set, relative to 1 + |x|."""
    value = f(point)
    if not f.is_indicator or not f.has_prox:
        return value
    xp = arrays.namespace(value)
    if bool(xp.all(xp.isfinite(value))):
        return value
    distance = arrays.norm(point - f.prox(point), f.batch_ndim)
    near = distance <= NEAR * (1.0 + arrays.norm(point, f.batch_ndim))
    return xp.where(near, xp.zeros_like(value), value)


def _host(value: Any) -> Any:
    host = np.asarray(arrays.to_numpy(value) if arrays.is_array(value) else value, dtype=np.float64)
    return host if host.ndim else host.item()


def _sum(values: list[Any]) -> Any:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _assignments(problem: Inclusion, functions: list[Any], dual: Array | None) -> list[dict[int, Array]]:
    """Which terms the method's dual point may belong to, by index; every choice gives a true bound, and the best is kept."""
    if dual is None:
        return [{}]
    rough = [index for index, f in enumerate(functions) if not f.has_gradient]
    mapped = [index for index in rough if problem.terms[index].map is not None]
    free = [index for index in rough if problem.terms[index].map is None]
    found: list[dict[int, Array]] = [] if mapped else [{}]
    for owners in (mapped, [*mapped, *free[1:]], [*mapped, *free], rough, *([index] for index in rough)):
        parts = dual if isinstance(dual, Blocks) else (dual,)
        if owners and len(parts) == len(owners):
            whole = dict(zip(owners, parts, strict=True))
            found += [whole, *({i: u for i, u in whole.items() if i != left} for left in free if left in whole)]
    return found


def _lower_bound(
    problem: Inclusion, functions: list[Any], points: list[Array], x: Array, known: dict[int, Array]
) -> Array | None:
    duals = dict(known)
    missing = [index for index in range(len(functions)) if index not in duals]
    closing = _closing(problem, functions, missing)
    if closing is None:
        return None
    smooth = [index for index in missing if index != closing]
    try:
        for index in smooth:
            duals[index] = functions[index].gradient(points[index])
        total = None
        for index, u in duals.items():
            linear_map = problem.terms[index].map
            part = u if linear_map is None else linear_map.adjoint(u)
            total = part if total is None else total + part
        duals[closing] = 0.0 * x if total is None else -total
        return _dual_value(functions, points, duals, smooth)
    except (MonopsError, TypeError, ValueError, AttributeError):  # dual points of another shape: not those of this choice
        return None


def _closing(problem: Inclusion, functions: list[Any], missing: list[int]) -> int | None:
    """The term whose u is what makes the sum 0: one without a map; all other missing ones must be smooth."""
    free = [index for index in missing if problem.terms[index].map is None and not isinstance(functions[index], LeastSquares)]
    rough = [index for index in missing if not functions[index].has_gradient]
    if len(rough) > 1 or not free:
        return None
    if rough:
        return rough[0] if rough[0] in free else None
    return free[-1]


def _dual_value(functions: list[Any], points: list[Array], duals: dict[int, Array], smooth: list[int]) -> Array:
    """-sum f_i*(u_i), with all u_i shrunk by the largest factor in [0, 1] that makes it finite."""

    def at(factor: Any, near: bool = False) -> Array:
        known = [_conjugate_at_gradient(functions[i], points[i], duals[i], factor) for i in smooth]
        return -_sum([*known, *(_conjugate(functions[i], u, factor, near) for i, u in duals.items() if i not in smooth)])

    value = at(None)
    xp = arrays.namespace(value)
    if bool(xp.all(xp.isfinite(value))):
        return value
    try:
        low, high = xp.zeros_like(value), xp.ones_like(value)
        for _ in range(SHRINKING):
            middle = 0.5 * (low + high)
            finite = xp.isfinite(at(middle))
            low, high = xp.where(finite, middle, low), xp.where(finite, high, middle)
        shrunk = at(low)
    except CapabilityError:  # a smooth term of unknown conjugate cannot be followed away from its gradient
        shrunk = at(None, near=True)
    return xp.where(xp.isfinite(value), value, shrunk)


def _conjugate(f: Function, u: Array, factor: Any, near: bool = False) -> Array:
    """f*(factor u); ``factor`` None is 1. With ``near`` a u that rounding has put outside the domain of f* is put back."""
    conjugate = f.conjugate()
    if not conjugate.has_value:
        raise CapabilityError(f"the conjugate of {f.value_formula('x')} has no closed-form value")
    point = u if factor is None else arrays.scale_rows(factor, u)
    value = conjugate(point)
    domain = conjugate.domain if near else None
    if domain is None or not domain.is_indicator or not domain.has_prox:
        return value
    inside = domain.prox(point)
    close = arrays.norm(point - inside, f.batch_ndim) <= ROUNDING * (1.0 + arrays.norm(point, f.batch_ndim))
    xp = arrays.namespace(value)
    return xp.where(~xp.isfinite(value) & close, conjugate(inside), value)


def _conjugate_at_gradient(f: Function, point: Array, u: Array, factor: Any) -> Array:
    """f*(factor u), or an upper bound of it, for u the gradient at the point."""
    if isinstance(f, LeastSquares):  # f*(A*t) <= |t|^2/2 + <b, t>, equal at t = A point - b
        t = f.A.apply(point) - f.b
        t = t if factor is None else arrays.scale_rows(factor, t)
        return 0.5 * arrays.inner(t, t, f.batch_ndim) + arrays.inner(f.b + 0.0 * t, t, f.batch_ndim)
    if factor is None:
        return arrays.inner(point, u, f.batch_ndim) - f(point)  # Fenchel and Young
    return _conjugate(f, u, factor)


def support(f: Function, direction: Array) -> Array | None:
    """sup of <direction, x> over the domain of f, or None where the domain or its support function is unknown."""
    domain = f.domain
    if domain is None:
        return None
    conjugate = domain.conjugate()
    return conjugate(direction) if conjugate.has_value else None
