"""Proximal gradient steps whose size follows the local curvature, for f + h (Latafat, Themelis, Stella and Patrinos 2024).

x+ = prox_{g+ f}(x - g+ grad h(x)),  g+ = g min{ sqrt(1/pi + g/g_-), sqrt((1 - r/pi)/max(D, 0)) } with
D = g^2 L^2 + 2 g l (r - 1) - (2 r - 1),
l = <dh, dx>/|dx|^2 and L = |dh|/|dx| for the last change dx of x and dh of its gradient (Latafat, Themelis and Patrinos 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops import constants as calculus
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.roles import zero
from monops.algorithms.shared.smooth_terms import SmoothSum, any_first_step, first_step, smooth_roles
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

OVERFLOW = 1e-12  # the squared factor where |dh|^2 is infinite: the steps must not end at 0


def guarantee(A: Constants, B: Constants, fallback: float = 1.0) -> Guarantee | Missing:
    """A and B subdifferentials, the gradient B locally Lipschitz (no constant needed): every first step is proven.

    With F = f + h the energy |x - x*|^2/2 + (pi/r - 1) |x - x_-|^2/2 + g (1 + pi g/g_-) (F(x_-) - F*) never grows.
    """
    if not (A.cyclic and B.cyclic):
        return Missing(
            "the adaptive step is proven for convex functions only, and a term is an operator",
            "use ForwardBackward or ForwardBackwardForward",
        )
    return any_first_step(fallback, "objective gap O(1/k)", "Latafat-Themelis-Patrinos (2024)")


class Terms(NamedTuple):
    """Who plays which role, the first step (a fallback where ``measure`` is set) and the parameters of the rule."""

    A: Any
    B: SmoothSum
    step_size: float
    measure: bool
    pi: float
    r: float
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x and its gradient, the last step and its growth (one number a row), and x and the gradient before."""

    x: Array
    gradient: Array
    step: Array
    growth: Array
    previous: Array
    gradient_previous: Array


@final
@dataclass(frozen=True)
class AdaptiveProximalGradient(Algorithm):
    """adaPG: proximal gradient with steps from the curvature seen, without any Lipschitz constant and without line search.

    Parameters
    ----------
    step_size : float, optional
        The first step, any positive number. Default: 1/L measured by a short probe at the start.
    pi, r : float
        The rule; pi > r >= 1/2. Default (3/2, 3/4).

    Raises
    ------
    NotApplicableError
        When a term is no convex function, none has a gradient, or more than one needs its prox.

    Notes
    -----
    Every term with a gradient goes forward, whether or not its Lipschitz constant is known or finite; local Lipschitz
    continuity is assumed, and for a gradient that is only locally Hoelder the iterates converge too (Oikonomidis and others
    2024). Rows of a batch have steps of their own where the prox takes many steps, else the smallest of them.
    **Certificate** (x_- - x)/step + grad h(x) - grad h(x_-). **Cost** one gradient, one prox, two inner products; one gradient
    more at the start.

    References
    ----------
    Latafat, Themelis, Stella and Patrinos (2024), Adaptive proximal algorithms for convex optimization under local Lipschitz
    continuity of the gradient. Latafat, Themelis and Patrinos (2024), On the convergence of adaptive first order methods.
    Oikonomidis, Laude, Latafat, Themelis and Patrinos (2024), Adaptive proximal gradient methods are universal.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Power(4.0).translate(np.array([3.0, 0.5])) + monops.L1Norm()
    >>> np.abs(np.round(monops.solve(problem, monops.AdaptiveProximalGradient()).x, 4))
    array([2., 0.])
    """

    step_size: float | None = None
    pi: float = 1.5
    r: float = 0.75
    cost: ClassVar[str] = "1 gradient, 1 prox"
    evaluations: ClassVar[float] = 1.1
    typical_iterations: ClassVar[float] = 1500
    needs_constants: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        if not self.pi > self.r >= 0.5:
            raise StepSizeError(
                f"pi={self.pi:g}, r={self.r:g} is outside pi > r >= 1/2, where {self.name} is proven "
                "(Latafat-Themelis-Patrinos 2024)"
            )
        roles = smooth_roles(problem, 1, "use AdaptiveDavisYin for two of them, DouglasRachford or ChambollePock")
        if isinstance(roles, Missing):
            self.refuse(roles)
        A, B = roles.resolvents[0] if roles.resolvents else zero(problem), roles.smooth
        proven = guarantee(A.constants, B.constants, reciprocal_lipschitz(B))
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        total = calculus.add(A.constants, B.constants)
        remarks = notes(A.constants, B.constants)
        pi, r = float(self.pi), float(self.r)
        return Terms(A, B, step, self.step_size is None, pi, r, problem.batch_ndim, proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        gradient = terms.B.forward(x0)
        step = adaptive.initial(terms.step_size, x0, terms.batch_ndim)
        if terms.measure:
            step = first_step(terms.B, x0, gradient, terms.step_size, terms.batch_ndim)
        return State(x0, gradient, adaptive.shared(step, terms.A), 0.0 * step + 1.0, x0, gradient)

    def step(self, terms: Terms, state: State) -> State:
        x, gradient, step, growth, previous, gradient_previous = state
        step, growth = _next_step(terms, x - previous, gradient - gradient_previous, step, growth)
        new = adaptive.resolvent(terms.A, x - arrays.scale_rows(step, gradient), step)
        return State(new, terms.B.forward(new), step, growth, x, gradient)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return arrays.scale_rows(1.0 / state.step, state.previous - state.x) + (state.gradient - state.gradient_previous)


def _next_step(terms: Terms, dx: Array, dh: Array, step: Array, growth: Array) -> tuple[Array, Array]:
    """The next step and its growth; rows that have not moved (at the start, say) keep theirs, or follow the others."""
    pi, r, batch = terms.pi, terms.r, terms.batch_ndim
    moved = arrays.inner(dx, dx, batch)
    curved = step * step * arrays.inner(dh, dh, batch) + 2.0 * (r - 1.0) * step * arrays.inner(dh, dx, batch)
    curvature = adaptive.ratio((1.0 - r / pi) * moved, curved - (2.0 * r - 1.0) * moved, math.inf)
    xp = arrays.namespace(step)
    cap = 1.0 / pi + growth
    square = xp.where(curvature < cap, curvature, cap)
    factor = xp.sqrt(xp.where(square > 0, square, xp.zeros_like(square) + OVERFLOW))
    free = xp.zeros_like(step) + math.inf
    new = adaptive.shared(xp.where((moved > 0) & (moved < math.inf), factor * step, free), terms.A)
    new = xp.where(new < math.inf, new, step)
    return new, new / step
