"""Phi = blkdiag(A'A) - A'A, with A'A applied through the features A q and never formed."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional

from monops.constants import Constants
from monops_nn.boltzmann.nodes import Nodes, join, split
from monops_nn.systems.certified import certified_constants
from monops_nn.systems.dense import DenseSystem
from monops_nn.systems.system import Spread, System, norm_bound

FEATURES = 1536  # so many features have a resolvent
POWERS = 8  # products, for a rough |I - W|
EXACT = 1024  # rows up to this size get exact constants


class Map(NamedTuple):
    """One layer's part of the features of one factor: a matrix, or a convolution.

    ``grid`` is channels (states and groups), height and width of the layer's images; stride 0 is a matrix.
    """

    factor: int
    layer: int
    grid: tuple[int, int, int]
    features: tuple[int, ...]
    stride: int = 0
    padding: int = 0

    @property
    def entries(self) -> int:
        """How many features."""
        return math.prod(self.features)

    def images(self, rows: Tensor) -> Tensor:
        """Images (batch, channels, height, width) of a layer (batch, states, nodes)."""
        return rows.reshape(rows.shape[0], *self.grid)

    def apply(self, kernel: Tensor, q: Tensor) -> Tensor:
        """A q, shape (batch, *features)."""
        if not self.stride:
            return (q.flatten(1) @ kernel.mT).reshape(-1, *self.features)
        return functional.conv2d(self.images(q), kernel, stride=self.stride, padding=self.padding)

    def adjoint(self, kernel: Tensor, y: Tensor) -> Tensor:
        """A' y, shape (batch, entries of the layer)."""
        if not self.stride:
            return y.flatten(1) @ kernel
        return self.transposed(kernel, y).flatten(1)

    def transposed(self, kernel: Tensor, y: Tensor) -> Tensor:
        """The transposed convolution, images of the layer's size."""
        sides = zip(self.grid[1:], self.features[1:], kernel.shape[2:], strict=True)
        left = [side - ((out - 1) * self.stride - 2 * self.padding + taps) for side, out, taps in sides]
        return functional.conv_transpose2d(y, kernel, stride=self.stride, padding=self.padding, output_padding=left)

    def blocks(self, kernel: Tensor, nodes: Nodes) -> Tensor:
        """A_i'A_i for every node i, shape (nodes, states, states)."""
        k = nodes.states
        if not self.stride:
            columns = kernel.reshape(-1, k, nodes.number).permute(2, 1, 0)
            return columns @ columns.mT
        columns = kernel.reshape(kernel.shape[0], k, -1, *kernel.shape[2:])  # features, states, groups, taps
        gram = torch.einsum("fagij,fbgij->abgij", columns, columns).flatten(0, 2)[None]
        reached = self.transposed(gram, kernel.new_ones(1, 1, *self.features[1:]))
        return reached.reshape(k, k, nodes.number).permute(2, 0, 1)

    def norm_gram(self, kernel: Tensor) -> Tensor:
        """A A' as matrices over frequencies, (..., f, f), of a torus of whose convolution this one is a section."""
        if not self.stride:
            return kernel @ kernel.mT
        s, (rows, columns) = self.stride, kernel.shape[2:]
        padded = functional.pad(kernel, (0, -columns % s, 0, -rows % s))
        f, c, rows, columns = padded.shape
        phases = padded.reshape(f, c, rows // s, s, columns // s, s).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
        torus = [out + extent for out, extent in zip(self.features[1:], phases.shape[2:], strict=True)]
        symbol = torch.fft.rfft2(phases, s=torus).permute(2, 3, 0, 1)
        return symbol @ symbol.mH


@final
@dataclass(frozen=True, eq=False)
class FactorSystem(System):
    """W = blkdiag(A'A) - A'A with A = (kernels) diag(scale), in rows of nodes layer by layer.

    Parameters
    ----------
    weights : tuple of tensors
        The kernels of ``maps``; then, layer by layer, scale (nodes,); then blkdiag(A'A), (nodes, states, states).
    monotonicity : float
        m > 0 with I - W >= m I: that of blocks |A_i'A_i| <= 1 - m.
    layout : tuple of Nodes
        One entry a layer.
    maps : tuple of Map

    Notes
    -----
    **Constants** I <= I - W + blkdiag(A'A) = I + A'A gives m <= I - W <= 1 + |A|^2; |A|^2 is bounded by the Gram matrices
    A A' of the factors, convolutions as sections of a torus. **Resolvent** where all maps are matrices, with P = (1 + a) I -
    a blkdiag(A'A) (one small inverse a node): (P + a A'A)^-1 = P^-1 - a P^-1 A'(I + a A P^-1 A')^-1 A P^-1 (Woodbury 1950).
    **Cost** of a product: A and A' once each, and a small product a node.

    References
    ----------
    Feng, Winston and Kolter (2023), Monotone deep Boltzmann machines.
    """

    layout: tuple[Nodes, ...]
    maps: tuple[Map, ...]
    _made: dict[float, tuple[list[Tensor], Tensor]] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return sum(nodes.size for nodes in self.layout)

    @property
    def kernels(self) -> tuple[Tensor, ...]:
        """One a map."""
        return self.weights[: len(self.maps)]

    @property
    def scales(self) -> tuple[Tensor, ...]:
        """One a layer."""
        return self.weights[len(self.maps) : -len(self.layout)]

    @property
    def diagonal(self) -> tuple[Tensor, ...]:
        """Blkdiag(A'A), one tensor a layer."""
        return self.weights[-len(self.layout) :]

    @property
    def feature_count(self) -> int:
        """Rows of A."""
        return sum({item.factor: item.entries for item in self.maps}.values())

    @property
    def has_resolvent(self) -> bool:
        return self.feature_count <= FEATURES and all(item.stride == 0 for item in self.maps)

    @property
    def effort(self) -> tuple[float, float, float]:
        sites = (math.prod(item.features[1:]) for item in self.maps)
        product = 2.0 * sum(kernel.numel() * site for kernel, site in zip(self.kernels, sites, strict=True))
        f = float(self.feature_count)
        return (product, product + f * f, f * f * (f + self.size))

    def features(self, parts: list[Tensor]) -> list[Tensor]:
        """A q, one tensor a factor, of q layer by layer."""
        found: dict[int, Tensor] = {}
        scaled = [scale * part for scale, part in zip(self.scales, parts, strict=True)]
        for item, kernel in zip(self.maps, self.kernels, strict=True):
            y = item.apply(kernel, scaled[item.layer])
            found[item.factor] = found[item.factor] + y if item.factor in found else y
        return [found[factor] for factor in sorted(found)]

    def gather(self, features: list[Tensor]) -> list[Tensor]:
        """A' y, layer by layer, shape (batch, states, nodes)."""
        found: dict[int, Tensor] = {}
        for item, kernel in zip(self.maps, self.kernels, strict=True):
            x = item.adjoint(kernel, features[item.factor])
            found[item.layer] = found[item.layer] + x if item.layer in found else x
        return [
            scale * found[i].reshape(-1, nodes.states, nodes.number)
            for i, (scale, nodes) in enumerate(zip(self.scales, self.layout, strict=True))
        ]

    def product(self, z: Tensor) -> Tensor:
        parts = list(split(z, self.layout))
        gathered = self.gather(self.features(parts))
        return join([each(D, q) - x for D, q, x in zip(self.diagonal, parts, gathered, strict=True)], self.layout)

    def product_transposed(self, u: Tensor) -> Tensor:
        return self.product(u)

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        def multiply(*weights: Tensor) -> Tensor:
            return FactorSystem(weights, self.monotonicity, self.layout, self.maps).product(z)

        cotangents: tuple[Tensor, ...] = torch.func.vjp(multiply, *self.weights)[1](u)
        return cotangents

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        if not self.has_resolvent:
            return super().resolvent(x, step)
        inverses, small = self._factors(step)
        y = [each(P, part) for P, part in zip(inverses, split(x, self.layout), strict=True)]
        inner = torch.cat([part.flatten(1) for part in self.features(y)], dim=1) @ small
        corrections = self.gather(self._cut(inner))
        parts = [part - step * each(P, c) for P, part, c in zip(inverses, y, corrections, strict=True)]
        return join(parts, self.layout)

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        return self.resolvent(x, step)

    def _cut(self, rows: Tensor) -> list[Tensor]:
        shapes = dict(sorted((item.factor, item.features) for item in self.maps))
        sizes = [math.prod(shape) for shape in shapes.values()]
        return [part.reshape(-1, *shape) for part, shape in zip(torch.split(rows, sizes, 1), shapes.values(), strict=True)]

    def _factors(self, step: float) -> tuple[list[Tensor], Tensor]:
        """P^-1 of every node, and (I + a A P^-1 A')^-1."""
        found = self._made.get(step)
        if found is None:
            first = self.weights[0]
            inverses = [
                torch.linalg.inv((1.0 + step) * torch.eye(D.shape[-1], dtype=D.dtype, device=D.device) - step * D)
                for D in self.diagonal
            ]
            eye = torch.eye(self.feature_count, dtype=first.dtype, device=first.device)
            columns = self.gather(self._cut(eye))
            moved = self.features([each(P, part) for P, part in zip(inverses, columns, strict=True)])
            gram = torch.cat([part.flatten(1) for part in moved], dim=1)
            small = torch.linalg.inv(eye + (0.5 * step) * (gram + gram.mT))
            found = self._made[step] = (inverses, small)
        return found

    @cached_property
    def constants(self) -> Constants:
        L = self.lipschitz_bound()
        mu = min(self.monotonicity, L)
        return Constants(
            mu,
            1.0 / L,
            L,
            affine=True,
            why={
                "strong_monotonicity": "computed: m, by the parametrisation of Phi",
                "cocoercivity": "rule: I - W is symmetric, 1/L (Baillon and Haddad 1977)",
                "lipschitz": "computed: 1 + a bound of |A|^2",
            },
        )

    @torch.no_grad()
    def lipschitz_bound(self) -> float:
        return 1.0 + self._norm_squared

    @cached_property
    def _norm_squared(self) -> float:
        """A bound of |A|^2: the sum of those of the factors."""
        largest = [float(scale.detach().amax()) for scale in self.scales]
        total = 0.0
        for _, group in itertools.groupby(
            sorted(zip(self.maps, self.kernels, strict=True), key=lambda pair: pair[0].factor), lambda pair: pair[0].factor
        ):
            convolved: dict[tuple[int, ...], Tensor] = {}
            dense: Tensor | None = None
            for item, kernel in group:
                if item.stride:
                    gram = largest[item.layer] ** 2 * item.norm_gram(kernel)
                    key = tuple(gram.shape)
                    convolved[key] = convolved[key] + gram if key in convolved else gram
                else:
                    scaled = kernel * self.scales[item.layer].repeat(self.layout[item.layer].states)
                    dense = scaled @ scaled.mT if dense is None else dense + scaled @ scaled.mT
            grams = [*convolved.values(), *([] if dense is None else [dense])]
            total += sum(norm_bound(gram, 3) for gram in grams)
        return total

    @torch.no_grad()
    def spread(self) -> Spread:
        first = self.weights[0]
        places = torch.arange(self.size, dtype=first.dtype, device=first.device)
        v = torch.cos(2.0 * places * places)[None]  # no eigenvector, and the same in every pass
        for _ in range(POWERS):
            v = v / torch.linalg.vector_norm(v)
            v = v - self.product(v)
        return Spread(self.monotonicity, max(float(torch.linalg.vector_norm(v)), 1.0), 0.0)

    def exact_constants(self) -> Constants:
        if self.size > EXACT:
            return self.constants
        values = torch.linalg.eigvalsh(DenseSystem((self.dense(),), self.monotonicity).matrix)
        least, top = float(values[0]), float(values[-1])
        rounding = 4.0 * self.size * torch.finfo(values.dtype).eps
        return certified_constants(least, 1.0 / top, 1.0 / least, top**2, rounding, remedy="LayeredBoltzmann")


def each(blocks: Tensor, q: Tensor) -> Tensor:
    """Products of symmetric blocks (nodes, states, states) with q (batch, states, nodes), node by node."""
    return (blocks.permute(1, 2, 0) * q[:, None]).sum(dim=2)
