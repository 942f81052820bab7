"""Exact verification of the certificates in ``proofs/certificates``: ``python3 proofs/verify.py [FILE ...]``.

WHAT YOU TRUST. This file: the iterations and the class inequalities as written below, and Python's integers and fractions; no
solver, no floating point, no package, no other file. A certificate states an iteration, its step, the classes of the operators
and a squared factor tau, and gives multipliers >= 0. Verified exactly: tau |start|^2 - |end|^2 - sum of multipliers * class
inequalities is a positive semidefinite form. So |end|^2 <= tau |start|^2, in every real Hilbert space, for all operators of the
classes. NOT COVERED: that tau cannot be smaller (larger than needed is valid too: hence ``claim`` holds the value of the
theorem's formula, and tau = claim + epsilon is checked, 0 <= epsilon <= 1e-6); that formula and label are the theorem's, with
epsilon 0 where rational (tests compare with monops); that classes are not empty and iterates exist.
"""

import hashlib
import json
import sys
from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

CERTIFICATES = Path(__file__).resolve().parent / "certificates"
EPSILON = Fraction(1, 10**6)
ENTRIES = {"theorem", "iteration", "parameters", "classes", "claim", "epsilon", "tau", "multipliers", "digest"}
Form = dict[Any, Fraction]  # a vector: coefficients of named independent vectors; a quadratic form: of pairs of names


def combine(*terms: tuple[Any, Form]) -> Form:
    """The sum of coefficient * vector, or of coefficient * quadratic form."""
    total: Form = {}
    for factor, key, value in ((factor, *item) for factor, term in terms for item in term.items()):
        total[key] = total.get(key, Fraction(0)) + factor * value
    return total


def inner(x: Form, y: Form) -> Form:
    """The quadratic form <x, y>."""
    return combine(*((a, {(min(i, j), max(i, j)): b}) for i, a in x.items() for j, b in y.items()))


def inequality(name: str, value: Any, x: Form, u: Form) -> Form:
    """The form that the class says is >= 0, for the difference x of two points and the difference u of the values there."""
    xx, xu, uu = inner(x, x), inner(x, u), inner(u, u)
    c, L = value if isinstance(value, list) else (value, value)
    return {
        "strongly_monotone": combine((1, xu), (-c, xx)),  # 0: monotone
        "cocoercive": combine((1, xu), (-c, uu)),
        "lipschitz": combine((L * L, xx), (-1, uu)),  # 1: nonexpansive
        "gradient": combine((c + L, xu), (-1, uu), (-c * L, xx)),  # c-strongly convex, L-smooth: interpolation both ways, added
    }[name]


def iterate(name: str, p: dict[str, Any]) -> tuple[Form, Form, dict[str, dict[str, Any]]]:
    """Start, end, (point, value) by operator and label: differences of two runs; where said, and for T, 0 is a solution."""
    a, t, steps = Fraction(p.get("step", 1)), Fraction(p.get("relaxation", 1)), int(p.get("steps", 0))
    x, y, z, u, v, c, q = ({letter: Fraction(1)} for letter in "xyzuvcq")
    if name in ("resolvent", "cayley"):  # q = J x with x = q + a u, u in Aq; x + t (q - x), or 2 q - x
        x, t = combine((1, q), (a, u)), t if name == "resolvent" else Fraction(2)
        return x, combine((1 - t, x), (t, q)), {"A": {"p": (q, u)}}
    if name == "forward":  # x - a Bx
        return x, combine((1, x), (-a, u)), {"B": {"x": (x, u)}}
    if name == "forward_backward":  # q = J_A(x - a Bx); x + t (q - x)
        w = combine((1 / a, x), (-1, u), (-1 / a, q))
        return x, combine((1 - t, x), (t, q)), {"A": {"p": (q, w)}, "B": {"x": (x, u)}}
    if name in ("douglas_rachford", "davis_yin"):  # x = J_B z, y = J_A(2x - z - a Cx), C = 0 in the former; z + t (y - x)
        forward = {"C": {"x": (x, c)}} if name == "davis_yin" else {}
        w = combine((2 / a, x), (-1 / a, z), (-1 if forward else 0, c), (-1 / a, y))
        graph = {"A": {"y": (y, w)}, "B": {"x": (x, combine((1 / a, z), (-1 / a, x)))}, **forward}
        return z, combine((1, z), (t, y), (-t, x)), graph
    if name == "forward_backward_forward":  # y = J_A(x - a Bx); y - a (By - Bx); 0 is a solution
        w = combine((1 / a, x), (-1, u), (-1 / a, y))
        return x, combine((1, y), (a, u), (-a, v)), {"A": {"y": (y, w)}, "B": {"x": (x, u), "y": (y, v)}}
    points, images = [x], [{f"image {k}": Fraction(1)} for k in range(steps + 1)]
    if name == "proximal_point":  # x_k = J_A x_{k-1}; x_n - x_{n-1}
        points += images[1:]
        met = [(after, combine((1 / a, before), (-1 / a, after))) for before, after in pairwise(points)]
        return x, combine((1, points[-1]), (-1, points[-2])), {"A": {str(k): pair for k, pair in enumerate(met)}}
    if name not in ("halpern", "krasnoselskii_mann"):  # x_{k+1} = (1 - s) (x_0 or x_k) + s T x_k; x_n - T x_n
        raise ValueError(f"unknown iteration {name!r}")
    for k in range(steps):
        anchor, s = (x, Fraction(k + 1, k + 2)) if name == "halpern" else (points[-1], t)
        points.append(combine((1 - s, anchor), (s, images[k])))
    met = list(zip(points, images, strict=True))
    return x, combine((1, points[-1]), (-1, images[-1])), {"T": {str(k): pair for k, pair in enumerate(met)}}


