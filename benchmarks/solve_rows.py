"""The rows of ``./run bench solve``: a problem, its checker, and the peers that solve it.

A row makes its data at a size; ``shrink`` divides the dimensions (1: as published; tests use a large one). ``problem()`` builds
ours, inside the timing. A peer gets the data in the layout it likes best, prepared outside of the timing; its call takes a
tolerance and returns the answer in our variables, and the number of iterations where it tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.sparse as sparse

import monops

Call = Callable[[float], tuple[Any, int | None]]
Peers = dict[str, tuple[str, Callable[[Any], Call]]]


class Case(NamedTuple):
    """A problem at a size: ours, what an answer is worth, how far it is from feasible (relative), and the peers.

    ``value`` is compared with the least value that any solver finds; where ``exact`` is set it is a gap, whose optimum is 0,
    relative to ``exact``. ``scale`` is the size of a residual, for our tolerances.
    """

    problem: Callable[[], Any]
    value: Callable[[Any], float]
    violation: Callable[[Any], float]
    peers: Peers
    scale: float
    exact: float | None = None
    read: Callable[[Any], Any] = lambda result: result.x
    start: Any = None
    batch_ndim: int = 0
    by_hand: tuple[Any, ...] = ()


def feasible(x: Any) -> float:
    """The violation of a problem without constraints."""
    return 0.0


def normal(seed: int, *shape: int) -> np.ndarray:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


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


# ---- regression ----------------------------------------------------------------------------------


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


def bounded(module: Any, P: np.ndarray, q: np.ndarray, lower: float, upper: float, tolerance: float) -> tuple[Any, int | None]:
    """SciPy's L-BFGS-B on 1/2 <x, Px> + <q, x> over a box."""

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        Px = P @ x
        return 0.5 * float(x @ Px) + float(q @ x), Px + q

    found = module.minimize(
        objective,
        np.clip(np.zeros(len(q)), lower, upper),
        jac=True,
        method="L-BFGS-B",
        bounds=[(lower, upper)] * len(q),
        options={"ftol": 1e-6 * tolerance, "gtol": tolerance * float(np.max(np.abs(q))), "maxiter": 100_000, "maxfun": 200_000},
    )
    return found.x, int(found.nit)


# ---- quadratic programs --------------------------------------------------------------------------


