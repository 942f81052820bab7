"""Instances shared by theorems on operators: linear and nonlinear members of a class, extremal ones among them.

Every generator mixes members that attain bounds (rotation blocks, isometries, normal cones of affine subspaces, quadratics with
the two extreme eigenvalues) with generic and non-normal ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import monops
from monops.constants import Constants
from monops.errors import CapabilityError, NotApplicableError
from proofs.generators import orthogonal, strongly_monotone_lipschitz
from proofs.own_operator import declared
from proofs.ratios import norm, square

Map = Callable[[np.ndarray], np.ndarray]
Pair = tuple[np.ndarray, np.ndarray]
ROUNDING = 1e-12


def columns(linear: Map, n: int) -> np.ndarray:
    """The matrix of a linear map on R^n."""
    return np.array([linear(e) for e in np.eye(n)]).T


def steepest(forward: Map, x: np.ndarray, y: np.ndarray, rounds: int = 3) -> np.ndarray:
    """A point as far from x as y, in a direction in which the operator grows fast: power iteration on differences."""
    length = math.sqrt(square(y - x))
    for _ in range(rounds):
        direction = forward(y) - forward(x)
        size = math.sqrt(square(direction))
        if size == 0:
            return y
        y = x + direction * (length / size)
    return y


def points(generator: np.random.Generator, n: int) -> Pair:
    """Two points whose distance is of the order of their size, between 0.01 and 10."""
    size = 10 ** generator.uniform(-2, 1)
    return size * generator.standard_normal(n), size * generator.standard_normal(n)


# ---- matrices --------------------------------------------------------------------------------------


def contraction(n: int, generator: np.random.Generator) -> np.ndarray:
    """A matrix of norm exactly 1: orthogonal, a reflection, an oblique product, or a generic (non-normal) one."""
    Q = orthogonal(n, generator)
    kind = int(generator.integers(4))
    if kind == 0:
        return Q
    if kind == 1:
        return Q @ np.diag(generator.choice([-1.0, 1.0], n)) @ Q.T
    N = generator.standard_normal((n, n)) if kind == 2 else Q @ np.diag(generator.uniform(-1, 1, n)) @ orthogonal(n, generator)
    return N / norm(N)


def block_diagonal(blocks: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    """The direct sum of square blocks, in a random orthonormal basis."""
    n = sum(len(block) for block in blocks)
    M, start = np.zeros((n, n)), 0
    for block in blocks:
        M[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    Q = orthogonal(n, generator)
    return Q @ M @ Q.T


def lipschitz_member(generator: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Matrix, mu, L: half of them normal with an extremal block, half the non-normal mu I + t(F'F + K - K') of norm L."""
    M, mu, lipschitz = strongly_monotone_lipschitz(generator)
    if generator.integers(2):
        return M, mu, lipschitz
    n = int(generator.integers(2, 5))
    F, K = generator.standard_normal((n - 1, n)), generator.standard_normal((n, n)) * generator.uniform(0, 3)
    direction, low, high = F.T @ F + K - K.T, 0.0, 1.0
    while norm(mu * np.eye(n) + high * direction) < lipschitz:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if norm(mu * np.eye(n) + middle * direction) <= lipschitz else (low, middle)
    return mu * np.eye(n) + low * direction, mu, lipschitz


def cocoercive_block(mu: float, beta: float) -> np.ndarray:
    """Mu + i sqrt(mu/beta - mu^2) as a real 2 x 2 matrix: mu-strongly monotone and beta-cocoercive, extremal for both."""
    imaginary = math.sqrt(max(mu / beta - mu**2, 0.0))
    return np.array([[mu, -imaginary], [imaginary, mu]])


