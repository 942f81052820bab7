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
    size = arrays.norm(v, batch_ndim)
    xp = arrays.namespace(size)
    goal = tol * size
    w, residual, products = 0.0 * v, v, 0
    left = size
    restart = min(MOST, max(LEAST, MEMORY // (2 * sum(int(math.prod(leaf.shape)) for leaf in arrays.leaves(v)) + 1)))
    while products < max_products and not arrays.holds_everywhere(~(left > goal)):
        length = min(restart, max_products - products)
        move, count = _cycle(lambda u: u - back(u), residual, 0.5 * goal, length, batch_ndim)
        w = w + move
        residual = v - (w - back(w))
        products += count + 1
        before, left = left, arrays.norm(residual, batch_ndim)
        if arrays.holds_everywhere(~(left > goal) | (left > STANDSTILL * before)):
            break
    one = xp.ones_like(size)
    return Adjoint(w, left / xp.where(size > 0, size, one), products)


def _cycle(apply: Callable[[Array], Array], r: Array, goal: Array, length: int, batch_ndim: int) -> tuple[Array, int]:
    """A combination of at most ``length`` directions whose image is nearest to r in every row, and their number."""
    left = arrays.norm(r, batch_ndim)
    xp = arrays.namespace(left)
    zero, one = xp.zeros_like(left), xp.ones_like(left)
    epsilon = arrays.epsilon(r)
    direction = _unit(r, left)
    directions: list[Array] = []
    images: list[Array] = []
    columns: list[list[Array]] = []
    weights: list[Array] = []
    while len(directions) < length:
        directions.append(direction)
        image = apply(direction)
        whole = arrays.norm(image, batch_ndim)
        column = [zero] * len(images)
        for _ in range(2):  # the second pass removes what rounding left of the first
            for index, q in enumerate(images):
                part = arrays.inner(q, image, batch_ndim)
                column[index] = column[index] + part
                image = image - arrays.scale_rows(part, q)
        rest = arrays.norm(image, batch_ndim)
        new = rest > 10 * epsilon * whole
        q = arrays.scale_rows(xp.where(new, one, zero), _unit(image, rest))
        weight = arrays.inner(q, r, batch_ndim)
        columns.append([*column, xp.where(new, rest, one)])
        images.append(q)
        weights.append(weight)
        r = r - arrays.scale_rows(weight, q)
        before, left = left, arrays.norm(r, batch_ndim)
        if arrays.holds_everywhere(~(left > goal) | ~new):
            break
        direction = arrays.select_rows(left <= PROGRESS * before, _unit(r, left), q)
    count = len(directions)
    triangle = xp.stack([xp.stack([*column, *[zero] * (count - len(column))], axis=-1) for column in columns], axis=-1)
    factors = xp.linalg.solve(triangle, xp.stack(weights, axis=-1)[..., None])[..., 0]
    move = arrays.scale_rows(factors[..., 0], directions[0])
    for index, direction in enumerate(directions[1:], start=1):
        move = move + arrays.scale_rows(factors[..., index], direction)
    return move, count


def _unit(x: Array, size: Array) -> Array:
    """x/|x| in every row, 0 where x is."""
    xp = arrays.namespace(size)
    return arrays.scale_rows(1.0 / xp.where(size > 0, size, xp.ones_like(size)), x)
