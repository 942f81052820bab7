"""The rows of a batch during a solve: what each row's residual says of it, and which rows still cost time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from monops import arrays
from monops.algorithms import Algorithm
from monops.arrays import Array
from monops.linear import LinearMap
from monops.operators import FixedPoint
from monops.result import Check, Status, host_rows
from monops.stopping import ENDED, GO_ON, GOAL, Rule

STATUSES = tuple(Status)
RUNNING = -1
KEPT = ("residual", "smallest", "first", "still", "iterations")
DIVERGENCE = 1e8  # a residual this many times the smallest so far, and the first, is divergence
HIDDEN = 1e3  # a spacing of the numbers at x this many times the tolerance hides any residual
STILL = 30  # checks without x and residual changing at all (or, at the rounding level, falling): a row has stalled


class Monitor:
    """Residual, status and iteration count of every row, on the host."""

    def __init__(self, batch: tuple[int, ...], rule: Rule, keep_history: bool) -> None:
        self.rule, self.batch, self.keep_history = rule, batch, keep_history
        self.residual = np.full(batch, np.inf)
        self.smallest = np.full(batch, np.inf)
        self.first = np.full(batch, np.inf)
        self.still = np.zeros(batch, dtype=np.int64)
        self.iterations = np.zeros(batch, dtype=np.int64)
        self.code = np.full(batch, RUNNING)  # position of the row's status in STATUSES
        self.history: list[tuple[int, Any]] = []
        self.checks = 0
        self.halfway = np.inf  # the largest residual at the check that half as many checks ago

    @property
    def running(self) -> np.ndarray[Any, Any]:
        """Which rows have not ended."""
        return self.code == RUNNING

    def update(self, check: Check, at: Any, floor: Callable[[], float]) -> bool:
        """Take in one check of the rows ``at``; whether a row has just ended.

        ``floor`` gives the residual that rounding alone leaves: rows within 100 times of it that make no progress have stalled.
        """
        residual = np.asarray(check.residual, dtype=np.float64)
        running, smallest, first = self.running[at], self.smallest[at], self.first[at]
        finite = np.isfinite(residual)
        usable = running & finite
        if self.checks == 0:
            first = np.where(usable, residual, np.inf)
        better = residual < 0.999 * smallest
        waiting = residual == self.residual[at]
        if np.any(waiting):  # a residual may stay the same on the way to a far solution: then x moves
            waiting = waiting & (np.asarray(check.change) == 0)
        if self.checks > 0 and np.any(usable & ~better):
            waiting = waiting | (~better & (residual <= 100 * floor()))
        still = np.where(usable & waiting, self.still[at] + 1, 0)
        smallest = np.minimum(smallest, np.where(usable, residual, np.inf))
        verdict = self.rule.verdict(check)
        scale = DIVERGENCE * np.maximum(smallest, np.finfo(float).tiny)
        states = (
            (running & ~finite, Status.NON_FINITE),
            (usable & (verdict == GOAL) & self._too_large(check, verdict), Status.DIVERGED),
            (usable & (verdict == GOAL), Status.CONVERGED),
            (usable & (verdict == ENDED), Status.STOPPED),
            (usable & (residual > scale) & (residual > DIVERGENCE * first), Status.DIVERGED),
            (usable & (verdict == GO_ON) & (still >= STILL), Status.STALLED),
        )
        code = self.code[at]
        for rows, status in states:
            code = np.where(rows & (code == RUNNING), STATUSES.index(status), code)
        self.iterations[at] = np.where(running, check.iteration, self.iterations[at])
        self.residual[at] = np.where(usable, residual, self.residual[at])
        self.smallest[at], self.first[at], self.still[at] = smallest, first, still
        self.code[at] = code
        self.checks += 1
        if self.checks & (self.checks - 1) == 0:
            self.halfway = float(np.max(self.residual, initial=0.0))
        if self.keep_history:
            self.history.append((check.iteration, self.public(self.residual)))
        ended = running & (code != RUNNING)
        return bool(np.any(ended))

    def _too_large(self, check: Check, verdict: Any) -> Any:
        """Rows whose x has run so far away that rounding hides the residual: no goal is met there."""
        tolerance = self.rule.tolerance
        if not tolerance or not np.any(verdict == GOAL):
            return np.zeros(np.shape(verdict), dtype=bool)
        size = np.asarray(host_rows(arrays.norm(check.x, len(self.batch))))
        return arrays.epsilon(arrays.leaves(check.x)[0]) * size > HIDDEN * tolerance

    def end(self, status: Status) -> None:
        """End every row that still runs."""
        self.code = np.where(self.running, STATUSES.index(status), self.code)

    def replace(self, status: Status) -> None:
        """Give every row another status, found later."""
        self.code = np.full(self.batch, STATUSES.index(status))

    @property
    def status(self) -> tuple[Status, ...]:
        """Status of each row, in order; of rows that have ended."""
        return tuple(STATUSES[code] for code in self.code.ravel().tolist())

    def stagnates(self) -> bool:
        """Whether the largest residual fell by less than 1 % since a check between a half and a quarter of all ago."""
        return self.checks >= 20 and float(np.max(self.residual, initial=0.0)) > 0.99 * self.halfway

    def public(self, values: np.ndarray[Any, Any]) -> Any:
        """A float (or int) without batch axes, else an array."""
        return values.copy() if self.batch else values.item()

    def numbers(self) -> dict[str, np.ndarray[Any, Any]]:
        """What a checkpoint keeps."""
        kept = {name: getattr(self, name) for name in KEPT}
        names = [STATUSES[code].name if code != RUNNING else "" for code in self.code.ravel().tolist()]
        return {**kept, "status": np.array(names, dtype="U16"), "checks": np.array(self.checks)}

    def restore(self, numbers: dict[str, np.ndarray[Any, Any]]) -> None:
        """Go on from a checkpoint."""
        for name in KEPT:
            setattr(self, name, numbers[name].copy())
        codes = [STATUSES.index(Status[name]) if name else RUNNING for name in numbers["status"].tolist()]
        self.code = np.array(codes, dtype=np.int64).reshape(self.batch)
        self.checks = int(numbers["checks"])


class Rows:
    """The rows that still run, and the ended ones put aside so that they cost no more time.

    Half of the rows must have ended before the rest is moved together. Data that belong to single rows are recognised by
    their shape; what the method's ``probe`` says after a move is compared with the same on all rows: where they differ, nothing
    is moved again.
    """

    def __init__(self, batch: tuple[int, ...]) -> None:
        self.batch = batch
        self.index: np.ndarray[Any, Any] | None = np.arange(batch[0]) if len(batch) == 1 else None
        self.aside: list[tuple[np.ndarray[Any, Any], Any]] = []
        self.by_row: list[bool] = []  # which leaves of the state have rows

    @property
    def at(self) -> Any:
        """Positions of the rows that the state holds, for indexing arrays of all rows."""
        return ... if self.index is None else self.index

    def compact(
        self, algorithm: Algorithm, terms: Any, state: Any, merged: Any, running: np.ndarray[Any, Any]
    ) -> tuple[Any, Any]:
        """Terms and state of the running rows alone, where that is worth it and right; ended rows as in ``merged``."""
        if self.index is None:
            return terms, state
        current = running[self.index]
        if not 0 < 2 * int(current.sum()) <= len(self.index):
            return terms, state
        keep, leave = np.nonzero(current)[0], np.nonzero(~current)[0]
        count = len(self.index)
        ndims = {leaf.ndim for leaf in arrays.leaves(algorithm.solution(terms, state).x)}
        try:
            fewer_terms = _take_terms(terms, keep, count, ndims)
            fewer = _take(state, keep, count)
            expected = _take(algorithm.probe(terms, state), keep, count)
            agree = _agree(algorithm.probe(fewer_terms, fewer), expected)
        except (ValueError, TypeError, LookupError, RuntimeError, AssertionError):  # a map that cannot take fewer rows
            agree = False
        if not agree:
            self.index = None if not self.aside else self.index
            return terms, state
        self.by_row = [_has_rows(leaf, count) for leaf in arrays.leaves(state)]
        self.aside.append((self.index[leave], _take(merged, leave, count)))
        self.index = self.index[keep]
        return fewer_terms, fewer

    def whole(self, state: Any) -> Any:
        """The state of all rows, in their order."""
        if not self.aside or self.index is None:
            return state
        positions = np.concatenate([*(positions for positions, _ in self.aside), self.index])
        order, by_row = np.argsort(positions), iter(self.by_row)

        def join(*leaves: Any) -> Any:
            last = leaves[-1]
            if not next(by_row):
                return last
            xp = arrays.namespace(last)
            return xp.take(xp.concat(list(leaves), axis=0), _indices(order, last), axis=0)

        parts = [part for _, part in self.aside]
        return arrays.tree_map(join, *parts, state)


def _has_rows(leaf: Any, count: int) -> bool:
    return arrays.is_array(leaf) and leaf.ndim > 0 and leaf.shape[0] == count


def _indices(positions: np.ndarray[Any, Any], like: Array) -> Array:
    xp = arrays.namespace(like)
    return arrays.from_numpy(positions, like, xp.int64)


def _take(tree: Any, positions: np.ndarray[Any, Any], count: int) -> Any:
    def take(leaf: Any) -> Any:
        if not _has_rows(leaf, count):
            return leaf
        return arrays.namespace(leaf).take(leaf, _indices(positions, leaf), axis=0)

    return arrays.tree_map(take, tree)


def _take_terms(item: Any, positions: np.ndarray[Any, Any], count: int, ndims: set[int]) -> Any:
    """Terms with the data of the given rows: arrays with as many axes as x and one entry a row along the first.

    Linear maps, and fields named by a capital letter (matrices), belong to all rows.
    """
    if arrays.is_array(item):
        return _take(item, positions, count) if item.ndim in ndims else item
    if isinstance(item, LinearMap):
        return item
    if isinstance(item, FixedPoint):
        return item.take_rows(positions)
    if isinstance(item, tuple):
        parts = [_take_terms(part, positions, count, ndims) for part in item]
        if all(new is old for new, old in zip(parts, item, strict=True)):
            return item
        return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        changes = {}
        for entry in dataclasses.fields(item):
            value = getattr(item, entry.name)
            matrix = len(entry.name) == 1 and entry.name.isupper() and arrays.is_array(value)
            if entry.init and not matrix:
                new = _take_terms(value, positions, count, ndims)
                if new is not value:
                    changes[entry.name] = new
        return dataclasses.replace(item, **changes) if changes else item
    return item


def _agree(one: Any, other: Any) -> bool:
    for a, b in zip(arrays.leaves(one), arrays.leaves(other), strict=True):
        if arrays.is_array(a):
            x, y = arrays.to_numpy(a), arrays.to_numpy(b)
            tolerance = 1e3 * arrays.epsilon(a) if arrays.is_floating(a) else 0.0
            size = max(1.0, float(np.max(np.abs(y), initial=0.0, where=np.isfinite(y))))
            if x.shape != y.shape or not np.allclose(x, y, rtol=tolerance, atol=tolerance * size, equal_nan=True):
                return False
    return True
