"""How a solve ended, and what it found: `Status`, `Check` (what rules and callbacks see) and `Result`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from monops import arrays, duality
from monops.algorithms import Algorithm
from monops.arrays import Array, Blocks
from monops.duality import Duality
from monops.errors import NotConvergedError
from monops.inconsistency import Inconsistency
from monops.problem import Inclusion
from monops.theory import Guarantee


class Status(enum.Enum):
    """How a solve, or one row of it, ended; the later in this list, the worse."""

    CONVERGED = "converged"
    STOPPED = "stopped"
    ITERATION_LIMIT = "iteration limit"
    STALLED = "stalled"
    INCONSISTENT = "inconsistent"
    DIVERGED = "diverged"
    NON_FINITE = "non-finite"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, eq=False)
class Check:
    """What stopping rules and the callback are given after each stopping check; numbers are one a row in a batch.

    Attributes
    ----------
    iteration : int
    residual : float or NumPy array
    first_residual : float or NumPy array
        The residual of the first check.
    x, dual : array, Blocks or None
    seconds : float
        Since the solve began.
    """

    iteration: int
    residual: Any
    first_residual: Any
    x: Array
    dual: Array | None
    seconds: float
    strong_monotonicity: float | None = field(repr=False, default=None)
    previous: Array | None = field(repr=False, default=None)
    evaluate: Callable[[], Duality] = field(repr=False, default=lambda: duality.UNKNOWN)

    @cached_property
    def values(self) -> Duality:
        """Objective, dual objective and gap; computed when asked for."""
        return self.evaluate()

    @cached_property
    def change(self) -> Any:
        """|x - x of the check before|; infinite where there is none to compare with."""
        if self.previous is None:
            return np.full(np.shape(self.residual), np.inf)
        return host_rows(arrays.norm(self.x - self.previous, len(np.shape(self.residual))))

    @property
    def error_bound(self) -> Any:
        """Certified bound of |x - x*|, or None."""
        return None if self.strong_monotonicity is None else self.residual / self.strong_monotonicity


@dataclass(frozen=True)
class Result:
    """The answer, and the truth about it.

    Attributes
    ----------
    x : array or Blocks
        The solution point; library, dtype and device of the start.
    dual : array, Blocks or None
        The dual point of methods that have one.
    status : Status
        The worst status of all rows; ``row_status`` has one a row when ``batch_ndim > 0``.
    residual : float or NumPy array
        Norm of an explicit element of the operator of the problem at ``x`` (one a row): 0 exactly at a solution. Without
        linear maps the operator is the sum itself; with linear maps, or where two set-valued terms are only known through
        their resolvents, it is the primal-dual operator at (x, dual).
    primal_residual, dual_residual : float, NumPy array or None
        Its two parts where it is one of the primal-dual operator (Ax + K*y, B^-1 y - Kx): how far x is from stationary, and
        how far Kx from the point where y belongs to B. Without a dual part: the residual, and None.
    error_bound : float, NumPy array or None
        A certified bound of the distance of x (of (x, dual)) from the solution: residual / mu, where mu > 0 is known.
    objective, dual_objective, gap : float, NumPy array or None
        For sums of functions: the value at x, a lower bound of the minimum, and their difference, which bounds how far
        the value is from the minimum; None where a conjugate is unknown. Computed when asked for.
    iterations : int or NumPy array
        Steps taken (a row).
    seconds : float
        Time of the iterations.
    history : list of (iteration, residual)
        One entry a check, if ``solve`` was asked for it (``history=True``).
    inconsistency : Inconsistency or None
        Why the problem has no solution, with the vector that shows it (status ``inconsistent``); or a mere drift of the
        iterates, which does not prove it.
    message : str
        Why it ended like this, and what to do.
    notes : tuple of str
        Which constants were estimated, if any.
    """

    x: Array
    status: Status
    residual: Any
    error_bound: Any
    iterations: Any
    algorithm: Algorithm
    step: float
    guarantee: Guarantee
    history: list[tuple[int, Any]] = field(repr=False)
    message: str
    choice: str
    notes: tuple[str, ...] = ()
    dual: Array | None = None
    row_status: tuple[Status, ...] = ()
    state: Any = field(default=None, repr=False)
    problem: Inclusion | None = field(default=None, repr=False)
    certificate: Array | None = field(default=None, repr=False)
    seconds: float = 0.0
    inconsistency: Inconsistency | None = None

    @property
    def success(self) -> bool:
        """Whether every row converged."""
        return self.status is Status.CONVERGED

    def require(self) -> Self:
        """The result itself, or NotConvergedError with the message: for scripts that must not go on."""
        if not self.success:
            raise NotConvergedError(self.message)
        return self

    @cached_property
    def _duality(self) -> Duality:
        return duality.UNKNOWN if self.problem is None else duality.evaluate(self.problem, self.x, self.dual)

    @property
    def objective(self) -> Any:
        """Value of the sum of functions at x, or None for operators; sets count as met within 1e-6 (1 + |x|)."""
        return self._duality.objective

    @property
    def dual_objective(self) -> Any:
        """A lower bound of the minimum, or None."""
        return self._duality.dual_objective

    @property
    def gap(self) -> Any:
        """objective - dual_objective, or None."""
        return self._duality.gap

    @property
    def primal_residual(self) -> Any:
        """Norm of the primal part of the certificate."""
        return self._part(0)

    @property
    def dual_residual(self) -> Any:
        """Norm of the dual part of the certificate, or None."""
        return self._part(1)

    def _part(self, index: int) -> Any:
        lifted = self.dual is not None and isinstance(self.certificate, Blocks) and len(self.certificate) == 2
        if not lifted or self.certificate is None or isinstance(self.x, Blocks) is not isinstance(self.certificate[0], Blocks):
            return self.residual if index == 0 else None
        return host_rows(arrays.norm(self.certificate[index], len(np.shape(self.residual))))

    def __repr__(self) -> str:
        residual, iterations = np.max(self.residual), np.max(self.iterations)
        rows = f" ({len(self.row_status)} rows)" if self.row_status else ""
        lines = [
            f"{self.status}{rows} after {iterations} iterations of {self.algorithm.name}, {self.seconds:.3g} s",
            f"  residual     {residual:.3g}" + ("   (largest row)" if self.row_status else ""),
        ]
        if self.error_bound is not None:
            lines.append(f"  error bound  {np.max(self.error_bound):.3g}   (|x - x*|, certified by strong monotonicity)")
        lines.append(f"  step         {self.step:.6g} in {self.guarantee.interval_text}: {self.guarantee.formula}")
        lines.append(f"  theorem      {self.guarantee.source}; rate {self.guarantee.rate}")
        lines.append(f"  choice       {self.choice}")
        lines += [f"  note         {note}" for note in self.notes]
        if not self.success:
            lines.append(f"  message      {self.message}")
        return "\n".join(lines)


def host_rows(values: Array) -> Any:
    """A float, or a NumPy array with one entry a row, from a device array."""
    host = np.asarray(arrays.to_numpy(values) if arrays.is_array(values) else values, dtype=np.float64)
    return host if host.ndim else host.item()
