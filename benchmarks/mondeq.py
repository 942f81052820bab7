"""Equilibrium layers at the published sizes beside the published code and torchdeq: ``./run bench mondeq``.

``python -m benchmarks mondeq [--rows a,b] [--tolerances 1e-2,1e-5] [--solvers ...] [--rounds N] [--hold] [--out FILE]``. The
peers are used where MONOPS_PEER_MONDEQ and MONOPS_PEER_TORCHDEQ name folders with their repositories. Everybody gets the same
weights, inputs (128) and gradients, float32, one thread, and one process each, which take turns; seconds are CPU seconds of
that process, which other work on the machine changes least. A tolerance is what the relative residuals |z - sigma(W z + c)|/|z|
and |u - J (W'u + g)|/|u| of the batch must meet, measured from the definition of W
after the pass; each solver's own stopping rules are set, forward and backward, to the loosest of a geometric sequence that
meets it, and of a peer's methods and step sizes the fastest is taken (and kept in mondeq_settings.json for later runs). Ours
has its default method. Memory is the growth of the peak of resident memory over a first step of a fresh process. ``--hold``
lets glibc keep freed memory (MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_), for everybody.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from benchmarks.mondeq_rows import ROWS, Row
from benchmarks.mondeq_rows.tables import markdown

PEERS = {"monops_nn": None, "monotone_op_net": "MONOPS_PEER_MONDEQ", "torchdeq": "MONOPS_PEER_TORCHDEQ"}
FACTOR = 10**-0.25  # between one tolerance of a solver's own and the next
START = 10.0  # the first one, over the tolerance asked for
TRIALS = 16
STANDSTILL = 0.9  # of the backward residual, though its tolerance was tightened
SMALL_ROWS = 16  # settings are chosen on so many rows and confirmed on all
TIMING = 0.5  # seconds of a solver's turn
HOLD = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "268435456"}


class Worker:
    """A solver on a row in its own process."""

    def __init__(self, solver: str, row: Row, hold: bool, limit: float) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | (HOLD if hold else {})
        command = [sys.executable, "-m", "benchmarks.mondeq_rows.worker"]
        self.limit = limit
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self.settings = self.ask("open", solver=solver, row=row._asdict())

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer to a command, or {"error": why there is none}; a process over its time is ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.process.poll() is not None:
            return {"error": "the process has ended"}
        timer = threading.Timer(self.limit, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(json.dumps([command, arguments]) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        finally:
            timer.cancel()
        return json.loads(line) if line else {"error": f"no answer within {self.limit:g} s"}

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def tightened(worker: Worker, settings: dict[str, Any], target: float, rows: int, patience: float) -> dict[str, Any] | None:
    """The settings with the loosest own tolerances that meet the target, and the attempt; None where none does.

    ``patience``: seconds of an attempt beyond which the settings are given up, for there are faster ones.
    """
    tolerances = {part: settings.get(f"{part}_tol", START * target) for part in ("forward", "backward")}
    previous = math.inf
    for _ in range(TRIALS):
        chosen = settings | {f"{part}_tol": value for part, value in tolerances.items()}
        attempt = worker.ask("attempt", settings=chosen, rows=rows)
        if "error" in attempt or not all(math.isfinite(attempt[part]["batch"]) for part in tolerances):
            return None
        missed = {part for part in tolerances if attempt[part]["batch"] > target}
        if not missed:
            return {"settings": chosen, "attempt": attempt}
        if sum(attempt["seconds"]) > patience:
            return None
        if "backward" in missed and attempt["backward"]["batch"] > STANDSTILL * previous:
            missed.add("forward")  # the signs of the activation are not those of the equilibrium yet
        previous = attempt["backward"]["batch"]
        for part in missed:
            excess = attempt[part]["batch"] / target
            tolerances[part] *= FACTOR ** max(1, math.floor(math.log(excess) / -math.log(FACTOR) / 2))
    return None


def choose(worker: Worker, row: Row, target: float) -> dict[str, Any] | None:
    """The fastest settings that meet the target, tolerances confirmed on the full batch."""
    small = row.batch if row.kind == "dense" else min(SMALL_ROWS, row.batch)
    found: list[tuple[float, dict[str, Any]]] = []
    for candidate in worker.settings:
        patience = 4.0 * min((seconds for seconds, _ in found), default=math.inf)
        result = tightened(worker, candidate, target, small, patience)
        if result is not None:
            again = [result["attempt"]["seconds"]]
            again += [worker.ask("attempt", settings=result["settings"], rows=small)["seconds"] for _ in range(2)]
            found.append((min(map(sum, again)), result["settings"]))
    for _, settings in sorted(found, key=lambda entry: entry[0]):
        result = tightened(worker, settings, target, row.batch, math.inf)
        if result is not None:
            return result
    return None


def measure(
    name: str, row: Row, solvers: list[str], tolerances: list[float], known: dict[str, Any], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One record a solver and tolerance; ``known`` has the settings that earlier runs chose for peers, and learns."""
    rounds, hold, limit = options.rounds, options.hold, options.limit
    workers = {solver: Worker(solver, row, hold, limit) for solver in solvers}
    records = []
    for target in tolerances:
        entries: dict[str, dict[str, Any]] = {}
        for solver, worker in workers.items():
            record: dict[str, Any] = {"row": name, "solver": solver, "tolerance": target, "hold": hold}
            records.append(record)
            if isinstance(worker.settings, dict):
                record["error"] = worker.settings["error"]
                continue
            key = f"{name}/{solver}/{target:g}"
            result = tightened(worker, known[key], target, row.batch, math.inf) if key in known else choose(worker, row, target)
            if result is None:
                record["error"] = "no settings meet the tolerance"
                continue
            record |= result
            entries[solver] = record
            if PEERS[solver]:
                known[key] = result["settings"]
        times: dict[str, list[list[float]]] = {solver: [] for solver in entries}
        for _ in range(rounds):
            for solver, record in entries.items():
                answer = workers[solver].ask("steps", settings=record["settings"], seconds=TIMING)
                if "error" not in answer:
                    times[solver].append(answer["seconds"])
                    record["iterations"] = answer["iterations"]
        for solver, record in entries.items():
            if not times[solver]:
                record["error"] = "the timed steps failed"
                continue
            record["forward"], record["backward"] = (statistics.median(column) for column in zip(*times[solver], strict=True))
            fresh = Worker(solver, row, hold, limit)
            record["mebibytes"] = fresh.ask("memory", settings=record["settings"]).get("mebibytes")
            fresh.close()
    for worker in workers.values():
        worker.close()
    return records


