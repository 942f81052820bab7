"""Polyhedra {lower <= A x <= upper}: projection by an active-set method on the multipliers, on the host."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
import scipy.linalg
import scipy.optimize

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.feasibility import check_bounds, row_slack, zero_or_infinity
from monops.functions.hosted import HostMap, self_adjoint
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap

__all__ = ["Polyhedron"]

OUTER, INNER = 30, 60  # multiplier updates, and Newton steps between them: a handful of each are used
FINISHES = 20  # changes of the active set that the exact finish may try; it needs one or two
EPSILON = float(np.finfo(float).eps)


class Face(NamedTuple):
    """A point, its multipliers for the rows (positive at an upper, negative at a lower bound), and its error."""

    point: np.ndarray
    multipliers: np.ndarray
    gap: float
    iterations: int


class System:
    """{lower <= A x <= upper} with rows of norm 1; the equalities are solved once: x = anchor + basis w."""

    def __init__(self, matrix: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        norms = np.linalg.norm(matrix, axis=1)
        empty = norms == 0
        if np.any(empty & ((lower > 0) | (upper < 0))):
            raise DataError("Polyhedron: a row of A is 0 but its bounds exclude 0: the set is empty; remove the row")
        self.norms = np.where(empty, 1.0, norms)
        self.rows = matrix / self.norms[:, None]
        self.lower = np.where(empty, -np.inf, lower / self.norms)
        self.upper = np.where(empty, np.inf, upper / self.norms)
        self.fixed = np.flatnonzero(self.lower == self.upper)
        self.free = np.flatnonzero(self.lower != self.upper)
        left, values, right = np.linalg.svd(self.rows[self.fixed], full_matrices=True)
        rank = int(np.sum(values > 1e-12 * max(matrix.shape)))
        target = self.lower[self.fixed]
        self.pseudoinverse = (right[:rank].T / values[:rank]) @ left[:, :rank].T
        self.anchor = self.pseudoinverse @ target
        self.basis = right[rank:].T
        missing = np.abs(self.rows[self.fixed] @ self.anchor - target).max(initial=0.0)
        if missing > 1e-9 * (1.0 + np.abs(target).max(initial=0.0)):
            raise DataError(
                f"Polyhedron: the equality rows contradict each other (by {missing:.2g} at the nearest point): the set is empty"
            )
        self.within = self.rows[self.free] @ self.basis  # the inequalities in the coordinates w
        shift = self.rows[self.free] @ self.anchor
        self.low, self.high = self.lower[self.free] - shift, self.upper[self.free] - shift
        self._check_nonempty()

    def _check_nonempty(self) -> None:
        near = np.clip(0.0, self.low, self.high)
        if not np.any(near):
            return  # the anchor is inside
        start, scale = np.zeros(self.basis.shape[1]), 1.0 + float(np.abs(near).max())
        v = start - self.within.T @ self._augmented(start, scale)
        if np.abs(self._violation(v)).max() > 1e-7 * scale and self._least_distance(start, scale) is None:
            raise DataError(
                "Polyhedron: no x satisfies lower <= A x <= upper: the set is empty; some rows contradict each other, widen "
                "their bounds"
            )

    def _augmented(self, w: np.ndarray, scale: float) -> np.ndarray:
        """Multipliers by the method of multipliers; its smooth problems, |v - w|^2/2 + rho/2 dist(B v + y/rho, bounds)^2, by
        semismooth Newton steps with a line search, which end exactly once the violated rows no longer change.
        """
        y, v, rho = np.zeros(len(self.free)), w, 100.0
        for _ in range(OUTER):
            for _ in range(INNER):
                level = self.within @ v + y / rho
                excess = level - np.clip(level, self.low, self.high)
                slope = v - w + rho * (self.within.T @ excess)
                noise = 64 * EPSILON * rho * float(np.abs(level).max(initial=0.0))
                if float(np.abs(slope).max(initial=0.0)) <= 1e-11 * scale + noise:
                    break
                move = -_newton_step(self.within[excess != 0], rho, slope)
                steep, level_move = float(slope @ move), self.within @ move
                share, value = 1.0, 0.5 * float((v - w) @ (v - w)) + 0.5 * rho * float(excess @ excess)
                while share > 1e-10:
                    there, reached = v + share * move - w, level + share * level_move
                    outside = reached - np.clip(reached, self.low, self.high)
                    if 0.5 * float(there @ there) + 0.5 * rho * float(outside @ outside) <= value + 1e-4 * share * steep:
                        break
                    share *= 0.5
                v = v + share * move
            following = rho * excess
            moved, y = float(np.abs(following - y).max(initial=0.0)), following
            if moved <= 1e-9 * rho * scale:
                break
            rho = min(30.0 * rho, 1e6)
        return y

    def _least_distance(self, w: np.ndarray, scale: float) -> np.ndarray | None:
        """Multipliers of the projection of w, by nonnegative least squares; None where the set is empty.

        With all inequalities as G v >= h for v = (point - w)/scale, the smallest v is -r/r_last with the residual r of
        min |E y - e_last| over y >= 0, E = (G, h)* (Lawson and Hanson 1974, least distance programming).
        """
        level = self.within @ w
        upper, lower = np.flatnonzero(np.isfinite(self.high)), np.flatnonzero(np.isfinite(self.low))
        system = np.concatenate([-self.within[upper], self.within[lower]])
        needed = np.concatenate([(level - self.high)[upper], (self.low - level)[lower]]) / scale
        target = np.zeros(len(w) + 1)
        target[-1] = 1.0
        matrix = np.concatenate([system.T, needed[None]])
        try:
            y, size = scipy.optimize.nnls(matrix, target, maxiter=30 * max(matrix.shape))
        except RuntimeError:  # it cycles: the search over faces starts from the violated rows
            return level - np.clip(level, self.low, self.high)
        if size < 1e-8:
            return None
        last = 1.0 - float(needed @ y)
        signed = np.zeros(len(self.free))
        np.add.at(signed, upper, y[: len(upper)])
        np.subtract.at(signed, lower, y[len(upper) :])
        return signed * (scale / last)

    def _on_face(self, w: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Point and multipliers with the rows of y != 0 at the bound that the sign names, as equalities."""
        active, exact = np.flatnonzero(y), np.zeros_like(y)
        if not len(active):
            return w, exact
        rows = self.within[active]
        bound = np.where(y[active] > 0, self.high[active], self.low[active])
        span, triangle, order = scipy.linalg.qr(rows.T, mode="economic", pivoting=True)
        rank = int(np.sum(np.abs(np.diag(triangle)) > 1e-12 * max(rows.shape)))
        span, triangle, order = span[:, :rank], triangle[:rank, :rank], order[:rank]
        v = w
        for _ in range(2):  # the second pass removes the rounding of the first, which is relative to w
            v = v + span @ scipy.linalg.solve_triangular(triangle, (bound - rows @ v)[order], trans="T")
        exact[active[order]] = scipy.linalg.solve_triangular(triangle, span.T @ (w - v))
        return v, exact

    def _violation(self, v: np.ndarray) -> np.ndarray:
        """How far each inequality is beyond its bound, with its sign."""
        level = self.within @ v
        return level - np.clip(level, self.low, self.high)

    def _gap(self, v: np.ndarray, y: np.ndarray) -> float:
        """Sum of |y_i| (distance of row i from the bound it is held to), plus e |y|_1 + e^2 with the largest violation e."""
        level = self.within @ v
        held = np.where(y > 0, self.high, np.where(y < 0, self.low, level))
        worst = float(np.abs(self._violation(v)).max(initial=0.0))
        return float(np.abs(y) @ np.abs(held - level)) + worst * (float(np.abs(y).sum()) + worst)

    def project(self, x: np.ndarray) -> Face:
        """The projection of one point: the active set by nonnegative least squares, then exactly on its face."""
        w = self.basis.T @ (x - self.anchor)
        violation = self._violation(w)
        v, y, count = w, np.zeros(len(self.free)), 0
        if np.any(violation):
            scale = float(np.abs(violation).max())
            v, y, count, exact = self._finish(w, self._augmented(w, scale))
            if not exact:  # dependent rows: nonnegative least squares picks independent ones
                found = self._least_distance(w, scale)
                other = self._finish(w, violation if found is None else found)
                if self._gap(other[0], other[1]) <= self._gap(v, y):
                    v, y, count = other[0], other[1], count + other[2]
        point, multipliers = self.anchor + self.basis @ v, np.zeros(len(self.rows))
        multipliers[self.free] = y
        multipliers[self.fixed] = self.pseudoinverse.T @ (x - point - self.rows.T @ multipliers)
        return Face(point, multipliers, 0.5 * self._gap(v, y), count)

    def _finish(self, w: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, bool]:
        """Exact on the face of y; then, if need be, changes of the face: wrong signs leave it, violated rows join it."""
        start = w - self.within.T @ y
        best = (self._gap(start, y), start, y)
        for count in range(1, FINISHES + 1):
            v, exact = self._on_face(w, y)
            wrong = exact * y < 0
            violation = self._violation(v)
            beyond = np.abs(violation) > 64 * EPSILON * (
                1.0 + np.abs(v).max(initial=0.0) + np.abs(violation[y != 0]).max(initial=0.0)
            )
            joining = beyond & (exact == 0)
            settled = not np.any(wrong) and not np.any(joining)
            gap = self._gap(v, exact)
            if settled or (not np.any(wrong) and gap < best[0]):
                best = (gap, v, exact)
            if settled:
                return v, exact, count, True
            y = np.where(joining, violation, np.where(wrong, 0.0, exact))
            if not np.any(y):
                break
        return best[1], best[2], FINISHES, False

    def active_basis(self, multipliers: np.ndarray) -> np.ndarray:
        """Orthonormal columns that span the equality rows and the rows with a multiplier."""
        held = (multipliers != 0) | (self.lower == self.upper)
        left, values, _ = np.linalg.svd(self.rows[held].T, full_matrices=False)
        return left[:, values > 1e-12 * max(self.rows.shape)]


