"""Proximal point method for 0 in Ax: x+ = J_{gA} x (Martinet 1970; Rockafellar 1976)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import alone, require_resolvent
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing


def guarantee(A: Constants) -> Guarantee | Missing:
    """Any step; the distance to the solution shrinks by 1/(1 + step mu) (Rockafellar 1976, Thm 1-2)."""
    if not A.monotone:
        return Missing("A is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    mu, lipschitz = A.strong_monotonicity, A.lipschitz
    scale = 10 / lipschitz if lipschitz else 1.0
    return Guarantee(
        interval=(0, math.inf),
        best_step=10 / mu if mu > 0 else scale,
        formula="0 < step_size",
        rate="linear: 1/(1 + step*mu)" if mu > 0 else "|r|^2 = O(1/k^2)",
        source="Rockafellar (1976) Thm 1-2; Gu-Yang (2020)",
        squared_contraction=(lambda step: 1 / (1 + step * mu) ** 2) if mu > 0 else None,
    )


class Terms(NamedTuple):
    """The matched problem."""

    A: Any
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x and the point before it."""

    x: Array
    previous: Array


@final
@dataclass(frozen=True)
class ProximalPoint(Algorithm):
    """x+ = J_{step A} x for a problem with a single term whose resolvent is closed-form.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven; larger is faster in exact arithmetic. Default: 10/mu, else 10/L, else 1.

    References
    ----------
    Rockafellar (1976), Monotone operators and the proximal point algorithm, Theorems 1 and 2.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Affine(np.array([[1.0, 1.0], [-1.0, 1.0]]), np.array([-2.0, 0.0]))
    >>> result = monops.solve(problem, monops.ProximalPoint())
    >>> np.round(result.x, 5)
    array([1., 1.])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 resolvent of A"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 100
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if len(problem.terms) != 1:
            self.refuse(Missing(f"the problem has {len(problem.terms)} terms, one is allowed", "use a splitting method"))
        A = alone(problem.terms[0])
        missing = require_resolvent(A, None)
        proven = missing or guarantee(A.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        return Terms(A, proven.resolve(self.step_size, self.name), proven, A.constants, notes(A.constants))

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, x0)

    def step(self, terms: Terms, state: State) -> State:
        return State(terms.A.resolvent(state.x, terms.step_size), state.x)

    def averagedness(self, terms: Terms) -> float:
        return 0.5

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.x) / terms.step_size
