"""The function g of a working-set method, entry by entry or over disjoint groups, with the model that Newton steps minimise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from monops import arrays
from monops.algorithms.shared.piecewise_newton import (
    FIRST_STEPS,
    SUFFICIENT,
    Model,
    Point,
    SparseGram,
    solve_positive,
    value_change,
)
from monops.algorithms.shared.working_sets import device_indices, finite_ends
from monops.arrays import Array
from monops.functions import Scaling, TreeGroupL2
from monops.functions.separable import Separable
from monops.linear import SparseMatrix
from monops.problem import Term
from monops.theory import Missing

MANY = 4  # entries over rows from which systems of the size of the rows cost less


@dataclass(frozen=True, eq=False)
class Entries:
    """A separable function."""

    function: Separable

    def into_domain(self, x: Array) -> Array:
        """x moved into the domain."""
        return arrays.clip(x, *finite_ends(self.function))

    def nearest(self, x: Array, v: Array) -> Array:
        """The element of dg(x) nearest to v."""
        return arrays.clip(v, *self.function.entry_subdifferential(x))

    def distance(self, x: Array, v: Array) -> Array:
        """Distance of v from dg(x), for each entry."""
        return self.function.distance_to_subdifferential(x, v)

    def moving(self, x: Array) -> np.ndarray[Any, Any]:
        """Entries at which g is differentiable."""
        lower, upper = self.function.entry_subdifferential(x)
        return arrays.to_numpy(~(lower < upper))

    def completed(self, chosen: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The chosen entries with those that go with them."""
        return chosen

    def restrict(self, indices: np.ndarray[Any, Any], like: Array) -> Entries:
        """The same function of some entries."""
        return Entries(self.function.restrict(device_indices(indices, like)))

    def prox(self, x: Array, step: float) -> Array:
        """The prox."""
        return self.function.entry_prox(x, step)

    def change(self, x: Array, move: Array) -> float:
        """g(x + move) - g(x)."""
        return value_change(self.function, x, move)

    def size(self, x: Array) -> float:
        """The value of g, as a measure of rounding."""
        xp = arrays.namespace(x)
        return 0.0 if self.function.is_indicator else float(xp.sum(xp.abs(self.function.entry_value(x))))

    def model(self, hessian: Array, gradient: Array, center: Array, rank: float, columns: Array | None = None) -> Model:
        """The quadratic model plus g."""
        return Model(self.function, hessian, gradient, center, rank)


