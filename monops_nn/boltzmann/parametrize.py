"""Symmetric couplings Phi with zero diagonal blocks and I - Phi >= m I, from free parameters: dense, and of layers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from monops.errors import DataError
from monops_nn.boltzmann.nodes import Nodes, join, nodes_of, split
from monops_nn.boltzmann.symmetric import SymmetricSystem
from monops_nn.boltzmann.system import FactorSystem, Map
from monops_nn.parametrize.arguments import positive_integer
from monops_nn.parametrize.parametrization import Parametrization

START = 0.5  # of |A_i|^2, in the mean, at the start


def capped(blocks: Tensor, limit: Tensor) -> Tensor:
    """min(1, (limit/|D|)^(1/2)) of each symmetric block D >= 0, shape (nodes,); differentiable in the blocks."""
    norms = torch.linalg.eigvalsh(blocks)[..., -1]
    rounding = 1.0 - 8.0 * blocks.shape[-1] * torch.finfo(blocks.dtype).eps
    ratio = limit * rounding / norms.clamp(min=torch.finfo(blocks.dtype).tiny)
    return torch.where(ratio < 1.0, ratio, torch.ones_like(ratio)).sqrt()


def centred(kernel: Tensor, states: int) -> Tensor:
    """The kernel with the mean 0 over the states of each node, which are the slow index of its second axis."""
    columns = kernel.reshape(kernel.shape[0], states, -1, *kernel.shape[2:])
    return (columns - columns.mean(dim=1, keepdim=True)).flatten(1, 2)


class Couplings(Parametrization):
    """What both kinds of couplings share: m < 1, and the nodes of a row."""

    layout: tuple[Nodes, ...]

    def __init__(
        self, monotonicity: float, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(monotonicity, device=device, dtype=dtype)
        if monotonicity >= 1.0:
            raise DataError(
                f"monotonicity={monotonicity!r} must be less than 1: I - Phi has the diagonal 1, and Phi would be 0"
            )

    @property
    def rows_shape(self) -> None:
        return None

    @property
    def limit(self) -> Tensor:
        """What |A_i'A_i| may be, 1 - m."""
        return (1.0 - self.monotonicity).to(self.solving_dtype)


