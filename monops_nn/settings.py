"""The settings of a layer's solver as plain numbers and strings, for state_dict."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from monops import acceleration
from monops.algorithms import Algorithm, methods
from monops.errors import DataError
from monops_nn.newton import LayerNewton

if TYPE_CHECKING:
    from monops_nn.mondeq import MonDEQ

PLAIN = ("tol", "max_iter", "gradient", "fixed_steps")


def settings_of(layer: MonDEQ) -> dict[str, Any]:
    """What ``restore_settings`` needs to make the solver of another layer the same."""
    state: dict[str, Any] = {name: getattr(layer, name) for name in PLAIN}
    state["algorithm"] = _write(layer.algorithm)
    state["backward_algorithm"] = _write(layer.backward_algorithm)
    return state


def restore_settings(layer: MonDEQ, state: dict[str, Any]) -> None:
    """Set the solver of a layer from a state_dict; DataError where it names something unknown."""
    unknown = set(state) - {*PLAIN, "algorithm", "backward_algorithm"}
    if unknown:
        raise DataError(f"the state_dict holds unknown solver settings {sorted(unknown)}: it is of another version of monops")
    algorithm, backward = _read(state.get("algorithm")), _read(state.get("backward_algorithm"))
    for name in PLAIN:
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
