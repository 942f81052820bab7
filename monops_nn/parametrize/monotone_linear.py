"""The monotone parametrisation W = (1 - m) I - A'A + B - B' of an equilibrium layer's weight."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from monops.errors import DataError
from monops_nn.parametrize.membership import is_monotone, semidefinite_root
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.systems.dense import DenseSystem


class MonotoneLinear(Parametrization):
    """W = (1 - m) I - A'A + B - B' with free A and B: exactly the matrices with sym(I - W) >= m I.

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
    **Start** the entries of A and B are normal with standard deviation 1/(2 sqrt(n)), so that |A|, |B| are about 1 and
    |I - W| is a few times m whatever n is. **Cost** of W: one product n x n x n.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks, Proposition 1.

    Examples
    --------
    >>> import torch
    >>> linear = MonotoneLinear(3, monotonicity=0.5)
    >>> linear.contains(linear.weight()), linear(torch.ones(2, 3)).shape
    (True, torch.Size([2, 3]))
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
        if isinstance(features, bool) or not isinstance(features, int) or features < 1:
            raise DataError(f"features={features!r} must be a positive integer: the number of hidden units")
        self.features, self.shape = features, (features,)
        self.A = nn.Parameter(torch.empty(features, features, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty(features, features, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw A and B anew."""
        deviation = 0.5 / math.sqrt(self.features)
        nn.init.normal_(self.A, std=deviation)
        nn.init.normal_(self.B, std=deviation)

    def weights(self) -> tuple[Tensor, ...]:
        dtype = self.solving_dtype
        A, B, m = self.A.to(dtype), self.B.to(dtype), self.monotonicity.to(dtype)
        identity = torch.eye(self.features, device=A.device, dtype=dtype)
        return ((1.0 - m) * identity - A.mT @ A + B - B.mT,)

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
        """Parameters (A, B) with ``weight()`` equal to W: A symmetric positive semidefinite, B = (W - W')/4.

        Raises ConstantError, naming lambda_min(sym(I - W)), when it is below m.
        """
        root, vectors = semidefinite_root(W, self.features, self.certified_monotonicity)
        return (vectors * root) @ vectors.mT, 0.25 * (W - W.mT)

    @torch.no_grad()
    def assign(self, W: Tensor) -> None:
        """Set A and B so that ``weight()`` is W; refuses as ``right_inverse`` does."""
        A, B = self.right_inverse(W)
        self.A.copy_(A)
        self.B.copy_(B)

    @torch.no_grad()
    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A random W of the set, drawn as the start is."""
        deviation = 0.5 / math.sqrt(self.features)
        A = torch.empty_like(self.A).normal_(std=deviation, generator=generator)
        B = torch.empty_like(self.B).normal_(std=deviation, generator=generator)
        identity = torch.eye(self.features, device=self.A.device, dtype=self.A.dtype)
        return (1.0 - self.monotonicity) * identity - A.mT @ A + B - B.mT

    def extra_repr(self) -> str:
        return f"features={self.features}, monotonicity={float(self.monotonicity):g}"
