"""Time to accuracy of ``monops.solve`` with default settings, beside the strongest peers: ``./run bench solve``.

``python -m benchmarks solve [--rows a,b] [--quick] [--limit SECONDS] [--row-limit SECONDS] [--out FILE] [--by-hand]``. One
process, one BLAS thread; times are processor seconds, which other work on the machine disturbs least. Every solver runs over a
range of tolerances, coarse to fine, until its answer is right to 1e-9 or its time is over: ``--limit`` for one call, an equal
share of ``--row-limit`` for all. One checker judges all answers: relative excess over the least value that anybody finds (rows
that nobody ends quickly bring a long run with a certified bound as their reference, outside of the timing), or relative
infeasibility, whichever is larger. The time of an accuracy is that of the fastest run that reaches it, the median of three
while the row has time; set-up counts, for ours also the constants and the choice of the method; what numba compiles is compiled
before, for everybody. ``default`` is ``solve(problem)``
with no argument at all. ``--by-hand`` adds the methods that a row names, to see whether the choice was good.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import monops
from benchmarks.solve_rows import ROWS, Case

LEVELS = (1e-3, 1e-6, 1e-9)
TOLERANCES = tuple(10.0**-k for k in range(1, 13))
FINE = 1e-9
FEASIBLE = 1e-11  # infeasibility up to which a value counts as a bound of the optimum
QUICK = 4  # divides the sizes


class Run(NamedTuple):
    """One call: the tolerance asked for, seconds, value and violation of the answer, iterations, and a remark."""

    tolerance: float
    seconds: float
    value: float
    violation: float
    iterations: int | None
    remark: str = ""


def ours(case: Case, method: Any, limit: float) -> Callable[[float | None], tuple[Any, int | None, str]]:
    """``monops.solve`` as a call of a tolerance (None: the default one)."""

    def call(tolerance: float | None) -> tuple[Any, int | None, str]:
        begin = time.process_time()
        result = monops.solve(
            case.problem(),
            method,
            tol=None if tolerance is None else tolerance * case.scale,
            x0=case.start,
            batch_ndim=case.batch_ndim,
            max_iter=1_000_000,
            callback=lambda check: time.process_time() - begin > limit,
            on_failure="ignore",
        )
        return case.read(result), int(np.max(result.iterations)), f"{result.algorithm.name}, {result.status}"

    return call


def peer(call: Callable[[float], tuple[Any, int | None]]) -> Callable[[float | None], tuple[Any, int | None, str]]:
    """A peer in the same form; its default tolerance is left out."""

    def run(tolerance: float | None) -> tuple[Any, int | None, str]:
        x, iterations = call(1e-4 if tolerance is None else tolerance)
        return x, iterations, ""

    return run


def timed(case: Case, call: Callable[[float | None], tuple[Any, int | None, str]], tolerance: float | None) -> Run:
    """One call, judged; a failure is an answer with infinite errors."""
    begin = time.process_time()
    try:
        x, iterations, remark = call(tolerance)
        seconds = time.process_time() - begin
        value, violation = float(case.value(x)), float(case.violation(x))
    except Exception as error:  # a solver that refuses or breaks is a line of the table, not the end of it
        return Run(0.0, time.process_time() - begin, math.inf, math.inf, None, f"{type(error).__name__}: {str(error)[:150]}")
    if not (math.isfinite(value) and math.isfinite(violation)):
        value = violation = math.inf
    return Run(math.nan if tolerance is None else tolerance, seconds, value, violation, iterations, remark)


def error_of(case: Case, run: Run, best: float) -> float:
    """The larger of the relative excess and the relative infeasibility."""
    if not math.isfinite(run.value) or not math.isfinite(best):
        return math.inf
    scale = abs(best) if case.exact is None else case.exact
    return max(abs(run.value - best) / max(scale, 1e-300), run.violation)


def least(case: Case, runs: list[Run], known: float) -> float:
    """The best value known: 0 for gaps, else the least of the feasible answers (of the most feasible ones, if none is)."""
    if case.exact is not None:
        return 0.0
    finite = [run for run in runs if math.isfinite(run.value)]
    if not finite:
        return known
    slack = max(FEASIBLE, 2.0 * min(run.violation for run in finite))
    return min(known, *(run.value for run in finite if run.violation <= slack))


def sweep(
    case: Case,
    call: Callable[[float | None], tuple[Any, int | None, str]],
    limit: float,
    share: float,
    known: float,
    default: bool,
) -> list[Run]:
    """Runs from coarse to fine, after one to warm up, until 1e-9 is reached, or the time is over, or nothing changes."""
    slow = all(timed(case, call, tolerance).seconds > limit for tolerance in (TOLERANCES[0], FINE))  # what is compiled is now
    runs, begin = [timed(case, call, None)] if default else [], time.process_time()
    for tolerance in (FINE,) if slow else TOLERANCES:  # a slow solver is asked once, for all the accuracy
        run = timed(case, call, tolerance)
        runs.append(run)
        if not math.isfinite(run.value) or error_of(case, run, known) <= 0.1 * LEVELS[-1]:
            break
        if run.seconds > limit or time.process_time() - begin > share:
            if tolerance > FINE and run.seconds < 5.0 * limit and not default:
                runs.append(timed(case, call, FINE))  # once, for all the accuracy
            break
        if len(runs) > 3 and len({(old.value, old.iterations) for old in runs[-4:]}) == 1:
            break
    return runs


def times(case: Case, call: Any, runs: list[Run], best: float, end: float) -> list[tuple[float, int | None] | None]:
    """For each level the median time of three, before the end, of the fastest run that reaches it, and its iterations."""
    found: list[tuple[float, int | None] | None] = []
    medians: dict[float, float] = {}
    for level in LEVELS:
        right = [run for run in runs if error_of(case, run, best) <= level]
        if not right:
            found.append(None)
            continue
        run = min(right, key=lambda run: run.seconds)
        if run.tolerance not in medians:
            again = [run.seconds]
            asked = None if math.isnan(run.tolerance) else run.tolerance
            if time.process_time() + 2.0 * run.seconds < end:
                again += [timed(case, call, asked).seconds for _ in range(2)]
            medians[run.tolerance] = statistics.median(again)
        found.append((medians[run.tolerance], run.iterations))
    return found


def run_row(
    name: str, shrink: int, limit: float, row_limit: float, by_hand: bool, optima: dict[str, float]
) -> list[dict[str, Any]]:
    """All solvers of a row: one record each; ``optima`` has the least values that earlier runs found, and learns."""
    case = ROWS[name](shrink)
    key = f"{name}/{shrink}/{case.scale!r}"
    known = optima.get(key, math.inf)
    if case.reference is not None:
        value, excess = case.reference(row_limit)
        known = min(known, value)
        print(f"\n{name}: reference {value!r}, certified to {excess / max(abs(value), 1e-300):.1e} of it")
    end = time.process_time() + 1.5 * row_limit
    calls: dict[str, Any] = {"monops": ours(case, None, limit)}
    records: list[dict[str, Any]] = []
    if by_hand:
        calls |= {type(method).__name__: ours(case, method, limit) for method in case.by_hand}
    for title, (module, build) in case.peers.items():
        try:
            calls[title] = peer(build(importlib.import_module(module)))
        except ImportError:
            records.append({"row": name, "solver": title, "remark": f"{module} is not installed"})
    runs: dict[str, list[Run]] = {}
    best = known
    for title, call in calls.items():
        runs[title] = sweep(case, call, limit, row_limit / len(calls), best, title == "monops")
        best = least(case, [run for some in runs.values() for run in some], known)
    optima[key] = best
    for title, call in calls.items():
        record: dict[str, Any] = {"row": name, "solver": title, "shrink": shrink, "best": best}
        record["times"] = times(case, call, runs[title], best, end)
        record["least_error"] = min(error_of(case, run, best) for run in runs[title])
        record["remark"] = runs[title][-1].remark
        record["runs"] = [run._asdict() | {"error": error_of(case, run, best)} for run in runs[title]]
        records.append(record)
    return records


def cell(entry: tuple[float, int | None] | None, reference: tuple[float, int | None] | None) -> str:
    """Seconds, iterations, and the ratio to ours."""
    if entry is None:
        return "-"
    text = f"{entry[0]:.4f}" + ("" if entry[1] is None else f" ({entry[1]})")
    return text if reference is None or reference is entry else f"{text} x{entry[0] / reference[0]:.2f}"


def show(records: list[dict[str, Any]]) -> None:
    """The lines of a row."""
    measured = [record for record in records if "times" in record]
    reference = measured[0]["times"]
    print(f"\n{records[0]['row'] if not measured else measured[0]['row']}: seconds (iterations) xratio to monops")
    for record in measured:
        cells = [cell(entry, mine) for entry, mine in zip(record["times"], reference, strict=True)]
        line = " ".join(f"{text:>24}" for text in cells)
        print(f"  {record['solver']:<28} {line}  {record['least_error']:.0e} {record['remark']}")
    for record in records:
        if "times" not in record:
            print(f"  {record['solver']:<28} {record['remark']}")
    default = measured[0]["runs"][0]
    print(f"  solve(problem) alone: {default['seconds']:.4f} s, error {default['error']:.1e}, {default['remark']}", flush=True)


def summary(records: list[dict[str, Any]]) -> None:
    """Fastest peer over ours, for each row and level."""
    print(f"\n{'fastest peer / monops':<20} " + " ".join(f"{level:>22g}" for level in LEVELS))
    for name in dict.fromkeys(record["row"] for record in records):
        row = [record for record in records if record["row"] == name and "times" in record]
        peers = [record for record in row[1:] if not hasattr(monops, record["solver"])]
        cells = []
        for index in range(len(LEVELS)):
            mine = row[0]["times"][index]
            theirs = [(record["times"][index][0], record["solver"]) for record in peers if record["times"][index]]
            fastest = min(theirs, default=None)
            if mine is None:
                cells.append("we do not reach it" if fastest else "nobody")
            elif fastest is None:
                cells.append("only we")
            else:
                cells.append(f"{fastest[0] / mine[0]:.2f} {fastest[1][:16]}")
        print(f"{name:<20} " + " ".join(f"{text:>22}" for text in cells))


def main(*arguments: str) -> None:
    """Run the benchmark and print the tables."""
    parser = argparse.ArgumentParser("benchmarks solve")
    parser.add_argument("--rows", default=",".join(ROWS), help="names, separated by commas; all by default")
    parser.add_argument("--quick", action="store_true", help="sizes divided by four")
    parser.add_argument("--limit", type=float, default=2.0, help="seconds for one call of a solver")
    parser.add_argument("--row-limit", type=float, default=20.0, help="seconds for all runs of a row; a call is not cut short")
    parser.add_argument("--by-hand", action="store_true", help="also the methods that the rows name")
    parser.add_argument("--out", default="out/solve.jsonl", help="file for one JSON line a solver and row")
    settings = parser.parse_args(arguments)
    wanted = settings.rows.split(",")
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        parser.error(f"no row named {unknown[0]!r}; rows: {', '.join(ROWS)}")
    warnings.simplefilter("ignore")
    path = Path(settings.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    store = path.with_name("solve_optima.json")
    optima: dict[str, float] = json.loads(store.read_text()) if store.exists() else {}
    everything: list[dict[str, Any]] = []
    print(
        f"seconds to a relative accuracy of {', '.join(f'{level:g}' for level in LEVELS)}; at the end the best accuracy reached"
    )
    with path.open("w") as file:
        for name in wanted:
            records = run_row(
                name, QUICK if settings.quick else 1, settings.limit, settings.row_limit, settings.by_hand, optima
            )
            show(records)
            everything += records
            file.writelines(json.dumps(record) + "\n" for record in records)
            file.flush()
            store.write_text(json.dumps(optima, indent=0))
    summary(everything)
