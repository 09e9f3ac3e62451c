"""What is wrong with a configuration, one line for each field, by the path that the file has."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

_SECTIONS_WITH_KINDS = ("objective", "match")


def describe_errors(error: ValidationError, model: type[BaseModel], name: str) -> Iterator[str]:
    """Lines such as `distill.yaml: optimizer.lrr: unknown key; did you mean 'lr'?`.

    Args:
        error: of `model`.
        model: whose fields, and those of the sections in it, are the known keys.
        name: of the file.
    """
    for problem in error.errors():
        location = _as_in_the_file([str(part) for part in problem["loc"]])
        path = ".".join(location) or "(top level)"
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(location[-1], sorted(set(_fields(model))), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            yield f"{name}: {path}: unknown key{hint}"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            found = "" if problem["type"] == "missing" else f" (found {_short(problem['input'])})"
            yield f"{name}: {path}: {message}{found}"


def _as_in_the_file(location: list[str]) -> list[str]:
    """Without the steps that say which kind of a section it is: they are no keys of the file."""
    return [
        part
        for place, part in enumerate(location)
        if place == 0 or location[place - 1] not in _SECTIONS_WITH_KINDS
    ]


def _fields(annotation: Any) -> Iterator[str]:
    """Names of the fields of a model and of every model that those may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for field, info in annotation.model_fields.items():
            yield field
            yield from _fields(info.annotation)
    for part in typing.get_args(annotation):
        yield from _fields(part)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
