"""W a multiple of the identity plus low rank: everything happens in a small subspace."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import ConstantError
from monops_nn.systems.certified import NOT_FINITE
from monops_nn.systems.dense import DenseSystem
from monops_nn.systems.system import Spread, System


@final
@dataclass(frozen=True, eq=False)
class LowRankSystem(System):
    """W = s I - A'A + P Q' - Q P' with A (r, n), P and Q (n, r); ``weights`` are (s, A, P, Q), s = 1 - m without axes.

    On the orthogonal complement of the span of A', P, Q, of dimension k <= 3r, W is s I; on the span it is a k x k matrix.
    Resolvents and constants are those of that matrix and of s.

    Parameters
    ----------
    weights : tuple of tensors (), (r, n), (n, r), (n, r), float32 or float64
    monotonicity : float
        m = 1 - s > 0.

    Notes
    -----
    **Constants** exact up to a rounding margin: with M_k = the k x k block of I - W, mu = min(m, lambda_min(sym M_k)),
    L = max(m, |M_k|), beta = min(1/m, lambda_min(sym M_k^-1)), m left out where k = n. **Cost** of a product 6 n r, of a
    resolvent 2 n k + k^2, of preparing all resolvents n k^2 once and k^3 a step.

    References
    ----------
    Woodbury (1950), in the form with an orthonormal basis, which does not cancel; Golub and Van Loan (2013), section 5.2.

    Examples
    --------
    >>> import torch
    >>> A, P, Q = torch.ones(1, 4), torch.eye(4)[:, :1], torch.eye(4)[:, 1:2]
    >>> W = LowRankSystem((torch.tensor(0.5), A, P, Q), 0.5)
    >>> x = torch.ones(1, 4)
    >>> bool(torch.allclose(W.resolvent(2.0 * x - W.product(x), 1.0), x))
    True
    """

    _kept: dict[float, Tensor] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return int(self.weights[1].shape[1])

    @property
    def effort(self) -> tuple[float, float, float]:
        n, k = float(self.size), float(min(self.size, 3 * self.weights[1].shape[0]))
        return (2.0 * n * k, 2.0 * n * k + k * k, 2.0 * k**3)

    def product(self, z: Tensor) -> Tensor:
        s, A, P, Q = self.weights
        return s * z - (z @ A.mT) @ A + (z @ Q) @ P.mT - (z @ P) @ Q.mT

    def product_transposed(self, u: Tensor) -> Tensor:
        s, A, P, Q = self.weights
        return s * u - (u @ A.mT) @ A - (u @ Q) @ P.mT + (u @ P) @ Q.mT

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        _, A, P, Q = self.weights
        shift = (u * z).sum()
        squares = -(u @ A.mT).mT @ z - (z @ A.mT).mT @ u
        left = u.mT @ (z @ Q) - z.mT @ (u @ Q)
        right = z.mT @ (u @ P) - u.mT @ (z @ P)
        return shift, squares, left, right

    @cached_property
    def basis(self) -> Tensor:
        """Orthonormal columns (n, k) that span the rows of A and the columns of P and Q, or more."""
        _, A, P, Q = (weight.detach() for weight in self.weights)
        return torch.linalg.qr(torch.cat((A.mT, P, Q), dim=1)).Q

    @cached_property
    def block(self) -> DenseSystem:
        """W on the span of the basis, a (k, k) matrix."""
        s, A, P, Q = (weight.detach() for weight in self.weights)
        a, p, q = A @ self.basis, self.basis.mT @ P, self.basis.mT @ Q
        identity = torch.eye(self.basis.shape[1], dtype=A.dtype, device=A.device)
        return DenseSystem((s * identity - a.mT @ a + p @ q.mT - q @ p.mT,), self.monotonicity)

    @property
    def _has_complement(self) -> bool:
        return self.basis.shape[1] < self.size

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        return torch.addmm(x / self._outside(step), x @ self.basis, self._difference(step).mT @ self.basis.mT)

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        return torch.addmm(x / self._outside(step), x @ self.basis, self._difference(step) @ self.basis.mT)

    def _outside(self, step: float) -> float:
        return 1.0 + step * self._complement

    @cached_property
    def _complement(self) -> float:
        return 1.0 - float(self.weights[0].detach())

    def _difference(self, step: float) -> Tensor:
        """(k, k): the resolvent on the span minus the resolvent outside."""
        found = self._kept.get(step)
        if found is None:
            k = self.basis.shape[1]
            identity = torch.eye(k, dtype=self.basis.dtype, device=self.basis.device)
            inside = torch.linalg.inv((1.0 + step) * identity - step * self.block.weights[0])
            found = self._kept[step] = inside - identity / self._outside(step)
        return found

    def lipschitz_bound(self) -> float:
        inside = self.block.lipschitz_bound()
        return max(inside, self._complement) if self._has_complement else inside

    def spread(self) -> Spread:
        inside = self.block.spread()
        return Spread(inside.least, max(inside.symmetric, self._complement), inside.skew)

    def exact_constants(self) -> Constants:
        if not all(bool(torch.isfinite(weight).all()) for weight in self.weights):
            raise ConstantError(NOT_FINITE)
        inside = self.block.exact_constants()
        if not self._has_complement:
            return inside
        outside = self._complement
        lipschitz = max(float(inside.lipschitz or 0.0), outside)
        rounding = (
            4.0 * self.size * torch.finfo(self.basis.dtype).eps * lipschitz
        )  # of the basis and the block, sums of n terms
        mu = min(float(inside.strong_monotonicity or 0.0), outside) - rounding
        if mu <= 0:
            raise ConstantError(f"m = {outside:.3g} is lost in the rounding of W, {rounding:.1g}: use float64, or a larger m")
        beta = min(float(inside.cocoercivity or 0.0), 1.0 / outside) - rounding / mu**2  # |d M^-1| <= |d M|/mu^2
        return Constants(
            mu,
            max(beta, mu / (lipschitz + rounding) ** 2),
            lipschitz + rounding,
            affine=True,
            why=inside.why,
        )
