"""What Douglas-Rachford and Peaceman-Rachford share: u+ = u + relaxation (y - x), x = J_{gB} u, y = J_{gA}(2x - u)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from monops import arrays
from monops.algorithms.algorithm import Solution
from monops.algorithms.roles import split_certificate
from monops.arrays import Array
from monops.constants import Bound, Constants
from monops.theory import Guarantee, Number


class Terms(NamedTuple):
    """Who plays which role, and the resolved numbers."""

    A: Any
    B: Any
    step_size: float
    relaxation: float
    guarantee: Guarantee
    constants: Constants
    notes: tuple[str, ...]


class State(NamedTuple):
    """The governing point u, the two resolvents x and y, and the u that x and y came from."""

    u: Array
    x: Array
    y: Array
    previous: Array


def init(x0: Array) -> State:
    """Start with u = x = y = x0."""
    return State(x0, x0, x0, x0)


def step(terms: Terms, state: State) -> State:
    """One step of the relaxed scheme."""
    u = state.u
    x = terms.B.resolvent(u, terms.step_size)
    mirrored = arrays.reflect(x, u)
    y = terms.A.resolvent(mirrored, terms.step_size)
    moved = arrays.reflect(y, mirrored) if terms.relaxation == 2.0 else u + terms.relaxation * (y - x)
    return State(moved, x, y, u)


def solution(terms: Terms, state: State) -> Solution:
    """The point y, and b in Bx as the dual point."""
    return Solution(state.y, (state.previous - state.x) / terms.step_size)


def certificate(terms: Terms, state: State) -> Array:
    """Element of the sum at y, or of the primal-dual operator at (y, b)."""
    _, x, y, u = state
    a = (2.0 * x - u - y) / terms.step_size
    return split_certificate(terms.B, x, y, a, (u - x) / terms.step_size)


def cayley_contraction(A: Constants | None, step: Number) -> Bound:
    """Squared Lipschitz constant of the reflected resolvent 2 J_{step A} - I, or None when nothing below 1 is proven.

    Subdifferential, mu-strong, L-Lipschitz: max{(1 - step mu)/(1 + step mu), (step L - 1)/(step L + 1)}^2 (Giselsson and
    Boyd 2017, Thm 1). mu-strong and L-Lipschitz: 1 - 4 step mu/(1 + 2 step mu + step^2 L^2); mu-strong and beta-cocoercive:
    the same with mu/beta in place of L^2 (Giselsson 2017). All tight.
    """
    if A is None:
        return None
    mu, beta, lipschitz = A.strong_monotonicity, A.cocoercivity, A.lipschitz
    if mu is None or mu <= 0 or lipschitz is None or beta is None:
        return None
    if A.cyclic:
        return max(abs(1 - step * mu) / (1 + step * mu), abs(step * lipschitz - 1) / (step * lipschitz + 1)) ** 2
    square = min(lipschitz**2, mu / beta)
    return 1 - 4 * step * mu / (1 + 2 * step * mu + step**2 * square)


def best_cayley_step(A: Constants) -> Bound:
    """Minimiser of ``cayley_contraction``: 1/sqrt(mu L) for a subdifferential, else 1/L (or sqrt(beta/mu))."""
    mu, beta, lipschitz = A.strong_monotonicity, A.cocoercivity, A.lipschitz
    if mu is None or mu <= 0 or lipschitz is None or beta is None:
        return None
    if A.cyclic:
        return 1 / math.sqrt(mu * lipschitz)
    return max(1 / lipschitz, math.sqrt(beta / mu))


def better(A: Constants, B: Constants) -> Constants | None:
    """The one of the two whose reflected resolvent is a contraction, with the smaller factor; None if neither."""
    scored = []
    for candidate in (A, B):
        best = best_cayley_step(candidate)
        if best is not None:
            scored.append((cayley_contraction(candidate, best), id(candidate), candidate))
    return min(scored)[2] if scored else None
