"""Which theorem claims what factor of which iteration: claims read from monops, on random and on rational parameters.

Parameters are drawn through ``Numbers``: floats over several decades for the semidefinite programs, small fractions for the
certificates, by the same code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from monops.algorithms.cocoercive import davis_yin, forward_backward
from monops.algorithms.lipschitz import forward_backward_forward
from monops.algorithms.resolvents import douglas_rachford, peaceman_rachford, proximal_point
from monops.algorithms.shared.forward_terms import forward_contraction
from monops.algorithms.shared.reflected import cayley_contraction
from monops.algorithms.shared.two_operator_rates import cocoercive_rate, lipschitz_rate
from monops.constants import Constants
from monops.constants import resolvent as resolvent_constants
from monops.theory import Guarantee, Missing
from proofs.pep.gram import Number, Program
from proofs.pep.iterations import ITERATIONS
from proofs.pep.numbers import Numbers

MONOTONE = {"strongly_monotone": 0}


class Statement(NamedTuple):
    """An iteration, its numbers, and the class of each operator: what a certificate is about."""

    iteration: str
    parameters: Mapping[str, Number]
    classes: Mapping[str, Mapping[str, Any]]

    @property
    def program(self) -> Program:
        """Its worst case as a semidefinite program."""
        return ITERATIONS[self.iteration](self.parameters, self.classes)


@dataclass(frozen=True)
class Claim:
    """The squared factor that a theorem claims of a statement; ``regime`` numbers the cases that certificates must cover."""

    theorem: str
    squared: Callable[[Statement], Number]
    draw: Callable[[Numbers], Statement]
    regime: Callable[[Statement], int] = lambda statement: 0
    certificates: int = 15  # in each regime


def constants(known: Mapping[str, Any]) -> Constants:
    """A class as monops declares it."""
    if "gradient" in known:
        mu, lipschitz = known["gradient"]
        return Constants(strong_monotonicity=mu, lipschitz=lipschitz, cyclic=True)
    return Constants(known.get("strongly_monotone", 0), known.get("cocoercive"), known.get("lipschitz"))


def proven(found: Guarantee | Missing) -> Guarantee:
    """The guarantee; the statements drawn here have one."""
    assert isinstance(found, Guarantee)
    return found


def contraction(found: Guarantee | Missing, step: Number) -> Number:
    """Its squared factor at the step."""
    squared = proven(found).squared_contraction
    assert squared is not None
    return squared(step)


def root(value: Number) -> Number:
    """Square root, a fraction where it is one."""
    if isinstance(value, Fraction):
        exact = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
        if exact**2 == value:
            return exact
    return math.sqrt(value)


# ---- classes -------------------------------------------------------------------------------------------


def strong_lipschitz(numbers: Numbers) -> dict[str, Any]:
    """mu <= L."""
    lipschitz = numbers.between(0.1, 10)
    return {"strongly_monotone": lipschitz * numbers.below_one(), "lipschitz": lipschitz}


def strong_cocoercive(numbers: Numbers) -> dict[str, Any]:
    """mu beta <= 1."""
    beta = numbers.between(0.1, 10)
    return {"strongly_monotone": numbers.below_one() / beta, "cocoercive": beta}


def gradient(numbers: Numbers) -> dict[str, Any]:
    """mu <= L."""
    lipschitz = numbers.between(0.1, 10)
    return {"gradient": (lipschitz * numbers.below_one() * 4 / 5, lipschitz)}


KINDS = (strong_lipschitz, strong_cocoercive, gradient)


def scale(known: Mapping[str, Any]) -> Number:
    """The step at which a class changes its behaviour, roughly: beta, or 1/L."""
    return (
        known["cocoercive"]
        if "cocoercive" in known
        else 1 / (known["lipschitz"] if "lipschitz" in known else known["gradient"][1])
    )


# ---- theorems on one operator ----------------------------------------------------------------------------


def one_operator(iteration: str, operator: str, kind: Callable[[Numbers], dict[str, Any]]) -> Callable[[Numbers], Statement]:
    """Draw of a statement on one operator."""

    def draw(numbers: Numbers) -> Statement:
        known = kind(numbers)
        return Statement(iteration, {"step": scale(known) * numbers.between(0.1, 4)}, {operator: known})

    return draw


def resolvent_draw(numbers: Numbers) -> Statement:
    """OP-02."""
    return Statement("resolvent", {"step": numbers.between(0.1, 10)}, {"A": {"strongly_monotone": numbers.between(0.1, 10)}})


def resolvent_claim(statement: Statement) -> Number:
    """The Lipschitz constant that monops declares of a resolvent, squared."""
    return resolvent_constants(constants(statement.classes["A"]), statement.parameters["step"]).lipschitz ** 2


def cocoercive_draw(numbers: Numbers) -> Statement:
    """OP-08: nothing but cocoercivity, steps up to 2 beta and beyond."""
    beta = numbers.between(0.1, 10)
    return Statement("forward", {"step": beta * numbers.between(0.1, 4)}, {"B": {"cocoercive": beta}})


def forward_claim(statement: Statement) -> Number:
    """``forward_contraction``."""
    return forward_contraction(constants(statement.classes["B"]), statement.parameters["step"])


def beyond(statement: Statement) -> int:
    """0 up to the step 2 beta or 2/(mu + L), 1 beyond."""
    known, step = statement.classes.get("B") or statement.classes["A"], statement.parameters["step"]
    return int(step > (2 * known["cocoercive"] if "cocoercive" in known else 2 / sum(known["gradient"])))


def beyond_mean(statement: Statement) -> int:
    """0 up to the step 1/sqrt(mu L), 1 beyond."""
    mu, lipschitz = statement.classes["A"]["gradient"]
    return int(statement.parameters["step"] ** 2 * mu * lipschitz > 1)


def cayley_claim(statement: Statement) -> Number:
    """``cayley_contraction``."""
    return cayley_contraction(constants(statement.classes["A"]), statement.parameters["step"])


ONE_OPERATOR = (
    Claim("OP-02", resolvent_claim, resolvent_draw),
    Claim("OP-08", forward_claim, cocoercive_draw, beyond, 6),
    Claim("OP-09", forward_claim, one_operator("forward", "B", strong_lipschitz)),
    Claim("OP-10", forward_claim, one_operator("forward", "B", strong_cocoercive), beyond, 10),
    Claim("OP-11", forward_claim, one_operator("forward", "B", gradient), beyond, 10),
    Claim("OP-13", cayley_claim, one_operator("cayley", "A", strong_lipschitz)),
    Claim("OP-14", cayley_claim, one_operator("cayley", "A", strong_cocoercive)),
    Claim("OP-15", cayley_claim, one_operator("cayley", "A", gradient), beyond_mean, 10),
)

# ---- theorems on splitting methods -------------------------------------------------------------------------


def forward_backward_draw(numbers: Numbers) -> Statement:
    """AL-05: B strongly monotone and cocoercive, or a gradient, A (strongly) monotone; or the limit of relaxation."""
    case = numbers.index(3)
    if case == 2:
        beta, relaxation = numbers.between(0.1, 10), 2 * numbers.below_one()
        classes: dict[str, Any] = {"A": MONOTONE, "B": {"cocoercive": beta}}
        limit = proven(forward_backward.guarantee(constants(MONOTONE), constants(classes["B"]), relaxation)).interval[1]
        return Statement("forward_backward", {"step": limit, "relaxation": relaxation}, classes)
    known = KINDS[1 + case](numbers)
    strong = {"strongly_monotone": numbers.index(2) * numbers.between(0.1, 10)}
    step = scale(known) * 2 * numbers.below_one()
    return Statement("forward_backward", {"step": step, "relaxation": 1 + 0 * step}, {"A": strong, "B": known})


def at_limit(statement: Statement) -> int:
    """1 at the limit of relaxation, where the step is nonexpansive and no better; else 0."""
    forward = statement.classes.get("C") or statement.classes["B"]
    return int(set(forward) == {"cocoercive"})


def forward_backward_claim(statement: Statement) -> Number:
    """``guarantee(...).squared_contraction``; 1 at the end of the proven interval of steps."""
    A, B = (constants(statement.classes[name]) for name in "AB")
    if at_limit(statement):
        return 1
    return contraction(forward_backward.guarantee(A, B, statement.parameters["relaxation"]), statement.parameters["step"])


def reflected_draw(kinds: tuple[Callable[[Numbers], dict[str, Any]], ...]) -> Callable[[Numbers], Statement]:
    """AL-06, AL-09: one operator has both properties, the other is monotone; the Cayley factor q is drawn, and rational."""

    def draw(numbers: Numbers) -> Statement:
        kind, step = kinds[numbers.index(len(kinds))], numbers.between(0.1, 10)
        relaxation = 2 * numbers.below_one() if numbers.index(4) else 2 + 0 * step
        if kind is gradient:
            known = gradient(numbers)
        elif kind is strong_lipschitz:
            s = numbers.between(0.1, 10)
            least = abs(1 - s) / (1 + s)
            q = least + (1 - least) * numbers.below_one()
            known = {"strongly_monotone": (1 + s**2) * (1 - q**2) / (2 * (1 + q**2)) / step, "lipschitz": s / step}
        else:
            q = numbers.below_one()
            least, most = (1 - q) / (1 + q), (1 + q) / (1 - q)
            r = least + (most - least) * numbers.below_one()
            known = {"strongly_monotone": (1 - q**2) / (2 + 2 * q**2 - r * (1 - q**2)) / step, "cocoercive": step / r}
        strong, plain = ("A", "B") if numbers.index(2) else ("B", "A")
        return Statement("douglas_rachford", {"step": step, "relaxation": relaxation}, {strong: known, plain: MONOTONE})

    return draw


def reflected_claim(statement: Statement) -> Number:
    """``guarantee(...).squared_contraction`` of DouglasRachford or PeacemanRachford; in fractions without its square root."""
    step, relaxation = statement.parameters["step"], statement.parameters["relaxation"]
    A, B = (constants(statement.classes[name]) for name in "AB")
    if relaxation == 2:
        return contraction(peaceman_rachford.guarantee(A, B), step)
    if isinstance(step, Fraction):
        strong = A if statement.classes["B"] == MONOTONE else B
        return (1 - relaxation / 2 + relaxation / 2 * root(cayley_contraction(strong, step))) ** 2
    return contraction(douglas_rachford.guarantee(A, B, relaxation), step)


def shared_draw(name: str) -> Callable[[Numbers], Statement]:
    """AL-07, AL-08: A cocoercive or Lipschitz, B strongly monotone."""

    def draw(numbers: Numbers) -> Statement:
        step, relaxation = numbers.between(0.3, 3), 2 * numbers.below_one()
        number = numbers.between(0.05, 20)
        known = {"cocoercive": number} if name == "cocoercive" else {**MONOTONE, "lipschitz": number}
        classes = {"A": known, "B": {"strongly_monotone": numbers.between(0.05, 20)}}
        return Statement("douglas_rachford", {"step": step, "relaxation": relaxation}, classes)

    return draw


def shared_rate(statement: Statement) -> Any:
    """Theorem 4.1 or 4.3 of Ryu, Taylor, Bergeling and Giselsson (2020)."""
    A, mu = statement.classes["A"], statement.classes["B"]["strongly_monotone"]
    if "cocoercive" in A:
        return cocoercive_rate(mu, A["cocoercive"], statement.parameters["step"], statement.parameters["relaxation"])
    return lipschitz_rate(mu, A["lipschitz"], statement.parameters["step"], statement.parameters["relaxation"])


def forward_backward_forward_draw(numbers: Numbers) -> Statement:
    """AL-11."""
    known = strong_lipschitz(numbers)
    step = numbers.below_one() / known["lipschitz"]
    return Statement("forward_backward_forward", {"step": step}, {"A": MONOTONE, "B": known})


def forward_backward_forward_claim(statement: Statement) -> Number:
    """``guarantee(...).squared_contraction``."""
    A, B = (constants(statement.classes[name]) for name in "AB")
    return contraction(forward_backward_forward.guarantee(A, B), statement.parameters["step"])


def davis_yin_draw(numbers: Numbers) -> Statement:
    """AL-12: the linear rate, or the limit of relaxation."""
    if numbers.index(2):
        beta, relaxation = numbers.between(0.1, 10), 2 * numbers.below_one()
        classes: dict[str, Any] = {"A": MONOTONE, "B": MONOTONE, "C": {"cocoercive": beta}}
        A, B, C = (constants(classes[name]) for name in "ABC")
        step = proven(davis_yin.guarantee(A, B, C, relaxation)).interval[1]
        return Statement("davis_yin", {"step": step, "relaxation": relaxation}, classes)
    known = strong_cocoercive(numbers)
    step = known["cocoercive"] * 2 * numbers.below_one()
    classes = {"A": MONOTONE, "B": {**MONOTONE, "lipschitz": numbers.between(0.1, 10)}, "C": known}
    return Statement("davis_yin", {"step": step, "relaxation": 1 + 0 * step}, classes)


def davis_yin_claim(statement: Statement) -> Number:
    """``guarantee(...).squared_contraction``; 1 at the end of the proven interval of steps."""
    A, B, C = (constants(statement.classes[name]) for name in "ABC")
    if at_limit(statement):
        return 1
    return contraction(davis_yin.guarantee(A, B, C, statement.parameters["relaxation"]), statement.parameters["step"])


# ---- several steps: monops states these rates in words ------------------------------------------------------


def steps_draw(iteration: str) -> Callable[[Numbers], Statement]:
    """AL-01, AL-02: a nonexpansive T; AL-04: a monotone A, one step relaxed and strongly monotone, or several."""

    def draw(numbers: Numbers) -> Statement:
        one = 1 + 0 * numbers.below_one()
        steps = one * (1 + numbers.index(8 if iteration == "halpern" else 4))
        if iteration == "halpern":
            return Statement(iteration, {"steps": steps}, {"T": {"lipschitz": one}})
        if iteration == "krasnoselskii_mann":
            relaxation = (1 + numbers.below_one()) / 2
            return Statement(iteration, {"steps": steps, "relaxation": relaxation}, {"T": {"lipschitz": one}})
        if numbers.index(2):
            parameters = {"step": numbers.between(0.1, 10), "relaxation": 2 * numbers.below_one()}
            return Statement("resolvent", parameters, {"A": {"strongly_monotone": numbers.between(0.1, 10)}})
        return Statement(iteration, {"steps": steps, "step": numbers.between(0.1, 10)}, {"A": MONOTONE})

    return draw


def halpern_claim(statement: Statement) -> Number:
    """|x_n - T x_n| <= 2 |x_0 - x*|/(n + 1) (Lieder 2021)."""
    return 4 / (statement.parameters["steps"] + 1) ** 2


def krasnoselskii_mann_claim(statement: Statement) -> Number:
    """|x_n - T x_n|^2 <= 4 |x_0 - x*|^2 times (n/(n + 1))^n/((n + 1) 4t(1 - t)), or (2t - 1)^{2n} for large t (Lieder 2018)."""
    n, t = statement.parameters["steps"], statement.parameters["relaxation"]
    if (2 * t - 1) ** 2 <= n / (n + 1):
        return 4 * (n / (n + 1)) ** int(n) / ((n + 1) * 4 * t * (1 - t))
    return 4 * (2 * t - 1) ** (2 * int(n))


def proximal_point_claim(statement: Statement) -> Number:
    """``guarantee(...).squared_contraction``; |x_n - x_{n-1}|^2 <= (1 - 1/n)^{n-1}/n |x_0 - x*|^2 (Gu and Yang 2020)."""
    if statement.iteration == "resolvent":
        A, relaxation = constants(statement.classes["A"]), statement.parameters["relaxation"]
        return contraction(proximal_point.guarantee(A, relaxation), statement.parameters["step"])
    n = statement.parameters["steps"]
    return (1 - 1 / n) ** int(n - 1) / n


SPLITTING = (
    Claim("AL-01", krasnoselskii_mann_claim, steps_draw("krasnoselskii_mann"), lambda s: int(s.parameters["steps"]), 5),
    Claim("AL-02", halpern_claim, steps_draw("halpern"), lambda s: int(s.parameters["steps"]), 1),
    Claim("AL-04", proximal_point_claim, steps_draw("proximal_point"), lambda s: int(s.parameters.get("steps", 0)), 8),
    Claim("AL-05", forward_backward_claim, forward_backward_draw, at_limit, 10),
    Claim("AL-06", reflected_claim, reflected_draw(KINDS[:2]), certificates=24),
    Claim("AL-07", lambda s: shared_rate(s).square, shared_draw("cocoercive"), lambda s: shared_rate(s).regime, 8),
    Claim("AL-08", lambda s: shared_rate(s).square, shared_draw("lipschitz"), lambda s: shared_rate(s).regime, 6),
    Claim("AL-09", reflected_claim, reflected_draw(KINDS[2:])),
    Claim("AL-11", forward_backward_forward_claim, forward_backward_forward_draw),
    Claim("AL-12", davis_yin_claim, davis_yin_draw, at_limit, 10),
)

CLAIMS: dict[str, Claim] = {claim.theorem: claim for claim in (*ONE_OPERATOR, *SPLITTING)}
