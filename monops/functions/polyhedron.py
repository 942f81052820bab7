"""Polyhedra {lower <= A x <= upper}: projection by an active-set method on the multipliers, on the host."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
import scipy.linalg
import scipy.optimize

from monops import arrays
from monops.arrays import Array
from monops.errors import BackendError, DataError, ShapeError
from monops.functions.feasibility import check_bounds, row_slack, zero_or_infinity
from monops.functions.hosted import HostMap, self_adjoint
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap

__all__ = ["Polyhedron"]

FINISHES = 20  # changes of the active set that the exact finish may try; it needs one or two


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
        count = self.basis.shape[1]
        near = np.clip(0.0, self.low, self.high)
        if not np.any(near):
            return  # the anchor is inside
        y = self._least_distance(np.zeros(count), 1.0 + np.abs(near).max())
        if y is None:
            raise DataError(
                "Polyhedron: no x satisfies lower <= A x <= upper: the set is empty; some rows contradict each other, widen "
                "their bounds"
            )

    def _least_distance(self, w: np.ndarray, scale: float) -> np.ndarray | None:
        """Multipliers of the projection of w, by nonnegative least squares; None where the set is empty.

        With all inequalities as G v >= h for v = (point - w)/scale, the smallest v is -r/r_last with the residual r of min |E y -
        e_last| over y >= 0, E = (G, h)* (Lawson and Hanson 1974, least distance programming).
        """
        level = self.within @ w
        upper, lower = np.flatnonzero(np.isfinite(self.high)), np.flatnonzero(np.isfinite(self.low))
        system = np.concatenate([-self.within[upper], self.within[lower]])
        needed = np.concatenate([(level - self.high)[upper], (self.low - level)[lower]]) / scale
        target = np.zeros(len(w) + 1)
        target[-1] = 1.0
        matrix = np.concatenate([system.T, needed[None]])
        y, size = scipy.optimize.nnls(matrix, target, maxiter=30 * max(matrix.shape))
        if size < 1e-8:
            return None
        last = 1.0 - float(needed @ y)
        signed = np.zeros(len(self.free))
        np.add.at(signed, upper, y[: len(upper)])
        np.subtract.at(signed, lower, y[len(upper) :])
        return signed * (scale / last)

    def _on_face(self, w: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Point and multipliers with the rows of y != 0 at the bound that the sign names, as equalities."""
        active = np.flatnonzero(y)
        rows = self.within[active]
        bound = np.where(y[active] > 0, self.high[active], self.low[active])
        exact = np.zeros_like(y)
        if len(active):
            exact[active] = scipy.linalg.lstsq(rows.T, w, lapack_driver="gelsy")[0]
            nearest = scipy.linalg.lstsq(rows, bound - rows @ w, lapack_driver="gelsy")[0]
            exact[active] = scipy.linalg.lstsq(rows.T, -nearest, lapack_driver="gelsy")[0]
        return w - rows.T @ exact[active], exact

    def _violation(self, v: np.ndarray) -> np.ndarray:
        """How far each inequality is beyond its bound, with its sign."""
        level = self.within @ v
        return level - np.clip(level, self.low, self.high)

    def _gap(self, v: np.ndarray, y: np.ndarray) -> float:
        """Sum of |y_i| (distance of row i from the bound it is held to), and |y|_1 times the largest violation."""
        level = self.within @ v
        held = np.where(y > 0, self.high, np.where(y < 0, self.low, level))
        return float(np.abs(y) @ np.abs(held - level) + np.abs(y).sum() * np.abs(self._violation(v)).max(initial=0.0))

    def project(self, x: np.ndarray) -> Face:
        """The projection of one point: the active set by nonnegative least squares, then exactly on its face."""
        w = self.basis.T @ (x - self.anchor)
        violation = self._violation(w)
        y, count = np.zeros(len(self.free)), 0
        v = w
        if np.any(violation):
            scale = float(np.abs(violation).max())
            found = self._least_distance(w, scale)
            if found is None:  # lost to rounding: the face search below starts from the violated rows
                found = violation
            v, y, count = self._finish(w, found)
        multipliers = np.zeros(len(self.rows))
        multipliers[self.free] = y
        point = self.anchor + self.basis @ v
        rest = x - point - self.rows.T @ multipliers
        multipliers[self.fixed] = self.pseudoinverse.T @ rest
        return Face(point, multipliers, 0.5 * self._gap(v, y), count)

    def _finish(self, w: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Exact on the face of y; then, if need be, changes of the face: wrong signs leave it, violated rows join it."""
        start = w - self.within.T @ y
        best = (self._gap(start, y), start, y)
        tolerance = 64 * np.finfo(float).eps
        for count in range(1, FINISHES + 1):
            v, exact = self._on_face(w, y)
            wrong = exact * y < 0
            kept = np.where(wrong, 0.0, exact)
            violation = self._violation(v)
            beyond = np.abs(violation) > tolerance * (1.0 + np.abs(v).max(initial=0.0) + np.abs(w).max(initial=0.0))
            if not np.any(wrong):
                gap = self._gap(v, exact)
                if gap <= best[0] or not np.any(beyond):
                    best = (gap, v, exact)
            if not np.any(wrong) and not np.any(beyond & (exact == 0)):
                break
            y = np.where(beyond & (kept == 0), violation, kept)
        return best[1], best[2], count

    def active_basis(self, multipliers: np.ndarray) -> np.ndarray:
        """Orthonormal columns that span the equality rows and the rows with a multiplier."""
        held = (multipliers != 0) | (self.lower == self.upper)
        left, values, _ = np.linalg.svd(self.rows[held].T, full_matrices=False)
        return left[:, values > 1e-12 * max(self.rows.shape)]


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
    prox: x - A' y; the multipliers y, positive at an upper and negative at a lower bound, by the active-set method of
    nonnegative least squares on the dual problem, then exactly on the face that it finds. ``gap`` is half of sum_i |y_i|
    |a_i p - bound_i| + |y|_1 max violation: sqrt(2 gap) bounds |p - prox(x)| when p is inside, and otherwise as far as y has the
    size of the exact multipliers. **Domain** the polyhedron. **Constants** mu = 0; no gradient. **Cost** on the host, row by
    row; once a singular value decomposition of the equality rows; then for k active rows about k products with A and k
    small updates, and a least-squares solve with k columns. **Derivative** of the prox: the projection on the null space of
    the rows with a multiplier != 0 (so the identity at points of the set); in the bounds: the pseudoinverse of these rows,
    where there is no equality.

    References
    ----------
    Lawson and Hanson (1974), Solving least squares problems. Goldfarb and Idnani (1983), A numerically stable dual method for
    solving strictly convex quadratic programs.

    Examples
    --------
    >>> import numpy as np
    >>> triangle = Polyhedron(np.array([[1.0, 1.0], [1.0, -1.0]]), -np.inf, np.array([1.0, 1.0]))
    >>> np.round(triangle.prox(np.array([3.0, 0.5])), 12)
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
        if arrays.tracks_gradient(self.A):
            raise BackendError("Polyhedron: the projection has no derivative in A here: pass A.detach()")
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if shape_of(bound) not in ((), (1,), (self.A.shape[0],)):
                raise ShapeError(f"Polyhedron: {name} has shape {shape_of(bound)}, but A has {self.A.shape[0]} rows")
        check_bounds("Polyhedron", arrays.detach(self.lower), arrays.detach(self.upper))
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
        bases = [self._system.active_basis(face.multipliers) for face in self._faces(arrays.detach(x))]

        def apply(h: np.ndarray) -> np.ndarray:
            flat = h.reshape(-1, x.shape[-1])
            parts = [row - basis @ (basis.T @ row) for row, basis in zip(flat, bases, strict=True)]
            return np.array(parts).reshape(h.shape)

        return self_adjoint(apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        system = self._system
        if len(system.fixed):
            return {}
        faces = self._faces(arrays.detach(x))
        maps: dict[str, LinearMap] = {}
        for name, bound, sign in (("lower", self.lower, -1.0), ("upper", self.upper, 1.0)):
            lifts = [self._lift(face.multipliers, sign) for face in faces]
            shape = shape_of(bound)

            def forward(change: np.ndarray, lifts: Any = lifts) -> np.ndarray:
                spread = np.broadcast_to(change.reshape(-1), (len(system.rows),))
                return np.array([lift @ spread for lift in lifts]).reshape((1, *shape_of(x)))

            def backward(g: np.ndarray, lifts: Any = lifts, shape: Any = shape) -> np.ndarray:
                flat = g.reshape(-1, x.shape[-1])
                total = sum((lift.T @ row for lift, row in zip(lifts, flat, strict=True)), np.zeros(len(system.rows)))
                return (total if shape == (len(system.rows),) else np.sum(total)).reshape((1, *shape))

            maps[name] = HostMap(forward, backward, shape, shape_of(x), float(len(faces)), like=x)
        return maps

    def _lift(self, multipliers: np.ndarray, sign: float) -> np.ndarray:
        """Derivative of the projection in the bounds of one side: columns of the pseudoinverse of the active rows."""
        system = self._system
        active = np.flatnonzero(multipliers)
        lift = np.zeros((system.rows.shape[1], len(system.rows)))
        lift[:, active] = np.linalg.pinv(system.rows[active]) / system.norms[active]
        return lift * (multipliers * sign > 0)

    def value_formula(self, x: str) -> str:
        return f"i(lower <= A {x} <= upper)"
