"""Training: identical continuation after a cut, records, schedules, sentences; networks at their published sizes; loaders."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")

from monops.errors import DataError, NotConvergedError, ShapeError  # noqa: E402
from monops_nn import cli, models  # noqa: E402
from monops_nn.datasets import Images, images, load_images  # noqa: E402
from monops_nn.training import Options, loop, train  # noqa: E402
from monops_nn.training.records import CHECKPOINT, METRICS, WEIGHTS  # noqa: E402


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
            if run.step == cut:
                raise KeyboardInterrupt
            step_once(run)

        with monkeypatch.context() as patch:
            patch.setattr(loop.Run, "train_step", stops)
            with pytest.raises(KeyboardInterrupt):
                train(TINY, out, images=data)
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
    assert outcome.accuracy == seen[-1]["accuracy"]
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from monops_nn.training.plots import plot

    assert plot(tmp_path).read_bytes()[:4] == b"\x89PNG"


def test_squares_are_learned(tmp_path: Path) -> None:
    options = dataclasses.replace(TINY, epochs=10, augment=False)
    assert train(options, tmp_path, images=some_images()).accuracy > 0.9


def test_a_time_limit_ends_with_an_evaluation_and_a_checkpoint(tmp_path: Path) -> None:
    outcome = train(dataclasses.replace(TINY, minutes=1e-6), tmp_path, images=some_images())
    assert not outcome.finished
    assert outcome.step == 1
    assert (tmp_path / CHECKPOINT).is_file()
    assert train(TINY, tmp_path, images=some_images(), resume=True).finished


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_state(tmp_path: Path) -> None:
    data = some_images()
    broken = data._replace(mean=(float("nan"),))
    with (
        pytest.warns(UserWarning, match="non-finite"),
        pytest.raises(NotConvergedError, match="the loss is nan at step 0: lower"),
    ):
        train(dataclasses.replace(TINY, monitor_every=10**6), tmp_path, images=broken)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 0


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
    with pytest.raises(SystemExit):
        cli.main(["train", "--modle", "dense", "--out", "x"])
    assert "unrecognized arguments: --modle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "data", "parameters"),
    [
        ("dense", "mnist", 84_313),
        ("single-convolution", "mnist", 79_500),
        ("multi-tier", "mnist", 81_394),
        ("single-convolution", "cifar10", 172_218),
        ("multi-tier", "cifar10", 170_194),
    ],
)
def test_networks_have_the_published_sizes(model: str, data: str, parameters: int) -> None:
    network = models.build(model, data)
    assert sum(value.numel() for value in network.parameters()) == parameters
    assert network(torch.zeros(2, *network.images)).shape == (2, 10)
    with pytest.raises(ShapeError, match="this network needs"):
        network(torch.zeros(2, 5, 5))


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(DataError, match="choose one of dense, single-convolution, multi-tier"):
        models.build("resnet", "mnist")


# ---- loaders --------------------------------------------------------------------------------------------


def cifar_records(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    records = generator.integers(0, 256, (count, images.RECORD)).astype(np.uint8)
    records[:, 0] %= 10
    return records


def write_binary(folder: Path) -> None:
    folder.mkdir(parents=True)
    for seed, name in enumerate([*images.TRAIN, "test_batch"]):
        cifar_records(3, seed).tofile(folder / f"{name}.bin")


def write_pickles(folder: Path) -> None:
    folder.mkdir(parents=True)
    for seed, name in enumerate([*images.TRAIN, "test_batch"]):
        records = cifar_records(3, seed)
        content = {b"data": records[:, 1:], b"labels": records[:, 0].tolist(), b"batch_label": b"x"}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def test_both_layouts_of_cifar_hold_the_same(tmp_path: Path) -> None:
    write_binary(tmp_path / "a" / images.BINARY)
    write_pickles(tmp_path / "b" / images.PICKLED)
    first, second = load_images("cifar10", tmp_path / "a"), load_images("CIFAR10", tmp_path / "b")
    assert first.train_images.shape == (15, 3, 32, 32)
    for got, expected in zip(first[:4], second[:4], strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    record = cifar_records(3, 0)[1]
    assert int(first.train_labels[1]) == record[0]
    assert int(first.train_images[1, 2, 0, 5]) == record[1 + 2 * 1024 + 5]  # blue plane, first row
    scaled = first.scaled(first.train_images[:1])
    expected = (first.train_images[0, 1, 3, 4].double() / 255 - 0.4822) / 0.2435
    torch.testing.assert_close(scaled[0, 1, 3, 4].double(), expected, rtol=1e-6, atol=1e-6)


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    write_binary(tmp_path / images.BINARY)
    path = tmp_path / images.BINARY / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_2\.bin should hold records of 3073 bytes"):
        load_images("cifar10", tmp_path)
    folder = tmp_path / "p"
    write_pickles(folder / images.PICKLED)
    bad = folder / images.PICKLED / "data_batch_1"
    bad.write_bytes(b"text")
    with pytest.raises(DataError, match="data_batch_1 is no batch of CIFAR-10"):
        load_images("cifar10", folder)


class Harmful:
    """Would run code when unpickled by the ordinary reader."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/should-not-exist-monops"),))


def test_pickles_run_no_code(tmp_path: Path) -> None:
    write_pickles(tmp_path / images.PICKLED)
    (tmp_path / images.PICKLED / "data_batch_1").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(DataError, match="it asks for"):
        load_images("cifar10", tmp_path)
    assert not Path("/tmp/should-not-exist-monops").exists()


def test_fashion_mnist_has_the_layout_of_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.nn.test_datasets import write_idx

    place = tmp_path / "fashion-mnist"
    place.mkdir()
    for name, shape in zip(images.FILES, [(5, 28, 28), (5,), (2, 28, 28), (2,)], strict=True):
        write_idx(place / name, np.arange(np.prod(shape)).reshape(shape) % 10)
    monkeypatch.setenv("MONOPS_DATA", str(tmp_path))
    found = load_images("fashion_mnist")
    assert found.train_images.shape == (5, 1, 28, 28)
    assert found.test_labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="the data set 'mnit' is unknown: choose one of mnist, fashion-mnist, cifar10"):
        load_images("mnit")
    monkeypatch.delenv("MONOPS_DATA")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(DataError, match="Fashion-MNIST was not found: set MONOPS_DATA"):
        load_images("fashion-mnist")
    monkeypatch.setattr(images, "FASHION_URL", place.as_uri() + "/")
    with pytest.raises(DataError, match="has md5"):
        load_images("fashion-mnist", tmp_path / "target", download=True)
