"""The status of every theorem as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from proofs.check import Row

HEADINGS = (
    "id",
    "title",
    "worst ratio",
    "attained",
    "counterexamples",
    "mutants",
    "SDP",
    "certificates",
    "symbolic",
    "seconds",
    "ok",
)


def cells(row: Row) -> tuple[str, ...]:
    """The entries of a row as text, in the order of HEADINGS."""
    return (
        row.id,
        row.title,
        f"{row.worst_ratio:.4g}",
        "-" if row.attained is None else f"{row.attained:.9g}",
        "{}/{}".format(*row.counterexamples),
        "{}/{}".format(*row.mutants),
        "-" if row.semidefinite is None else f"{row.semidefinite:.0e}",
        str(row.certificates or "-"),
        {None: "-", True: "proved", False: "FAILED"}[row.symbolic],
        f"{row.seconds:.2g}",
        "yes" if row.ok else "NO",
    )


def print_table(rows: Sequence[Row]) -> None:
    """The status of every theorem, on the terminal, and below it what is not as it must be."""
    from rich.console import Console
    from rich.table import Table

    view = Table(
        title="theorems made executable", caption="worst ratio: observed / claimed over the samples; must not exceed 1"
    )
    for name in HEADINGS:
        view.add_column(name)
    for row in rows:
        view.add_row(*cells(row), style=None if row.ok else "red")
    console = Console()
    Console(width=max(console.width, 160)).print(view)
    for row in rows:
        for failure in row.failures:
            print(f"{row.id}: {failure}")
