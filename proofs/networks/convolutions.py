"""Theorem on convolutions by their symbols, zero padding by a border, and tiers by completing the square: NN-14."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from monops_nn import CircularConvolution, MultiTierConvolution, PaddedConvolution
from monops_nn.systems import CircularSystem
from proofs.networks.instances import Array
from proofs.ratios import farthest, norm, quotient
from proofs.theorem import Counterexample, Mutant, Theorem

F64 = torch.float64
ROUNDING = 1e-12


def drawn(module: Any, generator: np.random.Generator, integers: bool = False) -> Any:
    """The parametrisation with normal parameters, or small integers."""
    with torch.no_grad():
        for parameter in module.parameters():
            size = tuple(parameter.shape)
            values = generator.integers(-2, 3, size) if integers else generator.standard_normal(size)
            parameter.copy_(torch.as_tensor(np.asarray(values, dtype=float)))
    return module


# ---- one torus -------------------------------------------------------------------------------------


def toeplitz(kernel: Array, h: int, w: int) -> Array:
    """The matrix of the circular conv2d with a kernel (c, c, odd, odd), tap by tap."""
    c, _, rows, columns = kernel.shape
    found = np.zeros((c, h, w, c, h, w))
    for i, j, x, y in np.ndindex(rows, columns, h, w):
        found[:, x, y, :, (x + i - rows // 2) % h, (y + j - columns // 2) % w] += kernel[:, :, i, j]
    return found.reshape(c * h * w, c * h * w)


def torus_ratio(kernel: Array, torus: tuple[int, int]) -> float:
    """W, lambda_min(sym(I - W)) and |I - W| by the frequencies against those of the matrix: the worst ratio."""
    system, W = CircularSystem((torch.as_tensor(kernel),), 1.0, torus), toeplitz(kernel, *torus)
    known, M = system.exact_constants(), np.eye(len(W)) - W
    least = float(np.linalg.eigvalsh(0.5 * (M + M.T))[0])
    return max(
        float(np.abs(system.dense().numpy() - W).max()) / (ROUNDING * norm(M)),
        float(known.strong_monotonicity) / (least + ROUNDING * norm(M)),
        norm(M) / float(known.lipschitz) - ROUNDING,
    )


def circular_sample(generator: np.random.Generator) -> float:
    """W = (1 - m)I - A'A + B - B' with integer kernels A and B, so that the matrix is exact."""
    torus = (int(generator.integers(3, 6)), int(generator.integers(3, 6)))
    linear = CircularConvolution(int(generator.integers(1, 3)), torus, 3, normalized=False, dtype=F64)
    return torus_ratio(drawn(linear, generator, integers=True).kernel().detach().numpy(), torus)


# ---- zero padding ----------------------------------------------------------------------------------


def padded_product(linear: PaddedConvolution, z: Tensor) -> Tensor:
    """(1 - m)z - A'Az + Bz - B'z with zeros around z, A to all the pixels that it reaches, from the definition."""
    A, B, r = linear.A, linear.B, linear.kernel_size // 2
    square = functional.conv_transpose2d(functional.conv2d(z, A, padding=2 * r), A, padding=2 * r)
    skew = functional.conv2d(z, B, padding=r) - functional.conv_transpose2d(z, B, padding=r)
    return (1.0 - linear.monotonicity) * z - square + skew


def padding_ratio(generator: np.random.Generator, border: bool = True) -> float:
    """Error of W on the torus with a border (or without) as the convolution with zero padding, over rounding."""
    k, size = int(generator.choice([3, 5])), (int(generator.integers(3, 6)), int(generator.integers(3, 6)))
    linear = drawn(PaddedConvolution(int(generator.integers(1, 3)), size, k, 0.5, normalized=False, dtype=F64), generator)
    z = torch.as_tensor(generator.standard_normal((1, *linear.shape)))
    with torch.no_grad():
        expected = padded_product(linear, z)
        found = linear(z) if border else CircularSystem(linear.weights(), 0.5, size).product(z.flatten(1)).reshape(z.shape)
    return float((found - expected).abs().max()) / (ROUNDING * (1 + float(expected.abs().max())))


# ---- tiers -----------------------------------------------------------------------------------------

BEYOND = 3  # pixels around every tier that are looked at: more than any kernel here reaches


def squares(linear: MultiTierConvolution, z: tuple[Tensor, ...]) -> list[Tensor]:
    """A_ii z_i + A_{i,i-1} z_{i-1} for every tier, on all pixels from -BEYOND on, from the definition."""
    A, _, down = linear.kernels()
    r, found = linear.kernel_size // 2, []
    for i, (kernel, state) in enumerate(zip(A, z, strict=True)):
        count = state.shape[-1] + 2 * BEYOND
        value = functional.conv2d(functional.pad(state, (BEYOND + r,) * 4), kernel)
        if i > 0:  # pixel p looks at the pixels around 2p + r, the first of which is 2p
            before, after = 2 * BEYOND, 2 * count
            wide = functional.pad(z[i - 1], (before, after, before, after))
            value = value + functional.conv2d(wide, down[i - 1], stride=2)[:, :, :count, :count]
        found.append(value)
    return found


def tier_ratio(linear: MultiTierConvolution, z: tuple[Tensor, ...], less: float = 0.0, cross: float = 2.0) -> float:
    """The greater of m |z|^2/<z, (I - W)z> and the error of the completed square over rounding.

    ``less`` times |A_21 z_1|^2 is taken from <z, (I - W)z>, and -2 A_22'A_21 is replaced by - ``cross`` A_22'A_21.
    """
    with torch.no_grad():
        system, rows = linear.current_system(), linear.enter(z)
        value = float((rows * (rows - system.product(rows))).sum())
        parts, m = squares(linear, z), float(linear.monotonicity)
        if less or cross != 2.0:
            own = squares(linear, (torch.zeros_like(z[0]), *z[1:]))[1]
            value += (cross - 2.0) * float((own * (parts[1] - own)).sum()) - less * float((parts[1] - own).square().sum())
        least = m * sum(float(part.square().sum()) for part in z)
        total = least + sum(float(part.square().sum()) for part in parts)
    identity = 0.0 if less or cross != 2.0 else abs(value - total) / (ROUNDING * total)
    return max(identity, np.inf if value <= 0 else quotient(least, value, total))


def transpose_ratio(linear: MultiTierConvolution, generator: np.random.Generator) -> float:
    """Resolvents of W and of W' against their equations, and <Wx, y> against <x, W'y>, over rounding."""
    with torch.no_grad():
        system = linear.current_system()
        x, y = (torch.as_tensor(generator.standard_normal((1, system.size))) for _ in range(2))
        step = float(10 ** generator.uniform(-1, 1))
        p, q = system.resolvent(x, step), system.resolvent_transposed(y, step)
        size = ROUNDING * float(x.norm() * y.norm()) * (1 + step) * system.lipschitz_bound()
        errors = (
            (1 + step) * p - step * system.product(p) - x,
            (1 + step) * q - step * system.product_transposed(q) - y,
            ((system.product(x) * y).sum() - (x * system.product_transposed(y)).sum()),
        )
    return max(float(error.abs().max()) for error in errors) / size


def tier_sample(generator: np.random.Generator) -> float:
    """Two or three tiers, odd sizes too: the completed square, and the transposed resolvent."""
    channels = [int(n) for n in generator.integers(1, 3, int(generator.integers(2, 4)))]
    size, m = int(generator.integers(4, 8)), float(generator.uniform(0.1, 1.0))
    linear = drawn(MultiTierConvolution(channels, size, 3, m, dtype=F64), generator)
    z = tuple(torch.as_tensor(generator.standard_normal((1, *shape))) for shape in linear.shape)
    return max(tier_ratio(linear, z), transpose_ratio(linear, generator))


def nn14_sample(generator: np.random.Generator) -> float:
    """A torus, zero padding, or tiers."""
    return (circular_sample, padding_ratio, tier_sample)[int(generator.integers(3))](generator)


# ---- NN-14 -----------------------------------------------------------------------------------------


def attaining(m: float = 0.5) -> tuple[MultiTierConvolution, tuple[Tensor, Tensor]]:
    """Two tiers with A_11 = B = 0, A_22 = I and A_21 the choice of odd pixels: z_2 = -A_21 z_1 makes all squares vanish."""
    linear = MultiTierConvolution((1, 1), 4, 3, m, dtype=F64)
    with torch.no_grad():
        for kernel in (*linear.A, *linear.B, *linear.down):
            kernel.zero_()
        for kernel in (linear.A[1], linear.down[0]):
            kernel[0, 0, 1, 1] = 1.0
    fine = torch.arange(1.0, 17.0, dtype=F64).reshape(1, 1, 4, 4)
    return linear, (fine, -fine[:, :, 1::2, 1::2])


def nn14_extremal() -> float:
    """Both constants of an integer kernel, from its frequencies, are those of the matrix; and the squares may all vanish."""
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0] = [[0.0, 1.0, 0.0], [-2.0, -4.0, 2.0], [0.0, -1.0, 0.0]]
    system, W = CircularSystem((torch.as_tensor(kernel),), 1.0, (3, 4)), toeplitz(kernel, 3, 4)
    known, M = system.exact_constants(), np.eye(12) - W
    least = float(np.linalg.eigvalsh(0.5 * (M + M.T))[0])
    return farthest(float(known.strong_monotonicity) / least, norm(M) / float(known.lipschitz), tier_ratio(*attaining()))


BORDER = "the state is a torus, or has a border of width (k - 1)/2"
STRIDED = "W_ii contains - A_{i+1,i}'A_{i+1,i}"

NN14 = Theorem(
    "NN-14",
    "convolutions by symbols, zero padding by a border, tiers by completing the square",
    "circular conv2d with kernel k has the symbol sum k_ij exp(2 pi i(u i/h + v j/w)), W = (1 - m)I - A'A + B - B' the "
    "symbols (1 - m)I - A^*A^ + B^ - B^*, and lambda_min(sym(I - W)), |I - W| are extremes over the frequencies; on images "
    "with a border of zeros of width (k - 1)/2 it is zero padding; tiers with W_ii = (1 - m)I - A_ii'A_ii - "
    "A_{i+1,i}'A_{i+1,i} + B_ii - B_ii', W_{i+1,i} = -2 A_{i+1,i+1}'A_{i+1,i}: <z, (I - W)z> = m |z|^2 + sum |A_ii z_i + "
    "A_{i,i-1} z_{i-1}|^2 >= m |z|^2",
    "Winston and Kolter (2020), section 4.2 and the appendix on convolutional networks; the width of the border is derived",
    (BORDER, STRIDED),
    (
        "CircularConvolution",
        "CircularSystem.exact_constants",
        "PaddedConvolution",
        "MultiTierConvolution",
        "TierSystem.resolvent",
    ),
    nn14_sample,
    nn14_extremal,
    (
        Counterexample(
            BORDER, "a torus without border: the opposite edge is seen", lambda: padding_ratio(np.random.default_rng(0), False)
        ),
        Counterexample(STRIDED, "the same tiers without it: the margin is lost", lambda: tier_ratio(*attaining(), less=1.0)),
    ),
    (
        Mutant("1.001 m |z|^2", lambda: 1.001 * nn14_extremal()),
        Mutant("-4 A_22'A_21 below the diagonal for -2", lambda: tier_ratio(*attaining(), cross=4.0)),
        Mutant(
            "taps the other way round, the symbol conjugated",
            lambda: float(
                np.abs(
                    toeplitz(np.arange(9.0).reshape(1, 1, 3, 3), 3, 4)
                    - CircularSystem((torch.arange(9.0, dtype=F64).flip(0).reshape(1, 1, 3, 3),), 1.0, (3, 4)).dense().numpy()
                ).max()
                / ROUNDING
            ),
        ),
    ),
)

THEOREMS = (NN14,)
