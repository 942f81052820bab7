"""The task of the image classifiers of `monops_nn.models`."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError
from monops_nn.datasets import Images, load_images
from monops_nn.models import Classifier, build
from monops_nn.training.monitor import look
from monops_nn.training.options import Options
from monops_nn.training.task import Task

SHIFT = 4  # pixels, of the augmentation


@final
class ImageTask(Task):
    """Classify images by one monotone equilibrium layer: cross-entropy, accuracy on the test set."""

    model: Classifier

    def __init__(self, options: Options, images: Images) -> None:
        self.options, self.data, self.source = options, images, images.source
        self.model = build(options.model, options.data, options.m(), tol=options.tolerance)
        self.steps_an_epoch = len(images.train_images) // options.batch_size
        if self.steps_an_epoch < 1:
            raise DataError(f"batch_size={options.batch_size} is more than the {len(images.train_images)} images there are")

    @classmethod
    def of(cls, options: Options, images: Images | None = None) -> ImageTask:
        """With these images, or the data set that the options name."""
        given = load_images(options.data, options.folder, download=options.download) if images is None else images
        return cls(options, given)

    def batch(self, step: int, generator: torch.Generator, epoch_generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = self.rows(step, len(self.data.train_images), self.options.batch_size, epoch_generator)
        images = self.data.train_images[rows]
        if self.options.augment:
            images = augmented(images, generator)
        return self.data.scaled(images), self.data.train_labels[rows]

    def loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        x, labels = batch
        scores = self.model(x)
        right = float((scores.argmax(1) == labels).float().mean())
        return functional.cross_entropy(scores, labels), {"accuracy": right}

    def evaluate(self) -> dict[str, float]:
        right, loss, count = 0, 0.0, len(self.data.test_images)
        for begin in range(0, count, self.options.batch_size):
            rows = slice(begin, begin + self.options.batch_size)
            labels = self.data.test_labels[rows]
            scores = self.model(self.data.scaled(self.data.test_images[rows]))
            right += int((scores.argmax(1) == labels).sum())
            loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
        return {"accuracy": right / count, "loss": loss / count}

    def look(self) -> dict[str, Any]:
        rows = slice(0, self.options.batch_size)
        return look(self.model, self.data.scaled(self.data.test_images[rows]), self.data.test_labels[rows])


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Random horizontal flips, and shifts by up to four pixels with zeros outside."""
    count, _, height, width = images.shape
    flips = torch.rand(count, generator=generator) < 0.5
    down, right = (torch.randint(0, 2 * SHIFT + 1, (count,), generator=generator) for _ in range(2))
    padded = nn.functional.pad(images, (SHIFT,) * 4)
    rows = down[:, None] + torch.arange(height)
    columns = right[:, None] + torch.arange(width)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    return padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
