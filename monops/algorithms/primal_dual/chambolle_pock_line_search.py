"""Chambolle-Pock splitting with line search (Malitsky and Pock 2018, Algorithm 1): no norm of K.

x+ = prox_{tf}(x - t K*y),  v = x+ + theta (x+ - x),  y+ = prox_{ratio t' g*}(y + ratio t' Kv), theta = t'/t, with t' at most
t sqrt(1 + last theta), and lowered until sqrt(ratio) t' |K*(y+ - y)| <= delta |y+ - y|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.saddle_form import BlockResolvent, all_by_resolvents, positive, probe, start, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

DELTA = 0.99
SHRINK = 0.7
TRIALS = 200  # 0.7^200 = 1e-31: any finite norm is reached long before


def guarantee(A: Constants, inverse_B: Constants) -> Guarantee | Missing:
    """A and B subdifferentials: any first step."""
    if not (A.cyclic and inverse_B.cyclic):
        which = "B" if A.cyclic else "A"
        return Missing(
            f"{which} is not known to be the subdifferential of a convex function",
            "use ChambollePock, AdaptiveChambollePock or ForwardBackwardForward, which need only monotone operators",
        )
    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0,
        formula="0 < step_size",
        rate="primal-dual gap O(1/k) on averages",
        source="Malitsky-Pock (2018), Algorithm 1",
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is dg*), and the resolved numbers; ``given`` when the user set the first step."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    step_size: float
    ratio: float
    given: bool
    batch_ndim: int
    blocks: bool
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, y, Kx, K*y; the certificate at (x, y); the step and theta, one a row."""

    x: Array
    y: Array
    Kx: Array
    adjoint_y: Array
    primal_residual: Array
    dual_residual: Array
    step_size: Array
    theta: Array


class _Trial(NamedTuple):
    y: Array
    adjoint_y: Array
    step_size: Array


@final
@dataclass(frozen=True)
class ChambollePockLineSearch(Algorithm):
    """Chambolle-Pock for functions without the norm of K: steps grow, and a cheap line search on K* bounds them.

    Parameters
    ----------
    step_size : float, optional
        The first primal step; any positive number is proven. Default: 1/(sqrt(ratio) |Kv|/|v|) for one random v.
    ratio : float
        BlockResolvent step over primal step, any positive number, default 1.

    Raises
    ------
    NotApplicableError
        When A or B is no subdifferential: the proof compares values.

    Notes
    -----
    A trial of the line search costs one prox of g* and one K*y; steps are often longer than 1/|K|, since only the part of K
    that the iterates meet counts. **Certificate** ((x - x+)/t + K*(y+ - y), (y - y+)/s + K(v - x+)), an element of the
    primal-dual operator at (x+, y+). **Cost** one Kx, one prox of f, and for each trial one K*y and one prox of g*.

    References
    ----------
    Malitsky and Pock (2018), A first-order primal-dual algorithm with linesearch.

    Examples
    --------
    >>> import numpy as np, monops
    >>> signal = np.array([0.0, 0.1, 1.0, 0.9])
    >>> K = monops.MatvecMap(np.diff, lambda y: -np.diff(y, prepend=0.0, append=0.0), (4,), (3,))
    >>> problem = monops.SquaredL2().translate(signal) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, ChambollePockLineSearch()).x, 4)
    array([0.1, 0.1, 0.9, 0.9])
    """

    step_size: float | None = None
    ratio: float = 1.0
    cost: ClassVar[str] = "1 Kx, 1 prox of f; a trial: 1 K*y, 1 prox of g*"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 4000
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        form = all_by_resolvents(problem)
        if isinstance(form, Missing):
            self.refuse(form)
        A, dual = form.A.constants, form.dual.constants
        proven = guarantee(A, dual)
        if isinstance(proven, Missing):
            self.refuse(proven)
        return Terms(
            form.A,
            form.dual,
            form.map,
            proven.resolve(self.step_size, self.name),
            positive(self.ratio, 1.0, self.name, "ratio"),
            self.step_size is not None,
            problem.batch_ndim,
            form.blocks,
            proven,
            whole_constants(form, with_norm=False),
            notes(A, dual),
        )

    def init(self, terms: Terms, x0: Array) -> State:
        x, y = start(terms.map, terms.blocks, x0)
        Kx, adjoint_y = terms.map.apply(x), terms.map.adjoint(y)
        first = terms.step_size if terms.given else _first_step(terms, x)
        step, theta = (adaptive.initial(value, x, terms.batch_ndim) for value in (first, 1.0))
        return State(x, y, Kx, adjoint_y, adjoint_y, Kx, step, theta)

    def step(self, terms: Terms, state: State) -> State:
        x, y, Kx, adjoint_y, _, _, t, theta = state
        xp = arrays.namespace(t)
        new_x = adaptive.resolvent(terms.A, x - arrays.scale_rows(t, adjoint_y), t)
        new_Kx = terms.map.apply(new_x)
        longer = adaptive.shared(t * xp.sqrt(1.0 + theta), terms.A, terms.dual)
        trial = self._search(terms, state, new_Kx, longer)
        new_theta = trial.step_size / t
        primal = arrays.scale_rows(1.0 / t, x - new_x) + (trial.adjoint_y - adjoint_y)
        dual = arrays.scale_rows(1.0 / (terms.ratio * trial.step_size), y - trial.y)
        dual = dual + arrays.scale_rows(new_theta, new_Kx - Kx)
        return State(new_x, trial.y, new_Kx, trial.adjoint_y, primal, dual, trial.step_size, new_theta)

    def _search(self, terms: Terms, state: State, new_Kx: Array, t: Array) -> _Trial:
        """The first step on the way down from t that passes the test, for each row."""
        xp, batch = arrays.namespace(t), terms.batch_ndim
        rounding = 8.0 * arrays.epsilon(state.x)
        ascent = new_Kx - state.Kx
        for _ in range(TRIALS):
            s = terms.ratio * t
            forward = new_Kx + arrays.scale_rows(t / state.step_size, ascent)
            y = terms.dual.resolvent_by_row(state.y + arrays.scale_rows(s, forward), s)
            adjoint_y = terms.map.adjoint(y)
            left = math.sqrt(terms.ratio) * t * arrays.norm(adjoint_y - state.adjoint_y, batch)
            slack = math.sqrt(terms.ratio) * t * rounding * arrays.norm(adjoint_y, batch)  # the difference is rounded
            passed = ~(left > DELTA * arrays.norm(y - state.y, batch) + slack)  # a row with NaN passes: the driver ends it
            if arrays.holds_everywhere(passed):
                break
            t = adaptive.shared(xp.where(passed, t, SHRINK * t), terms.A, terms.dual)
        return _Trial(y, adjoint_y, t)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(Blocks((state.x, state.y))) if terms.blocks else Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return Blocks((state.primal_residual, state.dual_residual))


def _first_step(terms: Terms, x: Array) -> float:
    """1/(sqrt(ratio) |Kv|/|v|) for one random v: at least the step that passes every test, so that the search corrects it."""
    v = probe(x, terms.batch_ndim)
    size, image = float(arrays.norm(v)), float(arrays.norm(terms.map.apply(v)))
    return size / (math.sqrt(terms.ratio) * image) if image > 0 else 1.0
