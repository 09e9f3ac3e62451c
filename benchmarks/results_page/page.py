"""The page: every table with its setting, seeds, gaps, and the paper's own number beside."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results_page.figures import figures_of, figures_of_selections
from benchmarks.results_page.published import PUBLISHED
from benchmarks.results_page.rows import Result, Section

INTRODUCTION = """\
# Results

Written by `python -m benchmarks.results_page` from the lines in `benchmarks/results/`; what is
headed *Diagnosis* is kept in `docs/results_notes/`. Do not edit this page.

These are the arms of two papers on OUR pools: DFND (*Learning Student Networks in the Wild*, CVPR
2021) and PU Compression (*Positive-Unlabeled Compression on the Cloud*, NeurIPS 2019). Teacher,
student, pool and length of training are other than theirs and stand above every table, so a number
here cannot be held against a number there. What can be compared is the order of the arms, and the
gap to the teacher.

- Accuracy is that of the LAST step on the test images, in per cent: mean over seeds, then the
  standard deviation over them. Settings are chosen on images held out of training, never on these.
- A seed decides the student's first weights, the order of images, every random view, and every
  random draw of images. Every student of a table sees the same number of samples, unless its line
  says otherwise.
- *not run* means what it says. How to run it: [benchmarks/README.md](../benchmarks/README.md).
- No picture of a pool is shown here: the licences of the data do not allow it. Where the pool is,
  `coursepack report RUN --selection NAME` shows what was kept and what was not.
"""


def page(
    sections: Sequence[Section],
    mnist: Sequence[Mapping[str, Any]],
    selections: Sequence[Mapping[str, Any]],
    notes: Path,
) -> str:
    """The whole page.

    Args:
        sections: tables, in order; the sections of one table follow each other.
        mnist: lines of pu_mnist.jsonl.
        selections: lines of papers_selections.jsonl.
        notes: folder of the hand-written diagnoses, NAME_OF_TABLE.md.
    """
    parts = [INTRODUCTION]
    titles: set[str] = set()
    for section in sections:
        if section.table.name not in titles:
            titles.add(section.table.name)
            parts.append(f"## {section.table.title}\n")
        parts.append("\n".join(_section(section)))
        last = [one for one in sections if one.table.name == section.table.name][-1]
        if section is last:
            parts += _note(notes, section.table.name)
    parts.append("\n".join(_mnist(mnist)))
    parts += _note(notes, "pu_mnist")
    if selections:
        parts.append("\n".join(_selections(selections)))
        parts += _note(notes, "selections")
    return "\n".join(parts).rstrip() + "\n"


def _note(notes: Path, name: str) -> list[str]:
    path = notes / f"{name}.md"
    return ["**Diagnosis.** " + path.read_text().strip() + "\n"] if path.exists() else []


def _section(section: Section) -> Iterator[str]:
    yield f"**Pool and networks, `{section.track}` track: {section.setting}.**"
    yield _circumstances(section)
    published = PUBLISHED.get(section.table.name)
    if published is not None:
        yield f"The last column is the paper's, on another pool: {published.where}."
    yield ""
    head = ["arm", "images", "accuracy, %", "seeds", "to the teacher", "to KD on real images"]
    yield _line([*head, *([] if published is None else ["paper (to its teacher)"])])
    yield _line(["---"] * (len(head) + (published is not None)))
    for result in section.results:
        cells = _cells(section, result)
        if published is not None:
            theirs = published.arms.get(result.arm.name)
            gap = None if theirs is None else theirs - published.teacher
            cells.append("" if theirs is None else f"{theirs:.2f} ({_signed(gap)})")
        yield _line(cells)
    yield ""
    for name, (caption, _) in figures_of(section).items():
        yield f"![{caption}](figures/{name})"
        yield ""


def _circumstances(section: Section) -> str:
    rows = [row for result in section.results for row in result.rows]
    if not rows:
        return "Not run yet."
    said = []
    if section.teacher is not None:
        said.append(f"The teacher reads {section.teacher:.2f} % of the test images.")
    if section.usual_samples is not None:
        steps = statistics.mode([row["steps"] for row in rows])
        said.append(
            f"Every student sees {section.usual_samples:,} samples in {steps:,} steps unless said "
            "otherwise."
        )
    machines = {_machine(row["hardware"]) for row in rows}
    said.append(f"Run on {' and '.join(sorted(machines))}.")
    return " ".join(said)


def _machine(hardware: Mapping[str, Any]) -> str:
    gpus = ", ".join(hardware["gpus"])
    return gpus or f"{hardware['cores']} CPU cores ({hardware['processor']})"


def _cells(section: Section, result: Result) -> list[str]:
    if result.mean is None:
        return [result.arm.title, "", "not run", "", "", ""]
    title, usual = result.arm.title, section.usual_samples
    if result.samples_seen != usual and usual and result.samples_seen:
        title += f" ({result.samples_seen / usual:.3g} x the samples seen)"
    counts = [row["images"] for row in result.rows]
    whole = "real" if result.arm.images == "real" else "all"
    images = whole if counts[0] is None else f"{min(counts):,}"
    if counts[0] is not None and max(counts) != min(counts):
        images += f" to {max(counts):,}"
    spread = "" if result.spread is None else f" ± {result.spread:.2f}"
    return [
        title,
        images,
        f"{result.mean:.2f}{spread}",
        str(len(result.rows)),
        _signed(None if section.teacher is None else result.mean - section.teacher),
        _signed(None if section.real_kd is None else result.mean - section.real_kd),
    ]


def _mnist(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """PU's MNIST, from its own file of results."""
    from benchmarks.pu_mnist import ARMS

    published = PUBLISHED["pu_mnist"]
    yield "## PU Compression: MNIST with 12 labelled digits a class\n"
    if not lines:
        yield "Not run yet.\n"
        return
    found = lines[-1]
    yield (
        f"**Pool: {found['pool']:,} characters, MNIST digits ({found['true_share']:.0%}) among "
        "Omniglot's alphabets and glyphs rendered from fonts; LeNet-5 teaches its half.**"
    )
    yield (
        f"The teacher reads {found['teacher']:.2f} % of the test digits. Every student sees "
        f"{found['samples_seen']:,} samples. By `benchmarks/pu_mnist.py`; more in "
        f"[compress.md](compress.md). The last column is the paper's, on another pool: "
        f"{published.where}.\n"
    )
    yield _line(["arm", "accuracy, %", "seeds", "to the teacher", "paper (to its teacher)"])
    yield _line(["---"] * 5)
    for arm, title in ARMS.items():
        if arm not in found["accuracy"]:
            yield _line([title, "not run", "", "", ""])
            continue
        values = found["accuracy"][arm]
        mean, theirs = statistics.mean(values), published.arms.get(arm)
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        paper = "" if theirs is None else f"{theirs:.1f} ({_signed(theirs - published.teacher)})"
        cells = [title, f"{mean:.2f}{spread}", str(len(values)), _signed(mean - found["teacher"])]
        yield _line([*cells, paper])
    yield ""


