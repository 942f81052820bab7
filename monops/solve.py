"""The driver: one loop for every method, and one residual."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from monops import arrays, checkpoint, checks
from monops.algorithms import Algorithm, assess, best_method, grouped_refusals
from monops.arrays import Array
from monops.errors import DataError, MonopsError, NotApplicableError, NotConvergedError, NotConvergedWarning
from monops.functions import Function
from monops.iterate import Run, certified, look_for_inconsistency
from monops.operators import FixedPoint
from monops.problem import Inclusion, Summand, tolerance_of
from monops.progress import progress_bar
from monops.result import Check, Result, Status
from monops.stopping import ResidualBelow, Rule

TOLERANCE = 1e-6
ROUGH = 1e-2  # an error bound beyond this part of |x| is remarked on
SINGLE = 1e-4  # the default in single precision


def solve(
    problem: Inclusion | Summand,
    algorithm: Algorithm | None = None,
    *,
    x0: Array | None = None,
    tol: float | None = None,
    stop: Rule | None = None,
    max_iter: int = 10_000,
    batch_ndim: int = 0,
    check_every: int | None = None,
    warm_start: Result | None = None,
    callback: Callable[[Check], Any] | None = None,
    history: bool = False,
    progress: bool = False,
    save_to: str | Path | None = None,
    resume_from: str | Path | None = None,
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
    tol : float, default 1e-6 (1e-4 in single precision)
        Absolute: converged means residual <= tol, for each row.
    stop : Rule, optional
        In place of ``tol``: a rule of `monops.stopping`, combined with & and |, for example
        ``RelativeGapBelow(1e-4) | TimeLimit(10)``.
    max_iter : int, default 10000
        Those before a checkpoint included.
    batch_ndim : int, default 0
        The first ``batch_ndim`` axes of x index independent problems: each row has its own residual and status, and is
        frozen once it has ended; with one batch axis ended rows are put aside, and cost no more time.
    check_every : int, optional
        Steps between two stopping checks; each reads one number a row from the device. Default: 10, and 1 for methods whose
        steps are whole Newton systems.
    warm_start : Result, optional
        Start from the full state of another solve, dual and auxiliary points too: of a problem of the same shape, by the
        same method (which ``algorithm`` may leave out).
    callback : callable, optional
        Called after each check with a `Check`; a true return value stops the solve.
    history : bool, default False
        Keep (iteration, residual) of every check in ``Result.history``.
    progress : bool, default False
        Show a progress bar (needs rich).
    save_to : path, optional
        Write the full state to this file (npz, no pickle) every half minute and at the end.
    resume_from : path, optional
        Go on from such a file; the iterates are those of the uninterrupted run, bit for bit.
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
        NaN in the data; shapes, dtypes, libraries or devices that do not fit together; a checkpoint of another run.

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
    >>> result.status, result.gap < 1e-5
    (<Status.CONVERGED: 'converged'>, True)
    """
    problem = as_inclusion(problem)
    rule = _rule(tol, stop, problem, x0)
    checks.check_settings(max_iter, batch_ndim, 1 if check_every is None else check_every, on_failure)
    problem = problem.batched(batch_ndim).with_tolerance(0.1 * (TOLERANCE if rule.tolerance is None else rule.tolerance))
    if warm_start is not None:
        if not isinstance(warm_start, Result):
            raise DataError(f"warm_start must be a Result of solve, got {type(warm_start).__name__}: a point goes into x0")
        if x0 is not None:
            raise DataError("give x0 or warm_start, not both: a warm start has its own x")
        x0, algorithm = warm_start.x, warm_start.algorithm if algorithm is None else algorithm
    x0 = checks.starting_point(problem, x0)
    checks.check_data(problem, x0)
    try:
        algorithm, terms, choice = choose(problem, algorithm)
        checks.check_declared_constants(problem, x0)
        check_every = algorithm.steps_a_check if check_every is None else check_every
        run = Run(problem, algorithm, terms, x0, rule, max_iter, check_every, history)
        with np.errstate(over="ignore", invalid="ignore"):  # overflow is reported by the status
            run.state = _first_state(run, warm_start)
        if save_to is not None or resume_from is not None:
            run.mark = checkpoint.fingerprint(problem, algorithm, terms)
        if resume_from is not None:
            run.iteration, run.state, numbers = checkpoint.load(Path(resume_from), run.mark, run.state)
            run.monitor.restore(numbers)
        run.file = None if save_to is None else checkpoint.writable(save_to)
        with progress_bar(progress, algorithm.name, rule.tolerance or TOLERANCE) as report:
            run.iterate(callback, report)
    except (ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        if isinstance(error, MonopsError):
            raise
        checks.explain_misfit(problem, x0, error)
        raise
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        result = _result(run, choice)
    if result.status is not Status.CONVERGED and on_failure != "ignore":
        if on_failure == "raise":
            raise NotConvergedError(result.message)
        warnings.warn(result.message, NotConvergedWarning, stacklevel=2)
    return result


def _rule(tol: float | None, stop: Rule | None, problem: Inclusion, x0: Array | None) -> Rule:
    if stop is None:
        return ResidualBelow(_default_tolerance(problem, x0) if tol is None else tol)
    if tol is not None:
        raise DataError(f"give tol or stop, not both: write stop=ResidualBelow({tol:g}) | {stop}")
    if not isinstance(stop, Rule):
        raise DataError(f"stop must be a rule such as ResidualBelow(1e-6) | TimeLimit(10), got {stop!r}")
    return stop


def _default_tolerance(problem: Inclusion, x0: Array | None) -> float:
    points = [] if x0 is None else [x0]
    for leaf in (leaf for point in [*points, *(array for _, array in problem.named_arrays())] for leaf in arrays.leaves(point)):
        if arrays.is_array(leaf) and arrays.is_floating(leaf):
            return SINGLE if arrays.epsilon(leaf) > 1e-10 else TOLERANCE
    return TOLERANCE


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
            named = getattr(algorithm, "__name__", algorithm)
            written = f": write {named}()" if isinstance(algorithm, type) and issubclass(algorithm, Algorithm) else ""
            raise DataError(f"algorithm must be a method such as ForwardBackward(), got {named!r}{written}")
        return algorithm, algorithm.match(problem), "given"
    best = best_method(problem)
    if best is None:
        raise NotApplicableError(_why_none(problem))
    reason = (
        f"{best.algorithm.name}: least predicted effort ({best.effort:.2g} evaluations); explain(problem) shows all methods"
    )
    return best.algorithm, best.terms, reason


def _why_none(problem: Inclusion) -> str:
    first = problem.terms[0].summand
    if isinstance(first, FixedPoint) and len(problem.terms) == 1:
        q = first.lipschitz
        known = "nothing is declared of the map" if q is None else f"the map is declared with lipschitz={q:g} > 1"
        return (
            f"no theorem covers {problem}: {known}. Declare lipschitz if it is at most 1, or ask for a method by name: "
            "Anderson(Picard()), Broyden() or NewtonKrylov()"
        )
    nonconvex = [term.summand for term in problem.terms if isinstance(term.summand, Function) and not term.summand.is_convex]
    if nonconvex:
        name = type(getattr(nonconvex[0], "function", nonconvex[0])).__name__
        return (
            f"{name} in {problem} is nonconvex: every method here has a theorem for convex functions only. Put a convex "
            "function in its place, or call its prox in a loop of your own"
        )
    reasons = "\n".join(f"  - {reason}" for reason in grouped_refusals(assess(problem)))
    return f"no method applies to {problem}:\n{reasons}"


def _same_method(one: Algorithm, other: Algorithm) -> bool:
    """Whether states of one mean something to the other; accelerations must wrap the same method, given by name."""
    inner, outer = getattr(one, "method", one), getattr(other, "method", other)
    return type(one) is type(other) and inner is not None and type(inner) is type(outer)


def _first_state(run: Run, warm_start: Result | None) -> Any:
    if warm_start is None or not _same_method(warm_start.algorithm, run.algorithm):
        return run.algorithm.init(run.terms, run.x0)
    return run.algorithm.rebase(run.terms, warm_start.state)


def _result(run: Run, choice: str) -> Result:
    monitor, terms = run.monitor, run.terms
    monitor.end(Status.ITERATION_LIMIT)
    _explain_failure(run)
    rows = monitor.status
    worst = max(rows, key=list(Status).index) if rows else Status.CONVERGED
    x, dual = run.algorithm.solution(terms, run.state)
    mu = certified(terms)
    return Result(
        x=x,
        dual=dual,
        status=worst,
        residual=monitor.public(monitor.residual),
        error_bound=None if mu is None or _rough_proxes(run) else monitor.public(monitor.residual / mu),
        iterations=monitor.public(monitor.iterations),
        algorithm=run.algorithm,
        step=terms.step_size,
        guarantee=terms.guarantee,
        history=monitor.history,
        message=_message(run, worst, rows, x),
        choice=choice,
        notes=(*terms.notes, *_remarks(run, worst)),
        row_status=rows if monitor.batch else (),
        state=run.state,
        problem=run.problem,
        certificate=run.certificate,
        seconds=run.seconds,
        inconsistency=run.inconsistency,
    )


def _rough_proxes(run: Run) -> list[str]:
    """Iterative proxes that were given a tolerance of their own, too rough for the residual to be what it says."""
    demanded = run.monitor.rule.tolerance or TOLERANCE
    given = ((term.summand.formula("x"), tolerance_of(term.summand)) for term in run.problem.terms)
    return [f"{name} to {tolerance:g}" for name, tolerance in given if tolerance is not None and tolerance > demanded]


def _remarks(run: Run, status: Status) -> list[str]:
    rough = _rough_proxes(run)
    found = [f"proxes are computed only {', '.join(rough)}: the residual does not see that error"] if rough else []
    mu, x = certified(run.terms), run.algorithm.solution(run.terms, run.state).x
    if status is Status.CONVERGED and mu is not None and not run.monitor.batch:
        bound, size = float(run.monitor.residual) / mu, float(arrays.norm(x))
        if bound > ROUGH * size > 0:
            found.append(f"the error bound {bound:.2g} is large beside |x| = {size:.2g}: tol may be too large for these data")
    return found


def _explain_failure(run: Run) -> None:
    """Turn a run that diverged, stalled or stagnates into an inconsistent one where a certificate is found."""
    monitor = run.monitor
    failed = any(status in (Status.STALLED, Status.DIVERGED, Status.NON_FINITE) for status in monitor.status)
    if monitor.batch or not (failed or (Status.ITERATION_LIMIT in monitor.status and monitor.stagnates())):
        return
    if run.inconsistency is not None and run.inconsistency.kind != "drift":
        return
    found = look_for_inconsistency(run)
    if found is not None:
        run.inconsistency = found
        monitor.replace(Status.INCONSISTENT)


def _message(run: Run, status: Status, rows: tuple[Status, ...], x: Array) -> str:
    monitor, rule = run.monitor, run.monitor.rule
    count = f"{sum(row is status for row in rows)} of {len(rows)} rows: " if monitor.batch else ""
    largest = float(np.max(monitor.residual, initial=0.0))
    if status is Status.CONVERGED:
        return f"converged: {rule} is met"
    if status is Status.STOPPED:
        return f"{count}stopped by {'the callback' if run.stopped else rule}; the residual is {largest:.3g}"
    if status is Status.INCONSISTENT:
        return f"{count}inconsistent: {run.inconsistency}; Result.inconsistency has the vector that shows it"
    if status in (Status.ITERATION_LIMIT, Status.STALLED):
        return f"{count}{status}: residual {largest:.3g}, which does not meet {rule}, {_limit_advice(run, status, x, largest)}"
    cause = checks.find_cause(run.problem, run.x0, x)
    if status is Status.NON_FINITE:
        return f"{count}{status}: the residual became infinite or NaN. {cause}"
    if rule.tolerance is not None and largest <= rule.tolerance:
        return (
            f"{count}{status}: x ran so far away (|x| = {float(arrays.norm(x)):.1g}) that rounding hides the residual. {cause}"
        )
    return f"{count}{status}: the residual grew to {largest:.3g}. {cause}"


def _limit_advice(run: Run, status: Status, x: Array, largest: float) -> str:
    floor = checks.rounding_floor(run.problem, x)
    when = f"after {int(np.max(run.monitor.iterations))} iterations"
    if largest <= 100 * floor:
        dtype = arrays.leaves(x)[0].dtype
        return (
            f"{when}: it is at the rounding level of {dtype} for these data (about {floor:.1g}); ask for less, or use float64"
        )
    if status is Status.STALLED:
        return f"{when}: it has stopped changing; look at explain(problem) for another method"
    if run.inconsistency is not None:
        return f"{when}; {run.inconsistency}: the problem has no solution, or it is far away (Result.inconsistency)"
    if run.monitor.stagnates():
        return f"{when}; it has stood still for half of them, so the problem may have no solution (disjoint sets, say)"
    return f"{when}; raise max_iter, or look at explain(problem) for a method with a better rate"
