"""Constants of I - W for convolutions, read off the symbols M(theta) = I - W(theta) of its kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import ConstantError
from monops_nn.systems.fourier import symbol
from monops_nn.systems.system import Spread

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


def _frobenius(matrices: Tensor) -> Tensor:
    """Frobenius norms of complex matrices (k, n, n), through their parts: torch's own norm of complex numbers is slow."""
    return torch.linalg.vector_norm(torch.view_as_real(matrices).flatten(1), dim=1)


def _column_norms(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(torch.view_as_real(vectors), dim=(-3, -1), keepdim=True).squeeze(-1)


def _largest_norm(matrices: Tensor) -> float:
    """A bound of the largest spectral norm of matrices (k, n, n), |(E*E)^2|_F^(1/4), at most n^(1/8) times too large."""
    scale = _frobenius(matrices).clamp(min=torch.finfo(matrices.dtype).tiny)
    scaled = matrices / scale[:, None, None]
    gram = torch.bmm(scaled.mH, scaled)
    rounding = 1.0 + 8.0 * matrices.shape[-1] * torch.finfo(matrices.dtype).eps
    return float((_frobenius(torch.bmm(gram, gram)) ** 0.25 * scale).amax()) * rounding


def norm_on_grid(kernel: Tensor, torus: tuple[int, int]) -> float:
    """A certified bound of |I - W| on the torus, and on every section of it.

    With E = I - W - s I, s the mean of its trace: |I - W|^2 <= s^2 + 2 s |sym E| + |E|^2.
    """
    M, factor = _coarse(kernel, torus, GRID)
    shift = float(torch.diagonal(M.real, dim1=-2, dim2=-1).mean().clamp(min=0.0))
    symmetric, whole = 0.0, 0.0
    for part in torch.split(M, max(1, CACHE // M[0].numel())):
        E = part - shift * _identity(kernel)
        symmetric, whole = max(symmetric, _largest_norm(0.5 * (E + E.mH))), max(whole, _largest_norm(E))
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
            raise ConstantError("the weight W contains NaN or infinity: lower the learning rate, or clip the gradient")
        inverse, info = torch.linalg.inv_ex(M)
        if bool(info.any()) or not bool(torch.isfinite(inverse).all()):
            raise ConstantError("I - W is singular, so that the equilibrium is not unique: use a parametrisation with m > 0")
        values = torch.linalg.eigvalsh(torch.stack((0.5 * (M + M.mH), 0.5 * (inverse + inverse.mH), M.mH @ M)))
        low, high = values[..., 0].amin(dim=1).tolist(), values[..., -1].amax(dim=1).tolist()
        least, cocoercivity = min(least, low[0]), min(cocoercivity, low[1])
        inverse_top, gram_top = max(inverse_top, high[1]), max(gram_top, high[2])
    rounding = 4.0 * (c + kernel.shape[2] * kernel.shape[3]) * torch.finfo(kernel.dtype).eps
    lipschitz = math.sqrt(max(gram_top, 0.0)) * (1.0 + rounding)
    mu = least - rounding * lipschitz
    if mu <= 0:
        raise ConstantError(
            f"I - W is not strongly monotone: lambda_min of its symmetric part is {least:.6g}, so that the equilibrium "
            f"need not exist or be unique; subtract at least {-mu:.3g} from the kernel's centre, or use CircularConvolution"
        )
    beta = max(cocoercivity - rounding * abs(inverse_top), mu / lipschitz**2)
    return Constants(
        min(mu, lipschitz),
        min(beta, 1.0 / lipschitz),
        lipschitz,
        affine=True,
        why={
            "strong_monotonicity": "computed: least eigenvalue of the symmetric part of I - W over all frequencies",
            "cocoercivity": "computed: least eigenvalue of the symmetric part of (I - W)^-1 over all frequencies",
            "lipschitz": "computed: largest singular value of I - W over all frequencies",
        },
    )
