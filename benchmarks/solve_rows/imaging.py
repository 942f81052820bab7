"""Rows of images and matrices."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.sparse as sparse

import monops
from benchmarks.solve_rows.case import Call, Case, feasible, normal


def picture(n: int) -> np.ndarray:
    """Discs and a ramp."""
    i, j = np.mgrid[0:n, 0:n] / n
    disc = ((i - 0.5) ** 2 + (j - 0.5) ** 2 < 0.1).astype(float)
    return disc + 0.5 * (np.abs(i - 0.3) + np.abs(j - 0.6) < 0.15) + 0.3 * j


def total_variation(x: np.ndarray) -> float:
    """Isotropic, forward differences."""
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[:-1], right[:, :-1] = np.diff(x, axis=0), np.diff(x, axis=1)
    return float(np.sum(np.sqrt(down**2 + right**2)))


def steps_for(tolerance: float, base: float) -> int:
    """Iterations of a peer without a stopping rule of its own: from base on, 2.5 times as many for each further digit; 3000
    at most.
    """
    return min(3000, int(base * 2.5 ** (-np.log10(tolerance))))


def denoising(shrink: int) -> Case:
    """1/2 |x - b|^2 + weight TV(x), isotropic."""
    n, weight = 256 // shrink, 0.1
    b = picture(n) + 0.1 * normal(21, n, n)

    def value(x: Any) -> float:
        return 0.5 * float(np.sum((x - b) ** 2)) + weight * total_variation(x)

    def pyproximal(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            count = steps_for(tolerance, 12)
            operator = module.TV(dims=(n, n), sigma=weight, niter=count, rtol=0.0)
            return operator.prox(b.ravel(), 1.0).reshape(n, n), count

        return call

    def skimage(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            count = steps_for(tolerance, 12)
            return module.denoise_tv_chambolle(b, weight=weight, eps=0.0, max_num_iter=count), count

        return call

    def reference(seconds: float) -> tuple[float, float]:
        found = monops.TotalVariation(weight, max_iter=20_000).prox_certified(b, 1.0, tolerance=2e-7)
        return value(found.point), float(found.gap)

    return Case(
        lambda: monops.SquaredL2().translate(b) + monops.GroupL2(weight, axis=0) @ monops.Gradient((n, n)),
        value,
        feasible,
        {"pyproximal": ("pyproximal", pyproximal), "scikit-image": ("skimage.restoration", skimage)},
        float(n),
        by_hand=(monops.AcceleratedChambollePock(), monops.RestartedChambollePock()),
        reference=reference,
    )


def deblurring(shrink: int) -> Case:
    """1/2 |kernel * x - b|^2 + weight TV(x), periodic convolution."""
    n, weight = 128 // shrink, 0.002
    line = np.exp(-0.5 * (np.arange(-4, 5) / 2.0) ** 2)
    kernel = np.outer(line, line) / np.sum(line) ** 2
    blur = monops.Convolution(kernel, (n, n))
    b = blur.apply(picture(n)) + 0.005 * normal(22, n, n)

    def value(x: Any) -> float:
        return 0.5 * float(np.sum((blur.apply(x) - b) ** 2)) + weight * total_variation(x)

    def pyproximal(module: Any) -> Call:
        from pylops import FunctionOperator, Gradient

        C = FunctionOperator(
            lambda x: blur.apply(x.reshape(n, n)).ravel(), lambda y: blur.adjoint(y.reshape(n, n)).ravel(), n * n
        )

        def call(tolerance: float) -> tuple[Any, int | None]:
            count = steps_for(tolerance, 12)
            norm = module.L21(ndim=2, sigma=weight)
            D = Gradient((n, n), kind="forward", edge=False)
            data = module.L2(Op=C, b=b.ravel(), niter=20, warm=True)
            found = module.optimization.primaldual.PrimalDual(
                data, norm, D, x0=np.zeros(n * n), tau=1.0 / np.sqrt(8), mu=1.0 / np.sqrt(8), niter=count
            )
            return found.reshape(n, n), count

        return call

    def problem() -> Any:
        data = monops.LeastSquares(monops.Convolution(kernel, (n, n)), b)
        return data + monops.GroupL2(weight, axis=0) @ monops.Gradient((n, n))

    def reference(seconds: float) -> tuple[float, float]:
        """A long run; h = 1/2 |kernel * . - b|^2 + <u, Dx> with |u| <= weight is a lower bound, and h(x) - |grad h(x)| r one
        of all points within r of x; r is |x| here. The value is good to more digits than this proves.
        """
        begin = time.process_time()
        found = monops.solve(
            problem(),
            tol=1e-9,
            max_iter=1_000_000,
            callback=lambda check: time.process_time() - begin > seconds,
            on_failure="ignore",
        )
        x, u, D = found.x, np.asarray(found.dual), monops.Gradient((n, n))
        u = u * (weight / np.maximum(weight, np.sqrt(np.sum(u**2, axis=0))))
        rest = blur.apply(x) - b
        slope = float(np.linalg.norm(blur.adjoint(rest) + D.adjoint(u)))
        lower = 0.5 * float(np.sum(rest**2)) + float(np.sum(u * D.apply(x))) - slope * float(np.linalg.norm(x))
        return value(x), value(x) - lower

    return Case(
        problem,
        value,
        feasible,
        {"pyproximal": ("pyproximal", pyproximal)},
        float(np.linalg.norm(b)),
        by_hand=(monops.CondatVu(), monops.ChambollePock()),
        reference=reference,
    )


def correlation(shrink: int) -> Case:
    """The correlation matrix nearest to a symmetric one with unit diagonal."""
    n = 300 // shrink
    E = normal(23, n, n)
    G = np.corrcoef(normal(24, n, n // 2)) + 0.2 * (E + E.T) / 2
    np.fill_diagonal(G, 1.0)
    open_ended = np.full((n, n), np.inf)
    np.fill_diagonal(open_ended, 1.0)
    floor = -open_ended
    np.fill_diagonal(floor, 1.0)

    def violation(X: Any) -> float:
        least = float(np.linalg.eigvalsh((X + X.T) / 2)[0])
        return max(float(np.max(np.abs(np.diagonal(X) - 1.0))), -least / n, float(np.max(np.abs(X - X.T))), 0.0)

    def dykstra(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            X, correction, count = G.copy(), np.zeros_like(G), 0
            while True:
                values, vectors = module.eigh(X - correction)
                Y = (vectors * np.maximum(values, 0.0)) @ vectors.T
                correction, previous = Y - (X - correction), X
                X = Y.copy()
                np.fill_diagonal(X, 1.0)
                count += 1
                if np.linalg.norm(X - previous) <= tolerance * np.linalg.norm(X) or count == 2000:
                    return X, count

        return call

    def scs(module: Any) -> Call:
        lower = np.tril_indices(n)
        order = np.lexsort((lower[0], lower[1]))
        rows, columns = lower[0][order], lower[1][order]
        off = rows != columns
        scale = np.where(off, np.sqrt(2.0), 1.0)
        size = len(rows)
        target = scale * G[rows, columns]
        A = sparse.vstack([sparse.eye_array(size).tocsr()[~off], -sparse.eye_array(size)], format="csc")
        sides = np.concatenate([np.ones(n), np.zeros(size)])

        def call(tolerance: float) -> tuple[Any, int | None]:
            data = {"P": sparse.eye_array(size, format="csc"), "A": sparse.csc_matrix(A), "b": sides, "c": -target}
            settings = {"verbose": False, "eps_abs": tolerance, "eps_rel": tolerance, "time_limit_secs": 10.0}
            found = module.solve(data, {"z": n, "s": [n]}, max_iters=100_000, **settings)
            X = np.zeros((n, n))
            X[rows, columns] = X[columns, rows] = found["x"] / scale
            return X, int(found["info"]["iter"])

        return call

    return Case(
        lambda: monops.SquaredL2().translate(G) + monops.PositiveSemidefinite() + monops.Box(floor, open_ended),
        lambda X: 0.5 * float(np.sum((X - G) ** 2)),
        violation,
        {"Dykstra (NumPy loop)": ("scipy.linalg", dykstra), "SCS": ("scs", scs)},
        float(np.linalg.norm(G)),
        by_hand=(monops.DavisYin(), monops.ParallelDouglasRachford()),
    )


def completion(shrink: int) -> Case:
    """1/2 |mask (X - M)|^2 + weight |X|_*."""
    n, rank = 300 // shrink, 5
    M = normal(25, n, rank) @ normal(26, rank, n)
    mask = (np.random.default_rng(27).random((n, n)) < 0.3).astype(float)
    B = mask * (M + 0.1 * normal(28, n, n))
    weight = 0.1 * float(np.linalg.norm(B, 2))

    def value(X: Any) -> float:
        singular = np.linalg.svd(X, compute_uv=False)
        return 0.5 * float(np.sum((mask * X - B) ** 2)) + weight * float(singular.sum())

    def pyproximal(module: Any) -> Call:
        from pylops import Diagonal

        def call(tolerance: float) -> tuple[Any, int | None]:
            count = steps_for(tolerance, 5)
            found = module.optimization.primal.ProximalGradient(
                module.L2(Diagonal(mask.ravel()), B.ravel()),
                module.Nuclear((n, n), weight),
                x0=np.zeros(n * n),
                tau=1.0,
                niter=count,
                acceleration="fista",
                tol=0.0,
            )
            return (found[0] if isinstance(found, tuple) else found).reshape(n, n), count

        return call

    return Case(
        lambda: monops.LeastSquares(monops.Diagonal(mask), B) + weight * monops.NuclearNorm(),
        value,
        feasible,
        {"pyproximal": ("pyproximal", pyproximal)},
        float(np.linalg.norm(B)),
        by_hand=(monops.AcceleratedForwardBackward(), monops.AdaptiveAcceleratedForwardBackward(), monops.PANOC()),
    )
