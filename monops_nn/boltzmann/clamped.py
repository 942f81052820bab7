"""Softmax in the free nodes and a given value in the observed ones, with masks of their own in every row of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from monops.constants import Constants
from monops.linear import LinearMap
from monops.operators import Operator
from monops_nn.boltzmann.nodes import NodeSoftmax
from monops_nn.operators import Derivative


@final
@dataclass(frozen=True, eq=False)
class ClampedSoftmax(Operator):
    """The subdifferential of f in the free nodes, the indicator of a point in the observed ones.

    Parameters
    ----------
    softmax : NodeSoftmax
        f, with one batch axis.
    free : tensor (batch, size)
        1 in the entries of free nodes, 0 in those of observed ones: all states of a node alike.
    fixed : tensor (batch, size)
        The probabilities of observed nodes; 0 in the entries of free ones.

    Notes
    -----
    **Resolvent** with step a: prox_{a f} in free nodes, ``fixed`` in the others. The inclusion with Phi and this operator has
    the same solution as the one of the free nodes alone, whose I - Phi is a principal submatrix, so that m is no smaller; but
    rows with different masks share one Phi, with its factorisation. **Constants** mu of f. **Cost** of the prox.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.boltzmann import Nodes
    >>> free, fixed = torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    >>> ClampedSoftmax(NodeSoftmax((Nodes(2, 2),)).batched(1), free, fixed).resolvent(torch.zeros(1, 4), 1.0)
    tensor([[0.5000, 0.5000, 1.0000, 0.0000]])
    """

    softmax: NodeSoftmax
    free: Tensor
    fixed: Tensor

    @cached_property
    def constants(self) -> Constants:
        return Constants(self.softmax.constants.strong_monotonicity, cyclic=True, why="rule: the constant of f")

    @property
    def has_forward(self) -> bool:
        return False

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        return torch.addcmul(self.fixed, self.free, self.softmax.prox(x, step))

    def rows(self, index: Tensor) -> ClampedSoftmax:
        """The same operator for some of the rows."""
        return ClampedSoftmax(self.softmax, self.free[index], self.fixed[index])

    def formula(self, x: str) -> str:
        return f"df({x})"


@final
@dataclass(frozen=True, eq=False)
class ClampedDerivative(Derivative):
    """u -> (J^-1 - I) u - g, J the derivative of `ClampedSoftmax` at its value q: 0 in observed nodes.

    Parameters
    ----------
    gradient : tensor (batch, size)
        g.
    sigma : ClampedSoftmax
    value : tensor (batch, size)
        q.

    Notes
    -----
    **Resolvent** with step a: J_a (x + a g), J_a the derivative of prox_{a f} where its value is q, in free nodes; 0 in the
    others. **Cost** elementwise.

    References
    ----------
    Winston and Kolter (2020), Theorem 3; Bauschke and Combettes (2017), Proposition 23.7.
    """

    sigma: ClampedSoftmax
    value: Tensor
    _kept: dict[float, LinearMap] = field(default_factory=dict, repr=False)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        found = self._kept.get(step)
        if found is None:
            found = self._kept[step] = self.sigma.softmax.derivative_at(self.value, step)
        moved: Tensor = found.apply(torch.add(x, self.gradient, alpha=step))
        return self.sigma.free * moved

    def rows(self, index: Tensor) -> ClampedDerivative:
        """The same operator for some of the rows."""
        return ClampedDerivative(self.gradient[index], self.sigma.rows(index), self.value[index])
