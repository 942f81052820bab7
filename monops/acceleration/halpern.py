"""Halpern's anchored iteration (1967): z+ = z0/(k + 2) + (k + 1)/(k + 2) Nz, N the nonexpansive map inside T."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from monops import arrays
from monops.acceleration.wrapper import Acceleration, Terms, image, size
from monops.algorithms import adaptive
from monops.arrays import Array
from monops.errors import DataError


class State(NamedTuple):
    """z, the anchor, steps since the anchor and the residual there (one a row), and the wrapped method's state at Tz."""

    z: Array
    anchor: Array
    count: Array
    first: Array
    inner: Any


@final
@dataclass(frozen=True)
class Halpern(Acceleration):
    """|z_k - Nz_k| <= 2 |z_0 - z*|/(k + 1), the best rate of any first-order method for nonexpansive maps.

    With T = (1 - a) I + a N the iteration runs on N.

    Parameters
    ----------
    method : Algorithm, optional
        A method whose step is an averaged map. Default: the one with the least predicted effort.
    restart : float, default 0.2
        The anchor moves to the current point once |z - Nz| has fallen to this fraction of its value at the last anchor: the
        rate then becomes linear where the residual grows at least linearly with the distance to the solutions. 0: never.

    Notes
    -----
    Either the anchor moves for ever, and the residual falls by the fraction each time, or it stays, and the theorem holds from
    there. **Certificate** of the wrapped method, at Tz. **Cost** one step of the wrapped method.

    References
    ----------
    Halpern (1967), Fixed points of nonexpanding maps. Lieder (2021), On the convergence rate of the Halpern-iteration, Theorem
    2.1. Park and Ryu (2022), Exact optimal accelerated complexity for fixed-point iterations (optimality).

    Examples
    --------
    >>> import numpy as np, monops
    >>> game = monops.Saddle(monops.Simplex(), monops.Simplex(), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    >>> monops.solve(game, monops.Halpern(monops.DouglasRachford())).x[0]
    array([0.5, 0.5])
    """

    restart: float = 0.2
    cost: ClassVar[str] = "1 step of the wrapped method"
    evaluations: ClassVar[float] = 2.0
    typical_iterations: ClassVar[float] = 2000

    def __post_init__(self) -> None:
        if not 0 <= self.restart < 1:
            raise DataError(f"Halpern: restart={self.restart!r} must be in [0, 1): the fraction at which the anchor moves")

    @property
    def rate(self) -> tuple[str, str]:
        return "|z - Nz| = O(1/k)", "Lieder (2021) Thm 2.1"

    def begin(self, terms: Terms, z: Array, inner: Any) -> State:
        return State(
            z,
            z,
            adaptive.initial(0.0, z, terms.batch_ndim),
            adaptive.initial(-1.0, z, terms.batch_ndim),
            inner,
        )

    def step(self, terms: Terms, state: State) -> State:
        z = state.z
        inner, Tz = image(terms, z)
        move = (Tz - z) / terms.averagedness
        residual = size(terms, move)
        xp = arrays.namespace(residual)
        first = xp.where(state.first < 0, residual, state.first)
        moves = residual < self.restart * first
        anchor = arrays.select_rows(moves, z, state.anchor) if self.restart else state.anchor
        first = xp.where(moves, residual, first)
        count = xp.where(moves, xp.zeros_like(state.count), state.count)
        weight = 1.0 / (count + 2.0)
        new = arrays.scale_rows(weight, anchor) + arrays.scale_rows(1.0 - weight, z + move)
        return State(new, anchor, count + 1.0, first, inner)
