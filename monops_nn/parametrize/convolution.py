"""Free kernels A and B, and the kernel of W = (1 - m) I - A'A + B - B' that they give."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError
from monops_nn.parametrize.arguments import positive_integer
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.systems.system import System


class Convolution(Parametrization):
    """What convolutions share: parameters A and B (c, c, k, k), two gains where ``normalized``, and the kernel of W.

    The extent of W's kernel is 2k - 1, because A'A reaches k - 1 pixels.
    """

    def __init__(
        self,
        channels: int,
        size: int | tuple[int, int],
        kernel_size: int = 3,
        monotonicity: float = 1.0,
        learn_monotonicity: bool = False,
        *,
        normalized: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(monotonicity, learn_monotonicity, device=device, dtype=dtype)
        self.channels = positive_integer("channels", channels, "the number of maps of a state")
        lengths = size if isinstance(size, (tuple, list)) else (size, size)
        if len(lengths) != 2:
            raise DataError(f"size={size!r} must be one positive integer or two: height and width of a state")
        h, w = (positive_integer("size", length, "height and width of a state") for length in lengths)
        if positive_integer("kernel_size", kernel_size, "odd, so that a kernel has a centre") % 2 == 0:
            raise DataError(f"kernel_size={kernel_size} must be odd, so that a kernel has a centre: use {kernel_size + 1}")
        if not isinstance(normalized, bool):
            raise DataError(f"normalized={normalized!r} must be True or False")
        self.resolution, self.kernel_size, self.normalized = (h, w), kernel_size, normalized
        self.shape = (channels, h, w)
        self.A = nn.Parameter(torch.empty(channels, channels, kernel_size, kernel_size, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty_like(self.A))
        if normalized:
            self.free_gain = nn.Parameter(torch.empty((), device=device, dtype=dtype))
            self.skew_gain = nn.Parameter(torch.empty((), device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw A and B anew; both gains are 1."""
        deviation = 0.5 / (math.sqrt(self.channels) * self.kernel_size)
        nn.init.normal_(self.A, std=deviation)
        nn.init.normal_(self.B, std=deviation)
        if self.normalized:
            nn.init.constant_(self.free_gain, math.log(math.expm1(1.0)))
            nn.init.ones_(self.skew_gain)

    def kernel(self) -> Tensor:
        """The kernel (c, c, 2k - 1, 2k - 1) of W as conv2d takes it, in ``solving_dtype``, differentiable in the parameters."""
        dtype, reach = self.solving_dtype, self.kernel_size - 1
        A, B, m = self.A.to(dtype), self.B.to(dtype), self.monotonicity.to(dtype)
        if self.normalized:
            A, B = direction(A), self.skew_gain.to(dtype) * direction(B)
        gram = gram_kernel(A)
        if self.normalized:
            gram = functional.softplus(self.free_gain.to(dtype)) * gram
        identity = (1.0 - m) * torch.eye(self.channels, device=A.device, dtype=dtype)
        skew = B - B.flip(2, 3).transpose(0, 1)
        return functional.pad(identity[:, :, None, None], (reach,) * 4) - gram + functional.pad(skew, (reach // 2,) * 4)

    def weights(self) -> tuple[Tensor, ...]:
        return (self.kernel(),)

    @abstractmethod
    def system(self, weights: tuple[Tensor, ...]) -> System: ...

    def _injection(self, channels: int, padding_mode: Literal["zeros", "circular"]) -> nn.Module:
        kernel, device, dtype = self.kernel_size, self.A.device, self.A.dtype
        return nn.Conv2d(
            channels, self.channels, kernel, padding=kernel // 2, padding_mode=padding_mode, device=device, dtype=dtype
        )

    def extra_repr(self) -> str:
        (h, w), m = self.resolution, self.certified_monotonicity
        return f"channels={self.channels}, size=({h}, {w}), kernel_size={self.kernel_size}, monotonicity={m:g}"


def direction(kernel: Tensor) -> Tensor:
    """Kernel/|kernel|_F without overflow; a zero kernel stays zero."""
    largest = kernel.detach().abs().amax()
    scaled = kernel / torch.where(largest > 0, largest, torch.ones_like(largest))
    square = scaled.square().sum()
    return scaled / torch.where(largest > 0, square, torch.ones_like(square)).sqrt()


def gram_kernel(A: Tensor) -> Tensor:
    """The kernel (c, c, 2k - 1, 2k - 1) of A'A, for a kernel (n, c, k, k)."""
    columns = A.transpose(0, 1)
    return functional.conv2d(columns, columns, padding=A.shape[-1] - 1).transpose(0, 1)
