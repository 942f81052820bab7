"""Anchored extragradient method for 0 in Ax + Bx: every step is pulled towards the start, and |r|^2 = O(1/k^2).

p = x + (x0 - x)/(k + 1),  y = p - k/(k + 1) g r,  x+ = J_{gA}(p - g By),  r+ = (p - x+)/g - By + Bx+

r is an element of Ax + Bx. Without A: Yoon and Ryu (2021), with the coefficients of Lee and Kim (2021); with one resolvent
of A a step: Cai, Oikonomou and Zheng (2022), whose element of A stands for its missing value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.monotone_lipschitz import Terms, answer, bind, hypotheses, start
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number

DECREASE = 1.0 / math.e  # of |r| at which to restart: cycles of length c/d that divide |r| by d are shortest in all at d = e


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """A, B monotone, B L-Lipschitz: step s in (0, 1/L] and |r_k| <= 2 |x0 - x*|/(s k).

    The energy V = (s k^2/2) |r|^2 + k <r, x - x0> never grows and V_1 <= 0: k (k + 1) times <r+ - r, x+ - x> >= 0 plus
    k + 1 times half of |r+ - By - c|^2 <= |x+ - y|^2/s^2, c the element of Ax+; that is all the proof uses. A rotation
    attains the bound, at step 1/L and k = 2, 6, 10, ...
    """
    missing = hypotheses(A, B)
    if missing is not None:
        return missing
    limit: Number = math.inf if B.lipschitz == 0 else 1 / B.lipschitz
    return Guarantee(
        interval=(0, limit),
        best_step=1.0 if B.lipschitz == 0 else limit,
        formula="0 < step_size <= 1/L",
        rate="|r|^2 = O(1/k^2)",
        source="Yoon-Ryu (2021); Lee-Kim (2021); Cai-Oikonomou-Zheng (2022)",
        upper_included=B.lipschitz != 0,
    )


class State(NamedTuple):
    """x, the element r of Ax + Bx, the anchor, and of each row: k, |r| where the cycle began, the restarts left."""

    x: Array
    element: Array
    anchor: Array
    count: Array
    reference: Array
    restarts_left: Array


@final
@dataclass(frozen=True)
class AnchoredExtragradient(Algorithm):
    """Fast extragradient with one resolvent: the optimal order |r|^2 = O(1/k^2) for monotone Lipschitz B.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/L]. Default: 1/L.
    restart : bool
        Move the anchor to x whenever |r| has fallen by the factor e; linear convergence where |x - x*| <= c |r|, as for
        games, linear programs and strongly monotone problems.
    max_restarts : int
        Restarts a row may use. A finite number keeps the proof: after the last one the theorem holds from there.

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent and none has a linear map, or no term is Lipschitz.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    Terms with a linear map and no forward value are split in the primal-dual form; then L = |K| + L_C. Without restarts
    |r_k| <= 2 |x0 - x*|/(step k). **Certificate** r = (p - x+)/step - By + Bx+, an element of Ax+ + Bx+. **Cost** two values
    of B, one resolvent of A.

    References
    ----------
    Yoon and Ryu (2021), Accelerated algorithms for smooth convex-concave minimax problems with O(1/k^2) rate.
    Lee and Kim (2021), Fast extra gradient methods for smooth structured nonconvex-nonconcave minimax problems.
    Cai, Oikonomou and Zheng (2022), Accelerated algorithms for monotone inclusions and constrained min-max optimization.

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[2.0, -1.0], [-1.0, 1.0]]))
    >>> x, y = monops.solve(game, monops.AnchoredExtragradient()).x
    >>> np.round(x, 4)
    array([0.4, 0.6])
    """

    step_size: float | None = None
    restart: bool = True
    max_restarts: int = 1000
    cost: ClassVar[str] = "2 values of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 5500

    def match(self, problem: Inclusion) -> Terms:
        return bind(self, problem, guarantee, self.step_size)

    def init(self, terms: Terms, x0: Array) -> State:
        x = start(terms, x0)
        rows = adaptive.initial(0.0, x, terms.batch_ndim)
        restarts = float(self.max_restarts if self.restart else 0)
        return State(x, terms.B.forward(x), x, rows, rows + math.inf, rows + restarts)

    def step(self, terms: Terms, state: State) -> State:
        x, element, anchor, count, reference, left = state
        xp, step = arrays.namespace(count), terms.step_size
        pull = 1.0 / (count + 1.0)
        pulled = x + arrays.scale_rows(pull, anchor - x)
        B_middle = terms.B.forward(pulled - arrays.scale_rows(step * (1.0 - pull), element))
        new = terms.A.resolvent(pulled - step * B_middle, step)
        element = (pulled - new) / step + (terms.B.forward(new) - B_middle)
        if not self.restart:
            return State(new, element, anchor, count + 1.0, reference, left)
        size = arrays.norm(element, terms.batch_ndim)
        reference = xp.where(xp.isfinite(reference), reference, size)
        again = (size <= DECREASE * reference) & (left > 0)
        return State(
            new,
            element,
            arrays.select_rows(again, new, anchor),
            xp.where(again, xp.zeros_like(count), count + 1.0),
            xp.where(again, size, reference),
            xp.where(again, left - 1.0, left),
        )

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return state.element
