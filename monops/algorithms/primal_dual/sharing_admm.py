"""Sharing ADMM for f1(x1) + ... + fn(xn) + g(x1 + ... + xn), operators too.

v = t + S*(J_{n step B}(St) - St)/n,  x_i = J_{step A_i}(2v_i - t_i),  t+ = t + relaxation (x - v), S the sum of the blocks:
Douglas-Rachford, where SS* = nI makes the resolvent of S*BS closed-form (Boyd, Parikh, Chu, Peleato, Eckstein 2011, 7.3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.roles import require_resolvent
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.linear import Adjoint, Identity, LinearMap, Row, Stack
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

SOURCE = "Bauschke-Combettes (2017) Thm 26.11"


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """Maximal monotone terms: any step, relaxation in (0, 2)."""
    if not (A.monotone and B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    return Guarantee(interval=(0, math.inf), best_step=1.0, formula="0 < step_size", rate="|r|^2 = O(1/k)", source=SOURCE)


class Terms(NamedTuple):
    """A acts block by block, B on the sum of ``number`` blocks, ``map``; and the resolved numbers."""

    A: Any
    B: Any
    map: LinearMap
    number: int
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing point t; x, the resolvent v of the shared term, its sum; and the t that they came from."""

    t: Array
    x: Array
    v: Array
    total: Array
    previous: Array


@final
@dataclass(frozen=True)
class SharingADMM(Algorithm):
    """Blocks that meet only in a function of their sum: one prox for each block, all at the same time, one for the sum.

    The problem is ``SeparableSum((f1, ..., fn)) + g @ Row((Identity(shape),) * n)``.

    Parameters
    ----------
    step_size : float, optional
        1/penalty, any positive number. Default: 1/L of a smooth term, else 1.
    relaxation : float
        In (0, 2), default 1.

    Raises
    ------
    NotApplicableError
        When the problem has another structure.

    Notes
    -----
    With y = (St - Sv)/(n step) in B(Sv) and (v - x)/step - y in Ax: **Certificate** ((v - x)/step, Sv - Sx), an element of
    the primal-dual operator (Ax + S*y, B^-1 y - Sx) at (x, y). **Cost** one resolvent of each block, one of the shared term.

    References
    ----------
    Boyd, Parikh, Chu, Peleato and Eckstein (2011), Distributed optimization and statistical learning via the alternating
    direction method of multipliers, section 7.3.

    Examples
    --------
    >>> import numpy as np, monops
    >>> both = monops.SeparableSum((monops.SquaredL2(1.0), monops.SquaredL2(3.0)))
    >>> problem = both + monops.Point(np.array([4.0])) @ monops.Row((monops.Identity((1,)), monops.Identity((1,))))
    >>> np.round(monops.solve(problem, SharingADMM()).x[0], 4)
    array([3.])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 resolvent of each block, 1 of B"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 2000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(f"relaxation={self.relaxation:g} is outside (0, 2), where SharingADMM is proven ({SOURCE})")
        simple = [term.summand for term in problem.terms if term.map is None]
        shared = [term for term in problem.terms if term.map is not None]
        linear_map = shared[0].map if len(shared) == 1 else None
        count = 0 if linear_map is None else _blocks_of_sum(linear_map)
        if len(simple) != 1 or linear_map is None or count == 0:
            self.refuse(
                Missing(
                    "the problem is no separable sum plus one term of the sum of the blocks",
                    "write SeparableSum((f1, ..., fn)) + g @ Row((Identity(shape),) * n), or use ChambollePock",
                )
            )
        A, B = simple[0], shared[0].summand
        for operator in (A, B):
            missing = require_resolvent(operator, None)
            if missing is not None:
                self.refuse(missing)
        proven = guarantee(A.constants, B.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = reciprocal_lipschitz(A, B) if self.step_size is None else self.step_size
        skew = Constants(lipschitz=count**0.5, affine=True, skew=True, why="computed: a sum of blocks")
        total = calculus.add(calculus.product([A.constants, calculus.inverse(B.constants)]), skew)
        return Terms(
            A,
            B,
            linear_map,
            count,
            proven.resolve(step, self.name),
            float(self.relaxation),
            proven,
            total,
            notes(A.constants, B.constants),
        )

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, x0, x0, terms.map.apply(x0), x0)

    def step(self, terms: Terms, state: State) -> State:
        t = state.t
        received = terms.map.apply(t)
        total = terms.B.resolvent(received, terms.number * terms.step_size)
        v = t + terms.map.adjoint((total - received) / float(terms.number))
        x = terms.A.resolvent(2.0 * v - t, terms.step_size)
        return State(t + terms.relaxation * (x - v), x, v, total, t)

    def averagedness(self, terms: Terms) -> float:
        return 0.5 * terms.relaxation

    def solution(self, terms: Terms, state: State) -> Solution:
        received = terms.map.apply(state.previous)
        return Solution(state.x, (received - state.total) / (terms.number * terms.step_size))

    def certificate(self, terms: Terms, state: State) -> Array:
        return Blocks(((state.v - state.x) / terms.step_size, state.total - terms.map.apply(state.x)))


def _blocks_of_sum(linear_map: LinearMap) -> int:
    """n where the map adds n blocks, else 0."""
    if isinstance(linear_map, Row):
        parts = linear_map.maps
    elif isinstance(linear_map, Adjoint) and isinstance(linear_map.map, Stack):
        parts = linear_map.map.maps
    else:
        return 0
    return len(parts) if all(isinstance(part, Identity) for part in parts) else 0
