"""Certificates near one input: preactivations move little there, so that slopes lie in narrower sectors."""

from __future__ import annotations

import torch
from torch import Tensor

from monops_nn.certificates.lipschitz import LipschitzBounds, multiplier_bounds
from monops_nn.certificates.multipliers import NARROWEST, Loop, proves
from monops_nn.certificates.network import DenseParts, Network
from monops_nn.certificates.pairs import pairs
from monops_nn.operators import ActivationOperator

BISECTIONS, FARTHEST = 8, 3.0
CHUNK = 512
STEPS = 50
ROOM = 1.0 - 1e-9  # for the rounding of the narrowed loops


@torch.no_grad()
def secant_slopes(network: Network, h: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of (sigma(h + t) - sigma(h))/t for 0 < |t| <= reach, entry by entry; h and reach (batch, n).

    Where the slope of sigma rises up to its peak and falls behind it, the least secant is that to one of the two ends, and the
    largest that to an end too, unless the peak is within reach.
    """
    dense = network.parts("a local certificate")
    low, high = (torch.full_like(h, slope) for slope in dense.slopes)
    if dense.peak is None:
        return low, high
    sigma = ActivationOperator(network.layer.activation.batched(1), None, None)
    reach = reach.clamp(min=1e-12)
    left, middle, right = (sigma.resolvent(at, 1.0) for at in (h - reach, h, h + reach))
    rounding = 4e-16 * (1.0 + h.abs() + reach) / reach
    below, above = (middle - left) / reach, (right - middle) / reach
    largest = torch.where(dense.peak >= h + reach, above, torch.where(dense.peak <= h - reach, below, high)) + rounding
    least = torch.minimum(below, above) - rounding
    return torch.maximum(least, low).clamp(max=1.0), torch.minimum(largest, high).clamp(min=0.0)


def preactivation_bounds(network: Network, dense: DenseParts) -> Tensor:
    """Bounds (n,) of |h_i(x) - h_i(y)|/|x - y| for h = W z + U x, by multipliers."""
    n = len(dense.W)
    identity = torch.eye(n, dtype=torch.float64)
    crude = torch.linalg.vector_norm(dense.W * network.readout_scale, dim=1) * network.injection_norm / network.monotonicity
    crude = (crude + torch.linalg.vector_norm(dense.U, dim=1)) * (1.0 + 1e-13 * n)
    return multiplier_bounds(network, dense, dense.W[:, None], crude, STEPS, identity[:, None])[0]


@torch.no_grad()
def improved_radii(
    network: Network, bounds: LipschitzBounds, x: Tensor, gaps: Tensor, predicted: Tensor, error: Tensor, radius: Tensor
) -> Tensor:
    """Radii (batch,) at least as large as those given, by bisection up to three times as far.

    Within the distance e, |h_i(y) - h_i(x)| <= e gamma_i; sigma between h(x) and h(y) then lies in a sector of its secants, and
    the multipliers of the pair, scaled by the width of each sector, prove a smaller constant than they do for [0, 1].
    """
    dense = network.parts("a local certificate")
    assert bounds.multipliers is not None
    with torch.enable_grad():
        moves = preactivation_bounds(network, dense)
    z = network.layer.solve(x.flatten(1).to(torch.float64) if x.ndim > 2 else x.to(torch.float64)).z
    given = x.flatten(1).double() if x.ndim > 2 else x.double()
    h = z @ dense.W.mT + given @ dense.U.mT + dense.b
    slack = error * float(torch.linalg.matrix_norm(dense.W, 2))
    best = radius.clone()
    open_ = torch.nonzero((radius > 0) & torch.isfinite(radius))[:, 0]
    for rows in torch.split(open_, CHUNK):
        low, high = radius[rows], FARTHEST * radius[rows]
        for step in range(BISECTIONS):
            middle = high if step == 0 else 0.5 * (low + high)
            reach = middle[:, None] * moves + slack[rows, None]
            fine = _proven(network, dense, bounds, secant_slopes(network, h[rows], reach), middle, gaps[rows], predicted[rows])
            low, high = torch.where(fine, middle, low), torch.where(fine, high, middle)
        best[rows] = low
    return best


def _proven(
    network: Network,
    dense: DenseParts,
    bounds: LipschitzBounds,
    slopes: tuple[Tensor, Tensor],
    radius: Tensor,
    gaps: Tensor,
    predicted: Tensor,
) -> Tensor:
    """Whether no score overtakes within the radius (batch,), for slopes (batch, n) in these sectors.

    The class that is nearest to overtaking is asked first, and the others where it cannot.
    """
    needed = ROOM * gaps / radius[:, None]
    constants = bounds.pairs[predicted]
    open_ = constants > needed
    nearest = torch.nn.functional.one_hot((constants / needed).argmax(1), constants.shape[1]).bool()
    fine = torch.ones(len(radius), dtype=torch.bool)
    for asked in (nearest, ~nearest):
        sample, other = torch.nonzero(open_ & asked & fine[:, None], as_tuple=True)
        if len(sample):
            k = predicted[sample]
            low, high = slopes[0][sample], slopes[1][sample]
            C = (network.readout[k] - network.readout[other])[:, None]
            loop = Loop.of(dense.W, dense.U, C).narrowed(low, high)
            spread = ((1.0 - low) * high + low * (1.0 - high)).clamp(min=NARROWEST)
            assert bounds.multipliers is not None
            known = bounds.multipliers[_index(len(bounds.pairs))[k, other]]
            good = proves(loop, known * _unnarrowed(dense) * loop.width / spread, needed[sample, other])
            fine[sample[~good]] = False
    return fine


def _unnarrowed(dense: DenseParts) -> float:
    """By what the global certificate scaled its multipliers, when slopes have a lower bound above 0."""
    low, high = dense.slopes
    if low == 0 or high == low:
        return 1.0
    return ((1.0 - low) * high + low * (1.0 - high)) / (high - low)


def _index(classes: int) -> Tensor:
    """The number of each pair of classes."""
    first, second = pairs(classes)
    index = torch.zeros(classes, classes, dtype=torch.int64)
    index[first, second] = index[second, first] = torch.arange(len(first))
    return index
