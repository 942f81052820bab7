"""Theorem on networks of networks as one equilibrium: NN-11."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from monops_nn import ACTIVATIONS, ActivationOperator, DenseSystem, EquilibriumOperator, wellposed
from proofs.networks.instances import Array, multiplicity, singular_network
from proofs.networks.uniqueness import METHODS, equilibrium
from proofs.ratios import farthest, norm, quotient
from proofs.theorem import Counterexample, Mutant, Theorem


def block_matrix(blocks: list[list[Array | None]], sizes: list[int]) -> Array:
    """The matrix with these blocks, None for zeros."""
    rows = [
        [np.zeros((m, n)) if block is None else block for block, n in zip(row, sizes, strict=True)]
        for row, m in zip(blocks, sizes, strict=True)
    ]
    return np.block(rows)


# ---- feedforward networks --------------------------------------------------------------------------


class Chain:
    """z_1 = sigma(c_1), z_{i+1} = sigma(W_i z_i + c_{i+1}), and the W of all layers at once: W_i below the diagonal."""

    def __init__(self, weights: list[Array], c: Array, activation: str) -> None:
        self.weights, self.c, self.f = weights, c, ACTIVATIONS[activation]()
        sizes = [weights[0].shape[1]] + [len(weight) for weight in weights]
        self.depth, self.ends = len(sizes), np.cumsum(sizes)
        blocks: list[list[Array | None]] = [[None] * self.depth for _ in sizes]
        for i, weight in enumerate(weights):
            blocks[i + 1][i] = weight
        self.W = block_matrix(blocks, sizes)

    def layers(self) -> Array:
        """The states of all layers, one after the other."""
        parts = np.split(self.c, self.ends[:-1])
        found = [self.f.prox(parts[0], 1.0)]
        for weight, part in zip(self.weights, parts[1:], strict=True):
            found.append(self.f.prox(weight @ found[-1] + part, 1.0))
        return np.concatenate(found)

    def picard(self, start: Array, steps: int) -> Array:
        """z <- sigma(Wz + c) so many times, by the operators of monops_nn."""
        linear = EquilibriumOperator(DenseSystem((torch.as_tensor(self.W),), 1.0), torch.as_tensor(self.c)[None])
        bend, z = ActivationOperator(self.f.batched(1)), torch.as_tensor(start)[None]
        for _ in range(steps):
            z = bend.resolvent(linear.preactivation(z), 1.0)
        return z[0].numpy()

    def termination(self, start: Array, steps: int) -> float:
        """Distance from the states of all layers after so many steps, over rounding."""
        exact = self.layers()
        size = math.prod(1.0 + norm(weight) for weight in self.weights) * (1.0 + norm(self.c))
        return norm(self.picard(start, steps) - exact) / (1e-14 * size)

    def loss(self, cosine: float | None = None) -> float:
        """lambda_max(sym W) over its bound max|W_i| cos(pi/(depth + 1)), by the margin of I - tW, t small."""
        largest = max(norm(weight) for weight in self.weights)
        t = 0.9 / largest
        found = wellposed(t * self.W)
        assert found.rung == "monotone"
        bound = largest * (math.cos(math.pi / (self.depth + 1)) if cosine is None else cosine)
        return quotient((1.0 - found.margin) / t, bound, largest)


def chain_sample(generator: np.random.Generator) -> float:
    """Depth 2 to 4, with large weights, or integers and ReLU: finite termination is then exact."""
    sizes = [int(size) for size in generator.integers(1, 4, int(generator.integers(2, 5)))]
    pairs, scale = list(zip(sizes[1:], sizes[:-1], strict=True)), float(10 ** generator.uniform(-1, 1))
    start = 100.0 * generator.standard_normal(sum(sizes))
    if generator.integers(2):
        weights = [generator.integers(-4, 5, pair).astype(float) for pair in pairs]
        weights[0][0, 0] = 3.0
        chain = Chain(weights, generator.integers(-4, 5, sum(sizes)).astype(float), "relu")
        assert np.array_equal(chain.picard(start, chain.depth), chain.layers())
    else:
        weights = [scale * generator.standard_normal(pair) for pair in pairs]
        chain = Chain(weights, generator.standard_normal(sum(sizes)), ("tanh", "relu")[int(generator.integers(2))])
    if not wellposed(chain.W).holds:
        return np.inf
    return max(chain.termination(start, chain.depth), chain.loss())


# ---- cascades --------------------------------------------------------------------------------------


def cascade(W: Array, second: Array, U: Array) -> Array:
    """[[W_1, 0], [U_2, W_2]]: the second network reads the state of the first."""
    return block_matrix([[W, None], [U, second]], [len(W), len(second)])


def cascade_margin(m: float, second: float, coupling: float) -> float:
    """Least eigenvalue of [[m_1, -|U_2|/2], [-|U_2|/2, m_2]]."""
    return 0.5 * (m + second) - 0.5 * math.hypot(m - second, coupling)


def cascade_sample(generator: np.random.Generator) -> float:
    """The margin of the stack, its equilibrium against the two in turn, and uniqueness for any coupling."""
    n, k = (int(size) for size in generator.integers(1, 4, 2))
    m, other = (float(margin) for margin in generator.uniform(0.2, 1.0, 2))
    W, second = singular_network(generator, 1.0 - m, n), singular_network(generator, 1.0 - other, k)
    U = generator.standard_normal((k, n))
    if not wellposed(cascade(W, second, 10 * U)).holds:
        return np.inf
    U *= generator.uniform(0.05, 0.95) * 2 * math.sqrt(m * other) / norm(U)
    stack, c = cascade(W, second, U), 2.0 * generator.standard_normal(n + k)
    f = ACTIVATIONS["relu"]()

    def solve(V: Array, injection: Array) -> Array:
        return equilibrium(V, injection, f, METHODS[1], np.zeros(len(injection)))

    first = solve(W, c[:n])
    turn = np.concatenate((first, solve(second, c[n:] + U @ first)))
    claimed = cascade_margin(m, other, norm(U))
    return max(claimed / (wellposed(stack).margin + 1e-12), norm(solve(stack, c) - turn) * claimed / 1e-8)


def nn11_sample(generator: np.random.Generator) -> float:
    """A feedforward network, or a cascade of two equilibria."""
    return chain_sample(generator) if generator.integers(2) else cascade_sample(generator)


SCALARS = Chain([np.full((1, 1), 2.0)] * 2, np.ones(3), "relu")


def scalar_cascade(coupling: float, claimed: float) -> float:
    """The margin ``claimed`` over that of two scalar networks with m_1 = 1, m_2 = 1/2; infinite if there is none."""
    found = wellposed(cascade(np.zeros((1, 1)), np.full((1, 1), 0.5), np.full((1, 1), coupling)))
    return claimed / found.margin if found.rung == "monotone" else np.inf


def nn11_extremal() -> float:
    """Scalars with equal weights attain the first bound, scalar networks the second."""
    return farthest(SCALARS.loss(), scalar_cascade(1.0, cascade_margin(1.0, 0.5, 1.0)))


FORWARD = "W is strictly block lower triangular"
BOTH = "both networks have exactly one equilibrium"
COUPLING = "|U_2| < 2 sqrt(m_1 m_2), in the claim on monotonicity"
FEEDBACK: Any = np.array([[0.0, 2.0], [2.0, 0.0]])

NN11 = Theorem(
    "NN-11",
    "feedforward networks and cascades as one equilibrium",
    "d layers are z = sigma(Wz + c) with W strictly block lower triangular: z <- sigma(Wz + c) ends after at most d steps "
    "from any start, I - W has principal minors 1 and is monotone in the metric Lambda_i = t^{2i}, t small; where only the "
    "blocks W_i below the diagonal ones are not 0, lambda_max(sym W) <= max|W_i| cos(pi/(d + 1)) (1 for monotone); two "
    "networks, margins m_1 and m_2, the second reading U_2 z_1, are one with W = [[W_1, 0], [U_2, W_2]], unique if both are, "
    "and monotone by lambda_min([[m_1, -|U_2|/2], [-|U_2|/2, m_2]]) or more",
    "El Ghaoui, Gu, Travacca, Askari and Tsai (2021), Implicit deep learning, for the embedding; Bai, Kolter and Koltun "
    "(2019), Theorems 1 and 2, for one layer being enough; bounds derived",
    (FORWARD, BOTH, COUPLING),
    (
        "wellposed",
        "EquilibriumOperator.preactivation",
        "ActivationOperator.resolvent",
        "DenseSystem",
        "solve",
        "PeacemanRachford",
    ),
    nn11_sample,
    nn11_extremal,
    (
        Counterexample(FORWARD, "two units that feed each other with weight 2: two equilibria", lambda: multiplicity(FEEDBACK)),
        Counterexample(
            BOTH,
            "a second network z = relu(2z + ...) has two equilibria, and so has the cascade",
            lambda: multiplicity(cascade(np.zeros((1, 1)), np.full((1, 1), 2.0), np.ones((1, 1)))),
        ),
        Counterexample(COUPLING, "m_1 = 1, m_2 = 1/2, U_2 = 1.5: unique, but not monotone", lambda: scalar_cascade(1.5, 1e-3)),
    ),
    (
        Mutant("bounds times 0.999", lambda: nn11_extremal() / 0.999),
        Mutant("cos(pi/d) for cos(pi/(d + 1))", lambda: SCALARS.loss(math.cos(math.pi / 3))),
        Mutant("d - 1 steps", lambda: SCALARS.termination(np.zeros(3), 2)),
        Mutant("|U_2|/4 for |U_2|/2", lambda: scalar_cascade(1.0, cascade_margin(1.0, 0.5, 0.5))),
    ),
    standing="derived",
    note="A chain of two layers is monotone in the usual metric only for |W_1| < 2: monotone networks do not contain the "
    "feedforward ones, those that are monotone in a diagonal metric do.",
)

THEOREMS = (NN11,)
