"""What a pass of an equilibrium layer asks of W: products, resolvents, gradients and constants, for rows of states."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from monops.constants import Constants
from monops.errors import CapabilityError


class Spread(NamedTuple):
    """Where the numerical range of M = I - W lies: Re in [least, symmetric], |Im| <= skew.

    Rough numbers from a few products: they choose a step among those that are proven, and prove nothing themselves.
    """

    least: float
    symmetric: float
    skew: float

    def contraction(self, step: float) -> float:
        """Largest |1 - step t|/|1 + step t| for t in the rectangle: what a step of Peaceman-Rachford leaves of the error."""
        corners = ((x, y) for x in (self.least, self.symmetric) for y in (0.0, self.skew))
        return max(
            math.sqrt(((1 - step * x) ** 2 + (step * y) ** 2) / ((1 + step * x) ** 2 + (step * y) ** 2)) for x, y in corners
        )

    @property
    def best_step(self) -> float:
        """The minimiser of ``contraction``: where the curves of two corners cross, or where one has its minimum."""
        lowest = 1.0 / math.hypot(self.symmetric, self.skew)
        highest = 1.0 / math.hypot(self.least, self.skew)
        crossing = 1.0 / math.sqrt(self.least * self.symmetric)
        candidates = {lowest, highest, min(max(crossing, lowest), highest)}
        if self.least * self.symmetric > self.skew**2:
            candidates.add(1.0 / math.sqrt(self.least * self.symmetric - self.skew**2))
        return min(candidates, key=self.contraction)


@dataclass(frozen=True, eq=False)
class System(ABC):
    """W for one pass: a function of ``weights`` alone, with whatever is computed from them kept until the pass is forgotten.

    States are rows (batch, size); ``shape`` is the natural shape of one of them. ``product``, ``product_transposed`` and
    ``cotangents`` are plain differentiable torch code in weights and rows (they are differentiated once more by a second
    backward pass); resolvents and constants see detached weights only. Rows never mix: one with NaN leaves the others alone.

    Parameters
    ----------
    weights : tuple of tensors
        The tensors W is made of, as differentiable functions of the module's parameters.
    monotonicity : float
        m > 0 with sym(I - W) >= m I (in the metric, where there is one), by construction.
    """

    weights: tuple[Tensor, ...]
    monotonicity: float

    @property
    @abstractmethod
    def size(self) -> int:
        """Entries of one state."""

    @property
    def mask(self) -> Tensor | None:
        """0 where entries of the state are held at 0, else 1, shape (size,); None where all are free."""
        return None

    @property
    def metric(self) -> Tensor | None:
        """The positive weights (size,) of the inner product in which I - W is strongly monotone; None is the usual one."""
        return None

    @property
    def has_resolvent(self) -> bool:
        """Whether (I + step (I - W))^-1 is cheap."""
        return True

    @property
    def effort(self) -> tuple[float, float, float]:
        """Seconds in some unit of: a product with one row, a resolvent of one row, making the resolvent of a step."""
        return (1.0, 1.0, 0.0)

    @abstractmethod
    def product(self, z: Tensor) -> Tensor:
        """W z for every row."""

    @abstractmethod
    def product_transposed(self, u: Tensor) -> Tensor:
        """W' u for every row."""

    @abstractmethod
    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """The gradient of sum_rows <u, W z> in each of ``weights`` (torch's convention where they are complex)."""

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        """(I + step (I - W))^-1 x for every row."""
        raise CapabilityError(f"the resolvent of {type(self).__name__} has no cheap form: use ForwardBackwardForward")

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        """(I + step (I - W'))^-1 x for every row."""
        raise CapabilityError(f"the resolvent of {type(self).__name__} has no cheap form: use ForwardBackwardForward")

    @abstractmethod
    def exact_constants(self) -> Constants:
        """Mu and L of I - W (in the metric), computed to rounding and rounded to the safe side; may be slow."""

    @abstractmethod
    def lipschitz_bound(self) -> float:
        """A certified upper bound of |I - W| (in the metric) that costs a few products."""

    @abstractmethod
    def spread(self) -> Spread:
        """Rough bounds of the numerical range, from a few products."""

    @cached_property
    def constants(self) -> Constants:
        """What the solvers read: m by construction, and the cheap bound of L."""
        lipschitz = self.lipschitz_bound()
        mu = min(self.monotonicity, lipschitz)
        return Constants(
            mu,
            mu / lipschitz**2,
            lipschitz,
            affine=True,
            why={
                "strong_monotonicity": "computed: m, by the parametrisation of W",
                "cocoercivity": "rule: mu/L^2",
                "lipschitz": "computed: a bound of |I - W|",
            },
        )

    @torch.no_grad()
    def dense(self) -> Tensor:
        """W as a matrix (size, size); for small systems."""
        first = self.weights[0]
        real = first.real.dtype if first.is_complex() else first.dtype
        return self.product(torch.eye(self.size, dtype=real, device=first.device)).mT


def norm_bound(matrices: Tensor, squarings: int = 2) -> float:
    """A certified upper bound of the largest spectral norm of matrices (..., n, n): |(M*M)^(2^j)|_F^(1/2^(j+1)), j squarings.

    At most n^(1/2^(j+2)) times too large, less where the singular values decay. **Cost** j + 1 products n x n x n each.
    """
    scale = frobenius(matrices).amax().clamp(min=torch.finfo(matrices.dtype).tiny)
    gram = matrices / scale
    gram = gram.mH @ gram
    for _ in range(squarings):
        gram = gram @ gram
    rounding = 1.0 + 8.0 * matrices.shape[-1] * torch.finfo(matrices.dtype).eps
    return float(frobenius(gram).amax() ** (0.5**squarings / 2) * scale) * rounding


def frobenius(matrices: Tensor) -> Tensor:
    """Frobenius norms of matrices (..., n, m); of complex ones by their parts, because torch's own norm of those is slow."""
    flat = matrices.contiguous().flatten(-2)
    return torch.linalg.vector_norm(torch.view_as_real(flat).flatten(-2) if flat.is_complex() else flat, dim=-1)
