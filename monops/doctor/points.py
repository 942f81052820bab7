"""Where laws are tried: random points, coordinate points, huge and tiny ones, kinks and boundary points, extremal pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from monops import arrays
from monops.arrays import Array, Blocks
from monops.doctor.tools import flat, isfinite, jacobian, unflat

SPREAD = 2.0  # standard deviation of a random point
COORDINATES = 6  # coordinate points tried, at most


@dataclass(frozen=True)
class Supply:
    """Points of one shape, in the library, dtype and on the device of ``like``; the same for the same seed.

    They are made anew each time, since an object under examination may change them.
    """

    shape: Any
    like: Array
    count: int
    seed: int
    rows: bool = True  # whether leading axes are to be examined as rows of a batch
    chosen: tuple[Array, ...] = ()  # in the place of the random points

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

    @property
    def zero(self) -> Array:
        """The origin."""
        return _filled(self.shape, self.like, np.zeros)

    @property
    def randoms(self) -> list[Array]:
        """``count`` random points, or the chosen ones."""
        if self.chosen:
            return [1.0 * x for x in self.chosen]
        return [self.point(number) for number in range(self.count)]

    @property
    def coordinates(self) -> list[Array]:
        """A few unit vectors."""
        size = flat(self.zero).size
        chosen = range(size) if size <= COORDINATES else np.linspace(0, size - 1, COORDINATES).astype(int)
        return [unflat(np.eye(1, size, int(index))[0], self.zero) for index in chosen]

    @property
    def structured(self) -> list[Array]:
        """The origin, all ones, unit vectors, a huge and a tiny point."""
        huge, tiny = (1e4, 1e-4) if not self.is_double else (1e6, 1e-6)
        ones = _filled(self.shape, self.like, np.ones)
        return [self.zero, ones, -ones, *self.coordinates, self.point(900, huge), self.point(901, tiny)]

    @property
    def pairs(self) -> list[tuple[Array, Array]]:
        """Random pairs far from and near each other, coordinate pairs, pairs that are huge and tiny."""
        near = 1e-3 if self.is_double else 1e-1
        first = self.randoms
        second = [self.point(100 + number) for number in range(len(first))] if not self.chosen else first[1:] + first[:1]
        found = [*zip(first, second, strict=True), *((x, x + near * y) for x, y in zip(first, second, strict=True))]
        found += [(self.zero, e) for e in self.coordinates] + [(-e, e) for e in self.coordinates[:2]]
        *_, huge, tiny = self.structured
        return [*found, (self.zero, first[0]), (huge, -0.5 * huge), (self.zero, huge), (self.zero, tiny)]

    def extreme_directions(
        self, image: Callable[[Array], Array], start: Array, h: float = 1.0, beta: Any = None
    ) -> list[Array]:
        """Unit vectors along which a map from the space to itself stretches most and least; none where it is large."""
        matrix = jacobian(image, start, h)
        if matrix is None or matrix.shape[0] != matrix.shape[1]:
            return []
        symmetric = 0.5 * (matrix + matrix.T)
        right, vectors = np.linalg.svd(matrix)[2], np.linalg.eigh(symmetric)[1]
        directions = [right[0], right[-1], vectors[:, 0], vectors[:, -1]]
        if beta is not None and np.isfinite(beta):
            directions.append(np.linalg.eigh(symmetric - beta * matrix.T @ matrix)[1][:, 0])
        return [unflat(direction, start) for direction in directions]

    def extremal_pairs(self, image: Callable[[Array], Array], starts: list[Array], beta: Any = None) -> Iterator[Any]:
        """Pairs along the singular directions of numerical Jacobians of the map, and the eigenvectors of their symmetric part.

        These are the directions in which a claimed constant is false first; at kinks both sides are seen.
        """
        for start in starts:
            for h in (1.0, 1e-4 if self.is_double else 1e-2):
                for direction in self.extreme_directions(image, start, h, beta):
                    yield start, start + h * direction
                    yield start, start - h * direction

    def steepest_pairs(self, value: Callable[[Array], Array], starts: list[Array]) -> Iterator[Any]:
        """Pairs along numerical gradients of a function, where they can be formed."""
        h = 1e-4 if self.is_double else 1e-2
        for start in starts:
            with np.errstate(invalid="ignore"):
                gradient = jacobian(lambda x: arrays.from_numpy(np.asarray([float(value(x))]), self.like), start, h)
            if gradient is not None and np.any(gradient):
                yield start, start + unflat(h * gradient[0] / np.linalg.norm(gradient), start)

    def kinks(self, resolvent: Callable[[Array, float], Array]) -> list[Array]:
        """Outputs of a resolvent: points on boundaries of the domain, at corners, in the relative interior of faces."""
        found = [resolvent(x, step) for x, step in zip(self.randoms, (1.0, 0.1, 10.0, 1e-3), strict=False)]
        return [p for p in found if isfinite(p)]


def _filled(shape: Any, like: Array, make: Callable[[Any], np.ndarray[Any, Any]]) -> Array:
    if shape and isinstance(shape[0], tuple):
        return Blocks([_filled(part, like, make) for part in shape])
    values = np.asarray(make(tuple(shape)))
    if arrays.namespace(like).isdtype(like.dtype, "complex floating"):
        values = values + 1j * np.asarray(make(tuple(shape)))
    return arrays.from_numpy(values, like)