def main(*arguments: str) -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser("benchmarks mondeq")
    available = [name for name, row in ROWS.items() if row.available]
    parser.add_argument("--rows", default=",".join(available), help=f"of {', '.join(ROWS)}; all with weights by default")
    parser.add_argument("--tolerances", default="1e-2,1e-5", help="of the true relative residuals")
    parser.add_argument("--solvers", default=",".join(PEERS), help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="turns of every solver")
    parser.add_argument("--hold", action="store_true", help="freed memory is kept for reuse, for everybody")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one command")
    parser.add_argument("--out", default="out/mondeq.md", help="file for the table; records go beside it, .jsonl")
    settings = parser.parse_args(arguments)
    rows, solvers = settings.rows.split(","), settings.solvers.split(",")
    for kind, names, there in (("row", rows, list(ROWS)), ("solver", solvers, list(PEERS))):
        for name in names:
            if name not in there:
                parser.error(f"no {kind} named {name!r}; there are {', '.join(there)}")
    unavailable = [name for name in rows if not ROWS[name].available]
    if unavailable:
        parser.error(f"the weights of {unavailable[0]} are not there: set MONOPS_DATA to a folder with pretrained/*.npz")
    for solver in list(solvers):
        variable = PEERS[solver]
        if variable and not os.environ.get(variable):
            print(f"{solver} is left out: set {variable} to the folder of its repository")
            solvers.remove(solver)
    path = Path(settings.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    store = path.with_name("mondeq_settings.json")  # what peers need; remove it to choose anew
    known: dict[str, Any] = json.loads(store.read_text()) if store.exists() else {}
    with path.with_suffix(".jsonl").open("w") as file:
        for name in rows:
            tolerances = [float(text) for text in settings.tolerances.split(",")]
            found = measure(name, ROWS[name], solvers, tolerances, known, settings)
            records += found
            store.write_text(json.dumps(known, indent=0))
            file.writelines(json.dumps(record) + "\n" for record in found)
            file.flush()
            print(markdown(found), flush=True)
    path.write_text(markdown(records) + "\n")
