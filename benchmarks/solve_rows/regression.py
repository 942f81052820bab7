"""Rows of regression: sparse, grouped, logistic, nonnegative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sparse

import monops
from benchmarks.solve_rows.case import Call, Case, Peers, feasible, normal
from benchmarks.solve_rows.peers import bounded


def correlated(rows: int, columns: int, correlation: float) -> np.ndarray:
    """Columns of a stationary first-order autoregression, in rows (C order, as a user has them)."""
    noise = normal(1, rows, columns)
    A = np.empty_like(noise)
    A[:, 0] = noise[:, 0]
    for j in range(1, columns):
        A[:, j] = correlation * A[:, j - 1] + np.sqrt(1.0 - correlation**2) * noise[:, j]
    return A


def planted(A: Any, count: int) -> np.ndarray:
    """Observations of a sparse vector, with noise of a tenth of the signal."""
    generator = np.random.default_rng(2)
    x = np.zeros(A.shape[1])
    x[generator.choice(A.shape[1], count, replace=False)] = generator.standard_normal(count)
    signal = np.asarray(A @ x)
    return signal + 0.1 * float(np.std(signal)) * generator.standard_normal(A.shape[0])


def _lasso(A: np.ndarray, part: float, ridge: float, by_hand: tuple[Any, ...]) -> Case:
    """1/2 |Ax - b|^2 + weight |x|_1 + ridge/2 |x|^2."""
    m, n = A.shape
    b = planted(A, max(2, n // 100))
    weight = part * float(np.max(np.abs(A.T @ b)))
    F = np.asfortranarray(A)
    penalty = monops.ElasticNet(weight, ridge) if ridge else weight * monops.L1Norm()
    alpha, ratio = (weight + ridge) / m, weight / (weight + ridge)

    def value(x: Any) -> float:
        r = A @ x - b
        return 0.5 * float(r @ r) + weight * float(np.sum(np.abs(x))) + 0.5 * ridge * float(x @ x)

    def scikit(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            model = module.ElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=False, tol=tolerance, max_iter=100_000).fit(
                F, b
            )
            return model.coef_, int(model.n_iter_)

        return call

    def skglm(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            settings = {"alpha": alpha, "fit_intercept": False, "tol": tolerance}
            model = module.ElasticNet(l1_ratio=ratio, **settings) if ridge else module.Lasso(**settings)
            model.fit(F, b)
            return model.coef_, int(model.n_iter_)

        return call

    def celer(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            settings = {"alpha": alpha, "fit_intercept": False, "tol": tolerance, "max_iter": 1000}
            model = module.ElasticNet(l1_ratio=ratio, **settings) if ridge else module.Lasso(**settings)
            model.fit(F, b)
            return model.coef_, int(model.n_iter_)

        return call

    peers: Peers = {
        "scikit-learn": ("sklearn.linear_model", scikit),
        "skglm": ("skglm", skglm),
        "celer": ("celer", celer),
    }
    return Case(
        lambda: monops.LeastSquares(A, b) + penalty, value, feasible, peers, float(np.linalg.norm(A.T @ b)), by_hand=by_hand
    )


def lasso_wide(shrink: int) -> Case:
    """Wide, correlated columns."""
    return _lasso(correlated(1000 // shrink, 10_000 // shrink, 0.6), 0.1, 0.0, (monops.WorkingSetNewton(),))


def lasso_tall(shrink: int) -> Case:
    """More rows than columns."""
    return _lasso(
        normal(3, 5000 // shrink, 500 // shrink),
        0.01,
        0.0,
        (monops.WorkingSetNewton(), monops.SemismoothNewton(), monops.AcceleratedForwardBackward()),
    )


def elastic_net(shrink: int) -> Case:
    """Correlated columns and a ridge."""
    return _lasso(correlated(1000 // shrink, 5000 // shrink, 0.9), 0.02, 10.0, (monops.WorkingSetNewton(),))


def logistic(shrink: int) -> Case:
    """Sparse data, sum of log(1 + exp(-label <a, x>)) + weight |x|_1."""
    m, n = 4000 // shrink, 20_000 // shrink
    A = sparse.csr_array(sparse.random_array((m, n), density=min(1.0, 40 / n), rng=np.random.default_rng(4)))
    labels = np.where(planted(A, n // 50) > 0, 1.0, -1.0)
    weight = 0.3 * float(np.max(np.abs(A.T @ labels))) / 2
    C, csr, csc = 1.0 / weight, sparse.csr_matrix(A), sparse.csc_matrix(A)

    def value(x: Any) -> float:
        return float(np.sum(np.logaddexp(0.0, -labels * (A @ x)))) + weight * float(np.sum(np.abs(x)))

    def scikit(solver: str) -> Callable[[Any], Call]:
        def build(module: Any) -> Call:
            def call(tolerance: float) -> tuple[Any, int | None]:
                model = module.LogisticRegression(
                    l1_ratio=1.0, solver=solver, C=C, fit_intercept=False, tol=tolerance, max_iter=5000, random_state=0
                ).fit(csr, labels)
                return model.coef_.ravel(), int(model.n_iter_[0])

            return call

        return build

    def skglm(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            model = module.SparseLogisticRegression(alpha=weight / m, fit_intercept=False, tol=tolerance).fit(csc, labels)
            return model.coef_.ravel(), int(np.max(model.n_iter_))

        return call

    def celer(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            model = module.LogisticRegression(C=C, fit_intercept=False, tol=tolerance, max_iter=1000).fit(csc, labels)
            return model.coef_.ravel(), None

        return call

    peers: Peers = {
        "liblinear": ("sklearn.linear_model", scikit("liblinear")),
        "saga": ("sklearn.linear_model", scikit("saga")),
        "skglm": ("skglm", skglm),
        "celer": ("celer", celer),
    }
    return Case(
        lambda: monops.LogisticLoss(labels) @ A + weight * monops.L1Norm(),
        value,
        feasible,
        peers,
        float(np.linalg.norm(A.T @ labels)) / 2,
        by_hand=(monops.WorkingSetNewton(),),
    )


def group_lasso(shrink: int) -> Case:
    """1/2 |Ax - b|^2 + weight sum of |x_group|_2, groups of ten neighbours."""
    m, n, size = 500 // shrink, 10 * (500 // shrink), 10
    A = correlated(m, n, 0.6)
    b = planted(A, max(2, n // 100))
    groups = [tuple(range(i, i + size)) for i in range(0, n, size)]
    weight = 0.1 * float(np.max(np.linalg.norm((A.T @ b).reshape(-1, size), axis=1)))
    F = np.asfortranarray(A)

    def value(x: Any) -> float:
        r = A @ x - b
        return 0.5 * float(r @ r) + weight * float(np.sum(np.linalg.norm(x.reshape(-1, size), axis=1)))

    def estimator(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            model = module.GroupLasso(groups=size, alpha=weight / m, fit_intercept=False, tol=tolerance, max_iter=1000)
            model.fit(F, b)
            return model.coef_, int(np.max(model.n_iter_))

        return call

    return Case(
        lambda: monops.LeastSquares(A, b) + monops.TreeGroupL2([(group, weight) for group in groups]),
        value,
        feasible,
        {"celer": ("celer", estimator), "skglm": ("skglm", estimator)},
        float(np.linalg.norm(A.T @ b)),
        by_hand=(monops.WorkingSetNewton(),),
    )


def nnls(shrink: int) -> Case:
    """1/2 |Ax - b|^2 over x >= 0."""
    m, n = 2000 // shrink, 1000 // shrink
    A = np.abs(normal(5, m, n))
    b = A @ np.maximum(normal(6, n), 0.0) + normal(7, m)
    F = np.asfortranarray(A)

    def value(x: Any) -> float:
        r = A @ x - b
        return 0.5 * float(r @ r)

    def active_set(module: Any) -> Call:
        return lambda tolerance: (module.nnls(F, b, maxiter=100 * n)[0], None)

    def gram(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            P, q = A.T @ A, A.T @ b
            return bounded(module, P, -q, 0.0, np.inf, tolerance)

        return call

    def scikit(module: Any) -> Call:
        return lambda tolerance: (module.LinearRegression(positive=True, fit_intercept=False).fit(F, b).coef_, None)

    return Case(
        lambda: monops.LeastSquares(A, b) + monops.NonNegative(),
        value,
        lambda x: float(max(0.0, -x.min())) / (1.0 + float(np.abs(x).max())),
        {
            "SciPy nnls": ("scipy.optimize", active_set),
            "L-BFGS-B on the Gram": ("scipy.optimize", gram),
            "scikit-learn": ("sklearn.linear_model", scikit),
        },
        float(np.linalg.norm(A.T @ b)),
        by_hand=(monops.WorkingSetNewton(), monops.SemismoothNewton(), monops.AcceleratedForwardBackward()),
    )
