"""Extragradient method (Korpelevich 1976) for 0 in Ax + Bx, A a subdifferential.

y = J_{gA}(x - g Bx),  x+ = J_{gA}(x - g By)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.monotone_lipschitz import (
    Terms,
    answer,
    best_step,
    bind,
    hypotheses,
    start,
    total_monotonicity,
    two_resolvents_contraction,
)
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """A a subdifferential, B monotone and L-Lipschitz: step s in (0, 1/L).

    One step gives (1 + s mu_A) |x+ - x*|^2 <= |x - x*|^2 - (1 - s^2 L^2) |x - y|^2 - s (2 mu_B + mu_A) |y - x*|^2.
    """
    missing = hypotheses(A, B, cyclic=True)
    if missing is not None:
        return missing
    lipschitz, linear = B.lipschitz, total_monotonicity(A, B) > 0

    def squared_contraction(step: Number) -> Number:
        return two_resolvents_contraction(A, B, step, 1 - (step * lipschitz) ** 2)

    limit = math.inf if lipschitz == 0 else 1 / lipschitz
    if lipschitz == 0:
        best: Number = 1.0
    else:
        best = best_step(squared_contraction, limit) if linear else 0.9 * limit
    return Guarantee(
        interval=(0, limit),
        best_step=best,
        formula="0 < step_size < 1/L",
        rate="linear" if linear else "best |r|^2 = O(1/k)",
        source="Korpelevich (1976)",
        squared_contraction=squared_contraction if linear else None,
    )


class State(NamedTuple):
    """x, Bx, the x before and B at the midpoint that x came from."""

    x: Array
    Bx: Array
    previous: Array
    B_middle: Array


@final
@dataclass(frozen=True)
class Extragradient(Algorithm):
    """The classic of variational inequalities: B at a midpoint, two projections (proxes) a step, no iterate infeasible.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/L). Default: the best proven step for strongly monotone problems, else 0.9/L.

    Raises
    ------
    NotApplicableError
        When A is not the subdifferential of a convex function (a normal cone is one): at every step there are skew A and B
        on which the method diverges.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    Terms with a linear map and no forward value are split in the primal-dual form; then L = |K| + L_C. Without A it is
    Tseng's method. For normal cones the last iterate has the rate of the best one (Cai, Oikonomou and Zheng 2022).
    **Certificate** (x - x+)/step - By + Bx+, an element of Ax+ + Bx+. **Cost** two values of B, two resolvents of A.

    References
    ----------
    Korpelevich (1976), The extragradient method for finding saddle points and other problems.
    Cai, Oikonomou and Zheng (2022), Tight last-iterate convergence of the extragradient and the optimistic gradient method.

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[2.0, -1.0], [-1.0, 1.0]]))
    >>> x, y = monops.solve(game, monops.Extragradient()).x
    >>> np.round(x, 4)
    array([0.4, 0.6])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "2 values of B, 2 resolvents of A"
    evaluations: ClassVar[float] = 2.5
    typical_iterations: ClassVar[float] = 6000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        return bind(self, problem, guarantee, self.step_size)

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, start(terms, x0))

    def step(self, terms: Terms, state: State) -> State:
        x, step = state.x, terms.step_size
        B_middle = terms.B.forward(terms.A.resolvent(x - step * state.Bx, step))
        new = terms.A.resolvent(x - step * B_middle, step)
        return State(new, terms.B.forward(new), x, B_middle)

    def at(self, terms: Terms, z: Array) -> State:
        Bx = terms.B.forward(z)
        return State(z, Bx, z, Bx)

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.x) / terms.step_size + (state.Bx - state.B_middle)
