"""Newton systems of a fixed-point residual x - prox(x - s(Hx + q)): diagonal, diagonal plus rank one, and general
derivatives.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.algorithms.shared.affine_forward import AffineForward
from monops.algorithms.shared.piecewise_newton import solve_reduced
from monops.arrays import Array
from monops.functions.function import Function
from monops.linear import Diagonal, DiagonalPlusRankOne, LinearMap

LONGER = 2.0  # than 1/(mean of the diagonal), the step size of the residual of full Newton steps
APART = 100.0  # growth of the residual at which they end
KRYLOV = 60  # dimension of the Krylov space of the general system


def padded_systems(matrix: np.ndarray[Any, Any], diagonal: Any, right: Any, free: Any, symmetric: bool) -> np.ndarray[Any, Any]:
    """d with (H + diagonal)_FF d_F = right_F, row by row; all rows in one batched solve, free sets padded to the longest."""
    if right.ndim == 1 and symmetric:
        return np.asarray(solve_reduced(matrix, diagonal, right, free))
    shape = right.shape
    diagonal, right, free = (np.reshape(array, (-1, shape[-1])) for array in (diagonal, right, free))
    solution = np.zeros_like(right)
    sizes = np.count_nonzero(free, axis=1)
    rows = np.flatnonzero(sizes)
    if rows.size:
        longest = int(sizes.max())
        index = np.argsort(~free[rows], axis=1, kind="stable")[:, :longest]
        used = np.arange(longest) < sizes[rows, None]
        systems = matrix[index[:, :, None], index[:, None, :]]
        systems *= used[:, :, None] & used[:, None, :]
        ridge = 10 * np.finfo(matrix.dtype).eps * np.max(np.abs(np.diagonal(matrix)), initial=0.0)
        ends = np.where(used, np.take_along_axis(diagonal[rows], index, axis=1) + ridge, 1.0).astype(matrix.dtype)
        systems[:, np.arange(longest), np.arange(longest)] += ends
        sides = np.where(used, np.take_along_axis(right[rows], index, axis=1), 0.0)
        try:
            found = np.linalg.solve(systems, sides[..., None])[..., 0]
        except np.linalg.LinAlgError:  # one row is singular: the splitting step takes over in all
            found = np.full_like(sides, np.nan)
        full = np.zeros((rows.size, shape[-1]), dtype=right.dtype)
        np.put_along_axis(full, index, np.where(used, found, 0.0), axis=1)
        solution[rows] = full
    return solution.reshape(shape)


def masked_systems(matrix: Array, diagonal: Array, right: Array, free: Array, symmetric: bool) -> Array:
    """The same on any array library: rows and columns of fixed entries are those of the identity."""
    xp = arrays.namespace(right)
    both = xp.expand_dims(free, axis=-1) & xp.expand_dims(free, axis=-2)
    identity = xp.eye(matrix.shape[0], dtype=matrix.dtype, device=arrays.device(matrix))
    ridge = 10 * arrays.epsilon(matrix) * xp.max(xp.abs(matrix))
    ends = xp.where(free, diagonal + ridge, xp.ones_like(diagonal))
    systems = xp.where(both, matrix, xp.zeros_like(matrix)) + identity * xp.expand_dims(ends, axis=-2)
    sides = xp.where(free, right, xp.zeros_like(right))
    return xp.linalg.solve(systems, xp.expand_dims(sides, axis=-1))[..., 0]


def residual_newton(F: AffineForward, g: Function, x: Array, Fx: Array, steps: int) -> tuple[Array, Array]:
    """The best of a few full Newton steps on x - prox_{s g}(x - s F(x)) with s = 2/(mean of the diagonal of H), and F there.

    s = 1/|H| guesses far fewer changes of the entries that move than there are where |H| is much larger than the diagonal.
    """
    xp, point, F_point = arrays.namespace(x), x, Fx
    mean = float(xp.mean(xp.linalg.diagonal(F.matrix)))
    step = LONGER / mean if mean > 0 else 1.0
    found, least = (x, Fx), math.inf
    for _ in range(steps):
        forward = point - step * F_point
        residual = point - g.prox(forward, step)
        length = float(arrays.norm(residual))
        if length < least:
            found, least = (point, F_point), length
        if not 64 * arrays.epsilon(x) * float(arrays.norm(forward)) < length <= APART * least:
            break
        point = point + derivative_system(F.matrix, g.prox_derivative(forward, step), residual, step)
        F_point = F.forward(point)
    return found


def derivative_system(matrix: Array, jacobian: LinearMap, residual: Array, step: float) -> Array:
    """d with (I - J + s J H) d = -r for a structured J: reduced to the rows where J is not 0, or by GMRES."""
    xp = arrays.namespace(residual)
    zero = xp.zeros_like(residual)
    if isinstance(jacobian, DiagonalPlusRankOne) and residual.ndim == 1 and jacobian.axes:
        vector = zero + jacobian.vector
        return _structured_system(matrix, zero + jacobian.diagonal, jacobian.coefficient * vector, vector, residual, step)
    if isinstance(jacobian, Diagonal):
        return _structured_system(matrix, zero + jacobian.diagonal, zero, zero, residual, step)
    return gmres(lambda d: d + jacobian.apply(step * (matrix @ d) - d), -residual)


def _structured_system(matrix: Array, diagonal: Array, weight: Array, vector: Array, residual: Array, step: float) -> Array:
    """J = diagonal + weight vector*: off its support d = -r; on it, a system of its size (NumPy), or of the full size."""
    xp = arrays.namespace(residual)

    def product(square: Array, diagonal: Array, weight: Array, vector: Array) -> Array:
        scaled = xp.expand_dims(diagonal, axis=1) * square
        return scaled + xp.expand_dims(weight, axis=1) * xp.expand_dims(vector @ square, axis=0)

    def system(H: Array, *parts: Array) -> Array:
        identity = xp.eye(H.shape[0], dtype=H.dtype, device=arrays.device(H))
        return identity + product(step * H - identity, *parts)

    try:
        if type(residual) is not np.ndarray:
            return xp.linalg.solve(system(matrix, diagonal, weight, vector), xp.expand_dims(-residual, axis=1))[:, 0]
        support = (diagonal != 0) | (weight * vector != 0)
        index = np.flatnonzero(support)
        solution = -residual
        diagonal, weight, vector = diagonal[index], weight[index], vector[index]
        image = matrix[index] @ np.where(support, 0.0, solution).astype(residual.dtype)
        side = solution[index] - step * (diagonal * image + weight * (vector @ image))
        solution[index] = np.linalg.solve(system(matrix[np.ix_(index, index)], diagonal, weight, vector), side)
        return solution
    except np.linalg.LinAlgError:
        return xp.zeros_like(residual)


def gmres(product: Any, right: Array) -> Array:
    """The least-residual solution in a Krylov space of ``product``, by Arnoldi's process (Saad and Schultz 1986)."""
    size = float(arrays.norm(right))
    if not size > 0.0:
        return right
    basis, columns = [right / size], []
    for _ in range(min(KRYLOV, int(np.prod(right.shape)))):
        new = product(basis[-1])
        column: list[float] = []
        for _ in range(2):  # twice: orthogonal to rounding
            projections = [float(arrays.inner(vector, new)) for vector in basis]
            for vector, projection in zip(basis, projections, strict=True):
                new = new - projection * vector
            column = projections if not column else [a + b for a, b in zip(column, projections, strict=True)]
        length = float(arrays.norm(new))
        columns.append([*column, length])
        if length <= 100 * arrays.epsilon(right) * max(map(abs, column), default=1.0):
            break
        basis.append(new / length)
        weights, left = _least_residual(columns, size)
        if left <= 1e-12 * size:
            break
    weights, _ = _least_residual(columns, size)
    total = float(weights[0]) * basis[0]
    for weight, vector in zip(weights[1:], basis[1:], strict=False):
        total = total + float(weight) * vector
    return total


