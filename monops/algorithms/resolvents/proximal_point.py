"""Relaxed proximal point method for 0 in Ax: p = J_{gA} x, x+ = x + relaxation (p - x).

Martinet (1970) and Rockafellar (1976) for relaxation 1; Golshtein and Tretyakov (1979), Eckstein and Bertsekas (1992).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import alone, require_resolvent
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, relaxation: Number = 1) -> Guarantee | Missing:
    """Any step for relaxation in (0, 2); the distance to the solution shrinks by max(|1 - relaxation s|, |1 - relaxation|).

    s = step mu/(1 + step mu): the resolvent is (1 + step mu)-cocoercive, that is, in the disc with the diameter [0, 1 - s].
    """
    if not A.monotone:
        return Missing("A is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    mu, lipschitz = A.strong_monotonicity, A.lipschitz
    scale = 10 / lipschitz if lipschitz else 1.0

    def squared_contraction(step: Number) -> Number:
        return max((1 - relaxation * step * mu / (1 + step * mu)) ** 2, (1 - relaxation) ** 2)

    return Guarantee(
        interval=(0, math.inf),
        best_step=10 / mu if mu > 0 else scale,
        formula="0 < step_size",
        rate="linear" if mu > 0 else "|r|^2 = O(1/k^2)" if relaxation == 1 else "|r|^2 = O(1/k)",
        source="Rockafellar (1976) Thm 1-2; Gu-Yang (2020)" if relaxation == 1 else "Eckstein-Bertsekas (1992)",
        squared_contraction=squared_contraction if mu > 0 else None,
    )


class Terms(NamedTuple):
    """The matched problem."""

    A: Any
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing point, the resolvent p at the governing point before it, and that point."""

    x: Array
    p: Array
    previous: Array


@final
@dataclass(frozen=True)
class ProximalPoint(Algorithm):
    """x+ = x + relaxation (J_{step A} x - x) for a problem with a single term whose resolvent is closed-form.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven; larger is faster in exact arithmetic. Default: 10/mu, else 10/L, else 1.
    relaxation : float
        In (0, 2); default 1.

    Raises
    ------
    NotApplicableError
        When the problem has several terms, or its term no closed-form resolvent.
    StepSizeError
        When step or relaxation is outside the proven interval.

    Notes
    -----
    **Certificate** (x - p)/step, an element of Ap. The answer is p. **Cost** one resolvent.

    References
    ----------
    Rockafellar (1976), Monotone operators and the proximal point algorithm, Theorems 1 and 2. Eckstein and Bertsekas (1992), On
    the Douglas-Rachford splitting method and the proximal point algorithm.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Affine(np.array([[1.0, 1.0], [-1.0, 1.0]]), np.array([-2.0, 0.0]))
    >>> result = monops.solve(problem, monops.ProximalPoint())
    >>> np.round(result.x, 5)
    array([1., 1.])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 resolvent of A"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 100
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(
                f"relaxation={self.relaxation:g} is outside (0, 2), where ProximalPoint is proven (Eckstein-Bertsekas 1992)"
            )
        if len(problem.terms) != 1:
            self.refuse(Missing(f"the problem has {len(problem.terms)} terms, one is allowed", "use a splitting method"))
        A = alone(problem.terms[0])
        missing = require_resolvent(A, None)
        proven = missing or guarantee(A.constants, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        return Terms(A, step, float(self.relaxation), proven, A.constants, notes(A.constants))

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, x0, x0)

    def step(self, terms: Terms, state: State) -> State:
        x = state.x
        p = terms.A.resolvent(x, terms.step_size)
        return State(p if terms.relaxation == 1.0 else x + terms.relaxation * (p - x), p, x)

    def averagedness(self, terms: Terms) -> float:
        return 0.5 * terms.relaxation

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.p)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.p) / terms.step_size
