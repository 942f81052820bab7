"""The methods for a monotone Lipschitz term, and the problems that they are held against."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import monops
from monops.constants import Constants

FIXED = (
    monops.ForwardBackwardForward(),
    monops.ForwardReflectedBackward(),
    monops.Extragradient(),
    monops.Popov(),
    monops.ProjectedReflectedGradient(),
    monops.AnchoredExtragradient(),
)
ADAPTIVE = (monops.ForwardBackwardForwardLineSearch(), monops.GoldenRatio())
METHODS = FIXED + ADAPTIVE
MAPS = tuple(method for method in METHODS if method.is_map)
SUBDIFFERENTIALS_ONLY = (monops.Extragradient(), monops.Popov(), monops.GoldenRatio())
MONOTONE = Constants(strong_monotonicity=0.0)


def name_of(method: Any) -> str:
    return str(method.name)


every = pytest.mark.parametrize("method", METHODS, ids=name_of)


def rotation(mu: float, lipschitz: float) -> np.ndarray:
    """mu + i sqrt(L^2 - mu^2) as a 2 x 2 matrix: strongly monotone, Lipschitz, and extremal for both."""
    turn = math.sqrt(lipschitz**2 - mu**2)
    return np.array([[mu, -turn], [turn, mu]])


def by_resolvent(M: np.ndarray, constants: Constants = MONOTONE) -> monops.Custom:
    """x -> Mx, known only through its resolvent."""
    return monops.Custom(resolvent=lambda x, s: np.linalg.solve(np.eye(len(M)) + s * M, x), constants=constants)


def complementarity(mu: float, n: int = 8, seed: int = 0) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """0 <= x, 0 <= Mx + q, <x, Mx + q> = 0 with M = mu I + skew and a solution known beforehand; problem, x*, M, q."""
    generator = np.random.default_rng(seed)
    S = generator.standard_normal((n, n))
    M = mu * np.eye(n) + (S - S.T)
    solution = np.maximum(generator.standard_normal(n), 0.0)
    slack = np.where(solution > 0, 0.0, generator.uniform(0.1, 1.0, n))
    q = slack - M @ solution
    return monops.Affine(M, q) + monops.NonNegative(), solution, M, q


def run(method: Any, terms: Any, x0: Any, count: int) -> list[Any]:
    states = [method.init(terms, x0)]
    for _ in range(count):
        states.append(method.step(terms, states[-1]))
    return states


def square(x: np.ndarray) -> float:
    return float(np.sum(x * x))
