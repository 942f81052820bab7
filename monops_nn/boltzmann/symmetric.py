"""A symmetric W as a matrix: exact constants from its eigenvalues, one inverse a step size."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from monops.constants import Constants
from monops_nn.systems.certified import certified_constants
from monops_nn.systems.system import Spread, System


@final
@dataclass(frozen=True, eq=False)
class SymmetricSystem(System):
    """W a symmetric matrix (n, n), the only entry of ``weights``.

    Notes
    -----
    **Constants** exact up to a rounding margin: mu and L are the least and the largest eigenvalue of I - W, beta = 1/L.
    **Cost** one symmetric eigenvalue problem (no vectors), one inverse for each step, one product a resolvent.

    References
    ----------
    Bauschke and Combettes (2017), Corollary 18.17 (Baillon and Haddad), for beta.
    """

    _inverses: dict[float, Tensor] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return int(self.weights[0].shape[0])

    @property
    def effort(self) -> tuple[float, float, float]:
        n = float(self.size)
        return (n * n, n * n, 8.0 * n**3)

    def product(self, z: Tensor) -> Tensor:
        return z @ self.weights[0]

    def product_transposed(self, u: Tensor) -> Tensor:
        return u @ self.weights[0]

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        return (z.mT @ u,)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        found = self._inverses.get(step)
        if found is None:
            W = self.weights[0].detach()
            eye = torch.eye(self.size, dtype=W.dtype, device=W.device)
            found = self._inverses[step] = torch.cholesky_inverse(torch.linalg.cholesky((1.0 + step) * eye - step * W))
        return x @ found

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        return self.resolvent(x, step)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The least and the largest eigenvalue of I - W."""
        values = torch.linalg.eigvalsh(self.weights[0].detach())
        return 1.0 - float(values[-1]), 1.0 - float(values[0])

    def lipschitz_bound(self) -> float:
        return self._ends[1] * (1.0 + 8.0 * self.size * torch.finfo(self.weights[0].dtype).eps)

    def spread(self) -> Spread:
        return Spread(max(self.monotonicity, self._ends[0]), max(self.monotonicity, self._ends[1]), 0.0)

    @cached_property
    def constants(self) -> Constants:
        return self.exact_constants()

    def exact_constants(self) -> Constants:
        least, top = self._ends
        rounding = 4.0 * self.size * torch.finfo(self.weights[0].dtype).eps
        return certified_constants(least, 1.0 / top, 1.0 / least, top**2, rounding, remedy="DenseBoltzmann")
