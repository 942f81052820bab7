"""The rows of ``./run bench mondeq`` and the solvers that run them.

Row: the published sizes, weights under the published names, inputs. Definition: W from its formula, the referee of all
answers. Solver: one layer with a row's weights; a peer's file holds what its code needs on today's torch.
"""

from __future__ import annotations

from benchmarks.mondeq_rows.row import Row

__all__ = ["ROWS", "Row"]

ROWS: dict[str, Row] = {
    "dense-87": Row("dense", (87,), 28, 1),
    "dense-87-trained": Row("dense", (87,), 28, 1, "mondeq_mnist_fc87"),
    "conv-54": Row("convolution", (54,), 28, 1),
    "tiers-28": Row("tiers", (16, 32, 32), 28, 1),
    "conv-81": Row("convolution", (81,), 32, 3),
    "tiers-32": Row("tiers", (16, 32, 60), 32, 3),
}
