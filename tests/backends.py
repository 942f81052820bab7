"""The array libraries that the tests run on, behind one small interface."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from monops import arrays


@dataclass(frozen=True)
class Backend:
    """How to make arrays of one library, and bring them back to the host."""

    name: str
    make: Callable[[np.ndarray], Any]
    needs: str = ""  # package without which its tests are skipped, visibly

    @property
    def missing(self) -> str:
        """Why the backend cannot run here, or an empty string."""
        return f"{self.needs} is not installed" if self.needs and importlib.util.find_spec(self.needs) is None else ""

    def asarray(self, host: Any, dtype: str = "float64") -> Any:
        """An array of the library."""
        return self.make(np.array(host, dtype=dtype))

    def to_numpy(self, array: Any) -> np.ndarray:
        """Its host copy."""
        return arrays.to_numpy(array)


def _read_only(host: np.ndarray) -> np.ndarray:
    host.flags.writeable = False
    return host


def _torch(host: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(host.copy())


def _strict(device: str) -> Callable[[np.ndarray], Any]:
    def make(host: np.ndarray) -> Any:
        import array_api_strict

        return array_api_strict.asarray(host, device=array_api_strict.Device(device))

    return make


def _fake_cupy(host: np.ndarray) -> Any:
    import cupy

    return cupy.asarray(host)


def _jax(host: np.ndarray) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray(host)


BACKENDS = (
    Backend("numpy", np.array),
    Backend("numpy_read_only", _read_only),
    Backend("torch", _torch, "torch"),
    Backend("strict", _strict("CPU_DEVICE"), "array_api_strict"),
    Backend("strict_device1", _strict("device1"), "array_api_strict"),
    Backend("fake_cupy", _fake_cupy),
    Backend("jax", _jax, "jax"),
)
