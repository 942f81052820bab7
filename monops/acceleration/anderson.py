"""Anderson acceleration (1965) of averaged maps, types I and II, with a safeguard that keeps the convergence theorem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.acceleration.memory import Memory, combine, empty, push
from monops.acceleration.wrapper import Acceleration, Terms, image, size
from monops.algorithms import adaptive
from monops.arrays import Array
from monops.errors import DataError

WINDOW = 10  # accelerated points must beat the largest of so many last residuals
SUFFICIENT = 0.999  # by this factor: a residual that stands still is no progress
BOUND = 1e6  # they start where |g| <= BOUND |g_0| (n + 1)^-DECAY, n of them having been kept: the hypothesis of the theorem
DECAY = 1.000001


class State(NamedTuple):
    """z, whether it is an accelerated point, where to go if it is no good, and the last accepted pair with its memory."""

    z: Array
    trial: Array  # 1 where z is an accelerated point, one number a row like all that follow
    fallback: Array
    accepted_z: Array
    accepted_g: Array
    seen: Array  # accepted points so far
    used: Array  # accelerated ones among them
    first: Array
    window: Array
    memory: Memory
    steps: int
    inner: Any


@final
@dataclass(frozen=True)
class Anderson(Acceleration):
    """Extrapolation of the last steps of an averaged map by a small least-squares problem, safeguarded.

    Parameters
    ----------
    method : Algorithm, optional
        A method whose step is an averaged map. Default: the one with the least predicted effort.
    memory : int, default 10
    type : {2, 1}
        Type II minimises the combined residual (multisecant Broyden II); type I is its dual (Broyden I).
    regularisation : float, default 1e-10
        Of the small problem, relative to the size of its columns.
    safeguard : bool, default True
        Without it the iteration is plain Anderson acceleration, which can stand still or diverge.

    Notes
    -----
    An accelerated point is proposed where |g| = |z - Tz| is below 1e6 |g_0|/(n + 1)^1.000001, n accelerated points having been
    kept, and is kept if its own residual is below the largest of the last ten; otherwise that row takes the plain (relaxed)
    step from the point before. The regularisation bounds an accelerated step by a multiple of |g|, so that those kept have a
    finite sum: the iteration is one of Krasnosel'skii and Mann with summable errors. For a map of which nothing is known
    (``Anderson(Picard())`` on a `FixedPoint`) nothing is proven; on an affine map of dimension n it ends in about n + 1 steps,
    as GMRES does (Walker and Ni 2011). **Certificate** of the wrapped method, at Tz (Picard: at z). **Cost** one step of the
    wrapped method, 3 memory inner products and one small solve.

    References
    ----------
    Anderson (1965); Fang and Saad (2009), types I and II. Zhang, O'Donoghue and Boyd (2020), Globally convergent type-I
    Anderson acceleration. Walker and Ni (2011). Fu, Zhang and Boyd (2020), Anderson accelerated Douglas-Rachford splitting.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.diag([1.0, 0.1]), np.array([3.0, 0.5])) + 0.01 * monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.Anderson(monops.ForwardBackward())).x, 4)
    array([2.99, 4.  ])
    """

    memory: int = 10
    type: int = 2
    regularisation: float = 1e-10
    safeguard: bool = True
    cost: ClassVar[str] = "1 step of the wrapped method, inner products with the memory"
    evaluations: ClassVar[float] = 2.5
    typical_iterations: ClassVar[float] = 500
    takes_any_map: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.memory < 1 or self.memory != int(self.memory):
            raise DataError(f"Anderson: memory={self.memory!r} must be an integer >= 1")
        if self.type not in (1, 2):
            raise DataError(f"Anderson: type={self.type!r} must be 1 or 2")
        if not self.regularisation >= 0:
            raise DataError(f"Anderson: regularisation={self.regularisation!r} must be a number >= 0")

    @property
    def rate(self) -> tuple[str, str]:
        if not self.safeguard or self.regularisation == 0:
            return "none proven without safeguard and regularisation", "Anderson (1965)"
        return "convergence of z; |z - Tz| -> 0", "Fu-Zhang-Boyd (2020)"

    def begin(self, terms: Terms, z: Array, inner: Any) -> State:
        zero = adaptive.initial(0.0, z, terms.batch_ndim)
        xp = arrays.namespace(zero)
        window = xp.stack([zero] * WINDOW, axis=-1)
        memory = empty(z, self.memory, terms.batch_ndim, self.type)
        return State(z, zero, z, z, z, zero, zero, zero, window, memory, 0, inner)

    def step(self, terms: Terms, state: State) -> State:
        z, batch_ndim = state.z, terms.batch_ndim
        inner, Tz = image(terms, z)
        g = z - Tz
        residual = size(terms, g)
        xp = arrays.namespace(residual)
        trial = state.trial > 0
        accept = ~trial | self._good(state, residual)
        # what an accepted point brings: a pair of differences, a place in the window, the next candidate
        every = arrays.holds_everywhere(accept)  # the usual case, in which nothing is to be put back
        memory = state.memory
        if state.steps:  # there is a point before
            grown = push(memory, z - state.accepted_z, g - state.accepted_g, batch_ndim)
            memory = grown if every else arrays.select_rows(accept, grown, memory)
        first = xp.where(state.seen > 0, state.first, residual)
        seen = xp.where(accept, state.seen + 1.0, state.seen)
        used = xp.where(accept & trial, state.used + 1.0, state.used)
        moved = xp.concat([state.window[..., 1:], residual[..., None]], axis=-1)
        window = xp.where(accept[..., None], moved, state.window)
        plain = z - 0.5 * g if self.safeguard and terms.averagedness == 1.0 else Tz  # a map that only preserves distances
        candidate = combine(memory, Tz, g, self.regularisation, batch_ndim)
        below = residual <= BOUND * first * (used + 1.0) ** -DECAY
        offers = accept & (seen > 1) & (below | (not self.safeguard)) & xp.isfinite(arrays.norm(candidate, batch_ndim))
        kept = (plain, z, g, inner)  # inner: what is reported belongs to the accepted point
        if not every:
            kept = arrays.select_rows(accept, kept, (state.fallback, state.accepted_z, state.accepted_g, state.inner))
        fallback, accepted_z, accepted_g, inner = kept
        new = candidate if arrays.holds_everywhere(offers) else arrays.select_rows(offers, candidate, fallback)
        trial = xp.astype(offers, residual.dtype)
        return State(new, trial, fallback, accepted_z, accepted_g, seen, used, first, window, memory, state.steps + 1, inner)

    def _good(self, state: State, residual: Array) -> Array:
        xp = arrays.namespace(residual)
        if not self.safeguard:
            return xp.ones_like(residual) > 0
        return residual <= SUFFICIENT * xp.max(state.window, axis=-1)
