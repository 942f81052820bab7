"""Total variation on grids of any dimension, isotropic or anisotropic, with a certified prox."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from monops import arrays, autodiff
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.function import Function, Zero
from monops.functions.hosted import self_adjoint
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.functions.variation.gluing import Edges, Linearization, Pair, finish, gaps, grid_edges, joined
from monops.functions.variation.primal_dual import Certificate, GridIteration, grid_iteration
from monops.functions.weights import check_weight
from monops.linear import BroadcastMap, LinearMap

__all__ = [
    "TotalVariation",
]

ISOTROPIC_TOLERANCE = 1e-4
FIRST_FINISH = 200  # iterations before the first attempt to finish an anisotropic problem exactly; then at twice as many
DERIVATIVE_TOLERANCE = 1e-7


@final
@dataclass(frozen=True, eq=False)
class TotalVariation(Iterative):
    """f(x) = weight sum over grid points of |(Dx)_i|: Dx the forward differences along every axis behind the batch axes.

    Parameters
    ----------
    weight : float, default 1
        At least 0.
    anisotropic : bool, default False
        |.| is the Euclidean norm of the differences at a point (isotropic, Rudin, Osher and Fatemi), or the sum of their
        absolute values.
    spacing : float or tuple of float, default 1
        Distance of grid points, one number or one an axis; differences are divided by it.
    tolerance : float, optional
        As in Iterative; called alone 1e-4 here when isotropic, far below what is seen in an image.

    Notes
    -----
    prox: p = x - D'u, u the minimiser of |x - D'u|^2 over |u_i| <= step weight (Chambolle 2004). Chambolle and Pock's method
    with the steps for strongly convex problems; every few iterations the duality gap sum_i (step weight |(Dp)_i| - <(Dp)_i,
    u_i>) + |p - x + D'u|^2/2 is evaluated for three candidates p. Anisotropic problems are finished exactly by Newton rounds:
    points joined by multipliers inside their bounds form pieces, whose values are means plus what their borders push.
    **Domain** everything. **Constants** mu = 0, not smooth; the Lipschitz constant of f grows with the number of points.
    **Cost** an iteration is one pass over memory with numba (the extra ``fast``; up to three axes), about ten without; a
    certified error of 1e-3 |x| takes about 300. The finish and the derivatives run on the host, the iterations where x is.
    **Derivative** of the prox: anisotropic: the mean over each piece. Isotropic: the solution q of q - h + D'W Dq = 0 with Dq =
    0 where (Dp)_i = 0, W_i = step weight (I - n n')/|(Dp)_i|, n = (Dp)_i/|(Dp)_i|: a sparse factorisation, for more than
    50 000 unknowns conjugate gradients to 1e-10. Where Dp = 0 is read off u, which is sharp only up to the tolerance of the
    prox: the derivative is taken at a prox of tolerance 1e-7 at most.

    References
    ----------
    Rudin, Osher and Fatemi (1992). Chambolle (2004), An algorithm for total variation minimization and applications.
    Chambolle and Pock (2011), A first-order primal-dual algorithm for convex problems with applications to imaging.

    Examples
    --------
    >>> import numpy as np
    >>> f = TotalVariation(1.0, anisotropic=True)
    >>> np.round(f.prox(np.array([[1.0, 2.0], [9.0, 9.0]]), 0.5), 6)
    array([[2. , 2. ],
           [8.5, 8.5]])
    >>> found = TotalVariation(0.5).prox_certified(np.array([[1.0, 2.0], [9.0, 9.0]]), tolerance=1e-6)
    >>> found.converged, bool(found.error_bound < 1e-4)
    (True, True)
    """

    size_floor: ClassVar[float] = 0.0

    weight: Any = 1.0
    anisotropic: bool = False
    spacing: Any = 1.0

    def __post_init__(self) -> None:
        check_weight("TotalVariation", self.weight)
        if shape_of(self.weight):
            raise ShapeError("TotalVariation: weight must be one number; weights of single edges: GraphTotalVariation")
        spacing = self.spacing if isinstance(self.spacing, tuple) else (self.spacing,)
        if not spacing or not all(isinstance(h, (int, float)) and 0 < h < math.inf for h in spacing):
            raise DataError(f"TotalVariation: spacing={self.spacing!r} must be a finite number > 0, or a tuple of them")

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        def differences(cp: Any, y: Any) -> list[Any]:
            n, m = y.shape
            return [
                cp.vstack([y[1:, :] - y[:-1, :], np.zeros((1, m))]),
                cp.hstack([y[:, 1:] - y[:, :-1], np.zeros((n, 1))]),
            ]

        def isotropic(cp: Any, y: Any) -> Any:
            down, right = (cp.vec(part, order="C") for part in differences(cp, y))
            return 0.4 * cp.sum(cp.norm(cp.vstack([down, right / 0.5]), 2, axis=0))

        return (
            Sample(
                lambda a: cls(0.3, anisotropic=True, tolerance=1e-7),
                (4, 3),
                lambda cp, y: 0.3 * sum(cp.sum(cp.abs(part)) for part in differences(cp, y)),
                accuracy=1e-7,
            ),
            Sample(
                lambda a: cls(0.4, spacing=(1.0, 0.5), tolerance=1e-7),
                (3, 4),
                isotropic,
                accuracy=1e-6,
            ),
        )

    @property
    def domain(self) -> Function:
        return Zero(batch_ndim=self.batch_ndim)

    def _scales(self, x: Array) -> tuple[float, ...]:
        """1/spacing of every axis; refuses points that are no real grid."""
        if arrays.namespace(x).isdtype(x.dtype, "complex floating"):
            raise DataError("TotalVariation: x is complex: take the real and the imaginary part as two images")
        d = x.ndim - self.batch_ndim
        if d < 1:
            raise ShapeError(f"TotalVariation needs at least one grid axis behind the {self.batch_ndim} batch axes")
        spacing = self.spacing if isinstance(self.spacing, tuple) else (self.spacing,) * d
        if len(spacing) != d:
            raise ShapeError(f"TotalVariation: spacing has {len(spacing)} numbers and the grid {d} axes: give one an axis")
        return tuple(1.0 / h for h in spacing)

    def __call__(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        parts = []
        for axis, scale in enumerate(self._scales(x), start=self.batch_ndim):
            before = (slice(None),) * axis
            ahead, behind = x[(*before, slice(1, None), ...)], x[(*before, slice(None, -1), ...)]
            edge = xp.zeros_like(x[(*before, slice(0, 1), ...)])
            parts.append(scale * xp.abs(xp.concat([ahead - behind, edge], axis=axis)))
        lengths = sum(parts[1:], parts[0]) if self.anisotropic else functools.reduce(xp.hypot, parts)
        return self.weight * arrays.row_sum(lengths, self.batch_ndim)

    def prox_certified(self, x: Array, step: float = 1.0, tolerance: float | None = None) -> CertifiedProx:
        return self._solve(x, step, tolerance)[0]

    def _solve(self, x: Array, step: Any, tolerance: float | None) -> tuple[CertifiedProx, Solved | None]:
        """The prox, and what it was found from."""
        xp = arrays.namespace(x)
        scales = self._scales(x)
        if tolerance is None and self.tolerance is None and not self.anisotropic:
            tolerance = ISOTROPIC_TOLERANCE
        batch, grid = tuple(x.shape[: self.batch_ndim]), tuple(x.shape[self.batch_ndim :])
        wanted = self.target_error(x, tolerance)
        if 0 in x.shape:
            return CertifiedProx(x, 0.0 * wanted, 0.0 * wanted, 0, True), None
        rows = xp.reshape(x, (-1, *grid))
        axes = tuple(range(1, rows.ndim))

        def column(values: Array) -> Array:
            return xp.reshape(values, (-1,) + (1,) * len(grid))

        size = arrays.clip(xp.max(xp.abs(rows), axis=axes), float(xp.finfo(x.dtype).smallest_normal), None)
        whole = xp.isfinite(size)
        size = xp.where(whole, size, xp.ones_like(size))
        safe = xp.where(column(whole), rows, xp.zeros_like(rows)) / column(size)
        mean = xp.mean(safe, axis=axes)
        safe = safe - column(mean)
        steepest = min((s for s, n in zip(scales, grid, strict=True) if n > 1), default=1.0)
        useful = math.sqrt(len(grid)) / steepest * (1.0 + xp.sum(xp.abs(safe), axis=axes))  # no multiplier is larger
        limit = 0.0 * size + step * self.weight
        threshold = xp.minimum(limit / xp.maximum(size, 1e-15 * limit), useful)
        least, aim = (xp.reshape(part, (-1,)) for part in (wanted, self._aim(x, tolerance)))
        least, aim = (xp.where(whole, part, xp.ones_like(part)) for part in (least, aim))
        least, aim = (part / xp.maximum(size, 1e-15 * part) for part in (least, aim))
        solved = self._iterate(safe, threshold, scales, least, aim)
        bound = xp.reshape(xp.sqrt(2.0 * solved.best.gap) * size, batch)
        point = (solved.best.point + column(mean)) * column(size)
        point = xp.where(column(whole), point, xp.full_like(point, math.nan))
        reached = xp.reshape(whole, batch) & (bound > wanted)
        found = CertifiedProx(
            xp.reshape(point, x.shape), bound * bound / (2.0 * step), bound, solved.iterations, not bool(xp.any(reached))
        )
        return found, solved

    def _aim(self, x: Array, tolerance: float | None) -> Array:
        """The error to stop at: what was asked for, also where single precision cannot certify it."""
        chosen = tolerance if tolerance is not None else self.tolerance
        relative = max(1e-6 if chosen is None else chosen, arrays.epsilon(x))
        smallest = float(arrays.namespace(x).finfo(x.dtype).smallest_normal)
        return relative * arrays.norm(x, self.batch_ndim) + smallest

    def _iterate(self, x: Array, threshold: Array, scales: tuple[float, ...], wanted: Array, aim: Array) -> Solved:
        """Primal-dual iterations on rows of size 1 and mean 0, until each certified error is ``aim``; ``wanted`` is enough
        when rounding ends the progress.
        """
        method = grid_iteration(x, threshold, scales, self.anisotropic)
        solved = Solved(method, method.certify(), None, 0)
        next_finish = max(FIRST_FINISH, math.prod(x.shape) // 200)
        while solved.iterations < self.max_iter:
            error = 2.0 * solved.best.gap
            if arrays.holds_everywhere(error <= aim * aim):
                break
            count = min(max(8, solved.iterations // 5), self.max_iter - solved.iterations)
            method.advance(count)
            done = solved.iterations + count
            solved = Solved(method, method.certify().better(solved.best), solved.multipliers, done)
            if self.anisotropic and (done >= next_finish or done == self.max_iter):
                next_finish = 2 * done
                solved = solved.finished(scales, arrays.to_numpy(aim))
            stalled = (2.0 * solved.best.gap > 0.9 * error) & (error <= wanted * wanted)
            if done > FIRST_FINISH and arrays.holds_everywhere(stalled | (error <= aim * aim)):
                break
        return solved

    def prox_derivative(self, x: Array, step: float = 1.0) -> LinearMap:
        return self_adjoint(self._linearized(x, step).apply, shape_of(x))

    def prox_parameter_derivatives(self, x: Array, step: float = 1.0) -> dict[str, LinearMap]:
        linear = self._linearized(x, step)
        column = -float(step) * linear.apply(linear.force[None])[0]
        return {"weight": BroadcastMap(arrays.from_numpy(column.reshape(x.shape), like=x))}

    def _linearized(self, x: Array, step: Any) -> Linearization:
        relative = DERIVATIVE_TOLERANCE if self.tolerance is None else min(self.tolerance, DERIVATIVE_TOLERANCE)
        _, solved = self._solve(autodiff.detach(x), autodiff.detach(step), relative)
        if solved is None:
            raise ShapeError("TotalVariation: the prox of an empty grid has no derivative")
        return solved.linearized(self._scales(x))

    def value_formula(self, x: str) -> str:
        kind = "1" if self.anisotropic else "2,1"
        return f"|D{x}|_{kind}" if self.weight == 1 else f"{float(self.weight):g} |D{x}|_{kind}"


class Solved(NamedTuple):
    """Where the iteration ended.

    Attributes
    ----------
    best : the best primal rows and their gaps
    multipliers : those of an exact finish, on the host, one for each edge of all rows; else those of the method serve
    """

    method: GridIteration
    best: Certificate
    multipliers: np.ndarray | None
    iterations: int

    def _on_host(self, scales: tuple[float, ...]) -> tuple[list[Edges], np.ndarray, list[np.ndarray]]:
        """On the host: edges of all rows by axis, thresholds of the rows, multipliers by axis."""
        rows, *grid = (int(n) for n in self.method.x.shape)
        axes = [edges.repeated(rows) for edges in grid_edges(tuple(grid), scales)]
        thresholds = arrays.to_numpy(self.method.threshold).astype(np.float64)
        dual = [doubles(part)[edges.tails] for part, edges in zip(self.method.dual(), axes, strict=True)]
        return axes, thresholds, dual

    def finished(self, scales: tuple[float, ...], wanted: np.ndarray) -> Solved:
        """The exact finish of an anisotropic problem, kept in the rows where its gap is the smaller."""
        axes, thresholds, dual = self._on_host(scales)
        edges, before = joined(axes), np.concatenate(dual)
        row_of_edge = edges.tails // (edges.nodes // len(thresholds))
        bound = thresholds[row_of_edge]
        x, count = doubles(self.method.x), len(thresholds)
        gap = arrays.to_numpy(self.best.gap).astype(np.float64)
        previous = before if self.multipliers is None else self.multipliers
        start = Pair(doubles(self.best.point), before, gaps(edges, bound, x, doubles(self.best.point), before, count))
        exact = finish(edges, bound, x, start, wanted)
        like = self.method.x
        found = Certificate(
            arrays.from_numpy(exact.p.reshape(like.shape), like=like), arrays.from_numpy(exact.gap, like=self.best.gap)
        )
        kept = np.where((exact.gap <= gap)[row_of_edge], exact.u, previous)
        return self._replace(best=found.better(self.best), multipliers=kept)

    def linearized(self, scales: tuple[float, ...]) -> Linearization:
        """The derivative of the prox here."""
        axes, thresholds, dual = self._on_host(scales)
        p = doubles(self.best.point)
        if not self.method.anisotropic:
            return Linearization(axes, np.repeat(thresholds, len(p) // len(thresholds)), p, dual, grouped=True)
        edges = joined(axes)
        bound = thresholds[edges.tails // (edges.nodes // len(thresholds))]
        u = np.concatenate(dual) if self.multipliers is None else self.multipliers
        return Linearization([edges], bound, p, [u], grouped=False)


def doubles(x: Array) -> np.ndarray:
    """A flat host copy in double precision."""
    return arrays.to_numpy(x).astype(np.float64).ravel()
