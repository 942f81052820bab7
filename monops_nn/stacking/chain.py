"""The parametrisation of a chain of blocks, and its injection."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor, nn

from monops.errors import DataError, ShapeError
from monops.functions import Function
from monops_nn.parametrize.parametrization import Parametrization
from monops_nn.stacking.activation import Block
from monops_nn.stacking.affine import AffineMap
from monops_nn.stacking.system import ChainSystem, Coupling, Part


class Link(nn.Module):
    """One block z = sigma(W z + A y + b), y what comes before: modules and parameters are those of the user.

    Parameters
    ----------
    injection : nn.Module
        y -> A y + b; an `AffineMap` unless the block is the first.
    linear : Parametrization or None
        W; None for 0.
    activation : Function
    shape : tuple of int
        Of z.
    """

    def __init__(
        self, injection: nn.Module, linear: Parametrization | None, activation: Function, shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.injection, self.linear, self.activation, self.shape = injection, linear, activation, shape

    def enter(self, state: Tensor) -> Tensor:
        """Rows from states (batch, *shape)."""
        return state.flatten(1) if self.linear is None else self.linear.enter(state)

    def leave(self, rows: Tensor) -> Tensor:
        """States (batch, *shape) from rows."""
        if self.linear is not None:
            state: Tensor = self.linear.leave(rows)
            return state
        return rows.reshape(rows.shape[0], *self.shape)

    @property
    def size(self) -> int:
        """Entries of a row."""
        return math.prod(self.shape) if self.linear is None else self.linear.current_system().size


@final
class Chain(Parametrization):
    """W of (z_1, ..., z_d) with z_i = sigma_i(W_i z_i + A_i z_(i-1) + b_i); `stack_feedforward`, `stack_equilibria` make it.

    Parameters
    ----------
    links : sequence of Link
    share : float, default 0.5
        m is this share of the least m_i of the blocks (1 where W_i = 0); the rest is what the scaling of the metric lives on.

    Raises
    ------
    DataError
        When ``share`` is not between 0 and 1.

    Examples
    --------
    >>> from monops_nn.stacking import stack_feedforward
    >>> chain = stack_feedforward(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))).linear
    >>> chain.shape, chain.certified_monotonicity
    (((4,), (2,)), 0.5)
    """

    def __init__(self, links: Sequence[Link], share: float = 0.5) -> None:
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
            raise DataError(
                f"monotonicity={share!r} must be between 0 and 1: the share of the least m of the blocks that is kept"
            )
        like = next((p for link in links for p in link.parameters()), torch.zeros(()))
        super().__init__(float(share), device=like.device, dtype=like.dtype)
        self.links = nn.ModuleList(links)
        self.shape = tuple(link.shape for link in links)
        self.sizes = tuple(link.size for link in links)
        with torch.no_grad():
            self.counts = tuple((len(between), len(own)) for between, own in self._weights_by_link())

    @property
    def chain(self) -> tuple[Link, ...]:
        """The links, typed."""
        return tuple(link for link in self.links if isinstance(link, Link))

    @property
    def monotonicity(self) -> Tensor:
        """The number m: a share of the least m_i."""
        own = [link.linear.monotonicity.to(self.fixed_monotonicity) for link in self.chain if link.linear is not None]
        if len(own) < len(self.links):
            own.append(torch.ones_like(self.fixed_monotonicity))
        return self.fixed_monotonicity * torch.stack(own).amin()

    @property
    def reference(self) -> Tensor:
        return next(self.parameters(), self.fixed_monotonicity)

    @property
    def rows_shape(self) -> None:
        return None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The activations of the blocks, with the shapes in which they see their entries."""
        shapes = [link.shape if link.linear is None else link.linear.rows_shape for link in self.chain]
        return tuple(Block(link.activation, n, s) for link, n, s in zip(self.chain, self.sizes, shapes, strict=True))

    def _weights_by_link(self) -> list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
        """For every block the tensors of A_i (none for the first), and those of W_i."""
        found = []
        for i, link in enumerate(self.chain):
            between = link.injection.weights(self.solving_dtype) if i and isinstance(link.injection, AffineMap) else ()
            found.append((between, () if link.linear is None else link.linear.weights()))
        return found

    def weights(self) -> tuple[Tensor, ...]:
        return tuple(weight for between, own in self._weights_by_link() for weight in (*between, *own))

    def system(self, weights: tuple[Tensor, ...]) -> ChainSystem:
        rest, parts, before = iter(weights), list[Part](), None
        for link, size, (between, own) in zip(self.chain, self.sizes, self.counts, strict=True):
            coupling = None if before is None else LinkCoupling(tuple(itertools.islice(rest, between)), before, link)
            mine = tuple(itertools.islice(rest, own))
            parts.append(Part(None if link.linear is None else link.linear.system(mine), size, coupling))
            before = link
        m = float(self.fixed_monotonicity) * min(part.monotonicity for part in parts)
        like = self.reference.detach().new_zeros((), dtype=self.solving_dtype)
        return ChainSystem(weights, m, tuple(parts), like)

    def bare_system(self, weights: tuple[Tensor, ...]) -> ChainSystem:
        """The same, keeping its metric back: no method of solution reads it."""
        return replace(self.system(weights), bare=True)

    def enter(self, state: Any) -> Tensor:
        blocks = [state] if isinstance(state, Tensor) else list(state)
        blocks += [blocks[0].new_zeros(len(blocks[0]), *link.shape) for link in self.chain[len(blocks) :]]
        return torch.cat([link.enter(block) for link, block in zip(self.chain, blocks, strict=True)], dim=1)

    def leave(self, rows: Tensor) -> tuple[Tensor, ...]:
        parts = torch.split(rows, list(self.sizes), dim=1)
        return tuple(link.leave(part) for link, part in zip(self.chain, parts, strict=True))

    def forward(self, z: Any) -> tuple[Tensor, ...]:
        """W z for a state z, a tuple of tensors (batch, *shape_i)."""
        shapes = tuple(tuple(block.shape[1:]) for block in z)
        if shapes != self.shape or len({len(block) for block in z}) != 1:
            raise ShapeError(f"the blocks of z have shapes {shapes}, but need {self.shape}, all after one axis of samples")
        rows = self.enter(tuple(block.to(self.solving_dtype) for block in z))
        images = self.leave(self.current_system().product(rows))
        return tuple(image.to(block.dtype) for image, block in zip(images, z, strict=True))

    def default_injection(self, channels: int) -> nn.Module:
        raise DataError("a chain has the injections of its blocks: make it by stack_feedforward or stack_equilibria")

    def extra_repr(self) -> str:
        return f"shapes={self.shape}, monotonicity={self.certified_monotonicity:g}"


