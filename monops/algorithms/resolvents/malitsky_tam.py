"""Malitsky-Tam splitting for 0 in A_1 x + ... + A_n x by n resolvents and n - 1 copies of x (Malitsky and Tam 2023).

x_1 = J_{g A_1} z_1,  x_i = J_{g A_i}(z_i + x_{i-1} - z_{i-1}),  x_n = J_{g A_n}(x_1 + x_{n-1} - z_{n-1}),
z_i+ = z_i + relaxation (x_{i+1} - x_i).
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


def largest_relaxation(terms: int) -> float:
    """Relaxations below this number are proven: 1, and 2 for two terms, where the method is Douglas-Rachford.

    The inequalities of monotonicity add up to |Tz - Tw|^2 <= |z - w|^2 - (1/relaxation - 1)|d|^2 - |d_1 + ... + d_{n-1}|^2
    /relaxation with d = (z - Tz) - (w - Tw); for n = 2 the two subtracted terms are (2/relaxation - 1)|d|^2.
    """
    return 2.0 if terms == 2 else 1.0


def guarantee(operators: Sequence[Constants]) -> Guarantee | Missing:
    """Any step for relaxation in (0, 1)."""
    missing = several_resolvents.not_monotone(*operators)
    if missing is not None:
        return missing
    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k)",
        source="Malitsky-Tam (2023)",
    )


class Terms(NamedTuple):
    """The operators, in the order of the scheme, and the resolved numbers."""

    operators: tuple[Any, ...]
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The n - 1 governing points z_i, the n points x_i, and the governing points that they came from."""

    z: Array
    points: Array
    previous: Array


@final
@dataclass(frozen=True)
class MalitskyTam(Algorithm):
    """n resolvents a step and n - 1 copies of x, the fewest for a method that uses each resolvent once a step; any n >= 2.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven. Default: 1/L of a term, else 1.
    relaxation : float
        In (0, 1), or in (0, 2) for two terms; default 0.9.

    Raises
    ------
    NotApplicableError
        When a term has no closed-form resolvent, or there is only one.
    StepSizeError
        When step or relaxation is outside the proven interval.

    Notes
    -----
    **Certificate** with the elements (argument of the resolvent - x_i)/step of A_i x_i, at x = x_n: as for
    ParallelDouglasRachford. **Cost** n resolvents, one after the other.

    References
    ----------
    Malitsky and Tam (2023), Resolvent splitting for sums of monotone operators with minimal lifting.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.L1Norm() + monops.Box(1.0, 2.0) + monops.HalfSpace(np.array([-1.0, -1.0]), -3.0)
    >>> result = monops.solve(problem, monops.MalitskyTam(), x0=np.array([0.0, 5.0]), tol=1e-9)
    >>> bool(abs(result.x.sum() - 3.0) < 1e-8)
    True
    """

    step_size: float | None = None
    relaxation: float = 0.9
    cost: ClassVar[str] = "1 resolvent of every term"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 2700
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        operators = several_resolvents.several_resolvents(problem)
        if isinstance(operators, Missing):
            self.refuse(operators)
        upper = largest_relaxation(len(operators))
        if not 0 < self.relaxation < upper:
            raise StepSizeError(
                f"relaxation={self.relaxation:g} is outside (0, {upper:g}), where MalitskyTam is proven for {len(operators)} "
                "terms (Malitsky and Tam 2023)"
            )
        known = [operator.constants for operator in operators]
        proven = guarantee(known)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(reciprocal_lipschitz(*operators) if self.step_size is None else self.step_size, self.name)
        total = several_resolvents.certificate_constants(operators)
        return Terms(operators, step, float(self.relaxation), proven, total, notes(*known))

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, Blocks([x0] * (len(terms.operators) - 1)))

    def at(self, terms: Terms, z: Array) -> State:
        return State(z, Blocks([z[0]] * len(terms.operators)), z)

    def step(self, terms: Terms, state: State) -> State:
        z = state.z
        points: list[Array] = []
        for index, operator in enumerate(terms.operators):
            points.append(operator.resolvent(_argument(z, points, index), terms.step_size))
        pairs = zip(points[1:], points[:-1], strict=True)
        new = Blocks([block + terms.relaxation * (after - x) for block, (after, x) in zip(z, pairs, strict=True)])
        return State(new, Blocks(points), z)

    def averagedness(self, terms: Terms) -> float:
        return terms.relaxation / largest_relaxation(len(terms.operators))

    def _elements(self, terms: Terms, state: State) -> list[Array]:
        z, x = state.previous, state.points
        return [(_argument(z, x, index) - point) / terms.step_size for index, point in enumerate(x)]

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.points[-1], several_resolvents.dual(terms.operators, self._elements(terms, state)))

    def certificate(self, terms: Terms, state: State) -> Array:
        return several_resolvents.certificate(terms.operators, state.points, self._elements(terms, state))


def _argument(z: Array, points: Sequence[Array], index: int) -> Array:
    """What the resolvent of term ``index`` is applied to, given the points of the terms before it."""
    if index == 0:
        return z[0]
    current = points[0] if index == len(z) else z[index]
    return current + (points[index - 1] - z[index - 1])
