"""The low-rank parametrisation: products and resolvents of many features at the price of few."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from monops.errors import DataError
from monops_nn.parametrize.arguments import positive_integer
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.systems.low_rank import LowRankSystem


@final
class LowRank(Parametrization):
    """W = (1 - m) I - A'A + P Q' - Q P' with A (r, n), P and Q (n, r) of any value, so that sym(I - W) = m I + A'A.

    Parameters
    ----------
    features : int
        n.
    rank : int
        r, at most n.
    monotonicity : float, default 1.0
        m > 0.
    learn_monotonicity : bool, default False
        Whether m is a parameter, softplus of a free number.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        When a number is no positive integer, the rank exceeds the features, or m is not positive and finite.

    Notes
    -----
    **Start** normal entries, such that |A| and |P Q'| are about 1 whatever n is. **Cost** a product 6 n r a row, a resolvent
    about the same; see `LowRankSystem`. **Constants** mu = m where 3 r < n.

    References
    ----------
    Winston and Kolter (2020), Proposition 1, with factors of low rank; Woodbury (1950) for the resolvent.

    Examples
    --------
    >>> import torch
    >>> linear = LowRank(100, 2, dtype=torch.float64)
    >>> round(linear.operator().constants.strong_monotonicity, 9), linear(torch.ones(5, 100, dtype=torch.float64)).shape
    (1.0, torch.Size([5, 100]))
    """

    def __init__(
        self,
        features: int,
        rank: int,
        monotonicity: float = 1.0,
        learn_monotonicity: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(monotonicity, learn_monotonicity, device=device, dtype=dtype)
        self.features = positive_integer("features", features, "the number of hidden units")
        self.rank = positive_integer("rank", rank, "the rows of A and the columns of P and Q")
        if rank > features:
            raise DataError(f"rank={rank} is more than features={features}: use MonotoneLinear")
        self.shape = (features,)
        self.A = nn.Parameter(torch.empty(rank, features, device=device, dtype=dtype))
        self.P = nn.Parameter(torch.empty(features, rank, device=device, dtype=dtype))
        self.Q = nn.Parameter(torch.empty(features, rank, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw A, P and Q anew."""
        for factor in (self.A, self.P, self.Q):
            nn.init.normal_(factor, std=1.0 / math.sqrt(self.features))

    def weights(self) -> tuple[Tensor, ...]:
        dtype = self.solving_dtype
        return (1.0 - self.monotonicity.to(dtype), self.A.to(dtype), self.P.to(dtype), self.Q.to(dtype))

    def system(self, weights: tuple[Tensor, ...]) -> LowRankSystem:
        return LowRankSystem(weights, self.certified_monotonicity)

    def extra_repr(self) -> str:
        return f"features={self.features}, rank={self.rank}, monotonicity={self.certified_monotonicity:g}"
