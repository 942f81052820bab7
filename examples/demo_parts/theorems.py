"""The table of executable theorems."""

from __future__ import annotations

from examples.demo_parts import Part, Tick
from proofs import report


def run(tick: Tick) -> Part:
    """Run the registry of ``proofs``."""
    rows = report.rows()
    tick(1.0)
    good = sum(bool(row["ok"]) for row in rows)
    part = Part("Theorems made executable", f"{good} of {len(rows)} theorems hold, with counterexamples and mutants")
    part.check(good == len(rows), "a theorem failed its checks")
    part.text(
        "Each row runs the public functions of monops: random and extremal instances must respect the bound, an instance with a "
        "hypothesis dropped must break it, and a deliberately wrong bound (a mutant) must be caught."
    )
    headings = [key for key in rows[0] if key not in ("ok", "linked")]
    part.table(
        [key.replace("_", " ") for key in headings],
        [[f"{row[key]:.3g}" if isinstance(row[key], float) else row[key] for key in headings] for row in rows],
    )
    return part
