"""Certified upper bounds of the norms of the linear maps that layers are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from monops_nn.systems.system import norm_bound

GRID = 16  # points for each unit of the reach of a kernel
EXACT = 1024  # rows or columns, whichever are fewer, up to which singular values are computed
SQUARINGS = 6  # a bound at most n^(1/256) times too large


def matrix_norm(matrix: Tensor) -> float:
    """The largest singular value of a matrix (m, n), rounded up; of a large one a bound of it."""
    if not matrix.numel():
        return 0.0
    matrix = matrix.detach().to(torch.float64)
    fewer = min(matrix.shape)
    if fewer > EXACT:
        return norm_bound(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.mT, SQUARINGS)
    rounding = 1.0 + 8.0 * max(matrix.shape) * torch.finfo(torch.float64).eps
    return float(torch.linalg.matrix_norm(matrix, 2)) * rounding


def convolution_norm(
    kernel: Tensor, size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], groups: int
) -> float:
    """A bound of the norm of a convolution with zeros around maps of this size (padding included), for one or two axes.

    With a stride s the maps are split into their phases x[s p + a]; from these to the output the convolution has stride 1 and
    the taps k[s q + a] (Vaidyanathan 1993, section 4.3). It is a section of the circular convolution on maps of the same size,
    whose norm is the largest of those of its symbols K(theta). <x, K(theta) y> is a trigonometric polynomial, its degree the
    reach r of the taps, so that the largest on a grid of N points is at least cos(pi r/N) of the largest (M. Riesz 1914).
    """
    kernel = kernel.detach().to(torch.float64)
    if kernel.ndim == 3:
        kernel, size, stride, dilation = kernel[:, :, None], (1, *size), (1, *stride), (1, *dilation)
    if not kernel.numel():
        return 0.0
    spread = [(taps - 1) * step + 1 for taps, step in zip(kernel.shape[2:], dilation, strict=True)]
    whole = kernel.new_zeros(*kernel.shape[:2], *(-(-taps // step) * step for taps, step in zip(spread, stride, strict=True)))
    whole[:, :, : spread[0] : dilation[0], : spread[1] : dilation[1]] = kernel
    outputs, inputs = kernel.shape[0] // groups, kernel.shape[1]
    s, t = stride
    split = whole.reshape(groups, outputs, inputs, whole.shape[2] // s, s, whole.shape[3] // t, t)
    phases = split.permute(0, 1, 2, 4, 6, 3, 5).reshape(groups, outputs, inputs * s * t, *split.shape[3::2])
    points, factor = [], 1.0
    for taps, extent, step in zip(phases.shape[3:], size, stride, strict=True):
        torus, grid, reach = -(-extent // step), max(1, GRID * (taps // 2)), taps // 2
        points.append(min(torus, grid))
        factor /= math.cos(math.pi * reach / grid) if grid < torus else 1.0
    symbols = torch.fft.rfft2(phases, s=points).movedim((-2, -1), (0, 1))
    return factor * norm_bound(symbols if outputs >= symbols.shape[-1] else symbols.mH, SQUARINGS)


def schur_norm(rows: Tensor, columns: Tensor) -> float:
    """A bound of a norm by sums of absolute values: the root of the largest of a row times that of a column (Schur 1911)."""
    rounding = 1.0 + 8.0 * max(rows.numel(), columns.numel()) * torch.finfo(torch.float64).eps
    return math.sqrt(float(rows.max()) * float(columns.max())) * rounding
