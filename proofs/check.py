"""Run a theorem: its samples, its extremal instance, what must fail, and what stands behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from monops.errors import DataError, NotApplicableError
from monops.problem import Summand
from proofs.evidence import CERTIFIED, SEMIDEFINITE, SYMBOLIC
from proofs.registry import THEOREMS
from proofs.theorem import Theorem

ROUNDING = 1e-9  # on ratios of observed to claimed
AGREEMENT = 1e-6  # of a semidefinite program with a closed form
PROGRAMS = 3  # parameter points in a quick check

Tick = Callable[[float], None]


@dataclass(frozen=True)
class Row:
    """What a run established of a theorem; ``ok`` when all of it is as it must be, else ``failures`` says what is not."""

    id: str
    title: str
    samples: int
    worst_ratio: float
    attained: float | None
    counterexamples: tuple[int, int]
    mutants: tuple[int, int]
    semidefinite: float | None
    certificates: int
    symbolic: bool | None
    executes: tuple[str, ...]
    seconds: float
    failures: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Nothing failed."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True)
class Verdict:
    """A theorem held against a user's own operator: the worst observed / claimed ratio over the draws."""

    id: str
    statement: str
    worst_ratio: float
    draws: int

    @property
    def holds(self) -> bool:
        """No draw broke the bound."""
        return self.worst_ratio <= 1 + ROUNDING

    def __str__(self) -> str:
        found = "holds" if self.holds else "IS BROKEN: a declared constant or the operator is wrong"
        found = "IS UNDECIDED: the operator returned NaN" if np.isnan(self.worst_ratio) else found
        return f"{self.id} {found} on {self.draws} draws (worst observed/claimed {self.worst_ratio:.6g}): {self.statement}"


def theorem(name: str) -> Theorem:
    """The theorem with this id; KeyError with the ids that exist."""
    for entry in THEOREMS:
        if entry.id == name.upper():
            return entry
    raise KeyError(f"no theorem {name!r}; there are {', '.join(entry.id for entry in THEOREMS)}")


def run(entry: Theorem, samples: int = 40, seed: int = 0, tick: Tick = lambda done: None) -> Row:
    """Everything the entry carries, deterministic in the seed."""
    start = time.perf_counter()
    generator = np.random.default_rng(seed)
    failures, worst = [], -np.inf
    for index in range(samples):
        ratio = float(entry.sample(generator))
        worst = ratio if np.isnan(ratio) else max(worst, ratio)
        tick((index + 1) / (samples + 1))
    if not worst <= 1 + ROUNDING:
        failures.append(f"a sample has ratio {worst:.6g}")
    attained = None if entry.extremal is None else float(entry.extremal())
    if attained is not None and not entry.slack - ROUNDING <= attained <= 1 + ROUNDING:
        failures.append(f"the extremal instance has ratio {attained:.9g}, not in [{entry.slack:g}, 1]")
    broken = [example.ratio() > 1 + ROUNDING for example in entry.counterexamples]
    idle = set(entry.hypotheses) - {example.dropped for example in entry.counterexamples}
    failures += [
        f"holds without {c.dropped!r} ({c.instance})" for c, b in zip(entry.counterexamples, broken, strict=True) if not b
    ]
    failures += [f"vacuity unchecked: no counterexample drops {hypothesis!r}" for hypothesis in sorted(idle)]
    killed = [mutant.ratio() > 1 + ROUNDING for mutant in entry.mutants]
    failures += [f"mutant survives: {m.description}" for m, k in zip(entry.mutants, killed, strict=True) if not k]
    if not entry.hypotheses or not entry.mutants:
        failures.append("needs hypotheses and mutants")
    semidefinite = None
    if entry.id in SEMIDEFINITE:
        semidefinite = max(float(SEMIDEFINITE[entry.id](generator)) for _ in range(PROGRAMS))
        if not semidefinite <= AGREEMENT:
            failures.append(f"the semidefinite program differs by {semidefinite:.2g}")
    symbolic = SYMBOLIC[entry.id]() if entry.id in SYMBOLIC else None
    if symbolic is False:
        failures.append("the symbolic identity fails")
    tick(1.0)
    return Row(
        entry.id,
        entry.title,
        samples,
        worst,
        attained,
        (sum(broken), len(broken)),
        (sum(killed), len(killed)),
        semidefinite,
        CERTIFIED.get(entry.id, 0),
        symbolic,
        entry.executes,
        time.perf_counter() - start,
        tuple(failures),
    )


def rows(samples: int = 40, only: Iterable[str] | None = None, seed: int = 0, tick: Tick = lambda done: None) -> list[Row]:
    """A row for each theorem (or for those named)."""
    chosen = list(THEOREMS) if only is None else [theorem(name) for name in only]
    found = []
    for index, entry in enumerate(chosen):
        found.append(run(entry, samples, seed, lambda done, index=index: tick((index + done) / len(chosen))))  # type: ignore[misc]
    return found


def check(name: str, operator: Any = None, *, samples: int = 40, seed: int = 0) -> Row | Verdict:
    """Run one theorem, on its own instances or on your operator.

    Parameters
    ----------
    name : str
        The id, for example ``"OP-13"``.
    operator : optional
        A monops operator or function; the theorem is then held against it, with the constants that it declares.
    samples, seed : int
        Number of draws, and their seed.

    Raises
    ------
    KeyError
        No such theorem.
    DataError
        ``samples`` below 1, or something that is neither an operator nor a function.
    NotApplicableError
        The theorem is not about a single operator, or the operator lacks a constant that it needs.

    Examples
    --------
    >>> import numpy as np, monops, proofs
    >>> print(proofs.check("OP-13", operator=monops.Affine(np.array([[1.0, -2.0], [2.0, 1.0]]))).holds)
    True
    """
    entry = theorem(name)
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise DataError(f"samples={samples!r} must be an integer >= 1")
    if operator is None:
        return run(entry, samples, seed)
    if entry.on_operator is None:
        able = ", ".join(other.id for other in THEOREMS if other.on_operator is not None)
        raise NotApplicableError(f"{name} cannot be held against a single operator; these can: {able}")
    if not isinstance(operator, Summand):
        raise DataError(
            f"operator must be a monops operator or function, such as Affine(M) or L1Norm(), not {type(operator).__name__}"
        )
    generator = np.random.default_rng(seed)
    try:
        worst = float(np.max([entry.on_operator(operator, generator) for _ in range(samples)]))  # NaN stays NaN
    except ValueError as error:
        raise NotApplicableError(
            f"{name}: points of the shape drawn for {type(operator).__name__} do not fit it ({error}); it needs a fixed "
            "input_shape and no batch rows"
        ) from error
    return Verdict(entry.id, entry.statement, worst, samples)
