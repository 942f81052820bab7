"""Forward-reflected-backward splitting (Malitsky and Tam 2020) for 0 in Ax + Bx: x+ = J_{gA}(x - 2g Bx + g Bx_-).

With A = 0 it is the optimistic gradient method (Popov 1980).
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
    """A, B monotone, B L-Lipschitz: step s in (0, 1/(2L)), tight; with mu of A + B positive a linear rate.

    The factor is that of the energy E = |x - x*|^2 + 2s <Bx - Bx_-, x* - x> + sL |x - x_-|^2 >= (1 - sL) |x - x*|^2: one step
    gives E+ + 2s mu |x+ - x*|^2 + (1 - 2sL) |x+ - x|^2 <= E, and E+ <= (1 + sL) |x+ - x*|^2 + 2sL |x+ - x|^2.
    """
    missing = hypotheses(A, B)
    if missing is not None:
        return missing
    mu, lipschitz = total_monotonicity(A, B), B.lipschitz

    def squared_contraction(step: Number) -> Number:
        reach = step * lipschitz
        gain = 2 * step * mu / (1 + reach)
        return 1 / (1 + (gain if reach == 0 else min(gain, (1 - 2 * reach) / (2 * reach))))

    if lipschitz == 0:
        best: Number = 1.0
    elif mu > 0:  # both bounds of the gain are equal: (2 + 4 mu/L) (sL)^2 + sL = 1
        q = float(mu / lipschitz)
        best = (math.sqrt(9 + 16 * q) - 1) / (4 + 8 * q) / float(lipschitz)
    else:
        best = 0.9 / (2 * lipschitz)
    return Guarantee(
        interval=(0, math.inf if lipschitz == 0 else 1 / (2 * lipschitz)),
        best_step=best,
        formula="0 < step_size < 1/(2*L)",
        rate="linear" if mu > 0 else "best |r|^2 = O(1/k)",
        source="Malitsky-Tam (2020) Thm 2.5",
        squared_contraction=squared_contraction if mu > 0 else None,
    )


class State(NamedTuple):
    """x, Bx, B at the point before, and the pair that x came from."""

    x: Array
    Bx: Array
    B_before: Array
    previous: Array
    extrapolated: Array


@final
@dataclass(frozen=True)
class ForwardReflectedBackward(Algorithm):
    """B only monotone and Lipschitz, one value of B a step: half the work of Tseng's method, at half its step.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/(2L)); beyond it there are diverging 2 x 2 problems. Default: the best proven step for strongly monotone
        problems, else 0.9/(2L).

    Raises
    ------
    NotApplicableError
        When more than one term needs its resolvent and none has a linear map, or no term is Lipschitz.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    Terms with a linear map and no forward value are split in the primal-dual form; then L = |K| + L_C. The map of the method
    acts on (x, B at the point before). The linear factor is that of an energy, see ``guarantee``.
    **Certificate** (x - x+)/step - 2 Bx + Bx_- + Bx+, an element of Ax+ + Bx+. **Cost** one value of B, one resolvent of A.

    References
    ----------
    Malitsky and Tam (2020), A forward-backward splitting method for monotone inclusions without cocoercivity.

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[2.0, -1.0], [-1.0, 1.0]]))
    >>> x, y = monops.solve(game, monops.ForwardReflectedBackward()).x
    >>> np.round(x, 4)
    array([0.4, 0.6])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 value of B, 1 resolvent of A"
    evaluations: ClassVar[float] = 1.0
    typical_iterations: ClassVar[float] = 16000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        return bind(self, problem, guarantee, self.step_size)

    def init(self, terms: Terms, x0: Array) -> State:
        x = start(terms, x0)
        Bx = terms.B.forward(x)
        return State(x, Bx, Bx, x, Bx)

    def step(self, terms: Terms, state: State) -> State:
        x, Bx, B_before, _, _ = state
        extrapolated = 2.0 * Bx - B_before
        new = terms.A.resolvent(x - terms.step_size * extrapolated, terms.step_size)
        return State(new, terms.B.forward(new), Bx, x, extrapolated)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.x, state.B_before))

    def at(self, terms: Terms, z: Array) -> State:
        x, B_before = z
        Bx = terms.B.forward(x)
        return State(x, Bx, B_before, x, Bx)

    def solution(self, terms: Terms, state: State) -> Solution:
        return answer(terms, state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.previous - state.x) / terms.step_size + (state.Bx - state.extrapolated)
