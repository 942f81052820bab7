"""The monotone parametrisation with triangular factors: half the parameters, the same set of weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from monops_nn.parametrize.arguments import lower_triangle, positive_integer, triangle_entries
from monops_nn.parametrize.membership import is_monotone, semidefinite_root
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.systems.dense import DenseSystem


class Triangular(Parametrization):
    """W = (1 - m) I - A'A + B - B' with A lower triangular and B strictly lower triangular, n^2 parameters in all.

    As with `MonotoneLinear` these are exactly the matrices with sym(I - W) >= m I, for every positive semidefinite matrix
    is A'A with A lower triangular, and every skew one is B - B' with B strictly lower triangular.

    Parameters
    ----------
    features : int
        n, at least 1.
    monotonicity : float, default 1.0
        m > 0.
    learn_monotonicity : bool, default False
        Whether m is a parameter, softplus of a free number.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        When features is no positive integer, monotonicity is not positive and finite, or dtype is no floating dtype.

    Notes
    -----
    **Parameters** ``A`` holds the n(n + 1)/2 entries of its triangle row by row, ``B`` its n(n - 1)/2. **Start** normal
    entries with standard deviation 1/sqrt(2n) in A and 1/(2 sqrt(n)) in B, so that |A'A| and |B - B'| are about what
    `MonotoneLinear` starts with. **Constants** of the dense system. **Cost** of W: one product n x n x n.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks, Proposition 1; Golub and Van Loan (2013), Matrix
    computations, sections 4.2 and 5.2.

    Examples
    --------
    >>> linear = Triangular(4)
    >>> linear.contains(linear.weight()), sum(p.numel() for p in linear.parameters())
    (True, 16)
    """

    def __init__(
        self,
        features: int,
        monotonicity: float = 1.0,
        learn_monotonicity: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(monotonicity, learn_monotonicity, device=device, dtype=dtype)
        n = self.features = positive_integer("features", features, "the number of hidden units")
        self.shape = (n,)
        self.A = nn.Parameter(torch.empty(n * (n + 1) // 2, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty(n * (n - 1) // 2, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw A and B anew."""
        nn.init.normal_(self.A, std=math.sqrt(0.5 / self.features))
        nn.init.normal_(self.B, std=0.5 / math.sqrt(self.features))

    def weights(self) -> tuple[Tensor, ...]:
        return (self._weight(self.A, self.B),)

    def _weight(self, A: Tensor, B: Tensor) -> Tensor:
        dtype, n = self.solving_dtype, self.features
        lower, strict = lower_triangle(A.to(dtype), n), lower_triangle(B.to(dtype), n, -1)
        identity = torch.eye(n, device=A.device, dtype=dtype)
        return (1.0 - self.monotonicity.to(dtype)) * identity - lower.mT @ lower + strict - strict.mT

    def system(self, weights: tuple[Tensor, ...]) -> DenseSystem:
        return DenseSystem(weights, self.certified_monotonicity)

    def weight(self) -> Tensor:
        """W, shape (n, n), differentiable in the parameters."""
        return self.weights()[0]

    def contains(self, W: Tensor) -> bool:
        """Whether sym(I - W) >= m I, up to rounding."""
        return is_monotone(W, self.features, self.certified_monotonicity)

    @torch.no_grad()
    def right_inverse(self, W: Tensor) -> tuple[Tensor, Tensor]:
        """The entries (A, B) with ``weight()`` equal to W; A has a diagonal >= 0.

        Raises ConstantError, naming lambda_min(sym(I - W)), when it is below m.
        """
        root, vectors = semidefinite_root(W, self.features, self.certified_monotonicity)
        # A'A = S'S with S = diag(root) Q': S J = orthogonal R, and A = J R J is lower triangular, J reversing the order
        A = torch.linalg.qr((root[:, None] * vectors.mT).flip(1)).R.flip(0, 1)
        A = torch.where(A.diagonal() < 0, -1.0, 1.0).to(A.dtype)[:, None] * A
        return triangle_entries(A), triangle_entries(0.5 * (W - W.mT), -1)

    @torch.no_grad()
    def assign(self, W: Tensor) -> None:
        """Set A and B so that ``weight()`` is W; refuses as ``right_inverse`` does."""
        A, B = self.right_inverse(W)
        self.A.copy_(A)
        self.B.copy_(B)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A random W of the set, drawn as the start is."""
        A = torch.empty_like(self.A).normal_(std=math.sqrt(0.5 / self.features), generator=generator)
        B = torch.empty_like(self.B).normal_(std=0.5 / math.sqrt(self.features), generator=generator)
        return self._weight(A, B)

    def extra_repr(self) -> str:
        return f"features={self.features}, monotonicity={self.certified_monotonicity:g}"
