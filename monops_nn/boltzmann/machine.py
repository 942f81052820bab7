"""A Boltzmann machine of images and labels: completes what is missing and names the class, jointly, by one mean field."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError, ShapeError
from monops_nn.boltzmann.mean_field import MeanField
from monops_nn.boltzmann.parametrize import Factor, Layer, LayeredBoltzmann

SMALLEST = 1e-7  # probability whose logarithm is taken
RIDGE = 0.02  # added to the variances of pixels and labels, for the precision matrix
HIDDEN = 0.3  # by which the couplings of hidden nodes are weaker at the start
POWERS = (1.8, 8.0)  # to which probabilities of missing pixels and of classes are raised, at the start
LEAST_SHARE = 1e-3  # of a level, in the frequencies that the biases start from


class Completion(NamedTuple):
    """What a mean field says of a batch of images.

    Attributes
    ----------
    images : tensor (batch, height, width)
        Known pixels as they are, missing ones by their mean.
    pixels : tensor (batch, levels, height, width)
        Probabilities of the levels of every pixel.
    classes : tensor (batch, classes)
        Probabilities of the classes.
    """

    images: Tensor
    pixels: Tensor
    classes: Tensor


@final
class BoltzmannMachine(nn.Module):
    """Pixels, hidden nodes and a label in one machine; any pixels, and the label, may be observed, sample by sample.

    Parameters
    ----------
    size : (int, int), default (28, 28)
        Height and width of the images.
    classes : int, default 10
    levels : int, default 2
        States of a pixel, the grey levels 0, 1/(levels - 1), ..., 1.
    hidden : (int, int), default (64, 4)
        How many hidden nodes, and their states.
    features : int, default 800
        Rows of the matrix A that couples all layers.
    local_features : int, default 0
        Maps of a further factor, a 5 x 5 convolution of the pixels. The resolvent is then no longer cheap, and inference goes
        by a method that needs none.
    monotonicity : float, default 0.05
        m in I - W >= m I.
    sharpness : float, default 2.0
        s, the couplings are Phi = s W.
    **settings
        Keywords of `MeanField`: algorithm, tol, max_iter.

    Raises
    ------
    DataError
        Arguments that cannot be meant.

    Notes
    -----
    A grey value g is observed as the distribution on its two neighbouring levels whose mean is g, and read back as the mean, so
    that two levels suffice. Couplings that leave one mean field are weak, and q therefore cautious: probabilities of missing
    pixels and of classes are read out as q^p, normalised, with two learned powers p. **Parameters** features (pixels levels +
    hidden states + classes), a bias a state, and the two powers. **Cost** of `MeanField`.

    References
    ----------
    Feng, Winston and Kolter (2023), Monotone deep Boltzmann machines. Salakhutdinov and Hinton (2009), Deep Boltzmann machines.

    Examples
    --------
    >>> import torch
    >>> machine = BoltzmannMachine((4, 4), classes=3, hidden=(5, 2), features=8)
    >>> images, known = torch.rand(2, 4, 4), torch.rand(2, 4, 4) < 0.5
    >>> found = machine.complete(images, known)
    >>> found.images.shape, found.classes.shape, bool((found.images[known] == images[known]).all())
    (torch.Size([2, 4, 4]), torch.Size([2, 3]), True)
    """

    def __init__(
        self,
        size: tuple[int, int] = (28, 28),
        classes: int = 10,
        levels: int = 2,
        hidden: tuple[int, int] = (64, 4),
        features: int = 800,
        local_features: int = 0,
        monotonicity: float = 0.05,
        sharpness: float = 2.0,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.size, self.classes, self.levels, self.hidden = tuple(size), classes, levels, tuple(hidden)
        self.features = features
        layers = (Layer(levels, *self.size), Layer(hidden[1], groups=hidden[0]), Layer(classes))
        factors = [Factor((0, 1, 2), features)]
        if local_features:
            factors.append(Factor((0,), local_features, kernel_size=5))
        self.field = MeanField(LayeredBoltzmann(layers, factors, monotonicity), sharpness=sharpness, **settings)
        self.log_powers = nn.Parameter(self.field.bias.new_tensor(POWERS).log())
        with torch.no_grad():  # hidden nodes that are all alike would stay so
            self.field.bias[self._hidden].normal_(std=0.5)

    @property
    def pixel_count(self) -> int:
        """How many pixels there are."""
        return self.size[0] * self.size[1]

    @property
    def _hidden(self) -> slice:
        begin = self.pixel_count * self.levels
        return slice(begin, begin + self.hidden[0] * self.hidden[1])

    @torch.no_grad()
    def start_from(self, images: Tensor, labels: Tensor) -> None:
        """Start from the best linear predictor of each pixel, and of the label, by all others.

        With the precision matrix T of pixels and labels, that predictor has the weights -T_ij/T_ii; couplings A'A proportional
        to T_ij/(T_ii T_jj)^(1/2), at the limit that m sets, do the same where softmax is not saturated. Hidden nodes start
        weak.

        Parameters
        ----------
        images : tensor (count, height, width)
            In [0, 1].
        labels : tensor of int (count,)
        """
        pixels, dtype = images.flatten(1).double(), self.field.bias.dtype
        joint = torch.cat((pixels, functional.one_hot(labels, self.classes).double()), dim=1)
        mean = joint.mean(dim=0)
        deviation = joint - mean
        precision = torch.linalg.inv(deviation.mT @ deviation / len(joint) + RIDGE * torch.eye(len(mean)).to(joint))
        root = precision.diagonal().rsqrt()
        values, vectors = torch.linalg.eigh(root[:, None] * precision * root)
        columns = (values[-self.features :].sqrt() * vectors[:, -self.features :]).mT.to(dtype)  # of the largest eigenvalues
        at = torch.linspace(-0.5, 0.5, self.levels, dtype=dtype, device=columns.device)
        linear = self.field.linear
        assert isinstance(linear, LayeredBoltzmann)
        visible, hidden, label = (linear.kernels[i] for i in range(3))
        visible[: len(columns)] = torch.einsum("fp,l->flp", 2.0 * columns[:, : self.pixel_count], at).flatten(1)
        label[: len(columns)] = 2.0 * columns[:, self.pixel_count :]
        hidden.mul_(HIDDEN)
        centre = torch.cat(
            (self.encode(images).mean(dim=0).flatten(), self.field.bias[self._hidden] * 0.0, mean[self.pixel_count :])
        )
        start = centre.to(dtype).clamp(min=LEAST_SHARE).log()
        start[self._hidden] = self.field.bias[self._hidden]
        system = linear.current_system()
        centre[self._hidden] = 1.0 / self.hidden[1]
        self.field.bias.copy_(start - self.sharpness * system.product(centre.to(linear.solving_dtype)[None])[0])

    @property
    def sharpness(self) -> float:
        """The number s."""
        return self.field.sharpness

    def encode(self, images: Tensor) -> Tensor:
        """Distributions (batch, levels, height, width) on the levels, with the grey values in [0, 1] as means."""
        if tuple(images.shape[1:]) != self.size:
            raise ShapeError(f"images have shape {tuple(images.shape)}, but need (batch, {self.size[0]}, {self.size[1]})")
        at = torch.arange(self.levels, dtype=images.dtype, device=images.device)[:, None, None]
        return (1.0 - (images[:, None] * (self.levels - 1) - at).abs()).clamp(min=0.0)

    def decode(self, pixels: Tensor) -> Tensor:
        """Means (batch, height, width) of distributions on the levels."""
        at = torch.linspace(0.0, 1.0, self.levels, dtype=pixels.dtype, device=pixels.device)
        return torch.einsum("blhw,l->bhw", pixels, at)

    def observe(self, images: Tensor, known: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Probabilities (batch, size) and mask (batch, nodes) as `MeanField` takes them.

        Parameters
        ----------
        images : tensor (batch, height, width)
            In [0, 1]; what stands at missing pixels is not read.
        known : tensor of bool (batch, height, width)
        labels : tensor of int (batch,), optional
            The classes, where they are known; -1 where not.
        """
        if known.dtype != torch.bool or known.shape != images.shape:
            raise DataError(f"known must be of bool and of the shape of the images, got {known.dtype}, {tuple(known.shape)}")
        clean = torch.where(known, images, images.new_zeros(()))
        if bool(((clean < 0) | (clean > 1)).any()):
            raise DataError("images must be grey values from 0 to 1: divide bytes by 255")
        pixels, count = self.encode(clean).flatten(1), len(images)
        hidden, node = self.hidden[0] * self.hidden[1], torch.zeros(count, 1, dtype=torch.bool, device=images.device)
        label = pixels.new_zeros(count, self.classes)
        if labels is not None:
            node = (labels >= 0)[:, None]
            label = functional.one_hot(labels.clamp(min=0), self.classes).to(pixels.dtype)
        observed = torch.cat((pixels, pixels.new_zeros(count, hidden), label), dim=1)
        unseen = torch.zeros(count, self.hidden[0], dtype=torch.bool, device=images.device)
        return observed, torch.cat((known.flatten(1), unseen, node), dim=1)

    def forward(self, images: Tensor, known: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Probabilities of the levels of the pixels (batch, levels, height, width) and of the classes (batch, classes)."""
        q = self.field(*self.observe(images, known, labels))
        pixels = q[:, : self.pixel_count * self.levels].reshape(-1, self.levels, *self.size)
        pixel_power, class_power = self.log_powers.exp()
        sharper = torch.softmax(pixel_power * pixels.clamp(min=SMALLEST).log(), dim=1)
        classes = torch.softmax(class_power * q[:, -self.classes :].clamp(min=SMALLEST).log(), dim=1)
        return torch.where(known[:, None], pixels, sharper), classes

    @torch.no_grad()
    def complete(self, images: Tensor, known: Tensor, labels: Tensor | None = None) -> Completion:
        """Missing pixels and classes of images (batch, height, width), from the known pixels (and labels, where given)."""
        pixels, classes = self(images, known, labels)
        return Completion(torch.where(known, images, self.decode(pixels)), pixels, classes)

    def loss(self, images: Tensor, labels: Tensor, known: Tensor, weight: float = 0.2) -> tuple[Tensor, Tensor, Tensor]:
        """``weight`` times the cross-entropy of the labels + that of missing pixels, in the mean; both; class probabilities."""
        pixels, classes = self(images, known)
        missing = ~known
        surprise = -(self.encode(images) * pixels.clamp(min=SMALLEST).log()).sum(dim=1)
        completion = (surprise * missing).sum() / missing.sum().clamp(min=1)
        naming = functional.nll_loss(classes.clamp(min=SMALLEST).log(), labels)
        return completion + weight * naming, torch.stack((completion.detach(), naming.detach())), classes.detach()


def known_pixels(images: Tensor, missing: tuple[float, float], generator: torch.Generator | None = None) -> Tensor:
    """Which pixels are known, True: of each image a share, uniform in ``missing``, is missing, pixel by pixel.

    Examples
    --------
    >>> import torch
    >>> known = known_pixels(torch.zeros(100, 8, 8), (0.4, 0.4), torch.Generator().manual_seed(0))
    >>> round(known.float().mean().item(), 1)
    0.6
    """
    low, high = missing
    share = low + (high - low) * torch.rand(len(images), 1, 1, generator=generator)
    return torch.rand(images.shape, generator=generator) >= share
