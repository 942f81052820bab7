"""Training for certified accuracy: cross-entropy of the worst scores that a bound allows within a radius."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional

from monops.errors import DataError
from monops_nn.certificates.robust import BOUNDS, Bound, RobustClassifier
from monops_nn.datasets import Images, load_images
from monops_nn.models import dense
from monops_nn.training.options import Options
from monops_nn.training.task import Task


@final
class RobustTask(Task):
    """A dense equilibrium classifier on images, trained so that certificates hold far from the images.

    The loss of an image with label k is the cross-entropy of the scores l_j + r L_kj: what the scores can at worst be, relative
    to l_k, within the distance r, by the bound L of `RobustClassifier.pairwise`.

    Parameters
    ----------
    model : RobustClassifier
    data : Images
    batch_size : int
    margin : float, default 0.0
        r in units of pixels, which are in [0, 1]; 0 is plain cross-entropy.
    bound : {"multiplier", "crude"}, default "multiplier"
        L: the certificate with learned multipliers, or |c_k - c_j| |U|/m.

    Raises
    ------
    DataError
        A margin that is negative or not finite, another bound, more images a batch than there are.

    Notes
    -----
    **Cost** of the multiplier bound: one eigenvalue problem n x n for each pair of classes and step, 45 for ten classes.

    References
    ----------
    Tsuzuku, Sato and Sugiyama (2018), Lipschitz-margin training. Leino, Wang and Fredrikson (2021), for the loss with a
    constant for each pair. Pabbaraju, Winston and Kolter (2021), for |U|/m.
    """

    model: RobustClassifier

    def __init__(
        self, model: RobustClassifier, data: Images, batch_size: int, margin: float = 0.0, bound: Bound = "multiplier"
    ) -> None:
        if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 <= margin < math.inf:
            raise DataError(f"margin={margin!r} must be a finite number >= 0: a distance in pixels, which are in [0, 1]")
        if bound not in BOUNDS:
            raise DataError(f"bound={bound!r} is unknown: choose one of {', '.join(BOUNDS)}")
        if batch_size > len(data.train_images):
            raise DataError(f"batch_size={batch_size} is more than the {len(data.train_images)} images there are")
        self.model, self.data, self.batch_size, self.bound = model, data, batch_size, bound
        self.margin, self.scaled_margin = float(margin), float(margin) / min(data.deviation)
        self.source, self.steps_an_epoch = data.source, len(data.train_images) // batch_size

    @classmethod
    def of(
        cls,
        options: Options,
        *,
        width: int = 40,
        margin: float = 0.0,
        bound: Bound = "multiplier",
        images: Images | None = None,
    ) -> RobustTask:
        """The task of a command line: the data, m and the tolerance from the options, the rest from ``--set``."""
        data = load_images(options.data, options.folder, download=options.download) if images is None else images
        channels, height, side = data.train_images.shape[1:]
        classes = int(data.train_labels.max()) + 1
        network = dense((channels, height, side), width, classes, options.m(20.0), tol=options.tolerance)
        return cls(RobustClassifier(network), data, options.batch_size, margin, bound)

    def batch(self, step: int, generator: torch.Generator, epoch_generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images and labels of a step."""
        rows = self.rows(step, len(self.data.train_images), self.batch_size, epoch_generator)
        return self.data.scaled(self.data.train_images[rows]), self.data.train_labels[rows]

    def loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy with the margin; accuracy and the largest bound beside it."""
        x, labels = batch
        scores = self.model(x)
        noted = {"accuracy": float((scores.argmax(1) == labels).float().mean())}
        if self.margin > 0:
            bounds = self.model.pairwise(self.bound)
            scores = scores + self.scaled_margin * bounds[labels]
            noted["bound"] = float(bounds.detach().max())
        return functional.cross_entropy(scores, labels), noted

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Accuracy, and certified accuracy at the margin (before multipliers are improved), on the test set."""
        labels, certified, right, count = self.data.test_labels, 0, 0, len(self.data.test_labels)
        bounds = self.model.pairwise(self.bound)
        for begin in range(0, count, 1000):
            rows = slice(begin, begin + 1000)
            scores = self.model(self.data.scaled(self.data.test_images[rows]))
            worst = scores + self.scaled_margin * bounds[labels[rows]]
            right += int((scores.argmax(1) == labels[rows]).sum())
            certified += int((worst.argmax(1) == labels[rows]).sum())
        return {"accuracy": right / count, "certified_at_margin": certified / count}

    def look(self) -> dict[str, Any]:
        """The solver on the first images of the test set."""
        network = self.model.network
        x = self.data.scaled(self.data.test_images[: self.batch_size])
        solution = network.layer.solve(network.inputs(x))
        return {
            "iterations": int(solution.iterations.max()),
            "residual": float(solution.residual.max()),
            "step_size": solution.step_size,
        }
