"""Chambolle-Pock splitting (primal-dual hybrid gradient, 2011) for 0 in Ax + K*BKx.

x+ = J_{tA}(x - t K*y),  y+ = J_{sB^-1}(y + s K(2x+ - x)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.saddle_form import BlockResolvent, all_by_resolvents, start, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants, Known
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants, norm: Number, dual_step_size: Number) -> Guarantee | Missing:
    """A and B monotone: step * dual_step * |K|^2 < 4/3 (Li and Yan 2022; Banert, Upadhyaya and Giselsson 2023)."""
    if not (A.monotone and B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    free = norm == 0
    return Guarantee(
        interval=(0, math.inf if free else 4 / (3 * dual_step_size * norm**2)),
        best_step=1.0 if free else 1 / (dual_step_size * norm**2),
        formula="0 < step_size < 4/(3*dual_step_size*norm**2)",
        rate="primal-dual gap O(1/k) on averages",
        source="Chambolle-Pock (2011) Thm 1; bound 4/3: Banert-Upadhyaya-Giselsson (2023)",
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is B^-1), and the resolved numbers; ``blocks`` when the answer is (x, y)."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    step_size: float
    dual_step_size: float
    blocks: bool
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, y, the pair before them, and K*y of the pair before."""

    x: Array
    y: Array
    previous_x: Array
    previous_y: Array
    adjoint_y: Array


@final
@dataclass(frozen=True)
class ChambollePock(Algorithm):
    """First-order primal-dual splitting: only Kx, K*y and two proxes; several g_i @ K_i are stacked.

    Parameters
    ----------
    step_size, dual_step_size : float, optional
        step_size * dual_step_size * |K|^2 < 4/3: the bound 4/3 is sharp, f = 0, g* = 0, K = 1 diverges at it. Default: both
        1/|K|; one given, the other makes the product 1/|K|^2.

    Raises
    ------
    NotApplicableError
        When no term has a linear map, or a prox is missing.

    Notes
    -----
    **Certificate** ((x - x+)/t + K*(y+ - y), (y - y+)/s + K(x+ - x)), an element of the primal-dual operator
    (Ax + K*y, B^-1 y - Kx) at (x+, y+). **Cost** one Kx, one K*y, two resolvents; one of each more a check.

    Up to 1 the step is a resolvent in the metric, and fixed-point residuals never grow; beyond, only convergence is proven.

    References
    ----------
    Chambolle and Pock (2011), A first-order primal-dual algorithm, Theorem 1. Banert, Upadhyaya and Giselsson (2023).

    Examples
    --------
    >>> import numpy as np, monops
    >>> signal = np.array([0.0, 0.1, 1.0, 0.9])
    >>> K = monops.Matrix(np.diff(np.eye(4), axis=0))
    >>> problem = monops.SquaredL2().translate(signal) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, monops.ChambollePock()).x, 4)
    array([0.1, 0.1, 0.9, 0.9])
    """

    step_size: float | None = None
    dual_step_size: float | None = None
    cost: ClassVar[str] = "1 Kx, 1 K*y, 1 resolvent of A, 1 of B"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 5000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        form = all_by_resolvents(problem)
        if isinstance(form, Missing):
            self.refuse(form)
        norm = form.map.norm
        dual_step = self._dual_step(norm)
        A, dual = form.A.constants, form.dual.constants
        proven = guarantee(A, dual, norm.value, dual_step)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        remarks = notes(A, dual, norm)
        return Terms(form.A, form.dual, form.map, step, dual_step, form.blocks, proven, whole_constants(form), remarks)

    def _dual_step(self, norm: Known) -> float:
        if self.dual_step_size is not None:
            free = Guarantee((0, math.inf), 1.0, "0 < dual_step_size", "", "Chambolle-Pock (2011)")
            return free.resolve(self.dual_step_size, self.name, "dual_step_size")
        if norm.value == 0:
            return 1.0
        if self.step_size is not None and self.step_size > 0:
            return 1.0 / (float(self.step_size) * float(norm.value) ** 2)
        return 1.0 / float(norm.value)

    def init(self, terms: Terms, x0: Array) -> State:
        x, y = start(terms.map, terms.blocks, x0)
        return State(x, y, x, y, terms.map.adjoint(y))

    def step(self, terms: Terms, state: State) -> State:
        x, y = state.x, state.y
        adjoint_y = terms.map.adjoint(y)
        new_x = terms.A.resolvent(x - terms.step_size * adjoint_y, terms.step_size)
        forward = terms.map.apply(2.0 * new_x - x)
        new_y = terms.dual.resolvent(y + terms.dual_step_size * forward, terms.dual_step_size)
        return State(new_x, new_y, x, y, adjoint_y)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.x, state.y))

    def at(self, terms: Terms, z: Array) -> State:
        x, y = z
        return State(x, y, x, y, terms.map.adjoint(y))

    def averagedness(self, terms: Terms) -> float | None:
        product = terms.step_size * terms.dual_step_size * float(terms.map.norm.value) ** 2
        return 0.5 if product <= 1.0 + 1e-12 else None  # a resolvent in the metric (He and Yuan 2012)

    def metric(self, terms: Terms, z: Array) -> Array:
        x, y = z
        return Blocks((x / terms.step_size - terms.map.adjoint(y), y / terms.dual_step_size - terms.map.apply(x)))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(Blocks((state.x, state.y))) if terms.blocks else Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        x, y, previous_x, previous_y, adjoint_y = state
        primal = (previous_x - x) / terms.step_size + (terms.map.adjoint(y) - adjoint_y)
        dual = (previous_y - y) / terms.dual_step_size + terms.map.apply(x - previous_x)
        return Blocks((primal, dual))
