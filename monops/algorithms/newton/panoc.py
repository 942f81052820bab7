"""PANOC: limited-memory quasi-Newton steps on the forward-backward envelope, for a smooth plus a simple convex function.

    p = prox_{s g}(x - s grad f(x)),  r = x - p,  phi_s(x) = f(x) - <grad f(x), r> + |r|^2/(2 s) + g(p)
    x+ = x - (1 - t) r + t d,  d = -H r with H from the last moves and changes of r (L-BFGS: Nocedal 1980),

with t = 1, 1/2, ..., 0 until phi_s falls by a multiple of |r|^2; at t = 0 the step is p, which always does (Stella, Themelis,
Sopasakis and Patrinos 2017). The step size s shrinks where a quadratic bound of f fails, so that no constant of f is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.roles import zero
from monops.algorithms.shared.free_constants import free_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.functions import LeastSquares, Quadratic
from monops.functions.function import Function
from monops.problem import Inclusion, Term
from monops.theory import Guarantee, Missing

PART = 0.95  # of the step size that the quadratic bound allows
DECREASE = 0.5  # part of the provable decrease of the envelope that is asked for
HALVINGS = 6  # of t before t = 0


def guarantee() -> Guarantee:
    """Any first step size: it shrinks finitely often where grad f is locally Lipschitz."""
    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k); superlinear with good directions",
        source="Stella-Themelis-Sopasakis-Patrinos (2017)",
    )


class Smooth(NamedTuple):
    """A sum of differentiable functions, each perhaps of a linear map of x."""

    terms: tuple[Term, ...]

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """Both, with the products shared."""
        value, gradient = 0.0, None
        for term in self.terms:
            function: Any = term.summand
            z = x if term.map is None else term.map.apply(x)
            if isinstance(function, LeastSquares):
                residual = function.A.apply(z) - function.b
                part, slope = 0.5 * float(arrays.inner(residual, residual)), function.A.adjoint(residual)
            else:
                slope = function.gradient(z)
                if isinstance(function, Quadratic):
                    part = 0.5 * float(arrays.inner(z, slope if function.q is None else slope + function.q))
                else:
                    part = float(function(z))
            slope = slope if term.map is None else term.map.adjoint(slope)
            value, gradient = value + part, slope if gradient is None else gradient + slope
        return value, gradient

    def value(self, x: Array) -> float:
        """The value alone."""
        total = 0.0
        for term in self.terms:
            total += float(term.summand(x if term.map is None else term.map.apply(x)))  # type: ignore[operator]
        return total

    def gradient(self, x: Array) -> Array:
        """The gradient alone."""
        parts = [term.forward(x) for term in self.terms]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


class Terms(NamedTuple):
    """The smooth part f, the simple part g, and the first step size (None: from a difference of gradients)."""

    f: Smooth
    g: Any
    first_step: float | None
    memory: int
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, grad f(x) and f(x); p = prox(x - s grad f(x)); s; the last moves of x and changes of r."""

    x: Array
    gradient: Array
    value: Array
    image: Array
    step: Array
    moves: Blocks
    changes: Blocks


