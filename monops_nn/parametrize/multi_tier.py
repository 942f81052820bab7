"""W as convolutions on tiers of falling resolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError
from monops_nn.parametrize.arguments import positive_integer
from monops_nn.parametrize.convolution import direction, gram_kernel
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.parametrize.tier_states import first_tier_injection, product_of_tiers
from monops_nn.systems.fourier import symbol
from monops_nn.systems.tiers import TierSystem, arrange_tiers

SMALLEST_FREE = -80.0  # softplus of less is not far from the smallest number of float32


@final
class MultiTierConvolution(Parametrization):
    """W block bidiagonal on states z = (z_1, ..., z_T), tiers of images at falling resolutions.

    W_ii = (1 - m) I - A_ii'A_ii - A_{i+1,i}'A_{i+1,i} + B_ii - B_ii' and W_{i+1,i} = -2 A_{i+1,i+1}'A_{i+1,i}: A_ii and B_ii
    are convolutions on tier i, A_{i+1,i} a convolution from tier i to the next with stride 2, zeros around every tier.
    Completing the square, <z, (I - W) z> = m |z|^2 + sum_i |A_ii z_i + A_{i,i-1} z_{i-1}|^2.

    Parameters
    ----------
    channels : sequence of int
        n_1, ..., n_T, at least two.
    size : int
        Side of the images of the first tier; every further tier has half of it, rounded down.
    kernel_size : int, default 3
        k, odd: the extent of all kernels.
    monotonicity : float, default 1.0
        m > 0.
    learn_monotonicity : bool, default False
        Whether m is a parameter, softplus of a free number.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        When there is only one tier, a number is no positive integer, the kernel is even, or a tier would be empty.

    Notes
    -----
    **State** a tuple of tensors (batch, n_i, s_i, s_i), s_i = size // 2^(i - 1). An injection may be one tensor, for the first
    tier; the others then have none. Pixel r of A_{i+1,i} z_i looks at the pixels around 2r + k // 2 of tier i, counted from 0.
    **Gains** kernels are divided by their norms and multiplied by sqrt(softplus(free)) (A, both kinds) or by a number of any
    sign (B); all gains start at 1. **Start** of the kernels: normal. **Cost** that of `TierSystem`.

    References
    ----------
    Winston and Kolter (2020), section 4.2 and the appendix on multi-tier networks.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ
    >>> layer = MonDEQ(MultiTierConvolution((2, 3), 6), injection=1)
    >>> fine, coarse = layer(torch.ones(4, 1, 6, 6))
    >>> fine.shape, coarse.shape
    (torch.Size([4, 2, 6, 6]), torch.Size([4, 3, 3, 3]))
    """

    def __init__(
        self,
        channels: Sequence[int],
        size: int,
        kernel_size: int = 3,
        monotonicity: float = 1.0,
        learn_monotonicity: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(monotonicity, learn_monotonicity, device=device, dtype=dtype)
        if isinstance(channels, int) or len(channels) < 2:
            raise DataError(
                f"channels={channels!r} must list the channels of at least two tiers: for one use PaddedConvolution"
            )
        counts = tuple(positive_integer("channels", n, "the maps of each tier") for n in channels)
        positive_integer("size", size, "the side of the images of the first tier")
        if size // 2 ** (len(counts) - 1) < 1:
            raise DataError(
                f"size={size} leaves nothing for tier {len(counts)}: every tier has half the side of the one before"
            )
        if positive_integer("kernel_size", kernel_size, "odd, so that a kernel has a centre") % 2 == 0:
            raise DataError(f"kernel_size={kernel_size} must be odd, so that a kernel has a centre: use {kernel_size + 1}")
        self.channels, self.size, self.kernel_size = counts, size, kernel_size
        self.tiers = arrange_tiers(counts, size, kernel_size // 2)
        self.shape = tuple(tier.shape for tier in self.tiers)

        def kernels(pairs: Any) -> nn.ParameterList:
            shape = (kernel_size, kernel_size)
            return nn.ParameterList(torch.empty(out, into, *shape, device=device, dtype=dtype) for into, out in pairs)

        def gains(count: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(count, device=device, dtype=dtype))

        pairs, last = list(zip(counts, counts, strict=True)), len(counts) - 1
        self.A, self.B = kernels(pairs), kernels(pairs)
        self.down = kernels(itertools.pairwise(counts))
        self.free_gain, self.free_down_gain, self.skew_gain = gains(last + 1), gains(last), gains(last + 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all kernels anew; all gains are 1."""
        for kernel in (*self.A, *self.B, *self.down):
            nn.init.normal_(kernel, std=0.5 / (math.sqrt(kernel.shape[1]) * self.kernel_size))
        for free in (self.free_gain, self.free_down_gain):
            nn.init.constant_(free, math.log(math.expm1(1.0)))
        nn.init.ones_(self.skew_gain)

    @property
    def rows_shape(self) -> None:
        return None

    @property
    def input_ndim(self) -> int:
        return 3

    def kernels(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """A_ii, B_ii and A_{i+1,i} with their gains, in ``solving_dtype``, as conv2d takes them."""
        dtype = self.solving_dtype
        own, down = (_root_gain(free.to(dtype)) for free in (self.free_gain, self.free_down_gain))
        A = [root * direction(kernel.to(dtype)) for root, kernel in zip(own, self.A, strict=True)]
        B = [h * direction(kernel.to(dtype)) for h, kernel in zip(self.skew_gain.to(dtype), self.B, strict=True)]
        return A, B, [root * direction(kernel.to(dtype)) for root, kernel in zip(down, self.down, strict=True)]

    def weights(self) -> tuple[Tensor, ...]:
        A, B, down = self.kernels()
        m, last, found = self.monotonicity.to(self.solving_dtype), len(A) - 1, []
        for i, tier in enumerate(self.tiers):
            own = _own_kernel(A[i], B[i], m)
            if i == last:
                transposed = symbol(A[i], tier.grid).mH
                found.append(torch.cat((symbol(own, tier.grid), -2.0 * transposed), dim=2))
                continue
            passed = symbol(phase_kernel(down[i], out=False), tier.grid)
            W = symbol(phase_kernel(own), tier.grid) - passed.mH @ passed
            if i < last - 1:  # the next tier lives on the grid of this one
                passed = -2.0 * (symbol(A[i + 1], tier.grid).mH @ passed)
            found.append(torch.cat((W, passed), dim=1))
        return tuple(found)

    def system(self, weights: tuple[Tensor, ...]) -> TierSystem:
        return TierSystem(weights, self.certified_monotonicity, self.tiers)

    def enter(self, state: Any) -> Tensor:
        parts = [state] if isinstance(state, Tensor) else list(state)
        batch = parts[0].shape[0]
        parts += [parts[0].new_zeros(batch, *tier.shape) for tier in self.tiers[len(parts) :]]
        return torch.cat([tier.enter(part) for tier, part in zip(self.tiers, parts, strict=True)], dim=1)

    def leave(self, rows: Tensor) -> tuple[Tensor, ...]:
        parts = torch.split(rows, [tier.entries for tier in self.tiers], dim=1)
        return tuple(tier.leave(part) for tier, part in zip(self.tiers, parts, strict=True))

    def forward(self, z: Any) -> tuple[Tensor, ...]:
        """W z for a state z, a tuple of tensors (..., n_i, s_i, s_i)."""
        return product_of_tiers(self, z)

    def default_injection(self, channels: int) -> nn.Module:
        return first_tier_injection(self, channels, self.channels[0], self.kernel_size)

    def extra_repr(self) -> str:
        m = self.certified_monotonicity
        return f"channels={self.channels}, size={self.size}, kernel_size={self.kernel_size}, monotonicity={m:g}"


def _root_gain(free: Tensor) -> Tensor:
    """sqrt(softplus(free)); constant below -80, where it is 4e-18, because a root has no derivative at 0."""
    return functional.softplus(free.clamp(min=SMALLEST_FREE)).sqrt()


def _own_kernel(A: Tensor, B: Tensor, m: Tensor) -> Tensor:
    """The kernel (n, n, 2k - 1, 2k - 1) of (1 - m) I - A'A + B - B'."""
    reach = A.shape[-1] - 1
    identity = (1.0 - m) * torch.eye(A.shape[0], device=A.device, dtype=A.dtype)[:, :, None, None]
    skew = functional.pad(B - B.flip(2, 3).transpose(0, 1), (reach // 2,) * 4)
    return functional.pad(identity, (reach,) * 4) - gram_kernel(A) + skew


def phase_kernel(kernel: Tensor, out: bool = True) -> Tensor:
    """The kernel of the same convolution from phases to phases (``out=False``: to the phase of even pixels, a stride of 2).

    y[2p + a] = sum_i k_i x[2p + a + i]: the tap i leads from the phase b = (a + i) mod 2 at a distance (a + i - b)/2. Phases
    are the slow index of the channels, as `Tier` has them.
    """
    reach = kernel.shape[-1] // 2
    half = (reach + 1) // 2
    rows = [(0, 0), (0, 1), (1, 0), (1, 1)] if out else [(0, 0)]
    blocks = []
    for a, c in rows:
        columns = []
        for b in (0, 1):
            for d in (0, 1):
                across = _taps(reach, half, a, b)
                along = _taps(reach, half, c, d)
                columns.append(_select(kernel, across, along))
        blocks.append(torch.cat(columns, dim=1))
    return torch.cat(blocks, dim=0)


def _taps(reach: int, half: int, a: int, b: int) -> list[int]:
    """For each distance on the half grid the tap that leads from phase b to phase a; ``2 reach + 1``, beyond all, for none."""
    taps = (2 * s + b - a for s in range(-half, half + 1))
    return [tap + reach if -reach <= tap <= reach else 2 * reach + 1 for tap in taps]


def _select(kernel: Tensor, across: list[int], along: list[int]) -> Tensor:
    padded = functional.pad(kernel, (0, 1, 0, 1))
    rows = torch.tensor(across, device=kernel.device)
    columns = torch.tensor(along, device=kernel.device)
    return padded.index_select(2, rows).index_select(3, columns)