def _newton_step(rows: np.ndarray, rho: float, slope: np.ndarray) -> np.ndarray:
    """(I + rho rows' rows)^-1 slope, by a factorisation on the smaller side."""
    k, n = rows.shape
    if k == 0:
        return slope
    if k < n:
        factor = scipy.linalg.cho_factor(np.eye(k) / rho + rows @ rows.T, check_finite=False)
        return slope - rows.T @ scipy.linalg.cho_solve(factor, rows @ slope, check_finite=False)
    factor = scipy.linalg.cho_factor(np.eye(n) + rho * (rows.T @ rows), check_finite=False)
    return scipy.linalg.cho_solve(factor, slope, check_finite=False)


@final
@dataclass(frozen=True, eq=False)
class Polyhedron(Iterative):
    """Indicator of {x : lower <= A x <= upper}; a row with lower = upper is an equality, infinite bounds are none.

    Parameters
    ----------
    A : array (m, n)
    lower, upper : float or array (m,)
        A set without points is refused with DataError.

    Notes
    -----
    prox: x - A' y; the multipliers y, positive at an upper and negative at a lower bound, by semismooth Newton steps in a
    method of multipliers, then exactly on the face that they find; for dependent active rows by nonnegative least squares.
    ``gap`` is half of sum_i |y_i| |a_i p - bound_i| + e |y|_1 + e^2, e the largest violation: sqrt(2 gap) bounds |p - prox(x)|
    when p is inside, and otherwise as far as y has the size of the exact multipliers. **Domain** the polyhedron. **Constants**
    mu = 0; no gradient. **Cost** on the host, row by row; once a singular value decomposition of the equality rows; then some
    ten factorisations of the size of n or of the number of active rows, whichever is smaller. **Derivative** of the prox: the
    projection J on the null space of the equalities and the rows with a multiplier != 0; in the bounds, where there is no
    equality: the pseudoinverse of these rows A_S; in A: -J dA' y - A_S^+ dA_S p.

    References
    ----------
    Lawson and Hanson (1974), Solving least squares problems. Li, Sun and Toh (2018), A highly efficient semismooth Newton
    augmented Lagrangian method for solving Lasso problems.

    Examples
    --------
    >>> import numpy as np
    >>> triangle = Polyhedron(np.array([[1.0, 1.0], [1.0, -1.0]]), -np.inf, np.array([1.0, 1.0]))
    >>> np.round(triangle.prox(np.array([3.0, 0.5])), 12) + 0.0
    array([1., 0.])
    """

    A: Any
    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        if not arrays.is_array(self.A) or self.A.ndim != 2:
            raise ShapeError("Polyhedron: A must be a matrix, an array of shape (rows, entries of x)")
        arrays.check_floating("Polyhedron: A", self.A)
        arrays.check_finite("Polyhedron: A", self.A)
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if shape_of(bound) not in ((), (1,), (self.A.shape[0],)):
                raise ShapeError(f"Polyhedron: {name} has shape {shape_of(bound)}, but A has {self.A.shape[0]} rows")
        check_bounds("Polyhedron", autodiff.detach(self.lower), autodiff.detach(self.upper))
        _ = self._system

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        A = np.array(
            [[1.0, 1.0, 1.0, 0.0, 0.0], [0.5, -1.0, 0.0, 2.0, 1.0], [0.0, 0.3, -1.0, 0.4, -2.0], [1.0, 0.0, 0.0, 0.0, 0.0]]
        )
        low, high = np.array([-0.3, -0.5, -0.2, 0.1]), np.array([0.4, 0.1, 0.5, 2.0])
        mixed = np.array([1.0, -np.inf, -0.2, 0.0])
        return (
            Sample(lambda a: cls(a(A), a(low), a(high)), (5,), lambda cp, y: [A @ y >= low, A @ y <= high]),
            Sample(
                lambda a: cls(a(A), a(mixed), a(np.array([1.0, 0.2, np.inf, 2.0]))),
                (5,),
                lambda cp, y: [A[0] @ y == 1.0, A[1] @ y <= 0.2, A[2] @ y >= -0.2, A[3] @ y >= 0.0, A[3] @ y <= 2.0],
            ),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def input_shape(self) -> Any:
        return (int(self.A.shape[1]),)

    @cached_property
    def _system(self) -> System:
        matrix = np.asarray(arrays.to_numpy(self.A), dtype=np.float64)

        def host(bound: Any) -> np.ndarray:
            values = arrays.to_numpy(bound) if arrays.is_array(bound) else bound
            return np.broadcast_to(np.asarray(values, dtype=np.float64), (len(matrix),))

        return System(matrix, host(self.lower), host(self.upper))

    def _check(self, x: Array) -> None:
        if x.ndim != self.batch_ndim + 1 or x.shape[-1] != self.A.shape[1]:
            raise ShapeError(
                f"Polyhedron: x has shape {tuple(x.shape)}; a point has {self.A.shape[1]} entries, the columns of A"
            )

    def __call__(self, x: Array) -> Array:
        self._check(x)
        xp = arrays.namespace(x)
        level = x @ xp.matrix_transpose(self.A)
        terms = xp.abs(x) @ xp.matrix_transpose(xp.abs(self.A))
        slack = row_slack(terms, x, self.batch_ndim)
        inside = (level <= self.upper + slack) & (level >= self.lower - slack)
        return zero_or_infinity(xp.all(inside, axis=-1), x)

    def _faces(self, x: Array) -> list[Face]:
        rows = np.asarray(arrays.to_numpy(x), dtype=np.float64).reshape(-1, x.shape[-1])
        nothing = Face(np.full(x.shape[-1], np.nan), np.zeros(self.A.shape[0]), np.nan, 0)
        return [self._system.project(row) if np.all(np.isfinite(row)) else nothing for row in rows]

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        self._check(x)
        faces, target = self._faces(x), self.target_error(x, tolerance)
        point = arrays.from_numpy(np.array([face.point for face in faces]).reshape(x.shape), like=x)
        gap = np.array([face.gap for face in faces]).reshape(x.shape[:-1])
        bound = arrays.from_numpy((2.0 * gap) ** 0.5, like=target)
        converged = arrays.holds_everywhere((bound <= target) | (bound != bound))
        iterations = max((face.iterations for face in faces), default=0)
        return CertifiedProx(point, arrays.from_numpy(gap / float(step), like=target), bound, iterations, converged)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        bases = [self._system.active_basis(face.multipliers) for face in self._faces(autodiff.detach(x))]

        def apply(h: np.ndarray) -> np.ndarray:
            flat = h.reshape(-1, x.shape[-1])
            parts = [row - basis @ (basis.T @ row) for row, basis in zip(flat, bases, strict=True)]
            return np.array(parts).reshape(h.shape)

        return self_adjoint(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        system, faces = self._system, self._faces(autodiff.detach(x))
        shape, n, m = shape_of(x), int(x.shape[-1]), len(self._system.rows)
        maps: dict[str, LinearMap] = {"A": self._derivative_in_matrix(faces, x)}
        if len(system.fixed):
            return maps
        for name, bound, sign in (("lower", self.lower, -1.0), ("upper", self.upper, 1.0)):
            lifts = [self._lift(face.multipliers) * (sign * face.multipliers > 0) for face in faces]
            size = shape_of(bound)

            def forward(change: np.ndarray, lifts: Any = lifts) -> np.ndarray:
                spread = np.broadcast_to(change.reshape(-1), (m,))
                return np.array([lift @ spread for lift in lifts]).reshape((1, *shape))

            def backward(g: np.ndarray, lifts: Any = lifts, size: Any = size) -> np.ndarray:
                total = sum((lift.T @ row for lift, row in zip(lifts, g.reshape(-1, n), strict=True)), np.zeros(m))
                return np.asarray(total if size == (m,) else np.sum(total)).reshape((1, *size))

            maps[name] = HostMap(forward, backward, size, shape, float(len(faces)), like=x)
        return maps

    def _derivative_in_matrix(self, faces: list[Face], x: Array) -> LinearMap:
        system, (m, n), shape = self._system, self.A.shape, shape_of(x)
        parts = []
        for face in faces:
            basis, lift = system.active_basis(face.multipliers), self._lift(face.multipliers)
            parts.append((basis, lift, face.multipliers / system.norms, face.point))

        def forward(change: np.ndarray) -> np.ndarray:
            moved = []
            for basis, lift, y, p in parts:
                pull = change[0].T @ y
                moved.append(basis @ (basis.T @ pull) - pull - lift @ (change[0] @ p))
            return np.array(moved).reshape((1, *shape))

        def backward(g: np.ndarray) -> np.ndarray:
            total = np.zeros((1, m, n))
            for (basis, lift, y, p), row in zip(parts, g.reshape(-1, n), strict=True):
                total[0] += np.outer(y, basis @ (basis.T @ row) - row) - np.outer(lift.T @ row, p)
            return total

        return HostMap(forward, backward, (int(m), int(n)), shape, float(len(faces)) * 1e3, like=x)

    def _lift(self, multipliers: np.ndarray) -> np.ndarray:
        """The pseudoinverse of the equality rows and of the rows with a multiplier, 0 for the others."""
        system = self._system
        active = np.flatnonzero((multipliers != 0) | (system.lower == system.upper))
        lift = np.zeros((system.rows.shape[1], len(system.rows)))
        lift[:, active] = np.linalg.pinv(system.rows[active]) / system.norms[active]
        return lift

    def value_formula(self, x: str) -> str:
        return f"i(lower <= A {x} <= upper)"
