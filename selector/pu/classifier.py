"""A PU classifier on disk: `run/pu/<id>/` with weights (safetensors) and a card (JSON).

The card says what it was trained on and how scores become probabilities; the weights are tensors
and nothing else. Whoever loads it compares the card with the features at hand: features of another
teacher, or of other stages, would give numbers without meaning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch

from selector.pu.calibrate import Calibration
from selector.pu.network import PUHead
from selector.pu.train_head import head_scores
from selector.tables.facts import FactTable
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_json
from selector.teachers.fingerprint import digest_tensors
from shards import atomic, storage
from shards.errors import StorageError, UsageError

CARD_VERSION = 1


@dataclass(frozen=True)
class HeadClassifier:
    """A trained head with its calibration.

    Attributes:
        head: see `PUHead`.
        calibration: raw score -> probability.
        card: plain JSON values: version, mode, prior, settings, seed, features (see
            `features_identity`), dim, hidden, name, and so on.
    """

    head: PUHead
    calibration: Calibration
    card: Mapping[str, Any]

    def __call__(
        self, rows_ND: npt.NDArray[np.floating[Any]]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Raw scores F (N,) and probabilities (N,) of features (N, D)."""
        scores = head_scores(self.head, rows_ND)
        return scores, self.calibration(scores)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the weights."""
        return digest_tensors(self.head.state_dict())


def features_identity(features: FactTable) -> dict[str, Any]:
    """What must be equal for two feature tables to mean the same numbers."""
    return {
        "id": features.fact_id,
        **{
            key: features.about.get(key)
            for key in ("teacher_fingerprint", "preprocessing_fingerprint", "mode", "dim", "stages")
        },
    }


def write_classifier(layout: RunLayout, pu_id: str, classifier: HeadClassifier) -> str:
    """Write weights, then the card; returns the folder."""
    folder = layout.pu_dir(pu_id)
    tensors = {name: value.contiguous() for name, value in classifier.head.state_dict().items()}
    atomic.write_bytes(
        storage.join(folder, "classifier.safetensors"), safetensors.torch.save(tensors)
    )
    card = {
        **classifier.card,
        "version": CARD_VERSION,
        "digest": classifier.digest,
        "calibration": asdict(classifier.calibration),
    }
    text = json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    atomic.write_bytes(storage.join(folder, "card.json"), (text + "\n").encode())
    return folder


def read_classifier(layout: RunLayout, pu_id: str) -> HeadClassifier:
    """The classifier of a PU table.

    Raises:
        StorageError: it is missing or damaged.
        UsageError: its card is of another version.
    """
    folder = layout.pu_dir(pu_id)
    cure = "restore the folder, or remove it and run `coursepack pu fit` again"
    card = read_json(storage.join(folder, "card.json"), cure=cure)
    if card.get("version") != CARD_VERSION:
        raise UsageError(
            f"{folder} is a classifier of version {card.get('version')}; this coursepack reads "
            f"version {CARD_VERSION}: fit again"
        )
    uri = storage.join(folder, "classifier.safetensors")
    head = PUHead(int(card["dim"]), hidden=int(card["hidden"]))
    try:
        head.load_state_dict(safetensors.torch.load(storage.read_bytes(uri)))
    except (safetensors.SafetensorError, RuntimeError) as error:
        raise StorageError(f"{uri} is damaged ({' '.join(str(error).split())}); {cure}") from error
    calibration = Calibration(
        scores=tuple(card["calibration"]["scores"]),
        probabilities=tuple(card["calibration"]["probabilities"]),
        excess=float(card["calibration"]["excess"]),
    )
    classifier = HeadClassifier(head.eval().requires_grad_(False), calibration, card)
    if classifier.digest != card["digest"]:
        raise StorageError(f"{uri} holds other weights than its card says; {cure}")
    return classifier


def refuse_other_features(classifier: HeadClassifier, features: FactTable) -> None:
    """Refuse features that the classifier was not trained on.

    Raises:
        UsageError: another teacher, preprocessing, stages or reduction; names the first.
    """
    trained, found = classifier.card["features"], features_identity(features)
    for key in ("teacher_fingerprint", "preprocessing_fingerprint", "mode", "dim", "stages", "id"):
        if trained.get(key) != found[key]:
            raise UsageError(
                f"features {features.fact_id} have {key} {_short(found[key])}, the classifier was "
                f"trained on features {trained['id']} with {_short(trained.get(key))}; score those "
                "features, or fit again on these"
            )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
