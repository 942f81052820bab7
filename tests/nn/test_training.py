"""Training: identical continuation after a cut, records, schedules, what ends a run, sentences."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="monops_nn needs torch")
import torch

from monops.errors import DataError, NotConvergedError
from monops_nn import cli, models
from monops_nn.datasets import Images
from monops_nn.training import Options, loop, train
from monops_nn.training import images as images_task
from monops_nn.training.interrupt import Interrupt
from monops_nn.training.monitor import look
from monops_nn.training.progress import progress
from monops_nn.training.records import CHECKPOINT, METRICS, WEIGHTS, Records


def some_images(count: int = 96, side: int = 28, channels: int = 1) -> Images:
    """Bright squares whose place is the label."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (count,), generator=generator)
    pixels = torch.randint(0, 60, (count, channels, side, side), generator=generator).to(torch.uint8)
    half = side // 2
    for k, label in enumerate(labels.tolist()):
        row, column = divmod(label, 2)
        pixels[k, :, half * row : half * row + half, half * column : half * column + half] += 150
    cut = 2 * count // 3
    parts = (pixels[:cut], labels[:cut], pixels[cut:], labels[cut:])
    return Images(*parts, (0.3,) * channels, (0.3,) * channels, "made for the test")


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


TINY = Options(epochs=3, batch_size=16, learning_rate=3e-3, monitor_every=4, augment=True)


def test_a_run_that_was_cut_goes_on_with_identical_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = some_images()
    whole = train(TINY, tmp_path / "whole", images=data)
    assert whole.finished
    assert whole.step == 12
    for cut in (3, 4, 6):  # in an epoch, between two, in the second
        step_once, out = loop.Run.train_step, tmp_path / f"cut{cut}"

        def stops(run: Any, cut: int = cut, step_once: Any = step_once) -> None:
            if run.step == cut - 1:
                signal.raise_signal(signal.SIGINT)  # Ctrl-C in the middle of a step: it is done first
            step_once(run)

        with monkeypatch.context() as patch:
            patch.setattr(loop.Run, "train_step", stops)
            with pytest.raises(KeyboardInterrupt):
                train(TINY, out, images=data)
        assert torch.load(out / CHECKPOINT, weights_only=True)["step"] == cut
        resumed = train(TINY, out, images=data, resume=True)
        for got, expected in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
            torch.testing.assert_close(got, expected, rtol=0, atol=0)
        steps = [line["step"] for line in metrics(out) if line["kind"] == "solver"]
        assert sorted(set(steps)) == steps
        weights = torch.load(out / WEIGHTS, weights_only=True)
        torch.testing.assert_close(weights["scores.bias"], whole.model.scores.bias, rtol=0, atol=0)


