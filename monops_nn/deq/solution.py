"""What ``DEQ.solve`` returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from monops.algorithms import Algorithm
from monops.result import Status
from monops_nn.deq.states import State


@dataclass(frozen=True, eq=False)
class EquilibriumSolution:
    """The fixed point of every sample, with status, residual and iterations.

    Attributes
    ----------
    z : tensor or tuple of tensors
    status : Status
        The worst of all samples.
    row_status : tuple of Status
        One a sample.
    residual : tensor (samples,)
        |z - f(z)|/|z|; 0 where both are 0.
    iterations : tensor (samples,)
    algorithm : Algorithm
    message : str
    """

    z: State
    status: Status
    row_status: tuple[Status, ...]
    residual: Tensor
    iterations: Tensor
    algorithm: Algorithm = field(repr=False)
    message: str

    def __str__(self) -> str:
        worst = float(self.residual.max()) if self.residual.numel() else 0.0
        return f"{self.message}\n  method       {self.algorithm.name}\n  residual     {worst:.3g}   (largest, relative)"
