"""Where laws are tried: random points, coordinate points, huge and tiny ones, kinks and boundary points, extremal pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks
from monops.doctor.tools import flat, isfinite, jacobian, unflat

SPREAD = 2.0  # standard deviation of a random point
COORDINATES = 6  # coordinate points tried, at most


class Supply:
    """Points of one shape, in the library, dtype and on the device of ``like``; the same for the same seed."""

    def __init__(self, shape: Any, like: Array, count: int, seed: int, rows: bool = True) -> None:
        self.shape, self.like, self.count, self.seed, self.rows = shape, like, count, seed, rows

    @property
    def epsilon(self) -> float:
        """Machine epsilon of the points."""
        return arrays.epsilon(self.like)

    @property
    def is_double(self) -> bool:
        """Whether the points are in double precision."""
        return self.epsilon < 1e-10

    def point(self, number: int, scale: float = SPREAD) -> Array:
        """The random point of that number."""
        generator = np.random.default_rng((self.seed, number))
        return _filled(self.shape, self.like, lambda shape: scale * generator.standard_normal(shape))

    @cached_property
    def zero(self) -> Array:
        """The origin."""
        return _filled(self.shape, self.like, np.zeros)

    @cached_property
    def randoms(self) -> list[Array]:
        """``count`` random points."""
        return [self.point(number) for number in range(self.count)]

    @cached_property
    def coordinates(self) -> list[Array]:
        """A few unit vectors."""
        size = flat(self.zero).size
        chosen = range(size) if size <= COORDINATES else np.linspace(0, size - 1, COORDINATES).astype(int)
        return [unflat(np.eye(1, size, int(index))[0], self.zero) for index in chosen]

    @cached_property
    def structured(self) -> list[Array]:
        """The origin, all ones, unit vectors, a huge and a tiny point."""
        huge, tiny = (1e4, 1e-4) if not self.is_double else (1e6, 1e-6)
        ones = _filled(self.shape, self.like, np.ones)
        return [self.zero, ones, -ones, *self.coordinates, self.point(900, huge), self.point(901, tiny)]

    @cached_property
    def pairs(self) -> list[tuple[Array, Array]]:
        """Random pairs far from and near each other, coordinate pairs, pairs that are huge and tiny."""
        near = 1e-3 if self.is_double else 1e-1
        first, second = self.randoms, [self.point(100 + number) for number in range(self.count)]
        found = [*zip(first, second, strict=True), *((x, x + near * y) for x, y in zip(first, second, strict=True))]
        found += [(self.zero, e) for e in self.coordinates] + [(-e, e) for e in self.coordinates[:2]]
        *_, huge, tiny = self.structured
        return [*found, (self.zero, first[0]), (huge, -0.5 * huge), (self.zero, huge), (self.zero, tiny)]

    def extremal_pairs(self, image: Callable[[Array], Array], starts: list[Array], beta: float | None) -> Iterator[Any]:
        """Pairs along the singular directions of numerical Jacobians of the map, and the eigenvectors of their symmetric part.

        These are the directions in which a claimed constant is false first; at kinks both sides are seen.
        """
        short = 1e-4 if self.is_double else 1e-2
        for start in starts:
            for h in (1.0, short):
                matrix = jacobian(image, start, h)
                if matrix is None or matrix.shape[0] != matrix.shape[1]:
                    continue
                symmetric = 0.5 * (matrix + matrix.T)
                right = np.linalg.svd(matrix)[2]
                vectors = np.linalg.eigh(symmetric)[1]
                directions = [right[0], right[-1], vectors[:, 0], vectors[:, -1]]
                if beta is not None and np.isfinite(beta):
                    directions.append(np.linalg.eigh(symmetric - beta * matrix.T @ matrix)[1][:, 0])
                for direction in directions:
                    for sign in (h, -h):
                        yield start, start + unflat(sign * direction, start)

    def kinks(self, resolvent: Callable[[Array, float], Array]) -> list[Array]:
        """Outputs of a resolvent: points on boundaries of the domain, at corners, in the relative interior of faces."""
        found = [resolvent(x, step) for x, step in zip(self.randoms, (1.0, 0.1, 10.0, 1e-3), strict=False)]
        return [p for p in found if isfinite(p)]


def _filled(shape: Any, like: Array, make: Callable[[Any], np.ndarray[Any, Any]]) -> Array:
    if shape and isinstance(shape[0], tuple):
        return Blocks([_filled(part, like, make) for part in shape])
    return arrays.from_numpy(np.asarray(make(tuple(shape))), like)
