"""Davis-Yin splitting with a line search on the smooth term, for f + g + h (Pedregosa and Gidel 2018).

x = prox_{s f}(z - s (u + grad h(z))) with h(x) <= h(z) + <grad h(z), x - z> + c |x - z|^2/(2 s),  else s is halved;
z+ = prox_{s g}(x + s u),  u+ = u + (x - z+)/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops import constants as calculus
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.roles import both_constants, split_certificate, zero
from monops.algorithms.shared.smooth_terms import (
    SmoothSum,
    accepted,
    any_first_step,
    descent,
    first_step,
    lengthened,
    smooth_roles,
)
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing

SLACK = 0.99  # c: below 1, so that |x - z|^2 is summable
TRIALS = 60  # halvings a step may take
GROWTH = 1.5


def guarantee(f: Constants, g: Constants, h: Constants, fallback: float = 1.0) -> Guarantee | Missing:
    """Convex f and g, and h with a locally Lipschitz gradient: every first step is proven.

    |z + s u - x* - s u*|^2 falls by (1 - c) |x - z|^2 a step, and does not grow when s is reduced, as <u - u*, z - x*> >= 0.
    """
    if not (f.cyclic and g.cyclic and h.cyclic):
        return Missing("the line search is proven for convex functions only, and a term is an operator", "use DavisYin")
    return any_first_step(fallback, "objective gap O(1/k) on averages", "Pedregosa-Gidel (2018)")


class Terms(NamedTuple):
    """Who plays which role, and the first step (a fallback where ``measure`` is set)."""

    f: Any
    g: Any
    h: SmoothSum
    step_size: float
    measure: bool
    max_growths: int
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """z, u, the next step and the growths left (one number a row); x, and the z, u, gradient and step that it came from."""

    z: Array
    u: Array
    step: Array
    growths_left: Array
    x: Array
    z_previous: Array
    u_previous: Array
    gradient: Array
    used: Array


@final
@dataclass(frozen=True)
class AdaptiveDavisYin(Algorithm):
    """Two proxes and a gradient of unknown Lipschitz constant: the step is found by backtracking, row by row.

    Parameters
    ----------
    step_size : float, optional
        The first step, any positive number. Default: 1/L measured by a short probe at the start.
    max_growths : int
        How often the step of a row may grow again, by a factor 1.5 where the curvature allows it. A finite number keeps the
        proof: after the last one the theorem holds from there.

    Raises
    ------
    NotApplicableError
        When a term is no convex function, none has both a gradient and a value, or more than two need their proxes.

    Notes
    -----
    Rows of a batch have steps of their own where both proxes take many steps, else the smallest of them.
    **Certificate** with a in df(x) and u in dg(z): (a + u + grad h(x), z - x), of the primal-dual operator at (x, u).
    **Cost** one gradient, two values, two proxes; a trial more costs one value and one prox.

    References
    ----------
    Pedregosa and Gidel (2018), Adaptive three operator splitting.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Power(4.0).translate(np.array([3.0, -1.0])) + monops.L1Norm() + monops.Box(0.0, 1.0)
    >>> np.abs(np.round(monops.solve(problem, monops.AdaptiveDavisYin()).x, 5))
    array([1., 0.])
    """

    step_size: float | None = None
    max_growths: int = 100
    cost: ClassVar[str] = "1 gradient, 2 values, 2 proxes"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 5000

    def match(self, problem: Inclusion) -> Terms:
        roles = smooth_roles(problem, 2, "use ChambollePock, or GeneralizedForwardBackward with a known Lipschitz constant")
        if isinstance(roles, Missing):
            self.refuse(roles)
        h = roles.smooth
        if not h.has_value:
            self.refuse(Missing("the smooth term has no value, which the line search needs", "use AdaptiveProximalGradient"))
        if h.constants.lipschitz == 0:
            self.refuse(Missing("the smooth term is affine, which gives the line search nothing to measure", "use DavisYin"))
        f, g, *_ = (*roles.resolvents, zero(problem), zero(problem))
        proven = guarantee(f.constants, g.constants, h.constants, reciprocal_lipschitz(h))
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        total = both_constants(f, g)
        total = calculus.add(total, h.constants if g.has_forward else calculus.product([h.constants, calculus.ZERO]))
        remarks = notes(f.constants, g.constants, h.constants)
        measure = self.step_size is None
        return Terms(f, g, h, step, measure, self.max_growths, problem.batch_ndim, proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        gradient = terms.h.forward(x0)
        step = adaptive.initial(terms.step_size, x0, terms.batch_ndim)
        if terms.measure:
            step = first_step(terms.h, x0, gradient, terms.step_size, terms.batch_ndim)
        step = adaptive.shared(step, terms.f, terms.g)
        z = adaptive.resolvent(terms.g, x0, step)
        u = arrays.scale_rows(1.0 / step, x0 - z)
        left = adaptive.initial(float(terms.max_growths), x0, terms.batch_ndim)
        return State(z, u, step, left, z, z, u, terms.h.forward(z), step)

    def step(self, terms: Terms, state: State) -> State:
        z, u, step, left = state.z, state.u, state.step, state.growths_left
        f, g, h, batch = terms.f, terms.g, terms.h, terms.batch_ndim
        xp = arrays.namespace(step)
        gradient, value = h.forward(z), h.value(z)
        good = left >= 0
        for trial in range(TRIALS):
            if trial:
                step = adaptive.shared(xp.where(good, step, 0.5 * step), f, g)
            x = adaptive.resolvent(f, z - arrays.scale_rows(step, u + gradient), step)
            found = descent(h, z, value, gradient, x, batch)
            good = accepted(h, found, z, gradient, x, step / SLACK, batch)
            if arrays.holds_everywhere(good):
                break
        new_z = adaptive.resolvent(g, x + arrays.scale_rows(step, u), step)
        new_u = u + arrays.scale_rows(1.0 / step, x - new_z)
        larger = lengthened(found, step, GROWTH, left > 0, f, g)
        left = xp.where(larger > step, left - 1.0, left)
        return State(new_z, new_u, larger, left, x, z, u, gradient, step)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, state.u_previous)

    def certificate(self, terms: Terms, state: State) -> Array:
        x, z, u = state.x, state.z_previous, state.u_previous
        a = arrays.scale_rows(1.0 / state.used, z - x) - u - state.gradient + terms.h.forward(x)
        return split_certificate(terms.g, z, x, a, u)
