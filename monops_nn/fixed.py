"""A fixed number of steps forward and backward, reading nothing from the device: what torch.compile can trace whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from monops.algorithms.resolvents import DouglasRachford, PeacemanRachford
from monops.algorithms.shared import reflected
from monops.errors import CapabilityError, DataError
from monops.functions import Function
from monops.linear import Diagonal
from monops.theory import Guarantee
from monops_nn.kernels import kernel_of
from monops_nn.operators import ActivationDerivative, ActivationOperator, EquilibriumOperator
from monops_nn.systems.system import System

UNUSED: Any = None  # terms carry a guarantee and constants for reports; here nothing is reported


class Plan(NamedTuple):
    """What the steps need: W from its weights, the activation, and the scheme."""

    build: Callable[[tuple[Tensor, ...]], System]
    activation: Any
    shape: tuple[int, ...] | None
    step_size: float
    relaxation: float
    steps: int


def scheme_of(algorithm: object, activation: Function) -> tuple[float, float]:
    """Step size and relaxation of a method that may run for a fixed number of steps; DataError, CapabilityError for others."""
    if isinstance(algorithm, (PeacemanRachford, DouglasRachford)) and algorithm.step_size is not None:
        kernel = kernel_of(activation)
        if kernel is None or not (kernel.every_step or algorithm.step_size == 1.0):
            known = "relu, or tanh, sigmoid or softplus with step size 1: other proxes"
            raise CapabilityError(f"fixed_steps needs the activation {known} need a root finder, which reads from the device")
        relaxation = 2.0 if isinstance(algorithm, PeacemanRachford) else algorithm.relaxation
        return float(algorithm.step_size), float(relaxation)
    raise DataError(
        f"fixed_steps needs a method that reads nothing from the device: PeacemanRachford(step_size) or "
        f"DouglasRachford(step_size), got {algorithm!r}; the step that a solve finds is layer.solve(x).step_size"
    )


def _iterate(plan: Plan, linear: EquilibriumOperator, bend: Any, start: Tensor) -> Tensor:
    guarantee: Guarantee = UNUSED
    terms = reflected.Terms(bend, linear, plan.step_size, plan.relaxation, guarantee, UNUSED, ())
    state = reflected.init(start)
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
        bend = ActivationDerivative(jacobian.diagonal, g)
        u = _iterate(plan, EquilibriumOperator(system, None, True), bend, torch.zeros_like(g))
        return (u, None, *system.cotangents(u, z))
