"""``python -m benchmarks NAME``: run one benchmark."""

from __future__ import annotations

import sys

from benchmarks import overhead

BENCHMARKS = {"overhead": overhead.main}


def main() -> int:
    """Run the named benchmark, or list them."""
    names = sys.argv[1:]
    unknown = [name for name in names if name not in BENCHMARKS]
    if not names or unknown:
        wrong = f"unknown benchmark {unknown[0]!r}; " if unknown else ""
        print(f"{wrong}benchmarks: {', '.join(BENCHMARKS)}")
        return 2
    for name in names:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
