"""Chambolle and Pock's iteration for the total variation of grids: one source in the array API, one with buffers, one fused."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from monops import arrays
from monops.arrays import Array
from monops.functions.compiled import has_compiler
from monops.functions.variation.grid_kernels import grid_gaps, plane_steps, volume_steps

FIRST_TAU = 5.0  # 3 to 10 serve images with entries of size 1
GROWTHS = ((400, 0.7), (10**12, 0.2))  # the modulus that the steps are grown for: large at first, small for linear convergence


class Certificate(NamedTuple):
    """Rows of primal points, and the duality gap of each row."""

    point: Array
    gap: Array

    def better(self, other: Certificate) -> Certificate:
        """Row by row the one with the smaller gap."""
        xp = arrays.namespace(self.gap)
        mine = self.gap <= other.gap
        return Certificate(arrays.select_rows(mine, self.point, other.point), xp.where(mine, self.gap, other.gap))


class GridIteration:
    """The iteration on rows x, each with its threshold, in the array API.

    Minimises |p - x|^2/2 + threshold sum_i |(Dp)_i|; u is the dual variable, one array an axis.
    """

    def __init__(self, x: Array, threshold: Array, scales: tuple[float, ...], anisotropic: bool) -> None:
        xp = arrays.namespace(x)
        self.x, self.threshold, self.scales, self.anisotropic = x, threshold, scales, anisotropic
        self.axes = tuple(range(1, x.ndim))
        self.column = xp.reshape(threshold, (-1,) + (1,) * len(scales))
        self.least = arrays.clip(self.column, float(xp.finfo(x.dtype).smallest_normal), None)
        squared = 4.0 * sum(s * s for s, n in zip(scales, x.shape[1:], strict=True) if n > 1)
        self.tau, self.sigma = FIRST_TAU, 1.0 / (FIRST_TAU * (squared or 1.0))
        self.done = 0
        self.start()

    def start(self) -> None:
        self.p = self.bar = self.x
        self.u = [arrays.namespace(self.x).zeros_like(self.x) for _ in self.axes]

    def dual(self) -> list[Array]:
        """The dual variable: one array an axis."""
        return self.u

    def advance(self, count: int) -> None:
        """``count`` iterations."""
        while count:
            end, gamma = next(stage for stage in GROWTHS if self.done < stage[0])
            part = min(count, end - self.done)
            self.steps(part, gamma)
            self.done += part
            count -= part

    def steps(self, count: int, gamma: float) -> None:
        for _ in range(count):
            theta = 1.0 / (1.0 + 2.0 * gamma * self.tau) ** 0.5
            moved = [u + self.sigma * part for u, part in zip(self.u, self.differences(self.bar), strict=True)]
            self.u = self.project(moved)
            new = (self.p + self.tau * (self.x - self.adjoint(self.u))) * (1.0 / (1.0 + self.tau))
            self.bar = new + theta * (new - self.p)
            self.p = new
            self.tau, self.sigma = self.tau * theta, self.sigma / theta

    def project(self, u: list[Array]) -> list[Array]:
        """Onto |u_i| <= threshold: every entry of its own, or the vector of all axes."""
        xp = arrays.namespace(self.x)
        if self.anisotropic:
            return [xp.minimum(xp.maximum(part, -self.column), self.column) for part in u]
        shrink = self.column / xp.maximum(self.length(u), self.least)
        return [part * shrink for part in u]

    def length(self, parts: list[Array]) -> Array:
        """|.| at every grid point."""
        xp = arrays.namespace(self.x)
        if self.anisotropic:
            return functools.reduce(lambda a, b: a + b, [xp.abs(part) for part in parts])
        return xp.sqrt(functools.reduce(lambda a, b: a + b, [part * part for part in parts]))

    def differences(self, p: Array) -> list[Array]:
        """Dp, one array an axis; 0 past the last point."""
        xp = arrays.namespace(p)
        found = []
        for axis, scale in zip(self.axes, self.scales, strict=True):
            ahead, behind, first, _ = cuts(axis)
            found.append(scale * xp.concat([p[ahead] - p[behind], xp.zeros_like(p[first])], axis=axis))
        return found

    def adjoint(self, u: list[Array]) -> Array:
        """D'u."""
        xp = arrays.namespace(self.x)
        total: Any = 0.0
        for part, axis, scale in zip(u, self.axes, self.scales, strict=True):
            _, behind, first, _ = cuts(axis)
            edge = xp.zeros_like(part[first])
            total = total + scale * (xp.concat([edge, part[behind]], axis=axis) - part)
        return total

    def certify(self) -> Certificate:
        """The best of three primal points: the iterate, x - D'u, and 0 (the mean); each with its gap."""
        xp = arrays.namespace(self.x)
        u = self.dual()
        through = self.x - self.adjoint(u)
        found = []
        for p in (self.p, through):
            parts = self.differences(p)
            slack = self.column * self.length(parts) - functools.reduce(
                lambda a, b: a + b, [v * w for v, w in zip(parts, u, strict=True)]
            )
            rest = p - through
            found.append(Certificate(p, xp.sum(slack + 0.5 * rest * rest, axis=self.axes)))
        found.append(Certificate(xp.zeros_like(self.x), 0.5 * xp.sum(through * through, axis=self.axes)))
        best = found[0].better(found[1]).better(found[2])
        return Certificate(best.point, arrays.clip(best.gap, 0.0, None))


@functools.cache
def cuts(axis: int) -> tuple[Any, Any, Any, Any]:
    """Indices along ``axis``: all but the first, all but the last, the first, the last."""
    whole = (slice(None),) * axis
    return tuple((*whole, part, ...) for part in (slice(1, None), slice(None, -1), slice(0, 1), slice(-1, None)))  # type: ignore[return-value]