def test_what_a_run_records(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    outcome = train(TINY, tmp_path, images=some_images(), report=seen.append)
    assert metrics(tmp_path) == seen
    kinds = [line["kind"] for line in seen]
    assert (kinds[0], kinds[-1]) == ("start", "test")
    assert kinds.count("test") == 3
    assert seen[0]["parameters"] == 84_313
    solver = next(line for line in seen if line["kind"] == "solver")
    assert solver["residual"] <= TINY.tolerance
    assert solver["conditioning"] >= 1.0
    assert outcome.measured["accuracy"] == seen[-1]["accuracy"]
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from monops_nn.training.plots import plot

    assert plot(tmp_path).read_bytes()[:4] == b"\x89PNG"


def test_squares_are_learned(tmp_path: Path) -> None:
    options = dataclasses.replace(TINY, epochs=10, augment=False)
    assert train(options, tmp_path, images=some_images()).measured["accuracy"] > 0.9


def test_a_time_limit_ends_with_an_evaluation_and_a_checkpoint(tmp_path: Path) -> None:
    outcome = train(dataclasses.replace(TINY, minutes=1e-6), tmp_path, images=some_images())
    assert not outcome.finished
    assert outcome.step == 1
    assert (tmp_path / CHECKPOINT).is_file()
    assert train(TINY, tmp_path, images=some_images(), resume=True).finished


def test_a_second_interrupt_ends_at_once_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_not_finite_is_named_and_the_state_before_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = dataclasses.replace(TINY, monitor_every=10**6)
    broken = some_images()._replace(mean=(float("nan"),))
    with (
        pytest.warns(UserWarning, match="non-finite"),
        pytest.raises(NotConvergedError, match="the loss is nan, for data that are not finite at step 0: lower"),
    ):
        train(options, tmp_path / "images", images=broken)
    assert torch.load(tmp_path / "images" / CHECKPOINT, weights_only=True)["step"] == 0

    step_once = loop.Run.train_step

    def breaks(run: Any) -> None:
        if run.step == 3:
            run.model.scores.bias.register_hook(lambda gradient: gradient * float("inf"))
        step_once(run)

    monkeypatch.setattr(loop.Run, "train_step", breaks)
    with pytest.raises(NotConvergedError, match=r"the gradient has norm .* not finite in scores\.bias at step 3: lower"):
        train(options, tmp_path / "gradient", images=some_images())
    state = torch.load(tmp_path / "gradient" / CHECKPOINT, weights_only=True)
    assert state["step"] == 3
    assert all(bool(torch.isfinite(value).all()) for name, value in state["model"].items() if isinstance(value, torch.Tensor))


def test_a_file_that_was_cut_or_damaged(tmp_path: Path) -> None:
    data = some_images()
    train(dataclasses.replace(TINY, minutes=1e-6), tmp_path, images=data)
    with (tmp_path / METRICS).open("a") as stream:
        stream.write('{"step": 1, "ki')  # killed while writing
    assert train(TINY, tmp_path, images=data, resume=True).finished
    assert [line["kind"] for line in metrics(tmp_path)].count("start") == 1
    content = (tmp_path / CHECKPOINT).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"text"):
        (tmp_path / CHECKPOINT).write_bytes(damaged)
        with pytest.raises(DataError, match=r"checkpoint\.pt cannot be read"):
            train(TINY, tmp_path, images=data, resume=True)
    torch.save({"weights": 1}, tmp_path / CHECKPOINT)
    with pytest.raises(DataError, match="is no checkpoint of a training run"):
        train(TINY, tmp_path, images=data, resume=True)
    (tmp_path / METRICS).write_text("text\n")
    with pytest.raises(DataError, match="is damaged"):
        Records(tmp_path).lines()


@pytest.mark.parametrize("model", models.MODELS)
def test_the_monitor_sees_both_passes_of_the_training_step(model: str) -> None:
    torch.manual_seed(0)
    network = models.build(model, "mnist", tol=1e-5)
    seen = look(network, torch.randn(3, 1, 28, 28), torch.tensor([1, 2, 3]))
    assert seen["residual"] <= 1e-5
    assert seen["backward_residual"] <= 1e-5
    assert seen["monotonicity"] == 1.0
    assert seen["conditioning"] == seen["lipschitz_bound"] >= 1.0
    rough = look(network_with(network, 1e-1), torch.randn(3, 1, 28, 28), torch.tensor([1, 2, 3]))
    assert rough["iterations"] <= seen["iterations"]
    assert rough["backward_iterations"] <= seen["backward_iterations"]


