"""Intersections of sets: projection by an accelerated dual method that needs only the projections on the single sets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.function import Function
from monops.functions.hosted import self_adjoint
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import LinearMap

__all__ = ["Intersection"]

CHECK_EVERY = 10  # iterations between certificates
FIRST_NEWTON, NEWTON_STEPS, DENSE = 10, 10, 300  # Newton after 10, 20, 40, ... iterations, for points of up to 300 entries
FIRST_GUESS = 40  # and after 80, 160, ... iterations: whether the intersection is empty
MOST_LEVELS, LEVEL_ITERATIONS = 16, 300  # on the way to a far point
FAR = 1e6  # no common point within this many times the size of x and of the nearest points: the intersection counts as empty


class Dual(NamedTuple):
    """The multipliers y_i of the sets, the points c_i of the sets that they are normal to, and p = x - sum of y_i."""

    multipliers: tuple[Array, ...]
    touched: tuple[Array, ...]
    point: Array


@final
@dataclass(frozen=True, eq=False)
class Intersection(Iterative):
    """Indicator of the intersection of convex sets.

    Parameters
    ----------
    sets : tuple of Function
        Indicators with a prox, of points of one shape (arrays, not Blocks).

    Notes
    -----
    prox: x - sum of y_i, with the multipliers y_i that minimise |x - sum y_i|^2/2 + sum of the support functions of the sets at
    y_i, the problem that Dykstra's algorithm descends on block by block: accelerated gradient steps with restart, all sets at
    once; for up to 300 entries after 10, 20, 40, ... of them semismooth Newton steps, kept where they lower the gap. The point
    c that is returned has last been projected on every set in turn; v_i is its distance from set i, c_i the point of set i
    where y_i is normal. ``gap`` is |p - c|^2/2 + sum <y_i, c_i - c> + sum |y_i| v_i, p = x - sum y_i: sqrt(2 gap) bounds |c -
    prox(x)| when every v_i is 0, and otherwise as far as |y_i| is the size of the exact multipliers; the error bound is never
    below the v_i. An empty intersection:
    any common point q has |q| >= -(sum <y_i, c_i>)/|sum y_i|; once that is a million times the size of x and of the c_i,
    DataError with the distance that remains between the sets. **Domain** the intersection. **Constants** mu = 0; no gradient.
    **Cost** two projections on each set every iteration: tens of iterations near the intersection, some for each power of ten
    of the distance of a far x; the Newton steps n products with each J_i and dense factorisations on the
    host. **Derivative** of the prox: from the derivatives J_i of the projections at c_i + y_i: with I - J_i = B_i B_i' and D
    the eigenvalues of J_i on these spaces: I - B (D + B' B)^+ B'; none in the data of the sets.

    References
    ----------
    Boyle and Dykstra (1986), A method for finding projections onto the intersection of convex sets in Hilbert spaces.
    Gaffke and Mathar (1989), A cyclic projection algorithm via duality. Beck and Teboulle (2009) and O'Donoghue and Candes
    (2015) for the acceleration and the restart.

    Examples
    --------
    >>> import numpy as np
    >>> from monops.functions import HalfSpace, NonNegative
    >>> f = Intersection((NonNegative(), HalfSpace(np.array([1.0, 1.0]), 1.0)))
    >>> np.round(f.prox(np.array([2.0, -3.0])), 6) + 0.0
    array([1., 0.])
    """

    sets: tuple[Function, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sets", tuple(self.sets))
        if not self.sets:
            raise DataError("Intersection needs at least one set")
        for part in self.sets:
            if not (part.is_indicator and part.is_convex and part.has_prox):
                raise DataError(f"Intersection: {type(part).__name__} is not the indicator of a convex set with a projection")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        from monops.functions.cones.cones import SecondOrderCone
        from monops.functions.sets.polyhedra import HalfSpace, Hyperplane
        from monops.functions.sets.sets import Box

        normal = np.array([1.0, 2.0, -1.0, 0.5, 1.0])

        def polyhedral(a: Any) -> Intersection:
            return cls((Box(-0.5, 1.0), Hyperplane(a(normal), 0.3)), tolerance=1e-13)

        def curved(a: Any) -> Intersection:
            return cls((SecondOrderCone(), HalfSpace(a(normal[:4]), 1.0)), tolerance=1e-13)

        return (
            Sample(
                polyhedral,
                (5,),
                lambda cp, y: [y >= -0.5, y <= 1.0, normal @ y == 0.3],
                accuracy=1e-8,
            ),
            Sample(curved, (4,), lambda cp, y: [cp.SOC(y[0], y[1:]), normal[:4] @ y <= 1.0], accuracy=1e-8),
        )

    @property
    def is_indicator(self) -> bool:
        return True

    @property
    def has_value(self) -> bool:
        return all(part.has_value for part in self.sets)

    @property
    def input_shape(self) -> Any:
        return next((part.input_shape for part in self.sets if part.input_shape is not None), None)

    def __call__(self, x: Array) -> Array:
        total = self.sets[0](x)
        for part in self.sets[1:]:
            total = total + part(x)
        return total

    @cached_property
    def _still(self) -> tuple[Function, ...]:
        """The sets, cut off from the record of derivatives."""
        return tuple(part.detached() for part in self.sets)

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        if isinstance(x, arrays.Blocks):
            raise ShapeError("Intersection: x is Blocks: intersect sets of one array, or join the arrays to one")
        point, gap, iterations, _ = self._solve(x, tolerance)
        allowed = self.target_error(x, tolerance)
        xp = arrays.namespace(x)
        error = xp.sqrt(2.0 * gap)
        for part in self._still:
            error = xp.maximum(error, arrays.norm(point - part.prox(point), self.batch_ndim))
        converged = arrays.holds_everywhere((error <= allowed) | (error != error))
        return CertifiedProx(point, gap / step, error, iterations, converged)

    def _solve(self, x: Array, tolerance: float | None) -> tuple[Array, Array, int, Dual]:
        """The point, its gap, the iterations, the multipliers. A far point is approached from near the sets, its distance
        growing by factors of about 10, because the multipliers of polyhedral sets grow in proportion.
        """
        xp, near, y = arrays.namespace(x), 0.0 * x, (0.0 * x,) * len(self.sets)
        for part in self._still:
            near = part.prox(near)
        size = 1.0 + arrays.norm(near, self.batch_ndim)
        ratio = arrays.clip(arrays.norm(x - near, self.batch_ndim) / size, 1.0, None)
        ratio = xp.where(ratio < math.inf, ratio, 1.0 + 0.0 * size)
        levels = min(math.ceil(math.log10(float(xp.max(ratio)))), MOST_LEVELS) if float(xp.max(ratio)) > 100.0 else 0
        count, factor = 0, ratio ** (1.0 / max(levels, 1))
        for level in range(levels, 0, -1):
            target = near + arrays.scale_rows(factor**-level, x - near)
            allowed = 1e-4 * (1.0 + arrays.norm(target, self.batch_ndim))
            *_, used, dual = self._descend(target, y, allowed, min(LEVEL_ITERATIONS, self.max_iter))
            y, count = tuple(arrays.scale_rows(factor, part) for part in dual.multipliers), count + used
        point, gap, used, dual = self._descend(x, y, self.target_error(x, tolerance), self.max_iter)
        return point, gap, count + used, dual

    def _descend(self, x: Array, y: tuple[Array, ...], allowed: Array, limit: int) -> tuple[Array, Array, int, Dual]:
        """Accelerated gradients on the multipliers of each row, from y, with the step 1/(number of sets)."""
        share, count, xp, ahead = 1.0 / len(self.sets), 0, arrays.namespace(x), y
        age = 1.0 + 0.0 * arrays.norm(x, self.batch_ndim)
        best: tuple[Array, Array] | None = None
        next_guess = FIRST_GUESS
        next_newton = FIRST_NEWTON if math.prod(x.shape[self.batch_ndim :]) <= DENSE else limit + 1
        while True:
            dual = self._step(x, ahead, share)
            moves = [new - old for new, old in zip(dual.multipliers, y, strict=True)]
            turned = [away - new for away, new in zip(ahead, dual.multipliers, strict=True)]
            uphill = sum((arrays.inner(a, b, self.batch_ndim) for a, b in zip(turned, moves, strict=True)), 0.0 * age)
            following = xp.where(uphill > 0, 1.0 + 0.0 * age, 0.5 * (1.0 + xp.sqrt(1.0 + 4.0 * age * age)))
            weight = xp.where(uphill > 0, 0.0 * age, (age - 1.0) / following)
            y = dual.multipliers
            ahead = tuple(new + arrays.scale_rows(weight, move) for new, move in zip(y, moves, strict=True))
            age = following
            count += 1
            if count % CHECK_EVERY and count < limit:
                continue
            point, gap, apart = self._certificate(dual)
            best = (point, gap) if best is None else _better(best, point, gap)
            if count >= next_newton and not arrays.holds_everywhere(2.0 * best[1] <= allowed * allowed):
                next_newton = 2 * count
                dual, better = self._newton(x, dual, gap)
                if not arrays.holds_everywhere(~better):
                    point, gap, apart = self._certificate(dual)
                    best = _better(best, point, gap)
                    y = dual.multipliers
                    ahead = tuple(arrays.select_rows(better, new, old) for new, old in zip(y, ahead, strict=True))
                    age = xp.where(better, 1.0 + 0.0 * age, age)
            ended = (2.0 * best[1] <= allowed * allowed) | ~(best[1] < math.inf)
            if arrays.holds_everywhere(ended) or count >= limit:
                return best[0], best[1], count, dual
            if count >= next_guess:  # the multipliers of an empty intersection run away along a line: look far ahead on it
                next_guess = 2 * count
                long = 1e11 * (1.0 + arrays.norm(x, self.batch_ndim))
                speed = sum((arrays.norm(move, self.batch_ndim) for move in moves), 0.0 * gap)
                factor = long / xp.where(speed > 0, speed, 1.0 + 0.0 * speed)
                far = tuple(arrays.scale_rows(factor, move) for move in moves)
                self._refuse_if_empty(x, self._step(x, far, share), apart, ended, count)

    def _step(self, x: Array, ahead: tuple[Array, ...], share: float) -> Dual:
        """One gradient step on the multipliers: y_i = v_i - share P_i(v_i/share), v_i = ahead_i + share p."""
        p = self._rest(x, ahead)
        multipliers, touched = [], []
        for part, away in zip(self._still, ahead, strict=True):
            argument = away / share + p
            nearest = part.prox(argument)
            touched.append(nearest)
            multipliers.append(share * (argument - nearest))
        return Dual(tuple(multipliers), tuple(touched), self._rest(x, tuple(multipliers)))

    def _newton(self, x: Array, dual: Dual, gap: Array) -> tuple[Dual, Array]:
        """Semismooth Newton steps on p = P_i(p + y_i) for all i, in the rows where they lower the gap; which these are."""
        xp, batch = arrays.namespace(x), math.prod(x.shape[: self.batch_ndim])
        improved = gap < 0.0 * gap
        current, trial = dual, dual
        for _ in range(NEWTON_STEPS):
            blocks, residuals = [], []
            for part, y in zip(self._still, trial.multipliers, strict=True):
                argument = trial.point + y
                residuals.append(arrays.to_numpy(trial.point - part.prox(argument)).reshape(batch, -1).astype(np.float64))
                blocks.append(self._curvature(part, argument, batch))
            rows = [_newton_row([b[i] for b in blocks], [r[i] for r in residuals]) for i in range(batch)]
            moves = (np.stack([row[k] for row in rows]).reshape(x.shape) for k in range(len(self.sets)))
            ahead = tuple(y + arrays.from_numpy(move, like=x) for y, move in zip(trial.multipliers, moves, strict=True))
            trial = self._step(x, ahead, 1.0)
            trial_gap = self._certificate(trial)[1]
            better = trial_gap < gap
            gap, improved = xp.where(better, trial_gap, gap), improved | better
            current = Dual(
                tuple(arrays.select_rows(better, a, b) for a, b in zip(trial.multipliers, current.multipliers, strict=True)),
                tuple(arrays.select_rows(better, a, b) for a, b in zip(trial.touched, current.touched, strict=True)),
                arrays.select_rows(better, trial.point, current.point),
            )
        return current, improved

    @staticmethod
    def _rest(x: Array, multipliers: tuple[Array, ...]) -> Array:
        for y in multipliers:
            x = x - y
        return x

    def _certificate(self, dual: Dual) -> tuple[Array, Array, Array]:
        """The point that has been projected on every set in turn, its gap, and its largest distance from a set."""
        xp, c = arrays.namespace(dual.point), dual.point
        for part in self._still:
            c = part.prox(c)
        away = dual.point - c
        gap = 0.5 * arrays.inner(away, away, self.batch_ndim)
        apart = 0.0 * gap
        for part, y, touched in zip(self._still, dual.multipliers, dual.touched, strict=True):
            gap = gap + arrays.inner(y, touched - c, self.batch_ndim)
            distance = arrays.norm(c - part.prox(c), self.batch_ndim)
            gap = gap + arrays.norm(y, self.batch_ndim) * distance
            apart = xp.maximum(apart, distance)
        return c, xp.where(gap < 0, 0.0 * gap, gap), apart

    def _refuse_if_empty(self, x: Array, dual: Dual, apart: Array, ended: Array, count: int) -> None:
        """Raise DataError once the multipliers show that no common point is anywhere near."""
        xp = arrays.namespace(x)
        size = 1.0 + arrays.norm(x, self.batch_ndim)
        support = 0.0 * size
        for y, touched in zip(dual.multipliers, dual.touched, strict=True):
            support = support + arrays.inner(y, touched, self.batch_ndim)
            size = xp.maximum(size, arrays.norm(touched, self.batch_ndim))
        slope = arrays.norm(x - dual.point, self.batch_ndim)
        empty = (-support > FAR * size * (slope + arrays.epsilon(x) * size)) & ~ended
        if not arrays.holds_everywhere(~empty):
            distance = float(xp.max(xp.where(empty, apart, 0.0 * apart)))
            raise DataError(
                f"Intersection: no common point of the sets within {FAR:g} times the size of x; after {count} iterations they "
                f"are still {distance:.3g} apart: the intersection is empty; enlarge a set, or penalise distances instead"
            )

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        still = autodiff.detach(x)
        dual = self._solve(still, None)[3]
        batch = math.prod(x.shape[: self.batch_ndim])
        blocks = [
            self._curvature(part, c + y, batch) for part, c, y in zip(self._still, dual.touched, dual.multipliers, strict=True)
        ]
        factors = [_projector([block[row] for block in blocks]) for row in range(batch)]

        def apply(h: np.ndarray) -> np.ndarray:
            rows = h.reshape(batch, -1)
            return np.array([row - left @ (right @ row) for row, (left, right) in zip(rows, factors, strict=True)]).reshape(
                h.shape
            )

        return self_adjoint(apply, shape_of(x))

    def _curvature(self, part: Function, c: Array, batch: int) -> np.ndarray:
        """I - J_i at c of every row as a matrix, from products with the unit vectors."""
        jacobian = part.prox_derivative(c)
        n = math.prod(c.shape[self.batch_ndim :])
        unit = np.eye(n)
        columns = []
        for k in range(n):
            h = np.broadcast_to(unit[k].reshape(c.shape[self.batch_ndim :]), c.shape)
            columns.append(arrays.to_numpy(jacobian.apply(arrays.from_numpy(np.array(h), like=c))).reshape(batch, n))
        return unit - np.stack(columns, axis=-1).astype(np.float64)

    def value_formula(self, x: str) -> str:
        return " + ".join(part.value_formula(x) for part in self.sets)


def _better(best: tuple[Array, Array], point: Array, gap: Array) -> tuple[Array, Array]:
    """Row by row, the point with the smaller gap."""
    better = ~(gap >= best[1])
    return arrays.select_rows(better, point, best[0]), arrays.namespace(gap).where(better, gap, best[1])


def _factor(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues in (0, 1] of a matrix I - J and their eigenvectors; 0 is left out."""
    if not np.all(np.isfinite(block)):
        block = np.zeros_like(block)
    values, vectors = np.linalg.eigh(0.5 * (block + block.T))
    kept = values > 1e-9
    return np.minimum(values[kept], 1.0), vectors[:, kept]


def _projector(blocks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """B and (D + B'B)^+ B' for the matrices I - J_i = B_i B_i' of one row."""
    parts = [_factor(block) for block in blocks]
    basis = np.concatenate([vectors * np.sqrt(values) for values, vectors in parts], axis=1)
    system = np.diag(np.concatenate([1.0 - values for values, _ in parts])) + basis.T @ basis
    return basis, np.linalg.pinv(system, rcond=1e-9, hermitian=True) @ basis.T


def _newton_row(blocks: list[np.ndarray], residuals: list[np.ndarray]) -> list[np.ndarray]:
    """The dy_i that solve J_i (dp + dy_i) - dp = -r_i with dp = -sum of dy_i, r_i = P_i(p + y_i) - p given as -residual.

    On the null space of I - J_i this says dy_i = -r_i; on the rest dy_i = B_i z_i with (D + B'B) z = what remains.
    """
    parts = [_factor(block) for block in blocks]
    fixed, pulls, rest = [], [], []
    for (values, vectors), residual in zip(parts, residuals, strict=True):
        along = vectors.T @ residual
        fixed.append(residual - vectors @ along)
        pulls.append(along / np.sqrt(values))
        rest.append(1.0 - values)
    basis = np.concatenate([vectors * np.sqrt(values) for values, vectors in parts], axis=1)
    right = np.concatenate(pulls) - basis.T @ np.sum(fixed, axis=0)
    system = np.diag(np.concatenate(rest)) + basis.T @ basis
    z = np.linalg.pinv(system, rcond=1e-9, hermitian=True) @ right
    moves, start = [], 0
    for (values, vectors), still in zip(parts, fixed, strict=True):
        moves.append(still + vectors @ (np.sqrt(values) * z[start : start + len(values)]))
        start += len(values)
    return moves
