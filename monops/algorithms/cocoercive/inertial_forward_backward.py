"""Inertial forward-backward splitting for 0 in Ax + Bx (Lorenz and Pock 2015; after Polyak 1964, Alvarez and Attouch 2001).

y = x + inertia (x - x_-),  p = J_{gA}(y - g By),  x+ = y + relaxation (p - y).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.forward_terms import check_relaxation, one_resolvent
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants, inertia: Number, relaxation: Number = 1) -> Guarantee | Missing:
    """A monotone, B beta-cocoercive: step < 2 beta (1 - 3 inertia)/(1 - inertia)^2 at relaxation 1.

    The step p = Ty has |x+ - x*|^2 <= |y - x*|^2 - k |x+ - y|^2 with k = (4 beta - step)/(2 beta relaxation) - 1, and

        |x - x*|^2 - inertia |x_- - x*|^2 + (inertia (1 + inertia) + k inertia (1 - inertia)) |x - x_-|^2

    decreases if inertia (1 + inertia) < k (1 - inertia)^2, which is the interval. It cannot be larger: for a resolvent and a
    forward step that turn by small angles the iteration leaves the unit circle at its end (see the tests).
    """
    if not A.monotone:
        return Missing("A is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    if B.cocoercivity is None or B.cocoercivity == 0 or not B.monotone:
        return Missing("B is not known to be cocoercive", "declare its cocoercivity, or use ForwardBackwardForward")
    beta = B.cocoercivity
    upper = beta * (4 - 2 * relaxation * (1 - inertia + 2 * inertia**2) / (1 - inertia) ** 2)
    return Guarantee(
        interval=(0, upper),
        best_step=1.0 if beta == math.inf else 4 * upper / 5,
        formula="0 < step_size < beta*(4 - 2*relaxation*(1 - inertia + 2*inertia**2)/(1 - inertia)**2)",
        rate="|r|^2 = o(1/k) on the best iterate",
        source="Lorenz-Pock (2015); relaxed: Mainge (2008)",
    )


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: Any
    B: Any
    step_size: float
    inertia: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x and the x before it; the resolvent p, and the y and By that it came from."""

    x: Array
    previous: Array
    point: Array
    y: Array
    By: Array


@final
@dataclass(frozen=True)
class InertialForwardBackward(Algorithm):
    """Forward-backward steps from the extrapolated point y = x + inertia (x - x_-): heavy-ball momentum for operators.

    Parameters
    ----------
    step_size : float, optional
        Below 2 beta (1 - 3 inertia)/(1 - inertia)^2 at relaxation 1. Default: 4/5 of the bound.
    inertia : float
        In [0, 1); the bound on the step must stay positive: below 1/3 at relaxation 1. Default 1/5.
    relaxation : float
        In (0, 2); default 1.

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent, or no term is cocoercive.
    StepSizeError
        When step, inertia and relaxation are outside the proven set.

    Notes
    -----
    No term need be a function: the momentum is a constant, and the proof one of monotone operators.
    **Certificate** (y - p)/step + Bp - By, an element of Ap + Bp. **Cost** one value of B, one resolvent of A; one value of B
    more a check.

    References
    ----------
    Lorenz and Pock (2015), An inertial forward-backward algorithm for monotone inclusions. Mainge (2008), Convergence theorems
    for inertial KM-type algorithms.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(2), np.array([3.0, 0.5])) + monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.InertialForwardBackward()).x, 5)
    array([2., 0.])
    """

    step_size: float | None = None
    inertia: float = 0.2
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 value of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 1.1
    typical_iterations: ClassVar[float] = 5000

    def match(self, problem: Inclusion) -> Terms:
        check_relaxation(self.relaxation, self.name, "Lorenz-Pock 2015")
        if not 0 <= self.inertia < 1:
            raise StepSizeError(f"inertia={self.inertia:g} is outside [0, 1), where {self.name} is proven (Lorenz-Pock 2015)")
        roles = one_resolvent(problem)
        if isinstance(roles, Missing):
            self.refuse(roles)
        A, B = roles
        proven = guarantee(A.constants, B.constants, self.inertia, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        if not proven.interval[1] > 0:
            raise StepSizeError(
                f"inertia={self.inertia:g} is too large at relaxation={self.relaxation:g}: {proven.formula} leaves no step "
                f"({proven.source}). Use a smaller inertia; at relaxation 1 it must be below 1/3"
            )
        step = proven.resolve(self.step_size, self.name)
        total = calculus.add(A.constants, B.constants)
        remarks = notes(A.constants, B.constants)
        return Terms(A, B, step, float(self.inertia), float(self.relaxation), proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, x0, x0, x0, terms.B.forward(x0))

    def step(self, terms: Terms, state: State) -> State:
        x, step, relaxation = state.x, terms.step_size, terms.relaxation
        y = x + terms.inertia * (x - state.previous)
        By = terms.B.forward(y)
        point = terms.A.resolvent(y - step * By, step)
        new = point if relaxation == 1.0 else y + relaxation * (point - y)
        return State(new, x, point, y, By)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.point)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.y - state.point) / terms.step_size + (terms.B.forward(state.point) - state.By)
