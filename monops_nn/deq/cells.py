"""What a cell must be during a solve, and the names of its parameters."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from monops.errors import DataError
from monops_nn.deq.dropout import VariationalDropout


def prepare(cell: nn.Module) -> None:
    """New masks of `VariationalDropout` in training mode; DataError for what is another function at every evaluation."""
    for name, module in cell.named_modules():
        if not module.training:
            continue
        p = _dropout_of(module)
        if p > 0:
            raise DataError(
                f"cell.{name} is dropout that draws anew at every evaluation, so that there is no fixed point: use "
                f"monops_nn.deq.VariationalDropout({p:g})"
            )
        if isinstance(module, _BatchNorm):
            raise DataError(
                f"cell.{name} is batch norm in training mode, which mixes the samples and moves its statistics at every "
                "evaluation: use group norm or layer norm"
            )
        if isinstance(module, VariationalDropout):
            module.draw()


def _dropout_of(module: nn.Module) -> float:
    if isinstance(module, _DropoutNd):
        return module.p
    return module.dropout if isinstance(module, (nn.MultiheadAttention, nn.RNNBase)) else 0.0


def names_of(cell: nn.Module) -> tuple[tuple[str, int], ...]:
    """Each place of a parameter in a module, by one name of the module, and its position in ``cell.parameters()``."""
    at = {id(parameter): k for k, parameter in enumerate(cell.parameters())}
    return tuple(
        (f"{prefix}.{name}" if prefix else name, at[id(parameter)])
        for prefix, module in cell.named_modules()
        for name, parameter in module._parameters.items()
        if parameter is not None
    )
