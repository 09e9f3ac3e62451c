"""`export`: the images of a selection as shards of their own: same bytes, shuffled."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cluster.dispatch import Finished, Quarantined
from cluster.execution import ExecutionConfig, Plan, make_plan, run_tasks, worker_pool
from cluster.export_plan import locate
from cluster.export_stage import AssembleTask, ExportStage, SpillTask
from cluster.export_tasks import assemble_tasks, ordered, shard_name, spill_tasks
from cluster.out_folder import refuse_no_folder
from cluster.progress import OnProgress, Progress, ignore
from cluster.run_lock import RunLock
from cluster.runs import read_config
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from selector.tables.selections import read_selection
from shards import atomic, storage
from shards.errors import CoursepackError, UsageError
from shards.sample import IMAGE_EXTENSIONS


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        out: Folder of the shards, `lineage.parquet` and `export.json`.
        shards, images, num_bytes: How many shards, images, and bytes of images.
        renamed: Samples whose key several of them shared; the lineage holds the original.
    """

    out: str
    selection: str
    shards: int
    images: int
    num_bytes: int
    renamed: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def lines(self) -> list[str]:
        rate = self.num_bytes / 1e6 / self.seconds if self.seconds else 0.0
        rows = [
            f"{self.images:,} images in {self.shards} shard{'s' if self.shards != 1 else ''}, "
            f"{self.num_bytes / 1e6:,.1f} MB, in "
            f"{self.seconds:.1f} s ({rate:,.1f} MB/s): {self.out}"
        ]
        if self.renamed:
            rows.append(f"{self.renamed:,} samples shared a key and got -<row_id> appended")
        return rows


def export(
    run: str,
    *,
    selection: str,
    out: str,
    seed: int = 0,
    shard_size: int = 10_000,
    execution: ExecutionConfig | None = None,
    on_progress: OnProgress | None = None,
) -> ExportReport:
    """Write the samples of a selection, all their members byte for byte, into new tar shards.

    The order is a permutation from `seed` over the whole selection, so that a reader of one shard
    sees a fair sample. `lineage.parquet` tells for each output sample its row_id, weight, source
    shard and source key. Calling it again continues; a finished export is left alone.

    Args:
        run: Run directory.
        selection: Name of a selection of that run.
        out: New folder (or the same one, to continue), local or remote.
        seed: Seed of the order.
        shard_size: Samples per output shard.

    Raises:
        UsageError: no such selection; `out` holds another export or other files.
        CoursepackError: a source shard is missing or changed since it was scored: names it.
        RunLocked: another driver writes into `out`.
    """
    started = time.monotonic()
    layout, out = RunLayout(run), storage.normalize(out)
    config = read_config(layout)
    if config is None:
        raise UsageError(f"{layout.root} is no run: `coursepack score ... --out` makes one")
    if shard_size < 1:
        raise UsageError(f"--shard-size is {shard_size}; it must be at least 1")
    chosen = read_selection(layout, selection)
    parts = list(locate(layout, chosen))
    identity = _identity(chosen, parts, seed, shard_size)
    refuse_no_folder(out)
    work = storage.join(out, ".export")

    def write_shards() -> ExportReport:
        stage = ExportStage(tuple(config["semantic"].get("image_ext") or IMAGE_EXTENSIONS))
        plan = make_plan(execution or ExecutionConfig(threads=1), device="cpu")
        report = on_progress or ignore
        spilling = spill_tasks(parts, work)
        _run(stage, plan, spilling, report, begin=0.0, end=0.5)
        rows = ordered(parts, seed)
        spills = tuple((task.source, task.spill) for task in spilling)
        tasks = assemble_tasks(rows, work, out, shard_size, spills)
        _run(stage, plan, tasks, report, begin=0.5 if spilling else 0.0, end=1.0)
        _write_lineage(out, rows, shard_size, run=layout.root, selection=selection)
        result = ExportReport(
            out=out,
            selection=selection,
            shards=len(tasks),
            images=len(rows),
            num_bytes=int(sum(rows["num_bytes"].to_pylist())),
            renamed=int(np.sum(rows["key"].to_numpy(False) != rows["output_key"].to_numpy(False))),
            seconds=round(time.monotonic() - started, 3),
        )
        content = {"identity": identity, "run": layout.root, "seed": seed, "shard_size": shard_size}
        _put_json(storage.join(out, "export.json"), content | {"report": result.to_dict()})
        return result

    finished = _finished_export(out, identity)
    if finished is None:
        with RunLock(storage.join(work, "lock")):
            finished = _finished_export(out, identity)  # by another driver, a moment ago
            if finished is None:
                finished = write_shards()
        _remove_tree(work)
    return finished


