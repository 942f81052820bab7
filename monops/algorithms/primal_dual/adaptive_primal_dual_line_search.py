"""Adaptive primal-dual splitting with a line search on |K|, adaPD+ (Latafat, Themelis, Stella, Patrinos 2023): no constants.

Minimises f(x) + g(x) + h(Kx) with the steps of adaPD, an estimate e in place of |K|: it shrinks by 0.95 each iteration, and
doubles until |K*(y+ - y)| <= e |y+ - y|.
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
from monops.algorithms.shared.saddle_form import has_gradient, positive, probe, start, three_operators, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

SOURCE = "Latafat-Themelis-Stella-Patrinos (2023), adaPD+"
SHRINK = 0.95
GROW = 2.0
TRIALS = 200


def guarantee(A: Constants, inverse_B: Constants, f: Constants) -> Guarantee | Missing:
    """Convex functions, f with a locally Lipschitz gradient."""
    return steps.guarantee(A, inverse_B, f, SOURCE)


class State(NamedTuple):
    """x, y, Kx, K*y, grad f(x); x, Kx and the gradient before; the certificate; two last steps and the estimate of |K|."""

    x: Array
    y: Array
    Kx: Array
    adjoint_y: Array
    gradient: Array
    previous_x: Array
    K_previous: Array
    previous_gradient: Array
    primal_residual: Array
    dual_residual: Array
    step_size: Array
    previous_step: Array
    estimate: Array


class _Trial(NamedTuple):
    y: Array
    adjoint_y: Array
    ahead: Array
    step_size: Array
    estimate: Array


@final
@dataclass(frozen=True)
class AdaptivePrimalDualLineSearch(Algorithm):
    """Three convex functions without any constant: neither the Lipschitz constant of the gradient nor the norm of K.

    Parameters
    ----------
    step_size : float, optional
        The first primal step, any positive number; the first estimate of |K| is 1/(2.4 ratio step_size). Default: the step of
        the estimate |Kv|/|v| for one random v.
    ratio : float
        Root of dual step over primal step, any positive number, default 1.

    Raises
    ------
    NotApplicableError
        When a term is an operator and no convex function, no term has a gradient, or no term a linear map.

    Notes
    -----
    A trial of the line search costs one prox of h* and one K*y; gradients are not searched for. The gradient must be locally
    Lipschitz. **Certificate** ((x - x+)/t + grad f(x+) - grad f(x), (y - y+)/s + K(v - x+)), v = (1 + theta) x - theta
    x_before. **Cost** one gradient, one Kx, one prox of g, and for each trial one K*y and one prox of h*.

    References
    ----------
    Latafat, Themelis, Stella and Patrinos (2023), Adaptive proximal algorithms for convex optimization under local Lipschitz
    continuity of the gradient.

    Examples
    --------
    >>> import numpy as np, monops
    >>> K = monops.MatvecMap(np.diff, lambda y: -np.diff(y, prepend=0.0, append=0.0), (4,), (3,))
    >>> smooth = monops.LeastSquares(np.eye(4), np.array([0.0, 0.1, 1.0, 0.9]))
    >>> problem = smooth + monops.Box(0.0, 0.8) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, AdaptivePrimalDualLineSearch()).x, 4)
    array([0.1, 0.1, 0.8, 0.8])
    """

    step_size: float | None = None
    ratio: float = 1.0
    cost: ClassVar[str] = "1 gradient, 1 Kx, 1 prox of g; a trial: 1 K*y, 1 prox of h*"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 5000
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        form = three_operators(problem, has_gradient, "use ChambollePockLineSearch, or ForwardBackwardForward for operators")
        if isinstance(form, Missing):
            self.refuse(form)
        assert form.forward is not None
        A, dual, f = form.A.constants, form.dual.constants, form.forward.constants
        proven = guarantee(A, dual, f)
        if isinstance(proven, Missing):
            self.refuse(proven)
        ratio = positive(self.ratio, 1.0, self.name, "ratio")
        step = proven.resolve(self.step_size, self.name)
        norm = math.nan if self.step_size is None else 1.0 / (2.0 * steps.NU * ratio * step)
        return Terms(
            form.A,
            form.dual,
            form.map,
            form.forward,
            step,
            ratio,
            norm,
            problem.batch_ndim,
            proven,
            whole_constants(form, with_norm=False),
            notes(A, dual, f),
        )

    def init(self, terms: Terms, x0: Array) -> State:
        x, y = start(terms.map, False, x0)
        Kx, adjoint_y, gradient = terms.map.apply(x), terms.map.adjoint(y), terms.f.forward(x)
        norm = _estimate(terms, x) if math.isnan(terms.norm) else terms.norm
        estimate = adaptive.initial(norm, x, terms.batch_ndim)
        step = adaptive.initial(1.0 / (2.0 * steps.NU * terms.ratio * norm), x, terms.batch_ndim)
        return State(x, y, Kx, adjoint_y, gradient, x, Kx, gradient, gradient + adjoint_y, Kx, step, step, estimate)

    def step(self, terms: Terms, state: State) -> State:
        x, y = state.x, state.y
        trial = _search(terms, state)
        t, s = trial.step_size, terms.ratio**2 * trial.step_size
        new_x = adaptive.resolvent(terms.A, x - arrays.scale_rows(t, state.gradient + trial.adjoint_y), t)
        new_Kx, new_gradient = terms.map.apply(new_x), terms.f.forward(new_x)
        primal = arrays.scale_rows(1.0 / t, x - new_x) + (new_gradient - state.gradient)
        dual = arrays.scale_rows(1.0 / s, y - trial.y) + (trial.ahead - new_Kx)
        return State(
            new_x,
            trial.y,
            new_Kx,
            trial.adjoint_y,
            new_gradient,
            x,
            state.Kx,
            state.gradient,
            primal,
            dual,
            t,
            state.step_size,
            trial.estimate,
        )

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return Blocks((state.primal_residual, state.dual_residual))


def _estimate(terms: Terms, x: Array) -> float:
    """|Kv|/|v| for one random v; 1 where that is 0."""
    v = probe(x, terms.batch_ndim)
    image = float(arrays.norm(terms.map.apply(v)))
    return image / float(arrays.norm(v)) if image > 0 else 1.0


def _search(terms: Terms, state: State) -> _Trial:
    """The dual step with the first estimate, on the way up, that bounds |K| on y+ - y, for each row."""
    before, xp, batch = state.step_size, arrays.namespace(state.step_size), terms.batch_ndim
    D = steps.curvature(before, state.x - state.previous_x, state.gradient - state.previous_gradient, batch)
    xi = (terms.ratio * before * state.estimate * (1.0 + steps.EPSILON)) ** 2  # with the estimate that was accepted
    free = steps.growth(before, state.previous_step)
    ascent = state.Kx - state.K_previous
    rounding = 8.0 * arrays.epsilon(state.x)
    estimate = SHRINK * state.estimate
    for _ in range(TRIALS):
        bound = steps.curvature_bound(before, D, (terms.ratio * estimate * before) ** 2, xi)
        coupled = 1.0 / (2.0 * steps.NU * terms.ratio * estimate)
        t = xp.where(bound < coupled, bound, coupled)
        t = adaptive.shared(xp.where(t < free, t, free), terms.A, terms.dual)
        s = terms.ratio**2 * t
        ahead = state.Kx + arrays.scale_rows(t / before, ascent)
        y = terms.dual.resolvent_by_row(state.y + arrays.scale_rows(s, ahead), s)
        adjoint_y = terms.map.adjoint(y)
        seen = arrays.norm(adjoint_y - state.adjoint_y, batch)
        slack = rounding * arrays.norm(adjoint_y, batch)  # the difference is rounded
        passed = ~(seen > estimate * arrays.norm(y - state.y, batch) + slack)  # a row with NaN passes: the driver ends it
        if arrays.holds_everywhere(passed):
            break
        estimate = xp.where(passed, estimate, GROW * estimate)
    return _Trial(y, adjoint_y, ahead, t, estimate)
