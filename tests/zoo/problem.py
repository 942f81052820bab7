"""What the zoo is made of: a problem, its trusted reference, and the error of a candidate from first principles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from monops import Blocks, Inclusion, arrays

AsArray = Callable[[Any], Any]


class Reference(NamedTuple):
    """What a trusted solver says: a solution (host arrays; None where it is not the same kind of point) and the value."""

    x: Any
    value: float | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """A problem with its answer.

    ``build`` makes the inclusion from arrays of any library; ``start`` a point; ``trusted`` runs the solver that ``source``
    names; ``error`` measures a candidate (host arrays) by the definition of the problem; ``unique``: whether there is one
    solution only, so that candidates are compared with the reference.
    """

    name: str
    build: Callable[[AsArray], Inclusion]
    start: Callable[[AsArray], Any]
    trusted: Callable[[], Reference]
    source: str
    error: Callable[[Any], float]
    unique: bool = True
    tolerance: float = 1e-4

    @property
    def reference(self) -> Reference:
        """The trusted solver's answer; computed once a session."""
        return _reference(self)

    @property
    def problem(self) -> Inclusion:
        """The inclusion on NumPy float64; the same object each time, so that constants are computed once."""
        return _built(self)

    def miss(self, x: Any) -> float:
        """The error of a candidate of any library; where the solution is unique, the distance to the reference counts too."""
        x = arrays.tree_map(arrays.to_numpy, x)
        found = self.error(x)
        if self.unique:
            found = max(found, distance(x, self.reference.x))
        return found


@functools.cache
def _reference(problem: Problem) -> Reference:
    return problem.trusted()


@functools.cache
def _built(problem: Problem) -> Inclusion:
    return problem.build(host)


@dataclass(frozen=True, eq=False)
class Unsolvable:
    """A problem without a solution, the reason, and what a trusted solver says of it."""

    name: str
    build: Callable[[AsArray], Inclusion]
    start: Callable[[AsArray], Any]
    why: str
    trusted: Callable[[], str]


def host(values: Any) -> np.ndarray:
    """NumPy float64."""
    return np.array(values, dtype=float)


def rng(seed: int) -> np.random.Generator:
    """Fixed generator."""
    return np.random.default_rng(seed)


def zeros(*shapes: tuple[int, ...]) -> Callable[[AsArray], Any]:
    """The start 0; on Blocks for several shapes."""
    if len(shapes) == 1:
        return lambda a: a(np.zeros(shapes[0]))
    return lambda a: Blocks([a(np.zeros(shape)) for shape in shapes])


def distance(x: Any, y: Any) -> float:
    """Largest |x - y| of an entry, relative to 1 + the largest entry of y."""
    pairs = list(zip(arrays.leaves(x), arrays.leaves(y), strict=True))
    size = 1.0 + max(float(np.abs(b).max()) for _, b in pairs)
    return max(float(np.abs(a - b).max()) for a, b in pairs) / size


def gap(value: float, best: float) -> float:
    """|value - best| relative to 1 + |best|."""
    return abs(value - best) / (1.0 + abs(best))


def soft(x: np.ndarray, threshold: Any) -> np.ndarray:
    """sign(x) max(|x| - threshold, 0)."""
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0.0)


def simplex_projection(x: np.ndarray, total: float = 1.0) -> np.ndarray:
    """By sorting (Held, Wolfe and Crowder 1974)."""
    descending = np.sort(x)[::-1]
    means = (np.cumsum(descending) - total) / np.arange(1, x.size + 1)
    return np.maximum(x - means[np.nonzero(descending > means)[0][-1]], 0.0)


def below(excess: Any) -> float:
    """Largest violation of excess <= 0."""
    return max(float(np.max(excess)), 0.0)


def conic(variable: Any, objective: Any, constraints: Any = ()) -> Reference:
    """CVXPY with Clarabel, to ten digits."""
    import cvxpy as cp

    problem = cp.Problem(cp.Minimize(objective), list(constraints))
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    assert problem.status in ("optimal", "optimal_inaccurate"), problem.status
    value = [np.array(part.value) for part in variable] if isinstance(variable, tuple) else np.array(variable.value)
    return Reference(Blocks(value) if isinstance(value, list) else value, float(problem.value))


def linear(c: np.ndarray, **data: Any) -> Any:
    """SciPy's HiGHS; the result of linprog."""
    import scipy.optimize

    return scipy.optimize.linprog(c, method="highs", **data)


def box_equilibrium(M: np.ndarray, q: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The x in [lower, upper] with Mx + q in minus the normal cone, by trying every active set."""
    import itertools

    for choice in itertools.product((0, -1, 1), repeat=q.size):
        active = np.array(choice)
        if np.any(~np.isfinite(upper[active == 1])):
            continue
        x = np.where(active == 1, upper, lower)
        free = active == 0
        if free.any():
            x[free] = np.linalg.solve(M[np.ix_(free, free)], -(q + M[:, ~free] @ x[~free])[free])
        residual = M @ x + q
        inside = np.all(x >= lower - 1e-12) and np.all(x <= upper + 1e-12)
        if inside and np.all(residual[active == -1] >= -1e-12) and np.all(residual[active == 1] <= 1e-12):
            return x
    raise AssertionError("no active set fits")
