"""What stands behind a theorem besides its instances, by id: identities, worst-case programs, exact certificates."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np

from proofs.symbolic import SYMBOLIC as SYMBOLIC
from proofs.verify import CERTIFICATES

SMALLEST = 1e-2  # claims below it are compared absolutely


def difference(theorem: str, generator: np.random.Generator) -> float:
    """|value of the semidefinite program - claim| / claim at a random statement of the theorem."""
    from proofs.pep.dual import worst_case
    from proofs.pep.numbers import Floats
    from proofs.pep.statements import CLAIMS

    claim = CLAIMS[theorem]
    statement = claim.draw(Floats(generator))
    claimed = float(claim.squared(statement))
    return abs(worst_case(statement.program).value - claimed) / max(claimed, SMALLEST)


def semidefinite() -> dict[str, Callable[[np.random.Generator], float]]:
    """The programs of every theorem that has one; none without the solver Clarabel."""
    if importlib.util.find_spec("clarabel") is None:
        return {}
    from proofs.pep.statements import CLAIMS

    return {theorem: partial(difference, theorem) for theorem in CLAIMS}


def certified() -> dict[str, int]:
    """Certificates in the committed files."""
    entries = [entry for file in sorted(CERTIFICATES.glob("*.json")) for entry in json.loads(file.read_text())]
    return dict(Counter(entry["theorem"] for entry in entries))


SEMIDEFINITE: dict[str, Callable[[np.random.Generator], float]] = semidefinite()
"""Relative difference of the worst-case semidefinite program and the claim of monops at a random parameter point."""

CERTIFIED: dict[str, int] = certified()
"""Number of committed exact certificates of a theorem."""
