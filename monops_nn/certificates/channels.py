"""Multipliers for convolutions: one a channel, the same at every pixel, so that each frequency is a small problem."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monops_nn.certificates.multipliers import RAISES, UNIT
from monops_nn.systems.circular import CircularSystem
from monops_nn.systems.fourier import symbol
from monops_nn.systems.padded import PaddedSystem
from monops_nn.systems.system import System

ROUNDS, STEPS, WORST, RATE = 4, 15, 12, 0.1
CHUNK = 64  # frequencies at once


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Symbols W (f, c, c) and K = U U* (f, c, c) at all frequencies, and entries that their terms cannot exceed."""

    W: Tensor
    K: Tensor
    bound_of_taps: Tensor
    bound_of_injection: Tensor
    width: float
    operations: int

    @classmethod
    def of(cls, system: System, injection: nn.Conv2d, size: tuple[int, int], width: float) -> Frequencies | None:
        """Those of a convolution whose injection lives on the same torus without wrapping around; None for others."""
        if not isinstance(system, (CircularSystem, PaddedSystem)):
            return None
        reach = 0 if injection.padding_mode == "circular" else injection.kernel_size[0] // 2
        fits = all(
            side == pixels if reach == 0 else side >= pixels + reach for side, pixels in zip(system.torus, size, strict=True)
        )
        if not fits:
            return None
        kernel, taps = system.weights[0].detach().double(), injection.weight.detach().double()
        W, U = symbol(kernel, system.torus), symbol(taps, system.torus)
        above = taps.abs().sum((2, 3))
        operations = kernel[0, 0].numel() + taps[0].numel() + 3 * len(kernel) + 20
        return cls(W, U @ U.mH, kernel.abs().sum((2, 3)), above @ above.mT, width, operations)

    def parts(self, multipliers: Tensor, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """N = 2 L/width - L W - W*L and S = I + L K L at some frequencies, L the multipliers (c,)."""
        L = multipliers[:, None]
        LW = L * self.W[rows]
        N = torch.diag(2.0 * multipliers / self.width) - LW - LW.mH
        return N, torch.eye(len(L), dtype=torch.float64) + L * self.K[rows] * multipliers

    def gammas(self, multipliers: Tensor, rows: Tensor | slice) -> Tensor:
        """lambda_max(N^-1 S) at some frequencies, differentiable; infinite where N is not positive definite."""
        N, S = self.parts(multipliers, rows)
        factor, failed = torch.linalg.cholesky_ex(N)
        factor = torch.where((failed == 0)[:, None, None], factor, torch.eye(len(multipliers), dtype=N.dtype))
        half = torch.linalg.solve_triangular(factor, S.to(N.dtype), upper=False)
        H = torch.linalg.solve_triangular(factor, half.mH, upper=False)
        if not torch.is_grad_enabled():
            return torch.where(failed == 0, torch.linalg.eigvalsh(H)[:, -1], torch.inf)
        vector = torch.linalg.eigh(H.detach())[1][:, :, -1:]
        return torch.where(failed == 0, (vector.mH @ H @ vector)[:, 0, 0].real, torch.inf)

    @torch.no_grad()
    def all_gammas(self, multipliers: Tensor) -> Tensor:
        """The same at all frequencies."""
        rows = torch.split(torch.arange(len(self.W)), CHUNK)
        return torch.cat([self.gammas(multipliers, chosen) for chosen in rows])

    @torch.no_grad()
    def proves(self, multipliers: Tensor, gamma: float) -> bool:
        """Whether gamma N - S is positive semidefinite at all frequencies, rounding included (Rump 2006)."""
        L, c = multipliers[:, None], len(multipliers)
        LW = L * self.bound_of_taps
        terms = gamma * (torch.diag(2.0 * multipliers / self.width) + LW + LW.mT) + L * self.bound_of_injection * multipliers
        largest = float((terms + torch.eye(c, dtype=torch.float64)).sum(1).max())
        shift = 8.0 * UNIT * (self.operations + c * (c + 2)) * largest
        for rows in torch.split(torch.arange(len(self.W)), CHUNK):
            N, S = self.parts(multipliers, rows)
            if bool(torch.linalg.cholesky_ex(gamma * N - S - shift * torch.eye(c, dtype=N.dtype))[1].any()):
                return False
        return True


def channel_bound(frequencies: Frequencies, injection_norm: float, crude: float, rounds: int = ROUNDS) -> float:
    """A certified bound of |z(x) - z(y)|/|x - y|, never above the crude one.

    With L > 0 diagonal, one number a channel, and N(f) = 2 L/s - L W(f) - W(f)*L > 0 at all frequencies f, s the largest slope:
    gamma = max_f lambda_max(N(f)^-1 (I + L U(f) U(f)* L)). L = I/|U| gives at most |U|/m. A step looks at the frequencies that
    were worst; every round looks at all of them.
    """
    start = torch.full((frequencies.W.shape[1],), 1.0 / injection_norm, dtype=torch.float64)
    logarithms = start.log().requires_grad_()
    optimizer = torch.optim.Adam([logarithms], lr=RATE)
    kept, gammas = start, frequencies.all_gammas(start)
    best = float(gammas.max())
    worst = gammas.topk(min(WORST, len(gammas))).indices
    for round_ in range(rounds):
        optimizer.param_groups[0]["lr"] = RATE * 0.5**round_
        for _ in range(STEPS):
            gamma = frequencies.gammas(logarithms.exp(), worst).max()
            if not bool(torch.isfinite(gamma)):
                break
            optimizer.zero_grad()
            gamma.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        tried = logarithms.detach().exp()
        gammas = frequencies.all_gammas(tried)
        if float(gammas.max()) < best:
            best, kept = float(gammas.max()), tried
        else:
            with torch.no_grad():
                logarithms.copy_(0.5 * (logarithms + kept.log()))
        worst = torch.cat((worst, torch.nan_to_num(gammas, nan=0.0).topk(min(WORST, len(gammas))).indices))
    for more in RAISES:
        if frequencies.proves(kept, best * (1.0 + more)):
            return min(crude, best * (1.0 + more))
    return crude
