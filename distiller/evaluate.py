"""How good a network is on labelled images, with how far chance could have moved the figure.

Legend: N = images, C = classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distiller.data.image_batch import ImageSet, each_once
from shards.errors import CoursepackError

_Z_95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


CALIBRATION_BINS = 15
"""Of the expected calibration error: equally wide, the usual number."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured on labelled images.

    Attributes:
        figures: by name, see `evaluate`.
        confusion_CC: (C, C) int64 counts, [label, predicted class].
    """

    figures: dict[str, float]
    confusion_CC: Tensor

    def per_class(self) -> list[float | None]:
        """Accuracy of each class in [0, 1], higher is better; None of a class without images."""
        right, num = self.confusion_CC.diagonal().tolist(), self.confusion_CC.sum(dim=1).tolist()
        return [hits / count if count else None for hits, count in zip(right, num, strict=True)]


def evaluate(
    model_fn: Callable[[Tensor], Tensor],
    samples: Iterable[tuple[Tensor, Tensor]],
    *,
    teacher_fn: Callable[[Tensor], Tensor] | None = None,
) -> Evaluation:
    """Accuracy and calibration over `samples`, each counted once.

    Args:
        model_fn: images of a batch -> (N, C) logits.
        samples: batches of (images, (N,) int64 labels); sizes may differ.
        teacher_fn: like `model_fn`; adds the teacher's own accuracy and how often both agree.

    Returns:
        n: images counted. top1, top5 in [0, 1], higher is better, each with _low and _high, the
        ends of its Wilson 95 % interval over the drawing of test images (another seed of training
        is NOT in it). top5 only with more than 5 classes. nll: mean -log p_label, in nats. ece:
        expected calibration error, sum over bins of (share of images) * |accuracy - mean max p|,
        15 bins of equal width, in [0, 1]; both lower is better. mean_class_accuracy and
        worst_class_accuracy over the classes that have images. With a teacher: teacher_top1,
        agreement = share of images where both name the same class, and teacher_kl = mean
        D_KL(teacher || student) at T = 1, in nats, lower is better.
        Of equal logits the lowest class ranks first.

    Raises:
        ValueError: there are no samples.
        CoursepackError: the model gives NaN.
    """
    num = right1 = right5 = teacher_right = agree = 0
    nll = teacher_kl = 0.0
    confusion_CC: Tensor | None = None
    bins_3B = torch.zeros(3, CALIBRATION_BINS, dtype=torch.float64)
    with torch.no_grad():
        for images, labels_N in samples:
            logits_NC = model_fn(images).float()
            labels_N = labels_N.to(logits_NC.device)
            rank_N = label_rank(logits_NC, labels_N)
            num += len(labels_N)
            right1 += int((rank_N == 0).sum())
            right5 += int((rank_N < 5).sum())
            log_p_NC = F.log_softmax(logits_NC, dim=1)
            class_N = logits_NC.argmax(dim=1)
            nll += float(F.nll_loss(log_p_NC, labels_N, reduction="sum"))
            bins_3B += _bin_sums(log_p_NC.amax(dim=1).exp(), rank_N == 0)
            counts_CC = _confusion(labels_N, class_N, num_classes=logits_NC.shape[1])
            confusion_CC = counts_CC if confusion_CC is None else confusion_CC + counts_CC
            if teacher_fn is not None:
                teacher_NC = teacher_fn(images).float()
                teacher_class_N = teacher_NC.argmax(dim=1)
                agree += int((teacher_class_N == class_N).sum())
                teacher_right += int((teacher_class_N == labels_N).sum())
                teacher_log_p_NC = F.log_softmax(teacher_NC, dim=1)
                teacher_kl += float(
                    F.kl_div(log_p_NC, teacher_log_p_NC, reduction="sum", log_target=True)
                )
    if confusion_CC is None:
        raise ValueError("there are no samples to evaluate on")
    figures: dict[str, float] = {"n": num}
    for name, right in [("top1", right1)] + [("top5", right5)] * (len(confusion_CC) > 5):
        low, high = wilson_interval(right, num)
        figures |= {name: right / num, f"{name}_low": low, f"{name}_high": high}
    figures |= {"nll": nll / num, "ece": _expected_calibration_error(bins_3B)}
    evaluation = Evaluation(figures, confusion_CC)
    of_class = [accuracy for accuracy in evaluation.per_class() if accuracy is not None]
    figures |= {
        "mean_class_accuracy": sum(of_class) / len(of_class),
        "worst_class_accuracy": min(of_class),
    }
    if teacher_fn is not None:
        figures |= {
            "teacher_top1": teacher_right / num,
            "agreement": agree / num,
            "teacher_kl": teacher_kl / num,
        }
    return evaluation


def _confusion(labels_N: Tensor, class_N: Tensor, *, num_classes: int) -> Tensor:
    """(C, C) counts on the CPU, [label, predicted class]."""
    pairs_N = labels_N * num_classes + class_N
    return pairs_N.bincount(minlength=num_classes**2).view(num_classes, num_classes).cpu()


def _bin_sums(max_prob_N: Tensor, right_N: Tensor) -> Tensor:
    """(3, bins) float64 on the CPU: images, right ones, and the sum of max p, of each bin."""
    bin_N = (max_prob_N * CALIBRATION_BINS).long().clamp_(max=CALIBRATION_BINS - 1)
    rows = (torch.ones_like(max_prob_N), right_N, max_prob_N)
    return torch.stack(
        [bin_N.bincount(row.double(), minlength=CALIBRATION_BINS).cpu() for row in rows]
    )


def _expected_calibration_error(bins_3B: Tensor) -> float:
    """sum_b (n_b / n) |right_b / n_b - sum p_b / n_b| = sum_b |right_b - sum p_b| / n."""
    return float((bins_3B[1] - bins_3B[2]).abs().sum() / bins_3B[0].sum())


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
