"""Instances of equilibrium networks: solutions with the injection they belong to, witnesses, layers of monops_nn."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

import monops
from monops.arrays import Blocks
from monops_nn import MonDEQ, MonotoneLinear, wellposed
from proofs.ratios import norm, quotient

Array = np.ndarray[Any, np.dtype[Any]]
SELU = 1.0507009873554805  # its slope on the right: more than 1, so that SELU is no prox
DISTINCT = 1e-8  # solutions nearer to each other are taken for one


def solution(activation: Any, W: Array, h: Array) -> tuple[Array, Array]:
    """The z = sigma(h) and the c = h - Wz for which z = sigma(Wz + c): an exact equilibrium, without any solver."""
    z = activation.prox(h, 1.0)
    return z, h - W @ z


def singular_network(generator: np.random.Generator, top: float, n: int) -> Array:
    """A matrix W with lambda_max(sym W) = top exactly: top I - A'A + B - B', A with a null vector; one in three is top I."""
    if generator.integers(3) == 0:
        return top * np.eye(n)
    A = generator.standard_normal((n - 1, n)) * generator.uniform(0.1, 2.0)
    B = generator.standard_normal((n, n)) * generator.uniform(0.0, 1.0)
    return top * np.eye(n) - A.T @ A + B - B.T


def nearby(h: Array, generator: np.random.Generator) -> Array:
    """Another point, near or far."""
    return h + float(10 ** generator.uniform(-3, 1)) * generator.standard_normal(h.shape)


def circulant(c: float) -> Array:
    """The circulant matrix with 1 on its diagonal and c: principal minors 1, 1 and 1 + c^3; least eigenvalue of sym 1 - c/2."""
    return np.array([[1.0, 0.0, c], [c, 1.0, 0.0], [0.0, c, 1.0]])


def relu_equilibria(W: Array, c: Array) -> list[Array]:
    """All z = relu(Wz + c), one active set after the other; for matrices I - W with positive principal minors."""
    n = len(W)
    active = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
    points = np.linalg.solve(np.eye(n) - active[:, :, None] * W, (active * c)[:, :, None])[:, :, 0]
    wrong = np.abs(np.maximum(points @ W.T + c, 0.0) - points).max(axis=1)
    return [z for z, error in zip(points, wrong, strict=True) if error <= 1e-9 * (1 + norm(z))]


def brute_minors(M: Array) -> bool:
    """Whether all principal minors are positive, by their determinants."""
    n = len(M)
    subsets = [list(s) for size in range(1, n + 1) for s in itertools.combinations(range(n), size)]
    return all(np.linalg.det(M[np.ix_(s, s)]) > 0 for s in subsets)


def multiplicity(W: Array) -> float:
    """Distance over ``DISTINCT`` of the two equilibria of relu(Wz + c) in the certificate, checked; 0 if there are none."""
    found = wellposed(W).certificate
    if "equilibria" not in found:
        return 0.0
    z, y = found["equilibria"]
    worst = max(norm(np.maximum(W @ v + found["injection"], 0.0) - v) for v in (z, y))
    assert worst <= 1e-10 * (1 + norm(W)) * (1 + norm(z))
    return norm(z - y) / DISTINCT


class MeanField:
    """q_i = softmax((Phi q + b)_i) for every node i, as the zero of (I - Phi)q - b + df(q)."""

    def __init__(self, Phi: Array, states: int) -> None:
        self.Phi, self.states, self.nodes = Phi, states, len(Phi) // states
        self.f = monops.SeparableSum((monops.Softmax(),) * self.nodes)

    def split(self, x: Array) -> Blocks:
        """One block a node."""
        return Blocks(np.split(x, self.nodes))

    def solution(self, h: Array) -> tuple[Array, Array]:
        """Q = softmax(h) node by node, and the b = h - Phi q that belongs to it."""
        q = np.concatenate(tuple(self.f.prox(self.split(h), 1.0)))
        return q, h - self.Phi @ q

    def response(self, h: Array, other: Array) -> float:
        """|q - q'| over its bound |b - b'| / (2 - lambda_max(sym Phi))."""
        (q, b), (p, d) = self.solution(h), self.solution(other)
        return quotient(norm(q - p), norm(b - d) / wellposed(self.Phi, self.f).margin, 1e-2 * norm(h))

    def damped_step(self, h: Array, x: Array, step: float | None = None, undamped: bool = False) -> float:
        """|Tx - q*| over its bound by the guarantee of ForwardBackward, q* the mean field for h; T with step 1 if undamped."""
        q, b = self.solution(h)
        M = [np.split(rows, self.nodes, axis=1) for rows in np.split(np.eye(len(q)) - self.Phi, self.nodes)]
        problem = monops.BlockAffine(tuple(map(tuple, M)), tuple(-block for block in self.split(b))) + self.f
        method = monops.ForwardBackward(step)
        terms = method.match(problem)
        factor = terms.guarantee.factor(terms.step_size)
        assert factor is not None
        state = method.init(terms, self.split(x))
        moved = np.concatenate(tuple(method.step(terms._replace(step_size=1.0) if undamped else terms, state).x))
        return quotient(norm(moved - q), factor * norm(x - q), 1e-3 * norm(x))


def boltzmann(generator: np.random.Generator, m: float, nodes: int, states: int) -> Array:
    """Phi = blkdiag(A'A) - A'A with blocks |A_i'A_i| <= 1 - m, so that I - Phi >= m I."""
    A = generator.standard_normal((int(generator.integers(1, nodes * states + 1)), nodes, states))
    A *= np.minimum(1.0, np.sqrt(1.0 - m) / np.linalg.norm(A, 2, axis=(0, 2)))[None, :, None]
    flat = A.reshape(len(A), -1)
    return np.kron(np.eye(nodes), np.ones((states, states))) * (flat.T @ flat) - flat.T @ flat


def ferromagnet(w: float, nodes: int = 2) -> Array:
    """Nodes with two states each, all coupled by w I: eigenvalues w (nodes - 1) and -w, each twice or more."""
    return w * np.kron(np.ones((nodes, nodes)) - np.eye(nodes), np.eye(2))


def layer(W: Array, U: Array, activation: Any, m: float, **settings: Any) -> MonDEQ:
    """The layer z = sigma(Wz + Ux), in double precision and to rounding, for W with sym(I - W) >= m I."""
    linear = MonotoneLinear(len(W), m, dtype=torch.float64)
    linear.assign(torch.as_tensor(W))
    made = MonDEQ(linear, activation, injection=U.shape[1], **{"tol": 1e-12, "max_iter": 5000, **settings})
    with torch.no_grad():
        made.injection.weight.copy_(torch.as_tensor(U))  # type: ignore[operator]
        made.injection.bias.zero_()  # type: ignore[operator]
    return made
