"""The command line: ``monops train`` trains an equilibrium network, ``monops plot`` draws the curves of a run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from monops.errors import DataError, MonopsError
from monops_nn.training import Options, Outcome, train
from monops_nn.training.options import DATA, MODELS, SCHEDULES
from monops_nn.training.plots import plot
from monops_nn.training.progress import progress
from monops_nn.training.records import CHECKPOINT


def parser() -> argparse.ArgumentParser:
    """Commands and options; defaults are those of `Options`."""
    top = argparse.ArgumentParser(prog="monops", description="Equilibrium networks: train them, look at how they did.")
    commands = top.add_subparsers(dest="command", required=True)
    add = commands.add_parser("train", help="train an equilibrium network").add_argument
    default = Options()
    add("--data", choices=DATA, default=default.data)
    add("--model", choices=MODELS, default=default.model)
    add("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help="of the model, e.g. width=96; repeat")
    add("--epochs", type=int, default=default.epochs)
    add("--batch-size", type=int, default=default.batch_size)
    add("--learning-rate", type=float, default=default.learning_rate, help="the largest of the schedule")
    add("--schedule", choices=SCHEDULES, default=default.schedule)
    add("--monotonicity", type=float, default=default.monotonicity, metavar="M", help="m in sym(I - W) >= m I")
    add("--tolerance", type=float, default=default.tolerance, help="relative residual of both passes")
    add("--augment", action="store_true", help="random flips and shifts")
    add("--seed", type=int, default=default.seed)
    add("--threads", type=int, default=None, help="of torch")
    add(
        "--minutes",
        type=float,
        default=None,
        help="end after so much time, that before --resume too; the rate follows --epochs",
    )
    add("--monitor-every", type=int, default=default.monitor_every, metavar="STEPS", help="between two looks at the solver")
    add("--folder", type=Path, default=None, help="where the data are (default: MONOPS_DATA)")
    add("--download", action="store_true", help="fetch the data when they are not found")
    add("--out", type=Path, required=True, help="folder of the run: metrics.jsonl, checkpoint.pt, weights.pt, curves.png")
    add("--resume", action="store_true", help="go on from the checkpoint in --out")
    commands.add_parser("plot", help="draw the curves of a run").add_argument("out", type=Path)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when it did what it was asked."""
    given = vars(parser().parse_args(arguments))
    command, out = given.pop("command"), given.pop("out")
    try:
        if command == "plot":
            print(plot(out))
            return 0
        resume, settings = given.pop("resume"), tuple(given.pop("settings"))
        options = Options(settings=settings, **given)
        with progress(options.epochs) as report:
            outcome = train(options, out, resume=resume, report=report)
        state = "all epochs done" if outcome.finished else f"stopped after {options.minutes:g} minutes"
        print(f"test {_headline(outcome)} after {outcome.step} steps, {outcome.seconds:.0f} s: {state}")
        print(_curves(out, f"{options.model} on {options.data}"))
    except (MonopsError, OSError) as error:
        print(f"monops {command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        saved = f"; the state is in {out}, go on with --resume" if (out / CHECKPOINT).is_file() else " before the first step"
        print(f"\nmonops {command}: stopped{saved}", file=sys.stderr)
        return 130
    return 0


def _headline(outcome: Outcome) -> str:
    """The number that says most; shares as percentages."""
    value = outcome.measured[outcome.headline]
    share = outcome.headline == "accuracy"
    return f"{outcome.headline} {100 * value:.2f} %" if share else f"{outcome.headline} {value:.4g}"


def _curves(out: Path, title: str) -> str:
    """The picture of a run that went well, or why there is none."""
    try:
        return str(plot(out, title=title))
    except DataError as error:
        return f"no curves: {error}"


if __name__ == "__main__":
    sys.exit(main())
