"""The methods, each written once in vectors: what they start from, where they end, and the graph points they visit.

One-step methods compare two runs, and every letter is a difference of the two; the methods of several steps compare one run
with a solution at the origin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from proofs.pep.gram import Class, Number, Program, independent, program

Parameters = Mapping[str, Number]
Classes = Mapping[str, Class]


def resolvent(parameters: Parameters, classes: Classes) -> Program:
    """p = J_{aA} x, relaxed: x+ = x + t (p - x); x = p + a u with u in Ap."""
    a, t = parameters["step"], parameters.get("relaxation", 1)
    p, u = independent(2, a)
    x = p + a * u
    return program(x, x + t * (p - x), {"A": {"p": (p, u)}}, classes)


def forward(parameters: Parameters, classes: Classes) -> Program:
    """x+ = x - a Bx."""
    a = parameters["step"]
    x, u = independent(2, a)
    return program(x, x - a * u, {"B": {"x": (x, u)}}, classes)


def cayley(parameters: Parameters, classes: Classes) -> Program:
    """x+ = 2 J_{aA} x - x = p - a u, where x = p + a u."""
    a = parameters["step"]
    p, u = independent(2, a)
    return program(p + a * u, p - a * u, {"A": {"p": (p, u)}}, classes)


def forward_backward(parameters: Parameters, classes: Classes) -> Program:
    """p = J_{aA}(x - a Bx), x+ = x + t (p - x)."""
    a, t = parameters["step"], parameters["relaxation"]
    x, u, p = independent(3, a)
    v = (x - a * u - p) / a
    return program(x, x + t * (p - x), {"A": {"p": (p, v)}, "B": {"x": (x, u)}}, classes)


def douglas_rachford(parameters: Parameters, classes: Classes) -> Program:
    """x = J_{aB} z, y = J_{aA}(2x - z), z+ = z + t (y - x)."""
    a, t = parameters["step"], parameters["relaxation"]
    z, x, y = independent(3, a)
    return program(z, z + t * (y - x), {"A": {"y": (y, (2 * x - z - y) / a)}, "B": {"x": (x, (z - x) / a)}}, classes)


def davis_yin(parameters: Parameters, classes: Classes) -> Program:
    """x = J_{aB} z, y = J_{aA}(2x - z - a Cx), z+ = z + t (y - x)."""
    a, t = parameters["step"], parameters["relaxation"]
    z, x, y, c = independent(4, a)
    graph = {"A": {"y": (y, (2 * x - z - a * c - y) / a)}, "B": {"x": (x, (z - x) / a)}, "C": {"x": (x, c)}}
    return program(z, z + t * (y - x), graph, classes)


def forward_backward_forward(parameters: Parameters, classes: Classes) -> Program:
    """y = J_{aA}(x - a Bx), x+ = y - a (By - Bx), with a solution at the origin; pairwise inequalities, not interpolation."""
    a = parameters["step"]
    x, y, u, v = independent(4, a)
    graph = {"A": {"y": (y, (x - a * u - y) / a)}, "B": {"x": (x, u), "y": (y, v)}}
    return program(x, y - a * (v - u), graph, classes)


def halpern(parameters: Parameters, classes: Classes) -> Program:
    """x_{k+1} = x_0/(k + 2) + (k + 1)/(k + 2) T x_k; the end is x_n - T x_n, and 0 = T0."""
    steps = int(parameters["steps"])
    x0, *images = independent(steps + 2, parameters["steps"])
    points = [x0]
    for k in range(steps):
        points.append((x0 + (k + 1) * images[k]) / (k + 2))
    return program(x0, points[-1] - images[-1], {"T": labelled(points, images)}, classes)


def krasnoselskii_mann(parameters: Parameters, classes: Classes) -> Program:
    """x_{k+1} = (1 - t) x_k + t T x_k; the end is x_n - T x_n, and 0 = T0."""
    steps, t = int(parameters["steps"]), parameters["relaxation"]
    x0, *images = independent(steps + 2, t)
    points = [x0]
    for k in range(steps):
        points.append((1 - t) * points[-1] + t * images[k])
    return program(x0, points[-1] - images[-1], {"T": labelled(points, images)}, classes)


def proximal_point(parameters: Parameters, classes: Classes) -> Program:
    """x_k = J_{aA} x_{k-1}; the end is x_n - x_{n-1}, and 0 in A0."""
    steps, a = int(parameters["steps"]), parameters["step"]
    points = independent(steps + 1, a)
    values = [(before - after) / a for before, after in pairwise(points)]
    return program(points[0], points[-1] - points[-2], {"A": labelled(points[1:], values)}, classes)


def labelled(points: list, values: list) -> dict[str, tuple]:
    """Graph points under the names of their indices."""
    return {str(index): pair for index, pair in enumerate(zip(points, values, strict=True))}


ITERATIONS: dict[str, Callable[[Parameters, Classes], Program]] = {
    function.__name__: function
    for function in (
        resolvent,
        forward,
        cayley,
        forward_backward,
        douglas_rachford,
        davis_yin,
        forward_backward_forward,
        halpern,
        krasnoselskii_mann,
        proximal_point,
    )
}
