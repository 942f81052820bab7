"""A fixed number of steps forward and backward, reading nothing from the device: what torch.compile can trace whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from monops.algorithms.resolvents import DouglasRachford, PeacemanRachford
from monops.algorithms.shared import reflected
from monops.errors import CapabilityError, DataError, StepSizeError
from monops.functions import Function
from monops.linear import Diagonal
from monops_nn.kernels import kernel_of
from monops_nn.operators import ActivationDerivative, ActivationOperator, EquilibriumOperator
from monops_nn.solver import Bend, reflected_terms
from monops_nn.systems.system import System


class Plan(NamedTuple):
    """What the steps need: W from its weights, the activation, and the scheme."""

    build: Callable[[tuple[Tensor, ...]], System]
    activation: Any
    shape: tuple[int, ...] | None
    algorithm: Any  # PeacemanRachford or DouglasRachford with a step size
    steps: int


def check_algorithm(algorithm: object, activation: Function) -> None:
    """DataError, CapabilityError unless the method may run for a fixed number of steps."""
    if not isinstance(algorithm, (PeacemanRachford, DouglasRachford)) or algorithm.step_size is None:
        raise DataError(
            f"fixed_steps needs a method that reads nothing from the device: PeacemanRachford(step_size) or "
            f"DouglasRachford(step_size), got {algorithm!r}; the step that a solve finds is layer.solve(x).step_size"
        )
    if not algorithm.step_size > 0:
        raise StepSizeError(f"step_size={algorithm.step_size!r} must be positive")
    kernel = kernel_of(activation)
    if kernel is None or not (kernel.every_step or algorithm.step_size == 1.0):
        known = "relu, or tanh, sigmoid or softplus with step size 1: other proxes"
        raise CapabilityError(f"fixed_steps needs the activation {known} need a root finder, which reads from the device")


def _iterate(plan: Plan, linear: EquilibriumOperator, bend: Bend, start: Tensor) -> Tensor:
    terms, state = reflected_terms(linear, bend, plan.algorithm), reflected.init(start)
    for _ in range(plan.steps):
        state = reflected.step(terms, state)
    return state.y


class FixedSteps(torch.autograd.Function):
    """Rows z after so many steps, and the derivative u after as many: both unchecked."""

    @staticmethod
    def forward(ctx: Any, injection: Tensor, plan: Plan, *weights: Tensor) -> Tensor:
        system = plan.build(weights)
        sigma = ActivationOperator(plan.activation, system.mask, plan.shape)
        z = _iterate(plan, EquilibriumOperator(system, injection), sigma, torch.zeros_like(injection))
        ctx.save_for_backward(injection, z, *weights)
        ctx.plan = plan
        return z

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        plan: Plan = ctx.plan
        injection, z, *rest = ctx.saved_tensors
        weights = tuple(rest)
        system = plan.build(weights)
        sigma = ActivationOperator(plan.activation, system.mask, plan.shape)
        jacobian = sigma.derivative(system.product(z) + injection, 1.0)
        assert isinstance(jacobian, Diagonal)  # the activations with a kernel act entry by entry
        bend = ActivationDerivative(g, jacobian.diagonal)
        u = _iterate(plan, EquilibriumOperator(system, None, True), bend, torch.zeros_like(g))
        return (u, None, *system.cotangents(u, z))
