"""Modules that are affine maps, one by one: the linear part, its transpose, its derivative in the weight, and a norm."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional, grad
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from monops_nn.parametrize.lipschitz_bounded import SharedInjection
from monops_nn.stacking.norms import convolution_norm, matrix_norm, schur_norm

MATRICES = (nn.Linear, SharedInjection)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
RESHAPES = (nn.Flatten, nn.Unflatten)
NOTHING = (nn.Identity, _DropoutNd)  # in evaluation mode
KINDS = (*MATRICES, *CONVOLUTIONS, *POOLS, *RESHAPES, *NOTHING, _BatchNorm)


class Piece(ABC):
    """The linear part of one module on batches of states of one shape; plain differentiable code in the weight and the states.

    ``has_weight`` tells whether there is a weight; where there is none, the argument ``weight`` is not read.
    """

    has_weight = False

    def weight(self, dtype: torch.dtype) -> Tensor | None:
        """The tensor that the map is made of, differentiable in the parameters of the module; None where there is none."""
        return None

    @abstractmethod
    def apply(self, weight: Any, z: Tensor) -> Tensor:
        """A z."""

    @abstractmethod
    def transposed(self, weight: Any, u: Tensor) -> Tensor:
        """A' u."""

    def cotangent(self, weight: Any, u: Tensor, z: Tensor) -> Tensor | None:
        """The gradient of the sum of <u, A z> in the weight; None where there is none."""
        return None

    @abstractmethod
    def norm(self, weight: Any) -> float:
        """A certified upper bound of |A|."""


@final
class MatrixPiece(Piece):
    """A matrix on the last axis."""

    has_weight = True

    def __init__(self, module: Any) -> None:
        self.module = module

    def weight(self, dtype: torch.dtype) -> Tensor:
        found: Tensor = self.module.weight.to(dtype)
        return found

    def apply(self, weight: Tensor, z: Tensor) -> Tensor:
        return functional.linear(z, weight)

    def transposed(self, weight: Tensor, u: Tensor) -> Tensor:
        return u @ weight

    def cotangent(self, weight: Tensor, u: Tensor, z: Tensor) -> Tensor:
        return u.reshape(-1, u.shape[-1]).mT @ z.reshape(-1, z.shape[-1])

    def norm(self, weight: Tensor) -> float:
        return matrix_norm(weight)


@final
class ConvolutionPiece(Piece):
    """A convolution of one or two axes, after a padding of any kind."""

    has_weight = True

    def __init__(self, module: nn.Conv1d | nn.Conv2d, shape: tuple[int, ...]) -> None:
        self.module, self.shape = module, shape
        self.amounts = _amounts(module)
        self.padded = tuple(n + before + after for n, (before, after) in zip(shape[1:], self.amounts, strict=True))

    def weight(self, dtype: torch.dtype) -> Tensor:
        return self.module.weight.to(dtype)

    def _pad(self, z: Tensor) -> Tensor:
        widths = [n for pair in reversed(self.amounts) for n in pair]
        mode = "constant" if self.module.padding_mode == "zeros" else self.module.padding_mode
        return functional.pad(z, widths, mode=mode) if any(widths) else z

    def _unpad(self, u: Tensor) -> Tensor:
        """The transpose of ``_pad``."""
        for axis, (n, (before, after)) in enumerate(zip(self.shape[1:], self.amounts, strict=True), 2):
            if self.module.padding_mode == "zeros":
                u = u.narrow(axis, before, n)
            elif before or after:
                place = torch.arange(n, dtype=torch.float64)[None, None]
                sources = functional.pad(place, (before, after), mode=self.module.padding_mode)[0, 0].long().to(u.device)
                size = (*u.shape[:axis], n, *u.shape[axis + 1 :])
                u = u.new_zeros(size).index_add(axis, sources, u)
        return u

    def apply(self, weight: Tensor, z: Tensor) -> Tensor:
        m = self.module
        convolve: Any = functional.conv1d if isinstance(m, nn.Conv1d) else functional.conv2d
        image: Tensor = convolve(self._pad(z), weight, None, m.stride, 0, m.dilation, m.groups)
        return image

    def transposed(self, weight: Tensor, u: Tensor) -> Tensor:
        m = self.module
        pull: Any = grad.conv1d_input if isinstance(m, nn.Conv1d) else grad.conv2d_input
        return self._unpad(pull((len(u), self.shape[0], *self.padded), weight, u, m.stride, 0, m.dilation, m.groups))

    def cotangent(self, weight: Tensor, u: Tensor, z: Tensor) -> Tensor:
        m = self.module
        pull: Any = grad.conv1d_weight if isinstance(m, nn.Conv1d) else grad.conv2d_weight
        found: Tensor = pull(self._pad(z), weight.shape, u, m.stride, 0, m.dilation, m.groups)
        return found

    def norm(self, weight: Tensor) -> float:
        m = self.module
        if m.padding_mode == "zeros":
            return convolution_norm(weight, self.padded, m.stride, m.dilation, m.groups)
        largest = weight.detach().abs().to(torch.float64)
        ones = largest.new_ones(1, *self.shape)
        rows = self.apply(largest, ones)
        return schur_norm(rows, self.transposed(largest, torch.ones_like(rows)))


