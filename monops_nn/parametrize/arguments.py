"""What the parametrisations check and build alike."""

from __future__ import annotations

import torch
from torch import Tensor

from monops.errors import DataError


def positive_integer(name: str, value: int, meaning: str) -> int:
    """The value, refused unless it is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DataError(f"{name}={value!r} must be a positive integer: {meaning}")
    return value


def lower_triangle(entries: Tensor, features: int, offset: int = 0) -> Tensor:
    """The lower triangular matrix with these entries, row by row; ``offset=-1`` leaves the diagonal 0."""
    rows, columns = torch.tril_indices(features, features, offset, device=entries.device)
    return torch.zeros(features, features, device=entries.device, dtype=entries.dtype).index_put((rows, columns), entries)


def triangle_entries(matrix: Tensor, offset: int = 0) -> Tensor:
    """The entries that ``lower_triangle`` takes."""
    rows, columns = torch.tril_indices(matrix.shape[0], matrix.shape[1], offset, device=matrix.device)
    return matrix[rows, columns]
