"""Modules that are affine maps: the linear part as a function of its coefficients, the constant, a bound of the norm."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from monops.errors import CapabilityError, DataError
from monops_nn.stacking.pieces import KINDS, Piece, piece_of


def is_affine(module: nn.Module) -> bool:
    """Whether a module is one of the affine maps known here, with the forward pass of its class and nothing hooked onto it."""
    kind = next((kind for kind in KINDS if isinstance(module, kind)), None)
    if kind is None or module._forward_hooks or module._forward_pre_hooks:
        return False
    own = type(module).forward
    return kind in (_DropoutNd, _BatchNorm) or own is kind.forward


def check_mode(module: nn.Module) -> None:
    """CapabilityError for dropout and batch norm that do not act as in evaluation mode."""
    if isinstance(module, _DropoutNd) and module.training and module.p > 0:
        raise CapabilityError("dropout in training mode draws anew and is no equation for a state: call eval(), or set p = 0")
    if isinstance(module, _BatchNorm) and (module.training or module.running_var is None):
        raise CapabilityError(
            "batch norm with the statistics of the batch mixes the samples and is no affine map: call eval() on a layer that "
            "tracks running statistics"
        )


class AffineMap(nn.Module):
    """x -> A x + b for modules one after the other, on batches of states of one shape.

    Parameters
    ----------
    modules : sequence of nn.Module
        nn.Linear, nn.Conv1d, nn.Conv2d, average pooling, nn.Flatten, nn.Unflatten, nn.Identity, and in evaluation mode dropout
        and batch norm; their parameters are shared. An empty sequence is the identity.
    shape : tuple of int
        The shape of x, without the axis of the batch.

    Raises
    ------
    CapabilityError
        A module that is not affine; dropout or batch norm in training mode.
    DataError
        Modules that do not take such a shape.

    Notes
    -----
    **Norm** the product of bounds of the norms: singular values of matrices and pools, symbols of convolutions, the test of
    Schur for paddings other than with zeros. **Cost** of ``linear`` and ``transposed`` those of the modules, of ``cotangents``
    that of their backward pass and of ``linear``.

    Examples
    --------
    >>> import torch
    >>> A = AffineMap([nn.AvgPool2d(2), nn.Flatten()], (1, 4, 4))
    >>> A.shape_out, round(A.norm(()), 12)
    ((4,), 0.5)
    """

    def __init__(self, modules: Sequence[nn.Module], shape: tuple[int, ...]) -> None:
        super().__init__()
        for module in modules:
            if not is_affine(module):
                raise CapabilityError(f"{type(module).__name__} is not one of the affine maps that can be stacked")
            check_mode(module)
        self.steps, self.shape_in = nn.ModuleList(modules), tuple(shape)
        like = next((p for p in self.parameters()), None)
        dtype = torch.get_default_dtype() if like is None else like.dtype
        z = torch.zeros(1, *shape, dtype=dtype, device=None if like is None else like.device)
        self.pieces: list[Piece] = []
        with torch.no_grad():
            for module in modules:
                before = tuple(z.shape[1:])
                try:
                    z = module(z)
                except (RuntimeError, ValueError) as error:
                    raise DataError(f"{module} does not take states of shape {before}: {error}") from error
                if len(z) != 1:
                    raise DataError(f"{module} flattens the axis of the samples: use start_dim=1")
                self.pieces.append(piece_of(module, before, tuple(z.shape[1:])))
        self.shape_out = tuple(z.shape[1:])

    def forward(self, x: Tensor) -> Tensor:
        """A x + b for a batch, by the modules themselves."""
        for module in self.steps:
            check_mode(module)
            x = module(x)
        return x

    def constant(self, like: Tensor) -> Tensor:
        """b, differentiable, without the axis of the batch; dtype and device of its modules, or of ``like``."""
        reference = next((p for p in self.parameters()), like)
        constant: Tensor = self.forward(torch.zeros(1, *self.shape_in, dtype=reference.dtype, device=reference.device))[0]
        return constant

    def weights(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The tensors that A is made of, differentiable in the parameters."""
        for module in self.steps:
            check_mode(module)
        found = (piece.weight(dtype) for piece in self.pieces)
        return tuple(weight for weight in found if weight is not None)

    def _with(self, weights: Sequence[Tensor]) -> list[tuple[Piece, Tensor | None]]:
        rest = iter(weights)
        return [(piece, next(rest) if piece.has_weight else None) for piece in self.pieces]

    def linear(self, weights: Sequence[Tensor], z: Tensor) -> Tensor:
        """A z for a batch, in plain differentiable code."""
        for piece, weight in self._with(weights):
            z = piece.apply(weight, z)
        return z

    def transposed(self, weights: Sequence[Tensor], u: Tensor) -> Tensor:
        """A' u for a batch."""
        for piece, weight in reversed(self._with(weights)):
            u = piece.transposed(weight, u)
        return u

    def cotangents(self, weights: Sequence[Tensor], u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """The gradient of the sum of <u, A z> in the weights."""
        reads, pieces = list[Tensor](), self._with(weights)
        for piece, weight in pieces:
            reads.append(z)
            z = piece.apply(weight, z)
        found: list[Tensor] = []
        for (piece, weight), read in zip(reversed(pieces), reversed(reads), strict=True):
            gradient = piece.cotangent(weight, u, read)
            if gradient is not None:
                found.append(gradient)
            u = piece.transposed(weight, u)
        return tuple(reversed(found))

    def norm(self, weights: Sequence[Tensor]) -> float:
        """A certified bound of |A|."""
        return math.prod(piece.norm(weight) for piece, weight in self._with(weights))
