"""Davis-Yin three-operator splitting (2017) for 0 in Ax + Bx + Cx, C cocoercive.

x = J_{gB} z,  y = J_{gA}(2x - z - g Cx),  z+ = z + relaxation (y - x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import both_constants, require_resolvent, sort_roles, split_certificate, too_many_resolvents, zero
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants, C: Constants, relaxation: Number = 1) -> Guarantee | Missing:
    """A, B monotone, C beta-cocoercive: step in (0, 2 beta (2 - relaxation)).

    With B L-Lipschitz and C mu-strong: squared factor 1 - s mu (2 - s/beta)/(1 + s^2 L^2) at relaxation 1
    (symbolic identity checked in the tests).
    """
    for letter, known in (("A", A), ("B", B)):
        if not known.monotone:
            return Missing(
                f"{letter} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is"
            )
    if C.cocoercivity is None or C.cocoercivity == 0 or not C.monotone:
        return Missing("C is not known to be cocoercive", "declare its cocoercivity, or use ForwardBackwardForward")
    beta, mu = C.cocoercivity, C.strong_monotonicity
    linear = mu > 0 and B.lipschitz is not None and relaxation == 1 and beta != math.inf

    def squared_contraction(step: Number) -> Number:
        return 1 - step * mu * (2 - step / beta) / (1 + step**2 * B.lipschitz**2)

    return Guarantee(
        interval=(0, 2 * beta * (2 - relaxation)),
        best_step=1.0 if beta == math.inf else beta * (2 - relaxation),
        formula="0 < step_size < 2*beta*(2 - relaxation)",
        rate="linear" if linear else "|r|^2 = O(1/k)",
        source="Davis-Yin (2017); Aragon-Artacho, Torregrosa-Belen (2022)",
        squared_contraction=squared_contraction if linear else None,
    )


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: Any
    B: Any
    C: Any
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing point z, the resolvents x and y, Cx, and the z that they came from."""

    z: Array
    x: Array
    y: Array
    Cx: Array
    previous: Array


@final
@dataclass(frozen=True)
class DavisYin(Algorithm):
    """Two resolvents and one cocoercive forward value: the direct method for three terms.

    Parameters
    ----------
    step_size : float, optional
        In (0, 2 beta (2 - relaxation)). Default: the middle of the interval.
    relaxation : float
        In (0, 2); default 1.

    Raises
    ------
    NotApplicableError
        When more than two terms need their resolvents, or no term is cocoercive.
    StepSizeError
        When the step or the relaxation is outside the proven interval.

    Notes
    -----
    With B the normal cone of a subspace V and P_V C P_V in the place of C, whose zeros are the same, this is the
    forward-Douglas-Rachford splitting of Briceno-Arias (2015); with C = 0, Douglas-Rachford; with B = 0, ForwardBackward.
    **Certificate** with a in Ay and b in Bx: a + By + Cy when B is single-valued, else the element
    (a + b + Cy, x - y) of the primal-dual operator at (y, b). **Cost** two resolvents, one value of C; one more a check.

    References
    ----------
    Davis and Yin (2017), A three-operator splitting scheme and its optimization applications.
    Briceno-Arias (2015), Forward-Douglas-Rachford splitting and forward-partial inverse method.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.SquaredL2().translate(np.array([3.0, -1.0])) + monops.L1Norm() + monops.Box(0.0, 1.0)
    >>> np.abs(np.round(monops.solve(problem, monops.DavisYin()).x, 5))
    array([1., 0.])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 value of C, 1 resolvent of A, 1 of B"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 1200
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(f"relaxation={self.relaxation:g} is outside (0, 2), where DavisYin is proven (Davis-Yin 2017)")
        roles = sort_roles(problem, "cocoercivity")
        for operator in roles.resolvents:
            missing = require_resolvent(operator, "cocoercivity")
            if missing is not None:
                self.refuse(missing)
        if roles.forward is None:
            self.refuse(Missing("no term has a forward value with a known cocoercivity", "use DouglasRachford"))
        if len(roles.resolvents) > 2:
            self.refuse(too_many_resolvents(roles.resolvents, "cocoercivity", "use ChambollePock"))
        padded = (*roles.resolvents, zero(problem), zero(problem))
        A, B, C = padded[0], padded[1], roles.forward
        if A.has_forward and not B.has_forward:
            A, B = B, A
        proven = guarantee(A.constants, B.constants, C.constants, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        total = both_constants(A, B)
        total = calculus.add(total, C.constants if B.has_forward else calculus.product([C.constants, calculus.ZERO]))
        remarks = notes(A.constants, B.constants, C.constants)
        return Terms(A, B, C, step, float(self.relaxation), proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, x0, x0, terms.C.forward(x0), x0)

    def step(self, terms: Terms, state: State) -> State:
        z, step = state.z, terms.step_size
        x = terms.B.resolvent(z, step)
        Cx = terms.C.forward(x)
        y = terms.A.resolvent(2.0 * x - z - step * Cx, step)
        return State(z + terms.relaxation * (y - x), x, y, Cx, z)

    def averagedness(self, terms: Terms) -> float:
        beta = float(terms.C.constants.cocoercivity)  # Davis-Yin (2017), Prop. 2.1
        return terms.relaxation * (0.5 if beta == math.inf else 2.0 * beta / (4.0 * beta - terms.step_size))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.y, (state.previous - state.x) / terms.step_size)

    def certificate(self, terms: Terms, state: State) -> Array:
        _, x, y, Cx, z = state
        step = terms.step_size
        a = (2.0 * x - z - step * Cx - y) / step + terms.C.forward(y)
        return split_certificate(terms.B, x, y, a, (z - x) / step)
