"""What methods with one resolvent for each of n >= 2 terms share: roles, the element of the operator at the answer, constants.

A method offers a point x_i and an element a_i of A_i x_i for every term. The answer is the point of the last term.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from monops import constants as calculus
from monops.algorithms.roles import alone, require_resolvent
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Missing

Maps = Sequence[LinearMap | None] | None


def several_resolvents(problem: Inclusion) -> tuple[Any, ...] | Missing:
    """The operators of a sum of at least two terms without linear maps; those without a forward value come last."""
    operators = [alone(term) for term in problem.terms]
    for operator in operators:
        missing = require_resolvent(operator, None)
        if missing is not None:
            return missing
    if len(operators) == 1:
        return Missing("the problem has a single term", "use ProximalPoint, or write the problem as a sum of several terms")
    return tuple(sorted(operators, key=lambda operator: not operator.has_forward))


def not_monotone(*operators: Constants) -> Missing | None:
    """The hypothesis that all of these methods share, when a term lacks it."""
    for number, known in enumerate(operators, start=1):
        if not known.monotone:
            return Missing(
                f"term {number} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is"
            )
    return None


def certificate(operators: Sequence[Any], points: Sequence[Array], elements: Sequence[Array], maps: Maps = None) -> Array:
    """The residual of 0 in sum of K_i* A_i K_i x at the last point x, from points x_i and elements a_i of A_i x_i.

    A term with a forward value is evaluated at x; every other contributes K_i* a_i and the gap x_i - K_i x. Without gaps the
    result is an element of the sum at x; with them, of the primal-dual operator (sum over single-valued terms and the last
    one at x + sum K_i* a_i, A_i^-1 a_i - K_i x) at (x, a_i, ...).
    """
    x, total, gaps = points[-1], elements[-1], []
    for index in range(len(operators) - 1):
        K = None if maps is None else maps[index]
        image = x if K is None else K.apply(x)
        if operators[index].has_forward:
            element = operators[index].forward(image)
        else:
            element = elements[index]
            gaps.append(points[index] - image)
        total = total + (element if K is None else K.adjoint(element))
    return Blocks((total, *gaps)) if gaps else total


def dual(operators: Sequence[Any], elements: Sequence[Array]) -> Array | None:
    """The dual points of the certificate: a_i of every term but the last that has no forward value; None for no such term."""
    kept = [element for operator, element in zip(operators[:-1], elements[:-1], strict=True) if not operator.has_forward]
    return None if not kept else kept[0] if len(kept) == 1 else Blocks(kept)


def certificate_constants(operators: Sequence[Any], terms: Sequence[Any] | None = None) -> Constants:
    """Constants of the operator that ``certificate`` belongs to, without its skew part; ``terms`` are K_i* A_i K_i."""
    composed = operators if terms is None else terms
    single = [term.constants for operator, term in zip(operators[:-1], composed[:-1], strict=True) if operator.has_forward]
    primal = reduce(calculus.add, single, composed[-1].constants)
    inverses = [calculus.inverse(operator.constants) for operator in operators[:-1] if not operator.has_forward]
    return calculus.product([primal, *inverses]) if inverses else primal
