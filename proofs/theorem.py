"""A theorem as data: statement, claim read from monops, instances, counterexamples, mutants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Ratio = float  # observed / claimed: at most 1 (up to rounding) when the claim holds


@dataclass(frozen=True)
class Counterexample:
    """An instance with one hypothesis dropped; its ratio must exceed 1, or the hypothesis was not needed (or not tested)."""

    dropped: str
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
    hypotheses : tuple of str
    executes : tuple of str
        The public names of monops that the checks run; no claim is written a second time here.
    sample : callable
        Random generator -> ratio of one random instance.
    extremal : callable or None
        Ratio on the instance that attains the bound: 1. ``None`` where the statement is no bound.
    counterexamples : tuple of Counterexample
    mutants : tuple of Mutant
    symbolic : callable or None
        Returns True when an identity that proves the statement for all parameters has been checked by computer algebra.
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
    symbolic: Callable[[], bool] | None = None
