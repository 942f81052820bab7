"""A chain of blocks, each reading its own state and the one before: W block lower bidiagonal, monotone in a scaled metric."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from monops.constants import Constants
from monops_nn.systems.dense import DenseSystem
from monops_nn.systems.system import Spread, System

DENSE_SIZE = 600  # rows up to this size get exact constants, from the matrix
LARGEST = math.log(torch.finfo(torch.float64).max)  # of the logarithm of the condition number of a metric


class Coupling(ABC):
    """What a block reads of the one before, A z, on rows; a function of ``weights`` alone."""

    weights: tuple[Tensor, ...]

    @abstractmethod
    def apply(self, z: Tensor) -> Tensor:
        """A z for every row."""

    @abstractmethod
    def transposed(self, u: Tensor) -> Tensor:
        """A' u for every row."""

    @abstractmethod
    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """The gradient of sum_rows <u, A z> in the weights."""

    @abstractmethod
    def norm(self) -> float:
        """A certified upper bound of |A|."""


@dataclass(frozen=True, eq=False)
class Part:
    """One block: its own W (None for 0), its entries in a row, and what it reads of the block before (None for the first)."""

    system: System | None
    size: int
    coupling: Coupling | None

    @property
    def monotonicity(self) -> float:
        """The m of the block alone."""
        return 1.0 if self.system is None else self.system.monotonicity

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """Least and largest entry of the metric of the block alone."""
        metric = None if self.system is None else self.system.metric
        return (1.0, 1.0) if metric is None else (float(metric.min()), float(metric.max()))


