"""The alternating direction method of multipliers for f(x) + g(Kx) (Glowinski and Marroco 1975; Gabay and Mercier 1976).

z = prox_{step g}(t),  x = argmin f(x) + |Kx - (2z - t)|^2/(2 step),  t+ = t + relaxation (Kx - z): the scaled form
with u = t - z and penalty 1/step, as the Douglas-Rachford map that it is on the dual (Gabay 1983; Eckstein and Bertsekas 1992).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.shared.penalized_step import PenalizedStep, split_form
from monops.algorithms.shared.saddle_form import BlockResolvent, start
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.linear import LinearMap
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number

SOURCE = "Eckstein-Bertsekas (1992) Thm 8"


def guarantee(f: Constants, B: Constants, norm: Number) -> Guarantee | Missing:
    """f and g convex (B = dg), the first step solvable: any step, relaxation in (0, 2); usual step |K|^2/L of f, else 1."""
    if not (f.monotone and B.monotone):
        which = "B" if f.monotone else "f"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    curved = f.lipschitz is not None and f.lipschitz > 0 and norm > 0
    return Guarantee(
        interval=(0, math.inf),
        best_step=norm**2 / f.lipschitz if curved else 1.0,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k)",
        source=SOURCE,
    )


class Terms(NamedTuple):
    """f and its penalised step, B by its resolvents behind the map, and the resolved numbers."""

    f: Any
    B: BlockResolvent
    map: LinearMap
    first: PenalizedStep
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing point t; x, Kx and z; and the t that they came from."""

    t: Array
    x: Array
    Kx: Array
    z: Array
    previous: Array


@final
@dataclass(frozen=True)
class ADMM(Algorithm):
    """Alternating directions: a linear system (or the prox of f) for x, the prox of g for z = Kx, over-relaxed.

    Parameters
    ----------
    step_size : float, optional
        1/penalty, any positive number. Default: |K|^2/L for an f with L > 0, else 1. See AdaptiveADMM for one that moves.
    relaxation : float
        In (0, 2); default 1. 1.5 to 1.8 is often faster.

    Raises
    ------
    NotApplicableError
        When the first step has no closed form: f must be quadratic (Zero, Linear, SquaredL2, Quadratic, LeastSquares, and
        their shifts and multiples), or K the identity.

    Notes
    -----
    Several g_i(K_i x) are stacked; a second term without a map takes the identity as its map. The linear system is solved by
    (I + s K*K)^-1 where K has it, by a cosine transform for Gradient, else by one diagonalisation (up to 1000 variables), and
    corrects the last x, so that rounding does not add up. **Certificate** with y = (t - z)/step in B z: (grad f(x) + K*y,
    z - Kx), an element of the primal-dual operator (df(x) + K*y, B^-1 y - Kx) at (x, y). **Cost** one linear system, one Kx,
    one K*y, one prox of g.

    References
    ----------
    Gabay (1983), Applications of the method of multipliers to variational inequalities. Eckstein and Bertsekas (1992), On the
    Douglas-Rachford splitting method and the proximal point algorithm for maximal monotone operators, Theorem 8.

    Examples
    --------
    >>> import numpy as np, monops
    >>> signal = np.array([0.0, 0.1, 1.0, 0.9])
    >>> problem = monops.SquaredL2().translate(signal) + 0.1 * monops.L1Norm() @ monops.Gradient((4,))
    >>> np.round(monops.solve(problem, ADMM()).x, 4)
    array([0.1, 0.1, 0.9, 0.9])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 linear system, 1 Kx, 1 K*y, 1 prox of g"
    evaluations: ClassVar[float] = 5.0
    typical_iterations: ClassVar[float] = 2000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(f"relaxation={self.relaxation:g} is outside (0, 2), where ADMM is proven ({SOURCE})")
        form = split_form(problem)
        if isinstance(form, Missing):
            self.refuse(form)
        f, B, norm = form.f.constants, form.B.constants, form.map.norm
        proven = guarantee(f, B, norm.value)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        skew = Constants(lipschitz=norm.value, affine=True, skew=True, why=norm.why)
        total = calculus.add(calculus.product([f, calculus.inverse(B)]), skew)
        remarks = notes(f, B)
        return Terms(form.f, form.B, form.map, form.first, step, float(self.relaxation), proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        x, _ = start(terms.map, False, x0)
        Kx = terms.map.apply(x)
        return State(Kx, x, Kx, Kx, Kx)

    def at(self, terms: Terms, z: Array) -> State:
        x = 0.0 * terms.map.adjoint(z)
        return State(z, x, terms.map.apply(x), z, z)

    def step(self, terms: Terms, state: State) -> State:
        t = state.t
        z = terms.B.resolvent(t, terms.step_size)
        step = adaptive.initial(terms.step_size, state.x, 0)
        x = terms.first.solve(2.0 * z - t, step, state.x, state.Kx)
        Kx = terms.map.apply(x)
        return State(t + terms.relaxation * (Kx - z), x, Kx, z, t)

    def averagedness(self, terms: Terms) -> float:
        return 0.5 * terms.relaxation  # Douglas-Rachford on the dual (Gabay 1983)

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x, (state.previous - state.z) / terms.step_size)

    def certificate(self, terms: Terms, state: State) -> Array:
        x, Kx, z, t = state.x, state.Kx, state.z, state.previous
        if terms.f.has_forward:
            return Blocks((terms.f.forward(x) + terms.map.adjoint((t - z) / terms.step_size), z - Kx))
        return Blocks((terms.map.adjoint(z - Kx) / terms.step_size, z - Kx))
