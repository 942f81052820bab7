"""Activations by torch's own kernels: the numbers of the prox of monops, in one pass, as code that torch.compile traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from monops import functions
from monops.functions import Function


class Kernel(NamedTuple):
    """Sigma and its slope; ``every_step`` where the prox is the same for every step (indicators)."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    every_step: bool


def kernel_of(activation: Function) -> Kernel | None:
    """The kernel of an activation, or None; slopes at kinks are those of the prox of monops."""
    if isinstance(activation, functions.NonNegative):
        return Kernel(torch.relu, lambda h: (h > 0).to(h.dtype), True)
    if isinstance(activation, functions.Tanh):
        return Kernel(torch.tanh, lambda h: 1.0 - torch.tanh(h).square(), False)
    if isinstance(activation, functions.Sigmoid):
        return Kernel(torch.sigmoid, lambda h: torch.sigmoid(h) * torch.sigmoid(-h), False)
    if isinstance(activation, functions.Softplus):
        return Kernel(
            lambda h: functional.softplus(h, threshold=40.0), torch.sigmoid, False
        )  # beyond, log(1 + exp(h)) rounds to h
    return None
