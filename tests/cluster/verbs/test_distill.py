"""`distill` translates the trainer's events into progress."""

from cluster.verbs.distill import distill
from distiller.config import DistillConfig
from tests.support.pools import write_pool, write_teacher


def test_progress_counts_steps_and_the_images_of_this_call(tmp_path):
    config = {
        "teacher": {
            "name": "he/resnet8",
            "weights": str(write_teacher(tmp_path / "t.safetensors")),
        },
        "student": {"name": "he/resnet8"},
        "data": {"train": [str(write_pool(tmp_path / "pool", shards=1, images=8))]},
        "objective": {"kind": "kd"},
        "steps": 4,
        "batch_size": 4,
        "log_every": 2,
        "device": "cpu",
        "threads": 1,
        "out": str(tmp_path / "student"),
    }
    seen = []
    result = distill(config, on_progress=seen.append)
    assert result.steps == 4
    assert {progress.total for progress in seen} == {4}
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert (seen[-1].done, seen[-1].images, seen[-1].unit) == (4, 16, "steps")
    again = distill(DistillConfig.model_validate(config))
    assert again.student_weights == result.student_weights