@final
class DenseBoltzmann(Couplings):
    """Phi = blkdiag(A'A) - A'A with A any matrix whose columns of node i are scaled so that |A_i'A_i| <= 1 - m.

    Parameters
    ----------
    states : sequence of int
        k_1, ..., k_d >= 2: how many states each node has.
    monotonicity : float, default 0.1
        m in (0, 1) with I - Phi >= m I.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        Numbers that cannot be meant.

    Notes
    -----
    A (n, n), n = sum of k_i, is free; its columns of node i are multiplied by min(1, ((1 - m)/|A_i'A_i|)^(1/2)), on both sides
    of A'A, so that Phi stays symmetric: an energy q'Phi q/2 exists. Then I - Phi = I - blkdiag(A'A) + A'A >= m I. Every
    symmetric Phi with zero diagonal blocks and Phi <= (1 - m) I is reached, by A'A = (1 - m) I - Phi. **Start** normal.
    **Cost** of `SymmetricSystem`; one n x n x n product and one small eigenvalue problem a node for Phi.

    References
    ----------
    Feng, Winston and Kolter (2023), Monotone deep Boltzmann machines.

    Examples
    --------
    >>> import torch
    >>> Phi = DenseBoltzmann((2, 2, 3), monotonicity=0.25).weight()
    >>> bool((Phi == Phi.mT).all()), Phi[:2, :2].abs().max().item()
    (True, 0.0)
    """

    def __init__(
        self,
        states: Sequence[int],
        monotonicity: float = 0.1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(monotonicity, device=device, dtype=dtype)
        self.states = tuple(positive_integer("states", k, "the states of each node") for k in states)
        if not self.states or min(self.states) < 2:
            raise DataError(f"states={states!r} must list at least one node, each with at least two states")
        self.layout = nodes_of(self.states)
        self.shape = (sum(self.states),)
        self.A = nn.Parameter(torch.empty(*self.shape, *self.shape, device=device, dtype=dtype))
        block = torch.repeat_interleave(torch.arange(len(self.states)), torch.tensor(self.states))
        self.register_buffer("coupled", (block[:, None] != block).to(device), persistent=False)
        self.reset_parameters()

    coupled: Tensor

    def reset_parameters(self) -> None:
        """Draw A anew."""
        nn.init.normal_(self.A, std=math.sqrt(START / self.A.shape[0]))

    def weights(self) -> tuple[Tensor, ...]:
        A = self.A.to(self.solving_dtype)
        columns = list(split(A, self.layout))
        blocks = [part.permute(2, 1, 0) @ part.permute(2, 0, 1) for part in columns]
        A = join([capped(D, self.limit) * part for D, part in zip(blocks, columns, strict=True)], self.layout)
        gram = A.mT @ A
        return (torch.where(self.coupled, -0.5 * (gram + gram.mT), torch.zeros_like(gram)),)

    def system(self, weights: tuple[Tensor, ...]) -> SymmetricSystem:
        return SymmetricSystem(weights, self.certified_monotonicity)

    @torch.no_grad()
    def assign(self, Phi: Tensor) -> None:
        """Set A so that ``weight()`` is Phi; DataError where Phi is not symmetric, has blocks on its diagonal, or m fails."""
        Phi = torch.as_tensor(Phi, dtype=self.A.dtype, device=self.A.device)
        scale = max(1.0, float(Phi.abs().max()))
        if Phi.shape != self.A.shape or float((Phi - Phi.mT).abs().max()) > 1e-6 * scale:
            raise DataError(f"Phi must be a symmetric matrix of shape {tuple(self.A.shape)}, got shape {tuple(Phi.shape)}")
        if bool((Phi[~self.coupled] != 0).any()):
            raise DataError("Phi must be 0 between the states of a node: put what belongs to one node into the bias")
        values, vectors = torch.linalg.eigh((1.0 - self.monotonicity) * torch.eye(len(Phi)).to(Phi) - Phi)
        if float(values[0]) < -1e-6 * scale:
            raise DataError(
                f"I - Phi >= m I fails: its least eigenvalue is {float(values[0] + self.monotonicity):.4g}, and m is "
                f"{float(self.monotonicity):.4g}; weaken the couplings"
            )
        self.A.copy_(values.clamp(min=0.0).sqrt()[:, None] * vectors.mT)

    def extra_repr(self) -> str:
        shown = self.states if len(self.states) <= 8 else f"{len(self.states)} nodes"
        return f"states={shown}, monotonicity={self.certified_monotonicity:g}"


class Layer(NamedTuple):
    """Nodes with ``states`` states each, ``groups`` of them at every site of height x width.

    Examples
    --------
    >>> Layer(4, 28, 28), Layer(10).nodes
    (Layer(states=4, height=28, width=28, groups=1), Nodes(number=1, states=10, adjacent=False))
    """

    states: int
    height: int = 1
    width: int = 1
    groups: int = 1

    @property
    def nodes(self) -> Nodes:
        """As they lie in a row: as images, states outermost, then groups, then sites."""
        return Nodes(self.groups * self.height * self.width, self.states, adjacent=False)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.states * self.groups, self.height, self.width)


class Factor(NamedTuple):
    """Layers that are coupled through common features, sum_l A_l q_l.

    With ``kernel_size`` 0 all A_l are matrices and ``features`` counts their rows. Else they are convolutions with ``features``
    maps on the grid of the coarsest of the layers, with zero padding; where a layer is s times as fine, its kernel has s times
    the extent, and stride s.

    Examples
    --------
    >>> Factor((0, 1), 100), Factor((0,), 8, kernel_size=5)
    (Factor(layers=(0, 1), features=100, kernel_size=0), Factor(layers=(0,), features=8, kernel_size=5))
    """

    layers: tuple[int, ...]
    features: int
    kernel_size: int = 0


