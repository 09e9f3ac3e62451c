"""Brace patterns and globs, as text: no file system is asked."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from shards.errors import UsageError

MAX_EXPANSION = 1_000_000
_WILDCARD = re.compile(r"[*?\[]")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def has_wildcard(path: str) -> bool:
    """True if a path is a glob."""
    return _WILDCARD.search(path) is not None


def split_at_wildcard(pattern: str) -> tuple[str, str]:
    """(the folders before the first wildcard, the rest)."""
    first = _WILDCARD.search(pattern)
    folder, _, _ = pattern[: first.start() if first else None].rpartition("/")
    return folder, pattern[len(folder) + 1 :]


def matches(path: str, pattern: str) -> bool:
    """Glob match component by component: `*` never crosses a slash."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def expand_braces(pattern: str) -> list[str]:
    """Expand `{a,b}` and `{000..012}` (zero-padded as written), nested ones too, in order.

    >>> expand_braces("s-{08..10}.{tar,tgz}")[:3]
    ['s-08.tar', 's-08.tgz', 's-09.tar']

    Raises:
        UsageError: unbalanced braces, or more than `MAX_EXPANSION` results.
    """
    opening = pattern.find("{")
    if opening < 0:
        if "}" in pattern:
            raise UsageError(f"{pattern}: a closing brace without its opening one")
        return [pattern]
    closing = _matching_brace(pattern, opening)
    choices = _choices(pattern[opening + 1 : closing])
    tails = expand_braces(pattern[closing + 1 :])
    if len(choices) * len(tails) > MAX_EXPANSION:
        raise UsageError(f"{pattern}: more than {MAX_EXPANSION} files; give a folder or a glob")
    head = pattern[:opening]
    return [head + choice + tail for choice in choices for tail in tails]


def _matching_brace(pattern: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[position], 0)
        if depth == 0:
            return position
    raise UsageError(f"{pattern}: an opening brace without its closing one")


def _choices(body: str) -> list[str]:
    if span := _RANGE.fullmatch(body):
        first, last = span.groups()
        if abs(int(last) - int(first)) >= MAX_EXPANSION:
            raise UsageError(f"{{{body}}}: more than {MAX_EXPANSION} files")
        step = 1 if int(first) <= int(last) else -1
        padded = first.startswith("0") or last.startswith("0")
        width = max(len(first), len(last)) if padded else 0
        return [f"{n:0{width}d}" for n in range(int(first), int(last) + step, step)]
    depth, current, parts = 0, "", []
    for character in body:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    if len(parts) == 1 and ("{" not in body):
        raise UsageError(f"{{{body}}}: expected a range such as 000..012 or a list such as a,b")
    return [expanded for part in parts for expanded in expand_braces(part)]
