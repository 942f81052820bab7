"""Newton's method on the optimality conditions of the worst-case program, in 60 digits."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import mpmath  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np

from proofs.pep.dual import Dual
from proofs.pep.gram import Matrix, Program

DIGITS = 60
ACTIVE = 1e-6  # multipliers above it count as positive


def newton(problem: Program, dual: Dual, iterations: int = 8) -> Iterator[dict[str, mpmath.mpf]]:
    """Multipliers that solve the optimality conditions in 60 digits, for each guess of the rank of the worst case.

    Unknown are tau, the positive multipliers and V with S V = 0, <M_i, V V'> = 0 for these and <P0, V V'> = 1; V is lower
    triangular in suitably ordered rows, as it is determined up to rotation. Least squares: the system is overdetermined.
    """
    eigenvalues, vectors = np.linalg.eigh(dual.gram)
    names = [name for name, value in dual.multipliers.items() if value > ACTIVE]
    forms = [problem.inequalities[name] for name in names]
    for rank in range(1, len(eigenvalues)):
        V = vectors[:, -rank:] * np.sqrt(np.maximum(eigenvalues[-rank:], 0.0))
        start = [dual.value, *(dual.multipliers[name] for name in names)]
        with mpmath.workdps(DIGITS):
            solution = least_squares(problem, forms, start, triangular(V), iterations)
            if solution is not None:
                yield dict(zip(names, solution[1:], strict=True))


def independent_rows(V: Matrix) -> list[int]:
    """As many rows as V has columns, greedily the most independent ones."""
    rows: list[int] = []
    remaining = V.copy()
    for _ in range(V.shape[1]):
        row = int(np.argmax(np.linalg.norm(remaining, axis=1)))
        rows.append(row)
        direction = remaining[row] / max(float(np.linalg.norm(remaining[row])), 1e-30)
        remaining = remaining - np.outer(remaining @ direction, direction)
    return rows


def triangular(V: Matrix) -> Matrix:
    """V times a rotation that makes its most independent rows lower triangular."""
    rows = independent_rows(V)
    rotation, _ = np.linalg.qr(V[rows].T)
    turned = V @ rotation
    for place, row in enumerate(rows):
        turned[row, place + 1 :] = 0.0
    return turned


def least_squares(
    problem: Program, forms: list[Matrix], start: list[float], V: Matrix, iterations: int
) -> list[mpmath.mpf] | None:
    """Gauss-Newton on the optimality conditions; (tau, multipliers) when the residual vanishes."""
    size, rank = V.shape
    free = [(i, j) for i in range(size) for j in range(rank) if V[i, j] != 0.0]
    P0, P1, *M = (
        mpmath.matrix([[ratio(value) for value in row] for row in form]) for form in (problem.start, problem.end, *forms)
    )
    unknown = mpmath.matrix([*map(mpmath.mpf, start), *(mpmath.mpf(float(V[place])) for place in free)])
    count = 1 + len(M)
    for _ in range(iterations):
        W = mpmath.zeros(size, rank)
        for place, value in zip(free, unknown[count:], strict=True):
            W[place] = value
        S = unknown[0] * P0 - P1
        for value, form in zip(unknown[1:count], M, strict=True):
            S -= value * form
        images = [form * W for form in (P0, *M)]
        residual = [*(S * W), *(sum(a * b for a, b in zip(image, W, strict=True)) for image in images)]
        residual[size * rank] -= 1
        if max(abs(value) for value in residual) < mpmath.mpf(10) ** (10 - DIGITS):
            return list(unknown[:count])
        J = mpmath.zeros(len(residual), len(unknown))
        for k, image in enumerate(images):
            for entry, value in enumerate(image):
                J[entry, k] = value if k == 0 else -value
        for column, (i, j) in enumerate(free, start=count):
            for row in range(size):
                J[row * rank + j, column] = S[row, i]
            for k, image in enumerate(images):
                J[size * rank + k, column] = 2 * image[i, j]
        try:
            unknown -= mpmath.lu_solve(J.T * J, J.T * mpmath.matrix(residual))
        except ZeroDivisionError:
            return None
        if not all(mpmath.isfinite(value) for value in unknown):
            return None
    return None


def ratio(value: Fraction) -> mpmath.mpf:
    """A fraction in many digits."""
    return mpmath.mpf(value.numerator) / value.denominator


def nearest(value: mpmath.mpf, denominator: int) -> Fraction:
    """The nearest fraction of a number of many digits."""
    with mpmath.workdps(DIGITS):
        return Fraction(int(mpmath.nint(value * mpmath.mpf(10) ** DIGITS)), 10**DIGITS).limit_denominator(denominator)
