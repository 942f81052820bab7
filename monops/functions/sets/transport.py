"""Polytopes of transport plans and of doubly stochastic matrices: projection by Newton's method on the dual, on the host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np
import scipy.linalg

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.feasibility import zero_or_infinity
from monops.functions.hosted import self_adjoint
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap

__all__ = ["Birkhoff", "TransportPolytope"]

NEWTON_LIMIT = 200  # Newton steps on each level; 3 to 30 are used
EPSILON = float(np.finfo(float).eps)


class Plan(NamedTuple):
    """The plan, a matrix that is positive where it is up to rounding, the bound of the error, and the Newton steps."""

    point: np.ndarray
    face: np.ndarray
    error: float
    iterations: int


def _newton_move(
    mask: np.ndarray, slope_rows: np.ndarray, slope_columns: np.ndarray, shift: float
) -> tuple[np.ndarray, np.ndarray]:
    """-(H + shift)^-1 slope for H = [[diag(M 1), M], [M', diag(M' 1)]], M the mask, by the smaller Schur complement."""
    if mask.shape[0] < mask.shape[1]:
        columns, rows = _newton_move(mask.T, slope_columns, slope_rows, shift)
        return rows, columns
    first, second = mask.sum(axis=1) + shift, mask.sum(axis=0) + shift
    weighted = mask / first[:, None]
    schur = np.diag(second) - mask.T @ weighted
    right = slope_columns - weighted.T @ slope_rows
    columns = -scipy.linalg.solve(schur + (shift + 1e-14 * len(mask)) * np.eye(len(second)), right, assume_a="pos")
    return -(slope_rows + mask @ columns) / first, columns


class _Dual:
    """Minimises |X|^2/2 - <u, rows> - <v, columns> over the potentials u and v, X = max(y + u 1' + 1 v', 0)."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray) -> None:
        self.rows, self.columns = rows, columns

    def value(self, y: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """The dual value, y + u 1' + 1 v', and its slopes in u and v: the sums of X less what they should be."""
        level = y + u[:, None] + v[None]
        x = np.maximum(level, 0.0)
        height = 0.5 * float(np.sum(x * x)) - float(u @ self.rows) - float(v @ self.columns)
        return height, level, x.sum(axis=1) - self.rows, x.sum(axis=0) - self.columns

    def descend(
        self, y: np.ndarray, u: np.ndarray, v: np.ndarray, wanted: float, limit: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Newton steps until no sum is off by more than ``wanted``, or by rounding alone: u, v, the level, their number."""
        height, level, slope_rows, slope_columns = self.value(y, u, v)
        for count in range(limit):
            size = float(max(np.abs(slope_rows).max(), np.abs(slope_columns).max()))
            noise = 4 * EPSILON * float(np.abs(u).max() + np.abs(v).max() + np.abs(y).max())
            if size <= max(wanted, noise):
                return u, v, level, count
            moved_rows, moved_columns = _newton_move(
                (level > 0).astype(float), slope_rows, slope_columns, min(1e-3, 1e-2 * size)
            )
            steep = float(slope_rows @ moved_rows + slope_columns @ moved_columns)
            share = 1.0
            while True:
                trial = self.value(y, u + share * moved_rows, v + share * moved_columns)
                reached = max(np.abs(trial[2]).max(), np.abs(trial[3]).max())
                if trial[0] <= height + 1e-4 * share * steep or reached < 0.5 * size:
                    break
                share *= 0.5
                if share < 1e-10:  # no descent that could be resolved
                    return u, v, level, count
            u, v = u + share * moved_rows, v + share * moved_columns
            height, level, slope_rows, slope_columns = trial
        return u, v, level, limit


def project_plan(y: np.ndarray, rows: np.ndarray, columns: np.ndarray, limit: int) -> Plan:
    """The projection of one matrix; a far one is approached by factors of 10, because then the potentials grow with it."""
    m, n = y.shape
    scale = max(float(np.abs(y).max()), float(rows.max()), float(columns.max()))
    if scale == 0:
        return Plan(np.zeros_like(y), np.zeros_like(y), 0.0, 0)
    given, rows, columns = y / scale, rows / scale, columns / scale
    total = float(rows.sum())
    given = given - given.mean(axis=1, keepdims=True) - given.mean(axis=0, keepdims=True) + given.mean()
    dual = _Dual(rows, columns)
    near = max(total / min(m, n), 1e-16)
    levels = max(math.ceil(math.log10(max(float(np.abs(given).max()) / near, 1e-16))), 0)
    u, v, count = rows / n - total / (m * n), columns / m, 0
    for level in range(levels, 0, -1):
        u, v, _, used = dual.descend(given * 10.0**-level, u, v, 1e-2 * near, limit)
        u, v, count = 10.0 * u, 10.0 * v, count + used
    _, _, reached, used = dual.descend(given, u, v, 0.0, limit)
    x = np.maximum(reached, 0.0)
    feasible = _round(x, rows, columns)
    away = feasible - x
    gap = 0.5 * float(np.sum(away * away)) + float(np.sum(feasible * np.maximum(-reached, 0.0)))
    error = math.sqrt(max(2.0 * gap, 0.0))
    if np.abs(away).max() <= 4 * EPSILON * (1.0 / scale + float(x.max())):  # keeps the exact zeros
        return Plan(x * scale, x, (error + float(np.linalg.norm(away))) * scale, count + used)
    return Plan(feasible * scale, x, error * scale, count + used)


def _round(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A nearby plan with exactly these sums (Altschuler, Weed and Rigollet 2017): shrink what is too large, fill up."""
    sums = x.sum(axis=1)
    x = x * np.minimum(1.0, rows / np.where(sums > 0, sums, 1.0))[:, None]
    sums = x.sum(axis=0)
    x = x * np.minimum(1.0, columns / np.where(sums > 0, sums, 1.0))[None]
    short_rows = np.maximum(rows - x.sum(axis=1), 0.0)
    short_columns = np.maximum(columns - x.sum(axis=0), 0.0)
    missing = short_columns.sum()
    return x if missing == 0 else x + np.outer(short_rows, short_columns / missing)


@final
@dataclass(frozen=True, eq=False)
class TransportPolytope(Iterative):
    """Indicator of {X (m, n) : X >= 0, X 1 = row_sums, X' 1 = column_sums}; further axes index further matrices.

    Parameters
    ----------
    row_sums : array (m,) or tuple of m numbers
        At least 0.
    column_sums : array (n,) or tuple of n numbers
        At least 0, with the same total; `Birkhoff` (n) has ones in both.

    Notes
    -----
    prox: max(X + u 1' + 1 v', 0) with the potentials u and v that give the sums, by semismooth Newton steps with a line search
    on the dual problem; exact up to rounding at the end. ``gap`` is |Q - P|^2/2 + <Q, max(-(X + u 1' + 1 v'), 0)> with Q a
    plan rounded to exactly the right sums: no term cancels. **Domain** the polytope. **Constants** mu = 0; no gradient.
    **Cost** on the host, matrix by matrix: 5 to 30 factorisations of size min(m, n), some more for each power of ten of a far
    X. **Derivative** of the prox: the projection on {H : H = 0 where P = 0, all sums 0}; none in the sums, which cannot change
    one at a time.

    References
    ----------
    Li, Sun and Toh (2020), On the efficient computation of a generalized Jacobian of the projector over the Birkhoff polytope.
    Altschuler, Weed and Rigollet (2017) for the rounding.

    Examples
    --------
    >>> import numpy as np
    >>> plans = TransportPolytope((1.0, 1.0), (0.5, 1.5))
    >>> np.round(plans.prox(np.array([[3.0, 0.0], [0.0, 1.0]])), 12) + 0.0
    array([[0.5, 0.5],
           [0. , 1. ]])
    """

    row_sums: Any
    column_sums: Any

    def __post_init__(self) -> None:
        rows, columns = self._sums
        for name, sums in (("row_sums", rows), ("column_sums", columns)):
            if sums.ndim != 1 or not len(sums):
                raise ShapeError(f"TransportPolytope: {name} has shape {sums.shape}: it must have one axis, one number a line")
            if not np.all(np.isfinite(sums)) or np.any(sums < 0):
                raise DataError(f"TransportPolytope: {name} must be finite and >= 0, or the set is empty")
        loose = any(arrays.is_array(sums) and arrays.epsilon(sums) > 1e-10 for sums in (self.row_sums, self.column_sums))
        difference, total = abs(float(rows.sum() - columns.sum())), float(rows.sum())
        if difference > (1e-5 if loose else 1e-10) * total:
            raise DataError(
                f"TransportPolytope: row_sums add up to {total:.10g}, column_sums to {float(columns.sum()):.10g}: no matrix "
                "has both; divide each by its total"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        r, c = np.array([0.5, 1.0, 0.5]), np.array([0.25, 0.75, 0.5, 0.5])
        return (
            Sample(
                lambda a: cls((1.0,) * 3, (1.0,) * 3, tolerance=1e-13),
                (3, 3),
                lambda cp, y: [y >= 0, cp.sum(y, axis=0) == 1, cp.sum(y, axis=1) == 1],
            ),
            Sample(lambda a: cls(a(r), a(c)), (3, 4), lambda cp, y: [y >= 0, cp.sum(y, axis=1) == r, cp.sum(y, axis=0) == c]),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        both = (self.row_sums, self.column_sums)
        rows, columns = (
            np.asarray(arrays.to_numpy(sums) if arrays.is_array(sums) else sums, dtype=np.float64) for sums in both
        )
        return rows, columns

    def _check(self, x: Array) -> tuple[int, int]:
        shape = (len(self._sums[0]), len(self._sums[1]))
        if x.ndim < self.batch_ndim + 2 or tuple(x.shape[-2:]) != shape:
            raise ShapeError(f"TransportPolytope: x has shape {tuple(x.shape)}; its last two axes must be {shape}")
        return shape

    def __call__(self, x: Array) -> Array:
        m, n = self._check(x)
        xp = arrays.namespace(x)
        rows, columns = (arrays.from_numpy(sums, like=x) for sums in self._sums)
        slack = 16 * arrays.epsilon(x)
        magnitude = xp.abs(x)
        inside = xp.all(x >= -slack * arrays.clip(magnitude, 1.0, None), axis=(-2, -1))
        for axis, sums, count in ((-1, rows, n), (-2, columns, m)):
            loose = slack * (1.0 + math.log2(count)) * arrays.clip(xp.sum(magnitude, axis=axis), 1.0, None)
            inside = inside & xp.all(xp.abs(xp.sum(x, axis=axis) - sums) <= loose, axis=-1)
        axes = tuple(range(self.batch_ndim, inside.ndim))
        return zero_or_infinity(xp.all(inside, axis=axes) if axes else inside, x)

    def _plans(self, x: Array) -> list[Plan]:
        shape = self._check(x)
        rows, columns = self._sums
        columns = columns * (rows.sum() / columns.sum()) if columns.sum() > 0 else columns
        given = np.asarray(arrays.to_numpy(x), dtype=np.float64).reshape(-1, *shape)
        nothing = Plan(np.full(shape, np.nan), np.zeros(shape), math.nan, 0)
        limit = min(self.max_iter, NEWTON_LIMIT)
        return [project_plan(one, rows, columns, limit) if np.all(np.isfinite(one)) else nothing for one in given]

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        plans, target = self._plans(x), self.target_error(x, tolerance)
        point = arrays.from_numpy(np.array([plan.point for plan in plans]).reshape(x.shape), like=x)
        batch = tuple(x.shape[: self.batch_ndim])
        squares = np.array([plan.error for plan in plans]).reshape((*batch, -1)) ** 2
        squared = arrays.from_numpy(np.sum(squares, axis=-1), like=target)
        bound = arrays.namespace(x).sqrt(squared)
        converged = arrays.holds_everywhere((bound <= target) | (bound != bound))
        return CertifiedProx(point, squared / (2.0 * step), bound, max((p.iterations for p in plans), default=0), converged)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        m, n = self._check(x)
        masks = [(plan.face > 0).astype(float) for plan in self._plans(autodiff.detach(x))]
        inverses = []
        for mask in masks:
            system = np.block([[np.diag(mask.sum(axis=1)), mask], [mask.T, np.diag(mask.sum(axis=0))]])
            inverses.append(np.linalg.pinv(system, rcond=1e-12, hermitian=True))

        def one(h: np.ndarray, mask: np.ndarray, inverse: np.ndarray) -> np.ndarray:
            kept = mask * h
            potentials = inverse @ np.concatenate([kept.sum(axis=1), kept.sum(axis=0)])
            return kept - mask * (potentials[:m, None] + potentials[None, m:])

        def apply(h: np.ndarray) -> np.ndarray:
            parts = zip(h.reshape(-1, m, n), masks, inverses, strict=True)
            return np.array([one(*part) for part in parts]).reshape(h.shape)

        return self_adjoint(apply, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"i({x} >= 0, {x} 1 = r, {x}' 1 = c)"


def Birkhoff(n: int, batch_ndim: int = 0) -> TransportPolytope:
    """Indicator of the doubly stochastic (n, n) matrices, the convex hull of the permutation matrices.

    Parameters
    ----------
    n : int
        At least 1.
    batch_ndim : int
        As in every function.

    Examples
    --------
    >>> import numpy as np
    >>> np.round(Birkhoff(2).prox(np.array([[2.0, 0.0], [0.0, 0.0]])), 12) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    if n < 1:
        raise DataError(f"Birkhoff: n={n!r} must be at least 1")
    return TransportPolytope((1.0,) * n, (1.0,) * n, batch_ndim=batch_ndim)
