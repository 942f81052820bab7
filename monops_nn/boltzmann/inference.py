"""Mean-field inference with observed nodes: the layer, its solution, and the derivative of that by a second inclusion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from monops.algorithms import Algorithm
from monops.errors import ConstantError
from monops_nn import automatic, solver
from monops_nn.boltzmann.clamped import ClampedDerivative, ClampedSoftmax
from monops_nn.boltzmann.nodes import NodeSoftmax
from monops_nn.boltzmann.parametrize import Couplings
from monops_nn.equilibrium import full_precision
from monops_nn.operators import ActivationOperator, EquilibriumOperator
from monops_nn.solver import Settings, Solved
from monops_nn.systems.certified import NOT_FINITE
from monops_nn.systems.system import System

RATE = 0.5  # a guess of what a step leaves of the residual: softmax has slopes of at most 1/2


class Ready(NamedTuple):
    """What both passes need once Phi is known."""

    system: System
    softmax: NodeSoftmax
    forward: Settings
    backward: Settings


@dataclass(frozen=True, eq=False)
class Call:
    """The settings of one call; ``kept`` holds Phi with its factorisation, and belongs to the graph of this call."""

    linear: Couplings
    softmax: NodeSoftmax
    algorithm: Algorithm | None
    backward_algorithm: Algorithm | None
    tol: float
    max_iter: int
    kept: list[Ready] = field(default_factory=list)

    def ready(self, weights: tuple[Tensor, ...], rows: int) -> Ready:
        """Phi on detached weights, and the methods chosen for it."""
        if not self.kept:
            detached = tuple(weight.detach() for weight in weights)
            if not all(bool(torch.isfinite(weight).all()) for weight in detached):
                raise ConstantError(NOT_FINITE)
            system, plain = self.linear.system(detached), ActivationOperator(self.softmax)
            choices = [
                automatic.choose(system, plain, given, rows, self.tol)
                for given in (self.algorithm, self.backward_algorithm or self.algorithm)
            ]
            made = [
                Settings(choice.algorithm, self.tol, self.max_iter, min(choice.rate, RATE), choice.found, rough=bool(number))
                for number, choice in enumerate(choices)
            ]
            self.kept.append(Ready(system, self.softmax, made[0], made[1]))
        return self.kept[0]


def infer(call: Call, c: Tensor, sigma: ClampedSoftmax, start: Tensor | None, weights: tuple[Tensor, ...]) -> Solved:
    """The mean field of every row; no warning."""
    ready = call.ready(weights, c.shape[0])

    def part(rows: slice) -> Solved:
        bend = cast(Any, ClampedSoftmax(sigma.softmax, sigma.free[rows], sigma.fixed[rows]))
        first = None if start is None else start[rows]
        return solver.run(EquilibriumOperator(ready.system, c[rows]), bend, ready.forward, first)

    return solver.in_blocks(c, part)


def infer_backward(call: Call, g: Tensor, q: Tensor, sigma: ClampedSoftmax, weights: tuple[Tensor, ...]) -> Solved:
    """The u with u = J (Phi' u + g), J the derivative of ``sigma`` at its value q; each row of g scaled to norm 1."""
    ready = call.ready(weights, g.shape[0])
    scale = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)

    def part(rows: slice) -> Solved:
        right = g[rows] / scale[rows]
        here = ClampedSoftmax(sigma.softmax, sigma.free[rows], sigma.fixed[rows])
        bend = cast(Any, ClampedDerivative(right, here, q[rows]))
        return solver.run(EquilibriumOperator(ready.system, None, True), bend, ready.backward, torch.zeros_like(right))

    solved = solver.in_blocks(g, part)
    solved.z.mul_(scale)
    return solved


class Inference(torch.autograd.Function):
    """Rows q with q = softmax(s (W q + c)) in free nodes and q = ``fixed`` in observed ones."""

    @staticmethod
    def forward(ctx: Any, c: Tensor, fixed: Tensor, free: Tensor, start: Tensor | None, call: Call, *weights: Tensor) -> Tensor:
        solved = infer(call, c, ClampedSoftmax(call.softmax, free, fixed), start, weights)
        solver.report(solved, "forward", call.ready(weights, len(c)).forward)
        ctx.call = call
        ctx.save_for_backward(free, fixed, solved.z, *weights)
        return solved.z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Of c: u with u = J (W' u + g); of ``fixed``: g + W' u in observed nodes; of the weights: those of <u, W q>."""
        free, fixed, q, *rest = ctx.saved_tensors
        call, weights = ctx.call, tuple(rest)
        with full_precision(g.device):
            solved = infer_backward(call, g, q, ClampedSoftmax(call.softmax, free, fixed), weights)
            ready, u = call.ready(weights, len(g)), solved.z
            solver.report(solved, "backward", ready.backward)
            seen = (1.0 - free) * (g + ready.system.product_transposed(u)) if ctx.needs_input_grad[1] else None
            cotangents = ready.system.cotangents(u, q) if any(ctx.needs_input_grad[5:]) else (None,) * len(weights)
            return (u, seen, None, None, None, *cotangents)
