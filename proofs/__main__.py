"""``python -m proofs``: run the registry, print the table, write the report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from proofs.check import Row, run
from proofs.html import write
from proofs.registry import THEOREMS
from proofs.report import deepened, print_table, summary
from proofs.theorem import Theorem

EXAMPLES = 40
DEEP_EXAMPLES, DEEP_PROGRAMS = 1000, 25


def arguments(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[Theorem]]:
    """The options, checked, and the chosen theorems."""
    parser = argparse.ArgumentParser(
        prog="proofs",
        description="theorems of monotone operator theory, run on monops; writes OUT/proofs.html",
        epilog="exit status: 0 when every theorem is as it must be, 1 when one is not, 2 for bad input",
    )
    parser.add_argument("--list", action="store_true", help="print the ids and titles, run nothing")
    parser.add_argument("--only", nargs="+", metavar="ID", help="theorems to run, for example OP-13 AL-11")
    parser.add_argument("--examples", type=int, metavar="N", help=f"random instances for each (default {EXAMPLES})")
    parser.add_argument("--seed", type=int, default=0, help="of the random instances (default 0)")
    parser.add_argument(
        "--deep",
        action="store_true",
        help=f"{DEEP_EXAMPLES} random instances (unless --examples is given) and {DEEP_PROGRAMS} further parameter points "
        "of every semidefinite program",
    )
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="FOLDER", help="folder of proofs.html (default out)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")
    options = parser.parse_args(argv)
    known = {theorem.id: theorem for theorem in THEOREMS}
    unknown = [name for name in options.only or () if name.upper() not in known]
    if unknown:
        parser.error(f"no theorem {', '.join(unknown)}; there are {', '.join(known)}")
    if options.examples is None:
        options.examples = DEEP_EXAMPLES if options.deep else EXAMPLES
    if options.examples < 1:
        parser.error(f"--examples is {options.examples}; it must be at least 1")
    if options.seed < 0:
        parser.error(f"--seed is {options.seed}; it must not be negative")
    if not options.list:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out {options.out} cannot be made a folder ({error.strerror}): choose another one")
    if options.json is not None and (options.json.is_dir() or not options.json.absolute().parent.is_dir()):
        parser.error(f"--json {options.json}: a file in a folder that exists is needed")
    chosen = dict.fromkeys(name.upper() for name in options.only or known)
    return options, [known[name] for name in chosen]


def run_all(chosen: Sequence[Theorem], examples: int, seed: int, deep: bool) -> list[Row]:
    """A row for each theorem, behind a progress bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    rows = []
    columns = (TextColumn("{task.description:<60}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=len(chosen))
        for entry in chosen:
            progress.update(task, description=f"{entry.id} {entry.title}"[:60])
            row = run(entry, examples, seed)
            rows.append(deepened(row, DEEP_PROGRAMS, seed) if deep else row)
            progress.advance(task)
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 1 with a sentence when a theorem is not as it must be."""
    options, chosen = arguments(argv)
    if options.list:
        for entry in chosen:
            print(f"{entry.id}  {entry.title}")
        return 0
    begin = time.perf_counter()
    try:
        rows = run_all(chosen, options.examples, options.seed, options.deep)
        print_table(rows)
    except ImportError as missing:
        print(f"the table needs {missing.name}: pip install 'monops[proofs]', or use ./run proofs", file=sys.stderr)
        return 2
    if options.json is not None:
        options.json.write_text(json.dumps([row.as_dict() for row in rows], indent=1), encoding="utf-8")
    path = write(options.out, rows, seed=options.seed, deep=options.deep)
    print(f"{summary(rows)}; {time.perf_counter() - begin:.0f} s")
    print(f"report: {path.resolve()}")
    failed = [row.id for row in rows if not row.ok]
    if failed:
        print(f"not as it must be: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