@final
@dataclass(frozen=True, eq=False)
class LinkCoupling(Coupling):
    """The linear part of a link's injection, from the rows of the link before to its own.

    Parameters
    ----------
    weights : tuple of tensors
        Those of the `AffineMap`.
    before, link : Link
    """

    weights: tuple[Tensor, ...]
    before: Link
    link: Link

    @property
    def between(self) -> AffineMap:
        """The affine map."""
        assert isinstance(self.link.injection, AffineMap)
        return self.link.injection

    def apply(self, z: Tensor) -> Tensor:
        return self.link.enter(self.between.linear(self.weights, self.before.leave(z)))

    def transposed(self, u: Tensor) -> Tensor:
        return self.before.enter(self.between.transposed(self.weights, self.link.leave(u)))

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        return self.between.cotangents(self.weights, self.link.leave(u), self.before.leave(z))

    def norm(self) -> float:
        return self.between.norm(self.weights)


@final
class ChainInjection(nn.Module):
    """x -> (A_1 x + b_1, b_2, ..., b_d), by the modules of a `Chain`, whose parameters are not listed twice.

    Parameters
    ----------
    chain : Chain
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.__dict__["linear"] = chain  # not a submodule

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Blocks (..., *shape_i) for inputs (..., *shape of x)."""
        chain: Chain = self.__dict__["linear"]
        first, *rest = chain.chain
        entry = first.injection
        if isinstance(entry, AffineMap):
            axes = len(entry.shape_in)
            if x.ndim < axes or tuple(x.shape[x.ndim - axes :]) != entry.shape_in:
                raise ShapeError(
                    f"x has shape {tuple(x.shape)}, but the first block reads (..., {', '.join(map(str, entry.shape_in))})"
                )
            lead = x.shape[: x.ndim - axes]
            block = entry(x.reshape(-1, *entry.shape_in)).reshape(*lead, *first.shape)
        else:
            if isinstance(entry, nn.Conv2d) and (x.ndim < 3 or x.shape[-3] != entry.in_channels):
                raise ShapeError(
                    f"x has shape {tuple(x.shape)}, but the injection needs (..., {entry.in_channels}, height, width)"
                )
            block = entry(x.reshape(-1, *x.shape[-3:])) if isinstance(entry, nn.Conv2d) else entry(x)
            if isinstance(entry, nn.Conv2d):
                block = block.reshape(*x.shape[:-3], *block.shape[1:])
            lead = block.shape[: block.ndim - len(first.shape)]
        blocks = [block]
        for link in rest:
            assert isinstance(link.injection, AffineMap)
            blocks.append(link.injection.constant(chain.reference).to(block.dtype).expand(*lead, *link.shape))
        return tuple(blocks)
