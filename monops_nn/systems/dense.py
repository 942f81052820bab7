"""Dense W: one matrix product a step, one inverse a step size."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import ConstantError, ShapeError
from monops_nn.systems.certified import NOT_FINITE, certified_constants
from monops_nn.systems.system import Spread, System, norm_bound

SMALL = 1e-2  # of |sym M|: m below this is looked at


@final
@dataclass(frozen=True, eq=False)
class DenseSystem(System):
    """W a matrix (n, n), the only entry of ``weights``.

    Parameters
    ----------
    weights : tuple of one tensor (n, n), float32 or float64
    monotonicity : float
        m > 0 with sym(I - W) >= m I in the metric.
    scale : tensor (n,), optional
        The metric: sym(Psi (I - W)) >= m Psi with Psi = diag(scale).

    Raises
    ------
    ShapeError
        When W is not square.

    Notes
    -----
    **Constants**, exact up to a rounding margin on the safe side: mu = lambda_min(sym M), L = |M|_2,
    beta = lambda_min(sym M^-1), M = I - W, or Psi^(1/2) M Psi^(-1/2) with a metric; the same for M'. **Cost** of those one
    inverse and three symmetric eigenvalue problems, n^3; of the cheap bound three products n x n x n.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks. Bauschke and Combettes (2017), Example 20.15.

    Examples
    --------
    >>> import torch
    >>> W = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    >>> known = DenseSystem((W,), 1.0).exact_constants()
    >>> round(known.strong_monotonicity, 9), round(known.cocoercivity, 9)
    (1.0, 0.5)
    """

    scale: Tensor | None = None
    _inverses: dict[float, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        W = self.weights[0]
        if W.ndim != 2 or W.shape[0] != W.shape[1]:
            raise ShapeError(f"DenseSystem: W must be a square matrix, got shape {tuple(W.shape)}")

    @property
    def size(self) -> int:
        return int(self.weights[0].shape[0])

    @property
    def metric(self) -> Tensor | None:
        return self.scale

    @property
    def effort(self) -> tuple[float, float, float]:
        n = float(self.size)
        return (n * n, n * n, 8.0 * n**3)

    def product(self, z: Tensor) -> Tensor:
        return z @ self.weights[0].mT

    def product_transposed(self, u: Tensor) -> Tensor:
        return u @ self.weights[0]

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        return (u.mT @ z,)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        return x @ self._inverse(step).mT

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        return x @ self._inverse(step)

    def _inverse(self, step: float) -> Tensor:
        found = self._inverses.get(step)
        if found is None:
            found = torch.linalg.inv((1.0 + step) * self._identity() - step * self.weights[0].detach())
            self._inverses[step] = found
        return found

    def _identity(self) -> Tensor:
        W = self.weights[0]
        return torch.eye(self.size, dtype=W.dtype, device=W.device)

    @cached_property
    def matrix(self) -> Tensor:
        """M = I - W, or Psi^(1/2) M Psi^(-1/2), detached."""
        plain = self._identity() - self.weights[0].detach()
        if self.scale is None:
            return plain
        root = self.scale.detach().sqrt()
        return root[:, None] * plain / root

    def lipschitz_bound(self) -> float:
        return norm_bound(self.matrix)

    def spread(self) -> Spread:
        M = self.matrix
        S = 0.5 * (M + M.mT)
        symmetric, skew, least = norm_bound(S, 1), norm_bound(0.5 * (M - M.mT), 1), self.monotonicity
        if least < SMALL * symmetric:  # what is declared may be far below what is there: worth n^3 for better steps
            least = max(least, float(torch.linalg.eigvalsh(S)[0]))
        return Spread(min(least, symmetric), symmetric, skew)

    def exact_constants(self) -> Constants:
        M = self.matrix
        if not bool(torch.isfinite(M).all()):
            raise ConstantError(NOT_FINITE)
        inverse, info = torch.linalg.inv_ex(M)
        if int(info) != 0 or not bool(torch.isfinite(inverse).all()):
            raise ConstantError(
                "I - W is singular, so that the equilibrium is not unique: use MonotoneLinear with monotonicity > 0"
            )
        stacked = torch.stack((0.5 * (M + M.mT), 0.5 * (inverse + inverse.mT), M.mT @ M))
        values = torch.linalg.eigvalsh(stacked)[:, [0, -1]].tolist()
        (least, _), (cocoercivity, inverse_top), (_, gram_top) = values
        rounding = 4.0 * M.shape[0] * torch.finfo(M.dtype).eps
        remedy = "MonotoneLinear"
        return certified_constants(least, cocoercivity, inverse_top, gram_top, rounding, remedy=remedy)
