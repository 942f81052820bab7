"""The main job on real data, in under two minutes: ``./run demo``, or ``python -m examples.demo``.

Solves a lasso path, denoises a photograph, plays a game, trains an equilibrium network and checks theorems; writes a
self-contained report.
"""

from __future__ import annotations

import argparse
import html
import importlib
import sys
import time
from pathlib import Path

PARTS = {
    "lasso": "lasso path on the diabetes data",
    "variation": "total variation denoising of the camera picture",
    "games": "matrix game and traffic equilibrium",
    "digits": "equilibrium network on handwritten digits",
    "theorems": "theorems made executable",
}

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #8884; padding-bottom: .2rem; }
figure { margin: 1rem 0; } img { max-width: 100%; background: white; border-radius: 6px; }
figcaption, .small { font-size: .85rem; opacity: .75; }
table { border-collapse: collapse; font-size: .85rem; } th, td { padding: .25rem .6rem; border-bottom: 1px solid #8884; text-align: left; }
pre { font-size: .72rem; overflow-x: auto; background: #8881; padding: .8rem; border-radius: 6px; } .scroll { overflow-x: auto; }
.failed { color: #c22; font-weight: 600; }
"""


def write_report(path: Path, parts: list, total: float) -> None:
    """One HTML file with everything in it."""
    sections = []
    for part in parts:
        failures = "".join(f"<p class='failed'>FAILED: {html.escape(sentence)}</p>" for sentence in part.failures)
        sections.append(
            f"<section><h2>{part.title}</h2><p class='small'>{part.seconds:.1f} s</p>{failures}{''.join(part.html)}</section>"
        )
    page = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>monops demo</title><style>{STYLE}</style></head><body><h1>monops: what it does, on real data</h1>"
        f"<p>Everything below was computed by this run in {total:.0f} seconds. Each answer comes with the method that was "
        "chosen, the theorem behind its step size, and a residual that is the norm of an explicit element of the operator: "
        f"zero exactly at a solution.</p>{''.join(sections)}</body></html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def main() -> int:
    """Run the chosen parts behind one progress display."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of report.html (default: out)")
    options = parser.parse_args()
    try:
        import matplotlib as mpl
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError as missing:
        print(f"the demo needs {missing.name}: pip install 'monops[demo,nn,proofs]', or use ./run demo", file=sys.stderr)
        return 2
    mpl.use("agg")
    parts, begin = [], time.perf_counter()
    with Progress(TextColumn("{task.description:<48}"), BarColumn(), TimeElapsedColumn()) as progress:
        tasks = {name: progress.add_task(PARTS[name], total=1.0, start=False) for name in options.only}
        for name in options.only:
            progress.start_task(tasks[name])
            started = time.perf_counter()
            try:
                module = importlib.import_module(f"examples.demo_parts.{name}")
            except ImportError as missing:
                print(f"part '{name}' needs {missing.name}: pip install 'monops[demo,nn,proofs]'", file=sys.stderr)
                return 2
            part = module.run(lambda done, task=tasks[name]: progress.update(task, completed=done))
            part.seconds = time.perf_counter() - started
            progress.update(tasks[name], completed=1.0)
            progress.stop_task(tasks[name])
            progress.print(f"{part.line} ({part.seconds:.1f} s)", soft_wrap=True)
            parts.append(part)
    total = time.perf_counter() - begin
    path = options.out / "report.html"
    write_report(path, parts, total)
    failures = [sentence for part in parts for sentence in part.failures]
    for sentence in failures:
        print(f"FAILED: {sentence}", file=sys.stderr)
    print(f"{len(parts)} parts in {total:.0f} s; report: {path.resolve()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
