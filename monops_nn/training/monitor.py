"""A look at the solver of a network: iterations of both passes, residual, and the constants of W."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monops_nn.equilibrium import solve_forward, solve_linear
from monops_nn.models import Classifier


@torch.no_grad()
def look(model: Classifier, x: Tensor, labels: Tensor) -> dict[str, Any]:
    """What both passes take on one batch: the largest number of iterations and residual of its rows, step size, m, L, L/m.

    L is the certified bound of |I - W| that the steps are proven with; the exact one costs more than a training step. The
    backward pass is that of the cross-entropy of the labels.
    """
    layer = model.layer
    solution = layer.solve(model.inputs(x))
    forward, backward = _passes(model, x, labels)
    lipschitz = layer.linear.current_system().lipschitz_bound()
    return {
        "iterations": int(forward.iterations.max()),
        "backward_iterations": int(backward.iterations.max()),
        "residual": float(solution.residual.max()),
        "backward_residual": float(backward.residual.max()),
        "method": solution.algorithm.name,
        "step_size": solution.step_size,
        "monotonicity": solution.monotonicity,
        "lipschitz_bound": lipschitz,
        "conditioning": lipschitz / solution.monotonicity,
    }


def _passes(model: Classifier, x: Tensor, labels: Tensor) -> tuple[Any, Any]:
    """Both passes as the training step solves them."""
    layer, weights = model.layer, model.layer.linear.weights()
    _, injected = layer._inject(model.inputs(x))
    pass_ = layer._pass()
    forward = solve_forward(pass_, injected, None, weights)
    state = layer.linear.leave(forward.z)
    last = state if isinstance(state, Tensor) else state[-1]
    with torch.enable_grad():
        leaf = last.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(model.read(leaf), labels), leaf)
    cotangent = gradient if isinstance(state, Tensor) else (*(torch.zeros_like(part) for part in state[:-1]), gradient)
    preactivation = pass_.ready(weights).system.product(forward.z) + injected
    _, backward = solve_linear(pass_, layer.linear.enter(cotangent), forward.z, preactivation, weights, True)
    return forward, backward
