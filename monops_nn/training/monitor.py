"""A look at the solver of a network: iterations of both passes, residual, and the constants of W."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from monops_nn.models import Classifier
from monops_nn.solution import Solution
from monops_nn.solver import Solved
from monops_nn.systems import System


@torch.no_grad()
def look(model: Classifier, x: Tensor, labels: Tensor) -> dict[str, Any]:
    """What both passes take on one batch: the largest number of iterations and residual of its rows, step size, m, L, L/m.

    L is the certified bound of |I - W| that the steps are proven with; the exact one costs more than a training step. The
    backward pass is that of the cross-entropy of the labels.
    """
    layer, inputs = model.layer, model.inputs(x)
    solution = layer.solve(inputs)
    backward = layer.solve_backward(inputs, _gradient(model, solution.z, labels))
    return passes(solution, backward, layer.linear.current_system())


def passes(solution: Solution, backward: Solved, system: System) -> dict[str, Any]:
    """The numbers of a look, from both passes and W."""
    lipschitz = system.lipschitz_bound()
    return {
        "iterations": int(solution.iterations.max()),
        "backward_iterations": int(backward.iterations.max()),
        "residual": float(solution.residual.max()),
        "backward_residual": float(backward.residual.max()),
        "method": solution.algorithm.name,
        "step_size": solution.step_size,
        "monotonicity": solution.monotonicity,
        "lipschitz_bound": lipschitz,
        "conditioning": lipschitz / solution.monotonicity,
    }


def _gradient(model: Classifier, z: Any, labels: Tensor) -> Any:
    """The gradient of the cross-entropy in the state, which the readout sees the last tier of."""
    last = z if isinstance(z, Tensor) else z[-1]
    with torch.enable_grad():
        leaf = last.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(model.read(leaf), labels), leaf)
    return gradient if isinstance(z, Tensor) else (*(torch.zeros_like(part) for part in z[:-1]), gradient)
