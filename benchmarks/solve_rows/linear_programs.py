"""Rows of linear programs and games."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

import monops
from benchmarks.solve_rows.case import Call, Case, Peers, box_violation, feasible, normal
from benchmarks.solve_rows.peers import highs, program_peers


def linear_program(shrink: int) -> Case:
    """<c, x> subject to Ax = b, x >= 0, sparse, feasible and bounded by construction."""
    m, n = 1000 // shrink, 2000 // shrink
    generator = np.random.default_rng(17)
    A = sparse.csr_array(
        sparse.random_array((m, n), density=min(1.0, 8 / n), rng=generator, data_sampler=generator.standard_normal)
    )
    A = sparse.csr_array(A + sparse.eye_array(m, n))
    x = np.maximum(generator.standard_normal(n), 0.0)
    slack = np.where(x > 0, 0.0, generator.random(n))
    b, c = A @ x, A.T @ generator.standard_normal(m) + slack
    stacked = sparse.vstack([A, sparse.eye_array(n)])
    lower, upper = np.concatenate([b, np.zeros(n)]), np.concatenate([b, np.full(n, np.inf)])

    def first(x: Any, y: Any) -> Any:
        return x

    def violation(x: Any) -> float:
        return max(float(np.max(np.abs(A @ x - b))) / (1.0 + float(np.max(np.abs(b)))), box_violation(0.0, np.inf)(x))

    peers = program_peers(sparse.csc_matrix((n, n)), c, stacked, lower, upper, lambda x: x)
    del peers["OSQP"]
    peers |= {f"HiGHS {kind}": highs(kind, c, A, b, b, np.zeros(n), first) for kind in ("simplex", "ipm", "pdlp")}
    return Case(
        lambda: monops.models.linear_program(c, A_equal=A, b_equal=b),
        lambda x: float(c @ x),
        violation,
        peers,
        float(np.linalg.norm(c)),
        by_hand=(monops.InteriorProximalMultipliers(), monops.AugmentedLagrangianNewton(), monops.RestartedChambollePock()),
    )


def basis_pursuit(shrink: int) -> Case:
    """|x|_1 subject to Ax = b, dense."""
    m, n = 400 // shrink, 1600 // shrink
    A = normal(18, m, n) / np.sqrt(m)
    x = np.zeros(n)
    x[: m // 6] = normal(19, m // 6)
    b = A @ x
    both = np.hstack([A, -A])
    stacked = sparse.vstack([sparse.csr_array(both), sparse.eye_array(2 * n)])
    lower, upper = np.concatenate([b, np.zeros(2 * n)]), np.concatenate([b, np.full(2 * n, np.inf)])

    def difference(z: Any, y: Any = None) -> Any:
        return z[:n] - z[n:]

    peers = program_peers(sparse.csc_matrix((2 * n, 2 * n)), np.ones(2 * n), stacked, lower, upper, difference)
    del peers["OSQP"], peers["SCS"], peers["PIQP"]  # minutes, and twice the time of Clarabel

    def pyproximal(module: Any) -> Call:
        affine, norm = _affine(module, A, b), module.L1()

        def call(tolerance: float) -> tuple[Any, int | None]:
            from pyproximal.optimization.primal import DouglasRachfordSplitting as Method

            count = int(-60 * np.log10(tolerance)) + 20
            found = Method(affine(), norm, tau=0.1, x0=np.zeros(n), niter=count)
            return found[0] if isinstance(found, tuple) else found, count

        return call

    peers |= {
        "HiGHS simplex": highs("simplex", np.ones(2 * n), both, b, b, np.zeros(2 * n), difference),
        "pyproximal": ("pyproximal", pyproximal),
    }
    return Case(
        lambda: monops.L1Norm() + monops.AffineSet(A, b),
        lambda x: float(np.sum(np.abs(x))),
        lambda x: float(np.linalg.norm(A @ x - b) / np.linalg.norm(b)),
        peers,
        np.sqrt(n),
        by_hand=(monops.DualNewton(), monops.DouglasRachford()),
    )


def _affine(module: Any, A: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
    """pyproximal's protocol for the projection on Ax = b, factorised once."""

    class Projection(module.ProxOperator):
        def __init__(self) -> None:
            super().__init__(None, False)
            self.factor = scipy.linalg.cho_factor(A @ A.T)

        def __call__(self, x: Any) -> float:
            return 0.0

        def prox(self, x: Any, tau: float) -> Any:
            return x - A.T @ scipy.linalg.cho_solve(self.factor, A @ x - b)

    return Projection


def matrix_game(shrink: int) -> Case:
    """The gap of mixed strategies of a game with normal payoffs."""
    n = 500 // shrink
    G = normal(20, n, n)

    def gap(z: Any) -> float:
        x, y = (np.maximum(part, 0.0) for part in z)
        x, y = x / x.sum(), y / y.sum()
        return float(np.max(G @ x) - np.min(G.T @ y))

    rows = np.hstack([-G, np.ones((n, 1))])  # value - Gx >= 0
    matrix = np.vstack([rows, np.append(np.ones(n), 0.0)])
    c = np.append(np.zeros(n), 1.0)
    lower, upper = np.append(np.zeros(n), 1.0), np.append(np.full(n, np.inf), 1.0)
    least = np.append(np.zeros(n), -np.inf)

    def both(z: Any, y: Any) -> Any:
        return z[:n], np.abs(y[:n])

    stacked = sparse.csc_matrix(np.vstack([matrix[n:], -rows, -np.eye(n, n + 1)]))

    def clarabel(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            settings = module.DefaultSettings()
            settings.verbose = False
            settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
            cones = [module.ZeroConeT(1), module.NonnegativeConeT(2 * n)]
            sides = np.append(1.0, np.zeros(2 * n))
            found = module.DefaultSolver(sparse.csc_matrix((n + 1, n + 1)), c, stacked, sides, cones, settings).solve()
            return (np.array(found.x)[:n], np.array(found.z)[1 : n + 1]), int(found.iterations)

        return call

    peers: Peers = {f"HiGHS {kind}": highs(kind, c, matrix, lower, upper, least, both) for kind in ("simplex", "ipm", "pdlp")}
    peers["Clarabel"] = ("clarabel", clarabel)
    return Case(
        lambda: monops.matrix_game(G),
        gap,
        feasible,
        peers,
        1.0,
        exact=float(np.max(G.mean(axis=1)) - np.min(G.mean(axis=0))),
        by_hand=(monops.RestartedChambollePock(), monops.ForwardBackwardForward()),
    )
