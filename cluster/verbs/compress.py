"""`compress`: from a teacher, a few labelled images and a pool to a student, in one call.

Every step is a verb that continues by itself, so this one does too: what is done is neither done
again nor changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.compress_arms import MAIN, arm_names, distill_config
from cluster.compress_config import CompressConfig, fixed_part
from cluster.compress_report import CompressReport
from cluster.compress_selections import arm_recipe, precision, unselected_classes
from cluster.config import load_config
from cluster.labelled_images import labelled_shards
from cluster.progress import OnProgress, Progress
from cluster.runs import differences
from cluster.verbs.distill import distill
from cluster.verbs.export import export
from cluster.verbs.pu_fit import pu_fit
from cluster.verbs.report import report
from cluster.verbs.score import score
from cluster.verbs.select import select
from cluster.verbs.truth import truth
from distiller.folder_lock import lock_folder
from selector.scoring.feature_spec import FeatureSpec
from selector.scoring.spec import ScoreSpec
from selector.teachers.load import load_teacher
from shards import atomic
from shards.errors import CoursepackError, UsageError


def compress(
    config: str | Mapping[str, Any] | CompressConfig,
    *,
    overrides: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> CompressReport:
    """Find the teacher's domain in a pool by a few labelled images, and distill a student on it.

    Scores the pool with stage features, fits the PU classifier, selects, exports, trains the
    student and the baselines asked for, and draws the report. Calling it again continues.

    Args:
        config: A YAML file, its content, or the configuration itself.
        overrides: Dotted path -> value, in place of what the file says (not with a
            `CompressConfig`, which is complete).
        on_progress: Called now and then; `done` counts steps.

    Raises:
        UsageError: a wrong configuration, or another than the folder was made with.
        CoursepackError: a step failed; what is done stays.
    """
    if not isinstance(config, CompressConfig):
        config = load_config(CompressConfig, config, overrides=overrides)
    home = Path(config.out)
    # Wrong training options are told before hours of scoring, not after.
    for arm in arm_names(config):
        selected = None if arm == "labelled_only" else "selected"
        distill_config(config, arm, selected=selected, labelled="labelled", home=home)
    if home.exists() and not home.is_dir():
        raise UsageError(f"out {config.out} is a file; give a folder")
    with lock_folder(home, doing="compressing"):
        _same_or_new(home, config)
        return _run(config, home, _Steps(config, on_progress))


class _Steps:
    """Counts the steps and passes on their progress as shares of one."""

    def __init__(self, config: CompressConfig, on_progress: OnProgress | None) -> None:
        arms = arm_names(config)
        exported = len(arms) - ("labelled_only" in arms)
        self.total = 3 + (config.truth is not None) + 2 * exported + len(arms) + 1
        self._done = 0
        self._tell = on_progress or (lambda progress: None)

    def begin(self, name: str) -> OnProgress:
        """Announce the next step; returns what its verb reports to."""
        done = self._done
        self._done += 1
        self._tell(
            Progress(done, self.total, unit="steps", note=f"{done + 1} of {self.total}: {name}")
        )

        def forward(inner: Progress) -> None:
            share = min(inner.done / inner.total, 1.0) if inner.total else 0.0
            self._tell(
                Progress(done + share, self.total, "steps", images=inner.images, note=inner.note)
            )

        return forward


def _same_or_new(home: Path, config: CompressConfig) -> None:
    """Store what the folder is for, or refuse another use of it."""
    asked = fixed_part(config)
    path = home / "compress.json"
    if path.exists():
        try:
            stored = json.loads(path.read_text())
        except ValueError as error:
            raise CoursepackError(f"{path} is damaged ({error}); give another out") from error
        if stored != asked:
            lines = "\n  ".join(differences(stored, asked))
            raise UsageError(
                f"{home} was made with another configuration:\n  {lines}\n"
                "give another out, or ask for the stored configuration"
            )
        return
    others = sorted(entry.name for entry in home.iterdir() if entry.name != "lock")
    if others:
        raise UsageError(f"out {home} holds other files ({others[0]}); give a folder of its own")
    atomic.write_bytes(str(path), (json.dumps(asked, indent=1, sort_keys=True) + "\n").encode())


def _run(config: CompressConfig, home: Path, steps: _Steps) -> CompressReport:
    run = str(home / "run")
    warnings: list[str] = []
    steps.begin("labelled images")
    teacher = load_teacher(config.teacher)
    names = teacher.class_names
    labelled = labelled_shards(
        config.labelled,
        out=str(home / "labelled"),
        num_classes=teacher.num_classes,
        class_names=names,
    )
    scored = score(
        config.pool,
        spec=ScoreSpec(teacher=config.teacher, image_ext=config.image_ext),
        out=run,
        features=FeatureSpec(mode=config.features),
        execution=config.execution.to_config(),
        max_bad=config.max_bad,
        on_progress=steps.begin("score the pool, with features"),
    )
    warnings += scored.warnings
    if config.truth is not None:
        steps.begin("read what the pool says of itself")
        found = config.truth
        truth(run, member=found.member, field=found.field, mapping=found.mapping)
    fitted = pu_fit(
        run,
        positives=[labelled],
        prior=config.pu.prior,
        recipe=config.pu.recipe,
        settings=config.pu.settings,
        seed=config.seed,
        weights=config.teacher.weights,
        allow_code=config.teacher.allow_code,
        on_progress=steps.begin("fit the PU classifier"),
    )
    warnings += fitted.warnings
    num_selected: dict[str, int] = {}
    cards: dict[str, dict[str, Any]] = {}
    for arm in arm_names(config):
        exported = None
        if arm != "labelled_only":
            steps.begin(f"select {arm}")
            recipe, n = arm_recipe(config, arm, n=num_selected.get(MAIN, 0))
            chosen = select(run, recipe=recipe, name=arm, n=n)
            warnings += [f"selection {arm}: {text}" for text in chosen.stats["warnings"]]
            num_selected[arm] = chosen.num_rows
            exported = str(home / "selected" / arm)
            export(
                run,
                selection=arm,
                out=exported,
                seed=config.seed,
                on_progress=steps.begin(f"export {arm}"),
            )
        trained = distill(
            distill_config(config, arm, selected=exported, labelled=labelled, home=home),
            on_progress=steps.begin(f"train {arm}"),
        )
        cards[arm] = trained.card
        warnings += [f"student {arm}: {text}" for text in trained.card["warnings"]]
    empty = unselected_classes(run, MAIN, num_classes=teacher.num_classes, class_names=names)
    if empty:
        warnings.append(
            f"{len(empty)} classes have no image in the selection by the teacher's decision: "
            f"{', '.join(empty[:10])}{' ...' if len(empty) > 10 else ''}; the student sees them in "
            "the labelled images alone"
        )
    steps.begin("report")
    students = [str(home / "students" / arm) for arm in cards]
    report(
        run,
        selection=MAIN,
        students=students,
        out=str(home / "report.html"),
        on_warning=warnings.append,
    )
    result = _result(config, home, cards, num_selected, fitted.to_dict(), empty, warnings)
    result = CompressReport(**{**result.to_dict(), "exit_code": scored.exit_code})
    text = json.dumps(result.to_dict(), indent=1, sort_keys=True)
    atomic.write_bytes(str(home / "result.json"), (text + "\n").encode())
    return result


def _result(
    config: CompressConfig,
    home: Path,
    cards: Mapping[str, dict[str, Any]],
    num_selected: dict[str, int],
    fitted: dict[str, Any],
    unselected: list[str],
    warnings: list[str],
) -> CompressReport:
    measured = {
        arm: {name: card["metrics"][name] for name in ("top1", "worst_class_accuracy")}
        for arm, card in cards.items()
        if "top1" in card["metrics"]
    }
    main = cards[MAIN]
    return CompressReport(
        out=str(home),
        student=str(home / "students" / MAIN / main["student"]["weights"]),
        pu=fitted,
        num_selected=num_selected,
        precision={}
        if config.truth is None
        else {arm: precision(str(home / "run"), arm) for arm in num_selected},
        accuracy=measured,
        teacher_accuracy=main["metrics"].get("teacher_top1"),
        class_weights=main["class_weights"],
        unselected=unselected,
        report=str(home / "report.html"),
        warnings=list(dict.fromkeys(warnings)),
    )
