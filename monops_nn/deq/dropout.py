"""Dropout that stays the same during one solve, forward and backward."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from monops.errors import DataError

SEEDS = 2**62


@final
class VariationalDropout(nn.Module):
    """Entries set to 0 with probability p and the others divided by 1 - p, by a mask that one solve keeps.

    Dropout that draws anew at every evaluation has no fixed point. `DEQ` draws one seed a call in training mode, and evaluates
    its backward pass with the seed of its forward pass; in evaluation mode, and with p = 0, nothing happens.

    Parameters
    ----------
    p : float, default 0.1
        In [0, 1).

    Raises
    ------
    DataError
        When p is outside of [0, 1).

    Notes
    -----
    The mask is a function of the seed and of the shape of the argument: an argument of another shape sees another mask.

    References
    ----------
    Gal and Ghahramani (2016), A theoretically grounded application of dropout in recurrent neural networks.

    Examples
    --------
    >>> drop = VariationalDropout(0.5)
    >>> x = torch.ones(4)
    >>> bool((drop(x) == drop(x)).all())
    True
    """

    seed: Tensor

    def __init__(self, p: float = 0.1) -> None:
        super().__init__()
        if isinstance(p, bool) or not 0 <= p < 1:
            raise DataError(f"VariationalDropout: p={p!r} must be a number in [0, 1)")
        self.p = float(p)
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64), persistent=False)

    def draw(self) -> None:
        """Another mask from now on, by torch's global generator."""
        self.seed = torch.randint(SEEDS, (), device=self.seed.device)

    def forward(self, x: Tensor) -> Tensor:
        """The masked tensor, of the shape of x."""
        if not self.training or self.p == 0.0:
            return x
        generator = torch.Generator(x.device).manual_seed(int(self.seed))
        kept = torch.rand(x.shape, generator=generator, device=x.device, dtype=torch.float32) >= self.p
        return x * kept / (1.0 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"
