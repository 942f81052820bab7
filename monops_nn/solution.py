"""What ``MonDEQ.solve`` returns: the equilibrium and the truth about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from monops.algorithms import Algorithm
from monops.result import Status
from monops_nn import solver
from monops_nn.equilibrium import Ready
from monops_nn.solver import Solved


@dataclass(frozen=True, eq=False)
class Solution:
    """The equilibrium of every sample, with status, residual and a certified bound of its error.

    Attributes
    ----------
    z : tensor (..., *shape) or tuple of them
    status : Status
        The worst of all samples.
    row_status : tuple of Status
        One a sample, leading axes flattened.
    residual : tensor (...)
        |z - sigma(W z + c)| / |z|; 0 where both are 0.
    error_bound : tensor (...)
        A bound of |z - z*|, certified up to rounding: e + |W e|/m with e = z - sigma(W z + c), because sigma(W z + c) is the
        exact equilibrium for c moved by W e. With a metric Psi the second term is (k + 1/k)/2 times as large,
        k = sqrt(max Psi/min Psi). It is not finite in rows with NaN.
    iterations : tensor (...)
    algorithm : Algorithm
        The method that was used.
    step_size : float
    monotonicity : float
        m, by construction of W.
    message : str

    References
    ----------
    Winston and Kolter (2020), Theorem 1; the bound follows from strong monotonicity of (I - W) z - c + df(z), with a metric by
    the inequality of Kantorovich (1948).
    """

    z: Any
    status: Status
    row_status: tuple[Status, ...]
    residual: Tensor
    error_bound: Tensor
    iterations: Tensor
    algorithm: Algorithm = field(repr=False)
    step_size: float
    monotonicity: float
    message: str

    @classmethod
    def of(cls, z: Any, lead: tuple[int, ...], solved: Solved, injection: Tensor, ready: Ready) -> Solution:
        """From the rows of a pass; ``z`` is the equilibrium as users see it."""
        system, sigma, settings, _ = ready
        miss = solved.z - sigma.resolvent(system.product(solved.z) + injection, 1.0)
        psi, m = system.metric, system.monotonicity
        k = 1.0 if psi is None else math.sqrt(float(psi.max() / psi.min()))
        spread = 0.5 * (k + 1.0 / k)
        moved = torch.linalg.vector_norm(system.product(miss), dim=-1)
        bound = torch.linalg.vector_norm(miss, dim=-1) + spread * moved / m
        return cls(
            z,
            solved.status,
            solved.row_status,
            torch.as_tensor(solved.residual, device=miss.device).reshape(lead),
            bound.reshape(lead),
            torch.as_tensor(solved.iterations, device=miss.device).reshape(lead),
            settings.algorithm,
            float(solved.terms.step_size),
            m,
            solver.message(solved, settings),
        )

    def __str__(self) -> str:
        worst = float(self.residual.max()) if self.residual.numel() else 0.0
        bound = float(self.error_bound.max()) if self.error_bound.numel() else 0.0
        return (
            f"{self.message}\n  method       {self.algorithm.name}, step {self.step_size:.4g}\n"
            f"  residual     {worst:.3g}   (largest, relative)\n"
            f"  error bound  {bound:.3g}   (|z - z*|, by strong monotonicity {self.monotonicity:g})"
        )
