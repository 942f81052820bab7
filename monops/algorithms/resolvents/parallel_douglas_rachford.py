"""Douglas-Rachford splitting on the diagonal of the product space for 0 in A_1 x + ... + A_n x (Spingarn 1983; Pierra 1984).

p = (z_1 + ... + z_n)/n,  x_i = J_{g A_i}(2p - z_i),  z_i+ = z_i + relaxation (x_i - p).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.shared import reflected, several_resolvents
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(operators: Sequence[Constants], relaxation: Number = 1) -> Guarantee | Missing:
    """Any step for relaxation in (0, 2): Douglas-Rachford for the product of the terms and the normal cone of the diagonal.

    Linear where every term is strongly monotone and Lipschitz, because the product of the terms then is.
    """
    missing = several_resolvents.not_monotone(*operators)
    if missing is not None:
        return missing
    product = calculus.product(operators)
    best = reflected.best_cayley_step(product)
    half = relaxation / 2

    def squared_contraction(step: Number) -> Number:
        return (1 - half + half * math.sqrt(reflected.cayley_contraction(product, step))) ** 2

    return Guarantee(
        interval=(0, math.inf),
        best_step=1.0 if best is None else best,
        formula="0 < step_size",
        rate="|r|^2 = O(1/k)" if best is None else "linear",
        source="Spingarn (1983), Pierra (1984)" if best is None else "Pierra (1984), Giselsson (2017)",
        squared_contraction=None if best is None else squared_contraction,
    )


class Terms(NamedTuple):
    """The operators, the one whose point is the answer last, and the resolved numbers."""

    operators: tuple[Any, ...]
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing points z_i, the points x_i, and the mean p and points z_i that they came from."""

    z: Array
    points: Array
    mean: Array
    previous: Array


@final
@dataclass(frozen=True)
class ParallelDouglasRachford(Algorithm):
    """n resolvents a step, independent of each other, any number n >= 2 of terms, any positive step size.

    Parameters
    ----------
    step_size : float, optional
        Any positive number is proven. Default: the best of the linear rate where there is one, else 1/L of a term, else 1.
    relaxation : float
        In (0, 2); default 1.5, which took a third fewer iterations than 1 on most sums of three to five terms that were tried.

    Raises
    ------
    NotApplicableError
        When a term has no closed-form resolvent, or there is only one.
    StepSizeError
        When step or relaxation is outside the proven interval.

    Notes
    -----
    **Certificate** with a_i = (2p - z_i - x_i)/step in A_i x_i, at x = x_n: a_n + sum A_i x over the terms with a forward value
    + sum a_i over the others, and the gaps x_i - x of the others (none, if all but one have a forward value). **Cost** n
    resolvents, and n copies of x to keep.

    References
    ----------
    Spingarn (1983), Partial inverse of a monotone operator. Pierra (1984), Decomposition through formalization in a product
    space. Combettes and Pesquet (2008), A proximal decomposition method for solving convex variational inverse problems.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.L1Norm() + monops.Box(1.0, 2.0) + monops.HalfSpace(np.array([-1.0, -1.0]), -3.0)
    >>> result = monops.solve(problem, monops.ParallelDouglasRachford(), x0=np.array([0.0, 5.0]), tol=1e-9)
    >>> bool(abs(result.x.sum() - 3.0) < 1e-8)
    True
    """

    step_size: float | None = None
    relaxation: float = 1.5
    cost: ClassVar[str] = "1 resolvent of every term"
    evaluations: ClassVar[float] = 4.0
    typical_iterations: ClassVar[float] = 2500
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(
                f"relaxation={self.relaxation:g} is outside (0, 2), where ParallelDouglasRachford is proven (Spingarn 1983)"
            )
        operators = several_resolvents.several_resolvents(problem)
        if isinstance(operators, Missing):
            self.refuse(operators)
        known = [operator.constants for operator in operators]
        proven = guarantee(known, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = self.step_size
        if step is None and proven.squared_contraction is None:
            step = reciprocal_lipschitz(*operators)
        total = several_resolvents.certificate_constants(operators)
        step = proven.resolve(step, self.name)
        return Terms(operators, step, float(self.relaxation), proven, total, notes(*known))

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, Blocks([x0] * len(terms.operators)))

    def at(self, terms: Terms, z: Array) -> State:
        return State(z, z, _mean(z), z)

    def step(self, terms: Terms, state: State) -> State:
        z = state.z
        mean = _mean(z)
        reflections = [2.0 * mean - block for block in z]
        points = [op.resolvent(y, terms.step_size) for op, y in zip(terms.operators, reflections, strict=True)]
        new = Blocks([block + terms.relaxation * (x - mean) for block, x in zip(z, points, strict=True)])
        return State(new, Blocks(points), mean, z)

    def averagedness(self, terms: Terms) -> float:
        return 0.5 * terms.relaxation

    def _elements(self, terms: Terms, state: State) -> list[Array]:
        pairs = zip(state.previous, state.points, strict=True)
        return [(2.0 * state.mean - z - x) / terms.step_size for z, x in pairs]

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.points[-1], several_resolvents.dual(terms.operators, self._elements(terms, state)))

    def certificate(self, terms: Terms, state: State) -> Array:
        return several_resolvents.certificate(terms.operators, state.points, self._elements(terms, state))


def _mean(z: Array) -> Array:
    return reduce(lambda a, b: a + b, z) / float(len(z))
