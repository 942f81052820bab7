"""The border to array libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monops import arrays
from monops.arrays import Blocks
from monops.errors import BackendError, DataError


def test_blocks_are_vectors() -> None:
    x, y = Blocks((np.ones(2), np.zeros(1))), Blocks((np.full(2, 2.0), np.ones(1)))
    combined = 3.0 * x - y / 2.0 + (-x) + np.float64(1.0) * y
    np.testing.assert_allclose(combined[0], [3.0, 3.0])
    np.testing.assert_allclose(combined[1], [0.5])
    with pytest.raises(DataError, match="2 and 1 blocks"):
        x + Blocks((np.ones(2),))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_against_numpy(backend: Any, dtype: str) -> None:
    host = np.array([[-2.0, 0.5, 3.0], [0.0, -0.1, 1.0]])
    x = backend.asarray(host, dtype)
    pairs = [
        (arrays.clip(x, -1.0, 1.0), np.clip(host, -1, 1)),
        (arrays.clip(x, 0.0, None), np.maximum(host, 0)),
        (arrays.soft_threshold(x, 0.4), np.sign(host) * np.maximum(np.abs(host) - 0.4, 0)),
        (arrays.logistic(x), 1 / (1 + np.exp(-host))),
        (arrays.norm(x, 1), np.linalg.norm(host, axis=1)),
        (arrays.inner(x, x, 1), np.sum(host**2, axis=1)),
        (arrays.scale_rows(x[:, 0], x), host[:, :1] * host),
        (arrays.select_rows(x[:, 2] > 2, x, -x), np.array([host[0], -host[1]])),
        (arrays.from_numpy(host, x), host),
    ]
    for got, expected in pairs:
        assert str(got.dtype).endswith(dtype)
        assert arrays.device(got) == arrays.device(x)
        np.testing.assert_allclose(backend.to_numpy(got), expected, atol=1e-6)
    assert abs(float(arrays.norm(x)) - np.linalg.norm(host)) < 1e-5


def test_norm_of_blocks_and_complex_numbers() -> None:
    assert float(arrays.norm(Blocks((np.array([3.0]), np.array([4.0]))))) == 5.0
    assert float(arrays.norm(np.array([3 + 4j]))) == 5.0
    assert float(arrays.inner(np.array([1j]), np.array([1j]))) == 1.0


def test_non_finite_values_are_located() -> None:
    with pytest.raises(DataError, match=r"b contains 2 non-finite values \(first: inf at index 1\)"):
        arrays.check_finite("b", np.array([1.0, np.inf, np.nan]))
    with pytest.raises(DataError, match=r"index \(1, 0\)"):
        arrays.check_finite("A", np.array([[1.0, 2.0], [np.nan, 3.0]]))


def test_what_is_no_array_is_named() -> None:
    with pytest.raises(BackendError, match="got list"):
        arrays.namespace([1.0])
    with pytest.raises(BackendError, match="str is no array"):
        arrays.namespace("text")


def test_mixtures_are_refused() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(BackendError, match="numpy array and x0 a torch array"):
        arrays.check_same_backend([("b", np.ones(2)), ("x0", torch.ones(2))])
    with pytest.raises(BackendError, match="float64 and x0 has dtype float32"):
        arrays.check_same_backend([("b", np.ones(2)), ("x0", np.ones(2, dtype=np.float32))])


def test_importing_monops_imports_no_other_array_library() -> None:
    import subprocess
    import sys

    code = "import sys, monops; print([m for m in ('torch', 'jax', 'cupy', 'matplotlib', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_of_numpy_numbers_are_selected() -> None:
    two, three = np.sqrt(np.asarray(4.0)), np.sqrt(np.asarray(9.0))  # NumPy gives numbers here, no arrays of no axes
    assert float(arrays.select_rows(np.asarray(True), two, three)) == 2.0
    assert arrays.select_rows(np.asarray(True), 4, 5) == 5
