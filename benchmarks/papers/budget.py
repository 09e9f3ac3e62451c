"""How many steps fit into a budget: a short probe of the dearest arm, once, then on file."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.papers.arm import NOISY
from benchmarks.papers.track import Track
from cluster import distill

PROBE_STEPS = {"cpu": 30, "cuda": 300}
"""On a GPU the first ones choose kernels and say little."""


def steps_for(track: Track, *, work: Path, seconds: float, threads: int) -> int:
    """Steps of noisy distillation that take about `seconds`, a multiple of 50.

    The answer is kept in the work folder: a continued run must train as long as it began to.
    """
    path = work / "steps.json"
    if path.exists():
        steps: int = json.loads(path.read_text())["steps"]
        return steps
    places = track.prepare(work, "test")
    config = {
        **track.training,
        "teacher": places.teacher,
        "student": {"name": track.student},
        "data": {"train": [places.real or places.pool]},
        "objective": {**NOISY, "transition": {"mode": "learned", "init": "identity"}},
        "steps": PROBE_STEPS[places.device.partition(":")[0]],
        "threads": threads,
        "device": places.device,
        "out": str(work / "probe"),
    }
    rate = distill(config).metrics["train_images_per_s"]
    steps = max(50, int(seconds * rate / track.training["batch_size"]) // 50 * 50)
    path.write_text(json.dumps({"steps": steps, "images_per_s": rate}))
    return steps
