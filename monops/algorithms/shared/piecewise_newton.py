"""A quadratic model plus a separable function on few coordinates: accelerated steps, then Newton steps on the smooth piece.

    minimise  <gradient, x - center> + 1/2 <x - center, H (x - center)> + g(x),   g separable.

Around x every entry of g is smooth on one side at least: at 0 (or an end of the domain) the side that the gradient points to.
A Newton step over the entries that may move, clipped to the piece on which it is valid (*projected* Newton: Bertsekas 1982;
Andrew and Gao 2007 for orthants), is accepted when the objective falls; else a Newton step up to the first end of a piece,
which falls along a descent direction; else accelerated steps. Every accepted step lowers the objective.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from monops import arrays
from monops.arrays import Array
from monops.functions.separable import Separable

SUFFICIENT = 1e-4  # part of the predicted decrease that a step must reach
HALVINGS = 6
ATTEMPTS = 5  # free sets that one Newton step tries
SINGULAR = 30  # ordinary Newton steps for which one with a singular system counts
NEARLY, MOST_PRODUCTS = 1e-4, 200  # relative residual of conjugate gradients, and when they give way to a factorisation
FIRST_STEPS, MANY_STEPS = 5, 40  # accelerated steps between which Newton is tried; where it has a singular system


class SparseGram:
    """C* diag(weights) C by its products, C a SciPy sparse matrix with far fewer entries than C*C has."""

    def __init__(self, columns: Any, weights: np.ndarray[Any, Any]) -> None:
        self.columns, self.weights = columns, weights
        self._transposed = columns.T.tocsr()

    def __matmul__(self, x: Array) -> Array:
        return self._transposed @ (self.weights * (self.columns @ x))

    def diagonal(self) -> np.ndarray[Any, Any]:
        """Its diagonal."""
        return np.asarray(self._transposed.power(2) @ self.weights)

    def restrict(self, index: np.ndarray[Any, Any]) -> SparseGram:
        """The block of some entries."""
        return self if index.size == self.columns.shape[1] else SparseGram(self.columns[:, index], self.weights)

    def dense(self) -> np.ndarray[Any, Any]:
        """As a matrix."""
        scaled = self._transposed.multiply(self.weights).tocsr()
        return np.asarray((scaled @ self.columns).toarray())


class Pieces(NamedTuple):
    """What g is around x for a force v: entries that may move, the slope there, the ends of the piece, |v - dg| of each."""

    free: Array
    slope: Array
    lower: Array
    upper: Array
    distance: Array


class Point(NamedTuple):
    """x, and the gradient of the quadratic model there."""

    x: Array
    gradient: Array


class Model:
    """The quadratic model plus g (a Separable, or several joined), on the entries of a working set."""

    def __init__(self, g: Any, hessian: Array, gradient: Array, center: Array, rank: float = math.inf) -> None:
        self.g, self.hessian, self.initial, self.center = g, hessian, gradient, center
        self.rank = rank  # above it, the Hessian of as many entries is singular
        self.xp = arrays.namespace(center)
        self.rounding = 32 * arrays.epsilon(center) * float(self.xp.max(self.xp.abs(gradient)))

    def at(self, x: Array) -> Point:
        """x with the gradient of the quadratic model there."""
        return Point(x, self.initial + self.hessian @ (x - self.center))

    def change(self, point: Point, other: Point) -> float:
        """Objective at the other point minus objective at the point, without the cancellation of two large values."""
        move = other.x - point.x
        return 0.5 * float(arrays.inner(point.gradient + other.gradient, move)) + value_change(self.g, point.x, move)

    def lipschitz(self) -> float:
        """The largest eigenvalue of the Hessian, roughly: a step that overshoots is noticed by its objective."""
        xp = self.xp
        direction = xp.ones_like(self.center) + 0.1 * self.initial / (1e-300 + float(xp.max(xp.abs(self.initial))))
        size = 0.0
        for _ in range(6):
            length = float(arrays.norm(direction))
            if not 0.0 < length < math.inf:
                break
            direction = self.hessian @ (direction / length)
            size = float(arrays.norm(direction))
        return 1.1 * size

    def accelerate(self, start: Point, steps: int, lipschitz: float) -> Point:
        """Accelerated proximal gradient steps with restart; the start itself if the objective did not fall."""
        if lipschitz <= 0.0:
            return start
        for _ in range(8):
            step, y, current, t = 1.0 / lipschitz, start, start, 1.0
            for _ in range(steps):
                new = self.at(self.g.entry_prox(y.x - step * y.gradient, step))
                move = new.x - current.x
                if float(arrays.inner(y.x - new.x, move)) > 0:
                    y, t = new, 1.0
                else:
                    momentum, t = (t - 1.0) / (t + 1.0 / 3.0), t + 1.0 / 3.0
                    y = Point(new.x + momentum * move, new.gradient + momentum * (new.gradient - current.gradient))
                current = new
            if self.change(start, current) <= 0.0:
                return current
            lipschitz *= 2.0
        return start

    def newton(self, point: Point, piece: Pieces) -> Point | None:
        """The point after one Newton step, or None where no step lowers the objective."""
        xp, free, x, gradient = self.xp, piece.free, point.x, point.gradient
        bend = curvature(self.g, x, piece)
        for _ in range(ATTEMPTS):
            force = xp.where(free, gradient + piece.slope, xp.zeros_like(x))
            direction = -solve_reduced(self.hessian, bend, force, free)
            if not bool(xp.all(xp.isfinite(direction))):
                return None
            length = 1.0
            for _ in range(HALVINGS):
                new = self._lower(point, force, bend, arrays.clip(x + length * direction, piece.lower, piece.upper))
                if new is not None:
                    return new
                length *= 0.5
            blocked = free & (((x <= piece.lower) & (direction < 0)) | ((x >= piece.upper) & (direction > 0)))
            if not bool(xp.any(blocked)):
                break
            free = free & ~blocked  # they would leave their pieces at once: the step without them
        room = xp.where(direction > 0, piece.upper - x, xp.where(direction < 0, piece.lower - x, xp.ones_like(x)))
        moving = direction != 0
        ratio = xp.where(moving, room / xp.where(moving, direction, xp.ones_like(x)), xp.ones_like(x))
        length = min(1.0, float(xp.min(ratio)))
        return self._lower(point, force, bend, arrays.clip(x + length * direction, piece.lower, piece.upper))

    def _lower(self, point: Point, force: Array, bend: Array, x: Array) -> Point | None:
        """x with its gradient, if the objective falls by a part of what its slope predicts; else None.

        Where the predicted fall is below rounding, the quadratic model of g decides.
        """
        move = x - point.x
        predicted = float(arrays.inner(force, move))
        if not predicted < 0.0:
            return None
        image = self.hessian @ move
        new = Point(x, point.gradient + image)
        if self.change(point, new) <= SUFFICIENT * predicted:
            return new
        if self.g.is_indicator:
            return None
        size = float(self.xp.sum(self.xp.abs(self.g.entry_value(point.x))))
        modelled = predicted + 0.5 * float(arrays.inner(image + bend * move, move))
        below = -predicted <= 8 * arrays.epsilon(x) * size
        return new if below and modelled <= SUFFICIENT * predicted else None

    def _is_singular(self, piece: Pieces) -> bool:
        xp = self.xp
        return self.rank < math.inf and int(xp.sum(xp.astype(piece.free, xp.int64))) > self.rank

    def descend(self, point: Point, steps: int, tolerance: float = 0.0) -> Point:
        """Newton steps until one fails to lower the objective, or optimality holds to the tolerance."""
        while steps > 0:
            piece = around(self.g, point.x, -point.gradient)
            if float(self.xp.max(piece.distance)) <= max(tolerance, self.rounding):
                break
            steps -= SINGULAR if self._is_singular(piece) else 1
            new = self.newton(point, piece) if steps >= 0 else None
            if new is None:
                break
            point = new
        return point

    def minimise(self, tolerance: float, rounds: int = 20) -> Array:
        """A point at which no entry is farther than the tolerance from its optimality condition, as far as rounding allows."""
        point, lipschitz = Point(self.center, self.initial), 0.0
        for _ in range(rounds):
            piece = around(self.g, point.x, -point.gradient)
            if float(self.xp.max(piece.distance)) <= max(tolerance, self.rounding):
                break
            lipschitz = lipschitz or self.lipschitz()
            steps = MANY_STEPS if self._is_singular(piece) else FIRST_STEPS
            new = self.descend(self.accelerate(point, steps, lipschitz), 100, tolerance)
            if not bool(self.xp.any(new.x != point.x)):
                break
            point = new
        return point.x


def around(g: Separable, x: Array, force: Array) -> Pieces:
    """The piece of g at x to which a force points: ends are 0 where g has a kink there, and those of the domain."""
    xp = arrays.namespace(x)
    lower, upper = g.entry_subdifferential(x)
    rising, falling = force > upper, force < lower
    zero = xp.zeros_like(x)
    distance = xp.where(rising, force - upper, xp.where(falling, lower - force, zero))
    free = ~(lower < upper) | rising | falling
    slope = xp.where(free, xp.where(rising, upper, lower), zero)
    least, most = g.entry_subdifferential(zero)
    kinked = least < most  # at 0
    bottom, top = zero + g.interval[0], zero + g.interval[1]
    positive = kinked & ((x > 0) | ((x == 0) & rising))
    negative = kinked & ((x < 0) | ((x == 0) & falling))
    return Pieces(
        free, slope, xp.where(positive & (bottom < 0), zero, bottom), xp.where(negative & (top > 0), zero, top), distance
    )


def curvature(g: Separable, x: Array, piece: Pieces) -> Array:
    """g'' of the entries inside their pieces, from the derivative of the prox."""
    xp = arrays.namespace(x)
    width = 1e-6 * (1.0 + xp.abs(x))
    inside = x + xp.where(piece.lower >= x, width, xp.where(piece.upper <= x, -width, xp.zeros_like(x)))
    slope = g.entry_subdifferential(inside)[0]
    slope = xp.where(xp.isfinite(slope), slope, xp.zeros_like(slope))
    derivative = g.entry_prox_derivative(inside + slope, inside, 1.0)
    positive = derivative > 0
    return xp.where(positive, 1.0 / xp.where(positive, derivative, xp.ones_like(x)) - 1.0, xp.zeros_like(x))


def value_change(g: Separable, x: Array, move: Array) -> float:
    """g(x + move) - g(x), entry by entry."""
    if g.is_indicator:  # moves are clipped to the domain
        return 0.0
    xp = arrays.namespace(x)
    return float(xp.sum(g.entry_value(x + move) - g.entry_value(x)))


def solve_reduced(hessian: Array, diagonal: Array, right: Array, free: Array) -> Array:
    """d with (H + diagonal)_FF d_F = right_F on the free entries F, and 0 on the others; H positive semidefinite.

    Where H is known by its products, to a relative residual of NEARLY.
    """
    if isinstance(hessian, SparseGram):
        found = conjugate_gradients(hessian, diagonal, right, free)
        if found is not None:
            return found
        hessian = hessian.dense()
    if type(hessian) is not np.ndarray:
        return _solve_masked(hessian, diagonal, right, free)
    index = np.flatnonzero(free)
    solution = np.zeros_like(right)
    if index.size:
        whole = index.size == right.size
        matrix = hessian.copy() if whole else hessian[np.ix_(index, index)]
        matrix.flat[:: index.size + 1] += diagonal[index]
        solution[index] = solve_positive(matrix, right[index])
    return solution


def conjugate_gradients(hessian: SparseGram, diagonal: Array, right: Array, free: Array) -> Array | None:
    """The solution of ``solve_reduced``, preconditioned by the diagonal; None where it takes more than MOST_PRODUCTS products.

    Inexact Newton directions lower the objective (Dembo, Eisenstat and Steihaug 1982), and the line search sees to it.
    """
    index = np.flatnonzero(free)
    matrix, shift = hessian.restrict(index), diagonal[index]
    scale = matrix.diagonal() + shift
    if not np.all(scale > 0):
        return None
    x, residual = np.zeros_like(right[index]), right[index]
    scaled = residual / scale
    direction, square, target = scaled, float(residual @ scaled), NEARLY * float(np.linalg.norm(residual))
    for _ in range(MOST_PRODUCTS):
        image = matrix @ direction + shift * direction
        curved = float(direction @ image)
        if not 0.0 < curved < math.inf:
            return None
        x, residual = x + square / curved * direction, residual - square / curved * image
        if float(np.linalg.norm(residual)) <= target:
            solution = np.zeros_like(right)
            solution[index] = x
            return solution
        scaled = residual / scale
        square, before = float(residual @ scaled), square
        direction = scaled + square / before * direction
    return None


def solve_positive(matrix: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """matrix^-1 right by Cholesky; with a ridge where the matrix is singular to rounding."""
    (posv,) = scipy.linalg.get_lapack_funcs(("posv",), (matrix, right))
    _, solution, info = posv(matrix, right, lower=True)
    if info == 0:
        return np.asarray(solution)
    scale = float(np.max(np.abs(np.diagonal(matrix)), initial=0.0))
    for power in (100.0, 1e4, 1e6):
        ridge = power * len(matrix) * float(np.finfo(matrix.dtype).eps) * (scale or 1.0)
        _, solution, info = posv(matrix + ridge * np.eye(len(matrix), dtype=matrix.dtype), right, lower=True)
        if info == 0:
            return np.asarray(solution)
    return np.asarray(np.full_like(right, np.nan))


def _solve_masked(hessian: Array, diagonal: Array, right: Array, free: Array) -> Array:
    """The same on any array library: rows and columns of fixed entries are those of the identity."""
    xp = arrays.namespace(hessian)
    both = xp.expand_dims(free, axis=1) & xp.expand_dims(free, axis=0)
    size = hessian.shape[0]
    identity = xp.eye(size, dtype=hessian.dtype, device=arrays.device(hessian))
    scale = xp.max(xp.abs(hessian)) + xp.max(xp.abs(diagonal))
    ridge = 10 * arrays.epsilon(hessian) * scale
    fixed = xp.where(free, diagonal + ridge, xp.zeros_like(diagonal) + xp.where(scale > 0, scale, xp.ones_like(scale)))
    matrix = xp.where(both, hessian, xp.zeros_like(hessian)) + identity * xp.expand_dims(fixed, axis=0)
    return xp.where(free, xp.linalg.solve(matrix, xp.expand_dims(right, axis=1))[:, 0], xp.zeros_like(right))
