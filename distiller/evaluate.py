"""How good a network is on labelled images, with how far chance could have moved the figure.

Legend: N = images, C = classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from distiller.data.image_batch import ImageSet, each_once
from shards.errors import CoursepackError

_Z_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


def evaluate(
    model_fn: Callable[[Tensor], Tensor],
    samples: Iterable[tuple[Tensor, Tensor]],
    *,
    teacher_fn: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """Accuracy over `samples`, each counted once.

    Args:
        model_fn: images of a batch -> (N, C) logits.
        samples: batches of (images, (N,) int64 labels); sizes may differ.
        teacher_fn: like `model_fn`; adds the teacher's own accuracy and how often both agree.

    Returns:
        n: images counted. top1, top5 in [0, 1], higher is better, each with _low and _high, the
        ends of its Wilson 95 % interval over the drawing of test images (another seed of training
        is NOT in it). top5 only with more than 5 classes. With a teacher: teacher_top1, and
        agreement = share of images where both name the same class.
        Of equal logits the lowest class ranks first.

    Raises:
        ValueError: there are no samples.
        CoursepackError: the model gives NaN.
    """
    num = right1 = right5 = teacher_right = agree = 0
    num_classes = 0
    with torch.no_grad():
        for images, labels_N in samples:
            logits_NC = model_fn(images)
            num_classes = logits_NC.shape[1]
            rank_N = label_rank(logits_NC, labels_N.to(logits_NC.device))
            num += len(labels_N)
            right1 += int((rank_N == 0).sum())
            right5 += int((rank_N < 5).sum())
            if teacher_fn is not None:
                teacher_class_N = teacher_fn(images).argmax(dim=1)
                agree += int((teacher_class_N == logits_NC.argmax(dim=1)).sum())
                teacher_right += int((teacher_class_N == labels_N.to(teacher_class_N.device)).sum())
    if num == 0:
        raise ValueError("there are no samples to evaluate on")
    result: dict[str, float] = {"n": num}
    for name, right in [("top1", right1)] + [("top5", right5)] * (num_classes > 5):
        low, high = wilson_interval(right, num)
        result |= {name: right / num, f"{name}_low": low, f"{name}_high": high}
    if teacher_fn is not None:
        result |= {"teacher_top1": teacher_right / num, "agreement": agree / num}
    return result


def label_rank(logits_NC: Tensor, labels_N: Tensor) -> Tensor:
    """(N,) int64: how many classes stand before the label when sorted by falling logit.

    Ties go to the lower class number, so that a constant output is right only about class 0, and
    not about everything.

    Raises:
        CoursepackError: a logit is NaN, which compares as smaller than nothing.
    """
    if bool(logits_NC.isnan().any()):
        raise CoursepackError("the model gives NaN on evaluation images; nothing can be ranked")
    label_logit_N1 = logits_NC.gather(1, labels_N[:, None])
    classes_C = torch.arange(logits_NC.shape[1], device=logits_NC.device)
    before_NC = (logits_NC > label_logit_N1) | (
        (logits_NC == label_logit_N1) & (classes_C < labels_N[:, None])
    )
    return before_NC.sum(dim=1)


def wilson_interval(right: int, num: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of `right` among `num`; (low, high) in [0, 1].

    Unlike the share +- 1.96 standard errors it stays inside [0, 1] and has a width at 0 and 1.

    Raises:
        ValueError: not 0 <= right <= num, or num is 0.
    """
    if num < 1 or not 0 <= right <= num:
        raise ValueError(f"{right} right of {num}: expected 0 <= right <= num and num >= 1")
    share, z2 = right / num, _Z_95**2
    centre = (share + z2 / (2 * num)) / (1 + z2 / num)
    half = _Z_95 / (1 + z2 / num) * math.sqrt(share * (1 - share) / num + z2 / (4 * num**2))
    # At the ends the bound equals the share in exact arithmetic; rounding must not cross it.
    low = 0.0 if right == 0 else max(0.0, centre - half)
    high = 1.0 if right == num else min(1.0, centre + half)
    return low, high


def labelled_batches(
    images: ImageSet, labels_N: Tensor, *, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """(images, labels) of every decodable image of a set once, in order."""
    for batch in each_once(images, batch_size=batch_size):
        yield batch.images_BCSS, labels_N[batch.indices_B]
