"""Primal-dual three-operator splitting, PD3O (Yan 2018), for 0 in Ax + Cx + K*BKx with C cocoercive.

x = J_{tA} z,  y+ = J_{sB^-1}(y - t s KK*y + s K(2x - z - t Cx)),  z+ = x - t Cx - t K*y+.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.saddle_form import (
    BlockResolvent,
    dual_step,
    known_cocoercivity,
    start,
    three_operators,
    whole_constants,
)
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number

SOURCE = "Yan (2018)"


def guarantee(A: Constants, inverse_B: Constants, C: Constants, norm: Number) -> Guarantee | Missing:
    """step < 2 beta, and step * dual_step * |K|^2 <= 1: the forward step is as long as without the map."""
    for name, operator in (("A", A), ("B", inverse_B)):
        if not operator.monotone:
            return Missing(
                f"{name} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is"
            )
    beta = C.cocoercivity
    if beta is None or beta == 0:
        return Missing("C is not known to be cocoercive", "for a monotone Lipschitz C use ForwardBackwardForward")
    free = 1.0 if norm == 0 else 1 / norm
    return Guarantee(
        interval=(0, 2 * beta),
        best_step=free if beta == math.inf else beta,
        formula="0 < step_size < 2*beta",
        rate="|r|^2 = O(1/k)",
        source=SOURCE,
    )


def dual_guarantee(norm: Number, step_size: Number) -> Guarantee:
    """The dual step for a given step: dual_step <= 1/(step |K|^2)."""
    limit = math.inf if norm == 0 else 1 / (step_size * norm**2)
    return Guarantee(
        interval=(0, limit),
        best_step=1.0 if norm == 0 else limit,
        formula="0 < dual_step_size <= 1/(step_size*norm**2)",
        rate="",
        source=SOURCE,
        upper_included=norm != 0,
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is B^-1), and the resolved numbers."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    C: Any
    step_size: float
    dual_step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """z, y and K*y; the point x between them; z and y before; Kv for v = 2x - z - t Cx - t K*y."""

    z: Array
    y: Array
    adjoint_y: Array
    x: Array
    previous_z: Array
    previous_y: Array
    Kv: Array


@final
@dataclass(frozen=True)
class PrimalDualThreeOperator(Algorithm):
    """PD3O: Davis-Yin with a linear map; the step depends on the smooth term alone, up to 2/L, and the dual step on |K|.

    Parameters
    ----------
    step_size : float, optional
        In (0, 2 beta), beta = 1/L for functions. Default: beta.
    dual_step_size : float, optional
        At most 1/(step_size |K|^2), the default.

    Raises
    ------
    NotApplicableError
        When no term is cocoercive, no term has a linear map, or a prox is missing.
    StepSizeError
        When the steps are outside the proven interval.

    Notes
    -----
    Against Condat-Vu, where the two steps share one budget. Terms with a linear map and no closed-form prox go forward too.
    **Certificate** ((z - z+)/t, (y - y+)/s + K(v - x)) with v = 2x - z - t Cx - t K*y, an element of the primal-dual operator
    (Ax + Cx + K*y, B^-1 y - Kx) at (x, y+). **Cost** one Cx, one Kx, one K*y, two resolvents; one product more a check.

    References
    ----------
    Yan (2018), A new primal-dual algorithm for minimizing the sum of three functions with a linear operator.

    Examples
    --------
    >>> import numpy as np, monops
    >>> K = monops.Matrix(np.diff(np.eye(4), axis=0))
    >>> smooth = monops.LeastSquares(np.eye(4), np.array([0.0, 0.1, 1.0, 0.9]))
    >>> problem = smooth + monops.Box(0.0, 0.8) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, PrimalDualThreeOperator()).x, 4)
    array([0.1, 0.1, 0.8, 0.8])
    """

    step_size: float | None = None
    dual_step_size: float | None = None
    cost: ClassVar[str] = "1 value of C, 1 Kx, 1 K*y, 1 resolvent of A, 1 of B"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 2000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        form = three_operators(problem, known_cocoercivity, "use ChambollePock, or ForwardBackwardForward for Lipschitz terms")
        if isinstance(form, Missing):
            self.refuse(form)
        assert form.forward is not None
        A, dual, C, norm = form.A.constants, form.dual.constants, form.forward.constants, form.map.norm
        proven = guarantee(A, dual, C, norm.value)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        other = dual_step(step, float(norm.value))
        if self.dual_step_size is not None:
            other = dual_guarantee(float(norm.value), step).resolve(self.dual_step_size, self.name, "dual_step_size")
        remarks = notes(A, dual, C, norm)
        return Terms(form.A, form.dual, form.map, form.forward, step, other, proven, whole_constants(form), remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, Blocks(start(terms.map, False, x0)))

    def at(self, terms: Terms, z: Array) -> State:
        point, y = z
        return State(point, y, terms.map.adjoint(y), point, point, y, terms.map.apply(point))

    def step(self, terms: Terms, state: State) -> State:
        z, y, adjoint_y = state.z, state.y, state.adjoint_y
        t, s = terms.step_size, terms.dual_step_size
        x = terms.A.resolvent(z, t)
        forward = x - t * terms.C.forward(x)
        v = forward + (x - z) - t * adjoint_y
        Kv = terms.map.apply(v)
        new_y = terms.dual.resolvent(y + s * Kv, s)
        new_adjoint = terms.map.adjoint(new_y)
        return State(forward - t * new_adjoint, new_y, new_adjoint, x, z, y, Kv)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.z, state.y))

    def averagedness(self, terms: Terms) -> float:
        beta = float(terms.C.constants.cocoercivity)  # Yan (2018), Lemma on the averagedness of the operator
        return 0.5 if beta == math.inf else 2.0 * beta / (4.0 * beta - terms.step_size)

    def metric(self, terms: Terms, z: Array) -> Array:
        point, y = z
        t, s = terms.step_size, terms.dual_step_size
        return Blocks((point, (t / s) * y - t**2 * terms.map.apply(terms.map.adjoint(y))))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        primal = (state.previous_z - state.z) / terms.step_size
        dual = (state.previous_y - state.y) / terms.dual_step_size + (state.Kv - terms.map.apply(state.x))
        return Blocks((primal, dual))
