"""The cell of a multiscale deep equilibrium model: residual blocks at several resolutions, and fusion of all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from monops.errors import DataError, ShapeError
from monops_nn.parametrize.arguments import positive_integer

Activation = Callable[[Tensor], Tensor]
MOST_RESOLUTIONS = 4
GROUPS = 4
START = 0.1  # norm of what a kernel makes of white noise of norm 1, at the start


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with up to four groups, as many as divide the channels."""
    return nn.GroupNorm(next(count for count in range(GROUPS, 0, -1) if channels % count == 0), channels)


def check_channels(channels: Sequence[int]) -> tuple[int, ...]:
    """The channels of two to four resolutions; DataError for others."""
    if isinstance(channels, int) or not 2 <= len(channels) <= MOST_RESOLUTIONS:
        raise DataError(
            f"channels={channels!r} must list the channels of 2 to {MOST_RESOLUTIONS} resolutions, the finest first"
        )
    return tuple(positive_integer("channels", n, "the maps of each resolution") for n in channels)


class _Block(nn.Module):
    """h = s(c + C s(N(D z))): a residual block around the injection c."""

    def __init__(self, channels: int, normalized: bool, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.first, self.second = (_convolution(channels, channels, 3, 1, normalized) for _ in range(2))
        self.norm = group_norm(channels)

    def forward(self, z: Tensor, injected: Tensor | None) -> Tensor:
        inside: Tensor = self.second(self.activation(self.norm(self.first(z))))
        return self.activation(inside if injected is None else inside + injected)


@final
class MultiscaleCell(nn.Module):
    """f(z, x) for states z = (z_1, ..., z_T) at falling resolutions; its fixed point is a multiscale equilibrium.

    Every resolution has a block h_i = s(U_i x + C_i s(N(D_i z_i))), N group norm, s the activation, C_i and D_i convolutions
    3 x 3. Then all are fused: f_i = N(h_i + sum_j F_ij h_j), F_ij for j finer than i a convolution with stride 2^(i - j) and
    extent 2^(i - j) + 1, for j coarser a convolution 1 x 1 and upsampling.

    Parameters
    ----------
    channels : sequence of int
        n_1, ..., n_T for 2 <= T <= 4.
    features : int
        Channels of x, which has the resolution of z_1.
    inject_all : bool, default True
        Whether every resolution sees x, its mean over the pixels of x that a pixel covers, or the first one alone: then more
        iterations are needed.
    upsampling : {"nearest", "bilinear"}, default "nearest"
    normalized : bool, default False
        Whether kernels are parametrised by norm and direction (weight normalisation).
    activation : callable, default torch.relu
        s. A smooth one makes f differentiable everywhere.

    Raises
    ------
    DataError
        For other numbers of resolutions, sizes that are no positive integers, another upsampling.

    Notes
    -----
    **State** a tuple of tensors (batch, n_i, h_i, w_i), h_1 x w_1 the resolution of x and each further one half of the one
    before, rounded up: odd sizes are allowed. Group norm acts on each sample alone, and bounds f_i whatever z is: at the start
    |f_i| <= sqrt(n_i h_i w_i). **Start** kernels that act on z are small beside U, so that f contracts at typical states, as
    far as tests show: there is no proof of it, neither then nor after training (`FeedbackTiers` has one). The block of the
    paper adds z_i inside of s, and has one more norm behind; such a map expanded in our trials, because a norm behind a ReLU
    amplifies, and no method reached 1e-2. **Cost** 18 n_i^2 products a pixel of resolution i, and the fusions.

    References
    ----------
    Bai, Koltun and Kolter (2020), Multiscale deep equilibrium models. Wu and He (2018), Group normalization. Salimans and
    Kingma (2016), Weight normalization.

    Examples
    --------
    >>> import torch
    >>> cell = MultiscaleCell((4, 8), features=3)
    >>> x = torch.ones(2, 3, 6, 6)
    >>> fine, coarse = cell(cell.initial_state(x), x)
    >>> fine.shape, coarse.shape
    (torch.Size([2, 4, 6, 6]), torch.Size([2, 8, 3, 3]))
    """

    def __init__(
        self,
        channels: Sequence[int],
        features: int,
        *,
        inject_all: bool = True,
        upsampling: str = "nearest",
        normalized: bool = False,
        activation: Activation = torch.relu,
    ) -> None:
        super().__init__()
        self.channels = check_channels(channels)
        self.features = positive_integer("features", features, "the channels of the input")
        if upsampling not in ("nearest", "bilinear"):
            raise DataError(f'upsampling={upsampling!r} must be "nearest" or "bilinear"')
        self.inject_all, self.upsampling, self.normalized, self.activation = inject_all, upsampling, normalized, activation
        counts = self.channels
        injected = counts if inject_all else counts[:1]
        self.injections = nn.ModuleList(nn.Conv2d(features, n, 1) for n in injected)
        self.blocks = nn.ModuleList(_Block(n, normalized, activation) for n in counts)
        self.fusions = nn.ModuleDict(
            {
                f"{j}_to_{i}": _fusion(counts[j], counts[i], i - j, normalized)
                for i in range(len(counts))
                for j in range(len(counts))
                if i != j
            }
        )
        self.norms = nn.ModuleList(group_norm(n) for n in counts)

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Zeros, the start of a solve."""
        self._check(x)
        height, width = x.shape[-2:]
        return tuple(x.new_zeros(x.shape[0], n, -(-height // 2**i), -(-width // 2**i)) for i, n in enumerate(self.channels))

    def forward(self, z: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor, ...]:
        """f(z, x) for states as `initial_state` gives them and x (batch, features, height, width)."""
        self._check(x)
        sizes = [(part.shape[-2], part.shape[-1]) for part in z]
        images = [x, *(functional.adaptive_avg_pool2d(x, size) for size in sizes[1 : len(self.injections)])]
        injected = [inject(image) for inject, image in zip(self.injections, images, strict=True)]
        h = [
            block(part, injected[i] if i < len(injected) else None)
            for i, (block, part) in enumerate(zip(self.blocks, z, strict=True))
        ]
        return tuple(self._fuse(i, h, sizes[i]) for i in range(len(h)))

    def _fuse(self, i: int, h: list[Tensor], size: tuple[int, int]) -> Tensor:
        total = h[i]
        for j, part in enumerate(h):
            if j != i:
                seen = self.fusions[f"{j}_to_{i}"](part)
                total = total + (seen if j < i else resized(seen, size, self.upsampling))
        fused: Tensor = self.norms[i](total)
        return fused

    def _check(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.features:
            raise ShapeError(f"x has shape {tuple(x.shape)}, but this cell needs (batch, {self.features}, height, width)")

    def extra_repr(self) -> str:
        return f"channels={self.channels}, inject_all={self.inject_all}, upsampling={self.upsampling!r}"


def resized(image: Tensor, size: tuple[int, int], upsampling: str) -> Tensor:
    """An image at another resolution."""
    corners = None if upsampling == "nearest" else False
    return functional.interpolate(image, size=size, mode=upsampling, align_corners=corners)


def _fusion(into: int, out: int, down: int, normalized: bool) -> nn.Module:
    return _convolution(into, out, 2**down + 1, 2**down, normalized) if down > 0 else _convolution(into, out, 1, 1, normalized)


def _convolution(into: int, out: int, extent: int, stride: int, normalized: bool) -> nn.Module:
    made = nn.Conv2d(into, out, extent, stride, padding=extent // 2, bias=False)
    nn.init.normal_(made.weight, std=START / math.sqrt(into * extent**2))
    return weight_norm(made) if normalized else made
