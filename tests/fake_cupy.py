"""A NumPy-backed stand-in for CuPy that refuses to mix with host arrays as CuPy does.

It catches host leaks and dispatch mistakes on machines without a GPU; it says nothing of kernels, streams or speed.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class ndarray:
    """The array: a wrapper, not a subclass of numpy.ndarray."""

    __array_priority__ = 100

    def __init__(self, host: Any) -> None:
        self._host = np.asarray(host)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array")

    __array_ufunc__ = None
    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    T = property(lambda self: ndarray(self._host.T))
    mT = property(lambda self: ndarray(np.swapaxes(self._host, -1, -2)))
    device = property(lambda self: Device(0))

    def get(self) -> np.ndarray:
        """The host copy."""
        return np.array(self._host)

    def __getitem__(self, key: Any) -> ndarray:
        return ndarray(self._host[unwrap(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[unwrap(key)] = unwrap(value)

    def __float__(self) -> float:
        return float(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __len__(self) -> int:
        return len(self._host)

    def __repr__(self) -> str:
        return f"fake_cupy.{self._host!r}"

    __hash__ = None  # type: ignore[assignment]


class Device:
    """The only device."""

    def __init__(self, number: int = 0) -> None:
        self.id = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device)

    def __hash__(self) -> int:
        return 0

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def use(self) -> None:
        """Select the device."""


def unwrap(value: Any) -> Any:
    """Host value of an operand; NumPy arrays are refused, as CuPy does."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple):
        return tuple(unwrap(item) for item in value)
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    return value


def wrap(value: Any) -> Any:
    """Device value of a result (0-d stays an array, as in CuPy)."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(value)
    if isinstance(value, tuple):
        wrapped = [wrap(item) for item in value]
        return type(value)(*wrapped) if hasattr(value, "_fields") else tuple(wrapped)
    if isinstance(value, list):
        return [wrap(item) for item in value]
    return value


def lift(function: Any) -> Any:
    """The function on wrapped arrays."""

    def lifted(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("device", None)
        return wrap(function(*[unwrap(a) for a in args], **{key: unwrap(value) for key, value in kwargs.items()}))

    lifted.__name__ = getattr(function, "__name__", "lifted")
    return lifted


BINARY = ["add", "sub", "mul", "truediv", "pow", "matmul", "and", "or", "xor", "eq", "ne", "lt", "le", "gt", "ge"]
for _name in BINARY:
    setattr(ndarray, f"__{_name}__", lift(getattr(np.ndarray, f"__{_name}__")))
for _name in ["add", "sub", "mul", "truediv", "pow", "matmul", "and", "or"]:
    setattr(ndarray, f"__r{_name}__", lift(getattr(np.ndarray, f"__r{_name}__")))
for _name in ["neg", "pos", "abs", "invert"]:
    setattr(ndarray, f"__{_name}__", lift(getattr(np.ndarray, f"__{_name}__")))
for _name in ["sum", "max", "min", "any", "all", "reshape", "astype", "copy", "ravel", "item", "conj"]:
    setattr(ndarray, _name, lift(getattr(np.ndarray, _name)))


def _module(name: str, source: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    for attribute in dir(source):
        value = getattr(source, attribute)
        if attribute.startswith("_") or isinstance(value, types.ModuleType):
            continue
        is_plain = isinstance(value, type) or not callable(value)
        setattr(module, attribute, value if is_plain else lift(value))
    return module


@contextmanager
def installed() -> Iterator[types.ModuleType]:
    """Put the stand-in where ``import cupy`` finds it, for the duration of a test."""
    cupy = _module("cupy", np)
    cupy.ndarray = ndarray  # type: ignore[attr-defined]
    cupy.asarray = lambda host, dtype=None, **_: ndarray(
        np.array(host._host if isinstance(host, ndarray) else host, dtype=dtype)
    )  # type: ignore[attr-defined]
    cupy.array = cupy.asarray  # type: ignore[attr-defined]
    cuda, device = types.ModuleType("cupy.cuda"), types.ModuleType("cupy.cuda.device")
    cuda.Device = device.Device = Device  # type: ignore[attr-defined]
    cuda.device = device  # type: ignore[attr-defined]
    cuda.Stream = type("Stream", (), {})  # type: ignore[attr-defined]
    cupy.cuda = cuda  # type: ignore[attr-defined]
    cupy.fft, cupy.linalg = _module("cupy.fft", np.fft), _module("cupy.linalg", np.linalg)  # type: ignore[attr-defined]
    names = {
        "cupy": cupy,
        "cupy.cuda": cuda,
        "cupy.cuda.device": device,
        "cupy.fft": cupy.fft,
        "cupy.linalg": cupy.linalg,
    }
    saved = {name: sys.modules.get(name) for name in names}
    compat = [name for name in sys.modules if name.startswith("array_api_compat.cupy")]
    assert not compat, "array_api_compat.cupy is imported already: the stand-in must come first"
    sys.modules.update(names)
    try:
        yield cupy
    finally:
        for name in names:
            if saved[name] is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = saved[name]  # type: ignore[assignment]
        for name in [name for name in sys.modules if name.startswith("array_api_compat.cupy")]:
            sys.modules.pop(name, None)
