"""A classifier that carries the multipliers of its own certificates, so that training can see what is certified."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor, nn

from monops_nn.certificates.multipliers import Loop, bound_of
from monops_nn.certificates.pairs import matrix_of_pairs, pairs
from monops_nn.models import Classifier

Bound = Literal["crude", "multiplier"]
BOUNDS = ("crude", "multiplier")


@final
class RobustClassifier(nn.Module):
    """A dense equilibrium classifier with the multipliers of its pairwise certificates, learned beside its weights.

    Parameters
    ----------
    network : Classifier
        With a dense layer and ReLU or another activation with slopes in [0, 1] that acts entry by entry.

    Attributes
    ----------
    logarithms : Parameter (pairs, n)
        Logarithms of the multipliers, relative to (|c_k - c_j|/|U|) I: they start at 0.

    Examples
    --------
    >>> import torch
    >>> from monops_nn.models import dense
    >>> model = RobustClassifier(dense((1, 4, 4), 6, 3))
    >>> bound = model.pairwise("multiplier")
    >>> bool((bound <= model.pairwise("crude") * (1 + 1e-4)).all()), bound.shape
    (True, torch.Size([3, 3]))
    """

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network
        weight = network.scores.weight
        count = len(pairs(weight.shape[0])[0])
        self.logarithms = nn.Parameter(torch.zeros(count, weight.shape[1], dtype=weight.dtype, device=weight.device))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (batch, classes) of images."""
        scores: Tensor = self.network(x)
        return scores

    def pairwise(self, bound: Bound) -> Tensor:
        """Bounds (classes, classes) of |(l_k - l_j)(x) - (l_k - l_j)(y)|/|x - y|, differentiable; not rounded to the safe side.

        Where the learned multipliers prove nothing, the crude ones stand in for them.
        """
        layer, C = self.network.layer, self.network.scores.weight
        U = layer.injection.weight
        assert isinstance(U, Tensor)
        first, second = pairs(C.shape[0])
        rows = C[first] - C[second]
        lengths, norm = torch.linalg.vector_norm(rows, dim=1), torch.linalg.matrix_norm(U, 2)
        crude = lengths * norm / layer.linear.monotonicity
        if bound == "crude":
            return matrix_of_pairs(crude, C.shape[0])
        loop = Loop.of(layer.linear.weights()[0], U, rows[:, None])
        multipliers = (lengths / norm).detach()[:, None] * self.logarithms.exp()
        found = bound_of(loop, multipliers)
        return matrix_of_pairs(torch.where(torch.isfinite(found), found, crude), C.shape[0])
