"""Loaders: real IDX bytes made small, every way in, and every sentence."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="monops_nn needs torch")
import torch

from monops.errors import DataError
from monops_nn import datasets
from monops_nn.datasets import digits, images


def write_idx(path: Path, values: np.ndarray) -> None:
    """A gzip IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four small files of the right names."""
    place = tmp_path / "mnist"
    place.mkdir()
    for name, shape in zip(digits.FILES, [(5, 28, 28), (5,), (2, 28, 28), (2,)], strict=True):
        write_idx(place / name, np.arange(np.prod(shape)).reshape(shape) % 251)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONOPS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def batch(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (count, 3072) and labels of one file of CIFAR-10."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3072)).astype(np.uint8), rng.integers(0, 10, count).astype(np.uint8)


def python_two_pickle(content: Any) -> bytes:
    """A pickle as the data set's authors wrote theirs: old protocol, the module name of old NumPy."""
    return pickle.dumps(content, protocol=2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.fixture(params=["binary", "python"])
def cifar(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Six small batches in one of the official layouts; returns the folder of the files."""
    binary = request.param == "binary"
    place = tmp_path / ("cifar-10-batches-bin" if binary else "cifar-10-batches-py")
    place.mkdir()
    for seed, name in enumerate([*images.TRAIN, "test_batch"]):
        pixels, labels = batch(3, seed)
        if binary:
            (place / f"{name}.bin").write_bytes(np.column_stack([labels, pixels]).tobytes())
        else:
            (place / name).write_bytes(python_two_pickle({b"data": pixels, b"labels": labels.tolist()}))
    return place


def test_folder_argument_and_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    direct = datasets.load_mnist(folder / "mnist")
    monkeypatch.setenv("MONOPS_DATA", str(folder))
    for found in (direct, datasets.load_mnist()):
        assert found.train_images.shape == (5, 784)
        assert found.train_images.dtype == np.float32
        assert found.test_labels.tolist() == [0, 1]
        np.testing.assert_allclose(found.train_images[0, :3] * 255, [0, 1, 2], rtol=1e-6)


def test_damaged_files_are_named(folder: Path) -> None:
    name = next(iter(digits.FILES))
    path = folder / "mnist" / name
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
    with pytest.raises(DataError, match="fetch it again"):
        datasets.load_mnist(folder)
    path.write_bytes(b"text")
    with pytest.raises(DataError, match="no readable gzip"):
        datasets.load_mnist(folder)


def test_missing_data_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "_from_package", lambda: None)
    with pytest.raises(DataError, match=r"set MONOPS_DATA.*download=True"):
        datasets.load_mnist(tmp_path)


def test_download_keeps_only_files_with_the_right_checksum(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "fetched"
    with pytest.raises(DataError, match="md5"):
        datasets.download_mnist(target, (folder / "mnist").as_uri() + "/")
    assert not list(target.iterdir())


def test_small_digits_are_split_by_class() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    small = datasets.load_digits()
    assert small.train_images.shape[1] == 64
    assert len(small.train_labels) + len(small.test_labels) == 1797
    assert np.bincount(small.test_labels).min() >= 43


def test_a_folder_that_was_given_is_the_only_place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOPS_DATA", str(folder))
    (tmp_path / "empty").mkdir()
    for name in datasets.DATA:
        with pytest.raises(DataError, match=r"not found in .*empty"):
            datasets.load_images(name, tmp_path / "empty")


def test_images_are_bytes_scaled_as_the_published_networks_had_them(folder: Path) -> None:
    found = datasets.load_images("mnist", folder)
    assert found.train_images.shape == (5, 1, 28, 28)
    assert found.train_images.dtype == torch.uint8
    expected = (np.arange(28 * 28).reshape(28, 28) % 251 / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(found.scaled(found.train_images[:1])[0, 0].numpy(), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(DataError, match="choose one of mnist"):
        datasets.load_images("letters")


def test_fashion_lies_beside_mnist(folder: Path) -> None:
    (folder / "mnist").rename(folder / "fashion-mnist")
    found = datasets.load_images("fashion_mnist", folder)
    assert found.source.startswith("Fashion-MNIST")
    assert found.test_labels.tolist() == [0, 1]


def test_sets_with_the_same_file_names_are_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name = folder / "mnist", digits.TEST_LABELS
    content = (place / name).read_bytes()
    monkeypatch.setattr(digits, "FASHION_LABELS", hashlib.md5(content).hexdigest())
    with pytest.raises(DataError, match="holds Fashion-MNIST"):
        datasets.load_images("mnist", place)
    monkeypatch.setitem(digits.FILES, name, hashlib.md5(gzip.decompress(content)).hexdigest())
    with pytest.raises(DataError, match="holds MNIST"):
        datasets.load_images("fashion-mnist", place)


def test_labels_that_do_not_belong_are_refused(folder: Path) -> None:
    write_idx(folder / "mnist" / digits.TEST_LABELS, np.array([1, 2, 3]))
    with pytest.raises(DataError, match="fetch the files again"):
        datasets.load_mnist(folder)
    write_idx(folder / "mnist" / digits.TEST_LABELS, np.array([1, 10]))
    with pytest.raises(DataError, match="labels from 0 to 9"):
        datasets.load_mnist(folder)


def test_both_layouts_of_cifar(cifar: Path) -> None:
    for place in (cifar, cifar.parent):
        found = datasets.load_cifar10(place)
        assert found.train_images.shape == (15, 3, 32, 32)
        for part, label, seed in (
            (found.train_images[3:6], found.train_labels[3:6], 1),
            (found.test_images, found.test_labels, 5),
        ):
            pixels, labels = batch(3, seed)
            assert part.flatten(1).numpy().tolist() == pixels.tolist()  # red, green and blue planes, rows of each
            assert label.tolist() == labels.tolist()


def test_damaged_cifar_is_named(cifar: Path) -> None:
    path = next(iter(sorted(cifar.iterdir())))
    whole = path.read_bytes()
    for content in (whole[:-1], b"", whole[: len(whole) // 2], b"text" * 100, b"\xff" * 3073):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{path.name}.*fetch it again"):
            datasets.load_cifar10(cifar)


class Harmful:
    """Unpickled the usual way, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self.path)!r}, 'w')",)


def test_pickles_run_no_code(tmp_path: Path) -> None:
    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()
    for name in [*images.TRAIN, "test_batch"]:
        (place / name).write_bytes(pickle.dumps({b"data": Harmful(tmp_path / "written"), b"labels": [0]}))
    with pytest.raises(DataError, match=r"asks for builtins\.exec"):
        datasets.load_cifar10(place)
    assert not (tmp_path / "written").exists()


def test_downloads_are_checked_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "small.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        for seed, name in enumerate([*images.TRAIN, "test_batch"]):
            pixels, labels = batch(2, seed)
            content = np.column_stack([labels, pixels]).tobytes()
            entry = tarfile.TarInfo(f"{images.BINARY}/{name}.bin")
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(images, "CIFAR_URL", archive.as_uri())
    with pytest.raises(DataError, match="md5"):
        datasets.load_images("cifar10", tmp_path / "a", download=True)
    monkeypatch.setattr(images, "CIFAR_MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert len(datasets.load_images("cifar10", tmp_path / "a", download=True).train_images) == 10
    monkeypatch.setattr(images, "FASHION_URL", (tmp_path / "nowhere").as_uri() + "/")
    with pytest.raises(DataError, match="set MONOPS_DATA"):
        datasets.load_images("fashion-mnist", tmp_path / "b", download=True)
