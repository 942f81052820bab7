"""Half spectra of real states on a torus (h, w): frequencies (u, v), 0 <= u < h, 0 <= v <= w/2, flat in that order.

A spectrum has the shape (frequency, channel, batch), so that the operator with symbols (frequency, out, in) is their product.
In memory the batch comes before the channels: one transposition of a matrix leads there and back, and `multiply` keeps it so.
All of it is plain differentiable torch code.
"""

from __future__ import annotations

import torch
from torch import Tensor

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """(h, w); one number is a square."""
    return (size, size) if isinstance(size, int) else size


def spectrum(z: Tensor) -> Tensor:
    """Half spectrum (frequency, channel, batch) of real states (batch, channel, h, w)."""
    batch, channels = z.shape[:2]
    flat = torch.fft.rfftn(z, dim=(2, 3)).reshape(batch * channels, -1)
    return flat.t().contiguous().reshape(-1, batch, channels).mT


def image(values: Tensor, size: Size) -> Tensor:
    """The real states (batch, channel, h, w) with this half spectrum (frequency, channel, batch)."""
    (h, w), (channels, batch) = pair(size), values.shape[1:]
    flat = values.mT.reshape(-1, batch * channels).t().contiguous()
    return torch.fft.irfftn(flat.reshape(batch, channels, h, w // 2 + 1), s=(h, w), dim=(2, 3))


def multiply(symbols: Tensor, values: Tensor) -> Tensor:
    """The operator with symbols (frequency, out, in) applied to a spectrum (frequency, in, batch)."""
    return torch.bmm(values.mT, symbols.mT).mT


def spectrum_weights(size: Size, like: Tensor) -> Tensor:
    """Weights (frequency, 1, 1), in the real precision of ``like``: <x, y> = sum over f of weight_f Re <X_f, Y_f>."""
    h, w = pair(size)
    columns = torch.full((w // 2 + 1,), 2.0, dtype=like.real.dtype if like.is_complex() else like.dtype, device=like.device)
    columns[0] = 1.0
    if w % 2 == 0:
        columns[-1] = 1.0
    return (columns / (h * w)).repeat(h)[:, None, None]


def tap_phases(size: Size, kernel: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine, shape (frequency, taps), of 2 pi (u i/h + v j/w) for the tap at (i, j) from the centre."""
    (h, w), (rows, columns) = pair(size), kernel
    i, j = torch.arange(rows) - rows // 2, torch.arange(columns) - columns // 2
    down = torch.remainder(torch.arange(h)[:, None] * i, h).to(torch.float64) / h
    right = torch.remainder(torch.arange(w // 2 + 1)[:, None] * j, w).to(torch.float64) / w
    angle = 2.0 * torch.pi * (down[:, None, :, None] + right[None, :, None, :]).reshape(-1, rows * columns)
    return angle.cos().to(like), angle.sin().to(like)


def symbol(kernel: Tensor, size: Size) -> Tensor:
    """Symbols (frequency, out, in) of the circular conv2d with a kernel (out, in, odd, odd); taps beyond the torus wrap around.

    conv2d is a cross-correlation: the tap at (i, j) from the centre has the symbol exp(2 pi i (u i/h + v j/w)). The symbols of
    the transposed operator are the conjugate transposes.
    """
    out, channels, rows, columns = kernel.shape
    cosine, sine = tap_phases(size, (rows, columns), kernel)
    taps = kernel.permute(2, 3, 0, 1).reshape(rows * columns, out * channels)
    return torch.complex(cosine @ taps, sine @ taps).reshape(-1, out, channels)


def symbol_transposed(cotangent: Tensor, size: Size, kernel: tuple[int, int]) -> Tensor:
    """The gradient in a kernel (out, in, *kernel) of the sum over f of Re <cotangent_f, symbol_f>."""
    out, channels = cotangent.shape[1:]
    flat = cotangent.reshape(cotangent.shape[0], -1)
    cosine, sine = tap_phases(size, kernel, flat.real)
    return (cosine.t() @ flat.real + sine.t() @ flat.imag).reshape(*kernel, out, channels).permute(2, 3, 0, 1)


def outer(left: Tensor, right: Tensor, size: Size) -> Tensor:
    """G (frequency, out, in) with sum over f of Re <G_f, K_f> = <l, K r>, from the spectra of l and r."""
    return torch.bmm(left, right.mH) * spectrum_weights(size, left)
