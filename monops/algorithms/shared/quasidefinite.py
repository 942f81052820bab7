"""Factorisations of the quasidefinite systems of quadratic programs, one sparsity pattern for a whole solve.

[P + diag(d), A'; A, -diag(c)] with d, c > 0 has a triangular factorisation without row exchanges for every symmetric ordering
(Vanderbei 1995), so that the ordering is chosen once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

Host = np.ndarray[Any, Any]

REFINEMENTS = 3  # restarts
KRYLOV = 6  # directions between restarts
STATIC = (1e-8, 1e-6, 1e-4)  # what the diagonals of the factorised matrix are raised by, against rounding
DENSE_LIMIT = 3000  # unknowns of a dense factorisation
DENSE_SPEED = 10.0  # operations of a dense factorisation in the time of one of a sparse one
DENSE_SHARE = 0.25  # share of entries of P + A'A from which a dense Cholesky factorisation is taken
IGNORED = 1e20  # compliance of a row that is switched off


class QuasidefiniteSystem:
    """[P + diag(d), A'; A, -diag(c)] (x, y) = (f, g), refactored for each d > 0 and c > 0.

    Rows of A with a single entry (bounds) go to the diagonal; the rest is ordered by minimum degree, dense rows last. Where P
    is diagonal and the triangular factors would fill in, the dense Schur complement of y is factorised in their place.
    """

    def __init__(self, P: Any, A: Any, columns: Host, rows: Host) -> None:
        self.units = columns, rows
        self.P, self.A = sparse.csr_array(P), sparse.csr_array(A)
        self.transposed = sparse.csr_array(self.A.T)
        count = np.diff(self.A.indptr)
        self.single = count <= 1
        one = count == 1
        self.columns = np.zeros(len(count), dtype=int)
        self.values = np.zeros(len(count))
        self.columns[one] = self.A.indices[self.A.indptr[:-1][one]]
        self.values[one] = self.A.data[self.A.indptr[:-1][one]]
        self.rows = np.flatnonzero(~self.single)
        self.B = sparse.csr_array(self.A[self.rows])
        n, m = self.P.shape[0], len(self.rows)
        self.n = n
        touched = self.B.nnz + self.P.nnz
        self.by_rows = False
        self.dense = n <= DENSE_LIMIT and touched > DENSE_SHARE * n * (n + m) / 2
        if self.dense:
            self._dense_P, self._dense_B = self.P.toarray(), self.B.toarray()
        else:
            self._prepare(n, m)

    def _prepare(self, n: int, m: int) -> None:
        top = sparse.hstack([self.P + sparse.eye_array(n), self.B.T])
        filled = sparse.csc_array(sparse.vstack([top, sparse.hstack([self.B, -sparse.eye_array(m)])]))
        self.order, work = _ordering(filled)
        diagonal = self.P.nnz == np.count_nonzero(self.P.diagonal())
        self.by_rows = diagonal and m <= DENSE_LIMIT and m**3 / 3 < DENSE_SPEED * work
        self.matrix = sparse.csc_array(filled[self.order][:, self.order])
        self.matrix.sort_indices()
        columns = np.repeat(np.arange(n + m), np.diff(self.matrix.indptr))
        self.diagonal = np.flatnonzero(self.matrix.indices == columns)  # one for each column: the pattern has all of them
        self.base = np.concatenate([self.P.diagonal(), np.zeros(m)])
        self._turned = sparse.csr_array(self.B.T)

    def factor(self, d: Any, c: Host) -> QuasidefiniteSystem:
        """Factorise for the diagonals d > 0 (a number or n of them) and c > 0, each raised as far as rounding asks for."""
        self.d, self.c = d, c
        if self.by_rows:
            try:
                return self._factor_rows()
            except np.linalg.LinAlgError:  # too far from positive definite: by triangular factors from now on
                self.by_rows = False
        for static in STATIC[:-1]:
            try:
                return self._factor(static)
            except (RuntimeError, np.linalg.LinAlgError):  # a pivot is 0 or of the wrong sign: raise the diagonals more
                continue
        return self._factor(STATIC[-1])

    def _factor(self, static: float) -> QuasidefiniteSystem:
        self.raised = self.c + static
        extra = np.zeros(self.n) + self.d + static
        single = self.single & (self.c < IGNORED)
        np.add.at(extra, self.columns[single], self.values[single] ** 2 / self.raised[single])
        compliance = self.raised[self.rows]
        if self.dense:
            gram = self._dense_P + (self._dense_B.T / compliance) @ self._dense_B
            gram[np.diag_indices(self.n)] += extra
            self._cholesky = scipy.linalg.cho_factor(gram, lower=True, check_finite=False)
            return self
        self.matrix.data[self.diagonal] = (self.base + np.concatenate([extra, -compliance]))[self.order]
        self._lu = splu(self.matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        return self

    def _factor_rows(self) -> QuasidefiniteSystem:
        """B (P + diag(d))^-1 B' + diag(c) by Cholesky; d is not raised, because its small entries are what determines x."""
        self.raised = self.c + STATIC[0]
        diagonal = self.base[: self.n] + self.d
        single = self.single & (self.c < IGNORED)
        np.add.at(diagonal, self.columns[single], self.values[single] ** 2 / self.raised[single])
        self._inverse = 1.0 / diagonal
        scaled = self.B.copy()
        scaled.data *= self._inverse[scaled.indices]
        gram = (scaled @ self._turned).toarray()
        gram[np.diag_indices(len(gram))] += self.raised[self.rows]
        self._cholesky = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        return self

    def _once(self, r: Host) -> Host:
        """The raised system solved by its factors."""
        f, g, c = r[: self.n], r[self.n :], self.raised
        single, y = self.single, np.empty(len(r) - self.n)
        pull = np.bincount(self.columns[single], self.values[single] * g[single] / c[single], self.n)
        right = f + pull
        if self.dense:
            inner = g[self.rows] / c[self.rows]
            x = scipy.linalg.cho_solve(self._cholesky, right + self._dense_B.T @ inner, check_finite=False)
            y[self.rows] = (self._dense_B @ x) / c[self.rows] - inner
        elif self.by_rows:
            x = self._inverse * right
            inner = scipy.linalg.cho_solve(self._cholesky, self.B @ x - g[self.rows], check_finite=False)
            x, y[self.rows] = x - self._inverse * (self._turned @ inner), inner
        else:
            both = np.empty(self.n + len(self.rows))
            both[self.order] = self._lu.solve(np.concatenate([right, g[self.rows]])[self.order])
            x, y[self.rows] = both[: self.n], both[self.n :]
        y[single] = (self.values[single] * x[self.columns[single]] - g[single]) / c[single]
        return np.concatenate([x, y])

    def _product(self, z: Host) -> Host:
        x, y = z[: self.n], z[self.n :]
        return np.concatenate([self.P @ x + self.d * x + self.transposed @ y, self.A @ x - self.c * y])

    def solve(self, f: Host, g: Host, accuracy: float = 1e-10) -> tuple[Host, Host]:
        """(x, y) of the system that was not raised: generalised minimal residuals, the raised factors as preconditioner.

        The two blocks of the residual are measured relative to f and to g.
        """
        columns, rows = self.units
        sizes = max(float(np.linalg.norm(columns * f)), 1e-300), max(float(np.linalg.norm(rows * g)), 1e-300)
        weights = np.concatenate([columns / max(sizes[0], 1e-9 * sizes[1]), rows / max(sizes[1], 1e-9 * sizes[0])])
        right = np.concatenate([f, g])
        z = self._once(right)
        best, least = z, np.inf
        for _ in range(REFINEMENTS):
            residual = right - self._product(z)
            size = float(np.linalg.norm(weights * residual))
            if not size < 0.5 * least:
                best = z if size < least else best
                break
            best, least = z, size
            if size <= accuracy:
                break
            z = z + self._minimal_residual(residual, weights, accuracy)
        return best[: self.n], best[self.n :]

    def _minimal_residual(self, residual: Host, scale: Host, goal: float) -> Host:
        """A correction from the Krylov space of the residual (Saad and Schultz 1986), in the norm with the given weights."""
        size = float(np.linalg.norm(scale * residual))
        basis, moves = [scale * residual / size], []
        hessenberg = np.zeros((KRYLOV + 1, KRYLOV))
        weights: Host = np.zeros(0)
        left = np.inf
        for k in range(KRYLOV):
            moves.append(self._once(basis[k] / scale))
            image = scale * self._product(moves[k])
            for i, vector in enumerate(basis):
                hessenberg[i, k] = vector @ image
                image = image - hessenberg[i, k] * vector
            hessenberg[k + 1, k] = np.linalg.norm(image)
            right = np.zeros(k + 2)
            right[0] = size
            weights, *_ = np.linalg.lstsq(hessenberg[: k + 2, : k + 1], right, rcond=None)
            last, left = left, float(np.linalg.norm(hessenberg[: k + 2, : k + 1] @ weights - right))
            if left <= goal or left > 0.8 * last or hessenberg[k + 1, k] <= 1e-14 * size:
                break
            basis.append(image / hessenberg[k + 1, k])
        return sum((w * move for w, move in zip(weights, moves, strict=True)), 0.0 * residual)


def _ordering(matrix: Any) -> tuple[Host, float]:
    """Minimum degree, with rows that have many entries last: they would make the ordering itself slow; and the operations of
    the factorisation of the other rows.
    """
    size = matrix.shape[0]
    dense = np.diff(matrix.indptr) > max(40.0, 10.0 * size**0.5)
    light, heavy = np.flatnonzero(~dense), np.flatnonzero(dense)
    part = sparse.csc_array(matrix[light][:, light])
    found = splu(part, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    work = float(np.sum(np.diff(found.L.indptr).astype(float) ** 2))
    return np.concatenate([light[np.argsort(found.perm_c)], heavy]), work
