"""W on the nodes of a graph: features are mixed by a monotone matrix, nodes by the adjacency."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, nn

from monops.errors import DataError, ShapeError
from monops_nn.parametrize.arguments import positive_integer
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.systems.graph import GraphSystem

LARGEST = 4000  # nodes whose eigenvectors are computed


@final
class Graph(Parametrization):
    """z -> S z V' for states z (nodes, features): S = (I + N)/2 with N = D^-1/2 A D^-1/2, V = (1 - m) I - G'G + B - B'.

    N, the adjacency normalised by the degrees, has its spectrum in [-1, 1], so that 0 <= S <= I, and with sym V <= (1 - m) I
    and m <= 1: sym(I - W) = I - S (x) sym V >= m I for every G and B.

    Parameters
    ----------
    adjacency : tensor (nodes, nodes)
        Symmetric, nonnegative; dense, or sparse with ``resolvent=False``. Nodes without neighbours keep to themselves.
    features : int
        Of each node.
    monotonicity : float, default 0.5
        m in (0, 1].
    learn_monotonicity : bool, default False
        Whether m is a parameter, the logistic function of a free number.
    resolvent : bool, default True
        Whether the eigenvectors of S are computed, once, so that resolvents are cheap; else methods that need only products.
    device, dtype : optional
        As in torch.

    Raises
    ------
    ShapeError, DataError
        When the adjacency is not square, symmetric and nonnegative, has more than 4000 nodes with ``resolvent=True``, or m is
        not in (0, 1].

    Notes
    -----
    **Cost** a product nnz(A) f + nodes f^2; a resolvent 2 nodes^2 f + nodes f^2 after nodes f^3 for each step. **Injection**
    acts on the features of each node.

    References
    ----------
    Winston and Kolter (2020), Proposition 1, for V; Chung (1997), Spectral graph theory, section 1.3, for the spectrum of N.

    Examples
    --------
    >>> import torch
    >>> ring = torch.roll(torch.eye(5), 1, 0) + torch.roll(torch.eye(5), -1, 0)
    >>> Graph(ring, 2)(torch.ones(3, 5, 2)).shape
    torch.Size([3, 5, 2])
    """

    mixing: Tensor
    eigenvalues: Tensor | None
    eigenvectors: Tensor | None

    def __init__(
        self,
        adjacency: Tensor,
        features: int,
        monotonicity: float = 0.5,
        learn_monotonicity: bool = False,
        *,
        resolvent: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if isinstance(monotonicity, (int, float)) and (monotonicity > 1 or (monotonicity == 1 and learn_monotonicity is True)):
            below = "below" if monotonicity == 1 else "at most"
            raise DataError(f"monotonicity={monotonicity!r} must be {below} 1 for a graph: the spectrum of S begins at 0")
        super().__init__(monotonicity, learn_monotonicity, device=device, dtype=dtype)
        self.features = positive_integer("features", features, "of each node")
        S = lazy_adjacency(adjacency).to(device=device, dtype=self._solving(dtype))
        nodes = int(S.shape[0])
        self.shape = (nodes, features)
        if resolvent and (S.is_sparse or nodes > LARGEST):
            raise DataError(f"resolvent=True needs a dense adjacency of at most {LARGEST} nodes: give resolvent=False")
        self.register_buffer("mixing", S)
        values, vectors = torch.linalg.eigh(S) if resolvent else (None, None)
        self.register_buffer("eigenvalues", None if values is None else values.clamp(0.0, 1.0))
        self.register_buffer("eigenvectors", vectors)
        self.G = nn.Parameter(torch.empty(features, features, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty(features, features, device=device, dtype=dtype))
        self.reset_parameters()

    @property
    def monotonicity(self) -> Tensor:
        """The number m in (0, 1], a tensor without axes; between its ends by the logistic function where it is learned."""
        if not self.learn_monotonicity:
            return self.fixed_monotonicity
        least = self.least_monotonicity
        return least + (1.0 - least) * torch.sigmoid(self.free_monotonicity)

    def _free_monotonicity_of(self, m: float) -> float:
        part = (m - self.least_monotonicity) / (1.0 - self.least_monotonicity)
        return math.log(part) - math.log1p(-part)

    def _apply(self, fn: Any, recurse: bool = True) -> Graph:
        """Casts and moves, but the spectrum stays in single precision at least: half of it would not be that of the graph."""
        kept = {name: self._buffers[name] for name in ("mixing", "eigenvalues", "eigenvectors")}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in kept.items():
            after = self._buffers[name]
            if before is not None and after is not None and after.dtype in (torch.bfloat16, torch.float16):
                self._buffers[name] = before.to(device=after.device, dtype=self.solving_dtype)
        return self

    @staticmethod
    def _solving(dtype: torch.dtype | None) -> torch.dtype:
        return torch.float64 if (torch.get_default_dtype() if dtype is None else dtype) == torch.float64 else torch.float32

    def reset_parameters(self) -> None:
        """Draw G and B anew."""
        for factor in (self.G, self.B):
            nn.init.normal_(factor, std=0.5 / math.sqrt(self.features))

    def weights(self) -> tuple[Tensor, ...]:
        dtype = self.solving_dtype
        G, B = self.G.to(dtype), self.B.to(dtype)
        identity = torch.eye(self.features, device=G.device, dtype=dtype)
        return ((1.0 - self.monotonicity.to(dtype)) * identity - G.mT @ G + B - B.mT,)

    def system(self, weights: tuple[Tensor, ...]) -> GraphSystem:
        dtype = self.solving_dtype  # buffers follow the module when it is cast
        values, vectors = self.eigenvalues, self.eigenvectors
        return GraphSystem(
            weights,
            self.certified_monotonicity,
            self.mixing.to(dtype),
            None if values is None else values.to(dtype),
            None if vectors is None else vectors.to(dtype),
        )

    def default_injection(self, channels: int) -> nn.Module:
        return nn.Linear(channels, self.features, device=self.reference.device, dtype=self.reference.dtype)

    def extra_repr(self) -> str:
        return f"nodes={self.shape[0]}, features={self.features}, monotonicity={self.certified_monotonicity:g}"


def lazy_adjacency(adjacency: Tensor) -> Tensor:
    """S = (I + D^-1/2 A D^-1/2)/2, in float64; ShapeError, DataError unless A is square, symmetric, nonnegative and finite."""
    if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise ShapeError(f"adjacency has shape {tuple(adjacency.shape)}, but needs (nodes, nodes)")
    A = adjacency.detach().to(torch.float64)
    if A.layout != torch.strided:
        A = A.to_sparse_coo().coalesce()  # type: ignore[no-untyped-call]
        entries, difference = A.values(), (A - A.t()).coalesce().values()
    else:
        entries, difference = A, A - A.mT
    if not bool(torch.isfinite(entries).all()) or bool((entries < 0).any()) or bool((difference.abs() > 1e-12).any()):
        raise DataError("the adjacency must be symmetric and nonnegative: take the larger of A and A' for a directed graph")
    degrees = torch.sparse.sum(A, dim=1).to_dense() if A.is_sparse else A.sum(dim=1)
    root = torch.where(degrees > 0, degrees, torch.ones_like(degrees)).rsqrt()
    nodes = A.shape[0]
    if not A.is_sparse:
        return 0.5 * (torch.eye(nodes, dtype=A.dtype, device=A.device) + root[:, None] * A * root)
    rows, columns = A.indices()
    diagonal = torch.arange(nodes, device=A.device).expand(2, -1)
    values = torch.cat(
        (0.5 * root[rows] * A.values() * root[columns], torch.full((nodes,), 0.5, dtype=A.dtype, device=A.device))
    )
    return torch.sparse_coo_tensor(torch.cat((A.indices(), diagonal), dim=1), values, A.shape, check_invariants=True).coalesce()
