"""The driver: one loop for every method, one residual, and the Result."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from monops import arrays, checks
from monops.algorithms import Algorithm, assess
from monops.arrays import Array
from monops.errors import DataError, NotApplicableError, NotConvergedError, NotConvergedWarning
from monops.functions import Function
from monops.problem import Inclusion, Summand
from monops.progress import progress_bar
from monops.theory import Guarantee

DIVERGENCE = 1e8  # a residual this many times the smallest so far, and the first, is divergence


class Status(enum.Enum):
    """How a solve, or one row of it, ended."""

    CONVERGED = "converged"
    ITERATION_LIMIT = "iteration limit"
    STOPPED = "stopped by the callback"
    DIVERGED = "diverged"
    NON_FINITE = "non-finite"

    def __str__(self) -> str:
        return self.value


class Check(NamedTuple):
    """What the callback is given after each stopping check."""

    iteration: int
    residual: Any  # float, or NumPy array with one entry a row
    x: Array


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
    error_bound : float, NumPy array or None
        A certified bound of the distance of x (of (x, dual)) from the solution: residual / mu, where mu > 0 is known.
    iterations : int or NumPy array
        Steps taken (a row).
    history : list of (iteration, residual)
        One entry a check.
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

    @property
    def success(self) -> bool:
        """Whether every row converged."""
        return self.status is Status.CONVERGED

    def require(self) -> Result:
        """The result itself, or NotConvergedError with the message: for scripts that must not go on."""
        if not self.success:
            raise NotConvergedError(self.message)
        return self

    def __repr__(self) -> str:
        residual, iterations = np.max(self.residual), np.max(self.iterations)
        rows = f" ({len(self.row_status)} rows)" if self.row_status else ""
        lines = [
            f"{self.status}{rows} after {iterations} iterations of {self.algorithm.name}",
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


def solve(
    problem: Inclusion | Summand,
    algorithm: Algorithm | None = None,
    *,
    x0: Array | None = None,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    batch_ndim: int = 0,
    check_every: int = 10,
    callback: Callable[[Check], Any] | None = None,
    progress: bool = False,
    on_failure: Literal["warn", "raise", "ignore"] = "warn",
) -> Result:
    """Find x with 0 in the sum of the problem's operators; for functions, a minimiser.

    Parameters
    ----------
    problem : Inclusion, Function or Operator
        Built with ``+`` and ``@``, for example ``LeastSquares(A, b) + 0.1 * L1Norm()``.
    algorithm : Algorithm, optional
        A method with its settings. Default: of those whose theorem covers the problem, the one with the least predicted
        effort; ``Result.choice`` says which and why, ``explain(problem)`` shows all.
    x0 : array or Blocks, optional
        Start; its library, dtype and device are kept. Default: zero, where the problem's data fix the shape.
    tol : float, default 1e-6
        Absolute: converged means residual <= tol, for each row.
    max_iter : int, default 10000
    batch_ndim : int, default 0
        The first ``batch_ndim`` axes of x index independent problems: each row has its own residual and status, and is
        frozen once it has ended.
    check_every : int, default 10
        Steps between two stopping checks; each reads one number a row from the device.
    callback : callable, optional
        Called after each check with ``Check(iteration, residual, x)``; a true return value stops the solve.
    progress : bool, default False
        Show a progress bar (needs rich).
    on_failure : {"warn", "raise", "ignore"}, default "warn"
        What to do when the status is not ``converged``, besides saying so in the Result.

    Returns
    -------
    Result

    Raises
    ------
    NotApplicableError
        No method (or not the given one) has a theorem for the problem; the message names the missing hypothesis.
    StepSizeError
        A given step size is outside the proven interval.
    ConstantError
        A declared constant is shown to be false by two points.
    DataError, ShapeError, BackendError
        NaN in the data; shapes, dtypes, libraries or devices that do not fit together.

    Warns
    -----
    NotConvergedWarning
        Once, when the status is not ``converged`` (with ``on_failure="raise"``: NotConvergedError).

    Examples
    --------
    >>> import numpy as np
    >>> import monops
    >>> problem = monops.LeastSquares(np.eye(3), np.array([3.0, 0.5, -2.0])) + 1.0 * monops.L1Norm()
    >>> result = monops.solve(problem)
    >>> np.round(result.x, 6) + 0.0
    array([ 2.,  0., -1.])
    >>> result.status
    <Status.CONVERGED: 'converged'>
    """
    problem = as_inclusion(problem)
    checks.check_settings(tol, max_iter, batch_ndim, check_every, on_failure)
    problem = problem.batched(batch_ndim).with_tolerance(0.1 * tol)
    x0 = checks.starting_point(problem, x0)
    checks.check_data(problem, x0)
    algorithm, terms, choice = choose(problem, algorithm)
    checks.check_declared_constants(problem, x0)
    monitor = _Monitor(arrays.leaves(x0)[0].shape[:batch_ndim], tol)
    with progress_bar(progress, algorithm.name, tol) as report:
        state = _iterate(algorithm, terms, x0, max_iter, check_every, monitor, callback, report)
    result = _result(problem, algorithm, terms, choice, state, monitor, x0, tol)
    if result.status is not Status.CONVERGED and on_failure != "ignore":
        if on_failure == "raise":
            raise NotConvergedError(result.message)
        warnings.warn(result.message, NotConvergedWarning, stacklevel=2)
    return result


def as_inclusion(problem: Inclusion | Summand) -> Inclusion:
    """A problem from a single summand, too."""
    if isinstance(problem, Inclusion):
        return problem
    if isinstance(problem, Summand):
        return Inclusion(problem.terms())
    raise DataError(
        f"solve needs a problem built from functions and operators, for example LeastSquares(A, b) + L1Norm(); got "
        f"{type(problem).__name__}"
    )


def choose(problem: Inclusion, algorithm: Algorithm | None) -> tuple[Algorithm, Any, str]:
    """The given method, or the applicable one with the least predicted effort; its terms; and the reason."""
    if algorithm is not None:
        if not isinstance(algorithm, Algorithm):
            raise DataError(f"algorithm must be a method such as ForwardBackward(), got {algorithm!r}")
        return algorithm, algorithm.match(problem), "given"
    candidates = assess(problem)
    best = candidates[0]
    nonconvex = [term.summand for term in problem.terms if isinstance(term.summand, Function) and not term.summand.is_convex]
    if best.terms is None and nonconvex:
        name = type(getattr(nonconvex[0], "function", nonconvex[0])).__name__
        raise NotApplicableError(
            f"{name} in {problem} is nonconvex: every method here has a theorem for convex functions only. Put a convex "
            "function in its place, or call its prox in a loop of your own"
        )
    if best.terms is None:
        reasons = "\n".join(f"  - {entry.refusal}" for entry in candidates)
        raise NotApplicableError(f"no method applies to {problem}:\n{reasons}")
    others = [entry.algorithm.name for entry in candidates[1:] if entry.terms is not None]
    reason = f"{best.algorithm.name}: least predicted effort ({best.effort:.2g} evaluations)"
    reason += (
        f" of {len(others) + 1} methods that apply ({', '.join(others)} too)" if others else ", the only method that applies"
    )
    return best.algorithm, best.terms, reason


class _Monitor:
    """Residual, status and iteration count of every row, on the host."""

    def __init__(self, batch: tuple[int, ...], tol: float) -> None:
        self.tol, self.batch = tol, batch
        self.residual = np.full(batch, np.inf)
        self.smallest = np.full(batch, np.inf)
        self.iterations = np.zeros(batch, dtype=np.int64)
        self.status: np.ndarray[Any, Any] = np.full(batch, None, dtype=object)
        self.running = np.ones(batch, dtype=bool)
        self.history: list[tuple[int, Any]] = []
        self.stopped = False

    def update(self, iteration: int, residual: np.ndarray[Any, Any]) -> tuple[bool, bool]:
        """Take one check in; returns whether a row has just ended, and whether a row has just become non-finite."""
        finite = np.isfinite(residual)
        usable = self.running & finite
        self.residual = np.where(usable, residual, self.residual)
        self.smallest = np.minimum(self.smallest, np.where(usable, residual, np.inf))
        if not self.history:
            self.first = np.where(usable, residual, np.inf)
        self.iterations = np.where(self.running, iteration, self.iterations)
        bad = self.running & ~finite
        good = usable & (residual <= self.tol)
        diverged = usable & (residual > DIVERGENCE * np.maximum(self.smallest, self.tol)) & (residual > DIVERGENCE * self.first)
        for rows, status in ((bad, Status.NON_FINITE), (good, Status.CONVERGED), (diverged, Status.DIVERGED)):
            self.status[rows] = status
        ended = bad | good | diverged
        self.running = self.running & ~ended
        self.history.append((iteration, self.public(residual)))
        return bool(ended.any()), bool(bad.any())

    def stagnates(self) -> bool:
        """Whether the largest residual fell by less than 1 % over the second half of at least 20 checks."""
        if len(self.history) < 20:
            return False
        middle, end = (float(np.max(self.history[index][1])) for index in (len(self.history) // 2, -1))
        return end > 0.99 * middle

    def public(self, values: np.ndarray[Any, Any]) -> Any:
        """A float (or int) without batch axes, else an array."""
        return values.copy() if self.batch else values.item()


def _iterate(
    algorithm: Algorithm,
    terms: Any,
    x0: Array,
    max_iter: int,
    check_every: int,
    monitor: _Monitor,
    callback: Callable[[Check], Any] | None,
    report: Callable[[int, float], None],
) -> Any:
    def one(state: Any) -> Any:
        return algorithm.step(terms, state)

    chunk = arrays.repeat(one, check_every)
    batch_ndim = len(monitor.batch)
    state = algorithm.init(terms, x0)
    frozen: Any | None = None  # Boolean batch array of ended rows, and the state they ended in
    held = state
    iteration = 0
    while iteration < max_iter:
        last = state
        steps = min(check_every, max_iter - iteration)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is reported by the status
            state = chunk(state) if steps == check_every else arrays.repeat(one, steps)(state)
            iteration += steps
            if frozen is not None:
                state = arrays.select_rows(frozen, held, state)
            residual = arrays.norm(algorithm.certificate(terms, state), batch_ndim)
        host = np.asarray(arrays.to_numpy(residual) if arrays.is_array(residual) else residual, dtype=np.float64)
        ended, bad = monitor.update(iteration, host)
        if bad:
            broken = monitor.status == Status.NON_FINITE
            state = arrays.select_rows(arrays.from_numpy(broken, residual, bool), last, state) if batch_ndim else last
        report(iteration, float(np.max(monitor.residual)))
        if callback is not None and callback(Check(iteration, monitor.public(host), algorithm.solution(terms, state).x)):
            monitor.stopped = True
        if monitor.stopped or not monitor.running.any():
            break
        if ended:
            frozen, held = arrays.from_numpy(~monitor.running, residual, bool), state
    return state


def _result(
    problem: Inclusion,
    algorithm: Algorithm,
    terms: Any,
    choice: str,
    state: Any,
    monitor: _Monitor,
    x0: Array,
    tol: float,
) -> Result:
    default = Status.STOPPED if monitor.stopped else Status.ITERATION_LIMIT
    monitor.status[monitor.running] = default
    rows = tuple(monitor.status.ravel().tolist())
    order = list(Status)
    worst = max(rows, key=order.index) if rows else Status.CONVERGED
    x, dual = algorithm.solution(terms, state)
    mu = terms.constants.strong_monotonicity
    certified = mu is not None and mu > 0 and "strong_monotonicity" not in terms.constants.estimated
    message = _message(problem, worst, rows, monitor, x0, x, tol)
    return Result(
        x=x,
        dual=dual,
        status=worst,
        residual=monitor.public(monitor.residual),
        error_bound=monitor.public(monitor.residual / float(mu)) if certified else None,
        iterations=monitor.public(monitor.iterations),
        algorithm=algorithm,
        step=terms.step_size,
        guarantee=terms.guarantee,
        history=monitor.history,
        message=message,
        choice=choice,
        notes=terms.notes,
        row_status=rows if monitor.batch else (),
        state=state,
    )


def _message(
    problem: Inclusion, status: Status, rows: tuple[Status, ...], monitor: _Monitor, x0: Array, x: Array, tol: float
) -> str:
    count = f"{sum(row is status for row in rows)} of {len(rows)} rows: " if monitor.batch else ""
    if status is Status.CONVERGED:
        return "converged: residual <= tol"
    if status is Status.STOPPED:
        return f"{count}stopped by the callback"
    largest = float(np.max(monitor.residual))
    if status is Status.ITERATION_LIMIT:
        floor = checks.rounding_floor(problem, x)
        if largest <= 100 * floor:
            dtype = arrays.leaves(x)[0].dtype
            return (
                f"{count}iteration limit: the residual {largest:.3g} is at the rounding level of {dtype} for these data "
                f"(about {floor:.1g}), so tol={tol:g} cannot be reached; raise tol or use float64"
            )
        advice = "raise max_iter, or look at explain(problem) for a method with a better rate"
        if monitor.stagnates():
            advice = "it has stood still for the second half of them, so the problem may have no solution (disjoint sets, say)"
        steps = int(np.max(monitor.iterations))
        return f"{count}iteration limit: residual {largest:.3g} > tol={tol:g} after {steps} iterations; {advice}"
    cause = checks.find_cause(problem, x0, x)
    seen = "became infinite or NaN" if status is Status.NON_FINITE else f"grew to {largest:.3g}"
    return f"{count}{status}: the residual {seen}. {cause}"
