"""Our layer on the rows, with its default method."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.mondeq_rows.definition import State
from benchmarks.mondeq_rows.row import Row
from benchmarks.mondeq_rows.solver import Settings, Solver
from monops_nn import solver
from monops_nn.loading import load_original

run = solver.run


class Ours(Solver):
    """``MonDEQ`` with one tolerance for both passes, as its users have it."""

    name = "monops_nn"

    def __init__(self, row: Row, state: dict[str, Tensor], folder: str) -> None:
        side = (row.image + 2) // 4 if row.kind == "convolution" else 1 if row.kind == "dense" else row.ring[-1]
        classifier = {"Wout.weight": torch.zeros(1, row.channels[-1] * side**2), "Wout.bias": torch.zeros(1)}
        self.layer = load_original(state | classifier, row.monotonicity, image_size=row.image).layer
        self.row = row
        self.watching = False
        self.counts = [0]
        self.rows: Tensor | None = None

    def candidates(self) -> list[Settings]:
        return [{"method": "automatic"}]

    def apply(self, settings: Settings) -> None:
        self.layer.tol = min(settings["forward_tol"], settings["backward_tol"])

    def watch(self) -> None:
        self.watching, self.counts = True, []

        def counted(*arguments: Any) -> Any:
            solved = run(*arguments)
            self.counts.append(int(solved.iterations.max()))
            return solved

        vars(solver)["run"] = counted

    def unwatch(self) -> None:
        self.watching = False
        vars(solver)["run"] = run

    def forward(self, x: Tensor) -> State:
        z = self.layer(x if self.row.kind == "dense" else x[:, :, 1:-1, 1:-1])
        if self.watching:
            node: Any = (z if isinstance(z, Tensor) else z[-1]).grad_fn
            while node.name() != "EquilibriumBackward":
                node = node.next_functions[0][0]

            def keep(gradients: Any, _: Any) -> None:
                self.rows = gradients[0]

            node.register_hook(keep)
        return self._on_rings(z)

    def hidden_gradient(self) -> State:
        assert self.rows is not None
        return self._on_rings(self.layer.linear.leave(self.rows))

    def _on_rings(self, state: Any) -> State:
        parts = state if isinstance(state, tuple) else (state,)
        return parts if self.row.kind == "dense" else tuple(functional.pad(part, (1, 1, 1, 1)) for part in parts)

    def iterations(self) -> tuple[int, int]:
        return self.counts[0], self.counts[-1]

    def parameters(self) -> list[Tensor]:
        return list(self.layer.parameters())
