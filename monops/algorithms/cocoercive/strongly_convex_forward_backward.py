"""Accelerated forward-backward splitting for strongly convex f + h, h smooth (Nesterov 2004; Chambolle and Pock 2016).

x+ = prox_{s f}(y - s grad h(y)),  t+ = (1 - q t^2 + sqrt((1 - q t^2)^2 + 4 t^2))/2,
y+ = x+ + (t - 1)/t+ (1 - q t+)/(1 - q) (x+ - x),  q = s mu/(1 + s mu_f),  mu the sum of both strong convexities.

t grows to 1/sqrt(q), and the momentum to (1 - sqrt(q))/(1 + sqrt(q)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops import constants as calculus
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.forward_terms import one_resolvent
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def condition(A: Constants, B: Constants, step: Number) -> Number:
    """q = step mu/(1 + step mu_f), in (0, 1] for step <= 1/L."""
    mu = A.strong_monotonicity + B.strong_monotonicity
    return min(1, step * mu / (1 + step * A.strong_monotonicity))


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """F(x_k) - F* <= min((1 + r)(1 - r)^k, 4/(k + 1)^2) (1 + s mu_f) |x0 - x*|^2/(2 s), r = sqrt(q), for s <= 1/L.

    The energy t^2 (F(x) - F*) + (1 + s mu_f)/(2 s) |x_- + t (x - x_-) - x*|^2 shrinks by 1 - q t+: that is the factor here.
    """
    if not (A.cyclic and B.cyclic):
        return Missing(
            "acceleration is proven for convex functions only, and a term is an operator",
            "use ForwardBackward or ForwardBackwardForward",
        )
    if B.cocoercivity is None or B.cocoercivity == 0:
        return Missing("the smooth term has no known Lipschitz gradient", "declare its constant lipschitz")
    if not A.strong_monotonicity + B.strong_monotonicity > 0:
        return Missing(
            "neither term is known to be strongly convex",
            "use AcceleratedForwardBackward, or add a quadratic with f.add_quadratic(weight)",
        )
    beta = B.cocoercivity

    def squared_contraction(step: Number) -> Number:
        return 1 - math.sqrt(condition(A, B, step))

    return Guarantee(
        interval=(0, beta),
        best_step=1.0 if beta == math.inf else beta,
        formula="0 < step_size <= beta",
        rate="linear",
        source="Nesterov (2004); Chambolle-Pock (2016) Algorithm 5",
        squared_contraction=squared_contraction,
        upper_included=True,
    )


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: Any
    B: Any
    step_size: float
    condition: float
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, the extrapolated y, the sequence t (one number a row); y and the gradient of the last step."""

    x: Array
    y: Array
    t: Array
    y_previous: Array
    B_previous: Array


@final
@dataclass(frozen=True)
class StronglyConvexForwardBackward(Algorithm):
    """FISTA for strongly convex problems: momentum from the proven mu and L, which never needs a restart.

    Parameters
    ----------
    step_size : float, optional
        In (0, 1/L]. Default: 1/L.

    Raises
    ------
    NotApplicableError
        When a term is no convex function, the sum not known to be strongly convex, or more than one term needs its prox.
    StepSizeError
        When the step is larger than 1/L.

    Notes
    -----
    The objective gap falls by the factor 1 - sqrt(q), q about mu/L, where ForwardBackward has 1 - q; a strong convexity of
    either term counts. The factor shown is that of the energy, whose square root bounds the distance.
    **Certificate** (y - x+)/step + grad h(x+) - grad h(y). **Cost** one gradient, one prox; one more gradient a check.

    References
    ----------
    Nesterov (2004), Introductory Lectures on Convex Optimization. Chambolle and Pock (2016), An introduction to continuous
    optimization for imaging.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.array([[1.0, 0.0], [0.0, 0.1]]), np.array([3.0, 1.0])) + 0.1 * monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.StronglyConvexForwardBackward()).x, 3) + 0.0
    array([2.9, 0. ])
    """

    step_size: float | None = None
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
        q = float(condition(A.constants, B.constants, step))
        total = calculus.add(A.constants, B.constants)
        return Terms(A, B, step, q, problem.batch_ndim, proven, total, notes(A.constants, B.constants))

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, x0, adaptive.initial(1.0, x0, terms.batch_ndim), x0, terms.B.forward(x0))

    def step(self, terms: Terms, state: State) -> State:
        x, y, t, _, _ = state
        gradient = terms.B.forward(y)
        new = terms.A.resolvent(y - terms.step_size * gradient, terms.step_size)
        larger, momentum = _momentum(t, terms.condition)
        return State(new, new + arrays.scale_rows(momentum, new - x), larger, y, gradient)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.y_previous - state.x) / terms.step_size + (terms.B.forward(state.x) - state.B_previous)


def _momentum(t: Array, q: float) -> tuple[Array, Array]:
    """The next t, and the factor of x+ - x."""
    if q == 1.0:  # forward-backward steps of factor 0: nothing to accelerate
        return t, 0.0 * t
    rest = 1.0 - q * t * t
    larger = 0.5 * (rest + arrays.namespace(t).sqrt(rest * rest + 4.0 * t * t))
    return larger, (t - 1.0) / larger * (1.0 - q * larger) / (1.0 - q)
