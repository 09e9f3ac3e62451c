"""Labelled images through the run's own teacher: the features and predictions that a fit needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selector.pu.labelled import Labelled, LabelledImage, class_numbers, digest_of, image_hash
from selector.scoring.positives import FeatureExtractor
from shards.errors import UsageError

_AT_ONCE = 4096
"""Images handed over at a time, so that encoded bytes and results stay few."""


def labels_and_digest(
    images: Sequence[LabelledImage], *, num_classes: int, class_names: Sequence[str] | None
) -> tuple[np.ndarray, str, list[str]]:
    """Classes (P,), the digest of the set, and warnings; nothing is decoded."""
    labels, warnings = class_numbers(
        [image.label for image in images], num_classes=num_classes, class_names=class_names
    )
    pairs = [(image_hash(image), int(label)) for image, label in zip(images, labels, strict=True)]
    twice = len(pairs) - len({hashed for hashed, _ in pairs})
    if twice:
        warnings.append(
            f"{twice} labelled images are copies of others; a copy may be trained on while its "
            "twin is held out, which makes the true-positive rate look better than it is"
        )
    return labels, digest_of(pairs), warnings


def extract_labelled(
    images: Sequence[LabelledImage],
    labels: np.ndarray,
    extractor: FeatureExtractor,
    *,
    digest: str,
    warnings: Sequence[str] = (),
) -> Labelled:
    """Features of the images; those that fail are listed, with the reason.

    Raises:
        UsageError: none can be read.
    """
    found = [
        extractor([image.data for image in images[begin : begin + _AT_ONCE]])
        for begin in range(0, len(images), _AT_ONCE)
    ]
    valid = np.concatenate([one.valid for one in found])
    status = [status for one in found for status in one.status]
    errors = [error for one in found for error in one.error]
    failed = [
        {
            "key": images[row].key,
            "status": status[row],
            "error": errors[row] or "its features are not finite",
        }
        for row in np.flatnonzero(~valid).tolist()
    ]
    told = list(warnings)
    if failed:
        if len(failed) == len(images):
            raise UsageError(
                f"none of the {len(images)} labelled images can be used; the first, "
                f"{failed[0]['key']}: {failed[0]['error']}"
            )
        told.append(
            f"{len(failed)} of {len(images)} labelled images were left out; the first, "
            f"{failed[0]['key']}: {failed[0]['error']}"
        )
    logits = np.concatenate([one.logits for one in found])[valid].astype(np.float64)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Labelled(
        keys=[image.key for image, good in zip(images, valid, strict=True) if good],
        vectors_PD=np.concatenate([one.vectors for one in found])[valid],
        label_P=labels[valid],
        predicted_P=logits.argmax(axis=1),
        confidence_P=(weights.max(axis=1) / weights.sum(axis=1)).astype(np.float32),
        failed=failed,
        digest=digest,
        warnings=told,
        used=np.flatnonzero(valid),
    )
