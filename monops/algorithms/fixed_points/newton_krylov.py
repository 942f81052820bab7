"""Newton's method for z - f(z) = 0, its systems solved by GMRES from differences of f (Knoll and Keyes 2004)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution
from monops.algorithms.shared.any_map import UNPROVEN, Terms, fixed_point_of, unproven
from monops.algorithms.shared.gmres_rows import gmres_rows, reciprocal
from monops.arrays import Array
from monops.errors import DataError
from monops.problem import Inclusion

FIRST, LAST = 0.5, 0.9  # the first and the largest residual of a system, relative
SAFEGUARD = 0.1  # a system is not solved much better than the one before while that was rougher than this
SUFFICIENT = 1e-4  # of the predicted decrease
TRIALS = 8  # step lengths 1, 1/2, ...


class State(NamedTuple):
    """z, g = z - f(z), |g|, and the relative residual to which the next system is solved (one number a row)."""

    z: Array
    g: Array
    size: Array
    relative: Array


@final
@dataclass(frozen=True)
class NewtonKrylov(Algorithm):
    """z+ = z + t d with |g(z) + g'(z) d| <= relative |g(z)|, g(z) = z - f(z), and t = 1, 1/2, ... until |g| falls.

    g'(z) v is the difference (g(z + e v) - g(z))/e with e = sqrt(epsilon) (|z| + |g(z)|) for |v| = 1: f is only ever
    evaluated. Each row has its own increment, Krylov space and step length.

    Parameters
    ----------
    krylov : int, default 30
        The most vectors of a Krylov space, kept for one step. A system that is not solved by then leaves the rest to the next
        step, which begins with a new linearisation.
    relative : float, optional
        In (0, 1). Default: 0.9 (|g|/|g before|)^2, at most 0.9, as Eisenstat and Walker (1996) choose it.

    Raises
    ------
    DataError
        When krylov is no integer >= 1, or relative not in (0, 1).
    NotApplicableError
        When the problem is no `FixedPoint`.

    Notes
    -----
    Nothing is proven for all maps: the residual never grows, and a row that finds no smaller one stands still. Near a regular
    fixed point of a smooth f convergence is superlinear (Dembo, Eisenstat and Steihaug 1982); also of a piecewise smooth one
    (ReLU, projections) where differences do not straddle a kink, as semismooth Newton methods (Qi and Sun 1993). An affine f
    is solved in one step if krylov >= its dimension and ``relative`` is small. **Certificate** z - f(z). **Cost** as many
    values of f as GMRES takes, at most krylov, and those of the step lengths.

    References
    ----------
    Saad and Schultz (1986). Brown and Saad (1990), Hybrid Krylov methods for nonlinear systems of equations. Eisenstat and
    Walker (1996), Choosing the forcing terms in an inexact Newton method. Knoll and Keyes (2004), Jacobian-free Newton-Krylov
    methods.

    Examples
    --------
    >>> import numpy as np, monops
    >>> result = monops.solve(monops.FixedPoint(np.cos), monops.NewtonKrylov(), x0=np.zeros(1), tol=1e-12)
    >>> result.x.round(6), result.iterations < 8
    (array([0.739085]), True)
    """

    krylov: int = 30
    relative: float | None = None
    cost: ClassVar[str] = "values of f: one for each vector of GMRES, one for each step length"
    evaluations: ClassVar[float] = 15.0
    typical_iterations: ClassVar[float] = 50
    steps_a_check: ClassVar[int] = 1
    needs_constants: ClassVar[bool] = False
    is_candidate: ClassVar[bool] = False
    takes_any_map: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.krylov, bool) or not self.krylov >= 1 or self.krylov != int(self.krylov):
            raise DataError(f"NewtonKrylov: krylov={self.krylov!r} must be an integer >= 1")
        if self.relative is not None and not 0 < self.relative < 1:
            raise DataError(f"NewtonKrylov: relative={self.relative!r} must be in (0, 1), or None")

    def match(self, problem: Inclusion) -> Terms:
        operator = fixed_point_of(problem, self)
        guarantee = unproven("Knoll and Keyes (2004)", "superlinear near a regular fixed point")
        return Terms(operator, 1.0, guarantee, operator.constants, (UNPROVEN,), problem.batch_ndim)

    def init(self, terms: Terms, x0: Array) -> State:
        g = terms.operator.forward(x0)
        relative = adaptive.initial(FIRST if self.relative is None else self.relative, x0, terms.batch_ndim)
        return State(x0, g, arrays.norm(g, terms.batch_ndim), relative)

    def step(self, terms: Terms, state: State) -> State:
        z, g, size = state.z, state.g, state.size
        batch_ndim, forward = terms.batch_ndim, terms.operator.forward
        xp = arrays.namespace(size)
        increment = math.sqrt(arrays.epsilon(size)) * (arrays.norm(z, batch_ndim) + size)

        def product(v: Array) -> Array:
            return arrays.scale_rows(reciprocal(increment), forward(z + arrays.scale_rows(increment, v)) - g)

        d = gmres_rows(product, -g, state.relative * size, self.krylov, batch_ndim)
        usable = xp.isfinite(arrays.norm(d, batch_ndim))
        d = arrays.select_rows(usable, d, -g)
        settled, length = size == 0, xp.ones_like(size)
        for index in range(TRIALS + 1):
            last = index == TRIALS  # then the Picard step, if the residual falls there
            new = state.z - state.g if last else state.z + arrays.scale_rows(length, d)
            g_new = forward(new)
            size_new = arrays.norm(g_new, batch_ndim)
            predicted = SUFFICIENT * length * (1.0 - state.relative)
            good = ~settled & (size_new < state.size if last else size_new <= (1.0 - predicted) * state.size)
            z, g = arrays.select_rows(good, new, z), arrays.select_rows(good, g_new, g)
            size, settled = xp.where(good, size_new, size), settled | good
            if arrays.holds_everywhere(settled):
                break
            length = 0.5 * length
        return State(z, g, size, self._next_relative(state, size))

    def _next_relative(self, state: State, size: Array) -> Array:
        if self.relative is not None:
            return state.relative
        xp = arrays.namespace(size)
        new, before = LAST * (size * reciprocal(state.size)) ** 2, LAST * state.relative**2
        new = xp.where((before > SAFEGUARD) & (before > new), before, new)
        return arrays.clip(new, math.sqrt(arrays.epsilon(size)), LAST)

    def probe(self, terms: Terms, state: State) -> Array:
        return terms.operator.image(state.z)  # a step divides by small differences

    def expected_iterations(self, terms: Terms) -> float:
        return math.inf

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.z)

    def certificate(self, terms: Terms, state: State) -> Array:
        return state.g
