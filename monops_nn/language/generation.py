"""Text by a language model, one token after the other, each equilibrium found from the one before."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from monops.errors import DataError, NotConvergedError
from monops_nn.deq import DEQ
from monops_nn.language.models import LanguageModel


@dataclass(frozen=True)
class Generated:
    """Prompt and new tokens (batch, length), and the solver's iterations for each new token (0 for an explicit network)."""

    tokens: Tensor
    iterations: tuple[int, ...]


@torch.no_grad()
def generate(
    model: LanguageModel,
    prompt: Tensor,
    length: int,
    temperature: float = 1.0,
    *,
    context: int | None = None,
    warm_start: bool = True,
    generator: torch.Generator | None = None,
) -> Generated:
    """Continue token sequences.

    Parameters
    ----------
    model : LanguageModel
        Used in evaluation mode, whatever its mode.
    prompt : tensor (batch, tokens) or (tokens,)
        At least one token.
    length : int
        How many tokens to add.
    temperature : float, default 1.0
        Scores are divided by it before a token is drawn; 0 takes the most probable one.
    context : int, optional
        Only so many last tokens are read. Default: all of them.
    warm_start : bool, default True
        Start the solver at the equilibrium of the text so far: by causality the states of earlier positions stay what they are
        as long as no token leaves the context, and only the new position moves. An explicit network always starts anew.
    generator : torch.Generator, optional

    Returns
    -------
    Generated

    Raises
    ------
    DataError
        When length, temperature or context cannot be meant, or the prompt is empty.
    NotConvergedError
        When scores are not finite: the equilibrium was not found.

    Notes
    -----
    **Cost** for each token, iterations x one use of the cell on the context.

    Examples
    --------
    >>> from monops_nn.language import EquilibriumLanguageModel
    >>> _ = torch.manual_seed(0)
    >>> model = EquilibriumLanguageModel(10, width=16, heads=2)
    >>> generate(model, torch.tensor([1, 2, 3]), 4, temperature=0).tokens.shape
    torch.Size([1, 7])
    """
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise DataError(f"length={length!r} must be an integer >= 0")
    if not 0.0 <= temperature < math.inf:
        raise DataError(f"temperature={temperature!r} must be a finite number >= 0")
    if context is not None and (isinstance(context, bool) or not isinstance(context, int) or context < 1):
        raise DataError(f"context={context!r} must be a positive integer, or None for all tokens")
    if not isinstance(prompt, Tensor):
        raise DataError(
            f"prompt must be a tensor of tokens, got {type(prompt).__name__}: use "
            "monops_nn.datasets.text.encode(vocabulary, text) with the vocabulary of monops_nn.datasets.load_text"
        )
    tokens = prompt[None] if prompt.ndim == 1 else prompt
    training, iterations = model.training, []
    z: Tensor | None = None
    model.eval()
    try:
        for _ in range(length):
            read = tokens if context is None else tokens[:, -context:]
            z, count = _state(model, read, z if warm_start else None)
            iterations.append(count)
            tokens = torch.cat((tokens, _drawn(model.scores(z[:, -1]), temperature, generator).to(tokens.dtype)), 1)
    finally:
        model.train(training)
    return Generated(tokens, tuple(iterations))


def _state(model: LanguageModel, tokens: Tensor, before: Tensor | None) -> tuple[Tensor, int]:
    """The state of the tokens, from that of one token less where it is known, and the iterations it took."""
    inputs = model.inputs(tokens)
    if not isinstance(model.layer, DEQ):
        return model.layer(*inputs), 0
    start = None
    if before is not None:
        kept = before[:, before.shape[1] - tokens.shape[1] + 1 :] if before.shape[1] >= tokens.shape[1] else before
        start = torch.cat((kept, kept[:, -1:]), 1) if kept.shape[1] else None
    solution = model.layer.solve(*inputs, z0=start)
    assert isinstance(solution.z, Tensor)
    return solution.z, int(solution.iterations.max())


def _drawn(scores: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    if not bool(torch.isfinite(scores).all()):
        raise NotConvergedError(
            "the scores are not finite: the equilibrium was not found; raise max_iter, or train with a penalty of the Jacobian"
        )
    if temperature == 0.0:
        return scores.argmax(-1, keepdim=True)
    return torch.multinomial(torch.softmax(scores / temperature, -1), 1, generator=generator)
