"""The training loop: every step decided by the seed, so that a run that was cut goes on with identical numbers."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monops.errors import DataError, NotConvergedError
from monops_nn.datasets import Images
from monops_nn.training.interrupt import Interrupt
from monops_nn.training.options import Options
from monops_nn.training.records import CHECKPOINT, WEIGHTS, Records
from monops_nn.training.task import Task

SAVE_EVERY = 60.0  # seconds
NOTE_EVERY = 20  # steps between two lines about the loss
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the trained network, what was measured on the test set, and whether all epochs were done."""

    model: nn.Module
    measured: dict[str, float]
    headline: str  # which of the numbers says most
    step: int
    seconds: float
    finished: bool


def train(
    options: Options,
    out: str | Path,
    *,
    resume: bool = False,
    images: Images | None = None,
    report: Report = lambda line: None,
) -> Outcome:
    """Train a network and leave metrics.jsonl, checkpoint.pt and weights.pt in a folder.

    Parameters
    ----------
    options : Options
    out : path
        The folder of the run.
    resume : bool, default False
        Go on from the checkpoint there; the options must be those of the run (minutes, threads and places may differ).
    images : Images, optional
        In place of the data set that the options name.
    report : callable, optional
        Called with each line of the metrics.

    Returns
    -------
    Outcome

    Raises
    ------
    DataError
        Options, data or checkpoints that do not fit; a folder that holds a run already.
    NotConvergedError
        When the loss or the gradient is not finite; the message says at which step, what is not finite, and what to change.
        The checkpoint is then the state before that step.
    KeyboardInterrupt
        After Ctrl-C, once the step in progress is done and its state saved; a second Ctrl-C ends at once.

    Notes
    -----
    Every step is decided by the seed and its number, so that a run which was cut goes on with identical numbers on the same
    machine and number of threads.

    Examples
    --------
    >>> import tempfile
    >>> from monops_nn.datasets import Images
    >>> images, labels = torch.zeros(8, 1, 28, 28, dtype=torch.uint8), torch.arange(8)
    >>> data = Images(images, labels, images, labels, (0.5,), (0.5,), "an example")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train(Options(epochs=2, batch_size=4), folder, images=data).step
    4
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    from monops_nn.training.targets import task_of  # the tasks themselves import from this package

    torch.manual_seed(options.seed)
    run = Run(options, task_of(options, images), Records(Path(out)), report)
    if resume:
        run.restore()
    else:
        run.records.start()
        run.note(
            kind="start", headline=run.task.headline, options=options.plain(), source=run.task.source, parameters=run.parameters
        )
    with Interrupt() as interrupt:
        finished = run.epochs(interrupt)
    measured = run.evaluate()
    run.save()
    run.records.save(WEIGHTS, run.model.state_dict())
    return Outcome(run.model, measured, run.task.headline, run.step, run.seconds, finished)


class Run:
    """A run while it goes on."""

    def __init__(self, options: Options, task: Task, records: Records, report: Report) -> None:
        self.options, self.task, self.records, self.report = options, task, records, report
        self.model, self.steps_an_epoch = task.model, task.steps_an_epoch
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate)
        self.step, self.spent = 0, 0.0
        self.began = self.saved = self.resumed = time.perf_counter()  # resumed: when training went on after an evaluation
        self.tested: tuple[int, dict[str, float]] = (-1, {})  # step and numbers of the last evaluation

    @property
    def parameters(self) -> int:
        """How many numbers are learned."""
        return sum(value.numel() for value in self.model.parameters())

    @property
    def seconds(self) -> float:
        """Time of the run, before a cut too."""
        return self.spent + time.perf_counter() - self.began

    def note(self, **values: Any) -> None:
        """One line of metrics."""
        line = {"step": self.step, "epoch": self.step / self.steps_an_epoch, "seconds": round(self.seconds, 3), **values}
        self.records.write(**line)
        self.report(line)

    def epochs(self, interrupt: Interrupt) -> bool:
        """Train to the end or to the time limit; whether all epochs were done."""
        total = self.options.epochs * self.steps_an_epoch
        self.model.train()
        while self.step < total:
            if self.step % self.options.monitor_every == 0:
                self.monitor()
            self.train_step()
            if interrupt.asked:
                self.save()
                raise KeyboardInterrupt
            if self.step % self.steps_an_epoch == 0 and self.step < total:
                self.evaluate()
            if time.perf_counter() - self.saved > SAVE_EVERY:
                self.save()
            if self.options.minutes is not None and self.seconds > 60.0 * self.options.minutes:
                return self.step == total
        return True

    def random(self, number: int) -> torch.Generator:
        """A generator of its own for each epoch and each step: nothing of it need be saved."""
        return torch.Generator().manual_seed(1_000_003 * self.options.seed + number)

    def train_step(self) -> None:
        """One step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate_at(self.step, self.steps_an_epoch)
        batch = self.task.batch(self.step, self.random(self.step), self.random(self.step // self.steps_an_epoch))
        loss, noted = self.task.loss(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self.failure(f"the loss is {value}{_broken_data(batch)}")
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        norm = float(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients.values()]).norm())
        if not math.isfinite(norm):
            broken = [name for name, gradient in gradients.items() if not bool(torch.isfinite(gradient).all())]
            raise self.failure(f"the gradient has norm {norm}" + (f", not finite in {', '.join(broken)}" if broken else ""))
        self.optimizer.step()
        self.step += 1
        if self.step % NOTE_EVERY == 0:
            rate = self.optimizer.param_groups[0]["lr"]
            self.note(kind="train", loss=value, **noted, learning_rate=rate, gradient_norm=norm)

    def failure(self, what: str) -> NotConvergedError:
        """What to raise when a step cannot be taken; the state before it is saved."""
        self.save()
        return NotConvergedError(
            f"{what} at step {self.step}: lower the learning rate ({self.options.learning_rate:g}); the state before this step "
            f"is in {self.records.folder / CHECKPOINT}"
        )

    def monitor(self) -> None:
        """The solver on a fixed batch of the test set."""
        self.note(kind="solver", **self.task.look())

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """The numbers of the test set; what was evaluated after this step is not again."""
        if self.tested[0] == self.step:
            return self.tested[1]
        trained = time.perf_counter() - self.resumed
        self.model.eval()
        measured = self.task.evaluate()
        self.model.train()
        self.note(
            kind="test",
            **measured,
            training_seconds=round(trained, 3),
            processor_seconds=round(time.process_time(), 3),  # of this process: what a machine shared with others leaves out
            peak_memory_mb=_peak_memory(),
        )
        self.tested, self.resumed = (self.step, measured), time.perf_counter()
        return measured

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "options": self.options.plain(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def save(self) -> None:
        """A checkpoint."""
        self.records.save(CHECKPOINT, self.state())
        self.saved = time.perf_counter()

    def restore(self) -> None:
        """Go on from the checkpoint."""
        found = self.records.checkpoint()
        free = {"minutes", "threads", "folder", "download", "monitor_every"}
        now = self.options.plain()
        changed = [name for name in now if name not in free and found["options"].get(name) != now[name]]
        if changed:
            was = ", ".join(f"{name}={found['options'].get(name)!r}" for name in changed)
            raise DataError(f"the run in {self.records.folder} had {was}: give the same options to go on with it")
        self.model.load_state_dict(found["model"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.step, self.spent = found["step"], found["seconds"]
        self.records.keep_until(self.step)


def _broken_data(batch: Any) -> str:
    parts = batch if isinstance(batch, (tuple, list)) else (batch,)
    broken = any(isinstance(part, torch.Tensor) and not bool(torch.isfinite(part).all()) for part in parts)
    return ", for data that are not finite" if broken else ""


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10, 1)
