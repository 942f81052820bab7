"""W as convolutions on tiers of falling resolution that are coupled in both directions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError
from monops_nn.parametrize.arguments import positive_integer
from monops_nn.parametrize.convolution import direction
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.parametrize.tier_states import first_tier_injection, product_of_tiers
from monops_nn.systems.feedback_tiers import FeedbackTierSystem, TierShape, tier_pairs

SMALLEST_FREE = -80.0  # softplus of less is not far from the smallest number of float32


@final
class FeedbackTiers(Parametrization):
    """W = (1 - m) I - A'A + B - B' on states z = (z_1, ..., z_T), images at falling resolutions that all see each other.

    A is lower bidiagonal, (A z)_i = A_ii z_i + A_{i,i-1} z_{i-1}; B has blocks B_ii and B_ji from every tier i to every coarser
    tier j. Blocks between tiers are convolutions with stride 2^(j - i), and -B_ji' brings the coarse tier up to the fine one,
    so that W_ij != 0 above the diagonal, unlike in `MultiTierConvolution`. <z, (I - W) z> = m |z|^2 + |A z|^2.

    Parameters
    ----------
    channels : sequence of int
        n_1, ..., n_T, at least two.
    size : int or (int, int)
        Height and width of the first tier; every further tier has half of them, rounded up.
    kernel_size : int, default 3
        k, odd: the extent of kernels within a tier and between neighbours; k + 2^d - 2 between tiers at a distance d.
    monotonicity : float, default 1.0
        m > 0.
    learn_monotonicity : bool, default False
        Whether m is a parameter, softplus of a free number.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        When there is only one tier, a number is no positive integer, or the kernel is even.

    Notes
    -----
    **State** a tuple of tensors (batch, n_i, h_i, w_i). An injection may be one tensor, for the first tier; the others then
    have none. **Gains** kernels are divided by their norms and multiplied by sqrt(softplus(free)) (A) or by a number of any
    sign (B); all gains start at 1. **Solver** there is no cheap resolvent: `MonDEQ` chooses between forward-backward and
    forward-backward-forward steps by cost. **Cost** that of `FeedbackTierSystem`.

    References
    ----------
    Winston and Kolter (2020), for the parametrisation and for tiers without feedback. Bai, Koltun and Kolter (2020), Multiscale
    deep equilibrium models, for resolutions that are solved jointly.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ
    >>> layer = MonDEQ(FeedbackTiers((2, 3), 6), injection=1)
    >>> fine, coarse = layer(torch.ones(4, 1, 6, 6))
    >>> fine.shape, coarse.shape
    (torch.Size([4, 2, 6, 6]), torch.Size([4, 3, 3, 3]))
    """

    def __init__(
        self,
        channels: Sequence[int],
        size: int | tuple[int, int],
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
        sides = size if isinstance(size, (tuple, list)) else (size, size)
        if len(sides) != 2:
            raise DataError(f"size={size!r} must be one positive integer or two: height and width of the first tier")
        h, w = (positive_integer("size", side, "height and width of the first tier") for side in sides)
        if positive_integer("kernel_size", kernel_size, "odd, so that a kernel has a centre") % 2 == 0:
            raise DataError(f"kernel_size={kernel_size} must be odd, so that a kernel has a centre: use {kernel_size + 1}")
        self.channels, self.resolution, self.kernel_size = counts, (h, w), kernel_size
        self.tiers = tuple(TierShape(n, -(-h // 2**i), -(-w // 2**i)) for i, n in enumerate(counts))
        self.shape = tuple(tier.shape for tier in self.tiers)

        def kernels(pairs: Iterable[tuple[int, int]]) -> nn.ParameterList:
            extents = ((counts[j], counts[i], _extent(kernel_size, j - i)) for i, j in pairs)
            return nn.ParameterList(torch.empty(out, into, k, k, device=device, dtype=dtype) for out, into, k in extents)

        def gains(count: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(count, device=device, dtype=dtype))

        own, near, far = (
            [(i, i) for i in range(len(counts))],
            list(itertools.pairwise(range(len(counts)))),
            tier_pairs(len(counts)),
        )
        self.A, self.down = kernels(own), kernels(near)
        self.B, self.skew_down = kernels(own), kernels([*near, *far])
        self.free_gain, self.free_down_gain = gains(len(own)), gains(len(near))
        self.skew_gain, self.skew_down_gain = gains(len(own)), gains(len(near) + len(far))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all kernels anew; all gains are 1."""
        for kernel in (*self.A, *self.B, *self.down, *self.skew_down):
            nn.init.normal_(kernel, std=0.5 / (math.sqrt(kernel.shape[1]) * kernel.shape[-1]))
        for free in (self.free_gain, self.free_down_gain):
            nn.init.constant_(free, math.log(math.expm1(1.0)))
        for gain in (self.skew_gain, self.skew_down_gain):
            nn.init.ones_(gain)

    @property
    def rows_shape(self) -> None:
        return None

    @property
    def input_ndim(self) -> int:
        return 3

    def weights(self) -> tuple[Tensor, ...]:
        dtype, reach = self.solving_dtype, self.kernel_size // 2
        A, down = (
            [root * direction(kernel.to(dtype)) for root, kernel in zip(_root_gain(free.to(dtype)), kernels, strict=True)]
            for free, kernels in ((self.free_gain, self.A), (self.free_down_gain, self.down))
        )
        B, skew_down = (
            [h * direction(kernel.to(dtype)) for h, kernel in zip(gain.to(dtype), kernels, strict=True)]
            for gain, kernels in ((self.skew_gain, self.B), (self.skew_down_gain, self.skew_down))
        )
        found, rest = [], 1.0 - self.monotonicity.to(dtype)
        for a, b in zip(A, B, strict=True):
            identity = functional.pad(torch.eye(len(b), device=b.device, dtype=dtype)[:, :, None, None], (reach,) * 4)
            found.append(torch.cat((rest * identity + b - b.flip(2, 3).transpose(0, 1), a)))
        near = [torch.cat(pair) for pair in zip(down, skew_down[: len(down)], strict=True)]
        return (*found, *near, *skew_down[len(down) :])

    def system(self, weights: tuple[Tensor, ...]) -> FeedbackTierSystem:
        return FeedbackTierSystem(weights, self.certified_monotonicity, self.tiers)

    def enter(self, state: Any) -> Tensor:
        parts = [state] if isinstance(state, Tensor) else list(state)
        batch = parts[0].shape[0]
        parts += [parts[0].new_zeros(batch, *tier.shape) for tier in self.tiers[len(parts) :]]
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    def leave(self, rows: Tensor) -> tuple[Tensor, ...]:
        parts = torch.split(rows, [tier.entries for tier in self.tiers], dim=1)
        return tuple(part.reshape(-1, *tier.shape) for part, tier in zip(parts, self.tiers, strict=True))

    def forward(self, z: Any) -> tuple[Tensor, ...]:
        """W z for a state z, a tuple of tensors (..., n_i, h_i, w_i)."""
        return product_of_tiers(self, z)

    def default_injection(self, channels: int) -> nn.Module:
        return first_tier_injection(self, channels, self.channels[0], self.kernel_size)

    def extra_repr(self) -> str:
        m = self.certified_monotonicity
        return f"channels={self.channels}, size={self.resolution}, kernel_size={self.kernel_size}, monotonicity={m:g}"


def _extent(kernel_size: int, distance: int) -> int:
    """The extent of kernels between tiers: every pixel is under one of them."""
    return kernel_size if distance == 0 else kernel_size + 2**distance - 2


def _root_gain(free: Tensor) -> Tensor:
    """sqrt(softplus(free)); constant below -80, where it is 4e-18, because a root has no derivative at 0."""
    return functional.softplus(free.clamp(min=SMALLEST_FREE)).sqrt()
