"""Popov's method (1980), the extragradient method with the past value of B, for 0 in Ax + Bx, A a subdifferential.

y+ = J_{gA}(x - g By), x+ = J_{gA}(x - g By+). Without A it is the optimistic gradient method.
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
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """A a subdifferential, B monotone and L-Lipschitz: step s in (0, 1/(2L)).

    The energy E = |x - x*|^2 + |x - y|^2 obeys (1 + s mu_A) E+ <= E - (1 - 4 s^2 L^2) (|x - y+|^2 + |x - y|^2)
    - s (2 mu_B + mu_A) |y+ - x*|^2, because |x+ - y+| <= sL |y+ - y|; the linear factor is that of E.
    """
    missing = hypotheses(A, B, cyclic=True)
    if missing is not None:
        return missing
    lipschitz, linear = B.lipschitz, total_monotonicity(A, B) > 0

    def squared_contraction(step: Number) -> Number:
        return two_resolvents_contraction(A, B, step, 1 - (2 * step * lipschitz) ** 2)

    limit = math.inf if lipschitz == 0 else 1 / (2 * lipschitz)
    if lipschitz == 0:
        best: Number = 1.0
    else:
        best = best_step(squared_contraction, limit) if linear else 0.9 * limit
    return Guarantee(
        interval=(0, limit),
        best_step=best,
        formula="0 < step_size < 1/(2*L)",
        rate="linear" if linear else "best |r|^2 = O(1/k)",
        source="Popov (1980); Hsieh-Iutzeler-Malick-Mertikopoulos (2019)",
        squared_contraction=squared_contraction if linear else None,
    )


class State(NamedTuple):
    """x, the midpoint y and By, and what y came from: the x and the value of B before."""

    x: Array
    y: Array
    By: Array
    previous: Array
    B_before: Array


@final
@dataclass(frozen=True)
class Popov(Algorithm):
    """Extragradient from the past: one value of B a step; the optimistic gradient method where there is no A.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/(2L)). Default: the best proven step for strongly monotone problems, else 0.9/(2L).

    Raises
    ------
    NotApplicableError
        When A is not the subdifferential of a convex function (a normal cone is one): at every step there are skew A and B
        on which the method diverges.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    Terms with a linear map and no forward value are split in the primal-dual form; then L = |K| + L_C. The map of the method
    acts on (x, By). The linear factor is that of an energy, see ``guarantee``. **Certificate** (x - y+)/step - By + By+, an
    element of Ay+ + By+ at the answer y+. **Cost** one value of B, two resolvents of A.

    References
    ----------
    Popov (1980), A modification of the Arrow-Hurwicz method for search of saddle points.
    Hsieh, Iutzeler, Malick and Mertikopoulos (2019), On the convergence of single-call stochastic extra-gradient methods.

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[2.0, -1.0], [-1.0, 1.0]]))
    >>> x, y = monops.solve(game, monops.Popov()).x
    >>> np.round(x, 4)
    array([0.4, 0.6])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 value of B, 2 resolvents of A"
    evaluations: ClassVar[float] = 1.5
    typical_iterations: ClassVar[float] = 16000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        return bind(self, problem, guarantee, self.step_size)

    def init(self, terms: Terms, x0: Array) -> State:
        x = start(terms, x0)
        Bx = terms.B.forward(x)
        return State(x, x, Bx, x, Bx)

    def step(self, terms: Terms, state: State) -> State:
        x, step = state.x, terms.step_size
        y = terms.A.resolvent(x - step * state.By, step)
        By = terms.B.forward(y)
        return State(terms.A.resolvent(x - step * By, step), y, By, x, state.By)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.x, state.By))

    def at(self, terms: Terms, z: Array) -> State:
        x, By = z
        return State(x, x, By, x, By)

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.y) / terms.step_size + (state.By - state.B_before)
