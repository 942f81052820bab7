"""Boxes around equilibria: an interval iteration, verified by Brouwer's theorem; radii in the maximum norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import monops
from monops.arrays import Blocks
from monops.errors import DataError, ShapeError
from monops_nn.certificates.network import DenseParts, Network, network_of
from monops_nn.certificates.radius import ROOM, Radii

BISECTIONS, WIDEST = 14, 1.0
INFLATION = 1e-9  # relative, of a box before it is verified


@dataclass(frozen=True, eq=False)
class IntervalBounds:
    """Boxes that hold the equilibrium of every input in a box.

    Attributes
    ----------
    lower, upper : tensors (batch, n)
        Infinite where nothing is known.
    known : tensor (batch,)
        Whether the box was verified.
    contraction : float
        The largest row sum, for the best scaling found, of |W| without its diagonal over 1 - diagonal: the iteration contracts
        where this is below 1.
    """

    lower: Tensor
    upper: Tensor
    known: Tensor
    contraction: float

    def __str__(self) -> str:
        found = f"{int(self.known.sum())} of {len(self.known)} boxes verified"
        return f"{found}; the interval iteration has the spectral radius {self.contraction:.3g}"


def interval_bounds(
    model: nn.Module | Network, lower: Tensor, upper: Tensor, *, tol: float = 1e-10, max_iter: int = 2000
) -> IntervalBounds:
    """Bounds of the equilibria of all inputs between two, entry by entry.

    With D the diagonal of W, z = sigma(W z + c) is z_i = prox_{a f}(a (sum_{j != i} W_ij z_j + c_i)), a = 1/(1 - D_i), and the
    map of boxes is [l, u] -> the same with the positive part of W at the one end and the negative part at the other. A box that
    is mapped into itself holds, by Brouwer's theorem, an equilibrium of each input, which is the only one.

    Parameters
    ----------
    model : as for `lipschitz_bounds`, with a dense layer and an activation that acts entry by entry
    lower, upper : tensors (batch, inputs)
        lower <= upper.
    tol : float, default 1e-10
        Of the iteration.
    max_iter : int, default 2000

    Returns
    -------
    IntervalBounds
        Rows whose box was not verified are unknown: their bounds are infinite.

    Raises
    ------
    ShapeError, DataError
        Shapes that differ, lower above upper.
    CapabilityError
        Layers that are not dense.

    Notes
    -----
    **Certified** in float64 with boxes widened by 1e-9, far more than rounding, before they are verified. The iteration
    contracts if the spectral radius of |W_ij|/(1 - W_ii), i != j, is below 1, which monotone W need not satisfy: then boxes
    grow without bound and are unknown. **Cost** two products n x n an iteration.

    References
    ----------
    Wei and Kolter (2022), Certified robustness for deep equilibrium models via interval bound propagation, for the iteration;
    taking out the diagonal, and verifying by Brouwer's theorem, are ours.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> _ = torch.manual_seed(0)
    >>> layer = MonDEQ(MonotoneLinear(4, 2.0, dtype=torch.float64), injection=3)
    >>> x = torch.randn(2, 3, dtype=torch.float64)
    >>> box = interval_bounds(layer, x - 0.1, x + 0.1)
    >>> z = layer(x + 0.05)
    >>> bool(box.known.all() and (box.lower <= z).all() and (z <= box.upper).all())
    True
    """
    network = network_of(model)
    dense = network.parts("an interval bound")
    if lower.shape != upper.shape or lower.ndim != 2 or lower.shape[1] != dense.U.shape[1]:
        needs = f"(batch, {dense.U.shape[1]})"
        raise ShapeError(f"lower has shape {tuple(lower.shape)} and upper {tuple(upper.shape)}, but both need {needs}")
    if not bool((lower <= upper).all()):
        raise DataError("lower must be at most upper in each entry, and neither NaN")
    step = Boxes(network, dense)
    middle, half = 0.5 * (lower + upper).double(), 0.5 * (upper - lower).double()
    centre, spread = middle @ dense.U.mT + dense.b, half @ dense.U.abs().mT
    spread = spread + 1e-14 * (centre.abs() + spread) * dense.U.shape[1]
    ends = (centre - spread, centre + spread)
    start = network.layer.solve(middle).z
    result = monops.solve(
        monops.FixedPoint(lambda z, low, high: Blocks(step(z[0], z[1], low, high)), inputs=ends),
        monops.Picard(),
        x0=Blocks((start, start.clone())),
        batch_ndim=1,
        stop=monops.stopping.RelativeToPointBelow(tol),
        max_iter=max_iter,
        on_failure="ignore",
    )
    low, high = result.x
    room = INFLATION * (1.0 + torch.maximum(low.abs(), high.abs()) + (high - low)) * step.room
    low, high = low - room, high + room
    mapped = step(low, high, *ends)
    known = ((mapped[0] >= low) & (mapped[1] <= high)).all(1) & torch.isfinite(low + high).all(1)
    infinite = torch.full_like(low, math.inf)
    return IntervalBounds(
        torch.where(known[:, None], low, -infinite), torch.where(known[:, None], high, infinite), known, step.radius
    )


class Boxes:
    """The map of boxes of a dense layer."""

    def __init__(self, network: Network, dense: DenseParts) -> None:
        diagonal = torch.diagonal(dense.W)
        self.step = 1.0 / (1.0 - diagonal)
        off = dense.W - torch.diag(diagonal)
        self.positive, self.negative = off.clamp(min=0.0), off.clamp(max=0.0)
        self.activation = network.layer.activation.batched(1)
        scaled = self.step[:, None] * off.abs()
        values, vectors = torch.linalg.eig(scaled)
        self.radius = float(values.abs().max())
        perron = vectors[:, values.abs().argmax()].abs()
        self.room = perron / perron.max() + 1e-6  # a box widened by this vector is widened by its image less

    def __call__(self, low: Tensor, high: Tensor, least: Tensor, largest: Tensor) -> tuple[Tensor, Tensor]:
        """The box of all prox_{a f}(a (W_off z + c)) for z and c in these boxes."""
        down = low @ self.positive.mT + high @ self.negative.mT + least
        up = high @ self.positive.mT + low @ self.negative.mT + largest
        return self._prox(down), self._prox(up)

    def _prox(self, at: Tensor) -> Tensor:
        step: Any = self.step  # one for each entry
        value: Tensor = self.activation.prox(self.step * at, step)
        return value


def interval_radii(
    model: nn.Module | Network,
    x: Tensor,
    labels: Tensor | None = None,
    *,
    pixel: float = 1.0,
    largest: float = WIDEST,
) -> Radii:
    """How far each entry of an input may move, all at once, before the class can change: bisection on `interval_bounds`.

    Parameters
    ----------
    model, x, labels, pixel : as for `certified_radii`
    largest : float, default 1.0
        Where the bisection begins, in units of ``pixel``.

    Returns
    -------
    Radii
        In the maximum norm; 0 where no box was verified.

    Notes
    -----
    **Cost** 14 times `interval_bounds`.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> _ = torch.manual_seed(0)
    >>> layer = MonDEQ(MonotoneLinear(4, 2.0, dtype=torch.float64), injection=3)
    >>> model = torch.nn.Sequential(layer, torch.nn.Linear(4, 2, dtype=torch.float64))
    >>> bool((interval_radii(model, torch.randn(3, 3, dtype=torch.float64)).radius > 0).all())
    True
    """
    if not 0 < largest < math.inf or not 0 < pixel < math.inf:
        raise DataError(f"largest={largest!r} and pixel={pixel!r} must be positive finite numbers")
    network = network_of(model)
    network.parts("an interval bound")
    at = (x.flatten(1) if x.ndim > 2 else x).double()
    scores, _ = network.evaluate(x)
    predicted = scores.argmax(1)
    rows = network.readout[predicted][:, None] - network.readout[None]
    offset = network.offset[predicted][:, None] - network.offset[None]
    same = torch.nn.functional.one_hot(predicted, len(network.readout)).bool()
    low, high = torch.zeros(len(x), dtype=torch.float64), torch.full((len(x),), largest / pixel, dtype=torch.float64)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        box = interval_bounds(network, at - middle[:, None], at + middle[:, None])
        centre, half = 0.5 * (box.lower + box.upper)[:, None], 0.5 * (box.upper - box.lower)[:, None]
        least = (rows * centre - rows.abs() * half).sum(2) + offset - 1e-12 * (1.0 + scores.abs().amax(1)[:, None])
        fine = box.known & ((least > 0) | same).all(1)
        low, high = torch.where(fine, middle, low), torch.where(fine, high, middle)
    return Radii(ROOM * pixel * low, predicted, labels, "interval, maximum norm")
