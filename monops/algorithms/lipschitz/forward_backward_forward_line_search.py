"""Forward-backward-forward splitting with a line search (Tseng 2000) for 0 in Ax + Bx, B monotone and continuous.

y = J_{gA}(x - g Bx), x+ = y - g (By - Bx), with g reduced until g |By - Bx| <= theta |y - x|.
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

SHRINK, GROWTH = 0.7, 1.1
TRIALS = 80  # reductions a step: a factor 4e-13
LARGEST = 1e12  # times the first step: B may be constant along the way


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """A and B monotone, B continuous: every first step.

    Accepted steps give |x+ - x*|^2 <= |x - x*|^2 - (1 - theta^2) |x - y|^2.
    """
    missing = hypotheses(A, B, lipschitz=False)
    if missing is not None:
        return missing
    return Guarantee(
        interval=(0, math.inf),
        best_step=first_step(B),
        formula="0 < step_size",
        rate="linear where B is Lipschitz" if total_monotonicity(A, B) > 0 else "best |r|^2 = O(1/k) where B is Lipschitz",
        source="Tseng (2000)",
    )


class State(NamedTuple):
    """x, the shadow point y in the domain of A, the x that y came from, and the step of each row that led there."""

    x: Array
    y: Array
    previous: Array
    step: Array


@final
@dataclass(frozen=True)
class ForwardBackwardForwardLineSearch(Algorithm):
    """Tseng's method with a step a row that is found by trial: B only monotone and continuous, no constant.

    Parameters
    ----------
    step_size : float, optional
        First trial, > 0. Default: 1/L where L is known, else 1.
    theta : float
        In (0, 1): a trial g is accepted when g |By - Bx| <= theta |y - x|. A rejected one shrinks by 0.7; the next step
        starts from 1.1 times the last.

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent and none has a linear map, or B is not known to be monotone.
    StepSizeError
        When the first step is not positive or theta is outside (0, 1).

    Notes
    -----
    A monotone term whose Lipschitz constant is unknown goes forward unless it has a resolvent; B must be defined everywhere.
    Terms with a linear map and no forward value are split in the primal-dual form. Rows share one step where the resolvent
    of A does not take many. **Certificate** (x - x+)/step, an element of Ay + By at the answer y. **Cost** of a trial one
    value of B and one resolvent of A; one more value of B a step; about 1.3 trials a step.

    References
    ----------
    Tseng (2000), A modified forward-backward splitting method for maximal monotone mappings.

    Examples
    --------
    >>> import numpy as np, monops
    >>> B = monops.Custom(forward=lambda x: x**3 - 8.0, constants=monops.Constants(strong_monotonicity=0.0))
    >>> np.round(monops.solve(B + monops.NonNegative(), monops.ForwardBackwardForwardLineSearch(), x0=np.zeros(1)).x, 6)
    array([2.])
    """

    step_size: float | None = None
    theta: float = 0.9
    cost: ClassVar[str] = "2.3 values of B, 1.3 resolvents of A"
    evaluations: ClassVar[float] = 2.6
    typical_iterations: ClassVar[float] = 4500

    def match(self, problem: Inclusion) -> Terms:
        Guarantee((0, 1), 0.9, "0 < theta < 1", "", "Tseng (2000)").resolve(self.theta, self.name, "theta")
        return bind(self, problem, guarantee, self.step_size, needs_lipschitz=False)

    def init(self, terms: Terms, x0: Array) -> State:
        x = start(terms, x0)
        return State(x, x, x, adaptive.initial(terms.step_size / GROWTH, x, terms.batch_ndim))

    def step(self, terms: Terms, state: State) -> State:
        x, batch_ndim = state.x, terms.batch_ndim
        xp = arrays.namespace(state.step)
        Bx = terms.B.forward(x)
        size, force = arrays.norm(x, batch_ndim), arrays.norm(Bx, batch_ndim)
        rounding = 8.0 * arrays.epsilon(x)
        hopeless = ~xp.isfinite(size + force)  # no step repairs a row that has become infinite: the driver says so
        step = adaptive.shared(arrays.clip(GROWTH * state.step, None, LARGEST * terms.step_size), terms.A)
        for trial in range(TRIALS):
            y = adaptive.resolvent(terms.A, x - arrays.scale_rows(step, Bx), step)
            change = terms.B.forward(y) - Bx
            # at a solution both sides are rounding errors, which must not shrink the step
            bound = self.theta * arrays.norm(y - x, batch_ndim) + rounding * (size + step * force)
            accepted = (step * arrays.norm(change, batch_ndim) <= bound) | hopeless
            if trial == TRIALS - 1 or arrays.holds_everywhere(accepted):
                break
            step = adaptive.shared(xp.where(accepted, step, SHRINK * step), terms.A)
        return State(y - arrays.scale_rows(step, change), y, x, step)

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return arrays.scale_rows(1.0 / state.step, state.previous - state.x)
