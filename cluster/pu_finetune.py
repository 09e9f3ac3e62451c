"""`finetune` mode end to end: train the whole network, run it over the pool, make the PU table.

The second pass over the pool is an ordinary scoring: the network is saved as a program of two
logits and scored into a run of its own, `pu/<id>/scored`, with every executor, restart and repair
that scoring has. From that run's noise values the PU scores follow exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from cluster.execution import ExecutionConfig
from cluster.pool_manifest import read_manifest
from cluster.pu_table import Tell
from cluster.run_lock import RunLock
from cluster.verbs.score import score
from selector.pu.calibrate import Calibration, calibrate
from selector.pu.classifier import CARD_VERSION
from selector.pu.doubts import doubts
from selector.pu.finetune import (
    exported,
    finetune,
    network_scores,
    score_of_noise,
    start_network,
)
from selector.pu.fit import Fitted, unseen_rates
from selector.pu.image_stream import image_batches, images_of_rows, to_input
from selector.pu.labelled import Labelled, LabelledImage
from selector.pu.score import PU_SCHEMA
from selector.pu.settings import PUSettings
from selector.scoring.run_teacher import RunTeacher, teacher_of_run
from selector.scoring.spec import ScoreSpec
from selector.tables.facts import FactTable, write_fact_table
from selector.tables.layout import RunLayout
from selector.tables.read import open_filesystem, read_table_list
from selector.tables.run_files import read_json
from selector.tables.write import write_part
from selector.teachers.load import Teacher
from selector.teachers.spec import TeacherSpec
from selector.teachers.taps import parse_taps
from shards import atomic, storage

CHECK_IMAGES = 1000
"""Held-out images of the pool that are looked at during training."""


class Rows(NamedTuple):
    """Raw scores of one part of the pool: URI of the scores part, row_ids (n,), F with NaN."""

    part: str
    row_ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def train_whole(
    layout: RunLayout,
    known: RunTeacher,
    teacher: Teacher,
    fitted: Fitted,
    labelled: Labelled,
    images: list[LabelledImage],
    *,
    taps: list[str],
    settings: PUSettings,
    seed: int,
    pu_id: str,
    tell: Tell,
) -> Fitted:
    """Fine-tune from the fitted head, and save the network; the report is of what it became.

    Scores of "pool" are left to `pool_scores`: the pass over the pool gives them.
    """
    prior = float(fitted.report["prior"]["value"])
    shards = [(entry.shard_id, entry.uri) for entry in read_manifest(layout).entries]
    how: dict[str, Any] = {"spec": known.spec, "preprocessing": teacher.preprocessing}
    pixels = torch.from_numpy(
        np.stack([to_input(images[row].data, **how) for row in labelled.used.tolist()])
    )
    rng = np.random.default_rng([seed, 8])
    looked_at = np.sort(rng.permutation(fitted.held_out_ids)[:CHECK_IMAGES])
    held = set(fitted.held_out_ids.tolist())
    held_P = torch.from_numpy(fitted.held_P)
    network = start_network(teacher, parse_taps(taps), fitted.classifier.head)
    trained = finetune(
        network,
        teacher,
        image_batches(shards, settings.batch_pool, skip=lambda row: row in held, seed=seed, **how),
        pixels[~held_P],
        (pixels[held_P], images_of_rows(shards, looked_at, **how)),
        prior=prior,
        settings=settings,
        steps=settings.num_steps(int(fitted.report["num_pool"])),
        seed=seed,
        on_check=lambda step, steps, _: tell("training the whole network", step, steps),
    )
    atomic.write_bytes(_network(layout, pu_id), exported(network, teacher))
    report = {
        **fitted.report,
        "kept_step": trained.kept_step,
        "risk": {"start": trained.curve[0], "end": trained.curve[-1]},
    }
    scores = {
        "positives": network_scores(network, teacher, pixels[~held_P]),
        "held_out": network_scores(network, teacher, pixels[held_P]),
    }
    return replace(fitted, curve=trained.curve, report=report, scores=scores)


def score_pool(
    layout: RunLayout, known: RunTeacher, pu_id: str, *, execution: ExecutionConfig
) -> None:
    """Run the saved network over every shard of the pool that it has not seen yet."""
    program = TeacherSpec(
        name=f"file:{_network(layout, pu_id)}",
        preprocessing=known.spec.teacher.preprocessing,
        allow_code=True,  # this run wrote the program itself
    )
    spec = ScoreSpec(teacher=program, image_ext=known.spec.image_ext, limits=known.spec.limits)
    pool = [entry.uri for entry in read_manifest(layout).entries]
    score(pool, spec=spec, out=_scored(layout, pu_id), execution=execution, max_bad="100%")


def pool_scores(layout: RunLayout, pu_id: str) -> Iterator[Rows]:
    """Raw scores of every part of the run's scores table, row by row."""
    inner = RunLayout(_scored(layout, pu_id))
    uris = {entry.shard_id: entry.uri for entry in read_manifest(layout).entries}
    inner_ids = {entry.uri: entry.shard_id for entry in read_manifest(inner).entries}
    parts: dict[int, list[str]] = {}
    for part in read_table_list(inner, "scores").parts:
        parts.setdefault(int(storage.name(part)[:8]), []).append(part)
    for part in read_table_list(layout, "scores").parts:
        row_ids = _columns(part, ["row_id"])["row_id"].to_numpy()
        scores = np.full(len(row_ids), np.nan, np.float32)
        for shard in np.unique(row_ids >> 32).tolist():
            # Shards came to the two runs in different order: the URI tells which is which.
            inner_id = inner_ids.get(uris.get(shard, ""), -1)
            for index, value in _scores_of(parts.get(inner_id, [])):
                rows = np.searchsorted(row_ids, (shard << 32) | index)
                there = rows < len(row_ids)
                there[there] = row_ids[rows[there]] == ((shard << 32) | index[there])
                scores[rows[there]] = value[there]
        yield Rows(part, row_ids, scores)


