from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cluster.feature_report import FeatureReport, feature_warnings

SOUND = FeatureReport(
    id="0123456789ab",
    name="",
    mode="full",
    dim=960,
    stages=[{"name": "layer1", "dim": 960}],
    explained_variance=None,
    parts=3,
    missing=0,
    null=0,
    clipped=0,
    differ=0,
)


def test_sound_features_are_no_news() -> None:
    assert feature_warnings(SOUND) == []


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("missing", r"^1,234 scored parts have no features .* run the same command again"),
        ("null", "^1,234 images have scores but no features: NaN or infinity"),
        ("clipped", "^1,234 images have features beyond 65,504"),
        ("differ", "^1,234 images have another status than when they were scored"),
    ],
)
def test_what_is_wrong_is_counted_aloud(field: str, message: str) -> None:
    (warning,) = feature_warnings(replace(SOUND, **{field: 1234}))
    assert re.search(message, warning)
