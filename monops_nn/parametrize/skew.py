"""The skew parametrisation: the monotonicity constant is m exactly."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from monops_nn.parametrize.arguments import lower_triangle, positive_integer
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.systems.dense import DenseSystem


class Skew(Parametrization):
    """W = (1 - m) I + B - B': I - W is m times the identity minus a rotation field, so that mu = m exactly.

    The weights with sym W = (1 - m) I. Information is turned, not damped: with sigma = id and m = 1 the layer is the Cayley
    factor (I - S)^-1, S = B - B'.

    Parameters
    ----------
    features : int
        n, at least 1.
    monotonicity : float, default 1.0
        m > 0. The case m = 0 is refused, because an equilibrium need not exist or be unique then (W = I with ReLU: every
        z >= 0 for c = 0, none for c > 0). Take a small m; or, where every slope of the activation is below 1, ask
        `wellposed`, which allows m <= 0; or give a merely monotone inclusion to ``monops.solve`` with ``DouglasRachford()``.
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
    **Parameters** ``B`` holds the n(n - 1)/2 entries below the diagonal, row by row. **Start** normal entries with standard
    deviation 1/(2 sqrt(n)). **Constants** mu = m, L = sqrt(m^2 + |B - B'|^2). **Cost** of W: n^2.

    References
    ----------
    Winston and Kolter (2020), Monotone operator equilibrium networks, Proposition 1 with A = 0; Bauschke and Combettes
    (2017), Example 20.35.

    Examples
    --------
    >>> import torch
    >>> linear = Skew(3, monotonicity=0.25, dtype=torch.float64)
    >>> round(linear.operator().constants.strong_monotonicity, 9)
    0.25
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
        self.B = nn.Parameter(torch.empty(n * (n - 1) // 2, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw B anew."""
        nn.init.normal_(self.B, std=0.5 / math.sqrt(self.features))

    def weights(self) -> tuple[Tensor, ...]:
        dtype = self.solving_dtype
        strict = lower_triangle(self.B.to(dtype), self.features, -1)
        identity = torch.eye(self.features, device=strict.device, dtype=dtype)
        return ((1.0 - self.monotonicity.to(dtype)) * identity + strict - strict.mT,)

    def system(self, weights: tuple[Tensor, ...]) -> DenseSystem:
        return DenseSystem(weights, self.certified_monotonicity)

    def weight(self) -> Tensor:
        """W, shape (n, n), differentiable in the parameters."""
        return self.weights()[0]

    def extra_repr(self) -> str:
        return f"features={self.features}, monotonicity={self.certified_monotonicity:g}"
