"""``python -m proofs.pep.regenerate [ID ...]``: find the certificates again and write ``proofs/certificates``."""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from proofs.pep.exact import certify, certify_above
from proofs.pep.numbers import Fractions
from proofs.pep.statements import CLAIMS, Claim, Statement
from proofs.verify import CERTIFICATES, EPSILON, digest

DRAWS = 400  # of rational parameters, at most, until every regime has its number
CLAIM_DENOMINATOR = 10**12  # of an irrational claim


def text(value: Any) -> Any:
    """Fractions as strings."""
    return [str(Fraction(part)) for part in value] if isinstance(value, tuple) else str(Fraction(value))


def certificate(theorem: str, statement: Statement, claim: Any) -> dict[str, Any] | None:
    """The certificate of a statement as data; exact where the claim is a fraction, else with epsilon."""
    exact = isinstance(claim, int | Fraction)
    value = Fraction(claim) if exact else Fraction(claim).limit_denominator(CLAIM_DENOMINATOR)
    epsilon = Fraction(0) if exact else EPSILON
    multipliers = (certify if exact else certify_above)(statement.program, value + epsilon)
    if multipliers is None:
        return None
    found = {
        "theorem": theorem,
        "iteration": statement.iteration,
        "parameters": {name: text(number) for name, number in statement.parameters.items()},
        "classes": {
            operator: {name: text(number) for name, number in known.items()}
            for operator, known in sorted(statement.classes.items())
        },
        "claim": str(value),
        "epsilon": str(epsilon),
        "tau": str(value + epsilon),
        "multipliers": {name: str(number) for name, number in multipliers.items()},
    }
    return {**found, "digest": digest(found)}


def certificates(claim: Claim, report: Any = print) -> Iterator[dict[str, Any]]:
    """Certificates at distinct rational statements, the wanted number in each regime."""
    numbers = Fractions(random.Random(claim.theorem))
    counts: Counter[int] = Counter()
    seen = set()
    for _ in range(DRAWS):
        statement = claim.draw(numbers)
        regime = claim.regime(statement)
        if str(statement) in seen or counts[regime] >= claim.certificates:
            continue
        seen.add(str(statement))
        found = certificate(claim.theorem, statement, claim.squared(statement))
        if found is None:
            report(f"{claim.theorem}: none found for {statement}")
            continue
        counts[regime] += 1
        yield found
    report(f"{claim.theorem}: {dict(sorted(counts.items()))} certificates by regime")


def write(theorem: str) -> None:
    """The file of one theorem, a certificate a line."""
    lines = [json.dumps(entry) for entry in certificates(CLAIMS[theorem])]
    CERTIFICATES.mkdir(exist_ok=True)
    (CERTIFICATES / f"{theorem}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or CLAIMS:
        write(name)
