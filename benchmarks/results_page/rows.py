"""Results on file, arm by arm: means, spreads, seeds; what was not run is there as well."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.papers.arm import Arm, Table

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """What is on file of one arm.

    Attributes:
        arm: as its table declares it.
        rows: one per seed, in order of seeds; empty if the arm was not run.
    """

    arm: Arm
    rows: tuple[Row, ...]

    @property
    def values(self) -> list[float]:
        """Accuracies in per cent, one per seed."""
        return [row["top1"] for row in self.rows]

    @property
    def mean(self) -> float | None:
        """Over seeds, in per cent; None if the arm was not run."""
        return statistics.mean(self.values) if self.rows else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds; None below two."""
        return statistics.stdev(self.values) if len(self.rows) > 1 else None

    @property
    def samples_seen(self) -> int | None:
        return self.rows[-1]["samples_seen"] if self.rows else None

    def mean_of(self, column: str) -> list[float] | None:
        """Mean over seeds of a column that holds a list of numbers; None where a row lacks it."""
        lists = [row.get(column) for row in self.rows]
        if not lists or any(one is None for one in lists):
            return None
        return [statistics.mean(values) for values in zip(*lists, strict=True)]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Section:
    """One table of one track.

    Attributes:
        setting: teacher, student and pool in words.
        results: one per arm, in the order of the table.
        teacher: its accuracy in per cent on the same test images; None if no row tells.
        real_kd: of the same track: what KD reaches on real images; None if not run.
    """

    table: Table
    track: str
    setting: str
    results: tuple[Result, ...]
    teacher: float | None
    real_kd: float | None

    @property
    def usual_samples(self) -> int | None:
        """What most students saw."""
        seen = [one.samples_seen for one in self.results if one.samples_seen is not None]
        return statistics.mode(seen) if seen else None


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; none if it is not there."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def settings_of(rows: Iterable[Row], track: str) -> list[str]:
    """The settings that a track was run in, in the order of the file."""
    return list(dict.fromkeys(row["setting"] for row in rows if row["track"] == track))


def section(table: Table, rows: Iterable[Row], *, track: str, setting: str) -> Section:
    """What is on file of `table`, and of the two figures that everything is compared with."""
    here = [
        row
        for row in rows
        if (row["track"], row["setting"], row["measured"]) == (track, setting, "test")
    ]
    teachers = [row["teacher_top1"] for row in here if row.get("teacher_top1") is not None]
    real_kd = [row["top1"] for row in _latest(here, lambda row: row["arm"] == "real_kd")]
    results = tuple(
        Result(
            arm,
            _latest(
                here, lambda row, name=arm.name: (row["table"], row["arm"]) == (table.name, name)
            ),
        )
        for arm in table.arms
    )
    return Section(
        table=table,
        track=track,
        setting=setting,
        results=results,
        teacher=100 * teachers[-1] if teachers else None,
        real_kd=statistics.mean(real_kd) if real_kd else None,
    )


def _latest(rows: Iterable[Row], wanted: Any) -> tuple[Row, ...]:
    """Rows of an arm as it was run last (another hash is another arm), one per seed."""
    found = [row for row in rows if wanted(row)]
    if not found:
        return ()
    by_seed = {row["seed"]: row for row in found if row["hash"] == found[-1]["hash"]}
    return tuple(by_seed[seed] for seed in sorted(by_seed))
