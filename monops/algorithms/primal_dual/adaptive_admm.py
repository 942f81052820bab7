"""ADMM with residual balancing (He, Yang and Wang 2000) for f(x) + g(Kx).

x = argmin f(x) + |Kx - z + step y|^2/(2 step),  w = relaxation Kx + (1 - relaxation) z,  z+ = prox_{step g}(w + step y),
y+ = y + (w - z+)/step; every 10 steps, where |Kx - z+|/max(|Kx|, |z+|) is much larger than |z+ - z|/(step |y+|) the penalty
1/step doubles, and the other way round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops import constants as calculus
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.penalized_step import PenalizedStep, split_form
from monops.algorithms.shared.saddle_form import BlockResolvent, row_norm, start
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError, StepSizeError
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number

SOURCE = "He-Yang-Wang (2000); Eckstein-Bertsekas (1992) Thm 8"
EVERY = 10  # iterations between two looks at the balance


def guarantee(f: Constants, B: Constants, norm: Number) -> Guarantee | Missing:
    """f and g convex (B = dg), the first step solvable, finitely many changes: any first step, relaxation in (0, 2)."""
    if not (f.monotone and B.monotone):
        which = "B" if f.monotone else "f"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    curved = f.lipschitz is not None and f.lipschitz > 0 and norm > 0
    return Guarantee(
        interval=(0, math.inf),
        best_step=norm**2 / f.lipschitz if curved else 1.0,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k) from the last change on",
        source=SOURCE,
    )


class Terms(NamedTuple):
    """f and its penalised step, B by its resolvents behind the map, and the resolved numbers."""

    f: Any
    B: BlockResolvent
    map: LinearMap
    first: PenalizedStep
    step_size: float
    relaxation: float
    factor: float
    imbalance: float
    max_changes: int
    together: bool
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, Kx, z and y; z - Kx, and what K* takes to an element of df(x) + K*y; step and changes left, one a row; a counter."""

    x: Array
    Kx: Array
    z: Array
    y: Array
    gap: Array
    slope: Array
    step_size: Array
    changes_left: Array
    iteration: int


