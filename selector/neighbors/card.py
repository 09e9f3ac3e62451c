"""The card of an index: what it is over, how it was made, and what it was measured to find."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selector.neighbors.index_kind import IndexKind
from selector.neighbors.vector_file import PartCount
from selector.tables.facts import FactTable
from shards import atomic
from shards.errors import StorageError, UsageError

CARD_VERSION = 1


@dataclass(frozen=True)
class Card:
    """Content of card.json.

    Attributes:
        features: id of the feature table; another one is refused.
        teacher: fingerprint of the teacher that made it, "" if its table does not say.
        dim, num_vectors: of the index.
        missing, unusable: rows without a vector (failed images); rows whose vector is zero or
            not finite. Neither is in the index.
        kind: see `IndexKind`.
        trained_size: vectors that the table had when the lists were trained on a sample of them.
        file: name of the FAISS file in the folder, "" for flat.
        recall: "k", "queries", and "recall_at_k" in [0, 1]: the share of the true k nearest
            neighbours of sampled vectors that a search finds.
        parts: file name of each part of the feature table -> what it gave.
        versions: of faiss and numpy.
    """

    features: str
    teacher: str
    dim: int
    num_vectors: int
    missing: int
    unusable: int
    kind: IndexKind
    seed: int
    trained_size: int
    file: str
    recall: Mapping[str, Any]
    parts: Mapping[str, PartCount]
    versions: Mapping[str, str]

    def check(self, fact: FactTable, folder: Path) -> None:
        """Refuse other features than those that the index is over.

        Raises:
            UsageError: shows both.
        """
        teacher = str(fact.about.get("teacher_fingerprint", ""))
        if self.features != fact.fact_id or self.teacher != teacher:
            raise UsageError(
                f"{folder} is an index over features {self.features} of the teacher "
                f"{self.teacher[:12]}, but those of this run are {fact.fact_id} of the teacher "
                f"{teacher[:12]}; remove the folder, or build with --rebuild"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"card_version": CARD_VERSION, **asdict(self)}


def write_card(folder: Path, card: Card) -> None:
    """Written last: a folder without it holds no index."""
    text = json.dumps(card.to_dict(), indent=1, sort_keys=True)
    atomic.write_bytes(str(folder / "card.json"), text.encode() + b"\n")


def read_card(folder: Path) -> Card | None:
    """The card of an index folder, None where there is none.

    Raises:
        StorageError: it is damaged. UsageError: it is of another version of coursepack.
    """
    path = folder / "card.json"
    if not path.exists():
        return None
    cure = f"remove the folder {folder} and run `coursepack neighbors build` again"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("card_version")
        if version != CARD_VERSION:
            raise UsageError(f"{path} has version {version}, expected {CARD_VERSION}; {cure}")
        content["kind"] = IndexKind(**content["kind"])
        content["parts"] = {k: PartCount(**v) for k, v in content["parts"].items()}
        return Card(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is damaged ({error!r}); {cure}") from error
