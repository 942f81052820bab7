"""``python -m proofs``: run the registry and print the table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.progress import Progress

from proofs import report
from proofs.registry import THEOREMS


def main() -> int:
    """Exit 1 with a sentence when a theorem is not as it must be."""
    parser = argparse.ArgumentParser(prog="proofs", description="theorems of the field, run on monops")
    parser.add_argument("--only", nargs="+", metavar="ID", choices=[theorem.id for theorem in THEOREMS], help="theorems to run")
    parser.add_argument("--samples", type=int, default=40, help="random instances for each (default 40)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    if options.samples < 1:
        parser.error("--samples must be at least 1")
    with Progress(transient=True) as progress:
        task = progress.add_task("checking", total=1.0)
        table = report.rows(options.samples, options.only, lambda done: progress.update(task, completed=done))
    report.print_table(table)
    if options.json is not None:
        options.json.write_text(json.dumps(table, indent=1))
    failed = [row["id"] for row in table if not row["ok"]]
    if failed:
        print(f"not as it must be: {', '.join(failed)}: a bound is broken, a counterexample holds, or a mutant survives")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
