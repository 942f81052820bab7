"""Whether a given W satisfies sym(I - W) >= m I, shared by the parametrisations that can be set to a given W."""

from __future__ import annotations

import torch
from torch import Tensor

from monops.errors import ConstantError, DataError, ShapeError


def least_eigenvalue(W: Tensor, features: int) -> float:
    """lambda_min(sym(I - W)); refuses a W of another shape, or with NaN or infinity."""
    if tuple(W.shape) != (features, features):
        raise ShapeError(f"W has shape {tuple(W.shape)}, but this layer needs ({features}, {features})")
    if not bool(torch.isfinite(W).all()):
        raise DataError("W contains NaN or infinity")
    return 1.0 - float(torch.linalg.eigvalsh(0.5 * (W + W.mT).detach())[-1])


def rounding_margin(W: Tensor) -> float:
    """What rounding may take from an eigenvalue of W."""
    return 20.0 * W.shape[0] * torch.finfo(W.dtype).eps * max(1.0, float(torch.linalg.matrix_norm(W.detach())))


def is_monotone(W: Tensor, features: int, m: float) -> bool:
    """Whether sym(I - W) >= m I, up to rounding."""
    return least_eigenvalue(W, features) >= m - rounding_margin(W)


def semidefinite_root(W: Tensor, features: int, m: float) -> tuple[Tensor, Tensor]:
    """Numbers r >= 0 and orthonormal columns Q with (1 - m) I - sym W = Q diag(r^2) Q'; refuses a W outside the set."""
    least = least_eigenvalue(W, features)
    if least < m - rounding_margin(W):
        raise ConstantError(
            f"W is outside the set: lambda_min(sym(I - W)) = {least:.6g} < monotonicity = {m:.6g}; lower the "
            f"monotonicity, or subtract {m - least:.6g} times the identity from W"
        )
    identity = torch.eye(features, device=W.device, dtype=W.dtype)
    values, vectors = torch.linalg.eigh((1.0 - m) * identity - 0.5 * (W + W.mT))
    return values.clamp(min=0.0).sqrt(), vectors
