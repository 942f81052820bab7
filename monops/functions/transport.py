"""Polytopes of transport plans and of doubly stochastic matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import BackendError, DataError, ShapeError
from monops.functions.feasibility import entry_slack, nonzero, zero_or_infinity
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap, SelfAdjointMap

__all__ = ["Birkhoff", "TransportPolytope"]

PASSES = 3  # each in the units of the last answer, for the rounding of a far away X is not that of a plan
HALVINGS = 40
FALL = 4.0
PATIENCE = 40  # steps without progress, in sums, that the dual ascent may take


class _Plans:
    """The polytope with its sums in the dtype and on the device of X, in given units; X as (points, rows, columns)."""

    def __init__(self, rows: Array, columns: Array) -> None:
        self.rows, self.columns = rows, columns

    def missing(self, plan: Array) -> tuple[Array, Array]:
        """Wanted minus attained sums of the rows and of the columns."""
        xp = arrays.namespace(plan)
        return self.rows - xp.sum(plan, axis=-1), self.columns - xp.sum(plan, axis=-2)

    def level_rows(self, z: Array) -> Array:
        """z minus, in each row, the number that makes the positive part of the row have its sum."""
        return z - _threshold(z, self.rows)[..., None]

    def level_columns(self, z: Array) -> Array:
        """The same for the columns."""
        xp = arrays.namespace(z)
        return z - _threshold(xp.matrix_transpose(z), self.columns)[..., None, :]

    def newton(self, z: Array) -> Array:
        """z, level in the rows, after a damped Newton step on the multipliers v of the columns; u follows exactly."""
        xp = arrays.namespace(z)
        plan, mask = _positive(z), xp.astype(z > 0, z.dtype)
        _, missing = self.missing(plan)
        reach = xp.max(self.rows, axis=-1, keepdims=True)
        off = xp.max(xp.abs(missing), axis=-1, keepdims=True)
        ridge = arrays.clip(0.1 * off / nonzero(reach), 32 * arrays.epsilon(z), 1e-3)
        shared = mask / nonzero(xp.sum(mask, axis=-1))[..., None]
        there = nonzero(xp.sum(mask, axis=-2)) + ridge
        eye = xp.eye(z.shape[-1], dtype=z.dtype, device=arrays.device(z))
        v = xp.linalg.solve(there[..., None] * eye - xp.matrix_transpose(mask) @ shared, -missing[..., None])[..., 0]
        slope, linear = xp.sum(missing * v, axis=-1), xp.sum(self.columns * v, axis=-1)
        length, value = xp.ones_like(slope), _half_square(plan)
        for _ in range(HALVINGS):
            moved = z - (length[..., None] * v)[..., None, :]
            u = _threshold(moved, self.rows)
            moved = moved - u[..., None]
            now, in_rows, in_columns = _half_square(_positive(moved)), xp.sum(self.rows * u, axis=-1), length * linear
            noise = 8 * arrays.epsilon(z) * (value + now + xp.abs(in_rows) + xp.abs(in_columns))
            good = now - value + in_rows + in_columns <= 1e-4 * length * slope + noise
            if arrays.holds_everywhere(good):
                break
            length = xp.where(good, length, 0.5 * length)
        return xp.where(xp.isfinite(moved), moved, z)


def _positive(z: Array) -> Array:
    return arrays.clip(z, 0.0, None)


def _half_square(x: Array) -> Array:
    return 0.5 * arrays.namespace(x).sum(x * x, axis=(-2, -1))


def _threshold(z: Array, total: Array) -> Array:
    """The t with sum of max(z - t, 0) = total along the last axis: the largest of (the k largest - total)/k."""
    xp = arrays.namespace(z)
    count = xp.cumulative_sum(xp.ones_like(z), axis=-1)
    return xp.max((xp.cumulative_sum(xp.sort(z, axis=-1, descending=True), axis=-1) - total[..., None]) / count, axis=-1)


def _repair(plan: Array, rows: Array, columns: Array) -> Array:
    """A plan with exactly these sums: rows, then columns, scaled down, and what is missing added as a matrix of rank one."""
    xp = arrays.namespace(plan)
    now = xp.sum(plan, axis=-1)
    plan = plan * xp.where(now > rows, rows / nonzero(now), xp.ones_like(now))[..., None]
    now = xp.sum(plan, axis=-2)
    plan = plan * xp.where(now > columns, columns / nonzero(now), xp.ones_like(now))[..., None, :]
    in_rows, in_columns = _positive(rows - xp.sum(plan, axis=-1)), _positive(columns - xp.sum(plan, axis=-2))
    total = nonzero(xp.sum(in_rows, axis=-1))
    return plan + (in_rows / total[..., None])[..., None] * in_columns[..., None, :]


@final
@dataclass(frozen=True, eq=False)
class TransportPolytope(Iterative):
    """Indicator of {X >= 0 : X 1 = row_sums, X' 1 = column_sums}, on the last two axes; other axes index further plans.

    Parameters
    ----------
    row_sums, column_sums : sequence of float, or array
        At least 0, with the same total, or no plan exists: DataError. They are constants: no derivative in them.
    tolerance : float, optional
        As in Iterative.

    Notes
    -----
    prox: max(Z, 0), Z = X - u 1' - 1 v' with the multipliers u, v that make the sums right; by damped Newton steps on the dual
    problem in v, where u follows exactly, each followed by the exact minimisation in v and then in u. The certificate: P = max(
    Z, 0), or a feasible repair of it where its sums are not yet right to rounding, has the gap |P - max(Z, 0)|^2/2 + <P, max(-Z,
    0)>. **Domain** the polytope. **Constants** mu = 0; no gradient. **Cost** for m x n plans a few steps, each with a system of
    size n and some sorts of all rows; for an X far away, nearly a linear program, a few for each factor 4 between X and the
    sums. **Derivative** of the prox: on the entries with Z > 0 the projection on the matrices with row and column sums 0; 0 on
    the others.

    References
    ----------
    Li, Sun and Toh (2020), On the efficient computation of a generalized Jacobian of the projector over the Birkhoff polytope.
    Altschuler, Weed and Rigollet (2017), Near-linear time approximation algorithms for optimal transport, for the repair.

    Examples
    --------
    >>> import numpy as np
    >>> TransportPolytope([1.0, 2.0], [1.5, 1.5]).prox(np.array([[1.0, 0.0], [0.0, 0.5]])).round(12)
    array([[0.875, 0.125],
           [0.625, 1.375]])
    """

    row_sums: Any
    column_sums: Any

    def __post_init__(self) -> None:
        for name in ("row_sums", "column_sums"):
            if arrays.is_array(getattr(self, name)) and arrays.tracks_gradient(getattr(self, name)):
                raise BackendError(f"TransportPolytope: the projection has no derivative in {name}: pass {name}.detach()")
        rows, columns = self._sums
        for name, sums in (("row_sums", rows), ("column_sums", columns)):
            if sums.ndim != 1 or not sums.size:
                raise ShapeError(f"TransportPolytope: {name} must be a sequence of numbers, got the shape {sums.shape}")
            if not np.all(np.isfinite(sums) & (sums >= 0)):
                raise DataError(f"TransportPolytope: {name} must be finite and at least 0, or no plan exists")
        total, other = float(rows.sum()), float(columns.sum())
        precision = min(self._precision(self.row_sums), self._precision(self.column_sums))
        if abs(total - other) > 8 * 10.0**-precision * (total + other):
            raise DataError(
                f"TransportPolytope: row_sums add to {total:.16g} and column_sums to {other:.16g}: no plan has both; scale one "
                "of them, for example column_sums * (row_sums.sum() / column_sums.sum())"
            )

    @staticmethod
    def _precision(sums: Any) -> float:
        """Digits of the numbers: those of the dtype of an array."""
        return 15.0 if not arrays.is_array(sums) or arrays.epsilon(sums) < 1e-10 else 6.0

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        r, c = np.array([0.5, 1.0, 1.5]), np.array([0.7, 1.1, 0.2, 1.0])

        def reference(cp: Any, y: Any) -> Any:
            return [y >= 0, cp.sum(y, axis=1) == r, cp.sum(y, axis=0) == c]

        def doubly(cp: Any, y: Any) -> Any:
            return [y >= 0, cp.sum(y, axis=1) == 1, cp.sum(y, axis=0) == 1]

        return (
            Sample(lambda a: cls(list(r), list(c)), (3, 4), reference),
            Sample(lambda a: Birkhoff(4), (4, 4), doubly, scale=0.5),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @cached_property
    def _sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column sums on the host."""
        rows, columns = (
            np.asarray(arrays.to_numpy(sums) if arrays.is_array(sums) else sums, dtype=np.float64)
            for sums in (self.row_sums, self.column_sums)
        )
        return rows, columns

    def _check(self, x: Array) -> None:
        wanted = tuple(len(sums) for sums in self._sums)
        if x.ndim < self.batch_ndim + 2 or tuple(x.shape[-2:]) != wanted:
            raise ShapeError(f"TransportPolytope: x has shape {tuple(x.shape)}; its last two axes must be {wanted}")

    def __call__(self, x: Array) -> Array:
        self._check(x)
        xp = arrays.namespace(x)
        rows, columns = (arrays.from_numpy(sums, like=x) for sums in self._sums)
        in_rows, in_columns = _Plans(rows, columns).missing(x)
        wide = self._slack(x)[..., None]
        inside = xp.all(x >= -entry_slack(x), axis=(-2, -1))
        inside = inside & xp.all(xp.abs(in_rows) <= wide, axis=-1) & xp.all(xp.abs(in_columns) <= wide, axis=-1)
        axes = tuple(range(self.batch_ndim, inside.ndim))
        return zero_or_infinity(xp.all(inside, axis=axes) if axes else inside, x)

    def _slack(self, plan: Array) -> Array:
        """What the sums of each plan may be off: their rounding."""
        xp = arrays.namespace(plan)
        length = max(plan.shape[-2:])
        most = xp.max(xp.sum(xp.abs(plan), axis=-1), axis=-1)
        return 16 * arrays.epsilon(plan) * (1.0 + math.log2(length)) * arrays.clip(most, 1.0, None)

    def _find(self, x: Array, goal: Any) -> tuple[Array, int]:
        """Z = X - u 1' - 1 v' with max(Z, 0) in the polytope, for X as (points, rows, columns); and the number of steps.

        For an X far away, nearly a linear program, sums that are larger come first: they fall to the wanted ones by factors.
        """
        xp = arrays.namespace(x)
        rows, columns = (arrays.from_numpy(sums, like=x) for sums in self._sums)
        largest = xp.max(rows)
        size = xp.max(xp.abs(x), axis=(-2, -1), keepdims=True)
        scale = nonzero(xp.maximum(size, largest))
        z, steps, precision = x / scale, 0, 4 * arrays.epsilon(x)
        grown = arrays.clip(size / nonzero(largest), 1.0, 1.0 / arrays.epsilon(x))[..., 0]
        while not arrays.holds_everywhere(~(grown > 1.0)):
            larger = _Plans(grown * rows / scale[..., 0], grown * columns / scale[..., 0])
            z, count = self._improve(larger, z, 1e-3, precision)
            steps, grown = steps + count, arrays.clip(grown / FALL, 1.0, None)
            if steps >= self.max_iter:
                break
        for number in range(PASSES):
            plans = _Plans(rows / scale[..., 0], columns / scale[..., 0])
            z, count = self._improve(plans, z, precision, 0.0 if number else precision)
            z, steps = scale * z, steps + count
            scale = nonzero(largest + 0.0 * scale)
            in_columns = columns - xp.sum(_positive(z), axis=-2)
            if arrays.holds_everywhere(~(xp.max(xp.abs(in_columns), axis=-1) > goal)):
                break
            z = z / scale
        else:
            z = scale * z
        return z, steps

    def _improve(self, plans: _Plans, z: Array, precision: float, rounding: float) -> tuple[Array, int]:
        """Dual steps until the sums of the columns are right to ``precision`` of the largest of a row, or to ``rounding``."""
        xp = arrays.namespace(z)
        z, steps, best, idle = plans.level_rows(plans.level_columns(plans.level_rows(z))), 0, None, 0
        reach = xp.max(xp.abs(plans.rows), axis=-1)
        while steps < self.max_iter and idle < PATIENCE:
            _, in_columns = plans.missing(_positive(z))
            off = xp.max(xp.abs(in_columns), axis=-1)
            if arrays.holds_everywhere(~(off > precision * reach + rounding)):
                break
            lower = off if best is None else xp.minimum(off, best)
            idle = 0 if best is None or not arrays.holds_everywhere(lower > 0.9 * best) else idle + 1
            steps, best = steps + 1, lower
            z = plans.level_rows(plans.level_columns(plans.newton(z)))
        return z, steps

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        self._check(x)
        xp = arrays.namespace(x)
        flat = xp.reshape(x, (-1, *x.shape[-2:]))
        rows, columns = (arrays.from_numpy(sums, like=x) for sums in self._sums)
        goal = 4 * arrays.epsilon(x) * (1.0 + xp.max(rows))
        with np.errstate(all="ignore"):
            z, steps = self._find(flat, goal)
            plan = _positive(z)
            repaired = _repair(plan, rows, columns)
        in_rows, in_columns = _Plans(rows, columns).missing(plan)
        off = xp.maximum(xp.max(xp.abs(in_rows), axis=-1), xp.max(xp.abs(in_columns), axis=-1))
        p = xp.where((off <= 0.5 * self._slack(plan))[..., None, None], plan, repaired)
        gap = _half_square(p - plan) + xp.sum(p * (plan - z), axis=(-2, -1))
        gap = arrays.row_sum(xp.reshape(gap, x.shape[:-2]), self.batch_ndim) / step
        error = xp.sqrt(2.0 * step * gap)
        converged = bool(xp.all(error <= self.target_error(x, tolerance)))
        return CertifiedProx(xp.reshape(p, x.shape), gap, error, steps, converged)

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        self._check(x)
        xp = arrays.namespace(x)
        flat = xp.reshape(arrays.detach(x), (-1, *x.shape[-2:]))
        with np.errstate(all="ignore"):
            z, _ = self._find(flat, 0.0 * xp.sum(flat))
        mask = xp.astype(z > 0, z.dtype)
        many, few = z.shape[-2:]
        eyes = [xp.eye(size, dtype=z.dtype, device=arrays.device(z)) for size in (many, few)]
        above = xp.concat([xp.sum(mask, axis=-1)[..., None] * eyes[0], mask], axis=-1)
        below = xp.concat([xp.matrix_transpose(mask), xp.sum(mask, axis=-2)[..., None] * eyes[1]], axis=-1)
        values, vectors = xp.linalg.eigh(xp.concat([above, below], axis=-2))
        kept = values > 1e3 * (many + few) * arrays.epsilon(z)
        inverse = xp.where(kept, 1.0 / xp.where(kept, values, xp.ones_like(values)), xp.zeros_like(values))

        def apply(h: Array) -> Array:
            inner = mask * xp.reshape(h, z.shape)
            sums = xp.concat([xp.sum(inner, axis=-1), xp.sum(inner, axis=-2)], axis=-1)
            along = inverse * (xp.matrix_transpose(vectors) @ sums[..., None])[..., 0]
            multipliers = (vectors @ along[..., None])[..., 0]
            return xp.reshape(inner - mask * (multipliers[..., :many, None] + multipliers[..., None, many:]), h.shape)

        return SelfAdjointMap(apply, shape_of(x))

    def value_formula(self, x: str) -> str:
        return f"i({x} >= 0, {x} 1 = r, {x}' 1 = c)"


def Birkhoff(n: int, **options: Any) -> TransportPolytope:  # named like the set, as the classes are
    """The Birkhoff polytope of doubly stochastic n x n matrices; ``options`` as in `TransportPolytope`.

    Examples
    --------
    >>> import numpy as np
    >>> Birkhoff(2).prox(np.array([[3.0, 0.0], [0.0, 0.0]])).round(12)
    array([[1., 0.],
           [0., 1.]])
    """
    if n < 1:
        raise ShapeError(f"Birkhoff: n={n!r} must be at least 1")
    return TransportPolytope((1.0,) * n, (1.0,) * n, **options)
