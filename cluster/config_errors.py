"""What is wrong with a configuration, told field by field in the user's own terms."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from cluster.yaml_file import FieldPath

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Origins:
    """Where fields come from: `places` names the line, or the command line, of a path."""

    name: str
    places: dict[FieldPath, str]

    def of(self, path: FieldPath) -> str:
        """Place of the field at `path`, or of the nearest section around it; "" if unknown."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, "") if path else ""


def describe(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, Any], origins: Origins
) -> str:
    """Every problem of `data`, one a line, in the order of the model's fields."""
    problems: dict[FieldPath, list[str]] = {}
    for entry in error.errors():
        missing = entry["type"] == "missing"
        path = _path_in_file(entry["loc"], model, data, keep_last=missing)
        if entry["type"].startswith("union_tag_"):
            path = (*path, entry["ctx"]["discriminator"].strip("'"))
        messages = problems.setdefault(path, [])
        if missing:
            message = "missing, but required"
        elif entry["type"] == "extra_forbidden":
            message = _unknown_key(path, model)
        else:
            message = _wrong_value(entry, given=bool(path))
        if message not in messages:
            messages.append(message)
    lines = []
    for path, messages in problems.items():
        labels = (origins.of(path), ".".join(map(str, path)), _join(messages))
        lines.append(": ".join(label for label in labels if label))
    if len(lines) == 1:
        return f"{origins.name}: {lines[0]}"
    return f"{origins.name}: {len(lines)} problems\n  " + "\n  ".join(lines)


def field_paths(
    model: type[BaseModel], prefix: str = "", inside: tuple[type[BaseModel], ...] = ()
) -> Iterator[str]:
    """Dotted path of every field of `model` and of the models inside it (not of their like)."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        for inner in models_in(field.annotation):
            if inner not in (*inside, model):
                yield from field_paths(inner, f"{prefix}{name}.", (*inside, model))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of `annotation` may be: itself, members of a union, items."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def _path_in_file(
    location: Sequence[str | int], model: type[BaseModel], data: Any, *, keep_last: bool
) -> FieldPath:
    """`location` without the steps that are pydantic's own: tags and members of unions."""
    path: FieldPath = ()
    known = [model]
    for position, part in enumerate(location):
        fields = [one.model_fields[part] for one in known if part in one.model_fields]
        in_data = (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        )
        last = position == len(location) - 1
        if not (in_data or (fields and last and keep_last)):
            continue
        path = (*path, part)
        data = data[part] if in_data else None
        if isinstance(part, str):
            known = [inner for field in fields for inner in models_in(field.annotation)]
    return path


def _unknown_key(path: FieldPath, model: type[BaseModel]) -> str:
    *section, key = [part for part in path if isinstance(part, str)]
    prefix = "".join(f"{part}." for part in section)
    everywhere = list(dict.fromkeys(field_paths(model)))
    siblings = [
        dotted.removeprefix(prefix)
        for dotted in everywhere
        if dotted.startswith(prefix) and "." not in dotted.removeprefix(prefix)
    ]
    if close := difflib.get_close_matches(key, siblings, n=1):
        return f"unknown key; did you mean {close[0]!r}?"
    if elsewhere := [dotted for dotted in everywhere if dotted.rpartition(".")[2] == key]:
        return f"unknown key here; did you mean {elsewhere[0]!r}?"
    return f"unknown key; expected one of: {', '.join(siblings)}"


def _wrong_value(entry: ErrorDetails, *, given: bool) -> str:
    message, found = entry["msg"].removeprefix("Value error, "), _short(entry["input"])
    context = entry.get("ctx", {})
    if entry["type"] == "union_tag_not_found":
        return "missing, but required"
    if entry["type"] == "union_tag_invalid":
        return f"found {context['tag']!r}, expected one of {context['expected_tags']}"
    if not given:
        return message
    expectation = message.removeprefix("Input should be ").replace("a valid tuple", "a list")
    if expectation != message:
        return f"found {found}, expected {expectation}"
    return f"{message} (found {found})"


def _join(messages: list[str]) -> str:
    """One text for the members of a union, which pydantic reports one by one."""
    first, *others = messages
    start, comma, _ = first.partition(", expected ")
    if comma and all(other.startswith(start + comma) for other in others):
        return " or ".join([first, *(other.removeprefix(start + comma) for other in others)])
    return "; ".join(messages)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
