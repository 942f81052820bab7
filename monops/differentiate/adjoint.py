"""The adjoint equation w = v + (dT/dz)* w of a fixed-point map, by GMRES on every row of a batch at once."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import array_api_compat

from monops import arrays
from monops.arrays import Array

LEAST, MOST = 30, 200  # directions kept before a restart: between these, as far as MEMORY allows
MEMORY = 1 << 25  # entries of all directions and images together
PROGRESS = 0.9  # a residual that fell below so much of the last gives a better next direction than the last image
STANDSTILL = 0.999  # a cycle that does not bring the residual below so much of it will not do so later


class Adjoint(NamedTuple):
    """w, the residual relative to v (one a row), and how often (dT/dz)* was applied."""

    w: Array
    relative: Array
    products: int


def pullback(function: Callable[[Array], Array], z: Array) -> Callable[[Array], Array]:
    """w -> (dT/dz)* w for T = ``function`` at z."""
    flat = arrays.leaves(z)
    if array_api_compat.is_torch_array(flat[0]):
        torch = sys.modules["torch"]
        inputs = [leaf.detach().requires_grad_() for leaf in flat]
        with torch.enable_grad():
            outputs = arrays.leaves(function(like(z, inputs)))
        recorded = [output.requires_grad for output in outputs]

        def back(w: Array) -> Array:
            pairs = [pair for pair, keep in zip(zip(outputs, arrays.leaves(w), strict=True), recorded, strict=True) if keep]
            if not pairs:
                return 0.0 * w
            images, weights = zip(*pairs, strict=True)
            found = torch.autograd.grad(images, inputs, weights, retain_graph=True, allow_unused=True)
            return like(z, [0.0 * leaf if part is None else part for leaf, part in zip(flat, found, strict=True)])

        return back
    jax = sys.modules["jax"]
    _, back_flat = jax.vjp(lambda *parts: arrays.leaves(function(like(z, parts))), *flat)
    return lambda w: like(z, back_flat(arrays.leaves(w)))


def like(point: Array, flat: Any) -> Array:
    """A point of the structure of ``point`` with other leaves."""
    remaining = iter(flat)
    return arrays.tree_map(lambda _: next(remaining), point)


def without_record() -> AbstractContextManager[Any]:
    """A context in which torch records nothing."""
    torch = sys.modules.get("torch")
    return contextlib.nullcontext() if torch is None else torch.no_grad()


def solve_adjoint(back: Callable[[Array], Array], v: Array, tol: float, max_products: int, batch_ndim: int) -> Adjoint:
    """w with |v - w + back(w)| <= tol |v| in every row, by restarted GMRES in its simpler, adaptive form.

    Walker and Zhou (1994), A simpler GMRES; Jiranek and Rozloznik (2010), Adaptive version of simpler GMRES.
    """
    target = _vector(v, batch_ndim)
    xp = arrays.namespace(target)

    def apply(vector: Array) -> Array:
        return vector - _vector(back(_point(vector, v, batch_ndim)), batch_ndim)

    size = _size(target)
    goal = tol * size
    w, residual, left, products = 0.0 * target, target, size, 0
    restart = min(MOST, max(LEAST, MEMORY // (2 * math.prod(target.shape) + 1)))
    while products < max_products and not arrays.holds_everywhere(~(left > goal)):
        move, count = _cycle(apply, residual, 0.5 * goal, min(restart, max_products - products))
        w = w + move
        residual = target - apply(w)
        products += count + 1
        before, left = left, _size(residual)
        if arrays.holds_everywhere(~(left > goal) | (left > STANDSTILL * before)):
            break
    relative = left / xp.where(size > 0, size, xp.ones_like(size))
    return Adjoint(_point(w, v, batch_ndim), relative[..., 0], products)


def _cycle(apply: Callable[[Array], Array], r: Array, goal: Array, length: int) -> tuple[Array, int]:
    """A combination of at most ``length`` directions whose image is nearest to r in every row, and their number."""
    xp, left = arrays.namespace(r), _size(r)
    one, zero = xp.ones_like(left), xp.zeros_like(left)
    direction = r / _nonzero(left)
    directions: list[Array] = []
    images: list[Array] = []
    columns: list[Array] = []
    weights: list[Array] = []
    while len(directions) < length:
        directions.append(direction)
        image = apply(direction)
        whole, column = _size(image), left[..., :0]
        if images:
            basis = xp.stack(images, axis=-2)
            column = xp.zeros_like(basis[..., 0])
            for _ in range(2):  # the second pass removes what rounding left of the first
                parts = basis @ image[..., None]
                column = column + parts[..., 0]
                image = image - (xp.matrix_transpose(basis) @ parts)[..., 0]
        rest = _size(image)
        new = rest > 10 * arrays.epsilon(r) * whole
        q = xp.where(new, image / _nonzero(rest), xp.zeros_like(image))
        weight = xp.sum(q * r, axis=-1, keepdims=True)
        columns.append(xp.concat([column, xp.where(new, rest, one)], axis=-1))
        images.append(q)
        weights.append(weight)
        r = r - weight * q
        before, left = left, _size(r)
        if arrays.holds_everywhere(~(left > goal) | ~new):
            break
        direction = xp.where(left <= PROGRESS * before, r / _nonzero(left), q)
    count = len(directions)
    padded = [xp.concat([column, *[zero] * (count - column.shape[-1])], axis=-1) for column in columns]
    factors = xp.linalg.solve(xp.stack(padded, axis=-1), xp.stack(weights, axis=-2))
    return (xp.matrix_transpose(xp.stack(directions, axis=-2)) @ factors)[..., 0], count


def _vector(point: Array, batch_ndim: int) -> Array:
    """The entries of each row behind each other: (..., n), real."""
    parts = [arrays.flat_rows(leaf, batch_ndim) for leaf in arrays.leaves(point)]
    xp = arrays.namespace(parts[0])
    if xp.isdtype(parts[0].dtype, "complex floating"):
        parts = [half(part) for part in parts for half in (xp.real, xp.imag)]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=-1)


def _point(vector: Array, structure: Array, batch_ndim: int) -> Array:
    """The point of the given structure from its entries."""
    xp, place = arrays.namespace(vector), 0

    def take(count: int) -> Array:
        nonlocal place
        place += count
        return vector[..., place - count : place]

    def leaf_of(leaf: Array) -> Array:
        count = math.prod(int(n) for n in leaf.shape[batch_ndim:])
        if xp.isdtype(leaf.dtype, "complex floating"):
            return xp.reshape(take(count) + 1j * take(count), leaf.shape)
        return xp.reshape(take(count), leaf.shape)

    return arrays.tree_map(leaf_of, structure)


def _size(vector: Array) -> Array:
    """Norm of each row, (..., 1)."""
    return arrays.namespace(vector).linalg.vector_norm(vector, axis=-1, keepdims=True)


def _nonzero(size: Array) -> Array:
    """The size, or 1 where it is 0, to divide by."""
    xp = arrays.namespace(size)
    return xp.where(size > 0, size, xp.ones_like(size))
