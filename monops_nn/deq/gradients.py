"""The derivative of a fixed point z = f(z, x, theta) by the implicit function theorem, of any order.

dz = (I - J)^-1 (f_x dx + f_theta dtheta) with J = f_z, so that the gradient g in z becomes f_theta' u with u = J' u + g: a
fixed point again, of the map u -> J' u + g, and found by the same methods. Where a derivative of the derivative is wanted, u is
itself attached to the graph in this way.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from monops.arrays import leaves
from monops.errors import DataError, ShapeError
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

    @abstractmethod
    def refuse_changes(self) -> None:
        """Raise where the map is no longer what it was in the forward pass."""


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
    names: tuple[tuple[str, int], ...]  # of the parameters of each module, and their positions among the unique ones
    modes: tuple[tuple[nn.Module, bool], ...]
    buffers: dict[str, Tensor]
    versions: dict[str, int]  # of the buffers, once the fixed point was found
    inputs: int
    several: bool
    autocast: tuple[str, torch.dtype | None]

    def evaluate(self, z: Leaves, others: Leaves) -> Leaves:
        inputs, parameters = others[: self.inputs], others[self.inputs :]
        given = {**{name: parameters[k] for name, k in self.names}, **self.buffers}
        device, dtype = self.autocast
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None), _as_it_was(self.modes), without_cache():
            state = as_state(z, self.several)
            value = torch.func.functional_call(self.cell, given, (state, *inputs), tie_weights=False)
        return like(value, z)

    def refuse_changes(self) -> None:
        """DataError when a buffer was changed in place since the fixed point was found."""
        for name, version in self.versions.items():
            if self.buffers[name]._version != version:
                raise DataError(
                    f"cell.{name} was changed in place between the forward and the backward pass, so that the gradient would "
                    "be that of another function: call backward first, or give the buffer a new tensor"
                )

    def apply(self, z: Leaves, inputs: Leaves) -> Leaves:
        """f(z, inputs) with the parameters and seeds that the cell has now; not recorded in parameters."""
        return like(self.cell(as_state(z, self.several), *inputs), z)


@contextlib.contextmanager
def _as_it_was(modes: tuple[tuple[nn.Module, bool], ...]) -> Iterator[None]:
    """The training modes of the forward pass."""
    now = [(module, module.training) for module, training in modes if module.training is not training]
    for module, training in now:
        module.training = not training
    try:
        yield
    finally:
        for module, training in now:
            module.training = training


@contextlib.contextmanager
def without_cache() -> Iterator[None]:
    """Outside of torch's cache of parametrised weights, which would hide the weights that a map is given."""
    enabled, parametrize._cache_enabled = parametrize._cache_enabled, 0
    try:
        yield
    finally:
        parametrize._cache_enabled = enabled


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

    def refuse_changes(self) -> None:
        self.of.refuse_changes()


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
        saved = ctx.saved_tensors  # read once: recomputation by checkpoints allows no second time
        z, others = saved[:count], saved[count:]
        map_.refuse_changes()
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
        if not again:
            _refuse_strangers(value, (*z, *others))
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


def _refuse_strangers(value: Leaves, known: Leaves) -> None:
    """DataError when a value depends on tensors with gradients that are neither its state, nor its inputs and parameters."""
    ours, seen = {id(part) for part in known}, set()
    nodes = [part.grad_fn for part in value if part.grad_fn is not None]
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) not in ours:
            raise DataError(
                "the cell reads tensors with gradients that are neither its parameters nor its inputs, and would get none: "
                "pass them as inputs, layer(x, tensor), or register them as parameters of the cell"
            )
        nodes += [parent for parent, _ in node.next_functions if parent is not None]


@torch.no_grad()
def _pulled_fixed_point(map_: Map, value: Leaves, z: Leaves, gradients: Leaves) -> Leaves:
    """u = J' u + g, each sample scaled so that its g has norm 1."""
    largest = torch.stack([part.flatten(1).abs().amax(1) for part in gradients if part[0].numel()]).amax(0)
    largest = torch.where(largest > 0, largest, torch.ones_like(largest))  # by which squares neither underflow nor overflow

    def rows(by: Tensor, part: Tensor) -> Tensor:
        return by.reshape(-1, *[1] * (part.ndim - 1)).to(part.dtype)

    size = torch.stack([(part / rows(largest, part)).flatten(1).square().sum(1) for part in gradients]).sum(0).sqrt()
    scale = largest * torch.where(size > 0, size, torch.ones_like(size))

    def scaled(parts: Leaves, by: Tensor) -> Leaves:
        return tuple(part * rows(by, part) for part in parts)

    right = as_point(tuple(part / rows(scale, part) for part in gradients))

    def pull(u: Any) -> Any:
        parts = torch.autograd.grad(value, z, leaves(u), retain_graph=True, allow_unused=True, materialize_grads=True)
        return as_point(parts) + right

    return scaled(map_.solve(pull, tuple(leaves(right))), scale)
