"""What the benchmark asks of a solver of a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from benchmarks.mondeq_rows.definition import State
from benchmarks.mondeq_rows.row import Row

Settings = dict[str, Any]


class Solver(ABC):
    """A layer with the row's weights: forward pass, backward pass through torch, iterations, the gradient in W z + c."""

    name: ClassVar[str]
    variable: ClassVar[str | None] = None  # of the environment: the folder of a peer

    @abstractmethod
    def __init__(self, row: Row, state: dict[str, Tensor], folder: str) -> None: ...

    @abstractmethod
    def candidates(self) -> list[Settings]:
        """Settings among which the fastest is chosen, without tolerances."""

    @abstractmethod
    def apply(self, settings: Settings) -> None:
        """Use these settings, with ``forward_tol`` and ``backward_tol``."""

    @abstractmethod
    def watch(self) -> None:
        """From now on remember what ``hidden_gradient`` needs."""

    @abstractmethod
    def unwatch(self) -> None:
        """Back to the plain layer."""

    @abstractmethod
    def forward(self, x: Tensor) -> State:
        """The equilibrium of every tier, on its ring, with its graph."""

    @abstractmethod
    def hidden_gradient(self) -> State:
        """dl/dh, h = W z + c, of the last backward pass."""

    @abstractmethod
    def iterations(self) -> tuple[int, int]:
        """Of the last forward and the last backward pass."""

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """The parameters that a training step moves."""
