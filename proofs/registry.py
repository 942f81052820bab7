"""All theorems, in the order of their ids."""

from __future__ import annotations

from proofs import algorithms, networks, operators
from proofs.theorem import Theorem

FAMILIES = ("OP", "AL", "NN")
THEOREMS: tuple[Theorem, ...] = tuple(
    sorted(
        (*operators.THEOREMS, *algorithms.THEOREMS, *networks.THEOREMS),
        key=lambda theorem: (FAMILIES.index(theorem.id[:2]), theorem.id),
    )
)
