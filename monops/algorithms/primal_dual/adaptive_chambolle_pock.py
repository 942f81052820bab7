"""Chambolle-Pock splitting with adaptive balance of the steps (Goldstein, Li, Yuan, Esser and Baraniuk 2013).

x+ = J_{tA}(x - t K*y),  y+ = J_{sB^-1}(y + s K(2x+ - x)); where the primal residual is much larger than the dual one, t grows
by 1/(1 - a) and s shrinks by it, and the other way round; each change multiplies a by a number below 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.saddle_form import BlockResolvent, all_by_resolvents, positive, row_norm, start, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number

PRODUCT = 0.99  # step * dual_step * |K|^2; the theorem needs a number below 1


def guarantee(A: Constants, inverse_B: Constants) -> Guarantee | Missing:
    """A and B monotone: any first step, with steps whose product stays and whose relative changes have a finite sum."""
    if not (A.monotone and inverse_B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    best: Number = 1.0
    return Guarantee(
        interval=(0, math.inf),
        best_step=best,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k)",
        source="Goldstein-Li-Yuan-Esser-Baraniuk (2013)",
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is B^-1), and the resolved numbers; ``together`` when all rows share their steps."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    step_size: float
    product: float
    adaptivity: float
    decay: float
    imbalance: float
    together: bool
    batch_ndim: int
    blocks: bool
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, y, Kx and K*y; the certificate at (x, y); primal and dual step, and adaptivity, one a row."""

    x: Array
    y: Array
    Kx: Array
    adjoint_y: Array
    primal_residual: Array
    dual_residual: Array
    step_size: Array
    dual_step_size: Array
    adaptivity: Array


@final
@dataclass(frozen=True)
class AdaptiveChambollePock(Algorithm):
    """Chambolle-Pock that finds the balance of primal and dual steps: no guess of the scales of x and y is needed.

    Parameters
    ----------
    step_size : float, optional
        The first primal step, any positive number; the first dual step makes the product 0.99/|K|^2. Default: 0.995/|K|.
    adaptivity : float
        a of the first change, in (0, 1), default 0.5.
    decay : float
        What a change multiplies a by, in (0, 1), default 0.8: the changes then have a finite sum, as the theorem requires.
    imbalance : float
        Steps change where one residual is this many times the other, at least 1, default 2.

    Notes
    -----
    The residuals compared are |primal|/|K*y| and |dual|/|Kx|, which do not depend on the units of x and y (in the paper they
    are not divided); the theorem holds for every rule of choice. Rows of a batch have their own steps where the resolvents
    take many at once; else they share them. **Certificate** ((x - x+)/t + K*(y+ - y), (y - y+)/s + K(x+ - x)), an element of
    the primal-dual operator at (x+, y+). **Cost** one Kx, one K*y, two resolvents, four norms.

    References
    ----------
    Goldstein, Li, Yuan, Esser and Baraniuk (2013), Adaptive primal-dual hybrid gradient methods for saddle-point problems.
    Goldstein, Li and Yuan (2015), Adaptive primal-dual splitting methods for statistical learning and image processing.

    Examples
    --------
    >>> import numpy as np, monops
    >>> K = monops.Matrix(np.diff(np.eye(4), axis=0))
    >>> signal = 1000.0 * np.array([0.0, 0.1, 1.0, 0.9])
    >>> problem = monops.SquaredL2().translate(signal) + 100.0 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, AdaptiveChambollePock()).x, 3)
    array([100., 100., 900., 900.])
    """

    step_size: float | None = None
    adaptivity: float = 0.5
    decay: float = 0.8
    imbalance: float = 2.0
    cost: ClassVar[str] = "1 Kx, 1 K*y, 1 resolvent of A, 1 of B"
    evaluations: ClassVar[float] = 2.1
    typical_iterations: ClassVar[float] = 4000
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        for name, value in (("adaptivity", self.adaptivity), ("decay", self.decay)):
            if not 0 < value < 1:
                raise DataError(f"{name}={value!r} must be in (0, 1): the changes of the steps must have a finite sum")
        if not self.imbalance >= 1:
            raise DataError(f"imbalance={self.imbalance!r} must be at least 1")
        form = all_by_resolvents(problem)
        if isinstance(form, Missing):
            self.refuse(form)
        A, dual, norm = form.A.constants, form.dual.constants, form.map.norm
        proven = guarantee(A, dual)
        if isinstance(proven, Missing):
            self.refuse(proven)
        product = PRODUCT / float(norm.value) ** 2 if norm.value > 0 else 1.0
        return Terms(
            form.A,
            form.dual,
            form.map,
            positive(self.step_size, math.sqrt(product), self.name, "step_size"),
            product,
            self.adaptivity,
            self.decay,
            self.imbalance,
            problem.batch_ndim > 0 and not form.takes_many_steps,
            problem.batch_ndim,
            form.blocks,
            proven,
            whole_constants(form),
            notes(A, dual, norm),
        )

    def init(self, terms: Terms, x0: Array) -> State:
        x, y = start(terms.map, terms.blocks, x0)
        Kx, adjoint_y = terms.map.apply(x), terms.map.adjoint(y)
        first, second, third = (
            adaptive.initial(value, x, terms.batch_ndim)
            for value in (terms.step_size, terms.product / terms.step_size, terms.adaptivity)
        )
        return State(x, y, Kx, adjoint_y, adjoint_y, Kx, first, second, third)

    def step(self, terms: Terms, state: State) -> State:
        x, y, Kx, adjoint_y, _, _, t, s, a = state
        new_x = adaptive.resolvent(terms.A, x - arrays.scale_rows(t, adjoint_y), t)
        new_Kx = terms.map.apply(new_x)
        new_y = terms.dual.resolvent_by_row(y + arrays.scale_rows(s, 2.0 * new_Kx - Kx), s)
        new_adjoint = terms.map.adjoint(new_y)
        primal = arrays.scale_rows(1.0 / t, x - new_x) + (new_adjoint - adjoint_y)
        dual = arrays.scale_rows(1.0 / s, y - new_y) + (new_Kx - Kx)
        xp = arrays.namespace(t)
        sizes = [row_norm(v, terms.batch_ndim, terms.together) for v in (primal, new_Kx, dual, new_adjoint)]
        p, d = sizes[0] * sizes[1], sizes[2] * sizes[3]  # |primal|/|K*y| against |dual|/|Kx|, without the division
        one = xp.ones_like(t)
        grow = xp.where(p > terms.imbalance * d, 1.0 / (1.0 - a), xp.where(d > terms.imbalance * p, 1.0 - a, one))
        new_a = xp.where(grow == one, a, terms.decay * a)
        return State(new_x, new_y, new_Kx, new_adjoint, primal, dual, t * grow, s / grow, new_a)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(Blocks((state.x, state.y))) if terms.blocks else Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return Blocks((state.primal_residual, state.dual_residual))
