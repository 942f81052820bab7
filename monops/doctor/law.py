"""A law: an inequality left <= right in code, the points on which it is tried, and the search for a violation.

The two sides are Python expressions. They are evaluated here and printed in the counterexample, so that what a person pastes
into an interpreter is what was checked.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.doctor import tools
from monops.doctor.report import Check, Counterexample
from monops.doctor.shrink import simpler
from monops.errors import CapabilityError

TOOLS: dict[str, Any] = {
    name: getattr(tools, name)
    for name in ("inner", "isfinite", "norm", "on_numpy", "row", "shape_of", "single", "stack", "unlike")
}
Trial = Mapping[str, Any]  # points and settings by name
ATTEMPTS = 300  # evaluations spent on making one counterexample simpler


class Skip(NamedTuple):
    """A law that an object does not claim, or that cannot be tried on it."""

    name: str
    theorem: str
    reason: str


class Raised(NamedTuple):
    """Laws that could not be written down, because the object raised where points were made from it."""

    name: str
    theorem: str
    reason: str


def guarded(laws: Iterator[Law | Skip | Raised], name: str) -> Iterator[Law | Skip | Raised]:
    """The same laws; what the object raises in between becomes a finding."""
    try:
        yield from laws
    except CapabilityError as error:
        yield Skip(f"points for the {name}", "", str(error))
    except Exception as error:
        yield Raised(f"points for the {name}", "contract: finite points are taken", f"{type(error).__name__}: {error}")


class Outcome(NamedTuple):
    """Both sides at one trial, and by how much the left exceeds the right, relative to the scale."""

    left: float
    right: float
    excess: float


@dataclass(frozen=True)
class Law:
    """left <= right + tolerance * scale for every trial.

    Parameters
    ----------
    name, theorem : str
    left, right, scale : str
        Expressions in ``item``, the names of the trial, of ``constants`` and of ``let``, and the tools of this package.
    let : tuple of str
        Assignments that come first.
    given : str
        Condition under which the law says something at a trial, evaluated after ``let``.
    trials : iterable of mappings
    tolerance : float
    constants : mapping
        Claimed numbers, printed in the counterexample and left alone when it is made simpler.
    claim : bool
        Whether a violation shows a declared constant to be false (Report.require then raises ConstantError).
    """

    name: str
    theorem: str
    left: str
    trials: Iterable[Trial]
    right: str = "0.0"
    scale: str = "1.0"
    let: tuple[str, ...] = ()
    given: str = "True"
    tolerance: float = 0.0
    constants: Mapping[str, float] = field(default_factory=dict)
    claim: bool = False


@functools.cache
def _compiled(let: tuple[str, ...], given: str, left: str, right: str, scale: str) -> tuple[Any, Any]:
    """Code of the assignments, and of both sides with their scale."""
    setup = compile("\n".join(let), "<law>", "exec")
    return setup, compile(f"(float({left}), float({right}), float({scale})) if ({given}) else None", "<law>", "eval")


def evaluate(law: Law, item: Any, trial: Trial) -> Outcome | None:
    """Both sides at one trial, on copies of its points; None where the law says nothing there."""
    setup, sides = _compiled(law.let, law.given, law.left, law.right, law.scale)
    names = {**TOOLS, "item": item, **law.constants, **{name: _copy(value) for name, value in trial.items()}}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(setup, names)
        found = eval(sides, names)
    if found is None:
        return None
    left, right, scale = found
    if left <= right:
        return Outcome(left, right, min(0.0, (left - right) / scale) if 0 < scale < math.inf else 0.0)
    excess = (left - right) / scale if scale > 0 else math.inf
    return Outcome(left, right, math.inf if excess != excess else excess)


def _copy(value: Any) -> Any:
    return value * 1.0 if arrays.is_array(value) or isinstance(value, arrays.Blocks) else value


def examine(law: Law | Skip | Raised, item: Any, subject: str) -> Check:
    """The verdict on one law: its worst trial, and a counterexample, made simpler, where it is violated."""
    if isinstance(law, Skip):
        return Check(law.name, "skipped", theorem=law.theorem, reason=law.reason)
    if isinstance(law, Raised):
        return Check(law.name, "failed", theorem=law.theorem, reason=law.reason)
    worst, tried = -math.inf, 0
    try:
        for trial in law.trials:
            try:
                outcome = evaluate(law, item, trial)
            except CapabilityError as error:
                return Check(law.name, "skipped", theorem=law.theorem, reason=str(error))
            except Exception as error:  # whatever an object under examination raises is a finding
                found = _counterexample(law, trial, subject, None, f"{type(error).__name__}: {error}")
                return Check(law.name, "failed", math.inf, law.tolerance, law.theorem, "it raises", found, law.claim)
            if outcome is None:
                continue
            tried += 1
            worst = max(worst, outcome.excess)
            if outcome.excess > law.tolerance:
                return _failed(law, item, subject, trial, outcome)
    except CapabilityError as error:
        return Check(law.name, "skipped", theorem=law.theorem, reason=str(error))
    except Exception as error:  # the points themselves come from the object: from its prox, say
        reason = f"no points to try it on: {type(error).__name__}: {error}"
        return Check(law.name, "failed", math.inf, law.tolerance, law.theorem, reason, None, law.claim)
    if not tried:
        return Check(law.name, "skipped", theorem=law.theorem, reason="it says nothing at any of the points tried")
    return Check(law.name, "passed", worst, law.tolerance, law.theorem)


def _failed(law: Law, item: Any, subject: str, trial: Trial, outcome: Outcome) -> Check:
    least = min(outcome.excess, 2.0 * law.tolerance)  # a simpler trial must not hide in the rounding
    attempts = 0
    best: tuple[Trial, Outcome] = (trial, outcome)
    candidates = simpler(trial)
    candidate = next(candidates, None)
    while candidate is not None and attempts < ATTEMPTS:
        attempts += 1
        try:
            found = evaluate(law, item, candidate)
        except Exception:  # a simpler point may lie outside what the object takes
            found = None
        accepted = found is not None and found.excess >= least and found.excess > law.tolerance
        if accepted and found is not None:
            best = (candidate, found)
        try:
            candidate = candidates.send(accepted)
        except StopIteration:
            candidate = None
    counterexample = _counterexample(law, best[0], subject, best[1], "")
    return Check(law.name, "failed", outcome.excess, law.tolerance, law.theorem, "", counterexample, law.claim)


def _counterexample(law: Law, trial: Trial, subject: str, outcome: Outcome | None, error: str) -> Counterexample:
    printed = compile("\n".join((*law.let, f"{law.left}, {law.right}")), "<law>", "exec")
    used = set(printed.co_names)
    return Counterexample(
        points=dict(trial),
        constants={name: value for name, value in law.constants.items() if name in used},
        let=law.let,
        left_code=law.left,
        right_code=law.right,
        left=math.nan if outcome is None else outcome.left,
        right=math.nan if outcome is None else outcome.right,
        imports=tuple(sorted(used & set(TOOLS))),
        subject=subject,
        error=error,
    )
