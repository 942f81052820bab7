"""``python -m benchmarks NAME [arguments]``: run one benchmark."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one thread for everybody; NumPy reads it when it is imported

from benchmarks import mondeq, overhead, programs, prox, solve

BENCHMARKS: dict[str, Callable[..., None]] = {
    "mondeq": mondeq.main,
    "overhead": overhead.main,
    "programs": programs.main,
    "prox": prox.main,
    "solve": solve.main,
}


def main() -> int:
    """Run the named benchmark with the arguments behind its name, or list them."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in BENCHMARKS:
        wrong = f"unknown benchmark {name!r}; " if name else ""
        print(f"{wrong}benchmarks: {', '.join(BENCHMARKS)}")
        return 2
    BENCHMARKS[name](*arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
