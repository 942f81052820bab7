"""torchdeq on the rows: its solvers on the cell z -> sigma((1 - a) z + a (W z + c)); MONOPS_PEER_TORCHDEQ names its folder.

The cell is ours, with the fewest convolutions; a = 1 is the plain cell, smaller ones are what makes it converge.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.mondeq_rows.definition import Definition, State
from benchmarks.mondeq_rows.row import Row
from benchmarks.mondeq_rows.solver import Settings, Solver

LIMIT = 100  # its Broyden method stores that many pairs


class TorchDEQ(Solver):
    """Anderson, Broyden and fixed-point iteration for both passes, at the best of three step sizes."""

    name = "torchdeq"
    variable = "MONOPS_PEER_TORCHDEQ"

    def __init__(self, row: Row, state: dict[str, Tensor], folder: str) -> None:
        sys.path.insert(0, folder)
        self.library = importlib.import_module("torchdeq")
        self.weights = {name: nn.Parameter(value.clone()) for name, value in state.items()}
        self.definition = Definition(row, dict(self.weights))
        self.row, self.watching = row, False
        self.injected: State = ()

    def candidates(self) -> list[Settings]:
        methods = ("anderson", "broyden", "fixed_point_iter")
        return [{"method": method, "step": step} for step in (1.0, 0.5, 0.25) for method in methods]

    def apply(self, settings: Settings) -> None:
        self.step = settings["step"]
        self.counts = [0, 0]
        self.module = self.library.get_deq(
            ift=True,
            f_solver=settings["method"],
            b_solver=settings["method"],
            f_tol=settings["forward_tol"],
            b_tol=settings["backward_tol"],
            f_stop_mode="rel",
            b_stop_mode="rel",
            f_max_iter=LIMIT,
            b_max_iter=LIMIT,
        )

    def watch(self) -> None:
        self.watching = True

    def unwatch(self) -> None:
        self.watching = False
        self.injected = ()

    def forward(self, x: Tensor) -> State:
        injected = self.definition.injection(x)
        if self.watching:
            injected = tuple(part if part.requires_grad else part.requires_grad_() for part in injected)
            for part in injected:
                part.retain_grad()
            self.injected = injected
        kernels = self.definition.kernels()
        step = self.step

        def cell(*z: Tensor) -> Any:
            product = self.definition.product(z, kernels)
            mixed = tuple(w + c for w, c in zip(product, injected, strict=True))
            if step != 1:
                mixed = tuple(torch.lerp(old, new, step) for old, new in zip(z, mixed, strict=True))
            image = self.definition.activation(mixed)
            return image if len(image) > 1 else image[0]

        def write(info: Any) -> None:
            self.counts[1] = int(info["nstep"].max())

        zeros = tuple(torch.zeros_like(part) for part in injected)
        out, info = self.module(cell, zeros if len(zeros) > 1 else zeros[0], backward_writer=write)
        self.counts[0] = int(info["nstep"].max())
        last = out[-1]
        return tuple(last) if len(zeros) > 1 else (last,)

    def hidden_gradient(self) -> State:
        return tuple(torch.zeros_like(c) if c.grad is None else c.grad for c in self.injected)

    def iterations(self) -> tuple[int, int]:
        return self.counts[0], self.counts[1]

    def parameters(self) -> list[Tensor]:
        return list(self.weights.values())
