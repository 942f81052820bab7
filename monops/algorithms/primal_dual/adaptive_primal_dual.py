"""Adaptive primal-dual splitting, adaPD (Latafat, Themelis, Stella, Patrinos 2023): no Lipschitz constant of the gradient.

Minimises f(x) + g(x) + h(Kx): y+ = prox_{sh*}(y + s K((1 + theta) x - theta x_before)), x+ = prox_{tg}(x - t (grad f(x) +
K*y+)), s = ratio^2 t, theta = t/t_before; t follows from two gradients, two points and |K|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared import adaptive_primal_dual_steps as steps
from monops.algorithms.shared.adaptive_primal_dual_steps import Terms
from monops.algorithms.shared.saddle_form import has_gradient, positive, start, three_operators, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

SOURCE = "Latafat-Themelis-Stella-Patrinos (2023), adaPD"


def guarantee(A: Constants, inverse_B: Constants, f: Constants) -> Guarantee | Missing:
    """Convex functions, f with a locally Lipschitz gradient."""
    return steps.guarantee(A, inverse_B, f, SOURCE)


class State(NamedTuple):
    """x, y, Kx, grad f(x); x, Kx and the gradient before; the certificate; the last two steps, one a row each."""

    x: Array
    y: Array
    Kx: Array
    gradient: Array
    previous_x: Array
    K_previous: Array
    previous_gradient: Array
    primal_residual: Array
    dual_residual: Array
    step_size: Array
    previous_step: Array


@final
@dataclass(frozen=True)
class AdaptivePrimalDual(Algorithm):
    """Three convex functions, the smooth one without its Lipschitz constant: steps from the gradients that are met, no search.

    Parameters
    ----------
    step_size : float, optional
        The first primal step, at most the default 1/(2.4 ratio |K|), below which all later steps stay too.
    ratio : float
        Root of dual step over primal step, any positive number, default 1.

    Raises
    ------
    NotApplicableError
        When a term is an operator and no convex function, no term has a gradient, or no term a linear map.
    StepSizeError
        When the first step is above its bound.

    Notes
    -----
    The gradient must be locally Lipschitz; where its constant is not known that is the caller's word. **Certificate**
    ((x - x+)/t + grad f(x+) - grad f(x), (y - y+)/s + K(v - x+)), v = (1 + theta) x - theta x_before, an element of the
    primal-dual operator at (x+, y+). **Cost** one gradient, one Kx, one K*y, two proxes.

    References
    ----------
    Latafat, Themelis, Stella and Patrinos (2023), Adaptive proximal algorithms for convex optimization under local Lipschitz
    continuity of the gradient.

    Examples
    --------
    >>> import numpy as np, monops
    >>> K = monops.Matrix(np.diff(np.eye(4), axis=0))
    >>> smooth = monops.LeastSquares(np.eye(4), np.array([0.0, 0.1, 1.0, 0.9]))
    >>> problem = smooth + monops.Box(0.0, 0.8) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, AdaptivePrimalDual()).x, 4)
    array([0.1, 0.1, 0.8, 0.8])
    """

    step_size: float | None = None
    ratio: float = 1.0
    cost: ClassVar[str] = "1 gradient, 1 Kx, 1 K*y, 2 proxes"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 5000
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        form = three_operators(problem, has_gradient, "use ChambollePockLineSearch, or ForwardBackwardForward for operators")
        if isinstance(form, Missing):
            self.refuse(form)
        assert form.forward is not None
        A, dual, f, known = form.A.constants, form.dual.constants, form.forward.constants, form.map.norm
        proven = guarantee(A, dual, f)
        if isinstance(proven, Missing):
            self.refuse(proven)
        ratio, norm = positive(self.ratio, 1.0, self.name, "ratio"), float(known.value)
        if norm > 0:
            bound = 1.0 / (2.0 * steps.NU * ratio * norm)
            formula = f"0 < step_size <= 1/(2*{steps.NU}*ratio*norm)"
            proven = Guarantee((0, bound), bound, formula, proven.rate, proven.source, None, True)
        remarks = notes(A, dual, f, known)
        return Terms(
            form.A,
            form.dual,
            form.map,
            form.forward,
            proven.resolve(self.step_size, self.name),
            ratio,
            norm,
            problem.batch_ndim,
            proven,
            whole_constants(form),
            remarks,
        )

    def init(self, terms: Terms, x0: Array) -> State:
        x, y = start(terms.map, False, x0)
        Kx, gradient = terms.map.apply(x), terms.f.forward(x)
        step = adaptive.initial(terms.step_size, x, terms.batch_ndim)
        return State(x, y, Kx, gradient, x, Kx, gradient, gradient + terms.map.adjoint(y), Kx, step, step)

    def step(self, terms: Terms, state: State) -> State:
        x, y, Kx, gradient, _, K_previous, _, _, _, before, _ = state
        t = _next_step(terms, state)
        theta = t / before
        s = terms.ratio**2 * t
        ahead = Kx + arrays.scale_rows(theta, Kx - K_previous)
        new_y = terms.dual.resolvent_by_row(y + arrays.scale_rows(s, ahead), s)
        direction = gradient + terms.map.adjoint(new_y)
        new_x = adaptive.resolvent(terms.A, x - arrays.scale_rows(t, direction), t)
        new_Kx, new_gradient = terms.map.apply(new_x), terms.f.forward(new_x)
        primal = arrays.scale_rows(1.0 / t, x - new_x) + (new_gradient - gradient)
        dual = arrays.scale_rows(1.0 / s, y - new_y) + (ahead - new_Kx)
        return State(new_x, new_y, new_Kx, new_gradient, x, Kx, gradient, primal, dual, t, before)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return Blocks((state.primal_residual, state.dual_residual))


def _next_step(terms: Terms, state: State) -> Array:
    """The least of three bounds: growth, coupling by K, curvature of f."""
    t, xp = state.step_size, arrays.namespace(state.step_size)
    D = steps.curvature(t, state.x - state.previous_x, state.gradient - state.previous_gradient, terms.batch_ndim)
    coupling = (terms.ratio * terms.norm * t) ** 2
    bounds = [steps.growth(t, state.previous_step)]
    bounds.append(steps.curvature_bound(t, D, coupling, (1.0 + steps.EPSILON) ** 2 * coupling))
    most = 1.0 / (2.0 * steps.NU * terms.ratio * terms.norm) if terms.norm > 0 else math.inf
    least = xp.where(bounds[0] < bounds[1], bounds[0], bounds[1])
    return adaptive.shared(xp.where(least < most, least, xp.zeros_like(least) + most), terms.A, terms.dual)
