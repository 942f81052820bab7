"""What a run established of each theorem, as cells of a table: on the terminal, and for the pages."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proofs.check import AGREEMENT, Row, theorem
from proofs.evidence import SEMIDEFINITE, SYMBOLIC
from proofs.symbolic import PROOFS
from proofs.symbolic.proof import Proof

HEADINGS = (
    "id",
    "title",
    "sampled: worst ratio",
    "tight",
    "counterexamples",
    "mutants",
    "SDP agrees to",
    "certificates",
    "symbolic",
    "seconds",
    "ok",
)
WORDS = {
    "strongly_monotone": "(strong) monotonicity",
    "cocoercive": "cocoercivity",
    "lipschitz": "the Lipschitz constant",
    "gradient": "interpolation",
}
EXACT = 1e-15  # a deviation from 1 below this is no deviation in floating point


def cells(row: Row) -> tuple[str, ...]:
    """The entries of a row as text, in the order of HEADINGS."""
    return (
        row.id,
        row.title,
        f"{row.samples}: {row.worst_ratio:.4g}",
        tightness(row),
        ratio_of(row.counterexamples) if row.counterexamples[1] else "vacuity unchecked",
        ratio_of(row.mutants),
        agreement(row.semidefinite),
        str(row.certificates or "-"),
        {None: "-", True: "all parameters", False: "FAILED"}[row.symbolic],
        f"{row.seconds:.2g}",
        "yes" if row.ok else "NO",
    )


def ratio_of(counted: tuple[int, int]) -> str:
    """Those that behaved as they must, of all."""
    return "{}/{}".format(*counted)


def agreement(difference: float | None) -> str:
    """Largest relative difference of the semidefinite program and the claim."""
    return "-" if difference is None else f"{max(difference, EXACT):.0e}"


def tightness(row: Row) -> str:
    """How closely the extremal instance attains the bound; the measured slack where the bound is valid but not attained."""
    if row.attained is None:
        return "no bound"
    deviation = abs(1 - row.attained)
    if theorem_slack(row) < 1 - 1e-6:
        return f"reaches {row.attained:.7g}"
    return "exact" if deviation <= EXACT else f"to {deviation:.0e}"


def theorem_slack(row: Row) -> float:
    """The ratio that the extremal instance of the theorem must reach; 1 where the row belongs to no registered theorem."""
    try:
        return theorem(row.id).slack
    except KeyError:
        return 1.0


def deepened(row: Row, points: int, seed: int) -> Row:
    """The row with the semidefinite program of its theorem solved at this many further parameter points."""
    if row.id not in SEMIDEFINITE:
        return row
    generator = np.random.default_rng(seed + 1)
    differences = [float(SEMIDEFINITE[row.id](generator)) for _ in range(points)]
    worst = max([*differences, row.semidefinite or 0.0])
    failures = row.failures
    if not worst <= AGREEMENT and not (row.semidefinite or 0.0) > AGREEMENT:
        failures = (*failures, f"the semidefinite program differs by {worst:.2g} at one of {points} further points")
    return dataclasses.replace(row, semidefinite=worst, failures=failures)


def summary(rows: Sequence[Row]) -> str:
    """One sentence on all rows."""
    good = sum(row.ok for row in rows)
    broken, instances = sum(row.counterexamples[0] for row in rows), sum(row.counterexamples[1] for row in rows)
    killed, mutants = sum(row.mutants[0] for row in rows), sum(row.mutants[1] for row in rows)
    evidence = (
        (sum(row.symbolic is True for row in rows), "proofs for all parameters"),
        (sum(row.semidefinite is not None for row in rows), "worst-case programs"),
        (sum(row.certificates for row in rows), "exact certificates"),
    )
    return (
        f"{good} of {len(rows)} theorems are as they must be: {sum(row.samples for row in rows)} random instances, "
        f"{broken} of {instances} counterexamples break the claim, {killed} of {mutants} mutants are caught"
        + "".join(f", {count} {what}" for count, what in evidence if count)
    )


def print_table(rows: Sequence[Row]) -> None:
    """The status of every theorem, on the terminal, and below it what is not as it must be."""
    from rich.console import Console
    from rich.table import Table

    view = Table(title="theorems made executable", caption="ratio: observed / claimed; over the samples it must not exceed 1")
    for name in HEADINGS:
        view.add_column(name)
    for row in rows:
        view.add_row(*cells(row), style=None if row.ok else "red")
    console = Console()
    Console(width=max(console.width, 180)).print(view)
    for row in rows:
        for failure in row.failures:
            print(f"{row.id}: {failure}")


def proof_cases(name: str) -> tuple[str, ...]:
    """What the symbolic proof of a theorem says, case by case: the multipliers, or the statement of the check in words."""
    if name not in PROOFS:
        return (" ".join((inspect.getdoc(SYMBOLIC[name]) or "").split()).rstrip("."),)
    return tuple(case_text(proof) for proof in PROOFS[name])


def case_text(proof: Proof) -> str:
    """One case of a proof with symbolic multipliers."""
    multipliers = ", ".join(f"{plain(value)} for {in_words(key)}" for key, value in proof.multipliers.items())
    relations = f" where {listed(proof.relations)}" if proof.relations else ""
    ranges = f", on the range {listed(proof.domain)} with positive letters" if proof.domain else ""
    return (
        f"{proof.iteration.replace('_', ' ')}: tau |start|^2 - |end|^2 with tau = {plain(proof.tau)}{relations}, minus the "
        f"inequalities of the classes times the multipliers {multipliers}, is positive semidefinite{ranges}"
    )


def in_words(inequality: str) -> str:
    """An inequality such as ``A.lipschitz(p)`` in words."""
    operator, _, rest = inequality.partition(".")
    kind, _, points = rest.partition("(")
    return f"{WORDS.get(kind, kind)} of {operator} at {points.rstrip(')').replace(',', ' and ')}"


def listed(values: Mapping[Any, Any]) -> str:
    """Symbol = expression, one after the other."""
    return ", ".join(f"{key} = {plain(value)}" for key, value in values.items())


def plain(expression: Any) -> str:
    """A formula of the computer algebra system as plain text."""
    return str(expression).replace("**", "^").replace("*", " ")
