"""Certified radii: within them no input is given another class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from monops.errors import DataError, ShapeError
from monops_nn.certificates.lipschitz import LipschitzBounds, lipschitz_bounds
from monops_nn.certificates.local import improved_radii
from monops_nn.certificates.network import Network, network_of

Method = Literal["halved-margin", "margin", "pairs", "multipliers", "local"]
METHODS = ("halved-margin", "margin", "pairs", "multipliers", "local")
ROOM = 1.0 - 1e-12  # for the rounding of scores and quotients in float64


@dataclass(frozen=True, eq=False)
class Radii:
    """Radii within which the predicted class is proven to stay.

    Attributes
    ----------
    radius : tensor (batch,)
        In the 2-norm of ``pixel`` units; 0 where nothing is proven.
    predicted : tensor (batch,)
        The class with the largest score.
    labels : tensor (batch,) or None
    method : str
    """

    radius: Tensor
    predicted: Tensor
    labels: Tensor | None
    method: str

    @property
    def correct(self) -> Tensor:
        """Whether the predicted class is the label; all of them where there are no labels."""
        return torch.ones_like(self.predicted, dtype=torch.bool) if self.labels is None else self.predicted == self.labels

    def certified(self, radius: float | Tensor) -> Tensor:
        """Whether each sample is proven to keep its (correct) class within this distance."""
        return self.correct & (self.radius >= radius)

    def accuracy(self, radii: Sequence[float]) -> list[float]:
        """The certified accuracy at each of these distances."""
        return [float(self.certified(radius).double().mean()) for radius in radii]

    def __str__(self) -> str:
        correct = float(self.correct.double().mean()) if len(self.radius) else math.nan
        middle = float(self.radius.median()) if len(self.radius) else math.nan
        return f"{len(self.radius)} certified radii ({self.method}): median {middle:.4g}, {100 * correct:.2f} % correct"


def certified_radii(
    model: nn.Module | Network,
    x: Tensor,
    labels: Tensor | None = None,
    *,
    method: Method = "multipliers",
    bounds: LipschitzBounds | None = None,
    pixel: float = 1.0,
) -> Radii:
    """How far each input may be moved, in the 2-norm, before the class of its largest score can change.

    Parameters
    ----------
    model : as for `lipschitz_bounds`
    x : tensor (batch, ...)
        Inputs as the model takes them.
    labels : tensor (batch,), optional
        True classes, for `Radii.certified` and `Radii.accuracy`.
    method : {"halved-margin", "margin", "pairs", "multipliers", "local"}, default "multipliers"
        With gap_j = l_k - l_j > 0 for the predicted class k and L the bound |C| |U|/m of all scores:
        "halved-margin": min gap/(2 L); "margin": min gap/(sqrt(2) L); "pairs": min_j gap_j/(|c_k - c_j| |U|/m); "multipliers":
        the same with the certificate of each pair; "local": that, enlarged by bisection with sectors that hold near x only.
    bounds : LipschitzBounds, optional
        Of the model, when they are known already.
    pixel : float, default 1.0
        What a unit of the radius is in units of x: with x = (pixels - mean)/deviation give the (smallest) deviation.

    Returns
    -------
    Radii

    Raises
    ------
    DataError, ShapeError
        Another method, labels that do not fit, pixel not positive, a model with less than two outputs.
    CapabilityError
        "multipliers" and "local" where only the crude bounds are known.

    Notes ----- Scores are those of the float64 copy, and each gap is less by |c_k - c_j| times the certified error of its
    equilibrium; what is certified is the network in exact arithmetic, and the class that it names, right or wrong: compare with
    an attack, which counts a wrong class as broken, only where ``correct``. Rows with NaN have radius 0. **Cost** one solve;
    "local" adds a dozen factorisations n x n for each sample and each class that limits its radius.

    References
    ----------
    Tsuzuku, Sato and Sugiyama (2018) for the first two. Pabbaraju, Winston and Kolter (2021), section 5, for "halved-margin" of
    these networks.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> layer = MonDEQ(MonotoneLinear(6, 0.5, dtype=torch.float64), injection=3)
    >>> model = torch.nn.Sequential(layer, torch.nn.Linear(6, 4, dtype=torch.float64))
    >>> x, found = torch.randn(5, 3, dtype=torch.float64), []
    >>> for method in METHODS:
    ...     found.append(certified_radii(model, x, method=method).radius)
    >>> all(bool((small <= large).all()) for small, large in zip(found, found[1:]))
    True
    """
    if method not in METHODS:
        raise DataError(f"method={method!r} is unknown: choose one of {', '.join(METHODS)}")
    if isinstance(pixel, bool) or not isinstance(pixel, (int, float)) or not 0 < pixel < math.inf:
        raise DataError(f"pixel={pixel!r} must be a positive finite number: a unit of the radius in units of x")
    network = network_of(model)
    if len(network.readout) < 2:
        raise DataError("certified radii are those of a classifier, but the model has a single output")
    if labels is not None and tuple(labels.shape) != (len(x),):
        raise ShapeError(f"labels have shape {tuple(labels.shape)}, but x has {len(x)} samples")
    if method == "local" or (method == "multipliers" and network.frequencies is None):
        network.parts(f"method={method!r}")
    known = bounds if bounds is not None else lipschitz_bounds(network, steps=200 if method in ("multipliers", "local") else 0)
    scores, error = network.evaluate(x)
    predicted = scores.argmax(1)
    gaps = sure_gaps(network, scores, error, predicted)
    radius = _quotients(gaps, _constants(method, known, predicted)).amin(1)
    if method == "local":
        radius = improved_radii(network, known, x, gaps, predicted, error, radius)
    radius = ROOM * pixel * torch.nan_to_num(radius, nan=0.0).clamp(min=0.0)
    return Radii(radius, predicted, labels, method)


def sure_gaps(network: Network, scores: Tensor, error: Tensor, predicted: Tensor) -> Tensor:
    """What l_k - l_j is at least (batch, outputs), for k the predicted class; infinite for j = k."""
    C = network.readout
    lengths = torch.linalg.vector_norm(C[:, None] - C[None], dim=2)
    rounding = 1e-14 * C.shape[1] * (scores.abs().amax(1) + 1.0)
    gaps = scores.gather(1, predicted[:, None]) - scores - lengths[predicted] * error[:, None] - rounding[:, None]
    return gaps.scatter(1, predicted[:, None], torch.inf)


def _constants(method: str, bounds: LipschitzBounds, predicted: Tensor) -> Tensor:
    """By what to divide the gaps (batch, outputs)."""
    if method in ("halved-margin", "margin"):
        factor = 2.0 if method == "halved-margin" else math.sqrt(2.0)
        return torch.full((len(predicted), len(bounds.pairs)), factor * bounds.outputs_crude, dtype=torch.float64)
    return (bounds.pairs_crude if method == "pairs" else bounds.pairs)[predicted]


def _quotients(gaps: Tensor, constants: Tensor) -> Tensor:
    """gap/constant, 0 for gaps that are not positive, infinite where the scores cannot approach each other."""
    return torch.where(gaps > 0, gaps / constants, torch.where(torch.isnan(gaps), torch.nan, 0.0))
