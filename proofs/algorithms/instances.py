"""What the theorems on algorithms share: iterates of a method, operators from their resolvents, plane rotations, ratios."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import monops
from monops.constants import Constants
from monops.solve import as_inclusion
from monops.theory import Guarantee, Missing
from proofs.generators import orthogonal
from proofs.ratios import safe_ratio, square

Map = Callable[[np.ndarray], np.ndarray]
MONOTONE = Constants(strong_monotonicity=0.0)


# ---- methods of monops -------------------------------------------------------------------------------


def terms_of(problem: Any, method: Any, **changes: Any) -> Any:
    """Terms of the method for the problem; ``changes`` replace numbers that ``match`` would refuse."""
    terms = method.match(as_inclusion(problem))
    return terms._replace(**changes) if changes else terms


def iterates(problem: Any, method: Any, x0: np.ndarray, count: int, **changes: Any) -> list[np.ndarray]:
    """The governing points z_0, ..., z_count of the method, by its own match, init and step."""
    terms = terms_of(problem, method, **changes)
    state = method.init(terms, x0)
    points = [method.governing(terms, state)]
    for _ in range(count):
        state = method.step(terms, state)
        points.append(method.governing(terms, state))
    return points


def image(problem: Any, method: Any, x: np.ndarray, **changes: Any) -> np.ndarray:
    """T x, one step of the method."""
    return iterates(problem, method, x, 1, **changes)[1]


def image_matrix(problem: Any, method: Any, n: int, **changes: Any) -> np.ndarray:
    """The matrix of T for linear operators, column by column through the method."""
    return np.array([image(problem, method, e, **changes) for e in np.eye(n)]).T


def squared_contraction(problem: Any, method: Any, **changes: Any) -> float:
    """What monops declares: the squared factor of the method at its step."""
    terms = terms_of(problem, method, **changes)
    return declared_square(terms.guarantee, terms.step_size)


def declared_square(guarantee: Guarantee | Missing, step: float) -> float:
    """The squared factor of a guarantee that has one."""
    assert isinstance(guarantee, Guarantee)
    assert guarantee.squared_contraction is not None
    return float(guarantee.squared_contraction(step))


def declared_end(guarantee: Guarantee | Missing) -> float:
    """The upper end of the interval of steps that monops declares."""
    assert isinstance(guarantee, Guarantee)
    return float(guarantee.interval[1])


# ---- operators ---------------------------------------------------------------------------------------


def block(z: complex) -> np.ndarray:
    """Multiplication by z as a real 2 x 2 matrix."""
    return np.array([[z.real, -z.imag], [z.imag, z.real]])


def rotation(angle: float) -> np.ndarray:
    """The plane rotation."""
    return block(complex(math.cos(angle), math.sin(angle)))


def by_resolvent(J: Map, constants: Constants = MONOTONE) -> Any:
    """The operator with this resolvent at the step in use (Minty: each firmly nonexpansive J has exactly one)."""
    return monops.Custom(resolvent=lambda x, step: J(x), constants=constants)


def by_cayley(R: complex, constants: Constants = MONOTONE) -> Any:
    """The plane operator whose reflected resolvent 2J - I at the step in use is multiplication by R."""
    J = block((1 + R) / 2)
    return by_resolvent(lambda x: J @ x, constants)


def reflecting(N: Map, constants: Constants = MONOTONE) -> Any:
    """The maximal monotone operator with 2J - I = N at the step in use, for any nonexpansive N."""
    return by_resolvent(lambda x: 0.5 * (x + N(x)), constants)


def nonexpansive(generator: np.random.Generator, n: int) -> Map:
    """A random nonexpansive map with the fixed point 0: rotations, projections, reflections and shrinkage composed."""
    functions = (monops.NonNegative(), monops.Box(-0.3, 0.5), monops.L2Ball(0.7), 0.2 * monops.L1Norm())
    layers: list[tuple[np.ndarray, Any, float]] = []
    for _ in range(int(generator.integers(1, 4))):
        relaxation = float(generator.choice([0.0, 1.0, 2.0]))
        layers.append((orthogonal(n, generator), functions[int(generator.integers(len(functions)))], relaxation))

    def apply(x: np.ndarray) -> np.ndarray:
        for Q, function, relaxation in layers:
            x = Q @ x
            x = x + relaxation * (function.prox(x, 1.0) - x)
        return x

    return apply


def in_disc(disc: tuple[float, float], generator: np.random.Generator, n: int, constants: Constants = MONOTONE) -> Any:
    """The operator with 2J - I = centre + radius N at the step in use, N nonexpansive and nonlinear, zero at 0."""
    centre, radius = disc
    N = nonexpansive(generator, n)
    return by_resolvent(lambda x: 0.5 * ((1 + centre) * x + radius * N(x)), constants)


def in_planes(matrix: np.ndarray, generator: np.random.Generator, n: int) -> np.ndarray:
    """The plane matrix in n/2 random orthogonal planes."""
    Q = orthogonal(n, generator)
    return Q @ np.kron(np.eye(n // 2), matrix) @ Q.T


def linear(matrix: np.ndarray) -> Map:
    """x -> matrix x."""
    return lambda x: matrix @ x


# ---- ratios ------------------------------------------------------------------------------------------


def length(x: np.ndarray) -> float:
    """|x|."""
    return math.sqrt(square(x))


def required_averagedness(d: np.ndarray, image_of_d: np.ndarray, size: float = 0.0) -> float:
    """The least a for which |Td|^2 <= |d|^2 - (1 - a)/a |d - Td|^2: |e|^2/(2 <d, e>), e = d - Td; inf where <d, e> < 0.

    Rounding of size 1e-14 (|d| + size) in e is allowed, size being that of the points with the difference d.
    """
    e, rounding = d - image_of_d, 1e-14 * (length(d) + size)
    inner = float(np.vdot(d, e).real) + length(d) * rounding
    return max(0.0, length(e) - rounding) ** 2 / (2 * inner) if inner > 0 else math.inf


def map_ratio(problem: Any, method: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Required over declared averagedness or, where monops declares a factor and it is worse, |Tx - Ty|^2 over that.

    Rounding of size 1e-14 (|x| + |y|) in Tx - Ty is allowed.
    """
    terms = terms_of(problem, method)
    d, e = x - y, image(problem, method, x) - image(problem, method, y)
    size = length(x) + length(y)
    averaged = required_averagedness(d, e, size) / float(method.averagedness(terms))
    if terms.guarantee.squared_contraction is None:
        return averaged
    claim = declared_square(terms.guarantee, terms.step_size) * square(d)
    return max(averaged, safe_ratio(max(0.0, length(e) - 1e-14 * size) ** 2, claim, square(d)))
