"""The table of ``./run bench mondeq`` in Markdown."""

from __future__ import annotations

from typing import Any

HEAD = ("row", "tolerance", "solver", "settings", "iterations", "forward s", "backward s", "sum s", "MiB", "ratio to ours")


def markdown(records: list[dict[str, Any]]) -> str:
    """One line a record; ratios solver/ours of forward, backward, sum and memory (above 1: ours is faster, or smaller)."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for record in records:
        ours = next((r for r in records if _key(r) == _key(record) and r["solver"] == "monops_nn"), None)
        lines.append(f"| {' | '.join(_cells(record, ours))} |")
    return "\n".join(lines)


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["row"], record["tolerance"], record["hold"]


def _cells(record: dict[str, Any], ours: dict[str, Any] | None) -> list[str]:
    head = [record["row"], f"{record['tolerance']:g}", record["solver"]]
    if "forward" not in record:
        return [*head, record.get("error", ""), *[""] * (len(HEAD) - 4)]
    settings = record["settings"]
    own = [str(value) for name, value in settings.items() if not name.endswith("_tol")]
    chosen = ", ".join([*own, f"tol {settings['forward_tol']:.1e} / {settings['backward_tol']:.1e}"])
    numbers = _numbers(record)
    memory = "-" if numbers[3] is None else f"{numbers[3]:.0f}"
    ratios = "1" if ours is record else "-"
    if ours is not None and ours is not record and "forward" in ours:
        pairs = zip(numbers, _numbers(ours), strict=True)
        ratios = " / ".join("-" if not theirs or not mine else f"{theirs / mine:.2f}" for theirs, mine in pairs)
    iterations = " / ".join(str(count) for count in record["iterations"])
    return [*head, chosen, iterations, *(f"{number:.4g}" for number in numbers[:3]), memory, ratios]


def _numbers(record: dict[str, Any]) -> list[Any]:
    forward, backward = record["forward"], record["backward"]
    return [forward, backward, forward + backward, record.get("mebibytes")]
