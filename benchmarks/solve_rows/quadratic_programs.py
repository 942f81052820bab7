"""Rows of quadratic programs: boxes, portfolios, support vectors, batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sparse

import monops
from benchmarks.solve_rows.case import Call, Case, box_violation, normal
from benchmarks.solve_rows.peers import bounded, dense_piqp, program_peers


def box_program(shrink: int) -> Case:
    """1/2 <x, Px> + <q, x> over a box, dense."""
    n = 2000 // shrink
    F = normal(8, n, n)
    P = F.T @ F / n + 0.01 * np.eye(n)
    P, q = (P + P.T) / 2, normal(9, n)
    lower, upper = np.full(n, -1.0), np.full(n, 1.0)

    def daqp(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            nothing = np.zeros((0, n))
            settings = {"primal_tol": tolerance, "dual_tol": tolerance}
            x, _, _, info = module.solve(P, q, nothing, upper, lower, np.zeros(n, dtype=np.int32), **settings)
            return np.array(x), int(info["iterations"])

        return call

    return Case(
        lambda: monops.Quadratic(P, q) + monops.Box(-1.0, 1.0),
        lambda x: 0.5 * float(x @ (P @ x)) + float(q @ x),
        box_violation(lower, upper),
        {
            "L-BFGS-B": ("scipy.optimize", lambda module: lambda t: bounded(module, P, q, -1.0, 1.0, t)),
            "PIQP dense": ("piqp", dense_piqp(P, q, None, None, lower, upper)),
            "DAQP": ("daqp", daqp),
        },
        float(np.linalg.norm(q)),
        by_hand=(monops.SemismoothNewton(), monops.AcceleratedForwardBackward(), monops.PANOC()),
    )


def portfolio(shrink: int) -> Case:
    """Risk of a factor model minus return, over the simplex: 1/2 |Fx|^2 + 1/2 <x, Dx> - <mean, x>."""
    n, k = 3000 // shrink, 60 // shrink
    F, risk = normal(10, k, n) * 0.3, 0.05 + 0.3 * np.random.default_rng(11).random(n)
    mean = 0.1 * normal(12, n)
    P = sparse.block_diag([sparse.diags_array(risk), sparse.eye_array(k)])
    A = sparse.block_array(
        [
            [sparse.csr_array(F), -sparse.eye_array(k)],
            [sparse.csr_array(np.ones((1, n))), None],
            [sparse.eye_array(n), sparse.csr_array((n, k))],
        ]
    )
    q = np.concatenate([-mean, np.zeros(k)])
    lower = np.concatenate([np.zeros(k), [1.0], np.zeros(n)])
    upper = np.concatenate([np.zeros(k), [1.0], np.full(n, np.inf)])

    def value(x: Any) -> float:
        y = F @ x
        return 0.5 * float(y @ y) + 0.5 * float(x @ (risk * x)) - float(mean @ x)

    return Case(
        lambda: monops.SquaredL2() @ F + monops.SquaredL2(risk) + monops.Linear(-mean) + monops.Simplex(),
        value,
        lambda x: max(abs(float(x.sum()) - 1.0), -float(x.min()), 0.0),
        program_peers(P, q, A, lower, upper, lambda x: x[:n]),
        float(np.linalg.norm(mean)),
        by_hand=(monops.DualNewton(),),
    )


def support_vectors(shrink: int) -> Case:
    """The dual of a support vector machine with a Gaussian kernel and an intercept."""
    n, C = 1000 // shrink, 1.0
    X = normal(13, n, 10)
    labels = np.where(X[:, 0] * X[:, 1] + 0.3 * normal(14, n) > 0, 1.0, -1.0)
    squares = np.sum(X**2, axis=1)
    kernel = np.exp(-0.1 * np.maximum(squares[:, None] + squares[None, :] - 2.0 * X @ X.T, 0.0))
    Q = np.outer(labels, labels) * kernel
    Q, q = (Q + Q.T) / 2, -np.ones(n)

    def libsvm(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            model = module.SVC(kernel="precomputed", C=C, tol=tolerance, cache_size=500).fit(kernel, labels)
            x = np.zeros(n)
            x[model.support_] = np.abs(model.dual_coef_[0])
            return x, int(np.max(model.n_iter_))

        return call

    def violation(x: Any) -> float:
        return max(abs(float(labels @ x)) / (1.0 + float(np.sum(np.abs(x)))), box_violation(0.0, C)(x))

    return Case(
        lambda: monops.Quadratic(Q, q) + monops.HyperplaneBox(labels, 0.0, 0.0, C),
        lambda x: 0.5 * float(x @ (Q @ x)) + float(q @ x),
        violation,
        {
            "libsvm": ("sklearn.svm", libsvm),
            "PIQP dense": ("piqp", dense_piqp(Q, q, labels[None, :], np.zeros(1), np.zeros(n), np.full(n, C))),
        },
        float(np.linalg.norm(q)),
        by_hand=(monops.SemismoothNewton(), monops.AcceleratedForwardBackward(), monops.PANOC()),
    )


def batch(shrink: int) -> Case:
    """A thousand box-constrained quadratic programs with one P of order 50, as a controller meets them."""
    rows, n = 1000 // shrink, 50
    F = normal(15, n, n)
    P = F.T @ F / n + 0.01 * np.eye(n)
    P, q = (P + P.T) / 2, normal(16, rows, n)
    lower, upper = np.full(n, -0.5), np.full(n, 0.5)

    def daqp(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            nothing, kinds = np.zeros((0, n)), np.zeros(n, dtype=np.int32)
            settings = {"primal_tol": tolerance, "dual_tol": tolerance}
            found = [module.solve(P, one, nothing, upper, lower, kinds, **settings)[0] for one in q]
            return np.array(found), None

        return call

    def piqp(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            solver, found = module.DenseSolver(), []
            solver.settings.eps_abs = solver.settings.eps_rel = tolerance
            solver.setup(P, q[0], None, None, None, None, None, lower, upper)
            for one in q:
                solver.update(c=one)
                solver.solve()
                found.append(np.array(solver.result.x))
            return np.array(found), None

        return call

    return Case(
        lambda: monops.Quadratic(P, q) + monops.Box(-0.5, 0.5),
        lambda x: 0.5 * float(np.sum(x * (x @ P))) + float(np.sum(q * x)),
        box_violation(-0.5, 0.5),
        {"DAQP in a loop": ("daqp", daqp), "PIQP in a loop": ("piqp", piqp)},
        float(np.linalg.norm(q[0])),
        start=np.zeros((rows, n)),
        batch_ndim=1,
        by_hand=(monops.SemismoothNewton(), monops.AcceleratedForwardBackward()),
    )
