"""Configuration: a YAML file, overridden by the command line, checked by a pydantic model."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cluster.config_errors import Origins, describe
from cluster.yaml_file import FieldPath, YamlFile, read_yaml
from selector.strict_yaml import parse_value
from shards.errors import UsageError

Model = TypeVar("Model", bound=BaseModel)

COMMAND_LINE_ONLY = {
    "teacher.allow_code": "code runs only on the word of whoever starts the command: --allow-code"
}
"""Field -> why a file must not set it."""


def load_config(
    model: type[Model],
    source: str | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
) -> Model:
    """Read and check a configuration.

    Args:
        model: What the fields may be.
        source: A YAML file (path or URI), or its content as a mapping.
        overrides: Dotted path -> value, each put in place of what the source says
            (`parse_assignments` makes them from `--set`). A step into a list is its position.

    Raises:
        UsageError: one message with every problem, each with the line and path of its field,
            what was found and what was expected.
    """
    if isinstance(source, Mapping):
        file = YamlFile("configuration", copy.deepcopy(dict(source)), {})
    else:
        file = read_yaml(source)
        _refuse_command_line_only(file)
    origins = Origins(file.name, {path: f"line {line}" for path, line in file.lines.items()})
    for dotted, value in (overrides or {}).items():
        path = _put(file.data, dotted, value)
        origins.places[path] = "command line"
    try:
        return model.model_validate(file.data)
    except ValidationError as error:
        raise UsageError(describe(error, model, file.data, origins)) from error


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """`["optimizer.lr=0.05"]` -> `{"optimizer.lr": 0.05}`; values are read as YAML.

    Raises:
        UsageError: no `=`, no path, or a value that is no YAML.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not all(path.split(".")):
            raise UsageError(
                f"--set {assignment!r}: expected path=value, such as optimizer.lr=0.05"
            )
        values[path] = parse_value(text, where=f"--set {assignment}")
    return values


def overrides_of(assignments: Sequence[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a command line says about a file's fields: its `--set`, and over them its options.

    Args:
        given: field path -> value; None = the option was not given.

    Raises:
        UsageError: as `parse_assignments`.
    """
    options = {path: value for path, value in given.items() if value is not None}
    return parse_assignments(assignments or []) | options


def _put(data: dict[str, Any], dotted: str, value: Any) -> FieldPath:
    """Set one field in place; return its path. Sections on the way are made where missing."""
    place: Any = data
    path: FieldPath = ()
    *parents, last = dotted.split(".")
    for part in parents:
        step = _step(place, part, dotted, path)
        path = (*path, step)
        if isinstance(place, dict) and place.get(part) is None:
            place[part] = {}
        place = place[step]
    step = _step(place, last, dotted, path)
    place[step] = value
    return (*path, step)


def _step(place: Any, part: str, dotted: str, path: FieldPath) -> str | int:
    if isinstance(place, dict):
        return part
    where = ".".join(map(str, path))
    if not isinstance(place, list):
        raise UsageError(f"{dotted}: {where} is {place!r}, which has no fields; set {where} itself")
    if not part.isdecimal() or int(part) >= len(place):
        raise UsageError(
            f"{dotted}: {where} is a list of {len(place)}; expected a position 0 to "
            f"{len(place) - 1} after it, or set {where} itself"
        )
    return int(part)


def _refuse_command_line_only(file: YamlFile) -> None:
    for dotted, reason in COMMAND_LINE_ONLY.items():
        place: Any = file.data
        for part in dotted.split("."):
            place = place.get(part) if isinstance(place, dict) else None
        if place:
            raise UsageError(f"{file.name}: {dotted} cannot be set in a file: {reason}")
