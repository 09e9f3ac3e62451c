"""The unit of work and its result: one part, that is a shard or an index range of a large one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from selector.tables.layout import part_name
from shards.manifest import ShardEntry

HALVED_TO = "halved_to_"
"""Counter, by the size behind it: batches were halved to so many images."""


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """Score samples start <= index < stop of one shard into one part of a run.

    Attributes:
        shard: which shard.
        start: first sample, a multiple of the batch size.
        stop: end of the range; None = all the rest.
        run: root directory of the run.
        crashed: indexes of samples that killed a process before; they become rows of status
            `crashed` and their bytes are not touched.
        suspects: indexes of samples that were being decoded when a worker died over this task;
            each is decoded in a process of its own first.
        careful: every sample is: the worker died again, of another one.
        facts_only: the part has its scores already; write what else the stage makes, aligned with
            them, and leave scores and members as they are.
        retry: the part has its scores already; do its failed rows again, as a new version.
        version: of the part that is there, for `facts_only` and `retry`.
        survey: where it is written how the shard is divided; "" = it is not.
        pieces: into how many.
        at: where sample `start` begins in the tar; None = to be found by walking there.
    """

    shard: ShardEntry
    start: int = 0
    stop: int | None = None
    run: str = ""
    crashed: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()
    careful: bool = False
    facts_only: bool = False
    retry: bool = False
    version: int = 1
    survey: str = ""
    pieces: int = 1
    at: int | None = None

    @property
    def name(self) -> str:
        """Name of the part, which its files and its ledger entry carry."""
        return part_name(self.shard.shard_id, self.start)

    @property
    def num_bytes(self) -> int:
        """Size of the shard, or its share in it: what the largest-first order goes by."""
        return self.shard.num_bytes // self.pieces

    def with_suspects(self, indexes: tuple[int, ...]) -> ScoreTask:
        """The same task for the worker after one that died while it decoded these samples."""
        careful = self.careful or bool(self.suspects)
        return replace(self, suspects=(*self.suspects, *indexes), careful=careful)


@dataclass(frozen=True)
class PartResult:
    """What a finished part reports; small, because it is all that travels to the driver.

    Attributes:
        name: of the part.
        paths: files written, whole.
        counters: images, failed, bytes (encoded images), status_<each status>, problems,
            problem_<each kind found>, damaged (1 when samples of the shard may be missing);
            features, features_null (sound images whose features are not finite), features_clipped
            (some feature exceeded half precision), features_differ (rows whose status is another
            than in the scores); forward_halved (the memory of the device did not hold a batch, and
            this one and all later ones of the worker are run in halves), halved_to_<each size>;
            lane_images, lane_returned, lane_failures (images that the GPU decoded beside the
            threads, that it left to them, and lists that it failed on); and seconds:
            wall_s: from open to the last file in place; about the sum of the next four.
            wait_read_s: waited for samples to be read. Near wall_s: storage bounds.
            wait_decode_s: waited for pixels. Near wall_s: decoding bounds.
            model_s: waited for the model. Near wall_s: the model bounds, as it should.
            wait_write_s: waited for the writer. Near wall_s: the output bounds.
            forward_s, decode_s, resize_s, phash_s, write_s: the threads worked, summed over
            threads. On a CPU, where they share the cores, their proportions tell what the time
            went into. decode_s includes fetching mapped bytes and hashing them.
        totals: after a retry, images, failed, bytes and status_... of the whole part; `counters`
            are then of the rows that were done again.
    """

    name: str
    paths: tuple[str, ...]
    counters: dict[str, float]
    totals: dict[str, float] = field(default_factory=dict)
