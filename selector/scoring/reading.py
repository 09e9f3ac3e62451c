"""The reader thread: samples of a shard into slots of the ring, decode jobs to the workers."""

from __future__ import annotations

import queue
from dataclasses import dataclass

from selector.scoring.decode_job import DecodeOptions, DecodeTimes, decode_jobs, run_decode_job
from selector.scoring.ring import Ring, Slot
from selector.scoring.task import ScoreTask
from selector.scoring.workers import Urgency, Workers
from shards.reader import open_shard
from shards.sample import DAMAGE_KINDS, Problem


@dataclass(frozen=True)
class EndOfShard:
    """All samples have been handed over; what was found on the way."""

    problems: tuple[Problem, ...]

    @property
    def is_damaged(self) -> bool:
        """Whether samples may be missing."""
        return any(problem.kind in DAMAGE_KINDS for problem in self.problems)


ReadItem = Slot[DecodeTimes] | EndOfShard | BaseException
"""What the reader hands to the model: batches, then the end, or what went wrong."""


def read_shard(
    task: ScoreTask,
    *,
    ring: Ring[DecodeTimes],
    workers: Workers,
    options: DecodeOptions,
    out: queue.SimpleQueue[ReadItem],
) -> None:
    """Body of the reader thread; ends early when the ring is closed. Raises nothing.

    A slot is handed over once all its samples are read; its jobs may still run.
    """
    try:
        with open_shard(task.shard.uri) as shard:
            samples = shard.samples(task.start, task.stop, at=task.at)
            while (slot := ring.take()) is not None:
                for work in decode_jobs(slot, samples):
                    slot.jobs.append(
                        workers.submit(Urgency.DECODE, run_decode_job, slot, work, options)
                    )
                if slot.is_full:
                    out.put(slot)
                    continue
                if len(slot.rows):
                    slot.pad()
                    out.put(slot)
                else:
                    ring.give_back(slot)
                out.put(EndOfShard(tuple(shard.problems)))
                return
    except BaseException as error:
        # Nothing may die unseen in a thread: the one who waits for batches raises it.
        out.put(error)
