"""Adaptive golden ratio algorithm (Malitsky 2020) for 0 in Ax + Bx, A a subdifferential, B monotone, locally Lipschitz.

z = ((phi - 1) x + z_-)/phi,  x+ = J_{gA}(z - g Bx)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.monotone_lipschitz import (
    Terms,
    answer,
    bind,
    first_step,
    hypotheses,
    start,
    total_monotonicity,
)
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

GOLDEN = 0.5 * (1.0 + math.sqrt(5.0))
TRIALS = 100  # halvings of the first step
LARGEST = 1e12  # times the first step: B may be constant along the way, and the theorem asks for a bound


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """A a subdifferential, B monotone and locally Lipschitz: every first step."""
    missing = hypotheses(A, B, lipschitz=False, cyclic=True)
    if missing is not None:
        return missing
    return Guarantee(
        interval=(0, math.inf),
        best_step=first_step(B),
        formula="0 < step_size",
        rate="linear, factor not explicit" if total_monotonicity(A, B) > 0 else "gap O(1/k) on averages",
        source="Malitsky (2020), Golden ratio algorithms",
    )


class State(NamedTuple):
    """x, Bx, the average z and the step that x came from, the pair (x, Bx) before, and theta = phi step/step_-."""

    x: Array
    Bx: Array
    average: Array
    step: Array
    previous: Array
    B_previous: Array
    theta: Array


@final
@dataclass(frozen=True)
class GoldenRatio(Algorithm):
    """No constant, no line search: each row's step follows the local Lipschitz constant, up as well as down.

    Parameters
    ----------
    step_size : float, optional
        Upper bound of the first step, > 0; it is halved until step |Bx1 - Bx0| <= |x1 - x0|/2. Default: 1/L where L is known,
        else 1.
    phi : float
        In (1, (1 + sqrt(5))/2]. A step grows by at most 1/phi + 1/phi^2; at the golden ratio it never grows.

    Raises
    ------
    NotApplicableError
        When A is not the subdifferential of a convex function (a normal cone is one), or B is not known to be monotone.
    StepSizeError
        When the first step is not positive or phi is outside its interval.

    Notes
    -----
    A monotone term whose Lipschitz constant is unknown goes forward unless it has a resolvent. Terms with a linear map and no
    forward value are split in the primal-dual form. Rows share one step where the resolvent of A does not take many. The
    energy phi/(phi - 1) |z+ - x*|^2 + theta/2 |x+ - x|^2 never grows. **Certificate** (z - x+)/step - Bx + Bx+, an element of
    Ax+ + Bx+. **Cost** one value of B, one resolvent of A.

    References
    ----------
    Malitsky (2020), Golden ratio algorithms for variational inequalities.

    Examples
    --------
    >>> import numpy as np, monops
    >>> B = monops.Custom(forward=lambda x: x**3 - 8.0, constants=monops.Constants(strong_monotonicity=0.0))
    >>> np.round(monops.solve(B + monops.NonNegative(), monops.GoldenRatio(), x0=np.zeros(1)).x, 6)
    array([2.])
    """

    step_size: float | None = None
    phi: float = 1.5
    cost: ClassVar[str] = "1 value of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 1.1
    typical_iterations: ClassVar[float] = 10300

    def match(self, problem: Inclusion) -> Terms:
        allowed = Guarantee((1, GOLDEN), 1.5, "1 < phi <= (1 + 5**0.5)/2", "", "Malitsky (2020)", upper_included=True)
        allowed.resolve(self.phi, self.name, "phi")
        return bind(self, problem, guarantee, self.step_size, needs_lipschitz=False)

    def init(self, terms: Terms, x0: Array) -> State:
        x = start(terms, x0)
        Bx = terms.B.forward(x)
        step = adaptive.initial(terms.step_size, x, terms.batch_ndim)
        xp = arrays.namespace(step)
        for _ in range(TRIALS):
            new = adaptive.resolvent(terms.A, x - arrays.scale_rows(step, Bx), step)
            B_new = terms.B.forward(new)
            change, moved = (arrays.norm(p - q, terms.batch_ndim) for p, q in ((B_new, Bx), (new, x)))
            short = ~(step * change > 0.5 * moved)  # a row that is NaN must not halve the step of the others
            if arrays.holds_everywhere(short):
                break
            step = adaptive.shared(xp.where(short, step, 0.5 * step), terms.A)
        return State(new, B_new, x, step, x, Bx, xp.ones_like(step))

    def step(self, terms: Terms, state: State) -> State:
        x, Bx, average, before, previous, B_previous, theta = state
        xp, phi = arrays.namespace(before), self.phi
        moved, change = arrays.norm(x - previous, terms.batch_ndim), arrays.norm(Bx - B_previous, terms.batch_ndim)
        inverse_lipschitz = adaptive.ratio(moved, change, math.inf)
        local = (phi * theta / (4.0 * before)) * inverse_lipschitz * inverse_lipschitz
        longest = arrays.clip((1.0 / phi + 1.0 / phi**2) * before, None, LARGEST * terms.step_size)
        step = adaptive.shared(xp.minimum(longest, local), terms.A)
        average = ((phi - 1.0) * x + average) / phi
        new = adaptive.resolvent(terms.A, average - arrays.scale_rows(step, Bx), step)
        return State(new, terms.B.forward(new), average, step, x, Bx, phi * step / before)

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return arrays.scale_rows(1.0 / state.step, state.average - state.x) + (state.Bx - state.B_previous)
