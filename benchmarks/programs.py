"""Linear and quadratic programs of Maros-Meszaros and netlib: monops beside OSQP, SCS, Clarabel, HiGHS and PDLP.

``python -m benchmarks programs [FOLDER] [--limit SECONDS] [--solvers a,b] [--problems a,b] [--out FILE]``. FOLDER (default
MONOPS_DATA) holds ``maros_meszaros/*.mat`` (keys P q A l u) and ``netlib_lp/*.mps.gz``. Every solver gets the same time for
each problem, in a process of its own that is ended when the time is over. One checker judges all of them, on the data as
given: relative residuals of feasibility, of stationarity and of the duality gap; what a solver says of itself counts for
nothing but the column of wrong claims. Times are processor seconds of the solver's call on one thread, set-up of its data
included; the limit is wall time, which --out records too.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import importlib
import json
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.io
import scipy.sparse as sparse

SHIFT = 1.0  # seconds, of the shifted geometric mean
LEVELS = (1e-3, 1e-6)
INFINITE = 9.9e19  # 1e20, however it was rounded


class Data(NamedTuple):
    """minimise 1/2 <x, Px> + <q, x> subject to lower <= Ax <= upper; the last n rows of A are the identity."""

    P: Any
    q: np.ndarray
    A: Any
    lower: np.ndarray
    upper: np.ndarray


class Answer(NamedTuple):
    """What a solver returns: point, multipliers (either may be missing), its own verdict, seconds."""

    x: np.ndarray | None
    y: np.ndarray | None
    status: str
    claims: bool
    seconds: float


# ---- problems ------------------------------------------------------------------------------------


def load_quadratic(path: Path) -> Data:
    """A problem of the Maros-Meszaros set."""
    found = scipy.io.loadmat(path)
    lower, upper = (found[key].astype(float).ravel() for key in ("l", "u"))
    return Data(
        sparse.csc_array(found["P"].astype(float)),
        found["q"].astype(float).ravel(),
        sparse.csr_array(found["A"].astype(float)),
        np.where(lower <= -INFINITE, -np.inf, lower),
        np.where(upper >= INFINITE, np.inf, upper),
    )


def load_linear(path: Path) -> Data:
    """A problem of the netlib set, read by HiGHS."""
    highspy: Any = importlib.import_module("highspy")

    with tempfile.NamedTemporaryFile(suffix=".mps") as file:
        file.write(gzip.decompress(path.read_bytes()))
        file.flush()
        model = highspy.Highs()
        model.setOptionValue("output_flag", False)
        model.readModel(file.name)
    program = model.getLp()
    n, m, matrix = program.num_col_, program.num_row_, program.a_matrix_
    kind = sparse.csc_array if matrix.format_ == highspy.MatrixFormat.kColwise else sparse.csr_array
    A = kind((np.array(matrix.value_), np.array(matrix.index_), np.array(matrix.start_)), shape=(m, n))
    rows = sparse.csr_array(sparse.vstack([A, sparse.eye_array(n)]))
    lower = np.concatenate([np.array(program.row_lower_), np.array(program.col_lower_)])
    upper = np.concatenate([np.array(program.row_upper_), np.array(program.col_upper_)])
    return Data(sparse.csc_array((n, n)), np.array(program.col_cost_), rows, lower, upper)


def problems(folder: Path) -> dict[str, Callable[[], Data]]:
    """All problems by name, to be loaded when their turn comes."""
    found: dict[str, Callable[[], Data]] = {}
    for path in sorted((folder / "maros_meszaros").glob("*.mat")):
        found[path.stem] = functools.partial(load_quadratic, path)
    for path in sorted((folder / "netlib_lp").glob("*.mps.gz")):
        found[path.name.removesuffix(".mps.gz")] = functools.partial(load_linear, path)
    return found


# ---- solvers -------------------------------------------------------------------------------------


def monops_solver(method: str, tolerance: float) -> Callable[[Data, float], Answer]:
    """A method of monops; converged means a residual below the tolerance times the size of the data."""

    def run(data: Data, limit: float) -> Answer:
        import monops
        from monops.models import quadratic_program

        start = time.perf_counter()
        P = data.P if data.P.nnz else None
        problem = quadratic_program(P, data.q, data.A, data.lower, data.upper)
        result = monops.solve(
            problem,
            getattr(monops, method)(),
            tol=tolerance * (1.0 + float(np.max(np.abs(data.q), initial=0.0))),
            max_iter=5_000,
            check_every=2,
            callback=lambda check: time.perf_counter() - start > limit,
            on_failure="ignore",
        )
        return Answer(result.x, result.dual, str(result.status), result.success, time.perf_counter() - start)

    return run


def osqp_solver(accuracy: float) -> Callable[[Data, float], Answer]:
    """OSQP with polishing."""

    def run(data: Data, limit: float) -> Answer:
        osqp: Any = importlib.import_module("osqp")

        start = time.perf_counter()
        solver = osqp.OSQP()
        solver.setup(
            sparse.csc_matrix(sparse.triu(data.P)),
            data.q,
            sparse.csc_matrix(data.A),
            data.lower,
            data.upper,
            verbose=False,
            eps_abs=accuracy,
            eps_rel=accuracy,
            max_iter=10**8,
            time_limit=limit,
            polishing=True,
        )
        result = solver.solve()
        return Answer(result.x, result.y, result.info.status, result.info.status == "solved", time.perf_counter() - start)

    return run


def conic_rows(data: Data) -> tuple[Any, np.ndarray, int, Callable[[np.ndarray], np.ndarray]]:
    """Ax + s = b with s = 0 in the first rows and s >= 0 in the others; and the multipliers of the rows of data from theirs."""
    equal = data.lower == data.upper
    above, below = np.isfinite(data.upper) & ~equal, np.isfinite(data.lower) & ~equal
    A = sparse.csc_array(sparse.vstack([data.A[equal], data.A[above], -data.A[below]]))
    b = np.concatenate([data.upper[equal], data.upper[above], -data.lower[below]])

    def back(z: np.ndarray) -> np.ndarray:
        y = np.zeros(len(equal))
        first, second = int(equal.sum()), int(equal.sum() + above.sum())
        y[equal], y[above] = z[:first], z[first:second]
        y[below] -= z[second:]
        return y

    return A, b, int(equal.sum()), back


def scs_solver(accuracy: float) -> Callable[[Data, float], Answer]:
    """SCS."""

    def run(data: Data, limit: float) -> Answer:
        scs: Any = importlib.import_module("scs")

        start = time.perf_counter()
        A, b, zeros, back = conic_rows(data)
        found = scs.solve(
            {"P": sparse.csc_matrix(sparse.triu(data.P)), "A": sparse.csc_matrix(A), "b": b, "c": data.q},
            {"z": zeros, "l": len(b) - zeros},
            verbose=False,
            eps_abs=accuracy,
            eps_rel=accuracy,
            max_iters=10**8,
            time_limit_secs=limit,
        )
        status = found["info"]["status"]
        return Answer(found["x"], back(found["y"]), status, status == "solved", time.perf_counter() - start)

    return run


def clarabel_solver(data: Data, limit: float) -> Answer:
    """Clarabel, an interior point method: the trusted reference of the quadratic programs."""
    clarabel: Any = importlib.import_module("clarabel")

    start = time.perf_counter()
    A, b, zeros, back = conic_rows(data)
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.time_limit = False, limit
    cones = [clarabel.ZeroConeT(zeros), clarabel.NonnegativeConeT(len(b) - zeros)]
    P = sparse.csc_matrix(sparse.triu(data.P))
    result = clarabel.DefaultSolver(P, data.q, sparse.csc_matrix(A), b, cones, settings).solve()
    status = str(result.status)
    return Answer(np.array(result.x), back(np.array(result.z)), status, status == "Solved", time.perf_counter() - start)


def highs_solver(kind: str) -> Callable[[Data, float], Answer]:
    """HiGHS: its simplex method ("choose"), its first-order method ("pdlp"); its active sets for quadratic programs."""

    def run(data: Data, limit: float) -> Answer:
        highspy: Any = importlib.import_module("highspy")

        if kind == "pdlp" and data.P.nnz:
            return Answer(None, None, "for linear programs only", False, 0.0)
        start = time.perf_counter()
        n = len(data.q)
        m = data.A.shape[0] - n
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = n, m
        program.col_cost_ = data.q
        program.row_lower_, program.row_upper_ = data.lower[:m], data.upper[:m]
        program.col_lower_, program.col_upper_ = data.lower[m:], data.upper[m:]
        matrix = sparse.csc_array(data.A[:m])
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
        program.a_matrix_.value_ = matrix.data
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("time_limit", limit)
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("solver", kind)
        if kind == "pdlp":
            solver.setOptionValue("kkt_tolerance", 1e-7)
        solver.passModel(program)
        if data.P.nnz:
            lower = sparse.csc_array(sparse.tril(data.P))
            hessian = highspy.HighsHessian()
            hessian.dim_, hessian.format_ = n, highspy.HessianFormat.kTriangular
            hessian.start_, hessian.index_, hessian.value_ = lower.indptr, lower.indices, lower.data
            solver.passHessian(hessian)
        solver.run()
        status = solver.modelStatusToString(solver.getModelStatus())
        found = solver.getSolution()
        seconds = time.perf_counter() - start
        y = -np.concatenate([np.array(found.row_dual), np.array(found.col_dual)])
        if len(y) != m + n:
            return Answer(None, None, status, False, seconds)
        return Answer(np.array(found.col_value), y, status, status == "Optimal", seconds)

    return run


SOLVERS: dict[str, Callable[[Data, float], Answer]] = {
    "monops": monops_solver("InteriorProximalMultipliers", 1e-9),
    "monops-al": monops_solver("AugmentedLagrangianNewton", 1e-9),
    "osqp": osqp_solver(1e-7),
    "scs": scs_solver(1e-7),
    "clarabel": clarabel_solver,
    "highs": highs_solver("choose"),
    "pdlp": highs_solver("pdlp"),
}


# ---- the checker ---------------------------------------------------------------------------------


def residuals(data: Data, x: np.ndarray | None, y: np.ndarray | None) -> tuple[float, float, float]:
    """Relative residuals of feasibility, stationarity and the duality gap; infinite where something is missing."""
    if x is None or y is None or not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        return math.inf, math.inf, math.inf

    def size(v: np.ndarray) -> float:
        return float(np.max(np.abs(v), initial=0.0))

    image, curve = data.A @ x, data.P @ x
    wrong = ((y > 0) & np.isinf(data.upper)) | ((y < 0) & np.isinf(data.lower))  # their price is infinite
    kept = np.where(wrong, 0.0, y)
    pull = data.A.T @ kept
    inside = np.clip(image, data.lower, data.upper)
    feasibility = size(image - inside) / (1.0 + max(size(image), size(inside)))
    stationarity = size(curve + data.q + pull) / (1.0 + max(size(curve), size(data.q), size(pull)))
    price = float(np.sum(np.where(kept > 0, data.upper, np.where(kept < 0, data.lower, 0.0)) * kept))
    value, bound = 0.5 * float(x @ curve) + float(data.q @ x), -0.5 * float(x @ curve) - price
    return feasibility, stationarity, abs(value - bound) / (1.0 + max(abs(value), abs(bound)))


# ---- running -------------------------------------------------------------------------------------


def worker(name: str, data: Data, limit: float, pipe: Any) -> None:
    """Run one solver and send the answer back."""
    try:
        begin = time.process_time()
        answer = SOLVERS[name](data, limit)
        pipe.send(answer._replace(seconds=time.process_time() - begin))
    except Exception as error:  # a solver that refuses or breaks is a row of the table, not the end of it
        pipe.send(Answer(None, None, f"{type(error).__name__}: {error}"[:200], False, 0.0))


def run_one(name: str, data: Data, limit: float) -> Answer:
    """The solver in a process of its own, ended a little after the limit."""
    # a server without threads forks: libraries that have started threads do not survive a fork of their own
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["benchmarks.programs", "monops", "monops.models", "clarabel", "osqp", "scs"])
    here, there = server.Pipe(duplex=False)
    process = server.Process(target=worker, args=(name, data, limit, there))
    process.start()
    there.close()
    answer = Answer(None, None, "ended at the time limit", False, limit)
    try:
        if here.poll(1.2 * limit + 3.0):
            answer = here.recv()
    except EOFError:
        answer = Answer(None, None, "crashed", False, limit)
    process.kill()
    process.join()
    return answer


def mean_time(seconds: list[float]) -> float:
    """Shifted geometric mean."""
    return math.exp(float(np.mean(np.log(np.array(seconds) + SHIFT)))) - SHIFT


def table(rows: list[dict[str, Any]], names: list[str], limit: float) -> None:
    """How many each solver solves, what it claims wrongly, and its times."""
    count = len({row["problem"] for row in rows})
    print(f"\n{count} problems, {limit:g} s each; mean: shifted geometric ({SHIFT:g} s), failures count as the limit")
    print(f"{'solver':<10} {'1e-3':>5} {'1e-6':>5} {'wrong claims':>13} {'mean s':>8} {'ratio to ' + names[0]:>16}")
    means = {}
    for name in names:
        mine = [row for row in rows if row["solver"] == name]
        means[name] = mean_time([row["seconds"] if row["worst"] <= LEVELS[1] else limit for row in mine])
        solved = [sum(row["worst"] <= level for row in mine) for level in LEVELS]
        wrong = sum(row["claims"] and row["worst"] > LEVELS[0] for row in mine)
        ratio = means[name] / means[names[0]]
        print(f"{name:<10} {solved[0]:>5} {solved[1]:>5} {wrong:>13} {means[name]:>8.3f} {ratio:>16.2f}")
    for name in names:
        for row in rows:
            if row["solver"] == name and row["worst"] > LEVELS[1]:
                print(f"  {name:<10} {row['problem']:<10} {row['worst']:.1e} after {row['seconds']:.2f} s: {row['status']}")


def main(*arguments: str) -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser("benchmarks programs")
    parser.add_argument("folder", nargs="?", default=os.environ.get("MONOPS_DATA"))
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each problem and solver")
    parser.add_argument("--solvers", default=",".join(SOLVERS))
    parser.add_argument("--problems", default="", help="names; all by default")
    parser.add_argument("--out", default="", help="file for one JSON line a run")
    settings = parser.parse_args(arguments)
    if settings.folder is None:
        sys.exit("benchmarks programs: pass the folder with maros_meszaros and netlib_lp, or set MONOPS_DATA")
    found = problems(Path(settings.folder))
    wanted = settings.problems.split(",") if settings.problems else list(found)
    unknown = [name for name in wanted if name not in found]
    if unknown:
        sys.exit(f"benchmarks programs: no program {', '.join(unknown)}; there are {', '.join(found)}")
    names, rows = settings.solvers.split(","), []
    for problem in wanted:
        data = found[problem]()
        for name in names:
            begin = time.perf_counter()
            answer = run_one(name, data, settings.limit)
            wall = time.perf_counter() - begin
            errors = residuals(data, answer.x, answer.y)
            row = {"problem": problem, "n": len(data.q), "m": data.A.shape[0], "solver": name, "status": answer.status}
            row |= {"claims": answer.claims, "seconds": answer.seconds, "wall": wall, "residuals": errors, "worst": max(errors)}
            rows.append(row)
            print(f"{problem:<10} {name:<10} {max(errors):>8.1e} {answer.seconds:>8.3f} s  {answer.status}", flush=True)
            if settings.out:
                with open(settings.out, "a") as file:
                    file.write(json.dumps(row) + "\n")
    table(rows, names, settings.limit)


if __name__ == "__main__":
    from benchmarks.programs import main as run_main  # under its own name, so that other processes find it

    run_main(*sys.argv[1:])
