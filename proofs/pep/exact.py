"""From a numerical dual solution to multipliers in fractions: a proof that needs no solver.

1. Facial reduction: with S = tau P0 - P1 - sum of lambda_i M_i and V spanning the range of the Gram matrix, S V = 0. V, in
   echelon form, is rounded to fractions, and the linear system for lambda is solved exactly; multipliers that it leaves free
   are rounded.
2. Else Newton's method in 60 digits, and fractions of denominators up to 1e15.
3. Where tau is irrational: tau + epsilon, with multipliers for which the least eigenvalue is as large as possible, rounded.

Whatever is found is tested exactly: multipliers >= 0, S >= 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np

from proofs.pep.dual import Dual, deepest, worst_case
from proofs.pep.gram import Program
from proofs.pep.newton import independent_rows, nearest, newton
from proofs.verify import semidefinite

ACTIVE = (1e-6, 1e-4, 1e-2)  # multipliers above it count as positive
DENOMINATORS = (20, 100, 1000, 10**4, 10**5)
FINE = (10**6, 10**9, 10**15)
FREE = 10**4  # denominator of multipliers that the linear system leaves free
NULL = 1e-6  # eigenvalues of the Gram matrix below it, relative to the largest, are 0
SMALL = 4  # Newton's method in many digits up to this size
Multipliers = dict[str, Fraction]


def proves(problem: Program, tau: Fraction, multipliers: Mapping[str, Fraction]) -> bool:
    """Whether the multipliers are >= 0 and the slack is positive semidefinite, exactly; the program is in fractions."""
    if any(value < 0 for value in multipliers.values()):
        return False
    slack = tau * problem.start - problem.end
    for name, value in multipliers.items():
        slack = slack - value * problem.inequalities[name]
    size = len(slack)
    return semidefinite({(i, j): slack[i, j] * (1 if i == j else 2) for i in range(size) for j in range(i, size)})


def certify(problem: Program, tau: Fraction) -> Multipliers | None:
    """Multipliers in fractions that prove the squared factor tau, or None."""
    dual = worst_case(problem)
    for candidate in candidates(problem, tau, dual):
        if proves(problem, tau, candidate):
            return {name: value for name, value in candidate.items() if value != 0}
    return None


def certify_above(problem: Program, tau: Fraction) -> Multipliers | None:
    """The same for a squared factor strictly above the least possible one, where rounding has room."""
    values = deepest(problem, float(tau))
    for denominator in (*DENOMINATORS, *FINE):
        fractions = {name: Fraction(max(value, 0.0)).limit_denominator(denominator) for name, value in values.items()}
        if proves(problem, tau, fractions):
            return {name: value for name, value in fractions.items() if value != 0}
    return None


def candidates(problem: Program, tau: Fraction, dual: Dual) -> Iterator[Multipliers]:
    """Multipliers to be tested, the simplest first."""
    yield from reduced(problem, tau, dual)
    if len(dual.gram) <= SMALL:
        for refined in newton(problem, dual):
            for denominator in FINE:
                yield {name: nearest(value, denominator) for name, value in refined.items()}


def reduced(problem: Program, tau: Fraction, dual: Dual) -> Iterator[Multipliers]:
    """Facial reduction, for each guess of the rank and of the positive multipliers."""
    eigenvalues, vectors = np.linalg.eigh(dual.gram)
    target = tau * problem.start - problem.end
    for active in ACTIVE:
        names = sorted((n for n, v in dual.multipliers.items() if v > active), key=lambda name: -dual.multipliers[name])
        free = [Fraction(dual.multipliers[name]).limit_denominator(FREE) for name in names]
        for rank in range(int(np.sum(eigenvalues > NULL * eigenvalues[-1])), 0, -1):
            V = vectors[:, -rank:]
            echelon = V @ np.linalg.inv(V[independent_rows(V)])
            for denominator in DENOMINATORS:
                exact = np.array([[Fraction(float(x)).limit_denominator(denominator) for x in row] for row in echelon])
                columns = [(problem.inequalities[name] @ exact).ravel() for name in names]
                rows = [[*row, value] for *row, value in zip(*columns, (target @ exact).ravel(), strict=True)]
                solution = linear(rows, free)
                if solution is not None:
                    yield dict(zip(names, solution, strict=True))


def linear(system: Sequence[list[Fraction]], free: Sequence[Fraction]) -> list[Fraction] | None:
    """A solution of the rows (coefficients, right side), exactly; unknowns that are not determined are taken from ``free``."""
    rows = [list(row) for row in system]
    pivots: list[int] = []
    for column in range(len(free)):
        done = len(pivots)
        found = next((i for i in range(done, len(rows)) if rows[i][column] != 0), None)
        if found is None:
            continue
        rows[done], rows[found] = rows[found], rows[done]
        rows[done] = [value / rows[done][column] for value in rows[done]]
        for i, row in enumerate(rows):
            if i != done and row[column] != 0:
                rows[i] = [a - row[column] * b for a, b in zip(row, rows[done], strict=True)]
        pivots.append(column)
    if any(row[-1] != 0 for row in rows[len(pivots) :]):
        return None
    solution = list(free)
    for row, column in zip(rows, pivots, strict=False):
        solution[column] = row[-1] - sum(row[j] * free[j] for j in range(len(free)) if j not in pivots)
    return solution
