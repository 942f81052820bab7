"""Fixtures and profiles of all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests import fake_cupy
from tests.backends import BACKENDS, Backend

hypothesis.settings.register_profile("local", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def _fake_cupy() -> Iterator[Any]:
    with fake_cupy.installed() as module:
        yield module


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every array library in turn; a missing one is skipped with its reason."""
    chosen: Backend = request.param
    if chosen.missing:
        pytest.skip(chosen.missing)
    if chosen.name == "fake_cupy":
        request.getfixturevalue("_fake_cupy")
    return chosen
