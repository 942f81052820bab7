"""The explicit network beside a multiscale equilibrium: residual blocks from fine to coarse, each evaluated once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from monops_nn.multiscale.cell import check_channels, group_norm
from monops_nn.parametrize.arguments import positive_integer


class _Block(nn.Module):
    """relu(h + N(C relu(N(D h))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            group_norm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            group_norm(channels),
        )

    def forward(self, h: Tensor) -> Tensor:
        return torch.relu(h + self.inside(h))


@final
class ResidualNetwork(nn.Module):
    """x -> (h_1, ..., h_T): residual blocks at every resolution, and convolutions with stride 2 between them.

    Parameters
    ----------
    channels : sequence of int
        Of the states, two to four, the finest first.
    features : int
        Channels of x, which has the resolution of h_1.
    blocks : int, default 2
        A resolution.

    Notes
    -----
    **Cost** 18 n_i^2 products a pixel, a block and a resolution; the memory of training grows with every block.

    References
    ----------
    He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition; with group norm in place of batch norm.

    Examples
    --------
    >>> fine, coarse = ResidualNetwork((4, 8), features=3)(torch.ones(2, 3, 5, 5))
    >>> fine.shape, coarse.shape
    (torch.Size([2, 4, 5, 5]), torch.Size([2, 8, 3, 3]))
    """

    def __init__(self, channels: Sequence[int], features: int, blocks: int = 2) -> None:
        super().__init__()
        self.channels, self.blocks = check_channels(channels), positive_integer("blocks", blocks, "of each resolution")
        stages, into = [], positive_integer("features", features, "the channels of the input")
        for i, n in enumerate(self.channels):
            entry = [nn.Conv2d(into, n, 3, 1 if i == 0 else 2, padding=1, bias=False), group_norm(n), nn.ReLU()]
            stages.append(nn.Sequential(*entry, *(_Block(n) for _ in range(blocks))))
            into = n
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """States at all resolutions."""
        states = []
        for stage in self.stages:
            x = stage(x)
            states.append(x)
        return tuple(states)

    def extra_repr(self) -> str:
        return f"channels={self.channels}, blocks={self.blocks}"
