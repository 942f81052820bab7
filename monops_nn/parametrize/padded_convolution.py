"""W as convolutions with zero padding."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError
from monops_nn.parametrize.convolution import Convolution
from monops_nn.systems.circular import CircularSystem
from monops_nn.systems.padded import PaddedSystem

Inverse = Literal["fft"] | None


@final
class PaddedConvolution(Convolution):
    """W = (1 - m) I - g A'A/|A|^2 + h (B - B')/|B|, A and B convolutions with zero padding, |.| the norm of a kernel.

    A maps a state with zeros around it to all pixels that it reaches, a border of (k - 1)/2 included, so that A'A is a
    convolution with zero padding too.

    Parameters
    ----------
    channels : int
        c, the maps of a state (c, height, width).
    size : int or (int, int)
        Height and width of a state; one number is a square.
    kernel_size : int, default 3
        k, odd: the extent of A and B.
    monotonicity : float, default 1.0
        m > 0.
    learn_monotonicity : bool, default False
        Whether m is a parameter, softplus of a free number.
    normalized : bool, default True
        Whether A and B are divided by their norms and have the learned gains g > 0, softplus of a free number, and h, of any
        sign; both start at 1. Else W = (1 - m) I - A'A + B - B'. A kernel that is 0 stays 0.
    inverse : "fft" or None, default "fft"
        "fft": the solver's rows have a border of width (k - 1)/2, held at 0, on a torus, so that resolvents are cheap. None: no
        border and no resolvent, W by conv2d, for methods that need only products. W is the same.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        When a size is no positive integer, the kernel is even, the inverse unknown, or m is not positive and finite.

    Notes
    -----
    **Start** as `CircularConvolution`. **Cost** that of `CircularSystem` or `PaddedSystem`. On the torus
    copies of the image are k - 1 pixels apart, as far as A'A reaches, so that on the interior W pads with zeros.

    References
    ----------
    Winston and Kolter (2020), appendix on convolutional networks.

    Examples
    --------
    >>> import torch
    >>> linear = PaddedConvolution(2, 4, inverse=None)
    >>> other = PaddedConvolution(2, 4)
    >>> _ = other.load_state_dict(linear.state_dict())
    >>> z = torch.ones(1, 2, 4, 4)
    >>> bool(torch.allclose(linear(z), other(z), atol=1e-6))
    True
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
        inverse: Inverse = "fft",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if inverse is not None and inverse != "fft":
            raise DataError(f'inverse={inverse!r} must be "fft" or None')
        arguments = (channels, size, kernel_size, monotonicity, learn_monotonicity)
        super().__init__(*arguments, normalized=normalized, device=device, dtype=dtype)
        self.inverse = inverse

    @property
    def ring(self) -> int:
        """Width of the border of the solver's rows."""
        return 0 if self.inverse is None else self.kernel_size // 2

    @property
    def rows_shape(self) -> tuple[int, ...]:
        (h, w), ring = self.resolution, self.ring
        return (self.channels, h + 2 * ring, w + 2 * ring)

    def system(self, weights: tuple[Tensor, ...]) -> CircularSystem | PaddedSystem:
        if self.inverse is None:
            return PaddedSystem(weights, self.certified_monotonicity, self.resolution)
        _, h, w = self.rows_shape
        return CircularSystem(weights, self.certified_monotonicity, (h, w), self.ring)

    def enter(self, state: Tensor) -> Tensor:
        return functional.pad(state, (self.ring,) * 4).flatten(1)

    def leave(self, rows: Tensor) -> Tensor:
        (h, w), ring = self.resolution, self.ring
        return rows.reshape(rows.shape[0], *self.rows_shape)[:, :, ring : ring + h, ring : ring + w]

    def default_injection(self, channels: int) -> nn.Module:
        return self._injection(channels, "zeros")

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, inverse={self.inverse!r}"
