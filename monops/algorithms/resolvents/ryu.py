"""Ryu's splitting for 0 in Ax + Bx + Cx by three resolvents (Ryu 2020), with two copies of x instead of three.

a = J_{gA} u,  b = J_{gB}(v + a),  c = J_{gC}(a - u + b - v),  u+ = u + relaxation (c - a),  v+ = v + relaxation (c - b).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.shared import several_resolvents
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing


def guarantee(operators: Sequence[Constants]) -> Guarantee | Missing:
    """Any step for relaxation in (0, 1).

    The three inequalities of monotonicity add up to |Tz - Tw|^2 <= |z - w|^2 - (1/relaxation - 1)|d|^2 - |d_u - d_v|^2
    /relaxation with d = (z - Tz) - (w - Tw): T is averaged with the constant ``relaxation``.
    """
    missing = several_resolvents.not_monotone(*operators)
    if missing is not None:
        return missing
    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k)",
        source="Ryu (2020)",
    )


class Terms(NamedTuple):
    """The operators A, B, C and the resolved numbers."""

    operators: tuple[Any, ...]
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing points (u, v), the points (a, b, c), and the governing points that they came from."""

    z: Array
    points: Array
    previous: Array


@final
@dataclass(frozen=True)
class Ryu(Algorithm):
    """Three resolvents a step and two copies of x, the fewest for a method that uses each resolvent once a step.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven. Default: 1/L of a term, else 1.
    relaxation : float
        In (0, 1); default 0.9.

    Raises
    ------
    NotApplicableError
        When the problem does not have exactly three terms, or a term has no closed-form resolvent.
    StepSizeError
        When step or relaxation is outside the proven interval.

    Notes
    -----
    **Certificate** with the elements (u - a)/step of Aa, (v + a - b)/step of Bb and (a - u + b - v - c)/step of Cc, at x = c:
    as for ParallelDouglasRachford. **Cost** three resolvents, one after the other.

    References
    ----------
    Ryu (2020), Uniqueness of DRS as the 2 operator resolvent-splitting and impossibility of extension to 3 operator.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.L1Norm() + monops.Box(1.0, 2.0) + monops.HalfSpace(np.array([-1.0, -1.0]), -3.0)
    >>> result = monops.solve(problem, monops.Ryu(), x0=np.array([0.0, 5.0]), tol=1e-9)
    >>> bool(abs(result.x.sum() - 3.0) < 1e-8)
    True
    """

    step_size: float | None = None
    relaxation: float = 0.9
    cost: ClassVar[str] = "3 resolvents"
    evaluations: ClassVar[float] = 3.0
    typical_iterations: ClassVar[float] = 3000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 1:
            raise StepSizeError(f"relaxation={self.relaxation:g} is outside (0, 1), where Ryu is proven (Ryu 2020)")
        operators = several_resolvents.several_resolvents(problem)
        if isinstance(operators, Missing):
            self.refuse(operators)
        if len(operators) != 3:
            other = "DouglasRachford" if len(operators) == 2 else "MalitskyTam or ParallelDouglasRachford"
            self.refuse(Missing(f"the problem has {len(operators)} terms, three are needed", f"use {other}"))
        known = [operator.constants for operator in operators]
        proven = guarantee(known)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(reciprocal_lipschitz(*operators) if self.step_size is None else self.step_size, self.name)
        total = several_resolvents.certificate_constants(operators)
        return Terms(operators, step, float(self.relaxation), proven, total, notes(*known))

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, Blocks((x0, 0.0 * x0)))

    def at(self, terms: Terms, z: Array) -> State:
        return State(z, Blocks((z[0], z[0], z[0])), z)

    def step(self, terms: Terms, state: State) -> State:
        A, B, C = terms.operators
        u, v = state.z
        a = A.resolvent(u, terms.step_size)
        b = B.resolvent(v + a, terms.step_size)
        c = C.resolvent(a - u + (b - v), terms.step_size)
        new = Blocks((u + terms.relaxation * (c - a), v + terms.relaxation * (c - b)))
        return State(new, Blocks((a, b, c)), state.z)

    def averagedness(self, terms: Terms) -> float:
        return terms.relaxation

    def _elements(self, terms: Terms, state: State) -> list[Array]:
        (u, v), (a, b, c), step = state.previous, state.points, terms.step_size
        return [(u - a) / step, (v + a - b) / step, (a - u + (b - v) - c) / step]

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.points[-1], several_resolvents.dual(terms.operators, self._elements(terms, state)))

    def certificate(self, terms: Terms, state: State) -> Array:
        return several_resolvents.certificate(terms.operators, state.points, self._elements(terms, state))
