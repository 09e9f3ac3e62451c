"""torchvision's ImageFolder and torch's DataLoader, on the same images as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from benchmarks.peers.job import Job, load, score_batches, stock_transform


class WithPaths(ImageFolder):
    """Images with the key that they have in the tar."""

    def __getitem__(self, index: int) -> tuple[Any, str]:
        image, _ = super().__getitem__(index)
        path = Path(self.samples[index][0])
        return image, path.name.partition(".")[0]


def main() -> None:
    job = Job.from_argv()
    model = load(job)
    dataset = WithPaths(job.folder, transform=stock_transform(job.side))
    loader = DataLoader(dataset, batch_size=job.batch_size, num_workers=job.cores)
    score_batches(model, loader, job)


if __name__ == "__main__":
    main()