@final
@dataclass(frozen=True)
class PANOC(Algorithm):
    """Proximal gradient steps sped up by quasi-Newton directions; values and gradients of f, values and proxes of g.

    Parameters
    ----------
    step_size : float, optional
        First step size s, any positive number; it only shrinks. Default: from a difference of gradients.
    memory : int, default 10
        Pairs that the quasi-Newton direction remembers.

    Raises
    ------
    NotApplicableError
        When a term has neither a gradient nor a prox, no value, or is not convex; when two terms need their prox; or for batch
        rows, whose line searches differ.

    Notes
    -----
    **Certificate** (x - p)/s + grad f(p) - grad f(x), an element of grad f(p) + dg(p). **Cost** a gradient, two values and a
    prox for each step tried, 4 memory inner products; no constant of f is used.

    References
    ----------
    Stella, Themelis, Sopasakis and Patrinos (2017), A simple and efficient algorithm for nonlinear model predictive control.
    Nocedal (1980), Updating quasi-Newton matrices with limited storage.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.eye(2), np.array([3.0, 0.5])) + monops.L1Norm()
    >>> monops.solve(problem, monops.PANOC()).x
    array([2., 0.])
    """

    step_size: float | None = None
    memory: int = 10
    cost: ClassVar[str] = "1 gradient, 2 values, 1 prox; more where a step is rejected"
    evaluations: ClassVar[float] = 2.5
    typical_iterations: ClassVar[float] = 300
    needs_constants: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        if problem.batch_ndim:
            self.refuse(Missing("line searches of batch rows differ", "solve row by row, or use AcceleratedForwardBackward"))
        for term in problem.terms:
            missing = _unusable(term)
            if missing is not None:
                self.refuse(missing)
        smooth = tuple(term for term in problem.terms if term.has_forward)
        rest = [term for term in problem.terms if not term.has_forward]
        if not smooth:
            self.refuse(Missing("no term is differentiable everywhere", "use DouglasRachford"))
        if len(rest) > 1:
            self.refuse(
                Missing(
                    f"{len(rest)} terms need their prox: {' and '.join(map(str, rest))}",
                    "use combine, where it can, or DavisYin",
                )
            )
        proven = guarantee()
        step = proven.resolve(self.step_size, self.name)
        g = rest[0].summand if rest else zero(problem)
        return Terms(Smooth(smooth), g, self.step_size, self.memory, step, proven, free_constants(problem), ())

    def init(self, terms: Terms, x0: Array) -> State:
        first = arrays.leaves(x0)[0]
        xp = arrays.namespace(first)
        value, gradient = terms.f.value_and_gradient(x0)
        if terms.first_step is None:
            length = float(arrays.norm(gradient))
            move = 1e-3 * max(1.0, float(arrays.norm(x0)))
            step = 1.0
            if 0.0 < length < math.inf:
                change = float(arrays.norm(terms.f.gradient(x0 + (move / length) * gradient) - gradient))
                step = PART * move / change if 0.0 < change < math.inf else 1.0
        else:
            step = terms.first_step

        def number(entry: float) -> Array:
            return xp.full((), entry, dtype=arrays.real_dtype(first), device=arrays.device(first))

        state = State(x0, gradient, number(value), x0, number(step), Blocks(()), Blocks(()))
        return self._bounded(terms, state._replace(image=self._image(terms, x0, gradient, step)))

    @staticmethod
    def _image(terms: Terms, x: Array, gradient: Array, step: float) -> Array:
        return terms.g.prox(x - step * gradient, step)

    def _bounded(self, terms: Terms, state: State) -> State:
        """The state with a step size at which the quadratic bound of f holds between x and p."""
        step = float(state.step)
        for _ in range(100):
            move = state.image - state.x
            square = float(arrays.inner(move, move))
            value = terms.f.value(state.image)
            bound = float(state.value) + float(arrays.inner(state.gradient, move)) + PART * square / (2.0 * step)
            rounding = 16 * arrays.epsilon(arrays.leaves(state.x)[0]) * max(abs(float(state.value)), abs(value))
            if not math.isfinite(square) or value <= bound + rounding:
                break
            step *= 0.5
            image = self._image(terms, state.x, state.gradient, step)
            state = state._replace(image=image, step=0.5 * state.step, moves=Blocks(()), changes=Blocks(()))
        return state

    def _envelope(self, terms: Terms, value: float, gradient: Array, move: Array, image: Array, step: float) -> float:
        simple = 0.0 if terms.g.is_indicator else float(terms.g(image))
        quadratic = float(arrays.inner(gradient, move)) + float(arrays.inner(move, move)) / (2.0 * step)
        return value + quadratic + simple

    def step(self, terms: Terms, state: State) -> State:
        step = float(state.step)
        residual = state.x - state.image
        square = float(arrays.inner(residual, residual))
        if not square > 0.0:
            return state
        start = self._envelope(terms, float(state.value), state.gradient, -residual, state.image, step)
        target = start - DECREASE * (1.0 - PART) / (2.0 * step) * square
        direction = _two_loops(residual, state.moves, state.changes)
        share = 1.0 if len(state.moves) else 0.0
        for trial in range(HALVINGS + 1):
            if trial == HALVINGS or share == 0.0:
                share = 0.0
            x = state.image if share == 0.0 else state.x - (1.0 - share) * residual - share * direction
            value, gradient = terms.f.value_and_gradient(x)
            image = self._image(terms, x, gradient, step)
            if share == 0.0 or self._envelope(terms, value, gradient, image - x, image, step) <= target:
                break
            share *= 0.5
        move, change = x - state.x, (x - image) - residual
        curvature = float(arrays.inner(move, change))
        moves, changes = state.moves, state.changes
        if curvature > 1e-12 * float(arrays.norm(move)) * float(arrays.norm(change)):
            moves, changes = Blocks((*moves, move)[-terms.memory :]), Blocks((*changes, change)[-terms.memory :])
        number = 0.0 * state.value + value
        return self._bounded(terms, State(x, gradient, number, image, state.step, moves, changes))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.image)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.x - state.image) / float(state.step) + (terms.f.gradient(state.image) - state.gradient)


def _two_loops(residual: Array, moves: Blocks, changes: Blocks) -> Array:
    """H r, with H the limited-memory inverse Hessian of the pairs."""
    if not len(moves):
        return residual
    direction, weights = residual, []
    for move, change in zip(reversed(moves), reversed(changes), strict=True):
        weight = float(arrays.inner(move, direction)) / float(arrays.inner(move, change))
        direction = direction - weight * change
        weights.append(weight)
    direction = direction * (float(arrays.inner(moves[-1], changes[-1])) / float(arrays.inner(changes[-1], changes[-1])))
    for move, change, weight in zip(moves, changes, reversed(weights), strict=True):
        back = float(arrays.inner(change, direction)) / float(arrays.inner(move, change))
        direction = direction + (weight - back) * move
    return direction


def _unusable(term: Term) -> Missing | None:
    """What keeps a term from both roles, or None."""
    function: Any = term.summand
    if not isinstance(function, Function):
        return Missing(f"{term} is an operator, and the line search needs function values", "use ForwardBackwardForward")
    if not function.is_convex:
        name = type(getattr(function, "function", function)).__name__
        return Missing(f"{name} in {term} is nonconvex, and the theorem needs convexity", "put a convex function in its place")
    if not function.has_value:
        return Missing(f"{term} has no closed-form value, and the line search needs it", "use AcceleratedForwardBackward")
    if term.has_forward or (term.map is None and function.has_prox):
        return None
    if term.map is not None:
        return Missing(f"{term} contains a linear map and has no gradient", "use ChambollePock, which splits off the map")
    return Missing(
        f"{term} has neither a gradient nor a closed-form prox", "split the function, for example with ChambollePock"
    )