class Groups:
    """g(x) = sum over disjoint groups of weight |x_group|_2, which cover all entries, given by labels; NumPy only."""

    is_indicator = False

    def __init__(self, labels: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> None:
        self.labels, self.weights = labels, weights

    def sizes(self, x: Array) -> np.ndarray[Any, Any]:
        """|x_group| of each group."""
        return np.sqrt(np.bincount(self.labels, x * x, minlength=len(self.weights))).astype(x.dtype)

    def into_domain(self, x: Array) -> Array:
        """x itself."""
        return x

    def nearest(self, x: Array, v: Array) -> Array:
        """weight x/|x| in groups that are not 0, the projection of v on the ball of the weight in the others."""
        size, length = self.sizes(x), self.sizes(v)
        moving = size > 0
        shrink = self.weights / np.maximum(length, np.where(self.weights > 0, self.weights, 1.0))
        slope = self.weights / np.where(moving, size, 1.0)
        return np.where(moving[self.labels], slope[self.labels] * x, shrink[self.labels] * v).astype(x.dtype)

    def distance(self, x: Array, v: Array) -> Array:
        """Distance of v from dg(x) in the group of each entry."""
        return self.sizes(v - self.nearest(x, v))[self.labels]

    def moving(self, x: Array) -> np.ndarray[Any, Any]:
        """Entries of groups that are not 0."""
        return (self.sizes(x) > 0)[self.labels]

    def completed(self, chosen: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """All entries of the groups of the chosen ones."""
        touched = np.zeros(len(self.weights), dtype=bool)
        touched[self.labels[chosen]] = True
        return np.asarray(touched[self.labels])

    def restrict(self, indices: np.ndarray[Any, Any], like: Array) -> Groups:
        """The same function of some whole groups."""
        kept, labels = np.unique(self.labels[indices], return_inverse=True)
        return Groups(labels, self.weights[kept])

    def prox(self, x: Array, step: float) -> Array:
        """Block soft-thresholding."""
        size = self.sizes(x)
        factor = np.maximum(1.0 - step * self.weights / np.where(size > 0, size, 1.0), 0.0)
        return x * factor[self.labels].astype(x.dtype)

    entry_prox = prox

    def change(self, x: Array, move: Array) -> float:
        """g(x + move) - g(x)."""
        return float(self.weights @ (self.sizes(x + move) - self.sizes(x)))

    def size(self, x: Array) -> float:
        """The value of g."""
        return float(self.weights @ self.sizes(x))

    def model(self, hessian: Array, gradient: Array, center: Array, rank: float, columns: Array | None = None) -> GroupModel:
        """The quadratic model plus g; ``columns``, where they are dense, are C of the Hessian C*C."""
        matrix = hessian.dense() if isinstance(hessian, SparseGram) else hessian
        model = GroupModel(self, matrix, gradient, center, rank)
        model.columns = columns
        return model


class GroupModel(Model):
    """The model with a group norm: accelerated steps choose the groups, Newton steps move those that are not 0."""

    columns: Array | None = None

    @cached_property
    def _same_group(self) -> np.ndarray[Any, Any]:
        labels = self.g.labels
        return np.asarray(labels[:, None] == labels[None, :])

    def _solved(self, index: np.ndarray[Any, Any], bend: Array, unit: Array, force: Array) -> Array:
        """(H + B)^-1 force on some entries, B = bend (I - u u*) in each group with the unit vector u."""
        if self.columns is None or index.size < MANY * self.columns.shape[0] or not np.all(bend > 0):
            system = self.hessian[np.ix_(index, index)] - self._same_group[np.ix_(index, index)] * np.outer(bend * unit, unit)
            system.flat[:: index.size + 1] += bend
            return solve_positive(system.astype(force.dtype), force)
        _, labels = np.unique(self.g.labels[index], return_inverse=True)
        starts = np.flatnonzero(np.diff(labels, prepend=-1))
        if starts.size != labels[-1] + 1:  # groups are not consecutive
            order = np.argsort(labels, kind="stable")
            solution = np.empty_like(force)
            solution[order] = self._solved(index[order], bend[order], unit[order], force[order])
            return solution
        C = self.columns[:, index]
        return few_rows(C, bend, unit, starts, force)

    def change(self, point: Point, other: Point) -> float:
        move = other.x - point.x
        return 0.5 * float((point.gradient + other.gradient) @ move) + float(self.g.change(point.x, move))

    def minimise(self, tolerance: float, rounds: int = 40) -> Array:
        point, lipschitz = Point(self.center, self.initial), 0.0
        for _ in range(rounds):
            if float(np.max(self.g.distance(point.x, -point.gradient))) <= max(tolerance, self.rounding):
                break
            lipschitz = lipschitz or self.lipschitz()
            new = self._on_face(self.accelerate(point, FIRST_STEPS, lipschitz), tolerance)
            if not np.any(new.x != point.x):
                break
            point = new
        return point.x

    def _on_face(self, point: Point, tolerance: float) -> Point:
        """Newton steps over the groups that are not 0, where g is smooth, while the objective falls."""
        for _ in range(10):
            size = self.g.sizes(point.x)
            index = np.flatnonzero((size > 0)[self.g.labels])
            safe = np.where(size > 0, size, 1.0)
            bend = (self.g.weights / safe)[self.g.labels][index]
            unit = (point.x / safe[self.g.labels])[index]
            force = point.gradient[index] + bend * point.x[index]
            if index.size == 0 or float(np.max(np.abs(force))) <= max(0.1 * tolerance, self.rounding):
                break
            direction = np.zeros_like(point.x)
            direction[index] = -self._solved(index, bend.astype(force.dtype), unit, force)
            slope = float(force @ direction[index])
            image = self.hessian @ direction
            new, length = point, 1.0
            below = -slope <= 8 * arrays.epsilon(point.x) * self.g.size(point.x)  # below rounding the model decides
            while slope < 0.0 and length > 1e-3:
                trial = Point(point.x + length * direction, point.gradient + length * image)
                if below or self.change(point, trial) <= SUFFICIENT * length * slope:
                    new = trial
                    break
                length *= 0.5
            if new is point:
                break
            point = new
        return point


def few_rows(C: Array, bend: Array, unit: Array, starts: np.ndarray[Any, Any], force: Array) -> Array:
    """(C*C + bend (I - U U*))^-1 force by systems of the size of the rows of C, U the unit vectors of consecutive groups.

    d = U t + e with U*e = 0 and w = C d give e = (force - C*w off U)/bend, so that S w = C U t + C (force off U)/bend with
    S = I + C (I - U U*) C*/bend, and U*C*w = U*force fixes t.
    """
    sizes = np.diff(np.append(starts, force.size))

    def along(x: Array) -> Array:
        return np.add.reduceat(x * unit, starts, axis=-1)

    def off(x: Array) -> Array:
        return x - np.repeat(along(x), sizes) * unit

    CU = along(C)
    scaled, thick = C / np.sqrt(bend), CU / np.sqrt(bend[starts])
    S = scaled @ scaled.T - thick @ thick.T
    S.flat[:: len(S) + 1] += 1.0
    solved = solve_positive(S, np.column_stack([CU, C @ (off(force) / bend)]))
    inverse, rest = solved[:, :-1], solved[:, -1]
    t = solve_positive(CU.T @ inverse, along(force) - CU.T @ rest)
    w = inverse @ t + rest
    return np.asarray(np.repeat(t, sizes) * unit + off(force - C.T @ w) / bend)


def penalty_of(term: Term, linear_map: Any) -> Entries | Groups | Missing:
    """g in the form of the method, or what keeps the term from being g."""
    function: Any = term.summand
    factor = function.factor if isinstance(function, Scaling) else 1.0
    inner = function.function if isinstance(function, Scaling) else function
    if term.map is None and isinstance(inner, TreeGroupL2):
        return _groups(inner, factor, linear_map)
    missing = _unusable(term)
    return Entries(function) if missing is None else missing


def _groups(function: TreeGroupL2, factor: float, linear_map: Any) -> Groups | Missing:
    """Disjoint groups; entries in none of them are groups of weight 0 of their own."""
    if not isinstance(linear_map.matrix, np.ndarray) and not isinstance(linear_map, SparseMatrix):
        return Missing("working sets of groups are on NumPy only", "use AcceleratedForwardBackward")
    count, dtype = linear_map.input_shape[0], linear_map.matrix.dtype
    labels, weights = np.full(count, -1), [factor * group.weight for group in function.groups]
    for number, group in enumerate(function.groups):
        indices = np.asarray(group.indices)
        if indices.max() >= count or np.any(labels[indices] >= 0):
            return Missing("the groups are nested or do not fit x", "give disjoint groups, or use AcceleratedForwardBackward")
        labels[indices] = number
    alone = np.flatnonzero(labels < 0)
    labels[alone] = len(weights) + np.arange(alone.size)
    return Groups(labels, np.concatenate([np.asarray(weights), np.zeros(alone.size)]).astype(dtype))


def _unusable(term: Term) -> Missing | None:
    """What keeps a term from being g, or None."""
    function, text = term.summand, str(term)
    way_out = "use AcceleratedForwardBackward, or ChambollePock for a function of Kx"
    if term.map is not None:
        return Missing(f"{text} contains a linear map, so that it is not separable in x", way_out)
    if not isinstance(function, Separable) or not function.has_value:
        return Missing(f"{text} is not separable with a closed-form value", way_out)
    if not function.is_convex:
        name = type(getattr(function, "function", function)).__name__
        return Missing(f"{name} in {text} is nonconvex, and the theorem needs convexity", "put a convex function in its place")
    if function.has_gradient:
        return Missing(f"{text} has no kink and no bound, so that no coordinate stays out of a working set", way_out)
    return None
