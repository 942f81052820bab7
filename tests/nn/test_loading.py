"""Published weights: the logits of the original's formulas, accuracy on MNIST, and what is refused."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="monops_nn needs torch")
from torch.nn import functional  # noqa: E402

from benchmarks.mondeq_rows.definition import Definition  # noqa: E402
from benchmarks.mondeq_rows.row import MNIST_DEVIATION, MNIST_MEAN, Row, state_of  # noqa: E402
from monops import errors  # noqa: E402
from monops_nn import load_original  # noqa: E402
from monops_nn.datasets import load_mnist  # noqa: E402

ROWS = {
    "dense": Row("dense", (7,), 6, 1),
    "convolution": Row("convolution", (3,), 8, 2, monotonicity=0.5),
    "two tiers": Row("tiers", (2, 3), 8, 1),
    "three tiers": Row("tiers", (2, 3, 4), 12, 2),
}
every_row = pytest.mark.parametrize("name", ROWS)
needs_weights = pytest.mark.skipif(
    not (Path(os.environ.get("MONOPS_DATA", "")) / "pretrained").is_dir() or not os.environ.get("MONOPS_DATA"),
    reason="published weights: set MONOPS_DATA to a folder with pretrained/*.npz and mnist/",
)


def published(row: Row) -> dict[str, Any]:
    """Random weights of a row under the names that the original writes, with gains other than 1."""
    state = state_of(row, seed=3)
    gains = {"g": 1.7, "h": -2.3, "gn": 0.6}
    layer = dict(state)
    for name, value in state.items():
        kind, _, tier = name.partition(".")
        if value.ndim == 0:
            layer[name] = (gains[kind] + 0.2 * int(tier or 0)) * value
    side = (row.image + 2) // 4 if row.kind == "convolution" else 1 if row.kind == "dense" else row.ring[-1]
    classifier = torch.nn.Linear(row.channels[-1] * side**2, 10)
    full = {f"mon.linear_module.{name}": value for name, value in layer.items()}
    return full | {f"Wout.{name}": value.detach() for name, value in classifier.named_parameters()}


def logits(row: Row, state: dict[str, Any], images: Any) -> Any:
    """The original's network by its definition, in float64: forward-backward with a small step, to rounding."""
    state = {name: value.double() for name, value in state.items()}
    definition = Definition(row, {name.removeprefix("mon.linear_module."): value for name, value in state.items()})
    x = images.double()
    x = x.flatten(1) if row.kind == "dense" else functional.pad(x, (1, 1, 1, 1))
    c = definition.injection(x)
    z = tuple(torch.zeros_like(part) for part in c)
    for _ in range(3000):
        h = tuple(torch.lerp(old, w + bias, 0.1) for old, w, bias in zip(z, definition.product(z), c, strict=True))
        z = definition.activation(h)
    assert definition.forward_residuals(x, z).worst < 1e-9
    out = functional.avg_pool2d(z[-1], 4) if row.kind == "convolution" else z[-1]
    return out.flatten(1) @ state["Wout.weight"].mT + state["Wout.bias"]


@every_row
def test_logits_are_those_of_the_original(name: str) -> None:
    row = ROWS[name]
    state, images = published(row), torch.randn(4, row.inputs, row.image, row.image, generator=torch.Generator().manual_seed(1))
    model = load_original(state, row.monotonicity, tol=1e-6)
    torch.testing.assert_close(model(images), logits(row, state, images).float(), rtol=1e-5, atol=1e-5)


