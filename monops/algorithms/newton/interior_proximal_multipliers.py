"""Interior point proximal method of multipliers (Pougkakiotis and Gondzio 2021) for linear and convex quadratic programs.

minimise 1/2 <x, Px> + <q, x> subject to lower <= Ax <= upper: the proximal method of multipliers (Rockafellar 1976), each
subproblem of which is approached by one primal-dual Newton step along the central path (Mehrotra 1992, Gondzio 1996).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np

from monops import arrays
from monops.algorithms.algorithm import Algorithm, NoSolution, Solution
from monops.algorithms.shared.matrix_games import Game, read_game
from monops.algorithms.shared.programs import (
    Host,
    Pair,
    Program,
    Scaling,
    certificate,
    dual_array,
    equilibrate,
    inconsistency,
    on_the_graph,
    pair,
    read_program,
    rescaled,
)
from monops.algorithms.shared.quasidefinite import IGNORED, QuasidefiniteSystem
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

TO_BOUNDARY = 0.995  # share of the way to the boundary that a step goes
CORRECTORS = 3
REACH = 0.3  # by how much a corrector is to lengthen the step
FINE = 1e-6  # mean complementarity, scaled, from which on the face of the solution is tried
FINER = 1e-13  # and from which on steps without a gain are counted
FINEST = 1e-18  # and below which only rounding moves
PATIENCE = 5  # fine steps without a gain after which the interior point stays as it is


def guarantee() -> Guarantee:
    """Every proximal weight is proven: the operator of the program is maximal monotone."""
    return Guarantee(
        interval=(0, math.inf),
        best_step=1e12,
        formula="0 < step_size",
        rate="polynomial for short steps",
        source="Pougkakiotis-Gondzio (2021); proximal method of multipliers: Rockafellar (1976) Thm 1",
    )


class Terms(NamedTuple):
    """The program, scaled and not, its linear systems, which rows are equations or have a bound, the resolved numbers."""

    program: Program
    scaling: Scaling
    system: QuasidefiniteSystem
    equal: Host
    has_lower: Host
    has_upper: Host
    step_size: float
    dual_step_size: float
    game: Game | None
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class Interior(NamedTuple):
    """Scaled point: x, s near Ax strictly inside the box, its distances t and r from the bounds (1 where there is none; kept on
    their own, because s - lower has no digits left in the end), their multipliers, y = above - below (free for equations).
    """

    x: Host
    y: Host
    s: Host
    t: Host
    r: Host
    below: Host
    above: Host


class State(NamedTuple):
    """The best pair, the interior point, its last move, the face of the last pair, fine steps without a gain; an array of the
    caller.
    """

    best: Pair
    interior: Interior
    move: tuple[Host, Host]
    face: Host
    idle: int
    like: Array


class Direction(NamedTuple):
    """A Newton direction of an interior point."""

    x: Host
    y: Host
    s: Host
    below: Host
    above: Host


@final
@dataclass(frozen=True)
class InteriorProximalMultipliers(Algorithm):
    """Linear and convex quadratic programs by proximal multiplier steps along the central path: cold starts, few iterations.

    Takes any sum of Quadratic, Linear, LeastSquares and boxes, each alone or composed with a dense or sparse matrix, and matrix
    games: saddle points of <Kx, y> on two simplices, which are linear programs. The start x0 gives the shape and the library
    only; for warm starts see `AugmentedLagrangianNewton`.

    Parameters
    ----------
    step_size, dual_step_size : float, optional
        Proximal weights of x and of the multipliers in the scaled program, > 0. Default 1e12 and 1e9.

    Raises
    ------
    NotApplicableError
        When a term is neither quadratic nor a box and the problem is no matrix game, or it has batch rows.
    DataError
        When the quadratic part is not convex.

    Notes
    -----
    **Certificate** (Px + q + A*y, s - Ax) with s in the box and y normal to it at s: an element of the primal-dual operator at
    (x, y), in the data as given (the method itself works on a scaled program), so that an answer is as good as its residual
    says, whatever the iteration did. ``Result.dual`` has the multipliers of the boxes in their order. **Cost** of an iteration:
    one factorisation of [P + I/step, A*; A, -D] with a diagonal D (sparse LU of a quasidefinite matrix, or dense Cholesky),
    near the end a second one for the face on which the solution is taken to lie; three to eight solves, each refined by a few
    minimal-residual steps. All of it runs on the host in float64. The theorem is of the short-step variant; predictor,
    correctors and long steps are those of practice.

    References
    ----------
    Pougkakiotis and Gondzio (2021), An interior point-proximal method of multipliers for convex quadratic programming.
    Rockafellar (1976), Augmented Lagrangians and applications of the proximal point algorithm in convex programming. Mehrotra
    (1992), On the implementation of a primal-dual interior point method. Gondzio (1996), Multiple centrality corrections.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Linear(np.array([1.0, 2.0])) + monops.Box(1.0, np.inf) @ np.ones((1, 2)) + monops.NonNegative()
    >>> result = monops.solve(problem, InteriorProximalMultipliers(), tol=1e-10)
    >>> result.x.round(6) + 0.0, result.dual[0].round(6)
    (array([1., 0.]), array([-1.]))
    """

    step_size: float | None = None
    dual_step_size: float = 1e9
    cost: ClassVar[str] = "1 or 2 sparse factorisations"
    evaluations: ClassVar[float] = 60.0
    typical_iterations: ClassVar[float] = 25
    steps_a_check: ClassVar[int] = 1
    needs_constants: ClassVar[bool] = False
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        program, game = read_program(problem), None
        if isinstance(program, Missing):
            found = read_game(problem)
            if isinstance(found, Missing):
                self.refuse(program)
            program, game = found
        proven = guarantee()
        step = proven.resolve(self.step_size, self.name)
        dual_step = proven.resolve(self.dual_step_size, self.name, "dual_step_size")
        scaling = equilibrate(program)
        scaled = scaling.program
        system = QuasidefiniteSystem(scaled.P, scaled.A, 1.0 / scaling.columns, 1.0 / scaling.rows)
        lower, upper = np.isfinite(scaled.lower), np.isfinite(scaled.upper)
        both = lower & upper
        size = np.where(both, np.abs(scaled.lower) + np.abs(scaled.upper), 0.0)
        equal = both & (np.where(both, scaled.upper, 0.0) - np.where(both, scaled.lower, 0.0) <= 1e-10 * (1.0 + size))
        known = Constants(0.0, why="rule: the operator of a convex program is monotone")
        return Terms(program, scaling, system, equal, lower & ~equal, upper & ~equal, step, dual_step, game, proven, known, ())

    def init(self, terms: Terms, x0: Array) -> State:
        scaled = terms.scaling.program
        bounded = terms.has_lower | terms.has_upper
        compliance = np.where(terms.equal, 1.0 / terms.step_size, np.where(bounded, 1.0, IGNORED))
        terms.system.factor(1e-6, compliance)
        x, y = terms.system.solve(-scaled.q, np.clip(np.zeros(len(bounded)), scaled.lower, scaled.upper))
        interior = _first(terms, x, y)
        best = self._snapped(terms, interior)
        return State(best, interior, (0.0 * x, 0.0 * y), np.sign(best.y), 0, x0)

    def step(self, terms: Terms, state: State) -> State:
        if state.idle >= 2 * PATIENCE:
            return state
        if state.idle >= PATIENCE:
            return self._finished(terms, state)
        found = _newton_step(terms, state.interior)
        if found is None:  # rounding leaves no way on
            return state._replace(idle=PATIENCE)
        interior, move = found
        new, gap = self._snapped(terms, interior), _mean_gap(terms, interior)
        face = np.sign(new.y)
        if gap < FINE and (gap < FINER or np.array_equal(face, state.face)):
            polished = _polished(terms, new)
            new = polished if polished.residual < new.residual else new
        gained = new.residual < 0.9 * state.best.residual
        idle = 0 if gained or gap > FINER else state.idle + 1
        best = new if new.residual < state.best.residual else state.best
        return State(best, interior, move, face, PATIENCE if 0 < gap < FINEST else idle, state.like)

    def solution(self, terms: Terms, state: State) -> Solution:
        best = state.best
        if terms.game is not None:
            return Solution(terms.game.played(best.x, best.y, state.like[0])[0])
        return Solution(arrays.from_numpy(best.x, state.like), dual_array(terms.program, best.y, state.like))

    def certificate(self, terms: Terms, state: State) -> Array:
        best = state.best
        if terms.game is not None:
            return terms.game.played(best.x, best.y, state.like[0])[1]
        primal, dual = certificate(terms.program, best.x, best.y, best.s)
        return Blocks((arrays.from_numpy(primal, state.like), dual_array(terms.program, dual, state.like)))

    def governing(self, terms: Terms, state: State) -> Array:
        if terms.game is not None:
            return self.solution(terms, state).x
        return arrays.from_numpy(terms.scaling.columns * state.interior.x, state.like)

    def expected_iterations(self, terms: Terms) -> float:
        """More for games of many strategies, where a dense factorisation costs more than products do."""
        return self.typical_iterations * (1.0 if terms.game is None else 1.0 + len(terms.program.q) / 1000.0)

    def inconsistency(self, terms: Terms, state: State) -> NoSolution | None:
        """A certificate that there is no solution, from the direction in which the iterates run away; games have one."""
        if terms.game is not None:
            return None
        scaling = terms.scaling

        def candidates() -> Iterator[tuple[Host, Host]]:
            for x, y in (state.move, (state.interior.x, state.interior.y)):
                yield scaling.columns * x, scaling.rows * y

        return inconsistency(terms.program, candidates())

    @staticmethod
    def _finished(terms: Terms, state: State) -> State:
        """The next state when the interior point has come to an end: multiplier steps on the face of the best pair."""
        new = _polished(terms, state.best)
        if new.residual < 0.9 * state.best.residual:
            return state._replace(best=new)
        return state._replace(idle=2 * PATIENCE)

    @staticmethod
    def _snapped(terms: Terms, p: Interior) -> Pair:
        return on_the_graph(terms.scaling, terms.program, p.x, p.y, p.t, p.r)


def _first(terms: Terms, x: Host, y: Host) -> Interior:
    """A point well inside, near the solution (x, y) of the program with its bounds replaced by quadratic penalties."""
    scaled, lower, upper = terms.scaling.program, terms.has_lower, terms.has_upper
    s = scaled.A @ x
    width = np.where(lower & upper, scaled.upper - scaled.lower, np.inf)
    violation = np.concatenate([(scaled.lower - s)[lower], (s - scaled.upper)[upper & ~lower], [0.0]])
    margin = np.minimum(max(1.0, float(np.median(np.abs(violation)))), 0.25 * width)
    low, high = np.where(lower, scaled.lower + margin, -np.inf), np.where(upper, scaled.upper - margin, np.inf)
    s = np.where(terms.equal, scaled.lower, np.clip(s, low, high))
    least = max(1.0, 0.1 * float(np.max(np.abs(y[lower | upper]), initial=0.0)))
    below = np.where(lower, np.maximum(-y, 0.0) + least, 0.0)
    above = np.where(upper, np.maximum(y, 0.0) + least, 0.0)
    y = np.where(lower | upper, above - below, np.where(terms.equal, y, 0.0))
    t, r = np.where(lower, s - scaled.lower, 1.0), np.where(upper, scaled.upper - s, 1.0)
    return Interior(x, y, s, t, r, below, above)


def _mean_gap(terms: Terms, p: Interior) -> float:
    """Mean of the products of slacks and multipliers."""
    count = int(terms.has_lower.sum() + terms.has_upper.sum())
    return float(p.below @ p.t + p.above @ p.r) / max(count, 1)


def _newton_step(terms: Terms, p: Interior) -> tuple[Interior, tuple[Host, Host]] | None:
    """The next interior point and the direction of x and y: predictor, corrector, centrality correctors; one factorisation."""
    scaled, lower, upper = terms.scaling.program, terms.has_lower, terms.has_upper
    bounded, rho, delta = lower | upper, 1.0 / terms.step_size, 1.0 / terms.dual_step_size
    t, r = p.t, p.r
    stiffness = p.below / t + p.above / r
    safe = np.where(bounded, stiffness, 1.0)
    terms.system.factor(rho, np.where(terms.equal, delta, np.where(bounded, 1.0 / safe + delta, IGNORED)))
    dual = scaled.P @ p.x + scaled.q + scaled.A.T @ p.y
    primal = np.where(bounded | terms.equal, scaled.A @ p.x - p.s, 0.0)

    def direction(target: Host, other: Host, accuracy: float) -> Direction:
        """Newton direction for t * below to grow by ``target`` and r * above by ``other``."""
        h = np.where(bounded, other / r - target / t, 0.0)
        dx, dy = terms.system.solve(-dual, -primal - h / safe, accuracy)
        # both are ds; where the slack is large the first would lose digits, where it is small the second would
        ds = np.where(bounded, np.where(stiffness > 1.0, (dy - h) / safe, scaled.A @ dx + primal), 0.0)
        below = np.where(lower, (target - p.below * ds) / t, 0.0)
        return Direction(dx, dy, ds, below, np.where(upper, (other + p.above * ds) / r, 0.0))

    def lengths(d: Direction) -> tuple[float, float]:
        """The largest steps, at most 2, that keep the slacks and the multipliers nonnegative."""
        slacks = min(_longest(t, np.where(lower, d.s, 0.0)), _longest(r, np.where(upper, -d.s, 0.0)))
        return slacks, min(_longest(p.below, d.below), _longest(p.above, d.above))

    target, other = -p.below * t, -p.above * r
    d = direction(target, other, 1e-4)
    a, b = lengths(d)
    gap = _mean_gap(terms, p)
    if gap > 0:
        c = min(a, b, 1.0)
        ahead = p._replace(t=t + c * d.s, r=r - c * d.s, below=p.below + c * d.below, above=p.above + c * d.above)
        center = max(min(max(_mean_gap(terms, ahead) / gap, 0.0), 1.0) ** 3, 1e-6) * gap
        target = np.where(lower, center - p.below * t - d.below * d.s, 0.0)
        other = np.where(upper, center - p.above * r + d.above * d.s, 0.0)
        d = direction(target, other, 1e-10)
        a, b = lengths(d)
        for _ in range(CORRECTORS):
            if min(a, b) > 0.9:
                break
            far, far_dual = min(1.0, a + REACH), min(1.0, b + REACH)
            target_try = target + np.where(lower, _outside((t + far * d.s) * (p.below + far_dual * d.below), center), 0.0)
            other_try = other + np.where(upper, _outside((r - far * d.s) * (p.above + far_dual * d.above), center), 0.0)
            trial = direction(target_try, other_try, 1e-10)
            a_try, b_try = lengths(trial)
            if min(a_try, 1.0) + min(b_try, 1.0) < min(a, 1.0) + min(b, 1.0) + 0.1 * REACH:
                break
            d, a, b, target, other = trial, a_try, b_try, target_try, other_try
    if not (np.all(np.isfinite(d.x)) and np.all(np.isfinite(d.y))):
        return None
    a, b = min(1.0, TO_BOUNDARY * a), min(1.0, TO_BOUNDARY * b)
    if scaled.P.nnz:  # the dual residual depends on x: one step for both
        a = b = min(a, b)
    x, below, above = p.x + a * d.x, p.below + b * d.below, p.above + b * d.above
    t, r = np.where(lower, t + a * d.s, 1.0), np.where(upper, r - a * d.s, 1.0)
    near = np.where(lower & ~(upper & (r < t)), scaled.lower + t, np.where(upper, scaled.upper - r, scaled.A @ x))
    s = np.where(terms.equal, p.s, near)
    y = np.where(bounded, above - below, np.where(terms.equal, p.y + b * d.y, 0.0))
    return Interior(x, y, s, t, r, below, above), (d.x, d.y)


def _longest(x: Host, d: Host) -> float:
    """The largest step up to 2 with x + step d >= 0."""
    down = d < 0
    return float(np.min(x[down] / -d[down], initial=2.0))


def _outside(products: Host, center: float) -> Host:
    """What moves products that are far from the central path back into [center/10, 10 center], at most by 10 center down."""
    return np.maximum(np.clip(products, 0.1 * center, 10.0 * center) - products, -10.0 * center)


def _polished(terms: Terms, found: Pair) -> Pair:
    """One augmented Lagrangian step with the active rows as equations; multipliers that change their sign are dropped."""
    scaled, delta = terms.scaling.program, 1.0 / terms.step_size
    x, y, s = rescaled(terms.scaling, found)
    active = (y != 0) | terms.equal
    terms.system.factor(delta, np.where(active, delta, IGNORED))
    dual = scaled.P @ x + scaled.q + scaled.A.T @ y
    dx, dy = terms.system.solve(-dual, np.where(active, s - scaled.A @ x, 0.0))
    new = np.where(active & (terms.equal | ((y + dy) * y > 0)), y + dy, 0.0)
    return pair(terms.scaling, terms.program, x + dx, new)
