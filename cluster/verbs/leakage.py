"""`leakage`: which images of a run are near an evaluation set, and must not be trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from cluster.phases import tell_phases
from cluster.progress import OnProgress
from cluster.run_lock import RunLock
from selector.neighbors.duplicate_table import GRADES, Grade, write_duplicates
from selector.neighbors.hamming import check_radius
from selector.neighbors.image_sets import refuse_other_features, run_set, shard_set
from selector.neighbors.leakage import find_leakage
from selector.neighbors.perceptual import DEFAULT_RADIUS
from selector.neighbors.semantic import DEFAULT_EPSILON, check_epsilon
from selector.neighbors.workers import workers
from selector.scoring.positives import open_extractor
from selector.tables.connection import RunTables, run_tables
from selector.tables.facts import find_fact, make_fact_id
from selector.tables.layout import RunLayout
from selector.tables.read import read_table_list
from shards import storage
from shards.errors import UsageError

KIND = "leakage"
_SHOWN = 20


@dataclass(frozen=True)
class LeakageReport:
    """Images of the pool that are near the evaluation set.

    Attributes:
        id, name: of the fact table `leakage`, which `exclude: {duplicates: leakage}` reads.
        num_evaluation: images of the evaluation set.
        leaked: by grade: images of the pool that are near one of those.
        examples: key of the pool's image, key of the evaluation image, grade, similarity.
    """

    run: str
    id: str
    name: str
    num_evaluation: int
    leaked: Mapping[str, int]
    about: Mapping[str, Any]
    examples: list[dict[str, Any]]


def leakage(
    run: str,
    *,
    against: Sequence[str],
    grades: Sequence[Grade] = GRADES,
    epsilon: float = DEFAULT_EPSILON,
    radius: int = DEFAULT_RADIUS,
    features: str | None = None,
    weights: str | None = None,
    name: str = "",
    threads: int | None = None,
    on_progress: OnProgress | None = None,
) -> LeakageReport:
    """Find the images of a run that are near an evaluation set, and write them down.

    A recipe leaves them out by `exclude: {duplicates: leakage}`.

    Args:
        run: Run directory.
        against: The evaluation set: shards, or one run directory.
        grades: exact (same bytes), perceptual (pHash), semantic (features); the strictest that
            tells an image is named.
        epsilon, radius: As in `duplicates`.
        features: Id or name of the run's feature table; None = the newest.
        weights: Where the teacher's weights are now, for features of shards.
        name: Name of the table, to tell it from others.
        threads: None = one per core; changes no result.
        on_progress: Called now and then.

    Raises:
        UsageError: not a run, no shards, no or other features, a setting out of range, no FAISS.
        RunLocked: another driver works on the run.
        ShardError, StorageError: something cannot be read or written.
    """
    if not grades:
        raise UsageError(f"no grades: expected some of {', '.join(GRADES)}")
    grades = [known_grade(grade) for grade in grades]
    check_epsilon(epsilon)
    check_radius(radius)
    layout = RunLayout(run)
    tables = run_tables(layout)
    fact = find_fact(layout, "features", features) if "semantic" in grades else None
    on_share = tell_phases(on_progress)
    if layout.root in {RunLayout(uri).root for uri in against}:
        raise UsageError(f"--against {layout.root} is the run itself: every image would leak")
    with RunLock(layout.lock) as lock:
        evaluation_keys: Mapping[int, str]
        if len(against) == 1 and storage.exists(RunLayout(against[0]).pool):
            other = RunLayout(against[0])
            other_tables = run_tables(other)
            their_fact = None
            if fact is not None:
                their_fact = find_fact(other, "features")
                refuse_other_features(fact, their_fact, other.root)
            with RunLock(other.lock):
                evaluation = run_set(other, other_tables, their_fact, threads=threads)
            evaluation_keys = {}
        else:
            other_tables = None
            storage.expand(list(against))  # what is missing is told before a teacher is loaded
            with contextlib.ExitStack() as stack:
                extract = None
                if fact is not None:
                    extract = stack.enter_context(
                        open_extractor(layout, which=fact.fact_id, weights=weights)
                    )
                evaluation, keys = shard_set(against, extract=extract, on_share=on_share)
            evaluation_keys = dict(zip(evaluation.row_ids.tolist(), keys, strict=True))
        ours = run_set(layout, tables, fact, threads=threads)
        with workers(threads) as pool:
            found = find_leakage(
                ours,
                evaluation,
                grades=grades,
                epsilon=epsilon,
                radius=radius,
                pool=pool,
                on_share=on_share,
            )
        counts: dict[str, int] = {
            str(grade): int((found.values["grade"] == grade).sum()) for grade in grades
        }
        about = {
            "against": [storage.normalize(uri) for uri in against],
            "grades": list(grades),
            **({"epsilon": epsilon} if "semantic" in grades else {}),
            **({"radius": radius} if "perceptual" in grades else {}),
            **({"features": fact.fact_id} if fact else {}),
            "num_evaluation": len(evaluation.row_ids),
            "leaked": counts,
        }
        version = tables.versions["scores"]
        table = write_duplicates(
            layout,
            read_table_list(layout, "scores", version),
            KIND,
            make_fact_id({**about, "scores": version}),
            found,
            about=about,
            name=name,
            before_commit=lock.check,
        )
    shown = slice(0, _SHOWN)
    mine = _keys(tables, found.row_ids[shown])
    theirs = evaluation_keys or _keys(other_tables, found.duplicate_of[shown])
    examples = [
        {
            "key": mine.get(row, ""),
            "evaluation_key": theirs.get(other_row, ""),
            "grade": str(grade),
            "similarity": None if np.isnan(similarity) else round(float(similarity), 4),
        }
        for row, other_row, grade, similarity in zip(
            found.row_ids[shown].tolist(),
            found.duplicate_of[shown].tolist(),
            found.values["grade"][shown],
            found.values["similarity"][shown],
            strict=True,
        )
    ]
    return LeakageReport(
        layout.root,
        table.fact_id,
        table.name,
        len(evaluation.row_ids),
        counts,
        table.about,
        examples,
    )


def known_grade(name: str) -> Grade:
    """The grade of a name; UsageError for any other."""
    for grade in GRADES:
        if grade == name:
            return grade
    raise UsageError(f"grade {name!r}: expected some of {', '.join(GRADES)}")


def _keys(tables: RunTables | None, row_ids: np.ndarray) -> dict[int, str]:
    if tables is None:
        return {}
    rows = tables.views["scores"].to_table(
        columns=["row_id", "key"], filter=ds.field("row_id").isin(row_ids.tolist())
    )
    return dict(zip(rows["row_id"].to_pylist(), rows["key"].to_pylist(), strict=True))