def program_peers(P: Any, q: np.ndarray, A: Any, lower: np.ndarray, upper: np.ndarray, read: Callable[[Any], Any]) -> Peers:
    """OSQP, SCS, Clarabel and PIQP on 1/2 <x, Px> + <q, x> subject to lower <= Ax <= upper, sparse."""
    P, A = sparse.csc_matrix(P), sparse.csc_matrix(A)
    half = sparse.triu(P, format="csc")
    equal = lower == upper
    above, below = np.isfinite(upper) & ~equal, np.isfinite(lower) & ~equal
    rows = sparse.csc_matrix(sparse.vstack([A[equal], A[above], -A[below]]))
    sides = np.concatenate([upper[equal], upper[above], -lower[below]])
    zeros = int(equal.sum())
    inequalities, right = rows[zeros:], sides[zeros:]
    inequalities = sparse.csc_matrix(inequalities)
    equations = sparse.csc_matrix(rows[:zeros])

    def osqp(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            solver = module.OSQP()
            settings = {"verbose": False, "eps_abs": tolerance, "eps_rel": tolerance, "max_iter": 100_000, "time_limit": 10.0}
            solver.setup(half, q, A, lower, upper, polishing=True, **settings)
            found = solver.solve()
            return read(found.x), int(found.info.iter)

        return call

    def scs(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            data = {"P": half, "A": rows, "b": sides, "c": q}
            settings = {"verbose": False, "eps_abs": tolerance, "eps_rel": tolerance, "time_limit_secs": 10.0}
            found = module.solve(data, {"z": zeros, "l": len(sides) - zeros}, max_iters=1_000_000, **settings)
            return read(found["x"]), int(found["info"]["iter"])

        return call

    def clarabel(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            cones = [module.ZeroConeT(zeros), module.NonnegativeConeT(len(sides) - zeros)]
            settings = module.DefaultSettings()
            settings.verbose = False
            settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
            found = module.DefaultSolver(P, q, rows, sides, cones, settings).solve()
            return read(np.array(found.x)), int(found.iterations)

        return call

    def piqp(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            solver = module.SparseSolver()
            solver.settings.eps_abs = solver.settings.eps_rel = tolerance
            solver.settings.check_duality_gap = True
            solver.settings.eps_duality_gap_abs = solver.settings.eps_duality_gap_rel = tolerance
            solver.setup(P, q, equations, sides[:zeros], inequalities, None, right)
            solver.solve()
            return read(np.array(solver.result.x)), int(solver.result.info.iter)

        return call

    return {"OSQP": ("osqp", osqp), "SCS": ("scs", scs), "Clarabel": ("clarabel", clarabel), "PIQP": ("piqp", piqp)}


def dense_piqp(P: np.ndarray, q: np.ndarray, A: Any, b: Any, lower: np.ndarray, upper: np.ndarray) -> Callable[[Any], Call]:
    """PIQP's dense solver with equations and bounds."""

    def build(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            solver = module.DenseSolver()
            solver.settings.eps_abs = solver.settings.eps_rel = tolerance
            solver.settings.check_duality_gap = True
            solver.settings.eps_duality_gap_abs = solver.settings.eps_duality_gap_rel = tolerance
            solver.setup(P, q, A, b, None, None, None, lower, upper)
            solver.solve()
            return np.array(solver.result.x), int(solver.result.info.iter)

        return call

    return build


def box_violation(lower: Any, upper: Any) -> Callable[[Any], float]:
    """Largest distance to the box, relative to the point."""
    return lambda x: float(np.max(np.maximum(lower - x, x - upper), initial=0.0)) / (1.0 + float(np.max(np.abs(x))))


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


# ---- linear programs and games -------------------------------------------------------------------


def highs(kind: str, c: np.ndarray, A: Any, lower: np.ndarray, upper: np.ndarray, least: Any, read: Any) -> Any:
    """HiGHS on the least <c, x>, lower <= Ax <= upper, least <= x."""
    matrix = sparse.csc_array(A)

    def build(module: Any) -> Call:
        def call(tolerance: float) -> tuple[Any, int | None]:
            program = module.HighsLp()
            program.num_col_, program.num_row_, program.col_cost_ = len(c), len(lower), c
            program.row_lower_, program.row_upper_ = lower, upper
            program.col_lower_, program.col_upper_ = least, np.full(len(c), np.inf)
            program.a_matrix_.format_ = module.MatrixFormat.kColwise
            program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
            program.a_matrix_.value_ = matrix.data
            solver = module.Highs()
            for name, setting in (("output_flag", False), ("threads", 1), ("solver", kind), ("time_limit", 10.0)):
                solver.setOptionValue(name, setting)
            for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance", "kkt_tolerance"):
                solver.setOptionValue(name, min(1e-2 if kind == "pdlp" else 1e-7, max(1e-10, tolerance)))
            solver.passModel(program)
            solver.run()
            found, info = solver.getSolution(), solver.getInfo()
            count = info.pdlp_iteration_count if kind == "pdlp" else info.simplex_iteration_count
            return read(np.array(found.col_value), np.array(found.row_dual)), int(count)

        return call

    return "highspy", build


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
    del peers["OSQP"], peers["SCS"]  # minutes

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


# ---- images and matrices -------------------------------------------------------------------------


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
    """Iterations of a peer without a stopping rule of its own: from base on, 2.5 times as many for each further digit."""
    return int(base * 2.5 ** (-np.log10(tolerance)))


def denoising(shrink: int) -> Case:
    """1/2 |x - b|^2 + weight TV(x), isotropic."""
    n, weight = 512 // shrink, 0.1
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

    return Case(
        lambda: monops.SquaredL2().translate(b) + monops.GroupL2(weight, axis=0) @ monops.Gradient((n, n)),
        value,
        feasible,
        {"pyproximal": ("pyproximal", pyproximal), "scikit-image": ("skimage.restoration", skimage)},
        float(n),
        by_hand=(monops.AcceleratedChambollePock(), monops.RestartedChambollePock()),
    )


def deblurring(shrink: int) -> Case:
    """1/2 |kernel * x - b|^2 + weight TV(x), periodic convolution."""
    n, weight = 256 // shrink, 0.002
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

    return Case(
        lambda: (
            monops.LeastSquares(monops.Convolution(kernel, (n, n)), b)
            + monops.GroupL2(weight, axis=0) @ monops.Gradient((n, n))
        ),
        value,
        feasible,
        {"pyproximal": ("pyproximal", pyproximal)},
        float(np.linalg.norm(b)),
        by_hand=(monops.ADMM(), monops.AdaptiveADMM(), monops.CondatVu(), monops.ChambollePock()),
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


ROWS: dict[str, Callable[[int], Case]] = {
    "lasso-wide": lasso_wide,
    "lasso-tall": lasso_tall,
    "elastic-net": elastic_net,
    "logistic": logistic,
    "group-lasso": group_lasso,
    "nnls": nnls,
    "box-qp": box_program,
    "portfolio": portfolio,
    "basis-pursuit": basis_pursuit,
    "matrix-game": matrix_game,
    "tv-denoising": denoising,
    "tv-deblurring": deblurring,
    "svm-dual": support_vectors,
    "qp-batch": batch,
    "sparse-lp": linear_program,
    "correlation": correlation,
    "completion": completion,
}
