"""The implicit derivative: a fixed point z = T(z, theta), recorded once, and the adjoint equation of its backward pass."""

from __future__ import annotations

import dataclasses
import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from monops import arrays, autodiff
from monops.acceleration.wrapper import Acceleration
from monops.algorithms import Algorithm, assess, grouped_refusals, methods
from monops.arrays import Array
from monops.differentiate.adjoint import pullback, solve_adjoint
from monops.differentiate.recorded import recorded_terms
from monops.errors import BackendError, CapabilityError, NotApplicableError, NotConvergedError, NotConvergedWarning
from monops.problem import Inclusion
from monops.result import Result, host_rows
from monops.solve import solve


class Demanded(NamedTuple):
    """How exactly the adjoint equation is to be solved, and what happens when it is not."""

    tol: float
    max_iter: int
    on_failure: str


class Fixed(NamedTuple):
    """A fixed point z of the map of a method."""

    method: Algorithm
    terms: Any
    z: Array


def is_map(method: Algorithm) -> bool:
    """Whether the states of a method have a fixed point of a map in them."""
    return method.is_map or isinstance(method, Acceleration)


def fixed_point(problem: Inclusion, result: Result, tol: float, max_iter: int, on_failure: str) -> Fixed:
    """The fixed point that a solve ended at.

    The answer may be exact before z is (Douglas-Rachford reads x from z by a resolvent): the map goes on until z stands.
    """
    method, state, rows = result.algorithm, result.state, problem.batch_ndim
    terms = method.match(problem)
    if isinstance(method, Acceleration):
        method, terms, state = terms.method, terms.inner, state.inner
    z = method.governing(terms, state)
    for _ in range(max(max_iter, 1)):
        following = _image(method, terms, z)
        change, size = host_rows(arrays.norm(following - z, rows)), host_rows(arrays.norm(z, rows))
        z = following
        if not np.any(change > tol * (1.0 + size)):
            return Fixed(method, terms, z)
    if result.success:
        message = (
            f"the answer converged, but the governing point of {method.name} still moves by {float(np.max(change)):.3g} after "
            f"{max_iter} more steps: the derivative is taken at a point that is no fixed point; raise max_iter"
        )
        _fail(message, on_failure)
    return Fixed(method, terms, z)


def _fail(message: str, on_failure: str) -> None:
    if on_failure == "raise":
        raise NotConvergedError(message)
    if on_failure == "warn":
        warnings.warn(message, NotConvergedWarning, stacklevel=4)


def _image(method: Algorithm, terms: Any, z: Array) -> Array:
    """T z."""
    return method.governing(terms, method.step(terms, method.at(terms, z)))


def through_a_map(problem: Inclusion, result: Result, settings: dict[str, Any]) -> Result:
    """The answer of a method that is no map, as the result of one that is."""
    method = _map_that_stands_at(result, problem) or _any_map(result, problem)
    ended = solve(problem, method, x0=result.x, **settings)
    choice = f"{result.choice}; {result.algorithm.name} is no fixed-point map: its answer was handed to {method.name}"
    return dataclasses.replace(
        ended,
        choice=choice,
        iterations=ended.iterations + result.iterations,
        seconds=ended.seconds + result.seconds,
        history=[*result.history, *ended.history],
    )


def _map_that_stands_at(result: Result, problem: Inclusion) -> Algorithm | None:
    """The cheapest map whose fixed point is the answer itself: one step leaves a small residual."""
    small = 10.0 * float(np.max(result.residual, initial=0.0))
    kinds = sorted((kind for kind in methods() if kind.is_map), key=lambda kind: kind.evaluations)
    for method in (kind() for kind in kinds):
        try:
            terms = method.match(problem)
        except NotApplicableError:
            continue
        state = method.step(terms, method.init(terms, result.x))
        rows = host_rows(arrays.norm(method.certificate(terms, state), problem.batch_ndim))
        if float(np.max(rows, initial=0.0)) <= small:
            return method
    return None


def _any_map(result: Result, problem: Inclusion) -> Algorithm:
    """The method with a map that has the least predicted effort."""
    entries = [entry for entry in assess(problem) if entry.algorithm.is_map]
    able = [entry for entry in entries if entry.terms is not None]
    if not able:
        raise NotApplicableError(
            f"{result.algorithm.name} is no fixed-point map, and no method that is one applies to {problem}: use "
            f"mode='unrolled'. {'; '.join(grouped_refusals(entries))}"
        )
    return able[0].algorithm


def attached(result: Result, fixed: Fixed, live: Inclusion, demanded: Demanded) -> Result:
    """The result with the derivative of its answer: z = T(z, theta) recorded once, and x = S(z, theta) once."""
    method, terms, z = fixed
    recorded = recorded_terms(method, live, terms)
    once = _image(method, recorded, z)
    if autodiff.tracks_gradient(once):
        transposed = pullback(functools.partial(_image, method, terms), z)  # now: data may change before the backward pass

        def adjoint(v: Array) -> Array:
            return _solve_adjoint(transposed, v, demanded, live.batch_ndim, method.name)

        once = autodiff.attach(z, [autodiff.Source(once, _refuse_forward_mode, adjoint)])
        for leaf in arrays.leaves(once):
            if hasattr(leaf, "register_hook"):
                leaf.register_hook(_refuse_double_backward)
    else:
        once = z
    x, dual = method.solution(recorded, method.step(recorded, method.at(recorded, once)))
    return _with_answer(result, x, dual)


def _solve_adjoint(back: Callable[[Array], Array], v: Array, demanded: Demanded, batch_ndim: int, name: str) -> Array:
    found = solve_adjoint(back, v, demanded.tol, demanded.max_iter, batch_ndim)
    worst = float(np.max(host_rows(found.relative), initial=0.0))
    if not worst <= demanded.tol:
        message = (
            f"the adjoint equation of {name} ended with a relative residual of {worst:.3g} > adjoint_tol={demanded.tol:g} "
            f"after {found.products} products: I - dT/dz is singular at the answer, or nearly so, and the derivative is not "
            "unique (more than one solution, or dependent constraints); otherwise raise adjoint_max_iter or adjoint_tol"
        )
        _fail(message, demanded.on_failure)
    return found.w


def _refuse_forward_mode(change: Array) -> Array:
    raise CapabilityError("implicit derivatives are recorded for backward passes only: use mode='unrolled' for forward mode")


def _refuse_double_backward(change: Array) -> None:
    """Raise where torch records the backward pass: a second one would take the fixed point for a constant."""
    if sys.modules["torch"].is_grad_enabled():
        raise CapabilityError(
            "implicit derivatives are first derivatives: leave out create_graph=True, or use mode='unrolled' for second ones"
        )


def _with_answer(result: Result, x: Array, dual: Array | None) -> Result:
    """The result with the derivatives of x and dual, and its own numbers."""
    torch = sys.modules.get("torch")
    recording = torch is None or torch.is_grad_enabled()
    if recording and not autodiff.tracks_gradient(x) and (dual is None or not autodiff.tracks_gradient(dual)):
        raise BackendError(
            f"the step of {result.algorithm.name} depends on no array that requires gradients: the callables of the problem "
            "hold none, or cut it off"
        )
    answer = _numbers_of(result.x, x)
    return dataclasses.replace(result, x=answer, dual=None if dual is None else _numbers_of(result.dual, dual))


def _numbers_of(numbers: Array, recorded: Array) -> Array:
    return arrays.tree_map(lambda one, other: one + (other - autodiff.detach(other)), numbers, recorded)
