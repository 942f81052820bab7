"""Total variation on grids of any dimension, isotropic or anisotropic, with a certified prox."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.errors import DataError, ShapeError
from monops.functions.function import Function, Zero
from monops.functions.gluing import GridEdges, Linearization, finish
from monops.functions.hosted import self_adjoint
from monops.functions.iterative import CertifiedProx, Iterative
from monops.functions.norms import check_weight
from monops.functions.primal_dual import Certificate, Dual, grid_dual
from monops.functions.sample import Sample
from monops.functions.separable import shape_of
from monops.linear import BroadcastMap, LinearMap

__all__ = [
    "TotalVariation",
]

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
    prox: p = x - D'u, u the minimiser of |x - D'u|^2 over |u_i| <= step weight (Chambolle 2004). Chambolle and Pock's method with
    the steps for strongly convex problems; every few iterations the duality gap sum_i (step weight |(Dp)_i| - <(Dp)_i, u_i>)
    + |p - x + D'u|^2/2 is evaluated for three candidates p. Anisotropic problems are finished exactly: pixels joined by
    multipliers inside their bounds form pieces, whose values are means plus the forces of their borders; the gap proves it.
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
        found, _ = self._solve(x, step, tolerance)
        return found

    def _solve(self, x: Array, step: Any, tolerance: float | None) -> tuple[CertifiedProx, Dual]:
        """The prox and the dual iterate of the rows divided by their size."""
        xp = arrays.namespace(x)
        scales = self._scales(x)
        if tolerance is None and self.tolerance is None and not self.anisotropic:
            tolerance = 1e-4
        batch, grid = tuple(x.shape[: self.batch_ndim]), tuple(x.shape[self.batch_ndim :])
        rows = xp.reshape(x, (-1, *grid))
        if rows.shape[0] == 0 or min(grid) == 0:
            nothing = xp.reshape(xp.zeros_like(xp.sum(rows, axis=tuple(range(1, rows.ndim)))), batch)
            return CertifiedProx(x, nothing, nothing, 0, True), Dual((), nothing)
        wanted = xp.reshape(self.target_error(x, tolerance), (-1,))
        axes = tuple(range(1, rows.ndim))
        tiny = float(xp.finfo(x.dtype).smallest_normal)

        def column(values: Array) -> Array:
            return xp.reshape(values, (-1,) + (1,) * len(grid))

        size = arrays.clip(xp.max(xp.abs(rows), axis=axes), tiny, None)
        whole = xp.isfinite(size)
        size = xp.where(whole, size, xp.ones_like(size))
        safe = xp.where(column(whole), rows, xp.zeros_like(rows)) / column(size)
        mean = xp.mean(safe, axis=axes)
        safe = safe - column(mean)
        steepest = min((s for s, n in zip(scales, grid, strict=True) if n > 1), default=1.0)
        largest = math.sqrt(len(grid)) / steepest * xp.sum(xp.abs(safe), axis=axes)  # no multiplier needs to be larger
        threshold = xp.minimum(step * self.weight / size, largest)
        certificate, dual, iterations = self._iterate(safe, threshold, scales, wanted / size)
        bound = xp.sqrt(2.0 * certificate.gap)
        inside = bound * size <= wanted
        point = (certificate.point + column(mean)) * column(size)
        point = xp.where(column(whole), point, xp.full_like(point, math.nan))
        gap = certificate.gap * size * size / step  # in exact arithmetic; overflows together with |x|^2
        found = CertifiedProx(
            xp.reshape(point, x.shape),
            xp.reshape(gap, batch),
            xp.reshape(bound * size, batch),
            iterations,
            bool(xp.all(inside | ~whole)),
        )
        return found, dual

    def _iterate(self, x: Array, threshold: Array, scales: tuple[float, ...], wanted: Array) -> tuple[Certificate, Dual, int]:
        """Primal-dual iterations on rows of size 1 and mean 0, until each gap is below wanted^2/2 or rounding."""
        xp = arrays.namespace(x)
        method = grid_dual(x, threshold, scales, self.anisotropic)
        best = method.certify()
        done, next_check, next_finish, last = 0, 8, FIRST_FINISH, math.inf
        while not arrays.holds_everywhere(2.0 * best.gap <= wanted * wanted) and done < self.max_iter:
            count = min(next_check, self.max_iter) - done
            method.advance(count)
            done += count
            next_check = done + max(8, done // 5)
            best = method.certify().better(best)
            if self.anisotropic and (done >= next_finish or done >= self.max_iter):
                next_finish = 2 * done
                best = self._finished(method, best)
            if done % 1 == 0 and done >= 400:
                worst = float(xp.max(best.gap / (wanted * wanted)))
                if worst > 0.98 * last and float(arrays.epsilon(x)) > 1e-10:
                    break
                last = worst
        return best, method.dual(), done
