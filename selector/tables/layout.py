"""Where everything of a run lies: pure path functions, the same for a local run and one on S3."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shards import storage
from shards.errors import UsageError

_TABLE_LIST = re.compile(r"(?P<kind>[a-z][a-z0-9_]*)-(?P<version>[1-9][0-9]*)\.json")
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_SELECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class RunLayout:
    """Paths inside the run directory `root` (a local path or a URI).

    Nothing here touches storage; a path that is named need not exist.
    """

    root: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", storage.normalize(self.root).rstrip("/") or "/")

    @property
    def config(self) -> str:
        """Both halves of the configuration, as asked for."""
        return storage.join(self.root, "config.yaml")

    @property
    def provenance(self) -> str:
        """Who made the facts: semantic hash, code, versions, hardware, class names."""
        return storage.join(self.root, "provenance.json")

    @property
    def pool(self) -> str:
        """The pool manifest."""
        return storage.join(self.root, "pool.parquet")

    @property
    def lock(self) -> str:
        """Lock of the one driver that may write."""
        return storage.join(self.root, "lock")

    @property
    def scores_dir(self) -> str:
        """Parts of the scores table: one row per image, failed ones included."""
        return storage.join(self.root, "scores")

    @property
    def members_dir(self) -> str:
        """Parts of the member index: where each file of a sample lies in its tar."""
        return storage.join(self.root, "members")

    @property
    def tables_dir(self) -> str:
        """The table lists."""
        return storage.join(self.root, "tables")

    @property
    def ledger_dir(self) -> str:
        """The done markers of finished parts."""
        return storage.join(self.root, "ledger")

    @property
    def selections_dir(self) -> str:
        """One directory per named selection."""
        return storage.join(self.root, "selections")

    @property
    def report_dir(self) -> str:
        """Reports, one HTML file each."""
        return storage.join(self.root, "report")

    def pu_dir(self, pu_id: str) -> str:
        """A PU classifier: weights, card, learning curve, report; `pu_id` is its table's."""
        return storage.join(self.root, "pu", pu_id)

    def scores_part(self, name: str) -> str:
        """One part of the scores table; `name` as `part_name` makes it."""
        return storage.join(self.scores_dir, f"{name}.parquet")

    def members_part(self, name: str) -> str:
        """One part of the member index."""
        return storage.join(self.members_dir, f"{name}.parquet")

    def facts_part(self, kind: str, fact_id: str, name: str) -> str:
        """One part of a fact table; `fact_id` is the fingerprint of what made the facts."""
        return storage.join(self.root, "facts", check_kind(kind), fact_id, f"{name}.parquet")

    def table_list(self, kind: str, version: int) -> str:
        """The list of the parts that make up version `version` (1, 2, ...) of table `kind`."""
        return storage.join(self.tables_dir, f"{check_kind(kind)}-{version}.json")

    def selection_dir(self, name: str) -> str:
        """Directory of one selection.

        Raises:
            UsageError: the name could not serve as a directory and a view name.
        """
        return storage.join(self.selections_dir, check_selection_name(name))

    def relative(self, uri: str) -> str:
        """`uri` as a path relative to the root, so that a run can be moved as a whole."""
        absolute = storage.normalize(uri)
        prefix = self.root.rstrip("/") + "/"
        if not absolute.startswith(prefix):
            raise ValueError(f"{uri} lies outside the run {self.root}")
        return absolute[len(prefix) :]


def part_name(shard_id: int, start: int) -> str:
    """Name of the part that begins at image `start` of a shard: both zero-padded to 8 digits."""
    return f"{shard_id:08d}-{start:08d}"


def versioned(part: str, version: int) -> str:
    """Name of a later version of a part, in which failed rows were done again."""
    return part if version == 1 else f"{part}.v{version}"


def parse_table_list(file_name: str) -> tuple[str, int] | None:
    """`(kind, version)` of a table list's file name, None for any other file."""
    match = _TABLE_LIST.fullmatch(file_name)
    return (match["kind"], int(match["version"])) if match else None


def check_kind(kind: str) -> str:
    """`kind` itself, if it can name a table, a directory and an SQL view.

    Raises:
        ValueError: anything but lower case letters, digits and underscores.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"table kind {kind!r}: expected lower case letters, digits, underscores")
    return kind


def check_fact_name(name: str) -> str:
    """`name` itself, if it can name one of several fact tables of a kind.

    Raises:
        UsageError: anything but lower case letters, digits and underscores, or a name that could
            be taken for an id.
    """
    if not re.fullmatch(r"[a-z0-9_]{1,40}", name) or re.fullmatch(r"[0-9a-f]{6,}", name):
        raise UsageError(
            f"name {name!r}: expected at most 40 lower case letters, digits and underscores, and "
            "not only the digits of an id; choose another --name"
        )
    return name


def check_selection_name(name: str) -> str:
    """`name` itself, if it can name a selection.

    Raises:
        UsageError: anything but 1 to 64 letters, digits, `.`, `_`, `-`, starting with a
            letter or digit.
    """
    if not _SELECTION.fullmatch(name):
        raise UsageError(
            f"selection name {name!r}: expected 1 to 64 letters, digits, '.', '_' or '-', "
            "starting with a letter or a digit; choose another --name"
        )
    return name
