"""What a run leaves in its folder: metrics as JSON lines, and a checkpoint that is replaced as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from monops.errors import DataError

METRICS, CHECKPOINT, WEIGHTS = "metrics.jsonl", "checkpoint.pt", "weights.pt"


class Records:
    """The files of one run; lines written after the checkpoint that a run goes on from are dropped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.metrics = folder / METRICS

    def start(self) -> None:
        """Begin anew; DataError where a run is there already."""
        if self.metrics.exists():
            raise DataError(f"{self.folder} holds a run already: go on with it (resume, --resume), or choose another folder")

    def keep_until(self, step: int) -> None:
        """Drop the lines of later steps, and what is looked at before a step that is to come."""
        kept = [line for line in self.lines() if line["step"] <= step - (line["kind"] == "solver")]
        self.metrics.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def write(self, **values: Any) -> None:
        """Append one line."""
        with self.metrics.open("a") as stream:
            stream.write(json.dumps(values) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """All lines."""
        return [json.loads(line) for line in self.metrics.read_text().splitlines()] if self.metrics.exists() else []

    def save(self, name: str, content: Any) -> None:
        """Write a file of torch beside its name, then give it its name."""
        part = self.folder / f"{name}.part"
        torch.save(content, part)
        os.replace(part, self.folder / name)

    def checkpoint(self) -> dict[str, Any]:
        """The last checkpoint; DataError where there is none."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            raise DataError(f"{self.folder} has no {CHECKPOINT}: start without --resume")
        found: dict[str, Any] = torch.load(path, weights_only=True)
        return found
