"""Broyden's method (1965) for z - f(z) = 0 with the last rank-one pairs only, and a search that uses no derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.any_map import UNPROVEN, Terms, fixed_point_of, unproven
from monops.algorithms.shared.gmres_rows import reciprocal
from monops.arrays import Array
from monops.errors import DataError
from monops.problem import Inclusion

WINDOW = 10  # a point is accepted if its residual is below the largest of so many last ones, times 1 + 1/(n + 1)^2
HALVING = 0.5  # of the step from the last accepted point after one that was not
SINGULAR = 0.01  # an update that would divide det B by more than 1/SINGULAR is damped (Powell 1970)


class State(NamedTuple):
    """z, g = z - f(z), the direction -Hg; step length, accepted points, last residuals (one a row); H = aI + sum u v'."""

    z: Array
    g: Array
    direction: Array
    length: Array
    accepted: Array
    window: Array
    left: tuple[Array, ...]
    right: tuple[Array, ...]
    pairs: int  # of the memory in use


@final
@dataclass(frozen=True)
class Broyden(Algorithm):
    """z+ = z + t d, d = -H (z - f(z)), H an approximation of the inverse Jacobian by rank-one updates, each row its own.

    Type 1 ("good"): H+ = H + (s - Hy) s'H/(s'Hy), the inverse form of the least change of the Jacobian that fits the last
    step s and the change y of the residual; type 2 ("bad"): H+ = H + (s - Hy) y'/|y|^2, the least change of H.

    Parameters
    ----------
    memory : int, default 20
        Pairs of vectors that are kept; once there are so many, H begins anew.
    type : {1, 2}
    relaxation : float, default 1.0
        H begins as this multiple of the identity: the first step is the Picard step with this relaxation.

    Raises
    ------
    DataError
        When memory is no integer >= 1, type not 1 or 2, or the relaxation not positive and finite.
    NotApplicableError
        When the problem is no `FixedPoint`.

    Notes
    -----
    Nothing is proven for all maps. Locally, near a regular fixed point of a smooth f and with enough memory, convergence is
    superlinear (Broyden, Dennis and More 1973). Safeguards: an update that would make H nearly singular is damped; a point
    whose residual is above 1 + 1/(n + 1)^2 times the largest of the last ten, or not finite, is not taken, and the row tries
    half the length with the updated direction, so that residuals stay below 3.7 times the first (the idea of Li and Fukushima
    2000). Beginning anew needs fewer steps than dropping the oldest pair, which leaves H with pairs that no longer fit.
    **Certificate** z - f(z). **Cost** one value of f, 4 memory vector operations (2 memory for type 2), 2 memory vectors.

    References
    ----------
    Broyden (1965), A class of methods for solving nonlinear simultaneous equations. Powell (1970). Broyden, Dennis and More
    (1973). Kelley (1995), Iterative methods for linear and nonlinear equations, chapter 7. Li and Fukushima (2000), A
    derivative-free line search and global convergence of Broyden-like method for nonlinear equations.

    Examples
    --------
    >>> import numpy as np, monops
    >>> result = monops.solve(monops.FixedPoint(lambda z: 2.0 * z + 1.0), monops.Broyden(), x0=np.zeros(2))
    >>> result.x, result.iterations
    (array([-1., -1.]), 2)
    """

    memory: int = 20
    type: int = 1
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 value of f, inner products with the memory"
    evaluations: ClassVar[float] = 1.5
    typical_iterations: ClassVar[float] = 500
    steps_a_check: ClassVar[int] = 1
    needs_constants: ClassVar[bool] = False
    is_candidate: ClassVar[bool] = False
    takes_any_map: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.memory, bool) or not self.memory >= 1 or self.memory != int(self.memory):
            raise DataError(f"Broyden: memory={self.memory!r} must be an integer >= 1")
        if self.type not in (1, 2):
            raise DataError(f"Broyden: type={self.type!r} must be 1 or 2")
        if isinstance(self.relaxation, bool) or not 0 < self.relaxation < math.inf:
            raise DataError(f"Broyden: relaxation={self.relaxation!r} must be a positive finite number")

    def match(self, problem: Inclusion) -> Terms:
        operator = fixed_point_of(problem, self)
        guarantee = unproven("Broyden (1965)", "superlinear near a regular fixed point")
        return Terms(operator, float(self.relaxation), guarantee, operator.constants, (UNPROVEN,), problem.batch_ndim)

    def init(self, terms: Terms, x0: Array) -> State:
        g = terms.operator.forward(x0)
        one = adaptive.initial(1.0, x0, terms.batch_ndim)
        xp = arrays.namespace(one)
        window = xp.stack([arrays.norm(g, terms.batch_ndim)] * WINDOW, axis=-1)
        empty = (0.0 * g,) * self.memory
        return State(x0, g, -terms.step_size * g, one, 0.0 * one, window, empty, empty, 0)

    def step(self, terms: Terms, state: State) -> State:
        batch_ndim, a = terms.batch_ndim, terms.step_size
        pairs = state.pairs if state.pairs < self.memory else 0
        left, right = state.left[:pairs], state.right[:pairs]
        s = arrays.scale_rows(state.length, state.direction)
        trial = state.z + s
        g_trial = terms.operator.forward(trial)
        size = arrays.norm(g_trial, batch_ndim)
        xp = arrays.namespace(size)
        finite = xp.isfinite(size)
        g_trial = arrays.select_rows(finite, g_trial, state.g)
        s = arrays.select_rows(finite, s, 0.0 * state.g)  # a pair of zeros changes nothing
        Hg = -state.direction if pairs == state.pairs else a * state.g
        Hg_trial = _apply(a, left, right, g_trial, batch_ndim)
        if self.type == 1:
            u, v = _good(s, Hg_trial - Hg, _apply(a, right, left, s, batch_ndim), batch_ndim)
        else:
            y = g_trial - state.g
            u, v = s - (Hg_trial - Hg), arrays.scale_rows(reciprocal(arrays.inner(y, y, batch_ndim)), y)
        accept = finite & (size <= (1.0 + (state.accepted + 1.0) ** -2.0) * xp.max(state.window, axis=-1))
        moved = xp.concat([state.window[..., 1:], size[..., None]], axis=-1)
        g = arrays.select_rows(accept, g_trial, state.g)
        Hg = arrays.select_rows(accept, Hg_trial, Hg)
        direction = -(Hg + arrays.scale_rows(arrays.inner(v, g, batch_ndim), u))
        usable = xp.isfinite(arrays.norm(direction, batch_ndim))
        return State(
            arrays.select_rows(accept, trial, state.z),
            g,
            arrays.select_rows(usable, direction, -a * g),
            xp.where(accept, xp.ones_like(size), HALVING * state.length),
            xp.where(accept, state.accepted + 1.0, state.accepted),
            xp.where(accept[..., None], moved, state.window),
            (*left, u, *state.left[pairs + 1 :]),
            (*right, v, *state.right[pairs + 1 :]),
            pairs + 1,
        )

    def rebase(self, terms: Terms, state: State) -> State:
        new = self.init(terms, state.z)
        if len(state.left) != self.memory:
            return new
        left, right = state.left[: state.pairs], state.right[: state.pairs]
        direction = -_apply(terms.step_size, left, right, new.g, terms.batch_ndim)
        return new._replace(direction=direction, left=state.left, right=state.right, pairs=state.pairs)

    def probe(self, terms: Terms, state: State) -> Array:
        return terms.operator.image(state.z)  # a step divides by small differences

    def expected_iterations(self, terms: Terms) -> float:
        return math.inf

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.z)

    def certificate(self, terms: Terms, state: State) -> Array:
        return state.g


def _apply(a: float, left: tuple[Array, ...], right: tuple[Array, ...], x: Array, batch_ndim: int) -> Array:
    """(aI + sum u v') x."""
    total = x if a == 1.0 else a * x
    for u, v in zip(left, right, strict=True):
        total = total + arrays.scale_rows(arrays.inner(v, x, batch_ndim), u)
    return total


def _good(s: Array, Hy: Array, sH: Array, batch_ndim: int) -> tuple[Array, Array]:
    """u, v of Broyden's first update, y replaced by c y + (1 - c) Bs where |s'Hy| would be below SINGULAR |s|^2."""
    square, product = arrays.inner(s, s, batch_ndim), arrays.inner(s, Hy, batch_ndim)
    xp = arrays.namespace(square)
    ratio = product * reciprocal(square)
    one = xp.ones_like(ratio)
    target = xp.where(ratio < 0, -SINGULAR * one, SINGULAR * one)
    damped = xp.abs(ratio) < SINGULAR
    c = xp.where(damped, (one - target) / xp.where(damped, one - ratio, one), one)
    u = arrays.scale_rows(c, s - Hy)
    return u, arrays.scale_rows(reciprocal(c * product + (1.0 - c) * square), sH)
