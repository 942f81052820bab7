"""The derivative of a cell in its state: its size as a penalty, and its spectral radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from monops.errors import DataError
from monops_nn.deq.states import as_state, leaves_of


def jacobian_penalty(
    cell: Callable[..., Any], z: Any, *inputs: Tensor, samples: int = 1, generator: torch.Generator | None = None
) -> Tensor:
    """An unbiased estimate of |J|_F^2/n, J = df/dz at z and n the entries of z: the mean of |J' v|^2/n for v ~ N(0, I).

    Parameters
    ----------
    cell : callable
        f, ``cell(z, *inputs)``.
    z : tensor or tuple of tensors
        Where, usually the fixed point; its own derivative is not followed.
    inputs : tensors
    samples : int, default 1
        Vectors v.
    generator : torch.Generator, optional

    Returns
    -------
    tensor ()
        Differentiable in the parameters of the cell and in the inputs.

    Raises
    ------
    DataError
        When samples is not positive.

    Notes
    -----
    Small Jacobians make every solver fast; the penalty is weighted by 0.1 to 3 in the paper. **Cost** one value of f and
    ``samples`` vector-Jacobian products, recorded.

    References
    ----------
    Hutchinson (1989). Bai, Koltun and Kolter (2021), Stabilizing equilibrium models by Jacobian regularization.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> z = torch.zeros(4, 100)
    >>> abs(float(jacobian_penalty(lambda z: 0.5 * z, z, samples=20)) - 0.25) < 0.02
    True
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise DataError(f"samples={samples!r} must be an integer >= 1")
    leaves, value = _recorded(cell, z, inputs)
    total = torch.zeros((), device=leaves[0].device, dtype=leaves[0].dtype)
    with torch.enable_grad():
        for _ in range(samples):
            v = [torch.randn(part.shape, generator=generator, dtype=part.dtype, device=part.device) for part in value]
            pulled = torch.autograd.grad(value, leaves, v, create_graph=True, allow_unused=True, materialize_grads=True)
            total = total + sum(part.square().sum() for part in pulled)
        return total / max(samples * sum(part.numel() for part in leaves), 1)


def spectral_radius(
    cell: Callable[..., Any], z: Any, *inputs: Tensor, iterations: int = 50, generator: torch.Generator | None = None
) -> Tensor:
    """An estimate, from below in exact arithmetic for normal J, of the spectral radius of J = df/dz for each sample.

    Parameters
    ----------
    cell, z, inputs
        As in `jacobian_penalty`.
    iterations : int, default 50
        Of the power method on J'. With a dominant pair of complex eigenvalues the growth of one step oscillates: the mean
        growth of the last half of the steps is taken.
    generator : torch.Generator, optional

    Returns
    -------
    tensor (samples,)
        Below 1: Picard's iteration converges near the fixed point, at this rate.

    Raises
    ------
    DataError
        When iterations is below 2.

    References
    ----------
    von Mises and Pollaczek-Geiringer (1929). Bai, Koltun and Kolter (2021), Section 3.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> W = torch.diag(torch.tensor([0.9, 0.2, -0.1]))
    >>> [round(float(r), 3) for r in spectral_radius(lambda z: z @ W.T, torch.zeros(2, 3))]
    [0.9, 0.9]
    """
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 2:
        raise DataError(f"iterations={iterations!r} must be an integer >= 2")
    leaves, value = _recorded(cell, z, inputs)
    v = [torch.randn(part.shape, generator=generator, dtype=part.dtype, device=part.device) for part in leaves]
    logarithm = torch.zeros(leaves[0].shape[0], dtype=leaves[0].dtype, device=leaves[0].device)
    for step in range(iterations):
        size = torch.stack([part.flatten(1).square().sum(1) for part in v]).sum(0).sqrt()
        if step > iterations // 2:
            logarithm = logarithm + size.log()
        shrink = torch.where(size > 0, 1.0 / size, torch.zeros_like(size))
        v = [part * shrink.reshape(-1, *[1] * (part.ndim - 1)) for part in v]
        v = list(torch.autograd.grad(value, leaves, v, retain_graph=True, allow_unused=True, materialize_grads=True))
    return (logarithm / max(iterations - 1 - iterations // 2, 1)).exp()


def _recorded(cell: Callable[..., Any], z: Any, inputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    several = isinstance(z, (tuple, list))
    with torch.enable_grad():
        leaves = tuple(part.detach().requires_grad_() for part in leaves_of(z, "z"))
        value = cell(as_state(leaves, several), *inputs)
        parts = leaves_of(value, "what the cell gives")
        nothing = 0.0 * sum(part.sum() for part in leaves)  # a cell need not read its state
        return leaves, tuple(part if part.requires_grad else part + nothing for part in parts)
