"""Whether all principal minors of a matrix are positive, proven: floats with a bound of their error, or fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
MOST, MOST_EXACT = 18, 12  # rows: 2^n minors are looked at, in fractions where floats do not decide
EPSILON, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)


class PrincipalMinors(NamedTuple):
    """``positive`` is None where rounding is in the way. ``pivot`` is the least quotient det M[a + k]/det M[a], a below k, or
    one that is not positive; then ``indices`` are a + k.
    """

    positive: bool | None
    pivot: float
    indices: tuple[int, ...] = ()


def principal_minors(shift: float, W: Array) -> PrincipalMinors:
    """Signs of the principal minors of shift I - W.

    All of M are positive exactly when the first diagonal entry, all of M without its first row and column, and all of the Schur
    complement of that entry are (Tsatsomeros and Li 2000). A level of this recursion is one array of 2^k matrices.
    """
    n = len(W)
    if n > MOST:
        return PrincipalMinors(None, np.nan)
    M = shift * np.eye(n) - W
    with np.errstate(all="ignore"):  # an error bound that overflows decides nothing
        found = _recursion(M, EPSILON * np.abs(np.diag(np.diag(M))))
    if found.positive is None and n <= MOST_EXACT:
        exact = np.array([[Fraction(shift) * (i == j) - Fraction(W[i, j]) for j in range(n)] for i in range(n)], dtype=object)
        found = _recursion(exact, None)
    return found


def _recursion(M: Array, error: Array | None) -> PrincipalMinors:
    """``error`` bounds |M - the matrix meant| entry by entry; None is exact arithmetic."""
    blocks, errors, sets = M[None], None if error is None else error[None], np.zeros(1, dtype=np.int64)
    least, unclear = np.inf, False
    for k in range(len(M)):
        pivots = blocks[:, 0, 0]
        slack = 0.0 if errors is None else errors[:, 0, 0]
        wrong = np.flatnonzero(pivots + slack <= 0)
        if wrong.size:
            chosen = int(sets[wrong[0]])
            return PrincipalMinors(False, float(pivots[wrong[0]]), (*(i for i in range(k) if chosen >> i & 1), k))
        clear = pivots - slack > 0
        unclear = unclear or not bool(clear.all())
        least = min(least, float(np.min((pivots - slack)[clear], initial=np.inf)))
        schur, bound = _schur(blocks[clear], None if errors is None else errors[clear])
        blocks = np.concatenate((blocks[:, 1:, 1:], schur))
        errors = None if errors is None or bound is None else np.concatenate((errors[:, 1:, 1:], bound))
        sets = np.concatenate((sets, sets[clear] | 1 << k))
    return PrincipalMinors(None if unclear else True, least)


def _schur(blocks: Array, errors: Array | None) -> tuple[Array, Array | None]:
    """Schur complements of the first diagonal entries, which are positive, and a bound of their errors."""
    pivot, column, row = blocks[:, :1, :1], blocks[:, 1:, :1], blocks[:, :1, 1:]
    quotient = column * row / pivot
    schur = blocks[:, 1:, 1:] - quotient
    if errors is None:
        return schur, None
    of_pivot, of_column, of_row = errors[:, :1, :1], errors[:, 1:, :1], errors[:, :1, 1:]
    of_product = np.abs(column) * of_row + np.abs(row) * of_column + of_column * of_row
    of_quotient = (of_product + np.abs(quotient) * of_pivot) / (pivot - of_pivot)
    rounding = EPSILON * (3.0 * np.abs(quotient) + np.abs(schur)) + TINY
    return schur, (1.0 + 16.0 * EPSILON) * (errors[:, 1:, 1:] + of_quotient + rounding)
