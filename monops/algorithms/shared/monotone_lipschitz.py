"""What the methods for 0 in Ax + Bx share, A by its resolvent and B monotone by its value: roles, primal-dual form, rates.

Terms with a linear map and no forward value are split off (Briceno-Arias and Combettes 2011; Combettes and Pesquet 2012): the
point becomes (x, y), A becomes (Ax, D^-1 y) and B becomes (Cx + K*y, -Kx), which is monotone and (|K| + L_C)-Lipschitz.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import (
    PrimalDualForward,
    PrimalDualResolvent,
    alone,
    describe,
    forward_operator,
    primal_dual_roles,
    require_resolvent,
    too_many_resolvents,
    zero,
)
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError
from monops.functions import Function
from monops.linear import LinearMap
from monops.problem import Inclusion, Term
from monops.theory import Guarantee, Missing, Number


class Split(NamedTuple):
    """A by its resolvent, B by its value, and the map when x is the first block of (x, y)."""

    A: Any
    B: Any
    map: LinearMap | None


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers; ``map`` when x is the first block of (x, y)."""

    A: Any
    B: Any
    step_size: float
    map: LinearMap | None
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


# ---- roles ----------------------------------------------------------------------------------------


def split(problem: Inclusion, needs_lipschitz: bool = True) -> Split | Missing:
    """Roles of the problem; with ``needs_lipschitz`` only terms with a known Lipschitz constant go forward.

    Without it, a monotone term whose constant is unknown goes forward too, unless it has a resolvent.
    """
    forward = tuple(term for term in problem.terms if _goes_forward(term, needs_lipschitz))
    rest = tuple(term for term in problem.terms if not _goes_forward(term, needs_lipschitz))
    if all(term.map is None for term in rest):
        return _without_maps(problem, forward, rest, needs_lipschitz)
    # smooth terms with a map whose resolvent is known are split off with the others: the norm of K enters once, not squared
    forward = tuple(term for term in forward if term.map is None or not term.summand.has_resolvent)
    rest = tuple(term for term in problem.terms if term not in forward)
    for term in rest:
        missing = _not_a_resolvent(term.summand, needs_lipschitz)
        if missing is not None:
            return missing
    roles = primal_dual_roles(Inclusion(rest, problem.batch_ndim), None)
    if isinstance(roles, Missing):
        return roles
    roles = roles._replace(forward=forward_operator(forward))
    return Split(PrimalDualResolvent(roles), PrimalDualForward(roles), roles.map)


def _goes_forward(term: Term, needs_lipschitz: bool) -> bool:
    lipschitz = term.constants.lipschitz
    if not term.has_forward:
        return False
    if lipschitz is not None and lipschitz < math.inf:
        return term.constants.monotone or lipschitz == 0
    return not needs_lipschitz and term.constants.monotone and not term.summand.has_resolvent


def _without_maps(
    problem: Inclusion, forward: tuple[Term, ...], rest: tuple[Term, ...], needs_lipschitz: bool
) -> Split | Missing:
    operators = tuple(alone(term) for term in rest)
    for operator in operators:
        missing = _not_a_resolvent(operator, needs_lipschitz)
        if missing is not None:
            return missing
    if len(operators) > 1:
        return too_many_resolvents(operators, "lipschitz", "use DouglasRachford or DavisYin")
    B = forward_operator(forward)
    if B is None:
        known = "a known Lipschitz constant" if needs_lipschitz else "known monotonicity and no resolvent"
        return Missing(f"no term has a forward value with {known}", "use ProximalPoint")
    return Split(operators[0] if operators else zero(problem), B, None)


def _not_a_resolvent(operator: Any, needs_lipschitz: bool) -> Missing | None:
    """What keeps a term that did not go forward from going by its resolvent."""
    if operator.has_forward and not operator.has_resolvent and not needs_lipschitz and not isinstance(operator, Function):
        return Missing(
            f"{describe(operator)} is not known to be monotone",
            "declare constants=Constants(strong_monotonicity=0.0) if it is",
        )
    return require_resolvent(operator, "lipschitz" if needs_lipschitz else None)


