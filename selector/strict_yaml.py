"""YAML from strangers: plain data only, nothing silently dropped, errors that name the line."""

from __future__ import annotations

import re
from typing import Any

import yaml

from shards.errors import UsageError

MAX_CHARACTERS = 1_000_000


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that also refuses repeated keys, and aliases (which can grow exponentially)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"key {key!r} is no text; put it in quotes"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            if key in seen:
                problem = f"key {key!r} stands there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# 1e-3 is a number here, as in JSON and YAML 1.2; YAML 1.1 takes it for text.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)


def parse_mapping(text: str, *, where: str) -> dict[str, Any]:
    """The mapping that a YAML text holds.

    Args:
        where: the file, for messages.

    Raises:
        UsageError: no YAML, no mapping, a key twice, an alias, or more than a million characters.
    """
    content = parse_value(text, where=where)
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise UsageError(f"{where}: found {found}, expected `name: value` lines")
    return content


def parse_value(text: str, *, where: str) -> Any:
    """Any YAML value: `0.1`, `true`, `[1, 2]`, `null`, text.

    Raises:
        UsageError: as `parse_mapping`, but for what is no mapping.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"{where}: {len(text)} characters of YAML, expected a few lines")
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{where}{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a 13th month
        raise UsageError(f"{where}: no readable YAML ({error})") from error
