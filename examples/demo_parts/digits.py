"""A dense monotone equilibrium network on handwritten digits."""

from __future__ import annotations

import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from examples.demo_parts import Part, Tick
from monops.errors import DataError
from monops_nn import MonDEQ, MonotoneLinear
from monops_nn.datasets import Digits, load_digits, load_mnist

BATCH, GOAL, LIMIT = 128, 0.96, 60.0  # rows a step, accuracy, seconds after which no further epoch is begun


def data() -> Digits:
    """MNIST where it is at hand, else the small digits."""
    try:
        return load_mnist()
    except DataError:
        return load_digits()


def accuracy(layer: MonDEQ, readout: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of right answers."""
    with torch.no_grad():
        guesses = torch.cat([readout(layer(part)).argmax(dim=1) for part in images.split(2000)])
    return float((guesses == labels).float().mean())


def run(tick: Tick) -> Part:
    """Train, test, and print the certified Lipschitz bound."""
    torch.manual_seed(0)
    digits = data()
    large = len(digits.train_labels) > 10_000
    train, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    test, test_labels = torch.from_numpy(digits.test_images), torch.from_numpy(digits.test_labels)
    mean, deviation = train.mean(), train.std()
    train, test = (train - mean) / deviation, (test - mean) / deviation
    layer = MonDEQ(MonotoneLinear(87, monotonicity=1.0), injection=train.shape[1], tol=1e-3)
    readout = nn.Linear(87, 10)
    optimiser = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=2e-3 if large else 3e-3)
    epochs = 5 if large else 40
    begin, history = time.perf_counter(), []
    for epoch in range(epochs):
        order = torch.randperm(len(labels))
        for count, rows in enumerate(order.split(BATCH)):
            loss = nn.functional.cross_entropy(readout(layer(train[rows])), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            tick((epoch + min(1.0, count * BATCH / len(labels))) / epochs)
        history.append(accuracy(layer, readout, test, test_labels))
        for group in optimiser.param_groups:
            group["lr"] *= 0.6 if large else 0.95
        if time.perf_counter() - begin > LIMIT:
            break
    seconds = time.perf_counter() - begin
    result = layer.solve(test[:500])
    bound, m = layer.lipschitz_bound(), float(layer.linear.operator().constants.strong_monotonicity)
    part = Part(
        "A monotone equilibrium network reads digits",
        f"{digits.source}: test accuracy {100 * history[-1]:.2f} % after {len(history)} epochs ({seconds:.0f} s); "
        f"certified Lipschitz bound |U|/m = {bound:.2f}",
    )
    part.check(history[-1] > GOAL, f"test accuracy {history[-1]:.4f} is not above {GOAL}")
    part.text(
        f"Data: <b>{digits.source}</b>, {len(labels)} training and {len(test_labels)} test images. The layer is z = ReLU(Wz + Ux "
        "+ b) with 87 units and W = (1 − m)I − AᵀA + B − Bᵀ, so that every input has exactly one equilibrium. Forward and "
        "backward pass are both solves of a monotone inclusion by Peaceman-Rachford splitting.",
        f"<b>Test accuracy {100 * history[-1]:.2f} %</b>. Least eigenvalue of sym(I − W): {m:.4f}. Certified: moving an input by "
        f"d moves the equilibrium by at most <b>‖U‖/m = {bound:.2f}</b> d. On 500 test images the solve took "
        f"{int(result.iterations.max())} iterations; certified distance of every printed equilibrium from the exact one: at "
        f"most {float(result.error_bound.max()):.1e}.",
    )
    figure, axes = plt.subplots(figsize=(6, 3.2))
    axes.plot(range(1, len(history) + 1), 100 * np.array(history), marker=".")
    axes.axhline(100 * GOAL, linestyle=":", color="gray")
    axes.set(xlabel="epoch", ylabel="test accuracy, %")
    part.figure(figure, "Accuracy after each epoch; dotted: the goal.")
    side = int(test.shape[1] ** 0.5)
    with torch.no_grad():
        guesses = readout(layer(test[:16])).argmax(dim=1)
    figure, grid = plt.subplots(2, 8, figsize=(9, 2.6))
    for axis, image, guess in zip(grid.flat, digits.test_images, guesses.tolist(), strict=False):
        axis.imshow(image.reshape(side, side), cmap="gray_r")
        axis.set(title=str(guess), xticks=[], yticks=[])
    part.figure(figure, "The first test images and what the network reads.")
    return part
