"""What no Lipschitz bound can be below: norms of Jacobians at inputs, and where they are large."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monops.errors import DataError
from monops_nn.certificates.network import DenseParts, Network, network_of
from monops_nn.operators import ActivationOperator

SCALES = (2.0, 0.5, 0.1, -0.1, -0.5, -2.0)  # of a step of the search, in units of the spread of the inputs


@dataclass(frozen=True, eq=False)
class Observed:
    """The largest norm of a Jacobian that was found, and the input at which it was.

    Attributes
    ----------
    value : float
        |D C (I - J W)^-1 J U|, J the slopes at ``point``.
    point : tensor
    mean : float
        Of the inputs as they were given, before the search.
    """

    value: float
    point: Tensor
    mean: float

    def __str__(self) -> str:
        return f"largest Jacobian found {self.value:.4g}, mean over the inputs given {self.mean:.4g}"


def observed_lipschitz(model: nn.Module | Network, x: Tensor, *, rows: Tensor | None = None, steps: int = 10) -> Observed:
    """A lower bound of the Lipschitz constant in the input: the largest norm of the Jacobian near the inputs.

    The search moves each input along the singular vector by which it is most sensitive, to and fro by several lengths, and
    keeps the largest norm. For ReLU the Jacobian is constant on polyhedra, so that there is no gradient to follow.

    Parameters
    ----------
    model : as for `lipschitz_bounds`, with a dense layer
    x : tensor (batch, ...)
        Where to start.
    rows : tensor (k, outputs), optional
        D: which combinations of the outputs; default: all outputs, D = I. ``e_k - e_j`` is the difference of two.
    steps : int, default 10
        0 looks at the inputs alone.

    Returns
    -------
    Observed

    Raises
    ------
    CapabilityError
        Layers that are not dense, or whose activation couples entries.
    DataError
        No inputs, negative steps.

    Notes
    -----
    **Cost** 1 + 6 ``steps`` linear solves n x n with all inputs as right sides, for each sample.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MonDEQ, MonotoneLinear
    >>> from monops_nn.certificates import lipschitz_bounds
    >>> layer = MonDEQ(MonotoneLinear(6, 0.5, dtype=torch.float64), injection=3)
    >>> bool(observed_lipschitz(layer, torch.randn(20, 3, dtype=torch.float64)).value <= lipschitz_bounds(layer).outputs)
    True
    """
    if not len(x):
        raise DataError("x holds no inputs: give some, to start the search from")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise DataError(f"steps={steps!r} must be an integer >= 0")
    network = network_of(model)
    dense = network.parts("the norm of a Jacobian")
    C = network.readout if rows is None else rows.double() @ network.readout
    at = (x.flatten(1) if x.ndim > 2 else x).double()
    norms, directions = _jacobians(network, dense, C, at)
    mean, spread = float(norms.mean()), float(at.std()) * at.shape[1] ** 0.5 if at.numel() > 1 else 1.0
    for step in range(steps):
        for scale in SCALES:
            tried = at + scale * spread / (1 + step) * directions
            found, turned = _jacobians(network, dense, C, tried)
            better = found > norms
            at, directions = (torch.where(better[:, None], new, old) for new, old in ((tried, at), (turned, directions)))
            norms = torch.where(better, found, norms)
    best = int(norms.argmax())
    return Observed(float(norms[best]), at[best], mean)


@torch.no_grad()
def jacobians(network: Network, dense: DenseParts, C: Tensor, x: Tensor) -> Tensor:
    """C (I - J W)^-1 J U (batch, k, inputs) at each input, J the slopes there."""
    z = network.layer.solve(x).z
    h = z @ dense.W.mT + x @ dense.U.mT + dense.b
    sigma = ActivationOperator(network.layer.activation.batched(1), None, None)
    slopes = sigma.derivative_apply(h, torch.ones_like(h))
    identity = torch.eye(len(dense.W), dtype=torch.float64)
    # C (I - J W)^-1 J = C J (I - W J)^-1, with k right sides in place of one for each input
    left = torch.linalg.solve((identity - dense.W * slopes[:, None, :]).mT, (C * slopes[:, None, :]).mT)
    return left.mT @ dense.U


def _jacobians(network: Network, dense: DenseParts, C: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Norms (batch,) and the inputs' singular vectors (batch, inputs)."""
    J = jacobians(network, dense, C, x)
    values, vectors = torch.linalg.eigh(J @ J.mT)
    norms = values[:, -1].clamp(min=0.0).sqrt()
    directions = (vectors[:, :, -1:].mT @ J)[:, 0]
    return norms, directions / torch.linalg.vector_norm(directions, dim=1, keepdim=True).clamp(min=1e-300)
