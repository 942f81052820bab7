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
from torch import Tensor, nn
from torch.nn import functional

from monops.errors import DataError, NotConvergedError
from monops_nn.datasets import Images, load_images
from monops_nn.models import Classifier, build
from monops_nn.training.interrupt import Interrupt
from monops_nn.training.monitor import look
from monops_nn.training.options import Options
from monops_nn.training.records import CHECKPOINT, WEIGHTS, Records

SHIFT = 4  # pixels, of the augmentation
SAVE_EVERY = 60.0  # seconds
NOTE_EVERY = 20  # steps between two lines about the loss
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the trained network, its accuracy on the test set, and whether all epochs were done."""

    model: Classifier
    accuracy: float
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
    """Train a network of `monops_nn.models` and leave metrics.jsonl, checkpoint.pt and weights.pt in a folder.

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
    data = load_images(options.data, options.folder, download=options.download) if images is None else images
    run = Run(options, data, Records(Path(out)), report)
    if resume:
        run.restore()
    else:
        run.records.start()
        run.note(kind="start", options=options.plain(), source=data.source, parameters=run.parameters)
    with Interrupt() as interrupt:
        finished = run.epochs(interrupt)
    accuracy = run.evaluate()
    run.save()
    run.records.save(WEIGHTS, run.model.state_dict())
    return Outcome(run.model, accuracy, run.step, run.seconds, finished)


class Run:
    """A run while it goes on."""

    def __init__(self, options: Options, data: Images, records: Records, report: Report) -> None:
        self.options, self.data, self.records, self.report = options, data, records, report
        torch.manual_seed(options.seed)
        self.model = build(options.model, options.data, options.monotonicity, tol=options.tolerance)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate)
        self.steps_an_epoch = len(data.train_images) // options.batch_size
        if self.steps_an_epoch < 1:
            raise DataError(f"batch_size={options.batch_size} is more than the {len(data.train_images)} images there are")
        self.step, self.spent = 0, 0.0
        self.began = self.saved = self.resumed = time.perf_counter()  # resumed: when training went on after an evaluation
        self.order, self.ordered = torch.empty(0, dtype=torch.int64), -1
        self.tested = (-1, 0.0)  # step and accuracy of the last evaluation

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

    def batch(self) -> tuple[Tensor, Tensor]:
        """The images and labels of the present step."""
        epoch = self.step // self.steps_an_epoch
        if self.ordered != epoch:
            self.order, self.ordered = torch.randperm(len(self.data.train_images), generator=self.random(epoch)), epoch
        begin = self.step % self.steps_an_epoch * self.options.batch_size
        rows = self.order[begin : begin + self.options.batch_size]
        images = self.data.train_images[rows]
        if self.options.augment:
            images = _augmented(images, self.random(self.step))
        return self.data.scaled(images), self.data.train_labels[rows]

    def train_step(self) -> None:
        """One step of Adam."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate_at(self.step, self.steps_an_epoch)
        x, labels = self.batch()
        scores = self.model(x)
        loss = functional.cross_entropy(scores, labels)
        value = float(loss.detach())
        if not math.isfinite(value):
            images = "" if bool(torch.isfinite(x).all()) else ", for images that are not finite"
            raise self.failure(f"the loss is {value}{images}")
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
            right = float((scores.argmax(1) == labels).float().mean())
            rate = self.optimizer.param_groups[0]["lr"]
            self.note(kind="train", loss=value, accuracy=right, learning_rate=rate, gradient_norm=norm)

    def failure(self, what: str) -> NotConvergedError:
        """What to raise when a step cannot be taken; the state before it is saved."""
        self.save()
        return NotConvergedError(
            f"{what} at step {self.step}: lower the learning rate ({self.options.learning_rate:g}); the state before this step "
            f"is in {self.records.folder / CHECKPOINT}"
        )

    def monitor(self) -> None:
        """The solver on a fixed batch of the test set."""
        rows = slice(0, self.options.batch_size)
        x, labels = self.data.scaled(self.data.test_images[rows]), self.data.test_labels[rows]
        self.note(kind="solver", **look(self.model, x, labels))

    @torch.no_grad()
    def evaluate(self) -> float:
        """Accuracy and loss on the whole test set; what was evaluated after this step is not again."""
        if self.tested[0] == self.step:
            return self.tested[1]
        trained = time.perf_counter() - self.resumed
        self.model.eval()
        right, loss, count = 0, 0.0, len(self.data.test_images)
        for begin in range(0, count, self.options.batch_size):
            rows = slice(begin, begin + self.options.batch_size)
            labels = self.data.test_labels[rows]
            scores = self.model(self.data.scaled(self.data.test_images[rows]))
            right += int((scores.argmax(1) == labels).sum())
            loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
        self.model.train()
        self.note(
            kind="test",
            accuracy=right / count,
            loss=loss / count,
            training_seconds=round(trained, 3),
            processor_seconds=round(time.process_time(), 3),  # of this process: what a machine shared with others leaves out
            peak_memory_mb=_peak_memory(),
        )
        self.tested, self.resumed = (self.step, right / count), time.perf_counter()
        return right / count

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


def _augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    flips = torch.rand(count, generator=generator) < 0.5
    down, right = (torch.randint(0, 2 * SHIFT + 1, (count,), generator=generator) for _ in range(2))
    padded = nn.functional.pad(images, (SHIFT,) * 4)
    rows = down[:, None] + torch.arange(height)
    columns = right[:, None] + torch.arange(width)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    return padded[torch.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _peak_memory() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if sys.platform == "darwin" else peak / 2**10, 1)
