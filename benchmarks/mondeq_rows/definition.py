"""What every solver of a row must satisfy, written from the definition of W with plain convolutions: the one referee.

Tiers are tensors (batch, channels, side, side) on their rings. With A, B, C scaled to Frobenius norm sqrt(g), h, sqrt(gn),
(W z)_i = (1 - m) z_i - A_i' A_i z_i + (B_i - B_i') z_i - C_i' C_i z_i - 2 A_i' C_(i-1) z_(i-1), where C_i is a circular
convolution read at every second point (Winston and Kolter, 2020, section 5 and appendix).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.mondeq_rows.row import Row

State = tuple[Tensor, ...]


class Residuals(NamedTuple):
    """Relative residual of the batch, and of its worst sample."""

    batch: float
    worst: float


def circular(z: Tensor, kernel: Tensor) -> Tensor:
    """The circular convolution of every channel map."""
    return functional.conv2d(functional.pad(z, (1, 1, 1, 1), mode="circular"), kernel)


def flipped(kernel: Tensor) -> Tensor:
    """The kernel of the transposed convolution."""
    return kernel.transpose(0, 1).flip(2, 3)


def closed(opened: Tensor) -> Tensor:
    """Rings from maps that were opened by one row and one column: the first is added to the last."""
    rows = torch.cat((opened[:, :, 1:-1], opened[:, :, -1:] + opened[:, :, :1]), 2)
    return torch.cat((rows[:, :, :, 1:-1], rows[:, :, :, -1:] + rows[:, :, :, :1]), 3)


class Definition:
    """W, the injection and the activation of a row, from its weights."""

    def __init__(self, row: Row, state: dict[str, Tensor]) -> None:
        self.row, self.state, self.m = row, state, row.monotonicity

    def _scaled(self, name: str, factor: Tensor) -> Tensor:
        kernel = self.state[name]
        return factor * kernel / kernel.norm()

    def injection(self, x: Tensor) -> State:
        """U x + b on the first tier, 0 on the others."""
        weight, bias = self.state["U.weight"], self.state["U.bias"]
        if self.row.kind == "dense":
            return (x @ weight.mT + bias,)
        first = circular(x, weight) + bias[:, None, None]
        rest = zip(self.row.channels[1:], self.row.ring[1:], strict=True)
        return (first, *(x.new_zeros(len(x), channels, side, side) for channels, side in rest))

    def kernels(self) -> dict[str, list[Tensor]]:
        """A, B - B' and C of every tier as they act."""
        s = self.state
        if self.row.kind == "dense":
            return {"A": [s["A.weight"]], "S": [s["B.weight"] - s["B.weight"].mT], "C": []}
        if self.row.kind == "convolution":
            B = self._scaled("B.weight", s["h"])
            return {"A": [self._scaled("A.weight", s["g"].sqrt())], "S": [B - flipped(B)], "C": []}
        tiers = range(len(self.row.channels))
        skew = [self._scaled(f"B0.{i}.weight", s[f"h.{i}"]) for i in tiers]
        return {
            "A": [self._scaled(f"A0.{i}.weight", s[f"g.{i}"].sqrt()) for i in tiers],
            "S": [B - flipped(B) for B in skew],
            "C": [self._scaled(f"A_n0.{i}.weight", s[f"gn.{i}"].sqrt()) for i in tiers[:-1]],
        }

    def product(self, z: State, kernels: dict[str, list[Tensor]] | None = None) -> State:
        """W z."""
        k = self.kernels() if kernels is None else kernels
        if self.row.kind == "dense":
            A, S = k["A"][0], k["S"][0]
            return ((1 - self.m) * z[0] - (z[0] @ A.mT) @ A + z[0] @ S.mT,)
        out = []
        down: Tensor | None = None
        for i, (state, A, S) in enumerate(zip(z, k["A"], k["S"], strict=True)):
            inner = circular(state, A)
            if down is not None:
                inner = inner + 2 * functional.pad(down, (0, 1, 0, 1))
            value = circular(state, S) - circular(inner, flipped(A))
            if self.m != 1:
                value = value + (1 - self.m) * state
            if i < len(k["C"]):
                C = k["C"][i]
                down = functional.conv2d(functional.pad(state, (1, 1, 1, 1), mode="circular"), C, stride=2)
                value = value - closed(functional.conv_transpose2d(down, C, stride=2))
            out.append(value)
        return tuple(out)

    def activation(self, h: State) -> State:
        """ReLU, and 0 on the border."""
        if self.row.kind == "dense":
            return tuple(part.relu() for part in h)
        return tuple(functional.pad(part[:, :, 1:-1, 1:-1].relu(), (1, 1, 1, 1)) for part in h)

    @torch.no_grad()
    def forward_residuals(self, x: Tensor, z: State) -> Residuals:
        """|z - sigma(W z + c)| / |z|."""
        injected, product = self.injection(x), self.product(z)
        image = self.activation(tuple(w + c for w, c in zip(product, injected, strict=True)))
        return _relative(tuple(a - b for a, b in zip(z, image, strict=True)), z)

    def backward_residuals(self, x: Tensor, z: State, u: State, gradient: State) -> Residuals:
        """|u - J (W'u + g)| / |u|; J is 1 where z and W z + c are positive, 0 where neither is, and the better of both else."""
        at = tuple(part.detach().requires_grad_() for part in z)
        product = self.product(at)
        transposed = torch.autograd.grad(product, at, u)
        image = self.activation(tuple(w + c for w, c in zip(product, self.injection(x), strict=True)))
        errors = []
        for part, active, hidden, t, g in zip(z, image, u, transposed, gradient, strict=True):
            one, zero = hidden - t - g, hidden
            both, neither = (part > 0) & (active > 0), (part <= 0) & (active <= 0)
            better = torch.where(one.abs() < zero.abs(), one, zero)
            errors.append(torch.where(both, one, torch.where(neither, zero, better)))
        return _relative(tuple(errors), u)


def _relative(error: State, reference: State) -> Residuals:
    up, down = (torch.cat([part.flatten(1) for part in parts], 1).norm(dim=1) for parts in (error, reference))
    return Residuals(float(up.norm() / down.norm()), float((up / down).max()))
