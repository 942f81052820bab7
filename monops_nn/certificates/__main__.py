"""``python -m monops_nn.certificates RUN_FOLDER``: the table of a dense network that ``monops train`` left there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from monops.errors import DataError, MonopsError
from monops_nn.certificates.table import certified_table
from monops_nn.datasets import DATA, load_images
from monops_nn.models import Classifier, dense
from monops_nn.training.records import WEIGHTS

PREFIX = "network."


def trained(folder: Path, images: tuple[int, int, int]) -> Classifier:
    """The dense classifier whose weights a run left in its folder."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise DataError(f"{path} is no file: give the folder of a finished run of monops train")
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = {name.removeprefix(PREFIX): value for name, value in state.items() if name != "logarithms"}
    try:
        features, m = len(state["layer.linear.A"]), float(state["layer.linear.fixed_monotonicity"])
        model = dense(images, features, len(state["scores.weight"]), m)
        model.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        raise DataError(f"{path} holds no dense classifier for images of shape {images}: {error}") from None
    return model


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 0 when it did."""
    parser = argparse.ArgumentParser(prog="python -m monops_nn.certificates", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run, with weights.pt")
    parser.add_argument("--data", choices=tuple(DATA), default="mnist")
    parser.add_argument("--folder", type=Path, default=None, help="where the data are (default: MONOPS_DATA)")
    parser.add_argument("--samples", type=int, default=None, help="of the test set; default: all")
    parser.add_argument("--attack-steps", type=int, default=20, help="0 does not attack")
    given = parser.parse_args(arguments)
    try:
        data = load_images(given.data, given.folder)
        channels, height, width = data.test_images.shape[1:]
        model = trained(given.run, (channels, height, width))
        images, labels = data.scaled(data.test_images[: given.samples]), data.test_labels[: given.samples]
        table = certified_table(model, images, labels, pixel=min(data.deviation), attack_steps=given.attack_steps)
    except MonopsError as error:
        print(f"monops_nn.certificates: {error}", file=sys.stderr)
        return 1
    print(f"{table.bounds}\n\n{data.source}, {len(labels)} images, 2-norm in pixels of [0, 1]\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
