"""Multiscale networks as targets of a training run: classify images, segment generated shapes, and a look at the solver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional

import monops
from monops.errors import DataError
from monops_nn.datasets import Images, load_images
from monops_nn.deq import DEQ, jacobian_penalty
from monops_nn.deq.layer import Gradient
from monops_nn.mondeq import MonDEQ
from monops_nn.multiscale.networks import Network, count_parameters, matched_residual, monotone_multiscale, multiscale
from monops_nn.multiscale.shapes import CLASSES, generate_shapes, mean_intersection_over_union
from monops_nn.training.images import augmented
from monops_nn.training.task import Task

if TYPE_CHECKING:
    from monops_nn.training.options import Options

MODELS = ("multiscale", "monotone-multiscale", "residual")
Batch = tuple[Tensor, Tensor, torch.Generator]


class _Pixels(Task):
    """What both tasks share: tensors of images and labels, batches without repetition in an epoch, cross-entropy, the look."""

    model: Network

    def __init__(
        self,
        model: Network,
        train: tuple[Tensor, Tensor],
        test: tuple[Tensor, Tensor],
        *,
        source: str,
        batch_size: int,
        jacobian_weight: float,
    ) -> None:
        if isinstance(jacobian_weight, bool) or not 0.0 <= jacobian_weight < math.inf:
            raise DataError(f"jacobian_weight={jacobian_weight!r} must be a finite number >= 0")
        if jacobian_weight and not isinstance(model.body, DEQ):
            raise DataError('jacobian_weight is for a DEQ: leave it out, or take model="multiscale"')
        self.model, self.training_data, self.test_data, self.source = model, train, test, source
        self.batch_size, self.jacobian_weight = batch_size, jacobian_weight
        self.steps_an_epoch = len(train[0]) // batch_size
        if self.steps_an_epoch < 1:
            raise DataError(f"batch_size={batch_size} is more than the {len(train[0])} images there are")

    def prepared(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What the network is fed with; with a generator, for training."""
        return images

    def batch(self, step: int, generator: torch.Generator, epoch_generator: torch.Generator) -> Batch:
        images, labels = self.training_data
        rows = self.rows(step, len(images), self.batch_size, epoch_generator)
        return self.prepared(images[rows], generator), labels[rows], generator

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        x, labels, generator = batch
        features = self.model.features(x)
        z = self.model.body(features)
        scores = self.model.read(z)
        loss = functional.cross_entropy(scores, labels)
        notes = {"accuracy": float((scores.argmax(1) == labels).float().mean())}
        if not self.jacobian_weight:
            return loss, notes
        penalty = jacobian_penalty(self.model.body.cell, z, features, generator=generator)  # type: ignore[arg-type]
        notes |= {"cross_entropy": float(loss.detach()), "jacobian_penalty": float(penalty.detach())}
        return loss + self.jacobian_weight * penalty, notes

    @torch.no_grad()
    def _scores(self) -> tuple[Tensor, float]:
        """The best class of every test image (and pixel), and the mean cross-entropy."""
        images, labels = self.test_data
        found, loss = [], 0.0
        for begin in range(0, len(images), self.batch_size):
            rows = slice(begin, begin + self.batch_size)
            scores = self.model(self.prepared(images[rows]))
            loss += float(functional.cross_entropy(scores, labels[rows], reduction="sum"))
            found.append(scores.argmax(1))
        return torch.cat(found), loss / labels.numel()

    @torch.no_grad()
    def look(self) -> dict[str, Any]:
        """Iterations and residuals of the forward pass on the first test images: largest and mean; nothing without a solver."""
        body, rows = self.model.body, slice(0, self.batch_size)
        if not isinstance(body, (DEQ, MonDEQ)):
            return {}
        solution = body.solve(self.model.features(self.prepared(self.test_data[0][rows])))
        iterations = torch.as_tensor(solution.iterations).double()
        found: dict[str, Any] = {
            "iterations": int(iterations.max()),
            "mean_iterations": float(iterations.mean()),
            "residual": float(solution.residual.max()),
            "method": solution.algorithm.name,
        }
        if isinstance(body, MonDEQ):
            lipschitz = body.linear.current_system().lipschitz_bound()
            m = body.linear.certified_monotonicity
            found |= {"monotonicity": m, "lipschitz_bound": lipschitz, "conditioning": lipschitz / m}
        return found


