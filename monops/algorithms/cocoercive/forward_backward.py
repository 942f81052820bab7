"""Forward-backward splitting for 0 in Ax + Bx (Lions and Mercier 1979; Passty 1979).

p = J_{gA}(x - g Bx),  x+ = x + relaxation (p - x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.forward_terms import check_relaxation, one_resolvent
from monops.algorithms.shared.forward_terms import forward_contraction as forward_contraction
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number

SOURCE = "Bauschke-Combettes (2017) Thm 26.14, Prop. 26.16"
WIDE_SOURCE = "Bauschke-Combettes (2017) Thm 26.14; steps beyond 2 beta: Aragon-Artacho, Torregrosa-Belen (2022)"


def guarantee(A: Constants, B: Constants, relaxation: Number = 1) -> Guarantee | Missing:
    """What is proven for 0 in Ax + Bx with A by its resolvent and B cocoercive, or the missing hypothesis.

    The step is in (0, 2 beta (2 - relaxation)). With rho the factor at relaxation 1, that of the relaxed step is at most
    |1 - relaxation| + relaxation rho, and never more than 1.
    """
    if not A.monotone:
        return Missing("A is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    if B.cocoercivity is None or B.cocoercivity == 0 or not B.monotone:
        return Missing(
            "B is not known to be cocoercive",
            "for a monotone Lipschitz B use ForwardBackwardForward; if it is cocoercive declare its cocoercivity",
        )
    mu, beta = B.strong_monotonicity, B.cocoercivity
    strong = A.strong_monotonicity
    if beta == math.inf:
        best: Number = 1.0
    elif B.cyclic and mu > 0:
        best = 2 / (mu + B.lipschitz)
    else:
        best = beta
    if relaxation > 1 and beta != math.inf:
        best = min(best, beta * (2 - relaxation))

    def squared_contraction(step: Number) -> Number:
        plain = forward_contraction(B, step) / (1 + step * strong) ** 2
        if relaxation == 1:
            return plain
        return min(1, abs(1 - relaxation) + relaxation * math.sqrt(plain)) ** 2

    linear = (mu > 0 or strong > 0) and squared_contraction(best) < 1
    functions = A.cyclic and B.cyclic and relaxation == 1
    return Guarantee(
        interval=(0, 2 * beta * (2 - relaxation)),
        best_step=best,
        formula="0 < step_size < 2*beta" if relaxation == 1 else "0 < step_size < 2*beta*(2 - relaxation)",
        rate="linear" if linear else "objective gap O(1/k)" if functions else "|r|^2 = O(1/k)",
        source=SOURCE if relaxation >= 1 else WIDE_SOURCE,
        squared_contraction=squared_contraction if linear else None,
    )


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: Any
    B: Any
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, Bx, the resolvent p that x was relaxed towards (x itself at relaxation 1), and x and Bx before it."""

    x: Array
    Bx: Array
    point: Array
    previous: Array
    B_previous: Array


@final
@dataclass(frozen=True)
class ForwardBackward(Algorithm):
    """p = J_{step A}(x - step Bx), x+ = x + relaxation (p - x); proximal gradient for functions.

    Parameters
    ----------
    step_size : float, optional
        In (0, 2 beta (2 - relaxation)). Default: 2/(mu + L) for a strongly convex smooth term, else beta = 1/L; at most the
        middle of the interval when relaxation > 1.
    relaxation : float
        In (0, 2); default 1. Below 1 the step may exceed 2 beta.

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent, or no term is cocoercive.
    StepSizeError
        When the step or the relaxation is outside the proven interval.

    Notes
    -----
    **Certificate** (x - p)/step + Bp - Bx, an element of Ap + Bp. **Cost** one value of B, one resolvent of A; one value of B
    more a check unless the relaxation is 1.

    References
    ----------
    Bauschke and Combettes (2017), Convex Analysis and Monotone Operator Theory, Theorem 26.14 and Proposition 26.16.
    Aragon-Artacho and Torregrosa-Belen (2022), A direct proof of convergence of Davis-Yin splitting allowing larger stepsizes.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(2), np.array([3.0, 0.5])) + monops.L1Norm()
    >>> monops.solve(problem, monops.ForwardBackward()).x
    array([2., 0.])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 value of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 1.0
    typical_iterations: ClassVar[float] = 5000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        check_relaxation(self.relaxation, self.name, "Bauschke-Combettes 2017")
        roles = one_resolvent(problem)
        if isinstance(roles, Missing):
            self.refuse(roles)
        A, B = roles
        proven = guarantee(A.constants, B.constants, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        total = calculus.add(A.constants, B.constants)
        return Terms(A, B, step, float(self.relaxation), proven, total, notes(A.constants, B.constants))

    def init(self, terms: Terms, x0: Array) -> State:
        Bx = terms.B.forward(x0)
        return State(x0, Bx, x0, x0, Bx)

    def step(self, terms: Terms, state: State) -> State:
        x, Bx, _, _, _ = state
        step, relaxation = terms.step_size, terms.relaxation
        point = terms.A.resolvent(x - step * Bx, step)
        new = point if relaxation == 1.0 else x + relaxation * (point - x)
        return State(new, terms.B.forward(new), point, x, Bx)

    def averagedness(self, terms: Terms) -> float:
        beta = float(terms.B.constants.cocoercivity)  # Bauschke-Combettes (2017), Prop. 26.1(iv)
        return terms.relaxation * (0.5 if beta == math.inf else 2.0 * beta / (4.0 * beta - terms.step_size))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.point)

    def certificate(self, terms: Terms, state: State) -> Array:
        forward = state.Bx if terms.relaxation == 1.0 else terms.B.forward(state.point)
        return (state.previous - state.point) / terms.step_size + (forward - state.B_previous)
