"""Peers that several rows share, in the layouts they like best."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sparse

from benchmarks.solve_rows.case import Call, Peers


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