def hypotheses(A: Constants, B: Constants, *, lipschitz: bool = True, cyclic: bool = False) -> Missing | None:
    """The hypothesis that fails: A and B monotone, B Lipschitz, A a subdifferential."""
    if not A.monotone:
        return Missing("A is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    if not B.monotone:
        return Missing(
            "B is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0, lipschitz=L) if it is"
        )
    if lipschitz and (B.lipschitz is None or B.lipschitz == math.inf):
        return Missing(
            "B has no known Lipschitz constant",
            "declare constants=Constants(lipschitz=...), or use ForwardBackwardForwardLineSearch, which needs none",
        )
    if cyclic and not A.cyclic:
        return Missing(
            "A is not known to be the subdifferential of a convex function, and at every step there are skew A and B on which "
            "the method diverges",
            "use ForwardBackwardForward or ForwardReflectedBackward",
        )
    return None


# ---- terms, start and answer ------------------------------------------------------------------------


def bind(
    method: Algorithm,
    problem: Inclusion,
    guarantee: Callable[[Constants, Constants], Guarantee | Missing],
    step_size: float | None,
    needs_lipschitz: bool = True,
) -> Terms:
    """Terms of the method for the problem; refuses with the reason."""
    found = split(problem, needs_lipschitz)
    if isinstance(found, Missing):
        method.refuse(found)
    A, B = found.A.constants, found.B.constants
    proven = guarantee(A, B)
    if isinstance(proven, Missing):
        method.refuse(proven)
    step = proven.resolve(step_size, method.name)
    return Terms(found.A, found.B, step, found.map, problem.batch_ndim, proven, calculus.add(A, B), notes(A, B))


def start(terms: Terms, x0: Array) -> Array:
    """x0, or (x0, 0) in the primal-dual form."""
    if terms.map is None:
        return x0
    shape = terms.map.input_shape
    if isinstance(x0, Blocks) and not (shape and isinstance(shape[0], tuple)):
        raise DataError("x0 of a problem with linear maps is the primal point alone: pass one array")
    return Blocks((x0, 0.0 * terms.map.apply(x0)))


def answer(terms: Terms, z: Array) -> Solution:
    """The point z as a solution: x, or x with its dual point."""
    return Solution(z) if terms.map is None else Solution(*z)


# ---- rates, on fractions too -------------------------------------------------------------------------


def total_monotonicity(A: Constants, B: Constants) -> Number:
    """Strong monotonicity of A + B."""
    return A.strong_monotonicity + B.strong_monotonicity


def two_resolvents_contraction(A: Constants, B: Constants, step: Number, slack: Number) -> Number:
    """The factor of methods with two resolvents of the subdifferential A.

    They satisfy (1 + step mu_A) |x+ - x*|^2 <= |x - x*|^2 - a |y - x*|^2 - slack |x - y|^2, a = step (2 mu_B + mu_A). With
    a |u|^2 + b |v|^2 >= ab/(a + b) |u + v|^2 the factor is (1 - ab/(a + b))/(1 + step mu_A).
    """
    gain = step * (2 * B.strong_monotonicity + A.strong_monotonicity)
    return (1 - gain * slack / (gain + slack)) / (1 + step * A.strong_monotonicity)


def best_step(squared_contraction: Callable[[Number], Number], upper: Number) -> float:
    """The step in (0, upper) with the least factor, by golden section: the factors here have a single valley."""
    ratio = 0.5 * (math.sqrt(5.0) - 1.0)
    low, high = 0.0, float(upper)
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if squared_contraction(left) < squared_contraction(right):
            high = right
        else:
            low = left
    return 0.5 * (low + high)


def first_step(B: Constants) -> float:
    """1/L where L is known, positive and finite, else 1: where a method that finds its own steps begins."""
    known = B.lipschitz is not None and 0 < B.lipschitz < math.inf
    return 1.0 / float(B.lipschitz) if known else 1.0


# ---- one step a row -----------------------------------------------------------------------------------
