"""One evaluation of a prox against the libraries that have the same one, in one run: ``./run bench prox``.

Every row runs ours and its peers on the same float64 input, alternately, in one process; the table shows nanoseconds an entry
(the least of the repeats), the ratio peer/ours (above 1: ours is faster), and the largest difference of the answers, because
a fast wrong answer is no answer. Peers marked * are compiled (C, C++, Cython); the others are NumPy. A peer that is not
installed, fails, or would need more than a minute at a size, is shown as such. ``./run bench prox L1Norm Simplex`` runs the
named rows only; ``--small`` leaves out the largest size.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.prox_rows import ROWS, Row

SIZES = (1_000, 100_000, 10_000_000)
BUDGET = 0.4  # seconds spent on each timing of a size
LIMIT = 60.0  # a peer predicted to need longer for one call is left out


class Timing(NamedTuple):
    """Nanoseconds an entry, or the reason why there are none; what is to be said of the answer, and whether it is right."""

    nanoseconds: float | None
    remark: str
    right: bool = True


def once(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(works: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Least time of a call of each, the calls taking turns so that a drifting machine hits all."""
    first = {name: once(work) for name, work in works.items()}
    repeats = max(3, min(2000, int(BUDGET / max(sum(first.values()) / len(first), 1e-9))))
    best = dict(first)
    started = time.perf_counter()
    for _ in range(repeats):
        for name, work in works.items():
            best[name] = min(best[name], once(work))
        if time.perf_counter() - started > 3 * BUDGET * len(works):
            break
    return best


def difference(a: Any, b: Any) -> float:
    """Largest difference of two answers, relative to the size of the first."""
    a, b = np.concatenate([np.ravel(part) for part in _parts(a)]), np.concatenate([np.ravel(part) for part in _parts(b)])
    return float(np.max(np.abs(a - b), initial=0.0) / (1.0 + np.max(np.abs(a), initial=0.0)))


def _parts(answer: Any) -> list[Any]:
    return list(answer) if isinstance(answer, tuple) else [answer]


def run_row(row: Row, n: int, history: dict[str, float]) -> dict[str, Timing]:
    """Ours and every peer at one size; ``history`` has seconds an entry of the smaller sizes, to predict the largest."""
    ours, peers, entries, objective = row.make(n, np.random.default_rng(0))
    reference = ours()
    works: dict[str, Callable[[], Any]] = {"monops": ours}
    results: dict[str, Timing] = {}
    for name, (module, build) in peers.items():
        if history.get(name, 0.0) * entries > LIMIT:
            results[name] = Timing(None, f"would need {history[name] * entries:.0f} s")
            continue
        try:
            work = build(importlib.import_module(module))
            answer = work()
        except ImportError:
            results[name] = Timing(None, f"{module} is not installed")
            continue
        except Exception as error:  # a peer's failure is a result, not ours to fix
            results[name] = Timing(None, f"fails: {type(error).__name__}: {str(error)[:60]}")
            continue
        works[name] = work
        results[name] = judge(row, reference, answer, objective)
    for name, seconds in alternate(works).items():
        history[name] = seconds / entries
        known = results.get(name, Timing(None, ""))
        results[name] = known._replace(nanoseconds=1e9 * seconds / entries)
    return results


def judge(row: Row, reference: Any, answer: Any, objective: Callable[[Any], float] | None) -> Timing:
    """How far a peer's answer is from ours, and which of the two has the lower objective where they differ."""
    apart = difference(reference, answer)
    if apart <= row.agreement:
        return Timing(None, f"same to {apart:.0e}")
    if objective is None:
        return Timing(None, f"differs by {apart:.1e}", False)
    excess = objective(answer) - objective(reference)
    verdict = f"its objective is {excess:.1e} higher" if excess > 0 else f"ITS OBJECTIVE IS {-excess:.1e} LOWER"
    return Timing(None, f"differs by {apart:.1e}: {verdict}", False)


def show(row: Row, n: int, results: dict[str, Timing]) -> bool:
    """Print the lines of a row at a size; whether no NumPy peer with the same answer is more than 5 % faster."""
    ours = results["monops"].nanoseconds or 0.0
    print(f"{row.name:<26} {n:>9}  monops {ours:>10.2f} ns")
    ahead = True
    for name, timing in results.items():
        if name == "monops":
            continue
        if timing.nanoseconds is None:
            print(f"{'':<36}  {name:<24} {timing.remark}")
            continue
        ratio = timing.nanoseconds / ours
        print(f"{'':<36}  {name:<24} {timing.nanoseconds:>10.2f} ns  ratio {ratio:>7.2f}  {timing.remark}")
        if ratio < 0.95 and timing.right and not name.endswith("*"):
            ahead = False
    return ahead


def main(*arguments: str) -> None:
    """Run all rows, or the named ones."""
    warnings.simplefilter("ignore")
    names = {argument for argument in arguments if not argument.startswith("-")}
    unknown = names - {row.name for row in ROWS}
    if unknown:
        sys.exit(f"no row named {sorted(unknown)[0]!r}; rows: {', '.join(row.name for row in ROWS)}")
    behind = []
    for row in ROWS:
        if names and row.name not in names:
            continue
        history: dict[str, float] = {}
        for n in row.sizes or (SIZES[:2] if "--small" in arguments else SIZES):
            if not show(row, n, run_row(row, n, history)):
                behind.append(f"{row.name} at {n}")
    print(f"\nbehind a NumPy peer with the same answer: {', '.join(behind) if behind else 'nowhere'}")
