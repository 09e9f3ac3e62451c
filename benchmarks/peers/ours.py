"""coursepack score, from the command line's own function."""

from __future__ import annotations

from benchmarks.peers.job import BATCH_SIZE, Job, finish
from cluster import score
from cluster.execution import ExecutionConfig
from selector.scoring.spec import ScoreSpec
from selector.teachers.spec import TeacherSpec

PREPROCESSING = {
    "channels": 3, "resize_mode": "short_side", "interpolation": "bilinear",
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
}  # fmt: skip


def main() -> None:
    job = Job.from_argv()
    made = {"stub": "py:benchmarks.peers.job:Stub", "lenet": "py:benchmarks.peers.job:SmallNet"}
    size = {"resize": 256 if job.side == 224 else job.side, "crop": job.side}
    spec = ScoreSpec(
        teacher=TeacherSpec(
            name=made.get(job.teacher, job.teacher), weights=job.weights, allow_code=True,
            preprocessing={**PREPROCESSING, **size, "orientation": "stored"},
        )
    )  # fmt: skip
    report = score(
        job.shards, spec=spec, out=job.out,
        execution=ExecutionConfig(executor="local", threads=job.cores, actors=1,
                                  batch_size=BATCH_SIZE, device="cpu"),
    )  # fmt: skip
    finish(report.rows)


if __name__ == "__main__":
    main()