@final
class MultiscaleTask(_Pixels):
    """Classify images by states at several resolutions: cross-entropy, accuracy on the test set.

    Parameters
    ----------
    model : MultiscaleClassifier
    images : Images
    batch_size : int, default 128
    augment : bool, default False
        Random horizontal flips and shifts by up to four pixels.
    jacobian_weight : float, default 0.0
        The loss is the cross-entropy plus this times `monops_nn.deq.jacobian_penalty`.

    Raises
    ------
    DataError
        When there are fewer images than a batch has, or the weight is not >= 0 or not for this network.

    Examples
    --------
    >>> from monops_nn.multiscale.networks import multiscale
    >>> pictures, labels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4)
    >>> data = Images(pictures, labels, pictures, labels, (0.5,), (0.5,), "an example")
    >>> network = multiscale((1, 8, 8), 10, channels=(4, 8), on_failure="ignore")
    >>> task = MultiscaleTask(network, data, batch_size=2)
    >>> sorted(task.evaluate())
    ['accuracy', 'loss']
    """

    def __init__(
        self, model: Network, images: Images, *, batch_size: int = 128, augment: bool = False, jacobian_weight: float = 0.0
    ) -> None:
        train, test = (images.train_images, images.train_labels), (images.test_images, images.test_labels)
        self.data, self.augment = images, augment
        super().__init__(model, train, test, source=images.source, batch_size=batch_size, jacobian_weight=jacobian_weight)

    @classmethod
    def of(
        cls,
        options: Options,
        *,
        images: Images | None = None,
        channels: str | Sequence[int] = (16, 32, 64),
        reduction: int = 4,
        blocks: int = 2,
        like: str = "multiscale",
        jacobian_weight: float = 0.0,
        gradient: Gradient = "implicit",
        max_iter: int = 30,
    ) -> MultiscaleTask:
        """The task of a command line; model is multiscale, monotone-multiscale or residual.

        Parameters
        ----------
        options : Options
        images : Images, optional
            In place of the data set that the options name.
        channels : (int, ...) or str such as "16,32,64"
            Of the resolutions; a residual network has as many parameters as the network ``like`` with these channels.
        reduction : {1, 2, 4}
            Side of an image by the side of the finest state.
        blocks : int
            Of each resolution of a residual network.
        like : {"multiscale", "monotone-multiscale"}
        jacobian_weight, gradient, max_iter
            Of the multiscale network, see `DEQ`.
        """
        data = load_images(options.data, options.folder, download=options.download) if images is None else images
        shape, classes = tuple(data.train_images.shape[1:]), 10
        model = _model(options, shape, classes, channels, reduction, blocks, like, gradient, max_iter, segment=False)
        return cls(model, data, batch_size=options.batch_size, augment=options.augment, jacobian_weight=jacobian_weight)

    def prepared(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.data.scaled(augmented(images, generator) if self.augment and generator is not None else images)

    def evaluate(self) -> dict[str, float]:
        best, loss = self._scores()
        return {"accuracy": float((best == self.test_data[1]).float().mean()), "loss": loss}


@final
class SegmentationTask(_Pixels):
    """Segment generated pictures of overlapping shapes: cross-entropy a pixel, mean intersection over union on the test set.

    Parameters
    ----------
    model : MultiscaleSegmenter
    size : int, default 32
        Side of the pictures.
    count, test_count : int, default 2000, 500
        Pictures for training (seed 0) and for the test (seed 1).
    batch_size, jacobian_weight
        As in `MultiscaleTask`.

    Examples
    --------
    >>> from monops_nn.multiscale.networks import multiscale
    >>> network = multiscale((3, 8, 8), len(CLASSES), channels=(4, 8), segment=True, on_failure="ignore")
    >>> sorted(SegmentationTask(network, size=8, count=4, test_count=2, batch_size=2).evaluate())
    ['accuracy', 'loss', 'mean_iou']
    """

    headline: ClassVar[str] = "mean_iou"

    def __init__(
        self,
        model: Network,
        *,
        size: int = 32,
        count: int = 2000,
        test_count: int = 500,
        batch_size: int = 32,
        jacobian_weight: float = 0.0,
    ) -> None:
        train, test = generate_shapes(count, size, seed=0), generate_shapes(test_count, size, seed=1)
        source = f"generated shapes, {count} and {test_count} pictures of {size} x {size} pixels"
        super().__init__(model, train, test, source=source, batch_size=batch_size, jacobian_weight=jacobian_weight)

    @classmethod
    def of(
        cls,
        options: Options,
        *,
        channels: str | Sequence[int] = (12, 16, 24, 32),
        reduction: int = 1,
        blocks: int = 1,
        like: str = "multiscale",
        size: int = 32,
        count: int = 2000,
        test_count: int = 500,
        jacobian_weight: float = 0.0,
        gradient: Gradient = "implicit",
        max_iter: int = 30,
    ) -> SegmentationTask:
        """The task of a command line; arguments as in `MultiscaleTask.of` and here."""
        model = _model(
            options, (3, size, size), len(CLASSES), channels, reduction, blocks, like, gradient, max_iter, segment=True
        )
        sizes = {"size": size, "count": count, "test_count": test_count}
        return cls(model, **sizes, batch_size=options.batch_size, jacobian_weight=jacobian_weight)

    def evaluate(self) -> dict[str, float]:
        best, loss = self._scores()
        labels = self.test_data[1]
        union = mean_intersection_over_union(best, labels, len(CLASSES))
        return {"mean_iou": union, "accuracy": float((best == labels).float().mean()), "loss": loss}


def _model(
    options: Options,
    images: Any,
    classes: int,
    channels: str | Sequence[int],
    reduction: int,
    blocks: int,
    like: str,
    gradient: Gradient,
    max_iter: int,
    *,
    segment: bool,
) -> Network:
    counts = _channels(channels)
    common: dict[str, Any] = {"channels": counts, "reduction": reduction, "segment": segment}
    if like not in MODELS[:2]:
        raise DataError(f"like={like!r} must be one of {', '.join(map(repr, MODELS[:2]))}")

    def network(name: str) -> Network:
        if name == "multiscale":
            solver: dict[str, Any] = {"tol": options.tolerance, "max_iter": max_iter, "gradient": gradient}
            return multiscale(images, classes, **common, **solver, on_failure="ignore")
        method = monops.ForwardBackwardForwardLineSearch()
        return monotone_multiscale(images, classes, **common, m=options.m(), tol=options.tolerance, algorithm=method)

    if options.model != "residual":
        return network(options.model)
    return matched_residual(count_parameters(network(like)), images, classes, **common, blocks=blocks)


def _channels(given: str | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(given, str):
        return tuple(given)
    try:
        return tuple(int(part) for part in given.split(","))
    except ValueError:
        raise DataError(f"channels={given!r} must be whole numbers with commas between them, for example 16,32,64") from None
