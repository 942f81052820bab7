"""Proximal augmented Lagrangian method with semismooth Newton steps (Hermans, Themelis and Patrinos 2022) for programs.

minimise 1/2 <x, Px> + <q, x> subject to lower <= Ax <= upper: the proximal method of multipliers (Rockafellar 1976)
x+ ~ argmin f(x) + |x - c|^2/(2 proximal) + 1/2 sum sigma_i dist^2(a_i x + y_i/sigma_i, [lower_i, upper_i]),
y+ = sigma (z - P z) with z = Ax+ + y/sigma, its subproblems by Newton steps with exact line searches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import numpy as np

from monops import arrays
from monops.algorithms.algorithm import Algorithm, NoSolution, Solution
from monops.algorithms.shared.programs import (
    Host,
    Pair,
    Program,
    Scaling,
    certificate,
    dual_array,
    equilibrate,
    inconsistency,
    pair,
    read_program,
    rescaled,
)
from monops.algorithms.shared.quasidefinite import IGNORED, QuasidefiniteSystem
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

LARGEST_PENALTY = 1e8
LARGEST_PROXIMAL = 1e8
GROWTH = 100.0  # of a penalty, where its violation is the largest
SHRINKAGE = 0.25  # of a violation, below which its penalty stays
FIRST_PENALTY = 10.0
ROUNDING = 4 * float(np.finfo(np.float64).eps)  # of a multiplier, relative to its penalty times the size of its row
EQUATIONS = 1e3  # by which the first penalty of equations is larger


def guarantee() -> Guarantee:
    """Every penalty is proven: the method of multipliers is the proximal point method on a maximal monotone operator."""
    return Guarantee(
        interval=(0, math.inf),
        best_step=FIRST_PENALTY,
        formula="0 < step_size",
        rate="linear (Luque 1984)",
        source="Rockafellar (1976) Thm 1; subproblems: Hermans-Themelis-Patrinos (2022)",
    )


class Terms(NamedTuple):
    """The program, scaled and not, its linear systems, and the resolved numbers."""

    program: Program
    scaling: Scaling
    system: QuasidefiniteSystem
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The pair of x and the multipliers that follow from it; x, multipliers and center of the subproblem, penalties, the
    proximal weight, the accuracy asked for, the violations at the last multipliers, the last moves; an array of the caller.
    """

    current: Pair
    x: Host
    y: Host
    center: Host
    penalty: Host
    proximal: float
    accuracy: float
    violation: Host
    move: tuple[Host, Host]
    like: Array


