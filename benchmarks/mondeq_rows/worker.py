"""One solver on one row in its own process: JSON lines in, JSON lines out (``python -m benchmarks.mondeq_rows.worker``).

``attempt`` runs both passes once and measures residuals with the definition, ``steps`` times passes, ``memory`` gives the
growth of the peak of resident memory over one step of a process that has not stepped before.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.mondeq_rows.definition import Definition, State
from benchmarks.mondeq_rows.monops_nn import Ours
from benchmarks.mondeq_rows.original import Original
from benchmarks.mondeq_rows.row import Row, cotangents_of, inputs_of, state_of
from benchmarks.mondeq_rows.solver import Settings, Solver
from benchmarks.mondeq_rows.torchdeq import TorchDEQ

SOLVERS: dict[str, type[Solver]] = {kind.name: kind for kind in (Ours, Original, TorchDEQ)}
MEBI = 1 / 1024


class Bench:
    """A row and a solver with its weights."""

    def __init__(self, solver: str, row: Row) -> None:
        state = state_of(row)
        self.row, self.definition = row, Definition(row, state)
        kind = SOLVERS[solver]
        self.solver = kind(row, state, os.environ.get(kind.variable, "") if kind.variable else "")
        self.inputs, self.cotangents = inputs_of(row), cotangents_of(row)

    def candidates(self) -> list[Settings]:
        """The settings among which the parent chooses."""
        return self.solver.candidates()

    def attempt(self, settings: Settings, rows: int) -> dict[str, Any]:
        """Both passes once on the first rows: seconds, iterations, residuals."""
        x, gradient = self.inputs[:rows], self.cotangents[:rows]
        self.solver.apply(settings)
        self.solver.watch()
        z, forward, backward = self._step(x, gradient)
        hidden = self.solver.hidden_gradient()
        self.solver.unwatch()
        gradients = (*(torch.zeros_like(part) for part in z[:-1]), gradient)
        return {
            "seconds": (forward, backward),
            "iterations": self.solver.iterations(),
            "forward": self.definition.forward_residuals(x, z)._asdict(),
            "backward": self.definition.backward_residuals(x, z, hidden, gradients)._asdict(),
        }

    def steps(self, settings: Settings, seconds: float) -> dict[str, Any]:
        """Medians of forward and backward CPU seconds over steps that take about so long, after one to warm up."""
        self.solver.apply(settings)
        begin = time.process_time()
        self._step(self.inputs, self.cotangents)
        count = max(1, int(seconds / (time.process_time() - begin)))
        times = [self._step(self.inputs, self.cotangents)[1:] for _ in range(count)]
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        return {"seconds": medians, "iterations": self.solver.iterations()}

    def memory(self, settings: Settings) -> dict[str, Any]:
        """Growth of the peak of resident memory, MiB, over one step; what torch needs once is asked for before."""
        self.solver.apply(settings)
        small = torch.ones(2, 2, requires_grad=True)
        torch.autograd.backward((small @ small).sum())
        torch.linalg.inv(torch.eye(3) + torch.fft.ifft2(torch.fft.fft2(torch.ones(3, 3))).real)
        gc.collect()
        before = _reset_peak()
        self._step(self.inputs, self.cotangents)
        return {"mebibytes": (_peak() - before) * MEBI}

    def _step(self, x: Tensor, gradient: Tensor) -> tuple[State, float, float]:
        for parameter in self.solver.parameters():
            parameter.grad = None
        begin = time.process_time()
        z = self.solver.forward(x)
        between = time.process_time()
        torch.autograd.backward((z[-1] * gradient).sum())
        end = time.process_time()
        return tuple(part.detach() for part in z), between - begin, end - between


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _reset_peak() -> int:
    """Resident kilobytes now, from which the peak is counted on; elsewhere than on Linux the peak of the process."""
    if not Path("/proc/self/clear_refs").exists():
        return _peak()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    if not Path("/proc/self/status").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return _status("VmHWM")


def main() -> None:
    """Serve commands until the input ends; what anybody prints goes to the error stream."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    bench: Bench | None = None
    for line in sys.stdin:
        command, arguments = json.loads(line)
        try:
            if command == "open":
                bench = Bench(arguments["solver"], Row(**arguments["row"]))
                answer: Any = bench.candidates()
            else:
                answer = getattr(bench, command)(**arguments)
        except Exception as error:  # a solver that breaks is a line of the table, not the end of it
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
