"""Instances: random members of a class, and the extremal ones that attain its bounds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

Matrix = list[list[Any]]


def rotation_block(mu: float, lipschitz: float) -> np.ndarray:
    """Mu + i sqrt(L^2 - mu^2) as a real 2 x 2 matrix: mu-strongly monotone, L-Lipschitz, extremal for both at once."""
    imaginary = np.sqrt(lipschitz**2 - mu**2)
    return np.array([[mu, -imaginary], [imaginary, mu]])


def orthogonal(n: int, generator: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix."""
    q, r = np.linalg.qr(generator.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def strongly_monotone_lipschitz(generator: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """A matrix with its mu and L: an extremal block and random members on the diagonal, rotated; one in three generic."""
    mu = float(generator.uniform(0.02, 1.0))
    lipschitz = float(mu * generator.uniform(1.0, 20.0))
    size = int(generator.integers(1, 4))
    blocks = [rotation_block(mu, lipschitz)]
    for _ in range(size):
        modulus = float(generator.uniform(mu, lipschitz))
        angle_limit = np.arccos(mu / modulus)
        angle = float(generator.uniform(-angle_limit, angle_limit))
        blocks.append(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * modulus)
    if generator.integers(3) == 0:
        blocks = blocks[1:]
    n = 2 * len(blocks)
    M = np.zeros((n, n))
    for index, block in enumerate(blocks):
        M[2 * index : 2 * index + 2, 2 * index : 2 * index + 2] = block
    Q = orthogonal(n, generator)
    return Q @ M @ Q.T, mu, lipschitz


def network(generator: np.random.Generator, m: float = 0.5, n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """W = (1 - m)I - A'A + B - B' and an injection c; A is singular, so that the margin of W is exactly m."""
    A = generator.standard_normal((n - 1, n)) * generator.uniform(0.3, 2.0)
    B = generator.standard_normal((n, n)) * generator.uniform(0.0, 2.0)
    return (1 - m) * np.eye(n) - A.T @ A + B - B.T, 2.0 * generator.standard_normal(n)


def exact_block(mu: Fraction, imaginary: Fraction) -> Matrix:
    """The extremal block in fractions; L^2 = mu^2 + imaginary^2."""
    return [[mu, -imaginary], [imaginary, mu]]


def exact_norm_squared(M: Matrix) -> Fraction:
    """Squared norm of a multiple of a plane rotation, exactly; refuses other matrices."""
    (a, b), (c, d) = M
    assert a == d
    assert b == -c
    return a * a + c * c


def exact_inverse(M: Matrix) -> Matrix:
    """Inverse of a 2 x 2 matrix, exactly."""
    (a, b), (c, d) = M
    determinant = a * d - b * c
    return [[d / determinant, -b / determinant], [-c / determinant, a / determinant]]


def exact_product(M: Matrix, N: Matrix) -> Matrix:
    """Product of 2 x 2 matrices, exactly."""
    return [[sum(M[i][k] * N[k][j] for k in range(2)) for j in range(2)] for i in range(2)]
