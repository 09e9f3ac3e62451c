"""Text from anywhere, made safe to print: a key in a tar may hold terminal commands."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def printable(text: str) -> str:
    r"""`text` with control characters and lone surrogates shown as escapes.

    Member names, keys and error messages come from files that nobody vouched for; an escape
    sequence among them could retitle a terminal or rewrite what stands above. Newlines and tabs
    stay.

    >>> printable("cat\x1b[2J.jpg")
    'cat\\x1b[2J.jpg'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def without_colours(text: str) -> str:
    """`text` without the colour codes that programs write for terminals; all else stays."""
    return _COLOUR.sub("", text)
