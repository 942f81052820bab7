"""SAGA for min sum_j f_j(K_j x) + g(x): one part at a time, with a table of the last gradient of each (Defazio et al. 2014).

For a part j drawn at random among N:  d = grad f_j(x) - table_j,  x+ = prox_{tg}(x - t (N d + sum of table)),  table_j += d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.finite_sums import (
    Part,
    finite_sum,
    inner_slopes,
    largest_lipschitz,
    least_strong_monotonicity,
    total_gradient,
)
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(L: Number, mu: Number, parts: Number, mean_mu: Number = 0) -> Guarantee:
    """Steps up to 1/(3 L); below 1/(2 L) where every part is strongly convex, best 1/(2 (mu N + L)).

    L and mu belong to the parts N f_j of the mean. A step is proven with every larger L, too, and with every smaller mu. Where
    only the sum is strongly convex, mean_mu > 0, steps up to 1/(6 L) are linear in expectation, by the argument of SVRG.
    """
    strong = mu > 0
    plain = 1 / (3 * L)
    return Guarantee(
        interval=(0, 1 / (2 * L) if strong else plain),
        best_step=max(plain, 1 / (2 * (mu * parts + L))) if strong else plain,
        formula="0 < step_size < 1/(2*L)" if strong else "0 < step_size <= 1/(3*L)",
        rate=f"linear in expectation{'' if strong else ' to 1/(6 L)'}" if strong or mean_mu > 0 else "O(1/k) in expectation",
        source="Defazio-Bach-Lacoste-Julien (2014)",
        upper_included=not strong,
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
    """x, what its prox was applied to, the table of grad f_j (at K_j x then), the sum of K_j* table_j, and the epoch."""

    x: Array
    argument: Array
    table: Array
    total: Array
    epoch: int


@final
@dataclass(frozen=True)
class SAGA(Algorithm):
    """Stochastic proximal gradient with a table of gradients; a step is an epoch, N draws of one of N parts.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/(3 L)], L = N max L_j; below 1/(2 L) where every part is strongly convex. Default: the best proven one.
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
    random. **Cost** of a step: the gradients of N parts, which is one pass over the data, and N proxes of g. The guarantee
    speaks of expectations. Rows of a batch share the draws.

    References
    ----------
    Defazio, Bach and Lacoste-Julien (2014), SAGA: a fast incremental gradient method with support for non-strongly convex
    composite objectives.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(4), np.array([3.0, 0.5, -2.0, 0.0])) + monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.SAGA(minibatch=1)).x, 5) + 0.0
    array([ 2.,  0., -1.,  0.])
    """

    step_size: float | None = None
    minibatch: int | None = None
    seed: int = 0
    cost: ClassVar[str] = "N parts of the gradient (1 epoch), N proxes of g"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 20000
    steps_a_check: ClassVar[int] = 1
    is_candidate: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        roles = finite_sum(problem, self.minibatch)
        if isinstance(roles, Missing):
            self.refuse(roles)
        L, mu = largest_lipschitz(roles.parts), least_strong_monotonicity(roles.parts)
        if L == 0:
            self.refuse(Missing("the gradients of all parts are constant", "use ProximalPoint for g with the slope tilted in"))
        total = calculus.add(roles.simple.constants, roles.smooth.constants)
        remarks = notes(roles.simple.constants, roles.smooth.constants)
        proven = guarantee(L, mu, len(roles.parts), total.strong_monotonicity)
        step = proven.resolve(self.step_size, self.name)
        return Terms(roles.parts, roles.smooth, roles.simple, step, int(self.seed), proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        table = inner_slopes(terms.parts, x0)
        return State(x0, x0, Blocks(table), total_gradient(terms.parts, table), 0)

    def step(self, terms: Terms, state: State) -> State:
        x, argument, _, total, epoch = state
        table, step, count = list(state.table), terms.step_size, len(terms.parts)
        for index in np.random.default_rng((terms.seed, epoch)).integers(count, size=count).tolist():
            part = terms.parts[index]
            slope = part.function.gradient(part.apply(x))
            change = part.adjoint(slope - table[index])
            argument = x - step * (total + float(count) * change)
            x = terms.simple.resolvent(argument, step)
            total = total + change
            table[index] = slope
        return State(x, argument, Blocks(table), total, epoch + 1)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.argument - state.x) / terms.step_size + terms.smooth.forward(state.x)
