"""What is known of a monotone operator, where each number came from, and how the numbers move through the calculus.

Notation of every docstring here: u in Ax and v in Ay,

- strong monotonicity mu:  <u - v, x - y> >= mu |x - y|^2   (mu = 0: monotone; negative: weakly monotone)
- cocoercivity beta:       <u - v, x - y> >= beta |u - v|^2
- Lipschitz constant L:    |u - v| <= L |x - y|

Every number is a *bound that holds* (mu and beta from below, L from above); ``None`` means unknown, never 0 and never
infinity. The rules are plain arithmetic, so floats serve the solvers and ``fractions.Fraction`` serves the proofs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from monops.errors import ConstantError

Number = Any  # float, Fraction: anything with the arithmetic of an ordered field
Bound = Any  # a Number, or None when unknown

NAMES = ("strong_monotonicity", "cocoercivity", "lipschitz")


class Known(NamedTuple):
    """A number and where it came from, for example ``Known(2.0, "computed: largest singular value")``."""

    value: Number
    why: str

    @property
    def estimated(self) -> bool:
        """Whether the number is an estimate, not a proven bound."""
        return self.why.startswith("estimated")


@dataclass(frozen=True)
class Constants:
    """Constants of an operator, with provenance; ``None`` is unknown.

    Parameters
    ----------
    strong_monotonicity : number or None
        mu; a lower bound. ``None``: not known to be monotone.
    cocoercivity : number or None
        beta; a lower bound, ``math.inf`` for a constant map.
    lipschitz : number or None
        L; an upper bound.
    cyclic : bool
        The operator is the subdifferential of a closed convex function.
    affine, skew : bool
        The operator is x -> Mx + q; M is skew.
    why : str or mapping of name to str
        Provenance: begins with ``given``, ``computed``, ``rule`` or ``estimated``. A plain string holds for all numbers.

    Raises
    ------
    ConstantError
        When numbers contradict each other, for example mu > L.

    Notes
    -----
    What follows from what is given is filled in: beta gives L = 1/beta and monotonicity; L gives beta = 1/L for a
    subdifferential (Baillon and Haddad 1977, Cor. 10) and beta = mu/L^2 for a strongly monotone operator.

    Examples
    --------
    >>> Constants(strong_monotonicity=1.0, lipschitz=4.0, cyclic=True).cocoercivity
    0.25
    >>> Constants(strong_monotonicity=1.0, lipschitz=4.0).cocoercivity
    0.0625
    """

    strong_monotonicity: Bound = None
    cocoercivity: Bound = None
    lipschitz: Bound = None
    cyclic: bool = False
    affine: bool = False
    skew: bool = False
    why: str | Mapping[str, str] = field(default="given")

    def __post_init__(self) -> None:
        reasons = dict.fromkeys(NAMES, self.why) if isinstance(self.why, str) else dict(self.why)
        values = {name: getattr(self, name) for name in NAMES}
        for name, value in values.items():
            if isinstance(value, str | bool | complex | list | tuple):
                raise ConstantError(f"{name}={value!r} is no number: give a real number, or None when it is unknown")
            if value is not None and (value != value or (name != "strong_monotonicity" and value < 0)):
                raise ConstantError(f"{name}={value} is impossible: give a nonnegative number, or None when it is unknown")

        def derive(name: str, value: Number, rule: str, *sources: str) -> None:
            estimated = any(reasons.get(source, "").startswith("estimated") for source in sources)
            if values[name] is None or (values[name] == 0 and name == "cocoercivity" and not estimated):
                values[name] = value
                reasons[name] = f"estimated: {rule}" if estimated else f"rule: {rule}"

        if self.skew:
            derive("strong_monotonicity", 0.0, "a skew map is monotone")
        if self.cyclic:
            derive("strong_monotonicity", 0.0, "a subdifferential is monotone")
        if values["cocoercivity"] is not None:
            beta = values["cocoercivity"]
            derive("strong_monotonicity", 0.0, "cocoercive, hence monotone", "cocoercivity")
            if beta > 0:
                derive("lipschitz", 0.0 if beta == math.inf else 1 / beta, "1/beta", "cocoercivity")
        mu, lipschitz = values["strong_monotonicity"], values["lipschitz"]
        if lipschitz is not None and mu is not None:
            if lipschitz == 0:
                derive("cocoercivity", math.inf, "constant map", "lipschitz")
            elif self.cyclic:
                derive("cocoercivity", 1 / lipschitz, "1/L for a subdifferential (Baillon-Haddad 1977)", "lipschitz")
            elif mu > 0:
                derive("cocoercivity", mu / lipschitz**2, "mu/L^2", "lipschitz", "strong_monotonicity")
            if mu > lipschitz * (1 + 1e-9):
                raise ConstantError(
                    f"strong_monotonicity={mu} exceeds lipschitz={lipschitz}: no operator has both; one of them is wrong"
                )
        for name, value in values.items():
            object.__setattr__(self, name, value)
        kept = {name: reasons.get(name, "given") for name in NAMES if values[name] is not None}
        object.__setattr__(self, "why", MappingProxyType(kept))

    def __reduce__(self) -> tuple[Any, ...]:
        names = (*NAMES, "cyclic", "affine", "skew")
        return type(self), (*(getattr(self, name) for name in names), dict(self.reasons))

    @property
    def reasons(self) -> Mapping[str, str]:
        """Provenance of each known number, by name."""
        assert not isinstance(self.why, str)
        return self.why

    @property
    def monotone(self) -> bool:
        """Whether the operator is known to be monotone."""
        return self.strong_monotonicity is not None and self.strong_monotonicity >= 0

    @property
    def estimated(self) -> tuple[str, ...]:
        """Names of the numbers that are estimates, not proven bounds."""
        return tuple(name for name, why in self.reasons.items() if why.startswith("estimated"))

    def violated_by(self, distance2: float, inner: float, image2: float, rounding: float = 1e-6) -> str | None:
        """The claim that one pair of points shows to be false, as a sentence, or None.

        ``distance2`` = |x - y|^2, ``inner`` = <u - v, x - y>, ``image2`` = |u - v|^2. ``rounding`` is the relative
        tolerance on each inequality.
        """
        scale = math.sqrt(distance2 * image2)
        mu, beta, lipschitz = self.strong_monotonicity, self.cocoercivity, self.lipschitz
        if mu is not None and inner < mu * distance2 - rounding * max(scale, abs(mu) * distance2):
            seen = f"<Ax - Ay, x - y> = {inner / distance2:.6g} |x - y|^2"
            return f"strong_monotonicity={float(mu):.6g} is false: two points have {seen}"
        if lipschitz is not None and scale > lipschitz * distance2 * (1 + rounding):
            return f"lipschitz={float(lipschitz):.6g} is false: two points have |Ax - Ay| = {scale / distance2:.6g} |x - y|"
        if beta is not None and math.isfinite(beta) and inner < beta * image2 - rounding * max(scale, beta * image2):
            return (
                f"cocoercivity={float(beta):.6g} is false: two points have <Ax - Ay, x - y> = {inner / image2:.6g} |Ax - Ay|^2"
            )
        return None


ZERO = Constants(0.0, math.inf, 0.0, cyclic=True, affine=True, why="computed: the zero operator")


def _combined(parts: Iterable[Constants], name: str, rule: str) -> str:
    estimated = any(part.reasons.get(name, "").startswith("estimated") for part in parts)
    return f"estimated: {rule}" if estimated else f"rule: {rule}"


def _reciprocal(value: Number) -> Number:
    return math.inf if value == 0 else 0.0 if value == math.inf else 1 / value


def add(a: Constants, b: Constants) -> Constants:
    """Constants of A + B: mu and L add, 1/beta adds (Bauschke and Combettes 2017, Prop. 4.12)."""
    known: dict[str, Any] = {}
    if a.strong_monotonicity is not None and b.strong_monotonicity is not None:
        known["strong_monotonicity"] = a.strong_monotonicity + b.strong_monotonicity
    if a.lipschitz is not None and b.lipschitz is not None:
        known["lipschitz"] = a.lipschitz + b.lipschitz
    if a.cocoercivity is not None and b.cocoercivity is not None:
        known["cocoercivity"] = _reciprocal(_reciprocal(a.cocoercivity) + _reciprocal(b.cocoercivity))
    return Constants(
        **known,
        cyclic=a.cyclic and b.cyclic,
        affine=a.affine and b.affine,
        skew=a.skew and b.skew,
        why={name: _combined((a, b), name, "sum") for name in known},
    )


def scale(a: Constants, factor: Number) -> Constants:
    """Constants of tA: (t mu, beta / t, t L) for t > 0; the zero operator for t = 0; only L (and skewness) for t < 0."""
    if factor == 0:
        return ZERO
    if factor < 0:
        lipschitz = None if a.lipschitz is None else -factor * a.lipschitz
        return Constants(
            lipschitz=lipschitz, affine=a.affine, skew=a.skew, why=_combined((a,), "lipschitz", f"scaled by {float(factor):g}")
        )
    known: dict[str, Any] = {}
    if a.strong_monotonicity is not None:
        known["strong_monotonicity"] = factor * a.strong_monotonicity
    if a.cocoercivity is not None:
        known["cocoercivity"] = a.cocoercivity / factor
    if a.lipschitz is not None:
        known["lipschitz"] = factor * a.lipschitz
    why = {name: _combined((a,), name, f"scaled by {float(factor):g}; {a.reasons[name]}") for name in known}
    return Constants(**known, cyclic=a.cyclic, affine=a.affine, skew=a.skew, why=why)


def shift(a: Constants) -> Constants:
    """Constants of x -> A(x - a) + v: the same (a shifted skew map stays skew in its linear part)."""
    return a


def inverse(a: Constants) -> Constants:
    """Constants of the inverse: mu and beta change places (Bauschke and Combettes 2017, Ex. 22.7)."""
    known: dict[str, Any] = {}
    why: dict[str, str] = {}
    mu, beta, lipschitz = a.strong_monotonicity, a.cocoercivity, a.lipschitz
    if mu is not None and mu >= 0:
        strong = beta if beta is not None and math.isfinite(beta) else 0.0
        if beta is None and mu > 0 and lipschitz is not None:
            strong = mu / lipschitz**2
        known["strong_monotonicity"] = strong
        why["strong_monotonicity"] = _combined((a,), "cocoercivity", "cocoercivity of the inverse")
        if mu > 0:
            known["cocoercivity"] = mu
            why["cocoercivity"] = _combined((a,), "strong_monotonicity", "strong monotonicity of the inverse")
    return Constants(**known, cyclic=a.cyclic, affine=a.affine, skew=a.skew, why=why)


def congruence(a: Constants, norm: Known, smallest: Known) -> Constants:
    """Constants of K*AK from bounds sigma_min <= |Kx|/|x| <= |K|: (sigma_min^2 mu, beta/|K|^2, |K|^2 L).

    Bauschke and Combettes 2017, Prop. 4.12 (cocoercivity) and Prop. 20.10 (monotonicity).
    """
    known: dict[str, Any] = {}
    squared = norm.value**2
    mu = a.strong_monotonicity
    if mu is not None:
        known["strong_monotonicity"] = mu * (smallest.value**2 if mu >= 0 else squared)
    if a.cocoercivity is not None:
        known["cocoercivity"] = math.inf if squared == 0 else a.cocoercivity / squared
    if a.lipschitz is not None:
        known["lipschitz"] = squared * a.lipschitz
    why = {}
    for name in known:
        bound = smallest if name == "strong_monotonicity" and mu is not None and mu >= 0 else norm
        rule = f"K*AK with |K| {bound.why}" if bound is norm else f"K*AK with smallest singular value {bound.why}"
        tainted = (bound.estimated and known[name] != 0) or a.reasons.get(name, "").startswith("estimated")
        why[name] = f"estimated: {rule}" if tainted else f"rule: {rule}"
    return Constants(**known, cyclic=a.cyclic, affine=a.affine, skew=a.skew, why=why)


def product(parts: Iterable[Constants]) -> Constants:
    """Constants of (x1, x2, ...) -> (A1 x1, A2 x2, ...): the least mu, the least beta, the largest L."""
    all_parts = tuple(parts)
    known: dict[str, Any] = {}
    for name, pick in (("strong_monotonicity", min), ("cocoercivity", min), ("lipschitz", max)):
        values = [getattr(part, name) for part in all_parts]
        if all_parts and all(value is not None for value in values):
            known[name] = pick(values)
    return Constants(
        **known,
        cyclic=all(part.cyclic for part in all_parts),
        affine=all(part.affine for part in all_parts),
        skew=all(part.skew for part in all_parts),
        why={name: _combined(all_parts, name, "product") for name in known},
    )


def resolvent(a: Constants, step: Number) -> Constants:
    """Constants of the map (I + step A)^-1: (1 + step mu)-cocoercive (Bauschke and Combettes 2017, Prop. 23.13)."""
    if a.strong_monotonicity is None:
        return Constants()
    growth = 1 + step * a.strong_monotonicity
    if growth <= 0:
        return Constants()
    lower = 0.0 if a.lipschitz is None else growth / (1 + step * a.lipschitz) ** 2
    if a.lipschitz is not None and a.cyclic:
        lower = 1 / (1 + step * a.lipschitz)
    why = _combined((a,), "strong_monotonicity", f"resolvent with step {float(step):g}")
    return Constants(lower, growth, 1 / growth, cyclic=a.cyclic, affine=a.affine, why=why)


def yosida(a: Constants, step: Number) -> Constants:
    """Constants of the Yosida approximation (I - J)/step: step-cocoercive, mu/(1 + step mu)-strongly monotone.

    Bauschke and Combettes 2017, Cor. 23.11 and Prop. 23.7: it is the inverse of A^-1 + step I, so the cocoercivity is
    mu(A^-1) + step, that is beta + step.
    """
    if not a.monotone:
        return Constants()
    mu, beta = a.strong_monotonicity, a.cocoercivity
    strong = mu / (1 + step * mu)
    cocoercive = step + (beta if beta is not None and math.isfinite(beta) else 0)
    if beta == math.inf:
        cocoercive = math.inf
    why = {
        "strong_monotonicity": _combined((a,), "strong_monotonicity", f"Yosida approximation with step {float(step):g}"),
        "cocoercivity": _combined((a,), "cocoercivity", f"Yosida approximation with step {float(step):g}"),
    }
    return Constants(strong, cocoercive, cyclic=a.cyclic, affine=a.affine, why=why)


def with_known(a: Constants, name: str, known: Known) -> Constants:
    """The same constants with one number replaced."""
    return replace(a, **{name: known.value}, why={**a.reasons, name: known.why})
