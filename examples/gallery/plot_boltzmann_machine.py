"""
A Boltzmann machine with one mean field
=======================================

Mean-field inference in a Boltzmann machine looks for probabilities q with q_i = softmax((Phi q + b)_i) in every node. Updated
all at once they may go round in circles, updated node by node they may end in one of several answers. Where I - Phi/s is
strongly monotone, s <= 2, there is exactly one answer, and splitting methods find it whatever nodes are observed.
"""

# %%
# Going round in a circle
# -----------------------
# Four nodes with two states that repel each other. The undamped parallel update jumps to and fro between two points; damped, or
# by Peaceman-Rachford on the same couplings, it finds the only mean field.
import matplotlib.pyplot as plt
import torch

from monops_nn.boltzmann import (
    BoltzmannMachine,
    DenseBoltzmann,
    MeanField,
    ferromagnet,
    known_pixels,
    nodes_of,
    parallel_mean_field,
    sequential_mean_field,
)
from monops_nn.datasets import load_digits

torch.manual_seed(0)
Phi, bias, layout = ferromagnet(4, -0.9), torch.zeros(8), nodes_of((2, 2, 2, 2))
start = torch.tensor([[0.6, 0.4] * 4])
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for relaxation, style in ((1.0, "o-"), (0.5, "s-")):
    path = [start]
    for _ in range(16):
        path.append(parallel_mean_field(Phi, bias, layout, q0=path[-1], relaxation=relaxation, max_iter=1).x)
    left.plot([float(q[0, 0]) for q in path], style, markersize=4, label=f"parallel, relaxation {relaxation:g}")
linear = DenseBoltzmann((2, 2, 2, 2))
linear.assign(Phi)
solution = MeanField(linear).solve(q0=start[0])
left.axhline(float(solution.z[0]), color="0.6", linewidth=1, label=f"Peaceman-Rachford: {int(solution.iterations)} iterations")
left.set(xlabel="update", ylabel="probability of the first state", title="four nodes that repel each other")
left.set_ylim(-0.25, 1.0)
left.legend(fontsize="small", loc="lower left")

# %%
# Several answers
# ---------------
# Two nodes that attract each other with the strength w, updated node by node from two starts. Above w = 2 there are two stable
# mean fields, below it one. I - Phi >= m I allows w < 1; because softmax has slopes of at most 1/2, w < 2 is enough, and
# ``MeanField(..., sharpness=2)`` uses that.
strengths = torch.linspace(0.5, 3.0, 41)
starts = torch.tensor([[0.5, 0.5, 0.7, 0.3], [0.5, 0.5, 0.3, 0.7]])
ends = [
    sequential_mean_field(ferromagnet(2, float(w)), torch.zeros(4), nodes_of((2, 2)), q0=starts, tol=1e-5).x[:, 0]
    for w in strengths
]
right.plot(strengths, torch.stack(ends), ".-")
for bound, text in ((1.0, "I - Phi > 0"), (2.0, "Phi < 2 I")):
    right.axvline(bound, color="0.6", linewidth=1)
    right.annotate(text, (bound, 0.2), rotation=90, fontsize="small", ha="right")
right.set(xlabel="coupling w", title="two nodes that attract each other")
plt.show()

# %%
# Completing digits
# -----------------
# All pixels, 16 hidden nodes and the label are one machine. It starts from the linear predictor of each pixel by the others,
# and learns with a different half of the pixels missing in every image and every step.
digits = load_digits()
images, test = (torch.from_numpy(part).reshape(-1, 8, 8) for part in (digits.train_images, digits.test_images))
labels, test_labels = torch.from_numpy(digits.train_labels), torch.from_numpy(digits.test_labels)
machine = BoltzmannMachine((8, 8), hidden=(16, 2), features=96, tol=1e-2)
machine.start_from(images, labels)
optimizer = torch.optim.Adam(machine.parameters(), lr=1e-3)
generator = torch.Generator().manual_seed(0)
for _ in range(60):
    rows = torch.randint(0, len(images), (64,), generator=generator)
    known = known_pixels(images[rows], (0.4, 0.6), generator)
    loss, _, _ = machine.loss(images[rows], labels[rows], known)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

known = known_pixels(test, (0.5, 0.5), generator)
found = machine.complete(test, known)
error = float((found.images - test).abs()[~known].mean())
constant = float((images.mean(dim=0) - test).abs()[~known].mean())
accuracy = float((found.classes.argmax(dim=1) == test_labels).float().mean())
print(
    f"half of the pixels missing: accuracy {accuracy:.1%}, error of a missing pixel {error:.3f} (their means: {constant:.3f})"
)

figure, axes = plt.subplots(3, 10, figsize=(9, 3), layout="constrained")
for column in range(10):
    shown = int((test_labels == column).nonzero()[0])
    for axis, picture in zip(
        axes[:, column],
        (torch.where(known, test, torch.tensor(torch.nan))[shown], found.images[shown], test[shown]),
        strict=True,
    ):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[], facecolor="tab:blue")
    axes[1, column].set_title(f"{int(found.classes[shown].argmax())}", fontsize="small", pad=2)
for axis, text in zip(axes[:, 0], ("known", "completed", "whole"), strict=True):
    axis.set_ylabel(text)
plt.show()

# %%
# The other way round
# -------------------
# Any node may be observed: with the label and no pixel, the same machine says what a class looks like.
classes = torch.arange(10)
nothing = torch.zeros(10, 8, 8)
means = machine.complete(nothing, nothing > 0, classes).images
figure, axes = plt.subplots(1, 10, figsize=(9, 1.2), layout="constrained")
for axis, mean in zip(axes, means, strict=True):
    axis.imshow(mean, cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
plt.show()
