"""The diagonal-multiplier certificate: a bound of what an equilibrium network can do to a difference of inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from monops.errors import ShapeError

STEPS, RATE = 200, 0.1
NARROWEST = 1e-6  # of a sector: a narrower one is widened, which keeps the bound
UNIT = 2.0**-53
RAISES = (1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)  # relative, of a bound until its proof goes through


@dataclass(frozen=True, eq=False)
class Loop:
    """Differences p = J h, h = W p + U q, y = C p + V U q, with J a diagonal of slopes in [0, width]; a batch of them.

    Only K = U U' counts, because |q| is least among all q with the same U q when q = U'K^-1 U q.

    Attributes
    ----------
    W : tensor (batch, n, n)
    K : tensor (batch, n, n)
        U U'.
    C, V : tensors (batch, k, n)
    width : tensor (batch, n)
        In (0, 1].
    size : tensor (batch, n, n)
        A bound of |U| |U|', entry by entry: how large the terms of K are.
    terms : int
        How many products an entry of K is the sum of.
    """

    W: Tensor
    K: Tensor
    C: Tensor
    V: Tensor
    width: Tensor
    size: Tensor
    terms: int

    @classmethod
    def of(cls, W: Tensor, U: Tensor, C: Tensor, V: Tensor | None = None, most: float = 1.0) -> Loop:
        """The loop of slopes in [0, most] for W (n, n), U (n, inputs) and readouts C (batch, k, n), V the same."""
        if C.ndim != 3 or W.shape != (C.shape[2],) * 2 or U.shape[0] != C.shape[2]:
            shapes = f"W {tuple(W.shape)}, U {tuple(U.shape)}, C {tuple(C.shape)}"
            raise ShapeError(f"a loop needs W (n, n), U (n, inputs) and C (batch, k, n), got {shapes}")
        batch, n = C.shape[0], C.shape[2]
        K, size = U @ U.mT, U.abs() @ U.abs().mT
        V = torch.zeros_like(C) if V is None else V
        width = W.new_full((batch, n), max(most, NARROWEST))
        return cls(W.expand(batch, n, n), K.expand(batch, n, n), C, V, width, size.expand(batch, n, n), U.shape[1])

    def rows(self, chosen: Tensor) -> Loop:
        """Some of the batch."""
        W, K, C, V, width, size = (t[chosen] for t in (self.W, self.K, self.C, self.V, self.width, self.size))
        return Loop(W, K, C, V, width, size, self.terms)

    def narrowed(self, lower: Tensor, upper: Tensor) -> Loop:
        """The loop for slopes in [lower, upper] (batch, n), a part of [0, 1], in place of [0, 1].

        With p = lower h + p~ and p~ = J~ h: h = (I - W lower)^-1 (W p~ + U q), and J~ has slopes in [0, upper - lower].
        """
        width = (upper - lower).clamp(min=NARROWEST)
        lower = torch.minimum(lower, 1.0 - width)
        n = self.W.shape[-1]
        identity = torch.eye(n, dtype=self.W.dtype)
        T = torch.linalg.inv(identity - self.W * lower[:, None, :])
        W, K, size = T @ self.W, T @ self.K @ T.mT, T.abs() @ self.size @ T.abs().mT
        low = self.C * lower[:, None, :]
        # V U q of the old loop is V (I - W lower) U~ q, with U~ = T U
        V = self.V @ (identity - self.W * lower[:, None, :]) + low
        return Loop(W, K, self.C + low @ W, V, width, size, self.terms)


def bound_of(loop: Loop, multipliers: Tensor) -> Tensor:
    """The least gamma (batch,) with |y| <= gamma |q| that these multipliers (batch, n) prove; infinite where they prove none.

    gamma = lambda_max([[L U, -C']' N^-1 [L U, -C'] - [[0, U'V'], [V U, 0]]), N = 2 L/width - L W - W'L > 0, L the diagonal of
    multipliers. Differentiable.
    """
    L, n, k = multipliers[:, :, None], loop.W.shape[-1], loop.C.shape[1]
    LW = L * loop.W
    N = torch.diag_embed(2.0 * multipliers / loop.width) - LW - LW.mT
    factor, failed = torch.linalg.cholesky_ex(N)
    sound = failed == 0
    identity = torch.eye(n, dtype=N.dtype)
    factor = torch.where(sound[:, None, None], factor, identity)
    R = _root(loop.K)
    G = torch.linalg.solve_triangular(factor, torch.cat((L * R, -loop.C.mT), dim=-1), upper=False)
    H = G.mT @ G
    if bool((loop.V != 0).any()):
        direct = loop.V @ R
        top = torch.cat((direct.new_zeros(len(L), n, n), direct.mT), dim=-1)
        H = H - torch.cat((top, torch.cat((direct, direct.new_zeros(len(L), k, k)), dim=-1)), dim=-2)
    with torch.no_grad():
        vector = torch.linalg.eigh(H)[1][:, :, -1:]
    gamma = (vector.mT @ H @ vector)[:, 0, 0]
    return torch.where(sound, gamma, torch.inf)


def _root(K: Tensor) -> Tensor:
    """R with R R' = K, for K positive semidefinite; one for a batch that repeats the same K."""
    first = K[:1] if K.stride(0) == 0 else K
    tiny = 1e-12 * torch.diagonal(first, dim1=-2, dim2=-1).mean(-1)[:, None, None] + torch.finfo(K.dtype).tiny
    if K.dtype == torch.float32:
        tiny = 1e5 * tiny
    return torch.linalg.cholesky(first + tiny * torch.eye(K.shape[-1], dtype=K.dtype)).expand(K.shape)


def improve(loop: Loop, start: Tensor, steps: int = STEPS, rate: float = RATE) -> tuple[Tensor, Tensor]:
    """Multipliers (batch, n) and what they prove, never worse than the start: Adam on their logarithms, the best one kept.

    gamma is convex in the multipliers. Where a step leaves the set in which they prove anything, the row goes back to its best.
    """
    logarithms = start.log().clone().requires_grad_()
    optimizer = torch.optim.Adam([logarithms], lr=rate)
    best, kept = torch.full((len(start),), torch.inf, dtype=start.dtype), start.clone()
    for step in range(steps + 1):
        optimizer.param_groups[0]["lr"] = rate * (1.0 - step / (steps + 1)) ** 2
        gamma = bound_of(loop, logarithms.exp())
        with torch.no_grad():
            better = gamma < best
            best = torch.where(better, gamma, best)
            kept = torch.where(better[:, None], logarithms.exp(), kept)
            lost = ~torch.isfinite(gamma)
            logarithms[lost] = 0.5 * (logarithms[lost] + kept[lost].log())
        if step == steps:
            break
        optimizer.zero_grad()
        torch.where(lost, 0.0, gamma).log1p().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return kept, best.detach()


@torch.no_grad()
def proves(loop: Loop, multipliers: Tensor, gamma: Tensor) -> Tensor:
    """Whether |y| <= gamma |q| is proven (batch,), rounding included: a shifted matrix has a Cholesky factor.

    The matrix [[gamma N - L K L, gamma C' + L K V'], [., gamma^2 I - V K V']], L the multipliers, N = 2 L/width - L W - W'L, is
    positive semidefinite where its computed value, scaled by powers of two to a diagonal of about 1 and shifted down by all
    that rounding can have done to it, has a factor (Rump 2006). The numbers of the loop count as exact.
    """
    L, n, k = multipliers, loop.W.shape[-1], loop.C.shape[1]
    g = gamma[:, None, None]

    def assembled(W: Tensor, K: Tensor, C: Tensor, V: Tensor, minus: float) -> Tensor:
        LW, LK = L[:, :, None] * W, L[:, :, None] * K
        N = torch.diag_embed(2.0 * L / loop.width) + minus * (LW + LW.mT)
        corner = LK @ V.mT + g * C.mT
        identity = torch.eye(k, dtype=W.dtype)
        top = torch.cat((g * N + minus * LK * L[:, None, :], corner), dim=-1)
        return torch.cat((top, torch.cat((corner.mT, g * g * identity + minus * (V @ K @ V.mT)), dim=-1)), dim=-2)

    H = assembled(loop.W, loop.K, loop.C, loop.V, -1.0)
    terms = assembled(loop.W.abs(), loop.size, loop.C.abs(), loop.V.abs(), 1.0)
    diagonal = torch.diagonal(H, dim1=-2, dim2=-1)
    positive = torch.isfinite(diagonal).all(-1) & (diagonal > 0).all(-1)
    scale = torch.exp2(-torch.round(0.5 * torch.log2(torch.where(positive[:, None], diagonal, 1.0))))
    H, terms = (scale[:, :, None] * M * scale[:, None, :] for M in (H, terms))
    operations = loop.terms + 3 * n + k + 10
    shift = 2.0 * UNIT * (operations * terms.sum(-1).amax(-1) + (n + k + 2) * torch.diagonal(H, dim1=-2, dim2=-1).sum(-1))
    shifted = H - shift[:, None, None] * torch.eye(n + k, dtype=H.dtype)
    return positive & (torch.linalg.cholesky_ex(torch.where(positive[:, None, None], shifted, torch.eye(n + k)))[1] == 0)


def certified(loop: Loop, multipliers: Tensor, gamma: Tensor) -> Tensor:
    """Gamma (batch,), raised as little as its proof needs; infinite where a thousandth more does not help."""
    found = torch.full_like(gamma, torch.inf)
    for more in RAISES:
        open_ = torch.nonzero(torch.isinf(found) & torch.isfinite(gamma))[:, 0]
        if not len(open_):
            break
        raised = gamma[open_] * (1.0 + more)
        fine = proves(loop.rows(open_), multipliers[open_], raised)
        found[open_[fine]] = raised[fine]
    return found
