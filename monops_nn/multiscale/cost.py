"""What a training step of a multiscale network costs: time and peak memory, each measured in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional

import monops
from monops.errors import DataError
from monops_nn.multiscale.networks import count_parameters, matched_residual, monotone_multiscale, multiscale

KINDS = ("equilibrium", "unrolled", "monotone", "residual")
EXACT = 1e-30  # a tolerance that is not reached, so that every iteration allowed is done


@dataclass(frozen=True)
class StepCost:
    """Growth of the peak memory of a process by its first training steps, and seconds of processor time of a later one."""

    memory_mb: float
    seconds: float


def step_cost(
    kind: str,
    depth: int,
    *,
    channels: tuple[int, ...] = (16, 32, 64),
    size: int = 32,
    reduction: int = 1,
    batch: int = 32,
    repeats: int = 2,
) -> StepCost:
    """A training step (loss, gradient, Adam) on random images, measured in a fresh process on one thread.

    Parameters
    ----------
    kind : {"equilibrium", "unrolled", "monotone", "residual"}
        Implicit gradient; the same cell with ``depth`` recorded steps of Picard's iteration; `FeedbackTiers`; the residual
        network with as many parameters.
    depth : int
        Iterations of each pass, all of them done; a residual network has its own depth.
    channels : tuple of int
        Of the states.
    size : int, default 32
        Side of the images.
    reduction, batch : int
    repeats : int, default 2
        Steps to time, after two others; the fastest counts.

    Raises
    ------
    DataError
        For another kind, or when the process fails; the message ends with its last line.
    """
    if kind not in KINDS:
        raise DataError(f"kind={kind!r} is unknown: choose one of {', '.join(KINDS)}")
    asked = {"kind": kind, "depth": depth, "channels": channels, "size": size}
    text = json.dumps({**asked, "reduction": reduction, "batch": batch, "repeats": repeats})
    command = [sys.executable, "-m", "monops_nn.multiscale.cost", text]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise DataError(f"the process that measures a step of depth {depth} failed: {last}")
    return StepCost(**json.loads(done.stdout))


def _network(kind: str, depth: int, images: tuple[int, int, int], channels: tuple[int, ...], reduction: int) -> nn.Module:
    if kind == "monotone":
        method = monops.ForwardReflectedBackward()
        return monotone_multiscale(
            images, 10, channels=channels, reduction=reduction, algorithm=method, tol=EXACT, max_iter=depth
        )
    network = multiscale(
        images,
        10,
        channels=channels,
        reduction=reduction,
        algorithm=monops.Picard() if kind == "unrolled" else None,
        gradient="unrolled" if kind == "unrolled" else "implicit",
        tol=EXACT,
        max_iter=depth,
        on_failure="ignore",
    )
    if kind != "residual":
        return network
    return matched_residual(count_parameters(network), images, 10, channels=channels, reduction=reduction)


def _measured(kind: str, depth: int, channels: list[int], size: int, reduction: int, batch: int, repeats: int) -> StepCost:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = _network(kind, depth, (3, size, size), tuple(channels), reduction)
    optimizer = torch.optim.Adam(network.parameters())

    def step(images: torch.Tensor) -> None:
        optimizer.zero_grad()
        functional.cross_entropy(network(images), torch.zeros(len(images), dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step(torch.randn(1, 3, size, size))  # kernels, optimizer state: what later steps find there
    images, before = torch.randn(batch, 3, size, size), _peak_mb()
    step(images)
    step(images)
    grown, times = _peak_mb() - before, []
    for _ in range(repeats):
        began = time.process_time()
        step(images)
        times.append(time.process_time() - began)
    return StepCost(round(grown, 1), round(min(times), 4))


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


if __name__ == "__main__":
    print(json.dumps(asdict(_measured(**json.loads(sys.argv[1])))))
