"""What a training run trains: a network, its batches, its loss, and what is measured beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Task(ABC):
    """A network, its batches, its loss, and what is measured on the test set.

    Every batch is decided by the seed and the number of its step, so that a run which was cut goes on with identical numbers.
    """

    model: nn.Module
    source: str
    steps_an_epoch: int
    headline: ClassVar[str] = "accuracy"  # which of the numbers of ``evaluate`` the command prints at the end
    _order: Tensor | None = None
    _epoch = -1

    def rows(self, step: int, count: int, batch_size: int, epoch_generator: torch.Generator) -> Tensor:
        """Which of ``count`` samples are in the batch of a step: those of a permutation, drawn once an epoch, in turn."""
        epoch = step // self.steps_an_epoch
        if self._order is None or self._epoch != epoch:
            self._order, self._epoch = torch.randperm(count, generator=epoch_generator), epoch
        begin = step % self.steps_an_epoch * batch_size
        return self._order[begin : begin + batch_size]

    @abstractmethod
    def batch(self, step: int, generator: torch.Generator, epoch_generator: torch.Generator) -> Any:
        """The data of a step; the generators are those of the step and of its epoch (for a permutation)."""

    @abstractmethod
    def loss(self, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The number to minimise, and what to note beside it."""

    @abstractmethod
    def evaluate(self) -> dict[str, float]:
        """Measured on the test set, without gradient; the network is in evaluation mode."""

    @abstractmethod
    def look(self) -> dict[str, Any]:
        """What the solver does on one fixed batch: iterations, residual, constants."""
