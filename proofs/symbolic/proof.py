"""A worst-case bound proven for all parameters at once: the certificate of ``proofs/pep`` with symbols in place of numbers.

With symbolic multipliers lambda_i the slack S = tau P0 - P1 - sum of lambda_i M_i is a matrix of rational functions of the
parameters. Checked are the signs of lambda_i, and of the pivots of S in elimination (LDL^T), by writing the range of the
parameters as the image of positive numbers under which the factors of numerators and denominators have coefficients of one
sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from proofs.pep.gram import square
from proofs.pep.iterations import ITERATIONS

Expression = Any  # of sympy


def positive(names: str) -> tuple[Any, ...]:
    """Positive symbols."""
    return tuple(sympy.symbols(names, positive=True, seq=True))


def sign(polynomial: Expression, domain: Mapping[Any, Expression]) -> int:
    """1 where all coefficients on the domain are >= 0, -1 where all are <= 0, else 0: unknown."""
    value = sympy.sympify(polynomial)
    for symbol, image in domain.items():
        value = sympy.factor(value.subs(symbol, image))
    result = 1
    for part in sympy.fraction(value):
        coefficients = sympy.Poly(part, *part.free_symbols).coeffs() if part.free_symbols else [part]
        if not all(coefficient >= 0 for coefficient in coefficients):
            result = -result if all(coefficient <= 0 for coefficient in coefficients) else 0
    return result


def nonnegative(value: Expression, domain: Mapping[Any, Expression]) -> bool:
    """Whether a rational function is >= 0 on the domain, by the signs of its factors of odd power.

    The domain is substituted in its order.
    """
    numerator, denominator = sympy.fraction(sympy.together(value))
    result = 1
    for part in (numerator, denominator):
        constant, factors = sympy.factor_list(part)
        result *= sign(constant, {})
        for factor, power in factors:
            result *= sign(factor, domain) if power % 2 else 1
    return result > 0


def semidefinite(matrix: Iterable[Iterable[Expression]], domain: Mapping[Any, Expression]) -> bool:
    """Whether a symmetric matrix of rational functions is positive semidefinite on the domain, by elimination.

    From the last row up. Pivots that vanish at some parameters only do no harm: the matrix is continuous, and semidefinite at
    all others.
    """
    S = [[sympy.factor(value) for value in reversed(list(row))] for row in reversed(list(matrix))]
    while S:
        (pivot, *row), *rest = S
        if not nonnegative(pivot, domain) or (pivot == 0 and any(value != 0 for value in row)):
            return False
        factors = [value / pivot if value != 0 else value for value in row]
        S = [
            [sympy.factor(b - factor * r) for b, r in zip(line[1:], row, strict=True)]
            for factor, line in zip(factors, rest, strict=True)
        ]
    return True


@dataclass(frozen=True)
class Proof:
    """|end|^2 <= tau |start|^2 for an iteration and classes with symbols as parameters.

    ``domain`` writes the parameters in positive symbols, covering their range; ``relations`` are substituted in the slack (a
    root rho of tau as an independent symbol, say, and a parameter through it); ``squares`` are weights >= 0 and vectors, as
    coefficients over the independent vectors of the iteration, whose squares are subtracted from the slack before elimination.
    """

    iteration: str
    parameters: Mapping[str, Expression]
    classes: Mapping[str, Mapping[str, Any]]
    tau: Expression
    multipliers: Mapping[str, Expression]
    domain: Mapping[Any, Expression] = field(default_factory=dict)
    relations: Mapping[Any, Expression] = field(default_factory=dict)
    squares: tuple[tuple[Expression, tuple[Expression, ...]], ...] = ()

    def holds(self) -> bool:
        """Whether it is a proof."""
        program = ITERATIONS[self.iteration](self.parameters, self.classes)
        slack = self.tau * program.start - program.end
        for name, multiplier in self.multipliers.items():
            slack = slack - multiplier * program.inequalities[name]
        for weight, vector in self.squares:
            slack = slack - weight * square(np.array(vector, dtype=object))
        rest = [[sympy.sympify(value).subs(self.relations) for value in row] for row in slack]
        weights = (*self.multipliers.values(), *(weight for weight, _ in self.squares))
        return all(nonnegative(weight, self.domain) for weight in weights) and semidefinite(rest, self.domain)
