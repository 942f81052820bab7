"""The dual program: min tau with tau P0 - P1 - sum of lambda_i M_i positive semidefinite, lambda >= 0, by Clarabel."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import clarabel  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np
from scipy import sparse

from proofs.pep.gram import Matrix, Program

FLOOR = 1e-3  # of the eigenvalues of the Gram matrix that gives the coordinates


class Dual(NamedTuple):
    """The squared factor (``inf``: unbounded), multipliers by name, the slack matrix, the Gram matrix of a worst case."""

    value: float
    multipliers: dict[str, float]
    slack: Matrix
    gram: Matrix


@cache
def triangle(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and weights (1, or sqrt 2 off the diagonal) of Clarabel's packing: the upper triangle, column by column."""
    columns, rows = np.tril_indices(size)
    return rows, columns, np.where(rows == columns, 1.0, math.sqrt(2.0))


@cache
def settings() -> Any:
    """Silent and accurate: the programs are tiny."""
    chosen = clarabel.DefaultSettings()
    chosen.verbose = False
    chosen.presolve_enable = False
    chosen.tol_gap_abs = chosen.tol_gap_rel = chosen.tol_feas = 1e-10
    return chosen


def solve(constant: Matrix, head: Matrix, forms: list[Matrix], cost: float) -> tuple[str, np.ndarray, np.ndarray]:
    """min cost * s with s head - constant - sum of lambda_i forms_i positive semidefinite: status, (s, lambda), Gram matrix."""
    size, count = len(head), len(forms)
    rows, columns, weights = triangle(size)
    packed = np.array([-head, *forms])[:, rows, columns].astype(float) * weights
    lengths = np.linalg.norm(packed, axis=1)  # each form scaled to length 1
    packed /= lengths[:, None]
    nonnegative = np.hstack([np.zeros((count, 1)), -np.eye(count)])
    A = sparse.csc_matrix(np.vstack([nonnegative, packed.T]))
    b = np.concatenate([np.zeros(count), -constant[rows, columns].astype(float) * weights])
    q = np.concatenate([[cost / lengths[0]], np.zeros(count)])
    cones = [clarabel.NonnegativeConeT(count), clarabel.PSDTriangleConeT(size)]
    found = clarabel.DefaultSolver(sparse.csc_matrix((count + 1, count + 1)), q, A, b, cones, settings()).solve()
    gram = np.zeros((size, size))
    gram[rows, columns] = gram[columns, rows] = np.array(found.z)[count:] / weights
    return str(found.status), np.array(found.x) / lengths, gram


def worst_case(problem: Program) -> Dual:
    """The largest squared factor over the classes, to about 1e-9.

    Solved twice: again in the coordinates in which the Gram matrix first found is nearly the identity, which gains two digits.
    """
    start, end = problem.start.astype(float), problem.end.astype(float)
    forms = [form.astype(float) for form in problem.inequalities.values()]
    status, x, gram = solve(end, start, forms, 1.0)
    if "Infeasible" in status:
        return Dual(math.inf, {}, start, gram)
    K = np.linalg.cholesky(gram + (FLOOR * np.trace(gram)) * np.eye(len(gram)))
    _, x, inside = solve(K.T @ end @ K, K.T @ start @ K, [K.T @ form @ K for form in forms], 1.0)
    slack = x[0] * start - end - sum(value * form for value, form in zip(x[1:], forms, strict=True))
    return Dual(float(x[0]), named(problem, x), slack, K @ inside @ K.T)


def deepest(problem: Program, factor: float) -> dict[str, float]:
    """Multipliers that make the least eigenvalue of the slack at this squared factor as large as they can."""
    start, end, forms = problem.start.astype(float), problem.end.astype(float), list(problem.inequalities.values())
    _, x, _ = solve(end - factor * start, -np.eye(len(start)), forms, -1.0)
    return named(problem, x)


def named(problem: Program, x: np.ndarray) -> dict[str, float]:
    """The multipliers of a solution (s, lambda), by name."""
    return dict(zip(problem.inequalities, (float(value) for value in x[1:]), strict=True))
