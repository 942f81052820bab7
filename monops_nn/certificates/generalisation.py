"""A PAC-Bayes bound of the test error, evaluated with all its constants."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monops.errors import CapabilityError, DataError
from monops_nn.certificates.network import network_of, spectral_norm
from monops_nn.certificates.perturbation import _fixes_zero, _plain
from monops_nn.parametrize import MonotoneLinear

DEVIATIONS = tuple(2.0**-k for k in range(41))  # of the weights' noise; the bound holds for all of them at once
TAIL = math.sqrt(2.0 * math.log(12.0))  # six Gaussian norms exceed their means by this with probability 1/2 at most


@dataclass(frozen=True)
class PACBayes:
    """With probability 1 - delta over the training samples, the test error is at most ``bound``.

    Attributes
    ----------
    bound : float
        margin_loss + complexity.
    margin_loss : float
        The share of training samples whose score does not lead by the margin.
    complexity : float
        4 sqrt((|w|^2/(2 s^2) + ln(6 M 41/delta))/(M - 1)).
    deviation : float
        s, of the Gaussian noise that moves no score by a quarter of the margin, with probability 1/2.
    order : float
        The expression that Pabbaraju, Winston and Kolter (2021), Theorem 3, print under O, without its unknown constant.
    """

    bound: float
    margin_loss: float
    complexity: float
    deviation: float
    order: float

    @property
    def vacuous(self) -> bool:
        """Whether it says nothing: an error rate is never above 1."""
        return self.bound >= 1.0

    def __str__(self) -> str:
        verdict = "vacuous" if self.vacuous else "not vacuous"
        return (
            f"test error <= {self.bound:.4g} ({verdict}): margin loss {self.margin_loss:.4g}, complexity {self.complexity:.4g}"
        )


@torch.no_grad()
def pac_bayes(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    *,
    margin: float,
    input_radius: float,
    delta: float = 0.05,
) -> PACBayes:
    """A bound of the test error from the training set, the norms of the weights and how equilibria move with them.

    Noise of deviation s on A, B, U, b, C and d moves the scores by at most max |c_k| e + |dC| (r + e) + |dd| with r = (|U| R +
    |b|)/m and e = (((2 |A| + |dA|) |dA| + 2 |dB|) r + |dU| R + |db|)/m; a Gaussian norm is at most s (sqrt(rows) +
    sqrt(columns) + t). The largest s of a grid that keeps this below a quarter of the margin gives the bound.

    Parameters
    ----------
    model : Classifier or nn.Sequential(MonDEQ, nn.Linear) with `MonotoneLinear` of fixed m, and sigma(0) = 0
    x, labels : tensors (M, ...) and (M,)
        The training samples.
    margin : float
        Fixed before the samples are looked at.
    input_radius : float
        R >= |x| for every input that can occur.
    delta : float, default 0.05

    Returns
    -------
    PACBayes

    Raises
    ------
    CapabilityError
        Other layers.
    DataError
        Numbers out of range; an input longer than R.

    References
    ----------
    Neyshabur, Bhojanapalli and Srebro (2018), Lemma 1. Pabbaraju, Winston and Kolter (2021), Theorem 3, of which this is a
    version with constants. Davidson and Szarek (2001), Theorem II.13, for the norms.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> model = torch.nn.Sequential(MonDEQ(MonotoneLinear(3), injection=2), torch.nn.Linear(3, 2))
    >>> x, labels = torch.rand(100, 2), torch.zeros(100, dtype=torch.int64)
    >>> pac_bayes(model, x, labels, margin=1.0, input_radius=2.0).vacuous
    True
    """
    for name, value in (("margin", margin), ("input_radius", input_radius)):
        if not 0 < value < math.inf:
            raise DataError(f"{name}={value!r} must be a positive finite number")
    if not 0 < delta < 1 or len(x) < 2 or len(labels) != len(x):
        raise DataError(f"delta={delta!r} must be in (0, 1), with two samples or more and a label each")
    network = network_of(model)
    dense, linear = _plain(network, "the PAC-Bayes bound"), network.layer.linear
    if not isinstance(linear, MonotoneLinear) or linear.learn_monotonicity or not _fixes_zero(network):
        raise CapabilityError("the PAC-Bayes bound is derived for MonotoneLinear with a fixed m and sigma(0) = 0, such as ReLU")
    if float(torch.linalg.vector_norm(x.flatten(1), dim=1).max()) > input_radius:
        raise DataError(f"input_radius={input_radius:g} is less than the length of an input")
    C, d, m = network.readout, network.offset, linear.certified_monotonicity
    A, B = linear.A.detach(), linear.B.detach()
    scores, _ = network.evaluate(x)
    own = scores.gather(1, labels[:, None])
    lead = (own - scores).scatter(1, labels[:, None], math.inf).amin(1)
    loss = float((lead <= margin).double().mean())
    weights = sum(float((t * t).sum()) for t in (A, B, dense.U, dense.b, C, d))
    norms = (spectral_norm(A), spectral_norm(dense.U), float(dense.b.norm()), float(C.norm(dim=1).max()))
    sizes = (len(dense.W), dense.U.shape[1], len(C))
    fine = [s for s in DEVIATIONS if _moved(s, norms, sizes, m, input_radius) < margin / 4.0]
    M = len(x)
    s = max(fine, default=0.0)
    divergence = weights / (2.0 * s * s) if s > 0 else math.inf
    complexity = 4.0 * math.sqrt((divergence + math.log(6.0 * M * len(DEVIATIONS) / delta)) / (M - 1))
    beta, h = max(*norms[:3], spectral_norm(C)), sizes[0]
    inner = beta**2 * input_radius * (margin + beta) + m * beta * input_radius + m**2
    order = math.sqrt(
        h * math.log(max(h, 2)) * inner**2 * weights / (margin**2 * m**4 * M) + math.log(M * math.sqrt(M) / delta) / M
    )
    return PACBayes(loss + complexity, loss, complexity, s, order)


def _moved(s: float, norms: tuple[float, ...], sizes: tuple[int, int, int], m: float, R: float) -> float:
    """What the scores move, with probability 1/2 at least, under Gaussian noise of deviation s."""
    A, U, b, row = norms
    n, inputs, outputs = (math.sqrt(size) for size in sizes)
    square, injection, vector = s * (2.0 * n + TAIL), s * (n + inputs + TAIL), s * (n + TAIL)
    readout, offset = s * (n + outputs + TAIL), s * (outputs + TAIL)
    r = (U * R + b) / m
    e = (((2.0 * A + square) * square + 2.0 * square) * r + injection * R + vector) / m
    return row * e + readout * (r + e) + offset
