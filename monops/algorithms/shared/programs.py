"""Convex quadratic programs inside an inclusion: found, scaled, certified.

minimise 1/2 <x, Px> + <q, x> subject to lower <= Ax <= upper, where the rows of A are those of all boxes, one below the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse

from monops import arrays
from monops.algorithms.algorithm import NoSolution
from monops.arrays import Array, Blocks
from monops.functions import Box, LeastSquares, Linear, NonNegative, Quadratic, Tilt, Zero
from monops.functions.losses.quadratic_forms import check_semidefinite
from monops.linear import Identity, LinearMap, Matrix, ScaledMap, SparseMatrix, Stack
from monops.problem import Inclusion, Term
from monops.theory import Missing

Host = np.ndarray[Any, Any]

EQUILIBRATIONS = 10
UNBOUNDED = 9.9e19  # formats of programs write 1e20, rounded somehow, where there is no bound
INCONSISTENT = 1e-8  # largest residual of a certificate of inconsistency


class Program(NamedTuple):
    """The data on the host, in float64; ``sizes`` are the numbers of rows of the boxes, ``like`` an array of the caller."""

    P: Any
    q: Host
    A: Any
    lower: Host
    upper: Host
    sizes: tuple[int, ...]
    like: Any


# ---- from an inclusion ---------------------------------------------------------------------------


def read_program(problem: Inclusion) -> Program | Missing:
    """The program that the inclusion is, or what keeps it from being one."""
    shape = problem.input_shape
    if problem.batch_ndim:
        return Missing("a batch holds many programs, and each has its own factorisation", "solve them one by one, or stacked")
    if shape is None or len(shape) != 1 or not isinstance(shape[0], int):
        return Missing("x is not known to be one vector", "write the linear cost with an array of shape (n,)")
    stranger = next((term for term in problem.terms if not _fits(term)), None)
    if stranger is not None:
        return Missing(
            f"{stranger} is neither quadratic (Quadratic, Linear, LeastSquares) nor a box, alone or of a matrix",
            "use a splitting method, for example ChambollePock",
        )
    n = int(shape[0])
    P, q = sparse.csr_array((n, n)), np.zeros(n)
    rows: list[tuple[Any, Host, Host]] = []
    for term in problem.terms:
        box = _box(term, n)
        if box is not None:
            rows.append(box)
            continue
        found = _quadratic(term, n)
        if found is None:
            return Missing(
                f"{term} is neither quadratic (Quadratic, Linear, LeastSquares) nor a box, alone or of a matrix",
                "use a splitting method, for example ChambollePock",
            )
        P, q = P + found[0], q + found[1]
    like = next((array for _, array in problem.named_arrays() if arrays.is_floating(array)), np.empty(0))
    if not rows:
        rows.append((sparse.csr_array((0, n)), np.zeros(0), np.zeros(0)))
    A = sparse.csr_array(sparse.vstack([A for A, _, _ in rows]))
    A.eliminate_zeros()
    lower, upper = (np.concatenate([row[index] for row in rows]) for index in (1, 2))
    lower, upper = np.where(lower <= -UNBOUNDED, -np.inf, lower), np.where(upper >= UNBOUNDED, np.inf, upper)
    P = sparse.csr_array(P)
    check_semidefinite("the sum of the quadratic terms", P)
    return Program(P, q, A, lower, upper, tuple(row[0].shape[0] for row in rows), like)


def _fits(term: Term) -> bool:
    """Whether the term is of a class that may stand in a program; no product is formed to see it."""
    function = term.summand
    while isinstance(function, Tilt):
        function = function.function
    return isinstance(function, (Zero, Linear, Quadratic, LeastSquares, Box, NonNegative))


def _quadratic(term: Term, n: int) -> tuple[Any, Host] | None:
    """P and q of a quadratic function, composed with a matrix or not."""
    inner = n if term.map is None else _rows(term.map, n)
    found = None if inner is None else _bare_quadratic(term.summand, inner)
    if found is None or term.map is None:
        return found
    K = entries(term.map)
    return None if K is None else (K.T @ found[0] @ K, K.T @ found[1])


def _bare_quadratic(function: Any, n: int) -> tuple[Any, Host] | None:
    nothing = sparse.csr_array((n, n))
    if isinstance(function, Zero):
        return nothing, np.zeros(n)
    if isinstance(function, Linear):
        return nothing, np.zeros(n) + _host(function.slope)
    if isinstance(function, Tilt):
        found = _bare_quadratic(function.function, n)
        return None if found is None else (found[0], found[1] + _host(function.slope))
    if isinstance(function, Quadratic):
        matrix = function.P if sparse.issparse(function.P) else _host(function.P)
        return sparse.csr_array(matrix).astype(float), np.zeros(n) if function.q is None else _host(function.q)
    if isinstance(function, LeastSquares):
        K = entries(function.A)
        if K is not None and len(function.b.shape) == 1:
            dense = function.A.matrix if isinstance(function.A, Matrix) else None
            gram = K.T @ K if dense is None else sparse.csr_array(_host(dense).T @ _host(dense))
            return gram, -(K.T @ _host(function.b))
    return None


def _box(term: Term, n: int) -> tuple[Any, Host, Host] | None:
    """The matrix and the bounds of a box term."""
    function = term.summand
    if isinstance(function, Box):
        lower, upper = function.lower, function.upper
    elif isinstance(function, NonNegative):
        lower, upper = 0.0, np.inf
    else:
        return None
    matrix = sparse.eye_array(n, format="csr") if term.map is None else entries(term.map)
    if matrix is None:
        return None
    size = matrix.shape[0]
    return matrix, np.broadcast_to(_host(lower), (size,)).copy(), np.broadcast_to(_host(upper), (size,)).copy()


def _rows(K: LinearMap, n: int) -> int | None:
    shape = K.output_shape
    return int(shape[0]) if shape is not None and len(shape) == 1 else None


def entries(K: LinearMap) -> Any | None:
    """The entries of a linear map that has them."""
    if isinstance(K, SparseMatrix):
        return sparse.csr_array(K.matrix).astype(float)
    if isinstance(K, Matrix):
        return sparse.csr_array(_host(K.matrix))
    if isinstance(K, Identity) and len(K.input_shape) == 1:
        return sparse.eye_array(K.input_shape[0], format="csr")
    if isinstance(K, ScaledMap):
        inner = entries(K.map)
        return None if inner is None else float(K.factor) * inner
    if isinstance(K, Stack):
        parts = [entries(part) for part in K.maps]
        return None if any(part is None for part in parts) else sparse.csr_array(sparse.vstack(parts))
    return None


def _host(values: Any) -> Host:
    """Values on the host in float64."""
    host = arrays.to_numpy(values) if arrays.is_array(values) else values
    return np.asarray(host, dtype=np.float64)


# ---- to the caller's arrays ----------------------------------------------------------------------


def dual_array(program: Program, y: Host, like: Array) -> Array:
    """The multipliers of the boxes: one array, or Blocks of as many as there are boxes."""
    parts = [arrays.from_numpy(part, like) for part in np.split(y, np.cumsum(program.sizes)[:-1])]
    return parts[0] if len(parts) == 1 else Blocks(parts)


# ---- scaling -------------------------------------------------------------------------------------


class Scaling(NamedTuple):
    """x = columns * scaled x, y = rows * scaled y / cost; the scaled program has entries of about 1 (Ruiz 2001)."""

    program: Program
    columns: Host
    rows: Host
    cost: float


def equilibrate(program: Program) -> Scaling:
    """Equilibrate [P, A'; A, 0] by its largest entries, and the cost by its gradient at 0."""
    P, A, n, m = program.P.copy(), program.A.copy(), len(program.q), len(program.lower)
    columns, rows = np.ones(n), np.ones(m)
    for _ in range(EQUILIBRATIONS):
        down = np.maximum(_largest(P, 0, n), _largest(A, 0, n))
        left, right = _factor(down), _factor(_largest(A, 1, m))
        P, A = _scaled(P, left, left), _scaled(A, right, left)
        columns, rows = columns * left, rows * right
    q = columns * program.q
    largest = max(float(np.max(np.abs(q), initial=0.0)), float(np.mean(_largest(P, 0, n))) if n else 0.0)
    cost = 1.0 / min(max(largest, 1e-8), 1e8) if largest > 0 else 1.0
    scaled = Program(cost * P, cost * q, A, rows * program.lower, rows * program.upper, program.sizes, program.like)
    return Scaling(scaled, columns, rows, cost)


def _largest(matrix: Any, axis: int, size: int) -> Host:
    if matrix.nnz == 0:
        return np.zeros(size)
    return np.asarray(abs(matrix).max(axis=axis).toarray(), dtype=np.float64).ravel()


def _factor(largest: Host) -> Host:
    return np.where(largest > 0, 1.0 / np.sqrt(np.clip(largest, 1e-8, 1e8)), 1.0)


def _scaled(matrix: Any, rows: Host, columns: Host) -> Any:
    result = sparse.csr_array(matrix.copy())
    result.data *= np.repeat(rows, np.diff(result.indptr)) * columns[result.indices]
    return result


# ---- certificates --------------------------------------------------------------------------------


def certificate(program: Program, x: Host, y: Host, s: Host) -> tuple[Host, Host]:
    """(Px + q + A'y, s - Ax): of the primal-dual operator at (x, y), where s is in the box and y normal to it at s."""
    return program.P @ x + program.q + program.A.T @ y, s - program.A @ x


def size(residual: tuple[Host, Host]) -> float:
    """Norm of a pair."""
    return float(np.hypot(np.linalg.norm(residual[0]), np.linalg.norm(residual[1])))


class Pair(NamedTuple):
    """A point (x, y), an s in the box with y normal to it at s, and the norm of the certificate; in the caller's units."""

    x: Host
    y: Host
    s: Host
    residual: float


def pair(scaling: Scaling, program: Program, x: Host, y: Host) -> Pair:
    """The pair of a scaled point (x, y): s is the point nearest to Ax at which y is normal to the box."""
    x, y = scaling.columns * x, scaling.rows * y / scaling.cost
    y = np.where(np.isinf(program.upper) & (y > 0), 0.0, np.where(np.isinf(program.lower) & (y < 0), 0.0, y))
    inside = np.clip(program.A @ x, program.lower, program.upper)
    s = np.where(y > 0, program.upper, np.where(y < 0, program.lower, inside))
    return Pair(x, y, s, size(certificate(program, x, y, s)))


def rescaled(scaling: Scaling, found: Pair) -> tuple[Host, Host, Host]:
    """x, y and s of a pair in the scaled units."""
    return found.x / scaling.columns, scaling.cost * found.y / scaling.rows, scaling.rows * found.s


def on_the_graph(scaling: Scaling, program: Program, x: Host, y: Host, t: Host, r: Host) -> Pair:
    """The pair next to a scaled point (x, y) whose slacks are t from below and r from above.

    Where a slack is smaller than the multiplier y stays, else it becomes 0; the better pair of two ways to compare them: in
    scaled units, and by what each costs in the caller's, |y_i| |a_i| in the first part of the certificate or a slack in the
    second.
    """
    norms = np.sqrt(np.asarray(program.A.multiply(program.A).sum(axis=1)).ravel())
    fixed = program.lower == program.upper

    def snapped(weights: Host | float) -> Pair:
        stays = fixed | ((y > 0) & (weights * y > r)) | ((y < 0) & (-weights * y > t))
        return pair(scaling, program, x, np.where(stays, y, 0.0))

    first, second = snapped(1.0), snapped(scaling.rows**2 / scaling.cost * norms)
    return first if first.residual < second.residual else second


def inconsistency(program: Program, candidates: Iterator[tuple[Host, Host]]) -> NoSolution | None:
    """The first certificate of inconsistency among directions (dx, dy) of x and y."""
    for dx, dy in candidates:
        for found in (_primal_inconsistency(program, dy), _dual_inconsistency(program, dx)):
            if found is not None and found.residual <= INCONSISTENT:
                return found
    return None


def _primal_inconsistency(program: Program, y: Host) -> NoSolution | None:
    """y, with what the bounds of single entries can take over taken over."""
    y = np.where(np.isinf(program.upper) & (y > 0), 0.0, np.where(np.isinf(program.lower) & (y < 0), 0.0, y))
    largest = float(np.max(np.abs(y), initial=0.0))
    if not 0 < largest < np.inf:
        return None
    y = y / largest
    y = np.where(np.abs(y) < 1e-12, 0.0, y)
    y = _absorbed(program, y)
    support = float(np.sum(np.where(y > 0, program.upper, np.where(y < 0, program.lower, 0.0)) * y))
    if not support < 0:
        return None
    y = y / -support
    return NoSolution("primal", y, float(np.linalg.norm(program.A.T @ y)))


def _absorbed(program: Program, y: Host) -> Host:
    """y changed in rows of a single entry so that A'y vanishes where such a row with a finite bound exists."""
    A = program.A
    single = np.flatnonzero(np.diff(A.indptr) == 1)
    if not len(single):
        return y
    columns, values = A.indices[A.indptr[single]], A.data[A.indptr[single]]
    y = y.copy()
    wanted = y[single] - (A.T @ y)[columns] / values
    allowed = np.where(wanted > 0, np.isfinite(program.upper[single]), np.isfinite(program.lower[single]))
    first = np.zeros(len(single), dtype=bool)
    chosen = np.flatnonzero(allowed)
    first[chosen[np.unique(columns[chosen], return_index=True)[1]]] = True
    y[single] = np.where(first, wanted, y[single])
    return y


def _dual_inconsistency(program: Program, d: Host) -> NoSolution | None:
    slope = float(program.q @ d)
    if not (slope < 0 and np.isfinite(slope)):
        return None
    d = d / -slope
    image = program.A @ d
    beyond = np.where(np.isfinite(program.upper), np.maximum(image, 0.0), 0.0)
    below = np.where(np.isfinite(program.lower), np.minimum(image, 0.0), 0.0)
    return NoSolution("dual", d, size((program.P @ d, beyond + below)))
