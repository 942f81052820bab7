"""SuperMann (Themelis and Patrinos 2019): quasi-Newton directions for averaged maps, globalised by separating half-spaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.acceleration.memory import Memory, combine, empty, push
from monops.acceleration.wrapper import Acceleration, Terms, image, product, size
from monops.algorithms import adaptive
from monops.arrays import Array
from monops.errors import DataError

BLIND = 0.99  # residual against the last blind one: below it the direction is taken unseen
EDUCATED = 0.99  # residual at the new point against the one here: below it the new point is taken
SEPARATING = 0.1  # how deep a half-space must cut, relative to the residuals
HALVING = 0.5
TRIALS = 8
SLACK = 0.99  # q^k is added to the safe residual after an educated step


class State(NamedTuple):
    """z with g = z - Tz and its norm, the last pair, the blind and the safe level (one a row), memory, steps, inner state."""

    z: Array
    g: Array
    residual: Array
    previous_z: Array
    previous_g: Array
    blind: Array
    safe: Array
    memory: Memory
    steps: int
    inner: Any


@final
@dataclass(frozen=True)
class SuperMann(Acceleration):
    """Superlinear where the quasi-Newton directions are, Krasnosel'skii-Mann everywhere else.

    With R = I - T, T a-averaged, and a direction d (Anderson's, type II): if |Rz| has fallen enough, z+ = z + d unseen; else
    w = z + t d for t = 1, 1/2, ... until |Rw| is below .99 |Rz| and z is at a safe level (then z+ = w), or the half-space
    { v : |Rw|^2 - 2a <Rw, w - v> <= 0 }, which contains every fixed point, cuts off z deeply enough (then z+ is the relaxed
    projection on it). Every step of the third kind shrinks the distance to each fixed point.

    Parameters
    ----------
    method : Algorithm, optional
        A method whose step is an averaged map. Default: the one with the least predicted effort.
    memory : int, default 10
    regularisation : float, default 1e-10
        Of the directions, relative.
    relaxation : float, default 1.0
        Of the projection, in (0, 2).

    Notes
    -----
    **Certificate** of the wrapped method, at Tz. **Cost** one to nine steps of the wrapped method; two as a rule.

    References
    ----------
    Themelis and Patrinos (2019), SuperMann: a superlinearly convergent algorithm for finding fixed points of nonexpansive
    operators.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.LeastSquares(np.diag([1.0, 0.1]), np.array([3.0, 0.5])) + 0.01 * monops.L1Norm()
    >>> np.round(monops.solve(problem, monops.SuperMann(monops.ForwardBackward())).x, 4)
    array([2.99, 4.  ])
    """

    memory: int = 10
    regularisation: float = 1e-10
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 to 9 steps of the wrapped method"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 400

    def __post_init__(self) -> None:
        if self.memory < 1 or self.memory != int(self.memory):
            raise DataError(f"SuperMann: memory={self.memory!r} must be an integer >= 1")
        if not 0 < self.relaxation < 2:
            raise DataError(f"SuperMann: relaxation={self.relaxation!r} must be in (0, 2)")

    @property
    def rate(self) -> tuple[str, str]:
        return "convergence of z; superlinear with good directions", "Themelis-Patrinos (2019)"

    def begin(self, terms: Terms, z: Array, inner: Any) -> State:
        _, g, residual, inner = _evaluate(terms, z)
        high = (
            adaptive.initial(1e300, z, terms.batch_ndim)
            if arrays.epsilon(residual) < 1e-10
            else adaptive.initial(1e30, z, terms.batch_ndim)
        )
        return State(z, g, residual, z, g, residual / BLIND, high, empty(z, self.memory, terms.batch_ndim), 0, inner)

    def step(self, terms: Terms, state: State) -> State:
        z, g, residual = state.z, state.g, state.residual
        xp = arrays.namespace(residual)
        memory = state.memory
        if state.steps:
            memory = push(memory, z - state.previous_z, g - state.previous_g, terms.batch_ndim)
        d = combine(memory, -g, g, self.regularisation, terms.batch_ndim)
        blind = residual <= BLIND * state.blind
        found = _evaluate(terms, z + d)
        settled, safe, scale = blind, state.safe, xp.ones_like(residual)
        trial = found
        for index in range(TRIALS):
            if index:
                scale = xp.where(settled, scale, HALVING * scale)
                trial = _evaluate(terms, z + arrays.scale_rows(scale, d))
            educated = ~settled & (residual <= state.safe) & (trial.residual <= EDUCATED * residual)
            safe = xp.where(educated, trial.residual + SLACK**state.steps, safe)
            found, settled = arrays.select_rows(educated, trial, found), settled | educated
            depth = trial.residual**2 - 2.0 * terms.averagedness * product(terms, trial.g, trial.z - z)
            cuts = ~settled & (trial.residual > 0) & (depth >= SEPARATING * trial.residual * residual)
            if not arrays.holds_everywhere(~cuts):
                length = depth / xp.where(cuts, 2.0 * terms.averagedness * trial.residual**2, xp.ones_like(depth))
                length = self.relaxation * xp.where(cuts, length, xp.zeros_like(length))
                found = arrays.select_rows(cuts, _evaluate(terms, z - arrays.scale_rows(length, trial.g)), found)
                settled = settled | cuts
            if arrays.holds_everywhere(settled):
                break
        if not arrays.holds_everywhere(settled):
            plain = z - (g if terms.averagedness < 1.0 else 0.5 * g)
            found = arrays.select_rows(settled, found, _evaluate(terms, plain))
        level = xp.where(blind, residual, state.blind)
        return State(found.z, found.g, found.residual, z, g, level, safe, memory, state.steps + 1, found.inner)


class _Point(NamedTuple):
    """A point with g = z - Tz, its norm, and the wrapped method's state at Tz."""

    z: Array
    g: Array
    residual: Array
    inner: Any


def _evaluate(terms: Terms, z: Array) -> _Point:
    inner, Tz = image(terms, z)
    return _Point(z, z - Tz, size(terms, z - Tz), inner)
