"""The iteration z+ = (1 - a) z + a f(z) for z = f(z) (Picard 1890, Banach 1922; relaxed: Krasnosel'skii 1955, Mann 1953)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.any_map import UNPROVEN, Terms, fixed_point_of, unproven
from monops.arrays import Array
from monops.errors import DataError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(q: Number) -> Guarantee | Missing:
    """f q-Lipschitz, q <= 1: relaxation in (0, 2/(1 + q)), factor |1 - a| + a q, attained by f(z) = q z or -q z.

    For q < 1 the upper end of the interval is where the factor reaches 1; for q = 1 it is Krasnosel'skii's and Mann's (0, 1).
    """
    if q > 1:
        return Missing("f is not known to be nonexpansive", "declare lipschitz <= 1 in FixedPoint if it is")

    def squared_contraction(step: Number) -> Number:
        return (abs(1 - step) + step * q) ** 2

    return Guarantee(
        interval=(0, 2 / (1 + q)),
        best_step=1 if q < 1 else 0.5,
        formula="0 < relaxation < 2/(1 + q)",
        rate="linear" if q < 1 else "|z - f(z)|^2 = O(1/k)",
        source="Banach (1922); Krasnosel'skii (1955), Mann (1953)",
        squared_contraction=squared_contraction if q < 1 else None,
    )


class State(NamedTuple):
    """z and f(z)."""

    z: Array
    image: Array


def _relaxed(terms: Terms, state: State) -> Array:
    """(1 - a) z + a f(z)."""
    return state.image if terms.step_size == 1.0 else state.z + terms.step_size * (state.image - state.z)


@final
@dataclass(frozen=True)
class Picard(Algorithm):
    """z+ = (1 - a) z + a f(z) for the fixed points of a map f.

    Parameters
    ----------
    relaxation : float, optional
        a. Default 1; 1/2 for a map that is declared nonexpansive and no contraction.

    Raises
    ------
    NotApplicableError
        When the problem is no `FixedPoint`.
    StepSizeError
        When a declared Lipschitz constant q <= 1 of f proves another interval, 0 < a < 2/(1 + q).

    Notes
    -----
    Where nothing is declared of f, nothing is proven, and the notes of the result say so. A strictly triangular f is solved
    exactly, in as many steps as it has rows. **Certificate** z - f(z). **Cost** one value of f.

    References
    ----------
    Picard (1890). Banach (1922). Krasnosel'skii (1955). Mann (1953).

    Examples
    --------
    >>> import numpy as np, monops
    >>> monops.solve(monops.FixedPoint(np.cos), monops.Picard(), x0=np.zeros(1)).x.round(5)
    array([0.73908])
    """

    relaxation: float | None = None
    cost: ClassVar[str] = "1 value of f"
    evaluations: ClassVar[float] = 1.0
    typical_iterations: ClassVar[float] = 5000
    steps_a_check: ClassVar[int] = 1
    has_linear_rate: ClassVar[bool] = True
    needs_constants: ClassVar[bool] = False
    is_map: ClassVar[bool] = True
    takes_any_map: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.relaxation is not None and (isinstance(self.relaxation, bool) or not 0 < self.relaxation < math.inf):
            raise DataError(f"Picard: relaxation={self.relaxation!r} must be a positive finite number")

    def match(self, problem: Inclusion) -> Terms:
        operator = fixed_point_of(problem, self)
        q = operator.lipschitz
        proven = None if q is None else guarantee(q)
        if not isinstance(proven, Guarantee):
            step = 1.0 if self.relaxation is None else float(self.relaxation)
            return Terms(operator, step, unproven("Picard (1890)"), operator.constants, (UNPROVEN,), problem.batch_ndim)
        step = proven.resolve(self.relaxation, self.name, "relaxation")
        return Terms(operator, step, proven, operator.constants, (), problem.batch_ndim)

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, terms.operator.image(x0))

    def step(self, terms: Terms, state: State) -> State:
        return self.init(terms, _relaxed(terms, state))

    def image(self, terms: Terms, z: Array) -> tuple[State, Array]:
        here = self.init(terms, z)  # one value of f; a step from z would need another for the certificate at Tz
        return here, _relaxed(terms, here)

    def expected_iterations(self, terms: Terms) -> float:
        return math.inf if terms.notes else self.typical_iterations

    def averagedness(self, terms: Terms) -> float | None:
        q = terms.operator.lipschitz
        return None if q is None or q > 1 else terms.step_size * (1 + q) / 2

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.z)

    def certificate(self, terms: Terms, state: State) -> Array:
        return state.z - state.image