def network_with(network: models.Classifier, tolerance: float) -> models.Classifier:
    network.layer.tol = tolerance
    return network


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "mnits"}, "data='mnits' is unknown: choose one of mnist, fashion-mnist, cifar10"),
        ({"model": "conv"}, "choose one of dense, single-convolution, multi-tier"),
        ({"epochs": 0}, "epochs=0 must be a positive integer"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 must be a positive number"),
        ({"minutes": float("nan")}, "minutes=nan"),
    ],
)
def test_options_that_cannot_be_meant(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Options(**change)


def test_folders_and_options_that_do_not_fit(tmp_path: Path) -> None:
    data = some_images()
    with pytest.raises(DataError, match=r"has no checkpoint\.pt: start without --resume"):
        train(TINY, tmp_path / "new", images=data, resume=True)
    train(TINY, tmp_path / "run", images=data)
    with pytest.raises(DataError, match="holds a run already"):
        train(TINY, tmp_path / "run", images=data)
    with pytest.raises(DataError, match=r"had learning_rate=0\.003: give the same options"):
        train(dataclasses.replace(TINY, learning_rate=1.0), tmp_path / "run", images=data, resume=True)
    with pytest.raises(DataError, match="batch_size=100 is more than the 64 images"):
        train(dataclasses.replace(TINY, batch_size=100), tmp_path / "other", images=data)


def test_schedules() -> None:
    cycle, steps = Options(epochs=10, learning_rate=1.0), Options(epochs=8, learning_rate=1.0, schedule="steps")
    rates = [cycle.rate_at(step, 10) for step in range(100)]
    assert max(rates) == rates[30] == 1.0
    assert rates[0] < 0.01
    assert rates[-1] < 0.01
    assert [steps.rate_at(epoch * 5, 5) for epoch in (0, 3, 4, 5, 6, 7)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Options(schedule="constant", learning_rate=0.5).rate_at(7, 3) == 0.5


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.delenv("MONOPS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["train", "--data", "cifar10", "--out", str(tmp_path / "run")]) == 1
    assert "monops train: CIFAR-10 was not found: set MONOPS_DATA" in capsys.readouterr().err
    assert cli.main(["plot", str(tmp_path / "nothing")]) == 1
    assert "has no metrics: train there first" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "file").touch()
    monkeypatch.setattr(images_task, "load_images", lambda *places, **options: some_images())
    assert cli.main(["train", "--out", str(tmp_path / "file"), "--batch-size", "8"]) == 1
    assert "file cannot be made (File exists): choose another folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["train", "--modle", "dense", "--out", "x"])
    assert "unrecognized arguments: --modle" in capsys.readouterr().err


def test_what_a_run_says_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    base = {"step": 1, "epoch": 0.5, "seconds": 2.0}
    with progress(3) as say:
        for loss in (0.5, 0.25):
            say({**base, "kind": "train", "loss": loss, "accuracy": 0.5})
        say({**base, "kind": "test", "accuracy": 0.75, "loss": 0.125})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2  # the second about the loss came too soon
    assert "loss 0.5" in lines[0]
    assert "accuracy 0.75" in lines[1]


def test_a_run_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    monkeypatch.setattr(images_task, "load_images", lambda *places, **options: some_images())
    command = ["train", "--epochs", "2", "--batch-size", "32", "--out", str(tmp_path / "run")]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "all epochs done" in out
    assert (tmp_path / "run" / "curves.png").is_file()
    assert cli.main(command) == 1
    assert "holds a run already" in capsys.readouterr().err
    assert cli.main([*command, "--resume"]) == 0


def test_lines_after_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for step, kind in ((0, "start"), (0, "solver"), (4, "train"), (4, "solver"), (5, "train")):
        records.write(step=step, kind=kind)
    records.keep_until(4)  # the next thing a run does at step 4 is to look at the solver
    assert [(line["step"], line["kind"]) for line in records.lines()] == [(0, "start"), (0, "solver"), (4, "train")]


def test_the_command_after_an_interrupt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*places: Any, **options: Any) -> Images:
        raise KeyboardInterrupt

    monkeypatch.setattr(images_task, "load_images", interrupted)
    assert cli.main(["train", "--out", str(tmp_path / "run")]) == 130
    assert "stopped before the first step" in capsys.readouterr().err

    step_once = loop.Run.train_step

    def stops(run: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        step_once(run)

    monkeypatch.setattr(images_task, "load_images", lambda *places, **options: some_images())
    monkeypatch.setattr(loop.Run, "train_step", stops)
    assert cli.main(["train", "--out", str(tmp_path / "run"), "--batch-size", "8"]) == 130
    assert f"the state is in {tmp_path / 'run'}, go on with --resume" in capsys.readouterr().err


def test_an_epoch_shows_every_image_once() -> None:
    task = images_task.ImageTask.of(TINY, some_images())

    def rows(step: int) -> Any:
        return task.rows(step, 64, TINY.batch_size, torch.Generator().manual_seed(step // task.steps_an_epoch))

    epochs = [torch.cat([rows(4 * epoch + k) for k in range(4)]) for epoch in range(2)]
    assert task.steps_an_epoch == 4
    for epoch in epochs:
        assert epoch.sort().values.tolist() == list(range(64))
    assert epochs[0].tolist() != epochs[1].tolist()
