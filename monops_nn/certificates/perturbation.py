"""Perturbed and quantised weights: whether the equilibrium survives, and how far it moves."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monops.errors import CapabilityError, DataError, ShapeError
from monops_nn.certificates.network import DenseParts, Network, network_of, spectral_norm
from monops_nn.mondeq import MonDEQ
from monops_nn.parametrize import MonotoneLinear

ROUNDING = 1e-9  # relative, of the margin that is left


@dataclass(frozen=True, eq=False)
class Displacement:
    """How far equilibria move when the weights do.

    Attributes
    ----------
    bound : tensor (batch,)
        The smaller of (|dW| |z| + |dU x + db|)/m~ and (|dW| |z~| + |dU x + db|)/m, with the certified errors of z and z~.
    prior : tensor (batch,)
        |dW| |Ux + b|/(m m~) + (|dU x| + |db|)/m~, which needs no solve; infinite unless sigma(0) = 0.
    actual : tensor (batch,)
        |z~ - z|.
    """

    bound: Tensor
    prior: Tensor
    actual: Tensor

    def __str__(self) -> str:
        ratio = float((self.actual / self.bound.clamp(min=1e-300)).max())
        parts = [f"{name} {float(v.max()):.4g}" for name, v in (("actual", self.actual), ("bound", self.bound))]
        return f"largest displacement of {len(self.bound)} equilibria: {', '.join(parts)}; at most {ratio:.3g} of a bound"


def displacement(model: nn.Module | Network, moved: nn.Module | Network, x: Tensor) -> Displacement:
    """How far the equilibria of a dense layer move when W, U and b do: bounds, and the truth.

    Parameters
    ----------
    model, moved : as for `lipschitz_bounds`, with dense layers of one size and the same activation
    x : tensor (batch, ...)

    Returns
    -------
    Displacement

    Raises
    ------
    ShapeError
        Layers of different sizes.
    CapabilityError
        Layers that are not dense, or have a metric.

    References
    ----------
    Pabbaraju, Winston and Kolter (2021), Theorem 2, for ``prior``; the other bound follows in the same way, one step earlier.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> layer = MonDEQ(MonotoneLinear(4, dtype=torch.float64), injection=3)
    >>> moved = copy.deepcopy(layer)
    >>> _ = moved.linear.A.data.mul_(1.01)
    >>> found = displacement(layer, moved, torch.randn(5, 3, dtype=torch.float64))
    >>> bool((found.actual <= found.bound).all() and (found.bound <= found.prior * (1 + 1e-6)).all())
    True
    """
    first, second = network_of(model), network_of(moved)
    old, new = (_plain(network, "a displacement bound") for network in (first, second))
    if old.W.shape != new.W.shape or old.U.shape != new.U.shape:
        shapes = f"{tuple(old.U.shape)} and {tuple(new.U.shape)}"
        raise ShapeError(f"the layers have different sizes, U {shapes}: give two of one size")
    at = (x.flatten(1) if x.ndim > 2 else x).double()
    (z, error), (other, other_error) = (_equilibria(network, at) for network in (first, second))
    dW = spectral_norm(new.W - old.W)
    pushed = torch.linalg.vector_norm(at @ (new.U - old.U).mT + (new.b - old.b), dim=1)
    length, other_length = (torch.linalg.vector_norm(state, dim=1) for state in (z, other))
    m, left = first.monotonicity, second.monotonicity
    bound = torch.minimum((dW * (length + error) + pushed) / left, (dW * (other_length + other_error) + pushed) / m)
    c = torch.linalg.vector_norm(at @ old.U.mT + old.b, dim=1)
    db = torch.linalg.vector_norm(new.b - old.b)
    prior = dW * c / (m * left) + (torch.linalg.vector_norm(at @ (new.U - old.U).mT, dim=1) + db) / left
    if not _fixes_zero(first):
        prior = torch.full_like(prior, torch.inf)
    actual = torch.linalg.vector_norm(other - z, dim=1)
    return Displacement(bound + error + other_error, prior, actual)


def parameter_displacement(A: Tensor, dA: Tensor, dB: Tensor) -> float:
    """A bound (2 |A| + |dA|) |dA| + 2 |dB| of |dW| for W = (1 - m) I - A'A + B - B', whose m does not change.

    Examples
    --------
    >>> import torch
    >>> A, dA, dB = torch.eye(2), 0.1 * torch.eye(2), torch.zeros(2, 2)
    >>> round(parameter_displacement(A, dA, dB), 6)
    0.21
    """
    a, da, db = (spectral_norm(t.double()) for t in (A, dA, dB))
    return (2.0 * a + da) * da + 2.0 * db


@dataclass(frozen=True, eq=False)
class Quantised:
    """A layer with weights on a grid.

    Attributes
    ----------
    layer : MonDEQ or None
        With the rounded W and U, in float64; None where the rounded W has no margin left.
    bits : int
    step : float
        Of the grid of W.
    perturbation : float
        |dW|.
    margin : float
        m of the layer as it was.
    remaining : float
        Lambda_min(sym(I - W~)) of the rounded W, at least m - |dW|.
    """

    layer: MonDEQ | None
    bits: int
    step: float
    perturbation: float
    margin: float
    remaining: float

    @property
    def certified(self) -> bool:
        """|dW| < m: the equilibrium stays unique, and moves at most (|dW|/m) |z~|."""
        return self.perturbation < self.margin

    def __str__(self) -> str:
        sign, verdict = ("<", "certified") if self.certified else (">=", "not certified")
        where = f"{self.bits} bits, step {self.step:.3g}: |dW| = {self.perturbation:.4g} {sign} m = {self.margin:.4g}"
        return f"{where}, {verdict}; margin left {self.remaining:.4g}"


@torch.no_grad()
def quantise(layer: MonDEQ, bits: int) -> Quantised:
    """Round W and U of a dense layer to grids of 2^bits - 1 points, symmetric around 0, and say what is left of its margin.

    Parameters
    ----------
    layer : MonDEQ
        Dense, without a metric. b is kept.
    bits : int
        From 2 to 32.

    Returns
    -------
    Quantised

    Raises
    ------
    DataError
        Bits that cannot be meant.
    CapabilityError
        Layers that are not dense, or have a metric.

    Notes
    -----
    sym(I - W - dW) >= (m - |dW|) I: with |dW| < m there is exactly one equilibrium z~ for each input, and |z~ - z| <= (|dW|/m)
    |z~| when U is not rounded. Sharp for a scalar: dW = m has none, or a continuum. `displacement` gives the bounds for inputs.

    References
    ----------
    Li, Leong and Chaffey (2026), on quantised monotone networks, as recalled.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> _ = torch.manual_seed(0)
    >>> layer = MonDEQ(MonotoneLinear(8, 0.5, dtype=torch.float64), injection=3)
    >>> [quantise(layer, bits).certified for bits in (2, 4, 8)]
    [False, True, True]
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 32:
        raise DataError(f"bits={bits!r} must be an integer from 2 to 32")
    if not isinstance(layer, MonDEQ):
        raise CapabilityError(f"quantise rounds a MonDEQ, not {type(layer).__name__}")
    network = network_of(layer)
    dense = _plain(network, "quantise")
    W, step = _rounded(dense.W, bits)
    perturbation = spectral_norm(W - dense.W)
    identity = torch.eye(len(W), dtype=torch.float64)
    least = float(torch.linalg.eigvalsh(identity - 0.5 * (W + W.mT))[0])
    remaining = least - ROUNDING * (1.0 + abs(float(W.abs().max())) * len(W))
    made = None
    if remaining > ROUNDING:
        linear = MonotoneLinear(len(W), remaining, dtype=torch.float64)
        linear.assign(W)
        injection = nn.Linear(dense.U.shape[1], len(W), dtype=torch.float64)
        injection.weight.copy_(_rounded(dense.U, bits)[0])
        injection.bias.copy_(dense.b)
        made = MonDEQ(linear, copy.deepcopy(layer.activation), injection=injection, tol=layer.tol, max_iter=layer.max_iter)
    return Quantised(made, bits, step, perturbation, network.monotonicity, remaining)


def _rounded(values: Tensor, bits: int) -> tuple[Tensor, float]:
    """The nearest points of a symmetric grid that ends at the largest entry, and its step."""
    step = float(values.abs().max()) / (2 ** (bits - 1) - 1)
    return (values.clone(), 0.0) if step == 0 else (torch.round(values / step) * step, step)


def _plain(network: Network, what: str) -> DenseParts:
    dense = network.parts(what)
    if bool((dense.metric != 1).any()):
        raise CapabilityError(
            f"{what} is stated for W monotone in the usual inner product, but {type(network.layer.linear).__name__} has a "
            "metric: use MonotoneLinear"
        )
    return dense


def _equilibria(network: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    solution = network.layer.solve(x)
    return solution.z, solution.error_bound


def _fixes_zero(network: Network) -> bool:
    zero = torch.zeros(1, network.readout.shape[1], dtype=torch.float64)
    return not bool(network.layer.activation.batched(1).prox(zero, 1.0).any())
