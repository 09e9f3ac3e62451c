"""webdataset and torch's DataLoader, as webdataset's documentation has it."""

from __future__ import annotations

import torch
import webdataset as wds

from benchmarks.peers.job import BATCH_SIZE, Job, finish, load, scores, stock_transform, write


def main() -> None:
    job = Job.from_argv()
    model, transform = load(job), stock_transform(job.side)
    dataset = (
        wds.WebDataset(job.shards, shardshuffle=False, empty_check=False)
        .decode("pilrgb")
        .to_tuple("jpg;jpeg;png", "__key__")
        .map_tuple(transform, lambda key: key)
        .batched(BATCH_SIZE)
    )
    loader = wds.WebLoader(dataset, batch_size=None, num_workers=job.cores)
    keys: list[str] = []
    labels: list[int] = []
    values: list[float] = []
    for images, names in loader:
        found = scores(model, torch.as_tensor(images))
        keys += names
        labels += found[0].tolist()
        values += found[1].tolist()
    write(f"{job.out}/scores.parquet", keys, labels, values)
    finish(len(keys))


if __name__ == "__main__":
    main()
