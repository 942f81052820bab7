"""The loop of a solve: chunks of steps, each followed by one check of every row that still runs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from monops import arrays, checkpoint, checks, duality
from monops.algorithms import Algorithm
from monops.algorithms.primal_dual import ChambollePock
from monops.algorithms.resolvents import DouglasRachford, ParallelDouglasRachford
from monops.arrays import Array
from monops.duality import function_of
from monops.errors import DataError, NotApplicableError
from monops.inconsistency import FAR, Drift, Inconsistency, explain_drift
from monops.problem import Inclusion
from monops.result import Check, Status, host_rows
from monops.rows import STATUSES, Monitor, Rows
from monops.stopping import Rule, TimeLimit

PROBE = 2560  # iterations of the map that is asked for a certificate
SAVE_EVERY = 30.0  # seconds between two checkpoints; the last state is always written


class Run:
    """One solve while it runs."""

    def __init__(
        self,
        problem: Inclusion,
        algorithm: Algorithm,
        terms: Any,
        x0: Array,
        rule: Rule,
        max_iter: int,
        check_every: int,
        history: bool,
    ) -> None:
        self.problem, self.algorithm, self.terms, self.x0 = problem, algorithm, terms, x0
        self.max_iter, self.check_every = max_iter, check_every
        batch = tuple(int(n) for n in arrays.leaves(x0)[0].shape[: problem.batch_ndim])
        self.monitor = Monitor(batch, rule, history)
        self.rows = Rows(() if rule.needs_values else batch)
        self.state: Any = None
        self.ended: Any = None  # the rows that have ended, as they ended
        self.certificate: Array | None = None
        self.iteration, self.seconds = 0, 0.0
        self.mark, self.saved = "", 0.0
        self.file: Path | None = None
        self.stopped = False
        self.floor: float | None = None
        self.inconsistency: Inconsistency | None = None
        self.all_terms = terms

    def iterate(self, callback: Callable[[Check], Any] | None, report: Callable[[int, float], None]) -> None:
        """Chunks of steps, each followed by one check, until every row has ended."""
        monitor, begin = self.monitor, time.perf_counter()
        drift = Drift(self.check_every) if self.algorithm.is_map and not monitor.batch else None
        previous = self.algorithm.solution(self.terms, self.state).x
        self.ended = self.state
        while self.iteration < self.max_iter and monitor.running.any():
            last = self.state
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # overflow is reported by the status
                self._chunk()
                self.certificate = self.algorithm.certificate(self.terms, self.state)
                residual = arrays.norm(self.certificate, len(monitor.batch))
                point = self.algorithm.solution(self.terms, self.state)
                if monitor.checks == 0:
                    checks.check_shape_kept(self.problem, self.x0, point.x)
                check = self._check(residual, point, previous, begin)
                running = monitor.running[self.rows.at]
                ended = monitor.update(check, self.rows.at, functools.partial(self._floor, point.x))
            broken = monitor.code[self.rows.at] == STATUSES.index(Status.NON_FINITE)
            if np.any(broken):
                self.state = self._put_back(broken, last)
            if ended:
                fresh = running & ~monitor.running[self.rows.at]
                whole = not monitor.batch or bool(np.all(fresh))
                self.ended = self.state if whole else self._rows_from(fresh, self.state, self.ended)
            previous = point.x
            self.seconds = time.perf_counter() - begin
            report(self.iteration, float(np.max(monitor.residual, initial=0.0)))
            if callback is not None and callback(self._whole_check(check)):
                self.stopped = True
                monitor.end(Status.STOPPED)
            if monitor.running.any() and not monitor.batch:
                self._ask_method(point.x)
            if drift is not None and monitor.running.any():
                self._observe(drift, point)
            if ended and monitor.running.any():
                self._compact()
            if self.file is not None and self.seconds - self.saved > SAVE_EVERY:
                self._save()
        if self.file is not None:
            self._save()
        if monitor.batch:
            self.state, self.terms = self._all_rows(), self.all_terms
            self.certificate = self.algorithm.certificate(self.terms, self.state)
        self.seconds = time.perf_counter() - begin

    def _floor(self, x: Array) -> float:
        """The residual that rounding leaves; looked at anew at checks 1, 2, 4, 8, ..., for it reads x."""
        count = self.monitor.checks
        if self.floor is None or count & (count - 1) == 0:
            self.floor = checks.rounding_floor(self.problem, x)
        return self.floor

    def _chunk(self) -> None:
        steps = min(self.check_every, self.max_iter - self.iteration)
        for _ in range(steps):
            self.state = self.algorithm.step(self.terms, self.state)
        self.iteration += steps

    def _rows_from(self, rows: np.ndarray[Any, Any], state: Any, others: Any) -> Any:
        first = arrays.leaves(state)[0]
        return arrays.select_rows(arrays.from_numpy(rows, first, arrays.namespace(first).bool), state, others)

    def _put_back(self, broken: np.ndarray[Any, Any], last: Any) -> Any:
        """The state with the rows that have become non-finite as they were before."""
        self.certificate = None
        return self._rows_from(broken, last, self.state) if self.monitor.batch else last

    def _all_rows(self) -> Any:
        """The state of all rows: of those that have ended, the one they ended in.

        Rows that have ended go on in ``state`` until they are put aside, so that a step that all rows share stays one step.
        """
        running = self.monitor.running[self.rows.at]
        merged = self._rows_from(running, self.state, self.ended) if running.any() else self.ended
        return self.rows.whole(merged)

    def _compact(self) -> None:
        running = self.monitor.running
        merged = self._rows_from(running[self.rows.at], self.state, self.ended) if self.monitor.batch else self.state
        self.terms, self.state = self.rows.compact(self.algorithm, self.terms, self.state, merged, running)
        if arrays.leaves(self.state)[0].shape != arrays.leaves(self.ended)[0].shape:
            self.ended = self.state

    def _check(self, residual: Array, point: Any, previous: Array, begin: float) -> Check:
        host = host_rows(residual)
        first = self.monitor.first[self.rows.at] if self.monitor.checks else host
        same = arrays.leaves(previous)[0].shape == arrays.leaves(point.x)[0].shape
        return Check(
            self.iteration,
            host,
            first if self.monitor.batch else float(first),
            point.x,
            point.dual,
            time.perf_counter() - begin,
            certified(self.terms),
            previous if same else None,
            lambda: duality.evaluate(self.problem, point.x, point.dual),
        )

    def _whole_check(self, check: Check) -> Check:
        if not self.monitor.batch or self.monitor.running.all():
            return check
        x, dual = self.algorithm.solution(self.all_terms, self._all_rows())
        first = self.monitor.first.copy()
        return Check(
            self.iteration,
            self.monitor.residual.copy(),
            first,
            x,
            dual,
            check.seconds,
            check.strong_monotonicity,
            None,
            lambda: duality.evaluate(self.problem, x, dual),
        )

    def _ask_method(self, x: Array) -> None:
        """Whether the method itself has a certificate that there is no solution."""
        found = self.algorithm.inconsistency(self.terms, self.state)
        if found is not None and found.residual * FAR * (1.0 + float(arrays.norm(x))) < 1.0:
            kind: Any = "infeasible" if found.kind == "primal" else "unbounded"
            radius = np.inf if found.residual == 0 else 1.0 / found.residual
            self.inconsistency = Inconsistency(kind, found.vector, -1.0, radius, found.vector)
            self.monitor.end(Status.INCONSISTENT)

    def _observe(self, drift: Drift, point: Any) -> None:
        z = self.algorithm.governing(self.terms, self.state)
        if drift.observe(self.iteration, z, point.x, point.dual):
            self.inconsistency = explain_drift(self.problem, point.x, drift)
            if self.inconsistency.kind != "drift":
                self.monitor.end(Status.INCONSISTENT)
        elif drift.steady == 0:
            self.inconsistency = None

    def _save(self) -> None:
        assert self.file is not None
        state = self._all_rows() if self.monitor.batch else self.state
        checkpoint.save(self.file, self.mark, self.iteration, state, self.monitor.numbers())
        self.saved = self.seconds


def look_for_inconsistency(run: Run) -> Inconsistency | None:
    """A certificate that the problem has no solution, from the drift of an averaged map; for runs that ended without one.

    Methods that are no such map (and runs that end before their drift stands still) say nothing of it by themselves.
    """
    if run.monitor.batch or any(function_of(term) is None for term in run.problem.terms):
        return None
    methods: tuple[Algorithm, ...] = (DouglasRachford(), ParallelDouglasRachford(), ChambollePock())
    for method in methods:
        try:
            terms = method.match(run.problem)
        except NotApplicableError:
            continue
        probe = Run(run.problem, method, terms, run.x0, TimeLimit(max(1.0, 0.5 * run.seconds)), PROBE, PROBE // 128, False)
        try:
            probe.state = method.init(terms, run.x0)
        except DataError:  # a start in the blocks of another method
            continue
        probe.iterate(None, lambda iteration, residual: None)
        found = probe.inconsistency
        if found is not None and found.kind != "drift":
            return found
    return None


def certified(terms: Any) -> float | None:
    """The strong monotonicity that makes residual / mu a proven bound, or None."""
    mu = terms.constants.strong_monotonicity
    proven = mu is not None and mu > 0 and "strong_monotonicity" not in terms.constants.estimated
    return float(mu) if proven else None
