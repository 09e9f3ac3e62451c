"""Ray Data: read_webdataset -> map -> map_batches with a class -> write_parquet."""

from __future__ import annotations

from typing import Any

import numpy as np
import ray
import torch

from benchmarks.peers.job import Job, finish, load, scores, stock_transform


class Predictor:
    """The teacher in an actor, as Ray's guide to batch inference has it."""

    def __init__(self, job: Job) -> None:
        self._model = load(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        labels, values = scores(self._model, torch.as_tensor(np.stack(list(batch["image"]))))
        return {
            "key": batch["key"],
            "pseudo_label": labels.numpy(),
            "noise_value": values.numpy(),
        }


def main() -> None:
    job = Job.from_argv()
    ray.init(address="local", num_cpus=job.cores, include_dashboard=False, logging_level="error",
             log_to_driver=False)  # fmt: skip
    ray.data.DataContext.get_current().enable_progress_bars = False
    transform = stock_transform(job.side)

    def prepare(sample: dict[str, Any]) -> dict[str, Any]:
        from PIL import Image

        found = next(sample[name] for name in ("jpg", "jpeg", "png") if name in sample)
        image = Image.fromarray(np.asarray(found)).convert("RGB")
        return {"key": sample["__key__"], "image": transform(image).numpy()}

    dataset = (
        ray.data.read_webdataset(job.shards)
        .map(prepare)
        .map_batches(
            Predictor,
            fn_constructor_args=(job,),
            batch_size=job.batch_size,
            concurrency=1,
            num_cpus=1,
        )
    )
    dataset.write_parquet(job.out)
    finish(ray.data.read_parquet(job.out).count())


if __name__ == "__main__":
    main()
