"""What the selections of a track truly are: facts to explain its tables by.

    python -m benchmarks.papers.facts --work DIR [--results benchmarks/results/papers.jsonl]
        [--out benchmarks/results/papers_selections.jsonl]

DIR is the work folder of a small track whose pool says, in a .json member of each sample, which
synset an image shows. That ground truth is read here alone: nothing that selects or trains sees it.
Prints for every selection (the first seed of each) and every class by the teacher's decision: how
many images it has, the worst noise value among them, the share that truly is of that class, the
share that is of no class of the teacher at all, and the commonest synsets. Then, from the results:
which classes a student is worse at than KD on real images. With `--out` the facts are written to
that file as well, one JSON line per selection, and docs/results.md shows them.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.cifar_data import data_folder
from benchmarks.domain_share import CIFAR10_NAMES, class_of_synset, true_synsets
from benchmarks.papers.track import TRACKS
from benchmarks.results_page.rows import read_rows
from cluster import query
from cluster.provenance import now, versions
from selector.tables.layout import RunLayout


@dataclass(frozen=True)
class ClassFacts:
    """Images of a selection that the teacher calls one class.

    Attributes:
        worst: noise value of the worst, nats.
        right: share whose synset is of that class.
        foreign: share whose synset is of no class of the teacher.
        synsets: the commonest, with their counts.
    """

    name: str
    images: int
    worst: float
    right: float
    foreign: float
    synsets: dict[str, int]


def class_facts(
    rows: Mapping[int, tuple[int, float]],
    truth: Mapping[int, str],
    *,
    classes: Mapping[str, int],
    names: Mapping[str, str],
    most: int = 4,
) -> list[ClassFacts]:
    """One entry per class.

    Args:
        rows: row_id -> (class by the teacher, noise value) of the images selected.
        truth: row_id -> synset.
        classes: synset -> class, for those that have one.
        names: synset -> words for it.
        most: synsets that are named per class.
    """
    by_class: dict[int, list[int]] = defaultdict(list)
    for row, (label, _) in rows.items():
        by_class[label].append(row)
    found = []
    for label, name in enumerate(CIFAR10_NAMES):
        own = by_class.get(label, [])
        synsets = Counter(truth[row] for row in own)
        right = sum(count for synset, count in synsets.items() if classes.get(synset) == label)
        foreign = sum(count for synset, count in synsets.items() if synset not in classes)
        num = max(len(own), 1)
        common = sorted(synsets.items(), key=lambda one: (-one[1], one[0]))[:most]
        found.append(
            ClassFacts(
                name,
                images=len(own),
                worst=round(max((rows[row][1] for row in own), default=0.0), 4),
                right=round(right / num, 3),
                foreign=round(foreign / num, 3),
                synsets={
                    names.get(synset, synset).split(",")[0]: count for synset, count in common
                },
            )
        )
    return found


def selections(run: str) -> Iterator[tuple[str, dict[int, tuple[int, float]]]]:
    """Name and rows of every selection of the run, and of the pool; one seed of each is enough."""
    columns = "SELECT row_id, pseudo_label, noise_value FROM scores"
    yield "pool", _rows(run, columns + " WHERE status = 'ok'")
    for folder in sorted(Path(run, "selections").iterdir()):
        if re.search(r"-[1-9]\d*$", folder.name) is None:
            yield (
                folder.name,
                _rows(run, f'{columns} JOIN "selection_{folder.name}" USING (row_id)'),
            )


def _rows(run: str, sql: str) -> dict[int, tuple[int, float]]:
    found = query(run, sql)
    columns = (found[name].to_pylist() for name in ("row_id", "pseudo_label", "noise_value"))
    return {row: (label, value) for row, label, value in zip(*columns, strict=True)}


def class_gaps(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Arm of the table `dfnd` -> accuracy of each class less that of KD on real images, points."""
    means: dict[str, list[float]] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows if row["table"] == "dfnd"):
        of_arm = [row["per_class"] for row in rows if (row["table"], row["arm"]) == ("dfnd", arm)]
        means[arm] = [100 * statistics.mean(column) for column in zip(*of_arm, strict=True)]
    real = means.get("real_kd")
    if real is None:
        return {}
    return {
        arm: [round(own - theirs, 1) for own, theirs in zip(values, real, strict=True)]
        for arm, values in means.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    run = str(options.work / "run")
    truth = true_synsets(RunLayout(run))
    names = json.loads((data_folder() / "wild" / "synsets.json").read_text())
    lines = []
    for name, rows in selections(run):
        facts = class_facts(rows, truth, classes=class_of_synset(), names=names)
        _tell(name, facts)
        lines.append(
            {
                "benchmark": "papers_selections",
                "track": "small",
                "setting": TRACKS["small"].title,
                "selection": name,
                "classes": [asdict(one) for one in facts],
                "at": now(),
                "versions": versions(),
            }
        )
    if options.out:
        options.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    if options.results:
        _tell_gaps(class_gaps(read_rows(options.results)))


def _tell(selection: str, facts: list[ClassFacts]) -> None:
    print(f"\n{selection}: {sum(one.images for one in facts):,} images")
    for one in facts:
        common = ", ".join(f"{synset} {count}" for synset, count in one.synsets.items())
        print(
            f"  {one.name:<11}{one.images:>6}  worst V {one.worst:<8.4g} right {one.right:5.1%}"
            f"  foreign {one.foreign:5.1%}  {common}"
        )


def _tell_gaps(gaps: Mapping[str, list[float]]) -> None:
    print("\naccuracy of each class less that of KD on real images, points")
    print(" " * 22 + "".join(f"{name[:7]:>9}" for name in CIFAR10_NAMES))
    for arm, values in gaps.items():
        print(f"{arm:<22}" + "".join(f"{value:>9.1f}" for value in values))


if __name__ == "__main__":
    main()
