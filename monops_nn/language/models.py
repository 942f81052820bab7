"""Language models around one transformer cell: at its equilibrium, or unrolled with the same parameters."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError, ShapeError
from monops_nn.deq import DEQ
from monops_nn.language.cell import TransformerCell


class Unrolled(nn.Module):
    """A cell used ``depth`` times from its initial state, recorded: the explicit weight-tied network of a `DEQ`.

    Parameters
    ----------
    cell : nn.Module
        As of `DEQ`, with an ``initial_state``.
    depth : int

    Raises
    ------
    DataError
        When depth is not a positive integer.

    Notes
    -----
    **Memory** of a training step: ``depth`` times that of the cell. **Cost** ``depth`` uses of the cell.
    """

    def __init__(self, cell: TransformerCell, depth: int) -> None:
        super().__init__()
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
            raise DataError(f"depth={depth!r} must be a positive integer")
        self.cell, self.depth = cell, depth

    def forward(self, *inputs: Tensor, z0: Tensor | None = None) -> Tensor:
        """The state after ``depth`` uses, from z0 or the initial state."""
        z = self.cell.initial_state(*inputs) if z0 is None else z0
        for _ in range(self.depth):
            z = self.cell(z, *inputs)
        return z

    def extra_repr(self) -> str:
        return f"depth={self.depth}"


class LanguageModel(nn.Module):
    """Tokens -> embeddings -> state of the layer -> one score for each token that may come next.

    Parameters
    ----------
    vocabulary : int
        How many tokens there are.
    layer : DEQ or Unrolled
        Of a `TransformerCell`.
    tied : bool, default True
        The scores use the embeddings as weights, which saves vocabulary x width of them.

    Raises
    ------
    DataError
        When vocabulary is not a positive integer, a token is no number below it, or a text is empty.
    ShapeError
        When tokens are not (batch, length).

    Notes
    -----
    Embeddings have entries of variance 1/width and enter the cell times sqrt(width).
    """

    def __init__(self, vocabulary: int, layer: DEQ | Unrolled, *, tied: bool = True) -> None:
        super().__init__()
        if isinstance(vocabulary, bool) or not isinstance(vocabulary, int) or vocabulary < 1:
            raise DataError(f"vocabulary={vocabulary!r} must be a positive integer")
        cell = layer.cell
        assert isinstance(cell, TransformerCell)
        self.vocabulary, self.tied = vocabulary, tied
        self.embedding = nn.Embedding(vocabulary, cell.width)
        nn.init.normal_(self.embedding.weight, std=cell.width**-0.5)
        self.layer = layer
        self.scores = nn.Linear(cell.width, vocabulary)
        if tied:
            self.scores.weight = self.embedding.weight
        nn.init.zeros_(self.scores.bias)

    @property
    def cell(self) -> TransformerCell:
        """The cell of the layer."""
        assert isinstance(self.layer.cell, TransformerCell)
        return self.layer.cell

    def forward(self, tokens: Tensor, *, z0: Tensor | None = None) -> Tensor:
        """Scores (batch, length, vocabulary) of the token after each of (batch, length); row t reads tokens 1..t."""
        scores: Tensor = self.scores(self.state(tokens, z0=z0))
        return scores

    def state(self, tokens: Tensor, *, z0: Tensor | None = None) -> Tensor:
        """The state (batch, length, width) of the layer."""
        z: Tensor = self.layer(*self.inputs(tokens), z0=z0)
        return z

    def inputs(self, tokens: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """What the cell reads beside its state: the injection of the tokens, and masks of dropout in training."""
        if tokens.ndim != 2:
            raise ShapeError(f"tokens have shape {tuple(tokens.shape)}, but (batch, length) is needed")
        if tokens.dtype not in (torch.int32, torch.int64):
            raise DataError(f"tokens are numbers of the vocabulary, int64 or int32, got {tokens.dtype}: encode the text first")
        if not tokens.numel():
            raise DataError("the text has no token: give at least one")
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= self.vocabulary:
            wrong = low if low < 0 else high
            raise DataError(f"the token {wrong} is outside of the vocabulary 0..{self.vocabulary - 1}: encode with it")
        return self.cell.inputs(self.embedding(tokens) * self.cell.width**0.5, generator)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy, in nats a token, of the tokens that come next."""
        return functional.cross_entropy(self(tokens).flatten(0, 1), targets.flatten())


@final
class EquilibriumLanguageModel(LanguageModel):
    r"""A transformer cell at its equilibrium: logits = head(z), z = f(z, U embed(tokens)).

    Parameters
    ----------
    vocabulary : int
    width, heads : int
        Default 128 and 4.
    tied : bool, default True
        As in `LanguageModel`.
    cell : dict, optional
        Further keywords of `TransformerCell`: hidden, positions, distances, dropout, fused.
    **solver
        Keywords of `DEQ`: algorithm, tol, max_iter, gradient, ...

    Notes
    -----
    `WeightTiedLanguageModel` has the same parameters under the same names: either takes the ``state_dict`` of the other, by
    `parameters_of`. **Memory** of a training step: one use of the cell, whatever the number of iterations.

    References
    ----------
    Bai, Kolter and Koltun (2019), Deep equilibrium models.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = EquilibriumLanguageModel(10, width=16, heads=2, tol=1e-5)
    >>> tokens = torch.tensor([[1, 2, 3, 4]])
    >>> model(tokens).shape, model.layer.solve(*model.inputs(tokens)).status.name
    (torch.Size([1, 4, 10]), 'CONVERGED')
    """

    layer: DEQ

    def __init__(
        self,
        vocabulary: int,
        width: int = 128,
        heads: int = 4,
        *,
        tied: bool = True,
        cell: dict[str, Any] | None = None,
        **solver: Any,
    ) -> None:
        super().__init__(vocabulary, DEQ(TransformerCell(width, heads, **(cell or {})), **solver), tied=tied)


@final
class WeightTiedLanguageModel(LanguageModel):
    """The same cell used ``depth`` times: the explicit weight-tied, input-injected transformer.

    Parameters
    ----------
    vocabulary : int
    width, heads : int
        Default 128 and 4.
    depth : int, default 12
    tied : bool, default True
        As in `LanguageModel`.
    cell : dict, optional
        Further keywords of `TransformerCell`.

    Notes
    -----
    As depth grows, its states tend to the equilibrium where the cell contracts. **Memory** ``depth`` uses of the cell.

    References
    ----------
    Dehghani et al. (2019), Universal transformers.

    Examples
    --------
    >>> model = WeightTiedLanguageModel(10, width=16, heads=2, depth=3)
    >>> model(torch.tensor([[1, 2, 3, 4]])).shape
    torch.Size([1, 4, 10])
    """

    layer: Unrolled

    def __init__(
        self,
        vocabulary: int,
        width: int = 128,
        heads: int = 4,
        *,
        depth: int = 12,
        tied: bool = True,
        cell: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(vocabulary, Unrolled(TransformerCell(width, heads, **(cell or {})), depth), tied=tied)


def parameters_of(model: LanguageModel) -> dict[str, Tensor]:
    """The parameters by name, for ``load_state_dict(..., strict=False)`` of its twin: solver settings are left out.

    Examples
    --------
    >>> deq, twin = (kind(10, width=16, heads=2) for kind in (EquilibriumLanguageModel, WeightTiedLanguageModel))
    >>> twin.load_state_dict(parameters_of(deq))
    <All keys matched successfully>
    """
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
