"""webdataset and torch's DataLoader, as webdataset's documentation has it."""

from __future__ import annotations

import webdataset as wds

from benchmarks.peers.job import Job, load, score_batches, stock_transform


def main() -> None:
    job = Job.from_argv()
    model, transform = load(job), stock_transform(job.side)
    dataset = (
        wds.WebDataset(job.shards, shardshuffle=False, empty_check=False)
        .decode("pilrgb")
        .to_tuple("jpg;jpeg;png", "__key__")
        .map_tuple(transform, lambda key: key)
        .batched(job.batch_size)
    )
    loader = wds.WebLoader(dataset, batch_size=None, num_workers=job.cores)
    score_batches(model, loader, job)


if __name__ == "__main__":
    main()
