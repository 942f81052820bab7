"""Generalised forward-backward splitting for 0 in A1 x + ... + An x + Bx (Raguet, Fadili and Peyre 2013).

x = sum_i w_i z_i,  y_i = J_{(g/w_i) A_i}(2x - z_i - g Bx),  z_i+ = z_i + relaxation (y_i - x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import constants as calculus
from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import require_resolvent, sort_roles
from monops.algorithms.shared.forward_terms import check_relaxation
from monops.arrays import Array, Blocks
from monops.constants import Constants
from monops.errors import DataError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(A: tuple[Constants, ...], B: Constants, relaxation: Number = 1) -> Guarantee | Missing:
    """A_i monotone, B beta-cocoercive: step in (0, 2 beta (2 - relaxation)).

    The step is Davis-Yin's on the product space with the inner product sum w_i <z_i, z_i'>, for the normal cone of the
    diagonal, the A_i, and z -> (B(sum w_i z_i))_i, which is beta-cocoercive there.
    """
    for index, known in enumerate(A):
        if not known.monotone:
            return Missing(
                f"A{index + 1} is not known to be monotone",
                "declare constants=Constants(strong_monotonicity=0.0) if it is",
            )
    if B.cocoercivity is None or B.cocoercivity == 0 or not B.monotone:
        return Missing("B is not known to be cocoercive", "declare its cocoercivity, or use ForwardBackwardForward")
    beta = B.cocoercivity
    return Guarantee(
        interval=(0, 2 * beta * (2 - relaxation)),
        best_step=1.0 if beta == math.inf else beta * (2 - relaxation),
        formula="0 < step_size < 2*beta*(2 - relaxation)",
        rate="|r|^2 = O(1/k)",
        source="Raguet-Fadili-Peyre (2013); Davis-Yin (2017); Aragon-Artacho, Torregrosa-Belen (2022)",
    )


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: tuple[Any, ...]
    B: Any
    weights: tuple[float, ...]
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The points z_i, the resolvents y_i, and the z_i, the mean x and Bx that they came from."""

    z: Blocks
    y: Blocks
    previous: Blocks
    x: Array
    Bx: Array


