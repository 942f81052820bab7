"""The full state of a solve in a file of NumPy arrays (npz, without pickle), so that a run goes on where it was cut."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monops import arrays
from monops.algorithms import Algorithm
from monops.arrays import Blocks
from monops.errors import DataError
from monops.linear import LinearMap
from monops.problem import Inclusion, Summand

FORMAT = 2


def fingerprint(problem: Inclusion, algorithm: Algorithm, terms: Any) -> str:
    """What must agree between the run that wrote a checkpoint and the one that goes on."""
    digest = hashlib.sha256()
    for name, array in problem.named_arrays():
        host = np.ascontiguousarray(arrays.to_numpy(array))
        digest.update(f"{name} {host.shape} {host.dtype}".encode())
        digest.update(host.tobytes())
    digest.update("".join(_numbers(tuple((term.summand, term.map) for term in problem.terms))).encode())
    settings = f"step {terms.step_size!r}, batch_ndim {problem.batch_ndim}"
    return f"{problem} | {algorithm!r} | {settings} | data {digest.hexdigest()[:16]}"


def _numbers(item: Any) -> Iterator[str]:
    """The numbers among the fields of functions, operators and maps, exactly as they are."""
    if isinstance(item, (int, float, str)):
        yield f"{item!r};"
    elif isinstance(item, tuple):
        for part in item:
            yield from _numbers(part)
    elif isinstance(item, (Summand, LinearMap)) and dataclasses.is_dataclass(item):
        for entry in dataclasses.fields(item):
            yield from _numbers(getattr(item, entry.name))


def _structure(state: Any) -> Any:
    """The tuples of a state as nested lists, with the kind of each leaf: a state may have grown since it began."""
    if isinstance(state, tuple):
        return [_structure(part) for part in state]
    return "array" if arrays.is_array(state) else type(state).__name__


def writable(path: str | Path) -> Path:
    """The path, when its folder exists."""
    if not isinstance(path, (str, Path)) or not Path(path).absolute().parent.is_dir():
        raise DataError(f"save_to={path!r} must be a file in a folder that exists")
    return Path(path)


def save(path: Path, mark: str, iteration: int, state: Any, rows: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write atomically: a run that is cut while writing leaves the checkpoint before."""
    content: dict[str, Any] = {"format": FORMAT, "fingerprint": mark, "iteration": iteration}
    content["structure"] = json.dumps(_structure(state))
    content |= {f"rows/{name}": value for name, value in rows.items()}
    for index, leaf in enumerate(arrays.leaves(state)):
        if leaf is not None:
            content[f"state/{index}"] = arrays.to_numpy(leaf) if arrays.is_array(leaf) else np.asarray(leaf)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        np.savez(file, **content)
    Path(name).replace(path)


def load(path: Path, mark: str, template: Any) -> tuple[int, Any, dict[str, np.ndarray[Any, Any]]]:
    """Iteration, state with the structure, library and device of the template, and the numbers of the rows.

    Raises
    ------
    DataError
        When the file is missing, is no checkpoint, or belongs to another problem, method, step size or shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = dict(file)
    except FileNotFoundError:
        raise DataError(f"resume_from={str(path)!r}: there is no such file") from None
    except (OSError, ValueError):
        raise DataError(f"resume_from={str(path)!r}: cannot be read as a checkpoint of solve") from None
    if "fingerprint" not in content or int(content.get("format", 0)) != FORMAT:
        raise DataError(f"resume_from={str(path)!r} is no checkpoint of this version of monops")
    found = str(content["fingerprint"])
    if found != mark:
        raise DataError(f"resume_from={str(path)!r} belongs to another run:\n  file: {found}\n  here: {mark}")
    values = iter(range(len(content)))
    like = next(leaf for leaf in arrays.leaves(template) if arrays.is_array(leaf))

    def fill(kind: Any, before: Any) -> Any:
        if isinstance(kind, list):
            known = before if isinstance(before, tuple) else Blocks(())
            parts = [fill(part, known[index] if index < len(known) else None) for index, part in enumerate(kind)]
            return type(known)(*parts) if hasattr(known, "_fields") else type(known)(parts)
        name = f"state/{next(values)}"
        if kind == "NoneType":
            return None
        if name not in content:
            raise DataError(f"resume_from={str(path)!r} lacks a part of the state: it was written by another version")
        host = content[name]
        if kind != "array":
            return host.item()
        leaf = before if arrays.is_array(before) else like
        return arrays.from_numpy(host, leaf, leaf.dtype if host.dtype.kind in "fc" else None)

    state = fill(json.loads(str(content["structure"])), template)
    rows = {name.removeprefix("rows/"): value for name, value in content.items() if name.startswith("rows/")}
    return int(content["iteration"]), state, rows
