"""Forward-backward splitting for 0 in Ax + Bx: x+ = J_{gA}(x - g Bx) (Lions and Mercier 1979; Passty 1979)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import require_resolvent, sort_roles, too_many_resolvents, zero
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def forward_contraction(B: Constants, step: Number) -> Number:
    """Squared Lipschitz constant of I - step B for monotone B (theorems OP-09, OP-10, OP-11 of ``proofs``).

    Subdifferential: max(|1 - step mu|, |1 - step L|)^2; otherwise 1 - 2 step mu + step^2 mu/beta up to step = 2 beta
    and (1 - step/beta)^2 beyond; and never more than 1 - 2 step mu + step^2 L^2.
    """
    mu, beta, lipschitz = B.strong_monotonicity, B.cocoercivity, B.lipschitz
    if beta == math.inf:
        return 1
    if B.cyclic:
        return max(abs(1 - step * mu), abs(1 - step * lipschitz)) ** 2
    lipschitz_only = 1 - 2 * step * mu + step**2 * lipschitz**2
    return min(lipschitz_only, 1 - 2 * step * mu + step**2 * mu / beta if step <= 2 * beta else (1 - step / beta) ** 2)


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """What is proven for 0 in Ax + Bx with A by its resolvent and B cocoercive, or the missing hypothesis."""
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
    linear = mu > 0 or strong > 0

    def squared_contraction(step: Number) -> Number:
        return forward_contraction(B, step) / (1 + step * strong) ** 2

    return Guarantee(
        interval=(0, 2 * beta),
        best_step=best,
        formula="0 < step_size < 2*beta",
        rate="linear" if linear else "objective gap O(1/k)" if A.cyclic and B.cyclic else "|r|^2 = O(1/k)",
        source="Bauschke-Combettes (2017) Thm 26.14, Prop. 26.16",
        squared_contraction=squared_contraction if linear else None,
    )


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: Any
    B: Any
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, Bx and the pair before it."""

    x: Array
    Bx: Array
    previous: Array
    B_previous: Array


@final
@dataclass(frozen=True)
class ForwardBackward(Algorithm):
    """x+ = J_{step A}(x - step Bx): A by its resolvent, B cocoercive by its value; proximal gradient for functions.

    Parameters
    ----------
    step_size : float, optional
        In (0, 2 beta). Default: 2/(mu + L) for a strongly convex smooth term, else beta = 1/L.

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent, or no term is cocoercive.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    **Certificate** (x - x+)/step + Bx+ - Bx, an element of Ax+ + Bx+. **Cost** one value of B, one resolvent of A.

    References
    ----------
    Bauschke and Combettes (2017), Convex Analysis and Monotone Operator Theory, Theorem 26.14 and Proposition 26.16.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(2), np.array([3.0, 0.5])) + monops.L1Norm()
    >>> monops.solve(problem, monops.ForwardBackward()).x
    array([2., 0.])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 value of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 1.0
    typical_iterations: ClassVar[float] = 5000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        roles = sort_roles(problem, "cocoercivity")
        for operator in roles.resolvents:
            missing = require_resolvent(operator, "cocoercivity")
            if missing is not None:
                self.refuse(missing)
        if len(roles.resolvents) > 1:
            self.refuse(too_many_resolvents(roles.resolvents, "cocoercivity", "use DouglasRachford or DavisYin"))
        A = roles.resolvents[0] if roles.resolvents else zero(problem)
        if roles.forward is None:
            self.refuse(
                Missing(
                    "no term has a forward value with a known cocoercivity",
                    "for a monotone Lipschitz term use ForwardBackwardForward, for two resolvents DouglasRachford",
                )
            )
        B = roles.forward
        proven = guarantee(A.constants, B.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        total = calculus.add(A.constants, B.constants)
        return Terms(A, B, step, proven, total, notes(A.constants, B.constants))

    def init(self, terms: Terms, x0: Array) -> State:
        Bx = terms.B.forward(x0)
        return State(x0, Bx, x0, Bx)

    def step(self, terms: Terms, state: State) -> State:
        x, Bx, _, _ = state
        step = terms.step_size
        new = terms.A.resolvent(x - step * Bx, step)
        return State(new, terms.B.forward(new), x, Bx)

    def averagedness(self, terms: Terms) -> float:
        beta = float(terms.B.constants.cocoercivity)  # Bauschke-Combettes (2017), Prop. 26.1(iv)
        return 0.5 if beta == math.inf else 2.0 * beta / (4.0 * beta - terms.step_size)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.x) / terms.step_size + (state.Bx - state.B_previous)
