"""``python -m proofs``: run the registry and print the table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.progress import Progress

from proofs.check import rows
from proofs.registry import THEOREMS
from proofs.report import print_table


def main() -> int:
    """Exit 1 with a sentence when a theorem is not as it must be."""
    parser = argparse.ArgumentParser(prog="proofs", description="theorems of the field, run on monops")
    parser.add_argument("--only", nargs="+", metavar="ID", choices=[theorem.id for theorem in THEOREMS], help="theorems to run")
    parser.add_argument("--examples", type=int, default=40, metavar="N", help="random instances for each (default 40)")
    parser.add_argument("--seed", type=int, default=0, help="of the random instances (default 0)")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    if options.examples < 1:
        parser.error("--examples must be at least 1")
    with Progress(transient=True) as progress:
        task = progress.add_task("checking", total=1.0)
        table = rows(options.examples, options.only, options.seed, lambda done: progress.update(task, completed=done))
    print_table(table)
    if options.json is not None:
        options.json.write_text(json.dumps([row.as_dict() for row in table], indent=1))
    failed = [row.id for row in table if not row.ok]
    if failed:
        print(f"not as it must be: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
