"""A causal transformer block as the cell of an equilibrium: one map of the state, with the tokens injected at each use."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError, ShapeError

Positions = Literal["rotary", "relative"]
BASE = 10_000.0  # of the wave lengths of rotary positions


class TransformerCell(nn.Module):
    r"""A causal transformer block f(z, u) whose fixed points z = f(z, u) are states of a text.

    .. math::
        (u_q, u_k, u_v, u_r) = U x, \qquad
        y = \mathrm{LN}\bigl(z + u_r + O\,\mathrm{attention}(Q z + u_q,\ K z + u_k,\ V z + u_v)\bigr), \qquad
        f(z, u) = \mathrm{LN}\bigl(y + B\,\mathrm{GELU}(A y + a) + b\bigr)

    x are embedded tokens; u = U x is made once by `inject` and read at each use of f. The attention of position t sees
    positions up to t only.

    Parameters
    ----------
    width : int
        Features of a position.
    heads : int
        Of the attention; width must be a multiple of it (of twice it for rotary positions).
    hidden : int, optional
        Features between the two maps of the feed-forward part; default 4 width.
    positions : {"rotary", "relative"}, default "rotary"
        "rotary": queries and keys are turned by angles proportional to their position, so that scores depend on distances;
        "relative": a learned number for each head and distance is added to the scores. Neither limits the length.
    distances : int, default 128
        With "relative": farther tokens share the last number.
    dropout : float, default 0.0
        Share of the features of both branches that `masks` silences. A mask is drawn once for a solve and is an input of the
        cell, the same at each use and position: f stays one map.
    fused : bool, default False
        Attention by torch's fused kernel: less memory for long texts, but a derivative that cannot be differentiated again, as
        the penalty of the Jacobian needs, nor be taken along a direction.

    Raises
    ------
    DataError
        For numbers that do not fit.
    ShapeError
        When the state, the injection or a mask have other shapes.

    Notes
    -----
    **Existence** The last layer norm puts the image of f into a fixed ball, so a fixed point exists for all weights (Brouwer).
    It is unique, and plain iteration finds it, where f contracts. u_r enters the first layer norm beside z: when z and u_r have
    norms 1 : r there, the part of the Jacobian that the skip connection contributes is 1/(1 + r), about 1/2 at the start.
    **Causality** Row t of f depends on rows 1..t of z and x, and so does row t of the fixed point wherever it is unique.
    **Cost** of one use for B texts of T positions: 2 B T (4 width^2 + 2 width hidden) + 2 B T^2 width multiplications and
    additions; weights 8 width^2 + 2 width hidden, biases and norms aside.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need. Bai, Kolter and Koltun (2019), Deep equilibrium models, section 3.3.
    Su et al. (2021), RoFormer. Gal and Ghahramani (2016), dropout with one mask for all uses.

    Examples
    --------
    >>> cell = TransformerCell(8, 2)
    >>> x = torch.randn(3, 5, 8)
    >>> cell(torch.zeros(3, 5, 8), *cell.inputs(x)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int | None = None,
        *,
        positions: Positions = "rotary",
        distances: int = 128,
        dropout: float = 0.0,
        fused: bool = False,
    ) -> None:
        super().__init__()
        hidden = 4 * width if hidden is None else hidden
        for name, value in (("width", width), ("heads", heads), ("hidden", hidden), ("distances", distances)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"{name}={value!r} must be a positive integer")
        if positions not in get_args(Positions):
            raise DataError(f"positions={positions!r} is unknown: choose one of {', '.join(get_args(Positions))}")
        unit = 2 * heads if positions == "rotary" else heads
        if width % unit:
            raise DataError(f"width={width} must be a multiple of {unit} for {heads} heads and {positions} positions")
        if not 0.0 <= dropout < 1.0:
            raise DataError(f"dropout={dropout!r} must be a share from 0 up to, not including, 1")
        self.width, self.heads, self.hidden, self.positions = width, heads, hidden, positions
        self.dropout, self.fused = dropout, fused
        self.injection = nn.Linear(width, 4 * width)
        self.attention = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.attention_norm = nn.LayerNorm(width)
        self.feedforward_in = nn.Linear(width, hidden)
        self.feedforward_out = nn.Linear(hidden, width)
        self.feedforward_norm = nn.LayerNorm(width)
        if positions == "relative":
            self.distance_scores = nn.Parameter(torch.zeros(heads, distances))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Normal numbers of variance 1/inputs (a quarter of it for the maps that end a branch), biases zero, norms one."""
        for module in (self.injection, self.attention, self.attention_out, self.feedforward_in, self.feedforward_out):
            ends = module in (self.attention_out, self.feedforward_out)
            nn.init.normal_(module.weight, std=(0.5 if ends else 1.0) * module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def inject(self, x: Tensor) -> Tensor:
        """u = U x for embedded tokens x: (batch, length, width) -> (batch, length, 4 width)."""
        injected: Tensor = self.injection(x)
        return injected

    def masks(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The masks of one solve, (batch, width) each; none without dropout or in evaluation."""
        if not self.training or self.dropout == 0.0:
            return ()
        kept = 1.0 - self.dropout
        shape = (2, len(x), self.width)
        drawn = torch.rand(shape, dtype=x.dtype, generator=generator, device=x.device) < kept
        return tuple((drawn.to(x.dtype) / kept).unbind())

    def inputs(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """All inputs of the cell for embedded tokens: the injection and the masks."""
        return (self.inject(x), *self.masks(x, generator))

    def initial_state(self, injected: Tensor, *masks: Tensor) -> Tensor:
        """Zeros (batch, length, width): the first use of the cell then sees the tokens alone."""
        return injected.new_zeros(*injected.shape[:-1], self.width)

    def forward(self, z: Tensor, injected: Tensor, *masks: Tensor) -> Tensor:
        """f(z, u): (batch, length, width)."""
        self._check(z, injected, masks)
        sent, residual = injected[..., : 3 * self.width], injected[..., 3 * self.width :]
        branch = self.attention_out(self._attended(self.attention(z) + sent))
        if masks:
            branch = branch * masks[0][:, None]
        y = self.attention_norm(z + residual + branch)
        branch = self.feedforward_out(functional.gelu(self.feedforward_in(y)))
        if masks:
            branch = branch * masks[1][:, None]
        image: Tensor = self.feedforward_norm(y + branch)
        return image

    def _attended(self, mixed: Tensor) -> Tensor:
        """Causal attention of queries, keys and values side by side: (batch, length, 3 width) -> (batch, length, width)."""
        batch, length, _ = mixed.shape
        query, key, value = mixed.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()
        if self.positions == "rotary":
            angles = _angles(length, query)
            query, key = _turned(query, angles), _turned(key, angles)
        extra = self._extra_scores(length, query)
        if self.fused:
            mean = functional.scaled_dot_product_attention(query, key, value, attn_mask=extra)
        else:
            mean = torch.softmax(query @ key.mT * query.shape[-1] ** -0.5 + extra, -1) @ value
        return mean.transpose(1, 2).reshape(batch, length, self.width)

    def _extra_scores(self, length: int, like: Tensor) -> Tensor:
        """What is added to the scores, ([heads,] length, length): -inf for tokens that come later."""
        steps = torch.arange(length, device=like.device)
        distance = steps[:, None] - steps
        if self.positions == "rotary":
            scores = like.new_zeros(length, length)
        else:
            scores = self.distance_scores[:, distance.clamp(0, self.distance_scores.shape[1] - 1)]
        return scores.masked_fill(distance < 0, -torch.inf)

    def _check(self, z: Tensor, injected: Tensor, masks: tuple[Tensor, ...]) -> None:
        if injected.ndim != 3 or injected.shape[-1] != 4 * self.width:
            raise ShapeError(
                f"the injection has shape {tuple(injected.shape)}: it is inject(x), (batch, length, {4 * self.width})"
            )
        if z.shape != (*injected.shape[:-1], self.width):
            raise ShapeError(
                f"the state has shape {tuple(z.shape)}, but the injection needs {(*injected.shape[:-1], self.width)}"
            )
        if masks and [mask.shape for mask in masks] != [(len(z), self.width)] * 2:
            shapes = ", ".join(str(tuple(mask.shape)) for mask in masks)
            raise ShapeError(f"masks have shapes {shapes}, but two of shape {(len(z), self.width)} are needed: see masks(x)")

    def extra_repr(self) -> str:
        return f"width={self.width}, heads={self.heads}, positions={self.positions!r}, dropout={self.dropout:g}"


def _angles(length: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of position times frequency: (length, half of a head)."""
    half = like.shape[-1] // 2
    frequencies = BASE ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.outer(torch.arange(length, dtype=torch.float64), frequencies)
    return angles.cos().to(like), angles.sin().to(like)


def _turned(heads: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Pairs of features turned by the angles of their positions."""
    cosine, sine = angles
    first, second = heads.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)
