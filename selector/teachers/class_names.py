"""Class names from a file: a text file with one name a line, or JSON."""

from __future__ import annotations

import json
from typing import Any

from shards import storage
from shards.errors import UsageError


def read_class_names(uri: str) -> list[str]:
    """Names in the order of the logits.

    Text: one name a line, empty lines at the end ignored. JSON: a list, an object of
    "index": name, or an object of "index": [id, name] as ImageNet's class index has it.

    Raises:
        StorageError: the file cannot be read.
        UsageError: it holds anything else.
    """
    data = storage.read_bytes(uri)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"class names {uri} are not UTF-8 text: {error}") from error
    if not uri.lower().endswith(".json"):
        return [line.strip() for line in text.rstrip().splitlines()]
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"class names {uri} are not JSON: {error}") from error
    names = _in_order(content)
    if names is None:
        raise UsageError(
            f"class names {uri}: expected a list of names, or an object with the keys 0 to C-1"
        )
    return names


def _in_order(content: Any) -> list[str] | None:
    if isinstance(content, dict):
        try:
            content = [content[str(index)] for index in range(len(content))]
        except KeyError:
            return None
    if not isinstance(content, list):
        return None
    names = [item[-1] if isinstance(item, list) and item else item for item in content]
    return names if all(isinstance(name, str) for name in names) else None
