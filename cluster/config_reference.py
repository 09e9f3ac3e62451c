"""docs/config.md: every field of the configuration files, from the docstrings of the models."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cluster.compress_config import CompressConfig
from cluster.config_errors import models_in
from cluster.score_config import ScoreConfig
from distiller.config import DistillConfig

PAGES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("score.yaml: `coursepack score --config`", ScoreConfig),
    ("distill.yaml: `coursepack distill`", DistillConfig),
    ("compress.yaml: `coursepack compress`", CompressConfig),
)


def config_markdown() -> str:
    """The page of all configuration files."""
    lines = [
        "# Configuration files",
        "",
        "Written by `python docs/make_reference.py` from the models that check the files.",
        "",
        "A file is YAML. An unknown field is an error that names the nearest known one; all errors",
        "of a file come in one message, each with its line. `--set path.to.field=value` overrides",
        "a field. Paths inside a file are relative to the folder that the command runs in.",
    ]
    for title, model in PAGES:
        lines += ["", f"## {title}", "", *_table(model)]
        # Kinds of one section share some of their fields, and those are told once.
        told: set[tuple[str, type[BaseModel]]] = set()
        for path, inner in sections(model):
            if (path, inner) not in told:
                lines += ["", f"### {path}", "", *_intro(inner), *_table(inner)]
            told.add((path, inner))
    return "\n".join(lines) + "\n"


def sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model inside `model` with its path; the kinds of a union each with its own name."""
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation)
        for one in inner:
            kind = f" (kind: {_kind(one)})" if len(inner) > 1 else ""
            yield f"{prefix}{name}{kind}", one
            yield from sections(one, f"{prefix}{name}.")


def _intro(model: type[BaseModel]) -> list[str]:
    text = " ".join((model.__doc__ or "").split())
    return [text, ""] if text else []


def _table(model: type[BaseModel]) -> list[str]:
    rows = ["| field | value | default | |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        description = " ".join((field.description or "").split())
        cells = (f"`{name}`", _type_text(field.annotation), _default_text(field), description)
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return rows


def _kind(model: type[BaseModel]) -> str:
    """What selects this member of a union: its one field with a single possible value."""
    for field in model.model_fields.values():
        values = typing.get_args(field.annotation)
        if typing.get_origin(field.annotation) is Literal and len(values) == 1:
            return str(values[0])
    return model.__name__


def _default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        return "see below"
    return f"`{json.dumps(default)}`"


def _type_text(annotation: Any) -> str:
    """A type in words of YAML: text, number, list of text, one of ..."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type_text(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        members = [_type_text(one) for one in arguments if one is not type(None)]
        return " or ".join(dict.fromkeys(members))
    if origin in (list, tuple):
        items = [one for one in arguments if one is not Ellipsis]
        if origin is tuple and Ellipsis not in arguments:
            return f"list of {len(items)}: {', '.join(_type_text(one) for one in items)}"
        return f"list of {_type_text(items[0])}"
    if origin is dict or annotation is dict:
        return "fields"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


_WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}
