"""Pairs of classes in a fixed order, and symmetric matrices from numbers a pair."""

from __future__ import annotations

import torch
from torch import Tensor


def pairs(classes: int) -> tuple[Tensor, Tensor]:
    """First and second class of every pair, first < second."""
    first, second = torch.triu_indices(classes, classes, 1)
    return first, second


def matrix_of_pairs(values: Tensor, classes: int) -> Tensor:
    """The symmetric matrix (classes, classes) with these numbers a pair (pairs,) and 0 on the diagonal."""
    first, second = pairs(classes)
    upper = values.new_zeros(classes, classes).index_put((first, second), values)
    return upper + upper.mT
