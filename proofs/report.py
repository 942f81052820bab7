"""Run theorems and tabulate what each run establishes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from proofs.registry import THEOREMS
from proofs.theorem import Theorem

ROUNDING = 1e-9  # on ratios of observed to claimed


def check(theorem: Theorem, samples: int = 40, tick: Callable[[float], None] = lambda done: None) -> dict[str, Any]:
    """One row: samples, extremal instance, counterexamples, mutants, symbolic identity; ``ok`` if all are as they must be."""
    start = time.perf_counter()
    generator = np.random.default_rng(0)
    ratios = []
    for index in range(samples):
        ratios.append(float(theorem.sample(generator)))
        tick((index + 1) / (samples + 1))
    worst = max(ratios)
    attained = None if theorem.extremal is None else float(theorem.extremal())
    broken = sum(example.ratio() > 1 + ROUNDING for example in theorem.counterexamples)
    killed = sum(mutant.ratio() > 1 + ROUNDING for mutant in theorem.mutants)
    proved = None if theorem.symbolic is None else theorem.symbolic()
    tick(1.0)
    vacuous = not theorem.counterexamples
    ok = (
        worst <= 1 + ROUNDING
        and (attained is None or abs(attained - 1) <= ROUNDING)
        and broken == len(theorem.counterexamples)
        and killed == len(theorem.mutants) > 0
        and proved in (None, True)
        and not vacuous
    )
    return {
        "id": theorem.id,
        "title": theorem.title,
        "samples": samples,
        "worst_ratio": worst,
        "tight_to": "not a bound" if attained is None else f"{abs(attained - 1):.0e}",
        "counterexamples": "vacuity unchecked" if vacuous else f"{broken}/{len(theorem.counterexamples)}",
        "mutants": f"{killed}/{len(theorem.mutants)}",
        "symbolic": "-" if proved is None else "proved" if proved else "FAILED",
        "linked": ", ".join(theorem.executes),
        "seconds": time.perf_counter() - start,
        "ok": ok,
    }


def rows(
    samples: int = 40, only: Iterable[str] | None = None, tick: Callable[[float], None] = lambda done: None
) -> list[dict[str, Any]]:
    """A row for each theorem (or for those named)."""
    chosen = [theorem for theorem in THEOREMS if only is None or theorem.id in set(only)]
    found = []
    for index, theorem in enumerate(chosen):
        found.append(check(theorem, samples, lambda done, index=index: tick((index + done) / len(chosen))))  # type: ignore[misc]
    return found


def print_table(table: list[dict[str, Any]]) -> None:
    """The status of every theorem, on the terminal."""
    from rich.console import Console
    from rich.table import Table

    view = Table(
        title="theorems made executable", caption="worst ratio: observed / claimed over the samples; must not exceed 1"
    )
    names = ["id", "title", "samples", "worst_ratio", "tight_to", "counterexamples", "mutants", "symbolic", "seconds", "ok"]
    for name in names:
        view.add_column(name.replace("_", " "))
    for row in table:
        cells = [f"{row[name]:.4g}" if isinstance(row[name], float) else str(row[name]) for name in names[:-1]]
        view.add_row(*cells, "yes" if row["ok"] else "[red]NO[/red]")
    console = Console()
    Console(width=max(console.width, 140)).print(view)
