"""What a training step costs: uses of the cell, processor time and peak memory, measured in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from monops.errors import DataError
from monops_nn.language.models import EquilibriumLanguageModel, LanguageModel, WeightTiedLanguageModel

VOCABULARY = 65
EXACT = 1e-30  # a tolerance that is not reached, so that every iteration allowed is done


@dataclass
class Uses:
    """How often a cell was evaluated, and how often one of its evaluations was differentiated."""

    forward: int = 0
    backward: int = 0


@contextlib.contextmanager
def uses_of(cell: nn.Module) -> Iterator[Uses]:
    """Counts the uses of a cell within the block.

    Examples
    --------
    >>> from monops_nn.language import TransformerCell
    >>> cell, x = TransformerCell(8, 2), torch.randn(1, 3, 8)
    >>> with uses_of(cell) as uses:
    ...     cell(torch.zeros(1, 3, 8), *cell.inputs(x)).sum().backward()
    >>> uses
    Uses(forward=1, backward=1)
    """
    uses = Uses()

    def differentiated(gradient: Tensor) -> None:
        uses.backward += 1

    def used(module: nn.Module, arguments: Any, image: Tensor) -> None:
        uses.forward += 1
        if image.requires_grad:
            image.register_hook(differentiated)  # type: ignore[no-untyped-call]

    handle = cell.register_forward_hook(used)
    try:
        yield uses
    finally:
        handle.remove()


@dataclass(frozen=True)
class StepCost:
    """Growth of the peak memory by the first training steps, processor seconds of a later one, and uses of the cell."""

    memory_mb: float
    seconds: float
    forward: int
    backward: int


def step_cost(
    kind: str, depth: int, *, width: int = 128, heads: int = 4, context: int = 64, batch: int = 32, repeats: int = 3
) -> StepCost:
    """A training step (loss, gradient, Adam) on random characters, measured in a fresh process on one thread.

    Parameters
    ----------
    kind : {"equilibrium", "explicit"}
    depth : int
        Uses of the cell in the forward pass of the explicit network; iterations of both passes of the equilibrium, all of them
        done.
    width, heads, context, batch : int
    repeats : int, default 3
        Steps to time, after two others; the fastest counts.

    Returns
    -------
    StepCost

    Raises
    ------
    DataError
        For another kind, or when the process fails; the message ends with its last line.
    """
    if kind not in ("equilibrium", "explicit"):
        raise DataError(f"kind={kind!r} is unknown: choose equilibrium or explicit")
    asked = {"kind": kind, "depth": depth, "width": width, "heads": heads, "context": context, "batch": batch}
    command = [sys.executable, "-m", "monops_nn.language.cost", json.dumps({**asked, "repeats": repeats})]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise DataError(f"the process that measures a step of depth {depth} failed: {last}")
    return StepCost(**json.loads(done.stdout))


def _measured(kind: str, depth: int, width: int, heads: int, context: int, batch: int, repeats: int) -> StepCost:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model: LanguageModel
    if kind == "explicit":
        model = WeightTiedLanguageModel(VOCABULARY, width, heads, depth=depth)
    else:
        model = EquilibriumLanguageModel(VOCABULARY, width, heads, tol=EXACT, max_iter=depth, on_failure="ignore")
    optimizer = torch.optim.Adam(model.parameters())

    def step(tokens: Tensor) -> None:
        optimizer.zero_grad()
        model.loss(tokens[:, :-1], tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step(torch.randint(VOCABULARY, (1, 3)))  # kernels, optimizer state: what later steps find there
    tokens = torch.randint(VOCABULARY, (batch, context + 1))
    before = _peak_mb()
    step(tokens)
    step(tokens)
    grown = _peak_mb() - before
    with uses_of(model.cell) as uses:
        step(tokens)
    times = []
    for _ in range(repeats):
        began = time.process_time()
        step(tokens)
        times.append(time.process_time() - began)
    return StepCost(round(grown, 1), round(min(times), 4), uses.forward, uses.backward)


def _peak_mb() -> float:
    """Of this process since its program started; the number of getrusage may be that of the process which started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        peaks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if peaks:
            return int(peaks[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    print(json.dumps(asdict(_measured(**json.loads(sys.argv[1])))))