@final
@dataclass(frozen=True, eq=False)
class ChainSystem(System):
    """W with blocks W_i on the diagonal and A_i below it, on rows (z_1, ..., z_d).

    Parameters
    ----------
    weights : tuple of tensors
        Those of W_1, then of A_2 and W_2, and so on.
    monotonicity : float
        m below all m_i of the blocks, sym(I - W_i) >= m_i I in the metric Psi_i of the block.
    parts : tuple of Part
    like : tensor
        Of the dtype and device of rows.
    bare : bool, default False
        Whether ``metric`` is kept back, as solving does not need it.

    Notes
    -----
    **Metric** s_i^2 Psi_i. With k_i = |Psi_i^(1/2) A_i Psi_(i-1)^(-1/2)|, bounded from |A_i| and the extremes of Psi, I - W is
    monotone by the least eigenvalue of the tridiagonal matrix of m_i and -k_i s_i/(2 s_(i-1)), and by m where
    k_i s_i/s_(i-1) <= sqrt((m_i - m)(m_(i-1) - m))/cos(pi/(d + 1)), because the tridiagonal matrix of halves has the norm
    cos(pi/(d + 1)). Of all s that do so, log s_i = min(0, log s_(i-1) + b_i), b_i the logarithm of what is allowed, has the
    least condition number: every metric has to fall by what the worst run of blocks asks for, and this one falls by no more.
    **Resolvent** block after block, forward substitution. **Cost** of a product and of a resolvent alike: those of the blocks.

    References
    ----------
    Revay, Wang and Manchester (2020) for metrics; Bai, Kolter and Koltun (2019), Theorems 1 and 2, for the chain; the scaling
    is derived here (NN-11).

    Examples
    --------
    >>> from monops_nn.stacking import stack_feedforward
    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1)).double()
    >>> _ = torch.nn.init.constant_(net[2].weight, 1000.0)
    >>> W = stack_feedforward(net).certified_system()
    >>> W.metric
    tensor([1.0000e+00, 1.0000e-06], dtype=torch.float64)
    >>> round(W.exact_constants().strong_monotonicity, 9)
    0.5
    """

    parts: tuple[Part, ...]
    like: Tensor
    bare: bool = False

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """The blocks of rows."""
        return torch.split(rows, [part.size for part in self.parts], dim=-1)

    @cached_property
    def mask(self) -> Tensor | None:
        masks = [None if part.system is None else part.system.mask for part in self.parts]
        if all(mask is None for mask in masks):
            return None
        return torch.cat(
            [self.like.new_ones(p.size) if mask is None else mask for p, mask in zip(self.parts, masks, strict=True)]
        )

    @property
    def is_nilpotent(self) -> bool:
        """Whether W has no blocks on the diagonal."""
        return all(part.system is None for part in self.parts)

    @property
    def has_resolvent(self) -> bool:
        return all(part.system is None or part.system.has_resolvent for part in self.parts)

    @property
    def effort(self) -> tuple[float, float, float]:
        own = [part.system.effort for part in self.parts if part.system is not None]
        between = float(sum(a.size * b.size for a, b in itertools.pairwise(self.parts)))  # no more than a full matrix
        product, resolvent, making = (sum(cost[k] for cost in own) for k in range(3))
        return (product + between, resolvent + between, making)

    # ---- products and resolvents -------------------------------------------------------------------
    def product(self, z: Tensor) -> Tensor:
        blocks, out = self.split(z), []
        for i, part in enumerate(self.parts):
            image = None if part.system is None else part.system.product(blocks[i])
            if part.coupling is not None:
                read = part.coupling.apply(blocks[i - 1])
                image = read if image is None else image + read
            out.append(torch.zeros_like(blocks[i]) if image is None else image)
        return torch.cat(out, dim=-1)

    def product_transposed(self, u: Tensor) -> Tensor:
        blocks, out = self.split(u), []
        for i, part in enumerate(self.parts):
            image = None if part.system is None else part.system.product_transposed(blocks[i])
            after = self.parts[i + 1].coupling if i + 1 < len(self.parts) else None
            if after is not None:
                read = after.transposed(blocks[i + 1])
                image = read if image is None else image + read
            out.append(torch.zeros_like(blocks[i]) if image is None else image)
        return torch.cat(out, dim=-1)

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        left, right = self.split(u), self.split(z)
        found: list[Tensor] = []
        for i, part in enumerate(self.parts):
            if part.coupling is not None:
                found += part.coupling.cotangents(left[i], right[i - 1])
            if part.system is not None:
                found += part.system.cotangents(left[i], right[i])
        return tuple(found)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        out: list[Tensor] = []
        for part, block in zip(self.parts, self.split(x), strict=True):
            if part.coupling is not None:
                block = torch.add(block, part.coupling.apply(out[-1]), alpha=step)
            out.append(block / (1.0 + step) if part.system is None else part.system.resolvent(block, step))
        return torch.cat(out, dim=-1)

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        blocks, out, after = self.split(x), list[Tensor](), None
        for part, block in zip(reversed(self.parts), reversed(blocks), strict=True):
            if after is not None:
                block = torch.add(block, after.transposed(out[0]), alpha=step)
            own = block / (1.0 + step) if part.system is None else part.system.resolvent_transposed(block, step)
            out.insert(0, own)
            after = part.coupling
        return torch.cat(out, dim=-1)

    @torch.no_grad()
    def dense(self) -> Tensor:
        return self.product(torch.eye(self.size, dtype=self.like.dtype, device=self.like.device)).mT

    # ---- the metric and the constants ---------------------------------------------------------------
    @cached_property
    def norms(self) -> tuple[float, ...]:
        """Certified bounds of |A_2|, ..., |A_d|."""
        return tuple(part.coupling.norm() for part in self.parts if part.coupling is not None)

    @cached_property
    def log_gains(self) -> tuple[float, ...]:
        """Logarithms of the k_i."""
        pairs = zip(self.norms, itertools.pairwise(self.parts), strict=True)
        return tuple(log(k) + 0.5 * (log(b.extremes[1]) - log(a.extremes[0])) for k, (a, b) in pairs)

    @cached_property
    def log_scales(self) -> tuple[float, ...]:
        """Logarithms of the s_i, at most 0."""
        scales, m, cosine = [0.0], self.monotonicity, math.cos(math.pi / (len(self.parts) + 1))
        for gain, (before, part) in zip(self.log_gains, itertools.pairwise(self.parts), strict=True):
            room = 0.5 * (log(part.monotonicity - m) + log(before.monotonicity - m))
            scales.append(min(0.0, scales[-1] + room - log(cosine) - gain))
        return tuple(scales)

    @property
    def log_condition(self) -> float:
        """The logarithm of the quotient of the largest and the least s_i^2."""
        return 2.0 * (max(self.log_scales) - min(self.log_scales))

    @property
    def block_weights(self) -> Tensor:
        """The s_i^2, float64; 0 where that is too small for it."""
        return (2.0 * torch.tensor(self.log_scales, dtype=torch.float64, device=self.like.device)).exp()

    @cached_property
    def metric(self) -> Tensor | None:
        if self.bare:
            return None
        weights = self.block_weights.repeat_interleave(torch.tensor([p.size for p in self.parts], device=self.like.device))
        own = [None if part.system is None else part.system.metric for part in self.parts]
        if all(metric is None for metric in own):
            return weights
        ones = [weights.new_ones(p.size) if psi is None else psi.detach() for p, psi in zip(self.parts, own, strict=True)]
        return weights * torch.cat(ones)

    def _norm(self, diagonal: list[float]) -> float:
        """The norm of the bidiagonal matrix with these numbers above the k_i s_i/s_(i-1)."""
        below = [math.exp(k + b - a) for k, (a, b) in zip(self.log_gains, itertools.pairwise(self.log_scales), strict=True)]
        matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(
            torch.tensor(below, dtype=torch.float64), -1
        )
        return float(torch.linalg.matrix_norm(matrix, 2)) * (1.0 + 64.0 * len(diagonal) * torch.finfo(torch.float64).eps)

    def lipschitz_bound(self) -> float:
        return self._norm([1.0 if part.system is None else part.system.lipschitz_bound() for part in self.parts])

    def spread(self) -> Spread:
        """That of the blocks on the diagonal alone: the eigenvalues of a block triangular matrix are theirs.

        Where there are none, all eigenvalues of I - W are 1, and with the step 1 reflected resolvents end after d steps.
        """
        own = [part.system.spread() for part in self.parts if part.system is not None]
        zero = [Spread(1.0, 1.0, 0.0)] * (len(own) < len(self.parts))
        least, symmetric, skew = zip(*own, *zero, strict=True)
        return Spread(min(least), max(symmetric), max(skew))

    def exact_constants(self) -> Constants:
        metric = replace(self, bare=False).metric
        if self.size <= DENSE_SIZE and metric is not None and float(metric.min()) > 0:
            return DenseSystem((self.dense().to(torch.float64),), self.monotonicity, metric).exact_constants()
        own = [1.0 if p.system is None else float(p.system.exact_constants().lipschitz or math.inf) for p in self.parts]
        lipschitz = self._norm(own)
        mu = min(self.monotonicity, lipschitz)
        return Constants(
            mu,
            mu / lipschitz**2,
            lipschitz,
            affine=True,
            why={
                "strong_monotonicity": "computed: m, by the scaling of the blocks",
                "cocoercivity": "rule: mu/L^2",
                "lipschitz": "computed: the norm of the matrix of the norms of the blocks",
            },
        )

    def error_bounds(self, miss: Tensor) -> Tensor:
        """Bounds of |z_i - z_i*| in every row, from e = z - sigma(W z + c): shape (batch, d).

        A block that reads z_(i-1) instead of the exact state is solved for c moved by A_i (z_(i-1) - z_(i-1)*), and its own
        residual moves c by W_i e_i (Winston and Kolter 2020, Theorem 1; with a metric Kantorovich 1948).
        """
        found: list[Tensor] = []
        for i, (part, e) in enumerate(zip(self.parts, self.split(miss), strict=True)):
            moved = torch.zeros(len(e), dtype=torch.float64, device=e.device)
            if part.system is not None:
                moved = moved + torch.linalg.vector_norm(part.system.product(e), dim=-1)
            if i:
                moved = moved + self.norms[i - 1] * found[-1]
            found.append(torch.linalg.vector_norm(e, dim=-1) + amplification(part) * moved)
        return torch.stack(found, dim=-1)


def amplification(part: Part) -> float:
    """A bound of |z - y| for the states of the block alone to injections that differ by a vector of norm 1."""
    least, largest = part.extremes
    k = math.sqrt(largest / least)
    return 0.5 * (k + 1.0 / k) / part.monotonicity


def log(x: float) -> float:
    """The logarithm, -inf at 0."""
    return math.log(x) if x > 0 else -math.inf
