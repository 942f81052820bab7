"""W as circular convolutions."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from monops.errors import DataError
from monops_nn.parametrize.convolution import Convolution
from monops_nn.systems.circular import CircularSystem


@final
class CircularConvolution(Convolution):
    """W = (1 - m) I - g A'A/|A|^2 + h (B - B')/|B|, A and B circular convolutions, |.| the Frobenius norm of a kernel.

    Parameters
    ----------
    channels : int
        c, the maps of a state (c, height, width).
    size : int or (int, int)
        Height and width of a state, at least ``kernel_size``; one number is a square.
    kernel_size : int, default 3
        k, odd: the extent of A and B.
    monotonicity : float, default 1.0
        m > 0.
    learn_monotonicity : bool, default False
        Whether m is a parameter, softplus of a free number.
    normalized : bool, default True
        Whether A and B are divided by their norms and have the learned gains g > 0, softplus of a free number, and h, of any
        sign; both start at 1. Else W = (1 - m) I - A'A + B - B'. A kernel that is 0 stays 0.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        When a size is no positive integer, the kernel is even or larger than the torus, or m is not positive and finite.

    Notes
    -----
    **Start** entries of A and B are normal with standard deviation 1/(2 k sqrt(c)), for which the norms of the operators A
    and B are about 1. **Cost** of W: its kernel of extent 2k - 1, one conv2d of the kernel A with itself. See `CircularSystem`.

    References
    ----------
    Winston and Kolter (2020), section 4.2.

    Examples
    --------
    >>> import torch
    >>> linear = CircularConvolution(2, (4, 5), monotonicity=0.5)
    >>> linear(torch.ones(3, 2, 4, 5)).shape
    torch.Size([3, 2, 4, 5])
    >>> bool(linear.current_system().exact_constants().strong_monotonicity > 0.499)
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
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        arguments = (channels, size, kernel_size, monotonicity, learn_monotonicity)
        super().__init__(*arguments, normalized=normalized, device=device, dtype=dtype)
        if kernel_size > min(self.resolution):
            raise DataError(
                f"kernel_size={kernel_size} exceeds the torus {self.resolution}: use a smaller kernel, or PaddedConvolution"
            )

    def system(self, weights: tuple[Tensor, ...]) -> CircularSystem:
        return CircularSystem(weights, self.certified_monotonicity, self.resolution)

    def default_injection(self, channels: int) -> nn.Module:
        return self._injection(channels, "circular")
