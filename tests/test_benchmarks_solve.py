"""The rows of the benchmark of solving, at a tiny size: our answers pass their checkers, and worse ones do not."""

import math

import numpy as np
import pytest

import monops
from benchmarks import solve
from benchmarks.solve_rows import ROWS

SHRINK = {"lasso-wide": 20, "sparse-lp": 20, "portfolio": 20, "tv-deblurring": 8, "qp-batch": 50, "matrix-game": 25}


@pytest.mark.parametrize("name", ROWS)
def test_our_answer_passes_the_checker_and_a_worse_one_does_not(name: str) -> None:
    case = ROWS[name](SHRINK.get(name, 10))
    tight, loose = (
        monops.solve(
            case.problem(),
            method,
            tol=tolerance * case.scale,
            x0=case.start,
            batch_ndim=case.batch_ndim,
            max_iter=8_000,
            on_failure="ignore",
        )
        for tolerance, method in ((1e-6, None), (1e-8, case.by_hand[0]))
    )
    runs = [solve.Run(0.0, 0.0, case.value(case.read(r)), case.violation(case.read(r)), None) for r in (tight, loose)]
    best = solve.least(case, runs, math.inf)
    assert all(solve.error_of(case, run, best) <= 1e-3 for run in runs), runs
    x = case.read(tight)
    worse = tuple(np.roll(part, 1) for part in x) if isinstance(x, (tuple, monops.Blocks)) else x + 0.05 * (1.0 + np.abs(x))
    moved = solve.Run(0.0, 0.0, case.value(worse), case.violation(worse), None)
    assert solve.error_of(case, moved, best) > 1e-3


def test_sweep_times_and_failures(capsys: pytest.CaptureFixture[str]) -> None:
    records = solve.run_row("nnls", 20, 0.5, 5.0, by_hand=False, optima={})
    mine = records[0]
    assert mine["solver"] == "monops"
    assert mine["least_error"] < 1e-9
    assert None not in mine["times"]
    solve.show(records)
    solve.summary(records)
    assert "nnls" in capsys.readouterr().out


def test_a_solver_that_breaks_is_a_line_of_the_table() -> None:
    def broken(tolerance: float | None) -> tuple[object, int | None, str]:
        raise RuntimeError("no")

    run = solve.timed(ROWS["nnls"](20), broken, 1e-3)
    assert run.value == math.inf
    assert "RuntimeError" in run.remark


@pytest.mark.parametrize(("name", "certified"), [("tv-denoising", 1e-6), ("tv-deblurring", 0.5)])
def test_no_answer_is_below_the_certified_bound_of_a_reference(name: str, certified: float) -> None:
    case = ROWS[name](8)
    assert case.reference is not None
    value, excess = case.reference(1.0)
    assert 0.0 <= excess < certified * value
    answers = [
        monops.solve(case.problem(), case.by_hand[0], tol=tolerance * case.scale, max_iter=8_000, on_failure="ignore")
        for tolerance in (1e-3, 1e-5)
    ]
    assert all(case.value(answer.x) >= value - excess for answer in answers)
    assert abs(case.value(answers[1].x) - value) < 1e-2 * value
