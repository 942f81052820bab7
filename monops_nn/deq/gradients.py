"""The derivative of a fixed point z = f(z, x, theta) by the implicit function theorem, of any order.

dz = (I - J)^-1 (f_x dx + f_theta dtheta) with J = f_z, so that the gradient g in z becomes f_theta' u with u = J' u + g: a
fixed point again, of the map u -> J' u + g, and found by the same methods. Where a derivative of the derivative is wanted, u is
itself attached to the graph in this way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from monops.arrays import leaves
from monops.errors import ShapeError
from monops_nn.deq.states import as_point, as_state, leaves_of

Leaves = tuple[Tensor, ...]
Solve = Callable[[Callable[..., Any], Leaves], Leaves]


@dataclass(frozen=True, eq=False)
class Map(ABC):
    """A map of states that is a function of everything else it reads: ``evaluate(z, others)``, on tuples of tensors.

    ``solve`` finds the fixed points of the linear maps that backward passes need.
    """

    solve: Solve

    @abstractmethod
    def evaluate(self, z: Leaves, others: Leaves) -> Leaves:
        """f(z, others), recorded where gradients are enabled."""


def like(value: Any, z: Leaves) -> Leaves:
    """The tensors of a value of the cell, with the dtypes of z; ShapeError where they are no state."""
    parts = leaves_of(value, "what the cell gives")
    if [part.shape for part in parts] != [part.shape for part in z]:
        given, needed = (" and ".join(str(tuple(part.shape)) for part in side) for side in (parts, z))
        raise ShapeError(f"the cell takes a state of shape {needed} to {given}: it must give back the shape of its state")
    return tuple(part.to(old.dtype) for part, old in zip(parts, z, strict=True))


@dataclass(frozen=True, eq=False)
class CellMap(Map):
    """A cell; the others are its inputs, then its parameters."""

    cell: nn.Module
    names: tuple[str, ...]
    seeds: dict[str, Tensor]
    inputs: int
    several: bool
    autocast: tuple[str, torch.dtype | None]

    def evaluate(self, z: Leaves, others: Leaves) -> Leaves:
        inputs, parameters = others[: self.inputs], others[self.inputs :]
        given = {**dict(zip(self.names, parameters, strict=True)), **self.seeds}
        device, dtype = self.autocast
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            value = torch.func.functional_call(self.cell, given, (as_state(z, self.several), *inputs))
        return like(value, z)

    def apply(self, z: Leaves, inputs: Leaves) -> Leaves:
        """f(z, inputs) with the parameters and seeds that the cell has now; not recorded in parameters."""
        return like(self.cell(as_state(z, self.several), *inputs), z)


@dataclass(frozen=True, eq=False)
class PullBack(Map):
    """u -> J' u + g, J the derivative of another map at z; the others are g, z and what that map reads."""

    of: Map
    count: int

    def evaluate(self, u: Leaves, others: Leaves) -> Leaves:
        g, z, rest = others[: self.count], others[self.count : 2 * self.count], others[2 * self.count :]
        recorded = torch.is_grad_enabled()
        with torch.enable_grad():
            z = tuple(part.view_as(part) if part.requires_grad else part.detach().requires_grad_() for part in z)
            value = self.of.evaluate(z, rest)
        pulled = torch.autograd.grad(value, z, u, create_graph=recorded, allow_unused=True, materialize_grads=True)
        return tuple(part + right for part, right in zip(pulled, g, strict=True))


class Attach(torch.autograd.Function):
    """States that are fixed points, with the derivative of fixed points."""

    @staticmethod
    def forward(map_: Map, count: int, *tensors: Tensor) -> Leaves:
        return tuple(part.detach().clone() for part in tensors[:count])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Leaves) -> None:
        ctx.map, ctx.count, *tensors = inputs
        ctx.save_for_backward(*output, *tensors[ctx.count :])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count, map_ = ctx.count, ctx.map
        z, others = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        wanted = [k for k, needed in enumerate(ctx.needs_input_grad[2 + count :]) if needed]
        if not wanted:
            return (None,) * (2 + count + len(others))
        again = torch.is_grad_enabled()
        if again:  # views: a path from the value to the others that passes through z is not to be followed
            z, others = tuple(part.view_as(part) for part in z), tuple(part.view_as(part) for part in others)
        else:
            z = tuple(part.detach().requires_grad_() for part in z)
            others = tuple(
                part.detach().requires_grad_() if k in set(wanted) else part.detach() for k, part in enumerate(others)
            )
        with torch.enable_grad():
            value = map_.evaluate(z, others)
        u = _pulled_fixed_point(map_, value, z, gradients)
        if again:
            pull = PullBack(map_.solve, map_, count)
            u = Attach.apply(pull, count, *u, *gradients, *z, *others)  # type: ignore[no-untyped-call]
        found = torch.autograd.grad(
            value, [others[k] for k in wanted], u, create_graph=again, allow_unused=True, materialize_grads=True
        )
        result: list[Tensor | None] = [None] * (2 + count + len(others))
        for k, gradient in zip(wanted, found, strict=True):
            result[2 + count + k] = gradient
        return tuple(result)


@torch.no_grad()
def _pulled_fixed_point(map_: Map, value: Leaves, z: Leaves, gradients: Leaves) -> Leaves:
    """u = J' u + g, each sample scaled so that its g has norm 1."""
    size = torch.stack([part.flatten(1).square().sum(1) for part in gradients]).sum(0).sqrt()
    scale = torch.where(size > 0, size, torch.ones_like(size))

    def scaled(parts: Leaves, by: Tensor) -> Leaves:
        return tuple(part * by.reshape(-1, *[1] * (part.ndim - 1)).to(part.dtype) for part in parts)

    right = as_point(scaled(gradients, 1.0 / scale))

    def pull(u: Any) -> Any:
        parts = torch.autograd.grad(value, z, leaves(u), retain_graph=True, allow_unused=True, materialize_grads=True)
        return as_point(parts) + right

    return scaled(map_.solve(pull, tuple(leaves(right))), scale)
