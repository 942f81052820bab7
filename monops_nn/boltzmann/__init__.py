"""Monotone deep Boltzmann machines: mean-field inference with one solution, found by splitting methods.

A pairwise Markov random field over nodes with finitely many states, p(x) ~ exp(x'Phi x/2 + b'x), has the mean field
q_i = softmax((Phi q + b)_i). Softmax is the prox of a convex function, so that this is a monotone inclusion where I - Phi/s is
strongly monotone, s <= 2: with one solution, whatever nodes are observed (Feng, Winston and Kolter 2023).
"""

from monops_nn.boltzmann.clamped import ClampedDerivative, ClampedSoftmax
from monops_nn.boltzmann.classical import (
    exact_marginals,
    ferromagnet,
    free_energy,
    node_entries,
    parallel_mean_field,
    sequential_mean_field,
)
from monops_nn.boltzmann.machine import BoltzmannMachine, Completion, known_pixels
from monops_nn.boltzmann.mean_field import MeanField
from monops_nn.boltzmann.nodes import Nodes, NodeSoftmax, nodes_of
from monops_nn.boltzmann.parametrize import Couplings, DenseBoltzmann, Factor, Layer, LayeredBoltzmann
from monops_nn.boltzmann.symmetric import SymmetricSystem
from monops_nn.boltzmann.system import FactorSystem

__all__ = [
    "BoltzmannMachine",
    "ClampedDerivative",
    "ClampedSoftmax",
    "Completion",
    "Couplings",
    "DenseBoltzmann",
    "Factor",
    "FactorSystem",
    "Layer",
    "LayeredBoltzmann",
    "MeanField",
    "NodeSoftmax",
    "Nodes",
    "SymmetricSystem",
    "exact_marginals",
    "ferromagnet",
    "free_energy",
    "known_pixels",
    "node_entries",
    "nodes_of",
    "parallel_mean_field",
    "sequential_mean_field",
]
