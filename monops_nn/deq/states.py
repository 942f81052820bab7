"""States of a cell as users see them (a tensor or a tuple of tensors) and as monops does (an array or Blocks)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from monops.arrays import Blocks
from monops.errors import BackendError, DataError, ShapeError

State = Any  # a tensor, or a tuple of tensors; the first axis of each is that of the samples


def leaves_of(state: Any, name: str) -> tuple[Tensor, ...]:
    """The tensors of a state; BackendError for anything else, ShapeError where they disagree about the number of samples."""
    parts = state if isinstance(state, (tuple, list)) else (state,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise BackendError(f"{name} must be a tensor or a tuple of tensors, got {type(part).__name__}")
        if part.ndim == 0:
            raise ShapeError(f"{name} must have an axis of samples first, got a tensor without axes")
    if not parts:
        raise DataError(f"{name} holds no tensor")
    if len({part.shape[0] for part in parts}) > 1:
        raise ShapeError(f"the tensors of {name} have {[part.shape[0] for part in parts]} samples: the first axis must agree")
    return tuple(parts)


def as_point(leaves: tuple[Tensor, ...]) -> Any:
    """One tensor as it is, several as Blocks."""
    return leaves[0] if len(leaves) == 1 else Blocks(leaves)


def as_state(leaves: tuple[Tensor, ...], several: bool) -> State:
    """What a cell is given and a user gets."""
    return tuple(leaves) if several else leaves[0]
