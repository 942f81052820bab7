"""Projective splitting for 0 in sum of K_i* A_i K_i x: project (x, duals) on a hyperplane that separates it from the solutions.

Each term gives x_i and y_i in A_i x_i on its own, from z and its dual point w_i:
by its resolvent, x_i = J_{g A_i}(K_i z + g w_i), y_i = (K_i z + g w_i - x_i)/g, or by two forward values,
x_i = K_i z - g (A_i K_i z - w_i), y_i = A_i x_i; the last term has no map, and w_n = -sum K_i* w_i.
With u_i = x_i - K_i x_n and v = y_n + sum K_i* y_i, the function <z, v> + sum <w_i, u_i> - sum <x_i, y_i> is at most 0 at
solutions; one relaxed projection on the half-space where it is, in the norm scaling |z|^2 + sum |w_i|^2, makes the new z, w_i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.algorithms import adaptive
from monops.algorithms.algorithm import Algorithm, Solution, notes, reciprocal_lipschitz
from monops.algorithms.roles import require_resolvent, zero
from monops.algorithms.shared import several_resolvents
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import StepSizeError
from monops.linear import LinearMap
from monops.problem import Inclusion, Term
from monops.theory import Guarantee, Missing, Number


def guarantee(L: Number) -> Guarantee:
    """Steps below 1/L, with L the largest Lipschitz constant of a term taken by forward values; any step when none is.

    The affine function at (z, w) is at least g |y_i - w_i|^2, or (1/g - L_i)|K_i z - x_i|^2, summed over the terms, so that the
    squared length of (v, u) is summable.
    """
    return Guarantee(
        interval=(0, math.inf if L == 0 else 1 / L),
        best_step=1.0 if L == 0 else 0.9 / L,
        formula="0 < step_size*L < 1",
        rate="least |r|^2 so far O(1/k)",
        source="Eckstein-Svaiter (2009), Johnstone-Eckstein (2022)",
    )


class Terms(NamedTuple):
    """The terms, the last without a map; which of them go by forward values; and the resolved numbers."""

    operators: tuple[Any, ...]
    maps: tuple[LinearMap | None, ...]
    by_forward: tuple[bool, ...]
    step_size: float
    relaxation: float
    scaling: float
    batch_ndim: int
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The primal point z, the dual points w_i of all terms but the last, and the graph points (x_i, y_i)."""

    z: Array
    w: Array
    points: Array
    elements: Array


