"""The pool of the PU benchmark: handwritten digits hidden among characters that are none.

    COURSEPACK_DATA=... python -m benchmarks.mnist_pool --out mnist/

writes what docs/compress.md works on: shards of labelled digits to train a teacher (digits-train)
and to measure by (digits-test), twelve digits a class as a folder of class folders (few), and the
pool.

MNIST digits at a known share, Omniglot characters (folder `omniglot_small/` of COURSEPACK_DATA) and
glyphs rendered by the demo, all 28 x 28, white ink on black, shuffled, keys that tell nothing. A
.json in each sample says what it is, which only the figures of ground truth read.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.mnist_data import Digits, load_mnist, write_labelled, write_samples
from cluster.demo.glyphs import render_glyphs
from shards.sources.arrays import encode_png

NOT_A_DIGIT = "none"
PER_CLASS = 12
HIDDEN, SHARE = 8_000, 0.2
"""Digits in the pool: the first so many of the training digits, and what share of it they are."""


def labelled_rows(labels: np.ndarray, seed: int) -> np.ndarray:
    """Positions of 12 digits a class among those that are not hidden in the pool."""
    rng = np.random.default_rng([seed, 1])
    free = np.arange(HIDDEN, len(labels))
    chosen = [rng.permutation(free[labels[free] == k])[:PER_CLASS] for k in range(10)]
    return np.sort(np.concatenate(chosen))


def write_pool(folder: Path, hidden: Digits, *, share: float, seed: int = 0) -> str:
    """Shards in which `hidden` makes up `share` of all images; returns the folder.

    All Omniglot characters there are come with them; rendered glyphs fill the rest.
    """
    if (folder / "written").exists():
        return str(folder)
    total = round(len(hidden.labels) / share)
    others = [(image, "omniglot") for image in omniglot()]
    glyphs, _ = render_glyphs(total - len(hidden.labels) - len(others), seed=seed)
    others += [(image, "glyph") for image in glyphs]
    entries = [(image, "mnist", str(label)) for image, label in zip(*hidden, strict=True)]
    entries += [(image, source, NOT_A_DIGIT) for image, source in others]

    def samples() -> Iterator[tuple[str, dict[str, bytes]]]:
        for position, entry in enumerate(np.random.default_rng(seed).permutation(len(entries))):
            image, source, digit = entries[entry]
            truth = json.dumps({"source": source, "digit": digit}).encode()
            yield f"image-{position:06d}", {"png": encode_png(image), "json": truth}

    return write_samples(folder, samples())


def omniglot() -> list[np.ndarray]:
    """Every character of both archives, uint8 (28, 28), white ink on black.

    The strokes of the 105 x 105 drawings are 2 to 3 pixels thin; they are widened first, so that
    they are as thick as MNIST's when small.
    """
    images = []
    for path in sorted((Path(os.environ["COURSEPACK_DATA"]) / "omniglot_small").glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".png"):
                    drawn = Image.open(io.BytesIO(archive.read(name))).convert("L")
                    ink = ImageOps.invert(drawn).filter(ImageFilter.MaxFilter(5))
                    images.append(np.asarray(ink.resize((28, 28), Image.Resampling.BOX)))
    return images


def write_folders(folder: Path, digits: Digits) -> None:
    """PNG files in class folders 0 to 9."""
    for number, (image, label) in enumerate(zip(*digits, strict=True)):
        home = folder / str(label)
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{number:03d}.png").write_bytes(encode_png(image))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, type=Path)
    out = parser.parse_args().out
    digits = load_mnist("train")
    write_labelled(out / "digits-train", digits)
    write_labelled(out / "digits-test", load_mnist("test"))
    write_pool(out / "pool", digits.take(np.arange(HIDDEN)), share=SHARE)
    write_folders(out / "few", digits.take(labelled_rows(digits.labels, 0)))


if __name__ == "__main__":
    main()
