"""The matrix of one step of a method on a linear problem, built by the method itself, and its spectral radius.

A threshold of a step size is tested on both sides: ``match`` binds the problem at a step it accepts, and the terms are then
replaced by others with the step in question, so that the code of the library runs where its guarantee refuses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import monops
from monops import arrays
from monops.arrays import Blocks
from monops.constants import Constants
from proofs.algorithms.instances import MONOTONE


def backward(matrix: np.ndarray, constants: Constants = MONOTONE) -> Any:
    """The linear operator known by its resolvent alone, so that no method takes it forward; it need not be monotone."""
    n = len(matrix)
    return monops.Custom(
        resolvent=lambda x, step: np.linalg.solve(np.eye(n) + step * matrix, x), constants=constants, input_shape=(n,)
    )


def forward(matrix: np.ndarray, constants: Constants) -> Any:
    """The linear operator known by its value alone, with the constants held against it, true or not."""
    return monops.Custom(forward=lambda x: matrix @ x, constants=constants, input_shape=(len(matrix),))


def flat(point: Any) -> np.ndarray:
    """All entries of an array or of Blocks in one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in arrays.leaves(point)])


def shaped(vector: np.ndarray, like: Any) -> Any:
    """The vector in the shape of ``like``, an array or Blocks of arrays."""
    if not isinstance(like, Blocks):
        return vector.reshape(like.shape)
    ends = np.cumsum([part.size for part in like])
    return Blocks([part.reshape(old.shape) for part, old in zip(np.split(vector, ends[:-1]), like, strict=True)])


def image(method: Any, terms: Any, z: Any) -> Any:
    """T z for the fixed-point map T of the method."""
    return method.governing(terms, method.step(terms, method.at(terms, z)))


def step_matrix(method: Any, terms: Any, x0: np.ndarray) -> np.ndarray:
    """The matrix of T for linear operators; x0 says how large x is."""
    like = method.governing(terms, method.init(terms, 0.0 * x0))
    return np.array([flat(image(method, terms, shaped(e, like))) for e in np.eye(flat(like).size)]).T


def spectral_radius(matrix: np.ndarray) -> float:
    """The largest modulus of an eigenvalue: the iteration converges to 0 from everywhere if and only if it is below 1."""
    return float(np.max(np.abs(np.linalg.eigvals(matrix))))


def radius(method: Any, problem: Any, n: int, **changes: Any) -> float:
    """Spectral radius of one step of the method on a linear problem in n dimensions, with some of its numbers replaced."""
    terms = method.match(problem)._replace(**changes)
    return spectral_radius(step_matrix(method, terms, np.zeros(n)))


def squared(x: Any) -> float:
    """|x|^2, of an array or Blocks."""
    return float(np.sum(flat(x) ** 2))


def inner(x: Any, y: Any) -> float:
    """<x, y>, of arrays or Blocks."""
    return float(flat(x) @ flat(y))
