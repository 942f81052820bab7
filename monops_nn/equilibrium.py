"""The one autograd.Function of equilibrium layers: the forward and the backward pass are two ``monops.solve`` calls.

Forward: 0 in (I - W) z - c + df(z), that is z = sigma(W z + c) with sigma = prox_f. Backward, with h = W z + c,
J = sigma'(h) and D = J^-1 - I entry by entry: 0 in (I - W') u + D u - g gives u = dl/dh, the implicit function theorem;
autograd of h with z held fixed then gives every gradient, whatever W and c are made of.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from monops.algorithms import Algorithm
from monops.constants import Constants
from monops.errors import NotConvergedWarning
from monops.functions import Function
from monops.linear import Diagonal
from monops.operators import Operator
from monops.problem import Inclusion, Term
from monops.result import Result, Status
from monops.solve import solve
from monops_nn.operators import EquilibriumOperator

CHECK_EVERY = 4  # a check costs about one step, and a typical solve takes 5 to 20 steps


@final
@dataclass(frozen=True, eq=False)
class ActivationDerivative(Operator):
    """u -> (J^-1 - I) u - g entry by entry, J in [0, 1]; where J = 0 the domain is u = 0.

    Parameters
    ----------
    slope : tensor (batch, n)
        J, the derivative of the activation.
    gradient : tensor (batch, n)
        g.

    Notes
    -----
    **Resolvent** u = J (x + a g)/(J + a (1 - J)): no mask, no infinity. **Constants** the subdifferential of a convex
    quadratic, mu = 0. **Cost** elementwise.

    References
    ----------
    Winston and Kolter (2020), Theorem 3; the resolvent follows from (I + a D) u = x + a g.

    Examples
    --------
    >>> import torch
    >>> D = ActivationDerivative(torch.tensor([[0.0, 1.0, 0.5]]), torch.ones(1, 3))
    >>> D.resolvent(torch.ones(1, 3), 1.0)
    tensor([[0., 2., 1.]])
    """

    slope: Tensor
    gradient: Tensor

    @cached_property
    def constants(self) -> Constants:
        return Constants(0.0, cyclic=True, affine=True, why="computed: J lies in [0, 1]")

    @property
    def input_shape(self) -> Any:
        return (int(self.slope.shape[-1]),)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        return self.slope * torch.add(x, self.gradient, alpha=step) / (step + (1.0 - step) * self.slope)

    def formula(self, x: str) -> str:
        return f"(1/J - 1) {x} - g"


@dataclass(frozen=True)
class Settings:
    """How a pass is solved: method, tolerance of the residual of each row, iteration limit."""

    algorithm: Algorithm
    tol: float
    max_iter: int


@torch.no_grad()
def solve_forward(operator: EquilibriumOperator, activation: Function, settings: Settings, x0: Tensor | None) -> Result:
    """The equilibrium of every row, z (batch, n), as a monops Result; no warning."""
    injection = operator.injection
    assert injection is not None
    start = torch.zeros_like(injection) if x0 is None else x0
    return _solve(operator, activation, settings, start)


@torch.no_grad()
def solve_backward(operator: EquilibriumOperator, slope: Tensor, gradient: Tensor, settings: Settings) -> Result:
    """Solve for u = (I - W' + D)^-1 g of every row as a monops Result; tolerance and residual are absolute."""
    derivative = ActivationDerivative(slope, gradient)
    return _solve(operator.transposed(), derivative, settings, torch.zeros_like(gradient))


def _solve(linear: EquilibriumOperator, other: Function | Operator, settings: Settings, start: Tensor) -> Result:
    return solve(
        Inclusion((Term(linear), Term(other))),
        settings.algorithm,
        x0=start,
        tol=settings.tol,
        max_iter=settings.max_iter,
        batch_ndim=1,
        check_every=CHECK_EVERY,
        on_failure="ignore",
    )


def report(result: Result, which: str) -> None:
    """One NotConvergedWarning that names the pass, when a row did not converge."""
    if result.status is not Status.CONVERGED:
        warnings.warn(f"equilibrium {which} pass: {result.message}", NotConvergedWarning, stacklevel=3)


def with_nan_rows(result: Result) -> Tensor:
    """The solution with NaN in rows that became non-finite, so that no start value passes for an answer."""
    x: Tensor = result.x
    broken = [row for row, status in enumerate(result.row_status) if status is Status.NON_FINITE]
    if broken:
        x = x.clone()
        x[broken] = torch.nan
    return x


class _Implicit(torch.autograd.Function):
    """z as a function of h = W z + c whose derivative is that of the equilibrium: backward maps g = dl/dz to u = dl/dh."""

    @staticmethod
    def forward(ctx: Any, preactivation: Tensor, z: Tensor, backward: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.solve_backward = backward
        return z.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.solve_backward(gradient), None, None


def attach_gradient(
    preactivation: Tensor, z: Tensor, operator: EquilibriumOperator, activation: Function, settings: Settings
) -> Tensor:
    """The equilibrium z with its implicit derivative; ``preactivation`` is W z + c with gradient, z held fixed.

    The closure holds I - W, its constants and factors of *this* forward pass. Each row of g is scaled to norm 1 before
    the solve (the answer is linear in g), so that the tolerance is relative and the scale of the loss changes nothing.
    """
    with torch.no_grad():
        slope_map = activation.batched(1).prox_derivative(preactivation.detach(), 1.0)
        assert isinstance(slope_map, Diagonal)
        slope = slope_map.diagonal
    transposable = EquilibriumOperator(operator.system)

    def backward(gradient: Tensor) -> Tensor:
        scale = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
        scale = torch.where(scale == 0, torch.ones_like(scale), scale)
        result = solve_backward(transposable, slope, gradient / scale, settings)
        report(result, "backward")
        return with_nan_rows(result) * scale

    out: Tensor = _Implicit.apply(preactivation, z, backward)  # type: ignore[no-untyped-call]
    return out
