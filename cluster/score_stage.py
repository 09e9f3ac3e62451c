"""Scoring as a stage: the shard scorer, plus the ledger marker that makes a part count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster.board import Board
from cluster.ledger import Ledger, Marker, short_hash
from cluster.stage import TaskResult
from cluster.surveys import SurveyTask, offset_of, run_survey
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from shards import storage
from shards.errors import ShardError

if TYPE_CHECKING:  # torch is loaded where a stage is opened, not where it is described
    from selector.scoring.features import FeaturePlan
    from selector.scoring.shard_scorer import PartResult, ScoreTask, ShardScorer


@dataclass(frozen=True)
class ScoreStage:
    """Score shards with one teacher. Picklable; `open` loads the teacher.

    Attributes:
        spec: Teacher, preprocessing, limits.
        teacher_fingerprint: What the driver loaded; a worker that loads anything else stops.
        semantic_hash: Names the markers.
        features: Stored beside the scores; None = none.
        features_ledger: Folder of their markers, which carry their id in place of the hash.
    """

    spec: ScoreSpec
    teacher_fingerprint: str
    semantic_hash: str
    ledger_folder: str
    batch_size: int
    threads: int
    device: str
    features: FeaturePlan | None = None
    features_ledger: str = ""
    name: str = "score"

    def open(self) -> ScoreWorker:
        from selector.scoring.shard_scorer import ShardScorer
        from shards.errors import UsageError

        scorer = ShardScorer(
            self.spec,
            batch_size=self.batch_size,
            threads=self.threads,
            device=self.device,
            features=self.features,
        )
        if scorer.teacher.fingerprint != self.teacher_fingerprint:
            raise UsageError(
                f"this worker loaded a teacher with fingerprint {scorer.teacher.fingerprint[:12]}, "
                f"the driver one with {self.teacher_fingerprint[:12]}; the weights at "
                f"{self.spec.teacher.weights} differ between machines: put them on shared storage"
            )
        return ScoreWorker(scorer, self)


class ScoreWorker:
    """An opened `ScoreStage`."""

    def __init__(self, scorer: ShardScorer, stage: ScoreStage) -> None:
        self._scorer = scorer
        self._stage = stage

    def report_to(self, board: Board) -> None:
        self._scorer.report_to(board, board.progress)

    def run(self, task: ScoreTask | SurveyTask) -> TaskResult:
        if isinstance(task, SurveyTask):
            return run_survey(task)
        task = replace(task, at=offset_of(task))
        stage = self._stage
        part = self._scorer.score(task)
        _check_unchanged(task)
        if task.retry:
            return self._retried(task, part)
        if task.survey:
            # Those of the whole shard were told when it was divided.
            sound = {k: v for k, v in part.counters.items() if not k.startswith("problem")}
            part = replace(part, counters=sound)
        marker = Marker(
            part=part.name,
            semantic=stage.semantic_hash,
            etag=short_hash(task.shard.etag),
            paths=part.paths,
            counters=part.counters,
            damaged=bool(part.counters.get("damaged")),
            version=task.version,
        )
        if stage.features is not None:
            # Before the marker of the scores: where that is missing, all of the part is done again.
            fact = replace(marker, semantic=stage.features.fact_id)
            Ledger(stage.features_ledger).write(fact)
        if not task.facts_only:
            Ledger(stage.ledger_folder).write(marker)
        return TaskResult(part.name, part.paths, part.counters)

    def _retried(self, task: ScoreTask, part: PartResult) -> TaskResult:
        """A new version of a part gets a marker of its own; the same rows again get none."""
        if part.paths:
            layout = RunLayout(task.run)
            Ledger(self._stage.ledger_folder).write(
                Marker(
                    part=part.name,
                    semantic=self._stage.semantic_hash,
                    etag=short_hash(task.shard.etag),
                    paths=(*part.paths, layout.members_part(part.name)),
                    counters={**part.counters, **part.totals},
                    damaged=bool(part.counters.get("damaged")),
                    version=task.version + 1,
                )
            )
        return TaskResult(part.name, part.paths, part.counters)

    def close(self) -> None:
        self._scorer.close()


def _check_unchanged(task: ScoreTask) -> None:
    """A shard that was replaced since it was listed must not count under its old etag."""
    found = storage.stat(task.shard.uri)
    if found.etag != task.shard.etag:
        raise ShardError(
            f"{task.shard.uri} was replaced while the run went on ({task.shard.num_bytes:,} bytes "
            f"when it was listed, {found.num_bytes:,} now); run the same command again",
            shard=task.shard.uri,
        )