@final
@dataclass(frozen=True)
class ProjectiveSplitting(Algorithm):
    """Any number of terms and linear maps, each term by its resolvent or by two forward values, without norms of the maps.

    Parameters
    ----------
    step_size : float, optional
        Any positive number where all terms go by resolvents, else below 1/L of those that go by forward values. Default: 0.9/L,
        or 1/L of a term, or 1.
    relaxation : float
        Of the projection; in (0, 2), default 1.
    scaling : float, optional
        Weight of |z|^2 against |w|^2 in the projection; any positive number. Default: 1/step_size^2.
    prefer_forward : bool
        Take every Lipschitz term by two forward values, not only those without a closed-form resolvent.

    Raises
    ------
    NotApplicableError
        When a term has neither a resolvent nor a forward value with a known Lipschitz constant.
    StepSizeError
        When a setting is outside its interval.

    Notes
    -----
    **Certificate** at x_n: y_n + sum K_i* y_i and the gaps x_i - K_i x_n, with A_i K_i x_n in the place of y_i (and no gap) for
    every term that has a forward value. **Cost** a resolvent or two forward values, and one K_i and one K_i*, of every term.

    References
    ----------
    Eckstein and Svaiter (2009), General projective splitting methods for sums of maximal monotone operators. Johnstone and
    Eckstein (2022), Projective splitting with forward steps.

    Examples
    --------
    >>> import numpy as np, monops
    >>> K = monops.Matrix(np.diff(np.eye(4), axis=0))
    >>> problem = monops.SquaredL2().translate(np.array([0.0, 0.1, 1.0, 0.9])) + 0.1 * monops.L1Norm() @ K
    >>> np.round(monops.solve(problem, monops.ProjectiveSplitting()).x, 4)
    array([0.1, 0.1, 0.9, 0.9])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    scaling: float | None = None
    prefer_forward: bool = False
    cost: ClassVar[str] = "1 resolvent (or 2 forward values), 1 K, 1 K* of every term"
    evaluations: ClassVar[float] = 5.0
    typical_iterations: ClassVar[float] = 20000

    def match(self, problem: Inclusion) -> Terms:
        self._check_settings()
        if len(problem.terms) == 1 and problem.terms[0].map is None:
            self.refuse(Missing("the problem has a single term", "use ProximalPoint, or write it as a sum of several terms"))
        terms = sorted(problem.terms, key=lambda term: term.map is None and not term.has_forward)
        if terms[-1].map is not None:  # every term without a map, if there is one, has a forward value
            simple = [term for term in terms if term.map is None]
            last = simple[-1] if simple else Term(zero(problem))
            terms = [term for term in terms if term is not last] + [last]
        by_forward = tuple(self._goes_by_forward(term) for term in terms)
        operators = tuple(term.summand for term in terms)
        known = [operator.constants for operator in operators]
        missing = several_resolvents.not_monotone(*known)
        if missing is not None:
            self.refuse(missing)
        largest = max((item.lipschitz for item, forward in zip(known, by_forward, strict=True) if forward), default=0)
        proven = guarantee(largest)
        step = self.step_size
        if step is None and largest == 0:
            step = reciprocal_lipschitz(*operators)
        step = proven.resolve(step, self.name)
        return Terms(
            operators,
            tuple(term.map for term in terms),
            by_forward,
            step,
            float(self.relaxation),
            1.0 / step**2 if self.scaling is None else float(self.scaling),
            problem.batch_ndim,
            proven,
            several_resolvents.certificate_constants(operators, terms),
            notes(*known),
        )

    def _check_settings(self) -> None:
        if not 0 < self.relaxation < 2:
            raise StepSizeError(
                f"relaxation={self.relaxation:g} is outside (0, 2), where ProjectiveSplitting is proven (Eckstein-Svaiter 2009)"
            )
        if self.scaling is not None and not 0 < self.scaling < math.inf:
            raise StepSizeError(f"scaling={self.scaling:g} is outside (0, inf), where ProjectiveSplitting is proven")

    def _goes_by_forward(self, term: Term) -> bool:
        """Whether the summand goes by two forward values; refused when it can go neither way."""
        operator = term.summand
        lipschitz = operator.constants.lipschitz
        usable = operator.has_forward and lipschitz is not None and lipschitz < math.inf
        if usable and (self.prefer_forward or not operator.has_resolvent):
            return True
        missing = require_resolvent(operator, "lipschitz")
        if missing is not None:
            self.refuse(missing)
        return False

    def init(self, terms: Terms, x0: Array) -> State:
        images = [x0 if K is None else K.apply(x0) for K in terms.maps]
        zeros = [0.0 * image for image in images]
        return State(x0, Blocks(zeros[:-1]), Blocks(images), Blocks(zeros))

    def step(self, terms: Terms, state: State) -> State:
        z, w, rows = state.z, state.w, terms.batch_ndim
        last = _pull_back(terms, w)
        images = [z if K is None else K.apply(z) for K in terms.maps]
        duals = [*w, 0.0 * z if last is None else -last]
        points, elements = [], []
        for operator, forward, image, dual in zip(terms.operators, terms.by_forward, images, duals, strict=True):
            x, y = _graph_point(operator, forward, image, dual, terms.step_size)
            points.append(x)
            elements.append(y)
        value = sum(
            arrays.inner(image - x, y - dual, rows) for image, x, y, dual in zip(images, points, elements, duals, strict=True)
        )
        gaps = Blocks(
            [x - (points[-1] if K is None else K.apply(points[-1])) for x, K in zip(points[:-1], terms.maps, strict=False)]
        )
        pulled = _pull_back(terms, elements[:-1])
        total = elements[-1] if pulled is None else elements[-1] + pulled
        length = arrays.inner(total, total, rows) / terms.scaling
        length = length + arrays.inner(gaps, gaps, rows)
        move = terms.relaxation * adaptive.ratio(arrays.clip(value, 0.0, None), length, 0.0)
        new_z = z - arrays.scale_rows(move / terms.scaling, total)
        return State(new_z, w - arrays.scale_rows(move, gaps), Blocks(points), Blocks(elements))

    def governing(self, terms: Terms, state: State) -> Array:
        return Blocks((state.z, state.w))

    def at(self, terms: Terms, z: Array) -> State:
        return self.init(terms, z[0])._replace(w=z[1])

    def metric(self, terms: Terms, z: Array) -> Array:
        return Blocks((terms.scaling * z[0], z[1]))

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.points[-1], several_resolvents.dual(terms.operators, state.elements))

    def certificate(self, terms: Terms, state: State) -> Array:
        return several_resolvents.certificate(terms.operators, state.points, state.elements, terms.maps)


def _graph_point(operator: Any, forward: bool, image: Array, dual: Array, step: float) -> tuple[Array, Array]:
    """x and y in Ax near the image K z and the dual point."""
    if forward:
        x = image - step * (operator.forward(image) - dual)
        return x, operator.forward(x)
    target = image + step * dual
    x = operator.resolvent(target, step)
    return x, (target - x) / step


def _pull_back(terms: Terms, duals: Any) -> Array | None:
    """The sum of K_i* over all terms but the last; None for no term."""
    total = None
    for K, dual in zip(terms.maps, duals, strict=False):
        part = dual if K is None else K.adjoint(dual)
        total = part if total is None else total + part
    return total
