"""Vectors as coefficients over independent vectors, inner products as matrices, and the inequalities of operator classes.

A quadratic form in vectors e_1, ..., e_n is <G, M> with the Gram matrix G_ij = <e_i, e_j> and a symmetric M. Everything works
on floats and, through arrays of objects, on fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

Number = Any  # float, Fraction or, for the identities, an expression of sympy
Vector = np.ndarray
Matrix = np.ndarray
Class = Mapping[str, Any]  # for example {"strongly_monotone": 1/2, "lipschitz": 2}; "gradient" has the pair (mu, L)
Graph = Mapping[str, Mapping[str, tuple[Vector, Vector]]]  # operator -> label -> (point, value); the pair (0, 0) goes without


class Program(NamedTuple):
    """The largest |end|^2 for |start|^2 <= 1 under the inequalities <G, M> >= 0, by name."""

    start: Matrix
    end: Matrix
    inequalities: dict[str, Matrix]


def independent(count: int, *numbers: Number) -> list[Vector]:
    """Independent vectors; in fractions when one of the numbers is a fraction or a symbol."""
    if not all(isinstance(number, int | float) for number in numbers):
        return [np.array([Fraction(int(i == j)) for j in range(count)], dtype=object) for i in range(count)]
    return list(np.eye(count))


def inner(x: Vector, y: Vector) -> Matrix:
    """The matrix of <x, y>."""
    outer = x[:, None] * y
    return (outer + outer.T) / 2


def square(x: Vector) -> Matrix:
    """The matrix of |x|^2."""
    return x[:, None] * x


def class_inequalities(known: Class, x: Vector, u: Vector) -> dict[str, Matrix]:
    """What the class says of a difference x of points and the difference u of values there, as forms that are >= 0.

    strongly_monotone mu: <x, u> - mu |x|^2; cocoercive beta: <x, u> - beta |u|^2; lipschitz L: L^2 |x|^2 - |u|^2; gradient
    (mu, L), that is the gradient of a mu-strongly convex L-smooth function: (mu + L) <x, u> - |u|^2 - mu L |x|^2 (the two
    interpolation inequalities of a pair of points, added: function values cancel).
    """
    forms: dict[str, Matrix] = {}
    for name, value in known.items():
        if name == "strongly_monotone":
            forms[name] = inner(x, u) - value * square(x)
        elif name == "cocoercive":
            forms[name] = inner(x, u) - value * square(u)
        elif name == "lipschitz":
            forms[name] = value**2 * square(x) - square(u)
        elif name == "gradient":
            mu, lipschitz = value
            forms[name] = (mu + lipschitz) * inner(x, u) - square(u) - mu * lipschitz * square(x)
        else:
            raise KeyError(f"no class {name!r}")
    return forms


def program(start: Vector, end: Vector, graph: Graph, classes: Mapping[str, Class]) -> Program:
    """All inequalities between the points of each operator, and between each of them and the pair (0, 0).

    Their names are ``operator.class(label)`` for the latter, ``operator.class(label,label)`` for the former.
    """
    inequalities: dict[str, Matrix] = {}
    for operator, known in classes.items():
        pairs = dict(graph[operator])
        for (one, (x, u)), (two, (y, v)) in combinations(graph[operator].items(), 2):
            pairs[f"{one},{two}"] = (x - y, u - v)
        for label, (x, u) in pairs.items():
            for name, form in class_inequalities(known, x, u).items():
                inequalities[f"{operator}.{name}({label})"] = form
    return Program(square(start), square(end), inequalities)
