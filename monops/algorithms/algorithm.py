"""The protocol of a splitting method."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn

from monops.arrays import Array
from monops.constants import Constants, Known
from monops.problem import Inclusion
from monops.theory import Missing


class Solution(NamedTuple):
    """What a state offers as the answer: the primal point and, for methods with one, the dual point."""

    x: Array
    dual: Array | None = None


class NoSolution(NamedTuple):
    """Why a problem has no solution.

    ``kind`` is "primal": ``vector`` = y with sum K_i* y_i = 0 and sum of support functions -1, so that no x is feasible; or
    "dual": ``vector`` = d, a direction along which sets stay and the objective falls by 1, so that the value is unbounded below
    or no x is feasible. ``residual`` is the norm of what these equations and memberships miss by: a feasible x (a dual feasible
    point, for "dual") has a norm of at least 1/residual.
    """

    kind: Literal["primal", "dual"]
    vector: Array
    residual: float


class Algorithm(ABC):
    """A splitting method: frozen settings, and five functions over an explicit state that is never mutated.

    ``match`` binds a problem and resolves the numbers into Terms (every refusal happens there), ``init`` and ``step`` make
    the states, ``solution`` reads the answer and ``certificate`` an explicit element of the operator of the problem at the
    answer, whose norm is the residual. Terms of every method have ``step_size``, ``guarantee`` and ``constants`` (of the
    operator that the certificate belongs to).

    A method that is a fixed-point map z+ = T z sets ``is_map``, and its first state field is z, or it overrides
    ``governing`` and ``at``: accelerations and derivatives of solutions work on that map.

    Leaves of a state are arrays, `Blocks`, nested states, or Python numbers (counters, the same for all rows); one number a
    row is an array of the batch shape.
    """

    cost: ClassVar[str]  # of one iteration, in words
    evaluations: ClassVar[float]  # the same as a number of operator evaluations, for ranking
    typical_iterations: ClassVar[float]  # to a millionth of the start, for ranking where no linear rate is proven
    steps_a_check: ClassVar[int] = 10  # steps between two stopping checks, unless ``solve`` is told otherwise
    has_linear_rate: ClassVar[bool] = False  # whether ``guarantee`` may give a contraction factor
    needs_constants: ClassVar[bool] = True  # whether ``match`` asks for norms, which may cost more than a whole solve
    is_candidate: ClassVar[bool] = True  # whether ``solve`` may choose it unasked
    is_map: ClassVar[bool] = False  # whether a step is z+ = T z for a map T that does not change
    takes_any_map: ClassVar[bool] = False  # whether it runs on maps of which nothing is proven, and says so

    @abstractmethod
    def match(self, problem: Inclusion) -> Any:
        """Terms for the problem; raises NotApplicableError or StepSizeError with the reason and the way out."""

    @abstractmethod
    def init(self, terms: Any, x0: Array) -> Any:
        """The first state."""

    @abstractmethod
    def step(self, terms: Any, state: Any) -> Any:
        """The next state."""

    @abstractmethod
    def solution(self, terms: Any, state: Any) -> Solution:
        """The answer that the state stands for."""

    @abstractmethod
    def certificate(self, terms: Any, state: Any) -> Array:
        """An explicit element of the operator of the problem at the answer."""

    def expected_iterations(self, terms: Any) -> float:
        """Iterations to a millionth of the start where no linear rate is proven: at least ``typical_iterations``.

        ``math.inf`` where nothing is proven at all: ``solve`` then never chooses the method unasked.
        """
        return self.typical_iterations

    def governing(self, terms: Any, state: Any) -> Array:
        """The point z on which the fixed-point map of the method acts."""
        return state[0]

    def at(self, terms: Any, z: Array) -> Any:
        """A state with the governing point z: ``governing(step(at(z)))`` is T z."""
        return self.init(terms, z)

    def image(self, terms: Any, z: Array) -> tuple[Any, Array]:
        """A state that offers an answer and its certificate for z, and Tz: what accelerations evaluate."""
        after = self.step(terms, self.at(terms, z))
        return after, self.governing(terms, after)

    def rebase(self, terms: Any, state: Any) -> Any:
        """A first state for other terms from a state of this method: a warm start with all that still holds."""
        if self.is_map:
            return self.at(terms, self.governing(terms, state))
        return self.init(terms, self.solution(terms, state).x)

    def probe(self, terms: Any, state: Any) -> Any:
        """What tells whether terms and state of some rows belong together: the next state, unless it magnifies rounding."""
        return self.step(terms, state)

    def averagedness(self, terms: Any) -> float | None:
        """a in (0, 1] for which T = (1 - a) I + a N with N nonexpansive in the metric; None where none is proven."""
        return None

    def metric(self, terms: Any, z: Array) -> Array:
        """M z for the (semi-)inner product <M z, z> in which T is averaged; the identity unless overridden."""
        return z

    def inconsistency(self, terms: Any, state: Any) -> NoSolution | None:
        """A certificate, in the state, that the problem has no solution; None where there is none."""
        return None

    @property
    def name(self) -> str:
        """Class name."""
        return type(self).__name__

    def refuse(self, missing: Missing) -> NoReturn:
        """Raise what is missing as NotApplicableError."""
        raise missing.error(self.name)


def reciprocal_lipschitz(*operators: Any) -> float:
    """A step in the problem's own units: the least known 1/L, else 1 (every positive step is proven where this is used)."""
    known = [op.constants.lipschitz for op in operators if op.constants.lipschitz not in (None, 0, math.inf)]
    return 1.0 / float(max(known)) if known else 1.0


def notes(*known: Constants | Known) -> tuple[str, ...]:
    """Remarks on estimated numbers, for the Result."""
    found: list[str] = []
    for item in known:
        if isinstance(item, Known):
            if item.estimated:
                found.append(f"a norm is {item.why}")
        else:
            found += [f"{name} is {item.reasons[name]}" for name in item.estimated]
    return tuple(dict.fromkeys(found))