@final
@dataclass(frozen=True)
class AugmentedLagrangianNewton(Algorithm):
    """Linear and convex quadratic programs by the proximal method of multipliers with Newton steps: for warm starts.

    Takes any sum of Quadratic, Linear, LeastSquares and boxes, each alone or composed with a dense or sparse matrix.

    Parameters
    ----------
    step_size : float, optional
        The first penalty of every row of the scaled program, > 0; later ones grow where a violation does not fall. Default 10.

    Raises
    ------
    NotApplicableError
        When a term is neither quadratic nor a box, or the problem has batch rows.
    DataError
        When the quadratic part is not convex.

    Notes
    -----
    **Certificate** (Px + q + A*y, s - Ax) with s in the box and y normal to it at s: an element of the primal-dual operator at
    (x, y), in the data as given (the method itself works on a scaled program). ``Result.dual`` has the multipliers of the boxes
    in their order, and ``solve(warm_start=result)`` takes them over. **Cost** of an iteration: one factorisation of
    [P + I/proximal, A*; A, -I/penalty] with the active rows (sparse LU of a quasidefinite matrix, or dense Cholesky), and one
    sort of the breakpoints of the line search. All of it runs on the host in float64. Newton steps on a strongly convex
    piecewise quadratic function with exact line searches end.

    References
    ----------
    Rockafellar (1976), Augmented Lagrangians and applications of the proximal point algorithm in convex programming. Hermans,
    Themelis and Patrinos (2022), QPALM: a proximal augmented Lagrangian method for nonconvex quadratic programs. Luque (1984),
    Asymptotic convergence analysis of the proximal point algorithm. Sun (1997) for the finite end of the Newton steps.

    Examples
    --------
    >>> import numpy as np, monops
    >>> P, q = np.array([[4.0, 1.0], [1.0, 2.0]]), np.ones(2)
    >>> problem = monops.Quadratic(P, q) + monops.Box(1.0, 1.0) @ np.ones((1, 2)) + monops.Box(0.0, 0.7)
    >>> result = monops.solve(problem, AugmentedLagrangianNewton(), tol=1e-10)
    >>> result.x.round(6), result.dual[0].round(6)
    (array([0.3, 0.7]), array([-2.9]))
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 sparse factorisation"
    evaluations: ClassVar[float] = 30.0
    typical_iterations: ClassVar[float] = 100
    steps_a_check: ClassVar[int] = 1
    needs_constants: ClassVar[bool] = False
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        program = read_program(problem)
        if isinstance(program, Missing):
            self.refuse(program)
        proven = guarantee()
        step = proven.resolve(self.step_size, self.name)
        scaling = equilibrate(program)
        system = QuasidefiniteSystem(scaling.program.P, scaling.program.A, 1.0 / scaling.columns, 1.0 / scaling.rows)
        known = Constants(0.0, why="rule: the operator of a convex program is monotone")
        return Terms(program, scaling, system, step, proven, known, ())

    def init(self, terms: Terms, x0: Array) -> State:
        scaling = terms.scaling
        x = arrays.to_numpy(x0).astype(np.float64) / scaling.columns
        rows = len(scaling.rows)
        y = np.zeros(rows)
        scaled = scaling.program
        penalty = np.where(scaled.lower == scaled.upper, EQUATIONS, 1.0) * terms.step_size
        return State(
            pair(scaling, terms.program, x, y), x, y, x, penalty, 1e3, 1.0, np.full(rows, np.inf), (0.0 * x, 0.0 * y), x0
        )

    def step(self, terms: Terms, state: State) -> State:
        scaled = terms.scaling.program
        x, y, center, penalty, proximal = state.x, state.y, state.center, state.penalty, state.proximal
        accuracy, violation, move = state.accuracy, state.violation, state.move
        z = scaled.A @ x + y / penalty
        s = np.clip(z, scaled.lower, scaled.upper)
        following = penalty * (z - s)
        slope = scaled.P @ x + scaled.q
        gradient = slope + (x - center) / proximal + scaled.A.T @ following
        rounding = ROUNDING * float(np.max(np.where(z != s, penalty * np.abs(z), 0.0), initial=0.0))
        if np.max(np.abs(gradient), initial=0.0) <= max(accuracy, rounding):
            move = (x - center, following - y)
            left = np.abs(scaled.A @ x - s)
            worst = float(np.max(left, initial=0.0))
            slow = left > SHRINKAGE * violation
            grown = penalty * np.maximum(1.0, GROWTH * left / (worst if worst > 0 else 1.0))
            penalty = np.where(slow, np.minimum(LARGEST_PENALTY, grown), penalty)
            center, y, violation = x, following, left
            proximal, accuracy = min(10.0 * proximal, LARGEST_PROXIMAL), max(0.1 * accuracy, 1e-13)
            z = scaled.A @ x + y / penalty
            s = np.clip(z, scaled.lower, scaled.upper)
            following = penalty * (z - s)
            gradient = slope + scaled.A.T @ following
        active = (z != s) | (scaled.lower == scaled.upper)
        terms.system.factor(1.0 / proximal, np.where(active, 1.0 / penalty, IGNORED))
        d, _ = terms.system.solve(-gradient, np.zeros(len(z)))
        image = scaled.A @ d
        curvature = float(d @ (scaled.P @ d) + d @ d / proximal)
        start = float(d @ (slope + (x - center) / proximal))
        x = x + _exact_step(curvature, start, penalty, z, image, scaled) * d
        z = scaled.A @ x + y / penalty
        current = pair(terms.scaling, terms.program, x, penalty * (z - np.clip(z, scaled.lower, scaled.upper)))
        return State(current, x, y, center, penalty, proximal, accuracy, violation, move, state.like)

    def rebase(self, terms: Terms, state: State) -> State:
        """A start from the point and the multipliers of another program with as many rows."""
        first = self.init(terms, self.solution(terms, state).x)
        if state.current.y.shape != first.y.shape:
            return first
        x, y, _ = rescaled(terms.scaling, state.current)
        return first._replace(current=pair(terms.scaling, terms.program, x, y), y=y)

    def solution(self, terms: Terms, state: State) -> Solution:
        current = state.current
        return Solution(arrays.from_numpy(current.x, state.like), dual_array(terms.program, current.y, state.like))

    def certificate(self, terms: Terms, state: State) -> Array:
        current = state.current
        primal, dual = certificate(terms.program, current.x, current.y, current.s)
        return Blocks((arrays.from_numpy(primal, state.like), dual_array(terms.program, dual, state.like)))

    def governing(self, terms: Terms, state: State) -> Array:
        return arrays.from_numpy(state.current.x, state.like)

    def inconsistency(self, terms: Terms, state: State) -> NoSolution | None:
        """A certificate that there is no solution, from the direction in which the multipliers or the points run away."""
        scaling = terms.scaling

        def candidates() -> Iterator[tuple[Host, Host]]:
            yield scaling.columns * state.move[0], scaling.rows * state.move[1]
            yield scaling.columns * state.x, scaling.rows * state.y

        return inconsistency(terms.program, candidates())


def _exact_step(curvature: float, start: float, penalty: Host, z: Host, image: Host, scaled: Program) -> float:
    """The zero of t -> curvature t + start + sum penalty image (z + t image - P(z + t image)), which does not decrease."""
    outside = z - np.clip(z, scaled.lower, scaled.upper)
    weight = penalty * image * image
    value, slope = start + float((penalty * image) @ outside), curvature + float(np.sum(weight[outside != 0]))
    moving = image != 0
    with np.errstate(invalid="ignore"):
        down = np.where(image[moving] > 0, scaled.lower[moving], scaled.upper[moving]) - z[moving]  # leaves the penalty there
        up = np.where(image[moving] > 0, scaled.upper[moving], scaled.lower[moving]) - z[moving]  # enters the penalty there
    times = np.concatenate([down / image[moving], up / image[moving]])
    jumps = np.concatenate([-weight[moving], weight[moving]])
    ahead = np.isfinite(times) & (times > 0)
    entering = np.concatenate([np.zeros(np.sum(moving), dtype=bool), np.ones(np.sum(moving), dtype=bool)])
    at_once = entering & (times == 0)  # on the bound, and about to leave the box
    slope += float(np.sum(jumps[at_once]))
    order = np.argsort(times[ahead], kind="stable")
    times, jumps = times[ahead][order], jumps[ahead][order]
    slopes = slope + np.concatenate([[0.0], np.cumsum(jumps)])
    steps = np.diff(np.concatenate([[0.0], times]))
    values = value + np.concatenate([[0.0], np.cumsum(slopes[:-1] * steps)])
    beyond = np.flatnonzero(values >= 0)
    last = int(beyond[0]) - 1 if len(beyond) else len(times)
    if last < 0:
        return 0.0
    begin = times[last - 1] if last > 0 else 0.0
    return float(begin - values[last] / slopes[last]) if slopes[last] > 0 else 1.0
