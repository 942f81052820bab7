"""Simpler trials: fewer nonzero entries, rounder numbers, like Hypothesis, but for points."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import numpy as np

from monops import arrays
from monops.doctor.tools import flat, unflat

ENTRYWISE = 64  # entries of a point up to which single entries are tried; beyond it, halves


def simpler(trial: Mapping[str, Any]) -> Generator[dict[str, Any], bool, None]:
    """Candidates simpler than the trial; ``send(True)`` when one still shows the violation, and the next builds on it."""
    current = dict(trial)
    names = [name for name, value in trial.items() if arrays.is_array(value) or isinstance(value, arrays.Blocks)]
    for name, value in trial.items():
        if isinstance(value, float) and value != 1.0:
            accepted = yield {**current, name: 1.0}
            if accepted:
                current[name] = 1.0
    changed = True
    while changed:
        changed = False
        for name in names:
            vector = flat(current[name])
            for mask in _masks(vector.size):
                replacement = _next(vector, mask)
                for values in replacement:
                    if np.allclose(values, vector[mask], rtol=1e-7, atol=0.0):
                        break  # already as simple as that
                    attempt = vector.copy()
                    attempt[mask] = values
                    candidate = {**current, name: unflat(attempt, current[name])}
                    accepted = yield candidate
                    if accepted:
                        current, vector, changed = candidate, attempt, True
                        break


def _masks(size: int) -> Iterator[np.ndarray[Any, Any]]:
    """Index sets: everything, halves, and single entries of a short vector."""
    everything = np.arange(size)
    yield everything
    length = size // 2
    while length > 1:
        for start in range(0, size, length):
            yield everything[start : start + length]
        length //= 2
    if 1 < size <= ENTRYWISE:
        for index in range(size):
            yield everything[index : index + 1]


def _next(vector: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Values for the masked entries, the simplest first; ends when the present ones are reached."""
    values = vector[mask]
    yield np.zeros_like(values)
    if values.size == 1:
        yield np.ones_like(values)
        yield -np.ones_like(values)
    for digits in (1, 2, 3):
        yield np.array([float(f"{value:.{digits - 1}e}") + 0.0 for value in values])