def _least_residual(columns: list[list[float]], size: float) -> tuple[np.ndarray[Any, Any], float]:
    """Weights of the basis vectors with the least residual, and that residual."""
    small = np.zeros((len(columns) + 1, len(columns)))
    for position, entries in enumerate(columns):
        small[: len(entries), position] = entries
    target = np.zeros(len(columns) + 1)
    target[0] = size
    weights, *_ = np.linalg.lstsq(small, target, rcond=None)
    return weights, float(np.linalg.norm(small @ weights - target))


class BoxComplementarity(NamedTuple):
    """phi(x, F) = 0 exactly where x solves the variational inequality on the box; its length; its slopes in x and in F."""

    value: Array
    length: float
    in_point: Array
    in_force: Array


def box_complementarity(x: Array, F: Array, lower: Any, upper: Any) -> BoxComplementarity:
    """The Fischer-Burmeister function a + b - |(a, b)| of the two bounds, one inside the other (Fischer 1992; Billups 1995)."""
    xp = arrays.namespace(x)
    zero = xp.zeros_like(x)
    has_lower, has_upper = zero + lower > -math.inf, zero + upper < math.inf
    above = xp.where(has_lower, x - lower, zero) if arrays.is_array(lower) or lower > -math.inf else zero
    below = xp.where(has_upper, upper - x, zero) if arrays.is_array(upper) or upper < math.inf else zero
    inner = xp.where(has_upper, F - below + xp.hypot(below, F), F)
    size = _length(below, F)
    inner_point = xp.where(has_upper, 1.0 - below / size, zero)
    inner_force = xp.where(has_upper, 1.0 + F / size, xp.ones_like(x))
    size = _length(above, inner)
    weight = xp.where(has_lower, 1.0 - inner / size, xp.ones_like(x))
    value = xp.where(has_lower, above + inner - xp.hypot(above, inner), inner)
    in_point = xp.where(has_lower, 1.0 - above / size, zero) + weight * inner_point
    return BoxComplementarity(value, float(arrays.norm(value)), in_point, weight * inner_force)


