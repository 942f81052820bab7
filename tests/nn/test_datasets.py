"""Loaders: real IDX bytes made small, every way in, and every sentence."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="monops_nn needs torch")
from monops.errors import DataError
from monops_nn import datasets
from monops_nn.datasets import digits


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
    monkeypatch.delenv("MONOPS_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
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
