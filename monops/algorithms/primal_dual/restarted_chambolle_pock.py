"""Chambolle-Pock splitting with restarts to averages and a primal weight (PDLP; Applegate, Diaz, Hinder, Lu, Lubin 2021).

x+ = J_{tA}(x - t K*y),  y+ = J_{sB^-1}(y + s K(2x+ - x)), t = c/(w |K|), s = c w/|K|. Every few steps the residuals at the
last point and after one step from the average since the last restart are compared; where the smaller has fallen enough, the
method goes on from there, and the weight w moves towards |change of y|/|change of x|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.saddle_form import BlockResolvent, all_by_resolvents, positive, start, whole_constants
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

PRODUCT = 0.998  # step * dual_step * |K|^2, at most 1
SUFFICIENT = 0.2  # restart at once when the residual has fallen to this part of its value at the last restart
NECESSARY = 0.8  # restart when it has fallen to this part and begins to grow
LONGEST = 0.36  # a stretch of this part of all iterations ends without a jump: the average begins anew, the weight moves
SMOOTHING = 0.5


def guarantee(A: Constants, inverse_B: Constants) -> Guarantee | Missing:
    """A and B monotone: any first step, with finitely many changes of the weight."""
    if not (A.monotone and inverse_B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0,
        formula="0 < step_size",
        rate="|r| -> 0; linear in practice on linear programs",
        source="Applegate-Diaz-Hinder-Lu-Lubin (2021), with restarts by the residual",
    )


class Terms(NamedTuple):
    """Who plays which role (``dual`` is B^-1), and the resolved numbers; ``product`` of the two steps."""

    A: Any
    dual: BlockResolvent
    map: LinearMap
    step_size: float
    product: float
    check_every: int
    weight_changes: float
    batch_ndim: int
    blocks: bool
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x, y, Kx, K*y and the certificate; the point of the last restart, sums and their length since; numbers a row; a counter.

    ``reference`` is the smallest residual of a restart so far, ``candidate`` that of the last comparison.
    """

    x: Array
    y: Array
    Kx: Array
    adjoint_y: Array
    primal_residual: Array
    dual_residual: Array
    origin_x: Array
    origin_y: Array
    sum_x: Array
    sum_y: Array
    length: Array
    step_size: Array
    reference: Array
    candidate: Array
    changes_left: Array
    iteration: int


@final
@dataclass(frozen=True)
class RestartedChambollePock(Algorithm):
    """Chambolle-Pock with restarts to averages and an adaptive primal weight: fast where the solution is sharp, as in LPs.

    Parameters
    ----------
    step_size : float, optional
        The first primal step, any positive number; the product with the dual step is 0.998/|K|^2. Default: 0.999/|K|.
    check_every : int
        Steps between two comparisons (each costs about two steps more), default 20.
    weight_changes : int
        Changes of the weight that a row may make, default 50. A finite number keeps the proof.

    Notes
    -----
    Between restarts and after the last weight change each step, average and jump is Fejer monotone in one metric; a jump to
    an average needs the residual to fall to 0.8 of that at all restarts before. So either the jumps end, and Chambolle-Pock
    converges, or their residuals tend to 0. The linear rate on linear programs is proven for restarts by the normalised
    duality gap (Applegate et al. 2023); here the residual decides, which needs no bounded domains. Rows of a batch restart on
    their own; they have weights of their own where the resolvents take many steps at once, else all keep the first.
    **Certificate** ((x - x+)/t + K*(y+ - y), (y - y+)/s + K(x+ - x)). **Cost** one Kx, one K*y, two resolvents; at a
    comparison twice that.

    References
    ----------
    Applegate, Diaz, Hinder, Lu, Lubin, O'Donoghue and Schudy (2021), Practical large-scale linear programming using
    primal-dual hybrid gradient. Applegate, Hinder, Lu and Lubin (2023), Faster first-order primal-dual methods for linear
    programming using restarts and sharpness.

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[1.0, -1.0], [-2.0, 1.0]]))
    >>> x, y = monops.solve(game, RestartedChambollePock()).x
    >>> np.round(x, 4), np.round(y, 4)
    (array([0.4, 0.6]), array([0.6, 0.4]))
    """

    step_size: float | None = None
    check_every: int = 20
    weight_changes: int = 50
    cost: ClassVar[str] = "1 Kx, 1 K*y, 1 resolvent of A, 1 of B"
    evaluations: ClassVar[float] = 2.3
    typical_iterations: ClassVar[float] = 3000
    is_map: ClassVar[bool] = False

    def match(self, problem: Inclusion) -> Terms:
        form = all_by_resolvents(problem)
        if isinstance(form, Missing):
            self.refuse(form)
        A, dual, norm = form.A.constants, form.dual.constants, form.map.norm
        proven = guarantee(A, dual)
        if isinstance(proven, Missing):
            self.refuse(proven)
        if int(self.check_every) != self.check_every or self.check_every < 1 or self.weight_changes < 0:
            raise DataError("RestartedChambollePock needs an integer check_every >= 1 and weight_changes >= 0")
        product = PRODUCT / float(norm.value) ** 2 if norm.value > 0 else 1.0
        own_steps = problem.batch_ndim == 0 or form.takes_many_steps
        return Terms(
            form.A,
            form.dual,
            form.map,
            positive(self.step_size, math.sqrt(product), self.name, "step_size"),
            product,
            self.check_every,
            float(self.weight_changes) if own_steps else 0.0,
            problem.batch_ndim,
            form.blocks,
            proven,
            whole_constants(form),
            notes(A, dual, norm),
        )

    def init(self, terms: Terms, x0: Array) -> State:
        x, y = start(terms.map, terms.blocks, x0)
        Kx, adjoint_y = terms.map.apply(x), terms.map.adjoint(y)

        def number(value: float) -> Array:
            return adaptive.initial(value, x, terms.batch_ndim)

        return State(
            x,
            y,
            Kx,
            adjoint_y,
            adjoint_y,
            Kx,
            x,
            y,
            0.0 * x,
            0.0 * y,
            number(0.0),
            number(terms.step_size),
            number(math.inf),
            number(math.inf),
            number(terms.weight_changes),
            0,
        )

    def step(self, terms: Terms, state: State) -> State:
        new = _move(terms, state)
        count = state.iteration + 1
        new = new._replace(sum_x=state.sum_x + new.x, sum_y=state.sum_y + new.y, length=state.length + 1.0, iteration=count)
        return _compare(terms, new) if count % terms.check_every == 0 else new

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(Blocks((state.x, state.y))) if terms.blocks else Solution(state.x, state.y)

    def certificate(self, terms: Terms, state: State) -> Array:
        return Blocks((state.primal_residual, state.dual_residual))


