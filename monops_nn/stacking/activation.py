"""Activations block by block: another one on every block of a stacked state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from monops.functions import Function
from monops.functions.separable import Separable
from monops.linear import Diagonal, LinearMap, SelfAdjointMap
from monops_nn.kernels import kernel_of


@dataclass(frozen=True, eq=False)
class Block:
    """One block: its activation, its entries in a row, and the shape of these where data or the coupling need it."""

    activation: Function
    size: int
    shape: tuple[int, ...] | None

    def natural(self, x: Tensor) -> Tensor:
        """The entries of the block in their shape."""
        return x if self.shape is None else x.reshape(*x.shape[:-1], *self.shape)

    def prox(self, x: Tensor, step: Any) -> Tensor:
        """The prox of the activation on the entries of the block."""
        kernel = kernel_of(self.activation)
        if kernel is not None and (kernel.every_step or (isinstance(step, float) and step == 1.0)):
            return kernel.value(x)
        value: Tensor = self.activation.batched(x.ndim - 1).prox(self.natural(x), step).reshape(x.shape)
        return value

    def derivative(self, x: Tensor, step: Any) -> Tensor | LinearMap:
        """The derivative of the prox: its diagonal, or a map on entries in their shape."""
        kernel = kernel_of(self.activation)
        if kernel is not None and (kernel.every_step or (isinstance(step, float) and step == 1.0)):
            return kernel.slope(x)
        jacobian = self.activation.batched(x.ndim - 1).prox_derivative(self.natural(x), step)
        return jacobian.diagonal.reshape(x.shape) if isinstance(jacobian, Diagonal) else jacobian


def blockwise(blocks: tuple[Block, ...]) -> Function:
    """The activation of a stacked state: separable where every one of them is."""
    if all(isinstance(block.activation, Separable) for block in blocks):
        return SeparableBlocks(blocks)
    return CoupledBlocks(blocks)


def _parts(blocks: tuple[Block, ...], x: Tensor) -> Iterator[tuple[Block, Tensor]]:
    return zip(blocks, torch.split(x, [block.size for block in blocks], dim=-1), strict=True)


@final
@dataclass(frozen=True, eq=False)
class SeparableBlocks(Separable):
    """f(z) = sum_i f_i(z_i) over blocks z_i of the last axis, every f_i separable.

    Parameters
    ----------
    blocks : tuple of Block

    Examples
    --------
    >>> from monops.functions import NonNegative, Zero
    >>> f = SeparableBlocks((Block(NonNegative(), 1, None), Block(Zero(), 2, None)))
    >>> f.prox(torch.tensor([-1.0, -1.0, 2.0]))
    tensor([ 0., -1.,  2.])
    """

    blocks: tuple[Block, ...]

    @property
    def solves_for_prox(self) -> bool:
        return any(isinstance(b.activation, Separable) and b.activation.solves_for_prox for b in self.blocks)

    def prox(self, x: Any, step: Any = 1.0) -> Any:
        return torch.cat([block.prox(part, step) for block, part in _parts(self.blocks, x)], dim=-1)

    def prox_derivative(self, x: Any, step: Any = 1.0) -> LinearMap:
        slopes: list[Any] = [block.derivative(part, step) for block, part in _parts(self.blocks, x)]
        return Diagonal(torch.cat(slopes, dim=-1))

    def entry_value(self, x: Any) -> Any:
        values: list[Any] = []
        for block, part in _parts(self.blocks, x):
            assert isinstance(block.activation, Separable)
            values.append(block.activation.entry_value(block.natural(part)).reshape(part.shape))
        return torch.cat(values, dim=-1)


@final
@dataclass(frozen=True, eq=False)
class CoupledBlocks(Function):
    """f(z) = sum_i f_i(z_i) over blocks z_i of the last axis, some f_i coupling the entries of their block.

    Parameters
    ----------
    blocks : tuple of Block

    Examples
    --------
    >>> from monops.functions import NonNegative, Softmax
    >>> f = CoupledBlocks((Block(NonNegative(), 1, None), Block(Softmax(), 2, None)))
    >>> f.prox(torch.tensor([-1.0, 3.0, 3.0]))
    tensor([0.0000, 0.5000, 0.5000])
    """

    blocks: tuple[Block, ...]

    def __call__(self, x: Any) -> Any:
        return sum(b.activation.batched(x.ndim - 1)(b.natural(part)) for b, part in _parts(self.blocks, x))

    def prox(self, x: Any, step: Any = 1.0) -> Any:
        return torch.cat([block.prox(part, step) for block, part in _parts(self.blocks, x)], dim=-1)

    def prox_derivative(self, x: Any, step: Any = 1.0) -> LinearMap:
        derivatives = [block.derivative(part, step) for block, part in _parts(self.blocks, x)]

        def apply(h: Tensor) -> Tensor:
            images = []
            for (block, part), derivative in zip(_parts(self.blocks, h), derivatives, strict=True):
                if isinstance(derivative, Tensor):
                    images.append(derivative * part)
                else:
                    images.append(derivative.apply(block.natural(part)).reshape(part.shape))
            return torch.cat(images, dim=-1)

        return SelfAdjointMap(apply, tuple(x.shape))
