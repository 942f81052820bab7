"""Condat-Vu splitting (Condat 2013; Vu 2013) for 0 in Ax + Cx + K*BKx with C cocoercive.

p = J_{tA}(x - t (Cx + K*y)),  q = J_{sB^-1}(y + s K(2p - x)),  (x, y)+ = (x, y) + relaxation ((p, q) - (x, y)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.saddle_form import (
    BlockResolvent,
    known_cocoercivity,
    positive,
    start,
    three_operators,
    whole_constants,
)
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number

SOURCE = "Condat (2013) Thm 3.1; Vu (2013)"


def guarantee(
    A: Constants, inverse_B: Constants, C: Constants, norm: Number, dual_step_size: Number, relaxation: Number = 1
) -> Guarantee | Missing:
    """1/step - dual_step |K|^2 > 1/(2 (2 - relaxation) beta): for relaxation 1, > 1/(2 beta), which is L/2 for functions.

    The best step is the one that takes half of what C allows, 1/step = dual_step |K|^2 + 1/((2 - relaxation) beta).
    """
    for name, operator in (("A", A), ("B", inverse_B)):
        if not operator.monotone:
            return Missing(
                f"{name} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is"
            )
    beta = C.cocoercivity
    if beta is None or beta == 0:
        return Missing("C is not known to be cocoercive", "for a monotone Lipschitz C use ForwardBackwardForward")
    coupling = dual_step_size * norm**2
    curvature = 0 if beta == math.inf else 1 / ((2 - relaxation) * beta)
    most, usual = coupling + curvature / 2, coupling + curvature
    if most == 0:
        limit, best = math.inf, 1.0
    else:
        limit, best = 1 / most, 1 / usual if curvature else 0.99 / usual
    return Guarantee(
        interval=(0, limit),
        best_step=best,
        formula="0 < step_size and step_size*(dual_step_size*norm**2 + 1/(2*(2 - relaxation)*beta)) < 1",
        rate="|r|^2 = O(1/k)",
        source=SOURCE,
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is B^-1), and the resolved numbers."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    C: Any
    step_size: float
    dual_step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x and y; the resolvents p and q; the pair that they came from, with Cx and K*y there."""

    x: Array
    y: Array
    p: Array
    q: Array
    previous_x: Array
    previous_y: Array
    C_previous: Array
    adjoint_previous: Array


@final
@dataclass(frozen=True)
class CondatVu(Algorithm):
    """Primal-dual splitting with a smooth term: its gradient, the prox of a second, and the prox of a third behind a map.

    Parameters
    ----------
    step_size, dual_step_size : float, optional
        1/step_size - dual_step_size |K|^2 > 1/(2 beta), beta = 1/L for functions. Default: dual step 1/|K|, or what a given
        primal step leaves, and primal step 1/(dual_step_size |K|^2 + 1/beta).
    relaxation : float
        In (0, 2), default 1; a larger one asks for a smaller step: 1/(2 (2 - relaxation) beta) on the right side.

    Raises
    ------
    NotApplicableError
        When no term is cocoercive, no term has a linear map, or a prox is missing.
    StepSizeError
        When the steps are outside the proven interval.

    Notes
    -----
    Terms with a linear map and no closed-form prox go forward too. **Certificate** ((x - p)/t + K*(q - y) + Cp - Cx,
    (y - q)/s + K(p - x)), an element of the primal-dual operator (Ax + Cx + K*y, B^-1 y - Kx) at (p, q). **Cost** one Cx, one
    Kx, one K*y, two resolvents; one of each of the first three more a check.

    References
    ----------
    Condat (2013), A primal-dual splitting method for convex optimization involving Lipschitzian, proximable and linear
    composite terms, Theorem 3.1. Vu (2013), A splitting algorithm for dual monotone inclusions involving cocoercive operators.

    Examples
    --------
    >>> import numpy as np, monops
    >>> K = monops.Matrix(np.diff(np.eye(4), axis=0))
    >>> smooth = monops.LeastSquares(np.eye(4), np.array([0.0, 0.1, 1.0, 0.9]))
    >>> problem = smooth + monops.Box(0.0, 0.8) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, CondatVu()).x, 4)
    array([0.1, 0.1, 0.8, 0.8])
    """

    step_size: float | None = None
    dual_step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 value of C, 1 Kx, 1 K*y, 1 resolvent of A, 1 of B"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 3500
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(f"relaxation={self.relaxation:g} is outside (0, 2), where CondatVu is proven ({SOURCE})")
        form = three_operators(problem, known_cocoercivity, "use ChambollePock, or ForwardBackwardForward for Lipschitz terms")
        if isinstance(form, Missing):
            self.refuse(form)
        assert form.forward is not None
        A, dual, C, norm = form.A.constants, form.dual.constants, form.forward.constants, form.map.norm
        dual_step = self._dual_step(float(C.cocoercivity), float(norm.value))
        proven = guarantee(A, dual, C, norm.value, dual_step, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        remarks = notes(A, dual, C, norm)
        return Terms(
            form.A,
            form.dual,
            form.map,
            form.forward,
            step,
            dual_step,
            float(self.relaxation),
            proven,
            whole_constants(form),
            remarks,
        )

    def _dual_step(self, beta: float, norm: float) -> float:
        if norm == 0 or self.dual_step_size is not None or self.step_size is None or not self.step_size > 0:
            return positive(self.dual_step_size, 1.0 if norm == 0 else 1.0 / norm, self.name, "dual_step_size")
        left = 1.0 / self.step_size - 0.5 / ((2.0 - self.relaxation) * beta)
        return 0.95 * left / norm**2 if left > 0 else 1.0 / norm

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, Blocks(start(terms.map, False, x0)))

    def at(self, terms: Terms, z: Array) -> State:
        x, y = z
        return State(x, y, x, y, x, y, terms.C.forward(x), terms.map.adjoint(y))

    def step(self, terms: Terms, state: State) -> State:
        x, y = state.x, state.y
        t, s = terms.step_size, terms.dual_step_size
        Cx, adjoint_y = terms.C.forward(x), terms.map.adjoint(y)
        p = terms.A.resolvent(x - t * (Cx + adjoint_y), t)
        q = terms.dual.resolvent(y + s * terms.map.apply(2.0 * p - x), s)
        if terms.relaxation == 1.0:
            return State(p, q, p, q, x, y, Cx, adjoint_y)
        return State(x + terms.relaxation * (p - x), y + terms.relaxation * (q - y), p, q, x, y, Cx, adjoint_y)

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.x, state.y))

    def averagedness(self, terms: Terms) -> float:
        beta = float(terms.C.constants.cocoercivity)
        if beta == math.inf:
            return 0.5 * terms.relaxation
        # forward-backward with step 1 in the metric, where C is kappa-cocoercive (Condat 2013, proof of Thm 3.1)
        kappa = beta * (1.0 / terms.step_size - terms.dual_step_size * float(terms.map.norm.value) ** 2)
        return terms.relaxation * 2.0 * kappa / (4.0 * kappa - 1.0)

    def metric(self, terms: Terms, z: Array) -> Array:
        x, y = z
        return Blocks((x / terms.step_size - terms.map.adjoint(y), y / terms.dual_step_size - terms.map.apply(x)))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.p, state.q)

    def certificate(self, terms: Terms, state: State) -> Array:
        _, _, p, q, x, y, Cx, adjoint_y = state
        primal = (x - p) / terms.step_size + (terms.map.adjoint(q) - adjoint_y) + (terms.C.forward(p) - Cx)
        return Blocks((primal, (y - q) / terms.dual_step_size + terms.map.apply(p - x)))