@final
@dataclass(frozen=True)
class AdaptiveADMM(Algorithm):
    """ADMM that finds its penalty: no guess of the scales of f and g is needed.

    Parameters
    ----------
    step_size : float, optional
        The first 1/penalty, any positive number. Default: |K|^2/L for an f with L > 0, else 1.
    relaxation : float
        In (0, 2); default 1.6.
    imbalance : float
        The penalty changes where one of the two relative residuals is this many times the other; at least 1, default 5.
    factor : float
        What it changes by, above 1, default 2.
    max_changes : int
        Changes that a row may make, default 50. A finite number keeps the proof: the theorem of ADMM holds from the last on.

    Raises
    ------
    NotApplicableError
        When the first step has no closed form: f must be quadratic, or K the identity, as for ADMM.

    Notes
    -----
    Rows of a batch have penalties of their own where the proxes and the linear system take many steps at once; else they share
    one. **Certificate** at (x, y), y in B z: (grad f(x) + K*y, z - Kx). **Cost** as ADMM. The residuals are relative
    (Wohlberg 2017), so that they do not depend on the units of x and of the objective.

    References
    ----------
    He, Yang and Wang (2000), Alternating direction method with self-adaptive penalty parameters for monotone variational
    inequalities. Wohlberg (2017), ADMM penalty parameter selection by residual balancing.

    Examples
    --------
    >>> import numpy as np, monops
    >>> signal = 100.0 * np.array([0.0, 0.1, 1.0, 0.9])
    >>> problem = monops.SquaredL2().translate(signal) + 10.0 * monops.L1Norm() @ monops.Gradient((4,))
    >>> np.round(monops.solve(problem, AdaptiveADMM()).x, 4)
    array([10., 10., 90., 90.])
    """

    step_size: float | None = None
    relaxation: float = 1.6
    imbalance: float = 5.0
    factor: float = 2.0
    max_changes: int = 50
    cost: ClassVar[str] = "1 linear system, 1 Kx, 1 K*y, 1 prox of g"
    evaluations: ClassVar[float] = 5.2
    typical_iterations: ClassVar[float] = 1700
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(f"relaxation={self.relaxation:g} is outside (0, 2), where AdaptiveADMM is proven ({SOURCE})")
        if not (self.imbalance >= 1 and 1 < self.factor < math.inf and self.max_changes >= 0):
            raise DataError("AdaptiveADMM needs imbalance >= 1, factor > 1 and max_changes >= 0")
        form = split_form(problem)
        if isinstance(form, Missing):
            self.refuse(form)
        f, B, norm = form.f.constants, form.B.constants, form.map.norm
        proven = guarantee(f, B, norm.value)
        if isinstance(proven, Missing):
            self.refuse(proven)
        skew = Constants(lipschitz=norm.value, affine=True, skew=True, why=norm.why)
        return Terms(
            form.f,
            form.B,
            form.map,
            form.first,
            proven.resolve(self.step_size, self.name),
            float(self.relaxation),
            float(self.factor),
            float(self.imbalance),
            self.max_changes,
            problem.batch_ndim > 0 and not (form.B.takes_many_steps and form.first.takes_many_steps),
            problem.batch_ndim,
            proven,
            calculus.add(calculus.product([f, calculus.inverse(B)]), skew),
            notes(f, B),
        )

    def init(self, terms: Terms, x0: Array) -> State:
        x, y = start(terms.map, False, x0)
        Kx = terms.map.apply(x)
        first, changes = (adaptive.initial(value, x, terms.batch_ndim) for value in (terms.step_size, float(terms.max_changes)))
        return State(x, Kx, Kx, y, y, y, first, changes, 0)

    def step(self, terms: Terms, state: State) -> State:
        z, y, step, left = state.z, state.y, state.step_size, state.changes_left
        u = arrays.scale_rows(step, y)
        x = terms.first.solve(z - u, step, state.x, state.Kx)
        Kx = terms.map.apply(x)
        point = terms.relaxation * Kx + (1.0 - terms.relaxation) * z + u
        new_z = terms.B.resolvent_by_row(point, step)
        new_y = arrays.scale_rows(1.0 / step, point - new_z)
        # K* of it is the element -K*(Kx - z + u)/step of df(x) plus K*y+
        slope = arrays.scale_rows(1.0 / step, (z - Kx) + (point - new_z) - u)
        iteration = state.iteration + 1
        if iteration % EVERY == 0:
            step, left = _balanced(terms, state, Kx, new_z, new_y)
        return State(x, Kx, new_z, new_y, new_z - Kx, slope, step, left, iteration)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        if terms.f.has_forward:
            return Blocks((terms.f.forward(state.x) + terms.map.adjoint(state.y), state.gap))
        return Blocks((terms.map.adjoint(state.slope), state.gap))


def _balanced(terms: Terms, state: State, Kx: Array, z: Array, y: Array) -> tuple[Array, Array]:
    """The next step and the changes left: |Kx - z|/max(|Kx|, |z|) against |z - z before|/(step |y|), without divisions."""
    step, left = state.step_size, state.changes_left
    xp = arrays.namespace(step)
    of_Kx, of_z, of_y, apart, moved = (
        row_norm(point, terms.batch_ndim, terms.together) for point in (Kx, z, y, Kx - z, z - state.z)
    )
    primal = apart * step * of_y
    dual = moved * xp.where(of_Kx > of_z, of_Kx, of_z)
    one = xp.ones_like(step)
    less = xp.where(primal > terms.imbalance * dual, one / terms.factor, one)
    wanted = xp.where(dual > terms.imbalance * primal, terms.factor * one, less)
    changed = (wanted != one) & (left > 0)
    return xp.where(changed, wanted * step, step), xp.where(changed, left - 1.0, left)
