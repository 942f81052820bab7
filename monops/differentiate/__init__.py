"""Derivatives of solutions with respect to the arrays of a problem: ``differentiable_solve``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from monops import arrays, autodiff
from monops.algorithms import Algorithm
from monops.arrays import Array
from monops.differentiate.adjoint import without_record
from monops.differentiate.implicit import Demanded, attached, fixed_point, is_map, through_a_map
from monops.differentiate.recorded import holds_callable, lend_numbers, rebuilt
from monops.differentiate.unrolled import unrolled
from monops.errors import BackendError, DataError
from monops.problem import Inclusion, Summand
from monops.result import Check, Result
from monops.solve import as_inclusion, solve
from monops.stopping import Rule

__all__ = ["differentiable_solve"]


def differentiable_solve(
    problem: Inclusion | Summand,
    algorithm: Algorithm | None = None,
    *,
    mode: Literal["implicit", "unrolled"] = "implicit",
    x0: Array | None = None,
    tol: float | None = None,
    stop: Rule | None = None,
    max_iter: int = 10_000,
    batch_ndim: int = 0,
    check_every: int = 10,
    warm_start: Result | None = None,
    callback: Callable[[Check], Any] | None = None,
    history: bool = False,
    progress: bool = False,
    save_to: str | Path | None = None,
    resume_from: str | Path | None = None,
    on_failure: Literal["warn", "raise", "ignore"] = "warn",
    unrolled_iterations: int | None = None,
    adjoint_tol: float | None = None,
    adjoint_max_iter: int = 1000,
) -> Result:
    """Solve, with the derivative of the solution in every torch or JAX array of the problem that asks for one.

    Parameters
    ----------
    problem, algorithm, x0, stop, max_iter, batch_ndim, check_every, warm_start, callback, history, progress
        As in ``solve``. In the mode ``implicit`` the start has no influence, and no derivative.
    save_to, resume_from, on_failure
        As in ``solve``.
    mode : {"implicit", "unrolled"}, default "implicit"
        ``implicit``: solved without a record, then one application of the fixed-point map z = T(z, theta) of a method is
        recorded, and the backward pass solves w = v + (dT/dz)* w. Memory and time do not depend on the number of iterations.
        ``unrolled``: ``unrolled_iterations`` steps from ``x0`` are recorded, of any method that does not choose its steps from
        the iterates; also the derivative in x0.
    tol : float, default 1e-8 (1e-4 in single precision)
        Of the residual of the solution: its error is one of the derivative, too.
    unrolled_iterations : int, default 100
        For ``unrolled``; ``stop``, ``warm_start``, ``callback``, files and ``history`` have no place there, ``max_iter`` and
        ``on_failure`` no meaning: ``Result.status`` says whether so many steps reached ``tol``.
    adjoint_tol : float, default 1e-10 (1e-5 in single precision)
        Of the residual of the adjoint equation, relative to |v|, for each row.
    adjoint_max_iter : int, default 1000
        Applications of (dT/dz)* in one backward pass.

    Returns
    -------
    Result
        That of ``solve``, with ``x`` and ``dual`` attached to the record of derivatives. For a method that is no fixed-point
        map (accelerated, adaptive, Newton) the answer is handed to the first map that applies, which ends at it; the result is
        that of the map, and ``choice`` says so.

    Raises
    ------
    CapabilityError
        For a backward pass with ``create_graph=True``; and in the mode ``unrolled`` for methods that choose their steps.
    BackendError
        Where nothing in the problem asks for a derivative, or a prox has none in a parameter that does.
    NotApplicableError
        As in ``solve``; or no method that applies is a map.

    Warns
    -----
    NotConvergedWarning
        As in ``solve``; and in the backward pass, when the adjoint equation is not solved (``on_failure="raise"``:
        NotConvergedError), for example where the solution is not unique, so that I - dT/dz is singular.

    Notes
    -----
    x = S(z, theta) with z = T(z, theta), hence dx = S_z (I - T_z)^-1 T_theta + S_theta. The adjoint equation is solved by
    restarted GMRES for each row of a batch. Step sizes and constants are numbers, as in the solve: the solution does not
    depend on them. Resolvents of affine terms are differentiated through their equation, not their factorisation.

    **Kinks.** A prox is differentiable outside its kinks, and so is T; where the solution touches none, the derivative is the
    classical one. At a kink (x_i = 0 with a gradient equal to the weight, in a lasso; a bound that is reached with multiplier
    0) the solution has one-sided derivatives only. What is returned is the formula above with one element of the generalised
    Jacobian of each prox: where the prox has a derivative attached to it, the one that its class documents; else the one that
    torch or JAX gives its operations (in torch soft-thresholding has 0 at its kink, and the projections on a box and on x >= 0,
    which are a ``clamp``, have 1 in x). Where one entry decides, it lies between the one-sided derivatives; in general it is an
    element of a conservative Jacobian, with which gradient descent still works (Bolte, Le, Pauwels and Silveti-Falls 2021).

    **Not supported**: second derivatives (a backward pass with ``create_graph=True`` is refused), forward mode (refused; both
    with ``unrolled``, as far as the proxes go), ``jax.jit`` (a solve reads numbers), arrays that callables of the problem hold
    in JAX (in torch they are seen).

    References
    ----------
    Amos and Kolter (2017), OptNet. Agrawal et al. (2019), Differentiable convex optimization layers. Bai, Kolter and Koltun
    (2019), Deep equilibrium models. Bolte, Le, Pauwels and Silveti-Falls (2021), Nonsmooth implicit differentiation for machine
    learning and optimization. Saad and Schultz (1986), GMRES.

    Examples
    --------
    The lasso with the identity is soft-thresholding; with x = b - weight where b > weight:

    >>> import pytest
    >>> torch = pytest.importorskip("torch")
    >>> import monops
    >>> from monops.differentiate import differentiable_solve
    >>> b = torch.tensor([3.0, 0.5], dtype=torch.float64, requires_grad=True)
    >>> weight = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    >>> problem = monops.LeastSquares(torch.eye(2, dtype=torch.float64), b) + monops.L1Norm(weight)
    >>> differentiable_solve(problem).x.sum().backward()
    >>> b.grad + 0.0, weight.grad
    (tensor([1., 0.], dtype=torch.float64), tensor(-1., dtype=torch.float64))
    """
    _check_settings(mode, unrolled_iterations, adjoint_tol, adjoint_max_iter)
    inner = as_inclusion(problem).batched(batch_ndim)
    coarse = _is_coarse(inner, x0)
    if tol is None and stop is None:
        tol = 1e-4 if coarse else 1e-8
    near = tol if stop is None else stop.tolerance
    if near is None:
        near = 1e-4 if coarse else 1e-8
    inner = inner.with_tolerance(0.1 * near)
    live, still = rebuilt(inner, lambda array: array), rebuilt(inner, autodiff.detach)
    _check_recorded(live, x0 if mode == "unrolled" else None)
    if mode == "unrolled":
        others = {"stop": stop, "warm_start": warm_start, "callback": callback, "save_to": save_to, "resume_from": resume_from}
        _refuse_unrolled([name for name, value in others.items() if value is not None] + ["history"] * history)
        return unrolled(still, live, algorithm, x0, near, 100 if unrolled_iterations is None else unrolled_iterations)
    if warm_start is not None:
        warm_start = dataclasses.replace(warm_start, x=autodiff.detach(warm_start.x))
    settings: dict[str, Any] = {"tol": tol, "stop": stop, "max_iter": max_iter, "check_every": check_every}
    settings |= {"batch_ndim": batch_ndim, "on_failure": on_failure}
    with without_record():
        result = solve(
            still,
            algorithm,
            x0=None if x0 is None else autodiff.detach(x0),
            warm_start=warm_start,
            callback=callback,
            history=history,
            progress=progress,
            save_to=save_to,
            resume_from=resume_from,
            **settings,
        )
        if not is_map(result.algorithm):
            result = through_a_map(still, result, settings)
        fixed = fixed_point(still, result, near, max_iter, on_failure)
    lend_numbers(still, live)
    demanded = Demanded((1e-5 if coarse else 1e-10) if adjoint_tol is None else adjoint_tol, adjoint_max_iter, on_failure)
    return attached(result, fixed, live, demanded)


def _refuse_unrolled(named: list[str]) -> None:
    if named:
        raise DataError(f"mode='unrolled' is a plain loop of unrolled_iterations steps: leave out {', '.join(named)}")


def _check_settings(mode: str, unrolled_iterations: Any, adjoint_tol: Any, adjoint_max_iter: Any) -> None:
    if mode not in ("implicit", "unrolled"):
        raise DataError(f"mode={mode!r} must be 'implicit' or 'unrolled'")
    if unrolled_iterations is not None and mode == "implicit":
        raise DataError("unrolled_iterations belongs to mode='unrolled': an implicit derivative takes max_iter")
    for name, value in (("unrolled_iterations", unrolled_iterations), ("adjoint_max_iter", adjoint_max_iter)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1):
            raise DataError(f"{name}={value!r} must be an integer >= 1")
    if adjoint_tol is not None and not 0 < adjoint_tol < 1:
        raise DataError(f"adjoint_tol={adjoint_tol!r} must be between 0 and 1: it is relative")


def _is_coarse(problem: Inclusion, x0: Array | None) -> bool:
    """Whether the arrays have single precision."""
    found = [array for _, array in problem.named_arrays()] + ([] if x0 is None else arrays.leaves(x0))
    floating = [array for array in found if arrays.is_array(array) and arrays.is_floating(array)]
    return bool(floating) and arrays.epsilon(floating[0]) > 1e-10


def _check_recorded(problem: Inclusion, x0: Array | None) -> None:
    """Raise BackendError where nothing asks for a derivative; what callables hold is only seen when they are called."""
    named = [*problem.named_arrays(), *([] if x0 is None else [("x0", x0)])]
    if not any(autodiff.tracks_gradient(array) for _, array in named) and not holds_callable(problem):
        names = ", ".join(name for name, _ in named) or "none"
        raise BackendError(
            f"no array of {problem} requires gradients (arrays: {names}): call requires_grad_() on the torch tensors to "
            "differentiate in, or build the problem inside jax.grad; for the solution alone call solve"
        )
