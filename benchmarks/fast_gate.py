"""The gate of `decode: fast`: does it rank and choose the images that `exact` does?

    python -m benchmarks.fast_gate calibrate --photos DIR
    python -m benchmarks.fast_gate report --photos DIR
    python -m benchmarks.fast_time --photos DIR          # what it saves; on a quiet machine

Every image is prepared exactly, and at every scale that the decoder can reduce it to; a margin then
says which of those `fast` would take (`selector.teachers.reduction`). `calibrate` tries margins on
one half of the images and names the smallest that holds; `report` checks the margin that the code
has on the other half, which nothing was chosen by. One JSON line for each set and margin.

What must hold, on the images that the margin reduces (the others are bit-equal): Spearman's rank
correlation of the noise value >= 0.995, the same argmax for >= 98 %, Jaccard index of the half of
lowest noise value >= 0.95. Beside it stand the same figures for all images of the set, PSNR of the
input's pixels, bits of the perceptual hash that differ, and `floor`: the same network on the exact
pixels resized in floats and rounded once, where Pillow rounds twice. That is as right as exact is,
so no decoder can be held to more. Sets with fewer than 50 reduced images give no verdict.

Sets: `large`: photographs as they are (--photos: a folder of JPEGs, searched deeply; here those of
Debian's gnome-backgrounds, mate-backgrounds, ukui-wallpapers, plasma-workspace-wallpapers and
lomiri-wallpapers-16.04 and -20.04, 1 to 24 megapixels) and tiles cut from them, encoded anew at
quality 90, 512 to 2,048 pixels on the shorter side. Teacher: efficientnet-lite/0 with its ImageNet
weights at its own 224 pixels. `imagenet`: 200 ImageNet JPEGs as they are, the same teacher;
`at 112`: the same teacher with smaller inputs, so that more images are reduced; `at 32`: the CIFAR
teacher he/resnet20, to which they are all foreign. Where the floor fails the gate, as at 112, the
verdict tells more of the teacher than of the decoder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.stats import spearmanr

from benchmarks.fast_images import FastSet, fast_sets
from cluster.provenance import commit, hardware, now, versions
from selector.scores.hashes import phash
from selector.scores.noise_value import noise_value
from selector.scoring.decode_job import thumbnails
from selector.teachers.agreement import Agreement
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.preprocess import Preprocessing
from selector.teachers.reduction import MARGIN, SMALL_MARGIN, least_pixels, margin_for
from shards.decode import Picture, decode_picture

MARGINS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0)
REDUCTIONS = (2, 4, 8)
LEAST_IMAGES = 50
_BATCH = 50
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class Answers:
    """What a teacher makes of every image, prepared in every way.

    Attributes:
        noise, label, psnr, bits: (images, ways); ways are exact, floor, and the reductions. Not a
            number where the image is too small for one.
        margin: (images, reductions): pixels left over pixels needed, on the tighter side.
    """

    def __init__(self, images: Sequence[bytes], teacher: Teacher) -> None:
        ways = 2 + len(REDUCTIONS)
        self.noise = np.full((len(images), ways), np.nan)
        self.label = np.full((len(images), ways), -1)
        self.psnr = np.full((len(images), ways), np.nan)
        self.bits = np.full((len(images), ways), np.nan)
        self.margin = np.zeros((len(images), len(REDUCTIONS)))
        waiting: list[tuple[int, int, npt.NDArray[np.uint8]]] = []
        for number, data in enumerate(images):
            waiting += self._prepare(number, data, teacher.preprocessing)
            while len(waiting) >= _BATCH:
                self._ask(waiting[:_BATCH], teacher)
                del waiting[:_BATCH]
        if waiting:
            self._ask(waiting, teacher)

    def _prepare(
        self, number: int, data: bytes, preprocessing: Preprocessing
    ) -> Iterator[tuple[int, int, npt.NDArray[np.uint8]]]:
        whole = decode_picture(data)
        needed = least_pixels(
            preprocessing.resize, preprocessing.resize_mode, preprocessing.interpolation,
            crop=preprocessing.crop, margin=1, hash_margin=0,
        )  # fmt: skip
        assert needed is not None
        exact = preprocessing.apply_stack(whole.pixels[None])[0]
        looks = int(phash(thumbnails(whole.pixels[None]))[0])
        self.psnr[number, 0], self.bits[number, 0] = np.inf, 0
        yield number, 0, exact
        floor = resized_in_floats(whole, preprocessing)
        self.psnr[number, 1] = psnr(exact, floor)
        yield number, 1, floor
        for way, reduction in enumerate(REDUCTIONS):
            left = whole.height / reduction, whole.width / reduction
            self.margin[number, way] = min(left[0] / needed[0], left[1] / needed[1])
            if self.margin[number, way] < 1:
                break
            reduced = decode_picture(data, least=(int(left[0]), int(left[1])))
            stack_1HW = reduced.pixels[None]
            pixels = preprocessing.apply_stack(stack_1HW, reduced.frame)[0]
            self.psnr[number, 2 + way] = psnr(exact, pixels)
            differ = looks ^ int(phash(thumbnails(stack_1HW, reduced.frame))[0])
            self.bits[number, 2 + way] = differ.bit_count()
            yield number, 2 + way, pixels

    @torch.inference_mode()
    def _ask(
        self, batch: Sequence[tuple[int, int, npt.NDArray[np.uint8]]], teacher: Teacher
    ) -> None:
        pixels = torch.from_numpy(np.stack([pixels for _, _, pixels in batch]))
        logits = teacher.logits(pixels.permute(0, 3, 1, 2))
        at = tuple(np.array([(number, way) for number, way, _ in batch]).T)
        self.noise[at] = noise_value(logits).numpy()
        self.label[at] = logits.argmax(dim=1).numpy()

    def chosen(self, margin: float) -> npt.NDArray[np.int64]:
        """(images,) the way that `fast` takes with a margin; 0 = exact."""
        fits = (self.margin >= margin).sum(axis=1)  # reductions fit up to some size
        return np.where(fits > 0, fits + 1, 0)


def psnr(exact: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Peak signal to noise ratio in dB; higher is nearer."""
    error = np.mean((exact.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-4)))


