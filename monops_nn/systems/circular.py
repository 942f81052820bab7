"""W a circular convolution: one transform there and back and one complex matrix a frequency, for products and resolvents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import ShapeError
from monops_nn.systems.convolution_constants import norm_on_grid, rough_spread, torus_constants
from monops_nn.systems.fourier import convolve, correlate, inverse, symbol, symbol_transposed
from monops_nn.systems.system import Spread, System


@final
@dataclass(frozen=True, eq=False)
class CircularSystem(System):
    """W the circular convolution on a torus (h, w) with a kernel (c, c, odd, odd), the only entry of ``weights``.

    Rows are states (c, h, w), flat. The entry (i, j) of the kernel, counted from its centre, takes z at (x + i, y + j) to
    (x, y), as conv2d does; a kernel larger than the torus wraps around it.

    Parameters
    ----------
    weights : tuple of one tensor (c, c, rows, columns), float32 or float64
    monotonicity : float
        m > 0 with sym(I - W) >= m I.
    torus : (int, int)
        h and w, border included.
    ring : int, default 0
        Width of a border in which the state is held at 0.

    Raises
    ------
    ShapeError
        When the kernel is not square in channels or even in extent, or the ring leaves no interior.

    Notes
    -----
    **Constants** those of the whole torus, exact up to a rounding margin: extreme eigenvalues over all frequencies. The cheap
    bound of L samples the symbol on a grid of 16 points for a reach of 2. **Cost** of a product or a resolvent: h (w/2 + 1)
    complex products c x c with the batch; of a step size, as many inverses; of a gradient as of a product.

    References
    ----------
    Winston and Kolter (2020), section 4.2 and appendix on convolutional networks.

    Examples
    --------
    >>> import torch
    >>> W = CircularSystem((torch.full((1, 1, 1, 3), -1.0),), 1.0, (2, 4))
    >>> x = torch.arange(8.0)[None]
    >>> W.product(x)
    tensor([[ -4.,  -3.,  -6.,  -5., -16., -15., -18., -17.]])
    >>> bool(torch.allclose(W.resolvent(2 * x - W.product(x), 1.0), x, atol=1e-5))
    True
    """

    torus: tuple[int, int]
    ring: int = 0
    _inverses: dict[float, Tensor] = field(default_factory=dict, repr=False)
    _kept: list[Tensor] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        shape, (h, w) = tuple(self.weights[0].shape), self.torus
        if len(shape) != 4 or shape[0] != shape[1] or shape[2] % 2 == 0 or shape[3] % 2 == 0:
            raise ShapeError(f"CircularSystem: the kernel must be (c, c, odd, odd), got shape {shape}")
        if min(h, w) <= 2 * self.ring or self.ring < 0:
            raise ShapeError(f"CircularSystem: a ring of width {self.ring} leaves nothing of a torus {h} x {w}")

    @property
    def channels(self) -> int:
        """C, the number of channels."""
        return int(self.weights[0].shape[0])

    @property
    def size(self) -> int:
        return self.channels * self.torus[0] * self.torus[1]

    @property
    def mask(self) -> Tensor | None:
        if self.ring == 0:
            return None
        free = torch.zeros(self.channels, *self.torus, dtype=self.weights[0].dtype, device=self.weights[0].device)
        free[:, self.ring : -self.ring, self.ring : -self.ring] = 1.0
        return free.reshape(-1)

    @property
    def effort(self) -> tuple[float, float, float]:
        (h, w), c = self.torus, self.channels
        pairs = h * (w // 2 + 1)
        product = 4.0 * pairs * c * (c + 2 * h)
        return (product, product, 24.0 * pairs * c**3)

    def product(self, z: Tensor) -> Tensor:
        return self._apply(self._symbols(), z)

    def product_transposed(self, u: Tensor) -> Tensor:
        return self._apply(self._symbols().mH, u)

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        kernel = self.weights[0].shape[2:]
        if not len(z):
            return (torch.zeros_like(self.weights[0]),)
        return (symbol_transposed(correlate(self._states(u), self._states(z)), self.torus, (kernel[0], kernel[1])),)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        return self._apply(self._inverse(step), x)

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        return self._apply(self._inverse(step).mH, x)

    def _states(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, self.channels, *self.torus)

    def _apply(self, symbols: Tensor, rows: Tensor) -> Tensor:
        return convolve(symbols, self._states(rows)).reshape(rows.shape) if len(rows) else rows

    def _symbols(self) -> Tensor:
        """The symbols of W; kept, but anew for each derivative."""
        kernel = self.weights[0]
        if kernel.requires_grad and torch.is_grad_enabled():
            return symbol(kernel, self.torus)
        if not self._kept:
            self._kept.append(symbol(kernel, self.torus))
        return self._kept[0]

    def _inverse(self, step: float) -> Tensor:
        found = self._inverses.get(step)
        if found is None:
            identity = torch.eye(self.channels, dtype=self.weights[0].dtype, device=self.weights[0].device)
            found = inverse((1.0 + step) * identity - step * self._symbols().detach())
            self._inverses[step] = found
        return found

    def lipschitz_bound(self) -> float:
        return norm_on_grid(self.weights[0], self.torus)

    def spread(self) -> Spread:
        return rough_spread(self.weights[0], self.torus, self.monotonicity)

    def exact_constants(self) -> Constants:
        return torus_constants(self.weights[0], self.torus)
