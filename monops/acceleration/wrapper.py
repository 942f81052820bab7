"""What the accelerations share: a method whose step is an averaged map T, and inner products in the metric of T."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from monops import arrays
from monops.algorithms import Algorithm, Solution, assess
from monops.arrays import Array
from monops.constants import Constants
from monops.errors import DataError
from monops.problem import Inclusion
from monops.theory import Guarantee, Missing


class Terms(NamedTuple):
    """The wrapped method with its own terms, how averaged its map is, and what every method's terms have."""

    method: Algorithm
    inner: Any
    averagedness: float
    batch_ndim: int
    step_size: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Acceleration(Algorithm):
    """An acceleration of a method whose step is an averaged map T.

    Parameters
    ----------
    method : Algorithm, optional
        Default: of the methods that apply and are averaged maps, the one with the least predicted effort.
    """

    method: Algorithm | None = None
    takes_any_map: ClassVar[bool] = False

    @property
    @abstractmethod
    def rate(self) -> tuple[str, str]:
        """The rate in words, and its source."""

    def match(self, problem: Inclusion) -> Terms:
        if self.method is not None and not isinstance(self.method, Algorithm):
            raise DataError(f"{type(self).__name__} wraps a method such as DouglasRachford(), got {self.method!r}")
        if self.method is None:
            method, inner = self._choose(problem)
        else:
            method, inner = self.method, self.method.match(problem)
        a = method.averagedness(inner) if method.is_map else None
        if a is None and self.takes_any_map and method.takes_any_map and method.is_map:
            return self._unproven(method, inner, problem.batch_ndim)
        if a is None:
            self.refuse(
                Missing(
                    f"the step of {method.name} is not known to be an averaged map",
                    "wrap ForwardBackward, DouglasRachford, DavisYin or ChambollePock with a step inside its interval",
                )
            )
        rate, source = self.rate
        guarantee = Guarantee(
            interval=inner.guarantee.interval,
            best_step=inner.guarantee.best_step,
            formula=inner.guarantee.formula,
            rate=rate,
            source=f"{source}; step: {inner.guarantee.source}",
            upper_included=inner.guarantee.upper_included,
        )
        return Terms(method, inner, a, problem.batch_ndim, inner.step_size, guarantee, inner.constants, inner.notes)

    def _unproven(self, method: Algorithm, inner: Any, batch_ndim: int) -> Terms:
        """Terms for a map of which nothing is proven, so that nothing is for the acceleration."""
        proven = replace(inner.guarantee, source=f"{self.rate[1]}; {inner.guarantee.source}")
        return Terms(method, inner, math.nan, batch_ndim, inner.step_size, proven, inner.constants, inner.notes)

    def _choose(self, problem: Inclusion) -> tuple[Algorithm, Any]:
        refusals, unproven = [], None
        for entry in assess(problem):
            if entry.terms is None:
                refusals.append(entry.refusal)
            elif entry.algorithm.is_map and entry.algorithm.averagedness(entry.terms) is not None:
                return entry.algorithm, entry.terms
            elif self.takes_any_map and entry.algorithm.takes_any_map and entry.algorithm.is_map:
                unproven = entry.algorithm, entry.terms
        if unproven is not None:
            return unproven
        self.refuse(
            Missing("no method that applies is an averaged map", f"look at explain(problem); {'; '.join(refusals[:3])}")
        )

    @property
    def name(self) -> str:
        inside = "" if self.method is None else self.method.name
        return f"{type(self).__name__}({inside})"

    def governing(self, terms: Terms, state: Any) -> Array:
        return state.z

    def solution(self, terms: Terms, state: Any) -> Solution:
        return terms.method.solution(terms.inner, state.inner)

    def certificate(self, terms: Terms, state: Any) -> Array:
        return terms.method.certificate(terms.inner, state.inner)

    def probe(self, terms: Terms, state: Any) -> Any:
        return image(terms, state.z)  # a small least-squares problem magnifies rounding

    def rebase(self, terms: Terms, state: Any) -> Any:
        return self.begin(terms, state.z, terms.method.at(terms.inner, state.z))

    def init(self, terms: Terms, x0: Array) -> Any:
        inner = terms.method.init(terms.inner, x0)
        return self.begin(terms, terms.method.governing(terms.inner, inner), inner)

    @abstractmethod
    def begin(self, terms: Terms, z: Array, inner: Any) -> Any:
        """The first state, at a governing point, with a state of the wrapped method there."""


def image(terms: Terms, z: Array) -> tuple[Any, Array]:
    """A state of the wrapped method with an answer for z, and Tz."""
    return terms.method.image(terms.inner, z)


def product(terms: Terms, u: Array, v: Array) -> Array:
    """<Mu, v> of each row, in the metric of the map."""
    if type(terms.method).metric is Algorithm.metric:
        return arrays.inner(u, v, terms.batch_ndim)
    return arrays.inner(terms.method.metric(terms.inner, u), v, terms.batch_ndim)


def size(terms: Terms, u: Array) -> Array:
    """Norm of each row in the metric of the map."""
    square = product(terms, u, u)
    xp = arrays.namespace(square)
    return xp.sqrt(xp.where(square > 0, square, xp.zeros_like(square)))