def resized_in_floats(picture: Picture, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """The exact input but for rounding: no rounding between the two passes of the resize."""
    height, width = picture.height, picture.width
    pixels, size = picture.pixels, (preprocessing.crop, preprocessing.crop)
    assert isinstance(preprocessing.resize, int)
    if preprocessing.resize_mode == "center_fraction":
        side = min(height, width) * preprocessing.crop // preprocessing.resize
        top, left = (height - side + 1) // 2, (width - side + 1) // 2
        pixels = pixels[top : top + side, left : left + side]
    else:
        assert preprocessing.resize_mode == "squash"
    channels = [
        Image.fromarray(pixels[:, :, channel].astype(np.float32)).resize(
            size, _FILTERS[preprocessing.interpolation]
        )
        for channel in range(3)
    ]
    resized = np.rint(np.stack([np.asarray(one) for one in channels], axis=2))
    return np.clip(resized, 0, 255).astype(np.uint8)


def agreement(
    exact: npt.NDArray[np.float64],
    other: npt.NDArray[np.float64],
    same_label: npt.NDArray[np.bool_],
) -> dict[str, float]:
    """The three figures of the gate, for (N,) noise values."""
    half = len(exact) // 2
    chosen, rechosen = (
        set(np.argsort(one, kind="stable")[:half].tolist()) for one in (exact, other)
    )
    return {
        "spearman": round(float(spearmanr(exact, other).statistic), 5),
        "argmax": round(float(same_label.mean()), 4),
        "jaccard": round(len(chosen & rechosen) / max(1, len(chosen | rechosen)), 4),
    }


def holds(figures: dict[str, float]) -> bool:
    """The gate."""
    found = Agreement(figures["spearman"], figures["argmax"], figures["jaccard"])
    return found.holds


def judge(one: FastSet, answers: Answers, half: int, margin: float) -> dict[str, Any]:
    """One line: a set, a half of it, a margin."""
    in_half = np.array(one.groups) % 2 == half
    way = answers.chosen(margin)
    rows = np.arange(len(way))

    def compare(which: npt.NDArray[np.bool_], ways: npt.NDArray[np.int64]) -> dict[str, float]:
        at = rows[which], ways[which]
        same = answers.label[which, 0] == answers.label[at]
        return agreement(answers.noise[which, 0], answers.noise[at], same)

    reduced = in_half & (way > 0)
    line: dict[str, Any] = {
        "set": one.name,
        "what": one.what,
        "teacher": one.teacher.name,
        "half": "calibrate" if half == 0 else "report",
        "margin": margin,
        "images": int(in_half.sum()),
        "reduced": {
            str(reduction): int((way[in_half] == 2 + at).sum())
            for at, reduction in enumerate(REDUCTIONS)
        },
        "of_all": compare(in_half, way),
    }
    if reduced.sum() < 2:
        return line | {"holds": None}
    values = answers.psnr[rows[reduced], way[reduced]]
    bits = answers.bits[rows[reduced], way[reduced]]
    figures = compare(reduced, way)
    return line | {
        "of_reduced": figures,
        "floor": compare(reduced, np.ones_like(way)),
        "psnr_db": {"mean": round(float(values.mean()), 1), "least": round(float(values.min()), 1)},
        "floor_psnr_db": round(float(answers.psnr[reduced, 1].mean()), 1),
        "hash_bits": {"mean": round(float(bits.mean()), 2), "most": int(bits.max())},
        "holds": holds(figures) if reduced.sum() >= LEAST_IMAGES else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=["calibrate", "report"])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--tiles", type=int, default=8, help="a photograph")
    parser.add_argument("--sets", nargs="*", help="names; all if not given")
    options = parser.parse_args()
    torch.set_num_threads(1)
    half = 0 if options.do == "calibrate" else 1
    stamp = {"at": now(), "hardware": hardware(), "versions": versions(), "commit": commit()}
    verdicts: dict[float, list[bool]] = {}
    for one in fast_sets(options.photos, tiles=options.tiles, half=half):
        if options.sets and one.name not in options.sets:
            continue
        teacher = load_teacher(one.teacher)
        answers = Answers(one.images, teacher)
        resize = teacher.preprocessing.resize
        assert isinstance(resize, int)
        for margin in MARGINS if half == 0 else (margin_for(resize),):
            line = judge(one, answers, half, margin)
            if line["holds"] is not None:
                verdicts.setdefault(margin, []).append(line["holds"])
            print(json.dumps({"benchmark": "fast_gate", **line, **stamp}), flush=True)
    holding = [margin for margin, found in verdicts.items() if all(found)]
    print(
        json.dumps(
            {
                "benchmark": "fast_gate",
                "half": options.do,
                "smallest_margin_that_holds": min(holding, default=None),
                "sets_that_hold": {
                    str(margin): f"{sum(found)} of {len(found)}"
                    for margin, found in verdicts.items()
                },
                "margins_of_the_code": {"large": MARGIN, "small": SMALL_MARGIN},
                **stamp,
            }
        )
    )


if __name__ == "__main__":
    main()
