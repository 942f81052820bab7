"""Consensus ADMM for 0 in A1 x + A2 x + ... + An x: one copy of x for each term.

m = mean of t_i,  x_i = J_{step A_i}(2m - t_i),  t_i+ = t_i + relaxation (x_i - m): Douglas-Rachford on the product space with
the subspace of equal copies (Spingarn 1983; Boyd, Parikh, Chu, Peleato and Eckstein 2011, section 7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.roles import alone, require_resolvent
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

SOURCE = "Bauschke-Combettes (2017) Thm 26.11 on the product space; Spingarn (1983)"


def guarantee(operators: tuple[Constants, ...]) -> Guarantee | Missing:
    """Maximal monotone terms: any step, relaxation in (0, 2)."""
    for number, operator in enumerate(operators, start=1):
        if not operator.monotone:
            return Missing(
                f"term {number} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is"
            )
    return Guarantee(interval=(0, math.inf), best_step=1.0, formula="0 < step_size", rate="|r|^2 = O(1/k)", source=SOURCE)


class Terms(NamedTuple):
    """The operators, and the resolved numbers."""

    operators: tuple[Any, ...]
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing points t_i, the copies x_i, and the t_i that the copies came from."""

    t: Array
    copies: Array
    previous: Array


@final
@dataclass(frozen=True)
class ConsensusADMM(Algorithm):
    """Any number of terms, each by its resolvent alone, all of which could run at the same time.

    Parameters
    ----------
    step_size : float, optional
        1/penalty, any positive number. Default: 1/L of the most curved smooth term, else 1.
    relaxation : float
        In (0, 2), default 1.

    Raises
    ------
    NotApplicableError
        When a term has a linear map or no closed-form resolvent, or there is one term only.

    Notes
    -----
    With a_i = (2m - t_i - x_i)/step in A_i x_i and the answer x_n: **Certificate** (a_1 + ... + a_n, x_1 - x_n, ...,
    x_{n-1} - x_n), an element of (A_n x + y_1 + ... + y_{n-1}, A_1^-1 y_1 - x, ...) at x = x_n, y_i = a_i; the dual point.
    **Cost** one resolvent of each term.

    References
    ----------
    Spingarn (1983), Partial inverse of a monotone operator. Boyd, Parikh, Chu, Peleato and Eckstein (2011), Distributed
    optimization and statistical learning via the alternating direction method of multipliers, section 7.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.SquaredL2().translate(np.array([3.0, -1.0])) + monops.L1Norm() + monops.Box(-0.2, 1.5)
    >>> np.round(monops.solve(problem, ConsensusADMM()).x, 4) + 0.0
    array([1.5, 0. ])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 resolvent of each term"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 3000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(f"relaxation={self.relaxation:g} is outside (0, 2), where ConsensusADMM is proven ({SOURCE})")
        operators = tuple(alone(term) for term in problem.terms)
        for operator in operators:
            missing = require_resolvent(operator, None)
            if missing is not None:
                self.refuse(missing)
        if len(operators) == 1:
            self.refuse(Missing("the problem has a single term", "use ProximalPoint, or write it as a sum"))
        known = tuple(operator.constants for operator in operators)
        proven = guarantee(known)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = reciprocal_lipschitz(*operators) if self.step_size is None else self.step_size
        total = calculus.product([known[-1], *map(calculus.inverse, known[:-1])])
        return Terms(operators, proven.resolve(step, self.name), float(self.relaxation), proven, total, notes(*known))

    def init(self, terms: Terms, x0: Array) -> State:
        copies = Blocks([x0] * len(terms.operators))
        return State(copies, copies, copies)

    def at(self, terms: Terms, z: Array) -> State:
        return State(z, z, z)

    def step(self, terms: Terms, state: State) -> State:
        t = state.t
        m = _mean(t)
        pairs = zip(terms.operators, t, strict=True)
        copies = Blocks([operator.resolvent(2.0 * m - part, terms.step_size) for operator, part in pairs])
        moved = [part + terms.relaxation * (copy - m) for part, copy in zip(t, copies, strict=True)]
        return State(Blocks(moved), copies, t)

    def averagedness(self, terms: Terms) -> float:
        return 0.5 * terms.relaxation

    def _elements(self, terms: Terms, state: State) -> list[Array]:
        """a_i in A_i x_i."""
        m = _mean(state.previous)
        pairs = zip(state.previous, state.copies, strict=True)
        return [(2.0 * m - part - copy) / terms.step_size for part, copy in pairs]

    def solution(self, terms: Terms, state: State) -> Solution:
        duals = self._elements(terms, state)[:-1]
        return Solution(state.copies[-1], duals[0] if len(duals) == 1 else Blocks(duals))

    def certificate(self, terms: Terms, state: State) -> Array:
        *others, last = state.copies
        total = reduce(lambda a, b: a + b, self._elements(terms, state))
        return Blocks((total, *[copy - last for copy in others]))


def _mean(parts: Array) -> Array:
    return reduce(lambda a, b: a + b, parts) / float(len(parts))
