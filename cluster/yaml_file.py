"""A YAML file as plain data, with the line of every field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from selector.strict_yaml import parse_mapping
from shards import storage
from shards.errors import StorageError, UsageError

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """What a file holds.

    Attributes:
        name: The file, for messages.
        data: Its content; the top level is a mapping.
        lines: Line, from 1, of each field by its path.
    """

    name: str
    data: dict[str, Any]
    lines: dict[FieldPath, int]


def read_yaml(uri: str) -> YamlFile:
    """Read a YAML mapping, strictly (see `selector.strict_yaml`).

    Raises:
        UsageError: the file cannot be read, or holds no mapping of plain data.
    """
    try:
        return parse_yaml(storage.read_bytes(uri).decode(), name=uri)
    except StorageError as error:
        raise UsageError(f"configuration cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{uri}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def parse_yaml(text: str, *, name: str) -> YamlFile:
    """`read_yaml` for text; a text without content is an empty mapping."""
    # The strict reader comes first: it refuses what would make the walk below endless.
    data = {} if not text.strip() else parse_mapping(text, where=name)
    return YamlFile(name, data, _lines(yaml.compose(text, Loader=yaml.SafeLoader)))


def _lines(root: yaml.Node | None) -> dict[FieldPath, int]:
    lines: dict[FieldPath, int] = {}
    waiting: list[tuple[FieldPath, yaml.Node]] = [((), root)] if root is not None else []
    while waiting:
        path, node = waiting.pop()
        lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode):
            waiting += [((*path, index), child) for index, child in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            waiting += [((*path, key.value), child) for key, child in node.value]
    return lines
