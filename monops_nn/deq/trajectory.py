"""Losses on the way to the fixed point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from monops.errors import DataError
from monops_nn.deq.states import State


def fixed_point_correction(states: Sequence[State], loss: Callable[[State], Tensor], decay: float = 0.8) -> Tensor:
    """sum_i decay^(n - i) loss(z_i) over the states z_1, ..., z_n that the solver passed through.

    Parameters
    ----------
    states : sequence of states
        What `DEQ.trajectory` gives, the earliest first; may be empty.
    loss : callable
        From a state to a number.
    decay : float, default 0.8
        In (0, 1]: how much less a state counts than the one after it.

    Raises
    ------
    DataError
        When decay is outside of (0, 1].

    Notes
    -----
    Added to the loss of the fixed point it keeps the path of the solver close to good answers, so that fewer iterations do.

    References
    ----------
    Bai, Geng, Savani and Kolter (2022), Deep equilibrium optical flow estimation, Section 3.3.

    Examples
    --------
    >>> round(float(fixed_point_correction([torch.ones(1), torch.ones(1)], lambda z: z.sum(), decay=0.5)), 2)
    0.75
    """
    if not 0 < decay <= 1:
        raise DataError(f"decay={decay!r} must be in (0, 1]")
    total = torch.zeros(())
    for back, state in enumerate(reversed(states), start=1):
        total = total + decay**back * loss(state)
    return total
