"""Linearised ADMM for 0 in Ax + K*BKx: Chambolle-Pock with the extrapolation on the dual point.

y+ = J_{sB^-1}(y + s Kx),  x+ = J_{tA}(x - t K*(2y+ - y)), the penalty being s: the quadratic |Kx - z + u|^2 of ADMM is
replaced by its linearisation and |x - x_k|^2/t (Zhang, Burger and Osher 2011; Parikh and Boyd 2014, section 4.4.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.saddle_form import BlockResolvent, all_by_resolvents, positive, start, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, inverse_B: Constants, norm: Number, dual_step_size: Number) -> Guarantee | Missing:
    """Chambolle-Pock on the dual problem: step * dual_step * |K|^2 < 4/3 (Banert, Upadhyaya and Giselsson 2023)."""
    if not (A.monotone and inverse_B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    free = norm == 0
    return Guarantee(
        interval=(0, math.inf if free else 4 / (3 * dual_step_size * norm**2)),
        best_step=1.0 if free else 1 / (dual_step_size * norm**2),
        formula="0 < step_size < 4/(3*dual_step_size*norm**2)",
        rate="primal-dual gap O(1/k) on averages",
        source="Chambolle-Pock (2011) Thm 1 on the dual; bound 4/3: Banert-Upadhyaya-Giselsson (2023)",
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is B^-1), and the resolved numbers."""

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
    """x, y, and the pair before them."""

    x: Array
    y: Array
    previous_x: Array
    previous_y: Array


@final
@dataclass(frozen=True)
class LinearizedADMM(Algorithm):
    """ADMM without a linear system: one Kx and one K*y in its place; the mirror image of ChambollePock.

    Parameters
    ----------
    step_size, dual_step_size : float, optional
        The dual step is the penalty of ADMM; step_size * dual_step_size * |K|^2 < 4/3. Default: dual step 1/|K|, and
        1/(dual_step_size |K|^2), the classical bound.

    Raises
    ------
    NotApplicableError
        When no term has a linear map, or a prox is missing.

    Notes
    -----
    Its iterates are those of ChambollePock on the dual problem, x and y exchanged; on one problem the two differ in the
    variable that is extrapolated. **Certificate** ((x - x+)/t + K*(y - y+), (y - y+)/s + K(x - x+)), an element of the
    primal-dual operator (Ax + K*y, B^-1 y - Kx) at (x+, y+). **Cost** one Kx, one K*y, two resolvents; one of each more a
    check.

    References
    ----------
    Zhang, Burger and Osher (2011), A unified primal-dual algorithm framework based on Bregman iteration. Parikh and Boyd
    (2014), Proximal algorithms, section 4.4.2. Chambolle and Pock (2011), Theorem 1.

    Examples
    --------
    >>> import numpy as np, monops
    >>> signal = np.array([0.0, 0.1, 1.0, 0.9])
    >>> K = monops.Matrix(np.diff(np.eye(4), axis=0))
    >>> problem = monops.SquaredL2().translate(signal) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, LinearizedADMM()).x, 4)
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
        A, dual, norm = form.A.constants, form.dual.constants, form.map.norm
        usual = 1.0 if norm.value == 0 else 1.0 / float(norm.value)
        if self.step_size is not None and self.step_size > 0 and norm.value > 0:
            usual = 1.0 / (float(self.step_size) * float(norm.value) ** 2)
        dual_step = positive(self.dual_step_size, usual, self.name, "dual_step_size")
        proven = guarantee(A, dual, norm.value, dual_step)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        remarks = notes(A, dual, norm)
        return Terms(form.A, form.dual, form.map, step, dual_step, form.blocks, proven, whole_constants(form), remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, Blocks(start(terms.map, terms.blocks, x0)))

    def at(self, terms: Terms, z: Array) -> State:
        x, y = z
        return State(x, y, x, y)

    def step(self, terms: Terms, state: State) -> State:
        x, y = state.x, state.y
        new_y = terms.dual.resolvent(y + terms.dual_step_size * terms.map.apply(x), terms.dual_step_size)
        forward = terms.map.adjoint(2.0 * new_y - y)
        return State(terms.A.resolvent(x - terms.step_size * forward, terms.step_size), new_y, x, y)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.x, state.y))

    def averagedness(self, terms: Terms) -> float | None:
        product = terms.step_size * terms.dual_step_size * float(terms.map.norm.value) ** 2
        return 0.5 if product <= 1.0 + 1e-12 else None  # a resolvent in the metric (He and Yuan 2012)

    def metric(self, terms: Terms, z: Array) -> Array:
        x, y = z
        return Blocks((x / terms.step_size + terms.map.adjoint(y), y / terms.dual_step_size + terms.map.apply(x)))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(Blocks((state.x, state.y))) if terms.blocks else Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        dx, dy = state.previous_x - state.x, state.previous_y - state.y
        primal = dx / terms.step_size + terms.map.adjoint(dy)
        return Blocks((primal, dy / terms.dual_step_size + terms.map.apply(dx)))
