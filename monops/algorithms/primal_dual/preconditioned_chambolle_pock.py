"""Chambolle-Pock splitting with diagonal steps (Pock and Chambolle 2011) for 0 in Ax + K*BKx.

x+ = J_{TA}(x - T K*y),  y+ = J_{SB^-1}(y + S K(2x+ - x)), T and S diagonal, from the row and column sums of |K|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared import diagonal_steps
from monops.algorithms.shared.saddle_form import BlockResolvent, SaddleForm, all_by_resolvents, start, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing


def guarantee(A: Constants, inverse_B: Constants) -> Guarantee | Missing:
    """A and B monotone: |S^(1/2) K T^(1/2)| <= 1 whatever the factor that moves weight between T and S."""
    if not (A.monotone and inverse_B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0,
        formula="0 < step_size",
        rate="primal-dual gap O(1/k) on averages",
        source="Pock-Chambolle (2011) Thm 1, Lemma 2",
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is B^-1), the factor of the steps, and the sums that they are made from."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    step_size: float
    rows: Any
    columns: Any
    blocks: bool
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, y, the pair before them, K*y of the pair before, and the diagonal steps of both (the same in every state)."""

    x: Array
    y: Array
    previous_x: Array
    previous_y: Array
    adjoint_y: Array
    primal_steps: Array
    dual_steps: Array


@final
@dataclass(frozen=True)
class PreconditionedChambollePock(Algorithm):
    """Chambolle-Pock with one step for each entry, from the row and column sums of |K|: for badly scaled maps.

    Parameters
    ----------
    step_size : float, optional
        A factor: primal steps step_size/sum_i |K_ij|^(2 - alpha), dual steps 1/(step_size sum_j |K_ij|^alpha). Any positive
        number is proven; default 1.
    alpha : float
        In [0, 2], default 1.

    Raises
    ------
    NotApplicableError
        When the entries of K are not known, or no resolvent takes one step for each entry.

    Notes
    -----
    No norm of K is needed. A resolvent that couples entries (of a ball, of group norms) gets one step for its whole block,
    the smallest of its entries' steps, which is proven too. **Certificate** (T^-1 (x - x+) + K*(y+ - y), S^-1 (y - y+) +
    K(x+ - x)), an element of the primal-dual operator at (x+, y+). **Cost** one Kx, one K*y, two resolvents; one product of
    each kind more a check.

    References
    ----------
    Pock and Chambolle (2011), Diagonal preconditioning for first order primal-dual algorithms in convex optimization.

    Examples
    --------
    >>> import numpy as np, monops
    >>> K = monops.Matrix(np.array([[100.0, 0.0], [1.0, 1.0]]))
    >>> problem = monops.SquaredL2() + monops.Box(np.array([100.0, 3.0]), np.inf) @ K
    >>> np.round(monops.solve(problem, PreconditionedChambollePock()).x, 4)
    array([1.5, 1.5])
    """

    step_size: float | None = None
    alpha: float = 1.0
    cost: ClassVar[str] = "1 Kx, 1 K*y, 1 resolvent of A, 1 of B"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 5000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 <= self.alpha <= 2:
            raise DataError(f"alpha={self.alpha!r} must be in [0, 2]")
        form = all_by_resolvents(problem)
        if isinstance(form, Missing):
            self.refuse(form)
        if not _can_use(form):
            self.refuse(Missing("no resolvent takes one step for each entry", "use ChambollePock"))
        rows, columns = (diagonal_steps.sums(form.map, power) for power in (self.alpha, 2.0 - self.alpha))
        if isinstance(rows, Missing):
            self.refuse(rows)
        if isinstance(columns, Missing):
            self.refuse(columns)
        A, dual = form.A.constants, form.dual.constants
        proven = guarantee(A, dual)
        if isinstance(proven, Missing):
            self.refuse(proven)
        return Terms(
            form.A,
            form.dual,
            form.map,
            proven.resolve(self.step_size, self.name),
            rows.rows,
            columns.columns,
            form.blocks,
            proven,
            whole_constants(form, with_norm=False),
            notes(A, dual),
        )

    def init(self, terms: Terms, x0: Array) -> State:
        return self._state(terms, *start(terms.map, terms.blocks, x0))

    def at(self, terms: Terms, z: Array) -> State:
        return self._state(terms, *z)

    def _state(self, terms: Terms, x: Array, y: Array) -> State:
        primal = diagonal_steps.reciprocal(terms.columns, x)
        primal = diagonal_steps.for_resolvent(terms.A, arrays.tree_map(lambda t: terms.step_size * t, primal))
        dual = arrays.tree_map(lambda s: s / terms.step_size, diagonal_steps.reciprocal(terms.rows, y))
        if len(terms.dual.operators) == 1:
            dual = diagonal_steps.for_resolvent(terms.dual.operators[0], dual)
        else:
            dual = Blocks([diagonal_steps.for_resolvent(*pair) for pair in zip(terms.dual.operators, dual, strict=True)])
        return State(x, y, x, y, terms.map.adjoint(y), primal, dual)

    def step(self, terms: Terms, state: State) -> State:
        x, y, _, _, _, primal, dual = state
        adjoint_y = terms.map.adjoint(y)
        new_x = terms.A.resolvent(x - primal * adjoint_y, primal)
        new_y = terms.dual.resolvent_by_block(y + dual * terms.map.apply(2.0 * new_x - x), dual)
        return State(new_x, new_y, x, y, adjoint_y, primal, dual)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.x, state.y))

    def averagedness(self, terms: Terms) -> float:
        return 0.5  # a resolvent in the metric (He and Yuan 2012)

    def metric(self, terms: Terms, z: Array) -> Array:
        x, y = z
        _, _, _, _, adjoint_y, primal, dual = self._state(terms, x, y)
        return Blocks((x / primal - adjoint_y, y / dual - terms.map.apply(x)))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(Blocks((state.x, state.y))) if terms.blocks else Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        x, y, previous_x, previous_y, adjoint_y, primal, dual = state
        in_x = (previous_x - x) / primal + (terms.map.adjoint(y) - adjoint_y)
        in_y = (previous_y - y) / dual + terms.map.apply(x - previous_x)
        return Blocks((in_x, in_y))


def _can_use(form: SaddleForm) -> bool:
    """Whether diagonal steps differ from the steps of ChambollePock at all."""
    several = len(form.dual.operators) > 1
    return several or form.dual.takes_many_steps or bool(getattr(form.A, "takes_many_steps", False))