def _identity(selection: pa.Table, parts: Sequence[pa.Table], seed: int, shard_size: int) -> str:
    """What the output is made of; an unfinished export is continued only by the same one.

    Content hashes belong to it: two runs over different pools can select the same row_ids.
    """
    digest = hashlib.sha256()
    for name in ("row_id", "weight"):
        digest.update(selection[name].to_numpy().tobytes())
    for part in parts:
        digest.update(b"".join(found or bytes(16) for found in part["content_hash"].to_pylist()))
    digest.update(f"{seed} {shard_size}".encode())
    return digest.hexdigest()


def _finished_export(out: str, identity: str) -> ExportReport | None:
    """The report of an export that is done already; None if there is work to do.

    One that lost a shard since is begun again; the shards that are there stay.
    """
    done, begun = storage.join(out, "export.json"), storage.join(out, ".export", "identity.json")
    for uri in (done, begun):
        if storage.exists(uri):
            content = read_json(uri, cure=f"remove {out} and export again")
            if content.get("identity") != identity:
                raise UsageError(
                    f"--out {out} holds another export (other images, selection, seed or "
                    "shard size); choose a new folder"
                )
            if uri == begun:
                return None
            report = ExportReport(**content["report"])
            shards = [storage.join(out, shard_name(n)) for n in range(report.shards)]
            if all(map(storage.exists, shards)):
                return report
            _put_json(begun, {"identity": identity})
            return None
    if storage.exists(out) and (others := storage.list_files(out)):
        raise UsageError(
            f"--out {out} holds other files ({storage.name(others[0].uri)}); choose a new folder"
        )
    _put_json(begun, {"identity": identity})
    return None


def _run(
    stage: ExportStage,
    plan: Plan,
    tasks: Sequence[SpillTask | AssembleTask],
    on_progress: OnProgress,
    *,
    begin: float,
    end: float,
) -> None:
    """Run the tasks whose file is not there yet; progress goes from share `begin` to `end`."""
    waiting = [task for task in tasks if not storage.exists(task.proof)]
    total = sum(task.num_bytes for task in waiting)
    finished = images = 0
    if not waiting:
        return
    with worker_pool(plan, stage) as pool:
        for outcome in run_tasks(pool, waiting, plan):
            if isinstance(outcome, Quarantined):
                raise CoursepackError(
                    f"{outcome.task.name}: {outcome.failure.message} (what is exported stays; "
                    "the same command continues)"
                )
            if isinstance(outcome, Finished):
                finished += outcome.task.num_bytes
                images += int(outcome.result.counters["images"])
            share = finished / total if total else 1.0
            on_progress(Progress(begin + (end - begin) * share, 1.0, unit="share", images=images))


def _write_lineage(out: str, rows: pa.Table, shard_size: int, *, run: str, selection: str) -> None:
    position = np.arange(len(rows))
    table = pa.table(
        {
            "shard": [shard_name(number) for number in (position // shard_size).tolist()],
            "index": pa.array(position % shard_size, pa.int64()),
            "key": rows["output_key"],
            "row_id": rows["row_id"],
            "weight": rows["weight"],
            "source": rows["source"],
            "source_key": rows["key"],
        }
    ).replace_schema_metadata({"run": run, "selection": selection})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    atomic.write_bytes(storage.join(out, "lineage.parquet"), buffer.getvalue())


def _put_json(uri: str, content: dict[str, Any]) -> None:
    atomic.write_bytes(uri, json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")


def _remove_tree(work: str) -> None:
    if storage.is_local(work):
        shutil.rmtree(work, ignore_errors=True)
        return
    for folder in ("plan", "spill", "lock", ""):
        with contextlib.suppress(CoursepackError):
            for info in storage.list_files(storage.join(work, folder) if folder else work):
                storage.remove(info.uri)
