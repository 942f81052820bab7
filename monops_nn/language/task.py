"""A language model as the target of a training run: its batches, its loss, its perplexity, and a look at its solver."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional

from monops.errors import DataError
from monops_nn.datasets.text import Text, load_text
from monops_nn.deq import DEQ, jacobian_penalty, spectral_radius
from monops_nn.deq.layer import Gradient
from monops_nn.language.cell import Positions
from monops_nn.language.cost import uses_of
from monops_nn.language.models import EquilibriumLanguageModel, LanguageModel, WeightTiedLanguageModel
from monops_nn.training.task import Task

if TYPE_CHECKING:
    from monops_nn.training.options import Options

LOOK_ROWS = 4  # texts whose Jacobian is looked at
LOOK_STEPS = 20  # of the power method


class Batch(NamedTuple):
    """Tokens and those that come next, (batch, context) each, and what masks and penalties are drawn by."""

    tokens: Tensor
    targets: Tensor
    generator: torch.Generator


@final
class LanguageTask(Task):
    """Next-token prediction on a text.

    Parameters
    ----------
    text : Text
    model : LanguageModel
    context : int, default 64
        Tokens of a training text and of a text of the validation.
    batch_size : int, default 32
    jacobian_weight : float, default 0.0
        The loss is the cross-entropy plus this times `monops_nn.deq.jacobian_penalty`, for an equilibrium.
    epoch_steps : int, optional
        Batches that count as an epoch, after which the validation part is read. Default: as many as hold the tokens of the
        training part once.

    Raises
    ------
    DataError
        When a number cannot be meant, the text is shorter than the context, or its vocabulary is not that of the model.

    Notes
    -----
    Each batch takes texts at places drawn anew. `evaluate` reads the validation part once, in texts of ``context`` tokens side
    by side, so that a token is predicted from (context - 1)/2 others before it on average. Perplexity is exp of the mean
    cross-entropy a token; bits a character count all characters of the part, whatever the tokens.

    Examples
    --------
    >>> from monops_nn.datasets.text import split_text
    >>> text = split_text("the cat sat on the mat. " * 20)
    >>> task = LanguageTask(text, WeightTiedLanguageModel(text.vocabulary.size, 16, 2, depth=2), context=8, batch_size=4)
    >>> batch = task.batch(0, torch.Generator().manual_seed(0), torch.Generator())
    >>> batch.tokens.shape, bool((batch.tokens[:, 1:] == batch.targets[:, :-1]).all())
    (torch.Size([4, 8]), True)
    >>> sorted(task.evaluate())
    ['bits_per_character', 'loss', 'perplexity']
    """

    headline: ClassVar[str] = "perplexity"
    model: LanguageModel

    def __init__(
        self,
        text: Text,
        model: LanguageModel,
        *,
        context: int = 64,
        batch_size: int = 32,
        jacobian_weight: float = 0.0,
        epoch_steps: int | None = None,
    ) -> None:
        given = {"context": context, "batch_size": batch_size} | ({} if epoch_steps is None else {"epoch_steps": epoch_steps})
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"{name}={value!r} must be a positive integer")
        if not 0.0 <= jacobian_weight < math.inf:
            raise DataError(f"jacobian_weight={jacobian_weight!r} must be a finite number >= 0")
        if jacobian_weight and not isinstance(model.layer, DEQ):
            raise DataError("jacobian_weight is for an equilibrium: leave it out with explicit_depth")
        if model.vocabulary != text.vocabulary.size:
            raise DataError(f"the model has {model.vocabulary} tokens, but the vocabulary of the text {text.vocabulary.size}")
        short = min(len(text.train), len(text.validation))
        if short < context + 1:
            raise DataError(f"the text has a part of {short} tokens, but context={context} needs {context + 1}: lower context")
        self.text, self.model, self.source = text, model, text.source
        self.context, self.batch_size, self.jacobian_weight = context, batch_size, jacobian_weight
        whole = max(1, len(text.train) // (batch_size * context))
        self.steps_an_epoch = whole if epoch_steps is None else epoch_steps

    @classmethod
    def of(
        cls,
        options: Options,
        *,
        width: int = 128,
        heads: int = 4,
        context: int = 64,
        explicit_depth: int | None = None,
        tied: bool = True,
        jacobian_weight: float = 0.0,
        epoch_steps: int | None = None,
        max_iter: int = 30,
        gradient: Gradient = "implicit",
        hidden: int | None = None,
        positions: Positions = "rotary",
        dropout: float = 0.0,
        fused: bool = False,
        kind: str | None = None,
        minimum_count: int = 1,
        vocabulary_size: int = 1000,
    ) -> LanguageTask:
        """The task of a command line.

        Parameters
        ----------
        options : Options
            data, folder, download, batch_size; tolerance is that of the equilibrium.
        width, heads, context : int
        explicit_depth : int, optional
            Train the explicit twin with so many uses of the cell instead of the equilibrium.
        tied : bool
            As in `LanguageModel`.
        jacobian_weight, epoch_steps
            As here.
        max_iter, gradient
            As in `DEQ`.
        hidden, positions, dropout, fused
            As in `TransformerCell`.
        kind, minimum_count, vocabulary_size
            As in `load_text`.
        """
        vocabulary: dict[str, Any] = {"minimum_count": minimum_count, "vocabulary_size": vocabulary_size}
        if kind is not None:
            vocabulary["kind"] = kind
        text = load_text(options.data, options.folder, download=options.download, **vocabulary)
        size = text.vocabulary.size
        cell = {"hidden": hidden, "positions": positions, "dropout": dropout, "fused": fused}
        model: LanguageModel
        if explicit_depth is None:
            solver: dict[str, Any] = {"tol": options.tolerance, "max_iter": max_iter, "gradient": gradient}
            model = EquilibriumLanguageModel(size, width, heads, tied=tied, cell=cell, on_failure="ignore", **solver)
        else:
            model = WeightTiedLanguageModel(size, width, heads, depth=explicit_depth, tied=tied, cell=cell)
        return cls(
            text,
            model,
            context=context,
            batch_size=options.batch_size,
            jacobian_weight=jacobian_weight,
            epoch_steps=epoch_steps,
        )

    def batch(self, step: int, generator: torch.Generator, epoch_generator: torch.Generator) -> Batch:
        starts = torch.randint(len(self.text.train) - self.context, (self.batch_size,), generator=generator)
        return Batch(*_cut(self.text.train, starts, self.context), generator)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        inputs = self.model.inputs(batch.tokens, batch.generator)
        z = self.model.layer(*inputs)
        entropy = functional.cross_entropy(self.model.scores(z).flatten(0, 1), batch.targets.flatten())
        notes = {"perplexity": math.exp(min(float(entropy.detach()), 700.0))}
        if not self.jacobian_weight:
            return entropy, notes
        penalty = jacobian_penalty(self.model.cell, z, *inputs, generator=batch.generator)
        notes |= {"cross_entropy": float(entropy.detach()), "jacobian_penalty": float(penalty.detach())}
        return entropy + self.jacobian_weight * penalty, notes

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        part, length = self.text.validation, self.context
        whole = (len(part) - 1) // length
        starts = torch.split(torch.arange(whole) * length, self.batch_size)
        nats = sum(self._nats(*_cut(part, some, length)) for some in starts)
        rest = len(part) - 1 - whole * length
        if rest:
            nats += self._nats(*_cut(part, torch.tensor([whole * length]), rest))
        loss = nats / (len(part) - 1)
        bits = loss * len(part) / (math.log(2.0) * self.text.validation_characters)
        return {"perplexity": math.exp(min(loss, 700.0)), "loss": loss, "bits_per_character": bits}

    def _nats(self, tokens: Tensor, targets: Tensor) -> float:
        return float(functional.cross_entropy(self.model(tokens).flatten(0, 1), targets.flatten(), reduction="sum"))

    def look(self) -> dict[str, Any]:
        """Iterations, residuals and uses of the cell on the first texts of the validation, and the spectral radius there.

        Of the explicit network: the relative residual |z - f(z)|/|z| that its last state leaves.
        """
        rows = min(self.batch_size, (len(self.text.validation) - 1) // self.context)
        tokens, targets = _cut(self.text.validation, torch.arange(rows) * self.context, self.context)
        training = self.model.training
        self.model.eval()
        try:
            with uses_of(self.model.cell) as uses:
                parameters = list(self.model.parameters())
                torch.autograd.grad(self.model.loss(tokens, targets), parameters)
            with torch.no_grad():
                inputs = self.model.inputs(tokens)
            found = self._solver(inputs) | {"forward_uses": uses.forward, "backward_uses": uses.backward}
        finally:
            self.model.train(training)
        return found

    def _solver(self, inputs: tuple[Tensor, ...]) -> dict[str, Any]:
        layer, cell = self.model.layer, self.model.cell
        if isinstance(layer, DEQ):
            solution = layer.solve(*inputs)
            z: Any = solution.z
            steps, mean = int(solution.iterations.max()), float(solution.iterations.float().mean())
            residual, method = float(solution.residual.max()), solution.algorithm.name
        else:
            with torch.no_grad():
                z = layer(*inputs)
                away = (z - cell(z, *inputs)).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
            steps, mean, residual, method = layer.depth, float(layer.depth), float(away.max()), "unrolled"
        some = tuple(part[:LOOK_ROWS] for part in (z, *inputs))
        generator = torch.Generator().manual_seed(0)
        radius = spectral_radius(cell, *some, iterations=LOOK_STEPS, generator=generator)
        return {
            "iterations": steps,
            "mean_iterations": mean,
            "residual": residual,
            "spectral_radius": float(radius.max()),
            "method": method,
        }


def _cut(tokens: Tensor, starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Texts of this length from these places, and the same one token later, int64."""
    texts = tokens[starts[:, None] + torch.arange(length + 1)].long()
    return texts[:, :-1], texts[:, 1:]
