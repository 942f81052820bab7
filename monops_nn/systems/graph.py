"""W = S (x) V on the nodes of a graph: the eigenvectors of S split it into one small matrix an eigenvalue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import CapabilityError
from monops_nn.systems.dense import DenseSystem
from monops_nn.systems.system import Spread, System, norm_bound


@final
@dataclass(frozen=True, eq=False)
class GraphSystem(System):
    """z -> S z V' for states (nodes, features), flattened; V (f, f) is the only entry of ``weights``.

    Parameters
    ----------
    weights : tuple of one tensor (f, f)
    monotonicity : float
        m with I - s sym V >= m I for every eigenvalue s of S.
    mixing : tensor (nodes, nodes), dense or sparse
        S, symmetric, with its spectrum in [0, 1].
    eigenvalues, eigenvectors : tensors (nodes,), (nodes, nodes), or None
        Of S; without them there is no resolvent.

    Notes
    -----
    **Constants** mu, beta and L are the worst of I - s V over the eigenvalues s of S: mu and L at an end of the spectrum,
    because they are concave and convex in s. Without eigenvalues those of [0, 1], and beta = mu/L^2. **Cost** see `Graph`.

    References
    ----------
    Horn and Johnson (1991), Topics in matrix analysis, section 4.2, for the Kronecker product.

    Examples
    --------
    >>> import torch
    >>> W = GraphSystem((-torch.eye(1),), 1.0, torch.eye(2), torch.ones(2), torch.eye(2))
    >>> W.resolvent(torch.ones(1, 2), 1.0)
    tensor([[0.3333, 0.3333]])
    """

    mixing: Tensor
    eigenvalues: Tensor | None = None
    eigenvectors: Tensor | None = None
    _inverses: dict[float, Tensor] = field(default_factory=dict, repr=False)

    @property
    def nodes(self) -> int:
        """How many."""
        return int(self.mixing.shape[0])

    @property
    def features(self) -> int:
        """Of a node."""
        return int(self.weights[0].shape[0])

    @property
    def size(self) -> int:
        return self.nodes * self.features

    @property
    def has_resolvent(self) -> bool:
        return self.eigenvalues is not None

    @property
    def effort(self) -> tuple[float, float, float]:
        entries = float(self.mixing._nnz() if self.mixing.is_sparse else self.mixing.numel())
        n, f = float(self.nodes), float(self.features)
        return (entries * f + n * f * f, 2.0 * n * n * f + n * f * f, 8.0 * n * f**3)

    def _mix(self, matrix: Tensor, rows: Tensor) -> Tensor:
        """The matrix (nodes, nodes) times every state, as (batch, nodes, features)."""
        states = rows.reshape(-1, self.nodes, self.features)
        if not matrix.is_sparse:
            return matrix @ states
        columns = states.transpose(0, 1).reshape(self.nodes, -1)
        return torch.sparse.mm(matrix, columns).reshape(self.nodes, -1, self.features).transpose(0, 1)

    def product(self, z: Tensor) -> Tensor:
        return (self._mix(self.mixing, z) @ self.weights[0].mT).reshape(z.shape)

    def product_transposed(self, u: Tensor) -> Tensor:
        return (self._mix(self.mixing, u) @ self.weights[0]).reshape(u.shape)

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        left = u.reshape(-1, self.features)
        return (left.mT @ self._mix(self.mixing, z).reshape(-1, self.features),)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        return self._solve(x, self._inverse(step).mT)

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        return self._solve(x, self._inverse(step))

    def _solve(self, x: Tensor, matrices: Tensor) -> Tensor:
        """In the basis of the eigenvectors each node has its own matrix (features, features)."""
        if self.eigenvectors is None:
            raise CapabilityError("the resolvent of this graph needs its eigenvectors: Graph(..., resolvent=True)")
        states = self._mix(self.eigenvectors.mT, x).transpose(0, 1)
        return self._mix(self.eigenvectors, (states @ matrices).transpose(0, 1).flatten(1)).reshape(x.shape)

    def _inverse(self, step: float) -> Tensor:
        found = self._inverses.get(step)
        if found is None:
            if self.eigenvalues is None:
                raise CapabilityError("the resolvent of this graph needs its eigenvectors: Graph(..., resolvent=True)")
            V = self.weights[0].detach()
            identity = torch.eye(self.features, dtype=V.dtype, device=V.device)
            found = torch.linalg.inv((1.0 + step) * identity - step * self.eigenvalues[:, None, None] * V)
            self._inverses[step] = found
        return found

    def _ends(self) -> Tensor:
        V = self.weights[0].detach()
        identity = torch.eye(self.features, dtype=V.dtype, device=V.device)
        return torch.stack((identity, identity - V))  # the eigenvalues of S lie in [0, 1]; 1 is one of them

    def lipschitz_bound(self) -> float:
        return norm_bound(self._ends())

    def spread(self) -> Spread:
        M = self._ends()
        symmetric, skew = norm_bound(0.5 * (M + M.mT), 1), norm_bound(0.5 * (M - M.mT), 1)
        return Spread(min(self.monotonicity, symmetric), symmetric, skew)

    def exact_constants(self) -> Constants:
        V = self.weights[0].detach()
        values = self.eigenvalues if self.eigenvalues is not None else torch.tensor([0.0, 1.0], dtype=V.dtype, device=V.device)
        ends = {float(values.min()), float(values.max())}
        parts = [DenseSystem((s * V,), self.monotonicity).exact_constants() for s in ends]
        mu = min(float(part.strong_monotonicity or 0.0) for part in parts)
        lipschitz = max(float(part.lipschitz or 0.0) for part in parts)
        why = {
            "strong_monotonicity": "computed: least eigenvalue of I - s sym V at both ends of the spectrum of S",
            "cocoercivity": "rule: mu/L^2",
            "lipschitz": "computed: largest norm of I - s V at both ends of the spectrum of S",
        }
        beta = mu / lipschitz**2
        if self.eigenvalues is not None:
            identity = torch.eye(self.features, dtype=V.dtype, device=V.device)
            inverses = torch.linalg.inv(identity - self.eigenvalues[:, None, None] * V)
            least = torch.linalg.eigvalsh(0.5 * (inverses + inverses.mT))[:, 0].min()
            beta = max(beta, float(least) - 8.0 * self.features * torch.finfo(V.dtype).eps / mu)
            why["cocoercivity"] = "computed: least eigenvalue of the symmetric part of (I - s V)^-1 over the spectrum of S"
        return Constants(mu, min(beta, 1.0 / lipschitz), lipschitz, affine=True, why=why)
