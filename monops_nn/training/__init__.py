"""Training: what is trained (`Task`, `targets`), loop, checkpoints, records, plots."""

from monops_nn.training.loop import Outcome, train
from monops_nn.training.options import Options
from monops_nn.training.task import Task

__all__ = ["Options", "Outcome", "Task", "train"]