def _move(terms: Terms, state: State) -> State:
    """One step of Chambolle-Pock."""
    x, y, t = state.x, state.y, state.step_size
    s = terms.product / t
    new_x = adaptive.resolvent(terms.A, x - arrays.scale_rows(t, state.adjoint_y), t)
    new_Kx = terms.map.apply(new_x)
    new_y = terms.dual.resolvent_by_row(y + arrays.scale_rows(s, 2.0 * new_Kx - state.Kx), s)
    new_adjoint = terms.map.adjoint(new_y)
    return state._replace(
        x=new_x,
        y=new_y,
        Kx=new_Kx,
        adjoint_y=new_adjoint,
        primal_residual=arrays.scale_rows(1.0 / t, x - new_x) + (new_adjoint - state.adjoint_y),
        dual_residual=arrays.scale_rows(1.0 / s, y - new_y) + (new_Kx - state.Kx),
    )


def _compare(terms: Terms, state: State) -> State:
    """Restart the rows whose residual, here or one step behind the average, has fallen enough."""
    batch = terms.batch_ndim
    xp = arrays.namespace(state.length)
    share = 1.0 / state.length
    mean_x, mean_y = arrays.scale_rows(share, state.sum_x), arrays.scale_rows(share, state.sum_y)
    mean = state._replace(x=mean_x, y=mean_y, Kx=terms.map.apply(mean_x), adjoint_y=terms.map.adjoint(mean_y))
    mean = _move(terms, mean)
    here = arrays.norm(Blocks((state.primal_residual, state.dual_residual)), batch)
    there = arrays.norm(Blocks((mean.primal_residual, mean.dual_residual)), batch)
    jump = there < here
    best = xp.where(jump, there, here)
    fallen = best <= SUFFICIENT * state.reference
    stalled = (best <= NECESSARY * state.reference) & (best > state.candidate)
    restart = fallen | stalled
    long = ~restart & (state.length >= LONGEST * state.iteration)
    chosen = _select(restart & jump, mean, state)
    begins = restart | long
    moved_x = arrays.norm(chosen.x - state.origin_x, batch)
    moved_y = arrays.norm(chosen.y - state.origin_y, batch)
    weighed = begins & (state.changes_left > 0) & (moved_x > 0) & (moved_y > 0)
    one = xp.ones_like(moved_x)
    target = math.sqrt(terms.product) * xp.where(weighed, moved_x, one) / xp.where(weighed, moved_y, one)
    step = xp.exp(SMOOTHING * xp.log(target) + (1.0 - SMOOTHING) * xp.log(state.step_size))
    nothing = 0.0 * state.length
    held = xp.where(long, here, best)
    return chosen._replace(
        origin_x=arrays.select_rows(begins, chosen.x, state.origin_x),
        origin_y=arrays.select_rows(begins, chosen.y, state.origin_y),
        sum_x=arrays.select_rows(begins, 0.0 * chosen.x, state.sum_x),
        sum_y=arrays.select_rows(begins, 0.0 * chosen.y, state.sum_y),
        length=xp.where(begins, nothing, state.length),
        step_size=xp.where(weighed, step, state.step_size),
        reference=xp.where(begins & (held < state.reference), held, state.reference),
        candidate=xp.where(begins, nothing + math.inf, best),
        changes_left=xp.where(weighed, state.changes_left - 1.0, state.changes_left),
    )


def _select(rows: Array, a: State, b: State) -> State:
    """The six fields of the iterate from a in the given rows, else from b."""
    names = ("x", "y", "Kx", "adjoint_y", "primal_residual", "dual_residual")
    return b._replace(**{name: arrays.select_rows(rows, getattr(a, name), getattr(b, name)) for name in names})
