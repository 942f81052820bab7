"""Douglas-Rachford splitting for 0 in Ax + Bx by two resolvents (Lions and Mercier 1979).

x = J_{gB} u,  y = J_{gA}(2x - u),  u+ = u + relaxation (y - x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.roles import both_constants, two_resolvents
from monops.algorithms.shared import reflected
from monops.algorithms.shared.reflected import State, Terms
from monops.algorithms.shared.two_operator_rates import best_shared_step, shared_contraction
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: Constants, B: Constants, relaxation: Number = 1) -> Guarantee | Missing:
    """Any step for relaxation in (0, 2); the least factor that is proven.

    Where one operator is strongly monotone and Lipschitz, 1 - relaxation/2 + (relaxation/2) rho with rho of its reflected
    resolvent; where one is strongly monotone and the other Lipschitz or cocoercive, that of ``two_operator_rates``.
    """
    if not (A.monotone and B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    strong = reflected.better(A, B)
    half = relaxation / 2

    def of_one(step: Number) -> Number:
        factor = reflected.cayley_contraction(strong, step)
        return (abs(1 - half) + half * math.sqrt(factor)) ** 2

    def of_both(step: Number) -> Number:
        return shared_contraction(A, B, step, relaxation)

    best, shared = reflected.best_cayley_step(strong) if strong is not None else None, best_shared_step(A, B, relaxation)
    proven: tuple[str, Number, Callable[[Number], Number] | None] = ("Bauschke-Combettes (2017) Thm 26.11", 1.0, None)
    if best is not None and (shared is None or of_one(best) <= of_both(shared)):
        proven = ("Giselsson (2017), Giselsson-Boyd (2017)", best, of_one)
    elif shared is not None:
        proven = ("Ryu-Taylor-Bergeling-Giselsson (2020) Thms 4.1, 4.3", shared, of_both)
    source, step, squared_contraction = proven
    return Guarantee(
        interval=(0, math.inf),
        best_step=step,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k)" if squared_contraction is None else "linear",
        source=source,
        squared_contraction=squared_contraction,
    )


@final
@dataclass(frozen=True)
class DouglasRachford(Algorithm):
    """Two resolvents a step, any positive step size, no other hypothesis than maximal monotonicity.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven. Default: the best of the linear rate where there is one, else 1/L of a term, else 1.
    relaxation : float
        In (0, 2); default 1.

    Notes
    -----
    **Certificate** with a = (2x - u - y)/step in Ay and b = (u - x)/step in Bx: a + By when B is single-valued, else the
    element (a + b, x - y) of the primal-dual operator at (y, b). **Cost** two resolvents. **No solution** u moves off to
    infinity, and u_k - u_{k+1} tends to relaxation times the minimal displacement vector, the element of least norm in the
    closure of the range of I - T for relaxation 1: for the normal cones of two disjoint sets its length is their distance.

    References
    ----------
    Bauschke and Combettes (2017), Theorem 26.11. Giselsson (2017), Tight global linear convergence rate bounds for
    Douglas-Rachford splitting. Ryu, Taylor, Bergeling and Giselsson (2020), Operator splitting performance estimation. Pazy
    (1971), Bauschke and Moursi (2017): problems without a solution.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.L1Norm() + monops.Box(1.0, 2.0)
    >>> monops.solve(problem, monops.DouglasRachford(), x0=np.zeros(3)).x
    array([1., 1., 1.])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    cost: ClassVar[str] = "1 resolvent of A, 1 resolvent of B"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 1000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(
                f"relaxation={self.relaxation:g} is outside (0, 2), where DouglasRachford is proven "
                "(Bauschke-Combettes 2017 Thm 26.11); 2 itself is PeacemanRachford"
            )
        roles = two_resolvents(problem)
        if isinstance(roles, Missing):
            self.refuse(roles)
        A, B = roles
        proven = guarantee(A.constants, B.constants, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = self.step_size
        if step is None and proven.squared_contraction is None:
            step = reciprocal_lipschitz(A, B)
        total = both_constants(A, B)
        remarks = notes(A.constants, B.constants)
        return Terms(A, B, proven.resolve(step, self.name), float(self.relaxation), proven, total, remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        return reflected.init(x0)

    def step(self, terms: Terms, state: State) -> State:
        return reflected.step(terms, state)

    def expected_iterations(self, terms: Terms) -> float:
        turns = terms.A.constants.skew or terms.B.constants.skew  # games: measured, four times the steps of other problems
        return 4.0 * self.typical_iterations if turns else self.typical_iterations

    def averagedness(self, terms: Terms) -> float:
        return 0.5 * terms.relaxation

    def solution(self, terms: Terms, state: State) -> Solution:
        return reflected.solution(terms, state)

    def certificate(self, terms: Terms, state: State) -> Array:
        return reflected.certificate(terms, state)
