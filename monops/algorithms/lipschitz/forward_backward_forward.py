"""Forward-backward-forward splitting (Tseng 2000) for 0 in Ax + Bx: y = J_{gA}(x - g Bx), x+ = y - g (By - Bx)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.monotone_lipschitz import Terms, answer, bind, hypotheses, start, total_monotonicity
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """B monotone and L-Lipschitz: step in (0, 1/L); A + B mu-strong too: factor 1 - s mu (1 - sL)/(1 - sL + s mu).

    The factor is a bound, not tight, proven by a symbolic certificate (monops, unpublished; see tests); its best step is
    1/(L + sqrt(mu L)).
    """
    missing = hypotheses(A, B)
    if missing is not None:
        return missing
    mu, lipschitz = total_monotonicity(A, B), B.lipschitz

    def squared_contraction(step: Number) -> Number:
        slack = 1 - step * lipschitz
        return (1 - step * mu * slack / (slack + step * mu)) ** 2

    limit = math.inf if lipschitz == 0 else 1 / lipschitz
    if lipschitz == 0:
        best: Number = 1.0
    else:
        best = 1 / (lipschitz + math.sqrt(mu * lipschitz)) if mu > 0 else 0.9 * limit
    return Guarantee(
        interval=(0, limit),
        best_step=best,
        formula="0 < step_size < 1/L",
        rate="linear" if mu > 0 else "best |r|^2 = O(1/k)",
        source="Tseng (2000); Bauschke-Combettes (2017) Thm 26.17",
        squared_contraction=squared_contraction if mu > 0 else None,
    )


class State(NamedTuple):
    """x, the shadow point y in the domain of A, and the x that y came from."""

    x: Array
    y: Array
    previous: Array


@final
@dataclass(frozen=True)
class ForwardBackwardForward(Algorithm):
    """Tseng's method: B only monotone and Lipschitz (skew, saddle, game), two values of B a step, no inverse.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/L). Default: 1/(L + sqrt(mu L)) for strongly monotone A + B, else 0.9/L.

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent and none has a linear map, or no term is Lipschitz.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    Terms with a linear map and no forward value are split in the primal-dual form (Combettes and Pesquet 2012): then
    L = |K| + L_C and the Result has a dual point. **Certificate** (x - x+)/step, an element of Ay + By at the answer y.
    **Cost** two values of B, one resolvent of A.

    References
    ----------
    Tseng (2000), A modified forward-backward splitting method for maximal monotone mappings.
    Bauschke and Combettes (2017), Theorem 26.17.
    Combettes and Pesquet (2012), Primal-dual splitting algorithm for solving inclusions.

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    >>> x, y = monops.solve(game, monops.ForwardBackwardForward()).x
    >>> x
    array([0.5, 0.5])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "2 values of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 6000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        return bind(self, problem, guarantee, self.step_size)

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, start(terms, x0))

    def step(self, terms: Terms, state: State) -> State:
        x, step = state.x, terms.step_size
        Bx = terms.B.forward(x)
        y = terms.A.resolvent(x - step * Bx, step)
        return State(y - step * (terms.B.forward(y) - Bx), y, x)

    def at(self, terms: Terms, z: Array) -> State:
        return State(z, z, z)

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.x) / terms.step_size