def _selections(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What the images of each selection truly are."""
    yield "## What the selections are\n"
    yield (
        f"**Pool: {lines[0]['setting']}.** By the pool's own ground truth, read for this alone "
        "(`benchmarks/papers/facts.py`); first seed of each selection.\n"
    )
    head = ["selection", "images", "truly of the class", "of no class of the teacher"]
    yield _line([*head, "fewest of a class", "worst noise value"])
    yield _line(["---"] * 6)
    for line in lines:
        classes = line["classes"]
        total = sum(one["images"] for one in classes)
        right, foreign = (
            sum(one[share] * one["images"] for one in classes) / total
            for share in ("right", "foreign")
        )
        least = min(classes, key=lambda one: one["images"])
        worst = max(classes, key=lambda one: one["worst"])
        yield _line(
            [
                line["selection"],
                f"{total:,}",
                f"{right:.1%}",
                f"{foreign:.1%}",
                f"{least['images']:,} ({least['name']})",
                f"{worst['worst']:.3g} ({worst['name']})",
            ]
        )
    yield ""
    for name, (caption, _) in figures_of_selections(lines).items():
        yield f"![{caption}](figures/{name})\n"
    yield "The commonest things that the teacher takes for each class:\n"
    shown = next((line for line in lines if line["selection"] == "dfnd_quota"), lines[-1])
    yield _line(["class", f"in `{shown['selection']}`"])
    yield _line(["---"] * 2)
    for one in shown["classes"]:
        things = ", ".join(f"{name} ({count})" for name, count in one["synsets"].items())
        yield _line([one["name"], things])
    yield ""


def _signed(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:+.2f}".replace("-", "−")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
