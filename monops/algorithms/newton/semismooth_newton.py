"""Semismooth Newton steps on the fixed-point residual, safeguarded by splitting steps.

    0 in F(x) + dg(x),  F(x) = Hx + q monotone,  r(x) = x - prox_{s g}(x - s F(x)) = 0.

Each step is one forward-backward step (accelerated, with restart) where H is symmetric, one forward-backward-forward step
(Tseng 2000) where it is not; both find their step size by a test along the way. Once the entries that move have settled, a
Newton step on r follows: (I - J + s J H) d = -r with J the derivative of the prox (Qi and Sun 1993); for a symmetric H it is
the projected Newton step of `piecewise_newton` (separable g), or the best of a few full steps with a larger s. It is kept if it
halves the smallest residual of the Newton steps kept so far or, where H is symmetric, lowers their smallest objective
(forward-backward envelope, for other g) by a multiple of |r|^2: kept infinitely often, r tends to 0 along them; otherwise the
theorem of the splitting step holds from the last one on (Themelis and Patrinos 2019; Themelis, Stella and Patrinos 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import arrays
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared import newton_systems
from monops.algorithms.shared.affine_forward import AffineForward, is_affine, unusable_function
from monops.algorithms.shared.free_constants import free_constants
from monops.algorithms.shared.piecewise_newton import Model, Point, around, curvature
from monops.arrays import Array
from monops.constants import Constants
from monops.functions.function import Function
from monops.functions.separable import Separable
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

LENGTHS = (1.0, 0.3)  # of the Newton step
DESCENTS = 20  # Newton steps between two splitting steps
COMPLEMENTARITY = 100  # the same for variational inequalities on a box
REPEATED, LEAST_REPEATED = 20, 4  # the same for functions that couple entries; fewer after failures
FEW = 6.0  # entries whose factorisation costs next to nothing
SETTLED = 0.005  # Newton starts when fewer than this part of the entries changed between moving and fixed
RESTARTS = 1000.0  # of the momentum; a finite number keeps the theorem
PATIENCE = 15.0  # most steps between two trials of Newton steps that fail
SHRINK = 0.7  # of the step size where the test fails
LARGEST = 5000  # coordinates for whose Hessian there is room
BATCHED, BATCHED_EACH, BATCHED_MOST = 150.0, 2.0, 400.0  # steps that the Newton systems of a batch cost, and per coordinate


def guarantee(symmetric: bool) -> Guarantee:
    """Any first step size is proven: the test of each step shrinks it as far as needed."""
    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0,
        formula="0 < step_size",
        rate="locally superlinear; globally that of " + ("accelerated forward-backward" if symmetric else "Tseng's method"),
        source="Themelis-Patrinos (2019); Qi-Sun (1993); " + ("Beck-Teboulle (2009)" if symmetric else "Tseng (2000)"),
    )


class Terms(NamedTuple):
    """F, the function g, and the first step size (None: found from two products)."""

    F: AffineForward
    g: Function
    first_step: float | None
    trials: int
    rows_apart: bool
    batch_ndim: int
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class Merit(NamedTuple):
    """The prox step of a point, its length, and the forward-backward envelope (infinite where there is none)."""

    image: Array
    residual: Array
    envelope: Array


class State(NamedTuple):
    """The answer x, the point y that it is the prox step of, the next such point, F at the three; numbers a row.

    ``moving``: entries whose prox moves; ``least``, ``lowest``: smallest residual and objective of the Newton steps kept;
    ``wait``: steps to the next trial, ``patience``: how long to wait after a failure.
    """

    x: Array
    Fx: Array
    y: Array
    Fy: Array
    next: Array
    F_next: Array
    step: Array
    t: Array
    restarts: Array
    moving: Array
    least: Array
    lowest: Array
    wait: Array
    patience: Array


@final
@dataclass(frozen=True)
class SemismoothNewton(Algorithm):
    """Splitting steps until the active set settles, then Newton steps on it: box-constrained and l1 quadratics, LCPs, ...

    Parameters
    ----------
    step_size : float, optional
        First step size of the splitting step, any positive number; it only shrinks. Default: from two products with H.

    Raises
    ------
    NotApplicableError
        When the problem is not one of Quadratic, LeastSquares (dense) and Affine plus one convex function whose prox has a
        derivative; with batch rows the function must be separable.

    Notes
    -----
    **Certificate** (y - x)/s + F(x) - F(y), an element of F(x) + dg(x), with x = prox_{s g}(y - s F(y)). **Cost** one product
    with H; in Newton steps one more, and a factorisation of the entries that move (all rows of a batch at once). P of a
    Quadratic is taken to be positive semidefinite as declared.

    References
    ----------
    Qi and Sun (1993), A nonsmooth version of Newton's method. Hintermuller, Ito and Kunisch (2002), The primal-dual active set
    strategy as a semismooth Newton method. Themelis and Patrinos (2019), SuperMann. Tseng (2000), A modified forward-backward
    splitting method.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Quadratic(np.diag([1.0, 2.0]), np.array([-3.0, 1.0])) + monops.Box(0.0, 2.0)
    >>> monops.solve(problem, monops.SemismoothNewton()).x
    array([2., 0.])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 value of F, 1 prox; later 2 and a factorisation"
    evaluations: ClassVar[float] = 2.5
    typical_iterations: ClassVar[float] = 25
    steps_a_check: ClassVar[int] = 1
    needs_constants: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        affine = [term for term in problem.terms if is_affine(term)]
        rest = [term for term in problem.terms if not is_affine(term)]
        if len(affine) != 1 or len(rest) != 1:
            self.refuse(
                Missing(
                    f"it needs one affine term with its matrix and one function, and found {len(affine)} and {len(rest)}",
                    "write the affine term as Quadratic(P, q), LeastSquares(A, b) with a dense A, or Affine(M, q), and join "
                    "the other functions, for example with combine; or use ForwardBackwardForward",
                )
            )
        F = AffineForward(affine[0].summand)
        n = F.operator.input_shape[0]
        if n > LARGEST:
            self.refuse(
                Missing(
                    f"the matrix of {n} x {n} second derivatives is too large to factorise", "use WorkingSetNewton or PANOC"
                )
            )
        missing = unusable_function(rest[0], problem.batch_ndim)
        if missing is not None:
            self.refuse(missing)
        proven = guarantee(F.symmetric)
        step = proven.resolve(self.step_size, self.name)
        g: Any = rest[0].summand
        apart = problem.batch_ndim == 1 and all(data.ndim <= 1 for _, data in g.named_arrays())
        trials = len(LENGTHS) if F.symmetric and problem.batch_ndim else 1
        return Terms(F, g, self.step_size, trials, apart, problem.batch_ndim, step, proven, free_constants(problem), ())

    def expected_iterations(self, terms: Terms) -> float:
        """Products with H are one product of matrices in a batch, and the factorisations stay apart: measured."""
        if not terms.batch_ndim:
            return self.typical_iterations
        return min(BATCHED_MOST, BATCHED + BATCHED_EACH * terms.F.operator.input_shape[0])

    def init(self, terms: Terms, x0: Array) -> State:
        xp = arrays.namespace(x0)
        Fx = terms.F.forward(x0)
        rows = terms.batch_ndim
        one = xp.ones(x0.shape[:rows], dtype=x0.dtype, device=arrays.device(x0))
        if terms.first_step is None:
            once = terms.F.product(Fx)
            twice = terms.F.product(once)
            size, bigger = arrays.norm(once, rows), arrays.norm(twice, rows)
            usable = (size > 0) & (bigger > 0) & (bigger < math.inf)
            step = xp.where(usable, size / xp.where(usable, bigger, one), one)
        else:
            step = terms.first_step * one
        zero = xp.zeros_like(one)
        infinite = zero + math.inf
        x = self._prox(terms, x0 - _spread(step, x0) * Fx, step)  # a step may be rejected: the first certificate must be true
        Fnew = terms.F.forward(x)
        return State(x, Fnew, x0, Fx, x, Fnew, step, one, zero, x != x, infinite, infinite, zero, zero)

    def step(self, terms: Terms, state: State) -> State:
        left = arrays.norm(self.certificate(terms, state), terms.batch_ndim)
        size = arrays.norm(state.Fx, terms.batch_ndim) + arrays.norm(state.x, terms.batch_ndim) / state.step
        open_rows = ~((left <= 4 * arrays.epsilon(state.x) * size) & (state.t > 1.0))
        if arrays.holds_everywhere(~open_rows):
            return state  # solved to rounding
        return _on_rows(self._step, terms, state, open_rows)

    def _step(self, terms: Terms, state: State, open_rows: Array) -> State:
        xp, rows = arrays.namespace(state.x), terms.batch_ndim
        y, Fy, step = state.next, state.F_next, state.step
        length = _spread(step, y)
        forward = y - length * Fy
        x = self._prox(terms, forward, step)
        Fx = terms.F.forward(x)
        move, change = x - y, Fx - Fy
        square = arrays.inner(move, move, rows)
        if terms.F.symmetric:
            passed = step * arrays.inner(move, change, rows) <= (1.0 + 1e-6) * square
        else:
            passed = step * step * arrays.inner(change, change, rows) <= 0.81 * square
        # below, the test is rounding
        passed = passed | (arrays.norm(change, rows) <= 64 * arrays.epsilon(x) * arrays.norm(Fx, rows))
        following, F_following, t, restarts = self._continued(terms, state, x, Fx, change)
        moving = self._moving(terms, forward, x, step)
        changed = xp.mean(xp.astype(moving != state.moving, x.dtype), axis=-1)
        settled = changed <= max(SETTLED, min(0.1, FEW / x.shape[-1]))
        left = square > (64 * arrays.epsilon(x)) ** 2 * arrays.inner(x, x, rows)
        ready = passed & settled & (state.wait <= 0) & left
        new = State(x, Fx, y, Fy, following, F_following, step, t, restarts, moving, *state[10:])
        new = new._replace(wait=arrays.clip(state.wait - 1.0, 0.0, None))
        if bool(xp.any(ready)):
            new = _on_rows(self._newton, terms, new, ready)
        kept = state.x + SHRINK * (state.y - state.x)  # the certificate divides by the step: (y - x)/step must not change
        again = state._replace(step=SHRINK * step, t=xp.ones_like(t), y=kept)
        return new if arrays.holds_everywhere(passed) else arrays.select_rows(passed, new, again)

    def _continued(self, terms: Terms, state: State, x: Array, Fx: Array, change: Array) -> tuple[Array, ...]:
        """The next point of the splitting method, F there, and the momentum and restarts."""
        if not terms.F.symmetric:
            following = x - _spread(state.step, x) * change
            return following, terms.F.forward(following), state.t + 1.0, state.restarts
        xp = arrays.namespace(x)
        difference = x - state.x
        uphill = (arrays.inner(state.next - x, difference, terms.batch_ndim) > 0) & (state.restarts < RESTARTS)
        larger = state.t + 1.0 / 3.0
        momentum = xp.where(uphill, xp.zeros_like(larger), (state.t - 1.0) / larger)
        t = xp.where(uphill, xp.ones_like(larger), larger)
        weight = _spread(momentum, x)
        restarts = xp.where(uphill, state.restarts + 1.0, state.restarts)
        return x + weight * difference, Fx + weight * (Fx - state.Fx), t, restarts

    def _newton(self, terms: Terms, state: State, ready: Array) -> State:
        """The state that goes on from x + length d in the rows that are ready and keep one of the lengths."""
        x, Fx, step = state.x, state.Fx, state.step
        xp = arrays.namespace(x)
        start = self._merit(terms, x, Fx, step)
        trial = self._trials(terms, state, x - start.image, ready)
        least = xp.where(state.least < start.residual, state.least, start.residual)
        lowest = xp.where(state.lowest < start.envelope, state.lowest, start.envelope)
        lowest = lowest - 1e-4 * start.residual**2 / step
        kept = ready & ~ready
        for length in LENGTHS[: terms.trials]:
            point, F_point = trial(length)
            merit = self._merit(terms, point, F_point, step)
            better = ready & ~kept & ((merit.residual <= 0.5 * least) | (merit.envelope < lowest))
            wide = _spread(better, x)
            state = state._replace(
                next=xp.where(wide, point, state.next),
                F_next=xp.where(wide, F_point, state.F_next),
                t=xp.where(better, xp.ones_like(step), state.t),
                least=xp.where(better & (merit.residual < state.least), merit.residual, state.least),
                lowest=xp.where(better & (merit.envelope < state.lowest), merit.envelope, state.lowest),
                patience=xp.where(better, xp.zeros_like(step), state.patience),
            )
            kept = kept | better
            if arrays.holds_everywhere(kept | ~ready):
                return state
        failed = ready & ~kept
        patience = xp.where(failed, arrays.clip(2.0 * state.patience + 1.0, 0.0, PATIENCE), state.patience)
        return state._replace(patience=patience, wait=xp.where(failed, patience, state.wait))

    def _merit(self, terms: Terms, x: Array, Fx: Array, step: Array) -> Merit:
        """The fixed-point residual at x; where F is a gradient the objective, or the forward-backward envelope."""
        rows = terms.batch_ndim
        image = self._prox(terms, x - _spread(step, x) * Fx, step)
        move = image - x
        residual = arrays.norm(move, rows)
        if not terms.F.symmetric or not terms.g.has_value:
            return Merit(image, residual, 0.0 * residual + math.inf)
        if isinstance(terms.g, Separable):
            smooth = terms.F.value(x, Fx, rows)
            return Merit(image, residual, smooth + arrays.row_sum(terms.g.entry_value(x), rows))
        smooth = terms.F.value(x, Fx, rows) + arrays.inner(Fx, move, rows) + residual**2 / (2.0 * step)
        return Merit(image, residual, smooth + terms.g(image))

    def _trials(self, terms: Terms, state: State, residual: Array, ready: Array) -> Callable[[float], tuple[Array, Array]]:
        """length -> the point of that length along the Newton step from x, and F there."""
        x, Fx, step = state.x, state.Fx, state.step
        xp = arrays.namespace(x)
        if terms.F.symmetric and isinstance(terms.g, Separable):
            return self._projected_trials(terms, x, Fx, ready) if terms.batch_ndim else self._descent(terms, x, Fx)
        if isinstance(terms.g, Separable) and terms.g.is_indicator and not terms.batch_ndim:
            F, ends = terms.F, terms.g.interval
            point = newton_systems.complementarity_newton(F.forward, F.matrix, x, *ends, COMPLEMENTARITY)
            F_point = terms.F.forward(point)
            return lambda length: (point, F_point)
        if isinstance(terms.g, Separable):
            slope = terms.g.entry_prox_derivative(x - _spread(step, x) * Fx, x - residual, _spread(step, x))
            direction = self._separable_direction(terms, slope, residual, step, ready)
        elif terms.F.symmetric:
            steps = max(LEAST_REPEATED, int(REPEATED / (1.0 + float(state.patience))))
            best = newton_systems.residual_newton(terms.F, terms.g, x, Fx, steps)
            return lambda length: best
        else:
            jacobian = terms.g.prox_derivative(x - step * Fx, float(step))
            direction = newton_systems.derivative_system(terms.F.matrix, jacobian, residual, float(step))
        direction = xp.where(xp.isfinite(direction), direction, xp.zeros_like(direction))
        F_direction = terms.F.product(direction)
        return lambda length: (x + length * direction, Fx + length * F_direction)

    @staticmethod
    def _descent(terms: Terms, x: Array, Fx: Array) -> Callable[[float], tuple[Array, Array]]:
        """Projected Newton steps, each with a line search of its own: the same point for every length."""
        model = Model(terms.g, terms.F.matrix, Fx, x)
        point = model.descend(Point(x, Fx), DESCENTS)
        return lambda length: (point.x, point.gradient)

    @staticmethod
    def _projected_trials(terms: Terms, x: Array, Fx: Array, ready: Array) -> Callable[[float], tuple[Array, Array]]:
        """Newton steps on the piece of g around x, clipped to it: -r = d where D = 0 holds there already."""
        xp, g = arrays.namespace(x), terms.g
        piece = around(g, x, -Fx)  # type: ignore[arg-type]
        free = piece.free & _spread(ready, x)
        right = xp.where(free, -(Fx + piece.slope), xp.zeros_like(x))
        solve = newton_systems.padded_systems if type(x) is np.ndarray else newton_systems.masked_systems
        bend = curvature(g, x, piece)  # type: ignore[arg-type]
        direction = solve(terms.F.matrix, bend, right, free, True)
        direction = xp.where(free & xp.isfinite(direction), direction, xp.zeros_like(direction))

        def trial(length: float) -> tuple[Array, Array]:
            point = arrays.clip(x + length * direction, piece.lower, piece.upper)
            return point, terms.F.forward(point)

        return trial

    @staticmethod
    def _separable_direction(terms: Terms, slope: Array, residual: Array, step: Array, ready: Array) -> Array:
        """(I - D + s D H) d = -r with a diagonal D: d = -r where D = 0, a smaller system elsewhere."""
        xp = arrays.namespace(residual)
        length = _spread(step, residual)
        free = (slope > 0) & _spread(ready, residual)
        safe = xp.where(slope > 0, slope, xp.ones_like(slope)) * length
        fixed = xp.where(free, xp.zeros_like(residual), -residual)
        right = -residual / safe - terms.F.product(fixed)
        solve = newton_systems.padded_systems if type(residual) is np.ndarray else newton_systems.masked_systems
        found = solve(terms.F.matrix, (1.0 - slope) / safe, right, free, False)
        return xp.where(free, found, fixed)

    @staticmethod
    def _prox(terms: Terms, x: Array, step: Array) -> Array:
        if isinstance(terms.g, Separable):
            return terms.g.entry_prox(x, _spread(step, x))
        return terms.g.prox(x, float(step))

    @staticmethod
    def _moving(terms: Terms, forward: Array, x: Array, step: Array) -> Array:
        if isinstance(terms.g, Separable):
            return terms.g.entry_prox_derivative(forward, x, _spread(step, x)) > 0
        return x != 0

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return (state.y - state.x) / _spread(state.step, state.x) + (state.Fx - state.Fy)


def _spread(number: Array, x: Array) -> Array:
    """One number a row, shaped to multiply the row."""
    return arrays.namespace(number).reshape(number, number.shape + (1,) * (x.ndim - number.ndim))


def _on_rows(action: Callable[[Terms, State, Array], State], terms: Terms, state: State, rows: Array) -> State:
    """The action on some rows: on NumPy those alone where they are not almost all, else on all rows."""
    if not terms.rows_apart or type(state.x) is not np.ndarray or np.count_nonzero(rows) > 0.8 * rows.size:
        return action(terms, state, rows)
    part = arrays.tree_map(lambda leaf: leaf[rows], state)
    part = action(terms._replace(F=terms.F.at_rows(rows)), part, rows[rows])

    def put(old: Any, new: Any) -> Any:
        result = old.copy()
        result[rows] = new
        return result

    return arrays.tree_map(put, state, part)