def semidefinite(form: Form) -> bool:
    """Whether a quadratic form is positive semidefinite: elimination (LDL^T) in fractions."""
    names = sorted({name for key in form for name in key})
    S = [[form.get((min(i, j), max(i, j)), Fraction(0)) / (1 if i == j else 2) for j in names] for i in names]
    while S:
        (pivot, *row), *rest = S
        if pivot < 0 or (pivot == 0 and any(row)):
            return False
        factors = [value / pivot if pivot else Fraction(0) for value in row]
        S = [[b - f * r for b, r in zip(line[1:], row, strict=True)] for f, line in zip(factors, rest, strict=True)]
    return True


def rational(value: Any) -> Any:
    """Fractions from the strings of a certificate."""
    return [Fraction(part) for part in value] if isinstance(value, list) else Fraction(value)


def digest(certificate: dict[str, Any]) -> str:
    """A checksum of all but the checksum, against accidents."""
    entries = sorted((name, json.dumps(value, sort_keys=True)) for name, value in certificate.items() if name != "digest")
    return hashlib.sha256(str(entries).encode()).hexdigest()[:16]


def verify(certificate: dict[str, Any]) -> str:
    """A line on what is proven; ValueError if it is not |end|^2 <= tau |start|^2 with tau = claim + epsilon."""
    if certificate["digest"] != digest(certificate):
        raise ValueError("the digest differs: the certificate was changed")
    p, (tau, claim, epsilon) = certificate["parameters"], (rational(certificate[name]) for name in ("tau", "claim", "epsilon"))
    if set(certificate) != ENTRIES or set(p) - {"step", "relaxation", "steps"} or any(Fraction(a) <= 0 for a in p.values()):
        raise ValueError("entries are missing or unknown, or a parameter is not positive")
    if tau != claim + epsilon or not 0 <= epsilon <= EPSILON:
        raise ValueError("tau is not claim + epsilon with 0 <= epsilon <= 1e-6")
    iteration, classes, known = certificate["iteration"], certificate["classes"], {}
    start, end, graph = iterate(iteration, p)
    for operator in classes:
        pairs = dict(graph[operator])
        for (one, (x, u)), (two, (y, v)) in combinations(graph[operator].items(), 2):
            pairs[f"{one},{two}"] = combine((1, x), (-1, y)), combine((1, u), (-1, v))
        for (where, (x, u)), (name, value) in product(pairs.items(), classes[operator].items()):
            known[f"{operator}.{name}({where})"] = inequality(name, rational(value), x, u)
    used = [(-rational(value), known[name]) for name, value in certificate["multipliers"].items()]
    if any(f > 0 for f, _ in used) or not semidefinite(combine((tau, inner(start, start)), (-1, inner(end, end)), *used)):
        raise ValueError("a multiplier is negative, or the slack is not positive semidefinite")
    kinds = "; ".join(f"{operator} {' '.join(names)}" for operator, names in classes.items())
    return f"{certificate['theorem']}  {iteration}, {kinds}, {f'up to {float(epsilon):g}' if epsilon else 'exact'}"


def main(files: list[Path]) -> int:
    """Verify the certificates of the files, each file to its first failure; 0 only if there are some and all hold."""
    held, seen, failures = Counter[str](), set[str](), list[str]()
    for file in files or sorted(CERTIFICATES.glob("*.json")):
        try:
            for entry in json.loads(file.read_text()) or [{}]:
                held[f"{verify(entry)}{', AGAIN' * (entry['digest'] in seen)}"] += 1
                seen.add(entry["digest"])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, ZeroDivisionError, OSError) as error:
            failures.append(f"{file} FAILS: {error!r}")
    print(*failures, *(f"{count:4} {line}" for line, count in held.items()), sep="\n")
    print(f"{len(seen)} certificates hold, {len(failures)} fail")
    return 0 if held and not failures else 1


if __name__ == "__main__":
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
