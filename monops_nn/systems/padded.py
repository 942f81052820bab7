"""W a convolution with zero padding, applied by conv2d: no torus, no border, no inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor
from torch.nn import functional

from monops.constants import Constants
from monops.errors import ShapeError
from monops_nn.systems.convolution_constants import norm_on_grid, rough_spread, torus_constants
from monops_nn.systems.system import Spread, System


@final
@dataclass(frozen=True, eq=False)
class PaddedSystem(System):
    """W z = conv2d(z, kernel) with zeros around z, kernel (c, c, odd, odd), the only entry of ``weights``.

    Parameters
    ----------
    weights : tuple of one tensor (c, c, rows, columns), float32 or float64
    monotonicity : float
        m > 0 with sym(I - W) >= m I.
    resolution : (int, int)
        h and w; rows are states (c, h, w), flat.

    Raises
    ------
    ShapeError
        When the kernel is not square in channels or even in extent, or the resolution is not positive.

    Notes
    -----
    **Constants** W is a section P W_torus P' of the circular convolution on a torus larger by the kernel's reach; the constants
    are those of that torus, so mu is a lower and L an upper bound, close for large h and w. **Cost** of a product: one conv2d,
    c^2 products an entry of the kernel and of the state. There is no resolvent.

    References
    ----------
    Winston and Kolter (2020); Böttcher and Grudsky (2005), Spectral properties of banded Toeplitz matrices, for sections.

    Examples
    --------
    >>> import torch
    >>> W = PaddedSystem((torch.full((1, 1, 1, 3), -1.0),), 1.0, (1, 4))
    >>> W.product(torch.arange(4.0)[None])
    tensor([[-1., -3., -6., -5.]])
    """

    resolution: tuple[int, int]

    def __post_init__(self) -> None:
        shape = tuple(self.weights[0].shape)
        if len(shape) != 4 or shape[0] != shape[1] or shape[2] % 2 == 0 or shape[3] % 2 == 0:
            raise ShapeError(f"PaddedSystem: the kernel must be (c, c, odd, odd), got shape {shape}")
        if min(self.resolution) < 1:
            raise ShapeError(f"PaddedSystem: the resolution must be positive, got {self.resolution}")

    @property
    def channels(self) -> int:
        """C, the number of channels."""
        return int(self.weights[0].shape[0])

    @property
    def size(self) -> int:
        return self.channels * self.resolution[0] * self.resolution[1]

    @property
    def has_resolvent(self) -> bool:
        return False

    @property
    def effort(self) -> tuple[float, float, float]:
        product = float(self.size * self.weights[0][0].numel())
        return (product, product, 0.0)

    @property
    def torus(self) -> tuple[int, int]:
        """The torus of whose convolution W is a section."""
        (h, w), reach = self.resolution, self._reach
        return (h + reach[0], w + reach[1])

    @property
    def _reach(self) -> tuple[int, int]:
        rows, columns = self.weights[0].shape[2:]
        return (rows // 2, columns // 2)

    def product(self, z: Tensor) -> Tensor:
        return functional.conv2d(self._states(z), self.weights[0], padding=self._reach).reshape(z.shape)

    def product_transposed(self, u: Tensor) -> Tensor:
        return functional.conv_transpose2d(self._states(u), self.weights[0], padding=self._reach).reshape(u.shape)

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        reach, shape = self._reach, self.weights[0].shape
        if not len(z):
            return (self.weights[0].new_zeros(shape),)
        swapped = self._states(z).transpose(0, 1), self._states(u).transpose(0, 1)
        return (functional.conv2d(*swapped, padding=reach).transpose(0, 1).reshape(shape),)

    def _states(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, self.channels, *self.resolution)

    def lipschitz_bound(self) -> float:
        return norm_on_grid(self.weights[0], self.torus)

    def spread(self) -> Spread:
        return rough_spread(self.weights[0], self.torus, self.monotonicity)

    def exact_constants(self) -> Constants:
        return torus_constants(self.weights[0], self.torus)