@final
@dataclass(frozen=True)
class GeneralizedForwardBackward(Algorithm):
    """Any number of resolvents, computed independently of each other, and one cocoercive forward value.

    Parameters
    ----------
    step_size : float, optional
        In (0, 2 beta (2 - relaxation)). Default: the middle of the interval.
    relaxation : float
        In (0, 2); default 1.
    weights : tuple of float, optional
        Positive, of sum 1, one for each term that needs its resolvent. Default: all equal.

    Raises
    ------
    NotApplicableError
        When fewer than two terms need their resolvents, or no term is cocoercive.
    StepSizeError
        When the step or the relaxation is outside the proven interval.

    Notes
    -----
    The state has one copy of x for each resolvent. The answer is y_1, with the dual points a_i in A_i y_i for i >= 2.
    **Certificate** (a_1 + By_1 + sum a_i, (y_i - y_1)_i), an element of the primal-dual operator (A_1 x + Bx + sum u_i,
    (A_i^-1 u_i - x)_i) at (y_1, a_2, ...). **Cost** one value of B, one resolvent of each A_i; one value of B more a check.

    References
    ----------
    Raguet, Fadili and Peyre (2013), A generalized forward-backward splitting. Briceno-Arias (2015), Forward-Douglas-Rachford
    splitting and forward-partial inverse method.

    Examples
    --------
    >>> import numpy as np, monops
    >>> problem = monops.SquaredL2().translate(np.array([3.0, -1.0])) + monops.L1Norm() + monops.Box(0.0, 1.0)
    >>> np.abs(np.round(monops.solve(problem, monops.GeneralizedForwardBackward()).x, 5))
    array([1., 0.])
    """

    step_size: float | None = None
    relaxation: float = 1.0
    weights: tuple[float, ...] | None = None
    cost: ClassVar[str] = "1 value of B, 1 resolvent of each A"
    evaluations: ClassVar[float] = 3.5
    typical_iterations: ClassVar[float] = 8000
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        check_relaxation(self.relaxation, self.name, "Raguet-Fadili-Peyre 2013")
        roles = sort_roles(problem, "cocoercivity")
        for operator in roles.resolvents:
            missing = require_resolvent(operator, "cocoercivity")
            if missing is not None:
                self.refuse(missing)
        if roles.forward is None:
            self.refuse(
                Missing("no term has a forward value with a known cocoercivity", "use DouglasRachford, or DavisYin with Zero()")
            )
        if len(roles.resolvents) < 2:
            self.refuse(Missing("fewer than two terms need their resolvents", "use ForwardBackward"))
        A, B = roles.resolvents, roles.forward
        proven = guarantee(tuple(operator.constants for operator in A), B.constants, self.relaxation)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        inverses = [calculus.inverse(operator.constants) for operator in A[1:]]
        total = calculus.product([calculus.add(A[0].constants, B.constants), *inverses])
        remarks = notes(*(operator.constants for operator in A), B.constants)
        return Terms(A, B, self._weights(len(A)), step, float(self.relaxation), proven, total, remarks)

    def _weights(self, count: int) -> tuple[float, ...]:
        if self.weights is None:
            return (1.0 / count,) * count
        weights = tuple(float(weight) for weight in self.weights)
        if len(weights) != count or not all(weight > 0 for weight in weights) or abs(sum(weights) - 1.0) > 1e-9:
            raise DataError(
                f"weights={self.weights} must be {count} positive numbers of sum 1, one for each term that needs its resolvent"
            )
        return weights

    def init(self, terms: Terms, x0: Array) -> State:
        return self.at(terms, Blocks((x0,) * len(terms.A)))

    def at(self, terms: Terms, z: Array) -> State:
        x = _mean(terms.weights, z)
        return State(z, z, z, x, terms.B.forward(x))

    def step(self, terms: Terms, state: State) -> State:
        z, weights, step = state.z, terms.weights, terms.step_size
        x = _mean(weights, z)
        Bx = terms.B.forward(x)
        target = 2.0 * x - step * Bx
        y = Blocks(
            [
                operator.resolvent(target - part, step / weight)
                for operator, part, weight in zip(terms.A, z, weights, strict=True)
            ]
        )
        moved = [part + terms.relaxation * (point - x) for part, point in zip(z, y, strict=True)]
        return State(Blocks(moved), y, z, x, Bx)

    def averagedness(self, terms: Terms) -> float:
        beta = float(terms.B.constants.cocoercivity)  # Davis-Yin (2017), Prop. 2.1
        return terms.relaxation * (0.5 if beta == math.inf else 2.0 * beta / (4.0 * beta - terms.step_size))

    def metric(self, terms: Terms, z: Array) -> Array:
        return Blocks([weight * part for weight, part in zip(terms.weights, z, strict=True)])

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.y[0], Blocks(_elements(terms, state)[1:]))

    def certificate(self, terms: Terms, state: State) -> Array:
        first, *rest = _elements(terms, state)
        primal = first + terms.B.forward(state.y[0])
        for element in rest:
            primal = primal + element
        return Blocks([primal, *(point - state.y[0] for point in state.y[1:])])


def _mean(weights: tuple[float, ...], z: Array) -> Array:
    total = weights[0] * z[0]
    for weight, part in zip(weights[1:], z[1:], strict=True):
        total = total + weight * part
    return total


def _elements(terms: Terms, state: State) -> list[Array]:
    """a_i in A_i y_i."""
    target = 2.0 * state.x - terms.step_size * state.Bx
    return [
        (target - part - point) * (weight / terms.step_size)
        for weight, part, point in zip(terms.weights, state.previous, state.y, strict=True)
    ]
