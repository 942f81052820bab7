"""Semismooth Newton on the dual, for a separable function plus functions of few rows Kx; an outer proximal point where needed.

    minimise f(x) + h(Kx),  f(x) = sum_i d_i/2 x_i^2 + c_i x_i + g_i(x_i),  h separable, K with few rows.

Where every d_i > 0, x(y) = argmin f(x) + <K*y, x> is a prox of g, and the dual  f*(-K*y) + h*(y)  has the gradient -K x(y)
and the generalised Hessian K D K* with D the derivative of that prox over d: only entries that move enter. Each step
minimises the quadratic model plus h* (`piecewise_newton`), then halves the step until the dual falls (Armijo). Where some d_i
are 0, f is replaced by f + |x - center|^2/(2 sigma), and the center moves to x(y) once y is accurate enough: the proximal
point method, which is the augmented Lagrangian method for the dual (Rockafellar 1976; Li, Sun and Toh 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.coupled_rows import Parts, coupled_parts
from monops.algorithms.shared.piecewise_newton import SUFFICIENT, Model
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

GROWTH = 3.0  # of sigma at each move of the center
LEAST_PULL = 1e-4  # 1/sigma that is not lowered any more
ACCURATE = 0.1  # dual residual over the proximal one, at which the center moves
CENTERS = 60.0  # Newton steps of a proximal point method, over those of a strongly convex f


def guarantee() -> Guarantee:
    """The dual value falls at each step; the proximal point method converges for every sigma."""
    return Guarantee(
        interval=(0, 1),
        best_step=1.0,
        formula="0 < step_size <= 1",
        rate="locally superlinear",
        source="Li-Sun-Toh (2018); Rockafellar (1976); Qi-Sun (1993)",
        upper_included=True,
    )


class Terms(NamedTuple):
    """The parts of the problem; whether f needs a proximal term."""

    parts: Parts
    proximal: bool
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x(y), the dual y, K*y, Kx, the center and 1/sigma (0: no proximal term)."""

    x: Array
    y: Array
    adjoint: Array
    image: Array
    center: Array
    pull: Array


