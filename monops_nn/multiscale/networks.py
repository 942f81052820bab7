"""Networks around states at several resolutions: a stem before, a head behind that classifies or segments."""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError, ShapeError
from monops_nn.deq import DEQ
from monops_nn.mondeq import MonDEQ
from monops_nn.multiscale.cell import MultiscaleCell, check_channels, group_norm, resized
from monops_nn.multiscale.residual import ResidualNetwork
from monops_nn.parametrize.arguments import positive_integer
from monops_nn.parametrize.feedback_tiers import FeedbackTiers

HIDDEN = 64  # maps of a head
REDUCTIONS = (1, 2, 4)


class TierInjection(nn.Module):
    """Affine maps from features to every tier: a convolution 3 x 3 of their means over the pixels of one of the tier."""

    def __init__(self, features: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Conv2d(features, n, 3, padding=1) for n in channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """One injection a tier."""
        height, width = x.shape[-2:]
        sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in range(len(self.maps))]
        return tuple(part(functional.adaptive_avg_pool2d(x, size)) for part, size in zip(self.maps, sizes, strict=True))


class _Network(nn.Module, ABC):
    """Images -> stem -> body, whose states have several resolutions -> head."""

    def __init__(
        self, body: nn.Module, channels: Sequence[int], features: int, images: tuple[int, int, int], reduction: int
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise DataError(
                f"reduction={reduction!r} must be one of {REDUCTIONS}: pixels of the image a pixel of the finest state"
            )
        self.body, self.images, self.reduction = body, images, reduction
        self.channels = check_channels(channels)
        layers: list[nn.Module] = []
        into, stride = images[0], 1
        while stride <= reduction:
            layers += [nn.Conv2d(into, features, 3, 1 if stride == 1 else 2, padding=1), group_norm(features), nn.ReLU()]
            into, stride = features, 2 * stride
        self.stem = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of images (batch, channels, height, width)."""
        return self.read(self.states(x))

    def features(self, x: Tensor) -> Tensor:
        """What the stem makes of images, the input of the body."""
        if tuple(x.shape[1:]) != self.images:
            needs = ", ".join(map(str, self.images))
            raise ShapeError(f"images have shape {tuple(x.shape)}, but this network needs (batch, {needs})")
        features: Tensor = self.stem(x)
        return features

    def states(self, x: Tensor) -> tuple[Tensor, ...]:
        """The states at all resolutions."""
        states: tuple[Tensor, ...] = self.body(self.features(x))
        return states

    @abstractmethod
    def read(self, z: tuple[Tensor, ...]) -> Tensor:
        """Scores of the states that ``states`` gives."""

    def extra_repr(self) -> str:
        return f"images={self.images}, reduction={self.reduction}"


class MultiscaleClassifier(_Network):
    """Images -> states at several resolutions -> one score a class.

    The head sees all resolutions: their means on the coarsest grid, a layer of 64 maps there, the mean of it over all pixels.

    Parameters
    ----------
    body : nn.Module
        From features (batch, features, height, width) to a tuple of states: `DEQ` of a `MultiscaleCell`, `MonDEQ` of
        `FeedbackTiers` with a `TierInjection`, or a `ResidualNetwork`.
    channels : sequence of int
        Of the states.
    features : int
        Of the stem: convolution 3 x 3, group norm and ReLU, once at full resolution and once with stride 2 a halving.
    images : (int, int, int)
        Channels, height and width of an image.
    classes : int
    reduction : {1, 2, 4}, default 2
        Side of an image by the side of the finest state.

    Raises
    ------
    DataError, ShapeError
        Arguments that cannot be meant; images of another shape.

    Examples
    --------
    >>> network = multiscale((3, 8, 8), 10, channels=(4, 8), tol=1e-2)
    >>> network(torch.ones(2, 3, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        body: nn.Module,
        channels: Sequence[int],
        features: int,
        images: tuple[int, int, int],
        classes: int,
        reduction: int = 2,
    ) -> None:
        super().__init__(body, channels, features, images, reduction)
        self.mixed = nn.Conv2d(sum(self.channels), HIDDEN, 1)
        self.scores = nn.Linear(HIDDEN, positive_integer("classes", classes, "how many there are"))

    def read(self, z: tuple[Tensor, ...]) -> Tensor:
        """Scores (batch, classes)."""
        coarse = (z[-1].shape[-2], z[-1].shape[-1])
        seen = torch.cat([functional.adaptive_avg_pool2d(part, coarse) for part in z], dim=1)
        scores: Tensor = self.scores(torch.relu(self.mixed(seen)).mean(dim=(2, 3)))
        return scores


class MultiscaleSegmenter(_Network):
    """Images -> states at several resolutions -> one score a class and pixel.

    The head sees all resolutions, brought to the finest (bilinear), through a layer of 64 maps, pixel by pixel.

    Parameters
    ----------
    body, channels, features, images, classes
        As in `MultiscaleClassifier`.
    reduction : {1, 2, 4}, default 1
        The scores are brought to the resolution of the image.

    Examples
    --------
    >>> network = multiscale((3, 8, 8), 5, channels=(4, 8), segment=True, tol=1e-2)
    >>> network(torch.ones(2, 3, 8, 8)).shape
    torch.Size([2, 5, 8, 8])
    """

    def __init__(
        self,
        body: nn.Module,
        channels: Sequence[int],
        features: int,
        images: tuple[int, int, int],
        classes: int,
        reduction: int = 1,
    ) -> None:
        super().__init__(body, channels, features, images, reduction)
        self.mixed = nn.Conv2d(sum(self.channels), HIDDEN, 1)
        self.scores = nn.Conv2d(HIDDEN, positive_integer("classes", classes, "how many there are"), 1)

    def read(self, z: tuple[Tensor, ...]) -> Tensor:
        """Scores (batch, classes, height, width)."""
        fine = (z[0].shape[-2], z[0].shape[-1])
        seen = torch.cat([z[0], *(resized(part, fine, "bilinear") for part in z[1:])], dim=1)
        scores: Tensor = self.scores(torch.relu(self.mixed(seen)))
        return scores if fine == self.images[1:] else resized(scores, (self.images[1], self.images[2]), "bilinear")


Network = MultiscaleClassifier | MultiscaleSegmenter


def _network(
    body: nn.Module,
    channels: Sequence[int],
    features: int,
    images: tuple[int, int, int],
    classes: int,
    reduction: int,
    segment: bool,
) -> Network:
    kind = MultiscaleSegmenter if segment else MultiscaleClassifier
    return kind(body, channels, features, images, classes, reduction)


def multiscale(
    images: tuple[int, int, int],
    classes: int,
    *,
    channels: Sequence[int] = (16, 32, 48),
    features: int | None = None,
    reduction: int = 1,
    segment: bool = False,
    cell: dict[str, Any] | None = None,
    **layer: Any,
) -> Network:
    """A multiscale deep equilibrium model: `DEQ` of a `MultiscaleCell` between a stem and a head.

    Parameters
    ----------
    images, classes, channels, reduction
        As in `MultiscaleClassifier`.
    features : int, optional
        Of the stem; default: the channels of the finest state.
    segment : bool, default False
        Whether every pixel is classified.
    cell : dict, optional
        Keywords of `MultiscaleCell`.
    **layer
        Keywords of `DEQ`.
    """
    features = channels[0] if features is None else features
    body = DEQ(MultiscaleCell(channels, features, **(cell or {})), **layer)
    return _network(body, channels, features, images, classes, reduction, segment)


def monotone_multiscale(
    images: tuple[int, int, int],
    classes: int,
    *,
    channels: Sequence[int] = (16, 32, 48),
    features: int | None = None,
    reduction: int = 1,
    segment: bool = False,
    m: float = 1.0,
    **layer: Any,
) -> Network:
    """Its monotone counterpart: `MonDEQ` of `FeedbackTiers`, exactly one equilibrium for every image.

    ``m`` is the monotonicity of I - W; ``layer`` holds keywords of `MonDEQ`; the others are as in `multiscale`.

    Examples
    --------
    >>> network = monotone_multiscale((1, 8, 8), 10, channels=(2, 3))
    >>> network(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """
    features = channels[0] if features is None else features
    sides = (-(-images[1] // reduction), -(-images[2] // reduction))
    body = MonDEQ(FeedbackTiers(channels, sides, 3, m), injection=TierInjection(features, channels), **layer)
    return _network(body, channels, features, images, classes, reduction, segment)


def residual(
    images: tuple[int, int, int],
    classes: int,
    *,
    channels: Sequence[int] = (16, 32, 48),
    features: int | None = None,
    reduction: int = 1,
    segment: bool = False,
    blocks: int = 2,
) -> Network:
    """An explicit residual network between the same stem and head; arguments as in `multiscale` and `ResidualNetwork`."""
    features = channels[0] if features is None else features
    body = ResidualNetwork(channels, features, blocks)
    return _network(body, channels, features, images, classes, reduction, segment)


def matched_residual(
    parameters: int,
    images: tuple[int, int, int],
    classes: int,
    *,
    channels: Sequence[int] = (16, 32, 48),
    reduction: int = 1,
    segment: bool = False,
    blocks: int = 2,
) -> Network:
    """The residual network whose number of parameters is closest, its channels in about the given proportions.

    Raises
    ------
    DataError
        When none is within 2 %.

    Examples
    --------
    >>> network = matched_residual(100_000, (3, 32, 32), 10)
    >>> abs(count_parameters(network) - 100_000) < 2_000
    True
    """

    def count(widths: tuple[int, ...]) -> int:
        with torch.device("meta"):
            made = residual(images, classes, channels=widths, reduction=reduction, segment=segment, blocks=blocks)
        return count_parameters(made)

    def widths(percent: int, unit: int, change: int = 0) -> tuple[int, ...]:
        found = [max(unit, unit * round(n * percent / (100 * unit))) for n in channels]
        return (*found[:-1], max(unit, found[-1] + unit * change))

    for unit in (4, 2, 1):  # as many groups of the norms as the cell has, where that is possible
        percent = bisect.bisect_left(range(400), parameters, lo=1, key=lambda percent: count(widths(percent, unit)))
        candidates = {
            widths(near, unit, change) for near in range(max(1, percent - 4), percent + 3) for change in (-2, -1, 0, 1, 2)
        }
        counts = {found: count(found) for found in candidates}
        chosen = min(counts, key=lambda found: (abs(counts[found] - parameters), found))
        if abs(counts[chosen] - parameters) <= 0.02 * parameters:
            return residual(images, classes, channels=chosen, reduction=reduction, segment=segment, blocks=blocks)
    raise DataError(
        f"no residual network with {blocks} blocks a resolution has {parameters} parameters to within 2 %: the closest has "
        f"{counts[chosen]}; choose other blocks or channels"
    )


def count_parameters(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(value.numel() for value in network.parameters() if value.requires_grad)
