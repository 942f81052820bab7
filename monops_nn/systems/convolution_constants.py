"""Constants of I - W for convolutions, read off the symbols M(theta) = I - W(theta) of its kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import ConstantError
from monops_nn.systems.certified import NOT_FINITE, certified_constants
from monops_nn.systems.fourier import symbol
from monops_nn.systems.system import Spread, norm_bound

GRID = 8  # points of a coarse grid for each unit of the reach of the kernel
CHUNK = 2**22  # entries of symbols whose eigenvalues are computed at once
CACHE = 2**17  # entries of symbols whose norms are computed at once
POWER_STEPS, POWER_VECTORS = 5, 4


def _identity(kernel: Tensor) -> Tensor:
    return torch.eye(kernel.shape[0], dtype=kernel.dtype, device=kernel.device)


def _coarse(kernel: Tensor, torus: tuple[int, int], grid: int) -> tuple[Tensor, float]:
    """Symbols of I - W on a coarse grid, and the largest factor by which a norm on the torus may exceed those on the grid.

    <x, M(theta) y> is a trigonometric polynomial of the degree r of the kernel's reach. Where its real part is largest, p, it
    stays above p cos(r t) at a distance t <= pi/r (M. Riesz 1914), and one of N points of a grid is not further than pi/N.
    """
    sizes, factor = [], 1.0
    for full, taps in zip(torus, kernel.shape[2:], strict=True):
        points = max(1, grid * (taps // 2))
        if points < full and taps > 1:
            factor /= math.cos(math.pi * (taps // 2) / points)
        sizes.append(min(points, full))
    return _identity(kernel) - symbol(kernel.detach(), (sizes[0], sizes[1])), factor


def _column_norms(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(torch.view_as_real(vectors), dim=(-3, -1), keepdim=True).squeeze(-1)


def norm_on_grid(kernel: Tensor, torus: tuple[int, int]) -> float:
    """A certified bound of |I - W| on the torus, and on every section of it.

    With E = I - W - s I, s the mean of its trace: |I - W|^2 <= s^2 + 2 s |sym E| + |E|^2.
    """
    M, factor = _coarse(kernel, torus, GRID)
    shift = float(torch.diagonal(M.real, dim1=-2, dim2=-1).mean().clamp(min=0.0))
    symmetric, whole = 0.0, 0.0
    for part in torch.split(M, max(1, CACHE // M[0].numel())):
        E = part - shift * _identity(kernel)
        symmetric, whole = max(symmetric, norm_bound(0.5 * (E + E.mH), 1)), max(whole, norm_bound(E, 1))
    bound = math.sqrt(shift**2 + 2.0 * shift * factor * symmetric + (factor * whole) ** 2)
    return bound * (1.0 + 8.0 * torch.finfo(kernel.dtype).eps)


def rough_spread(kernel: Tensor, torus: tuple[int, int], monotonicity: float) -> Spread:
    """Norms of the symmetric and the skew part by power iteration on a coarse grid."""
    M, _ = _coarse(kernel, torus, GRID // 2)
    parts = torch.stack((0.5 * (M + M.mH), 0.5 * (M - M.mH)))
    generator = torch.Generator().manual_seed(0)
    vectors = (
        torch.randn(M.shape[-1], POWER_VECTORS, dtype=torch.float64, generator=generator).to(M).expand(*parts.shape[:-1], -1)
    )
    norms = torch.ones(2)
    for _ in range(POWER_STEPS):
        vectors = parts @ (vectors / _column_norms(vectors).clamp(min=torch.finfo(M.dtype).tiny))
        norms = _column_norms(vectors).amax(dim=(1, 2, 3))
    symmetric, skew = norms.tolist()
    return Spread(min(monotonicity, symmetric), symmetric, skew)


def torus_constants(kernel: Tensor, torus: tuple[int, int]) -> Constants:
    """Mu, beta and L of I - W on the torus: extreme eigenvalues over all frequencies, rounded to the safe side."""
    c = kernel.shape[0]
    least, cocoercivity, inverse_top, gram_top = math.inf, math.inf, 0.0, 0.0
    symbols = symbol(kernel.detach(), torus)
    for part in torch.split(symbols, max(1, CHUNK // (c * c))):
        M = _identity(kernel) - part
        if not bool(torch.isfinite(M).all()):
            raise ConstantError(NOT_FINITE)
        inverse, info = torch.linalg.inv_ex(M)
        if bool(info.any()) or not bool(torch.isfinite(inverse).all()):
            raise ConstantError("I - W is singular, so that the equilibrium is not unique: use a parametrisation with m > 0")
        values = torch.linalg.eigvalsh(torch.stack((0.5 * (M + M.mH), 0.5 * (inverse + inverse.mH), M.mH @ M)))
        low, high = values[..., 0].amin(dim=1).tolist(), values[..., -1].amax(dim=1).tolist()
        least, cocoercivity = min(least, low[0]), min(cocoercivity, low[1])
        inverse_top, gram_top = max(inverse_top, high[1]), max(gram_top, high[2])
    rounding = 4.0 * (c + kernel.shape[2] * kernel.shape[3]) * torch.finfo(kernel.dtype).eps
    over, remedy = " over all frequencies", "CircularConvolution"
    return certified_constants(least, cocoercivity, inverse_top, gram_top, rounding, over=over, remedy=remedy)
