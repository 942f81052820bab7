"""A theorem as data: statement, claim read from monops, instances, counterexamples, mutants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Ratio = float  # observed / claimed: at most 1 (up to rounding) when the claim holds
Standing = Literal["read", "recalled", "derived"]


@dataclass(frozen=True)
class Counterexample:
    """An instance that drops one hypothesis and keeps the others; its ratio must exceed 1, or the hypothesis is idle.

    ``dropped`` is the hypothesis, word for word as the theorem lists it; ``instance`` says what stands in its place.
    """

    dropped: str
    instance: str
    ratio: Callable[[], Ratio]


@dataclass(frozen=True)
class Mutant:
    """A deliberately wrong claim; on the extremal instance its ratio must exceed 1, or the check has no teeth."""

    description: str
    ratio: Callable[[], Ratio]


@dataclass(frozen=True)
class Theorem:
    """A theorem of the field, executable.

    Parameters
    ----------
    id, title, statement, source : str
        Statement in plain text mathematics.
    standing : "read", "recalled" or "derived"
        Whether the source was read for this entry, is quoted from memory (its numbering may be off), or the statement was
        derived for this project.
    hypotheses : tuple of str
        Each needs a counterexample of its own.
    executes : tuple of str
        The public names of monops that the checks run; the claim is read from them where monops declares one.
    sample : callable
        Random generator -> ratio of one random instance.
    extremal : callable or None
        Ratio on the instance that attains the bound: 1. ``None`` where the statement is no bound.
    counterexamples : tuple of Counterexample
    mutants : tuple of Mutant
    slack : float
        Least ratio that the extremal instance must reach: 1 for a tight bound; less for a valid bound that is not attained,
        whose measured slack is then shown.
    on_operator : callable or None
        (operator, generator) -> ratio on a user's own operator, with the constants that it declares; raises a MonopsError
        that says what is missing.
    note : str
        What a reader should know besides: what is not tight, what the literature says, what is new.
    """

    id: str
    title: str
    statement: str
    source: str
    hypotheses: tuple[str, ...]
    executes: tuple[str, ...]
    sample: Callable[[np.random.Generator], Ratio]
    extremal: Callable[[], Ratio] | None
    counterexamples: tuple[Counterexample, ...]
    mutants: tuple[Mutant, ...]
    standing: Standing = "recalled"
    slack: float = 1.0
    on_operator: Callable[[Any, np.random.Generator], Ratio] | None = None
    note: str = ""
