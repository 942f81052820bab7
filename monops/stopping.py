"""Stopping rules, which combine with & and |.

A rule is a *goal* (met: the row has converged) or a *limit* (met: the row ends without having converged). ``a | b`` ends when
either is met, ``a & b`` when both are; the row has converged if a goal among the met ones is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays
from monops.errors import DataError
from monops.result import Check, host_rows

__all__ = [
    "ChangeBelow",
    "DistanceBelow",
    "GapBelow",
    "IterationLimit",
    "RelativeGapBelow",
    "RelativeResidualBelow",
    "RelativeToPointBelow",
    "ResidualBelow",
    "Rule",
    "TimeLimit",
]

GO_ON, ENDED, GOAL = 0, 1, 2
Verdict = np.ndarray[Any, Any]


class Rule(ABC):
    """When a row of a solve ends: ``verdict`` gives GO_ON, ENDED or GOAL for each row."""

    @abstractmethod
    def verdict(self, check: Check) -> Verdict:
        """One of GO_ON, ENDED, GOAL for each row."""

    @property
    def tolerance(self) -> float | None:
        """The residual that the rule asks for, where it does; iterative proxes are run to a tenth of it."""
        return None

    @property
    def needs_values(self) -> bool:
        """Whether the rule asks for objective or gap (rows of a batch are then kept together)."""
        return False

    def __and__(self, other: Rule) -> Rule:
        return Both(self, _rule(other))

    def __or__(self, other: Rule) -> Rule:
        return Either(self, _rule(other))


def _rule(other: object) -> Rule:
    if not isinstance(other, Rule):
        raise DataError(f"a stopping rule combines with another rule, such as ResidualBelow(1e-6), not with {other!r}")
    return other


@final
@dataclass(frozen=True)
class Both(Rule):
    """Ends when both rules are met."""

    first: Rule
    second: Rule

    def verdict(self, check: Check) -> Verdict:
        a, b = self.first.verdict(check), self.second.verdict(check)
        return np.where((a == GO_ON) | (b == GO_ON), GO_ON, np.maximum(a, b))

    @property
    def tolerance(self) -> float | None:
        return _least(self.first.tolerance, self.second.tolerance)

    @property
    def needs_values(self) -> bool:
        return self.first.needs_values or self.second.needs_values

    def __str__(self) -> str:
        return f"({self.first} & {self.second})"


@final
@dataclass(frozen=True)
class Either(Rule):
    """Ends when one of the rules is met."""

    first: Rule
    second: Rule

    def verdict(self, check: Check) -> Verdict:
        return np.maximum(self.first.verdict(check), self.second.verdict(check))

    @property
    def tolerance(self) -> float | None:
        return _least(self.first.tolerance, self.second.tolerance)

    @property
    def needs_values(self) -> bool:
        return self.first.needs_values or self.second.needs_values

    def __str__(self) -> str:
        return f"({self.first} | {self.second})"


def _least(a: float | None, b: float | None) -> float | None:
    known = [value for value in (a, b) if value is not None]
    return min(known) if known else None


@dataclass(frozen=True)
class _Threshold(Rule):
    tol: float

    def __post_init__(self) -> None:
        if not (isinstance(self.tol, (int, float)) and 0 <= self.tol < float("inf")):
            raise DataError(f"{type(self).__name__}: tol={self.tol!r} must be a finite number >= 0")

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.tol:g})"


@final
@dataclass(frozen=True)
class ResidualBelow(_Threshold):
    """Goal: residual <= tol. The rule of ``solve(tol=...)``."""

    def verdict(self, check: Check) -> Verdict:
        return np.where(np.asarray(check.residual) <= self.tol, GOAL, GO_ON)

    @property
    def tolerance(self) -> float | None:
        return self.tol


@final
@dataclass(frozen=True)
class RelativeResidualBelow(_Threshold):
    """Goal: residual <= tol times the residual of the first check."""

    def verdict(self, check: Check) -> Verdict:
        return np.where(np.asarray(check.residual) <= self.tol * np.asarray(check.first_residual), GOAL, GO_ON)


@final
@dataclass(frozen=True)
class RelativeToPointBelow(_Threshold):
    """Goal: residual <= tol times |x|, in each row: of fixed points z = f(z), |z - f(z)| <= tol |z|."""

    def verdict(self, check: Check) -> Verdict:
        size = np.asarray(host_rows(arrays.norm(check.x, np.ndim(check.residual))))
        return np.where(np.asarray(check.residual) <= self.tol * size, GOAL, GO_ON)


@final
@dataclass(frozen=True)
class GapBelow(_Threshold):
    """Goal: duality gap <= tol, so that the objective is within tol of its minimum. For sums of functions."""

    @property
    def needs_values(self) -> bool:
        return True

    def verdict(self, check: Check) -> Verdict:
        return np.where(np.asarray(_gap(self, check)) <= self.tol, GOAL, GO_ON)


@final
@dataclass(frozen=True)
class RelativeGapBelow(_Threshold):
    """Goal: duality gap <= tol max(1, |objective|)."""

    @property
    def needs_values(self) -> bool:
        return True

    def verdict(self, check: Check) -> Verdict:
        gap = np.asarray(_gap(self, check))
        return np.where(gap <= self.tol * np.maximum(1.0, np.abs(check.values.objective)), GOAL, GO_ON)


def _gap(rule: Rule, check: Check) -> Any:
    if check.values.gap is None:
        raise DataError(
            f"{rule} needs the duality gap, which is not known for this problem: a term is no function, or a conjugate has no "
            "closed form; use ResidualBelow"
        )
    return check.values.gap


@final
@dataclass(frozen=True)
class DistanceBelow(_Threshold):
    """Goal: the certified bound of |x - x*| is <= tol. For problems with a known mu > 0."""

    def verdict(self, check: Check) -> Verdict:
        if check.error_bound is None:
            raise DataError(
                f"{self} needs a certified bound of |x - x*|, and the problem is not known to be strongly monotone "
                "(see explain(problem)); use ResidualBelow"
            )
        return np.where(np.asarray(check.error_bound) <= self.tol, GOAL, GO_ON)


@final
@dataclass(frozen=True)
class ChangeBelow(_Threshold):
    """Limit: x moved by at most tol between two checks. No goal: small steps prove nothing about the answer."""

    def verdict(self, check: Check) -> Verdict:
        return np.where(np.asarray(check.change) <= self.tol, ENDED, GO_ON)


@final
@dataclass(frozen=True)
class IterationLimit(Rule):
    """Limit: so many iterations."""

    iterations: int

    def verdict(self, check: Check) -> Verdict:
        met = check.iteration >= self.iterations
        return np.where(np.full(np.shape(check.residual), met), ENDED, GO_ON)

    def __str__(self) -> str:
        return f"IterationLimit({self.iterations})"


@final
@dataclass(frozen=True)
class TimeLimit(Rule):
    """Limit: so many seconds, seen at the checks."""

    seconds: float

    def verdict(self, check: Check) -> Verdict:
        met = check.seconds >= self.seconds
        return np.where(np.full(np.shape(check.residual), met), ENDED, GO_ON)

    def __str__(self) -> str:
        return f"TimeLimit({self.seconds:g})"
