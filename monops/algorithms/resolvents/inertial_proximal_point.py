"""Inertial proximal point method for 0 in Ax: x+ = J_{gA}(x + inertia (x - x_previous)) (Alvarez and Attouch 2001)."""

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
from monops.theory import Guarantee, Missing


def guarantee(A: Constants) -> Guarantee | Missing:
    """Any step for a constant inertia in [0, 1/3).

    No larger one can be proven: for step A = i s, a rotation by a right angle times a small number s, the iteration has a
    multiplier with the squared modulus 1 + s^2 (3 inertia - 1)/(1 - inertia)^3 + O(s^3).
    """
    if not A.monotone:
        return Missing("A is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    mu, lipschitz = A.strong_monotonicity, A.lipschitz
    return Guarantee(
        interval=(0, math.inf),
        best_step=10 / mu if mu > 0 else 10 / lipschitz if lipschitz else 1.0,
        formula="0 < step_size",
        rate="least |r|^2 so far O(1/k)",
        source="Alvarez-Attouch (2001)",
    )


class Terms(NamedTuple):
    """The matched problem."""

    A: Any
    step_size: float
    inertia: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, the point before it, and the extrapolated point that x came from."""

    x: Array
    previous: Array
    extrapolated: Array


@final
@dataclass(frozen=True)
class InertialProximalPoint(Algorithm):
    """Proximal point with momentum, for a problem with a single term whose resolvent is closed-form.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven. Default: 10/mu, else 10/L, else 1.
    inertia : float
        In [0, 1/3); default 0.3.

    Raises
    ------
    NotApplicableError
        When the problem has several terms, or its term no closed-form resolvent.
    StepSizeError
        When step or inertia is outside the proven interval.

    Notes
    -----
    **Certificate** (y - x)/step with the extrapolated point y, an element of Ax. **Cost** one resolvent.

    References
    ----------
    Alvarez and Attouch (2001), An inertial proximal method for maximal monotone operators via discretization of a nonlinear
    oscillator with damping.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Affine(np.array([[1.0, 1.0], [-1.0, 1.0]]), np.array([-2.0, 0.0]))
    >>> np.round(monops.solve(problem, monops.InertialProximalPoint()).x, 5)
    array([1., 1.])
    """

    step_size: float | None = None
    inertia: float = 0.3
    cost: ClassVar[str] = "1 resolvent of A"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 1000

    def match(self, problem: Inclusion) -> Terms:
        if not 0 <= self.inertia < 1 / 3:
            raise StepSizeError(
                f"inertia={self.inertia:g} is outside [0, 1/3), where InertialProximalPoint is proven (Alvarez-Attouch 2001)"
            )
        if len(problem.terms) != 1:
            self.refuse(Missing(f"the problem has {len(problem.terms)} terms, one is allowed", "use a splitting method"))
        A = alone(problem.terms[0])
        missing = require_resolvent(A, None)
        proven = missing or guarantee(A.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        return Terms(A, step, float(self.inertia), proven, A.constants, notes(A.constants))

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, x0, x0)

    def step(self, terms: Terms, state: State) -> State:
        extrapolated = state.x + terms.inertia * (state.x - state.previous)
        return State(terms.A.resolvent(extrapolated, terms.step_size), state.x, extrapolated)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.extrapolated - state.x) / terms.step_size
