"""The README's examples run, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize(
    "block", BLOCKS, ids=["lasso", "inclusion", "layer", "deep equilibria", "any inclusion", "library", "theorem"]
)
def test_example_runs(block: str) -> None:
    if "torch" in block:
        pytest.importorskip("torch", reason="torch is not installed")
    exec(compile(block, "README.md", "exec"), {})


def test_every_command_of_the_readme_is_a_command_of_run() -> None:
    usage = subprocess.run([sys.executable, str(ROOT / "run"), "-h"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"\./run (\w+)", README))
    assert {"demo", "test"} <= commands
    assert all(f"  {command} " in usage for command in commands)


def test_unknown_command_is_answered_with_the_list() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run"), "tset"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown command 'tset'" in done.stderr
    assert "test" in done.stderr
