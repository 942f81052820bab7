"""Certified Lipschitz constants of equilibrium networks in their input: crude, and by diagonal multipliers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monops.errors import DataError
from monops_nn.certificates.channels import channel_bound
from monops_nn.certificates.multipliers import STEPS, Loop, certified, improve
from monops_nn.certificates.network import DenseParts, Network, network_of, spectral_norm
from monops_nn.certificates.pairs import matrix_of_pairs, pairs


@dataclass(frozen=True, eq=False)
class LipschitzBounds:
    """Numbers with |f(x) - f(y)| <= bound |x - y| for all inputs x, y in the 2-norm, rounding included.

    Attributes
    ----------
    state : float
        |U|/m, of the equilibrium z.
    outputs_crude, outputs : float
        |C| |U|/m and the multiplier certificate, of all outputs together.
    pairs_crude, pairs : tensor (outputs, outputs)
        The same of each difference of two outputs: |c_k - c_j| |U|/m, and the certificate.
    sharpened : bool
        Whether multipliers were tried; where not, the crude bounds stand in for the others.
    multipliers : tensor (pairs, n) or None
        What proves ``pairs`` of a dense layer.
    monotonicity, injection_norm : float
        m and |U|.
    """

    state: float
    outputs_crude: float
    outputs: float
    pairs_crude: Tensor
    pairs: Tensor
    sharpened: bool
    multipliers: Tensor | None
    monotonicity: float
    injection_norm: float

    def __str__(self) -> str:
        above = self.pairs_crude > 0
        lines = [
            f"Lipschitz bounds in the input, |U| = {self.injection_norm:.4g}, m = {self.monotonicity:.4g}",
            f"  equilibrium      {self.state:.4g}   (|U|/m)",
            f"  outputs          {self.outputs_crude:.4g}   (|C| |U|/m)",
        ]
        if self.sharpened:
            lines.append(f"                   {self.outputs:.4g}   (multipliers)")
        if bool(above.any()):
            crude, found = self.pairs_crude[above], self.pairs[above]
            lines.append(f"  two outputs      {float(crude.mean()):.4g}   (mean of |c_k - c_j| |U|/m)")
            if self.sharpened:
                lines.append(f"                   {float(found.mean()):.4g}   (mean, multipliers)")
        return "\n".join(lines)


def lipschitz_bounds(model: nn.Module | Network, *, steps: int = STEPS) -> LipschitzBounds:
    """Bounds |U|/m of the equilibrium, |C| |U|/m of the outputs, and the certificates of diagonal multipliers.

    For L > 0 diagonal with N = 2 L/s - L W - W'L > 0, s the largest slope of the activation, the outputs are gamma-Lipschitz
    with gamma = lambda_max(N^-1 (C'C + L U U'L)). L = (|C|/|U|) I gives at most |C| |U|/m; log L is improved from there.

    Parameters
    ----------
    model : Classifier, LipschitzBoundedNetwork, nn.Sequential(MonDEQ, nn.Linear) or MonDEQ
        The last one has the state as its outputs.
    steps : int, default 200
        Of the improvement, by Adam; 0 keeps L = (|C|/|U|) I.

    Returns
    -------
    LipschitzBounds

    Raises
    ------
    CapabilityError
        Models without a known norm of their injection.
    DataError
        Weights that are not finite, negative steps.

    Notes
    -----
    **Certified** dense models are read in float64, their numbers counted as exact; m and |U| carry rounding margins, and each
    gamma is raised until gamma N - C'C - L U U'L has a Cholesky factor after a shift by all that rounding can have done to it
    (usually 1e-10 of gamma). With a metric Psi lengths are those of Psi^(1/2) z, and L starts at a multiple of Psi.
    A single convolution has one multiplier a channel, so that each frequency is a problem of its own, and its readout counts by
    its norm; several tiers, and activations that couple entries, have the crude bounds only. Pooling and the border of the
    readout are counted exactly.
    **Cost** an eigenvalue problem n x n a step and a pair of outputs: for n = 40 and 45 pairs some seconds.

    References
    ----------
    Pabbaraju, Winston and Kolter (2021), Theorem 1. Revay, Wang and Manchester (2020), Theorem 2. Rump (2006), Verification of
    positive definiteness.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> layer = MonDEQ(MonotoneLinear(6, 0.5, dtype=torch.float64), injection=3)
    >>> bounds = lipschitz_bounds(layer, steps=20)
    >>> bounds.outputs <= bounds.outputs_crude <= bounds.state * (1 + 1e-12)
    True
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise DataError(f"steps={steps!r} must be an integer >= 0")
    network = network_of(model)
    C = network.readout
    slope = network.injection_norm / network.monotonicity
    first, second = pairs(len(C))
    rows = C[first] - C[second]
    scaled = torch.linalg.vector_norm(rows * network.readout_scale, dim=1) * (1.0 + 1e-14 * rows.shape[1])
    crude = matrix_of_pairs(scaled * slope, len(C))
    whole = spectral_norm(C * network.readout_scale) * slope
    state = float(network.readout_scale.max()) * slope
    if network.dense is None:
        ratio, sharpened = 1.0, network.frequencies is not None and steps > 0
        if network.frequencies is not None and steps > 0:
            ratio = channel_bound(network.frequencies, network.injection_norm, slope) / slope
        m, norm = network.monotonicity, network.injection_norm
        return LipschitzBounds(state, whole, ratio * whole, crude, ratio * crude, sharpened, None, m, norm)
    outputs, _ = multiplier_bounds(network, network.dense, C[None], torch.tensor([whole]).double(), steps)
    found, multipliers = scaled * slope, scaled.new_zeros(len(rows), C.shape[1])
    if len(rows):
        found, multipliers = multiplier_bounds(network, network.dense, rows[:, None], scaled * slope, steps)
    together = matrix_of_pairs(found, len(C))
    m, norm = network.monotonicity, network.injection_norm
    return LipschitzBounds(state, whole, float(outputs[0]), crude, together, True, multipliers, m, norm)


def loop_of(dense: DenseParts, C: Tensor, V: Tensor | None = None) -> Loop:
    """The loop of a dense layer with readouts C (batch, k, n), for all slopes its activation has."""
    low, high = dense.slopes
    loop = Loop.of(dense.W, dense.U, C, V, 1.0 if low > 0 else high)
    if low == 0:
        return loop
    ones = torch.ones(len(C), len(dense.W), dtype=torch.float64)
    return loop.narrowed(low * ones, high * ones)


def multiplier_bounds(
    network: Network, dense: DenseParts, C: Tensor, crude: Tensor, steps: int, V: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Certified bounds (batch,) of readouts C (batch, k, n), never above the crude ones, and the multipliers behind them."""
    loop = loop_of(dense, C, V)
    lengths = torch.linalg.vector_norm(C * network.readout_scale, dim=(1, 2))
    balance = torch.where(lengths > 0, lengths, 1.0) / max(network.injection_norm, 1e-300)
    start = balance[:, None] * dense.metric
    low, high = dense.slopes
    if low > 0:  # the same multipliers, as the narrowed loop counts them
        start = start * (high - low) / ((1.0 - low) * high + low * (1.0 - high)) if high > low else start
    multipliers, gamma = improve(loop, start, steps)
    found = certified(loop, multipliers, gamma)
    return torch.minimum(found, crude), multipliers
