"""Tiers of images at falling resolutions, coupled in both directions: W by convolutions, no inverse."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from monops.constants import Constants
from monops_nn.systems.dense import DenseSystem
from monops_nn.systems.fourier import symbol
from monops_nn.systems.system import Spread, System, norm_bound

DENSE_SIZE = 600  # rows up to this size get exact constants, from the matrix
GRID = 16  # frequencies a side for each unit of the degree of a symbol
SQUARINGS = 4  # of the matrices whose norms are bounded


@dataclass(frozen=True)
class TierShape:
    """One tier: maps of height x width entries."""

    channels: int
    height: int
    width: int

    @property
    def entries(self) -> int:
        """Entries of the tier in a row."""
        return self.channels * self.height * self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """The tier as the user sees it."""
        return (self.channels, self.height, self.width)


def tier_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs (fine, coarse) of tiers that are not neighbours, in the order of the weights."""
    return [(i, j) for i, j in itertools.combinations(range(count), 2) if j > i + 1]


@final
@dataclass(frozen=True, eq=False)
class FeedbackTierSystem(System):
    """W = K - A'A + B - B' over tiers, K + K' = 2 (1 - m) I, A lower bidiagonal, B strictly lower in blocks of tiers.

    A block from tier i to a coarser tier j is a convolution with stride 2^(j - i), its transpose leads back. ``weights`` holds,
    in this order, kernels (out, in, odd, odd) as conv2d takes them: for each tier K_i above A_ii (2 n_i, n_i, k, k); for
    neighbours A_{i+1,i} above B_{i+1,i} (2 n_{i+1}, n_i, k, k); for every other pair of `tier_pairs` B_ji.

    Parameters
    ----------
    weights : tuple of tensors, float32 or float64
    monotonicity : float
        m > 0 with sym(I - W) >= m I.
    tiers : tuple of TierShape
        Sides fall by halves, rounded up.

    Notes
    -----
    **Constants** <z, (I - W) z> = m |z|^2 + |A z|^2 exactly, so mu = m. L <= m + |A|^2 + |K - (1 - m) I + B - B'|: both norms
    are at most those of the matrices of norms of blocks, and the norm of a block, a section of a convolution on the plane, is
    bounded by its symbol; that of a strided convolution C by the symbol of C C', whose kernel is every 2^d-th tap of a
    correlation. Up to 600 entries a row, mu, beta and L are exact, from the matrix. **Cost** of a product: three convolutions a
    tier, four strided ones for neighbours and two for every other pair. There is no resolvent.

    References
    ----------
    Winston and Kolter (2020), for W = (1 - m) I - A'A + B - B' and tiers without feedback.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.parametrize.feedback_tiers import FeedbackTiers
    >>> W = FeedbackTiers((1, 2), 4).current_system()
    >>> z, u = torch.ones(1, W.size), torch.arange(float(W.size))[None]
    >>> bool(torch.isclose((u * W.product(z)).sum(), (z * W.product_transposed(u)).sum(), atol=1e-4))
    True
    """

    tiers: tuple[TierShape, ...] = ()

    @property
    def size(self) -> int:
        return sum(tier.entries for tier in self.tiers)

    @property
    def has_resolvent(self) -> bool:
        return False

    @property
    def effort(self) -> tuple[float, float, float]:
        pixels = [tier.height * tier.width for tier in self.tiers]
        own = sum(1.5 * weight.numel() * p for weight, p in zip(self._own, pixels, strict=True))
        near = sum(2.0 * weight.numel() * p for weight, p in zip(self._near, pixels[1:], strict=True))
        far = sum(2.0 * weight.numel() * pixels[j] for (_, j), weight in self._far)
        return (own + near + far, own + near + far, 0.0)

    @property
    def _own(self) -> tuple[Tensor, ...]:
        return self.weights[: len(self.tiers)]

    @property
    def _near(self) -> tuple[Tensor, ...]:
        count = len(self.tiers)
        return self.weights[count : 2 * count - 1]

    @property
    def _far(self) -> list[tuple[tuple[int, int], Tensor]]:
        count = len(self.tiers)
        return list(zip(tier_pairs(count), self.weights[2 * count - 1 :], strict=True))

    def _parts(self, rows: Tensor) -> list[Tensor]:
        """The tiers of rows, as images."""
        parts = torch.split(rows, [tier.entries for tier in self.tiers], dim=-1)
        return [part.reshape(-1, *tier.shape) for part, tier in zip(parts, self.tiers, strict=True)]

    def _back(self, image: Tensor, kernel: Tensor, fine: TierShape, stride: int) -> Tensor:
        """The transpose of conv2d with this stride, from images of tier ``fine``."""
        rest = tuple((side - 1) % stride for side in (fine.height, fine.width))
        padding = _padding(kernel)
        return functional.conv_transpose2d(image, kernel, stride=stride, padding=padding, output_padding=rest)

    def product(self, z: Tensor) -> Tensor:
        return self._apply(z, 1.0)[0]

    def product_transposed(self, u: Tensor) -> Tensor:
        return self._apply(u, -1.0)[0]

    def _apply(self, rows: Tensor, sign: float) -> tuple[Tensor, list[Tensor]]:
        """W z for sign 1, W' z for -1 (K and B transposed), beside A z."""
        z, out, y = self._parts(rows), [], []
        below: tuple[Tensor, ...] = ()
        for i, own in enumerate(self._own):
            n = self.tiers[i].channels
            if sign > 0:
                K_z, A_z = torch.split(functional.conv2d(z[i], own, padding=_padding(own)), n, dim=1)
            else:
                A_z = functional.conv2d(z[i], own[n:], padding=_padding(own))
                K_z = functional.conv_transpose2d(z[i], own[:n], padding=_padding(own))
            if i:
                A_z, K_z = A_z + below[0], K_z + sign * below[1]
            if i < len(self._near):
                near = self._near[i]
                below = functional.conv2d(z[i], near, stride=2, padding=_padding(near)).chunk(2, dim=1)
            y.append(A_z)
            out.append(K_z - functional.conv_transpose2d(A_z, own[n:], padding=_padding(own)))
        for i, near in enumerate(self._near):
            out[i] = out[i] - self._back(torch.cat((y[i + 1], sign * z[i + 1]), dim=1), near, self.tiers[i], 2)
        for (i, j), far in self._far:
            stride = 2 ** (j - i)
            out[j] = out[j] + sign * functional.conv2d(z[i], far, stride=stride, padding=_padding(far))
            out[i] = out[i] - sign * self._back(z[j], far, self.tiers[i], stride)
        return torch.cat([part.flatten(1) for part in out], dim=-1), y

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        if not len(z):
            return tuple(torch.zeros_like(weight) for weight in self.weights)
        Az, Au = self._apply(z, 1.0)[1], self._apply(u, 1.0)[1]
        z_parts, u_parts = self._parts(z), self._parts(u)
        both = [torch.cat((a, b)) for a, b in zip(z_parts, u_parts, strict=True)]
        found = []
        for i, own in enumerate(self._own):
            left = torch.cat((u_parts[i], -Au[i]), dim=1), torch.cat((torch.zeros_like(Az[i]), -Az[i]), dim=1)
            found.append(_kernel_gradient(both[i], torch.cat(left), own, 1))
        for i, near in enumerate(self._near):
            left = torch.cat((-Au[i + 1], u_parts[i + 1]), dim=1), torch.cat((-Az[i + 1], -z_parts[i + 1]), dim=1)
            found.append(_kernel_gradient(both[i], torch.cat(left), near, 2))
        for (i, j), far in self._far:
            found.append(_kernel_gradient(both[i], torch.cat((u_parts[j], -z_parts[j])), far, 2 ** (j - i)))
        return tuple(found)

    @cached_property
    def _norms(self) -> tuple[float, float]:
        """Bounds of |A|^2, and of the norm of the skew part."""
        count = len(self.tiers)
        A, skew = torch.zeros(count, count, dtype=torch.float64), torch.zeros(count, count, dtype=torch.float64)
        for i, weight in enumerate(self._own):
            own, n = weight.detach(), self.tiers[i].channels
            A[i, i] = conv_norm(own[n:])
            kernel = own[:n]
            skew[i, i] = _symbol_norm(0.5 * (kernel - kernel.flip(2, 3).transpose(0, 1)), kernel.shape[-1] // 2)
        for i, weight in enumerate(self._near):
            A[i + 1, i], skew[i + 1, i] = (conv_norm(part, 2) for part in weight.detach().chunk(2))
        for (i, j), far in self._far:
            skew[j, i] = conv_norm(far.detach(), 2 ** (j - i))
        skew = skew + skew.tril(-1).mT
        return float(torch.linalg.matrix_norm(A, 2)) ** 2, float(torch.linalg.matrix_norm(skew, 2))

    def lipschitz_bound(self) -> float:
        gram, skew = self._norms
        return (self.monotonicity + gram + skew) * (1.0 + 64.0 * torch.finfo(self.weights[0].dtype).eps)

    def spread(self) -> Spread:
        gram, skew = self._norms
        return Spread(self.monotonicity, self.monotonicity + gram, skew)

    def exact_constants(self) -> Constants:
        if self.size <= DENSE_SIZE:
            return DenseSystem((self.dense(),), self.monotonicity).exact_constants()
        return self.constants


def _padding(kernel: Tensor) -> tuple[int, int]:
    return (kernel.shape[2] // 2, kernel.shape[3] // 2)


def _kernel_gradient(images: Tensor, left: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """The gradient in the kernel of <left, conv2d(images, kernel, stride)>."""
    sides: Sequence[int] = (stride, stride)
    arguments = (sides, _padding(kernel), (1, 1), False, (0, 0), 1, (False, True, False))
    gradient: Tensor = torch.ops.aten.convolution_backward(left, images, kernel, None, *arguments)[1]
    return gradient


def conv_norm(kernel: Tensor, stride: int = 1) -> float:
    """A certified bound of the norm of conv2d with zeros around the image, for a kernel (out, in, odd, odd).

    On the plane C C' is a convolution whose kernel is every stride-th tap of the correlation of the kernel with itself.
    """
    reach = kernel.shape[-1] - 1
    gram = functional.conv2d(kernel, kernel, padding=reach)
    taps = torch.arange(-(reach // stride), reach // stride + 1, device=kernel.device) * stride + reach
    return math.sqrt(_symbol_norm(gram[:, :, taps][:, :, :, taps], reach // stride))


def _symbol_norm(kernel: Tensor, degree: int) -> float:
    """A certified bound of the largest norm of the symbol of a kernel that reaches ``degree`` taps.

    On a grid of N frequencies a side, a trigonometric polynomial of degree r <= N/2 is at least cos(pi r/N) times its largest
    value next to it (M. Riesz 1914).
    """
    grid = max(1, GRID * degree)
    factor = 1.0 if degree == 0 else 1.0 / math.cos(math.pi * degree / grid) ** 2
    return factor * norm_bound(symbol(kernel, (grid, grid)), SQUARINGS)
