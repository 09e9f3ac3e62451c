"""Large shards in pieces: which shards are divided, where, and what of them is still to be done.

Whether a shard is divided follows from its size and the run's `split_bytes` alone, and where, from
its content: so neither workers nor restarts change the parts of a run. What was found is kept as
`run/surveys/<shard>-<step>-<pieces>-<etag hash>.json`, whose name says all that the driver needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from cluster.ledger import short_hash
from cluster.stage import TaskResult
from selector.scoring.task import ScoreTask
from selector.tables.layout import RunLayout, part_name
from selector.tables.run_files import read_json
from shards import atomic, storage
from shards.errors import UsageError
from shards.manifest import PoolManifest, ShardEntry
from shards.survey import pieces_by_size, survey_shard


@dataclass(frozen=True)
class Division:
    """How one shard is divided: piece k begins with sample k * step."""

    step: int
    count: int
    uri: str


Divisions = Mapping[int, Division]
"""shard_id -> its division; whole shards have none."""


@dataclass(frozen=True)
class SurveyTask:
    """Find out where to divide a shard; its pieces are the tasks that follow.

    Attributes:
        pieces: About how many.
        multiple: Each begins at a multiple of it: the batch size.
    """

    shard: ShardEntry
    run: str
    pieces: int
    multiple: int

    @property
    def name(self) -> str:
        return f"{self.shard.shard_id:08d}-survey"

    @property
    def num_bytes(self) -> int:
        return self.shard.num_bytes


def run_survey(task: SurveyTask) -> TaskResult:
    """Walk the shard, keep what was found, name its pieces."""
    survey = survey_shard(task.shard.uri, pieces=task.pieces, multiple=task.multiple)
    count = len(survey.offsets)
    uri = storage.join(_folder(RunLayout(task.run)), _file_name(task.shard, survey.step, count))
    atomic.write_bytes(uri, json.dumps(asdict(survey)).encode() + b"\n")
    counters = {f"problem_{kind}": float(number) for kind, number in survey.problems.items()}
    division = Division(survey.step, count, uri)
    follow_up = tuple(pieces_of(task.shard, division, run=task.run))
    return TaskResult(task.name, (uri,), counters, follow_up)


def offset_of(task: ScoreTask) -> int | None:
    """Where the first sample of a piece begins in its shard; None for a shard that is whole."""
    if not task.survey:
        return None
    content = read_json(task.survey, cure="remove it: the same command writes it anew")
    return int(content["offsets"][task.start // int(content["step"])])


def pieces_of(entry: ShardEntry, division: Division, *, run: str) -> Iterator[ScoreTask]:
    """The tasks of a divided shard, in order."""
    for number in range(division.count):
        start = number * division.step
        last = number == division.count - 1
        yield ScoreTask(
            shard=entry,
            start=start,
            stop=None if last else start + division.step,
            run=run,
            survey=division.uri,
            pieces=division.count,
        )


def pieces(divisions: Divisions, shard_id: int) -> int:
    """How many parts a shard has: 1 if it is not divided."""
    division = divisions.get(shard_id)
    return 1 if division is None else division.count


def part_names(entry: ShardEntry, divisions: Divisions) -> list[str]:
    """Every part that a shard has, or is to have."""
    division = divisions.get(entry.shard_id)
    if division is None:
        return [part_name(entry.shard_id, 0)]
    starts = range(0, division.step * division.count, division.step)
    return [part_name(entry.shard_id, start) for start in starts]


def read_divisions(layout: RunLayout, manifest: PoolManifest) -> dict[int, Division]:
    """The shards that are divided, from one listing; those that changed since are not."""
    folder = _folder(layout)
    if not storage.exists(folder):
        return {}
    found: dict[int, Division] = {}
    for info in storage.list_files(folder, suffix=".json"):
        pieces = storage.name(info.uri).removesuffix(".json").split("-")
        if len(pieces) != 4 or not all(piece.isdecimal() for piece in pieces[:3]):
            continue
        shard_id, step, count = map(int, pieces[:3])
        if shard_id >= len(manifest.entries):
            continue
        if pieces[3] == short_hash(manifest.entries[shard_id].etag):
            found[shard_id] = Division(step, count, info.uri)
    return found


def tasks_for(
    entries: Iterable[ShardEntry],
    divisions: Divisions,
    done: Iterable[str],
    *,
    run: str,
    split_bytes: int,
    batch_size: int,
) -> list[ScoreTask | SurveyTask]:
    """What is to be done of shards that are not finished.

    Args:
        done: Names of finished parts.

    Raises:
        UsageError: a divided shard does not go with this batch size.
    """
    finished = frozenset(done)
    tasks: list[ScoreTask | SurveyTask] = []
    for entry in entries:
        division = divisions.get(entry.shard_id)
        if division is not None:
            _check_step(entry, division, batch_size)
            pieces = pieces_of(entry, division, run=run)
            tasks += [piece for piece in pieces if piece.name not in finished]
            continue
        count = pieces_by_size(entry.uri, entry.num_bytes, split_bytes)
        if count > 1:
            tasks.append(SurveyTask(entry, run, count, batch_size))
        else:
            tasks.append(ScoreTask(shard=entry, run=run))
    return tasks


def _check_step(entry: ShardEntry, division: Division, batch_size: int) -> None:
    if division.step % batch_size:
        raise UsageError(
            f"shard {entry.uri} was divided into parts of {division.step} images for another batch "
            f"size than {batch_size}; use the batch size of the first call"
        )


def _folder(layout: RunLayout) -> str:
    return storage.join(layout.root, "surveys")


def _file_name(entry: ShardEntry, step: int, count: int) -> str:
    return f"{entry.shard_id:08d}-{step:08d}-{count:08d}-{short_hash(entry.etag)}.json"
