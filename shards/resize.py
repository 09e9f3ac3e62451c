"""A pool re-sharded once to smaller images, which every later pass decodes much faster.

One output shard per input shard, made independently: in this process, in threads or in processes.
A record beside each finished shard lets an interrupted run go on where it stopped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any

from shards import storage
from shards.atomic import write_bytes
from shards.errors import StorageError, UsageError
from shards.file_info import FileInfo
from shards.resize_image import Resizing
from shards.resize_shard import ResizedShard, resize_shard
from shards.sample import IMAGE_EXTENSIONS, Problem

__all__ = ["ResizeReport", "ResizedShard", "Resizing", "resize_pool", "resize_shard"]

_RECORDS = "resize"
"""Folder of the records, beside the shards."""

_ENDINGS = (".tar.gz", ".tgz", ".tar")


@dataclass(frozen=True)
class ResizeReport:
    """All shards in the order of the inputs."""

    shards: tuple[ResizedShard, ...]

    @property
    def samples(self) -> int:
        return sum(shard.samples for shard in self.shards)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for shard in self.shards for problem in shard.problems)

    def problem_counts(self) -> dict[str, int]:
        """Kind of problem -> how often."""
        return dict(sorted(Counter(problem.kind for problem in self.problems).items()))


def resize_pool(
    specs: Sequence[str],
    out: str,
    how: Resizing,
    *,
    image_ext: Sequence[str] = IMAGE_EXTENSIONS,
    executor: Executor | None = None,
    overwrite: bool = False,
    on_shard: Callable[[ResizedShard], None] | None = None,
) -> ResizeReport:
    """Write every shard anew into `out` with its images resized and all other members kept.

    `pool-7.tar.gz` becomes `pool-7.tar`. Images are upright then, and colourless ones grey.
    Samples without a decodable image are left out and told. A run that was interrupted goes on:
    shards that are finished, from the same input and in the same way, are not made again.

    Args:
        specs: folders, files, globs, brace patterns, as `shards.storage.expand`.
        executor: threads or processes that take a shard each; None for one after the other.
        overwrite: replace what another resizing left in `out`.
        on_shard: called as each shard is done, in the order of the report.

    Raises:
        UsageError: `out` holds other shards, inputs of the same name, specs that name nothing.
        StorageError: reading or writing failed; finished shards stay.
    """
    out = storage.normalize(out)
    found = storage.expand(specs)
    names = _output_names(found, out)
    _begin(out, how, image_ext, overwrite)
    tasks = [
        _Task(info, out, name, how, tuple(image_ext), overwrite)
        for info, name in zip(found, names, strict=True)
    ]
    done = map(_run, tasks) if executor is None else executor.map(_run, tasks)
    shards: list[ResizedShard] = []
    for shard in done:
        shards.append(shard)
        if on_shard is not None:
            on_shard(shard)
    return ResizeReport(tuple(shards))


@dataclass(frozen=True)
class _Task:
    """One shard, ready to travel to another process."""

    source: FileInfo
    out: str
    name: str
    how: Resizing
    image_ext: tuple[str, ...]
    overwrite: bool


def _run(task: _Task) -> ResizedShard:
    """Resize a shard, unless that is done already."""
    record_uri = storage.join(task.out, _RECORDS, f"{task.name}.json")
    if storage.exists(record_uri):
        done = _read_record(record_uri)
        if done.source != task.source.uri and not task.overwrite:
            raise UsageError(
                f"{task.out} holds {task.name}.tar made from {done.source} already; choose another "
                "folder, or overwrite (--overwrite)"
            )
        is_there = not done.shard or storage.exists(done.shard)
        if (done.source, done.etag) == (task.source.uri, task.source.etag) and is_there:
            return done
    out_uri = storage.join(task.out, f"{task.name}.tar")
    done = resize_shard(task.source, out_uri, task.how, image_ext=task.image_ext)
    write_bytes(record_uri, json.dumps(asdict(done), indent=1).encode() + b"\n")
    return done


def _read_record(uri: str) -> ResizedShard:
    try:
        record: dict[str, Any] = json.loads(storage.read_bytes(uri))
        problems = tuple(Problem(**problem) for problem in record.pop("problems"))
        return ResizedShard(**record, problems=problems)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StorageError(f"{uri} is damaged ({error}); remove it") from error


def _output_names(found: Sequence[FileInfo], out: str) -> list[str]:
    """Names of the outputs without `.tar`; refuses what would write two onto one."""
    inputs: dict[str, str] = {}
    for info in found:
        file_name = storage.name(info.uri)
        ending = next(e for e in _ENDINGS if file_name.lower().endswith(e))
        name = file_name[: -len(ending)]
        if name in inputs:
            raise UsageError(
                f"{inputs[name]} and {info.uri} would both become {name}.tar; resize them into "
                "folders of their own"
            )
        if info.uri.rpartition("/")[0] == out:
            raise UsageError(f"{info.uri} lies in the folder to be written; choose another")
        inputs[name] = info.uri
    return list(inputs)


def _begin(out: str, how: Resizing, image_ext: Sequence[str], overwrite: bool) -> None:
    """Claim `out` for this way of resizing."""
    wanted = json.loads(json.dumps({"how": asdict(how), "image_ext": list(image_ext)}))
    record_uri = storage.join(out, f"{_RECORDS}.json")
    storage.make_dirs(out)
    if storage.exists(record_uri):
        if json.loads(storage.read_bytes(record_uri)) == wanted:
            return
        if not overwrite:
            raise UsageError(
                f"{out} holds shards resized in another way ({record_uri} tells how); choose "
                "another folder, or overwrite them (--overwrite)"
            )
        _remove_made(out)
    elif storage.exists(out) and storage.list_files(out, ".tar"):
        raise UsageError(f"{out} holds shards that no resizing made; choose another folder")
    write_bytes(record_uri, json.dumps(wanted, indent=1).encode() + b"\n")


def _remove_made(out: str) -> None:
    """Remove the shards that have a record, then the record."""
    records = storage.join(out, _RECORDS)
    for info in storage.list_files(records, ".json") if storage.exists(records) else []:
        storage.remove(storage.join(out, storage.name(info.uri).removesuffix(".json") + ".tar"))
        storage.remove(info.uri)
