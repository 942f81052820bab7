"""Projected reflected gradient method (Malitsky 2015) for 0 in Ax + Bx: x+ = J_{gA}(x - g B(2x - x_-)).

Malitsky proves it for normal cones, Cevher and Vu (2021) for every maximally monotone A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.monotone_lipschitz import Terms, answer, bind, hypotheses, start, total_monotonicity
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """A, B monotone, B L-Lipschitz: step in (0, (sqrt(2) - 1)/L)."""
    missing = hypotheses(A, B)
    if missing is not None:
        return missing
    lipschitz = B.lipschitz
    limit: Number = math.inf if lipschitz == 0 else (math.sqrt(2.0) - 1.0) / lipschitz
    return Guarantee(
        interval=(0, limit),
        best_step=1.0 if lipschitz == 0 else 0.95 * limit,
        formula="0 < step_size < (2**0.5 - 1)/L",
        rate="linear, factor not explicit" if total_monotonicity(A, B) > 0 else "best |r|^2 = O(1/k)",
        source="Malitsky (2015); Cevher-Vu (2021)",
    )


class State(NamedTuple):
    """x, the point before, and B at the reflected point that x came from."""

    x: Array
    previous: Array
    B_reflected: Array


@final
@dataclass(frozen=True)
class ProjectedReflectedGradient(Algorithm):
    """One value of B a step, at the reflected point 2x - x_-, and one resolvent.

    Parameters
    ----------
    step_size : float, optional
        In (0, (sqrt(2) - 1)/L). Default: 0.95 of the end.

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent and none has a linear map, or no term is Lipschitz.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    B is evaluated outside the domain of A. Terms with a linear map and no forward value are split in the primal-dual form;
    then L = |K| + L_C. The map of the method acts on (x, x_-). **Certificate** (x - x+)/step - B(2x - x_-) + Bx+, an element
    of Ax+ + Bx+. **Cost** one value of B, one resolvent of A; one more value of B a check.

    References
    ----------
    Malitsky (2015), Projected reflected gradient methods for monotone variational inequalities.
    Cevher and Vu (2021), A reflected forward-backward splitting method for monotone inclusions.

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[2.0, -1.0], [-1.0, 1.0]]))
    >>> x, y = monops.solve(game, monops.ProjectedReflectedGradient()).x
    >>> np.round(x, 4)
    array([0.4, 0.6])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 value of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 1.1
    typical_iterations: ClassVar[float] = 19000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        return bind(self, problem, guarantee, self.step_size)

    def init(self, terms: Terms, x0: Array) -> State:
        x = start(terms, x0)
        return State(x, x, terms.B.forward(x))

    def step(self, terms: Terms, state: State) -> State:
        x = state.x
        B_reflected = terms.B.forward(2.0 * x - state.previous)
        return State(terms.A.resolvent(x - terms.step_size * B_reflected, terms.step_size), x, B_reflected)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.x, state.previous))

    def at(self, terms: Terms, z: Array) -> State:
        x, previous = z
        return State(x, previous, terms.B.forward(x))

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.x) / terms.step_size + (terms.B.forward(state.x) - state.B_reflected)
