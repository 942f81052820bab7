"""Proofs for all parameters at once, checked by computer algebra: multipliers, their signs, and the slack that remains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from proofs.symbolic import algorithms, networks, operators, primal_dual, two_operators
from proofs.symbolic.proof import Proof

PROOFS: dict[str, tuple[Proof, ...]] = {**operators.PROOFS, **algorithms.PROOFS, **two_operators.PROOFS}
"""Worst-case bounds with symbolic multipliers, by theorem; several where the cases of a range need their own."""

IDENTITIES: dict[str, Callable[[], bool]] = {
    **operators.IDENTITIES,
    **algorithms.IDENTITIES,
    **networks.IDENTITIES,
    **primal_dual.IDENTITIES,
}
"""Other identities, by theorem."""


def proved(theorem: str) -> bool:
    """Whether every case and identity of the theorem is proven."""
    identity = IDENTITIES.get(theorem)
    return all(proof.holds() for proof in PROOFS.get(theorem, ())) and (identity is None or identity())


SYMBOLIC: dict[str, Callable[[], bool]] = {theorem: partial(proved, theorem) for theorem in {**PROOFS, **IDENTITIES}}
