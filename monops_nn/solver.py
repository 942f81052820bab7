"""One pass of a layer: a splitting method of monops on the rows of a batch, each with its own residual and status.

`monops.solve` does the same for any problem; here its bookkeeping would take longer than the iterations of a small layer, and
the residual that counts is that of the layer, |z - sigma(W z + c)|, which needs no certificate of the method.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from monops import arrays
from monops.algorithms import Algorithm
from monops.algorithms.resolvents import DouglasRachford, PeacemanRachford
from monops.algorithms.shared import reflected
from monops.errors import NotConvergedWarning
from monops.problem import Inclusion, Term
from monops.result import Status
from monops_nn.operators import ActivationDerivative, ActivationOperator, CoupledDerivative, EquilibriumOperator

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bend = ActivationOperator | ActivationDerivative | CoupledDerivative
CODES = (Status.CONVERGED, Status.ITERATION_LIMIT, Status.STALLED, Status.NON_FINITE)
CONVERGED, LIMIT, STALLED, NON_FINITE = range(4)
RUNNING = -1
BLOCK = 2**21  # entries
LONGEST = 32  # steps between two checks, at most
PATIENCE = 64  # steps after which a residual that has not fallen by a hundredth in half of all steps stands still


@dataclass(frozen=True)
class Settings:
    """How a pass is solved: method, tolerance of the relative residual of each row, iteration limit, and a guess of the rate.

    With ``found`` the step of Peaceman-Rachford or Douglas-Rachford was found for W, which is strongly monotone by
    construction: any step is then proven, and no constant need be computed to say so. With ``rough`` the residual may be that
    of the point x before, |x - T(W x + c)|, z = T(W x + c), which reflected resolvents give without a product; then
    |z - z*| <= |W| |x - z|/m.
    """

    algorithm: Algorithm
    tol: float
    max_iter: int
    rate: float = 0.5
    found: bool = False
    rough: bool = False

    def match(self, linear: EquilibriumOperator, bend: Bend) -> Any:
        """The terms of the method."""
        if self.found and isinstance(self.algorithm, (PeacemanRachford, DouglasRachford)):
            return reflected_terms(linear, bend, self.algorithm)
        return self.algorithm.match(Inclusion((Term(linear), Term(bend)), batch_ndim=1))


@dataclass(frozen=True, eq=False)
class Solved:
    """Rows of answers with the residual, the status and the number of steps of each; NaN in rows that became non-finite.

    ``preactivation`` is W z + c at the answer, where all rows ended together; else None.
    """

    z: Tensor
    preactivation: Tensor | None
    residual: np.ndarray[Any, Any]
    codes: np.ndarray[Any, Any]
    iterations: np.ndarray[Any, Any]
    terms: Any

    @property
    def row_status(self) -> tuple[Status, ...]:
        """The status of each row."""
        return tuple(CODES[code] for code in self.codes)

    @property
    def status(self) -> Status:
        """The worst status of all rows."""
        return CODES[int(self.codes.max(initial=0))]


def reflected_terms(linear: EquilibriumOperator, bend: Bend, algorithm: PeacemanRachford | DouglasRachford) -> reflected.Terms:
    """The roles of a method whose step is known, without guarantee and constants, which are for reports."""
    step, unused = algorithm.step_size, cast(Any, None)
    assert step is not None
    relaxation = 2.0 if isinstance(algorithm, PeacemanRachford) else algorithm.relaxation
    return reflected.Terms(bend, linear, step, relaxation, unused, unused, ())


@torch.no_grad()
def run(linear: EquilibriumOperator, bend: Bend, settings: Settings, start: Tensor | None) -> Solved:
    """Solve 0 in linear(z) + bend(z) for every row, from ``start`` (default 0).

    A row has converged when |z - T(W z + c)| <= tol |z|, T the resolvent of ``bend`` with step 1 (the activation, or its
    derivative). Rows that have ended keep what they ended with, and are put aside once half of all have.
    """
    algorithm = settings.algorithm
    all_terms = terms = settings.match(linear, bend)
    given = linear.injection if linear.injection is not None else _gradient_of(bend)
    rows, z = _Rows(given.shape[0], settings), torch.zeros_like(given)
    state, h = algorithm.init(terms, _start(linear, terms, start)), z
    while rows.running.any():
        steps = rows.steps()
        for _ in range(steps):
            state = algorithm.step(terms, state)
        if isinstance(state, reflected.State) and rows.early(steps):
            z = _image(terms, state)
            miss, size = _norms(state.x - z, z)
            if rows.is_far(steps, miss, size):
                continue
            exact = not settings.rough
        else:
            z, exact = algorithm.solution(terms, state).x, True
        if exact:
            h = linear.preactivation(z)
            miss, size = _norms(z - bend.resolvent(h, 1.0), z)
        ended = rows.update(steps, miss, size)
        if ended is None:
            continue
        rows.keep(z, ended)
        rest = rows.compaction()
        if rest is not None and all(leaf.ndim and leaf.shape[0] == len(rest) for leaf in arrays.leaves(state)):
            index = torch.as_tensor(np.flatnonzero(rest), device=z.device)
            linear, bend = linear.rows(index), bend.rows(index)
            terms = settings.match(linear, bend)
            state = arrays.tree_map(lambda leaf: leaf[index], state)  # noqa: B023 - used at once
            rows.compact(rest)
    answer = z if rows.out is None else rows.answer(rows.out)  # there may be no rows
    known = answer is z and not settings.rough
    return Solved(answer, h if known else None, rows.residual, rows.codes, rows.iterations, all_terms)


def in_blocks(rows: Tensor, part: Callable[[slice], Solved]) -> Solved:
    """Solve blocks of rows one after the other, as many rows as have BLOCK entries: less memory, and temporaries stay near."""
    count, size = rows.shape
    step = max(1, BLOCK // max(size, 1))
    if count <= step:
        return part(slice(0, count))
    several = -(-count // step)
    step = -(-count // several)  # of equal size
    solved = [part(slice(begin, min(begin + step, count))) for begin in range(0, count, step)]
    kept = [block.preactivation for block in solved if block.preactivation is not None]
    return Solved(
        torch.cat([block.z for block in solved]),
        torch.cat(kept) if len(kept) == len(solved) else None,
        np.concatenate([block.residual for block in solved]),
        np.concatenate([block.codes for block in solved]),
        np.concatenate([block.iterations for block in solved]),
        solved[0].terms,
    )


def _image(terms: reflected.Terms, state: reflected.State) -> Tensor:
    """T(W x + c) at the resolvent x = J(u) of the linear part, without a product: W x + c = x - (u - x)/step."""
    h = torch.lerp(state.x, state.previous, -1.0 / terms.step_size)
    image: Tensor = terms.A.resolvent(h, 1.0)
    return image


def _norms(miss: Tensor, z: Tensor) -> tuple[Floats, Floats]:
    """Norms of the rows of both, on the host."""
    both = torch.stack((torch.linalg.vector_norm(miss, dim=-1), torch.linalg.vector_norm(z, dim=-1)))
    first, second = both.cpu().numpy().astype(np.float64)
    return first, second


def _gradient_of(bend: Bend) -> Tensor:
    assert not isinstance(bend, ActivationOperator)
    return bend.gradient


def _start(linear: EquilibriumOperator, terms: Any, start: Tensor | None) -> Tensor:
    if start is None:
        assert linear.injection is not None
        return torch.zeros_like(linear.injection)
    if hasattr(terms, "relaxation"):  # reflected resolvents: u = z + step (I - W) z - step c has the resolvent z
        return start + terms.step_size * linear.forward(start)
    return start


def _relative(miss: Floats, size: Floats) -> Floats:
    """|z - T(z)|/|z|, 0 where both are 0, NaN where the first is not finite."""
    relative = np.divide(miss, size, out=np.where(miss == 0, 0.0, np.inf), where=size > 0)
    relative[~np.isfinite(miss)] = np.nan
    return relative


class _Rows:
    """Which rows still run, what the others ended with, and when to look again."""

    def __init__(self, count: int, settings: Settings) -> None:
        self.tol, self.max_iter = settings.tol, settings.max_iter
        self.rough = isinstance(settings.algorithm, (PeacemanRachford, DouglasRachford))
        self.each = settings.algorithm.steps_a_check == 1
        self.codes = np.full(count, RUNNING)
        self.residual = np.full(count, np.inf)
        self.iterations = np.zeros(count, dtype=np.int64)
        self.index = np.arange(count)  # rows that are computed
        self.at = 0
        self.worst, self.rate = 1.0, settings.rate
        self.best, self.marks = np.full(count, np.inf), [(0, np.full(count, np.inf))]
        self.out: Tensor | None = None  # answers of the rows that have ended

    @property
    def running(self) -> np.ndarray[Any, Any]:
        return self.codes[self.index] == RUNNING

    def steps(self) -> int:
        """Steps until the slowest row is expected to have converged; one where a step is a whole Newton system.

        At most as many as were taken so far: the first residual says little of the rate, and a wrong guess then costs a
        factor of two.
        """
        if self.each:
            return 1
        needed = math.log(max(self.tol / self.worst, 1e-300)) / math.log(self.rate) if self.worst > self.tol else 1.0
        rounded = math.floor(needed) if self.rough and self.at else math.ceil(needed)  # a rough look costs less than a step
        longest = min(LONGEST, max(2, self.at)) if self.at else LONGEST
        return max(1, min(rounded, longest, self.max_iter - self.at))

    def early(self, steps: int) -> bool:
        """Whether so few steps have been taken that a rough residual may stand for the exact one."""
        return self.at + steps < min(PATIENCE, self.max_iter)

    def is_far(self, steps: int, miss: Floats, size: Floats) -> bool:
        """Whether more than half of the rows have not converged by a rough residual; then that is all to take note of."""
        relative = _relative(miss, size)[self.running]
        passed = ~(relative > self.tol)
        if 2 * int(passed.sum()) >= len(passed):
            return False
        self.at += steps
        self._learn(steps, relative[~passed])
        return True

    def _learn(self, steps: int, relative: Floats) -> None:
        worst = float(min(np.max(relative), 1e300))
        if worst <= self.worst:  # a residual that rises once says nothing of the rate
            self.rate = min(max((worst / self.worst) ** (1.0 / steps), 0.05), 0.99)
        self.worst = worst

    def update(self, steps: int, miss: Floats, size: Floats) -> np.ndarray[Any, Any] | None:
        """Take note of one check; the rows (of those computed) that have just ended, or None."""
        self.at += steps
        running = self.running
        relative = _relative(miss, size)
        rows = self.index[running]
        self.residual[rows] = relative[running]
        self.iterations[rows] = self.at
        finite = np.isfinite(miss) & np.isfinite(size)
        verdict = np.where(~finite, NON_FINITE, np.where(relative <= self.tol, CONVERGED, RUNNING))
        if (verdict[running] == RUNNING).any():
            verdict[(verdict == RUNNING) & self._stands_still(relative)] = STALLED
            if self.at >= self.max_iter:
                verdict[verdict == RUNNING] = LIMIT
        self.codes[rows] = verdict[running]
        still = running & (verdict == RUNNING)
        if still.any():
            self._learn(steps, relative[still])
        ended = running & (verdict != RUNNING)
        return ended if ended.any() else None

    def _stands_still(self, relative: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        best = self.best[self.index] = np.fmin(self.best[self.index], relative)
        while len(self.marks) > 1 and self.marks[1][0] <= self.at // 2:
            self.marks.pop(0)
        self.marks.append((self.at, self.best.copy()))
        halfway = self.marks[0][1][self.index]
        return (self.at >= PATIENCE) & np.isfinite(halfway) & (best > 0.99 * halfway)

    def keep(self, z: Tensor, ended: np.ndarray[Any, Any]) -> None:
        """Store the answers of rows that have just ended."""
        if self.out is None:
            if ended.all():
                self.out = z
            else:
                self.out = torch.full_like(z, torch.nan)
        if self.out is not z:
            chosen = torch.as_tensor(np.flatnonzero(ended), device=z.device)
            self.out[torch.as_tensor(self.index[ended], device=z.device)] = z[chosen]

    def compaction(self) -> np.ndarray[Any, Any] | None:
        """The rows to go on with, when half of those computed have ended."""
        running = self.running
        return running if 0 < 2 * int(running.sum()) <= len(self.index) else None

    def compact(self, rest: np.ndarray[Any, Any]) -> None:
        """Compute these rows only from now on."""
        self.index = self.index[rest]

    def answer(self, out: Tensor) -> Tensor:
        """All rows, in their order; NaN where a row is not finite."""
        broken = np.flatnonzero(self.codes == NON_FINITE)
        if broken.size:
            out = out.clone()
            out[torch.as_tensor(broken, device=out.device)] = torch.nan
        return out


def report(solved: Solved, which: str, settings: Settings) -> None:
    """One NotConvergedWarning that names the pass, when a row did not converge."""
    if solved.status is not Status.CONVERGED:
        warnings.warn(f"equilibrium {which} pass: {message(solved, settings)}", NotConvergedWarning, stacklevel=4)


ADVICE = {
    Status.ITERATION_LIMIT: "raise max_iter or tol, or lower the norm of W",
    Status.STALLED: "rounding allows no smaller residual: raise tol, or use float64",
    Status.NON_FINITE: "NaN or infinity in these inputs or in the weights; these rows are NaN, the others are not touched",
}


def message(solved: Solved, settings: Settings) -> str:
    """What ended badly, for how many rows, and the way out; or that all rows converged."""
    total, parts = len(solved.codes), []
    for code, status in enumerate(CODES):
        rows = solved.codes == code
        if status is Status.CONVERGED or not rows.any():
            continue
        detail = "" if status is Status.NON_FINITE else f", relative residual up to {np.max(solved.residual[rows]):.2g}"
        limit = f" {settings.max_iter}" if status is Status.ITERATION_LIMIT else ""
        parts.append(f"{int(rows.sum())} of {total} rows: {status}{limit}{detail} (tol {settings.tol:g}): {ADVICE[status]}")
    return "; ".join(parts) or f"{total} rows converged after {int(solved.iterations.max(initial=0))} iterations"