def _scores_of(
    parts: list[str],
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Index in the shard and raw score of the rows that have one."""
    for part in parts:
        table = _columns(part, ["index", "pseudo_label", "noise_value"])
        good = table["noise_value"].is_valid().to_numpy()
        index = table["index"].to_numpy()[good].astype(np.int64)
        noise = table["noise_value"].drop_null().to_numpy()
        yield index, score_of_noise(noise, table["pseudo_label"].drop_null().to_numpy())


def calibrated(layout: RunLayout, pu_id: str, fitted: Fitted) -> Fitted:
    """The fit with scores of held-out pool rows, calibration and rates of the whole network."""
    held = np.concatenate(
        [
            rows.scores[np.isin(rows.row_ids, fitted.held_out_ids)]
            for rows in pool_scores(layout, pu_id)
        ]
    )
    scores = {**fitted.scores, "pool": held[np.isfinite(held)]}
    prior = float(fitted.report["prior"]["value"])
    calibration = calibrate(scores["held_out"], scores["pool"], prior=prior)
    rates = unseen_rates(scores, int(fitted.report["num_pool"]))
    report = {
        **fitted.report,
        **rates,
        "calibration": {"knots": len(calibration.scores), "excess": calibration.excess},
        "attention": [],
    }
    classifier = replace(fitted.classifier, calibration=calibration)
    return replace(
        fitted,
        scores=scores,
        report=report,
        classifier=classifier,
        doubts=doubts(calibration.excess, rates, prior),
    )


def commit_finetuned(
    layout: RunLayout,
    pu_id: str,
    fitted: Fitted,
    *,
    about: Mapping[str, Any],
    name: str,
    inputs: str,
    tell: Tell,
) -> FactTable:
    """Write card and parts; from then on the table is the newest of its kind."""
    calibration = fitted.classifier.calibration
    card = {**fitted.classifier.card, "mode": "finetune", "version": CARD_VERSION}
    text = json.dumps({**card, "calibration": asdict(calibration)}, indent=1, sort_keys=True)
    with RunLock(layout.lock) as lock:
        atomic.write_bytes(storage.join(layout.pu_dir(pu_id), "card.json"), text.encode() + b"\n")
        parts = _write_parts(layout, pu_id, calibration, tell)
        lock.check()
        return write_fact_table(layout, "pu", pu_id, parts, about=about, name=name, inputs=inputs)


def rescore(
    layout: RunLayout, table: FactTable, *, execution: ExecutionConfig, tell: Tell
) -> FactTable:
    """Scores for what came to the pool since: its shards through the saved network."""
    uri = storage.join(layout.pu_dir(table.fact_id), "card.json")
    stored = read_json(uri, cure="restore it, or fit again")["calibration"]
    calibration = Calibration(
        tuple(stored["scores"]), tuple(stored["probabilities"]), float(stored["excess"])
    )
    score_pool(layout, teacher_of_run(layout), table.fact_id, execution=execution)
    inputs = read_table_list(layout, "scores").inputs
    with RunLock(layout.lock) as lock:
        parts = _write_parts(layout, table.fact_id, calibration, tell)
        lock.check()
        return write_fact_table(
            layout,
            "pu",
            table.fact_id,
            parts,
            about=table.about,
            name=table.name,
            inputs=inputs,
        )


def _write_parts(layout: RunLayout, pu_id: str, calibration: Calibration, tell: Tell) -> list[str]:
    total = len(read_table_list(layout, "scores").parts)
    uris: list[str] = []
    for done, rows in enumerate(pool_scores(layout, pu_id), start=1):
        missing = ~np.isfinite(rows.scores)
        columns = [
            pa.array(rows.row_ids),
            pa.array(rows.scores, mask=missing),
            pa.array(calibration(rows.scores), mask=missing),
        ]
        stem = storage.name(rows.part).removesuffix(".parquet")
        uris.append(layout.facts_part("pu", pu_id, stem))
        write_part(uris[-1], pa.Table.from_arrays(columns, schema=PU_SCHEMA))
        tell("writing scores", done, total)
    return uris


def _columns(part: str, columns: list[str]) -> pa.Table:
    filesystem, path = open_filesystem(part)
    return pq.read_table(path, filesystem=filesystem, columns=columns)


def _network(layout: RunLayout, pu_id: str) -> str:
    return storage.join(layout.pu_dir(pu_id), "network.pt2")


def _scored(layout: RunLayout, pu_id: str) -> str:
    return storage.join(layout.pu_dir(pu_id), "scored")