class BufferedIteration(GridIteration):
    """The same on NumPy arrays, in buffers: fresh temporaries cost as much as the arithmetic."""

    def start(self) -> None:
        self.p, self.bar = self.x.copy(), self.x.copy()
        self.u = [np.zeros_like(self.x) for _ in self.axes]
        self.work, self.total = np.empty_like(self.x), np.empty_like(self.x)

    def steps(self, count: int, gamma: float) -> None:
        p, bar, work, total = self.p, self.bar, self.work, self.total
        for _ in range(count):
            theta = 1.0 / (1.0 + 2.0 * gamma * self.tau) ** 0.5
            for u, axis, scale in zip(self.u, self.axes, self.scales, strict=True):
                ahead, behind, _, _ = cuts(axis)
                np.subtract(bar[ahead], bar[behind], out=work[behind])
                work[behind] *= self.sigma * scale
                u[behind] += work[behind]
            self.project_in_place()
            np.multiply(self.x, self.tau, out=total)
            total += p
            for u, axis, scale in zip(self.u, self.axes, self.scales, strict=True):
                ahead, behind, _, _ = cuts(axis)
                np.multiply(u[behind], self.tau * scale, out=work[behind])
                total[behind] += work[behind]
                total[ahead] -= work[behind]
            total *= 1.0 / (1.0 + self.tau)
            np.multiply(total, 1.0 + theta, out=bar)
            p *= theta
            bar -= p
            p[...] = total
            self.tau, self.sigma = self.tau * theta, self.sigma / theta

    def project_in_place(self) -> None:
        if self.anisotropic:
            for u in self.u:
                np.minimum(u, self.column, out=u)
                np.maximum(u, -self.column, out=u)
            return
        np.multiply(self.u[0], self.u[0], out=self.total)
        for u in self.u[1:]:
            np.multiply(u, u, out=self.work)
            self.total += self.work
        np.sqrt(self.total, out=self.total)
        np.maximum(self.total, self.least, out=self.total)
        np.divide(self.column, self.total, out=self.total)
        for u in self.u:
            u *= self.total


class FusedIteration(GridIteration):
    """The same on NumPy grids of up to three axes, in one pass over memory; one row after the other."""

    def start(self) -> None:
        shape = (len(self.x), *(1,) * (4 - self.x.ndim), *self.x.shape[1:])
        self.boxes = staggered(7, shape, self.x.dtype)
        for box in self.boxes[:3]:
            box[...] = self.x.reshape(shape)
        self.all_scales = (1.0,) * (4 - self.x.ndim) + self.scales
        self.open = np.ones(len(self.x), dtype=bool)
        self.p, self.through = (box.reshape(self.x.shape) for box in (self.boxes[1], self.boxes[6]))

    def dual(self) -> list[Array]:
        return [box.reshape(self.x.shape) for box in self.boxes[3 + 4 - self.x.ndim : 6]]

    def steps(self, count: int, gamma: float) -> None:
        number = self.x.dtype.type
        tau, sigma = number(self.tau), number(self.sigma)
        x, p, bar, u0, u1, u2, _ = self.boxes
        s0, s1, s2 = (number(s) for s in self.all_scales)
        schedule = (number(gamma), count, number(1.0), self.anisotropic)
        for row, threshold in enumerate(self.least.ravel()):
            lam = number(threshold)
            if x.shape[1] == 1:
                ends = plane_steps(
                    x[row, 0], p[row, 0], bar[row, 0], u1[row, 0], u2[row, 0], lam, s1, s2, tau, sigma, *schedule
                )
            else:
                ends = volume_steps(x[row], p[row], bar[row], u0[row], u1[row], u2[row], lam, s0, s1, s2, tau, sigma, *schedule)
        self.tau, self.sigma = float(ends[0]), float(ends[1])

    def certify(self) -> Certificate:
        x, p, _, u0, u1, u2, through = self.boxes
        found = np.array(
            [
                grid_gaps(x[r], p[r], u0[r], u1[r], u2[r], float(lam), *self.all_scales, through[r], self.anisotropic)
                for r, lam in enumerate(self.least.ravel())
            ]
        )
        chosen = np.argmin(found, axis=1)
        point = np.zeros_like(self.x)
        for row, choice in enumerate(chosen):
            if choice < 2:
                point[row] = (self.p, self.through)[choice][row]
        return Certificate(point, np.maximum(found.min(axis=1), 0.0).astype(self.x.dtype))


def staggered(count: int, shape: tuple[int, ...], dtype: Any) -> list[np.ndarray]:
    """Arrays of zeros at addresses that differ modulo 4096, the reach of a processor's check of loads against stores.

    Five arrays that advance in step at equal addresses modulo 4096 cost three times as much (measured at 512 x 512).
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    pitch = -(-size // 4096) * 4096 + 832
    block = np.zeros(count * pitch, dtype=np.uint8)
    return [block[k * pitch : k * pitch + size].view(dtype).reshape(shape) for k in range(count)]


def grid_iteration(x: Array, threshold: Array, scales: tuple[float, ...], anisotropic: bool) -> GridIteration:
    """The iteration in the fastest form for the array."""
    if not isinstance(x, np.ndarray):
        return GridIteration(x, threshold, scales, anisotropic)
    form = FusedIteration if has_compiler() and x.ndim <= 4 else BufferedIteration
    return form(np.ascontiguousarray(x), threshold, scales, anisotropic)
