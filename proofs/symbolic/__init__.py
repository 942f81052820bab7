"""Identities that prove theorems for all parameters at once, checked by computer algebra."""

from __future__ import annotations

from collections.abc import Callable

from proofs.symbolic import operators

SYMBOLIC: dict[str, Callable[[], bool]] = {
    "OP-02": operators.op02,
    "OP-09": operators.op09,
    "OP-13": operators.op13,
}
