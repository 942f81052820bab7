"""A feedforward network as the cell of a deep equilibrium model: every layer reads the state of the one before."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from monops.errors import DataError, ShapeError
from monops_nn.stacking.affine import AffineMap, check_mode, is_affine

MATRIX = (nn.Linear, nn.Conv1d, nn.Conv2d)


def flatten(net: nn.Sequential) -> list[nn.Module]:
    """The modules of a network, of nested ones too, in their order; DataError for anything but nn.Sequential."""
    if not isinstance(net, nn.Sequential):
        raise DataError(
            f"net must be an nn.Sequential, got {type(net).__name__}: write modules with a forward pass of their own, such as "
            "residual blocks, as a cell for DEQ"
        )
    found: list[nn.Module] = []
    for module in net:
        found += flatten(module) if isinstance(module, nn.Sequential) else [module]
    return found


def group(net: nn.Sequential) -> list[tuple[list[nn.Module], nn.Module | None]]:
    """Blocks: affine modules and what bends them, None for nothing; a second matrix or convolution begins another block."""
    blocks: list[tuple[list[nn.Module], nn.Module | None]] = []
    affine: list[nn.Module] = []
    for module in flatten(net):
        if not is_affine(module):
            blocks.append((affine, module))
            affine = []
            continue
        if isinstance(module, MATRIX) and any(isinstance(other, MATRIX) for other in affine):
            blocks.append((affine, None))
            affine = []
        affine.append(module)
    if affine or not blocks:
        blocks.append((affine, None))
    return blocks


def input_shape_of(net: nn.Sequential, input_shape: Any) -> tuple[int, ...]:
    """The shape of one input: as given, or the features of the first matrix."""
    if input_shape is None:
        first = next(iter(flatten(net)), None)
        if isinstance(first, nn.Linear):
            return (first.in_features,)
        raise DataError(
            "input_shape is needed where the network does not begin with nn.Linear: the shape of one input, such as (1, 28, 28)"
        )
    shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in shape):
        raise DataError(f"input_shape={input_shape!r} must be positive integers: the shape of one input, without the samples")
    return shape


@final
class StackedCell(nn.Module):
    """f(z, x) = (l_1(x), l_2(z_1), ..., l_d(z_(d-1))) for a network x -> l_d(...l_1(x)): the cell of Theorem 1, for any layers.

    Parameters
    ----------
    net : nn.Sequential
        Nested or not; its modules are shared. A layer is a run of affine modules with the one module after it that is not.
    input_shape : int or tuple of int, optional
        Of one input; not needed where the network begins with nn.Linear.

    Raises
    ------
    DataError
        A net that is no nn.Sequential, or does not take inputs of such a shape.

    Notes
    -----
    The only fixed point is the states of all layers, and Picard's iteration finds it after d steps from any start, bit by bit
    as the network computes it. Any modules that treat samples one by one may stand in it, also those that are no prox (GELU,
    max pooling, layer norm), for which `stack_feedforward` has no certificate. **Cost** that of the whole network, d times.

    References
    ----------
    Bai, Kolter and Koltun (2019), Deep equilibrium models, Theorem 1.

    Examples
    --------
    >>> import monops
    >>> net = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.Linear(8, 2))
    >>> cell, x = StackedCell(net), torch.randn(5, 3)
    >>> start = monops.arrays.Blocks(torch.randn_like(z) for z in cell.initial_state(x))
    >>> problem = monops.FixedPoint(lambda z, x: monops.arrays.Blocks(cell(z, x)), (x,))
    >>> with torch.no_grad():
    ...     result = monops.solve(problem, monops.Picard(), x0=start, batch_ndim=1)
    ...     print(torch.equal(result.x[-1], net(x)), int(result.iterations.max()))
    True 2
    """

    def __init__(self, net: nn.Sequential, input_shape: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        shape = input_shape_of(net, input_shape)
        self.affine, self.bends, self.shapes = nn.ModuleList(), nn.ModuleList(), []
        reference = next(net.parameters(), torch.zeros(()))
        self.input_shape = shape
        for affine, bend in group(net):
            part = AffineMap(affine, shape)
            self.affine.append(part)
            self.bends.append(nn.Identity() if bend is None else bend)
            with torch.no_grad():
                probe = reference.new_zeros(1, *part.shape_out)
                try:
                    image = self.bends[-1](probe)
                except (RuntimeError, ValueError) as error:
                    raise DataError(f"{bend} does not take states of shape {part.shape_out}: {error}") from error
            if not isinstance(image, Tensor) or image.ndim == 0 or len(image) != 1:
                raise DataError(f"{type(bend).__name__} does not give one tensor with one row for each sample")
            shape = tuple(image.shape[1:])
            self.shapes.append(shape)

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """Zeros."""
        return tuple(x.new_zeros(len(x), *shape) for shape in self.shapes)

    def forward(self, z: Any, x: Tensor) -> tuple[Tensor, ...]:
        """The next states of all layers."""
        if tuple(x.shape[1:]) != self.input_shape:
            needs = ", ".join(map(str, self.input_shape))
            raise ShapeError(f"x has shape {tuple(x.shape)}, but the network reads (samples, {needs})")
        before = (x, *tuple(z)[:-1])
        images = []
        for affine, bend, state in zip(self.affine, self.bends, before, strict=True):
            check_mode(bend)
            value = affine(state)
            images.append(bend(value.clone() if getattr(bend, "inplace", False) else value))
        return tuple(images)
