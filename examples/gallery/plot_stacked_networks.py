"""
A deep network is one equilibrium layer
=======================================

Every feedforward network is a single equilibrium layer z = sigma(W z + U x + b) on the states of all its layers at once, and so is
every cascade of equilibrium layers (Bai, Kolter and Koltun 2019, Theorems 1 and 2). The theorems say nothing of existence,
uniqueness and stability. Both are constructions, so that they can be run, and the certificate that they leave open can be computed.
"""

# %%
# A network, stacked
# ------------------
# Convolutions with a stride, pooling, batch norm and four different activations. The layer shares the parameters of the network,
# and its last block is the output.
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import monops
from monops.arrays import Blocks
from monops_nn import MonDEQ, MonotoneLinear, wellposed
from monops_nn.stacking import StackedCell, stack_equilibria, stack_feedforward

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
network = nn.Sequential(
    nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
    nn.Conv2d(4, 6, 3, padding=1), nn.LeakyReLU(0.1), nn.AvgPool2d(2), nn.Flatten(),
    nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 10), nn.Softmax(dim=-1),
).eval()  # fmt: skip
layer = stack_feedforward(network, (1, 8, 8))
x = torch.randn(16, 1, 8, 8)
z = layer(x)
print("blocks", layer.linear.shape)
print(f"largest difference from the network: {(z[-1] - network(x)).abs().max().item():.1e}")

weight = torch.randn(16, 10)
parameters = list(network.parameters())
direct = torch.autograd.grad((weight * network(x)).sum(), parameters)
implicit = torch.autograd.grad((weight * z[-1]).sum(), parameters)
worst = max(float((a - b).abs().max()) for a, b in zip(direct, implicit, strict=True))
print(f"largest difference of the implicit gradient from backpropagation: {worst:.1e}")

# %%
# Picard's iteration ends
# -----------------------
# W is block subdiagonal, hence nilpotent: whatever the start, block k is right after k steps. The residual need not fall before the
# last step, and then it is 0, not small. The cell of the network gives the very bits of the network.
cell = StackedCell(network, (1, 8, 8))
problem = monops.FixedPoint(lambda z, x: Blocks(cell(z, x)), (x,))
starts, curves = (0.1, 1.0, 100.0), []
with torch.no_grad():
    for scale in starts:
        start = Blocks(scale * torch.randn_like(block) for block in cell.initial_state(x))
        curve = []
        for steps in range(1, layer.depth + 2):
            result = monops.solve(
                problem, monops.Picard(), x0=start, batch_ndim=1, max_iter=steps, check_every=1, on_failure="ignore"
            )
            curve.append(float(np.max(result.residual)))
        curves.append(curve)
        print(f"start of size {scale:g}: {layer.depth} steps, equal bit by bit: {torch.equal(result.x[-1], network(x))}")
print(layer.solve(x))

# %%
# The metric
# ----------
# I - W is not monotone: a block of norm 2 is enough to spoil that. In the metric with the weights t^(2i) it is, for t small enough,
# whatever the weights of the network. ``layer.metric`` takes a scaling of its own for every block, from certified norms, with the
# least condition number among those that guarantee m.
with torch.no_grad():
    for parameter in parameters:
        parameter.mul_(3.0)  # trained networks are not small
dense, depth = layer.dense(), layer.depth
block = np.repeat(np.arange(depth), layer.linear.sizes)
W = dense.W.numpy()
scalings = np.logspace(-2.5, 0.3, 60)


def least(root):
    """The least eigenvalue of the symmetric part of I - W in a metric with these roots."""
    scaled = np.eye(len(W)) - root[:, None] * W / root
    return float(np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0])


eigenvalues = [least(t ** block.astype(float)) for t in scalings]
print(f"least eigenvalue in the usual metric {least(np.ones(len(W))):.2f}")
print(f"in the metric of the layer {layer.least_eigenvalue():.3f}, guaranteed {layer.monotonicity}")
print("weights of the blocks", np.array2string(layer.metric.numpy(), precision=2))

# %%
# So the methods with theorems reach the same state. Peaceman-Rachford is found the step 1, with which it ends as well.
for algorithm in (monops.PeacemanRachford(), monops.DouglasRachford()):
    certified = stack_feedforward(network, (1, 8, 8), algorithm=algorithm, tol=1e-12)
    solution = certified.solve(x)
    difference = (solution.z[-1] - network(x)).abs().max().item()
    print(f"{algorithm.name}: {int(solution.iterations.max())} iterations, difference {difference:.1e}")

# %%
# The picture: W with its blocks; the residual (0 is drawn at the bottom); the certificate against t.
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
left.spy(np.abs(W) > 0, markersize=0.6, color="tab:blue")
for edge in np.cumsum(layer.linear.sizes)[:-1]:
    left.axhline(edge - 0.5, color="0.8", linewidth=0.5)
    left.axvline(edge - 0.5, color="0.8", linewidth=0.5)
left.set_title("W of the stacked network")
left.set_xticks([])
left.set_yticks([])
FLOOR = 1e-4
for scale, curve in zip(starts, curves, strict=True):
    middle.semilogy(range(1, depth + 2), np.maximum(curve, FLOOR), "o-", label=f"start of size {scale:g}")
middle.axhline(FLOOR, color="0.8", linewidth=0.8)
middle.text(1.0, FLOOR * 1.2, "exactly 0")
middle.set_xlabel("steps of Picard")
middle.set_title("largest residual")
middle.legend(fontsize=8)
right.semilogx(scalings, eigenvalues, label=r"weights $t^{2i}$")
right.axhline(layer.least_eigenvalue(), color="tab:orange", label="metric of the layer")
right.axhline(layer.monotonicity, color="tab:orange", linestyle=":", label="guaranteed m")
right.axhline(0.0, color="0.5", linewidth=0.8)
right.set_ylim(-4, 1.3)
right.set_xlabel("t")
right.set_title("least eigenvalue of sym(I - W)")
right.legend(fontsize=8, loc="lower left")

# %%
# Two equilibria are one
# ----------------------
# The second layer reads the state of the first. Both have W = 0, hence the best margin there is, 1; the stack is monotone in the
# usual metric only while the norm of U_2 is below 2, and in its own metric always.
for coupling in (1.0, 4.0, 100.0):
    pair = []
    for _ in range(2):
        linear = MonotoneLinear(3, monotonicity=1.0)
        nn.init.zeros_(linear.A)
        nn.init.zeros_(linear.B)
        pair.append(MonDEQ(linear, "tanh", injection=3, tol=1e-12))
    with torch.no_grad():
        pair[1].injection.weight.copy_(coupling * torch.eye(3))
    both = stack_equilibria(*pair, tol=1e-12)
    y = torch.randn(5, 3)
    with torch.no_grad():
        difference = float((both(y)[-1] - pair[1](pair[0](y))).abs().max())
    V = both.dense().W
    usual = float(torch.linalg.eigvalsh(torch.eye(6) - 0.5 * (V + V.mT))[0])
    print(
        f"|U_2| = {coupling:g}: usual margin {usual:.2f}, in the metric {both.least_eigenvalue():.2f}, rung "
        f"{wellposed(both.linear, 'tanh').rung}, difference from the cascade {difference:.1e}"
    )
plt.show()
