"""What a run leaves in its folder: metrics as JSON lines, and a checkpoint that is replaced as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from monops.errors import DataError

METRICS, CHECKPOINT, WEIGHTS = "metrics.jsonl", "checkpoint.pt", "weights.pt"

PARTS = {"options", "model", "optimizer", "step", "seconds"}


class Records:
    """The files of one run; lines written after the checkpoint that a run goes on from are dropped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics = folder / METRICS

    def start(self) -> None:
        """Make the folder; DataError where that fails or a run is there already."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.folder} cannot be made ({error.strerror}): choose another folder for the run") from error
        if self.metrics.exists():
            raise DataError(f"{self.folder} holds a run already: go on with it (resume, --resume), or choose another folder")

    def keep_until(self, step: int) -> None:
        """Drop the lines of later steps, and what is looked at before a step that is to come."""
        kept = [line for line in self.lines() if line["step"] <= step - (line["kind"] == "solver")]
        part = self.folder / f"{METRICS}.part"
        part.write_text("".join(json.dumps(line) + "\n" for line in kept))
        os.replace(part, self.metrics)

    def write(self, **values: Any) -> None:
        """Append one line."""
        with self.metrics.open("a") as stream:
            stream.write(json.dumps(values) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """All lines."""
        text = self.metrics.read_text() if self.metrics.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a run that was killed may have left half a line
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise DataError(f"{self.metrics} is damaged ({error}): the folder holds no run that can be read") from error

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
        try:
            found: dict[str, Any] = torch.load(path, weights_only=True)
        except Exception as error:  # a damaged file may raise anything
            raise DataError(f"{path} cannot be read ({type(error).__name__}): start anew in another folder") from error
        if not isinstance(found, dict) or not PARTS.issubset(found):
            raise DataError(f"{path} is no checkpoint of a training run: start anew in another folder")
        return found