@every_row
def test_prefixes_files_and_arrays(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    state, images = published(row), torch.ones(2, row.inputs, row.image, row.image)
    expected = load_original(state, row.monotonicity)(images)
    np.savez(tmp_path / "weights.npz", **{key: value.numpy() for key, value in state.items()})
    torch.save(state, tmp_path / "weights.pt")
    short = {key.removeprefix("mon.linear_module."): value for key, value in state.items()}
    sources = (
        short,
        {f"module.{key}": value for key, value in state.items()},
        {key.removeprefix("mon."): value for key, value in state.items()},
        {key: value.numpy() for key, value in state.items()},
        tmp_path / "weights.npz",
        str(tmp_path / "weights.pt"),
    )
    for source in sources:
        torch.testing.assert_close(load_original(source, row.monotonicity)(images), expected, rtol=0, atol=0)


def test_a_gain_of_zero_is_kept() -> None:
    row = ROWS["convolution"]
    state, images = published(row), torch.ones(2, 2, 8, 8)
    state["mon.linear_module.g"] = torch.tensor(0.0)
    got = load_original(state, row.monotonicity, tol=1e-6)(images)
    torch.testing.assert_close(got, logits(row, state, images).float(), rtol=1e-5, atol=1e-5)


def test_a_negative_gain_is_refused_with_the_eigenvalue() -> None:
    row = ROWS["convolution"]
    state = published(row)
    state["mon.linear_module.g"] = torch.tensor(-1.5)
    short = {name.removeprefix("mon.linear_module."): value.double() for name, value in state.items()}
    definition = Definition(row, short | {"g": torch.tensor(1.5).double()})
    eye = torch.eye(3 * 10 * 10, dtype=torch.float64).reshape(-1, 3, 10, 10)
    A = definition.kernels()["A"][0]
    gram = functional.conv2d(functional.pad(eye, (1, 1, 1, 1), mode="circular"), A).flatten(1)
    least = 0.5 - float(torch.linalg.eigvalsh(gram @ gram.mT)[-1])
    with pytest.raises(errors.ConstantError, match=r"g = -1\.5 .*lambda_min\(sym\(I - W\)\) = -") as caught:
        load_original(state, 0.5)
    printed = re.search(r"= (-[\d.]+) instead", str(caught.value))
    assert printed is not None
    assert float(printed[1]) == pytest.approx(least, rel=1e-5)


@pytest.mark.parametrize("name", ["g.0", "gn.0", "g.2"])
def test_a_negative_gain_of_a_tier_is_refused(name: str) -> None:
    state = published(ROWS["three tiers"])
    state[f"mon.linear_module.{name}"] = torch.tensor(-0.1)
    with pytest.raises(errors.ConstantError, match=rf"{name} = -0\.1.*square root"):
        load_original(state)


def changed(name: str, remove: str = "", **values: Any) -> dict[str, Any]:
    """The weights of a row without one entry, with others."""
    state = published(ROWS[name])
    state.pop(remove, None)
    return state | {key.replace("__", "."): value for key, value in values.items()}


@pytest.mark.parametrize(
    ("call", "exception", "words"),
    [
        (
            lambda: load_original(changed("dense", "Wout.bias")),
            errors.DataError,
            r"dense.*missing \['Wout.bias'\], left over \[\]",
        ),
        (lambda: load_original(changed("dense", Wout__scale=torch.ones(1))), errors.DataError, r"left over \['Wout.scale'\]"),
        (
            lambda: load_original(changed("three tiers", "mon.linear_module.gn.1")),
            errors.DataError,
            r"nearest, multi-tier convolution, expected \['A0.0.weight.*missing \['gn.1'\]",
        ),
        (
            lambda: load_original({"fc.weight": torch.ones(2, 2)}),
            errors.DataError,
            r"no published network.*found \['fc.weight'\]",
        ),
        (lambda: load_original({}), errors.DataError, r"found \[\]"),
        (lambda: load_original([1, 2]), errors.DataError, "state_dict or the path"),
        (lambda: load_original("weights.npz"), errors.DataError, "weights.npz is no file"),
        (
            lambda: load_original(changed("dense", Wout__weight=torch.ones(10, 8))),
            errors.DataError,
            r"Wout.weight has shape \(10, 8\)",
        ),
        (
            lambda: load_original(changed("convolution", Wout__weight=torch.ones(10, 15))),
            errors.DataError,
            "no 3 square images",
        ),
        (
            lambda: load_original(changed("dense", Wout__bias=torch.full((10,), torch.nan))),
            errors.DataError,
            "Wout.bias contains NaN",
        ),
        (lambda: load_original(changed("convolution"), image_size=12), errors.DataError, "image_size=12 does not fit"),
        (lambda: load_original(changed("two tiers"), image_size=12), errors.DataError, "image_size=12 does not fit"),
        (lambda: load_original(changed("dense"), image_size=5), errors.DataError, "image_size=5 does not fit"),
        (lambda: load_original(changed("dense"), -1.0), errors.DataError, "monotonicity=-1.0"),
        (lambda: load_original(changed("dense"), tolerance=1e-3), TypeError, "tolerance"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(call: Any, exception: type[Exception], words: str) -> None:
    with pytest.raises(exception, match=words):
        call()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("1")
    with pytest.raises(errors.DataError, match=r"must end in \.npz, \.pt or \.pth"):
        load_original(tmp_path / "weights.txt")
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    with pytest.raises(errors.DataError, match="holds a Tensor"):
        load_original(tmp_path / "tensor.pt")


def digits(count: int) -> tuple[Any, Any]:
    """Test digits, scaled as the original scaled them, and their labels."""
    data = load_mnist()
    images = torch.from_numpy(data.test_images[:count]).reshape(-1, 1, 28, 28)
    return (images - MNIST_MEAN) / MNIST_DEVIATION, torch.from_numpy(data.test_labels[:count])


@needs_weights
def test_accuracy_of_the_published_dense_network() -> None:
    images, labels = digits(10_000)
    model = load_original(Path(os.environ["MONOPS_DATA"]) / "pretrained" / "mondeq_mnist_fc87.npz")
    with torch.no_grad():
        right = int((model(images).argmax(1) == labels).sum())
    assert abs(right - 9819) <= 2  # the original's own code: 98.19 %


@needs_weights
def test_the_published_convolution_network_reads_digits() -> None:
    images, labels = digits(40)
    model = load_original(Path(os.environ["MONOPS_DATA"]) / "pretrained" / "mondeq_mnist_conv128_m20.npz", 20.0, tol=1e-3)
    with torch.no_grad():
        assert int((model(images).argmax(1) == labels).sum()) >= 36
