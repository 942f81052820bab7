"""What ``DEQ.solve`` returns, and what the result of a pass says of its samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monops.algorithms import Algorithm
from monops.arrays import leaves
from monops.result import Result, Status
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


def answer(result: Result) -> tuple[Tensor, ...]:
    """The tensors of a result, NaN in samples that became non-finite."""
    broken = [row for row, status in enumerate(result.row_status) if status is Status.NON_FINITE]
    parts = tuple(leaves(result.x))
    return tuple(part.index_fill(0, torch.tensor(broken, device=part.device), math.nan) for part in parts) if broken else parts


ADVICE = {
    Status.ITERATION_LIMIT: "raise max_iter or tol, or make the cell contract more (smaller weights, norms, jacobian_penalty)",
    Status.STALLED: "rounding or the method allows no smaller residual: raise tol, use float64, or try another algorithm",
    Status.DIVERGED: "the iteration runs away: try Anderson or Broyden, a relaxation, or a cell that contracts more",
    Status.NON_FINITE: "NaN or infinity in these samples or in the weights; these samples are NaN, the others are not touched",
}


def relative(result: Result) -> np.ndarray[Any, Any]:
    """|z - f(z)|/|z| of each sample, 0 where both are 0, NaN in samples that became non-finite."""
    parts = [part.detach().flatten(1).double().square().sum(1) for part in leaves(result.x)]
    size = torch.stack(parts).sum(0).sqrt().cpu().numpy()
    miss = np.asarray(result.residual)
    found = np.divide(miss, size, out=np.where(miss == 0, 0.0, np.inf), where=size > 0)
    return np.where([status is Status.NON_FINITE for status in result.row_status], np.nan, found)


def message(result: Result, tol: float) -> str:
    """What ended badly, for how many samples, and the way out; or that all converged."""
    status, total = result.status, len(result.row_status)
    steps = int(np.max(result.iterations, initial=0))
    if status is Status.CONVERGED:
        return f"{total} samples converged after {steps} iterations"
    chosen = np.array([row is status for row in result.row_status])
    worst = "" if status is Status.NON_FINITE else f", relative residual up to {np.max(relative(result)[chosen]):.2g}"
    advice = ADVICE.get(status, "look at the residual")
    return f"{int(chosen.sum())} of {total} samples: {status} after {steps} iterations{worst} (tol {tol:g}): {advice}"
