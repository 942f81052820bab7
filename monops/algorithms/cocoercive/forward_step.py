"""The forward step x+ = x - g Bx for 0 = Bx (gradient descent, Cauchy 1847; for operators Bruck 1977)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, final

from monops.algorithms.algorithm import Algorithm, Solution, notes
from monops.algorithms.roles import describe, forward_operator, require_resolvent
from monops.algorithms.shared.forward_terms import forward_contraction
from monops.arrays import Array
from monops.constants import Constants
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing, Number


def guarantee(B: Constants) -> Guarantee | Missing:
    """B beta-cocoercive: step in (0, 2 beta); B mu-strongly monotone and L-Lipschitz: step in (0, 2 mu/L^2).

    The squared factor is that of theorems OP-09, OP-10 and OP-11, each attained; the best step minimises it exactly.
    """
    if not B.monotone:
        return Missing("B is not known to be monotone", "declare constants=Constants(strong_monotonicity=0.0) if it is")
    mu, lipschitz = B.strong_monotonicity, B.lipschitz
    given = beta = B.cocoercivity or 0
    if mu > 0 and lipschitz and not B.cyclic:
        beta = max(beta, mu / lipschitz**2)
    if beta == 0 and lipschitz is None:
        return Missing(
            "B has no known Lipschitz constant",
            "declare it, for example constants=Constants(lipschitz=...), or use AdaptiveProximalGradient for functions",
        )
    if beta == 0:
        return Missing(
            "B is neither known to be cocoercive nor strongly monotone, and forward steps diverge on a rotation",
            "use ForwardBackwardForward, or declare its cocoercivity",
        )
    known = replace(B, cocoercivity=beta)
    if beta == math.inf:
        best: Number = 1.0
    else:
        best = 2 / (mu + lipschitz) if B.cyclic and mu > 0 else beta

    def squared_contraction(step: Number) -> Number:
        return forward_contraction(known, step)

    return Guarantee(
        interval=(0, 2 * beta),
        best_step=best,
        formula="0 < step_size < 2*beta" if beta == given else "0 < step_size < 2*mu/L**2",
        rate="linear" if mu > 0 else "objective gap O(1/k)" if B.cyclic else "|Bx|^2 = O(1/k)",
        source="Bauschke-Combettes (2017) Prop. 4.39; Ryu-Boyd (2016)",
        squared_contraction=squared_contraction if mu > 0 else None,
    )


class Terms(NamedTuple):
    """The operator, and the resolved numbers."""

    B: Any
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """x and Bx."""

    x: Array
    Bx: Array


@final
@dataclass(frozen=True)
class ForwardStep(Algorithm):
    """x+ = x - step Bx: every term by its forward value; gradient descent for functions.

    Parameters
    ----------
    step_size : float, optional
        In (0, 2 beta), or (0, 2 mu/L^2) where that is larger. Default: 2/(mu + L) for a strongly convex function, mu/L^2 for a
        strongly monotone Lipschitz operator, else beta.

    Raises
    ------
    NotApplicableError
        When a term has no forward value, or the sum is neither cocoercive nor strongly monotone and Lipschitz.
    StepSizeError
        When the step is outside the proven interval.

    Notes
    -----
    Cocoercivity of the sum is enough: single terms may be skew, as long as another makes up for it in strong monotonicity.
    **Certificate** Bx. **Cost** one value of B.

    References
    ----------
    Bauschke and Combettes (2017), Convex Analysis and Monotone Operator Theory. Ryu and Boyd (2016), A primer on monotone
    operator methods.

    Examples
    --------
    >>> import numpy as np, monops
    >>> rotation = monops.Affine(np.array([[1.0, -1.0], [1.0, 1.0]]), np.array([0.0, -2.0]))
    >>> np.round(monops.solve(rotation, monops.ForwardStep()).x, 5)
    array([1., 1.])
    """

    step_size: float | None = None
    cost: ClassVar[str] = "1 value of B"
    evaluations: ClassVar[float] = 0.9
    typical_iterations: ClassVar[float] = 5000
    has_linear_rate: ClassVar[bool] = True
    is_map: ClassVar[bool] = True

    def match(self, problem: Inclusion) -> Terms:
        for term in problem.terms:
            if not term.has_forward:
                missing = require_resolvent(term, None) if not term.has_resolvent else None
                label = describe(term)
                self.refuse(
                    missing or Missing(f"{label} has no forward value", "use ForwardBackward, which takes it by its resolvent")
                )
        B: Any = forward_operator(problem.terms)
        if not B.constants.monotone:
            for term in problem.terms:
                missing = require_resolvent(term.summand, None)
                if missing is not None:
                    self.refuse(missing)
        proven = guarantee(B.constants)
        if isinstance(proven, Missing):
            self.refuse(proven)
        step = proven.resolve(self.step_size, self.name)
        return Terms(B, step, proven, B.constants, notes(B.constants))

    def init(self, terms: Terms, x0: Array) -> State:
        return State(x0, terms.B.forward(x0))

    def step(self, terms: Terms, state: State) -> State:
        new = state.x - terms.step_size * state.Bx
        return State(new, terms.B.forward(new))

    def averagedness(self, terms: Terms) -> float:
        upper = float(terms.guarantee.interval[1])  # I - step B is step/(2 beta)-averaged
        return 0.5 if upper == math.inf else terms.step_size / upper

    def solution(self, terms: Terms, state: State) -> Solution:
        return Solution(state.x)

    def certificate(self, terms: Terms, state: State) -> Array:
        return state.Bx