@final
class PoolPiece(Piece):
    """Average pooling, one matrix an axis: what a window covers, and what it is divided by, are products over the axes.

    With K(p q, i j) = A(p, i) B(q, j), the pools of ones that depend on one axis only give A(p, i) b_q and a_p B(q, j), a and b
    the row sums, and the pool of all ones gives a_p b_q.
    """

    def __init__(self, pool: nn.Module, shape: tuple[int, ...]) -> None:
        self.pool, size = pool, shape[1:]
        ones = torch.ones(1, 1, *size, dtype=torch.float64)
        total: Tensor = pool(ones)[0, 0]
        at = [int(k) for k in torch.unravel_index(total.argmax(), total.shape)]
        self.matrices = []
        for axis, n in enumerate(size):
            along = torch.eye(n, dtype=torch.float64).reshape(n, 1, *(n if k == axis else 1 for k in range(len(size))))
            image: Tensor = pool(along.expand(n, 1, *size))[:, 0].movedim(axis + 1, 1)
            column = image if len(size) == 1 else image[:, :, at[1 - axis]]
            self.matrices.append(column.mT.contiguous() if axis == 0 else column.mT / total[tuple(at)])

    def apply(self, weight: Any, z: Tensor) -> Tensor:
        image: Tensor = self.pool(z)
        return image

    def transposed(self, weight: Any, u: Tensor) -> Tensor:
        *rows, columns = (matrix.to(u) for matrix in self.matrices)
        u = u @ columns
        return rows[0].mT @ u if rows else u

    def norm(self, weight: Any) -> float:
        return math.prod(matrix_norm(matrix) for matrix in self.matrices)


@final
class ScalePiece(Piece):
    """Batch norm in evaluation mode: one factor a channel."""

    has_weight = True

    def __init__(self, module: _BatchNorm) -> None:
        self.module = module

    def weight(self, dtype: torch.dtype) -> Tensor:
        assert self.module.running_var is not None
        scale = (self.module.running_var.to(dtype) + self.module.eps).rsqrt()
        return scale if self.module.weight is None else scale * self.module.weight.to(dtype)

    def apply(self, weight: Tensor, z: Tensor) -> Tensor:
        return z * weight.reshape(-1, *(1,) * (z.ndim - 2))

    def transposed(self, weight: Tensor, u: Tensor) -> Tensor:
        return self.apply(weight, u)

    def cotangent(self, weight: Tensor, u: Tensor, z: Tensor) -> Tensor:
        return (u * z).movedim(1, 0).flatten(1).sum(1)

    def norm(self, weight: Tensor) -> float:
        return float(weight.detach().abs().amax())


@final
class ReshapePiece(Piece):
    """The same entries in another shape, or in the same."""

    def __init__(self, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        self.before, self.after = before, after

    def apply(self, weight: Any, z: Tensor) -> Tensor:
        return z.reshape(len(z), *self.after)

    def transposed(self, weight: Any, u: Tensor) -> Tensor:
        return u.reshape(len(u), *self.before)

    def norm(self, weight: Any) -> float:
        return 1.0


def piece_of(module: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> Piece:
    """The linear part of a module of `KINDS` that takes states of one shape to states of another."""
    if isinstance(module, MATRICES):
        return MatrixPiece(module)
    if isinstance(module, CONVOLUTIONS):
        return ConvolutionPiece(module, before)
    if isinstance(module, _BatchNorm):
        return ScalePiece(module)
    return PoolPiece(module, before) if isinstance(module, POOLS) else ReshapePiece(before, after)


def _amounts(module: nn.Conv1d | nn.Conv2d) -> list[tuple[int, int]]:
    """Entries added before and after every axis."""
    if module.padding == "valid":
        return [(0, 0)] * len(module.kernel_size)
    if module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(int(n), int(n)) for n in module.padding]
