"""Nodes with finitely many states: how their probabilities lie in a row, and the softmax of every node as a prox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional

from monops.constants import Constants
from monops.errors import DataError
from monops.functions import Function, Softmax
from monops.functions.arguments import check_prox
from monops.functions.sample import Sample
from monops.linear import LinearMap, SelfAdjointMap


class Nodes(NamedTuple):
    """``number`` nodes with ``states`` states each.

    In a row the states of a node are neighbours (``adjacent``), or else come first the first states of all nodes, then the
    second ones, and so on, as the channels of an image do.
    """

    number: int
    states: int
    adjacent: bool = True

    @property
    def size(self) -> int:
        """Entries in a row."""
        return self.number * self.states


def nodes_of(states: tuple[int, ...]) -> tuple[Nodes, ...]:
    """Runs of nodes with equally many states."""
    runs: list[Nodes] = []
    for k in states:
        if runs and runs[-1].states == k:
            runs[-1] = Nodes(runs[-1].number + 1, k)
        else:
            runs.append(Nodes(1, k))
    return tuple(runs)


def split(rows: Tensor, layout: tuple[Nodes, ...]) -> Iterator[Tensor]:
    """Views (batch, states, nodes) of rows (batch, size), one a run of nodes."""
    parts = torch.split(rows, [run.size for run in layout], dim=-1)
    return (
        part.reshape(*part.shape[:-1], run.number, run.states).mT
        if run.adjacent
        else part.reshape(*part.shape[:-1], run.states, run.number)
        for part, run in zip(parts, layout, strict=True)
    )


def join(parts: list[Tensor], layout: tuple[Nodes, ...]) -> Tensor:
    """The inverse of ``split``."""
    flat = [(part.mT if run.adjacent else part).flatten(-2) for part, run in zip(parts, layout, strict=True)]
    return flat[0] if len(flat) == 1 else torch.cat(flat, dim=-1)


def spread_to_states(values: Tensor, layout: tuple[Nodes, ...]) -> Tensor:
    """Rows (batch, size) from one value a node (batch, nodes)."""
    parts = torch.split(values, [run.number for run in layout], dim=-1)
    return join([part[:, None].expand(-1, run.states, -1) for part, run in zip(parts, layout, strict=True)], layout)


@final
@dataclass(frozen=True, eq=False)
class NodeSoftmax(Function):
    """f(q) = sum_i (sum q_i log q_i)/s - |q_i|^2/2 on a product of simplices; prox_f(x)_i = softmax(s x_i), node by node.

    Parameters
    ----------
    layout : tuple of Nodes
        The nodes of a row, in order.
    sharpness : float, default 1.0
        s in (0, 2]: the inverse temperature.

    Raises
    ------
    DataError
        When s is not in (0, 2]: softmax(s x) has the slope s/2, and a prox has a slope of at most 1.

    Notes
    -----
    prox with step a: the q_i with (1 - a) q + (a/s) log q = x_i - nu and sum q = 1, which is that of `monops.functions.Softmax`
    with the step r = (a/s)/(1 - a + a/s) at x/(1 - a + a/s); for s > 1 and a >= s/(s - 1) that factor is not positive, and the
    step is refused. **Domain** simplices. **Constants** mu = 2/s - 1. **Cost** one exponential at step 1, some 50 otherwise.
    **Derivative** of the prox: diag(d) - d d'/sum d in each node, d = q/((1 - a) q + a/s).

    References
    ----------
    Combettes and Pesquet (2020), Deep neural network structures solving variational inequalities. Feng, Winston and Kolter
    (2023), Monotone deep Boltzmann machines, for s = 1.

    Examples
    --------
    >>> import torch
    >>> NodeSoftmax((Nodes(1, 2), Nodes(1, 3))).batched(1).prox(torch.zeros(1, 5))
    tensor([[0.5000, 0.5000, 0.3333, 0.3333, 0.3333]])
    """

    layout: tuple[Nodes, ...]
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.sharpness <= 2.0:
            raise DataError(
                f"sharpness={self.sharpness!r} must lie in (0, 2]: softmax(s x) has the slope s/2, that of a prox is at most 1"
            )

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return ()

    @cached_property
    def constants(self) -> Constants:
        return Constants(2.0 / self.sharpness - 1.0, cyclic=True, why="computed: softmax(s x) is s/2-Lipschitz")

    def prox(self, x: Tensor, step: float = 1.0) -> Tensor:
        check_prox(self, x, step)
        if step == 1.0:
            return join([functional.softmax(self.sharpness * part, dim=1) for part in split(x, self.layout)], self.layout)
        weight = 1.0 - step + step / self.sharpness
        if weight <= 0.0:
            raise DataError(
                f"step={step:g} is too large for the prox of NodeSoftmax with sharpness {self.sharpness:g}: take less than "
                f"{self.sharpness / (self.sharpness - 1.0):g}"
            )
        simplex = Softmax().batched(2)
        points = [simplex.prox(part.mT / weight, step / self.sharpness / weight).mT for part in split(x, self.layout)]
        return join(points, self.layout)

    def prox_derivative(self, x: Tensor, step: float = 1.0) -> LinearMap:
        return self.derivative_at(self.prox(x, step), step)

    def derivative_at(self, q: Tensor, step: float = 1.0) -> LinearMap:
        """The derivative of the prox where its value is q."""
        slopes = [part / ((1.0 - step) * part + step / self.sharpness) for part in split(q, self.layout)]
        totals = [d.sum(dim=1, keepdim=True) for d in slopes]

        def apply(v: Tensor) -> Tensor:
            parts = []
            for d, total, part in zip(slopes, totals, split(v, self.layout), strict=True):
                moved = d * part
                parts.append(torch.addcmul(moved, d, moved.sum(dim=1, keepdim=True) / total, value=-1.0))
            return join(parts, self.layout)

        return SelfAdjointMap(apply, tuple(q.shape))