def _length(a: Array, b: Array) -> Array:
    """|(a, b)| as a divisor: 1 where it is 0, which gives an element of the generalised derivative there."""
    xp = arrays.namespace(a)
    size = xp.hypot(a, b)
    return xp.where(size > 0, size, xp.ones_like(size))


def complementarity_newton(forward: Any, matrix: Array, x: Array, lower: Any, upper: Any, steps: int) -> Array:
    """Newton steps on phi = 0, each halved until |phi|^2 falls as predicted (De Luca, Facchinei and Kanzow 1996)."""
    xp = arrays.namespace(x)
    F = forward(x)
    now = box_complementarity(x, F, lower, upper)
    identity = xp.eye(x.shape[0], dtype=x.dtype, device=arrays.device(x))
    for _ in range(steps):
        system = identity * now.in_point + xp.expand_dims(now.in_force, axis=1) * matrix
        try:
            direction = -xp.linalg.solve(system, xp.expand_dims(now.value, axis=1))[:, 0]
        except np.linalg.LinAlgError:
            break
        if not bool(xp.all(xp.isfinite(direction))):
            break
        F_direction = forward(x + direction) - F
        length, new = 1.0, now
        for _ in range(30):
            new = box_complementarity(x + length * direction, F + length * F_direction, lower, upper)
            if new.length**2 <= (1.0 - 2e-4 * length) * now.length**2:
                break
            length *= 0.5
        else:
            break
        x, F, now = x + length * direction, F + length * F_direction, new
        if now.length <= 8 * arrays.epsilon(x) * float(arrays.norm(x)):
            break
    return x
