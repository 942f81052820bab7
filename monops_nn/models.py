"""Image classifiers with one equilibrium layer: dense, single and multi-tier convolution, as in Winston and Kolter (2020).

Images are (batch, channels, height, width), scaled as `monops_nn.datasets.Images.scaled` does: the mean of the training set
0 and its standard deviation 1 in each channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError, ShapeError
from monops_nn.datasets import DATA
from monops_nn.mondeq import MonDEQ
from monops_nn.parametrize import MonotoneLinear, MultiTierConvolution, PaddedConvolution

__all__ = ["MODELS", "Classifier", "build", "dense", "multi_tier", "single_convolution"]

Readout = Literal["flat", "pooled", "padded"]
POOL = 4
MODELS = ("dense", "single-convolution", "multi-tier")


class Classifier(nn.Module):
    """Images -> equilibrium -> linear readout, one score a class.

    Parameters
    ----------
    layer : MonDEQ
    classes : int
    readout : {"flat", "pooled", "padded"}
        What the readout sees: the state, flattened; its means over 4 x 4 pixels, with a border of zeros around it; or the
        state (the last tier) with a border of zeros. The borders are those of the published networks, and keep their sizes.
    images : (int, int, int)
        Channels, height and width of an image.
    """

    def __init__(self, layer: MonDEQ, classes: int, readout: Readout, images: tuple[int, int, int]) -> None:
        super().__init__()
        self.layer, self.readout, self.images = layer, readout, images
        probe = torch.zeros(1, *_last_shape(layer), dtype=layer.linear.reference.dtype, device=layer.linear.reference.device)
        features = self._features(probe).shape[1]
        self.scores = nn.Linear(features, classes, dtype=probe.dtype, device=probe.device)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (batch, classes) of images (batch, channels, height, width)."""
        if tuple(x.shape[1:]) != self.images:
            needs = ", ".join(map(str, self.images))
            raise ShapeError(f"images have shape {tuple(x.shape)}, but this network needs (batch, {needs})")
        return self.read(self.equilibrium(x))

    def read(self, state: Tensor) -> Tensor:
        """Scores (batch, classes) of the states that `equilibrium` gives."""
        scores: Tensor = self.scores(self._features(state))
        return scores

    def equilibrium(self, x: Tensor) -> Tensor:
        """The state of the layer (its last tier) for a batch of images."""
        z: Any = self.layer(self.inputs(x))
        state: Tensor = z if isinstance(z, Tensor) else z[-1]
        return state

    def inputs(self, x: Tensor) -> Tensor:
        """What the layer is given for a batch of images."""
        return x.flatten(1) if self.layer.linear.input_ndim == 1 else x

    def _features(self, z: Tensor) -> Tensor:
        if self.readout != "flat":
            z = functional.pad(z, (1, 1, 1, 1))
        return (functional.avg_pool2d(z, POOL) if self.readout == "pooled" else z).flatten(1)

    def extra_repr(self) -> str:
        return f"images={self.images}, readout={self.readout!r}"


def _last_shape(layer: MonDEQ) -> tuple[int, ...]:
    shape = layer.linear.shape
    return tuple(shape[-1]) if isinstance(shape[0], tuple) else tuple(shape)


def dense(
    images: tuple[int, int, int] = (1, 28, 28), features: int = 87, classes: int = 10, m: float = 1.0, **layer: Any
) -> Classifier:
    """A dense layer on flattened images; 87 features on MNIST are 84 313 parameters.

    ``layer`` holds keywords of `MonDEQ`, here and below.

    Examples
    --------
    >>> sum(p.numel() for p in dense().parameters())
    84313
    """
    channels, height, width = images
    made = MonDEQ(MonotoneLinear(features, m), injection=channels * height * width, **layer)
    return Classifier(made, classes, "flat", images)


def single_convolution(
    images: tuple[int, int, int] = (1, 28, 28), channels: int = 54, classes: int = 10, m: float = 1.0, **layer: Any
) -> Classifier:
    """A convolution with zero padding; 54 channels on MNIST are 79 500 parameters, 81 on CIFAR-10 172 218.

    Examples
    --------
    >>> sum(p.numel() for p in single_convolution().parameters())
    79500
    """
    made = MonDEQ(PaddedConvolution(channels, images[1:], 3, m), injection=images[0], **layer)
    return Classifier(made, classes, "pooled", images)


def multi_tier(
    images: tuple[int, int, int] = (1, 28, 28),
    channels: Sequence[int] = (16, 32, 32),
    classes: int = 10,
    m: float = 1.0,
    **layer: Any,
) -> Classifier:
    """Convolutions at falling resolutions; 16, 32, 32 channels on MNIST are 81 394 parameters, 16, 32, 60 on CIFAR-10 170 194.

    Examples
    --------
    >>> sum(p.numel() for p in multi_tier().parameters())
    81394
    """
    made = MonDEQ(MultiTierConvolution(tuple(channels), images[1], 3, m), injection=images[0], **layer)
    return Classifier(made, classes, "padded", images)


def build(model: str, data: str, m: float = 1.0, **layer: Any) -> Classifier:
    """The network of Winston and Kolter (2020), Table 1, for a data set.

    Parameters
    ----------
    model : {"dense", "single-convolution", "multi-tier"}
    data : {"mnist", "fashion-mnist", "cifar10"}
    m : float, default 1.0
    **layer
        Keywords of `MonDEQ`.

    Raises
    ------
    DataError
        For another name.
    """
    if model not in MODELS:
        raise DataError(f"model={model!r} is unknown: choose one of {', '.join(MODELS)}")
    if data not in DATA:
        raise DataError(f"data={data!r} is unknown: choose one of {', '.join(DATA)}")
    cifar = data == "cifar10"
    images = (3, 32, 32) if cifar else (1, 28, 28)
    if model == "dense":
        return dense(images, m=m, **layer)
    if model == "single-convolution":
        return single_convolution(images, 81 if cifar else 54, m=m, **layer)
    return multi_tier(images, (16, 32, 60) if cifar else (16, 32, 32), m=m, **layer)
