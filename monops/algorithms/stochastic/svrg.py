"""Loopless SVRG for min sum_j f_j(K_j x) + g(x): gradients of one part at a time, corrected by those at an anchor point.

For a part j drawn at random among N:  x+ = prox_{tg}(x - t (N (grad f_j(x) - grad f_j(anchor)) + grad f(anchor))), and with
probability 1/N the anchor becomes x, the point before the update (Johnson and Zhang 2013; Xiao and Zhang 2014; Kovalev,
Horvath and Richtarik 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.finite_sums import Part, finite_sum, inner_slopes, largest_lipschitz, total_gradient
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(L: Number, mu: Number) -> Guarantee:
    """Steps below 1/(4 L), L of the parts N f_j of the mean; up to 1/(6 L) linear in expectation for a strongly convex sum.

    With D(x) = f(x) - f(x*) - <grad f(x*), x - x*> and s = mean |grad N f_j(anchor) - grad N f_j(x*)|^2, the estimate e of the
    gradient has E |e - grad f(x*)|^2 <= 4 L D + 2 s, and E s+ <= (1 - p) s + 2 L p D with p = 1/N. So V = |x - x*|^2 + c s with
    c = 2 t^2/p satisfies E V+ <= V - 2 t (1 - 4 t L) D; with c = 4 t^2/p, E V+ <= max(1 - t mu, 1 - p/2) V - 2 t (1 - 6 t L) D.
    """
    return Guarantee(
        interval=(0, 1 / (4 * L)),
        best_step=1 / (6 * L),
        formula="0 < step_size < 1/(4*L)",
        rate="linear in expectation" if mu > 0 else "least distance so far O(1/k) in expectation",
        source="Gorbunov-Hanzely-Richtarik (2020)",
    )


class Terms(NamedTuple):
    """The parts, their sum, the term that goes by its prox, and the resolved numbers."""

    parts: tuple[Part, ...]
    smooth: Any
    simple: Any
    step_size: float
    seed: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, what its prox was applied to, grad f_j (at K_j anchor), the full gradient at the anchor, and the epoch."""

    x: Array
    argument: Array
    table: Array
    total: Array
    epoch: int


@final
@dataclass(frozen=True)
class SVRG(Algorithm):
    """Stochastic variance-reduced proximal gradient; a step is an epoch, N draws of one of N parts.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/(4 L)), L = N max L_j. Default: 1/(6 L).
    minibatch : int, optional
        The rows of LeastSquares(A, b), or of f @ A with separable f, are cut into slices of at most this length, the parts.
        Default: 1/32 of the rows.
    seed : int
        Epoch k draws from ``np.random.default_rng((seed, k))``: a resumed run draws the same parts.

    Raises
    ------
    NotApplicableError
        When the smooth terms do not come apart, or more than one term needs its prox.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    **Certificate** (w - x)/step + sum grad f_j(x) with x = prox_{step g}(w): an element of the sum, by one full gradient, not
    random. **Cost** of a step: the gradients of N parts, N proxes of g, and a full gradient for each new anchor, one a step in
    expectation. The guarantee speaks of expectations. Rows of a batch share the draws.

    References
    ----------
    Johnson and Zhang (2013); Xiao and Zhang (2014), A proximal stochastic gradient method with progressive variance reduction.
    Kovalev, Horvath and Richtarik (2020), Don't jump through hoops and remove those loops. Gorbunov, Hanzely and Richtarik
    (2020), A unified theory of SGD.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(4), np.array([3.0, 0.5, -2.0, 0.0])) + monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.SVRG(minibatch=1)).x, 5) + 0.0
    array([ 2.,  0., -1.,  0.])
    """

    step_size: float | None = None
    minibatch: int | None = None
    seed: int = 0
    cost: ClassVar[str] = "N parts of the gradient and about 1 full gradient (1 epoch), N proxes of g"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 30000
    steps_a_check: ClassVar[int] = 1
    is_candidate: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        roles = finite_sum(problem, self.minibatch)
        if isinstance(roles, Missing):
            self.refuse(roles)
        L = largest_lipschitz(roles.parts)
        if L == 0:
            self.refuse(Missing("the gradients of all parts are constant", "use ProximalPoint for g with the slope tilted in"))
        proven = guarantee(L, roles.smooth.constants.strong_monotonicity + roles.simple.constants.strong_monotonicity)
        step = proven.resolve(self.step_size, self.name)
        total = calculus.add(roles.simple.constants, roles.smooth.constants)
        remarks = notes(roles.simple.constants, roles.smooth.constants)
        return Terms(roles.parts, roles.smooth, roles.simple, step, int(self.seed), proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        table = inner_slopes(terms.parts, x0)
        return State(x0, x0, Blocks(table), total_gradient(terms.parts, table), 0)

    def step(self, terms: Terms, state: State) -> State:
        x, argument, table, total, epoch = state
        step, count = terms.step_size, len(terms.parts)
        draws = np.random.default_rng((terms.seed, epoch))
        indices, moves = draws.integers(count, size=count).tolist(), (draws.random(count) < 1.0 / count).tolist()
        for index, anchor_moves in zip(indices, moves, strict=True):
            part, old = terms.parts[index], x
            change = part.adjoint(part.function.gradient(part.apply(x)) - table[index])
            argument = x - step * (total + float(count) * change)
            x = terms.simple.resolvent(argument, step)
            if anchor_moves:
                table = Blocks(inner_slopes(terms.parts, old))
                total = total_gradient(terms.parts, table)
        return State(x, argument, table, total, epoch + 1)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.argument - state.x) / terms.step_size + terms.smooth.forward(state.x)
