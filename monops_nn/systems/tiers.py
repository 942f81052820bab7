"""Several tiers of images, each half as fine as the one before: a block bidiagonal W, solved tier by tier.

A tier that is followed by a coarser one is stored as its four phases z[2p + a, 2q + b], four times as many maps on half the
torus. Convolutions and strided convolutions are then both convolutions on that half torus, one matrix a frequency; striding
mixes the four frequencies that alias, and these are the four phases. So a resolvent is one matrix a frequency as well, and
what a tier passes on to the next one comes out of the same matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from monops.constants import Constants
from monops_nn.systems.dense import DenseSystem
from monops_nn.systems.fourier import image, inverse, multiply, spectrum, spectrum_weights
from monops_nn.systems.system import Spread, System, norm_bound

FEW = 32  # frequencies that rough numbers are read off
ENTRIES_AT_ONCE = 2**20  # of rows on a CPU: larger temporaries cost more page faults than arithmetic
DENSE_SIZE = 600  # rows up to this size get exact constants, from the matrix


@dataclass(frozen=True)
class Tier:
    """One tier: maps of size x size entries, at ``offset`` in a torus that is stored as ``phases`` x ``phases`` phases."""

    channels: int
    size: int
    torus: int
    offset: int
    phases: int

    @property
    def grid(self) -> int:
        """Side of the torus on which the phases live."""
        return self.torus // self.phases

    @property
    def maps(self) -> int:
        """Images on that torus."""
        return self.channels * self.phases**2

    @property
    def entries(self) -> int:
        """Entries of the tier in a row."""
        return self.channels * self.torus**2

    @property
    def shape(self) -> tuple[int, int, int]:
        """The tier as the user sees it."""
        return (self.channels, self.size, self.size)

    def split(self, x: Tensor) -> Tensor:
        """Images (batch, channels, torus, torus) as phases (batch, maps, grid, grid), the phase the slow index of maps."""
        if self.phases == 1:
            return x
        p = self.phases
        parts = x.reshape(x.shape[0], self.channels, self.grid, p, self.grid, p)
        return parts.permute(0, 3, 5, 1, 2, 4).reshape(x.shape[0], self.maps, self.grid, self.grid)

    def merge(self, x: Tensor) -> Tensor:
        """The inverse of ``split``."""
        if self.phases == 1:
            return x
        parts = x.reshape(x.shape[0], self.phases, self.phases, self.channels, self.grid, self.grid)
        return parts.permute(0, 3, 4, 1, 5, 2).reshape(x.shape[0], self.channels, self.torus, self.torus)

    def enter(self, x: Tensor) -> Tensor:
        """Flat entries of a row from images (batch, channels, size, size), with a border of zeros."""
        after = self.torus - self.size - self.offset
        return self.split(functional.pad(x, (self.offset, after, self.offset, after))).reshape(x.shape[0], self.entries)

    def leave(self, x: Tensor) -> Tensor:
        """The images (batch, channels, size, size) in flat entries of a row."""
        inside = slice(self.offset, self.offset + self.size)
        return self.merge(x.reshape(x.shape[0], self.maps, self.grid, self.grid))[:, :, inside, inside]


def arrange_tiers(channels: tuple[int, ...], size: int, radius: int) -> tuple[Tier, ...]:
    """Tiers for an image of this size: each has half the size of the one before, rounded down.

    A torus is at least the size plus 2 * radius, so that kernels of this radius, applied and transposed, reach from the image
    back into the image only where they do without a torus, and at least half of what the finer one needs. The last torus is
    just that, the one before the smallest even number, and every finer one twice the next.
    """
    sizes = [size // 2**i for i in range(len(channels))]
    last, least = len(channels) - 1, [size + 2 * radius]
    for coarser in sizes[1:]:
        least.append(max(coarser + 2 * radius, (least[-1] + 1) // 2))
    tori = [least[last]]
    for i in range(last - 1, -1, -1):
        tori.insert(0, least[i] + least[i] % 2 if i == last - 1 else 2 * tori[0])
    described = enumerate(zip(channels, sizes, tori, strict=True))
    return tuple(Tier(n, s, torus, radius, 1 if i == last else 2) for i, (n, s, torus) in described)


@final
@dataclass(frozen=True, eq=False)
class TierSystem(System):
    """W block lower bidiagonal over tiers: W_ii and W_{i+1,i} = -2 A_{i+1,i+1}' A_{i+1,i}, convolutions on tori.

    Rows are the tiers one after the other, each as its phases (see `Tier`). For a tier that is not last ``weights[i]``,
    (frequencies, maps_i + n, maps_i), holds the symbol of W_ii above that of the map to the next tier of n channels: W_{i+1,i}
    itself, or where the next tier is the last A_{i+1,i}, because its torus need not be twice as large. ``weights[-1]``,
    (frequencies, n, 2n), holds the symbol of W_ii beside -2 A_ii'.

    Parameters
    ----------
    weights : tuple of complex tensors, one a tier
        On the frequencies of ``fourier.spectrum`` of the tier's ``grid``.
    monotonicity : float
        m > 0 with sym(I - W) >= m I on all rows, borders included.
    tiers : tuple of Tier
        At least two.

    Notes
    -----
    **Constants** mu = m by construction, sum_i |A_ii z_i + A_{i,i-1} z_{i-1}|^2 being at least 0. L is the norm of the matrix
    of the norms of the blocks, each exact. Up to 600 entries a row, mu, beta and L are exact, from the matrix. **Cost** of a
    product and of a resolvent alike: one real transform of every tier there and back, and for a tier with n channels before
    one with n' a complex matrix (4n + n') x 4n a frequency; to prepare a step, the inverse of 4n x 4n a frequency.

    References
    ----------
    Winston and Kolter (2020), Appendix on multi-tier networks, who eliminate the aliases by the formula of Woodbury (1950).
    Vaidyanathan (1993), Multirate systems and filter banks, section 4.3, for phases.

    Examples
    --------
    >>> import torch
    >>> from monops_nn import MultiTierConvolution
    >>> W = MultiTierConvolution((1, 2), 4).current_system()
    >>> x = torch.ones(1, W.size)
    >>> bool(torch.allclose(W.resolvent(2.0 * x - W.product(x), 1.0), x, atol=1e-5))
    True
    """

    tiers: tuple[Tier, ...] = ()
    _factors: dict[float, tuple[Tensor, ...]] = field(default_factory=dict, repr=False)
    _conjugates: dict[float, tuple[Tensor, ...]] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        return sum(tier.entries for tier in self.tiers)

    @cached_property
    def mask(self) -> Tensor:
        first = self.weights[0].real
        inside = (torch.ones(1, *tier.shape, dtype=first.dtype, device=first.device) for tier in self.tiers)
        return torch.cat([tier.enter(ones)[0] for tier, ones in zip(self.tiers, inside, strict=True)])

    @property
    def effort(self) -> tuple[float, float, float]:
        product = 8.0 * sum(weight.numel() for weight in self.weights) + 40.0 * self.size
        return (product, product, 30.0 * sum(w.shape[0] * t.maps**3 for w, t in zip(self.weights, self.tiers, strict=True)))

    def _blocks(self, rows: Tensor) -> list[Tensor]:
        """The tiers of rows, each (batch, maps, grid, grid)."""
        parts = torch.split(rows, [tier.entries for tier in self.tiers], dim=-1)
        return [part.reshape(-1, t.maps, t.grid, t.grid) for part, t in zip(parts, self.tiers, strict=True)]

    def _rows(self, blocks: list[Tensor]) -> Tensor:
        return torch.cat([block.flatten(1) for block in blocks], dim=-1)

    def _down(self, i: int, coarse: Tensor) -> Tensor:
        """What tier i passes on, images on its grid, as phases of tier i + 1; 0 where that torus is larger."""
        after = self.tiers[i + 1].torus - self.tiers[i].grid
        return self.tiers[i + 1].split(functional.pad(coarse, (0, after, 0, after)) if after else coarse)

    def _up(self, i: int, block: Tensor) -> Tensor:
        """The transpose of ``_down``."""
        grid = self.tiers[i].grid
        return self.tiers[i + 1].merge(block)[:, :, :grid, :grid]

    def _descend(self, matrices: tuple[Tensor, ...], rows: Tensor, substitute: bool) -> Tensor:
        """From fine to coarse: what is passed on is added to the next tier before its matrix (a resolvent) or after it."""
        blocks, last = self._blocks(rows), len(self.tiers) - 1
        out: list[Tensor] = []
        passed: Tensor | None = None
        for i, tier in enumerate(self.tiers[:-1]):
            block = blocks[i] if passed is None or not substitute else blocks[i] + passed
            both = image(multiply(matrices[i], spectrum(block)), tier.grid)
            own = both[:, : tier.maps]
            out.append(own if passed is None or substitute else own + passed)
            passed = self._down(i, both[:, tier.maps :])
        assert passed is not None
        joined = torch.cat((blocks[last], passed), dim=1)
        return self._rows([*out, image(multiply(matrices[last], spectrum(joined)), self.tiers[last].grid)])

    def _ascend(self, conjugates: tuple[Tensor, ...], rows: Tensor, substitute: bool) -> Tensor:
        """From coarse to fine, the transpose of ``_descend`` with the matrices of which these are the complex conjugates."""
        blocks, last = self._blocks(rows), len(self.tiers) - 1
        tier = self.tiers[last]
        both = image(multiply(conjugates[last].mT, spectrum(blocks[last])), tier.grid)
        out, passed = [both[:, : tier.channels]], both[:, tier.channels :]
        for i in range(last - 1, -1, -1):
            joined = torch.cat((blocks[i], self._up(i, passed)), dim=1)
            out.insert(0, image(multiply(conjugates[i].mT, spectrum(joined)), self.tiers[i].grid))
            passed = out[0] if substitute else blocks[i]
        return self._rows(out)

    def product(self, z: Tensor) -> Tensor:
        return _in_parts(lambda part: self._descend(self.weights, part, substitute=False), z)

    def product_transposed(self, u: Tensor) -> Tensor:
        conjugates = tuple(weight.conj().resolve_conj() for weight in self.weights)
        return _in_parts(lambda part: self._ascend(conjugates, part, substitute=False), u)

    def resolvent(self, x: Tensor, step: float) -> Tensor:
        factors = self._factor(step)
        return _in_parts(lambda part: self._descend(factors, part, substitute=True), x)

    def resolvent_transposed(self, x: Tensor, step: float) -> Tensor:
        conjugates = self._conjugates.get(step)
        if conjugates is None:
            conjugates = self._conjugates[step] = tuple(factor.conj().resolve_conj() for factor in self._factor(step))
        return _in_parts(lambda part: self._ascend(conjugates, part, substitute=True), x)

    def cotangents(self, u: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        if not len(z):
            return tuple(torch.zeros_like(weight) for weight in self.weights)
        left, right, last = self._blocks(u), self._blocks(z), len(self.tiers) - 1
        spectra = [spectrum(block) for block in right[:-1]]
        fine, tier = self.tiers[last - 1], self.tiers[last]
        coarse = self._down(last - 1, image(multiply(self.weights[last - 1][:, fine.maps :], spectra[-1]), fine.grid))
        spectra.append(spectrum(torch.cat((right[last], coarse), dim=1)))
        bottom = spectrum(left[last])
        passed = image(multiply(self.weights[last][:, :, tier.channels :].mH, bottom), tier.grid)
        gradients = [_outer(bottom, spectra[last], tier.grid)]
        for i in range(last - 1, -1, -1):
            joined = spectrum(torch.cat((left[i], self._up(i, passed)), dim=1))
            gradients.insert(0, _outer(joined, spectra[i], self.tiers[i].grid))
            passed = left[i]
        return tuple(gradients)

    def _factor(self, step: float) -> tuple[Tensor, ...]:
        """For each tier R = (I + step (I - W_ii))^-1, with step times the map to the next tier after it, or -2 A' before it."""
        found = self._factors.get(step)
        if found is None:
            factors: list[Tensor] = []
            for i, (own, passing) in enumerate(zip(self._own, self._passing, strict=True)):
                R = inverse(torch.eye(own.shape[-1], dtype=own.dtype, device=own.device) + step * own)
                last = i == len(self.tiers) - 1
                factors.append(torch.cat((R, R @ passing), dim=2) if last else torch.cat((R, step * passing @ R), dim=1))
            found = self._factors[step] = tuple(factors)
        return found

    @cached_property
    def _own(self) -> tuple[Tensor, ...]:
        """The symbols of I - W_ii, detached."""
        found = []
        for weight, tier in zip(self.weights, self.tiers, strict=True):
            symbol = weight.detach()[:, : tier.maps, : tier.maps]
            found.append(torch.eye(tier.maps, dtype=symbol.dtype, device=symbol.device) - symbol)
        return tuple(found)

    @cached_property
    def _passing(self) -> tuple[Tensor, ...]:
        """The symbols beside them in ``weights``, detached."""
        fine = [w.detach()[:, tier.maps :] for w, tier in zip(self.weights[:-1], self.tiers[:-1], strict=True)]
        return (*fine, self.weights[-1].detach()[:, :, self.tiers[-1].maps :])

    def _block_norm(self, own: list[float], passing: list[float], symmetric: bool) -> float:
        """The norm of the matrix of the norms of the blocks; of its symmetric part."""
        norms = torch.diag(torch.tensor(own, dtype=torch.float64))
        norms += torch.diag(torch.tensor(passing, dtype=torch.float64), -1)
        return float(torch.linalg.matrix_norm(0.5 * (norms + norms.mT) if symmetric else norms, 2))

    @cached_property
    def _passing_norms(self) -> list[float]:
        """Bounds of the norms of W_{i+1,i}."""
        norms = [norm_bound(passing, 1) for passing in self._passing]
        return [*norms[:-2], norms[-2] * norms[-1]]

    def lipschitz_bound(self) -> float:
        return self._block_norm([norm_bound(own) for own in self._own], self._passing_norms, False)

    def spread(self) -> Spread:
        some = [own[:: max(1, len(own) // FEW)] for own in self._own]  # symbols change little from a frequency to the next
        symmetric = [norm_bound(0.5 * (own + own.mH), 1) for own in some]
        skew = [norm_bound(0.5 * (own - own.mH), 1) for own in some]
        passing = [norm_bound(symbols[:: max(1, len(symbols) // FEW)], 1) for symbols in self._passing]
        passing = [*passing[:-2], passing[-2] * passing[-1]]
        top = self._block_norm(symmetric, passing, True)
        return Spread(min(self.monotonicity, top), top, self._block_norm(skew, passing, True))

    def exact_constants(self) -> Constants:
        if self.size <= DENSE_SIZE:
            return DenseSystem((self.dense(),), self.monotonicity).exact_constants()
        norms = [float(torch.linalg.matrix_norm(own, 2).amax()) for own in self._own]
        passing = [float(torch.linalg.matrix_norm(p, 2).amax()) for p in self._passing]
        rounding = 1.0 + 64.0 * torch.finfo(self.weights[0].dtype).eps
        lipschitz = rounding * self._block_norm(norms, [*passing[:-2], passing[-2] * passing[-1]], False)
        mu = min(self.monotonicity, lipschitz)
        return Constants(
            mu,
            mu / lipschitz**2,
            lipschitz,
            affine=True,
            why={
                "strong_monotonicity": "computed: m, by completing the square",
                "cocoercivity": "rule: mu/L^2",
                "lipschitz": "computed: the norm of the matrix of the norms of the blocks",
            },
        )


def _in_parts(sweep: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """A sweep over the tiers of all rows, on a CPU in parts of equal length."""
    if not len(rows):  # transforms refuse it
        return rows.clone()
    count = math.ceil(rows.numel() / ENTRIES_AT_ONCE) if rows.device.type == "cpu" else 1
    parts = [sweep(part) for part in torch.split(rows, math.ceil(len(rows) / count))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _outer(left: Tensor, right: Tensor, grid: int) -> Tensor:
    """The gradient in K of the inner product of ``image`` of K ``right`` with the images whose spectrum is ``left``."""
    return (left * spectrum_weights(grid, left)) @ right.mH
