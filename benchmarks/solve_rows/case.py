"""What a row is made of: the problem at a size, its data, its checker, and the peers that solve it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Call = Callable[[float], tuple[Any, int | None]]
Peers = dict[str, tuple[str, Callable[[Any], Call]]]


class Case(NamedTuple):
    """A problem at a size: ours, what an answer is worth, how far it is from feasible (relative), and the peers.

    ``value`` is compared with the least value that any solver finds; where ``exact`` is set it is a gap, whose optimum is 0,
    relative to ``exact``. ``scale`` is the size of a residual, for our tolerances. ``reference``, of seconds to spend, is the
    value of a long run and a bound of its excess over the optimum, for problems that no solver of the row ends quickly.
    """

    problem: Callable[[], Any]
    value: Callable[[Any], float]
    violation: Callable[[Any], float]
    peers: Peers
    scale: float
    exact: float | None = None
    read: Callable[[Any], Any] = lambda result: result.x
    start: Any = None
    batch_ndim: int = 0
    by_hand: tuple[Any, ...] = ()
    reference: Callable[[float], tuple[float, float]] | None = None


def feasible(x: Any) -> float:
    """The violation of a problem without constraints."""
    return 0.0


def normal(seed: int, *shape: int) -> np.ndarray:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def box_violation(lower: Any, upper: Any) -> Callable[[Any], float]:
    """Largest distance to the box, relative to the point."""
    return lambda x: float(np.max(np.maximum(lower - x, x - upper), initial=0.0)) / (1.0 + float(np.max(np.abs(x))))
