"""
A transformer with one block and no depth
=========================================

A language model whose hidden states are the fixed point of one transformer block, beside the same block used a fixed number of
times: the same parameters, the same text, in the same order. What it says next, how hard the solver works, and what a training
step needs of memory.
"""

# %%
# A text whose entropy is known
# -----------------------------
# Every sentence is drawn from a small grammar: two names, a verb, an adjective and a noun, and its second half says the first one
# backwards. Ten bits decide a sentence; who does not see that the second half repeats the first pays twenty.
import random

import matplotlib.pyplot as plt
import torch

from monops_nn.datasets.text import encode, split_text
from monops_nn.deq import spectral_radius
from monops_nn.language import EquilibriumLanguageModel, WeightTiedLanguageModel, generate, parameters_of
from monops_nn.language.cost import step_cost
from monops_nn.language.task import LanguageTask

torch.set_num_threads(1)
names, verbs = ("anna", "bob", "carl", "dora", "emil", "fred", "gina", "hugo"), ("calls", "sees", "hears", "likes")
adjectives, nouns = ("old", "red", "big", "shy"), ("cat", "dog", "fox", "hen", "owl", "pig", "rat", "yak")
draw = random.Random(0)


def sentence():
    """One line of the text."""
    name, verb, adjective, noun = (draw.choice(words) for words in (names, verbs, adjectives, nouns))
    return f"{name} {verb} the {adjective} {noun} and the {adjective} {noun} {verb} {name}.\n"


text = split_text("".join(sentence() for _ in range(1500)), "a grammar")
characters = len(text.train) + len(text.validation)
floors = {"with memory": 2.0 ** (10 * 1500 / characters), "without": 2.0 ** (20 * 1500 / characters)}
print(text.vocabulary.decode(text.train[:120]))
print(f"{text.vocabulary.size} characters; the best perplexity possible is {floors['with memory']:.3f}")

# %%
# Two networks, one set of parameters
# -----------------------------------
# The penalty keeps the Jacobian of the block small, so that its fixed point stays easy to find while it learns.
STEPS, EVERY, SIZE = 400, 50, {"width": 48, "heads": 4}
torch.manual_seed(0)
equilibrium = EquilibriumLanguageModel(text.vocabulary.size, **SIZE, tol=1e-2, max_iter=30, on_failure="ignore")
explicit = WeightTiedLanguageModel(text.vocabulary.size, **SIZE, depth=6)
explicit.load_state_dict(parameters_of(equilibrium))
print(f"{sum(p.numel() for p in explicit.parameters())} parameters each")


def train(model, penalty):
    """The loss of the batches, and what was seen every so many steps."""
    task = LanguageTask(text, model, context=64, batch_size=8, jacobian_weight=penalty)
    optimizer = torch.optim.Adam(model.parameters())
    seen = []
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            seen.append(task.evaluate() | task.look())
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50, 2.0 * (1.0 - step / (STEPS + 1)))
        loss, _ = task.loss(task.batch(step, torch.Generator().manual_seed(step), torch.Generator()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return seen


runs = {"equilibrium": train(equilibrium, 0.1), "explicit, depth 6": train(explicit, 0.0)}
for name, seen in runs.items():
    print(f"{name:18} perplexity {seen[-1]['perplexity']:.3f}, {seen[-1]['bits_per_character']:.3f} bits a character")

# %%
# Both come close to what can be known without memory of the first half of a sentence (dotted), the explicit network a little
# sooner. The solver's work follows from the Jacobian at the fixed point: its spectral radius is the rate of plain iteration. Above
# 1 that would not converge; Anderson's acceleration, which is the default, still does.
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
steps = range(0, STEPS + 1, EVERY)
for name, seen in runs.items():
    axes[0].plot(steps[1:], [point["perplexity"] for point in seen[1:]], ".-", label=name)
    axes[2].plot(steps, [point["spectral_radius"] for point in seen], ".-", label=name)
for (name, floor), style in zip(floors.items(), ("-", ":"), strict=True):
    axes[0].axhline(floor, color="0.5", linestyle=style, linewidth=0.8, label=f"best {name}")
axes[0].set(xlabel="step", ylabel="perplexity, validation", ylim=(1, None), title="learning")
axes[1].plot(steps, [point["mean_iterations"] for point in runs["equilibrium"]], ".-", label="forward (mean)")
axes[1].plot(steps, [point["iterations"] for point in runs["equilibrium"]], ".-", label="forward (largest)")
axes[1].plot(steps, [point["backward_uses"] for point in runs["equilibrium"]], ".-", label="backward, products")
axes[1].set(xlabel="step", ylabel="iterations to 1 %", ylim=(0, None), title="solver")
axes[2].axhline(1.0, color="0.5", linewidth=0.8)
axes[2].set(xlabel="step", ylabel="spectral radius of the Jacobian", ylim=(0, None), title="stability")
for place in axes:
    place.legend(fontsize="small")

# %%
# Depth without end
# -----------------
# The explicit network with the weights of the equilibrium tends to it, at the rate of the spectral radius: every depth is
# contained in one solve.
tokens = text.validation[None, :64].long()
inputs = equilibrium.inputs(tokens)
equilibrium.eval()
equilibrium.layer.tol, equilibrium.layer.max_iter = 1e-6, 200
with torch.no_grad():
    z = equilibrium.layer(*inputs)
    radius = float(spectral_radius(equilibrium.cell, z, *inputs).max())
    state, gaps = torch.zeros_like(z), []
    for _ in range(40):
        state = equilibrium.cell(state, *inputs)
        gaps.append(float((state - z).norm() / z.norm()))
equilibrium.layer.tol = 1e-2
print(f"spectral radius {radius:.2f}; distance after 6 uses {gaps[5]:.1e}, after 40 uses {gaps[-1]:.1e}")

# %%
# Memory
# ------
# Growth of the peak memory of a process by training steps of a block of width 64 on 16 texts of 64 characters: each point is a
# process of its own. The unrolled network keeps every use of the block for its gradient, the equilibrium keeps one.
depths = (4, 12, 24)
costs = {
    kind: [step_cost(kind, depth, width=64, batch=16, repeats=1) for depth in depths] for kind in ("equilibrium", "explicit")
}

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for kind, measured in costs.items():
    left.plot(depths, [cost.memory_mb for cost in measured], "o-", label=kind)
left.set(xlabel="uses of the block (iterations)", ylabel="memory of a step, MB", ylim=(0, None), title="training memory")
left.legend()
right.semilogy(range(1, 41), gaps)
right.set(xlabel="uses of the block", ylabel="distance from the equilibrium", title="unrolling tends to the equilibrium")
for kind, measured in costs.items():
    print(kind, [f"{cost.memory_mb:.0f} MB" for cost in measured])

# %%
# A sentence
# ----------
# Each new character starts the solver at the equilibrium of the text so far, which only its last position has to leave.
prompt = encode(text.vocabulary, "dora hears the red ")
for start in (True, False):
    said = generate(equilibrium, prompt, 33, temperature=0.0, warm_start=start)
    print(f"{'warm' if start else 'cold'} start: {sum(said.iterations) / len(said.iterations):.1f} iterations a character")
print(text.vocabulary.decode(said.tokens[0]))
