"""Half spectra of states on a torus (h, w): frequencies f = (u, v), 0 <= u < h, 0 <= v <= w/2, flat in that order.

A spectrum is laid out (frequency, batch, channel), so that an operator with symbol (frequency, out, in) is one product of
batched matrices, and the way there and back is a transform and the transposition of one matrix. All of it is plain
differentiable torch code.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def frequencies(size: tuple[int, int]) -> int:
    """Number of frequencies of a half spectrum."""
    return size[0] * (size[1] // 2 + 1)


def to_spectrum(z: Tensor) -> Tensor:
    """Half spectrum (frequency, batch, channel) of real states (batch, channel, h, w)."""
    batch, channels = z.shape[:2]
    return torch.fft.rfftn(z, dim=(2, 3)).reshape(batch * channels, -1).t().contiguous().reshape(-1, batch, channels)


def from_spectrum(spectrum: Tensor, size: tuple[int, int]) -> Tensor:
    """The states (batch, channel, h, w) with this half spectrum."""
    batch, channels = spectrum.shape[1:]
    rows = spectrum.reshape(-1, batch * channels).t().contiguous()
    return torch.fft.irfftn(rows.reshape(batch, channels, size[0], size[1] // 2 + 1), s=size, dim=(2, 3))


@lru_cache(maxsize=64)
def multiplicity(size: tuple[int, int], dtype: torch.dtype = torch.float64, device: torch.device | None = None) -> Tensor:
    """How often each frequency of the half spectrum stands in the whole one, shape (frequency,): 1 or 2.

    <x, y> = sum_f multiplicity_f Re <X_f, Y_f> / (h w).
    """
    columns = torch.full((size[1] // 2 + 1,), 2.0, dtype=dtype, device=device)
    columns[0] = 1.0
    if size[1] % 2 == 0:
        columns[-1] = 1.0
    return columns.repeat(size[0])


@lru_cache(maxsize=64)
def tap_phases(
    size: tuple[int, int], kernel: tuple[int, int], dtype: torch.dtype, device: torch.device | None
) -> tuple[Tensor, Tensor]:
    """Cosine and sine, shape (frequency, taps), of 2 pi (u i/h + v j/w) for the tap at (i, j) from the centre."""
    (h, w), (rows, columns) = size, kernel
    i, j = torch.arange(rows) - rows // 2, torch.arange(columns) - columns // 2
    turn_i = torch.remainder(torch.arange(h)[:, None] * i, h).to(torch.float64) / h
    turn_j = torch.remainder(torch.arange(w // 2 + 1)[:, None] * j, w).to(torch.float64) / w
    angle = 2.0 * torch.pi * (turn_i[:, None, :, None] + turn_j[None, :, None, :]).reshape(-1, rows * columns)
    return angle.cos().to(device, dtype), angle.sin().to(device, dtype)


def symbol(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Symbol (frequency, out, in) of the circular conv2d with a kernel (out, in, odd, odd); taps beyond the torus wrap around.

    conv2d is a cross-correlation: the tap at (i, j) from the centre has symbol exp(2 pi i (u i/h + v j/w)). The symbol of the
    transposed operator is the conjugate transpose.
    """
    out, channels, rows, columns = kernel.shape
    cosine, sine = tap_phases(size, (rows, columns), kernel.dtype, kernel.device)
    taps = kernel.permute(2, 3, 0, 1).reshape(rows * columns, out * channels)
    return torch.complex(cosine @ taps, sine @ taps).reshape(-1, out, channels)


def kernel_cotangent(cotangent: Tensor, size: tuple[int, int], kernel: tuple[int, int]) -> Tensor:
    """The gradient in the kernel (out, in, *kernel) of Re sum_f <cotangent_f, symbol_f>, cotangent (frequency, out, in)."""
    out, channels = cotangent.shape[1:]
    flat = cotangent.reshape(cotangent.shape[0], -1)
    cosine, sine = tap_phases(size, kernel, flat.real.dtype, flat.device)
    return (cosine.t() @ flat.real + sine.t() @ flat.imag).reshape(*kernel, out, channels).permute(2, 3, 0, 1)


def multiply(symbols: Tensor, spectrum: Tensor) -> Tensor:
    """The operator with symbol (frequency, out, in) applied to a spectrum (frequency, batch, in)."""
    return torch.bmm(spectrum, symbols.mT)


def outer(left: Tensor, right: Tensor, size: tuple[int, int]) -> Tensor:
    """G (frequency, out, in) with <l, K r> = Re sum_f <G_f, symbol_f(K)> summed over the batch, from spectra of l and r."""
    weight = multiplicity(size, left.real.dtype, left.device) / (size[0] * size[1])
    return torch.bmm(left.mT, right.conj()) * weight[:, None, None]
