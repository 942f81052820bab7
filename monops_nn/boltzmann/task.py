"""The task of a Boltzmann machine: complete images with missing pixels, and name their classes."""

from __future__ import annotations

from typing import Any, ClassVar, final

import torch
from torch import Tensor

from monops.errors import DataError
from monops_nn.boltzmann.machine import BoltzmannMachine, known_pixels
from monops_nn.datasets import Images, load_images
from monops_nn.training.monitor import passes
from monops_nn.training.options import Options
from monops_nn.training.task import Task

DEFAULT = 0.05  # m, where the options say nothing: that of the other models, 1, leaves no couplings here
FIRST = 20000  # images from which the start is computed
TEST_SEED = 2023  # of the pixels that are missing in the test set
Batch = tuple[Tensor, Tensor, Tensor]


@final
class BoltzmannTask(Task):
    """Complete images and name their classes, both from a part of the pixels."""

    model: BoltzmannMachine
    headline: ClassVar[str] = "accuracy"

    def __init__(self, options: Options, data: Images, machine: BoltzmannMachine, missing: tuple[float, float]) -> None:
        if not isinstance(missing, (tuple, list)) or len(missing) != 2 or not 0.0 <= missing[0] <= missing[1] < 1.0:
            raise DataError(f"missing={missing!r} must be two shares of pixels, 0 <= low <= high < 1")
        self.options, self.data, self.model, self.missing, self.source = options, data, machine, missing, data.source
        self.steps_an_epoch = len(data.train_images) // options.batch_size
        if self.steps_an_epoch < 1:
            raise DataError(f"batch_size={options.batch_size} is more than the {len(data.train_images)} images there are")

    @classmethod
    def of(
        cls,
        options: Options,
        images: Images | None = None,
        missing: tuple[float, float] = (0.4, 0.6),
        **machine: Any,
    ) -> BoltzmannTask:
        """With these images, or the data set that the options name; other settings are keywords of `BoltzmannMachine`.

        The monotonicity of the options is m; its default here is 0.05.
        """
        data = load_images(options.data, options.folder, download=options.download) if images is None else images
        if data.train_images.shape[1] != 1:
            raise DataError(f"the images have {data.train_images.shape[1]} channels, but the machine takes grey ones")
        m = options.m(DEFAULT)
        size = (int(data.train_images.shape[2]), int(data.train_images.shape[3]))
        classes = int(data.train_labels.max()) + 1
        made = BoltzmannMachine(size, classes, monotonicity=m, **{"tol": options.tolerance, **machine})
        made.start_from(grey(data.train_images[:FIRST]), data.train_labels[:FIRST])
        return cls(options, data, made, missing)

    def batch(self, step: int, generator: torch.Generator, epoch_generator: torch.Generator) -> Batch:
        rows = self.rows(step, len(self.data.train_images), self.options.batch_size, epoch_generator)
        images = grey(self.data.train_images[rows])
        return images, self.data.train_labels[rows], known_pixels(images, self.missing, generator)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        images, labels, known = batch
        loss, (completion, naming), classes = self.model.loss(images, labels, known)
        right = float((classes.argmax(1) == labels).float().mean())
        return loss, {"accuracy": right, "completion": float(completion), "naming": float(naming)}

    def evaluate(self) -> dict[str, float]:
        """Accuracy, and the mean absolute error of missing pixels, with half of all pixels missing."""
        return self.measure(0.5)

    @torch.no_grad()
    def measure(self, missing: float) -> dict[str, float]:
        """As ``evaluate``, with this share of pixels missing, the same ones in every call."""
        generator = torch.Generator().manual_seed(TEST_SEED)
        right = error = surprise = pixels = 0.0
        count = len(self.data.test_images)
        for begin in range(0, count, self.options.batch_size):
            rows = slice(begin, begin + self.options.batch_size)
            images, labels = grey(self.data.test_images[rows]), self.data.test_labels[rows]
            known = known_pixels(images, (missing, missing), generator)
            found = self.model.complete(images, known)
            right += int((found.classes.argmax(1) == labels).sum())
            error += float((found.images - images).abs().sum())
            pixels += int((~known).sum())
            surprise -= float(found.classes.gather(1, labels[:, None]).clamp(min=1e-7).log().sum())
        return {"accuracy": right / count, "completion_error": error / max(pixels, 1.0), "naming": surprise / count}

    @torch.no_grad()
    def look(self) -> dict[str, Any]:
        images = grey(self.data.test_images[: self.options.batch_size])
        known = known_pixels(images, self.missing, torch.Generator().manual_seed(TEST_SEED))
        field, seen = self.model.field, self.model.observe(images, known)
        solution = field.solve(*seen)
        backward = field.solve_backward(torch.ones_like(solution.z) * (solution.z - seen[0]), *seen)
        return passes(solution, backward, field.linear.current_system())


def grey(images: Tensor) -> Tensor:
    """Grey values (count, height, width) in [0, 1] of bytes (count, 1, height, width)."""
    return images[:, 0].float() / 255.0
