"""Which images an arm trains on: pool scored once, facts made as recipes need them, selections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mnist_data import write_samples
from benchmarks.papers.arm import Arm, fill
from benchmarks.papers.track import Places, Track
from cluster import duplicates, export, leakage, pu_fit, query, score, select, truth
from cluster.execution import ExecutionConfig
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec
from shards import storage
from shards.errors import UsageError
from shards.reader import open_shard
from shards.sample import Sample


@dataclass(frozen=True)
class Images:
    """What an arm trains on.

    Attributes:
        train: shards.
        labelled: further shards, of the few labelled images; None without any.
        count: images in `train`; None = all there are.
        class_counts: of a selection, how many of each class by the teacher's decision.
        facts: what is worth telling of the facts: the PU fit's prior, how many were duplicates.
    """

    train: str
    labelled: str | None = None
    count: int | None = None
    class_counts: list[int] | None = None
    facts: dict[str, Any] | None = None


def images_of(arm: Arm, seed: int, track: Track, places: Places, work: Path) -> Images:
    """Select and export, unless it was done, what this seed of the arm trains on."""
    few = _few(arm.labelled, seed, track, places, work) if arm.labelled else None
    if arm.images == "labelled":
        assert few is not None
        return Images(few, count=arm.labelled * track.num_classes)
    if arm.images == "real":
        assert places.real is not None  # such arms are left out
        return Images(places.real, few)
    if arm.images == "pool":
        return Images(places.pool, few)
    num = int(track.num_selected * arm.share)
    numbers = {"n": num, "per_class": num // track.num_classes, "seed": seed}
    views = {"most_views": "ten" if track.training["augment"].get("flip") else "five"}
    run = scored(places, work, fill(arm.scoring, views), features="pu" in arm.facts)
    columns, told = _facts(arm, run, few, seed, places)
    recipe = fill(arm.recipe, numbers | columns)
    if few is not None and _none_above(run, recipe):
        return Images(few, count=0, facts=told)
    name = f"{arm.name}-{seed}" if arm.needs_seeded_selection else arm.name
    selection = select(run, recipe=recipe, name=name, overwrite=True)
    out = str(work / "selected" / name)
    export(run, selection=name, out=out)
    found = query(
        run,
        f'SELECT pseudo_label, count(*) AS num FROM scores JOIN "selection_{name}" '
        "USING (row_id) GROUP BY pseudo_label",
    )
    counts = dict(zip(found["pseudo_label"].to_pylist(), found["num"].to_pylist(), strict=True))
    by_class = [counts.get(label, 0) for label in range(track.num_classes)]
    return Images(out, few, selection.num_rows, by_class, told or None)


def scored(
    places: Places, work: Path, scoring: Mapping[str, Any] | None = None, *, features: bool = False
) -> str:
    """The run of the pool, with the teacher's stage features where they are needed.

    Args:
        scoring: fields of the ScoreSpec that are not the usual ones; each choice has its own run.
    """
    scoring = scoring or {}
    run = str(work / "-".join(["run", *(f"{name}_{scoring[name]}" for name in sorted(scoring))]))
    score(
        [places.pool],
        spec=ScoreSpec(teacher=TeacherSpec(**places.teacher), **scoring),
        out=run,
        features=FeatureSpec(mode="full") if features else None,
        execution=ExecutionConfig(executor="inline", threads=places.threads, device=places.device),
    )
    return run


def _facts(
    arm: Arm, run: str, few: str | None, seed: int, places: Places
) -> tuple[dict[str, str], dict[str, Any]]:
    """Make the tables of `arm.facts`; returns what recipes call them, and what is told of them."""
    columns: dict[str, str] = {}
    told: dict[str, Any] = {}
    for kind, options in arm.facts.items():
        if kind == "truth":
            assert places.truth is not None  # such arms are left out
            truth(run, **places.truth)
        elif kind == "pu":
            assert few is not None
            name = pu_name(arm.labelled, options["prior"], seed)
            fit = pu_fit(run, positives=[few], name=name, seed=seed, **options)
            columns["pu_score"] = f"pu_{name}.pu_score"
            told["pu"] = {
                "found": fit.num_selected,
                "estimated": options["prior"] == "auto",
                **{key: round(float(fit.prior[key]), 4) for key in ("value", "low", "high")},
                "true_positive_rate": round(fit.true_positive_rate, 4),
            }
        elif kind == "duplicates":
            told[kind] = {"removed": duplicates(run, name="papers", **options).removed}
        elif kind == "leakage":
            # Named by what is tested on: a validation set leaks other images than the test set.
            name = f"papers_{Path(places.test).name}".replace("-", "_")
            found = leakage(run, against=[places.test], name=name, **options)
            columns[kind] = f"{kind}_{name}"
            told[kind] = dict(found.leaked)
        else:
            raise ValueError(f"arm {arm.name}: facts of kind {kind!r}")
    return columns, told


def _none_above(run: str, recipe: Mapping[str, Any]) -> bool:
    """Whether a PU cut leaves nothing, as it may with a low prior: the labelled images are all."""
    take = recipe["steps"][0].get("take", {})
    if "threshold" not in take or not take["order"].startswith("pu_"):
        return False
    table, column = take["order"].split(".")
    found = query(run, f"SELECT count(*) AS num FROM {table} WHERE {column} >= {take['threshold']}")
    return int(found["num"][0].as_py()) == 0


def pu_name(labelled: int, prior: float | str, seed: int) -> str:
    """Of a PU fit's table in the run: what it was fitted with."""
    return f"l{labelled}_p{str(prior).replace('.', '_')}_s{seed}"


def _few(per_class: int, seed: int, track: Track, places: Places, work: Path) -> str:
    """Shards of `per_class` labelled images of every class, drawn by the seed from real ones."""
    folder = work / f"few-{per_class}-{seed}"
    if (folder / "written").exists():
        return str(folder)
    assert places.real is not None  # such arms are left out
    order = np.random.default_rng(seed).permutation
    by_class: dict[int, list[tuple[str, dict[str, bytes]]]] = {}
    for entry in storage.expand([places.real]):
        with open_shard(entry.uri) as shard:
            for sample in shard.samples():
                members = _members(sample)
                by_class.setdefault(int(members["cls"]), []).append((sample.entry.key, members))
    lacking = [k for k in range(track.num_classes) if len(by_class.get(k, [])) < per_class]
    if lacking:
        raise UsageError(
            f"{places.real}: classes {lacking} have fewer than {per_class} images to be labelled"
        )
    chosen = [
        by_class[label][place]
        for label in sorted(by_class)
        for place in sorted(order(len(by_class[label]))[:per_class].tolist())
    ]
    return write_samples(folder, chosen)


def _members(sample: Sample) -> dict[str, bytes]:
    pairs = zip(sample.entry.members, sample.data, strict=True)
    return {member.extension: bytes(data) for member, data in pairs}


def describe(images: Images) -> Mapping[str, Any]:
    """The part of a result's line that is about its images."""
    found: dict[str, Any] = {"images": images.count, "class_counts": images.class_counts}
    return found if images.facts is None else found | {"facts": images.facts}
