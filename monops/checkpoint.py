"""The full state of a solve in a file of NumPy arrays (npz, without pickle), so that a run goes on where it was cut."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from monops import arrays
from monops.algorithms import Algorithm
from monops.errors import DataError
from monops.problem import Inclusion

FORMAT = 1


def fingerprint(problem: Inclusion, algorithm: Algorithm, terms: Any) -> str:
    """What must agree between the run that wrote a checkpoint and the one that goes on."""
    digest = hashlib.sha256()
    for name, array in problem.named_arrays():
        host = np.ascontiguousarray(arrays.to_numpy(array))
        digest.update(f"{name} {host.shape} {host.dtype}".encode())
        digest.update(host.tobytes())
    settings = f"step {terms.step_size!r}, batch_ndim {problem.batch_ndim}"
    return f"{problem} | {algorithm!r} | {settings} | data {digest.hexdigest()[:16]}"


def writable(path: str | Path) -> Path:
    """The path, when its folder exists."""
    if not isinstance(path, (str, Path)) or not Path(path).absolute().parent.is_dir():
        raise DataError(f"save_to={path!r} must be a file in a folder that exists")
    return Path(path)


def save(path: Path, mark: str, iteration: int, state: Any, rows: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write atomically: a run that is cut while writing leaves the checkpoint before."""
    content: dict[str, Any] = {"format": FORMAT, "fingerprint": mark, "iteration": iteration}
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
    values = iter(range(len(arrays.leaves(template))))

    def fill(leaf: Any) -> Any:
        index = next(values)
        if leaf is None:
            return None
        name = f"state/{index}"
        if name not in content:
            raise DataError(f"resume_from={str(path)!r} lacks part {index} of the state: it was written by another version")
        host = content[name]
        if not arrays.is_array(leaf):
            return type(leaf)(host.item())
        return arrays.from_numpy(host, leaf, leaf.dtype if host.dtype.kind == "f" or host.dtype.kind == "c" else None)

    state = arrays.tree_map(fill, template)
    rows = {name.removeprefix("rows/"): value for name, value in content.items() if name.startswith("rows/")}
    return int(content["iteration"]), state, rows
