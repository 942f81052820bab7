"""The settings of a layer's solver as plain numbers and strings, for state_dict."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Protocol

from monops import acceleration
from monops.algorithms import Algorithm, methods
from monops.errors import DataError
from monops_nn.newton import LayerNewton


class Solving(Protocol):
    """A layer with a solver: the names of its plain settings, and its methods."""

    SETTINGS: ClassVar[tuple[str, ...]]
    algorithm: Any
    backward_algorithm: Any


def settings_of(layer: Solving) -> dict[str, Any]:
    """What ``restore_settings`` needs to make the solver of another layer the same."""
    state: dict[str, Any] = {name: getattr(layer, name) for name in layer.SETTINGS}
    state["algorithm"] = _write(layer.algorithm)
    state["backward_algorithm"] = _write(layer.backward_algorithm)
    return state


def restore_settings(layer: Solving, state: dict[str, Any]) -> None:
    """Set the solver of a layer from a state_dict; DataError where it names something unknown."""
    unknown = set(state) - {*layer.SETTINGS, "algorithm", "backward_algorithm"}
    if unknown:
        raise DataError(f"the state_dict holds unknown solver settings {sorted(unknown)}: it is of another version of monops")
    algorithm, backward = _read(state.get("algorithm")), _read(state.get("backward_algorithm"))
    for name in layer.SETTINGS:
        if name in state:
            setattr(layer, name, state[name])
    layer.algorithm, layer.backward_algorithm = algorithm, backward


def _write(algorithm: Algorithm | None) -> dict[str, Any] | None:
    if algorithm is None:
        return None
    assert dataclasses.is_dataclass(algorithm)
    state: dict[str, Any] = {"name": type(algorithm).__name__}
    for entry in dataclasses.fields(algorithm):
        value = getattr(algorithm, entry.name)
        state[entry.name] = _write(value) if isinstance(value, Algorithm) else value
    return state


def _read(state: dict[str, Any] | None) -> Algorithm | None:
    if state is None:
        return None
    accelerations = (getattr(acceleration, name) for name in acceleration.__all__)
    kinds = {kind.__name__: kind for kind in (*methods(), *accelerations, LayerNewton)}
    kind = kinds.get(state["name"])
    if kind is None:
        raise DataError(f"the state_dict names the method {state['name']!r}, which this version of monops does not have")
    fields = {k: _read(v) if isinstance(v, dict) else v for k, v in state.items() if k != "name"}
    made: Algorithm = kind(**fields)
    return made
