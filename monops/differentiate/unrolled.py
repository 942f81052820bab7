"""The unrolled derivative: a recorded loop of steps."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NoReturn

import numpy as np

from monops import arrays, autodiff, checks
from monops.algorithms import Algorithm, newton
from monops.arrays import Array, Blocks
from monops.differentiate.adjoint import without_record
from monops.differentiate.recorded import lend_numbers, rebuilt, recorded_terms
from monops.errors import CapabilityError
from monops.problem import Inclusion
from monops.result import Result, Status, host_rows
from monops.solve import choose, solve


def unrolled(
    still: Inclusion, live: Inclusion, algorithm: Algorithm | None, x0: Array | None, tol: float, steps: int
) -> Result:
    """A recorded loop of so many steps."""
    if isinstance(x0, tuple):
        x0 = Blocks(x0)
    start = checks.starting_point(still, None if x0 is None else autodiff.detach(x0))
    with without_record():
        method, terms, choice = choose(still, algorithm)
        begun = solve(still, method, x0=start, tol=tol, max_iter=0, batch_ndim=still.batch_ndim, on_failure="ignore")
    if type(method).__name__ in newton.__all__:
        _refuse(method)
    lend_numbers(still, live)
    recorded = recorded_terms(method, live, terms)
    state = method.init(recorded, start if x0 is None else x0)
    for _ in range(steps):
        state = method.step(recorded, state)
        if not method.is_map and autodiff.tracks_gradient(*_row_numbers(state, start, still.batch_ndim)):
            _refuse(method)
    x, dual = method.solution(recorded, state)
    with without_record():
        plain = rebuilt(state, autodiff.detach)
        certificate = method.certificate(terms, plain)
        residual = host_rows(arrays.norm(certificate, still.batch_ndim))
    rows = tuple(_status(float(row), tol) for row in np.atleast_1d(residual).ravel())
    status = max(rows, key=list(Status).index)
    return dataclasses.replace(
        begun,
        x=x,
        dual=dual,
        status=status,
        row_status=rows if still.batch_ndim else (),
        residual=residual,
        error_bound=None,
        iterations=steps if not still.batch_ndim else np.full(np.shape(residual), steps),
        message=f"{steps} recorded steps; the residual is {float(np.max(residual)):.3g}",
        state=plain,
        certificate=certificate,
        choice=choice,
    )


def _row_numbers(state: Any, x: Array, batch_ndim: int) -> list[Array]:
    """The entries of a state with one number a row, step sizes for example."""
    batch = arrays.leaves(x)[0].shape[:batch_ndim]
    return [leaf for leaf in arrays.leaves(state) if arrays.is_array(leaf) and leaf.shape == batch]


def _refuse(method: Algorithm) -> NoReturn:
    """Raise CapabilityError: derivatives of chosen steps, ratios of differences that tend to 0, grow without bound."""
    raise CapabilityError(
        f"{method.name} chooses its steps from the iterates, and the derivatives of these choices grow without bound: unroll "
        "a method with a fixed step, such as ForwardBackward, or use mode='implicit'"
    )


def _status(residual: float, tol: float) -> Status:
    if not math.isfinite(residual):
        return Status.NON_FINITE
    return Status.CONVERGED if residual <= tol else Status.ITERATION_LIMIT
