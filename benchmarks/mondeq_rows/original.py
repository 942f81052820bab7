"""The published code (locuslab/monotone_op_net) as a solver of the rows; MONOPS_PEER_MONDEQ names its folder.

It was written for torch 1.4. What today's torch lacks is put there at run time: the transforms ``torch.rfft`` and
``torch.irfft``, an activation with a border that does not edit ReLU's output in place, and empty modules for torchvision,
which is imported but not used here. Nothing else is changed.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.mondeq_rows.definition import State
from benchmarks.mondeq_rows.row import Row
from benchmarks.mondeq_rows.solver import Settings, Solver


def old_rfft(x: Tensor, signal_ndim: int, onesided: bool = True) -> Tensor:
    """torch.rfft of torch < 1.8 in the form used: both halves of the spectrum, real and imaginary part in the last axis."""
    assert signal_ndim == 2
    assert not onesided
    return torch.view_as_real(torch.fft.fft2(x))


def old_irfft(x: Tensor, signal_ndim: int, onesided: bool = True) -> Tensor:
    """torch.irfft of torch < 1.8 in the form used; reads one half of the spectrum, the fastest way."""
    assert signal_ndim == 2
    assert not onesided
    height, width = x.shape[-3:-1]
    half = torch.view_as_complex(x[..., : width // 2 + 1, :])
    return torch.fft.irfft2(half, s=(height, width))


class BorderReLU(nn.Module):
    """ReLU inside, 0 on the border of one pixel."""

    def forward(self, *z: Tensor) -> State:
        return tuple(functional.pad(part[:, :, 1:-1, 1:-1].relu(), (1, 1, 1, 1)) for part in z)

    def derivative(self, *z: Tensor) -> State:
        """1 where z > 0."""
        return tuple((part > 0).type_as(part) for part in z)


def load(folder: str) -> tuple[Any, Any]:
    """The modules ``mon`` and ``splitting`` of the folder, on today's torch."""
    torch.rfft, torch.irfft = old_rfft, old_irfft  # type: ignore[attr-defined]
    if "torchvision" not in sys.modules:
        stand_in = {name: types.ModuleType(f"torchvision.{name}") for name in ("datasets", "transforms")}
        package = types.ModuleType("torchvision")
        for name, module in stand_in.items():
            setattr(package, name, module)
            sys.modules[f"torchvision.{name}"] = module
        sys.modules["torchvision"] = package
    sys.path.insert(0, folder)
    return importlib.import_module("mon"), importlib.import_module("splitting")


class Original(Solver):
    """Peaceman-Rachford and forward-backward of the published code, at the best of four step sizes."""

    name = "monotone_op_net"
    variable = "MONOPS_PEER_MONDEQ"

    def __init__(self, row: Row, state: dict[str, Tensor], folder: str) -> None:
        mon, self.splitting = load(folder)
        m = row.monotonicity
        if row.kind == "dense":
            self.linear = mon.MONSingleFc(row.inputs * row.image**2, row.channels[0], m=m)
        elif row.kind == "convolution":
            self.linear = mon.MONSingleConv(row.inputs, row.channels[0], (row.ring[0], row.ring[0]), m=m)
        else:
            self.linear = mon.MONMultiConv(row.inputs, row.channels, row.ring[0], m=m)
        self.linear.load_state_dict(state)
        self.activation = mon.MONReLU() if row.kind == "dense" else BorderReLU()
        self.injected: State = ()

    def candidates(self) -> list[Settings]:
        steps = (1.0, 0.5, 0.25, 0.125)
        return [{"method": method, "step": step} for method in ("PeacemanRachford", "ForwardBackward") for step in steps]

    def apply(self, settings: Settings) -> None:
        kind = {"PeacemanRachford": "MONPeacemanRachford", "ForwardBackward": "MONForwardBackwardSplitting"}[settings["method"]]
        self.backward_tolerance = settings["backward_tol"]
        self.module = getattr(self.splitting, kind)(
            self.linear, self.activation, alpha=settings["step"], tol=settings["forward_tol"], max_iter=300
        )

    def watch(self) -> None:
        def forward(x: Tensor, *z: Tensor) -> State:
            self.injected = tuple(part.requires_grad_() if part.is_leaf else part for part in self.linear.bias(x))
            for part in self.injected:
                part.retain_grad()
            return tuple(w + c for w, c in zip(self.linear.multiply(*z), self.injected, strict=True))

        self.linear.forward = forward

    def unwatch(self) -> None:
        self.linear.__dict__.pop("forward", None)
        self.injected = ()

    def forward(self, x: Tensor) -> State:
        z: State = self.module(x)
        self.module.tol = self.backward_tolerance
        return z

    def hidden_gradient(self) -> State:
        return tuple(torch.zeros_like(c) if c.grad is None else c.grad for c in self.injected)

    def iterations(self) -> tuple[int, int]:
        return self.module.stats.fwd_iters.val, self.module.stats.bkwd_iters.val

    def parameters(self) -> list[Tensor]:
        return list(self.linear.parameters())
