"""FISTA without a Lipschitz constant, for f + h (Beck and Teboulle 2009; steps that grow: Scheinberg, Goldfarb and Bai 2014).

t+ = (1 + sqrt(1 + 4 t^2 s/s+))/2,  y = x + (t - 1)/t+ (x - x_-),  x+ = prox_{s+ f}(y - s+ grad h(y)), where s+ starts at s,
or above it, and is halved until h(x+) <= h(y) + <grad h(y), x+ - y> + |x+ - y|^2/(2 s+).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops import constants as calculus
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.roles import zero
from monops.algorithms.shared.smooth_terms import (
    SmoothSum,
    accepted,
    any_first_step,
    descent,
    first_step,
    lengthened,
    smooth_roles,
)
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

TRIALS = 60  # halvings a step may take
GROWTH = 1.5


def guarantee(A: Constants, B: Constants, fallback: float = 1.0) -> Guarantee | Missing:
    """F(x_k) - F* <= |x0 - x*|^2 / (2 s_k t_k^2) since the last restart, for every first step."""
    if not (A.cyclic and B.cyclic):
        return Missing(
            "acceleration is proven for convex functions only, and a term is an operator",
            "use ForwardBackward or ForwardBackwardForward",
        )
    return any_first_step(fallback, "objective gap O(1/k^2)", "Beck-Teboulle (2009); Scheinberg-Goldfarb-Bai (2014)")


class Terms(NamedTuple):
    """Who plays which role, and the first step (a fallback where ``measure`` is set)."""

    A: Any
    B: SmoothSum
    step_size: float
    measure: bool
    max_restarts: int
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, the x before, and per row t, the step and the next one to try, restarts left; y and the gradient of the last step."""

    x: Array
    previous: Array
    t: Array
    step: Array
    trial: Array
    restarts_left: Array
    y: Array
    gradient: Array


@final
@dataclass(frozen=True)
class AdaptiveAcceleratedForwardBackward(Algorithm):
    """Accelerated proximal gradient whose step is found by backtracking, row by row, and may grow again.

    Parameters
    ----------
    step_size : float, optional
        The first step to try, any positive number. Default: 1/L measured by a short probe at the start.
    max_restarts : int
        How often a row may restart its momentum when it points uphill. A finite number keeps the proof: after the last one
        the theorem holds from there. 0: never.

    Raises
    ------
    NotApplicableError
        When a term is no convex function, none has both a gradient and a value, or more than one needs its prox.

    Notes
    -----
    Every term with a gradient goes forward, whether or not its Lipschitz constant is known; the rate needs one that holds on
    the path. Rows of a batch have steps of their own where the prox takes many steps, else the smallest of them.
    **Certificate** (y - x+)/step + grad h(x+) - grad h(y). **Cost** one gradient, two values, one prox; a trial more costs the
    same again.

    References
    ----------
    Beck and Teboulle (2009), A fast iterative shrinkage-thresholding algorithm. Scheinberg, Goldfarb and Bai (2014), Fast
    first-order methods for composite convex optimization with backtracking.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Power(4.0).translate(np.array([3.0, 0.5])) + monops.L1Norm()
    >>> np.abs(np.round(monops.solve(problem, monops.AdaptiveAcceleratedForwardBackward()).x, 4))
    array([2., 0.])
    """

    step_size: float | None = None
    max_restarts: int = 1000
    cost: ClassVar[str] = "1 gradient, 2 values, 1 prox"
    evaluations: ClassVar[float] = 2.2
    typical_iterations: ClassVar[float] = 500
    needs_constants: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        roles = smooth_roles(problem, 1, "use AdaptiveDavisYin for two of them, DouglasRachford or ChambollePock")
        if isinstance(roles, Missing):
            self.refuse(roles)
        A, B = roles.resolvents[0] if roles.resolvents else zero(problem), roles.smooth
        if not B.has_value:
            self.refuse(Missing("the smooth term has no value, which the line search needs", "use AdaptiveProximalGradient"))
        proven = guarantee(A.constants, B.constants, reciprocal_lipschitz(B))
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        total = calculus.add(A.constants, B.constants)
        remarks = notes(A.constants, B.constants)
        return Terms(A, B, step, self.step_size is None, self.max_restarts, problem.batch_ndim, proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        gradient = terms.B.forward(x0)
        step = adaptive.initial(terms.step_size, x0, terms.batch_ndim)
        if terms.measure:
            step = first_step(terms.B, x0, gradient, terms.step_size, terms.batch_ndim)
        step = adaptive.shared(step, terms.A)
        left = adaptive.initial(float(terms.max_restarts), x0, terms.batch_ndim)
        return State(x0, x0, 0.0 * step, step, step, left, x0, gradient)

    def step(self, terms: Terms, state: State) -> State:
        x, A, B, batch = state.x, terms.A, terms.B, terms.batch_ndim
        step, t, left = state.trial, state.t, state.restarts_left
        xp = arrays.namespace(step)
        good = left >= 0
        for trial in range(TRIALS):
            if trial:
                step = adaptive.shared(xp.where(good, step, 0.5 * step), A)
            larger = 0.5 * (1.0 + xp.sqrt(1.0 + 4.0 * t * t * (state.step / step)))
            y = x + arrays.scale_rows(arrays.maximum(t - 1.0, 0.0) / larger, x - state.previous)
            gradient, value = B.forward(y), B.value(y)
            new = adaptive.resolvent(A, y - arrays.scale_rows(step, gradient), step)
            found = descent(B, y, value, gradient, new, batch)
            good = accepted(B, found, y, gradient, new, step, batch)
            if arrays.holds_everywhere(good):
                break
        uphill = (arrays.inner(y - new, new - x, batch) > 0) & (left > 0)
        longer = lengthened(found, step, GROWTH, step > 0, A)
        return State(
            new,
            x,
            xp.where(uphill, xp.zeros_like(larger), larger),
            step,
            longer,
            xp.where(uphill, left - 1.0, left),
            y,
            gradient,
        )

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        forward = terms.B.forward(state.x) - state.gradient
        return arrays.scale_rows(1.0 / state.step, state.y - state.x) + forward
