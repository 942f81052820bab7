"""Peaceman-Rachford splitting for 0 in Ax + Bx: u+ = (2 J_{gA} - I)(2 J_{gB} - I) u (Lions and Mercier 1979)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import both_constants, two_resolvents
from monops.algorithms.shared import reflected
from monops.algorithms.shared.reflected import State, Terms
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing


def guarantee(A: Constants, B: Constants) -> Guarantee | Missing:
    """Any step when A or B is both strongly monotone and Lipschitz: the factor of its reflected resolvent (OP-13 of proofs).

    Strong monotonicity alone makes x converge but not the residual: with A = 0 and B the normal cone of {0}, u changes sign for
    ever.
    """
    if not (A.monotone and B.monotone):
        which = "B" if A.monotone else "A"
        return Missing(f"{which} is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    strong = reflected.better(A, B)
    if strong is None:
        return Missing(
            "neither term is known to be both strongly monotone and Lipschitz", "use DouglasRachford, which needs neither"
        )
    return Guarantee(
        interval=(0, math.inf),
        best_step=reflected.best_cayley_step(strong),
        formula="0 < step_size",
        rate="linear",
        source="Giselsson (2017), Giselsson-Boyd (2017)",
        squared_contraction=lambda step: reflected.cayley_contraction(strong, step),
    )


@final
@dataclass(frozen=True)
class PeacemanRachford(Algorithm):
    """Two reflected resolvents a step; the fastest of its family where one term is strongly monotone and Lipschitz.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven. Default: the minimiser of the rate, 1/L, or 1/sqrt(mu L) for convex functions.

    Raises
    ------
    NotApplicableError
        When no term is both strongly monotone and Lipschitz: the iteration may then circle for ever, as it does for a rotation.

    Notes
    -----
    **Certificate** as for DouglasRachford. **Cost** two resolvents.

    References
    ----------
    Giselsson (2017), Tight global linear convergence rate bounds for Douglas-Rachford splitting. Giselsson and Boyd (2017).

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.Affine(np.array([[2.0, 1.0], [-1.0, 2.0]]), np.array([-5.0, 1.0])) + monops.NonNegative()
    >>> np.round(monops.solve(problem, monops.PeacemanRachford()).x, 5)
    array([2.2, 0.6])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 resolvent of A, 1 resolvent of B"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 1000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        roles = two_resolvents(problem)
        if isinstance(roles, Missing):
            self.refuse(roles)
        A, B = roles
        proven = guarantee(A.constants, B.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step, remarks = proven.resolve(self.step_size, self.name), notes(A.constants, B.constants)
        return Terms(A, B, step, 2.0, proven, both_constants(A, B), remarks)

    def init(self, terms: Terms, x0: Array) -> State:
        return reflected.init(x0)

    def step(self, terms: Terms, state: State) -> State:
        return reflected.step(terms, state)

    def averagedness(self, terms: Terms) -> float:
        return 1.0

    def solution(self, terms: Terms, state: State) -> Solution:
        return reflected.solution(terms, state)

    def certificate(self, terms: Terms, state: State) -> Array:
        return reflected.certificate(terms, state)
