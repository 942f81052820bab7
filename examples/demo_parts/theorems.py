"""The table of executable theorems."""

from __future__ import annotations

from examples.demo_parts import Part, Tick
from proofs.check import rows
from proofs.report import HEADINGS, cells


def run(tick: Tick) -> Part:
    """Run the registry of ``proofs``."""
    found = rows(samples=10)
    tick(1.0)
    good = sum(row.ok for row in found)
    part = Part("Theorems made executable", f"{good} of {len(found)} theorems hold, with counterexamples and mutants")
    part.check(good == len(found), "a theorem failed its checks")
    part.text(
        "Each row runs the public functions of monops: random and extremal instances must respect the bound, an instance with a "
        "hypothesis dropped must break it, and a deliberately wrong bound (a mutant) must be caught."
    )
    part.table(HEADINGS, [cells(row) for row in found])
    return part
