"""All theorems."""

from __future__ import annotations

from proofs.networks import NN01, NN04
from proofs.operators import OP02, OP09, OP13
from proofs.theorem import Theorem

THEOREMS: tuple[Theorem, ...] = (OP02, OP09, OP13, NN01, NN04)