@final
@dataclass(frozen=True)
class DualNewton(Algorithm):
    """Newton steps on the dual of a separable problem with few coupled rows: portfolios, projections, basis pursuit.

    Parameters
    ----------
    step_size : float, optional
        Length of a Newton step that the line search tries first, in (0, 1]. Default: 1.

    Raises
    ------
    NotApplicableError
        When the problem is no sum of separable functions of x and of matrices times x with at most 2000 rows in all, fewer
        than x has entries; or has batch rows.

    Notes
    -----
    SquaredL2 and Linear go into d and c; Simplex stands for NonNegative and one row, AffineSet and LeastSquares for their rows.
    **Certificate** the least elements of df(x) + K*y and dh*(y) - Kx, an element of the primal-dual operator at (x, y).
    **Cost** K D K* over the entries that move, one system of as many unknowns as rows, two products; no norm is computed.

    References
    ----------
    Li, Sun and Toh (2018), A highly efficient semismooth Newton augmented Lagrangian method for solving lasso problems.
    Rockafellar (1976), Augmented Lagrangians and applications of the proximal point algorithm in convex programming.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.SquaredL2() + monops.Linear(np.array([-1.0, -1.0, 3.0])) + monops.Simplex()
    >>> monops.solve(problem, monops.DualNewton(), x0=np.zeros(3)).x
    array([0.5, 0.5, 0. ])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "K D K*, a system of the size of the rows, 2 products"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 10
    steps_a_check: ClassVar[int] = 1
    needs_constants: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        parts = coupled_parts(problem)
        if isinstance(parts, Missing):
            self.refuse(parts)
        proven = guarantee()
        step = proven.resolve(self.step_size, self.name)
        least = float(arrays.namespace(parts.d).min(parts.d)) if arrays.is_array(parts.d) else float(parts.d)
        return Terms(parts, least <= 0.0, step, proven, Constants(cyclic=True), ())

    def init(self, terms: Terms, x0: Array) -> State:
        xp, parts = arrays.namespace(x0), terms.parts
        y = xp.zeros((sum(parts.K.sizes),), dtype=x0.dtype, device=arrays.device(x0))
        pull = xp.ones((), dtype=x0.dtype, device=arrays.device(x0)) * (1.0 if terms.proximal else 0.0)
        adjoint = xp.zeros_like(x0)
        x = self._minimiser(parts, adjoint, x0, pull)
        return State(x, y, adjoint, parts.K.apply(x), x0, pull)

    def expected_iterations(self, terms: Terms) -> float:
        return CENTERS * self.typical_iterations if terms.proximal else self.typical_iterations

    @staticmethod
    def _minimiser(parts: Parts, slope: Array, center: Array, pull: Array) -> Array:
        """argmin f(x) + <slope, x> + pull/2 |x - center|^2."""
        curvature = parts.d + pull + 0.0 * slope
        return parts.g.entry_prox((pull * center - parts.c - slope) / curvature, 1.0 / curvature)

    def step(self, terms: Terms, state: State) -> State:
        xp, parts = arrays.namespace(state.x), terms.parts
        distance = self._distance(parts, state)
        if terms.proximal and distance <= ACCURATE * float(state.pull * arrays.norm(state.x - state.center)):
            state = self._recentred(terms, state, GROWTH if float(state.pull) > LEAST_PULL else 1.0)
            distance = self._distance(parts, state)
        if not distance > 0.0:
            return state
        curvature = parts.d + state.pull + 0.0 * state.x
        point = (state.pull * state.center - parts.c - state.adjoint) / curvature
        weights = parts.g.entry_prox_derivative(point, state.x, 1.0 / curvature) / curvature
        hessian = parts.K.weighted_gram(weights)
        size = float(xp.max(xp.linalg.diagonal(hessian)))
        if not size > 0.0:  # no entry moves: the Hessian of the smoothest neighbour
            size = float(xp.max(xp.linalg.diagonal(parts.K.weighted_gram(1.0 / curvature))))
        ridge = size * (arrays.epsilon(state.x) * 10 + min(1e-3, 1e-2 * distance / (1.0 + float(arrays.norm(state.image)))))
        hessian = hessian + ridge * xp.eye(hessian.shape[0], dtype=hessian.dtype, device=arrays.device(hessian))
        model = Model(parts.dual, hessian, -state.image, state.y)
        move = model.minimise(1e-3 * distance / state.y.shape[0] ** 0.5) - state.y
        predicted = -float(arrays.inner(state.image, move)) + self._dual_change(parts, state.y, move)
        noise = 1e4 * arrays.epsilon(state.x) * float(xp.sum(xp.abs(state.adjoint * state.x)))
        if not predicted < 0.0 and abs(predicted) > noise:
            return self._recentred(terms, state, 1.0)
        adjoint_move = parts.K.adjoint(move)
        length = terms.step_size
        for _ in range(40):
            adjoint = state.adjoint + length * adjoint_move
            x = self._minimiser(parts, adjoint, state.center, state.pull)
            risen = self._conjugate_change(parts, state, x, adjoint) + self._dual_change(parts, state.y, length * move)
            new = state._replace(x=x, y=state.y + length * move, adjoint=adjoint)
            if predicted < 0.0 and risen <= SUFFICIENT * length * predicted:
                return new._replace(image=parts.K.apply(x))
            if abs(predicted) <= noise:  # the value is rounding
                new = new._replace(image=parts.K.apply(x))
                if self._distance(parts, new) <= 0.5 * distance:
                    return new
            length *= 0.5
        return self._recentred(terms, state, 1.0)  # rounding: y is as accurate as it gets

    def _recentred(self, terms: Terms, state: State, growth: float) -> State:
        """The state with its center moved to x, and sigma multiplied; itself where there is no center."""
        if not terms.proximal:
            return state
        pull = state.pull / growth
        x = self._minimiser(terms.parts, state.adjoint, state.x, pull)
        return State(x, state.y, state.adjoint, terms.parts.K.apply(x), state.x, pull)

    @staticmethod
    def _distance(parts: Parts, state: State) -> float:
        """Distance of Kx from dh*(y)."""
        return float(arrays.norm(state.image - arrays.clip(state.image, *parts.dual.entry_subdifferential(state.y))))

    @staticmethod
    def _dual_change(parts: Parts, y: Array, move: Array) -> float:
        return float(arrays.namespace(y).sum(parts.dual.entry_value(y + move) - parts.dual.entry_value(y)))

    @staticmethod
    def _conjugate_change(parts: Parts, state: State, x: Array, adjoint: Array) -> float:
        """Change of f*(-K*y) from the state to another K*y with its minimiser x, entry by entry."""
        xp, old, pull = arrays.namespace(x), state.x, state.pull
        smooth = 0.5 * (parts.d + pull) * (x - old) * (x + old) + (parts.c - pull * state.center) * (x - old)
        change = smooth + adjoint * x - state.adjoint * old
        if not parts.g.is_indicator:
            change = change + parts.g.entry_value(x) - parts.g.entry_value(old)
        return -float(xp.sum(change))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        parts = terms.parts
        slope = parts.d * state.x + parts.c + state.adjoint
        primal = slope + arrays.clip(-slope, *parts.g.entry_subdifferential(state.x))
        return Blocks((primal, arrays.clip(state.image, *parts.dual.entry_subdifferential(state.y)) - state.image))
