"""Runs the arms of a table, one seed after another; what is on file is not run again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from benchmarks.papers.arm import Arm, Table, arm_hash, fill, of_track
from benchmarks.papers.images import Images, describe, images_of
from benchmarks.papers.track import Places, Track
from cluster import distill
from cluster.provenance import hardware, now, versions
from distiller.recipes import merge
from shards.errors import UsageError

TEACHER_SETTINGS = ("name", "num_classes")


def run_table(
    table: Table,
    track: Track,
    *,
    work: Path,
    seeds: int,
    results: Path,
    measured: str = "test",
    only: tuple[str, ...] = (),
    steps: int | None = None,
    threads: int | None = None,
    compiled: bool = False,
) -> Iterator[dict[str, Any]]:
    """Run what is missing and yield each result, those on file included, arm by arm.

    Args:
        work: pool scores, selections and students; may be removed when all is done.
        seeds: 0 to seeds - 1 of every arm; a seed is added by asking for one more.
        results: JSON lines, one per arm and seed, appended as soon as it is there.
        measured: "test", or "validation" to choose settings by.
        only: names of arms; all if empty.
        steps: instead of the track's.
        threads: of training, instead of the track's.
        compiled: students run through torch.compile: the same but for rounding, not in the hash.

    Raises:
        UsageError: an arm of `only` needs what the track does not have.
        CoursepackError: as the verbs raise it.
    """
    given = {} if steps is None else {"steps": steps}
    places = track.prepare(work, measured)
    settings = {
        "track": track.name,
        "student": track.student,
        "teacher": {name: places.teacher[name] for name in TEACHER_SETTINGS},
        "num_selected": track.num_selected,
        "measured": measured,
        **({"identity": dict(track.identity)} if track.identity else {}),
    }
    filed = _filed(results)
    arms = []
    for arm in table.arms:
        lacking = left_out(arm, places)
        if lacking and arm.name in only:
            raise UsageError(f"arm {arm.name} {lacking}; leave it out")
        if not lacking and (not only or arm.name in only):
            arms.append(of_track(arm, track.true_share))
    for seed in range(seeds):  # all arms of a seed first: an interrupted run is a fair table
        for arm in arms:
            changes = track.best_training if arm.name == "best" else {}
            training = {**track.training, **changes, **given}
            name = arm_hash(arm, {**settings, "training": training})
            row = {
                "table": table.name,
                "track": track.name,
                "arm": arm.name,
                "title": arm.title,
                "setting": track.title,
                "hash": name,
                "seed": seed,
                "measured": measured,
            }
            same = [one for one in filed if (one["hash"], one["seed"]) == (name, seed)]
            of_arm = [one for one in same if (one["table"], one["arm"]) == (table.name, arm.name)]
            if of_arm:
                yield of_arm[0]
                continue
            if same:  # an arm of another table is this one: filed under both, run once
                row = {**same[0], **row}
            else:
                begin = time.monotonic()
                row |= _run_arm(
                    arm,
                    seed,
                    track,
                    places,
                    work=work,
                    training=training,
                    execution={"threads": threads or places.threads, "compile": compiled},
                    filed_as=name,
                )
                seconds = round(time.monotonic() - begin, 1)
                row |= {"seconds": seconds, "at": now()}
                row |= {"hardware": hardware(), "versions": versions()}
            filed.append(row)
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            yield row


def left_out(arm: Arm, places: Places) -> str | None:
    """What an arm needs that the track cannot give; None if nothing."""
    if places.real is None and (arm.images in ("real", "labelled") or arm.labelled):
        return "needs labelled images of the teacher's own kind, and no `real` ones are named"
    if "truth" in arm.facts and places.truth is None:
        return "needs to know what the pool's images truly are, and this pool does not say"
    return None


def _filed(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines()]


def _run_arm(
    arm: Arm,
    seed: int,
    track: Track,
    places: Places,
    *,
    work: Path,
    training: dict[str, Any],
    execution: dict[str, Any],
    filed_as: str,
) -> dict[str, Any]:
    images = images_of(arm, seed, track, places, work)
    config = _config(arm, images, track, places, work=work, training=training)
    config |= {
        "seed": seed,
        **execution,
        "out": str(work / "students" / f"{arm.name}-{filed_as}-{seed}"),
    }
    card = distill(config).card
    confusion = Path(config["out"]) / "confusion.json"
    return {
        "steps": config["steps"],
        "samples_seen": config["steps"] * config["batch_size"],
        **describe(images),
        "top1": round(100 * card["metrics"]["top1"], 2),
        "per_class": json.loads(confusion.read_text())["per_class_accuracy"],
        "agreement": card["metrics"].get("agreement"),
        "teacher_top1": card["metrics"].get("teacher_top1"),
        "ece": card["metrics"]["ece"],
        "transition": _transition(Path(config["out"]) / "transition.safetensors"),
        "train_images_per_s": card["metrics"]["train_images_per_s"],
    }


def _config(
    arm: Arm,
    images: Images,
    track: Track,
    places: Places,
    *,
    work: Path,
    training: dict[str, Any],
) -> dict[str, Any]:
    """The distill config of an arm: the track's training under the arm's changes."""
    objective = dict(arm.objective)
    if objective["kind"] == "noisy" and objective["transition"].get("init", "").startswith("pool"):
        objective["transition"] = {**objective["transition"], "pool": [places.pool]}
    supervised = objective["kind"] == "supervised"
    numbers = {
        "store": f"{work}/targets/{arm.name}",
        "usual_n": track.num_selected,
        "steps_x2": 2 * training["steps"],
        "steps_x3": 3 * training["steps"],
    }
    changes = dict(fill(arm.changes, numbers))
    augment = {**changes.pop("augment", training["augment"])}
    augment["flip"] = training["augment"].get("flip", False)  # a mirrored digit is none
    few = {} if images.labelled is None else {"labelled": [images.labelled]}
    config = merge(
        {
            "student": {"name": track.student}
            | ({"num_classes": track.num_classes} if supervised else {}),
            "data": {"train": [images.train], "eval": [places.test], **few},
            "objective": objective,
            **training,
            "eval_every": 10**9,
            "device": places.device,
        },
        changes,
    )
    config["augment"] = augment
    if supervised:
        config["student"]["preprocessing"] = _preprocessing(places.teacher)
    else:
        config["teacher"] = places.teacher
    return config


def _preprocessing(teacher: dict[str, Any]) -> dict[str, Any]:
    """The teacher's, for the student that has none: all arms see the same pixels."""
    from selector.teachers.zoo import default_preprocessing

    return default_preprocessing(teacher["name"]).to_dict()


def _transition(path: Path) -> dict[str, list[list[float]]] | None:
    """Q before and after training, to four digits; None for an objective without one."""
    if not path.exists():
        return None
    return {
        name: [[round(value, 4) for value in row] for row in matrix.tolist()]
        for name, matrix in load_file(path).items()
    }
