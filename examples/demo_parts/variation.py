"""Total variation denoising of scikit-image's camera picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import monops
from examples.demo_parts import Part, Tick

NOISE, WEIGHT, TOLERANCE = 0.1, 0.1, 1e-2


def psnr(x: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in decibels, peak 1."""
    return float(-10 * np.log10(np.mean((x - truth) ** 2)))


def run(tick: Tick) -> Part:
    """Minimise 1/2 |x - noisy|^2 + 0.1 |grad x|_2,1 by Chambolle-Pock."""
    truth = data.camera().astype(np.float64) / 255
    noisy = truth + NOISE * np.random.default_rng(0).standard_normal(truth.shape)
    problem = monops.SquaredL2().translate(noisy) + WEIGHT * monops.GroupL2(axis=0) @ monops.Gradient(truth.shape)
    first: list[float] = []

    def report(check: monops.Check) -> None:
        first.append(check.residual)
        tick(min(1.0, np.log(first[0] / check.residual) / np.log(first[0] / TOLERANCE)) if check.residual > 0 else 1.0)

    result = monops.solve(
        problem, monops.ChambollePock(step_size=0.05), x0=noisy, tol=TOLERANCE, max_iter=3000, callback=report, history=True
    ).require()
    before, after = psnr(noisy, truth), psnr(result.x, truth)
    part = Part(
        "Total variation: a noisy photograph",
        f"camera 512 x 512: {before:.2f} dB -> {after:.2f} dB, {result.iterations} iterations of {result.algorithm.name}",
    )
    part.check(after > before + 5, f"denoising gained only {after - before:.1f} dB")
    part.text(
        f"minimise ½‖x − noisy‖² + {WEIGHT}‖∇x‖₂,₁: the picture scikit-image ships, with Gaussian noise of deviation {NOISE}. "
        f"{result.iterations} iterations to a residual of {result.residual:.1e}: the norm of an explicit element of the "
        f"primal-dual operator over all {truth.size:,} pixels. Signal to noise: <b>{before:.2f} dB before, {after:.2f} dB "
        "after</b>."
    )
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2))
    titles = (f"noisy, {before:.1f} dB", f"denoised, {after:.1f} dB", "original")
    for axis, picture, title in zip(axes, (noisy, result.x, truth), titles, strict=True):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axis.set(title=title, xticks=[], yticks=[])
    part.figure(figure, "Before, after, and the truth.")
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.semilogy(*zip(*result.history, strict=True))
    axes.axhline(TOLERANCE, linestyle=":", color="gray")
    axes.set(xlabel="iteration", ylabel="residual")
    part.figure(figure, "The residual of Chambolle-Pock; dotted: the tolerance.")
    part.code(repr(result))
    return part