def cocoercive_member(generator: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Matrix, mu, beta: the extremal block, I/beta, and the non-normal mu I + (1/beta - mu)(I + N)/2, |N| <= 1."""
    mu = float(10 ** generator.uniform(-1.5, 0.5))
    beta = float(generator.uniform(0.02, 1.0) / mu)
    n = int(generator.integers(1, 4))
    blocks = [mu * np.eye(n) + (1 / beta - mu) * (np.eye(n) + contraction(n, generator)) / 2]
    if generator.integers(4):
        blocks.append(cocoercive_block(mu, beta))
    if generator.integers(2):
        blocks.append(np.eye(1) / beta)
    return block_diagonal(blocks, generator), mu, beta


# ---- nonlinear monotone operators ------------------------------------------------------------------

ONE_LIPSCHITZ: tuple[Map, ...] = (
    np.abs,
    np.sin,
    np.tanh,
    np.cos,
    lambda x: np.maximum(x, 0.0),
    lambda x: x - np.clip(x, -1, 1),
)


def convex_set(n: int, generator: np.random.Generator) -> monops.functions.Function:
    """The indicator of a box, ball, simplex, half-space or affine subspace."""
    kind = int(generator.integers(5))
    if kind == 0:
        return monops.Box(-generator.uniform(0, 1, n), generator.uniform(0, 1, n))
    if kind == 1:
        return monops.L2Ball(float(generator.uniform(0.3, 2)), 0.5 * generator.standard_normal(n))
    if kind == 2:
        return monops.Simplex(float(generator.uniform(0.5, 2)))
    if kind == 3:
        return monops.HalfSpace(generator.standard_normal(n), float(generator.uniform(-0.5, 0.5)))
    return monops.AffineSet(generator.standard_normal((max(n // 2, 1), n)), generator.standard_normal(max(n // 2, 1)))


def convex_function(n: int, generator: np.random.Generator) -> monops.functions.Function:
    """A convex function with a closed-form prox: sets, norms, quadratics, a kinked loss; scaled, moved, tilted."""
    kind = int(generator.integers(6))
    weight = float(10 ** generator.uniform(-1, 1))
    if kind == 0:
        return convex_set(n, generator)
    plain: monops.functions.Function
    if kind == 1:
        plain = (monops.L1Norm(), monops.L2Norm(), monops.LInfNorm(), monops.Max())[int(generator.integers(4))]
    elif kind == 2:
        F = generator.standard_normal((max(n - 1, 1), n))
        plain = monops.Quadratic(F.T @ F, generator.standard_normal(n))
    elif kind == 3:
        plain = monops.Huber(float(generator.uniform(0.1, 2)))
    elif kind == 4:
        plain = monops.Quantile(float(generator.uniform(0.1, 0.9)))
    else:
        plain = monops.L1Norm().add_quadratic(float(generator.uniform(0, 2)))
    changed = weight * plain.translate(0.5 * generator.standard_normal(n))
    return changed.tilt(generator.standard_normal(n)) if generator.integers(2) else changed


def nonexpansive(n: int, generator: np.random.Generator) -> Map:
    """A composition of rotations, projections, reflections, contractions and 1-Lipschitz functions; one in four an isometry."""
    pieces: list[Map] = []
    isometry = generator.integers(4) == 0
    for _ in range(int(generator.integers(1, 5))):
        kind = 0 if isometry else int(generator.integers(4))
        if kind == 0:
            Q, shift = orthogonal(n, generator), generator.standard_normal(n)
            pieces.append(lambda x, Q=Q, shift=shift: Q @ x + shift)  # type: ignore[misc]
        elif kind == 1:
            cone = monops.NormalCone(convex_set(n, generator))
            reflect = bool(generator.integers(2))
            pieces.append(
                lambda x, cone=cone, reflect=reflect: cone.reflected_resolvent(x, 1.0) if reflect else cone.resolvent(x, 1.0)  # type: ignore[misc]
            )
        elif kind == 2:
            pieces.append(ONE_LIPSCHITZ[int(generator.integers(len(ONE_LIPSCHITZ)))])
        else:
            N = contraction(n, generator)
            pieces.append(lambda x, N=N: N @ x)  # type: ignore[misc]

    def composed(x: np.ndarray) -> np.ndarray:
        for piece in pieces:
            x = piece(x)
        return x

    return composed


def minty(n: int, generator: np.random.Generator, step: float = 1.0) -> monops.Custom:
    """The maximal monotone A with (I + step A)^-1 = (I + N)/2, N nonexpansive (Minty 1962: every A arises so).

    Set-valued and nonlinear in general. Its resolvent is known for this one step only, and refused for every other.
    """
    N = nonexpansive(n, generator)

    def resolvent(x: Any, asked: float) -> Any:
        if asked != step:
            raise CapabilityError(f"this resolvent is known for step {step:g} only, not for {asked:g}")
        return (x + N(x)) / 2

    return monops.Custom(resolvent=resolvent, constants=Constants(strong_monotonicity=0.0), input_shape=(n,))


def monotone_operator(n: int, generator: np.random.Generator) -> Any:
    """A maximal monotone operator of the library, with its resolvent for every step; skew ones and normal cones included."""
    kind = int(generator.integers(7))
    if kind == 0:
        return monops.NormalCone(convex_set(n, generator))
    if kind == 1:
        K = generator.standard_normal((n, n))
        return monops.Affine(K - K.T, generator.standard_normal(n))
    if kind == 2:
        F, K = generator.standard_normal((max(n - 1, 1), n)), generator.standard_normal((n, n)) * generator.uniform(0, 3)
        return monops.Affine(F.T @ F + K - K.T, generator.standard_normal(n))
    plain = monops.Subdifferential(convex_function(n, generator)) if kind < 6 else monotone_operator(n, generator)
    if kind == 4:
        return monops.Inverse(plain)
    if kind == 5:
        return monops.Yosida(plain, float(10 ** generator.uniform(-1, 1)))
    return plain if kind == 3 else monops.operators.Shifted(plain, generator.standard_normal(n), generator.standard_normal(n))


# ---- single-valued operators with constants --------------------------------------------------------


def smooth_convex(n: int, generator: np.random.Generator) -> monops.Inclusion:
    """A mu-strongly convex L-smooth function, mu > 0, as a problem whose ``constants`` say mu and L.

    Quadratics with both eigenvalues, kinked losses, Moreau envelopes, sums of losses of linear maps.
    """
    mu = float(10 ** generator.uniform(-1.5, 0))
    size = float(10 ** generator.uniform(-0.5, 1))
    kind = int(generator.integers(4))
    if kind == 0:
        eigenvalues = np.concatenate([[mu, mu + size], generator.uniform(mu, mu + size, max(n - 2, 0))])[:n]
        Q = orthogonal(n, generator)
        return monops.Inclusion(monops.Quadratic((Q * eigenvalues) @ Q.T, generator.standard_normal(n)).terms())
    if kind == 1:
        losses = (monops.Huber(1.0, size), monops.LogCosh(size), monops.PseudoHuber(1.0, size), monops.Fair(1.0, size))
        loss: monops.functions.Function = losses[int(generator.integers(4))]
        return monops.Inclusion(loss.add_quadratic(mu).terms())
    if kind == 2:
        smooth = convex_function(n, generator).envelope(1 / size)
        return monops.Inclusion(smooth.add_quadratic(mu).terms())
    K = generator.standard_normal((int(generator.integers(1, n + 1)), n))
    return monops.SquaredL2(mu) + monops.LogCosh(size) @ K


def strongly_cocoercive(n: int, generator: np.random.Generator) -> monops.Inclusion:
    """A mu-strongly monotone beta-cocoercive nonlinear operator: mu x plus the Yosida approximation of a Minty operator."""
    mu, parameter = float(10 ** generator.uniform(-1.5, 0.5)), float(10 ** generator.uniform(-1, 1))
    return monops.SquaredL2(mu) + monops.Yosida(minty(n, generator, parameter), parameter)


def forward_operator(problem: monops.Inclusion) -> Any:
    """The sum of the forward values of a problem as one operator with constants, as ``ForwardStep`` binds it."""
    return monops.ForwardStep().match(problem).B


def declared_gradient(operator: Any, *names: str) -> Constants:
    """The constants of a user's operator that declares to be a subdifferential, and those named; else NotApplicableError."""
    constants = declared(operator, *names)
    if not constants.cyclic:
        raise NotApplicableError(
            f"{type(operator).__name__} is not declared a subdifferential: pass constants= with cyclic=True"
        )
    return constants
