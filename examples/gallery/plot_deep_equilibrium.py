"""
A network of infinite depth
===========================

A weight-tied network applies the same cell again and again; a deep equilibrium model jumps to where that ends, the fixed point
z = f(z, x), and differentiates it there. Four methods find the same point, the memory is that of one cell, and a penalty of the
derivative of the cell keeps the solver fast while the model is trained.
"""

# %%
# One fixed point, four methods
# -----------------------------
# A cell whose recurrent part has spectral norm 4: nothing guarantees that a fixed point is found, and Picard's plain iteration,
# which is the deep network itself, goes on and on. Anderson's and Broyden's methods find one. (Layers with a guarantee are
# :class:`monops_nn.MonDEQ`.)
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

import monops
from monops_nn import DEQ
from monops_nn.datasets import load_digits
from monops_nn.deq import jacobian_penalty, spectral_radius

torch.manual_seed(0)
torch.set_num_threads(2)


class Cell(nn.Module):
    """A residual block with the input injected: z -> norm(relu(A z + U x) B + x')."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.inject, self.norm = nn.Linear(inputs, width), nn.LayerNorm(width)

    def initial_state(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_zeros(len(x), self.width)

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.inject(x) + self.second(functional.relu(self.first(z))))


class Tanh(nn.Module):
    """tanh(W z + x) with |W| = norm."""

    def __init__(self, width: int, norm: float) -> None:
        super().__init__()
        W = torch.randn(width, width)
        self.W = nn.Parameter(norm * W / torch.linalg.matrix_norm(W, 2))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(z @ self.W.T + x)


tanh, x = Tanh(60, 4.0), torch.randn(1, 60)
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
methods = {
    "Picard (the deep network)": monops.Picard(),
    "Picard, relaxation 1/2": monops.Picard(0.5),
    "Anderson": monops.Anderson(monops.Picard(), memory=10),
    "Broyden": monops.Broyden(memory=20),
}
for name, method in methods.items():
    residuals: list[float] = []
    with torch.no_grad():
        result = monops.solve(
            monops.FixedPoint(tanh, (x,)),
            method,
            x0=torch.zeros(1, 60),
            tol=1e-6,
            max_iter=80,
            check_every=1,
            callback=lambda check, residuals=residuals: residuals.append(float(check.residual)),
            on_failure="ignore",
        )
    axes.semilogy(residuals, label=f"{name}: {result.status}")
axes.set(xlabel="iteration", ylabel="|z - f(z, x)|", title="the fixed point of tanh(W z + x), |W| = 4")
axes.legend(fontsize="small")
print("Jacobian at the fixed point, spectral radius:", float(spectral_radius(tanh, DEQ(tanh, max_iter=200).solve(x).z, x)))

# %%
# Memory
# ------
# What is kept for the backward pass: an unrolled network keeps every step, the equilibrium keeps its answer.
digits = load_digits()
images, labels = torch.as_tensor(digits.train_images), torch.as_tensor(digits.train_labels)
tests, answers = torch.as_tensor(digits.test_images), torch.as_tensor(digits.test_labels)


def kept(layer: nn.Module) -> float:
    """Megabytes that autograd keeps from a forward pass."""
    total = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(images[:256])
    return total / 2**20


depths = [1, 2, 4, 8, 16, 32, 64]
settings = {"algorithm": monops.Picard(), "tol": 1e-12, "on_failure": "ignore"}
figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for gradient, label in (("unrolled", "unrolled network"), ("implicit", "equilibrium, that many iterations")):
    axes.loglog(
        depths, [kept(DEQ(Cell(64, 128), max_iter=depth, gradient=gradient, **settings)) for depth in depths], "o-", label=label
    )
axes.set(xlabel="depth", ylabel="MB kept for the backward pass", title="256 digits, width 128")
axes.legend()

# %%
# Training, with and without a penalty of the Jacobian
# -----------------------------------------------------
# The cell is free to become hard to solve. The penalty is an estimate of the squared Frobenius norm of df/dz (Bai, Koltun and
# Kolter 2021), by one random vector a step: fewer iterations for about the same accuracy.


class Classifier(nn.Module):
    """The fixed point, read by a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = DEQ(Cell(64, 64), tol=1e-3, max_iter=30, on_failure="ignore")
        self.scores = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.layer(x))


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for penalty in (0.0, 1.0):
    torch.manual_seed(0)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    steps, iterations, accuracies, began = [], [], [], time.perf_counter()
    for step in range(101):
        rows = torch.randint(len(images), (128,))
        z = model.layer(images[rows])
        loss = functional.cross_entropy(model.scores(z), labels[rows])
        if penalty:
            loss = loss + penalty * jacobian_penalty(model.layer.cell, z, images[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            solution = model.layer.solve(tests)
            steps.append(step)
            iterations.append(float(solution.iterations.float().mean()))
            with torch.no_grad():
                accuracies.append(float((model.scores(solution.z).argmax(1) == answers).float().mean()))
    print(f"penalty {penalty:g}: accuracy {100 * accuracies[-1]:.1f} %, {iterations[-1]:.1f} iterations a sample, "
          f"{time.perf_counter() - began:.0f} s")  # fmt: skip
    left.plot(steps, accuracies, label=f"penalty {penalty:g}")
    right.plot(steps, iterations, label=f"penalty {penalty:g}")
left.set(xlabel="step", ylabel="accuracy on the test set")
right.set(xlabel="step", ylabel="iterations a sample, to 1e-3")
left.legend()
right.legend()
plt.show()
