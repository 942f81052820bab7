"""Accelerated forward-backward splitting with restart, for a smooth plus a simple convex function.

x+ = prox_{g f}(y - g grad h(y)),  y+ = x+ + (t - 1)/t+ (x+ - x),  t+ = t + 1/3   (Nesterov 1983; Beck and Teboulle 2009;
Chambolle and Dossal 2015), restarted at t = 1 when <y - x+, x+ - x> > 0 (O'Donoghue and Candes 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.forward_terms import one_resolvent
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """F(x_k) - F* <= 9 |x0 - x*|^2 / (2 step (k + 2)^2) since the last restart (Chambolle-Dossal 2015 with a = 3)."""
    if not (A.cyclic and B.cyclic):
        return Missing(
            "acceleration is proven for convex functions only, and a term is an operator",
            "use ForwardBackward or ForwardBackwardForward",
        )
    if B.cocoercivity is None or B.cocoercivity == 0:
        return Missing("the smooth term has no known Lipschitz gradient", "declare its constant lipschitz")
    beta = B.cocoercivity
    return Guarantee(
        interval=(0, beta),
        best_step=1.0 if beta == math.inf else beta,
        formula="0 < step_size <= beta",
        rate="objective gap O(1/k^2)",
        source="Beck-Teboulle (2009); Chambolle-Dossal (2015)",
        upper_included=True,
    )


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: Any
    B: Any
    step_size: float
    batch_ndim: int
    restart: bool
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, the extrapolated y, the sequence t and the restarts left (one a row each); y and the gradient of the last step."""

    x: Array
    y: Array
    t: Array
    restarts_left: Array
    y_previous: Array
    B_previous: Array


@final
@dataclass(frozen=True)
class AcceleratedForwardBackward(Algorithm):
    """FISTA with the step sequence of Chambolle and Dossal, and adaptive restart.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/L]. Default: 1/L.
    restart : bool
        Restart the momentum when it points uphill; gives linear convergence in practice where the objective grows
        quadratically.
    max_restarts : int
        Restarts a row may use. A finite number keeps the proof: after the last one the theorem holds from there.

    Raises
    ------
    NotApplicableError
        When a term is no convex function, or more than one needs its prox.

    Notes
    -----
    **Certificate** (y - x+)/step + grad h(x+) - grad h(y). **Cost** one gradient, one prox; one more gradient a check.

    References
    ----------
    Chambolle and Dossal (2015), On the convergence of the iterates of FISTA. O'Donoghue and Candes (2015), Adaptive restart.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(2), np.array([3.0, 0.5])) + monops.L1Norm()
    >>> monops.solve(problem, monops.AcceleratedForwardBackward()).x
    array([2., 0.])
    """

    step_size: float | None = None
    restart: bool = True
    max_restarts: int = 1000
    cost: ClassVar[str] = "1 gradient, 1 prox"
    evaluations: ClassVar[float] = 1.1
    typical_iterations: ClassVar[float] = 500
    has_linear_rate: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        roles = one_resolvent(problem)
        if isinstance(roles, Missing):
            self.refuse(roles)
        A, B = roles
        proven = guarantee(A.constants, B.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        total = calculus.add(A.constants, B.constants)
        remarks = notes(A.constants, B.constants)
        return Terms(A, B, step, problem.batch_ndim, self.restart, proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        first = arrays.leaves(x0)[0]
        xp, batch = arrays.namespace(first), terms.batch_ndim
        ones = xp.ones(first.shape[:batch], dtype=arrays.real_dtype(first), device=arrays.device(first))
        restarts = ones * float(self.max_restarts if self.restart else 0)
        return State(x0, x0, ones, restarts, x0, terms.B.forward(x0))

    def step(self, terms: Terms, state: State) -> State:
        x, y, t, left, _, _ = state
        gradient = terms.B.forward(y)
        new = terms.A.resolvent(y - terms.step_size * gradient, terms.step_size)
        difference = new - x
        larger = t + 1.0 / 3.0
        momentum = (t - 1.0) / larger
        if terms.restart:
            xp = arrays.namespace(t)
            uphill = (arrays.inner(y - new, difference, terms.batch_ndim) > 0) & (left > 0)
            larger = xp.where(uphill, xp.ones_like(t), larger)
            momentum = xp.where(uphill, xp.zeros_like(t), momentum)
            left = xp.where(uphill, left - 1.0, left)
        return State(new, new + arrays.scale_rows(momentum, difference), larger, left, y, gradient)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.y_previous - state.x) / terms.step_size + (terms.B.forward(state.x) - state.B_previous)
