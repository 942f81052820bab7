"""Training of the image classifiers of `monops_nn.models`: loop, checkpoints, records, plots."""

from monops_nn.training.loop import Outcome, train
from monops_nn.training.options import Options

__all__ = ["Options", "Outcome", "train"]
