"""Half spectra of real states on a torus (h, w): frequencies (u, v), 0 <= u < h, 0 <= v <= w/2, flat in that order.

A spectrum has the shape (frequency, channel, batch), so that the operator with symbols (frequency, out, in) is their product.
In memory the batch comes before the channels: one transposition of a matrix leads there and back, and `multiply` keeps it so.
All of it is plain differentiable torch code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LONGEST = 96  # side of a torus up to which products with matrices are considered
ENTRIES_AT_ONCE = 2**22  # of states: larger temporaries cost more page faults than arithmetic, see `convolve`
SMALL = 12  # channels up to which matrices are inverted by LAPACK
MOST_SKEW = 5.0  # root mean square of the eigenvalues of the skew part, beyond which inverses need pivots

Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
    """(h, w); one number is a square."""
    return (size, size) if isinstance(size, int) else size


def _real(like: Tensor) -> torch.dtype:
    return like.real.dtype if like.is_complex() else like.dtype


def _by_matrices(h: int, w: int, device: torch.device) -> bool:
    """Whether products with matrices of exponentials are faster than fast transforms.

    Those are slow on a CPU where a side has a prime factor above 13, such as 34 = 2 * 17 pixels, an image of 32 with a border.
    """
    return device.type == "cpu" and max(h, w) <= LONGEST and max(_largest_prime(h), _largest_prime(w)) > 13


def _largest_prime(n: int) -> int:
    largest, factor = 1, 2
    while n > 1:
        while n % factor == 0:
            n, largest = n // factor, factor
        factor += 1
    return largest


def _angles(length: int, count: int) -> Tensor:
    """2 pi j v/length for 0 <= j < length and 0 <= v < count, reduced exactly to [0, 2 pi)."""
    return (
        2.0 * torch.pi / length * torch.remainder(torch.arange(length)[:, None] * torch.arange(count), length).to(torch.float64)
    )


def _columns(h: int, like: Tensor, sign: float) -> Tensor:
    """The matrix (h, h) of the transform of columns; sign -1, or 1 for the inverse times h."""
    angles = _angles(h, h)
    cosine, sine = angles.cos().to(like.device, _real(like)), angles.sin().to(like.device, _real(like))
    return torch.complex(cosine, sign * sine)


def _rows(w: int, like: Tensor) -> Tensor:
    """The matrix (w, 2 (w//2 + 1)) from a row to real and imaginary part, in turn, of its half spectrum."""
    angles = _angles(w, w // 2 + 1)
    return torch.stack((angles.cos(), -angles.sin()), dim=-1).reshape(w, -1).to(like.device, _real(like))


def _turned(matrix: Tensor) -> Tensor:
    """The transpose of a matrix, in memory order."""
    return matrix.t().contiguous()


def spectrum(z: Tensor) -> Tensor:
    """Half spectrum (frequency, channel, batch) of real states (batch, channel, h, w)."""
    batch, channels, h, w = z.shape
    if _by_matrices(h, w, z.device):
        halves = (z.reshape(-1, w) @ _rows(w, z)).reshape(batch * channels, -1, 2)
        flat = _columns(h, z, -1.0) @ _turned(torch.view_as_complex(halves)).reshape(h, -1)
    else:
        flat = _turned(torch.fft.rfftn(z, dim=(2, 3)).reshape(batch * channels, -1))
    return flat.reshape(-1, batch, channels).mT


def image(values: Tensor, size: Size) -> Tensor:
    """The real states (batch, channel, h, w) with this half spectrum (frequency, channel, batch)."""
    (h, w), (channels, batch) = pair(size), values.shape[1:]
    flat = values.mT.reshape(-1, batch * channels)
    if _by_matrices(h, w, values.device):
        halves = torch.view_as_real(_turned((_columns(h, flat, 1.0) @ flat.reshape(h, -1)).reshape(-1, batch * channels)))
        weights = spectrum_weights((h, w), flat)[: w // 2 + 1, 0].expand(-1, 2).reshape(-1, 1)
        return (halves.reshape(-1, len(weights)) @ (weights * _rows(w, flat).t())).reshape(batch, channels, h, w)
    return torch.fft.irfftn(_turned(flat).reshape(batch, channels, h, w // 2 + 1), s=(h, w), dim=(2, 3))


def multiply(symbols: Tensor, values: Tensor) -> Tensor:
    """The operator with symbols (frequency, out, in) applied to a spectrum (frequency, in, batch)."""
    return torch.bmm(values.mT, symbols.mT).mT


def convolve(symbols: Tensor, z: Tensor) -> Tensor:
    """The states (batch, out, h, w) that the operator with symbols (frequency, out, in) makes of z (batch, in, h, w)."""
    size = (z.shape[2], z.shape[3])
    parts = [image(multiply(symbols, spectrum(part)), size) for part in torch.split(z, rows_at_once(z))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def rows_at_once(z: Tensor) -> int:
    """Rows of a batch to transform together: on a CPU not more than fit the cache, and the pages an allocator keeps."""
    count = len(z)
    if z.device.type != "cpu" or count == 0:
        return max(count, 1)
    return math.ceil(count / math.ceil(z.numel() / ENTRIES_AT_ONCE))


def spectrum_weights(size: Size, like: Tensor) -> Tensor:
    """Weights (frequency, 1, 1), in the real precision of ``like``: <x, y> = sum over f of weight_f Re <X_f, Y_f>."""
    h, w = pair(size)
    columns = torch.full((w // 2 + 1,), 2.0, dtype=_real(like), device=like.device)
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
    parts = torch.view_as_real(flat.resolve_conj())
    cosine, sine = tap_phases(size, kernel, parts)
    flat = parts.flatten(1)
    taps = (cosine.t() @ flat)[:, 0::2] + (sine.t() @ flat)[:, 1::2]
    return taps.reshape(*kernel, out, channels).permute(2, 3, 0, 1)


def correlate(u: Tensor, z: Tensor) -> Tensor:
    """The gradient in the symbols (frequency, out, in) of <u, convolve(symbols, z)>."""
    count = rows_at_once(z)
    parts = list(zip(torch.split(u, count), torch.split(z, count), strict=True))
    total = torch.bmm(spectrum(parts[0][0]), spectrum(parts[0][1]).mH)
    for left, right in parts[1:]:
        total = torch.baddbmm(total, spectrum(left), spectrum(right).mH)
    return total * spectrum_weights((z.shape[2], z.shape[3]), total)


def inverse(symbols: Tensor) -> Tensor:
    """The inverses of matrices (frequency, n, n) whose symmetric parts are at least the identity."""
    return torch.cat([_inverse(part) for part in torch.split(symbols, max(1, ENTRIES_AT_ONCE // (4 * symbols[0].numel())))])


def _inverse(M: Tensor) -> Tensor:
    """By halves on a CPU, which takes half the time of LAPACK, unless the skew part is so large that pivoting is needed.

    Golub and Van Loan (1979) bound the growth without pivoting by the skew part; up to ``MOST_SKEW`` no digit is lost.
    """
    if M.device.type == "cpu" and not torch.compiler.is_compiling():
        skew = torch.linalg.vector_norm(torch.view_as_real(0.5 * (M - M.mH)).flatten(1), dim=1).amax()
        if bool(skew <= MOST_SKEW * math.sqrt(M.shape[-1])):
            return _inverse_by_halves(M)
    return torch.linalg.inv_ex(M)[0]


def _inverse_by_halves(M: Tensor) -> Tensor:
    """From the inverse of the corner A and of its Schur complement S = D - C A^-1 B; almost all of it is products.

    S has a positive definite symmetric part too: S^-1 is a corner of M^-1, and sym(M^-1) = M^-1 sym(M) M^-H.
    """
    if M.shape[-1] <= SMALL:
        return torch.linalg.inv_ex(M)[0]
    k = M.shape[-1] // 2
    B, C, D = M[:, :k, k:], M[:, k:, :k], M[:, k:, k:]
    corner = _inverse_by_halves(M[:, :k, :k])
    right, left = torch.bmm(corner, B), torch.bmm(C, corner)
    schur = _inverse_by_halves(torch.baddbmm(D, C, right, alpha=-1.0))
    below = torch.bmm(schur, left)
    top = torch.cat((torch.baddbmm(corner, right, below), torch.bmm(right, -schur)), dim=2)
    return torch.cat((top, torch.cat((-below, schur), dim=2)), dim=1)
