"""Small dense models, inputs and observed slopes that the tests of certificates share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from monops_nn import MonDEQ, MonotoneLinear
from monops_nn.certificates.network import network_of

double = torch.float64


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> Any:
    return scale * torch.randn(*shape, dtype=double, generator=torch.Generator().manual_seed(seed))


def layer_with(W: Any, U: Any, activation: str = "relu", b: Any = None) -> MonDEQ:
    """The layer with these matrices."""
    m = 1.0 - float(torch.linalg.eigvalsh(0.5 * (W + W.mT))[-1])
    linear = MonotoneLinear(len(W), m * (1.0 - 1e-12), dtype=double)
    linear.assign(W)
    injection = nn.Linear(U.shape[1], len(W), dtype=double)
    with torch.no_grad():
        injection.weight.copy_(U)
        injection.bias.copy_(torch.zeros(len(W), dtype=double) if b is None else b)
    return MonDEQ(linear, activation, injection=injection, tol=1e-11, max_iter=20_000)


def random_model(activation: str = "relu", n: int = 6, inputs: int = 4, classes: int = 3, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    linear = MonotoneLinear(n, 0.6, dtype=double)
    with torch.no_grad():
        linear.A.mul_(2.0)
        linear.B.mul_(3.0)
    layer = MonDEQ(linear, activation, injection=nn.Linear(inputs, n, dtype=double), tol=1e-11, max_iter=20_000)
    return nn.Sequential(layer, nn.Linear(n, classes, dtype=double))


def ratios(model: nn.Module, rows: Any, pairs: int = 400, seed: int = 1) -> Any:
    """|D (f(x) - f(y))|/|x - y| for random pairs, near each other and not; D (k, outputs)."""
    inputs = network_of(model).dense.U.shape[1]
    x = draw(pairs, inputs, seed=seed, scale=3.0)
    y = x + draw(pairs, inputs, seed=seed + 1) * (10.0 ** draw(pairs, 1, seed=seed + 2))
    with torch.no_grad():
        moved = (model(x) - model(y)) @ rows.mT
    return moved.norm(dim=1) / (x - y).norm(dim=1)