def maps_of(layers: Sequence[Layer], factors: Sequence[Factor]) -> tuple[Map, ...]:
    """One map for every layer of every factor; DataError where they do not fit."""
    found = []
    for number, factor in enumerate(factors):
        positive_integer("features", factor.features, "of a factor")
        if not factor.layers or any(not 0 <= i < len(layers) for i in factor.layers):
            raise DataError(f"the layers {factor.layers} of factor {number} must be numbers from 0 to {len(layers) - 1}")
        if len(set(factor.layers)) < len(factor.layers):
            raise DataError(f"the layers {factor.layers} of factor {number} must differ")
        k = factor.kernel_size
        if k < 0 or (k > 0 and k % 2 == 0):
            raise DataError(f"kernel_size={k} must be odd, or 0 for matrices")
        height, width = (min(side) for side in zip(*(layers[i][1:3] for i in factor.layers), strict=True))
        for i in factor.layers:
            grid = layers[i].grid
            if not k:
                found.append(Map(number, i, grid, (factor.features,)))
                continue
            s = grid[1] // height
            if grid[1:] != (s * height, s * width):
                raise DataError(
                    f"factor {number}: {grid[1]} x {grid[2]} sites of layer {i} are not a whole multiple of {height} x {width}"
                )
            found.append(Map(number, i, grid, (factor.features, height, width), s, (k - 1) * s // 2))
    missing = set(range(len(layers))) - {item.layer for item in found}
    if missing:
        raise DataError(f"the layers {sorted(missing)} are in no factor, so that nothing is coupled to them")
    return tuple(found)


@final
class LayeredBoltzmann(Couplings):
    """Phi = blkdiag(A'A) - A'A for layers of nodes, A stacked from factors: convolutions with tied weights, and matrices.

    Parameters
    ----------
    layers : sequence of Layer
    factors : sequence of Factor
        Every layer must be in one.
    monotonicity : float, default 0.1
        m in (0, 1) with I - Phi >= m I.
    device, dtype : optional
        As in torch.

    Raises
    ------
    DataError
        Layers and factors that do not fit.

    Notes
    -----
    No matrix Phi is formed: A q costs a convolution or a matrix product a map. The columns of node i, those of all factors
    together, are multiplied by min(1, ((1 - m)/|A_i'A_i|)^(1/2)) on both sides of A'A; the exact block A_i'A_i of every node,
    at the border of an image too, comes from one transposed convolution, its norm from a small eigenvalue problem. With
    strides and borders the weights are tied up to this scale. Kernels have the mean 0 over the states of a node: what is
    constant there only adds to the bias. **Start** normal. **Cost** of `FactorSystem`.

    References
    ----------
    Feng, Winston and Kolter (2023), Monotone deep Boltzmann machines.

    Examples
    --------
    >>> import torch
    >>> layers = (Layer(2, 4, 4), Layer(3, 2, 2), Layer(5))
    >>> linear = LayeredBoltzmann(layers, (Factor((0, 1), 4, kernel_size=3), Factor((1, 2), 6)), monotonicity=0.2)
    >>> Phi = linear.weight().double()
    >>> 0.2 <= 1.0 - torch.linalg.eigvalsh(Phi)[-1].item() + 1e-6
    True
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        factors: Sequence[Factor],
        monotonicity: float = 0.1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(monotonicity, device=device, dtype=dtype)
        self.layers, self.factors = tuple(layers), tuple(factors)
        for number, value in itertools.chain(*(((n, v) for v in layer) for n, layer in enumerate(self.layers))):
            positive_integer("layers", value, f"the numbers of layer {number}")
        if any(layer.states < 2 for layer in self.layers):
            raise DataError("every node must have at least two states")
        self.maps = maps_of(self.layers, self.factors)
        self.layout = tuple(layer.nodes for layer in self.layers)
        self.shape = (sum(nodes.size for nodes in self.layout),)
        self.kernels = nn.ParameterList(
            torch.empty(*self._kernel_shape(item), device=device, dtype=dtype) for item in self.maps
        )
        self.reset_parameters()

    def _kernel_shape(self, item: Map) -> tuple[int, ...]:
        if not item.stride:
            return (item.features[0], self.layout[item.layer].size)
        extent = self.factors[item.factor].kernel_size * item.stride
        return (item.features[0], item.grid[0], extent, extent)

    def reset_parameters(self) -> None:
        """Draw all kernels anew."""
        shares = [sum(item.layer == i for item in self.maps) for i in range(len(self.layers))]
        for item, kernel in zip(self.maps, self.kernels, strict=True):
            reach = kernel.shape[0] * (self.factors[item.factor].kernel_size ** 2 if item.stride else 1)
            nn.init.normal_(kernel, std=math.sqrt(START / (reach * shares[item.layer])))

    def weights(self) -> tuple[Tensor, ...]:
        kernels = [
            centred(kernel.to(self.solving_dtype), self.layers[item.layer].states)
            for item, kernel in zip(self.maps, self.kernels, strict=True)
        ]
        blocks: dict[int, Tensor] = {}
        for item, kernel in zip(self.maps, kernels, strict=True):
            D = item.blocks(kernel, self.layout[item.layer])
            blocks[item.layer] = blocks[item.layer] + D if item.layer in blocks else D
        scales = [capped(blocks[i], self.limit) for i in range(len(self.layers))]
        return (*kernels, *scales, *(s[:, None, None] ** 2 * blocks[i] for i, s in enumerate(scales)))

    def system(self, weights: tuple[Tensor, ...]) -> FactorSystem:
        return FactorSystem(weights, self.certified_monotonicity, self.layout, self.maps)

    def extra_repr(self) -> str:
        m = self.certified_monotonicity
        return f"layers={self.layers}, factors={self.factors}, monotonicity={m:g}"
