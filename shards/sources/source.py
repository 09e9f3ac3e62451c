"""Samples on their way into shards, from whatever kind of input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shards.sample import Data, Problem

Record = tuple[str, Mapping[str, Data]]
"""One sample: its key, and extension (without the dot) -> bytes in the order to be written."""

LABEL_EXTENSION = "cls"


@dataclass(frozen=True)
class Source:
    """An input, opened and listed, not yet read.

    Attributes:
        identity: what was asked for, as JSON: equal identities mean the same build.
        records: the samples, in an order that depends on the content alone; to be read once.
        count: number of records where it is known beforehand, failed ones included.
        classes: class names by index, empty for unlabeled data.
        problems: what was left out, or is odd; complete when `records` has ended.
    """

    identity: Mapping[str, Any]
    records: Iterator[Record]
    count: int | None = None
    classes: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)


def label_member(label: int) -> bytes:
    """Content of a .cls member: the class index as decimal text."""
    return str(label).encode("ascii")
